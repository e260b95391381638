"""Shapes the residual covariance of T visits may take, with first and second derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Structure = Literal[
    "unstructured",
    "toeplitz",
    "toeplitz_heterogeneous",
    "ar1",
    "ar1_heterogeneous",
    "compound_symmetry",
    "compound_symmetry_heterogeneous",
]
STRUCTURES: tuple[Structure, ...] = get_args(Structure)
ROOM = 1e-4  # least eigenvalue of the correlations that the search starts from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """A covariance of T visits and its derivatives with respect to its K parameters.

    Attributes
    ----------
    value
        (T, T), in squared units of the score; positive definite only where the parameters make it so.
    first, second
        (K, T, T) and (K, K, T, T).
    """

    value: FloatArray
    first: FloatArray
    second: FloatArray


def covariance(structure: Structure, theta: FloatArray, n_visits: int) -> Covariance:
    """Covariance ``D R D`` of standard deviations D and correlations R.

    Parameters
    ----------
    structure
        Correlations free, by lag (Toeplitz), powers of the lag (first-order autoregressive, by position of the visit
        and not by day) or all equal (compound symmetry); one standard deviation, or with ``_heterogeneous`` and when
        unstructured one per visit.
    theta
        (K,) logarithms of the standard deviations, then correlations.
    n_visits
        T.

    >>> covariance("ar1", np.array([np.log(2), 0.5]), 3).value.round(6).tolist()
    [[4.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 4.0]]
    """
    spread = _spread(structure, n_visits)
    m = spread.shape[1]
    sd = np.exp(spread @ theta[:m])
    scale = np.outer(sd, sd)
    correlation, first, second = _correlation(structure, theta[m:], n_visits)
    value = scale * correlation
    both = (spread[:, None, :] + spread[None, :, :]).transpose(2, 0, 1)  # (m, T, T): d log(D_s D_t) / d log sd
    curvature = np.zeros((theta.size, theta.size, n_visits, n_visits))
    curvature[:m, :m] = both[:, None] * both * value
    curvature[:m, m:] = both[:, None] * (scale * first)
    curvature[m:, :m] = curvature[:m, m:].transpose(1, 0, 2, 3)
    curvature[m:, m:] = scale * second
    return Covariance(value=value, first=np.concatenate([both * value, scale * first]), second=curvature)


def starting_values(structure: Structure, moments: FloatArray) -> FloatArray:
    """Parameters (K,) near the pairwise covariances (T, T), correlations drawn to 0 until they hold together.

    >>> starting_values("compound_symmetry", np.array([[4.0, 2], [2, 4]])).round(6).tolist()
    [0.693147, 0.5]
    """
    n_visits = moments.shape[0]
    spread = _spread(structure, n_visits)
    log_sd = np.log(np.diag(moments)) / 2
    sd = np.exp(log_sd)
    basis = _lags(n_visits)[:1] if structure.startswith("ar1") else _basis(structure, n_visits)
    correlation = moments / np.outer(sd, sd)
    phi = (basis * correlation).sum(axis=(1, 2)) / basis.sum(axis=(1, 2))
    while np.linalg.eigvalsh(_correlation(structure, phi, n_visits)[0])[0] < ROOM:
        phi = 0.9 * phi
    return np.concatenate([(log_sd @ spread) / spread.sum(axis=0), phi])


def _spread(structure: Structure, n_visits: int) -> FloatArray:
    """Which standard deviation each visit has (T, m)."""
    one_each = structure == "unstructured" or structure.endswith("heterogeneous")
    return np.eye(n_visits) if one_each else np.ones((n_visits, 1))


def _correlation(structure: Structure, phi: FloatArray, n_visits: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Correlations (T, T) and their first (k, T, T) and second (k, k, T, T) derivatives."""
    if structure.startswith("ar1"):
        lag = np.abs(np.subtract.outer(np.arange(n_visits), np.arange(n_visits)))
        rho = phi[0]
        first = lag * rho ** np.maximum(lag - 1, 0)
        second = lag * (lag - 1) * rho ** np.maximum(lag - 2, 0)
        return rho**lag, first[None], second[None, None]
    basis = _basis(structure, n_visits)
    k = basis.shape[0]
    return np.eye(n_visits) + np.tensordot(phi, basis, 1), basis, np.zeros((k, k, n_visits, n_visits))


def _basis(structure: Structure, n_visits: int) -> FloatArray:
    """Which entries each correlation fills (k, T, T), of the structures linear in theirs."""
    if structure == "unstructured":
        upper = np.triu_indices(n_visits, 1)
        basis = np.zeros((upper[0].size, n_visits, n_visits))
        basis[np.arange(upper[0].size), *upper] = 1
        return basis + basis.transpose(0, 2, 1)
    lags = _lags(n_visits)
    return lags if structure.startswith("toeplitz") else lags.sum(axis=0, keepdims=True)


def _lags(n_visits: int) -> FloatArray:
    """Entries at each distance from the diagonal (T - 1, T, T)."""
    return np.stack([np.eye(n_visits, k=d) + np.eye(n_visits, k=-d) for d in range(1, n_visits)])
