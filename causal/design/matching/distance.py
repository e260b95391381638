"""Covariate distances as coordinates: covariates transformed so that squared distances are sums of squares.

Every distance here is ``d(a, b)^2 = (z_a - z_b)' S^-1 (z_a - z_b)`` for scaled covariates z and a scale matrix S. With
``S = L L'`` and coordinates ``L^-1 z`` it is the plain Euclidean distance, which is all a search has to know.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.pairing import refuse_arms
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Covariance = Literal["pooled_within", "whole", "comparison"]

ALIASED = 1e-8  # share of the largest eigenvalue below which a direction counts as having no variance


def mahalanobis_coordinates(
    x: FloatArray, treated: BoolArray, *, covariance: Covariance = "pooled_within"
) -> FloatArray:
    """Coordinates whose Euclidean distance is the Mahalanobis distance.

    Parameters
    ----------
    x
        (n, p) finite covariates, in any units.
    treated
        (n,) arm.
    covariance
        ``pooled_within``: deviations from the arms' own means, over n - 2 (Rubin 1980; MatchIt's and optmatch's
        "mahalanobis"): differences between the arms do not pass for spread. ``whole``: of all occasions, over n - 1.
        ``comparison``: of the comparison occasions, over n0 - 1.

    Returns
    -------
    (n, q) coordinates in standard deviations, q the columns that vary.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``; ``design.no_spread`` if no covariate
        varies where the covariance is taken.

    Notes
    -----
    Mahalanobis (1936); Rubin (1980), Biometrics 36:293-298. Columns that are constant, or combinations of others, add
    nothing: a singular covariance is inverted on its range (Moore-Penrose), after every column was divided by its
    standard deviation so that units do not matter. So do indicators of all levels of a category: the distance is that
    of all but one, whichever that is. Directions without variance where the covariance is taken are
    ignored, also if the arms differ in them. Occasions with equal covariates have exactly equal coordinates.

    >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])  # variance 4/3 each, uncorrelated
    >>> z = mahalanobis_coordinates(x, np.array([True, False, False, False]), covariance="whole")
    >>> float(((z[0] - z[1]) ** 2).sum().round(12)), float(((z[0] - z[3]) ** 2).sum().round(12))
    (3.0, 6.0)
    """
    z, case = _standardised(x, treated)
    return _whitened(z, _covariance(z, case, covariance))


def rank_mahalanobis_coordinates(x: FloatArray) -> FloatArray:
    """Coordinates whose Euclidean distance is Rosenbaum's robust, rank-based Mahalanobis distance.

    Parameters
    ----------
    x
        (n, p) finite covariates; only the order of the values in each column matters.

    Returns
    -------
    (n, q) coordinates in standard deviations of untied ranks, q the columns that vary.

    Raises
    ------
    DesignError
        ``design.not_finite``; ``design.no_spread`` if no covariate varies.

    Notes
    -----
    Rosenbaum (2010), Design of Observational Studies, section 8.3: each column is replaced by its ranks among all n
    occasions, ties averaged, so that no outlier stretches the scale; the covariance of the ranks is rescaled so that
    each has the variance of untied ranks, n(n + 1)/12, so that a rare binary covariate does not count for more
    because it varies little. A singular matrix is inverted on its range (Moore-Penrose). Constant columns add nothing.

    >>> z = rank_mahalanobis_coordinates(np.array([[1.0], [10.0], [10.0], [1e6]]))  # ranks 1, 2.5, 2.5, 4
    >>> ((z - z[0]) ** 2 * 20 / 12).round(12).ravel().tolist()  # 4 x 5 / 12: variance of 1, 2, 3, 4
    [0.0, 2.25, 2.25, 9.0]
    """
    values = _finite(x)
    varying = _varying(values)
    ranks = np.column_stack([_midranks(column) for column in values[:, varying].T])
    n = ranks.shape[0]
    ranks = np.asfortranarray((ranks - (n + 1) / 2) / np.sqrt(n * (n + 1) / 12))
    return _whitened(ranks, np.atleast_2d(np.corrcoef(ranks, rowvar=False)))


def scaled_euclidean_coordinates(
    x: FloatArray, treated: BoolArray, *, covariance: Covariance = "pooled_within"
) -> FloatArray:
    """Covariates in standard deviations, correlations ignored: arguments and refusals of `mahalanobis_coordinates`.

    Two covariates that say the same count twice. MatchIt's "scaled_euclidean" is this but for binary covariates, where
    it takes p(1 - p) for the variance.

    >>> x = np.array([[0.0, 0.0], [2.0, 20.0], [2.0, 20.0], [0.0, 0.0]])
    >>> z = scaled_euclidean_coordinates(x, np.array([True, False, False, False]), covariance="whole")
    >>> float(((z[0] - z[1]) ** 2).sum().round(12))  # 4 / (4/3), twice
    6.0
    """
    z, case = _standardised(x, treated)
    return _whitened(z, np.diag(np.diag(_covariance(z, case, covariance))))


def _finite(x: FloatArray) -> FloatArray:
    """Covariates as an array (n, p), columns contiguous."""
    values = np.asfortranarray(x, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"covariates form an array of n rows and p columns, got {values.ndim} dimensions")
    if not np.isfinite(values).all():
        raise DesignError(
            "design.not_finite",
            "a covariate of the distance is missing or infinite",
            fix="declare how missing values of these covariates are handled",
        )
    return values


def _varying(values: FloatArray) -> BoolArray:
    """Which columns vary; a refusal if none does."""
    varying = np.zeros(values.shape[1], dtype=np.bool_) if values.shape[0] == 0 else np.ptp(values, axis=0) > 0
    if not varying.any():
        raise _no_spread()
    return np.asarray(varying, dtype=np.bool_)


def _standardised(x: FloatArray, treated: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Varying columns with mean 0 and standard deviation 1 over all occasions, and the arm."""
    values, case = _finite(x), np.asarray(treated, dtype=np.bool_)
    refuse_arms(case)
    values = values[:, _varying(values)]
    values = values - values.mean(axis=0)
    values /= np.abs(values).max(axis=0)  # first to one, so that squares of huge or tiny values stay finite
    return np.asfortranarray(values / values.std(axis=0, ddof=1)), case


def _covariance(z: FloatArray, case: BoolArray, kind: Covariance) -> FloatArray:
    """Covariance matrix (p, p) of columns over the occasions named."""
    if kind == "pooled_within":
        arms = [z[arm] - z[arm].mean(axis=0) for arm in (case, ~case)]
        scatter, df = arms[0].T @ arms[0] + arms[1].T @ arms[1], case.size - 2
    else:
        rows = {"whole": z, "comparison": z[~case]}[kind]
        rows = rows - rows.mean(axis=0)
        scatter, df = rows.T @ rows, rows.shape[0] - 1
    if df < 1 or not np.diag(scatter).max() > ALIASED * df:
        raise _no_spread()
    return np.asarray(scatter / df, dtype=np.float64)


def _no_spread() -> DesignError:
    return DesignError(
        "design.no_spread",
        "no covariate of the distance varies where its covariance is taken",
        fix="name covariates that vary within the arms",
    )


def _midranks(column: FloatArray) -> FloatArray:
    """Ranks 1, ..., n, tied values sharing the mean of theirs."""
    order = np.argsort(column)
    ordered = column[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    count = np.diff(np.r_[first, column.size])
    rank = np.empty(column.size)
    rank[order] = np.repeat(first + (count + 1) / 2, count)
    return rank


def _whitened(z: FloatArray, scale: FloatArray) -> FloatArray:
    """Coordinates (n, p) with ``d(a, b)^2 = (z_a - z_b)' scale^+ (z_a - z_b)``, scale symmetric (p, p).

    Both roots are unique and continuous: Cholesky's factor, and where the scale is singular the symmetric root, which
    no choice among eigenvectors of equal values enters. Summed column by column in a fixed order: rows with equal
    values get equal coordinates wherever they stand.
    """
    from scipy.linalg import solve_triangular

    values, vectors = np.linalg.eigh(scale)
    kept = values > ALIASED * values[-1]
    if kept.all():
        weights = solve_triangular(np.linalg.cholesky(scale), np.eye(kept.size), lower=True)
    else:
        weights = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    coordinates = np.zeros((z.shape[0], weights.shape[0]), order="F")
    for k, j in np.argwhere(weights != 0):
        coordinates[:, k] += weights[k, j] * z[:, j]
    return np.ascontiguousarray(coordinates)
