"""Weighted contrasts: their errors against definitions, the jackknife and known identities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, stdtrit

from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.cbps import cbps_weights
from causal.design.weighting.continuous import density_weights, entropy_weights_continuous
from causal.design.weighting.entropy import entropy_weights
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.weights import Weights
from causal.effect.cluster_robust import cluster_robust
from causal.effect.weighted_estimates import weighted_difference, weighted_slope
from causal.errors import EstimationError

NAMES = ("a", "b")
METHODS = ("ATT", "ATC", "ATE", "ATO", "ATM", "ATE stabilised", "entropy ATT", "entropy ATE", "cbps ATE")


def sample(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, treatment that depends on them, outcome that depends on both."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]).astype(float)
    treated = rng.random(n) < expit(0.6 * x[:, 0] - 0.5 * x[:, 1])
    return x, treated, x @ [1.0, -2.0] + treated * (1 + 0.5 * x[:, 0]) + rng.normal(size=n)


def design(x: np.ndarray, treated: np.ndarray, method: str) -> Weights:
    """Weights by any method, with their nuisance."""
    words = method.split()
    if words[0] == "entropy":
        return entropy_weights(x, treated, names=NAMES, estimand=words[1])  # type: ignore[arg-type]
    if words[0] == "cbps":
        return cbps_weights(x, treated, names=NAMES, estimand=words[1])  # type: ignore[arg-type]
    return propensity_weights(
        treated,
        logit=fit_propensity(x, treated, names=NAMES).logit,
        estimand=words[0],  # type: ignore[arg-type]
        stabilised=len(words) > 1,
        design_matrix=np.column_stack([np.ones(len(x)), x]),
    )


@pytest.mark.parametrize("method", METHODS)
def test_error_agrees_with_the_infinitesimal_jackknife(method: str) -> None:
    """Refitting weights and effect with one row a little heavier gives each row's influence, and so the error.

    A little heavier: one more copy in a sample of 100 copies of everything.
    """
    x, treated, y = sample(1, 60)
    plain = weighted_difference(y, treated, design(x, treated, method))
    many, influence = 100, []
    for row in range(60):
        rows = np.r_[np.tile(np.arange(60), many), row]
        again = weighted_difference(y[rows], treated[rows], design(x[rows], treated[rows], method))
        influence.append((again.value - plain.value) * many)
    assert plain.std_error == pytest.approx(np.linalg.norm(influence), rel=2e-2)


def test_kinds_of_errors_without_estimation() -> None:
    """Known weights: HC0 by its textbook matrices; the cluster kinds that give HC1, HC3 and the survey's error."""
    x, treated, y = sample(2)
    weights = design(x, treated, "ATE")
    effect = weighted_difference(y, treated, weights, account_for_estimation=False)
    z, w = np.column_stack([np.ones(300), treated]), weights.weight
    bread = np.linalg.inv((z * w[:, None]).T @ z)
    residual = y - z @ (bread @ (z.T @ (w * y)))
    leverage = w * np.einsum("ij,jk,ik->i", z, bread, z)

    def error(r: np.ndarray) -> float:
        return float(np.sqrt((bread @ (z * (w * r)[:, None]).T @ (z * (w * r)[:, None]) @ bread)[1, 1]))

    assert effect.std_error == pytest.approx(error(residual), rel=1e-10)
    expected = {
        "CR0": error(residual),
        "CR1": error(residual) * np.sqrt(300 / 299),
        "CR1S": error(residual) * np.sqrt(300 / 298),
        "CR3": error(residual / (1 - leverage)),
    }
    for kind, value in expected.items():
        fit = cluster_robust(
            z,
            y,
            weights=w,
            clusters=np.arange(300),
            contrast=np.array([0.0, 1.0]),
            kind=kind,  # type: ignore[arg-type]
        )
        assert fit.coefficient == pytest.approx(effect.value, rel=1e-10)
        assert fit.std_error == pytest.approx(value, rel=1e-10), kind


def test_interval() -> None:
    """Student's t with n - 2, or clusters - 1, degrees of freedom."""
    x, treated, y = sample(3)
    clusters = np.arange(300) % 12
    for codes, df in ((None, 298.0), (clusters, 11.0)):
        effect = weighted_difference(y, treated, design(x, treated, "ATT"), clusters=codes, level=0.9)
        half = stdtrit(df, 0.95) * effect.std_error
        assert (effect.df, effect.n_clusters) == (df, int(df) + (2 if codes is None else 1))
        assert (effect.lower, effect.upper) == pytest.approx((effect.value - half, effect.value + half))
        assert effect.p_value < 0.05
        assert effect.accounts_for_estimation


@pytest.mark.parametrize("method", METHODS)
def test_repeating_every_row(method: str) -> None:
    """Every row twice: the same effect, error over the root of 2; with each pair a cluster, the error of the pairs."""
    x, treated, y = sample(4)
    once = weighted_difference(y, treated, design(x, treated, method))
    rows = np.r_[np.arange(300), np.arange(300)]
    weights = design(x[rows], treated[rows], method)
    twice = weighted_difference(y[rows], treated[rows], weights)
    paired = weighted_difference(y[rows], treated[rows], weights, clusters=rows)
    assert twice.value == pytest.approx(once.value, rel=1e-8)
    assert twice.std_error == pytest.approx(once.std_error / np.sqrt(2), rel=1e-7)
    assert paired.std_error == pytest.approx(once.std_error * np.sqrt(300 / 299), rel=1e-7)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(METHODS))
def test_units_and_order(seed: int, method: str) -> None:
    """The outcome's unit scales effect and error, its origin does not matter, nor does the order of rows."""
    x, treated, y = sample(seed)
    plain = weighted_difference(y, treated, design(x, treated, method))
    order = np.random.default_rng(seed).permutation(300)
    other = weighted_difference(100 - 3 * y[order], treated[order], design(x[order], treated[order], method))
    assert other.value == pytest.approx(-3 * plain.value, rel=1e-7, abs=1e-8)
    assert other.std_error == pytest.approx(3 * plain.std_error, rel=1e-7)


def test_accounting_for_estimation_narrows_where_confounders_predict() -> None:
    """With strong predictors among the confounders the honest error is well below HC0."""
    x, treated, y = sample(5)
    weights = design(x, treated, "ATE")
    honest = weighted_difference(y, treated, weights).std_error
    assert honest < 0.8 * weighted_difference(y, treated, weights, account_for_estimation=False).std_error


def test_entropy_of_a_linear_outcome_is_exact() -> None:
    """Where the comparison outcome is linear in the covariates without noise, the ATT is recovered with error 0."""
    x, treated, _ = sample(6)
    y = x @ [1.0, -2.0] + 3 * treated
    y += 1e-5 * np.sin(np.arange(y.size))  # an interval without width is refused
    effect = weighted_difference(y, treated, design(x, treated, "entropy ATT"))
    assert effect.value == pytest.approx(3.0, abs=1e-5)
    # What is left is the treated outcomes' own scatter passed through their balance, which cancels.
    assert 0 < effect.std_error < 2e-6


def test_trimmed_rows_and_repeated_columns() -> None:
    """Outcomes of occasions set aside may be missing; a design matrix with a repeated column changes no error."""
    x, treated, y = sample(7)
    eta = fit_propensity(x, treated, names=NAMES).logit
    columns = np.column_stack([np.ones(300), x])
    found = []
    for matrix in (columns, np.column_stack([columns, 1e4 * x[:, 0]])):
        weights = propensity_weights(treated, logit=eta, estimand="ATE", trim=(0.3, 0.7), design_matrix=matrix)
        found.append(weighted_difference(np.where(weights.weight > 0, y, np.nan), treated, weights))
    assert found[0].n_rows < 300
    assert found[0].estimand == "ATE, trimmed"
    assert found[0].estimand_note.startswith("Trimmed")
    assert found[1].std_error == pytest.approx(found[0].std_error, rel=1e-8)


def test_slope_of_an_exposure_of_zero_and_one_is_the_difference() -> None:
    """The two functions agree where both apply."""
    x, treated, y = sample(8)
    weights = design(x, treated, "ATO")
    difference, slope = weighted_difference(y, treated, weights), weighted_slope(y, treated.astype(float), weights)
    assert difference == slope


@pytest.mark.parametrize("method", ["density", "entropy"])
def test_slope_recovers_a_confounded_dose(method: str) -> None:
    """A dose effect of 0.5 confounded by a covariate is recovered within 4 errors; unweighted it is missed by more.

    The error agrees with the infinitesimal jackknife, as for differences.
    """
    rng = np.random.default_rng(9)

    def weights(dose: np.ndarray, x: np.ndarray) -> Weights:
        make: Any = density_weights if method == "density" else entropy_weights_continuous
        return make(dose, x, names=["a"])

    x = rng.normal(size=(4000, 1))
    dose = 0.5 * x[:, 0] + rng.normal(size=4000)
    y = 0.5 * dose + 2 * x[:, 0] + rng.normal(size=4000)
    effect = weighted_slope(y, dose, weights(dose, x))
    assert effect.value == pytest.approx(0.5, abs=4 * effect.std_error)
    assert np.polyfit(dose, y, 1)[0] > 0.5 + 4 * effect.std_error
    x, dose, y = x[:40], dose[:40], y[:40]
    plain = weighted_slope(y, dose, weights(dose, x))
    influence = []
    for row in range(40):
        rows = np.r_[np.tile(np.arange(40), 100), row]
        again = weighted_slope(y[rows], dose[rows], weights(dose[rows], x[rows]))
        influence.append(100 * (again.value - plain.value))
    assert plain.std_error == pytest.approx(np.linalg.norm(influence), rel=2e-2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"outcome": np.array([1.0, np.nan, 2, 3, 4])}, "estimation.not_finite"),
        ({"treated": np.array([True, False, False, False, False])}, "estimation.empty_arm"),
        ({"account_for_estimation": True}, "estimation.no_nuisance"),
        ({"clusters": np.zeros(5, dtype=int)}, "estimation.too_few_clusters"),
        ({"outcome": np.array([9.0, 2, 3, 4, 2])}, "estimation.constant_outcome"),
        ({"outcome": np.array([9.0, 2, 3, 3, 4])}, "estimation.constant_outcome"),
    ],
)
def test_refusals(change: dict[str, Any], code: str) -> None:
    """Missing outcomes, an arm without weight, weights without equations and one cluster are refused."""
    weights = Weights(
        weight=np.array([0.0, 1, 1, 1, 1]), estimand="ATT", estimand_note="", method="given", nuisance=None
    )
    arguments = {
        "outcome": np.array([1.0, 2, 3, 4, 5]),
        "treated": np.array([False, True, False, False, True]),
        "weights": weights,
        "account_for_estimation": False,
    }
    with pytest.raises(EstimationError) as caught:
        weighted_difference(**(arguments | change))  # type: ignore[arg-type]
    assert caught.value.code == code


def test_refusals_of_slopes() -> None:
    """An exposure that is missing or does not vary has no slope, and two rows have no error."""
    weights = Weights(weight=np.ones(4), estimand="slope", estimand_note="", method="given", nuisance=None)
    for exposure, code in (
        ([1.0, np.nan, 2, 3], "estimation.not_finite"),
        ([2.0, 2, 2, 2], "estimation.not_estimable"),
    ):
        with pytest.raises(EstimationError) as caught:
            weighted_slope(np.arange(4.0), np.array(exposure), weights, account_for_estimation=False)
        assert caught.value.code == code
    two = Weights(weight=np.array([1.0, 1, 0, 0]), estimand="s", estimand_note="", method="given", nuisance=None)
    with pytest.raises(EstimationError, match=r"estimation\.too_few_rows"):
        weighted_slope(np.arange(4.0), np.arange(4.0), two, account_for_estimation=False)
