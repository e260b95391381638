"""Generalised estimating equations: population-averaged means of correlated outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from causal.design.propensity.columns import independent_columns
from causal.effect.multilevel.small_sample import Correction, corrected_sandwich
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Family = Literal["gaussian", "binomial", "poisson"]
Correlation = Literal["independence", "exchangeable", "ar1"]

MOST_STEPS = 200
LARGEST_PREDICTOR = 30.0  # beyond it a logistic mean is 0 or 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EstimatingFit:
    """Solution of generalised estimating equations.

    Attributes
    ----------
    coefficients
        (k,) on the scale of the link: identity, logit, log.
    correlation
        Working correlation parameter; 0 under independence.
    scale
        Mean squared Pearson residual, or the value it was fixed at.
    rows, residual, starts
        (n, k) derivatives and (n,) residuals whitened by the working covariance (without the scale), in runs of
        clusters, and the first row of each.
    """

    coefficients: FloatArray
    correlation: float
    scale: float
    rows: FloatArray
    residual: FloatArray
    starts: IntArray

    def covariance(self, contrast: FloatArray, correction: Correction) -> tuple[FloatArray, float]:
        """Sandwich covariance (k, k), and degrees of freedom of ``contrast @ b``: see `corrected_sandwich`."""
        return corrected_sandwich(
            self.rows, self.residual, starts=self.starts, contrast=contrast, correction=correction
        )


def estimating_equations(
    design: FloatArray,
    outcome: FloatArray,
    *,
    clusters: IntArray,
    occasion: IntArray | None = None,
    family: Family = "gaussian",
    correlation: Correlation = "exchangeable",
    weights: FloatArray | None = None,
    scale: float | None = None,
) -> EstimatingFit:
    """Solve ``sum_g D_g' V_g^-1 (y_g - mu_g) = 0`` with moment estimates of scale and correlation.

    Parameters
    ----------
    design, outcome
        (n, k) independent columns, (n,) outcome: any, 0 to 1, or 0 and more by family. All finite.
    clusters, occasion
        (n,) codes, and whole numbers that order the rows of a cluster in time (ar1 only, each once in a cluster).
    family
        With its canonical link and variance function.
    correlation
        Between rows of a cluster: 0, a, or ``a^|difference of occasions|``.
    weights
        (n,) above 0, with independence only.
    scale
        Fixed value; None to estimate.

    Raises
    ------
    EstimationError
        ``estimation.not_finite``, ``estimation.weights``, ``estimation.weights_need_independence``,
        ``estimation.outcome_range``, ``estimation.no_variation``, ``estimation.collinear``,
        ``estimation.no_occasions``, ``estimation.working_correlation``, ``estimation.not_converged``.

    Notes
    -----
    Liang & Zeger (1986), Biometrika 73:13-22; moments as geepack estimates them (Halekoh, Højsgaard & Yan 2006, J Stat
    Softw 15:2): no degree of freedom is taken off, and every pair of rows of a cluster counts, also under ar1.

    >>> y, codes = np.array([1.0, 2, 4, 5]), np.array([0, 0, 1, 1])
    >>> fit = estimating_equations(np.ones((4, 1)), y, clusters=codes)
    >>> round(fit.coefficients.item(), 6), round(fit.correlation, 6)  # mean 3; residuals -2 and -1, 1 and 2
    (3.0, 0.8)
    """
    x, y, w = _usable(design, outcome, family, weights, correlation)
    times = np.zeros(y.size, dtype=np.int64) if occasion is None else np.asarray(occasion)
    order = np.lexsort([times, clusters])
    x, y, w, times, codes = x[order], y[order], w[order], times[order], np.asarray(clusters)[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    if correlation == "ar1" and (occasion is None or (np.diff(times)[np.diff(codes) == 0] == 0).any()):
        raise EstimationError(
            "estimation.no_occasions",
            "an autoregressive correlation needs an occasion for each row, each once in a cluster",
            fix="give the visit number of each row",
        )
    b: FloatArray = np.linalg.lstsq(x, _link((y + np.average(y, weights=w)) / 2, family))[0].astype(np.float64)
    for _ in range(MOST_STEPS):
        rows, pearson = _standardised(x, y, b, family)
        dispersion = float(np.average(pearson**2, weights=w)) if scale is None else scale
        if not dispersion > 1e-20 * float(y @ y) / y.size:
            raise EstimationError(
                "estimation.no_variation",
                "the covariates determine the outcome exactly",
                fix="describe, do not estimate",
            )
        a = _correlation(pearson / np.sqrt(dispersion), times, starts, correlation)
        both = np.column_stack([rows, pearson]) * np.sqrt(w)[:, None]
        white = _whitened(both, a, times, starts, correlation)
        step = np.linalg.lstsq(white[:, :-1], white[:, -1])[0]
        if not np.isfinite(step).all():
            break
        b = b + step
        if np.abs(x @ step).max() <= 1e-10 * (1 + np.abs(x @ b).max()):
            residual = white[:, -1] - white[:, :-1] @ step
            return EstimatingFit(
                coefficients=b, correlation=a, scale=dispersion, rows=white[:, :-1], residual=residual, starts=starts
            )
    raise EstimationError(
        "estimation.not_converged",
        "no solution of the estimating equations could be found",
        fix="see whether an arm or a covariate determines the outcome; adjust for fewer covariates",
    )


def _usable(
    design: FloatArray, outcome: FloatArray, family: Family, weights: FloatArray | None, correlation: Correlation
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Columns, outcome and weights as numbers, or a refusal."""
    x, y = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    w = np.ones(y.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EstimationError("estimation.not_finite", "the outcome or a covariate of a row is missing")
    if weights is not None and correlation != "independence":
        raise EstimationError(
            "estimation.weights_need_independence",
            f"weights and a working correlation ({correlation}) together have no meaning here",
            fix="ask for independence: the standard errors allow for any correlation within clusters",
        )
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise EstimationError("estimation.weights", "weights must be above 0, finite and not missing")
    if (family == "binomial" and not ((y >= 0) & (y <= 1)).all()) or (family == "poisson" and not (y >= 0).all()):
        raise EstimationError(
            "estimation.outcome_range", f"the outcome holds values that a {family} outcome cannot take"
        )
    if np.ptp(y) == 0:
        raise EstimationError("estimation.no_variation", "the outcome has one value only", fix="describe it")
    if not independent_columns(x).all():
        raise EstimationError(
            "estimation.collinear",
            "a fixed column is determined by the columns before it",
            fix="remove the covariate that determines it in this sample",
        )
    return x, y, w


def _link(mean: FloatArray, family: Family) -> FloatArray:
    """Linear predictor of a mean."""
    if family == "gaussian":
        return mean
    return np.asarray(logit(mean) if family == "binomial" else np.log(mean))


def _standardised(x: FloatArray, y: FloatArray, b: FloatArray, family: Family) -> tuple[FloatArray, FloatArray]:
    """Derivatives (n, k) of the means and residuals (n,), each divided by the root of the variance function.

    With a canonical link the derivative by the predictor is the variance, so that its root is left.
    """
    predictor = x @ b
    if family == "gaussian":
        return x, y - predictor
    bounded = np.clip(predictor, -LARGEST_PREDICTOR, LARGEST_PREDICTOR)
    mean = expit(bounded) if family == "binomial" else np.exp(bounded)
    root = np.sqrt(mean * expit(-bounded) if family == "binomial" else mean)
    return x * root[:, None], (y - mean) / root


def _correlation(pearson: FloatArray, times: IntArray, starts: IntArray, kind: Correlation) -> float:
    """Moment estimate from the products of all pairs of a cluster's standardised residuals."""
    if kind == "independence":
        return 0.0
    sizes = np.diff(np.r_[starts, pearson.size])
    if sizes.max() < 2:
        raise EstimationError(
            "estimation.singletons_only",
            "every cluster holds one row only: there is no correlation within clusters to estimate",
            fix="ask for independence",
        )
    if kind == "exchangeable":
        twice = np.add.reduceat(pearson, starts) ** 2 - np.add.reduceat(pearson**2, starts)
        found = float(twice.sum() / (sizes * (sizes - 1)).sum())
        least = -1.0 / (float(sizes.max()) - 1)
    else:
        found, least = _autoregressive(*_by_lag(pearson, times, starts)), -1.0
    if not least < found < 1:
        raise EstimationError(
            "estimation.working_correlation",
            f"the {kind} correlation found is outside what is possible for clusters of these sizes",
            fix="ask for independence",
        )
    return found


def _by_lag(pearson: FloatArray, times: IntArray, starts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Number of pairs and sum of their products, at each difference of occasions from 1 on."""
    cluster = np.repeat(np.arange(starts.size), np.diff(np.r_[starts, pearson.size]))
    lags: list[IntArray] = []
    products: list[FloatArray] = []
    for apart in range(1, int(np.diff(np.r_[starts, pearson.size]).max())):
        pair = cluster[apart:] == cluster[:-apart]
        lags.append((times[apart:] - times[:-apart])[pair])
        products.append((pearson[apart:] * pearson[:-apart])[pair])
    lag = np.concatenate(lags)
    sums = np.bincount(lag, weights=np.concatenate(products))[1:]
    return np.bincount(lag)[1:].astype(np.float64), sums.astype(np.float64)


def _autoregressive(pairs: FloatArray, products: FloatArray) -> float:
    """Least squares of the products on ``a^lag``: the root of ``sum lag a^(lag-1) (product - a^lag)`` from above."""
    lag = np.arange(1, pairs.size + 1)

    def equation(a: float) -> float:
        return float((lag * a ** (lag - 1.0) * (products - pairs * a**lag)).sum())

    grid = np.linspace(1, -1, 401)
    signs = np.sign([equation(float(a)) for a in grid])
    first = int(np.argmax(signs > 0))
    if first == 0:
        return 1.0 if signs[0] > 0 else -1.0
    return float(brentq(equation, grid[first], grid[first - 1], xtol=1e-15))


def _whitened(x: FloatArray, a: float, times: IntArray, starts: IntArray, kind: Correlation) -> FloatArray:
    """Rows (n, c) times a root of the inverse working correlation of their cluster."""
    if kind == "independence":
        return x
    sizes = np.diff(np.r_[starts, x.shape[0]])
    if kind == "exchangeable":
        share = 1 - np.sqrt((1 - a) / (1 - a + sizes * a))
        means = np.add.reduceat(x, starts) / sizes[:, None]
        return np.asarray((x - np.repeat(share[:, None] * means, sizes, axis=0)) / np.sqrt(1 - a))
    before = np.roll(x, 1, axis=0)
    apart = np.diff(times, prepend=0)
    apart[starts] = 1
    kept = a ** apart.astype(np.float64)
    kept[starts] = 0.0
    return np.asarray((x - kept[:, None] * before) / np.sqrt(1 - kept**2)[:, None])
