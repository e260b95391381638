"""Effects in a weighted sample, with standard errors that account for the weights being estimated.

The weights and the effect solve estimating equations stacked on one another (M-estimation): Stefanski & Boos (2002), Am
Stat 56:29-38; Lunceford & Davidian (2004), Stat Med 23:2937-2960. Taking estimated weights for known ones is usually
conservative for propensity weights, not always for others, and never more precise in truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causal.design.weighting.weights import Weights
from causal.effect.cluster_robust import beyond_rounding
from causal.effect.contrast import student_interval
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedEffect:
    """A contrast in a weighted sample with its interval.

    Attributes
    ----------
    value, std_error
        In units of the outcome (per unit of exposure for a slope).
    df
        Degrees of freedom of Student's t behind the interval and the p-value: clusters - 1, or without clusters the
        occasions with weight - 2.
    lower, upper, level
        Interval, and the share of such intervals that cover the truth.
    p_value
        Two-sided, for no effect. Never evidence of no effect.
    n_rows, n_clusters
        Occasions with weight above 0, and clusters (each occasion its own where none are given).
    estimand, estimand_note
        Whose effect it is, from the weights.
    accounts_for_estimation
        Whether the standard error knows that the weights were estimated.
    influence
        (n,) influence of each occasion, whose sum of squares (of totals by cluster) is the variance.
    """

    value: float
    std_error: float
    df: float
    lower: float
    upper: float
    level: float
    p_value: float
    n_rows: int
    n_clusters: int
    estimand: str
    estimand_note: str
    accounts_for_estimation: bool
    influence: FloatArray = field(compare=False, repr=False)


def weighted_difference(
    outcome: FloatArray,
    treated: BoolArray,
    weights: Weights,
    *,
    clusters: IntArray | None = None,
    level: float = 0.95,
    account_for_estimation: bool = True,
) -> WeightedEffect:
    """Difference of weighted means (Hajek), treated minus comparison.

    Parameters
    ----------
    outcome, treated
        (n,) outcome, finite where the weight is not 0, and arm.
    weights
        Of the n occasions.
    clusters
        (n,) codes of the units within which outcomes and treatment may be correlated; None when occasions are
        independent.
    level
        Of the interval.
    account_for_estimation
        False takes the weights for known: HC0, or CR1 with clusters.

    Raises
    ------
    EstimationError
        ``estimation.empty_arm``, ``estimation.not_finite``, ``estimation.too_few_clusters``, and
        ``estimation.no_nuisance`` when the weights came without their estimating functions;
        ``estimation.constant_outcome`` and ``estimation.no_standard_error``.

    Notes
    -----
    Influence of an occasion: ``w_i (W_i (y_i - m1)/S1 - (1 - W_i)(y_i - m0)/S0) - D J^-1 psi_i``, with S the sums of
    weights, psi and J of the weights' estimating equations and D the derivative of the difference with respect to their
    parameters. The variance is the sum of squares over occasions, or over cluster totals times G/(G - 1). With
    `account_for_estimation` false, `causal.effect.cluster_robust` gives HC1, HC3 (CR1S, CR3 with each occasion its own
    cluster) and the survey estimator (CR1) of the same contrast.

    >>> known = Weights(weight=np.array([1, 1, 0.5, 1.5]), estimand="ATT", estimand_note="", method="", nuisance=None)
    >>> arm = np.array([True, True, False, False])
    >>> effect = weighted_difference(np.array([3.0, 5, 1, 2]), arm, known, account_for_estimation=False)
    >>> effect.value, round(effect.std_error, 6)
    (2.25, 0.75519)
    """
    arm = np.asarray(treated, dtype=np.bool_)
    used = weights.weight > 0
    if not (arm & used).any() or not (~arm & used).any():
        raise EstimationError("estimation.empty_arm", "one arm has no row with weight: there is no difference")
    refuse_constant(outcome, arm, weights.weight)
    return _slope(outcome, arm.astype(np.float64), weights, clusters, level, account_for_estimation)


def weighted_slope(
    outcome: FloatArray,
    exposure: FloatArray,
    weights: Weights,
    *,
    clusters: IntArray | None = None,
    level: float = 0.95,
    account_for_estimation: bool = True,
) -> WeightedEffect:
    """Slope of the weighted regression of the outcome on a continuous exposure, and its standard error.

    Arguments, refusals and variance as for `weighted_difference`, which is this slope for an exposure of 0 and 1; the
    exposure is (n,), finite, and varies among occasions with weight (``estimation.not_estimable``).

    >>> known = Weights(weight=np.ones(4), estimand="slope", estimand_note="", method="", nuisance=None)
    >>> dose = np.array([0.0, 1, 2, 3])
    >>> effect = weighted_slope(np.array([1.0, 2, 2, 4]), dose, known, account_for_estimation=False)
    >>> round(effect.value, 6), round(effect.std_error, 6)
    (0.9, 0.143527)
    """
    dose = np.asarray(exposure, dtype=np.float64)
    if not np.isfinite(dose).all():
        raise EstimationError("estimation.not_finite", "the exposure of a row is missing")
    return _slope(outcome, dose, weights, clusters, level, account_for_estimation)


def _slope(
    outcome: FloatArray,
    exposure: FloatArray,
    weights: Weights,
    clusters: IntArray | None,
    level: float,
    account_for_estimation: bool,
) -> WeightedEffect:
    used = weights.weight > 0
    if not np.isfinite(np.asarray(outcome, dtype=np.float64)[used]).all():
        raise EstimationError("estimation.not_finite", "the outcome of a weighted row is missing")
    y = np.where(used, outcome, 0.0)
    value, per_weight = _regression(y, exposure, weights.weight)
    influence = weights.weight * per_weight
    if account_for_estimation:
        influence = influence - _through_weights(weights, per_weight)
    variance, df, n_clusters = _variance(influence, clusters, int(used.sum()))
    error = beyond_rounding(float(np.sqrt(variance)), y)
    interval = student_interval(value, error, df, level=level)
    return WeightedEffect(
        value=value,
        std_error=error,
        df=df,
        lower=interval.lower,
        upper=interval.upper,
        level=level,
        p_value=interval.p_value,
        n_rows=int(used.sum()),
        n_clusters=n_clusters,
        estimand=weights.estimand,
        estimand_note=weights.estimand_note,
        accounts_for_estimation=account_for_estimation,
        influence=influence,
    )


def _regression(y: FloatArray, exposure: FloatArray, weight: FloatArray) -> tuple[float, FloatArray]:
    """Weighted slope, and its derivative with respect to each occasion's weight (n,)."""
    centred = exposure - np.average(exposure, weights=weight)
    spread = float(weight @ centred**2)
    if not spread > 1e-12 * float(weight.sum()) * float(np.abs(exposure).max() ** 2):
        raise EstimationError("estimation.not_estimable", "the exposure does not vary among rows with weight")
    slope = float(weight @ (centred * y)) / spread
    residual = y - np.average(y, weights=weight) - slope * centred
    return slope, centred * residual / spread


def _through_weights(weights: Weights, per_weight: FloatArray) -> FloatArray:
    """Part of each occasion's influence (n,) that passes through the parameters of the weights: D J^-1 psi."""
    nuisance = weights.nuisance
    if nuisance is None:
        raise EstimationError(
            "estimation.no_nuisance",
            "these weights came without their estimating functions",
            fix="bootstrap the design, or take the weights for known (account_for_estimation=False)",
        )
    derivative = per_weight @ nuisance.gradient
    size = np.sqrt(np.abs(np.diag(nuisance.jacobian)))
    unit = 1 / np.where(size > 0, size, 1.0)  # parameters in comparable units; repeated columns share one effect
    solution = np.linalg.lstsq(nuisance.jacobian.T * np.outer(unit, unit), derivative * unit, rcond=1e-12)[0]
    return np.asarray(nuisance.psi @ (solution * unit), dtype=np.float64)


def _variance(influence: FloatArray, clusters: IntArray | None, n_used: int) -> tuple[float, float, int]:
    """Variance, degrees of freedom and number of clusters."""
    if clusters is None:
        if n_used < 3:
            raise EstimationError("estimation.too_few_rows", "a standard error needs 3 rows with weight or more")
        return float(influence @ influence), float(n_used - 2), n_used
    code = np.unique(clusters, return_inverse=True)[1]
    totals = np.bincount(code, weights=influence)
    groups = totals.size
    if groups < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    return float(totals @ totals) * groups / (groups - 1), float(groups - 1), groups
