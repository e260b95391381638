"""Uncertainty of the fixed effects of a repeated-measures model whose covariance was estimated.

With P_k the forms of `causal.effect.repeated.likelihood.Derivatives` and ``W = 2 H^-1`` the covariance of the
parameters (H the observed second derivative of -2 log likelihood):

- degrees of freedom of a contrast c: ``2 v^2 / g'Wg``, ``v = c'Phi c``, ``g_k = c'Phi P_k Phi c`` (Satterthwaite 1946;
  Giesbrecht & Burns 1985, Biometrics 41:477-486). Those of Kenward & Roger are the same for one contrast;
- covariance ``Phi + 2 Phi [sum W_kl (Q_kl - P_k Phi P_l)] Phi`` (Kenward & Roger 1997, Biometrics 53:983-997), without
  the term in second derivatives of the covariance: the linear form, which depends on no choice of parameters. It is
  what SAS prints for ``ddfm=kenwardroger(firstorder)`` and, unstructured, for ``ddfm=kenwardroger``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import ClusterRobust, cluster_robust_contrasts
from causal.effect.repeated.likelihood import Maximum
from causal.effect.repeated.patterns import PatternSums, VisitDesign, weighted_grams

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def parameter_covariance(found: Maximum) -> FloatArray:
    """Covariance (K, K) of the covariance parameters: the inverse of the observed information."""
    size = np.sqrt(np.diag(found.derivatives.hessian))
    scale = np.outer(size, size)
    return np.asarray(2 * np.linalg.inv(found.derivatives.hessian / scale) / scale)


def satterthwaite(found: Maximum, contrast: FloatArray) -> float:
    """Degrees of freedom of a contrast (p,)."""
    along = found.profile.phi @ contrast
    slope = along @ found.derivatives.forms @ along
    return 2 * float(contrast @ along) ** 2 / float(slope @ parameter_covariance(found) @ slope)


def kenward_roger(sums: PatternSums, found: Maximum) -> FloatArray:
    """Covariance (p, p) of the fixed effects, enlarged for the estimation of the covariance (linear form)."""
    omega, phi, forms = found.profile.omega, found.profile.phi, found.derivatives.forms
    w = parameter_covariance(found)
    size = found.covariances[0].first.shape[0]
    kernel = np.zeros_like(omega)
    for j, covariance in enumerate(found.covariances):
        own = sums.groups == j
        change = omega[own][:, None] @ covariance.first
        part = w[j * size : (j + 1) * size, j * size : (j + 1) * size]
        mixed = np.tensordot(part, change, axes=(1, 1)).transpose(1, 0, 2, 3)
        kernel[own] = (change @ mixed).sum(axis=1) @ omega[own]
    p = phi.shape[0]
    excess = weighted_grams(sums, (kernel + kernel.transpose(0, 2, 1))[:, None] / 2)[0][:p, :p]
    excess = excess - np.einsum("kab,kbc->ac", forms @ phi, np.tensordot(w, forms, 1))
    adjusted = phi + 2 * phi @ excess @ phi
    return np.asarray((adjusted + adjusted.T) / 2)


def cluster_sandwich(
    design: VisitDesign, sums: PatternSums, found: Maximum, contrasts: FloatArray, clusters: IntArray
) -> tuple[ClusterRobust, ...]:
    """CR2 of contrasts (m, p), the fitted covariance being the working model, clusters (n,) holding whole subjects.

    Rows are multiplied by the inverse Cholesky factor of their subject's covariance, after which the working model
    says that they are independent with variance 1 and generalised least squares is ordinary. The adjustment of a
    cluster is ``L (I - H)^(-1/2) L^-1``, H the hat matrix of the multiplied rows: it makes the sandwich unbiased under
    the working model whatever root L of the covariance is taken, and depends neither on the root nor on the order of
    the visits. (Pustejovsky & Tipton 2018 take ``D'(D Var(e) D')^(-1/2) D`` with D the Cholesky factor: another root of
    the same condition, equal to this one when the covariance is a multiple of the identity, else not quite.)
    """
    rows, outcome, code = [], [], []
    for omega, seen, members in zip(found.profile.omega, sums.seen, sums.members, strict=True):
        visits = np.flatnonzero(seen)
        root = np.linalg.cholesky(omega[np.ix_(visits, visits)])  # omega = root root', so root' whitens
        x = np.zeros((members.size, visits.size, design.n_columns))
        for j, t in enumerate(visits):
            x[:, j, design.columns[t]] = design.features[t][members]
        rows.append((root.T @ x).reshape(-1, design.n_columns))
        outcome.append((design.scores[members][:, visits] @ root).ravel())
        code.append(np.repeat(clusters[members], visits.size))
    return cluster_robust_contrasts(
        np.concatenate(rows), np.concatenate(outcome), clusters=np.concatenate(code), contrasts=contrasts
    )
