"""Newton's method for the partial and conditional likelihoods, which are concave, and columns fit for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.effect.contrast import Contrast, student
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SETTLED = 1e-9  # largest change still possible of a coefficient of a column of unit spread
LONGEST_STEP = 3.0  # of the same
ROUNDS = 30  # a likelihood with a maximum needs fewer than ten

Derivatives = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Columns of a likelihood without intercept, of spread 1 and mean 0 within strata.

    Attributes
    ----------
    x
        (n, r) the columns kept, standardised.
    scale
        (r,) what they were divided by.
    kept
        (p,) which of the given columns these are.
    """

    x: FloatArray
    scale: FloatArray
    kept: BoolArray

    def spread(self, values: FloatArray) -> FloatArray:
        """Values of the kept columns (r, ...) in their places (p, ...), NaN elsewhere."""
        full = np.full((self.kept.size, *values.shape[1:]), np.nan)
        full[self.kept] = values
        return full


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LikelihoodFit:
    """Coefficients at the maximum of a partial or conditional likelihood.

    Attributes
    ----------
    coefficients
        (p,) logarithms of hazard or odds ratios per unit of each column; NaN where aliased.
    model_covariance
        (p, p) inverse information, right when rows are independent and unweighted.
    covariance
        (p, p) robust to dependence within clusters, times G/(G - 1).
    contrasts
        Each coefficient asked for that is not aliased, with a robust standard error and degrees of freedom of t. For
        Cox's regression both are corrected for few and uneven clusters; for odds within sets they are `covariance`'s,
        and clusters - 1.
    log_likelihood, null_log_likelihood
        At the maximum and with all coefficients 0.
    n_events, n_clusters
        Events counted in the likelihood, and clusters among the rows that contribute to it.
    aliased
        Names of columns determined by earlier ones (within strata) and left out.
    """

    coefficients: FloatArray
    model_covariance: FloatArray
    covariance: FloatArray
    contrasts: tuple[Contrast, ...]
    log_likelihood: float
    null_log_likelihood: float
    n_events: int
    n_clusters: int
    aliased: tuple[str, ...]


def usable_columns(covariates: FloatArray, strata: IntArray | None) -> Columns:
    """Centre columns (n, p) within strata (n,) codes 0, 1, ..., scale them, and drop what earlier ones determine.

    Raises
    ------
    EstimationError
        ``estimation.not_finite``; ``estimation.not_estimable`` when no column varies within strata.
    """
    x = np.asarray(covariates, dtype=np.float64)
    if not np.isfinite(x).all():
        raise EstimationError("estimation.not_finite", "a covariate of a weighted row is missing")
    code = np.zeros(x.shape[0], dtype=np.int64) if strata is None else strata
    size = np.bincount(code)
    centred = np.empty_like(x)
    for j, column in enumerate(x.T):
        centred[:, j] = column - (np.bincount(code, weights=column) / size)[code]
    scale = np.sqrt(np.mean(centred**2, axis=0))
    centred[:, scale <= 1e-12 * np.abs(x).max(axis=0, initial=0.0)] = 0.0  # rounding of a constant
    kept = independent_columns(centred)
    if not kept.any():
        raise EstimationError(
            "estimation.not_estimable", "nothing varies among the rows compared: there is no ratio to estimate"
        )
    return Columns(x=centred[:, kept] / scale[kept], scale=scale[kept], kept=kept)


def maximise(
    derivatives: Derivatives, size: int, *, separates: Callable[[FloatArray], bool]
) -> tuple[FloatArray, float, FloatArray]:
    """Coefficients (size,) at the maximum, the log likelihood and the information there, starting from 0.

    Parameters
    ----------
    derivatives
        From coefficients to log likelihood, score (size,) and information (size, size).
    separates
        Whether the likelihood can only rise along a direction: asked of the last step when there is no convergence.

    Raises
    ------
    EstimationError
        ``estimation.monotone_likelihood``: some combination of the columns orders events perfectly and the likelihood
        has no maximum; ``estimation.not_estimable``: the information is singular; ``estimation.not_converged``.
    """
    beta: FloatArray = np.zeros(size)
    value, score, information = derivatives(beta)
    step: FloatArray = np.zeros(size)
    for _ in range(ROUNDS):
        if np.linalg.eigvalsh(information)[0] <= 1e-12 * max(1.0, float(np.abs(information).max())):
            break
        step = np.asarray(np.linalg.solve(information, score), dtype=np.float64)
        if np.abs(step).max() < SETTLED:
            return beta, value, information
        step = step * min(1.0, LONGEST_STEP / float(np.abs(step).max()))
        beta, (value, score, information) = _climbed(derivatives, beta, step, value)
    if step.any() and separates(step):
        raise EstimationError(
            "estimation.monotone_likelihood",
            "the columns order the events perfectly: the likelihood rises for ever and the ratio has no estimate",
            fix="adjust for fewer covariates, or report incidences only",
        )
    if not step.any():
        raise EstimationError(
            "estimation.not_estimable",
            "the events do not tell the effects of the columns apart",
            fix="adjust for fewer covariates",
        )
    raise EstimationError("estimation.not_converged", "the likelihood's maximum was not reached")


def _climbed(
    derivatives: Derivatives, beta: FloatArray, step: FloatArray, value: float
) -> tuple[FloatArray, tuple[float, FloatArray, FloatArray]]:
    """The first of beta + step, + step/2, ... at which the likelihood is not lower, rounding apart."""
    for halving in range(20):
        at = beta + step / 2**halving
        found = derivatives(at)
        if found[0] >= value - 1e-9 * max(1.0, abs(value)):
            return at, found
    raise EstimationError("estimation.not_converged", "the likelihood's maximum was not reached")


def robust_fit(
    columns: Columns,
    names: Sequence[str],
    beta: FloatArray,
    information: FloatArray,
    scores: FloatArray,
    clusters: IntArray,
    *,
    log_likelihood: float,
    null_log_likelihood: float,
    n_events: int,
    level: float,
    correction: tuple[FloatArray, FloatArray] | None = None,
) -> LikelihoodFit:
    """Fit in the units of the given columns, its covariance from the scores (m, r) of rows or sets by cluster (m,).

    `correction` holds a factor (r,) on the standard errors of the contrasts and their degrees of freedom (r,), NaN for
    columns without one; None for 1 and clusters - 1.
    """
    inverse = np.linalg.inv(information) / np.outer(columns.scale, columns.scale)
    code = np.unique(clusters, return_inverse=True)[1]
    groups = int(code.max()) + 1
    if groups < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    totals = np.column_stack([np.bincount(code, weights=column) for column in (scores * columns.scale).T])
    change = totals @ inverse
    covariance = groups / (groups - 1) * (change.T @ change)
    coefficients = beta / columns.scale
    factor, df = (np.ones_like(beta), np.full_like(beta, groups - 1)) if correction is None else correction
    errors = factor * np.sqrt(np.diag(covariance))
    kept = [name for name, stays in zip(names, columns.kept, strict=True) if stays]
    return LikelihoodFit(
        coefficients=columns.spread(coefficients),
        model_covariance=columns.spread(columns.spread(inverse).T),
        covariance=columns.spread(columns.spread(covariance).T),
        contrasts=tuple(
            student(name, float(value), float(error), float(freedom), level=level)
            for name, value, error, freedom in zip(kept, coefficients, errors, df, strict=True)
            if not np.isnan(freedom)
        ),
        log_likelihood=log_likelihood,
        null_log_likelihood=null_log_likelihood,
        n_events=n_events,
        n_clusters=groups,
        aliased=tuple(name for name, stays in zip(names, columns.kept, strict=True) if not stays),
    )
