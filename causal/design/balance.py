"""Balance of covariates between the arms, before and after matching or weighting.

One definition of the standardised mean difference serves the table, the plot, the gate and the report. Its denominator
is fixed before adjustment: a denominator that moved with the matched sample could make a difference look small by
making the groups more alike within, or large by making them more uniform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Estimand = Literal["ATT", "ATE", "ATO"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """Balance of one covariate; differences are treated minus comparison.

    Attributes
    ----------
    name, tier
        The covariate and the importance the protocol gives it (1 is gated hardest).
    smd_before, smd_after
        Standardised mean differences, both over the same denominator, taken before adjustment.
    mean_treated, mean_treated_after, mean_comparison_before, mean_comparison_after
        Means in the covariate's units. ``mean_treated`` is before adjustment.
    variance_ratio_before, variance_ratio
        Variance among treated over variance among comparisons, before and after; None for a binary covariate (its
        mean says it all) and where the comparison has no variance.
    ks_before, ks_after
        Largest gap between the two (weighted) cumulative distributions, 0 to 1.
    raw_difference_before, raw_difference_after
        Difference in proportions for a binary covariate, None otherwise.
    """

    name: str
    tier: int
    smd_before: float
    smd_after: float
    mean_treated: float
    mean_treated_after: float
    mean_comparison_before: float
    mean_comparison_after: float
    variance_ratio_before: float | None
    variance_ratio: float | None
    ks_before: float
    ks_after: float
    raw_difference_before: float | None
    raw_difference_after: float | None


def standardised_mean_difference(
    x: FloatArray,
    treated: BoolArray,
    *,
    weights: FloatArray | None = None,
    sd: float | None,
    estimand: Estimand = "ATT",
) -> float:
    """Difference between the weighted means of the arms, in standard deviations.

    Parameters
    ----------
    x, treated
        (n,) covariate and arm.
    weights
        (n,) weights of 0 or more; None for all 1. Occasions outside the matched sample carry 0.
    sd
        Denominator, fixed before adjustment (see `fixed_sd`). None takes it from x as given, ignoring the weights:
        right when x holds everyone, wrong when it holds the matched sample only.
    estimand
        Which SD to take when ``sd`` is None.

    Returns
    -------
    Treated minus comparison, in units of ``sd``. 0 where ``sd`` is 0, which `fixed_sd` returns only for a constant.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when an arm has no weight.

    >>> x, treated = np.array([1.0, 3.0, 0.0, 2.0]), np.array([True, True, False, False])
    >>> round(standardised_mean_difference(x, treated, sd=None), 4)  # (2 - 1) / sqrt(2)
    0.7071
    """
    denominators = fixed_sd(x[:, None], treated, estimand=estimand) if sd is None else np.array([sd], dtype=np.float64)
    return float(_differences(x[:, None], treated, _weights(weights, treated), denominators)[0])


def fixed_sd(covariates: FloatArray, treated: BoolArray, *, estimand: Estimand = "ATT") -> FloatArray:
    """Denominators of the standardised mean differences of p covariates, from the sample before adjustment.

    Parameters
    ----------
    covariates, treated
        (n, p) and (n,), everyone eligible.
    estimand
        ``ATT``: SD among the treated. ``ATE`` and ``ATO``: ``sqrt((s1^2 + s0^2) / 2)``.

    Returns
    -------
    (p,) standard deviations with divisor n - 1, for binary covariates too. Where the treated do not vary but the
    comparisons do, the pooled SD stands in; 0 only where neither arm varies.

    >>> fixed_sd(np.array([[1.0], [3.0], [5.0]]), np.array([True, True, False])).round(4).tolist()
    [1.4142]
    """
    among_treated, among_comparison = _sample_variance(covariates[treated]), _sample_variance(covariates[~treated])
    pooled = (among_treated + among_comparison) / 2
    return np.sqrt(np.where(among_treated > 0, among_treated, pooled) if estimand == "ATT" else pooled)


def balance_table(
    covariates: FloatArray,
    names: Sequence[str],
    tiers: Sequence[int],
    treated: BoolArray,
    weights: FloatArray,
    *,
    estimand: Estimand = "ATT",
) -> tuple[BalanceRow, ...]:
    """Balance of every covariate, before and after adjustment, in the order given.

    Parameters
    ----------
    covariates
        (n, p) values of everyone eligible before adjustment, matched or not.
    names, tiers
        p names and tiers.
    treated
        (n,) arm.
    weights
        (n,) weights of the design, 0 for occasions it leaves out (`causal.design.matching.row_weights`).
    estimand
        Sets the denominator of the standardised mean differences.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when an arm is empty or the design gives it no weight.

    Notes
    -----
    Austin (2009), Stat Med 28:3083-3107; Stuart (2010), Stat Sci 25:1-21. Weighted variances divide by
    ``1 - sum(w^2)`` with weights summing to one, which is n - 1 for equal weights.

    >>> rows = balance_table(np.array([[1.0], [0.0], [0.0], [1.0]]), ["sud"], [2],
    ...                      np.array([True, True, False, False]), np.array([1.0, 1.0, 1.0, 1.0]))
    >>> rows[0].smd_after, rows[0].raw_difference_after, rows[0].variance_ratio
    (0.0, 0.0, None)
    """
    x = np.asarray(covariates, dtype=np.float64)
    unit, weight = _weights(None, treated), _weights(weights, treated)
    sd = fixed_sd(x, treated, estimand=estimand)
    before, after = _differences(x, treated, unit, sd), _differences(x, treated, weight, sd)
    means = [_means(x, arm, w) for w in (unit, weight) for arm in (treated, ~treated)]
    ks = _largest_gaps(x, treated, np.column_stack([unit, weight]))
    ratio_before, ratio_after = (_variance_ratio(x, treated, w) for w in (unit, weight))
    binary = [bool(np.isin(column, (0.0, 1.0)).all()) for column in x.T]
    return tuple(
        BalanceRow(
            name=name,
            tier=tier,
            smd_before=float(before[j]),
            smd_after=float(after[j]),
            mean_treated=float(means[0][j]),
            mean_treated_after=float(means[2][j]),
            mean_comparison_before=float(means[1][j]),
            mean_comparison_after=float(means[3][j]),
            variance_ratio_before=None if binary[j] or not np.isfinite(ratio_before[j]) else float(ratio_before[j]),
            variance_ratio=None if binary[j] or not np.isfinite(ratio_after[j]) else float(ratio_after[j]),
            ks_before=float(ks[0, j]),
            ks_after=float(ks[1, j]),
            raw_difference_before=float(means[0][j] - means[1][j]) if binary[j] else None,
            raw_difference_after=float(means[2][j] - means[3][j]) if binary[j] else None,
        )
        for j, (name, tier) in enumerate(zip(names, tiers, strict=True))
    )


def _weights(weights: FloatArray | None, treated: BoolArray) -> FloatArray:
    """Weights as floats (n,), refused when an arm has none."""
    w = np.ones(treated.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (w >= 0).all():
        raise DesignError("design.weights", "weights must be 0 or more and not missing")
    if not (w[treated].sum() > 0 and w[~treated].sum() > 0):
        raise DesignError("design.empty_arm", "one arm has no occasion with weight: balance is undefined")
    return w


def _means(x: FloatArray, rows: BoolArray, weight: FloatArray) -> FloatArray:
    """Weighted means (p,) over the rows given."""
    return np.asarray(weight[rows] @ x[rows] / weight[rows].sum(), dtype=np.float64)


def _differences(x: FloatArray, treated: BoolArray, weight: FloatArray, sd: FloatArray) -> FloatArray:
    """Standardised mean differences (p,)."""
    raw = _means(x, treated, weight) - _means(x, ~treated, weight)
    return np.divide(raw, sd, out=np.zeros_like(raw), where=sd > 0)


def _sample_variance(x: FloatArray) -> FloatArray:
    """Variances (p,) with divisor n - 1; 0 for fewer than two rows."""
    return x.var(axis=0, ddof=1) if x.shape[0] > 1 else np.zeros(x.shape[1])


def _variance_ratio(x: FloatArray, treated: BoolArray, weight: FloatArray) -> FloatArray:
    """Weighted variance of the treated over that of the comparisons (p,); not finite where it is undefined."""
    variances = []
    for rows in (treated, ~treated):
        w = weight[rows] / weight[rows].sum()
        centred = x[rows] - w @ x[rows]
        with np.errstate(invalid="ignore", divide="ignore"):  # one weighted row has no variance: 0/0
            variances.append((w @ centred**2) / (1 - (w**2).sum()))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(variances[0] / variances[1], dtype=np.float64)


def _largest_gaps(x: FloatArray, treated: BoolArray, weights: FloatArray) -> FloatArray:
    """Largest gap between the arms' weighted distribution functions: (number of weightings, p), one sort per column."""
    signed = np.where(
        treated[:, None], weights / weights[treated].sum(axis=0), -weights / weights[~treated].sum(axis=0)
    )
    gaps = np.empty((weights.shape[1], x.shape[1]))
    for j, column in enumerate(x.T):
        order = np.argsort(column)
        ordered = column[order]
        last_of_ties = np.r_[ordered[1:] != ordered[:-1], True]
        gaps[:, j] = np.abs(np.cumsum(signed[order], axis=0)[last_of_ties]).max(axis=0)
    return np.minimum(gaps, 1.0)
