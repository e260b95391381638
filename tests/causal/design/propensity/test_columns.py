"""Moments, and which columns repeat others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity import columns
from causal.design.propensity.columns import independent_columns, kept_columns, moments, outside


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(0, 4))
def test_dropped_columns_are_combinations_of_earlier_ones(seed: int, independent: int, extra: int) -> None:
    """The kept columns have full rank, the rank of all, and each dropped one lies in the span of those before it."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(30, independent))
    columns = [*base.T] + [base @ rng.integers(-2, 3, independent) for _ in range(extra)]
    x = np.column_stack([columns[j] for j in rng.permutation(len(columns))])
    kept = independent_columns(x)
    assert kept.sum() == np.linalg.matrix_rank(x, tol=1e-8) == np.linalg.matrix_rank(x[:, kept], tol=1e-8)
    for j in np.flatnonzero(~kept):
        before = x[:, :j][:, kept[:j]]
        assert np.linalg.norm(x[:, j] - before @ np.linalg.pinv(before) @ x[:, j]) < 1e-8


@pytest.mark.parametrize("apart", [1.0, 1e-3, 1e-9, 0.0])
def test_what_is_left_is_orthogonal_and_that_of_singular_values(apart: float) -> None:
    """Beside columns that nearly or wholly repeat one another too; of a column they determine nothing is left."""
    rng = np.random.default_rng(2)
    base = rng.normal(size=(200, 4)) * [1.0, 1e5, 1e-5, 1.0]
    base[:, 3] = base[:, 0] + apart * base[:, 3]
    columns = np.column_stack([rng.normal(size=(200, 2)), base @ [1.0, 1e-5, 1e5, -1.0]])
    left = outside(base, columns)
    basis = np.linalg.svd(base / np.linalg.norm(base, axis=0), full_matrices=False)
    span = basis.U[:, basis.S > 1e-12]
    assert np.abs(span.T @ left).max() < 1e-6 * (1 if 0 < apart < 1e-5 else 1e-6)
    if apart in {0.0, 1.0, 1e-3}:
        np.testing.assert_allclose(left, columns - span @ (span.T @ columns), atol=1e-11)


def test_moments_are_means_and_standard_deviations() -> None:
    """One pass about a provisional centre gives numpy's means, standard deviations and ranges by arm."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1003, 4)) * [1.0, 1e-6, 1e6, 1.0] + [0.0, 1.0, -1e9, 1e4]
    treated = rng.random(1003) < 0.3
    found = moments(x, treated)
    np.testing.assert_allclose(found.centre, x.mean(axis=0), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found.scale, x.std(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(found.low, [x[~treated].min(axis=0), x[treated].min(axis=0)])
    np.testing.assert_array_equal(found.high, [x[~treated].max(axis=0), x[treated].max(axis=0)])


@pytest.mark.parametrize("proof_rows", [50, 10**9])
def test_a_part_of_the_rows_proves_no_more_than_all(monkeypatch: pytest.MonkeyPatch, proof_rows: int) -> None:
    """What the kept columns are does not depend on how many rows are read first, even if a column varies in few."""
    monkeypatch.setattr(columns, "PROOF_ROWS", proof_rows)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5000, 3))
    rare = np.zeros(5000)
    rare[[17, 1234]] = 1.0
    all_of_it = np.column_stack([x, rare, x[:, 0] - x[:, 2], x[:, 1] + rare, np.full(5000, 2.0)])
    found = moments(all_of_it, rng.random(5000) < 0.5)
    assert kept_columns(all_of_it, found).tolist() == [True, True, True, True, False, False, False]
