"""Weights from propensity scores: formulas, derivatives, what trimming and truncating do, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.propensity_weights import propensity_weights, truncated, weight_and_slope
from causal.design.weighting.weights import WeightEstimand, effective_sample_size
from causal.errors import DesignError

E, W = np.array([0.8, 0.5, 0.2, 0.4]), np.array([True, True, False, False])
ESTIMANDS: tuple[WeightEstimand, ...] = ("ATT", "ATC", "ATE", "ATO", "ATM")


def sample(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Two covariates and a treatment that depends on both."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, rng.random(n) < expit(0.7 * x[:, 0] - 0.5 * x[:, 1] - 0.5)


@pytest.mark.parametrize(
    ("estimand", "expected"),
    [
        ("ATT", [1, 1, 0.25, 2 / 3]),
        ("ATC", [0.25, 1, 1, 1]),
        ("ATE", [1.25, 2, 1.25, 5 / 3]),
        ("ATO", [0.2, 0.5, 0.2, 0.4]),
        ("ATM", [0.25, 1, 0.25, 2 / 3]),
    ],
)
def test_formulas(estimand: WeightEstimand, expected: list[float]) -> None:
    """The five weightings by hand."""
    weights = propensity_weights(W, logit=logit(E), estimand=estimand)
    assert weights.weight == pytest.approx(expected, rel=1e-14)
    assert (weights.estimand, weights.estimand_note) == (estimand, "")
    assert weights.nuisance is None


def test_log_odds_keep_their_digits() -> None:
    """A probability that rounds to 1 still has its exact weight: exp(-40) for a treated occasion under ATC."""
    weights = propensity_weights(W, logit=np.array([40.0, 0, 0, -40]), estimand="ATC").weight
    assert weights[0] == pytest.approx(np.exp(-40.0), rel=1e-14)


@settings(max_examples=50, deadline=None)
@given(st.floats(-8, 8), st.booleans(), st.sampled_from(ESTIMANDS))
def test_slope_is_the_derivative(eta: float, arm: bool, estimand: WeightEstimand) -> None:
    """Central differences of every weight agree with its slope, away from the kink of the matching weights."""
    if estimand == "ATM" and abs(eta) < 1e-3:
        return
    at = weight_and_slope(np.array([eta - 1e-6, eta, eta + 1e-6]), np.array([arm] * 3), estimand)
    assert at[1][1] == pytest.approx((at[0][2] - at[0][0]) / 2e-6, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_stabilising_scales_each_arm(estimand: WeightEstimand) -> None:
    """Stabilised weights differ by one factor per arm, so weighted means stay, and average near 1; it is said."""
    rng = np.random.default_rng(1)
    eta = rng.normal(size=50_000) - 1
    treated = rng.random(50_000) < expit(eta)
    plain = propensity_weights(treated, logit=eta, estimand=estimand).weight
    stable = propensity_weights(treated, logit=eta, estimand=estimand, stabilised=True)
    for arm in (treated, ~treated):
        ratio = stable.weight[arm] / plain[arm]
        assert np.ptp(ratio) < 1e-12
        assert stable.weight[arm].mean() == pytest.approx(1.0, abs=0.1)
    assert (stable.estimand, stable.method) == (estimand, "inverse probability of treatment, stabilised")
    assert "unchanged" in stable.estimand_note


def test_weighting_recovers_a_known_mean() -> None:
    """Weighted means of x reach the mean of the target population in both arms, for every estimand."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=200_000)
    e = expit(x - 1)
    treated = rng.random(200_000) < e
    tilt = {"ATT": e, "ATC": 1 - e, "ATE": np.ones(x.size), "ATO": e * (1 - e), "ATM": np.minimum(e, 1 - e)}
    for estimand in ESTIMANDS:
        weights = propensity_weights(treated, logit=x - 1, estimand=estimand).weight
        for arm in (treated, ~treated):
            target = np.average(x, weights=tilt[estimand])
            assert np.average(x[arm], weights=weights[arm]) == pytest.approx(target, abs=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_overlap_weights_of_the_likelihood_balance(seed: int) -> None:
    """Overlap weights at the maximum of the likelihood make every mean equal, to 1e-8 (Li, Morgan & Zaslavsky)."""
    x, treated = sample(seed)
    fit = fit_propensity(x, treated, names=["a", "b"])
    w = propensity_weights(treated, logit=fit.logit, estimand="ATO").weight
    gap = [np.average(x[arm], axis=0, weights=w[arm]) for arm in (treated, ~treated)]
    assert np.abs(gap[0] - gap[1]).max() < 1e-8


def test_truncation_moves_only_the_tails() -> None:
    """Weights beyond the quantiles are set to them, the others stay, and the estimand says so."""
    eta, arm = logit(np.linspace(0.01, 0.99, 99)), np.arange(99) % 2 == 0
    weights = propensity_weights(arm, logit=eta, estimand="ATE").weight
    cut = propensity_weights(arm, logit=eta, estimand="ATE", truncate=(0.1, 0.9))
    low, high = np.quantile(weights, [0.1, 0.9])
    assert (cut.weight.min(), cut.weight.max()) == pytest.approx((low, high))
    inside = (weights >= low) & (weights <= high)
    assert (cut.weight[inside] == weights[inside]).all()
    assert cut.estimand == "ATE, truncated"
    assert "mixture" in cut.estimand_note


def test_truncation_under_att_is_among_comparisons() -> None:
    """Under ATT quantiles are of the comparisons' weights and the treated keep weight 1, also with a limit below 1."""
    eta = np.array([0.0, 1, -3, -2, -1, 0.5])
    arm = np.array([True, True, False, False, False, False])
    halved = propensity_weights(arm, logit=eta, estimand="ATT", truncate=(0.0, 0.5)).weight
    np.testing.assert_allclose(halved[:2], 1.0)
    assert halved[2:].max() == pytest.approx((np.exp(-2) + np.exp(-1)) / 2)
    capped = propensity_weights(arm, logit=eta, estimand="ATT", truncate=0.2).weight
    np.testing.assert_allclose(capped, [1, 1, np.exp(-3), np.exp(-2), 0.2, 0.2])


def test_trimming_sets_aside_by_probability() -> None:
    """Occasions beyond the bounds get weight 0, those on them stay, and the effect is that of the others."""
    trimmed = propensity_weights(W, logit=logit(E), estimand="ATE", trim=(0.25, 0.6), truncate=1.8)
    np.testing.assert_allclose(trimmed.weight, [0, 1.8, 0, 5 / 3])
    assert trimmed.estimand == "ATE, trimmed, truncated"
    assert "from 0.25 to 0.6" in trimmed.estimand_note


def test_occasions_set_aside_elsewhere() -> None:
    """Occasions another rule set aside get weight 0, and the model they were fitted in is still accounted for."""
    x, treated = sample(6)
    eta = fit_propensity(x, treated, names=["a", "b"]).logit
    design = np.column_stack([np.ones(treated.size), x])
    inside = x[:, 0] < 1
    found = propensity_weights(treated, logit=eta, estimand="ATT", inside=inside, design_matrix=design)
    plain = propensity_weights(treated, logit=eta, estimand="ATT", design_matrix=design)
    np.testing.assert_array_equal(found.weight, plain.weight * inside)
    assert found.nuisance is not None
    assert plain.nuisance is not None
    np.testing.assert_array_equal(found.nuisance.psi, plain.nuisance.psi)
    np.testing.assert_array_equal(found.nuisance.gradient, plain.nuisance.gradient * inside[:, None])


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_nuisance_is_the_score_and_the_derivative(estimand: WeightEstimand) -> None:
    """Estimating functions sum to 0, and jacobian and gradient are central differences in the coefficients."""
    x, treated = sample(7)
    fit = fit_propensity(x, treated, names=["a", "b"])
    design = np.column_stack([np.ones(treated.size), x])
    beta = np.r_[fit.intercept, fit.coefficients]
    found = propensity_weights(treated, logit=fit.logit, estimand=estimand, design_matrix=design).nuisance
    assert found is not None
    assert np.abs(found.psi.sum(axis=0)).max() < 1e-8
    for j, step in enumerate(1e-6 * np.eye(3)):
        up, down = design @ (beta + step), design @ (beta - step)
        change = [propensity_weights(treated, logit=eta, estimand=estimand).weight for eta in (up, down)]
        np.testing.assert_allclose(found.gradient[:, j], (change[0] - change[1]) / 2e-6, rtol=1e-5, atol=1e-6)
        score = [design.T @ (treated - expit(eta)) for eta in (up, down)]
        np.testing.assert_allclose(found.jacobian[:, j], (score[0] - score[1]) / 2e-6, rtol=1e-5)


def test_gradient_is_zero_where_weights_were_set() -> None:
    """Trimmed and truncated occasions do not pass estimation on; the others do, times the stabilising factor."""
    x, treated = sample(8)
    fit = fit_propensity(x, treated, names=["a", "b"])
    design = np.column_stack([np.ones(treated.size), x])
    plain = propensity_weights(treated, logit=fit.logit, estimand="ATE", design_matrix=design)
    done = propensity_weights(
        treated,
        logit=fit.logit,
        estimand="ATE",
        stabilised=True,
        trim=(0.2, 0.8),
        truncate=(0.05, 0.95),
        design_matrix=design,
    )
    assert plain.nuisance is not None
    assert done.nuisance is not None
    kept = done.weight > 0
    low, high = done.weight[kept].min(), done.weight[kept].max()
    free = kept & (done.weight > low) & (done.weight < high)
    assert (done.nuisance.gradient[~free] == 0).all()
    share = treated[kept].mean()
    factor = np.where(treated, share, 1 - share)[:, None]
    np.testing.assert_allclose(done.nuisance.gradient[free], (factor * plain.nuisance.gradient)[free], rtol=1e-12)


def test_firth_scores_have_firths_equations() -> None:
    """Log odds from Firth's likelihood are recognised: his estimating functions sum to 0, the plain ones do not."""
    x, treated = sample(9, n=30)
    design = np.column_stack([np.ones(30), x])
    beta = np.zeros(3)
    for _ in range(100):
        e = expit(design @ beta)
        information = (design * (e * (1 - e))[:, None]).T @ design
        leverage = e * (1 - e) * np.einsum("ij,jk,ik->i", design, np.linalg.inv(information), design)
        beta += np.linalg.solve(information, design.T @ (treated - e + leverage * (0.5 - e)))
    found = propensity_weights(treated, logit=design @ beta, estimand="ATT", design_matrix=design).nuisance
    assert found is not None
    assert np.abs(found.psi.sum(axis=0)).max() < 1e-8
    assert np.abs(design.T @ (treated - expit(design @ beta))).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"logit": np.array([-np.inf, 0.0])}, "design.probability"),
        ({"logit": np.array([np.inf, 0.0])}, "design.probability"),
        ({"logit": np.array([np.nan, 0.0])}, "design.probability"),
        ({"logit": np.array([-800.0, 0.0])}, "design.probability"),
        ({"estimand": "ATO", "stabilised": True}, "design.stabilised"),
        ({"truncate": (0.9, 0.1)}, "design.truncate"),
        ({"truncate": 0.0}, "design.truncate"),
        ({"trim": (0.6, 0.4)}, "design.trim"),
        ({"trim": (0.45, 0.55)}, "design.no_treated"),
        ({"treated": np.array([False, False])}, "design.no_treated"),
        ({"treated": np.array([True, True])}, "design.no_comparison"),
        ({"design_matrix": np.ones((2, 1))}, "design.not_the_model"),
        ({"design_matrix": np.ones((2, 1)), "memory": 0.0}, "design.memory"),
    ],
)
def test_refusals(change: dict[str, Any], code: str) -> None:
    """Scores without a weight, options without a meaning and a foreign design matrix are refused."""
    given_ = {"treated": np.array([True, False]), "logit": np.array([1.0, 0.0]), "estimand": "ATE"} | change
    with pytest.raises(DesignError) as caught:
        propensity_weights(**given_)
    assert caught.value.code == code


def test_no_truncation_changes_nothing() -> None:
    """Without limits the same weights come back and none is marked."""
    weight, beyond = truncated(E, W, None)
    assert weight is E
    assert not beyond.any()


def test_effective_sample_size() -> None:
    """Equal weights are worth their number, one dominant weight little more than one."""
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7.0)
    assert effective_sample_size(np.array([100.0, 1.0, 1.0])) == pytest.approx(102**2 / 10002)
    with pytest.raises(DesignError, match="empty_arm"):
        effective_sample_size(np.zeros(3))


def test_noise_decides_nobody_at_a_bound() -> None:
    """One in ten of a group is treated: its probability is .1, which a bound of .1 keeps, whichever way it is off."""
    treated = np.arange(40) % 10 == 0
    exact = np.log(1 / 9) + 1e-15 * np.arange(-20, 20)
    kept = propensity_weights(treated, logit=exact, estimand="ATT", trim=(0.1, 0.9)).weight > 0
    assert kept.all()
