"""Optimal matching on one score within exact strata and a caliper, in the time of a few sorts.

Two facts make the line easy.

*Who must be matched.* In every largest matching, the treated that an unmatched treated occasion can reach by exchanging
comparisons (the scarce part) use up all the comparisons they can reach, and all other treated are matched (Dulmage &
Mendelsohn 1958, Canad J Math 10:517-534). So the problem falls into two, in each of which one side *must* be matched
completely and the other *may* be used: treated and comparisons, or comparisons and treated. With k comparisons wanted
this is done twice: for one comparison each, then for k among those who are not scarce of one.

*How.* The cost ``abs(difference)``, infinite beyond the caliper, is convex, so some cheapest matching keeps the order:
the b-th of the must-side goes with the b-th used of the may-side. Sweeping up the score, let f(b) be the least cost of
having used b so far. Between neighbouring points at distance g, with N of the must-side passed, ``g * abs(b - N)`` is
added (that many pairs straddle the gap); a may-point replaces f(b) by ``min(f(b), f(b - 1))``, or by ``f(b - 1)`` where
it is forced to be used; the caliper bounds b from both sides. All keep f convex, so its kinks fit into two heaps and
the sweep takes O(n log n).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Kinks = list[tuple[int, float]]  # heap of (position, change of slope), positions negated in the lower heap


def line_choices(
    score: FloatArray, stratum: IntArray, treated: BoolArray, *, ratio: int, caliper: float
) -> tuple[IntArray, IntArray]:
    """Comparisons chosen for each treated row by exact optimal matching on a line.

    Parameters
    ----------
    score, stratum, treated
        (n,) finite score, code of the stratum (equal or not), arm.
    ratio, caliper
        Most comparisons of one treated row; largest distance allowed, possibly infinite.

    Returns
    -------
    (n1,) treated rows and (n1, ratio) rows of their comparisons, -1 where none, both in order of stratum and score.
    """
    cases, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    cases = cases[np.lexsort((score[cases], stratum[cases]))]
    pool = pool[np.lexsort((score[pool], stratum[pool]))]
    codes = np.unique(stratum[cases])
    chosen = _kernel()(
        score[cases], np.searchsorted(stratum[cases], codes), np.searchsorted(stratum[cases], codes, side="right"),
        score[pool], np.searchsorted(stratum[pool], codes), np.searchsorted(stratum[pool], codes, side="right"),
        ratio, caliper,
    )  # fmt: skip
    return cases, np.where(chosen >= 0, pool[chosen], -1)


@cache
def _kernel() -> Callable[..., IntArray]:
    return compiled(_match_strata, _largest, _scarce, _cheapest, _add_stretches, _cut_above, _cut_below, _rise, _fall)


def _match_strata(
    case_score: FloatArray,
    case_begin: IntArray,
    case_end: IntArray,
    pool_score: FloatArray,
    pool_begin: IntArray,
    pool_end: IntArray,
    ratio: int,
    caliper: float,
) -> IntArray:
    """Positions in the pool chosen by each case (n1, ratio); both sides sorted by stratum and score."""
    chosen = np.full((case_score.size, ratio), -1, dtype=np.int64)
    for s in range(case_begin.size):
        cases, pool = np.arange(case_begin[s], case_end[s]), np.arange(pool_begin[s], pool_end[s])
        x, y = case_score[cases], pool_score[pool]
        x_scarce, y_scarce = _scarce(x, y, _largest(x, y, caliper), caliper)
        some, used = cases[x_scarce], pool[y_scarce]  # not everybody here can have even one
        given = _cheapest(pool_score[used], case_score[some], np.zeros(some.size, dtype=np.bool_), caliper)
        for b in range(used.size):
            chosen[some[given[b]], 0] = used[b]
        slots, pool = np.repeat(cases[~x_scarce], ratio), pool[~y_scarce]  # a slot for each comparison wanted
        turn = np.arange(slots.size) % ratio
        x, y = case_score[slots], pool_score[pool]
        x_scarce, y_scarce = _scarce(x, y, _largest(x, y, caliper), caliper)
        some, some_turn, used = slots[x_scarce], turn[x_scarce], pool[y_scarce]  # everybody has one, some have more
        given = _cheapest(pool_score[used], case_score[some], some_turn == 0, caliper)
        for b in range(used.size):
            chosen[some[given[b]], some_turn[given[b]]] = used[b]
        slots, turn, pool = slots[~x_scarce], turn[~x_scarce], pool[~y_scarce]  # everybody has all
        given = _cheapest(case_score[slots], pool_score[pool], np.zeros(pool.size, dtype=np.bool_), caliper)
        for b in range(slots.size):
            chosen[slots[b], turn[b]] = pool[given[b]]
    return chosen


def _largest(x: FloatArray, y: FloatArray, caliper: float) -> IntArray:
    """A largest matching of sorted slots x to sorted comparisons y: each slot in turn takes the first in reach."""
    mate = np.full(x.size, -1, dtype=np.int64)
    j = 0
    for i in range(x.size):
        while j < y.size and x[i] - y[j] > caliper:
            j += 1
        if j < y.size and y[j] - x[i] <= caliper:
            mate[i] = j
            j += 1
    return mate


def _scarce(x: FloatArray, y: FloatArray, mate: IntArray, caliper: float) -> tuple[BoolArray, BoolArray]:
    """Slots and comparisons that an unmatched slot reaches by alternating paths of the largest matching `mate`."""
    x_scarce, y_scarce = mate < 0, np.zeros(y.size, dtype=np.bool_)
    if not x_scarce.any():
        return x_scarce, y_scarce
    holder = np.full(y.size, -1, dtype=np.int64)
    first = np.empty(x.size, dtype=np.int64)  # first comparison within the caliper
    begin = 0
    for i in range(x.size):
        if mate[i] >= 0:
            holder[mate[i]] = i
        while begin < y.size and x[i] - y[begin] > caliper:
            begin += 1
        first[i] = begin
    ahead = np.arange(y.size + 1)  # ahead[j] leads to the first comparison at or after j not reached yet
    todo = list(np.flatnonzero(x_scarce))
    while len(todo) > 0:
        slot = todo.pop()
        j = first[slot]
        while True:
            while ahead[j] != j:
                ahead[j] = ahead[ahead[j]]
                j = ahead[j]
            if j == y.size or y[j] - x[slot] > caliper:
                break
            ahead[j] = j + 1
            y_scarce[j] = True
            x_scarce[holder[j]] = True  # a comparison reached is in use, or the matching were not the largest
            todo.append(holder[j])
    return x_scarce, y_scarce


def _cheapest(must: FloatArray, may: FloatArray, forced: BoolArray, caliper: float) -> IntArray:
    """Which of `may` each of `must` gets (both sorted), all of `must` within the caliper, at the least cost.

    Of `may` the `forced` are used for certain. Among equal costs the lowest positions of `may` are used.
    """
    best = np.zeros(may.size + 1, dtype=np.int64)  # largest minimiser of f after each may-point
    low, high = 0, 0  # f is finite from low to high
    lower, upper = [(0, 0.0)], [(0, 0.0)]  # kinks stand at position + drift and position + shift
    lower.pop()
    upper.pop()
    drift = 0
    passed, reached, late = 0, 0, 0  # of must: behind the sweep; within reach of this point; out of the next one's
    for j in range(may.size if must.size > 0 else 0):
        shift = j + 1
        drift += forced[j]
        while reached < must.size and must[reached] - may[j] <= caliper:
            reached += 1
        high = min(high + 1, reached)
        _cut_above(lower, high, drift)
        low += forced[j]
        passed = _add_stretches(must, may, j, passed, lower, upper, low, high, drift)
        while late < must.size and (j + 1 == may.size or may[j + 1] - must[late] > caliper):
            late += 1
        low = max(low, late)
        _cut_below(upper, low, shift)
        best[j + 1] = min(upper[0][0] + shift, high) if len(upper) > 0 else high
    given = np.empty(must.size, dtype=np.int64)
    b = must.size
    for j in range(may.size - 1, -1, -1):
        if forced[j] or best[j] < b:
            b -= 1
            given[b] = j
    return given


def _add_stretches(
    must: FloatArray,
    may: FloatArray,
    j: int,
    passed: int,
    lower: Kinks,
    upper: Kinks,
    low: int,
    high: int,
    drift: int,
) -> int:
    """Add to f the cost of the way to the next may-point, cut at must-points; return how many of `must` are behind."""
    here = may[j]
    while passed < must.size and must[passed] <= here:
        passed += 1
    if j + 1 == may.size:
        return passed
    while here < may[j + 1]:
        there = may[j + 1]
        if passed < must.size:
            there = min(there, must[passed])
        _rise(lower, upper, passed, there - here, low, high, drift, j + 1)
        _fall(lower, upper, passed, there - here, low, high, drift, j + 1)
        here = there
        while passed < must.size and must[passed] <= here:
            passed += 1
    return passed


def _cut_above(lower: Kinks, high: int, drift: int) -> None:
    """Make f infinite above `high`: kinks there become one kink at `high`."""
    slope = 0.0
    while len(lower) > 0 and drift - lower[0][0] > high:
        slope += heappop(lower)[1]
    if slope > 0:
        heappush(lower, (drift - high, slope))


def _cut_below(upper: Kinks, low: int, shift: int) -> None:
    """Make f infinite below `low`: kinks there become one kink at `low`."""
    slope = 0.0
    while len(upper) > 0 and upper[0][0] + shift < low:
        slope += heappop(upper)[1]
    if slope > 0:
        heappush(upper, (low - shift, slope))


def _rise(lower: Kinks, upper: Kinks, at: int, slope: float, low: int, high: int, drift: int, shift: int) -> None:
    """Add ``slope * max(b - at, 0)`` to f: slopes that were falling to the right of `at` become rising."""
    at = max(at, low)
    if at >= high:
        return
    if len(lower) == 0 or drift - lower[0][0] <= at:
        heappush(upper, (at - shift, slope))
        return
    if at > low:
        heappush(lower, (drift - at, slope))
    while slope > 0:
        if len(lower) == 0 or drift - lower[0][0] <= low:
            heappush(upper, (low - shift, slope))
            return
        kink, change = heappop(lower)
        moved = min(change, slope)
        heappush(upper, (drift - kink - shift, moved))
        if change > moved:
            heappush(lower, (kink, change - moved))
        slope -= moved


def _fall(lower: Kinks, upper: Kinks, at: int, slope: float, low: int, high: int, drift: int, shift: int) -> None:
    """Add ``slope * max(at - b, 0)`` to f, the mirror image of `_rise`."""
    at = min(at, high)
    if at <= low:
        return
    if len(upper) == 0 or upper[0][0] + shift >= at:
        heappush(lower, (drift - at, slope))
        return
    if at < high:
        heappush(upper, (at - shift, slope))
    while slope > 0:
        if len(upper) == 0 or upper[0][0] + shift >= high:
            heappush(lower, (drift - high, slope))
            return
        kink, change = heappop(upper)
        moved = min(change, slope)
        heappush(lower, (drift - kink - shift, moved))
        if change > moved:
            heappush(upper, (kink, change - moved))
        slope -= moved
