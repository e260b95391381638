"""The likelihood, its derivatives and the search, against one matrix over all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from causal.effect.repeated.likelihood import derivatives, maximise, profile
from causal.effect.repeated.mmrm import Method
from causal.effect.repeated.patterns import PatternSums, pattern_sums
from causal.effect.repeated.preparation import arrange, prepare
from causal.effect.repeated.structures import STRUCTURES, Covariance, Structure, covariance
from causal.errors import EstimationError


def covariances(structure: Structure, theta: Any, n_visits: int, groups: int = 1) -> tuple[Covariance, ...]:
    """One covariance per group."""
    return tuple(covariance(structure, part, n_visits) for part in np.split(theta, groups))


def somewhere(structure: Structure, n_visits: int) -> Any:
    """Parameters away from any maximum."""
    rng = np.random.default_rng(5)
    free = {"unstructured": n_visits * (n_visits - 1) // 2, "toeplitz": n_visits - 1}
    n_correlations = free.get(structure.removesuffix("_heterogeneous"), 1)
    n_sd = n_visits if structure == "unstructured" or structure.endswith("heterogeneous") else 1
    return np.concatenate([rng.normal(size=n_sd) / 5, 0.3 + 0.1 * rng.random(n_correlations)])


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_log_likelihood_is_the_textbook_one(small: Any, structure: Structure, method: Method) -> None:
    """At the fitted covariance the log likelihood, coefficients and their covariance are those of all rows at once."""
    fit = small.fit(structure, method)
    beta, phi = small.gls(fit.covariance)
    assert -2 * fit.log_likelihood == pytest.approx(small.deviance(fit.covariance, method), abs=1e-9)
    np.testing.assert_allclose(fit.coefficients, beta, rtol=1e-9)
    np.testing.assert_allclose(fit.vcov, phi, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_derivatives_are_those_of_differences(longer: Any, structure: Structure, groups: int, reml: bool) -> None:
    """Gradient and observed information agree with central differences of objective and gradient."""
    sums: PatternSums = longer.fit("compound_symmetry", grouped=groups == 2)._sums
    theta, step = np.tile(somewhere(structure, 5), groups), 1e-5

    def at(point: Any) -> tuple[float, Any]:
        found = covariances(structure, point, 5, groups)
        here = profile(sums, found, reml=reml)
        assert here is not None
        return here.objective, derivatives(sums, here, found, reml=reml)

    _, found = at(theta)
    for k, unit in enumerate(np.eye(theta.size) * step):
        (up, above), (down, below) = at(theta + unit), at(theta - unit)
        assert found.gradient[k] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(
            found.hessian[k], (above.gradient - below.gradient) / (2 * step), rtol=1e-5, atol=1e-4
        )


@pytest.mark.parametrize("reml", [True, False])
def test_expected_information_is_the_textbook_trace(small: Any, reml: bool) -> None:
    """``tr(P dV P dV)`` over matrices of all rows; under ML the inverse of V stands for P."""
    sums = small.fit("unstructured")._sums
    found = covariances("toeplitz_heterogeneous", somewhere("toeplitz_heterogeneous", 3), 3)
    at = profile(sums, found, reml=reml)
    assert at is not None
    inverse = np.linalg.inv(small.whole(found[0].value[None]))
    p = inverse
    if reml:
        p = p - inverse @ small.x @ np.linalg.solve(small.x.T @ inverse @ small.x, small.x.T @ inverse)
    change = [p @ small.whole(first[None]) for first in found[0].first]
    expected = [[np.trace(a @ b) for b in change] for a in change]
    np.testing.assert_allclose(derivatives(sums, at, found, reml=reml).expected, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("structure", ["unstructured", "toeplitz_heterogeneous", "ar1", "compound_symmetry"])
def test_no_better_covariance_is_found_by_another_search(small: Any, structure: Structure) -> None:
    """A derivative-free search over the textbook likelihood ends at the same place."""
    fit = small.fit(structure)
    start = somewhere(structure, 3)

    def objective(theta: Any) -> float:
        sigma = covariance(structure, theta, 3).value
        return small.deviance(sigma[None]) if np.linalg.eigvalsh(sigma)[0] > 1e-6 else 1e6

    other = minimize(objective, start, method="Powell", options={"xtol": 1e-9, "ftol": 1e-13, "maxiter": 20000})
    assert -2 * fit.log_likelihood <= other.fun + 1e-7
    np.testing.assert_allclose(fit.covariance[0], covariance(structure, other.x, 3).value, rtol=1e-3, atol=1e-3)


def test_outside_the_positive_definite_there_is_no_likelihood(small: Any) -> None:
    """A matrix that is no covariance gives no number."""
    sums = small.fit("unstructured")._sums
    assert profile(sums, covariances("compound_symmetry", np.array([0.0, -0.9]), 3), reml=True) is None


def test_the_maximum_is_certified(longer: Any) -> None:
    """The decrement reported is below the certificate, and few steps were needed."""
    for structure in STRUCTURES:
        fit = longer.fit(structure)
        assert 0 <= fit.decrement <= 1e-8
        assert fit.steps <= 15


def test_a_search_cut_short_is_refused(longer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proof of convergence there is no estimate."""
    monkeypatch.setattr("causal.effect.repeated.likelihood.STEPS", 1)
    with pytest.raises(EstimationError) as refusal:
        maximise(sums_of(longer), "unstructured", n_groups=1, reml=True)
    assert refusal.value.code == "estimation.not_converged"


def sums_of(rows: Any) -> PatternSums:
    """Sums of a trial, found without a search."""
    design = arrange(rows.x, rows.y, rows.weight, rows.subject, rows.visit, rows.n_visits, rows.subject.max() + 1)
    return pattern_sums(prepare(design).design)
