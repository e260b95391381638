"""Matching with replacement: the effect on the treated and its variance as Abadie and Imbens derive it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import beyond_rounding
from causal.effect.contrast import Contrast, student
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedWithReplacement:
    """Effect on the treated after matching with replacement.

    Attributes
    ----------
    effect
        For the population the treated come from: variance includes how the effect varies between them.
    effect_in_sample
        The same value for these treated with their covariates: variance given covariates and treatment.
    n_treated, n_comparison
        Treated with a match; distinct comparisons used.
    most_used
        Largest total weight of one comparison, in treated.
    """

    effect: Contrast
    effect_in_sample: Contrast
    n_treated: int
    n_comparison: int
    most_used: float


def matched_with_replacement(
    outcome: FloatArray,
    treated: BoolArray,
    coordinates: FloatArray,
    *,
    treated_row: IntArray,
    comparison_row: IntArray,
    weight: FloatArray,
    neighbours: int = 1,
    level: float = 0.95,
    label: str = "effect on the treated",
) -> MatchedWithReplacement:
    """Mean over the matched treated of their outcome less the mean of their comparisons, who may serve several.

    Parameters
    ----------
    outcome, treated
        (n,) outcome and arm of all occasions matched from. Finite outcomes of all treated and of all comparisons, for
        neighbours are sought among all of them.
    coordinates
        (n, p) what makes occasions neighbours, on the scale on which Euclidean distance is meant: the linear score as
        one column, or `causal.design.matching.distance.mahalanobis_coordinates`.
    treated_row, comparison_row, weight
        (m,) one entry for each match: its two rows, and the weight of the comparison in the mean for that treated.
        The weights of a treated add up to 1 (1/M with M matches).
    neighbours
        J, nearest occasions of the same arm from which the variance of an outcome is estimated; more where equally
        near.

    Raises
    ------
    EstimationError
        ``estimation.empty_arm`` (no match), ``estimation.match_weights``, ``estimation.matches`` (a row of the wrong
        arm), ``estimation.not_finite``, ``estimation.too_few_neighbours`` (an arm of no more than J occasions),
        ``estimation.too_few_clusters`` (fewer than 2 treated or comparisons), ``estimation.constant_outcome``,
        ``estimation.no_standard_error``.

    Notes
    -----
    Abadie & Imbens (2006), Econometrica 74:235-267, theorems 6 and 7. With ``K_b`` the sum over treated of b's weights
    and ``K'_b`` that of their squares (M matches: ``K_b = k/M``, ``K'_b = k/M^2``),

    ``V = (1/n1^2) [sum_treated (Y_i - Yhat0_i - tau)^2 + sum_b (K_b^2 - K'_b) s2_b]``, and given the covariates
    ``V_sample = (1/n1^2) [sum_treated s2_i + sum_b K_b^2 s2_b]``,

    where ``s2 = J/(J + 1) (Y - mean of the J nearest of the same arm)^2``. The ordinary bootstrap is invalid here:
    Abadie & Imbens (2008), Econometrica 76:1537-1557. A t interval on ``min(n1, distinct comparisons) - 1`` degrees of
    freedom: the paper has limits only, and no more than the scarcer arm's independent outcomes stand behind it. The
    score is taken as known, and occasions as independent. With an estimated score the variance for the treated may be
    too large or too small (Abadie & Imbens 2016, Econometrica 84:781-807).

    >>> y, treated = np.array([4.0, 6, 5, 1, 3, 2]), np.array([True, True, True, False, False, False])
    >>> found = matched_with_replacement(y, treated, np.array([[0.0], [1], [8], [0], [5], [9]]),
    ...     treated_row=np.array([0, 1, 2]), comparison_row=np.array([3, 3, 5]), weight=np.ones(3))
    >>> round(found.effect.value, 4), round(found.effect.std_error**2, 4)  # (3 + 5 + 3)/3; [24/9 + (4 - 2) 2]/9
    (3.6667, 0.7407)
    """
    y, arm = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    one, zero, w = np.asarray(treated_row), np.asarray(comparison_row), np.asarray(weight, dtype=np.float64)
    _refuse(y, arm, one, zero, w)
    heads, number = np.unique(one, return_inverse=True)
    gap = y[heads] - np.bincount(number, weights=w * y[zero])
    use = np.bincount(zero, weights=w, minlength=y.size)
    squares = np.bincount(zero, weights=w**2, minlength=y.size)
    used = np.flatnonzero(use)
    df = float(min(heads.size, used.size) - 1)
    if df < 1:
        raise EstimationError(
            "estimation.too_few_clusters",
            "an interval needs 2 treated or more and 2 distinct comparisons or more",
            fix="describe, do not estimate",
        )
    refuse_constant(y[np.r_[heads, used]], arm[np.r_[heads, used]])
    tau = float(gap.mean())
    asked = np.r_[heads, used]
    spread = _conditional_variances(y, arm, np.asarray(coordinates, dtype=np.float64), neighbours, asked)
    marginal = ((gap - tau) ** 2).sum() + ((use**2 - squares)[used] * spread[used]).sum()
    conditional = spread[heads].sum() + (use[used] ** 2 * spread[used]).sum()
    effect, in_sample = (
        student(label, tau, beyond_rounding(float(np.sqrt(variance)) / heads.size, y), df, level=level)
        for variance in (marginal, conditional)
    )
    return MatchedWithReplacement(
        effect=effect,
        effect_in_sample=in_sample,
        n_treated=heads.size,
        n_comparison=used.size,
        most_used=float(use.max()),
    )


def matches_of(
    set_id: IntArray, row: IntArray, is_treated: BoolArray, weight: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """``treated_row``, ``comparison_row`` and ``weight`` of each match, from sets of one treated and their comparisons.

    Parameters
    ----------
    set_id, row, is_treated, weight
        (members,) each: set 0, 1, ..., row among the occasions matched from, arm, and weight in the set.

    Raises
    ------
    EstimationError
        ``estimation.matches`` where a set has several treated: that is no matching with replacement.

    >>> from causal.design.matching.sets import sets_from_choices
    >>> made = sets_from_choices(np.array([0, 1]), np.array([[2, 3], [3, -1]]), np.zeros((2, 2)), caliper=None)
    >>> [part.tolist() for part in matches_of(made.set_id, made.row, made.is_treated, made.weight)]
    [[0, 0, 1], [2, 3, 3], [0.5, 0.5, 1.0]]
    """
    one, own = is_treated, set_id[~is_treated]
    if (np.bincount(set_id[one], minlength=int(set_id.max()) + 1) != 1).any():
        raise EstimationError("estimation.matches", "a matched set does not hold one treated occasion")
    head, share = np.empty(int(one.sum()), dtype=np.int64), np.bincount(own, weights=weight[~one])
    head[set_id[one]] = row[one]
    return head[own], row[~one], weight[~one] / share[own]


def _refuse(y: FloatArray, arm: BoolArray, one: IntArray, zero: IntArray, w: FloatArray) -> None:
    if one.size == 0:
        raise EstimationError("estimation.empty_arm", "no treated occasion has a match: there is no difference")
    if not (arm[one].all() and not arm[zero].any()):
        raise EstimationError("estimation.matches", "a match does not join a treated with a comparison occasion")
    if not np.isfinite(y).all():
        raise EstimationError("estimation.not_finite", "the outcome of an occasion matched from is missing")
    total = np.bincount(one, weights=w, minlength=y.size)[one]
    if not ((w > 0).all() and np.allclose(total, 1.0, rtol=0, atol=1e-9)):
        raise EstimationError(
            "estimation.match_weights", "the weights of a treated occasion's comparisons do not add up to 1"
        )


def _conditional_variances(
    y: FloatArray, arm: BoolArray, coordinates: FloatArray, neighbours: int, asked: IntArray
) -> FloatArray:
    """Variance (n,) of the outcomes of the rows asked for given the coordinates, NaN for the others."""
    if not np.isfinite(coordinates).all():
        raise EstimationError("estimation.not_finite", "a coordinate of an occasion matched from is missing")
    spread = np.full(y.size, np.nan)
    for one in (True, False):
        rows, of = np.flatnonzero(arm == one), asked[arm[asked] == one]
        if rows.size <= neighbours:
            raise EstimationError(
                "estimation.too_few_neighbours",
                f"an arm has {rows.size} occasions: too few for {neighbours} neighbours of each",
                fix="ask for fewer neighbours, or describe and do not estimate",
            )
        mean, count = neighbour_means(y[rows], coordinates[rows], neighbours, of=np.searchsorted(rows, of))
        spread[of] = count / (count + 1) * (y[of] - mean) ** 2
    return spread


def neighbour_means(
    y: FloatArray, coordinates: FloatArray, neighbours: int, *, of: IntArray
) -> tuple[FloatArray, IntArray]:
    """Mean outcome (m,) of the nearest others of the rows `of` (m,), and how many: all those equally near count.

    Occasions are taken together where they coincide, so that coarse coordinates cost no more than distinct ones, and
    no order of rows decides between neighbours.

    >>> mean, count = neighbour_means(np.array([1.0, 2, 4, 8]), np.array([[0.0], [0], [1], [2]]), 1, of=np.arange(4))
    >>> mean.round(4).tolist(), count.tolist()  # the third stands between two at the first place and one at the last
    ([2.0, 1.0, 3.6667, 4.0], [1, 1, 3, 1])
    """
    from scipy.spatial import KDTree

    places, at = np.unique(coordinates, axis=0, return_inverse=True)
    at = at.reshape(-1)
    count, total = np.bincount(at), np.bincount(at, weights=y)
    wanted, place = np.unique(at[of], return_inverse=True)
    tree = KDTree(places)
    k = min(neighbours + 1, places.shape[0])
    distance, near = (found.reshape(-1, k) for found in tree.query(places[wanted], k=k))
    enough = (np.cumsum(count[near], axis=1) > neighbours).argmax(axis=1)
    radius = np.take_along_axis(distance, enough[:, None], axis=1)[:, 0]
    groups = tree.query_ball_point(places[wanted], radius * (1 + 1e-12))
    flat = np.concatenate([np.asarray(group, dtype=np.int64) for group in groups])
    sizes = np.array([len(group) for group in groups])
    starts = np.cumsum(sizes) - sizes
    n_near = np.add.reduceat(count[flat], starts)[place] - 1
    return (np.add.reduceat(total[flat], starts)[place] - y[of]) / n_near, n_near
