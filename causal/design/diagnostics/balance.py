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
    w = _weights(weights, treated)
    denominator = float(fixed_sd(x[:, None], treated, estimand=estimand)[0]) if sd is None else sd
    difference = _mean(x, treated, w) - _mean(x, ~treated, w)
    return difference / denominator if denominator > 0 else 0.0


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
    columns = np.ascontiguousarray(covariates.T)
    one, zero = (np.array([_variance(column[arm]) for column in columns]) for arm in (treated, ~treated))
    pooled = (one + zero) / 2
    variance = np.where(one > 0, one, pooled) if estimand == "ATT" else pooled
    return np.asarray(np.sqrt(variance), dtype=np.float64)


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
    arm = np.asarray(treated, dtype=np.bool_)
    x = np.asarray(covariates, dtype=np.float64)
    weightings = (_weights(None, arm), _weights(weights, arm))
    sd = fixed_sd(x, arm, estimand=estimand)
    shares = np.array([_signed_shares(arm, w) for w in weightings])
    columns = zip(np.ascontiguousarray(x.T), sd, names, tiers, strict=True)
    return tuple(
        _row(column, arm, weightings, shares, sd=float(scale), name=name, tier=tier)
        for column, scale, name, tier in columns
    )


def _row(
    x: FloatArray,
    treated: BoolArray,
    weightings: tuple[FloatArray, FloatArray],
    signed_shares: FloatArray,
    *,
    sd: float,
    name: str,
    tier: int,
) -> BalanceRow:
    """Balance of one covariate (n,) under the weights before and after, and their `_signed_shares` (2, n)."""
    binary = bool(((x == 0) | (x == 1)).all())
    smd = [standardised_mean_difference(x, treated, weights=w, sd=sd) for w in weightings]
    means = [(_mean(x, treated, w), _mean(x, ~treated, w)) for w in weightings]
    ratios = [None if binary else _variance_ratio(x, treated, w) for w in weightings]
    gaps = _largest_gaps(x, signed_shares)
    return BalanceRow(
        name=name,
        tier=tier,
        smd_before=smd[0],
        smd_after=smd[1],
        mean_treated=means[0][0],
        mean_treated_after=means[1][0],
        mean_comparison_before=means[0][1],
        mean_comparison_after=means[1][1],
        variance_ratio_before=ratios[0],
        variance_ratio=ratios[1],
        ks_before=gaps[0],
        ks_after=gaps[1],
        raw_difference_before=means[0][0] - means[0][1] if binary else None,
        raw_difference_after=means[1][0] - means[1][1] if binary else None,
    )


def _weights(weights: FloatArray | None, treated: BoolArray) -> FloatArray:
    """Weights as floats (n,), refused when an arm has none."""
    w = np.ones(treated.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (w >= 0).all():
        raise DesignError("design.weights", "weights must be 0 or more and not missing")
    if not (w[treated].sum() > 0 and w[~treated].sum() > 0):
        raise DesignError("design.empty_arm", "one arm has no occasion with weight: balance is undefined")
    return w


def _mean(x: FloatArray, rows: BoolArray, weight: FloatArray) -> float:
    """Weighted mean of x over the rows."""
    w = weight[rows]
    return float((w * x[rows]).sum() / w.sum())


def _variance(x: FloatArray) -> float:
    """Variance with divisor n - 1; 0 for fewer than two rows."""
    return float(x.var(ddof=1)) if x.size > 1 else 0.0


def _variance_ratio(x: FloatArray, treated: BoolArray, weight: FloatArray) -> float | None:
    """Weighted variance of the treated over that of the comparisons; None where either is undefined or 0 divides."""
    variances = []
    for rows in (treated, ~treated):
        w = weight[rows] / weight[rows].sum()
        freedom = 1 - float((w**2).sum())
        if freedom < 1e-12:  # one weighted row has no variance
            return None
        variances.append(float((w * (x[rows] - _mean(x, rows, weight)) ** 2).sum()) / freedom)
    return variances[0] / variances[1] if variances[1] > 0 else None


def _signed_shares(treated: BoolArray, weight: FloatArray) -> FloatArray:
    """Each occasion's share of its arm's weight (n,), negative for comparisons."""
    shares = np.where(treated, weight / weight[treated].sum(), -weight / weight[~treated].sum())
    return np.asarray(shares, dtype=np.float64)


def _largest_gaps(x: FloatArray, signed_shares: FloatArray) -> list[float]:
    """Largest gap between the arms' distribution functions under each row of shares (weightings, n), one sort of x."""
    order = np.argsort(x)
    ordered = x[order]
    last_of_ties = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    return [min(float(np.abs(np.cumsum(shares[order])[last_of_ties]).max()), 1.0) for shares in signed_shares]
