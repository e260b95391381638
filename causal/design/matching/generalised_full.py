"""Generalised full matching: near-linear sets with both arms, their largest distance at most four times the least."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import refuse_distances
from causal.design.matching.compiled import compiled
from causal.design.matching.full import distance_to
from causal.design.matching.pairing import Pairing, nothing_matched
from causal.design.matching.sets import MatchedSets, SetEstimand, sets_from_labels
from causal.design.matching.steps import in_steps
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def match_generalised_full(
    coordinates: FloatArray,
    treated: BoolArray,
    *,
    caliper: float | None = None,
    pairing: Pairing | None = None,
    estimand: SetEstimand = "ATT",
) -> MatchedSets:
    """Divide all occasions into sets with at least one of each arm, none of them wide.

    Every occasion looks to its nearest of the other arm. Occasions to which few look come first (ties by row): one
    whose nearest is still free founds a set with it, as its seed. Each of the rest joins the nearest seed.

    Without a caliper every occasion (of strata with both arms) is in one set. Let b be the largest distance inside a
    set in the division where that is smallest. Then nobody's nearest of the other arm is farther than b; a joiner,
    whose nearest is in a set already, is at most 2b from a seed; and no members of a set are farther apart than 4b.

    Parameters
    ----------
    coordinates
        (n,) score, or (n, q) coordinates whose Euclidean distance is meant.
    treated
        (n,) arm.
    caliper
        Largest distance between two members of a set, in the units of the coordinates. It is kept by founding and
        joining within half of it, so occasions may be left out which other sets could hold; None for no limit.
    pairing
        Only exact keys; other rules are refused.
    estimand
        Whose weights (`set_weights`).

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.caliper``,
        ``design.rule_unsupported``, ``design.nothing_matched``.

    Notes
    -----
    Savje, Higgins & Sekhon (2021), Political Analysis 29:423-447: sets of two or more with one of each arm, as in their
    package quickmatch (seeds by ascending number of arcs inwards, the rest to the closest seed). `distance` is that to
    the set's seed. Sets may have several of both arms.

    >>> score = np.array([0.0, 1.0, 2.0, 10.0, 11.0])
    >>> sets = match_generalised_full(score, np.array([True, False, True, False, True]))
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.distance.tolist()
    ([0, 2, 1, 4, 3], [0, 0, 0, 1, 1], [2.0, 0.0, 1.0, 1.0, 0.0])
    """
    case = np.asarray(treated, dtype=np.bool_)
    points = np.asarray(coordinates, dtype=np.float64)
    points = points.reshape(points.shape[0], -1)
    rules = pairing or Pairing()
    refuse_distances(points, case, caliper=caliper, pairing=rules)
    if not rules.only_exact:
        raise DesignError(
            "design.rule_unsupported",
            "generalised full matching keeps exact keys only, not rules on pairs",
            fix="use optimal full matching, or pairs",
        )
    place, limit, _ = in_steps(points, caliper, Pairing())
    radius = np.floor(limit) / 2 if np.isfinite(limit) else np.inf  # whole or half steps, which distances may equal
    stratum = np.zeros(case.size, np.int64) if rules.exact is None else np.unique(rules.exact, return_inverse=True)[1]
    seed = np.full(case.size, -1)
    for rows in np.split(np.argsort(stratum, kind="stable"), np.cumsum(np.bincount(stratum))[:-1]):
        if case[rows].any() and not case[rows].all():
            seed[rows] = _seeds(place[rows], case[rows], rows, radius)
    if not (seed >= 0).any():
        raise nothing_matched()
    return sets_from_labels(seed, case, estimand=estimand, distance=distance_to(points, seed), caliper=caliper)


def _seeds(points: FloatArray, case: BoolArray, rows: IntArray, radius: float) -> IntArray:
    """Row of each occasion's seed (m,), -1 for none."""
    nearest = np.full(case.size, -1)
    for arm in (case, ~case):
        apart, index = _nearest(points[~arm], points[arm])
        nearest[arm] = np.where(apart <= radius, np.flatnonzero(~arm)[index], -1)
    looked_to = np.bincount(nearest[nearest >= 0], minlength=case.size)
    seed = _compiled()(nearest, np.argsort(looked_to, kind="stable"))
    seeds, rest = np.unique(seed[seed >= 0]), np.flatnonzero((seed < 0) & (nearest >= 0))
    if rest.size:
        apart, index = _nearest(points[seeds], points[rest])
        seed[rest] = np.where(apart <= radius, seeds[index], -1)
    return np.where(seed >= 0, rows[seed], -1)


def _nearest(points: FloatArray, wanted: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distance and position (m,) of the nearest of `points` (p, q) to each of `wanted` (m, q), ties by position."""
    order = np.lexsort(points.T)  # the tree then depends on the values alone, also where distances are equal
    if points.shape[1] > 1:
        from scipy.spatial import cKDTree

        apart, index = cKDTree(points[order]).query(wanted)
        return np.rint(apart), order[index]
    line, at = points[order, 0], wanted[:, 0]
    above = np.minimum(np.searchsorted(line, at), line.size - 1)
    below = np.searchsorted(line, line[np.maximum(above - 1, 0)])
    farther = np.abs(line[below] - at), np.abs(line[above] - at)
    closer = np.where(farther[0] == farther[1], order[below] < order[above], farther[0] < farther[1])
    index = np.where(closer, below, above)
    return np.abs(line[index] - at), order[index]


@cache
def _compiled() -> Callable[..., IntArray]:
    return compiled(_found)


def _found(nearest: IntArray, order: IntArray) -> IntArray:
    """Founder of each occasion's set (m,), or -1: in `order` each founds a set with its nearest where both are free."""
    founder = np.full(nearest.size, -1)
    for i in order:
        if nearest[i] >= 0 and founder[i] < 0 and founder[nearest[i]] < 0:
            founder[i] = founder[nearest[i]] = i
    return founder
