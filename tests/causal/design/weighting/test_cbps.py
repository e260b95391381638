"""The covariate-balancing propensity score: exact moment conditions, and the weights of a logistic model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root
from scipy.special import expit

from causal.design.weighting.cbps import CbpsEstimand, cbps_weights
from causal.design.weighting.entropy import entropy_weights
from causal.design.weighting.propensity_weights import weight_and_slope
from causal.errors import DesignError

NAMES = ("a", "b")
ESTIMANDS: tuple[CbpsEstimand, ...] = ("ATT", "ATC", "ATE")


def sample(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """A normal and a skewed covariate, and a treatment that depends on both."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.exponential(size=n)])
    treated = rng.random(n) < expit(x[:, 0] - 0.5 * x[:, 1])
    treated[:2] = [True, False]
    return x, treated


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ESTIMANDS))
def test_moment_conditions_hold_exactly(seed: int, estimand: CbpsEstimand) -> None:
    """Weighted sums of 1 and of every covariate agree between the arms, to 1e-9 of their size."""
    x, treated = sample(seed)
    w = cbps_weights(x, treated, names=NAMES, estimand=estimand).weight
    terms = np.column_stack([np.ones(300), x])
    one, zero = (w[arm] @ terms[arm] for arm in (treated, ~treated))
    np.testing.assert_allclose(one, zero, atol=1e-9 * w.sum())


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_solves_the_equations_a_root_finder_solves(estimand: CbpsEstimand) -> None:
    """Ten lines of scipy on the moment conditions of Imai and Ratkovic give the same weights."""
    x, treated = sample(1)
    terms = np.column_stack([np.ones(300), x])
    sign = np.where(treated, 1.0, -1.0)

    def moments(beta: np.ndarray) -> np.ndarray:
        return terms.T @ (sign * weight_and_slope(terms @ beta, treated, estimand)[0])

    solution = root(moments, np.zeros(3), tol=1e-13)
    expected = weight_and_slope(terms @ solution.x, treated, estimand)[0]
    found = cbps_weights(x, treated, names=NAMES, estimand=estimand)
    np.testing.assert_allclose(found.weight, expected, rtol=1e-8)
    assert (found.estimand, found.estimand_note) == (estimand, "")


def test_att_is_entropy_balancing() -> None:
    """For the ATT the equations, and so the weights, are those of entropy balancing of means."""
    x, treated = sample(2)
    np.testing.assert_allclose(
        cbps_weights(x, treated, names=NAMES).weight, entropy_weights(x, treated, names=NAMES).weight, rtol=1e-9
    )


def test_exists_where_groups_overlap_but_means_do_not() -> None:
    """For the ATE overlap suffices: weights exist where entropy balancing to the means of everyone has none."""
    x = np.array([[0.0], [0.1], [0.2], [5.0], [0.15], [5.1], [5.2], [40.0]])
    treated = np.array([True, True, True, True, False, False, False, False])
    w = cbps_weights(x, treated, names=["a"], estimand="ATE").weight
    means = [np.average(x[arm, 0], weights=w[arm]) for arm in (treated, ~treated)]
    assert means[0] == pytest.approx(means[1], rel=1e-9)
    with pytest.raises(DesignError, match=r"design\.cannot_balance"):
        entropy_weights(x, treated, names=["a"], estimand="ATE")


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_separation_is_refused_by_name(estimand: CbpsEstimand) -> None:
    """A covariate that tells the groups apart has no weights, and is the only one named."""
    x, treated = sample(3)
    apart = np.column_stack([x, treated + np.random.default_rng(1).random(300)])
    with pytest.raises(DesignError, match=r"design\.cannot_balance.*do not overlap in c\. Fix"):
        cbps_weights(apart, treated, names=[*NAMES, "c"], estimand=estimand)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_nuisance_solves_and_differentiates(estimand: CbpsEstimand) -> None:
    """Estimating functions sum to 0; one more row in a thousandfold sample moves the weights as they predict."""
    x, treated = sample(4, 100)
    plain = cbps_weights(x, treated, names=NAMES, estimand=estimand)
    assert plain.nuisance is not None
    assert np.abs(plain.nuisance.psi.sum(axis=0)).max() < 1e-8
    many, row = 1000, 3
    moved = cbps_weights(
        np.vstack([np.tile(x, (many, 1)), x[row]]),
        np.r_[np.tile(treated, many), treated[row]],
        names=NAMES,
        estimand=estimand,
    ).weight[:100]
    step = np.linalg.solve(plain.nuisance.jacobian, plain.nuisance.psi[row]) / many
    predicted = -plain.nuisance.gradient @ step
    np.testing.assert_allclose(moved - plain.weight, predicted, atol=2e-2 * np.abs(predicted).max())


def test_nuisance_can_be_left_out() -> None:
    """Large data need not hold the estimating functions."""
    x, treated = sample(5)
    assert cbps_weights(x, treated, names=NAMES, nuisance=False).nuisance is None
    with pytest.raises(DesignError, match=r"design\.no_treated"):
        cbps_weights(x, np.zeros(300, dtype=bool), names=NAMES)
