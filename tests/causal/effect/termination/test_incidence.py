"""Kaplan-Meier, Aalen-Johansen and the difference between arms at given days."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.cluster_robust import Kind
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.termination.incidence import aalen_johansen, incidence_difference, incidence_ratio
from causal.errors import EstimationError

Draw = Callable[..., dict[str, Any]]


def test_by_hand() -> None:
    """Six people; on day 4 an event precedes a censoring, so that four are still at risk of it."""
    time, cause = np.array([2.0, 3, 4, 4, 5, 6]), np.array([1, 0, 1, 0, 2, 1])
    curve = aalen_johansen(time, cause)
    assert curve.at_risk.tolist() == [6, 5, 4, 2, 1]
    assert curve.survival == pytest.approx([5 / 6, 5 / 6, 5 / 8, 5 / 16, 0], rel=1e-12)
    assert curve.incidence == pytest.approx([1 / 6, 1 / 6, 1 / 6 + 5 / 24, 3 / 8, 3 / 8 + 5 / 16], rel=1e-12)
    other = aalen_johansen(time, cause, event=2)
    assert other.incidence[-1] == pytest.approx(5 / 16, rel=1e-12)
    assert curve.incidence_by(3.9) == pytest.approx(1 / 6)
    assert (curve.incidence_by(1.0), curve.survival_by(1.0)) == (0.0, 1.0)
    assert curve.survival_by(5) == pytest.approx(5 / 16)


def test_by_hand_with_weights() -> None:
    """A row of weight 2 is two rows; a row of weight 0 is none."""
    curve = aalen_johansen(np.array([1.0, 2, 3, 2]), np.array([1, 2, 0, 1]), weights=np.array([2.0, 1, 1, 0]))
    assert curve.incidence.tolist() == [0.5, 0.5, 0.5]
    assert curve.survival.tolist() == [0.5, 0.25, 0.25]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_incidences_and_survival_add_up(seed: int) -> None:
    """All causes' incidences and the survival are 1 on every day; a cause without competitors is 1 - Kaplan-Meier."""
    rng = np.random.default_rng(seed)
    time, cause = rng.integers(1, 12, 50).astype(float), rng.integers(0, 4, 50)
    w = rng.random(50) + 0.1
    curves = [aalen_johansen(time, cause, weights=w, event=event) for event in (1, 2, 3)]
    total = sum(curve.incidence for curve in curves) + curves[0].survival
    assert total == pytest.approx(np.ones_like(total), abs=1e-12)
    lone = aalen_johansen(time, (cause > 0).astype(int), weights=w)
    assert lone.incidence == pytest.approx(1 - lone.survival, abs=1e-12)
    assert aalen_johansen(time, cause, weights=w, event=None).incidence == pytest.approx(lone.incidence, abs=1e-12)


def test_agrees_with_statsmodels(draw: Draw) -> None:
    """Survival, its Greenwood error and incidences are those of statsmodels, weighted."""
    from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

    data = draw(np.random.default_rng(3))
    time, cause, w = data["time"], data["cause"], data["weights"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels divides by zero at the last day
        survival = SurvfuncRight(time, cause > 0, freq_weights=w)
        incidence = CumIncidenceRight(time, cause, freq_weights=w)
    curve = aalen_johansen(time, cause, weights=w)
    ours = [curve.survival_by(day) for day in survival.surv_times]
    assert ours == pytest.approx(survival.surv_prob, rel=1e-10)
    at = np.searchsorted(incidence.times, [30, 90, 180], side="right") - 1
    for event in (1, 2):
        ours = [aalen_johansen(time, cause, weights=w, event=event).incidence_by(day) for day in (30, 90, 180)]
        assert ours == pytest.approx(incidence.cinc[event - 1][at], rel=1e-10)


def test_error_is_greenwoods_without_weights(draw: Draw) -> None:
    """With rows as clusters the influence sum of squares is Greenwood's variance of the survival."""
    from statsmodels.duration.survfunc import SurvfuncRight

    data = draw(np.random.default_rng(4), 300, 2)
    time, ended = data["time"], data["cause"] > 0
    curve = aalen_johansen(time, data["cause"], event=None)
    influence = (curve.incidence_pseudo_values(120) - curve.incidence_by(120)) / time.size
    reference = SurvfuncRight(time, ended)
    at = np.searchsorted(reference.surv_times, 120, side="right") - 1
    assert np.sqrt(influence @ influence) == pytest.approx(reference.surv_prob_se[at], rel=1e-9)


@pytest.mark.parametrize("event", [1, None])
def test_pseudo_values_are_derivatives(draw: Draw, event: int | None) -> None:
    """Each pseudo-value is the incidence plus total weight times the numerical derivative in the row's weight."""
    data = draw(np.random.default_rng(5), 8, 4)
    time, cause, w = np.ceil(data["time"] / 20), data["cause"], data["weights"]
    curve = aalen_johansen(time, cause, weights=w, event=event)
    for day in (2.0, 5.0, float(time.max())):
        slopes = []
        for i in range(time.size):
            step = np.where(np.arange(time.size) == i, 1e-6, 0.0)
            up, down = (
                aalen_johansen(time, cause, weights=w + sign * step, event=event).incidence_by(day) for sign in (1, -1)
            )
            slopes.append((up - down) / 2e-6)
        expected = curve.incidence_by(day) + w.sum() * np.array(slopes)
        assert curve.incidence_pseudo_values(day) == pytest.approx(expected, abs=1e-6)
        assert np.average(curve.incidence_pseudo_values(day), weights=w) == pytest.approx(curve.incidence_by(day))


def test_error_agrees_with_the_jackknife_of_clusters(draw: Draw) -> None:
    """The CR1 error is within 2% of the one from leaving out each of 120 clusters in turn."""
    data = draw(np.random.default_rng(6), 120, 6)
    left_out = []
    for cluster in range(120):
        stays = data["clusters"] != cluster
        time, cause, arm, w = (data[name][stays] for name in ("time", "cause", "treated", "weights"))
        one, zero = (aalen_johansen(time[a], cause[a], weights=w[a]).incidence_by(90) for a in (arm, ~arm))
        left_out.append(one - zero)
    jackknife = np.sqrt(119 / 120 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    found = incidence_difference(**data, day=90, kind="CR1")
    assert found.std_error == pytest.approx(jackknife, rel=0.02)
    assert found.df == 119


@pytest.mark.parametrize("kind", ["CR1", "CR2"])
@pytest.mark.parametrize("covariates", [False, True])
def test_without_censoring_it_is_the_difference_of_shares(draw: Draw, kind: Kind, covariates: bool) -> None:
    """Everyone followed to the day: the difference and its error are those of the weighted 0/1 outcome, exactly."""
    rng = np.random.default_rng(7)
    data = draw(rng, censored=False)
    x = rng.normal(size=(data["time"].size, 2)) if covariates else None
    found = incidence_difference(**data, day=90, kind=kind, covariates=x)
    outcome = ((data["cause"] == 1) & (data["time"] <= 90)).astype(float)
    share = weighted_ancova(outcome, data["treated"], x, data["weights"], data["clusters"], kind=kind)
    assert (found.value, found.std_error, found.df) == pytest.approx((share.value, share.std_error, share.df), rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_invariances(seed: int) -> None:
    """Row order, cluster labels and the scale of weights and time do not matter; swapped arms turn the sign."""
    rng = np.random.default_rng(seed)
    n = 80
    data = {
        "time": rng.integers(1, 20, n).astype(float),
        "cause": rng.integers(0, 3, n),
        "treated": rng.random(n) < 0.5,
        "weights": rng.random(n) + 0.1,
        "clusters": rng.integers(0, 12, n),
    }
    base = incidence_difference(**data, day=8)
    order = rng.permutation(n)
    shuffled = incidence_difference(**{name: values[order] for name, values in data.items()}, day=8)
    renamed = incidence_difference(**{**data, "clusters": rng.permutation(50)[data["clusters"]] - 7}, day=8)
    scaled = incidence_difference(**{**data, "weights": 3 * data["weights"], "time": 2 * data["time"]}, day=16)
    swapped = incidence_difference(**{**data, "treated": ~data["treated"]}, day=8)
    expected = (base.value, base.std_error, base.df)
    for other in (shuffled, renamed, scaled):
        assert (other.value, other.std_error, other.df) == pytest.approx(expected, rel=1e-8)
    assert (swapped.value, swapped.std_error, swapped.df) == pytest.approx((-base.value, *expected[1:]), rel=1e-8)


def test_a_copy_of_every_row_changes_nothing(draw: Draw) -> None:
    """Rows doubled inside their clusters, or weight doubled, give the same difference and CR1 error."""
    data = draw(np.random.default_rng(8))
    base = incidence_difference(**data, day=120, kind="CR1")
    doubled = incidence_difference(**{name: np.tile(values, 2) for name, values in data.items()}, day=120, kind="CR1")
    assert (doubled.value, doubled.std_error) == pytest.approx((base.value, base.std_error), rel=1e-10)


def test_ratio_is_the_ratio(draw: Draw) -> None:
    """The log ratio is that of the arms' curves, and swapped arms turn its sign."""
    data = draw(np.random.default_rng(9))
    one, zero = (
        aalen_johansen(data["time"][a], data["cause"][a], weights=data["weights"][a]).incidence_by(90)
        for a in (data["treated"], ~data["treated"])
    )
    found = incidence_ratio(**data, day=90)
    assert found.value == pytest.approx(np.log(one / zero), rel=1e-10)
    swapped = incidence_ratio(**{**data, "treated": ~data["treated"]}, day=90)
    assert (swapped.value, swapped.std_error) == pytest.approx((-found.value, found.std_error), rel=1e-10)


def test_error_of_the_ratio_is_katz() -> None:
    """Everyone followed, rows independent: variance (1 - p1)/(n1 p1) + (1 - p0)/(n0 p0) of Katz et al. (1978)."""
    cause = np.repeat([1, 0, 1, 0], [12, 28, 9, 51])
    found = incidence_ratio(
        np.repeat(5.0, 100), cause, np.repeat([True, False], [40, 60]), day=5, clusters=np.arange(100), kind="CR0"
    )
    assert found.value == pytest.approx(np.log(0.3 / 0.15), rel=1e-12)
    assert found.std_error == pytest.approx(np.sqrt(0.7 / 12 + 0.85 / 9), rel=1e-12)


def changed(data: dict[str, Any], name: str, values: Any) -> dict[str, Any]:
    """The data with one array replaced."""
    return {**data, name: values}


def test_refusals(draw: Draw) -> None:
    """Each input without an honest difference is refused by its code."""
    data = draw(np.random.default_rng(10))
    n, arm = data["time"].size, data["treated"]
    first_arm_one_cluster = np.where(arm, 0, data["clusters"] + 1)
    for case, code in [
        (changed(data, "treated", np.zeros(n, dtype=bool)), "estimation.empty_arm"),
        (changed(data, "weights", np.where(arm, 0.0, 1.0)), "estimation.empty_arm"),
        (changed(data, "clusters", np.zeros(n, dtype=int)), "estimation.too_few_clusters"),
        (changed(data, "clusters", first_arm_one_cluster), "estimation.too_few_clusters"),
        (changed(data, "cause", np.zeros(n, dtype=int)), "estimation.no_events"),
        (changed(data, "cause", np.where(arm, 2, data["cause"])), "estimation.no_events"),
        (changed(data, "time", np.where(arm, 10.0, data["time"])), "estimation.nobody_at_risk"),
        (changed(data, "time", np.where(np.arange(n) == 0, 0.0, data["time"])), "estimation.time"),
        (changed(data, "time", np.where(np.arange(n) == 0, np.nan, data["time"])), "estimation.time"),
        (changed(data, "cause", np.where(np.arange(n) == 0, -1, data["cause"])), "estimation.cause"),
        (changed(data, "weights", -data["weights"]), "estimation.weights"),
    ]:
        with pytest.raises(EstimationError) as refusal:
            incidence_difference(**case, day=90)
        assert refusal.value.code == code
    with pytest.raises(EstimationError) as refusal:
        incidence_difference(**data, day=0)
    assert refusal.value.code == "estimation.day"


def test_an_arm_that_fared_alike_is_refused(draw: Draw) -> None:
    """All treated ending by the day leaves them no variation: the error would be the comparison's alone."""
    data = draw(np.random.default_rng(11))
    data = {**data, "time": np.where(data["treated"], 5.0, data["time"])}
    data["cause"] = np.where(data["treated"], 1, data["cause"])
    with pytest.raises(EstimationError) as refusal:
        incidence_difference(**data, day=90)
    assert refusal.value.code == "estimation.no_variation"


def test_everyone_seen_to_end_is_known_for_ever() -> None:
    """Where nobody was censored the incidence after the last ending is that of the last ending."""
    curve = aalen_johansen(np.array([1.0, 2]), np.array([1, 2]))
    assert curve.incidence_by(100) == 0.5
    assert not curve.is_unseen(100)
