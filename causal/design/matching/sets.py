"""Matched sets in long form, whatever the method that made them, and the weights that follow from the estimand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
SetEstimand = Literal["ATT", "ATC", "ATE"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedSets:
    """Matched sets in long form: m rows, one for each member of each set, a set's treated occasions first.

    Attributes
    ----------
    set_id
        (m,) 0, 1, ... in the order of the sets' first treated rows.
    row
        (m,) row of the occasion in the arrays that were matched. A comparison appears in several sets only where it
        may be reused; a treated occasion appears in one set.
    is_treated
        (m,) true for treated occasions: one per set in pairs and 1:k sets; full matching and strata may have more.
    weight
        (m,) see `set_weights`.
    distance
        (m,) distance to the set's hub: its treated occasion, or its comparison where that stands alone among several
        treated; 0 for the hub itself, NaN where the method measures none (strata).
    n_unmatched_treated
        Treated occasions in no set.
    caliper
        Largest distance allowed on the score, or None.
    """

    set_id: IntArray
    row: IntArray
    is_treated: BoolArray
    weight: FloatArray
    distance: FloatArray
    n_unmatched_treated: int
    caliper: float | None

    @property
    def n_sets(self) -> int:
        """Number of matched sets."""
        return int(self.set_id.max()) + 1 if self.set_id.size else 0


def set_weights(set_id: IntArray, is_treated: BoolArray, *, estimand: SetEstimand = "ATT") -> FloatArray:
    """Weight of each member (m,): within every set both arms weigh as much as the set's share of the target.

    With n1 treated and n0 comparisons in a set, a treated occasion weighs 1 and a comparison n1/n0 (ATT); n0/n1 and 1
    (ATC); (n1 + n0)/n1 and (n1 + n0)/n0 (ATE). Stuart & Green (2008), Dev Psychol 44:395-406.

    >>> set_weights(np.array([0, 0, 0]), np.array([True, False, False])).tolist()
    [1.0, 0.5, 0.5]
    """
    treated = np.bincount(set_id[is_treated], minlength=int(set_id.max()) + 1 if set_id.size else 0)[set_id]
    comparison = np.bincount(set_id[~is_treated], minlength=int(set_id.max()) + 1 if set_id.size else 0)[set_id]
    if not (treated * comparison > 0).all():
        raise DesignError("design.one_armed_set", "a matched set has one arm only: it compares nobody")
    target = {"ATT": treated, "ATC": comparison, "ATE": treated + comparison}[estimand]
    return np.asarray(target / np.where(is_treated, treated, comparison), dtype=np.float64)


def sets_from_choices(
    treated_rows: IntArray,
    chosen: IntArray,
    distance: FloatArray,
    *,
    caliper: float | None,
) -> MatchedSets:
    """Sets of one treated occasion each.

    Parameters
    ----------
    treated_rows
        (n1,) rows of all treated occasions, in any order.
    chosen
        (n1, k) rows of the comparisons each was given, nearest or first chosen first; -1 where none.
    distance
        (n1, k) distance of each; ignored where none.

    Returns
    -------
    The sets in order of the treated rows. Weights are those of the ATT: 1, and 1/(comparisons in the set).
    """
    count = (chosen >= 0).sum(axis=1)
    by_row = np.argsort(treated_rows, kind="stable")
    by_row = by_row[count[by_row] > 0]
    members = np.column_stack([treated_rows[by_row], chosen[by_row]])
    weight = np.repeat(1.0 / np.maximum(count[by_row], 1)[:, None], members.shape[1], axis=1)
    weight[:, 0] = 1.0
    is_treated = np.zeros(members.shape, dtype=np.bool_)
    is_treated[:, 0] = True
    present = members >= 0
    return MatchedSets(
        set_id=np.nonzero(present)[0].astype(np.int64),
        row=members[present].astype(np.int64),
        is_treated=is_treated[present],
        weight=weight[present],
        distance=np.column_stack([np.zeros(by_row.size), distance[by_row]])[present],
        n_unmatched_treated=int((count == 0).sum()),
        caliper=caliper,
    )


def sets_from_labels(
    label: IntArray,
    treated: BoolArray,
    *,
    estimand: SetEstimand = "ATT",
    distance: FloatArray | None = None,
    caliper: float | None = None,
) -> MatchedSets:
    """Sets of any shape from one label per row.

    Parameters
    ----------
    label
        (n,) number of the row's set, negative for rows in none. Labels are renumbered in order of the sets' first
        treated rows, so their values never matter. Every set must hold both arms (`set_weights` refuses otherwise).
    treated
        (n,) arm.
    distance
        (n,) distance to the set's hub; None for NaN.

    >>> sets = sets_from_labels(np.array([7, 7, 3, 3, -1]), np.array([True, False, False, True, False]))
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.n_unmatched_treated
    ([0, 1, 3, 2], [0, 0, 1, 1], 0)
    """
    rows = np.flatnonzero(label >= 0)
    first = np.full(int(label.max()) + 1 if rows.size else 0, label.size, dtype=np.int64)
    cases = rows[treated[rows]]
    np.minimum.at(first, label[cases], cases)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(first.size)
    number = rank[label[rows]]
    order = np.lexsort((rows, ~treated[rows], number))
    rows, number = rows[order], number[order]
    return MatchedSets(
        set_id=number,
        row=rows.astype(np.int64),
        is_treated=treated[rows],
        weight=set_weights(number, treated[rows], estimand=estimand),
        distance=np.full(rows.size, np.nan) if distance is None else distance[rows],
        n_unmatched_treated=int(treated.sum()) - int(treated[rows].sum()),
        caliper=caliper,
    )


def row_weights(sets: MatchedSets, n: int) -> FloatArray:
    """Weight of each of the n occasions that were matched from, 0 where it is in no set: (n,).

    A comparison that serves several sets carries the sum of its weights there.

    >>> pair = sets_from_choices(np.array([0]), np.array([[1]]), np.zeros((1, 1)), caliper=None)
    >>> row_weights(pair, 3).tolist()
    [1.0, 1.0, 0.0]
    """
    return np.bincount(sets.row, weights=sets.weight, minlength=n).astype(np.float64)


def on_rows(sets: MatchedSets, rows: IntArray) -> MatchedSets:
    """The same sets, their rows counted in the larger arrays from which `rows` (n,) were matched."""
    return replace(sets, row=rows[sets.row])
