"""Shapes of the residual covariance."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.repeated.structures import STRUCTURES, Structure, covariance, starting_values

N_PARAMETERS = {  # of five visits
    "unstructured": 15,
    "toeplitz": 5,
    "toeplitz_heterogeneous": 9,
    "ar1": 2,
    "ar1_heterogeneous": 6,
    "compound_symmetry": 2,
    "compound_symmetry_heterogeneous": 6,
}
RNG = np.random.default_rng(3)
ROOT = RNG.normal(size=(5, 9))
MOMENTS = ROOT @ ROOT.T


@pytest.mark.parametrize("structure", STRUCTURES)
def test_derivatives_are_those_of_differences(structure: Structure) -> None:
    """First and second derivatives agree with central differences."""
    theta, step = starting_values(structure, MOMENTS), 1e-5
    found = covariance(structure, theta, 5)
    for k, unit in enumerate(np.eye(theta.size) * step):
        up, down = covariance(structure, theta + unit, 5), covariance(structure, theta - unit, 5)
        np.testing.assert_allclose(found.first[k], (up.value - down.value) / (2 * step), atol=1e-7)
        np.testing.assert_allclose(found.second[k], (up.first - down.first) / (2 * step), atol=1e-7)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_start_is_positive_definite_and_of_the_right_size(structure: Structure) -> None:
    """Each structure has its number of parameters and starts where the likelihood exists."""
    theta = starting_values(structure, MOMENTS)
    assert theta.size == N_PARAMETERS[structure]
    assert np.linalg.eigvalsh(covariance(structure, theta, 5).value)[0] > 0


def test_unstructured_start_is_the_moments_themselves() -> None:
    """Nothing is lost where the moments are a covariance."""
    np.testing.assert_allclose(
        covariance("unstructured", starting_values("unstructured", MOMENTS), 5).value, MOMENTS, rtol=1e-12
    )


def test_impossible_correlations_are_drawn_together() -> None:
    """Pairwise moments that no covariance has still give a start."""
    moments = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    assert np.linalg.eigvalsh(moments)[0] < 0
    theta = starting_values("unstructured", moments)
    assert np.linalg.eigvalsh(covariance("unstructured", theta, 3).value)[0] > 0


def test_structures_nest() -> None:
    """Equal parameters make the richer structure the plainer one."""
    plain = covariance("ar1", np.array([0.2, 0.6]), 4).value
    each = np.full(4, 0.2)
    np.testing.assert_allclose(covariance("ar1_heterogeneous", np.append(each, 0.6), 4).value, plain)
    lags = 0.6 ** np.arange(1, 4)
    np.testing.assert_allclose(covariance("toeplitz", np.append(0.2, lags), 4).value, plain)
    np.testing.assert_allclose(covariance("toeplitz_heterogeneous", np.append(each, lags), 4).value, plain)
    pairs = 0.6 ** np.array([1.0, 2, 3, 1, 2, 1])
    np.testing.assert_allclose(covariance("unstructured", np.append(each, pairs), 4).value, plain)
    same = covariance("compound_symmetry", np.array([0.2, 0.6]), 2).value
    np.testing.assert_allclose(same, covariance("ar1", np.array([0.2, 0.6]), 2).value)
    np.testing.assert_allclose(same, covariance("compound_symmetry_heterogeneous", np.array([0.2, 0.2, 0.6]), 2).value)


def test_derivative_at_no_correlation_is_finite() -> None:
    """Powers of a correlation of 0 leave no division by 0."""
    found = covariance("ar1", np.array([0.0, 0.0]), 3)
    np.testing.assert_allclose(found.first[1], [[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(found.second[1, 1], [[0, 0, 2], [0, 0, 0], [2, 0, 0]])
