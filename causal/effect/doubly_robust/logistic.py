"""Weighted logistic regression of outcomes between 0 and 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from causal.design.propensity.columns import independent_columns
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SETTLED = 1e-10  # largest change of a log odds at the maximum
LARGEST = 30.0  # log odds no outcome can support: the likelihood rises for ever
ROUNDS = 100


def logistic_regression(
    design: FloatArray, outcome: FloatArray, weights: FloatArray | None = None
) -> tuple[FloatArray, BoolArray]:
    """Coefficients that maximise the weighted Bernoulli likelihood, by Newton's method with step halving.

    Parameters
    ----------
    design
        (n, k) columns, the intercept included.
    outcome
        (n,) between 0 and 1; fractions are allowed (the quasi-likelihood of Papke & Wooldridge 1996, J Appl Econom
        11:619-632).
    weights
        (n,) 0 or more; None for all 1.

    Returns
    -------
    (k,) coefficients, 0 for columns that earlier ones determine, and (k,) whether a column was kept.

    Raises
    ------
    EstimationError
        ``estimation.outcome_separated``: the covariates tell the outcomes apart, or all outcomes are the same.

    >>> beta, kept = logistic_regression(np.ones((4, 1)), np.array([0.0, 1, 1, 1]))
    >>> round(float(beta[0]), 6)  # log 3
    1.098612
    """
    w = np.ones(outcome.size) if weights is None else weights
    rows = w > 0
    x, y, w = design[rows], outcome[rows], w[rows] / w[rows].mean()
    kept = independent_columns(x)
    x = x[:, kept]
    beta, value = np.zeros(x.shape[1]), -np.inf
    for _ in range(ROUNDS):
        eta = x @ beta
        p = expit(eta)
        information = x.T @ (x * (w * p * (1 - p))[:, None])
        try:
            step = np.linalg.solve(information, x.T @ (w * (y - p)))
        except np.linalg.LinAlgError:
            break
        move = x @ step
        if not np.isfinite(move).all() or np.abs(eta).max() > LARGEST:
            break
        if np.abs(move).max() < SETTLED * max(1.0, float(np.abs(eta).max())):
            full = np.zeros(kept.size)
            full[kept] = beta + step
            return full, kept
        value = _log_likelihood(eta, y, w)
        share = 1.0
        while _log_likelihood(eta + share * move, y, w) < value - 1e-12 * abs(value) and share > 1e-6:
            share /= 2
        beta = beta + share * step
    raise EstimationError(
        "estimation.outcome_separated",
        "the outcome model has no maximum: its covariates tell the outcomes apart, or all outcomes of an arm agree",
        fix="use fewer covariates, or a linear outcome model",
    )


def _log_likelihood(eta: FloatArray, y: FloatArray, w: FloatArray) -> float:
    return float(w @ (y * eta - np.logaddexp(0, eta)))
