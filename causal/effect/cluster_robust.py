"""Weighted least squares with cluster-robust standard errors that stay honest with few clusters.

CR2 (bias-reduced linearisation) with Satterthwaite degrees of freedom; the algebra is in `causal.effect.sandwich`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.sandwich import (
    Clustered,
    Factored,
    Kind,
    WorkingModel,
    clustered,
    covariance_of,
    factored,
    least_squares,
    spread,
)
from causal.errors import EstimationError

__all__ = [
    "ClusterRobust",
    "ClusteredDesign",
    "Kind",
    "TwoWayClusterRobust",
    "WorkingModel",
    "beyond_rounding",
    "cluster_robust",
    "cluster_robust_contrasts",
    "clustered_design",
    "two_way",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
    one = np.asarray(contrast)[None]
    return cluster_robust_contrasts(
        design, outcome, weights=weights, clusters=clusters, contrasts=one, kind=kind, working=working
    )[0]


def cluster_robust_contrasts(
    design: FloatArray,
    outcome: FloatArray,
    *,
    weights: FloatArray | None = None,
    clusters: IntArray,
    contrasts: FloatArray,
    kind: Kind = "CR2",
    working: WorkingModel = "inverse_weights",
) -> tuple[ClusterRobust, ...]:
    """Each of the contrasts (m, k) as by `cluster_robust`, at little more than the cost of one.

    They share fit and covariance and have degrees of freedom of their own. What cannot be had for one of them is
    refused for all.

    >>> x, y = np.column_stack([np.ones(4), [1.0, 0, 1, 0]]), np.array([3.0, 1, 5, 2])
    >>> fits = cluster_robust_contrasts(x, y, clusters=np.array([0, 0, 1, 1]), contrasts=np.array([[1.0, 0], [0, 1]]))
    >>> [round(fit.coefficient, 6) for fit in fits]
    [1.5, 2.5]
    """
    return clustered_design(
        design, weights=weights, clusters=clusters, contrasts=contrasts, kind=kind, working=working
    ).fits(outcome)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusteredDesign:
    """A weighted design with a clustering and m contrasts, ready for as many outcomes as are wanted.

    Attributes
    ----------
    factored, clusters
        The design by QR, and what the clustering makes of it.
    df
        (m,) degrees of freedom, which no outcome changes.
    """

    factored: Factored
    clusters: Clustered
    df: FloatArray

    @property
    def n_clusters(self) -> int:
        """Clusters with weight."""
        return self.clusters.starts.size

    @property
    def aliased(self) -> tuple[int, ...]:
        """Columns dropped because the ones before them determine them."""
        return self.factored.aliased

    def values(self, outcome: FloatArray) -> FloatArray:
        """(m,) the contrasts of an outcome (n,) alone, without an error."""
        return np.asarray(self.factored.contrasts @ least_squares(self.factored, outcome).coefficients)

    def fits(self, outcome: FloatArray) -> tuple[ClusterRobust, ...]:
        """The m contrasts of an outcome (n,), as by `cluster_robust`."""
        fit, columns = least_squares(self.factored, outcome), self.factored
        inner = covariance_of(columns, self.clusters, fit.residual)
        coefficients = spread(fit.coefficients, columns.kept)
        covariance = spread(spread(inner, columns.kept).T, columns.kept)
        return tuple(
            ClusterRobust(
                coefficient=float(c @ fit.coefficients),
                std_error=float(np.sqrt(c @ inner @ c)),
                df=float(one),
                n_clusters=self.n_clusters,
                n_rows=columns.root.size,
                coefficients=coefficients,
                covariance=covariance,
                aliased=columns.aliased,
            )
            for c, one in zip(columns.contrasts, self.df, strict=True)
        )


def clustered_design(
    design: FloatArray,
    *,
    weights: FloatArray | None = None,
    clusters: IntArray,
    contrasts: FloatArray,
    kind: Kind = "CR2",
    working: WorkingModel = "inverse_weights",
) -> ClusteredDesign:
    """All of `cluster_robust_contrasts` that needs no outcome, arguments and refusals as there.

    >>> x = np.column_stack([np.ones(4), [1.0, 0, 1, 0]])
    >>> ready = clustered_design(x, clusters=np.array([0, 0, 1, 1]), contrasts=np.array([[0.0, 1]]))
    >>> [round(ready.fits(y)[0].std_error, 6) for y in (np.array([3.0, 1, 5, 2]), np.array([3.0, 1, 5, 4]))]
    [0.5, 0.5]
    """
    x = np.asarray(design, dtype=np.float64)
    columns = factored(x, np.ones(x.shape[0]) if weights is None else weights, contrasts)
    found, df = clustered(columns, clusters, kind, working)
    return ClusteredDesign(factored=columns, clusters=found, df=df)


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
    x = np.asarray(design, dtype=np.float64)
    columns = factored(x, np.ones(x.shape[0]) if weights is None else weights, np.asarray(contrast)[None])
    fit, one, two = least_squares(columns, outcome), np.asarray(first), np.asarray(second)
    both = np.unique(np.column_stack([one, two]), axis=0, return_inverse=True)[1].reshape(-1)
    by_one, df1 = clustered(columns, one, "CR2", working)
    by_two, df2 = clustered(columns, two, "CR2", working)
    by_both, _ = clustered(columns, both, "CR2", working, inference=False)
    v1, v2, v12 = (covariance_of(columns, code, fit.residual) for code in (by_one, by_two, by_both))
    values, vectors = np.linalg.eigh(v1 + v2 - v12)
    clipped = bool(values[0] < -1e-12 * max(values[-1], 0.0))
    c = columns.contrasts[0]
    along = vectors.T @ c
    variance = float(along**2 @ np.maximum(values, 0.0))
    if not variance > 0:
        raise EstimationError(
            "estimation.not_positive",
            "the two-way clustered variance of the contrast is not above 0",
            fix="cluster one way, on the coarser of the two",
        )
    return TwoWayClusterRobust(
        coefficient=float(c @ fit.coefficients),
        std_error=float(np.sqrt(variance)),
        df=float(min(df1[0], df2[0])),
        n_clusters=(by_one.starts.size, by_two.starts.size),
        clipped=clipped,
        aliased=columns.aliased,
    )


def beyond_rounding(std_error: float, outcome: FloatArray) -> float:
    """The standard error, or 0 where it is no more than what rounding leaves of an outcome without variation.

    >>> beyond_rounding(1e-17, np.array([0.1, 0.3])), beyond_rounding(0.2, np.array([0.1, 0.3]))
    (0.0, 0.2)
    """
    return std_error if std_error > 1e-12 * float(np.abs(outcome).max()) else 0.0
