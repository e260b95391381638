"""The covariate-balancing propensity score: a logistic model fitted so that its weights balance the groups exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.memory import MEMORY
from causal.design.weighting.terms import balance_terms, checked_arms
from causal.design.weighting.tilting import tilt, tilt_nuisance
from causal.design.weighting.weights import Weights

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
CbpsEstimand = Literal["ATT", "ATC", "ATE"]


def cbps_weights(
    covariates: FloatArray,
    treated: BoolArray,
    *,
    names: Sequence[str],
    estimand: CbpsEstimand = "ATT",
    nuisance: bool = True,
    memory: float = MEMORY,
) -> Weights:
    """Inverse-probability weights of the logistic model whose weighted groups have equal means of every covariate.

    Parameters
    ----------
    covariates, treated
        (n, p) finite values known before time zero, and (n,) arm W.
    names
        p names, for refusals.
    estimand
        With e the probability of the model: ``ATT``: comparisons are weighted ``e/(1 - e)`` to the means of the
        treated. ``ATC``: the reverse. ``ATE``: ``W/e + (1 - W)/(1 - e)``, which makes the two groups agree with each
        other, in numbers and means, though not exactly with everyone.
    nuisance
        Whether to return the estimating functions: what a standard error needs.
    memory
        Gigabytes allowed.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.constant_covariate``,
        ``design.memory``, ``design.cannot_balance`` naming the covariates in which the groups do not overlap,
        ``design.not_converged``.

    Notes
    -----
    Imai & Ratkovic (2014), JRSS-B 76:243-263, just identified. The moment conditions are the derivative of a convex
    function (Zhao 2019, Ann Stat 47:965-993), so they are solved exactly and not by minimising their squares. For the
    ATT they are the equations of entropy balancing of means, and the weights the same.

    >>> x, treated = np.array([[0.0], [1], [2], [1.5]]), np.array([False, False, False, True])
    >>> w = cbps_weights(x, treated, names=["age"]).weight
    >>> [round(float(np.average(x[arm, 0], weights=w[arm])), 9) for arm in (treated, ~treated)]
    [1.5, 1.5]
    """
    arm = checked_arms(treated)
    terms = balance_terms(covariates, names, memory=memory)
    start = np.zeros(len(terms.names))
    odds = float(np.log(arm.sum() / (~arm).sum()))
    if estimand == "ATE":
        # W/e - (1 - W)/(1 - e) = W(1 + exp(-x'beta)) - (1 - W)(1 + exp(x'beta)): with r = -x for the treated and x for
        # comparisons, sum exp(r'beta) r = -sum r.
        rows = terms.rows * np.where(arm, -1.0, 1.0)[:, None]
        share, base, task = np.full(arm.size, -1.0), np.ones(arm.size), "make the groups' means agree"
        start[0] = odds
    else:
        weighted = ~arm if estimand == "ATT" else arm
        rows, share, base = terms.rows, (~weighted).astype(np.float64), weighted.astype(np.float64)
        task = "give the weighted group the means of the other"
        start[0] = odds if estimand == "ATT" else -odds
    found = tilt(rows, share, base, start=start, names=terms.names, task=task)
    return Weights(
        weight=found.weight + (1.0 if estimand == "ATE" else share),
        estimand=estimand,
        estimand_note="",
        method="covariate-balancing propensity score",
        nuisance=tilt_nuisance((found,)) if nuisance else None,
    )
