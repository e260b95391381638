"""Weighted least squares with cluster-robust standard errors that stay honest with few clusters.

CR2 (bias-reduced linearisation) with Satterthwaite degrees of freedom. Everything is computed from the orthogonal
factor Q of the weighted design and one small eigenproblem per cluster, of the size of the cluster or of the number of
columns, whichever is less: no matrix of rows by rows is ever formed.
"""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterRobust:
    """One linear contrast of a least-squares fit with its cluster-robust standard error.

    Attributes
    ----------
    coefficient, std_error
        Contrast and its standard error, in units of the outcome.
    df
        Satterthwaite degrees of freedom under CR2, clusters - 1 under the others; refer to Student's t.
    n_clusters, n_rows
        Clusters and rows with weight above 0.
    coefficients
        (k,) all coefficients, NaN for aliased columns.
    covariance
        (k, k) their covariance matrix, NaN for aliased columns.
    aliased
        Columns dropped because the ones before them determine them.
    """

    coefficient: float
    std_error: float
    df: float
    n_clusters: int
    n_rows: int
    coefficients: FloatArray
    covariance: FloatArray
    aliased: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoWayClusterRobust:
    """One contrast with a standard error robust to two crossed clusterings.

    ``df`` is the smaller of the two one-way degrees of freedom; ``clipped`` tells that the combined matrix had a
    negative eigenvalue, set to zero.
    """

    coefficient: float
    std_error: float
    df: float
    n_clusters: tuple[int, int]
    clipped: bool
    aliased: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """Weighted least squares by QR: rows already multiplied by the root of their weight."""

    q: FloatArray  # (n, r) orthonormal columns
    triangle: FloatArray  # (r, r), weighted design of the kept columns = q @ triangle
    residual: FloatArray  # (n,) weighted
    coefficients: FloatArray  # (r,)
    root: FloatArray  # (n,) root of the weight, the weights' mean being 1
    kept: NDArray[np.bool_]  # (k,)
    rows: NDArray[np.bool_]  # (all rows,) weight above 0
    contrast: FloatArray  # (r,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Working:
    """What CR2 corrects for: residuals that vary, within cluster g, as ``I + F_g C F_g'`` on the scale they have here.

    The score of a cluster is ``S_g' e_g``, for coefficients in the basis of the orthogonal factor.
    """

    carrier: FloatArray  # (n, r) S
    residual: FloatArray  # (n,) e
    factor: FloatArray  # (n, f) F
    core: FloatArray  # (f, f) C


def cluster_robust(
    design: FloatArray,
    outcome: FloatArray,
    *,
    weights: FloatArray | None = None,
    clusters: IntArray,
    contrast: FloatArray,
    kind: Kind = "CR2",
    working: WorkingModel = "inverse_weights",
) -> ClusterRobust:
    """Estimate ``contrast @ beta`` in ``outcome = design @ beta`` by weighted least squares.

    Parameters
    ----------
    design
        (n, k) columns, the intercept included. Columns determined by earlier ones are dropped and listed.
    outcome
        (n,) finite values.
    weights
        (n,) 0 or more; rows with 0 are left out. None for all 1.
    clusters
        (n,) codes.
    contrast
        (k,) linear combination wanted.
    kind
        ``CR0``: the plain sandwich. ``CR1``: CR0 times G/(G - 1). ``CR1S``: CR0 times
        ``G (n - 1)/((G - 1)(n - k))``. ``CR2``: each cluster's residuals multiplied by ``(I - H_gg)^(-1/2)``, the
        symmetric Moore-Penrose root, with H the hat matrix of the weighted rows. ``CR3``: by ``(I - H_gg)^(-1)``, the
        jackknife's. With each row its own cluster CR0, CR1S and CR3 are HC0, HC1 and HC3, and CR1 is the linearised
        variance of survey sampling.
    working
        Model under which CR2 is exactly unbiased and has its degrees of freedom: errors are independent with variances
        ``1/w`` (``inverse_weights``) or all alike (``homoscedastic``, as clubSandwich does for ``lm``). The two differ
        only where weights do, and the other kinds use neither.

    Raises
    ------
    EstimationError
        ``estimation.not_finite``, ``estimation.weights``, ``estimation.too_few_clusters`` (fewer than 2),
        ``estimation.not_estimable`` (the contrast involves columns that the data cannot tell apart),
        ``estimation.no_degrees_of_freedom``.

    Notes
    -----
    Bell & McCaffrey (2002), Surv Methodol 28:169-181; Pustejovsky & Tipton (2018), J Bus Econ Stat 36:672-683.
    Residuals vary as ``((I - H) V (I - H)')_gg`` under the working variances V. On rows multiplied by ``sqrt(w)`` with
    V = 1/w that is ``I - Q_g Q_g'``; with V = I on rows as they are, ``Z = Q/sqrt(w)`` and ``K = Q'WQ``, it is
    ``I - Z_g (WZ)_g' - (WZ)_g Z_g' + Z_g K Z_g'``. Both are ``I + F_g C F_g'`` with few columns in F, ``A_g`` is the
    inverse root, and with ``v_g = A_g S_g z`` for scores ``S_g' e_g`` the degrees of freedom
    ``(sum p_g'p_g)^2 / sum_gh (p_g'p_h)^2`` follow from ``p_g'p_h = 1[g = h] v_g'v_g + (F_g'v_g)' C (F_h'v_h)``.

    >>> x = np.column_stack([np.ones(4), [1.0, 0, 1, 0]])
    >>> fit = cluster_robust(x, np.array([3.0, 1, 5, 2]), clusters=np.array([0, 0, 1, 1]), contrast=np.array([0.0, 1]))
    >>> round(fit.coefficient, 6), round(fit.std_error, 6), round(fit.df, 6)  # pairs: differences 2 and 3
    (2.5, 0.5, 1.0)
    """
    fit = _least_squares(design, outcome, weights, contrast)
    code = np.asarray(clusters)[fit.rows]
    covariance, df, n_clusters = _sandwich(fit, code, kind, working)
    return ClusterRobust(
        coefficient=float(fit.contrast @ fit.coefficients),
        std_error=float(np.sqrt(fit.contrast @ covariance @ fit.contrast)),
        df=df,
        n_clusters=n_clusters,
        n_rows=code.size,
        coefficients=_spread(fit.coefficients, fit.kept),
        covariance=_spread(_spread(covariance, fit.kept).T, fit.kept),
        aliased=tuple(int(j) for j in np.flatnonzero(~fit.kept)),
    )


def two_way(
    design: FloatArray,
    outcome: FloatArray,
    *,
    weights: FloatArray | None = None,
    first: IntArray,
    second: IntArray,
    contrast: FloatArray,
    working: WorkingModel = "inverse_weights",
) -> TwoWayClusterRobust:
    """Estimate ``contrast @ beta`` allowing for two crossed clusterings, as matched set and clinician.

    ``V = V_first + V_second - V_both``, each by CR2 (Cameron, Gelbach & Miller 2011, J Bus Econ Stat 29:238-249), with
    negative eigenvalues set to zero. Arguments as for `cluster_robust`, with (n,) codes of both clusterings.

    Raises
    ------
    EstimationError
        As `cluster_robust`, and ``estimation.not_positive`` when nothing is left of the contrast's variance.

    >>> x = np.column_stack([np.ones(6), [1.0, 0, 1, 0, 1, 0]])
    >>> y, pairs = np.array([3.0, 1, 5, 2, 4, 4]), np.array([0, 0, 1, 1, 2, 2])
    >>> fit = two_way(x, y, first=pairs, second=pairs, contrast=np.array([0.0, 1]))
    >>> one = cluster_robust(x, y, clusters=pairs, contrast=np.array([0.0, 1]))
    >>> abs(fit.std_error - one.std_error) < 1e-12, fit.clipped
    (True, False)
    """
    fit = _least_squares(design, outcome, weights, contrast)
    one, two = np.asarray(first)[fit.rows], np.asarray(second)[fit.rows]
    both = np.unique(np.column_stack([one, two]), axis=0, return_inverse=True)[1].reshape(-1)
    (v1, df1, g1), (v2, df2, g2) = (_sandwich(fit, code, "CR2", working) for code in (one, two))
    values, vectors = np.linalg.eigh(v1 + v2 - _covariance(fit, _working(fit, working), both, "CR2")[0])
    clipped = bool(values[0] < -1e-12 * max(values[-1], 0.0))
    along = vectors.T @ fit.contrast
    variance = float(along**2 @ np.maximum(values, 0.0))
    if not variance > 0:
        raise EstimationError(
            "estimation.not_positive",
            "the two-way clustered variance of the contrast is not above 0",
            fix="cluster one way, on the coarser of the two",
        )
    return TwoWayClusterRobust(
        coefficient=float(fit.contrast @ fit.coefficients),
        std_error=float(np.sqrt(variance)),
        df=min(df1, df2),
        n_clusters=(g1, g2),
        clipped=clipped,
        aliased=tuple(int(j) for j in np.flatnonzero(~fit.kept)),
    )


def beyond_rounding(std_error: float, outcome: FloatArray) -> float:
    """The standard error, or 0 where it is no more than what rounding leaves of an outcome without variation.

    >>> beyond_rounding(1e-17, np.array([0.1, 0.3])), beyond_rounding(0.2, np.array([0.1, 0.3]))
    (0.0, 0.2)
    """
    return std_error if std_error > 1e-12 * float(np.abs(outcome).max()) else 0.0


def _least_squares(design: FloatArray, outcome: FloatArray, weights: FloatArray | None, contrast: FloatArray) -> _Fit:
    """Fit by QR on the rows with weight, dropping aliased columns; refuse a contrast that involves them."""
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
    c = np.asarray(contrast, dtype=np.float64)
    # A dropped column repeats kept ones; an estimable contrast repeats the same relation (columns at length one).
    length = np.linalg.norm(x, axis=0)
    length[length == 0] = 1.0
    relation = np.linalg.solve(triangle, q.T @ x[:, ~kept]) * length[kept, None] / length[~kept]
    unit = c / length
    if (np.abs(unit[kept] @ relation - unit[~kept]) > 1e-6 * np.abs(unit).max()).any():
        raise EstimationError(
            "estimation.not_estimable",
            "the effect cannot be told apart from a combination of the other columns",
            fix="remove the covariate that determines the treatment in this sample",
        )
    coefficients = np.linalg.solve(triangle, q.T @ y)
    return _Fit(
        q=q,
        triangle=triangle,
        residual=y - q @ (q.T @ y),
        coefficients=coefficients,
        root=root / np.sqrt(np.mean(root**2)),
        kept=kept,
        rows=rows,
        contrast=c[kept],
    )


def _working(fit: _Fit, model: WorkingModel) -> _Working:
    """Scores, residuals and their variance under a working model."""
    q, identity = fit.q, np.eye(fit.q.shape[1])
    if model == "inverse_weights":
        return _Working(carrier=q, residual=fit.residual, factor=q, core=-identity)
    z, wz = q / fit.root[:, None], q * fit.root[:, None]
    core = np.block([[wz.T @ wz, -identity], [-identity, np.zeros_like(identity)]])
    return _Working(carrier=wz, residual=fit.residual / fit.root, factor=np.column_stack([z, wz]), core=core)


def _sandwich(fit: _Fit, code: IntArray, kind: Kind, model: WorkingModel) -> tuple[FloatArray, float, int]:
    """Covariance (r, r), degrees of freedom of the fit's contrast, and the number of clusters."""
    working = _working(fit, model if kind == "CR2" else "inverse_weights")
    covariance, v, order, starts = _covariance(fit, working, code, kind)
    if kind != "CR2":
        return covariance, float(starts.size - 1), starts.size
    d = np.add.reduceat(v**2, starts)
    p = np.add.reduceat(working.factor[order] * v[:, None], starts, axis=0)
    shared = np.einsum("gi,ij,gj->g", p, working.core, p)
    trace = float((d + shared).sum())
    products = working.core @ (p.T @ p)
    square = float((d**2).sum() + 2 * (d * shared).sum() + (products * products.T).sum())
    along = np.linalg.solve(fit.triangle.T, fit.contrast)
    if not trace > 1e-10 * (along @ along):  # the variance the contrast has with independent rows, up to a factor
        raise EstimationError(
            "estimation.no_degrees_of_freedom",
            "the design leaves no variation between clusters for a standard error",
            fix="adjust for fewer covariates, or cluster on smaller units",
        )
    return covariance, trace**2 / square, starts.size


def _covariance(
    fit: _Fit, working: _Working, code: IntArray, kind: Kind
) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Covariance (r, r); ``A_g S_g z`` (n,) in cluster order, the order, and where each cluster starts in it."""
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, code[order][1:] != code[order][:-1]])
    if starts.size < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    carrier = working.carrier[order]
    along = np.linalg.solve(fit.triangle.T, fit.contrast)
    both = np.column_stack([working.residual[order], carrier @ along])
    if kind in {"CR2", "CR3"}:
        both = _times_power(working.factor[order], working.core, both, starts, 0.5 if kind == "CR2" else 1.0)
    scores = np.linalg.solve(fit.triangle, np.add.reduceat(carrier * both[:, :1], starts, axis=0).T)
    inflation = starts.size / (starts.size - 1) if kind in {"CR1", "CR1S"} else 1.0
    if kind == "CR1S":
        inflation *= (code.size - 1) / (code.size - fit.q.shape[1])
    return inflation * (scores @ scores.T), both[:, 1], order, starts


def _times_power(
    factor: FloatArray, core: FloatArray, columns: FloatArray, starts: IntArray, power: float
) -> FloatArray:
    """``(I + F_g C F_g')^-power`` times each cluster's rows of ``columns`` (n, m), clusters of one size at a time.

    A direction a cluster's rows determine alone (eigenvalue 0) has no inverse and is set to zero.
    """
    out = np.empty_like(columns)
    sizes = np.diff(np.r_[starts, factor.shape[0]])
    for size in np.unique(sizes):
        rows = starts[sizes == size, None] + np.arange(size)
        within, target = factor[rows], columns[rows]
        # Outside the span of F the matrix is the identity: a basis of the span is enough where there are more rows.
        basis, inner = np.linalg.qr(within) if size > factor.shape[1] else (np.eye(size), within)
        beyond, vectors = np.linalg.eigh(inner @ core @ inner.swapaxes(1, 2))
        directions = basis @ vectors
        changed = np.where(beyond > 1e-10 - 1, np.expm1(-power * np.log1p(np.maximum(beyond, 1e-10 - 1))), -1.0)
        out[rows] = target + directions @ (changed[..., None] * (directions.swapaxes(1, 2) @ target))
    return out


def _spread(kept_values: FloatArray, kept: NDArray[np.bool_]) -> FloatArray:
    """Values of the kept columns back in their places along the first axis, NaN elsewhere."""
    full = np.full((kept.size, *kept_values.shape[1:]), np.nan)
    full[kept] = kept_values
    return full
