"""Optimal full matching on a line: the cheapest edge cover of points of two arms, in linear time after sorting.

Sorted by score, the rows of a stratum fall into runs of one arm. Some optimal cover joins only neighbouring runs: where
a run A, then B, then A', then B' lie between the ends of an edge, the two shorter edges (A, B) and (A', B') cover more
for less. So a run splits into a first part covered by the run before it and a last part covered by the run after it
(only a run of one may be covered by both), and a dynamic programme over the splits is exact (Colannino et al. 2006).

Between the last r points of a run, ..., a_{r-1}, a_r, and the first l points of the next, b_1, b_2, ..., superfluous
edges cost least at the two points that face each other, a_r and b_1. If b_1 takes 1 + e of them, the edges in order are
b_1 with the first 1 + e, and b_m with a_{m+e} (a_r, from where they run out): no pairing of the same number of edges
has a shorter longest edge, so a caliper only asks for the e large enough.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def cover_line(score: FloatArray, treated: BoolArray, stratum: IntArray, caliper: float) -> tuple[IntArray, IntArray]:
    """Edges of a cheapest cover of every row that has a partner.

    Parameters
    ----------
    score, treated, stratum
        (n,) score, arm and codes of strata: partners are of one stratum.
    caliper
        Largest difference of scores of an edge, inclusive; infinite for none.

    Returns
    -------
    Rows of the treated and of the comparison end of each edge (e,). Where edges of no length leave a choice an edge
    may be superfluous.

    >>> cover_line(np.array([0.0, 1.0, 3.0]), np.array([True, False, False]), np.zeros(3, np.int64), np.inf)
    (array([0, 0]), array([1, 2]))
    """
    order = np.argsort(score, kind="stable")
    if stratum.min() != stratum.max():
        order = order[np.argsort(stratum[order], kind="stable")]
    order = order[_compiled_partners()(score[order], treated[order], stratum[order], caliper)]
    arm = treated[order]
    left, right = _compiled_edges()(score[order], arm, stratum[order], caliper)
    treated_end = np.where(arm[left], left, right)
    return order[treated_end], order[left + right - treated_end]


@cache
def _compiled_partners() -> Callable[..., BoolArray]:
    return compiled(_has_partner)


@cache
def _compiled_edges() -> Callable[..., tuple[IntArray, IntArray]]:
    return compiled(_edges, _runs, _reach, _join)


def _has_partner(score: FloatArray, arm: BoolArray, stratum: IntArray, caliper: float) -> BoolArray:
    """Which sorted rows have a row of the other arm within the caliper, in their stratum."""
    n = score.size
    found = np.zeros(n, dtype=np.bool_)
    last = np.full(2, -1)
    for i in range(n):
        other = last[0 if arm[i] else 1]
        if other >= 0 and stratum[other] == stratum[i] and score[i] - score[other] <= caliper:
            found[i] = True
        last[1 if arm[i] else 0] = i
    last[:] = -1
    for i in range(n - 1, -1, -1):
        other = last[0 if arm[i] else 1]
        if other >= 0 and stratum[other] == stratum[i] and score[other] - score[i] <= caliper:
            found[i] = True
        last[1 if arm[i] else 0] = i
    return found


def _runs(arm: BoolArray, stratum: IntArray) -> IntArray:
    """First position of every run of one arm and stratum, and n after the last."""
    begin = np.empty(arm.size + 1, dtype=np.int64)
    count = 0
    for i in range(arm.size):
        if i == 0 or arm[i] != arm[i - 1] or stratum[i] != stratum[i - 1]:
            begin[count] = i
            count += 1
    begin[count] = arm.size
    return begin[: count + 1]


def _reach(score: FloatArray, begin: int, middle: int, end: int, caliper: float) -> IntArray:
    """How many of the last points of the run begin:middle the first l points of middle:end serve, one edge each.

    Entry l of the result: the largest r such that the two sides need no more than max(l, r) edges within the caliper.
    Every further point on the left costs one edge more. Entries end where a point has no partner on the left.
    """
    size = middle - begin
    reach = np.zeros(end - middle + 1, dtype=np.int64)
    j, shift = 0, 0
    for m in range(end - middle):
        while j < size and score[middle + m] - score[begin + j] > caliper:
            j += 1
        if j == size:
            return reach[: m + 1]
        shift = max(shift, j - m)
        reach[m + 1] = min(m + 1, size - shift)
    return reach


def _join(score: FloatArray, begin: int, middle: int, reach: IntArray, caliper: float, before: FloatArray,
          after: FloatArray, chosen: IntArray) -> None:  # fmt: skip
    """Cheapest ways to cover all up to the first l points of the run at `middle`, for every l: cost ``after[l]``.

    ``before[l]`` is that cost for the run begin:middle; ``chosen[l]`` becomes the number of that run's last points
    which the l points serve.
    """
    size, gap = middle - begin, score[middle] - score[middle - 1]
    after[:], chosen[:] = np.inf, 0
    after[0] = before[size]
    cost = np.full(size + 1, np.inf)  # of all on the left if its last r points are served, without the gap
    least, steep = np.zeros(size + 1, dtype=np.int64), np.zeros(size + 2, dtype=np.int64)
    widest, own = 0, 0.0
    for r in range(1, size + 1):
        if score[middle] - score[middle - r] > caliper:
            break
        own += score[middle - 1] - score[middle - r]
        cost[r] = before[size - r] + own if size > 1 else min(before[0], before[1])
        least[r] = r if r == 1 or cost[r] < cost[least[r - 1]] else least[r - 1]
        widest = r
    for r in range(widest, 0, -1):
        other = steep[r + 1]
        steep[r] = other if other > 0 and cost[other] + gap * other < cost[r] + gap * r else r
    own = 0.0
    for m in range(1, reach.size):
        own += score[middle + m - 1] - score[middle]
        r = least[min(reach[m], widest)]
        after[m], chosen[m] = cost[r] + own + gap * m, r
        if reach[m] < widest:
            r = steep[reach[m] + 1]
            dear = cost[r] + own + gap * (r + m - reach[m])
            if dear < after[m]:
                after[m], chosen[m] = dear, r


def _edges(score: FloatArray, arm: BoolArray, stratum: IntArray, caliper: float) -> tuple[IntArray, IntArray]:
    """Sorted positions of the left and right ends of the edges of a cheapest cover; every row has a partner."""
    n, runs = score.size, _runs(arm, stratum)
    cost, chosen = np.empty(n + runs.size), np.zeros(n + runs.size, dtype=np.int64)  # run k's start at its begin + k
    for k in range(runs.size - 1):
        begin, end = runs[k], runs[k + 1]
        if k == 0 or stratum[begin] != stratum[begin - 1]:
            cost[begin + k : end + k + 1] = np.inf
            cost[begin + k] = 0.0
        else:
            _join(
                score, runs[k - 1], begin, _reach(score, runs[k - 1], begin, end, caliper), caliper,
                cost[runs[k - 1] + k - 1 : begin + k], cost[begin + k : end + k + 1], chosen[begin + k : end + k + 1],
            )  # fmt: skip
    left, right = np.empty(2 * n, dtype=np.int64), np.empty(2 * n, dtype=np.int64)
    count, served = 0, 0  # served: how many of the run's first points the run before it covers
    for k in range(runs.size - 2, -1, -1):
        begin, end = runs[k], runs[k + 1]
        if end == n or stratum[end] != stratum[end - 1]:
            served = end - begin
        if served == 0:
            served = runs[k] - runs[k - 1] if k > 0 else 0
            continue
        size, last = begin - runs[k - 1], chosen[begin + k + served]
        shift = max(0, last - _reach(score, runs[k - 1], begin, end, caliper)[served])
        for m in range(served):
            first = m + shift if m > 0 else 0
            for j in range(min(first, last - 1), min(m + shift, last - 1) + 1):
                left[count], right[count] = begin - last + j, begin + m
                count += 1
        before = cost[runs[k - 1] + k - 1 : begin + k]
        served = size - last if size > 1 else int(before[1] < before[0])
    return left[:count], right[:count]
