"""Nearest-neighbour matching on covariate distances, inside a caliper on the score where one is given.

Each treated occasion takes the nearest comparison the rules admit. Trees over the comparisons (`tree`) find it; the
matches are those of a scan of every pair.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching import tree
from causal.design.matching.candidates import distances
from causal.design.matching.compiled import compiled
from causal.design.matching.nearest import rings
from causal.design.matching.pairing import (
    PairArrays,
    Pairing,
    nothing_matched,
    refuse_arms,
)
from causal.design.matching.sets import MatchedSets, sets_from_choices
from causal.design.matching.steps import in_steps
from causal.design.matching.tree import Tree, nearest
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
Order = Literal["data", "highest", "lowest", "closest", "random"]

UNLIMITED = int(np.iinfo(np.int64).max)
LARGEST = 1e150
"""Coordinates beyond this have no square."""


def match_nearest(
    coordinates: FloatArray,
    treated: BoolArray,
    *,
    score: FloatArray | None = None,
    caliper: float | None = None,
    ratio: int = 1,
    order: Order = "data",
    pairing: Pairing | None = None,
    replacement: bool = False,
    most_uses: int | None = None,
    rng: np.random.Generator | None = None,
    memory: float = MEMORY,
) -> MatchedSets:
    """Give each treated occasion its nearest free comparison, in rounds.

    The cost of a pair is the Euclidean distance of its coordinates plus the penalties of the preferences it breaks.
    A treated occasion takes the admissible comparison of smallest cost, ties by row. With ``ratio > 1`` round r gives
    its r-th comparison to every treated occasion that got one in round r - 1: all have a first before any has a second.

    Parameters
    ----------
    coordinates
        (n, q) finite: from `mahalanobis_coordinates`, `rank_mahalanobis_coordinates` or any scale.
    treated
        (n,) true for treated occasions.
    score, caliper
        (n,) finite score, usually the logit of the propensity score, and the largest difference allowed on it, in its
        own units, inclusive. The score may be given without a caliper, for the order.
    ratio
        Most comparisons a treated occasion may get, 1 or more.
    order
        Who chooses first: ``highest`` or ``lowest`` score, ties by row; ``data``: by row; ``random``: a permutation
        drawn from ``rng`` once, kept in every round; ``closest``: in each round always the pair of smallest cost among
        all that are still possible, ties by treated, then comparison row.
    pairing
        Further rules on pairs; all are honoured, persons across a set included.
    replacement, most_uses
        Whether a comparison may serve several treated occasions, never one twice; and if so at most how many.
    memory
        Gigabytes allowed.

    Returns
    -------
    The sets; `distance` is the Euclidean distance of the coordinates (not squared, no penalty), `caliper` that on the
    score.

    Raises
    ------
    DesignError
        ``design.nothing_matched``, ``design.no_treated``, ``design.no_comparison``, ``design.ratio``,
        ``design.caliper``, ``design.not_finite``, ``design.most_uses``, ``design.memory``.

    Notes
    -----
    Rosenbaum & Rubin (1985), Am Stat 39:33-38: nearest Mahalanobis distance within a caliper on the propensity score.
    Rubin (1980), Biometrics 36:293-298, on the order. Closest first: Rosenbaum (1989), JASA 84:1024-1032, "greedy".

    >>> z = np.array([[0.0, 0.0], [5.0, 5.0], [1.0, 1.0], [3.0, 4.0]])
    >>> sets = match_nearest(z, np.array([True, False, True, False]))
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.distance.round(4).tolist()
    ([0, 3, 2, 1], [0, 0, 1, 1], [0.0, 5.0, 0.0, 5.6569])
    """
    z, case = np.asarray(coordinates, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    heights = None if score is None else np.asarray(score, dtype=np.float64)
    _refuse_arguments(z, case, heights, caliper=caliper, ratio=ratio, most_uses=most_uses, replacement=replacement)
    place, _, counted = in_steps(z, None, _with_caliper(pairing or Pairing(), heights, caliper))
    counted_heights = None if heights is None else in_steps(heights[:, None], None, Pairing()).coordinates[:, 0]
    rules = counted.arrays(case.size)
    cases, (strata, first, pool) = _turns(case, counted_heights, order, rng), _by_stratum(rules.exact, ~case)
    _require(z, strata.size, rules, memory)
    points, widths, units = _with_limits(place, case, rules)
    centre = (place.min(axis=0) + place.max(axis=0)) / 2
    size = float(np.abs(place - centre).max()) or 1.0
    grown = _build()(pool, np.r_[first, pool.size], points, units, z.shape[1], centre, size, tree.LEAF)
    home = np.minimum(np.searchsorted(strata, rules.exact[cases]), strata.size - 1)
    home[strata[home] != rules.exact[cases]] = -1
    uses = (most_uses or UNLIMITED) if replacement else 1
    choose = _closest() if order == "closest" else _in_order()
    codes = None if pairing is None else pairing.once
    kin = np.empty(0, dtype=np.int32) if codes is None else rings(codes[grown.row])
    at = choose(grown, points, widths, rules, z.shape[1], cases, home, ratio, uses, kin)
    if not (at >= 0).any():
        raise nothing_matched()
    chosen = np.where(at >= 0, grown.row[at], -1)
    return sets_from_choices(cases, chosen, distances(z, cases, chosen), caliper=caliper)


def _refuse_arguments(
    z: FloatArray,
    case: BoolArray,
    score: FloatArray | None,
    *,
    caliper: float | None,
    ratio: int,
    most_uses: int | None,
    replacement: bool,
) -> None:
    if z.ndim != 2 or not z.shape[1] or z.shape[0] != case.size or (score is not None and score.shape != case.shape):
        raise ValueError(f"coordinates {z.shape} and the score do not fit {case.size} occasions")
    if caliper is not None and score is None:
        raise ValueError("a caliper needs a score")
    if most_uses is not None and not replacement:
        raise ValueError("most_uses is for matching with replacement")
    if caliper is not None and not 0 < caliper < np.inf:
        raise DesignError("design.caliper", f"the caliper must be above 0, got {caliper:g}")
    if most_uses is not None and most_uses < 1:
        raise DesignError("design.most_uses", f"a comparison must be usable once or more, got {most_uses}")
    if score is not None and not np.isfinite(score).all():
        raise DesignError("design.not_finite", "the score of some occasion is missing or infinite")
    refuse_arms(case)
    if not np.abs(z).max() < LARGEST:
        raise DesignError(
            "design.not_finite", "a coordinate of some occasion is missing, infinite or too large to square"
        )
    pool = int((~case).sum())
    if not 1 <= ratio <= pool:
        raise DesignError("design.ratio", f"the ratio must be from 1 to the {pool} comparison occasions, got {ratio}")


def _by_stratum(exact: IntArray, pool: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Codes of the comparisons' strata, where each begins, and the comparisons' rows stratum by stratum."""
    rows = np.flatnonzero(pool)
    rows = rows[np.argsort(exact[rows], kind="stable")]
    return *np.unique(exact[rows], return_index=True), rows


def _require(z: FloatArray, strata: int, rules: PairArrays, memory: float) -> None:
    """Refuse what takes more than the memory: copies of the coordinates, arrays of rows and the nodes' boxes."""
    n, dims = z.shape[0], z.shape[1] + rules.widths.size + 3
    nodes = strata + 4 * n // tree.LEAF
    require_memory(
        float(n * (12 * z.shape[1] + 8 * dims + 120) + 16 * dims * nodes),
        limit=memory,
        work=f"the trees over {n:,} occasions",
        instead="allow more memory, or match within fewer occasions at a time",
    )


def _turns(case: BoolArray, score: FloatArray | None, order: Order, rng: np.random.Generator | None) -> IntArray:
    """Treated rows in the order in which they choose."""
    cases = np.flatnonzero(case)
    if order in {"highest", "lowest"}:
        if score is None:
            raise ValueError(f"order {order!r} needs a score")
        return cases[np.argsort(-score[cases] if order == "highest" else score[cases], kind="stable")]
    if order == "random":
        if rng is None:
            raise ValueError("order 'random' needs rng")
        return rng.permutation(cases)
    if order not in {"data", "closest"}:
        raise ValueError(f"order is data, highest, lowest, closest or random, got {order!r}")
    return cases


def _with_caliper(pairing: Pairing, score: FloatArray | None, caliper: float | None) -> Pairing:
    """The rules with the score's caliper before the other calipers."""
    if caliper is None or score is None:
        return pairing
    if pairing.calipers is None or pairing.widths is None:
        return replace(pairing, calipers=score[:, None], widths=np.array([caliper]))
    return replace(pairing, calipers=np.column_stack([score, pairing.calipers]), widths=np.r_[caliper, pairing.widths])


def _with_limits(z: FloatArray, case: BoolArray, rules: PairArrays) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coordinates beside the variables that limit pairs (n, q + c), how far, and the spread of each worth halving.

    A comparison's value may exceed a treated row's by the first of the two widths (2, c) and fall short of it by the
    second: the same for calipers and the window, 0 and any for a comparison's entry into risk and the treated row's
    time, any and 0 for its exit.
    """
    near = rules.widths > 0
    columns, widths = [*rules.calipers[:, near].T], [(width, width) for width in rules.widths[near]]
    units = [*rules.widths[near]]
    if np.isfinite(rules.window):
        columns.append(rules.time)
        widths.append((rules.window, rules.window))
        units.append(rules.window)
    if np.isfinite(rules.entry).any() or np.isfinite(rules.exit).any():
        times = rules.time[case]
        entry, leaving = (np.clip(limit, times.min(), times.max() + 1) for limit in (rules.entry, rules.exit))
        columns += [np.where(case, rules.time, limit) for limit in (entry, leaving)]
        widths += [(0.0, np.inf), (np.inf, 0.0)]
        units += [np.abs(leaving - entry)[~case].mean()] * 2
    q = z.shape[1]
    near_by = np.sqrt(z.var(axis=0).sum()) * (~case).sum() ** (-1 / q)  # distance of near neighbours, roughly
    spread = np.array([near_by] * q + units, dtype=np.float64)
    points = np.ascontiguousarray(np.column_stack([z, *columns]))
    return points, np.array(widths).reshape(-1, 2).T.copy(), np.where(spread > 0, spread, 1.0)


@cache
def _build() -> Callable[..., Tree]:
    return compiled(tree.build, *tree.BUILDING)


@cache
def _in_order() -> Callable[..., IntArray]:
    return compiled(_choose_in_order, *tree.SEARCHING, _take)


@cache
def _closest() -> Callable[..., IntArray]:
    return compiled(_choose_closest, *tree.SEARCHING, _take)


def _take(grown: Tree, used: IntArray, most_uses: int, kin: ShortArray, position: int) -> None:
    """Count a use of a comparison and its kin; what is used up is no longer free in any node above it."""
    one = position
    while True:
        used[one] += 1
        if used[one] == most_uses:
            node = grown.leaf[one]
            while node >= 0:
                grown.free[node] -= 1
                node = grown.parent[node]
        one = kin[one] if kin.size else position
        if one == position:
            return


def _choose_in_order(
    grown: Tree,
    points: FloatArray,
    widths: FloatArray,
    rules: PairArrays,
    q: int,
    cases: IntArray,
    home: IntArray,
    ratio: int,
    most_uses: int,
    kin: ShortArray,
) -> IntArray:
    """Positions chosen by each case (n1, ratio), -1 where none; cases in choosing order.

    ``home[a]`` is the root of the tree case a looks in, -1 where its stratum has no comparison.
    """
    used = np.zeros(grown.row.size, dtype=np.int64)
    chosen = np.full((cases.size, ratio), -1, dtype=np.int64)
    for turn in range(ratio):
        for a in range(cases.size):
            if home[a] < 0 or (turn > 0 and chosen[a, turn - 1] < 0):
                continue
            position, _ = nearest(grown, used, most_uses, points, widths, rules, q, cases[a], home[a], chosen[a, :turn])
            if position >= 0:
                chosen[a, turn] = position
                _take(grown, used, most_uses, kin, position)
    return chosen


def _choose_closest(
    grown: Tree,
    points: FloatArray,
    widths: FloatArray,
    rules: PairArrays,
    q: int,
    cases: IntArray,
    home: IntArray,
    ratio: int,
    most_uses: int,
    kin: ShortArray,
) -> IntArray:
    """As `_choose_in_order`, the pair of smallest cost first; cases by row.

    A heap holds each case's nearest comparison. Costs only rise as comparisons are used up, so that the top of the
    heap is the closest pair if its comparison is still free, and is looked up afresh if it is not.
    """
    used = np.zeros(grown.row.size, dtype=np.int64)
    chosen = np.full((cases.size, ratio), -1, dtype=np.int64)
    for turn in range(ratio):
        waiting = [(np.inf, cases.size, -1)]  # behind all others: the heap never runs empty
        for a in range(cases.size):
            if home[a] >= 0 and (turn == 0 or chosen[a, turn - 1] >= 0):
                position, cost = nearest(
                    grown, used, most_uses, points, widths, rules, q, cases[a], home[a], chosen[a, :turn]
                )
                if position >= 0:
                    waiting.append((cost, a, position))
        heapq.heapify(waiting)
        while waiting[0][1] < cases.size:
            _, a, position = heapq.heappop(waiting)
            if used[position] < most_uses:
                chosen[a, turn] = position
                _take(grown, used, most_uses, kin, position)
                continue
            position, cost = nearest(
                grown, used, most_uses, points, widths, rules, q, cases[a], home[a], chosen[a, :turn]
            )
            if position >= 0:
                heapq.heappush(waiting, (cost, a, position))
    return chosen
