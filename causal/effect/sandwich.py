"""The algebra of cluster-robust standard errors: a weighted fit, the residuals' adjustment, the degrees of freedom.

Everything is computed from the orthogonal factor Q of the weighted design and one small eigenproblem per cluster, of
the size of the cluster or of the number of columns, whichever is less: no matrix of rows by rows is ever formed. What
does not hang on the contrast is computed once for as many contrasts as are wanted; what does not hang on the outcome
(the factor, the adjustment, the degrees of freedom) once for as many outcomes.
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
BoolArray = NDArray[np.bool_]
Kind = Literal["CR0", "CR1", "CR1S", "CR2", "CR3"]
WorkingModel = Literal["inverse_weights", "homoscedastic"]
PIECE = 2**21  # numbers held at once while clusters are summed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factored:
    """A weighted design by QR, before any outcome: rows multiplied by the root of their weight."""

    q: FloatArray  # (n, r) orthonormal columns
    triangle: FloatArray  # (r, r), weighted design of the kept columns = q @ triangle
    root: FloatArray  # (n,) root of the weight
    kept: BoolArray  # (k,)
    rows: BoolArray  # (all rows,) weight above 0
    contrasts: FloatArray  # (m, r)

    @property
    def along(self) -> FloatArray:
        """(r, m) the contrasts in the basis of the orthogonal factor."""
        return np.asarray(np.linalg.solve(self.triangle.T, self.contrasts.T))

    @property
    def relative_root(self) -> FloatArray:
        """(n,) root of the weight, the weights' mean being 1."""
        return np.asarray(self.root / np.sqrt(np.mean(self.root**2)), dtype=np.float64)

    @property
    def aliased(self) -> tuple[int, ...]:
        """Columns dropped because the ones before them determine them."""
        return tuple(int(j) for j in np.flatnonzero(~self.kept))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Weighted least squares of one outcome on a design."""

    residual: FloatArray  # (n,) weighted
    coefficients: FloatArray  # (r,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Working:
    """What CR2 corrects for: residuals that vary, within cluster g, as ``I + F_g C F_g'`` on the scale they have here.

    The score of a cluster is ``S_g' e_g``, for coefficients in the basis of the orthogonal factor; e is the weighted
    residual over the divisor.
    """

    carrier: FloatArray  # (n, r) S
    divisor: FloatArray  # (n,) or (1,)
    factor: FloatArray  # (n, f) F
    core: FloatArray  # (f, f) C


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Root:
    """Clusters of one size: what their inverse root ``A_g`` does differently from the identity, and along what."""

    rows: IntArray  # (clusters, size)
    directions: FloatArray  # (clusters, size, f or size)
    changed: FloatArray  # (clusters, f or size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clustered:
    """What a clustering makes of a design, before any outcome; rows in cluster order."""

    order: IntArray  # (n,) the order
    starts: IntArray  # (clusters,) where each begins in it
    carrier: FloatArray  # (n, r) S
    divisor: FloatArray  # (n,) or (1,) of the weighted residuals
    roots: tuple[_Root, ...]  # none where residuals stay as they are
    inflation: float


def factored(design: FloatArray, weights: FloatArray, contrasts: FloatArray) -> Factored:
    """QR of the rows with weight, aliased columns dropped; refuse contrasts (m, k) that involve them."""
    x, w = np.asarray(design, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    rows = w > 0
    root = np.sqrt(w[rows])
    x = x[rows] * root[:, None]
    _require_finite(x)
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
    return Factored(q=q, triangle=triangle, root=root, kept=kept, rows=rows, contrasts=c[:, kept])


def least_squares(design: Factored, outcome: FloatArray) -> Fit:
    """Coefficients and residuals of an outcome (all rows,)."""
    y = np.asarray(outcome, dtype=np.float64)[design.rows] * design.root
    _require_finite(y)
    along = design.q.T @ y
    coefficients = np.asarray(np.linalg.solve(design.triangle, along), dtype=np.float64)
    return Fit(residual=y - design.q @ along, coefficients=coefficients)


def _require_finite(values: FloatArray) -> None:
    if not np.isfinite(values).all():
        raise EstimationError("estimation.not_finite", "the outcome or a covariate of a weighted row is missing")


def working_model(design: Factored, model: WorkingModel) -> Working:
    """Scores, residuals and their variance under a working model."""
    q, identity = design.q, np.eye(design.q.shape[1])
    if model == "inverse_weights":
        return Working(carrier=q, divisor=np.ones(1), factor=q, core=-identity)
    root = design.relative_root
    z, wz = q / root[:, None], q * root[:, None]
    core = np.block([[wz.T @ wz, -identity], [-identity, np.zeros_like(identity)]])
    return Working(carrier=wz, divisor=root, factor=np.column_stack([z, wz]), core=core)


def clustered(
    design: Factored, clusters: IntArray, kind: Kind, model: WorkingModel, *, inference: bool = True
) -> tuple[Clustered, FloatArray]:
    """What the clusters (all rows,) make of a design, and the degrees of freedom (m,) of its contrasts.

    Without `inference` the degrees of freedom are NaN, and that there are none is no refusal.
    """
    working = working_model(design, model if kind == "CR2" else "inverse_weights")
    code = np.asarray(clusters)[design.rows]
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, code[order][1:] != code[order][:-1]])
    if starts.size < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    inflation = starts.size / (starts.size - 1) if kind in {"CR1", "CR1S"} else 1.0
    if kind == "CR1S":
        inflation *= (code.size - 1) / (code.size - design.q.shape[1])
    carrier, factor = working.carrier[order], working.factor[order]
    power = {"CR2": 0.5, "CR3": 1.0}.get(kind)
    found = Clustered(
        order=order,
        starts=starts,
        carrier=carrier,
        divisor=working.divisor[order] if working.divisor.size > 1 else working.divisor,
        roots=() if power is None else tuple(_roots(factor, working.core, starts, power)),
        inflation=inflation,
    )
    if kind != "CR2":
        return found, np.full(design.contrasts.shape[0], starts.size - 1.0)
    if not inference:
        return found, np.full(design.contrasts.shape[0], np.nan)
    along = design.along
    trace, square = _moments(factor, working.core, _adjusted(found, carrier @ along), starts)
    # what the contrast's variance would be with independent rows, up to a factor
    if not (trace > 1e-10 * (along**2).sum(axis=0)).all():
        raise EstimationError(
            "estimation.no_degrees_of_freedom",
            "the design leaves no variation between clusters for a standard error",
            fix="adjust for fewer covariates, or cluster on smaller units",
        )
    return found, trace**2 / square


def covariance_of(design: Factored, clusters: Clustered, residual: FloatArray) -> FloatArray:
    """Covariance (r, r) of the coefficients of one outcome, from its weighted residuals (n,)."""
    adjusted = _adjusted(clusters, (residual[clusters.order] / clusters.divisor)[:, None])
    scores = np.linalg.solve(design.triangle, np.add.reduceat(clusters.carrier * adjusted, clusters.starts, axis=0).T)
    return np.asarray(clusters.inflation * (scores @ scores.T), dtype=np.float64)


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


def _roots(factor: FloatArray, core: FloatArray, starts: IntArray, power: float) -> Iterator[_Root]:
    """``(I + F_g C F_g')^-power``, clusters of one size at a time.

    A direction a cluster's rows determine alone (eigenvalue 0) has no inverse and is set to zero.
    """
    for rows in _of_one_size(starts, factor.shape[0], per_cluster=factor.shape[1] * factor.shape[1]):
        size = rows.shape[1]
        within = factor[rows]
        # Outside the span of F the matrix is the identity: a basis of the span is enough where there are more rows.
        basis, inner = np.linalg.qr(within) if size > factor.shape[1] else (np.eye(size), within)
        beyond, vectors = np.linalg.eigh(inner @ core @ inner.swapaxes(1, 2))
        changed = np.where(beyond > 1e-10 - 1, np.expm1(-power * np.log1p(np.maximum(beyond, 1e-10 - 1))), -1.0)
        yield _Root(rows=rows, directions=basis @ vectors, changed=changed)


def _adjusted(clusters: Clustered, columns: FloatArray) -> FloatArray:
    """``A_g`` times each cluster's rows of columns (n, m), which are in cluster order."""
    out = columns.copy()
    for root in clusters.roots:
        along = root.directions.swapaxes(1, 2) @ columns[root.rows]
        out[root.rows] += root.directions @ (root.changed[..., None] * along)
    return out


def spread(kept_values: FloatArray, kept: BoolArray) -> FloatArray:
    """Values of the kept columns back in their places along the first axis, NaN elsewhere."""
    full = np.full((kept.size, *kept_values.shape[1:]), np.nan)
    full[kept] = kept_values
    return full
