"""The pairs a search has listed so far: joined with more, parted by zone, seen from either arm."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import Edges, sort_edges
from causal.design.matching.compiled import compiled
from causal.design.matching.links import Lists

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BYTES = 64  # of a listed pair at the peak: seen from either arm, before and after new ones are joined


def joined(edges: Edges, added: Edges) -> Edges:
    """Both lists of pairs in one, each pair once, cheapest first; the added may come in any order."""
    return Edges(*_joining_kernel()(edges, added))


def by_occasion(case: IntArray, comparison: IntArray, cost: FloatArray, n1: int) -> Edges:
    """Pairs (m,) in any order, by treated occasion."""
    order = np.argsort(case, kind="stable")
    indptr = np.r_[0, np.cumsum(np.bincount(case, minlength=n1))]
    return Edges(indptr, comparison[order].astype(np.int32), cost[order])


def both_ways(edges: Edges, case_zone: IntArray, zone: IntArray) -> tuple[Lists, Lists]:
    """The pairs whose ends are of one zone, by treated and by comparison occasion; zones (n1,) and (n0,)."""
    by_case, by_comparison = _parting_kernel()(edges, case_zone, zone)
    return Lists(*by_case), Lists(*by_comparison)


@cache
def _joining_kernel() -> Callable[..., Edges]:
    return compiled(_join, sort_edges)


@cache
def _parting_kernel() -> Callable[..., tuple[Lists, Lists]]:
    return compiled(_part, sort_edges)


def _part(edges: Edges, case_zone: IntArray, zone: IntArray) -> tuple[Lists, Lists]:
    """See `both_ways`."""
    n1, n0 = case_zone.size, zone.size
    indptr, start = np.zeros(n1 + 1, dtype=np.int64), np.zeros(n0 + 1, dtype=np.int64)
    other, cost = np.empty(edges.cost.size, dtype=np.int32), np.empty(edges.cost.size)
    kept = 0
    for i in range(n1):
        for e in range(edges.indptr[i], edges.indptr[i + 1]):
            j = edges.comparison[e]
            if case_zone[i] == zone[j]:
                other[kept], cost[kept] = j, edges.cost[e]
                start[j + 1] += 1
                kept += 1
        indptr[i + 1] = kept
    for j in range(n0):
        start[j + 1] += start[j]
    place, case, their_cost = start[:-1].copy(), np.empty(kept, dtype=np.int32), np.empty(kept)
    for i in range(n1):
        for e in range(indptr[i], indptr[i + 1]):
            j = other[e]
            case[place[j]], their_cost[place[j]] = i, cost[e]
            place[j] += 1
    for j in range(n0):
        sort_edges(their_cost[start[j] : start[j + 1]], case[start[j] : start[j + 1]])
    return Lists(indptr, other[:kept].copy(), cost[:kept].copy()), Lists(start, case, their_cost)


def _join(edges: Edges, added: Edges) -> Edges:
    """See `joined`."""
    indptr = np.zeros_like(edges.indptr)
    comparison = np.empty(edges.cost.size + added.cost.size, dtype=np.int32)
    cost = np.empty(comparison.size, dtype=np.float64)
    e = 0
    for i in range(indptr.size - 1):
        a, a_end = edges.indptr[i], edges.indptr[i + 1]
        b, b_end = added.indptr[i], added.indptr[i + 1]
        sort_edges(added.cost[b:b_end], added.comparison[b:b_end])
        while a < a_end or b < b_end:
            later = a == a_end
            if a < a_end and b < b_end:
                later = (added.cost[b], added.comparison[b]) < (edges.cost[a], edges.comparison[a])
            if later:
                comparison[e], cost[e] = added.comparison[b], added.cost[b]
                b += 1
            else:
                comparison[e], cost[e] = edges.comparison[a], edges.cost[a]
                a += 1
            if e == indptr[i] or (comparison[e], cost[e]) != (comparison[e - 1], cost[e - 1]):
                e += 1
        indptr[i + 1] = e
    return Edges(indptr, comparison[:e].copy(), cost[:e].copy())
