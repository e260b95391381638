"""Balance of covariates between the arms, before and after matching or weighting.

One definition of the standardised mean difference serves the table, the plot, the gate and the report. Its denominator
is fixed by the estimand, not by the matched sample: a denominator that moved with it could make a difference look small
by making the groups more alike within, or large by making them more uniform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance_kernels import Moments, compiled_gaps, compiled_moments
from causal.design.weighting.weights import WeightEstimand
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Estimand = WeightEstimand


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """Balance of one covariate; differences are treated minus comparison.

    Attributes
    ----------
    name, tier
        The covariate and the importance the protocol gives it (1 is gated hardest).
    smd_before, smd_after
        Standardised mean differences, both over the same denominator (`fixed_sd`).
    mean_treated, mean_treated_after, mean_comparison_before, mean_comparison_after
        Means in the covariate's units. ``mean_treated`` is before adjustment.
    variance_ratio_before, variance_ratio
        Variance among treated over variance among comparisons, before and after; None for a covariate of two values
        (its mean says it all) and where the comparison has no variance.
    ks_before, ks_after
        Largest gap between the two (weighted) cumulative distributions, 0 to 1.
    ecdf_mean_before, ecdf_mean_after
        Mean of that gap over the distinct values of everyone eligible; for two values the gap itself.
    raw_difference_before, raw_difference_after
        Difference in proportions for a covariate of 0 and 1, None otherwise.
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
    ecdf_mean_before: float
    ecdf_mean_after: float
    raw_difference_before: float | None
    raw_difference_after: float | None


class Arms(NamedTuple):
    """Both arms under one weighting.

    ``share`` (n,) is each occasion's share of its arm's weight; ``weight_*`` are the arms' total weights, ``squares_*``
    the sums of squared shares (1/n for n equal weights).
    """

    treated: BoolArray
    share: FloatArray
    weight_treated: float
    weight_comparison: float
    squares_treated: float
    squares_comparison: float


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
        Denominator, fixed before adjustment (see `fixed_sd`). None takes it from x as given: right when x holds
        everyone, wrong when it holds the matched sample only.
    estimand
        Which SD to take when ``sd`` is None.

    Returns
    -------
    Treated minus comparison, in units of ``sd``. 0 where ``sd`` is 0, which `fixed_sd` returns only for a constant.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when an arm has no weight, ``design.weights``, ``design.not_finite``.

    >>> x, treated = np.array([1.0, 3.0, 0.0, 5.0]), np.array([True, True, False, False])
    >>> round(standardised_mean_difference(x, treated, sd=None), 4)  # (2 - 2.5) / sqrt(2)
    -0.3536
    """
    column = finite_column(x, "the covariate")
    after = arms_of(treated, weights)
    found = _moments(column, after)
    if sd is None:
        before = arms_of(treated, None)
        sd = _sd(_moments(column, before), before, found, after, estimand)
    return _ratio(found.offset_treated - found.offset_comparison, sd)


def fixed_sd(
    covariates: FloatArray, treated: BoolArray, *, estimand: Estimand = "ATT", weights: FloatArray | None = None
) -> FloatArray:
    """Denominators of the standardised mean differences of p covariates, from everyone eligible.

    Parameters
    ----------
    covariates, treated
        (n, p) and (n,), everyone eligible.
    estimand
        ``ATT``: SD among the treated. ``ATC``: among the comparisons. ``ATE``: ``sqrt((s1^2 + s0^2) / 2)``. ``ATO``
        and ``ATM``: SD of both arms together under the weights, which alone say who that population is.
    weights
        (n,) weights of the design, used for ``ATO`` and ``ATM`` only; None for all 1.

    Returns
    -------
    (p,) standard deviations. A covariate of two values a and b has ``|b - a| sqrt(p (1 - p))``, any other has divisor
    n - 1 (its weighted form ``1 - sum(w^2)`` for weights that sum to one). Where the arm named does not vary but the
    other does, the pooled SD stands in; 0 only where neither arm varies.

    Notes
    -----
    Austin (2009), Stat Med 28:3083-3107, eq. 1 and 2. The conventions are those of R's MatchIt and cobalt.

    >>> fixed_sd(np.array([[1.0], [3.0], [5.0], [5.0]]), np.array([True, True, False, False])).round(4).tolist()
    [1.4142]
    >>> fixed_sd(np.array([[1.0], [0.0], [0.0], [0.0]]), np.array([True, True, False, False])).tolist()
    [0.5]
    """
    before, after = arms_of(treated, None), arms_of(treated, weights)
    columns = (finite_column(x, f"covariate {j}") for j, x in enumerate(covariates.T))
    return np.array([_sd(_moments(x, before), before, _moments(x, after), after, estimand) for x in columns])


def balance_table(
    covariates: FloatArray,
    names: Sequence[str],
    tiers: Sequence[int],
    treated: BoolArray,
    weights: FloatArray,
    *,
    estimand: Estimand = "ATT",
    sd: FloatArray | None = None,
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
        (n,) weights of the design, 0 for occasions it leaves out (`causal.design.matching.sets.row_weights`).
    estimand
        Sets the denominator of the standardised mean differences (`fixed_sd`).
    sd
        (p,) denominators to use instead: those of everyone, where the rows are only some of them.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when an arm is empty or the design gives it no weight, ``design.weights`` for negative or
        missing weights, ``design.not_finite`` for missing or infinite values.

    Notes
    -----
    Austin (2009), Stat Med 28:3083-3107; Stuart (2010), Stat Sci 25:1-21. Weighted variances divide by
    ``1 - sum(w^2)`` with weights summing to one, which is n - 1 for equal weights. One sort of each covariate that has
    more than two values; memory for one covariate at a time.

    >>> rows = balance_table(np.array([[1.0], [0.0], [0.0], [1.0]]), ["sud"], [2],
    ...                      np.array([True, True, False, False]), np.array([1.0, 1.0, 1.0, 1.0]))
    >>> rows[0].smd_after, rows[0].raw_difference_after, rows[0].variance_ratio
    (0.0, 0.0, None)
    """
    before, after = arms_of(treated, None), arms_of(treated, weights)
    room = np.empty((2, before.treated.size), dtype=np.uint64)
    scales = [None] * len(names) if sd is None else sd.tolist()
    return tuple(
        balance_row(finite_column(x, name), before, after, room, name=name, tier=tier, estimand=estimand, sd=scale)
        for x, name, tier, scale in zip(np.asarray(covariates).T, names, tiers, scales, strict=True)
    )


def balance_row(
    x: FloatArray,
    before: Arms,
    after: Arms,
    room: NDArray[np.uint64],
    *,
    name: str,
    tier: int,
    estimand: Estimand,
    sd: float | None = None,
) -> BalanceRow:
    """Balance of one covariate (n,), finite and contiguous; ``room`` (2, n) is overwritten, ``sd`` None for its own."""
    raw, adjusted = _moments(x, before), _moments(x, after)
    scale = _sd(raw, before, adjusted, after, estimand) if sd is None else sd
    differences = [m.offset_treated - m.offset_comparison for m in (raw, adjusted)]
    if raw.two_valued:
        width = float(x.max() - x.min())
        gaps = tuple(min(_ratio(abs(d), width), 1.0) for d in differences for _ in range(2))
    else:
        gaps = compiled_gaps()(x, x.view(np.uint64), after.treated, after.share, room[0], room[1])
    zero_one = raw.two_valued and bool(((x == 0) | (x == 1)).all())
    return BalanceRow(
        name=name,
        tier=tier,
        smd_before=_ratio(differences[0], scale),
        smd_after=_ratio(differences[1], scale),
        mean_treated=raw.origin + raw.offset_treated,
        mean_treated_after=adjusted.origin + adjusted.offset_treated,
        mean_comparison_before=raw.origin + raw.offset_comparison,
        mean_comparison_after=adjusted.origin + adjusted.offset_comparison,
        variance_ratio_before=_variance_ratio(raw, before),
        variance_ratio=_variance_ratio(adjusted, after),
        ks_before=gaps[0],
        ecdf_mean_before=gaps[1],
        ks_after=gaps[2],
        ecdf_mean_after=gaps[3],
        raw_difference_before=differences[0] if zero_one else None,
        raw_difference_after=differences[1] if zero_one else None,
    )


def arms_of(treated: BoolArray, weights: FloatArray | None) -> Arms:
    """Both arms under the weights (n,), None for all 1; refused when an arm has no weight."""
    arm = np.ascontiguousarray(treated, dtype=np.bool_)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not ((w >= 0) & np.isfinite(w)).all():
        raise DesignError("design.weights", "weights must be 0 or more and not missing or infinite")
    one, zero = float(w[arm].sum()), float(w[~arm].sum())
    if not (one > 0 and zero > 0):
        raise DesignError("design.empty_arm", "one arm has no occasion with weight: balance is undefined")
    share = np.where(arm, w / one, w / zero)
    return Arms(
        treated=arm,
        share=share,
        weight_treated=one,
        weight_comparison=zero,
        squares_treated=float((share[arm] ** 2).sum()),
        squares_comparison=float((share[~arm] ** 2).sum()),
    )


def finite_column(x: FloatArray, name: str) -> FloatArray:
    """One covariate (n,), contiguous; refused where a value is missing or infinite."""
    column = np.ascontiguousarray(x, dtype=np.float64)
    if not np.isfinite(column).all():
        raise DesignError("design.not_finite", f"{name} has missing or infinite values: its balance is undefined")
    return column


def _moments(x: FloatArray, arms: Arms) -> Moments:
    return Moments(*compiled_moments()(x, arms.treated, arms.share))


def _sd(raw: Moments, before: Arms, adjusted: Moments, after: Arms, estimand: Estimand) -> float:
    """Denominator for the estimand from one covariate's moments before and after adjustment."""
    one = _variance(raw.spread_treated, before.squares_treated, two_valued=raw.two_valued)
    zero = _variance(raw.spread_comparison, before.squares_comparison, two_valued=raw.two_valued)
    pooled = (one + zero) / 2
    match estimand:
        case "ATT":
            variance = one or pooled
        case "ATC":
            variance = zero or pooled
        case "ATE":
            variance = pooled
        case "ATO" | "ATM":
            variance = _joint_variance(adjusted, after) or pooled
    return float(np.sqrt(variance))


def _variance(spread: float, squares: float, *, two_valued: bool) -> float:
    """Variance from a mean squared deviation: as it is for two values, unbiased otherwise; 0 for a single row."""
    if two_valued:
        return spread
    return spread / (1 - squares) if 1 - squares > 1e-12 else 0.0


def _joint_variance(m: Moments, arms: Arms) -> float:
    """Weighted variance of both arms together."""
    share = arms.weight_treated / (arms.weight_treated + arms.weight_comparison)
    within = share * m.spread_treated + (1 - share) * m.spread_comparison
    between = share * (1 - share) * (m.offset_treated - m.offset_comparison) ** 2
    squares = share**2 * arms.squares_treated + (1 - share) ** 2 * arms.squares_comparison
    return _variance(within + between, squares, two_valued=m.two_valued)


def _variance_ratio(m: Moments, arms: Arms) -> float | None:
    """Variance of the treated over that of the comparisons; None for two values, or where it has no denominator."""
    if m.two_valued or max(arms.squares_treated, arms.squares_comparison) > 1 - 1e-12:
        return None
    one = _variance(m.spread_treated, arms.squares_treated, two_valued=False)
    zero = _variance(m.spread_comparison, arms.squares_comparison, two_valued=False)
    return one / zero if zero > 0 else None


def _ratio(difference: float, scale: float) -> float:
    """0 where there is nothing to scale by."""
    return difference / scale if scale > 0 else 0.0
