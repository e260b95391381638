"""The algebra of cluster-robust standard errors: a weighted fit, the residuals' adjustment, the degrees of freedom.

Everything is computed from the orthogonal factor Q of the weighted design and one small eigenproblem per cluster, of
the size of the cluster or of the number of columns, whichever is less: no matrix of rows by rows is ever formed. What
does not hang on the contrast is computed once for as many contrasts as are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Kind = Literal["CR0", "CR1", "CR1S", "CR2", "CR3"]
WorkingModel = Literal["inverse_weights", "homoscedastic"]
PIECE = 2**21  # numbers held at once while clusters are summed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Weighted least squares by QR: rows already multiplied by the root of their weight."""

    q: FloatArray  # (n, r) orthonormal columns
    triangle: FloatArray  # (r, r), weighted design of the kept columns = q @ triangle
    residual: FloatArray  # (n,) weighted
    coefficients: FloatArray  # (r,)
    root: FloatArray  # (n,) root of the weight, the weights' mean being 1
    kept: NDArray[np.bool_]  # (k,)
    rows: NDArray[np.bool_]  # (all rows,) weight above 0
    contrasts: FloatArray  # (m, r)

    @property
    def along(self) -> FloatArray:
        """(r, m) the contrasts in the basis of the orthogonal factor."""
        return np.asarray(np.linalg.solve(self.triangle.T, self.contrasts.T))

    @property
    def aliased(self) -> tuple[int, ...]:
        """Columns dropped because the ones before them determine them."""
        return tuple(int(j) for j in np.flatnonzero(~self.kept))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Working:
    """What CR2 corrects for: residuals that vary, within cluster g, as ``I + F_g C F_g'`` on the scale they have here.

    The score of a cluster is ``S_g' e_g``, for coefficients in the basis of the orthogonal factor.
    """

    carrier: FloatArray  # (n, r) S
    residual: FloatArray  # (n,) e
    factor: FloatArray  # (n, f) F
    core: FloatArray  # (f, f) C


def least_squares(design: FloatArray, outcome: FloatArray, weights: FloatArray | None, contrasts: FloatArray) -> Fit:
    """Fit by QR on the rows with weight, dropping aliased columns; refuse contrasts (m, k) that involve them."""
    x, y = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    w = np.ones(y.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    rows = w > 0
    root = np.sqrt(w[rows])
    x, y = x[rows] * root[:, None], y[rows] * root
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EstimationError("estimation.not_finite", "the outcome or a covariate of a weighted row is missing")
    kept = independent_columns(x)
    if not kept.any():
        raise EstimationError("estimation.not_estimable", "no row has weight, or every column is zero")
    q, triangle = np.linalg.qr(x[:, kept])
    c = np.asarray(contrasts, dtype=np.float64)
    # A dropped column repeats kept ones; an estimable contrast repeats the same relation (columns at length one).
    length = np.linalg.norm(x, axis=0)
    length[length == 0] = 1.0
    relation = np.linalg.solve(triangle, q.T @ x[:, ~kept]) * length[kept, None] / length[~kept]
    unit = c / length
    gap = np.abs(unit[:, kept] @ relation - unit[:, ~kept])
    if (gap > 1e-6 * np.abs(unit).max(axis=1, keepdims=True)).any():
        raise EstimationError(
            "estimation.not_estimable",
            "the effect cannot be told apart from a combination of the other columns",
            fix="remove the covariate that determines the treatment in this sample",
        )
    coefficients = np.linalg.solve(triangle, q.T @ y)
    return Fit(
        q=q,
        triangle=triangle,
        residual=y - q @ (q.T @ y),
        coefficients=coefficients,
        root=root / np.sqrt(np.mean(root**2)),
        kept=kept,
        rows=rows,
        contrasts=c[:, kept],
    )


def working_residuals(fit: Fit, model: WorkingModel) -> Working:
    """Scores, residuals and their variance under a working model."""
    q, identity = fit.q, np.eye(fit.q.shape[1])
    if model == "inverse_weights":
        return Working(carrier=q, residual=fit.residual, factor=q, core=-identity)
    z, wz = q / fit.root[:, None], q * fit.root[:, None]
    core = np.block([[wz.T @ wz, -identity], [-identity, np.zeros_like(identity)]])
    return Working(carrier=wz, residual=fit.residual / fit.root, factor=np.column_stack([z, wz]), core=core)


def sandwich(fit: Fit, code: IntArray, kind: Kind, model: WorkingModel) -> tuple[FloatArray, FloatArray, int]:
    """Covariance (r, r), degrees of freedom (m,) of the fit's contrasts, and the number of clusters."""
    working = working_residuals(fit, model if kind == "CR2" else "inverse_weights")
    covariance, v, order, starts = clustered_covariance(fit, working, code, kind)
    if kind != "CR2":
        return covariance, np.full(v.shape[1], starts.size - 1.0), starts.size
    trace, square = _moments(working.factor[order], working.core, v, starts)
    # what the contrast's variance would be with independent rows, up to a factor
    if not (trace > 1e-10 * (fit.along**2).sum(axis=0)).all():
        raise EstimationError(
            "estimation.no_degrees_of_freedom",
            "the design leaves no variation between clusters for a standard error",
            fix="adjust for fewer covariates, or cluster on smaller units",
        )
    return covariance, trace**2 / square, starts.size


def clustered_covariance(
    fit: Fit, working: Working, code: IntArray, kind: Kind
) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Covariance (r, r); ``A_g S_g z`` (n, m) in cluster order, the order, and where each cluster starts in it."""
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, code[order][1:] != code[order][:-1]])
    if starts.size < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    carrier = working.carrier[order]
    both = np.column_stack([working.residual[order], carrier @ fit.along])
    if kind in {"CR2", "CR3"}:
        both = _times_power(working.factor[order], working.core, both, starts, 0.5 if kind == "CR2" else 1.0)
    scores = np.linalg.solve(fit.triangle, np.add.reduceat(carrier * both[:, :1], starts, axis=0).T)
    inflation = starts.size / (starts.size - 1) if kind in {"CR1", "CR1S"} else 1.0
    if kind == "CR1S":
        inflation *= (code.size - 1) / (code.size - fit.q.shape[1])
    return inflation * (scores @ scores.T), both[:, 1:], order, starts


def _moments(factor: FloatArray, core: FloatArray, v: FloatArray, starts: IntArray) -> tuple[FloatArray, FloatArray]:
    """``sum_g p_g'p_g`` and ``sum_gh (p_g'p_h)^2``, (m,) each.

    ``p_g'p_h = 1[g = h] v_g'v_g + (F_g'v_g)' C (F_h'v_h)``.
    """
    m, f = v.shape[1], factor.shape[1]
    trace, square, products = np.zeros(m), np.zeros(m), np.zeros((m, f, f))
    for rows in _of_one_size(starts, v.shape[0], per_cluster=m * f):
        target = v[rows].swapaxes(1, 2)
        p = np.ascontiguousarray((target @ factor[rows]).swapaxes(0, 1))  # (m, clusters, f)
        d = (target**2).sum(axis=2).T
        shared = np.einsum("mgf,mgf->mg", p @ core, p)
        trace += (d + shared).sum(axis=1)
        square += (d**2 + 2 * d * shared).sum(axis=1)
        products += p.swapaxes(1, 2) @ p
    products = core @ products
    return trace, square + np.einsum("mij,mji->m", products, products)


def _of_one_size(starts: IntArray, n: int, *, per_cluster: int) -> Iterator[IntArray]:
    """Rows (clusters, size) of clusters of one size, in pieces that keep `PIECE` numbers at `per_cluster` each."""
    sizes = np.diff(np.r_[starts, n])
    for size in np.unique(sizes):
        alike = starts[sizes == size, None] + np.arange(size)
        step = max(1, PIECE // (per_cluster + size))
        for begin in range(0, alike.shape[0], step):
            yield alike[begin : begin + step]


def _times_power(
    factor: FloatArray, core: FloatArray, columns: FloatArray, starts: IntArray, power: float
) -> FloatArray:
    """``(I + F_g C F_g')^-power`` times each cluster's rows of ``columns`` (n, m), clusters of one size at a time.

    A direction a cluster's rows determine alone (eigenvalue 0) has no inverse and is set to zero.
    """
    out = np.empty_like(columns)
    for rows in _of_one_size(starts, factor.shape[0], per_cluster=factor.shape[1] * factor.shape[1]):
        size = rows.shape[1]
        within, target = factor[rows], columns[rows]
        # Outside the span of F the matrix is the identity: a basis of the span is enough where there are more rows.
        basis, inner = np.linalg.qr(within) if size > factor.shape[1] else (np.eye(size), within)
        beyond, vectors = np.linalg.eigh(inner @ core @ inner.swapaxes(1, 2))
        directions = basis @ vectors
        changed = np.where(beyond > 1e-10 - 1, np.expm1(-power * np.log1p(np.maximum(beyond, 1e-10 - 1))), -1.0)
        out[rows] = target + directions @ (changed[..., None] * (directions.swapaxes(1, 2) @ target))
    return out


def spread(kept_values: FloatArray, kept: NDArray[np.bool_]) -> FloatArray:
    """Values of the kept columns back in their places along the first axis, NaN elsewhere."""
    full = np.full((kept.size, *kept_values.shape[1:]), np.nan)
    full[kept] = kept_values
    return full
