"""Optimal full matching: everyone who has a partner, in sets of one treated and some comparisons or the reverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import refuse_distances
from causal.design.matching.compiled import compiled
from causal.design.matching.full_graph import Bounds, cover_graph
from causal.design.matching.full_line import cover_line
from causal.design.matching.pairing import Pairing, nothing_matched
from causal.design.matching.sets import MatchedSets, SetEstimand, sets_from_labels
from causal.design.matching.steps import in_steps
from causal.design.memory import MEMORY
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def match_full(
    coordinates: FloatArray,
    treated: BoolArray,
    *,
    caliper: float | None = None,
    min_controls: float = 0,
    max_controls: float = np.inf,
    pairing: Pairing | None = None,
    estimand: SetEstimand = "ATT",
    memory: float = MEMORY,
) -> MatchedSets:
    """Divide all occasions into sets with one treated or one comparison, at the least total distance to these.

    Every occasion that has an admissible partner is in one set; the others are in none.

    Parameters
    ----------
    coordinates
        (n,) score, or (n, q) coordinates whose Euclidean distance is meant.
    treated
        (n,) arm.
    caliper
        Largest distance to the set's hub, in the units of the coordinates, inclusive; None for no limit.
    min_controls
        Fewest comparisons for a treated occasion in a set: 0 for no bound, 1/m to let m treated share a comparison at
        most, or a whole number. Above 1 it is given to all, or the match is refused.
    max_controls
        Most comparisons for a treated occasion in a set, a whole number or infinity. Where this, or 1/m, does not leave
        room for all, as many treated and as many comparisons as possible are matched (one does not cost the other),
        and those at the least distance.
    pairing
        Rules on pairs; all are kept. A preference's penalty counts as distance in what is minimised, but neither
        against the caliper nor in the distances reported.
    estimand
        Whose weights the sets are given (`set_weights`); the sets do not depend on it.
    memory
        Gigabytes allowed for the list of pairs; a match on a score by exact rules and caliper alone needs none.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.caliper``, ``design.ratio``,
        ``design.nothing_matched``, ``design.memory``; ``design.too_few_comparisons`` where `min_controls` above 1
        cannot be met; ``design.rule_unsupported`` where the least distance is had with a person twice in one set.

    Notes
    -----
    Rosenbaum (1991), JRSS B 53:597-610: stars are optimal among all partitions into sets. Hansen (2004), JASA
    99:609-618: the bounds. Without bounds this is the minimum-weight edge cover: linear after sorting on a score
    (`full_line`), an assignment problem otherwise (`full_graph`).

    >>> sets = match_full(np.array([0.0, 0.25, 0.5, 5.0, 5.25, 5.5]), np.array([1, 0, 0, 0, 1, 1], dtype=bool))
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.weight.tolist(), sets.distance.tolist()
    ([0, 1, 2, 4, 5, 3], [0, 0, 0, 1, 1, 1], [1.0, 0.5, 0.5, 1.0, 1.0, 2.0], [0.0, 0.25, 0.5, 0.25, 0.5, 0.0])
    """
    case = np.asarray(treated, dtype=np.bool_)
    points = np.asarray(coordinates, dtype=np.float64)
    points = points.reshape(points.shape[0], -1)
    rules = _without_idle_person(pairing or Pairing())
    rules.refuse_once("full matching")
    refuse_distances(points, case, caliper=caliper, pairing=rules)
    bounds = _bounds(min_controls, max_controls)
    place, limit, counted = in_steps(points, caliper, rules)
    if rules.only_exact and points.shape[1] == 1 and bounds == _bounds(0, np.inf):
        stratum = np.zeros(case.size, np.int64) if rules.exact is None else np.asarray(rules.exact, np.int64)
        ends = cover_line(place[:, 0], case, stratum, limit)
    else:
        ends = cover_graph(place, case, counted, caliper=limit, bounds=bounds, memory=memory)
    if ends[0].size == 0:
        raise nothing_matched()
    hub = _compiled_hubs()(*ends, case.size)
    _refuse_person_twice(rules.person, hub)
    return sets_from_labels(hub, case, estimand=estimand, distance=distance_to(points, hub), caliper=caliper)


def distance_to(points: FloatArray, hub: IntArray) -> FloatArray:
    """Euclidean distance (n,) of each row of the coordinates (n, q) to its hub (n,), 0 where that is -1.

    >>> distance_to(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([-1, 0])).tolist()
    [0.0, 5.0]
    """
    apart = np.where((hub >= 0)[:, None], points - points[hub], 0.0)
    return np.abs(apart[:, 0]) if points.shape[1] == 1 else np.sqrt((apart**2).sum(axis=1))


def _without_idle_person(pairing: Pairing) -> Pairing:
    """The rules without the rule of persons where everybody appears once anyway."""
    if pairing.person is not None and np.unique(pairing.person).size == pairing.person.size:
        return replace(pairing, person=None)
    return pairing


def _bounds(min_controls: float, max_controls: float) -> Bounds:
    """Refuse bounds that no set can keep, and read the fraction 1/m as m treated to a comparison."""
    fraction = 0 < min_controls < 1
    nearest = 1 / round(1 / min_controls) if fraction else round(min_controls) if np.isfinite(min_controls) else -1
    if min_controls != nearest or min_controls < 0:
        raise DesignError("design.ratio", f"min_controls must be 0, 1/m or a whole number, got {min_controls:g}")
    if not max_controls >= max(min_controls, 1) or (np.isfinite(max_controls) and max_controls != round(max_controls)):
        raise DesignError(
            "design.ratio",
            f"max_controls must be a whole number of 1 or more and not below min_controls, got {max_controls:g}",
            fix="to make several treated share each comparison, exchange the arms and give min_controls",
        )
    shared = np.inf if min_controls == 0 else round(1 / min_controls) if fraction else 1
    return Bounds(fewest=max(1, round(min_controls)), most=float(max_controls), shared=float(shared))


@cache
def _compiled_hubs() -> Callable[..., IntArray]:
    return compiled(_hubs)


def _hubs(case: IntArray, comparison: IntArray, n: int) -> IntArray:
    """Hub of each row's star (n,), -1 for rows in none, once edges between two that have others are left away."""
    degree = np.zeros(n, dtype=np.int64)
    for e in range(case.size):
        degree[case[e]] += 1
        degree[comparison[e]] += 1
    kept = np.ones(case.size, dtype=np.bool_)
    for e in range(case.size):
        i, j = case[e], comparison[e]
        if degree[i] > 1 and degree[j] > 1:
            kept[e] = False
            degree[i] -= 1
            degree[j] -= 1
    hub = np.full(n, -1)
    for e in range(case.size):
        if kept[e]:
            hub[case[e]] = hub[comparison[e]] = case[e] if degree[comparison[e]] == 1 else comparison[e]
    return hub


def _refuse_person_twice(person: IntArray | None, hub: IntArray) -> None:
    """Refuse sets that hold somebody twice: no exact method keeps two comparisons of one person apart."""
    if person is None:
        return
    rows = np.flatnonzero(hub >= 0)
    members = np.unique(np.column_stack([hub[rows], person[rows]]), axis=0)
    if members.shape[0] < rows.size:
        raise DesignError(
            "design.rule_unsupported",
            f"full matching would put somebody twice into a set, {rows.size - members.shape[0]} times",
            fix="match pairs or 1:k sets, or keep one occasion of each person",
        )
