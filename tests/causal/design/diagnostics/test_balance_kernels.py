"""The loops of the balance table against numpy, compiled and as plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from causal.design.diagnostics import balance_kernels
from causal.design.diagnostics.balance_kernels import compiled_gaps, compiled_moments

VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 1e-300, -5e-324, 1.7e308, -1.7e308]),
    st.integers(-3, 3).map(float),
)


def reference_gaps(x: np.ndarray, treated: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Largest and mean gap before and after, from one sort and cumulative sums."""
    order = np.argsort(x, kind="stable")
    last = np.r_[x[order][1:] != x[order][:-1], True]
    equal = np.where(treated, 1 / treated.sum(), -1 / (~treated).sum())
    found = [np.abs(np.cumsum(signed[order]))[last] for signed in (equal, np.where(treated, share, -share))]
    return np.array([statistic(gap) for gap in found for statistic in (np.max, np.mean)])


def arms(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Both arms occupied, weights with zeros, as shares of the arm's total."""
    rng = np.random.default_rng(seed)
    treated, weight = rng.random(n) < 0.4, rng.random(n) * (rng.random(n) < 0.7)
    treated[:2], weight[:2] = (True, False), 1.0
    share = np.where(treated, weight / weight[treated].sum(), weight / weight[~treated].sum())
    return treated, share


def gaps_of(x: np.ndarray, treated: np.ndarray, share: np.ndarray, *, plain: bool = False) -> np.ndarray:
    """The loop's four figures."""
    work = balance_kernels.gaps if plain else compiled_gaps()
    room = np.empty((2, x.size), dtype=np.uint64)
    return np.array(work(x, x.view(np.uint64), treated, share, room[0], room[1]))


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, st.integers(2, 200), elements=VALUES), st.integers(0, 2**31))
def test_gaps_agree_with_numpy_for_any_floats(x: np.ndarray, seed: int) -> None:
    """Signed zeros, subnormals and extremes included."""
    treated, share = arms(seed, x.size)
    np.testing.assert_allclose(gaps_of(x, treated, share), reference_gaps(x, treated, share), atol=1e-12)


@pytest.mark.parametrize("kind", ["normal", "far from zero", "one outlier", "few values", "outlier and ties"])
def test_gaps_agree_with_numpy_on_long_columns(kind: str) -> None:
    """Also where all but one value share their leading 32 bits, so that the radix passes alone decide nothing."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=5000)
    column = {
        "normal": x,
        "far from zero": 1e12 + x,
        "one outlier": np.r_[1e300, 5 + x[1:] * 1e-3],
        "few values": np.round(x),
        "outlier and ties": np.r_[1e300, 5 + np.round(x[1:]) * 1e-9],
    }[kind]
    treated, share = arms(4, 5000)
    np.testing.assert_allclose(gaps_of(column, treated, share), reference_gaps(column, treated, share), atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_plain_python_is_the_compiled_loop(scale: float) -> None:
    """Uncompiled, both loops give the same figures to the last digit."""
    x = np.r_[1e6, 1 + scale * np.random.default_rng(5).normal(size=299)]
    treated, share = arms(6, 300)
    assert (gaps_of(x, treated, share, plain=True) == gaps_of(x, treated, share)).all()
    assert balance_kernels.moments(x, treated, share) == compiled_moments()(x, treated, share)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 100), st.sampled_from([0.0, 1e9]))
def test_moments_agree_with_numpy(seed: int, n: int, common: float) -> None:
    """Means and mean squared deviations by arm; a large common value costs no digits of the difference."""
    treated, share = arms(seed, n)
    x = np.random.default_rng(seed).normal(size=n)
    origin, one, zero, spread_one, spread_zero, _ = compiled_moments()(x + common, treated, share)
    means = [np.average(x[arm], weights=share[arm]) for arm in (treated, ~treated)]
    spreads = [
        np.average((x[arm] - m) ** 2, weights=share[arm]) for arm, m in zip((treated, ~treated), means, strict=True)
    ]
    assert one - zero == pytest.approx(means[0] - means[1], abs=1e-6 if common else 1e-12)
    assert (spread_one, spread_zero) == pytest.approx(spreads, abs=1e-6 if common else 1e-12)
    assert origin + one == pytest.approx(means[0] + common)


def test_two_values_are_seen() -> None:
    """Whatever the two are; a third is noticed wherever it stands, weighted or not."""
    treated, share = np.array([True, False, True]), np.array([1.0, 1.0, 0.0])
    assert compiled_moments()(np.array([2.0, 7.0, 2.0]), treated, share)[-1]
    assert not compiled_moments()(np.array([2.0, 7.0, 3.0]), treated, share)[-1]
