"""Calibration, the c statistic and equipoise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity.calibration import c_statistic, calibration
from causal.design.propensity.fit import fit_propensity
from causal.errors import DesignError


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_c_statistic_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    """The rank formula equals counting all pairs, ties half."""
    score, treated = np.array([float(s) for s, _ in rows]), np.array([t for _, t in rows])
    if not treated.any() or treated.all():
        return
    gap = score[treated][:, None] - score[~treated]
    assert c_statistic(score, treated) == pytest.approx(((gap > 0) + (gap == 0) / 2).mean())


def test_a_fitted_model_is_calibrated_on_its_own_rows() -> None:
    """Maximum likelihood has calibration intercept 0 and slope 1 on the rows it saw: its score equations say so."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(800, 3))
    y = rng.random(800) < 1 / (1 + np.exp(1 - x[:, 0]))
    fit = fit_propensity(x, y, names=list("abc"))
    found = calibration(fit.logit, y)
    assert found.intercept == pytest.approx(0.0, abs=1e-8)
    assert found.slope == pytest.approx(1.0, abs=1e-8)
    assert found.brier == pytest.approx(np.mean((y - fit.probability) ** 2))
    assert found.c_statistic == fit.c_statistic


def test_hand_worked() -> None:
    """Two groups of 20 and 30 at known probabilities: shares, Brier score, equipoise and intercept by hand."""
    logit = np.repeat(np.log([1 / 3, 1.0]), [20, 30])
    treated = np.r_[np.arange(20) < 0, np.arange(30) < 15]
    found = calibration(logit, treated, minimum=11)
    assert [(b.n, b.n_treated, b.predicted, b.observed) for b in found.bins] == [
        (20, 0, pytest.approx(0.25), 0.0),
        (30, 15, pytest.approx(0.5), 0.5),
    ]
    assert found.brier == pytest.approx((20 * 0.0625 + 30 * 0.25) / 50)
    assert found.slope is None  # nobody in the lower group is treated: the slope has no maximum
    # Preference: odds over the odds 15/35 of being treated: 7/9 and 7/3, so .4375 and .7.
    assert (found.equipoise_treated, found.equipoise_comparison) == (
        pytest.approx(1.0),
        pytest.approx(1.0),
    )
    odds = np.array([1 / 3, 1.0]) * np.exp(found.intercept)
    assert (np.array([20, 30]) * odds / (1 + odds)).sum() == pytest.approx(15)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 300), st.floats(0.02, 0.98), st.integers(1, 15))
def test_no_bin_shows_a_small_count(seed: int, n: int, share: float, minimum: int) -> None:
    """Every bin shows 0 or at least the minimum of either arm, and the bins hold everybody or there are none."""
    rng = np.random.default_rng(seed)
    logit = np.round(rng.normal(size=n), 1)
    treated = rng.random(n) < share
    if not treated.any() or treated.all():
        return
    bins = calibration(logit, treated, minimum=minimum).bins
    for one in bins:
        assert all(count == 0 or count >= minimum for count in (one.n_treated, one.n - one.n_treated))
    assert sum(one.n for one in bins) in (0, n)
    if min(treated.sum(), (~treated).sum()) >= minimum:
        assert bins
    predicted = [one.predicted for one in bins]
    assert predicted == sorted(predicted)


def test_thin_overlap_is_said() -> None:
    """Above a c statistic of .85 one sentence warns; below there is none."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=3000)
    apart = rng.random(3000) < 1 / (1 + np.exp(-4 * x))
    mixed = rng.random(3000) < 1 / (1 + np.exp(-x))
    assert "few of them are comparable" in calibration(4 * x, apart).caution
    assert calibration(x, mixed).caution == ""


def test_scores_without_spread_have_no_slope() -> None:
    """Equal scores have an intercept and no slope."""
    treated = np.arange(40) < 10
    found = calibration(np.zeros(40), treated)
    assert found.slope is None
    assert found.intercept == pytest.approx(np.log(10 / 30))


def test_one_arm_is_refused() -> None:
    """Calibration needs both arms."""
    with pytest.raises(DesignError) as caught:
        calibration(np.zeros(5), np.ones(5, dtype=bool))
    assert caught.value.code == "design.empty_arm"
