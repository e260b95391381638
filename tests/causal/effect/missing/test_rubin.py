"""Rubin's rules against hand values, limits and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.effect.missing.rubin import pool
from causal.errors import EstimationError

Q, U = [-0.30, -0.22, -0.35, -0.27, -0.31], [0.012, 0.011, 0.013, 0.012, 0.0125]


def test_hand_value() -> None:
    """Five estimates pooled by hand; degrees of freedom and missing information as mice gives them."""
    found = pool(Q, U, 149, label="difference")
    assert found.contrast.value == pytest.approx(-0.29, abs=1e-12)
    assert found.within == pytest.approx(0.0121, abs=1e-12)
    assert found.between == pytest.approx(0.00235, abs=1e-12)
    assert found.total == pytest.approx(0.01492, abs=1e-12)
    assert found.large_sample_df == pytest.approx(111.9694, abs=5e-5)
    assert found.contrast.df == pytest.approx(57.7470, abs=5e-5)
    assert found.fmi == pytest.approx(0.215709, abs=5e-7)
    assert found.riv == pytest.approx(0.00282 / 0.0121, rel=1e-12)
    assert found.proportion_missing == pytest.approx(0.00282 / 0.01492, rel=1e-12)
    assert found.contrast.std_error == pytest.approx(0.01492**0.5, rel=1e-12)


def test_enough_imputations() -> None:
    """At least 20 are needed, and 100 times the missing information when that is more."""
    few = pool(Q, U, 149, label="difference")
    assert few.needed == 22
    assert not few.enough
    assert any("22 are needed" in note for note in few.notes)
    many = pool(Q * 5, U * 5, 149, label="difference")
    assert many.needed == 20
    assert many.enough
    assert many.notes == ()


def test_no_variance_between_sets() -> None:
    """Equal estimates leave the variance within, and say so."""
    found = pool([0.3] * 20, [0.04] * 20, 30, label="difference")
    assert found.between == 0
    assert found.contrast.std_error == pytest.approx(0.2, rel=1e-12)
    assert found.contrast.df == pytest.approx(31 / 33 * 30, rel=1e-12)
    assert any("same estimate" in note for note in found.notes)


@given(st.permutations(range(5)), st.floats(-3, 3), st.floats(0.1, 10))
def test_order_and_units(order: list[int], shift: float, scale: float) -> None:
    """The order of the sets changes nothing, and units pass through to value, error and nothing else."""
    plain = pool(Q, U, 149, label="difference")
    q, u = np.array(Q)[order], np.array(U)[order]
    moved = pool(shift + scale * q, scale**2 * u, 149, label="difference")
    assert moved.contrast.value == pytest.approx(shift + scale * plain.contrast.value, rel=1e-9, abs=1e-9)
    assert moved.contrast.std_error == pytest.approx(scale * plain.contrast.std_error, rel=1e-9)
    assert moved.contrast.df == pytest.approx(plain.contrast.df, rel=1e-7)
    assert moved.fmi == pytest.approx(plain.fmi, rel=1e-7)


@pytest.mark.parametrize(
    ("q", "u", "df", "code"),
    [
        ([0.1], [0.1], 10, "estimation.too_few_imputations"),
        ([0.1, 0.2], [0.1], 10, "estimation.too_few_imputations"),
        ([0.1, np.nan], [0.1, 0.1], 10, "estimation.not_finite"),
        ([0.1, 0.2], [0.1, -0.1], 10, "estimation.not_finite"),
        ([0.1, 0.2], [0.0, 0.0], 10, "estimation.no_standard_error"),
        ([0.1, 0.2], [0.1, 0.1], np.inf, "estimation.no_degrees_of_freedom"),
        ([0.1, 0.2], [0.1, 0.1], 0, "estimation.no_degrees_of_freedom"),
    ],
)
def test_refusals(q: list[float], u: list[float], df: float, code: str) -> None:
    """What cannot be pooled is refused by its own code."""
    with pytest.raises(EstimationError) as refusal:
        pool(q, u, df, label="difference")
    assert refusal.value.code == code
