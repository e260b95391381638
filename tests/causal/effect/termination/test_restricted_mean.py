"""Days lost and days lasting up to a horizon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.matched_estimates import weighted_ancova
from causal.effect.termination.incidence import aalen_johansen
from causal.effect.termination.restricted_mean import (
    restricted_mean_difference,
    time_lost,
    time_lost_difference,
    time_lost_pseudo_values,
)
from causal.errors import EstimationError

Draw = Callable[..., dict[str, Any]]


def test_by_hand() -> None:
    """Steps 1/6 on day 2, 3/8 on day 4, horizon 5: 2 days at 1/6 and 1 day at 3/8."""
    curve = aalen_johansen(np.array([2.0, 3, 4, 4, 5, 6]), np.array([1, 0, 1, 0, 2, 1]))
    assert time_lost(curve, 5) == pytest.approx(2 / 6 + 3 / 8, rel=1e-12)
    assert time_lost(curve, 4.5) == pytest.approx(2 / 6 + 3 / 16, rel=1e-12)
    assert time_lost(curve, 1) == 0
    assert time_lost(curve, 9) == pytest.approx(2 / 6 + 3 / 8 * 2 + (3 / 8 + 5 / 16) * 3, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.5, 15))
def test_days_add_up_to_the_horizon(seed: int, horizon: float) -> None:
    """Days lost to each cause and days lasting are the horizon; the area is that of the curve on a fine grid."""
    rng = np.random.default_rng(seed)
    time, cause, w = rng.integers(1, 20, 60).astype(float), rng.integers(0, 4, 60), rng.random(60) + 0.1
    time[0], cause[0] = 20.0, 0  # somebody reaches every horizon
    lost = [time_lost(aalen_johansen(time, cause, weights=w, event=event), horizon) for event in (1, 2, 3)]
    assert sum(lost) == pytest.approx(time_lost(aalen_johansen(time, cause, weights=w, event=None), horizon), abs=1e-10)
    curve = aalen_johansen(time, cause, weights=w)
    grid = (np.arange(4000) + 0.5) * horizon / 4000
    area = np.mean([curve.incidence_by(day) for day in grid]) * horizon
    assert lost[0] == pytest.approx(area, abs=horizon / 500)


def test_pseudo_values_are_derivatives(draw: Draw) -> None:
    """Each is the days lost plus total weight times the numerical derivative in the row's weight."""
    data = draw(np.random.default_rng(5), 8, 4)
    time, cause, w = np.ceil(data["time"] / 20), data["cause"], data["weights"]
    for horizon in (2.0, 4.7, float(time.max())):
        curve = aalen_johansen(time, cause, weights=w)
        slopes = []
        for i in range(time.size):
            step = np.where(np.arange(time.size) == i, 1e-6, 0.0)
            up, down = (time_lost(aalen_johansen(time, cause, weights=w + s * step), horizon) for s in (1, -1))
            slopes.append((up - down) / 2e-6)
        expected = time_lost(curve, horizon) + w.sum() * np.array(slopes)
        assert time_lost_pseudo_values(curve, horizon) == pytest.approx(expected, abs=1e-6)


def test_without_censoring_it_is_the_difference_of_mean_days(draw: Draw) -> None:
    """Days lasting are then the mean of min(time, horizon), days lost that of what is left after the event."""
    data = draw(np.random.default_rng(7), censored=False)
    time, ended = data["time"], data["cause"] > 0
    rows = (data["treated"], None, data["weights"], data["clusters"])
    lasting = weighted_ancova(np.where(ended, np.minimum(time, 180), 180.0), *rows)
    found = restricted_mean_difference(**data, horizon=180).difference
    assert (found.value, found.std_error, found.df) == pytest.approx((lasting.value, lasting.std_error, lasting.df))
    lost = weighted_ancova(np.where(data["cause"] == 1, np.maximum(180 - time, 0), 0.0), *rows)
    found = time_lost_difference(**data, horizon=180).difference
    assert (found.value, found.std_error, found.df) == pytest.approx((lost.value, lost.std_error, lost.df))


def test_error_agrees_with_the_jackknife_of_clusters(draw: Draw) -> None:
    """The CR1 error is within 2% of the one from leaving out each of 120 clusters in turn."""
    data = draw(np.random.default_rng(6), 120, 6)
    left_out = []
    for cluster in range(120):
        stays = data["clusters"] != cluster
        time, cause, arm, w = (data[name][stays] for name in ("time", "cause", "treated", "weights"))
        one, zero = (time_lost(aalen_johansen(time[a], cause[a], weights=w[a]), 180) for a in (arm, ~arm))
        left_out.append(one - zero)
    jackknife = np.sqrt(119 / 120 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert time_lost_difference(**data, horizon=180, kind="CR1").difference.std_error == pytest.approx(
        jackknife, rel=0.02
    )


def test_units_of_time(draw: Draw) -> None:
    """Weeks instead of days divide difference and error by 7; swapped arms turn the sign."""
    data = draw(np.random.default_rng(8))
    base = time_lost_difference(**data, horizon=140).difference
    weeks = time_lost_difference(**{**data, "time": data["time"] / 7}, horizon=20).difference
    assert (7 * weeks.value, 7 * weeks.std_error, weeks.df) == pytest.approx((base.value, base.std_error, base.df))
    swapped = time_lost_difference(**{**data, "treated": ~data["treated"]}, horizon=140).difference
    assert (-swapped.value, swapped.std_error) == pytest.approx((base.value, base.std_error))


def test_refusals(draw: Draw) -> None:
    """A horizon nobody reaches, and an arm without an event before it, are refused."""
    data = draw(np.random.default_rng(9))
    for case, code in [
        ({**data, "horizon": 5000}, "estimation.nobody_at_risk"),
        ({**data, "cause": np.where(data["treated"], 2, data["cause"]), "horizon": 180}, "estimation.no_events"),
        ({**data, "horizon": -1}, "estimation.day"),
    ]:
        with pytest.raises(EstimationError) as refusal:
            time_lost_difference(**case)
        assert refusal.value.code == code
