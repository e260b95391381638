"""Parameter draws against the posteriors they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.missing.posterior import draw_linear, draw_logistic
from causal.errors import EstimationError

DRAWS = 20_000


def test_linear_draws() -> None:
    """Draws have the mean and covariance of a regression's posterior; sigma^2 is RSS over chi-square."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    y = x @ [1.0, 0.5, -0.5] + rng.normal(0, 0.7, 30)
    gram, cross = np.tile(x.T @ x, (DRAWS, 1, 1)), np.tile(x.T @ y, (DRAWS, 1))
    found = draw_linear(gram, cross, np.full(DRAWS, y @ y), 30, rng, ridge=0.0)
    beta, rest = np.linalg.lstsq(x, y, rcond=None)[:2]
    np.testing.assert_allclose(found.estimate[0], beta, rtol=1e-10)
    covariance = rest[0] / 25 * np.linalg.inv(x.T @ x)  # 27 degrees of freedom: E[sigma^2] = RSS/(27 - 2)
    np.testing.assert_allclose(np.cov(found.drawn.T), covariance, rtol=0.08, atol=3e-4)
    np.testing.assert_allclose(found.drawn.mean(axis=0), beta, atol=5 * (covariance.max() / DRAWS) ** 0.5)
    assert (found.sigma**2).mean() == pytest.approx(rest[0] / 25, rel=0.02)


def test_repeated_columns_share_a_coefficient() -> None:
    """Two equal columns have no coefficients of their own; a little ridge keeps their sum and its spread."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=200)
    x, y = np.column_stack([np.ones(200), z, z]), 0.8 * z + rng.normal(0, 0.5, 200)
    gram, cross = np.tile(x.T @ x, (2000, 1, 1)), np.tile(x.T @ y, (2000, 1))
    total = draw_linear(gram, cross, np.full(2000, y @ y), 200, rng, ridge=1e-5).drawn[:, 1:].sum(axis=1)
    assert total.mean() == pytest.approx(np.polyfit(z, y, 1)[0], abs=0.01)
    assert total.std() == pytest.approx(0.5 / 200**0.5 / z.std(), rel=0.15)


def test_logistic_draws() -> None:
    """Draws centre on the mode of the penalised likelihood with the inverse of its curvature."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(150), rng.normal(size=(150, 2))])
    events = (rng.random(150) < 1 / (1 + np.exp(-x @ [0.3, 1.0, -1.0]))).astype(float)
    prior = np.array([10.0, 2.5, 2.5]) ** -2

    def loss(beta: np.ndarray) -> float:
        eta = x @ beta
        return float(np.logaddexp(0, eta).sum() - events @ eta + prior @ beta**2 / 2)

    mode = minimize(loss, np.zeros(3), tol=1e-12).x
    p = 1 / (1 + np.exp(-x @ mode))
    covariance = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + np.diag(prior))
    found = draw_logistic(np.broadcast_to(x, (5000, 150, 3)), events, rng)
    np.testing.assert_allclose(found.mean(axis=0), mode, atol=5 * (covariance.max() / 5000) ** 0.5)
    np.testing.assert_allclose(np.cov(found.T), covariance, rtol=0.1, atol=3e-3)


def test_logistic_draws_under_separation() -> None:
    """A column that separates the events has a finite coefficient of its sign."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=60)
    found = draw_logistic(np.broadcast_to(np.column_stack([np.ones(60), z]), (200, 60, 2)), (z > 0).astype(float), rng)
    assert np.isfinite(found).all()
    assert np.median(found[:, 1]) > 2


def test_a_column_of_zeros_is_refused() -> None:
    """A predictor that is zero throughout has no coefficient; the refusal is the project's, not the library's."""
    gram, cross = np.diag([10.0, 0.0])[None], np.zeros((1, 2))
    with pytest.raises(EstimationError) as refusal:
        draw_linear(gram, cross, np.ones(1), 10, np.random.default_rng(0), ridge=1e-9)
    assert refusal.value.code == "estimation.no_variation"
