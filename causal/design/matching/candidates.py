"""Candidate comparisons: every pair of occasions that the rules and the caliper allow, without looking at all pairs.

The comparisons are sorted by exact stratum and one key that a rule bounds (a coordinate of the distance, a variable
with a caliper, time zero), so each treated occasion looks only at a short run of them. `candidate_edges` lists all
admissible pairs; `Reach` is what a method needs that visits them without keeping them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.matching.pairing import PairArrays, Pairing, admissible, refuse_arms, reluctance
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LARGEST = 1e150  # of a coordinate: beyond, squares are infinite
BYTES_PER_EDGE = 12  # a 32-bit position and a cost


class Edges(NamedTuple):
    """Admissible pairs by treated occasion (compressed sparse rows), each one's cheapest first, ties by row.

    Attributes
    ----------
    indptr
        (n1 + 1,) the pairs of the i-th treated occasion, in row order, are ``indptr[i]:indptr[i + 1]``.
    comparison
        (e,) which comparison occasion, counted in row order: 0 to n0 - 1.
    cost
        (e,) distance plus the penalties of preferences not met (`reluctance`).
    """

    indptr: IntArray
    comparison: NDArray[np.int32]
    cost: FloatArray


class Reach(NamedTuple):
    """Where each treated occasion has to look. Arrays with n rows stand in the order of `order`.

    Attributes
    ----------
    order
        (n,) rows: treated occasions in row order, then comparisons by (stratum, key, row).
    comparison
        (n0,) which comparison, counted in row order, stands at each place of the sorted pool.
    begin, end
        (n1,) places in the sorted pool outside of which a treated occasion has no candidate.
    coordinates
        (n, q) coordinates.
    key
        (n,) what the pool is sorted by.
    key_bounds_distance
        Whether the distance is at least the difference in key.
    rules
        The pairing rules.
    caliper
        Largest distance allowed, possibly infinite.
    """

    order: IntArray
    comparison: IntArray
    begin: IntArray
    end: IntArray
    coordinates: FloatArray
    key: FloatArray
    key_bounds_distance: bool
    rules: PairArrays
    caliper: float


def candidate_edges(
    coordinates: FloatArray,
    treated: BoolArray,
    *,
    caliper: float | None = None,
    pairing: Pairing,
    memory: float = MEMORY,
) -> Edges:
    """List every admissible pair.

    Parameters
    ----------
    coordinates
        (n,) score or (n, q) coordinates; the distance is the difference, or the Euclidean distance.
    treated
        (n,) arm.
    caliper
        Largest distance allowed, inclusive, before penalties; None for no limit.
    pairing
        Rules on pairs; all are kept.
    memory
        Gigabytes allowed for the list.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.caliper``, ``design.penalty``;
        ``design.memory`` before anything of the list is stored.

    >>> edges = candidate_edges(np.array([0.0, 2.0, 1.0]), np.array([True, False, False]), pairing=Pairing())
    >>> edges.comparison.tolist(), edges.cost.tolist()
    ([1, 0], [1.0, 2.0])
    """
    near = reach(coordinates, treated, caliper=caliper, pairing=pairing)
    most = int(memory * 1e9 / BYTES_PER_EDGE)
    indptr = _counting()(near, most)
    found = int(indptr[-1])
    if found > most:  # counting stopped there; the pairs looked at bound the rest
        found = max(found, int((near.end - near.begin).sum()))
    require_memory(
        float(found) * BYTES_PER_EDGE,
        limit=memory,
        work=f"a list of up to {found:,} admissible pairs",
        instead="give a caliper, or a narrower one, or match exactly on more variables",
    )
    return Edges(indptr, *_filling()(near, indptr))


def reach(coordinates: FloatArray, treated: BoolArray, *, caliper: float | None, pairing: Pairing) -> Reach:
    """Sort the pool so that each treated occasion's candidates are neighbours, and find where they begin and end.

    Arguments and refusals are those of `candidate_edges`. The key is whatever leaves the fewest pairs to look at.
    """
    z = np.asarray(coordinates, dtype=np.float64)
    z = np.ascontiguousarray(z.reshape(z.shape[0], -1))
    case = np.asarray(treated, dtype=np.bool_)
    refuse_distances(z, case, caliper=caliper, pairing=pairing)
    widest = z[:, int(np.argmax(np.ptp(z, axis=0)))]
    keys = [(widest, np.inf if caliper is None else float(caliper)), *_bounded(pairing)]
    stratum = (
        np.zeros(case.size, np.int64) if pairing.exact is None else np.unique(pairing.exact, return_inverse=True)[1]
    )
    sorted_pools = [_sorted_pool(key, width, stratum, case) for key, width in keys]
    fewest = int(np.argmin([(end - begin).sum() for _, begin, end in sorted_pools]))
    pool, begin, end = sorted_pools[fewest]
    order = np.r_[np.flatnonzero(case), pool]
    return Reach(
        order=order,
        comparison=np.cumsum(~case)[pool] - 1,
        begin=begin,
        end=end,
        coordinates=z[order],
        key=keys[fewest][0][order],
        key_bounds_distance=fewest == 0,
        rules=pairing.rows(order).arrays(case.size),
        caliper=keys[0][1],
    )


def refuse_distances(z: FloatArray, case: BoolArray, *, caliper: float | None, pairing: Pairing) -> None:
    """Refuse coordinates, arms, calipers and penalties that give no distances."""
    refuse_arms(case)
    if not (np.abs(z) <= LARGEST).all():
        raise DesignError("design.not_finite", "the score or a coordinate of some occasion is missing or infinite")
    if caliper is not None and not caliper > 0:
        raise DesignError("design.caliper", f"the caliper must be above 0, got {caliper:g}")
    if pairing.penalty is not None and not np.isfinite(pairing.penalty).all():
        raise DesignError("design.penalty", "the penalty of a preference must be finite", fix="match exactly on it")


def _bounded(pairing: Pairing) -> list[tuple[FloatArray, float]]:
    """Variables in which a rule bounds the difference, and the bounds."""
    keys: list[tuple[FloatArray, float]] = []
    if pairing.calipers is not None and pairing.widths is not None:
        keys += [
            (np.asarray(pairing.calipers[:, c], np.float64), float(w)) for c, w in enumerate(pairing.widths) if w > 0
        ]
    if pairing.time is not None and pairing.window is not None:
        keys.append((np.asarray(pairing.time, np.float64), float(pairing.window)))
    return keys


def _sorted_pool(
    key: FloatArray, width: float, stratum: IntArray, case: BoolArray
) -> tuple[IntArray, IntArray, IntArray]:
    """Comparison rows by (stratum, key, row), and where each treated row's candidates begin and end among them."""
    pool = np.flatnonzero(~case)
    pool = pool[np.lexsort((key[pool], stratum[pool]))]
    # A distance of whole steps may be half a step shorter than the difference in key, and rounding must not exclude.
    wide = width + 0.5 + 1e-12 * (np.abs(key).max() + width) if np.isfinite(width) else np.inf
    begin, end = _ranging()(key[case], stratum[case], key[pool], stratum[pool], wide)
    return pool, begin, end


@cache
def _ranging() -> Callable[..., tuple[IntArray, IntArray]]:
    return compiled(_ranges)


@cache
def _counting() -> Callable[..., IntArray]:
    return compiled(_count, admissible, distance)


@cache
def _filling() -> Callable[..., tuple[NDArray[np.int32], FloatArray]]:
    return compiled(_fill, admissible, reluctance, distance, sort_edges)


def _ranges(
    case_key: FloatArray, case_stratum: IntArray, key: FloatArray, stratum: IntArray, width: float
) -> tuple[IntArray, IntArray]:
    """Places in the sorted pool where each case's stratum and key within `width` begin and end."""
    begin = np.empty(case_key.size, dtype=np.int64)
    end = np.empty(case_key.size, dtype=np.int64)
    for i in range(case_key.size):
        low = np.searchsorted(stratum, case_stratum[i], side="left")
        high = np.searchsorted(stratum, case_stratum[i], side="right")
        begin[i] = low + np.searchsorted(key[low:high], case_key[i] - width, side="left")
        end[i] = low + np.searchsorted(key[low:high], case_key[i] + width, side="right")
    return begin, end


def distance(z: FloatArray, i: int, j: int) -> float:
    """Distance of rows i and j of the coordinates (n, q): exactly the difference where q is 1, else in whole steps."""
    if z.shape[1] == 1:
        return float(abs(z[i, 0] - z[j, 0]))
    total = 0.0
    for c in range(z.shape[1]):
        total += (z[i, c] - z[j, c]) ** 2
    return float(np.rint(np.sqrt(total)))


def distances(z: FloatArray, cases: IntArray, given: IntArray, *, steps: bool = False) -> FloatArray:
    """Distances (m, k) of the rows given (m, k) from the rows `cases` (m,), rounded to whole steps if asked for."""
    difference = z[given] - z[cases][:, None]
    if difference.shape[2] == 1:
        return np.asarray(np.abs(difference[..., 0]), dtype=np.float64)
    apart = np.sqrt((difference**2).sum(axis=2))
    return np.asarray(np.rint(apart) if steps else apart, dtype=np.float64)


def _count(near: Reach, most: int) -> IntArray:
    """Row pointers (n1 + 1,) of the admissible pairs; counting stops soon after `most`: the last pointer exceeds it."""
    n1 = near.begin.size
    indptr = np.zeros(n1 + 1, dtype=np.int64)
    for i in range(n1):
        found = indptr[i]
        for p in range(near.begin[i], near.end[i]):
            if distance(near.coordinates, i, n1 + p) <= near.caliper and admissible(near.rules, i, n1 + p):
                found += 1
        indptr[i + 1] = found
        if found > most:
            indptr[n1] = found
            break
    return indptr


def _fill(near: Reach, indptr: IntArray) -> tuple[NDArray[np.int32], FloatArray]:
    """Comparison and cost of every admissible pair, each treated occasion's cheapest first, ties by row."""
    n1 = near.begin.size
    comparison = np.empty(indptr[n1], dtype=np.int32)
    cost = np.empty(indptr[n1], dtype=np.float64)
    for i in range(n1):
        e = indptr[i]
        for p in range(near.begin[i], near.end[i]):
            apart = distance(near.coordinates, i, n1 + p)
            if apart <= near.caliper and admissible(near.rules, i, n1 + p):
                comparison[e] = near.comparison[p]
                cost[e] = apart + reluctance(near.rules, i, n1 + p)
                e += 1
        sort_edges(cost[indptr[i] : e], comparison[indptr[i] : e])
    return comparison, cost


def sort_edges(cost: FloatArray, comparison: NDArray[np.int32]) -> None:
    """Sort edges in place by (cost, comparison): a heap sort, which numba compiles in a tenth of argsort's time."""
    for heaped in range(cost.size // 2 - 1, -cost.size, -1):
        end = cost.size + min(heaped, 0)
        if heaped < 0:  # the heap stands: its largest edge goes behind it
            cost[0], cost[end] = cost[end], cost[0]
            comparison[0], comparison[end] = comparison[end], comparison[0]
        at = max(heaped, 0)
        while True:
            top = 2 * at + 1
            if top >= end:
                break
            other = top + 1
            if other < end and (cost[other], comparison[other]) > (cost[top], comparison[top]):
                top = other
            if (cost[at], comparison[at]) >= (cost[top], comparison[top]):
                break
            cost[at], cost[top] = cost[top], cost[at]
            comparison[at], comparison[top] = comparison[top], comparison[at]
            at = top
