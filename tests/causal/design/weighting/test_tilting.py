"""The loops as plain Python, and the search where it is hardest."""

from __future__ import annotations

import numpy as np
import pytest

from causal.design.weighting.tilting import determined, linear_loop, squares_loop, sums_loop, tilt
from causal.errors import DesignError


def test_loops_uncompiled() -> None:
    """Each loop, run as plain Python, is the matrix product it stands for; 7 rows leave three after the block of 4."""
    rng = np.random.default_rng(1)
    rows, w, beta = rng.normal(size=(7, 3)), rng.random(7), rng.normal(size=3)
    np.testing.assert_allclose(linear_loop(rows, beta), rows @ beta, rtol=1e-12)
    np.testing.assert_allclose(sums_loop(rows, w), rows.T @ w, rtol=1e-12)
    np.testing.assert_allclose(squares_loop(rows, w), (rows * w[:, None]).T @ rows, rtol=1e-12)


def test_start_does_not_matter() -> None:
    """From far starts the line search reaches the same weights."""
    rng = np.random.default_rng(2)
    rows = np.column_stack([np.ones(200), rng.normal(size=200)])
    share = (rng.random(200) < 0.3).astype(float)
    found = [
        tilt(rows, share, 1 - share, start=np.array(start), names=["(n)", "a"], task="agree").weight
        for start in ([0.0, 0.0], [3.0, -4.0], [-20.0, 10.0])
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-9)


def test_target_on_the_edge_is_refused() -> None:
    """A target only zero weights would reach, where gaps shrink for ever without closing, is refused by name."""
    rows = np.column_stack([np.ones(50), np.r_[np.zeros(40), np.ones(10)]])
    share = np.zeros(50)
    share[:5] = 1.0
    base = 1 - share
    with pytest.raises(DesignError, match=r"design\.cannot_balance.*overlap in a\."):
        tilt(rows, share, base, start=np.zeros(2), names=["(n)", "a"], task="agree")


def test_varying_combinations_are_orthonormal() -> None:
    """Repeated columns leave one combination each, orthogonal and of length 1."""
    x = np.random.default_rng(3).normal(size=(100, 2))
    found = determined(np.column_stack([np.ones(100), x, x[:, 0] - 2 * x[:, 1], 3 * x[:, 0]]))
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
