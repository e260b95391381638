"""Optimal pair and 1:k matching: the closest sets there are, found exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import Edges, candidate_edges, distances, refuse_distances
from causal.design.matching.optimal_exchange import kept_apart
from causal.design.matching.optimal_graph import graph_choices, listed_choices
from causal.design.matching.optimal_line import line_choices
from causal.design.matching.optimal_pricing import market
from causal.design.matching.pairing import Pairing, nothing_matched
from causal.design.matching.sets import MatchedSets, sets_from_choices
from causal.design.matching.steps import Counted, in_steps
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def match_optimal(
    coordinates: FloatArray,
    treated: BoolArray,
    *,
    ratio: int = 1,
    caliper: float | None = None,
    pairing: Pairing,
    memory: float = MEMORY,
) -> MatchedSets:
    """Give each treated occasion `ratio` comparisons, none twice, at the least total distance.

    Of all matchings in which no treated occasion has more than `ratio` comparisons and no comparison two treated
    occasions, those with the most pairs are kept; of these, those in which the most treated occasions have a comparison
    (one never costs the other); of these, the one whose distances, with the penalties of preferences not met, add up to
    least. So everybody gets `ratio` comparisons if that is possible for all at once, as in optmatch and MatchIt; where
    it is not, some get fewer.

    Parameters
    ----------
    coordinates
        (n,) score, the distance being the absolute difference; or (n, q) coordinates, the distance being Euclidean
        (see `causal.design.matching.distance`). Finite.
    treated
        (n,) true for treated occasions.
    ratio
        Most comparisons a treated occasion may get, 1 or more.
    caliper
        Largest distance allowed, inclusive, before penalties; None for no limit.
    pairing
        Rules on pairs; all are honoured. With ``ratio > 1`` nobody may appear twice among the comparisons of a set
        either. No efficient exact method keeps that rule: where the optimum found breaks it, comparisons are exchanged
        at the same total (`optimal_exchange`); where that does not mend it, it is refused.
        Where comparisons of one code count as one (`Pairing.once`) both rules are kept exactly.
    memory
        Gigabytes allowed.

    Returns
    -------
    The sets, each one's comparisons nearest first (ties by row). `MatchedSets.distance` excludes penalties.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.caliper``, ``design.ratio``,
        ``design.penalty``, ``design.nothing_matched``, ``design.memory``; ``design.rule_unsupported``, see `pairing`.

    Notes
    -----
    Rosenbaum (1989), J Am Stat Assoc 84:1024-1032; Hansen & Klopfer (2006), J Comput Graph Stat 15:609-627. Distances
    are whole steps of a decimal grid (`steps`), so that totals are exact. A score with exact strata and a caliper only
    is matched on the line (`optimal_line`), anything else on the graph of admissible pairs (`optimal_graph`). The
    optimum is unique but for ties between totals. On the line these go to the lowest comparisons in (score, row), or
    the lowest treated where not all can be matched, and sets keep the order of the score: of equal totals the one with
    the smallest largest distance. On the graph they go to the pairs that come first by (cost, row) as treated occasions
    enter by (first coordinate, row). Exchanges go to the first set, by score or by row, that allows one. All are
    functions of values and order.

    >>> score = np.array([0.0, 1.0, 0.9, 5.0])
    >>> sets = match_optimal(score, np.array([True, True, False, False]), pairing=Pairing())
    >>> sets.row.tolist(), sets.distance.round(1).tolist()
    ([0, 2, 1, 3], [0.0, 0.9, 0.0, 4.0])
    """
    z = np.asarray(coordinates, dtype=np.float64)
    z = np.ascontiguousarray(z.reshape(z.shape[0], -1))
    case = np.asarray(treated, dtype=np.bool_)
    refuse_distances(z, case, caliper=caliper, pairing=pairing)
    if not 1 <= ratio <= (~case).sum():
        raise DesignError("design.ratio", f"the ratio must be from 1 to the number of comparisons, got {ratio}")
    steps = in_steps(z, caliper, pairing)
    cases, given = _choices(steps, case, ratio=ratio, memory=memory)
    if not (given >= 0).any():
        raise nothing_matched()
    apart = np.where(given >= 0, distances(steps.coordinates, cases, given, steps=True), np.inf)
    given = np.take_along_axis(given, np.lexsort((given, apart), axis=1), axis=1)
    return sets_from_choices(cases, given, distances(z, cases, given), caliper=caliper)


def _choices(steps: Counted, case: BoolArray, *, ratio: int, memory: float) -> tuple[IntArray, IntArray]:
    """Treated rows (n1,) and the rows of their comparisons (n1, ratio), -1 where none."""
    z, caliper, pairing = steps
    if pairing.once is not None:
        return _one_row_of_each(z, case, ratio=ratio, caliper=caliper, pairing=pairing, memory=memory)
    cases, pool = np.flatnonzero(case), np.flatnonzero(~case)
    if z.shape[1] == 1 and replace(pairing, person=None).only_exact:
        ordered, given = _on_the_line(z[:, 0], case, ratio=ratio, caliper=caliper, pairing=pairing, memory=memory)
        kept = _apart(steps, case, ordered, given)
        if kept is not None:
            return ordered, kept  # an optimum without the rule on persons that keeps it is an optimum with it
    pairs = market(z, case, caliper=caliper, pairing=pairing)
    chosen = graph_choices(pairs, ratio=ratio, memory=memory)
    kept = _apart(steps, case, cases, np.where(chosen >= 0, pool[chosen], -1))
    if kept is None:
        raise DesignError(
            "design.rule_unsupported",
            "optimal 1:k matching put two occasions of one person into a set: it cannot keep that rule exactly",
            fix="match pairs (ratio 1), keep one comparison occasion of each person, or match greedily",
        )
    return cases, kept


def _apart(steps: Counted, case: BoolArray, cases: IntArray, given: IntArray) -> IntArray | None:
    """The sets as they are where nobody stands in one twice, otherwise with equal exchanges; None if these fail."""
    person = steps.pairing.person
    if person is None or not _meets_itself(person, np.column_stack([cases, given])):
        return given
    return kept_apart(steps, case, cases, given)


def _one_row_of_each(
    z: FloatArray, case: BoolArray, *, ratio: int, caliper: float, pairing: Pairing, memory: float
) -> tuple[IntArray, IntArray]:
    """As `_choices`, no two comparisons of one code `once` being given.

    A treated occasion would be given a code by its cheapest admissible row (ties by row), whoever else is given what:
    the problem is optimal matching to codes at those costs.
    """
    assert pairing.once is not None
    edges = candidate_edges(z, case, caliper=caliper, pairing=pairing, memory=memory)
    cases, pool = np.flatnonzero(case), np.flatnonzero(~case)
    first, code = np.unique(pairing.once[pool], return_index=True, return_inverse=True)[1:]
    code = np.argsort(np.argsort(first))[code]  # in order of first rows, so that ties go to the earlier one
    who = np.repeat(np.arange(cases.size), np.diff(edges.indptr))
    pair = who * first.size + code[edges.comparison]
    cheapest = np.lexsort((edges.comparison, edges.cost, pair))
    cheapest = cheapest[np.r_[True, np.diff(pair[cheapest]) > 0]] if cheapest.size else cheapest
    listed = cheapest[np.lexsort((pair[cheapest], edges.cost[cheapest], who[cheapest]))]
    ends = np.r_[0, np.cumsum(np.bincount(who[listed], minlength=cases.size))]
    codes = code[edges.comparison[listed]].astype(np.int32)
    given = listed_choices(Edges(ends, codes, edges.cost[listed]), ratio=ratio, n0=first.size)
    asked = np.arange(cases.size)[:, None] * first.size + given
    found = cheapest[np.minimum(np.searchsorted(pair[cheapest], asked), cheapest.size - 1)]
    return cases, np.where(given >= 0, pool[edges.comparison[found]], -1)


def _on_the_line(
    score: FloatArray, case: BoolArray, *, ratio: int, caliper: float, pairing: Pairing, memory: float
) -> tuple[IntArray, IntArray]:
    slots = ratio * int(case.sum())
    require_memory(
        200.0 * (slots + case.size),
        limit=memory,
        work=f"optimal matching of {case.size:,} occasions with {slots:,} comparisons wanted",
        instead="lower the ratio",
    )
    stratum = np.zeros(case.size, np.int64) if pairing.exact is None else np.asarray(pairing.exact, np.int64)
    return line_choices(score, stratum, case, ratio=ratio, caliper=caliper)


def _meets_itself(person: IntArray, rows: IntArray) -> bool:
    """Whether any person has two rows in one line of `rows` (m, k); negative rows are empty."""
    who = np.unique(person, return_inverse=True)[1]
    who = np.sort(np.where(rows >= 0, who[rows], -1 - np.arange(rows.shape[1])), axis=1)
    return bool((who[:, 1:] == who[:, :-1]).any())
