"""What a design of this size can detect, before any outcome is seen: as planned, and as it turned out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from causal.design.weighting.weights import effective_sample_size
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSize:
    """What a comparison is worth: effective occasions by arm, and the mean size of clusters seen from within.

    ``per_cluster_*`` is ``sum_c (sum_i w)^2 / sum_i w^2`` over an arm's clusters c: for equal weights the mean number
    of the arm's occasions in an occasion's own cluster, itself included.
    """

    ess_treated: float
    ess_comparison: float
    per_cluster_treated: float = 1.0
    per_cluster_comparison: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePlan:
    """What is assumed of one outcome before it is seen.

    Attributes
    ----------
    name
        The outcome.
    sd
        SD of one rating in the outcome's units; ignored for yes-or-no outcomes.
    risk
        For a yes-or-no outcome its expected share among comparisons, else None.
    attrition_treated, attrition_comparison
        Shares of each arm whose outcome is expected to be missing.
    r2
        Share of variance explained by the covariates of the outcome model, beyond sets and baseline ratings.
    icc
        Correlation of outcomes within a cluster (clinician).
    set_correlation
        Correlation of outcomes within a matched set, beyond what the covariates explain.
    visits, baselines, visit_correlation
        Ratings averaged after time zero, ratings before it that are adjusted for, and the correlation of any two.
    """

    name: str
    sd: float = 1.0
    risk: float | None = None
    attrition_treated: float = 0.0
    attrition_comparison: float = 0.0
    r2: float = 0.0
    icc: float = 0.0
    set_correlation: float = 0.0
    visits: int = 1
    baselines: int = 0
    visit_correlation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no outcome can be."""
        shares = (self.attrition_treated, self.attrition_comparison, self.r2)
        correlations = (self.icc, self.set_correlation, self.visit_correlation)
        if not (all(0 <= share < 1 for share in shares) and all(0 <= one <= 1 for one in correlations)):
            raise _inputs("shares must lie in [0, 1) and correlations in [0, 1]")
        if not (self.visits >= 1 and self.baselines >= 0 and self.sd > 0):
            raise _inputs("an outcome needs one visit or more, no negative number of baselines, an SD above 0")
        if self.risk is not None and not (0 < self.risk < 1 and self.visits == 1 and self.baselines == 0):
            raise _inputs("the risk of a yes-or-no outcome lies between 0 and 1, and it is seen once")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectableEffect:
    """Smallest true effect on one outcome found with the power asked for.

    ``in_sd`` is in standard deviations, ``in_units`` in the outcome's units (for a yes-or-no outcome the rise in risk);
    both None where not even certainty among the treated could be told from the risk among comparisons.
    """

    name: str
    in_sd: float | None
    in_units: float | None
    df: float


def design_size(treated: BoolArray, weights: FloatArray, clusters: IntArray) -> DesignSize:
    """Worth of the comparison actually obtained.

    Parameters
    ----------
    treated, weights
        (n,) arm and weight, one row per occasion (one used in several sets carries its summed weight).
    clusters
        (n,) codes of clusters (clinicians) from 0.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when an arm has no weight.

    >>> design_size(np.array([True, True, False, False]), np.ones(4), np.array([0, 0, 1, 2]))
    DesignSize(ess_treated=2.0, ess_comparison=2.0, per_cluster_treated=2.0, per_cluster_comparison=1.0)
    """
    arm, w = np.asarray(treated, dtype=np.bool_), np.asarray(weights, dtype=np.float64)
    sizes = [
        float((np.bincount(clusters[side], weights=w[side]) ** 2).sum() / (w[side] ** 2).sum())
        if (w[side] > 0).any()
        else 0.0
        for side in (arm, ~arm)
    ]
    return DesignSize(
        ess_treated=effective_sample_size(w[arm]),
        ess_comparison=effective_sample_size(w[~arm]),
        per_cluster_treated=sizes[0],
        per_cluster_comparison=sizes[1],
    )


def detectable_effect(
    size: DesignSize, plan: OutcomePlan, *, power: float = 0.8, alpha: float = 0.05, df: float | None = None
) -> DetectableEffect:
    """Smallest true effect on an outcome that the comparison finds with the given power.

    Parameters
    ----------
    size, plan
        The comparison as obtained, and what is assumed of the outcome.
    power, alpha
        Probability of detection, and two-sided size of the test.
    df
        Degrees of freedom; None for those of a t test on the treated seen, ``ess (1 - attrition) - 2``. Fewer where
        clusters are few; infinity for normal quantiles.

    Returns
    -------
    ``(t[1-alpha/2] + t[power]) sqrt(v1 + v0)`` standard deviations with, for each arm of effective size n,

    ``v = (1 - r2) visits ((1 + (c - 1) icc) / (n (1 - attrition)) - set_correlation / n)``,

    ``visits = (1 + (m - 1) rho) / m - b rho^2 / (1 + (b - 1) rho)`` for m ratings after and b before time zero. For a
    yes-or-no outcome the v are weighted by each arm's own ``p (1 - p)``, and the rise in risk solves the equation.

    Raises
    ------
    DesignError
        ``design.too_few_cases`` when no degree of freedom is left, ``design.power_inputs`` for impossible inputs.

    Notes
    -----
    Bloom (1995), Eval Rev 19:547-556. Clusters: Kish's design effect with the mean size that weights imply (Kerry &
    Bland 2001, Stat Med 20:377-390), by arm; cautious, since clusters with both arms take part of it back. Sets: every
    set weighs both arms alike, so what its members share cancels; attrition does not thin these covariances. Ratings:
    Frison & Pocock (1992), Stat Med 11:1685-1704, analysis of covariance under equal correlations.

    >>> size = DesignSize(ess_treated=100, ess_comparison=200, per_cluster_treated=2, per_cluster_comparison=2)
    >>> plan = OutcomePlan(name="alliance", sd=0.7, attrition_treated=.35, attrition_comparison=.25, r2=.5, icc=.05)
    >>> found = detectable_effect(size, plan)
    >>> round(found.in_sd, 2), round(found.in_units, 2)
    (0.31, 0.21)
    """
    if not (0 < alpha < 1 and 0 < power < 1):
        raise _inputs(f"power and alpha must lie in (0, 1), got {power:g} and {alpha:g}")
    if not (size.ess_comparison > 0 and min(size.per_cluster_treated, size.per_cluster_comparison) >= 1 - 1e-9):
        raise _inputs("the comparisons must be more than none and clusters at 1 or more")
    freedom = size.ess_treated * (1 - plan.attrition_treated) - 2 if df is None else df
    if not freedom > 0:
        raise DesignError("design.too_few_cases", "so few treated occasions leave no degrees of freedom")
    quantiles = _quantile(freedom, 1 - alpha / 2) + _quantile(freedom, power)
    one = _variance(size.ess_treated, plan.attrition_treated, size.per_cluster_treated, plan)
    zero = _variance(size.ess_comparison, plan.attrition_comparison, size.per_cluster_comparison, plan)
    if plan.risk is None:
        in_sd = quantiles * float(np.sqrt(one + zero))
        return DetectableEffect(name=plan.name, in_sd=in_sd, in_units=in_sd * plan.sd, df=freedom)
    rise = _rise(plan.risk, one, zero, quantiles)
    in_sds = None if rise is None else rise / float(np.sqrt(plan.risk * (1 - plan.risk)))
    return DetectableEffect(name=plan.name, in_sd=in_sds, in_units=rise, df=freedom)


def minimum_detectable_effect(
    n_cases: float,
    *,
    ratio: float,
    attrition_treated: float,
    attrition_comparison: float,
    r2: float,
    icc: float,
    per_cluster: float,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """Smallest true difference, in standard deviations of the outcome, that a plan finds with the given power.

    Parameters
    ----------
    n_cases
        Matched treated occasions: expected treated occasions times the share expected to be matched.
    ratio
        Comparisons per treated occasion.
    attrition_treated, attrition_comparison
        Shares of each arm whose outcome is expected to be missing.
    r2
        Share of the outcome's variance explained by the covariates of the outcome model.
    icc, per_cluster
        Correlation of outcomes within a cluster (clinician), and treated occasions per cluster.
    power, alpha
        Probability of detection, and two-sided size of the test.

    Returns
    -------
    ``(t[1-alpha/2] + t[power]) sqrt((1 - r2)(1/(n(1-a1)) + 1/(n m(1-a0)))(1 + (c - 1) icc))`` with
    ``n(1 - a1) - 2`` degrees of freedom: `detectable_effect` for sets of equal size. Multiply by the outcome's SD for
    its own units.

    Raises
    ------
    DesignError
        ``design.too_few_cases`` when no degree of freedom is left, ``design.power_inputs`` for impossible inputs.

    >>> round(minimum_detectable_effect(100, ratio=2, attrition_treated=.35, attrition_comparison=.25, r2=.5,
    ...                                 icc=.05, per_cluster=2), 2)
    0.31
    """
    size = DesignSize(
        ess_treated=n_cases,
        ess_comparison=n_cases * ratio,
        per_cluster_treated=per_cluster,
        per_cluster_comparison=per_cluster,
    )
    plan = OutcomePlan(
        name="plan",
        attrition_treated=attrition_treated,
        attrition_comparison=attrition_comparison,
        r2=r2,
        icc=icc,
    )
    found = detectable_effect(size, plan, power=power, alpha=alpha).in_sd
    assert found is not None  # only a yes-or-no outcome may be out of reach
    return found


def _variance(n: float, attrition: float, per_cluster: float, plan: OutcomePlan) -> float:
    """Variance of one arm's mean, in squared standard deviations of a single rating."""
    m, b, rho = plan.visits, plan.baselines, plan.visit_correlation
    visits = (1 + (m - 1) * rho) / m - (b * rho**2 / (1 + (b - 1) * rho) if b else 0.0)
    clustered = (1 + (per_cluster - 1) * plan.icc) / (n * (1 - attrition))
    return (1 - plan.r2) * visits * (clustered - plan.set_correlation / n)


def _rise(risk: float, one: float, zero: float, quantiles: float) -> float | None:
    """Smallest rise in risk found, given both arms' variances in units of p(1 - p); None where there is none."""

    def short(rise: float) -> float:
        p = risk + rise
        return quantiles * float(np.sqrt(max(one * p * (1 - p), 0.0) + zero * risk * (1 - risk))) - rise

    return None if short(1 - risk) > 0 else float(brentq(short, 0.0, 1 - risk, xtol=1e-12))


def _quantile(df: float, p: float) -> float:
    return float(ndtri(p) if np.isinf(df) else stdtrit(df, p))


def _inputs(message: str) -> DesignError:
    return DesignError("design.power_inputs", message)
