"""Weights for a continuous exposure: densities by formula, zero correlations, kept margins, derivatives, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

from causal.design.weighting.continuous import density_weights, entropy_weights_continuous, weighted_correlations
from causal.errors import DesignError

NAMES = ("a", "b")


def sample(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """An exposure that rises with two covariates."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]).astype(float)
    return 3 + 0.5 * x[:, 0] - 0.4 * x[:, 1] + rng.normal(size=n), x


def test_density_by_formula() -> None:
    """Weights are the marginal over the conditional normal density, both by maximum likelihood."""
    dose, x = sample(1)
    terms = np.column_stack([np.ones(400), x])
    fitted = terms @ np.linalg.lstsq(terms, dose, rcond=None)[0]
    expected = norm.pdf(dose, dose.mean(), dose.std()) / norm.pdf(dose, fitted, (dose - fitted).std())
    found = density_weights(dose, x, names=NAMES)
    np.testing.assert_allclose(found.weight, expected, rtol=1e-10)
    assert found.estimand == "average dose-response"


def test_heteroscedastic_density_is_the_maximum() -> None:
    """With a spread that depends on covariates the likelihood reaches what a general optimiser reaches."""
    rng = np.random.default_rng(2)
    _, x = sample(2)
    dose = 1 + x[:, 0] + np.exp(0.3 * x[:, 0] - 0.5 * x[:, 1]) * rng.normal(size=400)
    terms = np.column_stack([np.ones(400), x])

    def minus_log_likelihood(p: np.ndarray) -> float:
        return -float(norm.logpdf(dose, terms @ p[:3], np.exp(terms @ p[3:])).sum())

    best = minimize(minus_log_likelihood, np.zeros(6), method="BFGS", options={"gtol": 1e-3})
    weight = density_weights(dose, x, names=NAMES, heteroscedastic=True).weight
    conditional = norm.logpdf(dose, dose.mean(), dose.std()) - np.log(weight)
    assert conditional.sum() == pytest.approx(-best.fun, abs=1e-6)
    assert conditional.sum() >= -best.fun - 1e-9


def test_truncated_density() -> None:
    """The largest weight allowed is set, said, and no longer depends on the model."""
    dose, x = sample(3)
    cut = density_weights(dose, x, names=NAMES, truncate=1.5)
    assert cut.weight.max() == 1.5
    assert cut.estimand == "average dose-response, truncated"
    assert cut.estimand_note
    assert cut.nuisance is not None
    assert (cut.nuisance.gradient[cut.weight == 1.5] == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_balance_is_exact_and_margins_stay(seed: int) -> None:
    """Weighted correlations are 0, means of exposure and covariates stay, weights sum to n."""
    dose, x = sample(seed)
    w = entropy_weights_continuous(dose, x, names=NAMES).weight
    assert np.abs(weighted_correlations(dose, x, w)).max() < 1e-9
    assert np.average(dose, weights=w) == pytest.approx(dose.mean(), rel=1e-9)
    np.testing.assert_allclose(np.average(x, axis=0, weights=w), x.mean(axis=0), atol=1e-9)
    assert w.sum() == pytest.approx(400.0)
    assert w.min() > 0


def test_powers_are_balanced_too() -> None:
    """With two moments of both, squares are uncorrelated as well and variances stay."""
    dose, x = sample(4, 1000)
    w = entropy_weights_continuous(dose, x, names=NAMES, moments=2, interactions=True, exposure_moments=2).weight
    powers = np.column_stack([x, x[:, 0] ** 2, x[:, 0] * x[:, 1]])
    for power in (dose, dose**2):
        assert np.abs(weighted_correlations(power, powers, w)).max() < 1e-9
        assert np.average(power, weights=w) == pytest.approx(power.mean(), rel=1e-9)
    plain = entropy_weights_continuous(dose, x, names=NAMES).weight
    assert np.abs(weighted_correlations(dose**2, powers, plain)).max() > 1e-4


def test_units_and_order_do_not_matter() -> None:
    """Affine recoding of exposure and covariates and permuting rows leave the balancing weights as they are."""
    dose, x = sample(5)
    w = entropy_weights_continuous(dose, x, names=NAMES).weight
    order = np.random.default_rng(1).permutation(400)
    again = entropy_weights_continuous(100 - 7 * dose[order], 1e3 * x[order] + 5, names=NAMES).weight
    np.testing.assert_allclose(again, w[order], rtol=1e-7)


@pytest.mark.parametrize("method", ["density", "heteroscedastic", "entropy"])
def test_nuisance_solves_and_differentiates(method: str) -> None:
    """Estimating functions sum to 0; one more row in a thousandfold sample moves the weights as they predict."""
    dose, x = sample(6, 60)

    def weights(a: np.ndarray, covariates: np.ndarray) -> Any:
        if method == "entropy":
            return entropy_weights_continuous(a, covariates, names=NAMES)
        return density_weights(a, covariates, names=NAMES, heteroscedastic=method == "heteroscedastic")

    plain = weights(dose, x)
    assert np.abs(plain.nuisance.psi.sum(axis=0)).max() < 1e-7
    many, row = 1000, 3
    moved = weights(np.r_[np.tile(dose, many), dose[row]], np.vstack([np.tile(x, (many, 1)), x[row]])).weight[:60]
    step = np.linalg.solve(plain.nuisance.jacobian, plain.nuisance.psi[row]) / many
    predicted = -plain.nuisance.gradient @ step
    np.testing.assert_allclose(moved - plain.weight, predicted, atol=2e-2 * np.abs(predicted).max())


def test_what_cannot_be_balanced_is_named() -> None:
    """An exposure that a covariate determines cannot be made unrelated to it."""
    dose, x = sample(7)
    tied = np.column_stack([x, dose])
    with pytest.raises(DesignError, match=r"design\.cannot_balance.*exposure x c"):
        entropy_weights_continuous(dose, tied, names=[*NAMES, "c"])
    with pytest.raises(DesignError, match=r"design\.determined_exposure"):
        density_weights(dose, tied, names=[*NAMES, "c"])


@pytest.mark.parametrize("make", [density_weights, entropy_weights_continuous])
def test_refusals(make: Any) -> None:
    """Missing or constant exposures and covariates are refused."""
    dose, x = sample(8)
    for a, covariates, code in (
        (np.full(400, 2.0), x, "design.constant_exposure"),
        (np.where(dose > 3, np.nan, dose), x, "design.not_finite"),
        (dose, np.ones((400, 2)), "design.constant_covariate"),
        (dose, np.full((400, 2), np.nan), "design.not_finite"),
    ):
        with pytest.raises(DesignError) as caught:
            make(a, covariates, names=NAMES)
        assert caught.value.code == code
    with pytest.raises(DesignError, match=r"design\.moments"):
        entropy_weights_continuous(dose, x, names=NAMES, exposure_moments=4)
    with pytest.raises(DesignError, match=r"design\.truncate"):
        density_weights(dose, x, names=NAMES, truncate=(0.9, 0.1))


def test_refusals_of_correlations() -> None:
    """Nothing with weight, or nothing that varies, has no correlation."""
    dose, x = sample(9)
    with pytest.raises(DesignError, match=r"design\.empty_arm"):
        weighted_correlations(dose, x, np.zeros(400))
    with pytest.raises(DesignError, match=r"design\.constant_exposure"):
        weighted_correlations(np.ones(400), x, np.ones(400))
    with pytest.raises(DesignError, match=r"design\.constant_covariate"):
        weighted_correlations(dose, np.ones((400, 1)), np.ones(400))
