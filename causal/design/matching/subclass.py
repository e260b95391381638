"""Subclassification on a score: strata of equal shares of the target's occasions, each with both arms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.pairing import Pairing, nothing_matched, refuse_arms
from causal.design.matching.sets import MatchedSets, SetEstimand, sets_from_labels
from causal.errors import DesignError
from causal.numeric.grid import cuts, decimal_exponent, whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def match_subclass(
    score: FloatArray,
    treated: BoolArray,
    *,
    subclasses: int = 6,
    estimand: SetEstimand = "ATT",
    min_n: int = 1,
    pairing: Pairing | None = None,
) -> MatchedSets:
    """Cut the score at quantiles of the target's occasions and fill subclasses that lack an arm from their neighbours.

    Parameters
    ----------
    score, treated
        (n,) score, in any increasing scale (cuts between two occasions depend on the scale), and arm.
    subclasses
        Number of subclasses, 2 or more: five remove some 90% of the bias of a normal covariate (Cochran 1968). Where
        scores are equal there may be fewer.
    estimand
        Whose quantiles: the treated's (ATT), the comparisons' (ATC) or all (ATE); and whose weights (`set_weights`).
    min_n
        Fewest occasions of each arm in a subclass; a subclass that has fewer takes the nearest of a neighbour's. 0:
        move nobody, and leave out the subclasses with one arm.
    pairing
        Only exact keys: subclasses are then formed inside each stratum by its own quantiles, and strata with one arm
        are left out.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.rule_unsupported``,
        ``design.nothing_matched``; ``design.subclasses`` for fewer than 2, or more than an arm can fill.

    Notes
    -----
    Rosenbaum & Rubin (1984), JASA 79:516-524. Quantiles are R's type 7 (numpy's linear); an occasion on a cut belongs
    to the upper subclass, where scores and cuts are told on a decimal grid. Cuts and moves are those of MatchIt's
    method "subclass"; its weights are these divided by their mean in the arm. Distances are not measured (NaN).

    >>> score = np.array([0.1, 0.2, 0.6, 0.7, 0.15, 0.65, 0.66])
    >>> sets = match_subclass(score, np.arange(7) < 4, subclasses=2)
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.weight.tolist()
    ([0, 1, 4, 2, 3, 5, 6], [0, 0, 0, 1, 1, 1, 1], [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    """
    x, case = np.asarray(score, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    _refuse_arguments(x, case, subclasses=subclasses, min_n=min_n, pairing=pairing)
    x = whole(x, decimal_exponent(x)[0])
    exact = None if pairing is None else pairing.exact
    stratum = np.zeros(x.size, np.int64) if exact is None else np.unique(exact, return_inverse=True)[1]
    label = np.full(x.size, -1)
    for rows in np.split(np.argsort(stratum, kind="stable"), np.cumsum(np.bincount(stratum))[:-1]):
        smallest = min(int(case[rows].sum()), int((~case[rows]).sum()))
        if smallest == 0:
            continue
        if smallest < subclasses * min_n:
            raise DesignError(
                "design.subclasses",
                f"an arm has {smallest} occasions{' in a stratum' if exact is not None else ''}, "
                f"{subclasses} subclasses of {min_n} need {subclasses * min_n}",
                fix="ask for fewer subclasses, or match exactly on fewer variables",
            )
        label[rows] = stratum[rows] * subclasses + _subclasses(x[rows], case[rows], subclasses, estimand, min_n)
    held = [np.isin(label, label[arm]) for arm in (case, ~case)]
    label[~(held[0] & held[1])] = -1
    if not (label >= 0).any():
        raise nothing_matched()
    return sets_from_labels(label, case, estimand=estimand)


def _refuse_arguments(
    score: FloatArray, case: BoolArray, *, subclasses: int, min_n: int, pairing: Pairing | None
) -> None:
    refuse_arms(case)
    if not np.isfinite(score).all():
        raise DesignError("design.not_finite", "the score of some occasion is missing or infinite")
    if subclasses < 2 or min_n < 0:
        raise DesignError("design.subclasses", f"2 or more subclasses of 0 or more, got {subclasses} of {min_n}")
    if pairing is not None and not pairing.only_exact:
        raise DesignError(
            "design.rule_unsupported", "subclasses keep exact keys only, not rules on pairs", fix="match sets instead"
        )


def _subclasses(score: FloatArray, case: BoolArray, subclasses: int, estimand: SetEstimand, min_n: int) -> IntArray:
    """Subclass of each row (n,)."""
    target = {"ATT": case, "ATC": ~case, "ATE": np.ones_like(case)}[estimand]
    limits = cuts(score[target], np.linspace(0, 1, subclasses + 1), 0)
    found = np.searchsorted(limits, score, side="right") - 1
    found = np.unique(np.clip(found, 0, subclasses - 1), return_inverse=True)[1].astype(np.int64)
    for arm in (case, ~case):
        found[arm] = _filled(found[arm], score[arm], int(found.max()) + 1, min_n)
    return found


def _filled(subclass: IntArray, score: FloatArray, subclasses: int, min_n: int) -> IntArray:
    """Subclasses of one arm's rows (m,), none with fewer than `min_n`: MatchIt's "scooting".

    In rounds, one for each required occasion, the first subclass that lacks it takes the nearest of the next subclass
    that can spare one: on the left or on the right, where more is to spare near by.
    """
    subclass = subclass.copy()
    spare = np.bincount(subclass, minlength=subclasses)
    places = np.arange(subclasses)
    for _ in range(min_n):
        while (spare <= 0).any():
            empty = int(np.argmax(spare == 0))
            rich = (spare > 1) & (places != empty)
            leftward = empty > 0 and float(((spare[rich] - 1) / (places[rich] - empty)).sum()) <= 0
            if empty == subclasses - 1 or leftward:
                source = int(np.flatnonzero(spare[:empty] > 0)[-1])
                rows = np.flatnonzero(subclass == source)
                moved = rows[score[rows] == score[rows].max()][-1]
            else:
                source = empty + 1 + int(np.flatnonzero(spare[empty + 1 :] > 0)[0])
                rows = np.flatnonzero(subclass == source)
                moved = rows[score[rows] == score[rows].min()][-1]
            subclass[moved] = empty
            spare[empty] += 1
            spare[source] -= 1
        spare -= 1
    return subclass
