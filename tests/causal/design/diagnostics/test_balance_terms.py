"""Balance of squares and products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.diagnostics.balance import balance_table
from causal.design.diagnostics.balance_terms import balance_terms
from causal.errors import DesignError

NAMES = ["lag", "severity", "victim", "police"]


def sample(seed: int, n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two numbers, two exclusive indicators, an arm and weights."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 6, n), kind == 0, kind == 1]).astype(float)
    return x, np.arange(n) % 4 == 0, rng.random(n) + 0.1


def test_terms_are_the_table_of_their_columns() -> None:
    """Squares of numbers, products of all, none of exclusive indicators, and only of the tier asked for."""
    x, treated, weights = sample(1)
    a, b = x[:, 0] - x[:, 0].mean(), x[:, 1] - x[:, 1].mean()
    columns = {
        "lag squared": a**2,
        "lag x severity": a * b,
        "lag x victim": a * x[:, 2],
        "lag x police": a * x[:, 3],
        "severity squared": b**2,
        "severity x victim": b * x[:, 2],
        "severity x police": b * x[:, 3],
    }
    explicit = balance_table(np.column_stack(list(columns.values())), list(columns), [1] * 7, treated, weights)
    assert balance_terms(x, NAMES, [1] * 4, treated, weights) == explicit
    second = balance_terms(x, NAMES, [1, 2, 1, 2], treated, weights, tier=2)
    assert [row.name for row in second] == ["severity squared", "severity x police"]
    assert all(row.tier == 2 for row in second)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_origin_and_unit_do_not_matter(seed: int, scale: float, shift: float) -> None:
    """A scale from 1 to 5 and one from 0 to 100 give the same standardised differences of squares and products."""
    x, treated, weights = sample(seed)
    moved = x.copy()
    moved[:, :2] = moved[:, :2] * scale + shift
    one, two = (balance_terms(values, NAMES, [1] * 4, treated, weights) for values in (x, moved))
    assert [row.smd_after for row in two] == pytest.approx([row.smd_after for row in one], abs=1e-6)


def test_what_means_hide() -> None:
    """Equal means with unequal spread and correlation show in the square and the product."""
    treated = np.arange(8) < 4
    x = np.array([[-1, -1], [1, 1], [-1, -1], [1, 1], [-2, 2], [2, -2], [-2, 2], [2, -2]], dtype=float)
    assert [row.smd_before for row in balance_table(x, ["a", "b"], [1, 1], treated, np.ones(8))] == [0.0, 0.0]
    found = {
        row.name: row.mean_treated - row.mean_comparison_before
        for row in balance_terms(x, ["a", "b"], [1, 1], treated, np.ones(8))
    }
    assert found == {"a squared": -3.0, "a x b": 5.0, "b squared": -3.0}


def test_missing_values_are_refused() -> None:
    """As in the table, by name."""
    x, treated, weights = sample(2)
    x[3, 1] = np.nan
    with pytest.raises(DesignError, match="severity has missing"):
        balance_terms(x, NAMES, [1] * 4, treated, weights)
