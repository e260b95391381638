"""Win odds of an outcome with an order but no scale: relationship ended below every score, then the score.

Within matched sets each treated is compared with each comparison. The win odds are the odds that the treated fares
better, ties shared: Brunner, Vandemeulebroecke & Mütze (2021), Stat Med 40:3367-3384; Dong et al. (2020), Stat Biopharm
Res 12:99-106.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from causal.effect.cluster_robust import beyond_rounding
from causal.effect.contrast import Contrast, student
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MOST_COMPARISONS = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WinOdds:
    """How often the treated of a set fare better than their comparisons.

    Attributes
    ----------
    value, lower, upper, level
        Win odds and interval; 1 when treated and comparisons fare alike. From ``log_odds``.
    log_odds
        Their logarithm, with the t interval and the p-value.
    difference
        ``P(win) - P(loss)``, with a t interval on its own scale.
    probability, probability_lower, probability_upper
        ``P(win) + P(tie)/2``, the Mann-Whitney probability within sets, from ``log_odds``.
    win, tie, loss
        Weighted shares, adding up to 1.
    n_sets, n_clusters
        Sets compared, and clusters in them (the sets where none are given).
    """

    value: float
    lower: float
    upper: float
    level: float
    log_odds: Contrast
    difference: Contrast
    probability: float
    probability_lower: float
    probability_upper: float
    win: float
    tie: float
    loss: float
    n_sets: int
    n_clusters: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Duels:
    """Every comparison of a treated with a comparison of their set."""

    treated: IntArray  # (c,) row
    comparison: IntArray  # (c,) row
    weight: FloatArray  # (c,) adding up to 1


def win_odds(
    score: FloatArray,
    ended: BoolArray,
    treated: BoolArray,
    weights: FloatArray | None,
    *,
    sets: IntArray,
    clusters: IntArray | None = None,
    level: float = 0.95,
) -> WinOdds:
    """Win odds within matched sets on the order: ended, then the score, higher being better.

    Parameters
    ----------
    score
        (n,) finite where the relationship did not end and the weight is not 0; not looked at where it ended.
    ended
        (n,) whether the patient ended the relationship. Two who ended are tied.
    treated, sets
        (n,) arm and set of the matched rows; every set with weight has it in both arms.
    weights
        (n,) 0 or more; None for the ATT's. Within a set rows of an arm count by weight, and a set counts what its
        treated weigh (its treated, for the ATT).
    clusters
        (n,) codes of units, as clinicians, within which outcomes may be correlated beside the sets; None for none.

    Raises
    ------
    EstimationError
        ``estimation.one_armed_set``, ``estimation.not_finite``, ``estimation.weights``, ``estimation.all_wins`` (no
        loss and no tie, or no win and no tie: the odds have no finite value), ``estimation.too_few_clusters``,
        ``estimation.constant_outcome``, ``estimation.no_standard_error``, ``estimation.too_many_comparisons``.

    Notes
    -----
    ``P = sum_c w_c h_c`` over comparisons c of a treated with another of the set, h 1, 1/2 or 0. Two of these may be
    correlated where they share a cluster, on whichever side; with ``e_c = w_c (h_c - P)`` the variance is the sum of
    ``e_c e_d`` over all such pairs, times G/(G - 1): ``sum_g (sum of e touching g)^2`` less, for each two clusters,
    ``(sum of e touching both)^2``, which the first sum counts twice (Aronow, Samii & Assenova 2015, Polit Anal
    23:564-577). With sets for clusters it is the variance of the mean over sets. With clinicians across sets it is
    too small where they are few and may even be negative, so that the larger of the two is taken. Degrees of freedom:
    the fewest of sets, clusters of treated and clusters of comparisons, less 1. Delta method to the log odds,
    ``se / (P (1 - P))``.

    >>> score = np.array([5.0, 3, 4, 2, 2, 3, 1, 4])
    >>> ended, treated = np.array([0, 0, 0, 0, 1, 0, 0, 0], dtype=bool), np.array([1, 0] * 4, dtype=bool)
    >>> found = win_odds(score, ended, treated, None, sets=np.repeat([0, 1, 2, 3], 2))  # win, win, loss, loss
    >>> found.win, found.tie, found.loss, found.value, round(found.difference.std_error, 4)
    (0.5, 0.0, 0.5, 1.0, 0.5774)
    """
    arm = np.asarray(treated, dtype=np.bool_)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    gone, y = np.asarray(ended, dtype=np.bool_), np.asarray(score, dtype=np.float64)
    if not np.isfinite(y[(w > 0) & ~gone]).all():
        raise EstimationError("estimation.not_finite", "the score of a weighted row is missing, and it did not end")
    rank = np.where(gone, -np.inf, y)
    duels = _duels(arm, w, np.asarray(sets))
    one, zero = rank[duels.treated], rank[duels.comparison]
    won = (one > zero) + 0.5 * (one == zero)
    p = float(duels.weight @ won)
    if not 1e-12 < p < 1 - 1e-12:
        raise EstimationError(
            "estimation.all_wins",
            "every comparison within sets goes to the same arm: the odds have no finite value",
            fix="describe the shares, do not estimate",
        )
    by = [np.asarray(code) for code in (sets, clusters) if code is not None]
    arms = [np.unique(code[rows]).size for code in by for rows in (duels.treated, duels.comparison)]
    df = float(min(arms) - 1)
    if df < 1:
        raise EstimationError(
            "estimation.too_few_clusters",
            "an arm has one cluster only: nothing tells how clusters vary",
            fix="cluster on smaller units",
        )
    played = np.unique(np.r_[duels.treated, duels.comparison])
    refuse_constant(rank[played], arm[played])
    share = duels.weight * (won - p)
    variance = max(_clustered(share, code[duels.treated], code[duels.comparison]) for code in by)
    error = beyond_rounding(variance**0.5, np.ones(1))
    log_odds = student("log win odds", float(np.log(p / (1 - p))), error / (p * (1 - p)), df, level=level)
    tie = float(duels.weight @ (one == zero))
    return WinOdds(
        value=p / (1 - p),
        lower=float(np.exp(log_odds.lower)),
        upper=float(np.exp(log_odds.upper)),
        level=level,
        log_odds=log_odds,
        difference=student("win difference", 2 * p - 1, 2 * error, df, level=level),
        probability=p,
        probability_lower=float(expit(log_odds.lower)),
        probability_upper=float(expit(log_odds.upper)),
        win=p - tie / 2,
        tie=tie,
        loss=1 - p - tie / 2,
        n_sets=np.unique(np.asarray(sets)[duels.treated]).size,
        n_clusters=np.unique(by[-1][np.r_[duels.treated, duels.comparison]]).size,
    )


def _duels(arm: BoolArray, weights: FloatArray, sets: IntArray) -> _Duels:
    """Each treated with each comparison of their set, weighing (set's treated) x (share among them) x (share)."""
    rows = np.flatnonzero(weights > 0)
    rows = rows[np.lexsort((rows, sets[rows]))]
    number = np.unique(sets[rows], return_inverse=True)[1]
    one, zero = rows[arm[rows]], rows[~arm[rows]]
    of_one, of_zero = number[arm[rows]], number[~arm[rows]]
    n_sets = int(number.max(initial=-1)) + 1
    n_one, n_zero = np.bincount(of_one, minlength=n_sets), np.bincount(of_zero, minlength=n_sets)
    if n_sets == 0 or not (n_one * n_zero > 0).all():
        raise EstimationError(
            "estimation.one_armed_set",
            "a matched set has weight in one arm only: it compares nobody",
            fix="leave such sets out whole",
        )
    if int(n_one @ n_zero) > MOST_COMPARISONS:
        raise EstimationError(
            "estimation.too_many_comparisons",
            f"more than {MOST_COMPARISONS:,} comparisons within sets",
            fix="use finer sets",
        )
    opponents = n_zero[of_one]
    first = np.repeat(np.arange(one.size), opponents)
    within = np.arange(first.size) - np.repeat(np.cumsum(opponents) - opponents, opponents)
    treated, comparison = one[first], zero[(np.cumsum(n_zero) - n_zero)[of_one][first] + within]
    share = weights[zero] / np.bincount(of_zero, weights=weights[zero])[of_zero]
    of_row = np.zeros(weights.size)
    of_row[zero] = share
    return _Duels(
        treated=treated,
        comparison=comparison,
        weight=weights[treated] * of_row[comparison] / weights[one].sum(),
    )


def _clustered(e: FloatArray, one: IntArray, zero: IntArray) -> float:
    """Sum of the products of all e (c,) that share one of G clusters on either side, times G/(G - 1)."""
    codes, number = np.unique(np.r_[one, zero], return_inverse=True)
    g = codes.size
    ends = np.sort(number.reshape(2, -1), axis=0)
    apart = ends[0] != ends[1]
    touching = np.bincount(ends[0], weights=e, minlength=g) + np.bincount(ends[1][apart], e[apart], minlength=g)
    couple = np.unique(ends[0][apart] * g + ends[1][apart], return_inverse=True)[1]
    both = np.bincount(couple, weights=e[apart])
    return float(touching @ touching - both @ both) * g / (g - 1)
