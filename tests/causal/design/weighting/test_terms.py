"""What is balanced: standardised covariates, powers, products and clusters."""

from __future__ import annotations

import numpy as np
import pytest

from causal.design.weighting.terms import balance_terms, scaled_loop, summary_loop


def test_loops_uncompiled() -> None:
    """Each loop, run as plain Python, is the column summary or the scaling it stands for."""
    rows = np.random.default_rng(1).normal(size=(7, 3))
    mean, sd, low, high = summary_loop(rows)
    np.testing.assert_allclose([mean, sd, low, high], [f(axis=0) for f in (rows.mean, rows.std, rows.min, rows.max)])
    np.testing.assert_allclose(scaled_loop(rows, mean, sd)[:, 1:], (rows - mean) / sd, rtol=1e-12)


def test_terms() -> None:
    """Powers and products are standardised unless balanced already; clusters get all indicators but one."""
    x = np.column_stack([np.tile([0.0, 1.0], 10), np.arange(20.0)])
    terms = balance_terms(x, ["even", "b"], moments=3, interactions=True, clusters=np.arange(20) % 3, memory=1.0)
    assert terms.names == ("(weight)", "even", "b", "b^2", "b^3", "even x b", "(cluster 2)", "(cluster 3)")
    assert balance_terms(x[:, :1], ["even"], moments=3, memory=1.0).names == ("(weight)", "even")
    twins = np.column_stack([x[:, 0], 1 - x[:, 0]])
    assert balance_terms(twins, ["even", "odd"], interactions=True, memory=1.0).names == ("(weight)", "even", "odd")
    np.testing.assert_allclose(terms.rows[:, 1:].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(terms.rows[:, 1:].std(axis=0), 1)
    with pytest.raises(ValueError, match="do not fit"):
        balance_terms(x, ["a"], memory=1.0)
