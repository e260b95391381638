"""What a design of this size can detect, before any outcome is seen."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from causal.errors import DesignError


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
    """Smallest true difference, in standard deviations of the outcome, found with the given power.

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
    ``n(1 - a1) - 2`` degrees of freedom. Multiply by the outcome's SD for its own units.

    Raises
    ------
    DesignError
        ``design.too_few_cases`` when no degree of freedom is left, ``design.power_inputs`` for impossible inputs.

    Notes
    -----
    Bloom (1995), Eval Rev 19:547-556, with the usual design effect for clusters.

    >>> round(minimum_detectable_effect(100, ratio=2, attrition_treated=.35, attrition_comparison=.25, r2=.5,
    ...                                 icc=.05, per_cluster=2), 2)
    0.31
    """
    shares = (attrition_treated, attrition_comparison, r2)
    if not (all(0 <= share < 1 for share in shares) and 0 <= icc <= 1 and ratio > 0 and per_cluster >= 1):
        raise DesignError("design.power_inputs", "shares must lie in [0, 1), the ratio above 0, clusters at 1 or more")
    if not (0 < alpha < 1 and 0 < power < 1):
        raise DesignError("design.power_inputs", f"power and alpha must lie in (0, 1), got {power:g} and {alpha:g}")
    seen = n_cases * (1 - attrition_treated)
    if not seen - 2 > 0:
        raise DesignError("design.too_few_cases", "so few treated occasions leave no degrees of freedom")
    variance = (1 - r2) * (1 / seen + 1 / (n_cases * ratio * (1 - attrition_comparison)))
    quantiles = stdtrit(seen - 2, 1 - alpha / 2) + stdtrit(seen - 2, power)
    return float(quantiles * np.sqrt(variance * (1 + (per_cluster - 1) * icc)))
