"""Draws of regression coefficients from their posterior, for many imputed sets at once.

Imputation is proper only if each set is imputed from its own draw of the parameters. Every function takes M stacked
problems, one per imputed set, and draws once for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.errors import EstimationError

FloatArray = NDArray[np.float64]

PRIOR_SD = 2.5  # of a logistic slope per standard deviation of its column
PRIOR_SD_INTERCEPT = 10.0
NEWTON_STEPS = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearDraw:
    """Linear regression of M sets: least-squares estimates (M, k), draws (M, k) and residual SD draws (M,)."""

    estimate: FloatArray
    drawn: FloatArray
    sigma: FloatArray


def draw_linear(
    gram: FloatArray, cross: FloatArray, square: FloatArray, rows: int, rng: np.random.Generator, *, ridge: float
) -> LinearDraw:
    """Draw coefficients and residual standard deviation under the prior ``1/sigma^2``.

    Parameters
    ----------
    gram, cross, square
        (M, k, k) ``X'X``, (M, k) ``X'y`` and (M,) ``y'y``, columns of about unit length per row.
    rows
        n, more than k.
    ridge
        Times the diagonal of `gram`, added to it, so that nearly repeated columns share a coefficient.

    Raises
    ------
    EstimationError
        ``estimation.no_variation``: `gram` is singular in spite of the ridge, as with a column of zeros.

    Notes
    -----
    ``sigma^2 = RSS/chi2(n - k)``, ``beta = estimate + sigma (X'X)^(-1/2) z``: Rubin (1987), 5.3; van Buuren (2018),
    Flexible Imputation of Missing Data, algorithm 3.1.
    """
    m, k = cross.shape
    diagonal = np.arange(k)
    stable = gram.copy()
    stable[:, diagonal, diagonal] *= 1 + ridge
    try:
        root = np.linalg.cholesky(stable)
    except np.linalg.LinAlgError as singular:
        raise EstimationError(
            "estimation.no_variation",
            "the predictors of an imputation model do not vary, or determine one another",
            fix="name fewer predictors",
        ) from singular
    estimate = np.asarray(np.linalg.solve(stable, cross[..., None])[..., 0], dtype=np.float64)
    fitted = np.einsum("mk,mkl,ml->m", estimate, gram, estimate)
    rest = np.maximum(square - 2 * np.einsum("mk,mk->m", estimate, cross) + fitted, 0.0)
    sigma = np.sqrt(rest / rng.chisquare(rows - k, size=m))
    noise = np.linalg.solve(root.swapaxes(1, 2), rng.standard_normal((m, k, 1)))[..., 0]
    return LinearDraw(estimate=estimate, drawn=estimate + sigma[:, None] * noise, sigma=sigma)


def draw_logistic(
    x: FloatArray, events: FloatArray, rng: np.random.Generator, *, mode: FloatArray | None = None
) -> FloatArray:
    """Draw logistic coefficients (M, k) from the normal approximation of their posterior.

    Parameters
    ----------
    x
        (M, n, k), the first column of ones, the others standardised.
    events
        (n,) 0 or 1, the same in all sets.
    mode
        (M, k) where the search for the mode begins, overwritten by where it ends; 0 where not given.

    Notes
    -----
    Slopes have the weak prior N(0, 2.5^2), which keeps them finite where a column separates the events; compare the
    Cauchy prior of Gelman et al. (2008), Ann Appl Stat 2:1360-1383. Mode by Newton's method.
    """
    m, _, k = x.shape
    prior = np.full(k, PRIOR_SD**-2)
    prior[0] = PRIOR_SD_INTERCEPT**-2
    beta = np.zeros((m, k)) if mode is None else mode.copy()
    for _ in range(NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(np.matmul(x, beta[..., None])[..., 0], -500, 500)))
        score = np.matmul((events - probability)[:, None, :], x)[:, 0] - prior * beta
        weighted = x * (probability * (1 - probability))[..., None]
        information = np.matmul(x.swapaxes(1, 2), weighted) + np.diag(prior)
        step = np.linalg.solve(information, score[..., None])[..., 0]
        beta = beta + step * np.minimum(1.0, 5.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-300))
        if np.abs(step).max() < 1e-8:
            break
    if mode is not None:
        mode[:] = beta
    root = np.linalg.cholesky(information)
    noise = np.linalg.solve(root.swapaxes(1, 2), rng.standard_normal((m, k, 1)))[..., 0]
    return np.asarray(beta + noise, dtype=np.float64)
