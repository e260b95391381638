"""The grid of shifts against analysing every shifted set, and what it says of the conclusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.matched_estimates import weighted_ancova
from causal.effect.missing.tipping import GRID, TippingGrid, tipping
from causal.effect.missing.within import within
from causal.errors import EstimationError


class Study:
    """Completed outcomes of a matched sample, a quarter of them imputed, analysed by weighted ANCOVA with CR2."""

    def __init__(self, seed: int, *, n: int = 80, effect: float = -0.5, imputations: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.arm = np.arange(n) % 3 == 0
        self.x = rng.normal(size=(n, 2))
        self.clusters = rng.integers(0, 12, n)
        self.weights = np.where(self.arm, 1.0, rng.uniform(0.2, 1.0, n))
        self.gap = rng.random(n) < 0.25
        y = 3.6 + effect * self.arm + 0.3 * self.x[:, 0] + rng.normal(0, 0.5, n)
        self.sets = np.where(self.gap, y + rng.normal(0, 0.3, (imputations, n)), y)
        self.calls = 0

    def analyse(self, y: np.ndarray) -> tuple[float, float, float]:
        """Adjusted difference, error, Satterthwaite degrees of freedom."""
        self.calls += 1
        found = weighted_ancova(y, self.arm, self.x, self.weights, self.clusters)
        return found.value, found.std_error, found.df

    def grid(self, **options: tuple[float, ...]) -> TippingGrid:
        """The grid of this study."""
        return tipping(self.sets, self.gap, self.arm, self.analyse, label="difference", **options)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), one=st.sampled_from(GRID), zero=st.sampled_from(GRID))
def test_any_point_is_what_analysing_it_gives(seed: int, one: float, zero: float) -> None:
    """Value, error, degrees of freedom and interval of a point equal those of the shifted sets analysed one by one."""
    study = Study(seed)
    cell = study.grid().at(one, zero)
    brute = within(
        study.sets + np.where(study.gap, np.where(study.arm, one, zero), 0.0), study.analyse, label="difference"
    )
    for field in ("value", "std_error", "df", "lower", "upper", "p_value"):
        assert getattr(cell.contrast, field) == pytest.approx(getattr(brute.contrast, field), rel=1e-7, abs=1e-9)
    assert cell.fmi == pytest.approx(brute.fmi, rel=1e-6)


def test_no_shift_is_the_imputation() -> None:
    """At no shift the grid holds the multiple imputation estimate itself, bit by bit."""
    study = Study(1)
    plain, cell = within(study.sets, study.analyse, label="difference"), study.grid().at(0.0, 0.0)
    assert (cell.contrast.value, cell.contrast.std_error) == (plain.contrast.value, plain.contrast.std_error)
    assert (cell.contrast.lower, cell.fmi) == (plain.contrast.lower, plain.fmi)


def test_few_analyses() -> None:
    """A grid of 441 points costs three analyses of each set and four more."""
    study = Study(2)
    assert study.grid().values.shape == (21, 21)
    assert study.calls == 3 * 5 + 4


def test_monotone() -> None:
    """The estimate rises with the shift of the treated and falls with that of the comparison arm."""
    values = Study(3).grid().values
    assert (np.diff(values, axis=0) > 0).all()
    assert (np.diff(values, axis=1) < 0).all()


def test_nearest_change_of_conclusion() -> None:
    """The tipping shift is the one nearest 0 whose interval differs in covering 0, found by looking at every point."""
    for seed, effect in ((4, -0.5), (5, 0.0), (6, -0.25), (7, 0.3)):
        grid = Study(seed, effect=effect).grid()
        column = [grid.at(shift, 0.0).contrast for shift in GRID]
        excludes = [found.lower > 0 or found.upper < 0 for found in column]
        changed = [(abs(s), s) for s, out in zip(GRID, excludes, strict=True) if out != excludes[GRID.index(0.0)]]
        assert grid.tipping_delta == (min(changed)[1] if changed else None)
        assert grid.excludes_zero[:, GRID.index(0.0)].tolist() == excludes


def test_boundary() -> None:
    """Each column of the boundary is the nearest change from the unshifted conclusion, NaN without one."""
    grid = Study(8, effect=-0.35).grid()
    unshifted = grid.excludes_zero[GRID.index(0.0), GRID.index(0.0)]
    for b in range(21):
        changed = [(abs(s), s) for a, s in enumerate(GRID) if grid.excludes_zero[a, b] != unshifted]
        if changed:
            assert grid.boundary[b] == min(changed)[1]
        else:
            assert np.isnan(grid.boundary[b])
    assert np.isfinite(grid.boundary).any()


def test_share_outside_the_scale() -> None:
    """Shifted values are not clipped; the share beyond the scale is told for each shift and arm."""
    study = Study(9)
    grid = study.grid()
    shifted = study.sets[:, study.gap & study.arm] - 1.5
    assert grid.outside_treated[0] == ((shifted < 1) | (shifted > 5)).mean()
    assert grid.outside_treated[0] > grid.outside_treated[GRID.index(0.0)]
    assert (grid.n_treated, grid.n_comparison) == ((study.gap & study.arm).sum(), (study.gap & ~study.arm).sum())


def test_swapped_arms() -> None:
    """Arms swapped give the transposed grid with the sign turned."""
    study = Study(10)
    swapped = Study(10)
    swapped.arm = ~study.arm
    np.testing.assert_allclose(swapped.grid().values, -study.grid().values.T, rtol=1e-9, atol=1e-12)


def test_an_analysis_that_is_not_linear_is_found_out() -> None:
    """An analysis whose value is not linear in the outcome is refused, not interpolated."""
    study = Study(11)

    def clipped(y: np.ndarray) -> tuple[float, float, float]:
        return study.analyse(np.clip(y, 2.5, 5))

    with pytest.raises(EstimationError) as refusal:
        tipping(study.sets, study.gap, study.arm, clipped, label="difference")
    assert refusal.value.code == "estimation.not_linear"


def test_refusals() -> None:
    """Nothing imputed leaves nothing to shift; shifts without 0 are a mistake of the caller."""
    study = Study(12)
    with pytest.raises(EstimationError) as refusal:
        tipping(study.sets, np.zeros_like(study.gap), study.arm, study.analyse, label="difference")
    assert refusal.value.code == "estimation.nothing_imputed"
    with pytest.raises(ValueError, match="0 among them"):
        study.grid(deltas_treated=(-1.0, 0.5))


def test_one_arm_imputed() -> None:
    """Where only the treated miss ratings, shifts of the comparison arm change nothing."""
    study = Study(13)
    study.gap &= study.arm
    grid = study.grid()
    assert np.ptp(grid.values, axis=1).max() < 1e-12
    assert grid.n_comparison == 0
