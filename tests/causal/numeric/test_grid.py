"""Rounding to stated grids: what lies on them stays, what is noise goes, whatever the size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.numeric.grid import cuts, decimal_exponent, figures, settled, significant, whole


@given(st.lists(st.integers(-(10**8), 10**8), min_size=1), st.integers(0, 5))
def test_decimals_are_whole_numbers_of_steps(numbers: list[int], places: int) -> None:
    """Decimals are found out as such, and their differences are the whole numbers they should be."""
    x = np.array([float(f"{number}e-{places}") for number in numbers])
    exponent, exact = decimal_exponent(x)
    assert exact
    assert -places <= exponent <= 0
    assert whole(x, -places).tolist() == [float(number) for number in numbers]
    assert (settled(x, exponent) == x).all()


def test_computed_numbers_are_told_from_decimals() -> None:
    """Thirds are no decimals; an outlier, a shift or a crowd of zeros does not coarsen the step of the rest."""
    thirds = np.array([4.0, 5.0, 7.0]) / 3
    assert decimal_exponent(thirds) == (-10, False)
    assert decimal_exponent(np.r_[thirds, 1e9]) == (-10, False)
    assert decimal_exponent(np.r_[np.zeros(9), 0.25, 1e-6]) == (-6, True)
    assert decimal_exponent(1.7e9 + np.array([0.1, 0.2])) == (-1, True)


def test_figures_reach_into_results() -> None:
    """Every number of nested dataclasses and tuples is told as a figure; arrays, words and counts stay."""

    @dataclass(frozen=True)
    class Row:
        name: str
        value: float
        ends: tuple[float, float]
        seen: np.ndarray

    noisy = Row("a", 0.1 + 0.2, (1e-17, 1234.56789123456), np.array([1 / 3]))
    told = figures((noisy, 3))[0]
    assert (told.name, told.value, told.ends) == ("a", 0.3, (0.0, 1234.56789))
    assert told.seen is noisy.seen


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1.0, 7e5])
def test_noise_leaves_figures_and_weights_alone(size: float) -> None:
    """Numbers that differ by 1e-15 of themselves are told alike."""
    rng = np.random.default_rng(2)
    x = size * rng.uniform(1, 9, 400)
    noisy = x * (1 + 1e-15 * rng.normal(size=400))
    assert (significant(x, 8) == significant(noisy, 8)).all()
    assert figures(tuple(x.tolist())) == figures(tuple(noisy.tolist()))


def test_a_quantile_on_a_value_is_the_value() -> None:
    """The third of the four cuts of eleven tenths is one of them, though .6 x 10 is not 6 in binary."""
    tenths = np.arange(11) / 10
    assert cuts(tenths, np.linspace(0, 1, 6), -1).tolist() == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
