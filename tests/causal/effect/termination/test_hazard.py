"""Cox regression with weights, strata and tied days, and the cause-specific hazard ratio."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtr
from scipy.stats import norm

from causal.effect.termination.hazard import cause_specific_hazard_ratio, cox
from causal.effect.termination.partial_likelihood import Ties, running_totals
from causal.errors import EstimationError

Draw = Callable[..., dict[str, Any]]


def rows(seed: int, n: int = 120) -> dict[str, Any]:
    """Draw tied times, events, two covariates, weights, strata and clusters."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4])
    time = np.ceil(rng.exponential(10 * np.exp(-x @ [0.5, 0.7])))
    return {
        "time": time,
        "event": rng.random(n) < 0.7,
        "covariates": x,
        "weights": rng.choice([0.5, 1.0, 2.0], n),
        "strata": rng.integers(0, 5, n),
        "clusters": rng.integers(0, 25, n),
    }


@pytest.mark.parametrize(("ties", "ratio"), [("efron", 1 / np.sqrt(6)), ("breslow", 0.5)])
def test_by_hand_with_a_tie(ties: Ties, ratio: float) -> None:
    """Events of both arms on day 1, one treated left: h/((2h+1)(3h+1)/2) under Efron, h/(2h+1)^2 under Breslow."""
    fit = cox(
        np.array([1.0, 1, 2]),
        np.array([True, True, False]),
        np.array([[1.0], [0], [1]]),
        clusters=np.arange(3),
        ties=ties,
    )
    assert np.exp(fit.coefficients[0]) == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_likelihood_by_enumeration(ties: Ties) -> None:
    """The log likelihood at the maximum, with weights and tied days, is the textbook's double loop."""
    data = rows(1, 40)
    fit = cox(**{**data, "ties": ties})
    total = 0.0
    relative = data["weights"] * np.exp(data["covariates"] @ fit.coefficients)
    for stratum in np.unique(data["strata"]):
        inside = data["strata"] == stratum
        for day in np.unique(data["time"][inside & data["event"]]):
            tied = inside & data["event"] & (data["time"] == day)
            at_risk, gone = relative[inside & (data["time"] >= day)].sum(), relative[tied].sum()
            total += data["weights"][tied] @ (data["covariates"][tied] @ fit.coefficients)
            for rank in range(tied.sum()):
                left = rank / tied.sum() if ties == "efron" else 0.0
                total -= data["weights"][tied].mean() * np.log(at_risk - left * gone)
    assert fit.log_likelihood == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("stratified", [False, True])
def test_agrees_with_statsmodels(ties: Ties, stratified: bool) -> None:
    """Coefficients, model errors and likelihood are PHReg's, and under Breslow its robust errors but for G/(G - 1)."""
    from statsmodels.duration.hazard_regression import PHReg

    data = rows(2, 300)
    del data["weights"]
    strata = data["strata"] if stratified else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels divides by zero in strata without events
        model = PHReg(data["time"], data["covariates"], status=data["event"], strata=strata, ties=ties)
        plain, robust = model.fit(disp=0), model.fit(groups=data["clusters"], disp=0)
    fit = cox(**{**data, "strata": strata, "ties": ties})
    assert fit.coefficients == pytest.approx(plain.params, rel=1e-8)
    assert np.sqrt(np.diag(fit.model_covariance)) == pytest.approx(plain.bse, rel=1e-8)
    assert fit.log_likelihood == pytest.approx(plain.llf, rel=1e-10)
    if ties == "breslow":
        assert np.sqrt(np.diag(fit.covariance) * 24 / 25) == pytest.approx(robust.bse, rel=1e-8)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_robust_error_is_the_infinitesimal_jackknife(ties: Ties) -> None:
    """It is the sum of squares by cluster of weight times the numerical derivative of the fit in each row's weight."""
    data = rows(3, 60)
    fit = cox(**{**data, "ties": ties})
    change = np.zeros((25, 2))
    for i in range(60):
        step = np.where(np.arange(60) == i, 1e-5, 0.0)
        up, down = (cox(**{**data, "weights": data["weights"] + s * step, "ties": ties}).coefficients for s in (1, -1))
        change[data["clusters"][i]] += data["weights"][i] * (up - down) / 2e-5
    groups = np.unique(data["clusters"]).size
    assert fit.n_clusters == groups
    assert fit.covariance == pytest.approx(groups / (groups - 1) * change.T @ change, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_invariances(seed: int) -> None:
    """Row order, labels, any increasing change of time, and units of covariates and weights do not matter."""
    data, rng = rows(seed), np.random.default_rng(seed)
    base = cox(**data)
    order = rng.permutation(120)
    shuffled = cox(**{name: values[order] for name, values in data.items()})
    later = cox(**{**data, "time": np.exp(data["time"] / 20)})
    renamed = cox(**{**data, "strata": -3 * data["strata"], "clusters": 9 - data["clusters"]})
    heavier = cox(**{**data, "weights": 5 * data["weights"]})
    for other in (shuffled, later, renamed, heavier):
        assert other.coefficients == pytest.approx(base.coefficients, rel=1e-7, abs=1e-10)
        assert other.covariance == pytest.approx(base.covariance, rel=1e-7, abs=1e-12)
    moved = cox(**{**data, "covariates": 3 + 10 * data["covariates"]})
    assert 10 * moved.coefficients == pytest.approx(base.coefficients, rel=1e-7, abs=1e-10)


def test_even_clusters_need_no_correction() -> None:
    """200 clusters alike, each with both arms: the error is Lin and Wei's to 1%, on 150 degrees of freedom or more."""
    rng = np.random.default_rng(1)
    arm = np.tile([1.0, 0, 0, 1, 0, 1], 200)
    fit = cox(
        np.ceil(rng.exponential(30, 1200)), rng.random(1200) < 0.8, arm[:, None], clusters=np.repeat(np.arange(200), 6)
    )
    assert fit.contrasts[0].std_error == pytest.approx(np.sqrt(fit.covariance[0, 0]), rel=0.01)
    assert 150 < fit.contrasts[0].df <= 199


def test_an_arm_in_few_clusters_has_few_degrees_of_freedom() -> None:
    """With 3 of 20 clusters treated 5% of intervals miss no effect, and not the 15% of 19 degrees of freedom.

    600 samples; Monte Carlo error 0.9 points. Times within a cluster share a fifth of the variance of their ranks.
    """
    rng, clusters = np.random.default_rng(2), np.repeat(np.arange(20), 10)
    corrected, naive = [], []
    for _ in range(600):
        rank = norm.cdf(np.sqrt(0.2) * rng.normal(size=20)[clusters] + np.sqrt(0.8) * rng.normal(size=200))
        time, seen = -np.log(rank) / 0.005, rng.uniform(60, 400, 200)
        arm = (clusters < 3)[:, None].astype(float)
        fit = cox(np.ceil(np.minimum(time, seen)), time <= seen, arm, clusters=clusters)
        corrected.append(fit.contrasts[0].p_value < 0.05)
        naive.append(2 * stdtr(19, -abs(fit.coefficients[0]) / np.sqrt(fit.covariance[0, 0])) < 0.05)
    assert np.mean(naive) > 0.1
    assert abs(np.mean(corrected) - 0.05) < 3 * 0.009


def test_weights_of_zero_are_no_rows() -> None:
    """Rows without weight change nothing, not even the clusters counted."""
    data = rows(4)
    data["weights"] = np.where(data["clusters"] < 5, 0.0, data["weights"])
    stays = data["weights"] > 0
    with_zero, without = cox(**data), cox(**{name: values[stays] for name, values in data.items()})
    assert with_zero.n_clusters == without.n_clusters == 20
    assert with_zero.covariance == pytest.approx(without.covariance, rel=1e-12)


def test_aliased_columns_are_named() -> None:
    """A column determined by earlier ones within strata is left out by name; the others are as without it."""
    data = rows(5)
    base = cox(**data)
    x = np.column_stack([data["covariates"], data["covariates"][:, 0] + data["strata"], data["strata"]])
    fit = cox(**{**data, "covariates": x, "names": ["a", "b", "a again", "stratum"]})
    assert fit.aliased == ("a again", "stratum")
    assert fit.coefficients[:2] == pytest.approx(base.coefficients, rel=1e-9)
    assert np.isnan(fit.coefficients[2:]).all()
    assert [one.label for one in fit.contrasts] == ["a", "b"]
    assert [one.std_error for one in fit.contrasts] == pytest.approx([one.std_error for one in base.contrasts])


def test_contrasts_asked_for_are_the_same_alone() -> None:
    """Asking for one column's contrast leaves its numbers as they are and tells no other."""
    data = rows(7)
    fit = cox(**data, names=["a", "b"])
    (alone,) = cox(**data, names=["a", "b"], told=["b"]).contrasts
    assert (alone.label, alone.std_error, alone.df) == ("b", fit.contrasts[1].std_error, fit.contrasts[1].df)


def test_monotone_likelihood_is_refused(draw: Draw) -> None:
    """No event in one arm, or a covariate that orders the events perfectly, has no ratio."""
    data = draw(np.random.default_rng(1))
    lopsided = {**data, "cause": np.where(data["treated"], 0, data["cause"])}
    with pytest.raises(EstimationError) as refusal:
        cause_specific_hazard_ratio(**lopsided)
    assert refusal.value.code == "estimation.monotone_likelihood"
    noise = np.random.default_rng(2).normal(size=50)
    for strata in (None, np.arange(50) % 4):
        with pytest.raises(EstimationError) as refusal:
            cox(
                np.arange(1.0, 51),
                np.arange(50) % 3 > 0,
                np.column_stack([noise, -np.arange(50.0)]),
                clusters=np.arange(50),
                strata=strata,
            )
        assert refusal.value.code == "estimation.monotone_likelihood"


def test_a_rare_but_finite_ratio_is_not_refused() -> None:
    """One early event against ninety later ones is a large ratio, not a monotone likelihood."""
    time = np.arange(1.0, 101)
    arm = np.zeros((100, 1))
    arm[[3, 60]] = 1
    fit = cox(time, np.ones(100, dtype=bool), arm, clusters=np.arange(100))
    assert np.isfinite(fit.coefficients[0])


def test_refusals() -> None:
    """No event, nothing that varies where events happen, one cluster, missing covariates: each by its code."""
    data = rows(6)
    x = data["covariates"]
    for case, code in [
        ({**data, "event": np.zeros(120, dtype=bool)}, "estimation.no_events"),
        ({**data, "covariates": np.ones((120, 1))}, "estimation.not_estimable"),
        ({**data, "strata": np.arange(120)}, "estimation.not_estimable"),
        ({**data, "clusters": np.zeros(120, dtype=int)}, "estimation.too_few_clusters"),
        ({**data, "covariates": np.where(np.arange(120)[:, None] == 0, np.nan, x)}, "estimation.not_finite"),
        ({**data, "time": -data["time"]}, "estimation.time"),
        ({**data, "weights": np.full(120, np.inf)}, "estimation.weights"),
    ]:
        with pytest.raises(EstimationError) as refusal:
            cox(**case)
        assert refusal.value.code == code


def test_a_strategy_the_covariates_determine_is_refused(draw: Draw) -> None:
    """The covariate stays and the arm is what cannot be estimated: refused, not dropped."""
    data = draw(np.random.default_rng(3))
    with pytest.raises(EstimationError) as refusal:
        cause_specific_hazard_ratio(**data, covariates=1.0 - data["treated"][:, None])
    assert refusal.value.code == "estimation.not_estimable"


def test_hazard_ratio_is_cox_with_competing_endings_censored(draw: Draw) -> None:
    """Ratio, interval and counts are those of Cox on the event; swapped arms invert them."""
    data = draw(np.random.default_rng(4))
    found = cause_specific_hazard_ratio(**data)
    fit = cox(
        data["time"],
        data["cause"] == 1,
        data["treated"][:, None].astype(float),
        clusters=data["clusters"],
        weights=data["weights"],
    )
    assert found.log_ratio.value == pytest.approx(fit.coefficients[0], rel=1e-9)
    assert (found.ratio, found.lower, found.upper) == pytest.approx(
        tuple(np.exp([found.log_ratio.value, found.log_ratio.lower, found.log_ratio.upper]))
    )
    assert found.events_treated == int(((data["cause"] == 1) & data["treated"]).sum())
    swapped = cause_specific_hazard_ratio(**{**data, "treated": ~data["treated"]})
    assert (1 / swapped.ratio, 1 / swapped.upper) == pytest.approx((found.ratio, found.lower), rel=1e-8)


def test_running_totals_start_anew() -> None:
    """Sums run on within strata and begin again at each, unlike a difference of cumulative sums to the last digit."""
    values = np.array([[1e16], [1.0], [2.0], [3.0]])
    assert running_totals(values, np.array([True, True, False, False])).ravel().tolist() == [1e16, 1, 3, 6]
