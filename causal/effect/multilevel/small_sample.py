"""Sandwich covariances that stay honest with few clusters, and degrees of freedom for them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Correction = Literal["kauermann_carroll", "mancl_derouen", "fay_graubard", "none"]

LARGEST = 0.75  # Fay and Graubard's bound on a cluster's share of the information


def corrected_sandwich(
    rows: FloatArray, residual: FloatArray, *, starts: IntArray, contrast: FloatArray, correction: Correction
) -> tuple[FloatArray, float]:
    """Covariance of the solution of estimating equations, and degrees of freedom of one contrast of it.

    Parameters
    ----------
    rows, residual
        (n, k) derivatives of the means and (n,) residuals, whitened by the working covariance, in runs of clusters.
    starts
        First row of each cluster.
    contrast
        (k,).
    correction
        Of each cluster's score: ``kauermann_carroll`` multiplies whitened residuals by ``(I - H_g)^(-1/2)``,
        ``mancl_derouen`` by ``(I - H_g)^-1``, ``fay_graubard`` the score by
        ``diag(1 - min(0.75, [X_g'X_g (X'X)^-1]_jj))^(-1/2)``; ``none`` leaves it.

    Returns
    -------
    (k, k) covariance, and Satterthwaite's ``(tr P'P)^2 / tr (P'P)^2`` under the working covariance, where column g of P
    is what cluster g's corrected residuals put into the contrast.

    Raises
    ------
    EstimationError
        ``estimation.too_few_clusters``, ``estimation.no_degrees_of_freedom``.

    Notes
    -----
    Kauermann & Carroll (2001), JASA 96:1387-1396; Mancl & DeRouen (2001), Biometrics 57:126-134; Fay & Graubard (2001),
    Biometrics 57:1198-1206; Pan & Wall (2002), Stat Med 21:1429-1441. With X = Q T every correction is a k x k matrix
    B_g on the score ``Q_g'r``, so that nothing of the size of a cluster is inverted; ``(I - H_g)^-a Q_g`` is
    ``Q_g (I - Q_g'Q_g)^-a``. A direction that one cluster alone determines is set to zero.

    >>> x = np.column_stack([np.ones(4), [1.0, 0, 1, 0]])
    >>> covariance, df = corrected_sandwich(x, np.array([-0.25, 0.25, 0.25, -0.25]), starts=np.array([0, 2]),
    ...                                     contrast=np.array([0.0, 1]), correction="kauermann_carroll")
    >>> round(float(covariance[1, 1]), 6), round(df, 6)
    (0.25, 1.0)
    """
    if starts.size < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    q, triangle = np.linalg.qr(rows)
    grams = np.stack([np.add.reduceat(q[:, [j]] * q, starts) for j in range(q.shape[1])], axis=1)
    factors = _corrections(grams, triangle, correction)
    scores = np.einsum("gab,gb->ga", factors, np.add.reduceat(q * residual[:, None], starts))
    along = np.linalg.solve(triangle.T, contrast)
    back = np.linalg.inv(triangle)
    covariance = back @ (scores.T @ scores) @ back.T
    return np.asarray(covariance), _degrees_of_freedom(grams, factors, along)


def _corrections(grams: FloatArray, triangle: FloatArray, correction: Correction) -> FloatArray:
    """B_g (clusters, k, k) from ``Q_g'Q_g`` (clusters, k, k)."""
    if correction == "fay_graubard":
        inverse = np.linalg.inv(triangle)
        share = np.einsum("ja,gab,bj->gj", triangle.T, grams, inverse.T)
        scale = (1 - np.minimum(LARGEST, share)) ** -0.5
        return np.asarray(np.einsum("aj,gj,jb->gab", inverse.T, scale, triangle.T))
    if correction == "none":
        return np.broadcast_to(np.eye(grams.shape[1]), grams.shape)
    values, vectors = np.linalg.eigh(grams)
    rest = 1 - values
    power = -0.5 if correction == "kauermann_carroll" else -1.0
    scale = np.where(rest > 1e-10, np.maximum(rest, 1e-10) ** power, 0.0)
    return np.asarray((vectors * scale[:, None, :]) @ vectors.swapaxes(1, 2))


def _degrees_of_freedom(grams: FloatArray, factors: FloatArray, along: FloatArray) -> float:
    """``(tr P'P)^2 / tr (P'P)^2`` with ``p_g'p_h = 1[g = h] b'N_g b - (N_g b)'(N_h b)``, ``b = B_g' along``."""
    turned = np.einsum("gab,a->gb", factors, along)
    reach = np.einsum("gab,gb->ga", grams, turned)
    own, lengths = (turned * reach).sum(axis=1), (reach**2).sum(axis=1)
    trace = float((own - lengths).sum())
    if not trace > 1e-10 * float(along @ along):
        raise EstimationError(
            "estimation.no_degrees_of_freedom",
            "the design leaves no variation between clusters for a standard error",
            fix="adjust for fewer covariates, or cluster on smaller units",
        )
    return trace**2 / float((own**2).sum() - 2 * (own * lengths).sum() + ((reach.T @ reach) ** 2).sum())
