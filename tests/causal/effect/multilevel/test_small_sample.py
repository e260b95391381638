"""Corrected sandwich covariances: their own formulas in full matrices, and cluster-robust least squares."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.effect.cluster_robust import Kind, cluster_robust
from causal.effect.multilevel.small_sample import Correction, corrected_sandwich
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
C = np.array([0.0, 1.0, 0.0])


def clustered(seed: int) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Columns, outcome and codes of nine unequal clusters, in order."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(9), rng.integers(1, 7, 9))
    x = np.column_stack([np.ones(codes.size), codes % 2, rng.normal(size=codes.size)])
    return x, x @ [1.0, 0.5, 0.2] + rng.normal(size=9)[codes] + rng.normal(size=codes.size), codes


def residual(x: FloatArray, y: FloatArray) -> FloatArray:
    """Of least squares."""
    return np.asarray(y - x @ np.linalg.lstsq(x, y)[0])


def starts(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """First row of each cluster."""
    return np.flatnonzero(np.r_[True, np.diff(codes) != 0])


@pytest.mark.parametrize(
    ("correction", "kind"), [("none", "CR0"), ("kauermann_carroll", "CR2"), ("mancl_derouen", "CR3")]
)
def test_least_squares_with_cluster_robust_errors(correction: Correction, kind: Kind) -> None:
    """Under independence and an identity link the corrections are CR0, CR2 and CR3; the df under CR2 are the same."""
    x, y, codes = clustered(1)
    covariance, df = corrected_sandwich(x, residual(x, y), starts=starts(codes), contrast=C, correction=correction)
    fit = cluster_robust(x, y, clusters=codes, contrast=C, kind=kind)
    assert covariance == pytest.approx(fit.covariance, rel=1e-9)
    if kind == "CR2":
        assert df == pytest.approx(fit.df, rel=1e-9)


@pytest.mark.parametrize("correction", ["none", "kauermann_carroll", "mancl_derouen", "fay_graubard"])
def test_formulas_in_full_matrices(correction: Correction) -> None:
    """Scores corrected cluster by cluster as the papers write it; df from P'P formed in full."""
    x, y, codes = clustered(2)
    n, bread, rest = codes.size, np.linalg.inv(x.T @ x), residual(x, y)
    annihilator, meat, parts = np.eye(n) - x @ bread @ x.T, np.zeros((3, 3)), []
    for g in range(9):
        rows = np.flatnonzero(codes == g)
        own = annihilator[np.ix_(rows, rows)]
        values, vectors = np.linalg.eigh(own)
        power = {"none": 0.0, "fay_graubard": 0.0, "kauermann_carroll": -0.5, "mancl_derouen": -1.0}[correction]
        left = x[rows].T @ (vectors * values**power) @ vectors.T
        if correction == "fay_graubard":
            share = np.minimum(0.75, np.diag(x[rows].T @ x[rows] @ bread))
            left = np.diag((1 - share) ** -0.5) @ x[rows].T
        meat += np.outer(left @ rest[rows], left @ rest[rows])
        parts.append(annihilator[rows].T @ left.T @ bread @ C)
    p = np.column_stack(parts)
    covariance, df = corrected_sandwich(x, rest, starts=starts(codes), contrast=C, correction=correction)
    assert covariance == pytest.approx(bread @ meat @ bread, rel=1e-9)
    assert df == pytest.approx(np.trace(p.T @ p) ** 2 / ((p.T @ p) ** 2).sum(), rel=1e-9)


def test_one_cluster_and_no_variation_are_refused() -> None:
    """One cluster, and a contrast no two clusters inform, have no standard error."""
    x, y, codes = clustered(3)
    with pytest.raises(EstimationError, match="too_few_clusters"):
        corrected_sandwich(x, residual(x, y), starts=np.array([0]), contrast=C, correction="kauermann_carroll")
    own = np.column_stack([np.ones(codes.size), codes == 4])
    with pytest.raises(EstimationError, match="no_degrees_of_freedom"):
        corrected_sandwich(
            np.column_stack([own[:, 1], own[:, 0] * (codes < 4), own[:, 0] * (codes > 4)]),
            0 * y,
            starts=np.array([0, int((codes < 4).sum()), int((codes < 5).sum())]),
            contrast=np.array([1.0, 0, 0]),
            correction="kauermann_carroll",
        )
