"""Optimal matching under any rules on pairs: shortest augmenting paths over few candidate pairs, certified over all.

*Objective.* A treated occasion that wants k comparisons has k slots. Cost has two levels, compared in this order: empty
slots, the first slot of each treated occasion counted twice, then distance: the first slot left empty costs (2, 0), any
other (1, 0), a pair (0, cost). Two numbers instead of one large penalty keep the precision of the distances. Sets of
slots that can be filled together form a matroid, so the most pairs and the most treated occasions with a comparison can
be had at once, whatever the two counts weigh (Edmonds & Fulkerson 1965, J Res NBS 69B:147-153).

*Paths.* Slots enter one by one along a shortest augmenting path (Dijkstra with dual prices; Kuhn 1955; Jonker &
Volgenant 1987, Computing 38:325-340), which ends at a free comparison or, none being within reach, at the slot best
left empty.

*Pricing.* The search starts with each treated occasion's cheapest candidates. Its dual prices tell of every other
admissible pair whether it could improve the matching (linear programming duality); those that could are added
(`optimal_pricing` finds them), and the search is repeated, until none is left: the matching is then optimal over all
admissible pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import BYTES_PER_EDGE, Edges, sort_edges
from causal.design.matching.compiled import compiled
from causal.design.matching.optimal_pricing import Assignment, Market, improving
from causal.design.memory import require_memory

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FIRST_CANDIDATES = 8  # candidates of each slot to begin with; each round allows twice as many new ones
UNREACHED = 3  # a level above all that occur


class Search(NamedTuple):
    """What a search for an augmenting path remembers of each comparison (n0,): its slot, distance, and slot before."""

    holder: IntArray
    reached_level: IntArray
    reached: FloatArray
    via: IntArray


def graph_choices(pairs: Market, *, ratio: int, memory: float) -> IntArray:
    """Comparisons (n1, ratio) of each treated occasion, both counted in row order, -1 where none.

    Most pairs, most treated occasions with a comparison, then the least total cost, over all pairs that the rules and
    the caliper admit.
    """
    n1, n0 = pairs.root.size, pairs.comparison.size
    edges = Edges(np.zeros(n1 + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))
    best = assignment(edges, ratio, n0)  # nothing matched: every pair would improve it
    most = FIRST_CANDIDATES * ratio
    while True:
        room = memory * 1e9 / (2 * BYTES_PER_EDGE) - edges.cost.size  # twice, for the lists before and after joining
        most = min(most, n0, max(int(room / n1), 1))
        require_memory(
            2.0 * (edges.cost.size + n1 * most) * BYTES_PER_EDGE,
            limit=memory,
            work=f"optimal matching with up to {edges.cost.size + n1 * most:,} candidate pairs",
            instead="give a caliper, or a narrower one, or match exactly on more variables",
        )
        added = improving(pairs, edges, best, ratio=ratio, most=most)
        if added.cost.size == 0:
            return best.given.reshape(n1, ratio)
        edges = _joining_kernel()(edges, added)
        best = assignment(edges, ratio, n0)
        most *= 2


def assignment(edges: Edges, ratio: int, n0: int) -> Assignment:
    """Optimal matching over the listed pairs (see `candidate_edges`): most pairs, most treated, least total cost.

    >>> pairs = Edges(np.array([0, 2, 3]), np.array([0, 1, 0], dtype=np.int32), np.array([1.0, 3.0, 1.5]))
    >>> assignment(pairs, 1, 2).given.tolist()
    [1, 0]
    """
    return _assigning_kernel()(edges, ratio, n0)


@cache
def _assigning_kernel() -> Callable[..., Assignment]:
    return compiled(_assign, _begin, _augment, _reprice, _exchange)


@cache
def _joining_kernel() -> Callable[..., Edges]:
    return compiled(_join, sort_edges)


def _assign(edges: Edges, ratio: int, n0: int) -> Assignment:
    """Let the slots enter one by one."""
    slots = (edges.indptr.size - 1) * ratio
    best = Assignment(
        np.full(slots, -1, dtype=np.int64),
        np.zeros(slots, dtype=np.int64),
        np.zeros(slots),
        np.zeros(n0, dtype=np.int64),
        np.zeros(n0),
    )
    search = Search(
        np.full(n0, -1, dtype=np.int64),
        np.full(n0, UNREACHED, dtype=np.int64),
        np.full(n0, np.inf),
        np.full(n0, -1, dtype=np.int64),
    )
    _begin(edges, best, search, ratio)
    for s in range(slots):
        if best.given[s] < 0 and best.slot_level[s] == 0:
            _augment(edges, best, search, s, ratio)
    return best


def _begin(edges: Edges, best: Assignment, search: Search, ratio: int) -> None:
    """Price each slot at its cheapest pair and match it where that comparison is still free."""
    for s in range(best.given.size):
        begin, end = edges.indptr[s // ratio], edges.indptr[s // ratio + 1]
        if begin == end:
            best.slot_level[s] = 2 if s % ratio == 0 else 1
            continue
        best.slot_price[s] = edges.cost[begin]
        for e in range(begin, end):
            j = edges.comparison[e]
            if edges.cost[e] > best.slot_price[s]:
                break
            if search.holder[j] < 0:
                best.given[s] = j
                search.holder[j] = s
                break


def _augment(  # noqa: PLR0912 - one search, compiled as a whole
    edges: Edges, best: Assignment, search: Search, start: int, ratio: int
) -> None:
    """Match one more slot along the shortest augmenting path, or leave empty whichever slot costs least; reprice."""
    level, length, at = 0, 0.0, start  # of the path so far, and the slot it has come to
    end_level, end_length, end_slot, end_comparison = UNREACHED, np.inf, -1, -1
    heap = [(0, 0.0, 0)]
    heap.pop()
    touched, scanned = [0], [0]
    touched.pop()
    scanned.pop()
    while True:
        slot_level, slot_price = best.slot_level[at], best.slot_price[at]
        empty_level = level + (2 if at % ratio == 0 else 1) - slot_level
        if (empty_level, length - slot_price) < (end_level, end_length):
            end_level, end_length, end_slot, end_comparison = empty_level, length - slot_price, at, -1
        for e in range(edges.indptr[at // ratio], edges.indptr[at // ratio + 1]):
            so_far = length + edges.cost[e] - slot_price
            if slot_level == 0 and end_level == level and so_far >= end_length:
                break  # no price is above 0 here, and the remaining pairs cost more
            j = int(np.int64(edges.comparison[e]))  # int alone keeps 32 bits under numba
            next_level, next_length = level - slot_level - best.level[j], so_far - best.price[j]
            if next_level == level:
                next_length = max(next_length, length)  # rounding must not make a path shorter than its beginning
            if (next_level, next_length) >= (end_level, end_length):
                continue
            if (next_level, next_length) < (search.reached_level[j], search.reached[j]):
                if search.reached_level[j] == UNREACHED:
                    touched.append(j)
                search.reached_level[j], search.reached[j], search.via[j] = next_level, next_length, at
                if search.holder[j] < 0:
                    end_level, end_length, end_slot, end_comparison = next_level, next_length, -1, j
                else:
                    heappush(heap, (next_level, next_length, j))
        at = -1
        while at < 0 and len(heap) > 0:
            level, length, j = heappop(heap)
            if (level, length) >= (end_level, end_length):
                break
            if (level, length) == (search.reached_level[j], search.reached[j]):
                at = search.holder[j]
                scanned.append(j)
        if at < 0:
            break
    _reprice(best, search, start, scanned, end_level, end_length)
    for j in touched:
        search.reached_level[j], search.reached[j] = UNREACHED, np.inf
    _exchange(best, search, end_slot, end_comparison)


def _reprice(
    best: Assignment, search: Search, start: int, scanned: list[int], end_level: int, end_length: float
) -> None:
    """Raise the prices of slots nearer than the path's end and lower those of their comparisons by as much."""
    best.slot_level[start] += end_level
    best.slot_price[start] += end_length
    for j in scanned:
        nearer_level, nearer = end_level - search.reached_level[j], end_length - search.reached[j]
        best.slot_level[search.holder[j]] += nearer_level
        best.slot_price[search.holder[j]] += nearer
        best.level[j] -= nearer_level
        best.price[j] -= nearer


def _exchange(best: Assignment, search: Search, end_slot: int, end_comparison: int) -> None:
    """Hand the comparisons on along the path, from its end back to its start."""
    passed_on = end_comparison
    if end_slot >= 0:  # this slot is left empty and hands on its comparison, if it has one
        passed_on = best.given[end_slot]
        best.given[end_slot] = -1
    while passed_on >= 0:
        slot = search.via[passed_on]
        search.holder[passed_on] = slot
        passed_on, best.given[slot] = best.given[slot], passed_on


def _join(edges: Edges, added: Edges) -> Edges:
    """Both lists of pairs in one."""
    indptr = edges.indptr + added.indptr
    comparison = np.empty(indptr[-1], dtype=np.int32)
    cost = np.empty(indptr[-1], dtype=np.float64)
    for i in range(indptr.size - 1):
        begin, end = indptr[i], indptr[i + 1]
        middle = begin + edges.indptr[i + 1] - edges.indptr[i]
        comparison[begin:middle] = edges.comparison[edges.indptr[i] : edges.indptr[i + 1]]
        comparison[middle:end] = added.comparison[added.indptr[i] : added.indptr[i + 1]]
        cost[begin:middle] = edges.cost[edges.indptr[i] : edges.indptr[i + 1]]
        cost[middle:end] = added.cost[added.indptr[i] : added.indptr[i + 1]]
        sort_edges(cost[begin:end], comparison[begin:end])
    return Edges(indptr, comparison, cost)
