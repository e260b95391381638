"""Firth's likelihood: closed forms, an exhaustive search, invariance, offsets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity.columns import independent_columns
from causal.design.propensity.firth import firth_logistic, mix_columns
from causal.design.propensity.separation import separating_direction
from causal.errors import DesignError


def drawn(n: int, p: int, *, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw covariates (n, p) and an arm that depends on the first two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    return x, rng.random(n) < 1 / (1 + np.exp(-np.log(share / (1 - share)) - x[:, :2].sum(axis=1) / 2))


@pytest.mark.parametrize(("events", "n"), [(0, 20), (3, 20), (7, 1000)])
def test_firth_intercept_only(events: int, n: int) -> None:
    """Firth's intercept is log((k + 1/2)/(n - k + 1/2)): half an event and half a non-event are added."""
    beta = firth_logistic(np.ones((n, 1)), np.arange(n) < events)
    assert beta[0] == pytest.approx(np.log((events + 0.5) / (n - events + 0.5)), rel=1e-9)


def test_firth_two_by_two() -> None:
    """With one binary covariate Firth adds a half to each cell of the table, a zero cell included."""
    x = np.repeat([0.0, 0.0, 1.0, 1.0], [9, 4, 12, 0])
    y = np.repeat([False, True, False, True], [9, 4, 12, 0])
    beta = firth_logistic(np.column_stack([np.ones(x.size), x]), y)
    assert beta == pytest.approx([np.log(4.5 / 9.5), np.log(0.5 / 12.5) - np.log(4.5 / 9.5)], rel=1e-9)


def test_firth_maximises_its_penalised_likelihood() -> None:
    """A derivative-free search of log L + log|X'WX|/2, written out here, ends at the same coefficients."""
    from scipy.optimize import minimize

    x, y = drawn(60, 2, share=0.2, seed=7)
    design = np.column_stack([np.ones(60), x])

    def objective(beta: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        return -float(np.log(np.where(y, p, 1 - p)).sum() + np.linalg.slogdet(information)[1] / 2)

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000, "maxfev": 5000}
    searched = minimize(objective, np.zeros(3), method="Nelder-Mead", options=options).x
    assert firth_logistic(design, y) == pytest.approx(searched, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), st.booleans()), min_size=4, max_size=9))
def test_no_grid_point_is_better(rows: list[tuple[int, bool]]) -> None:
    """On tiny data no point of a wide grid has a higher penalised likelihood; under separation, no point nearby."""
    x, y = np.array([float(a) for a, _ in rows]), np.array([b for _, b in rows])
    design = np.column_stack([np.ones(x.size), x])
    if not independent_columns(design).all():
        return
    beta = firth_logistic(design, y)
    wide = y.all() or not y.any() or separating_direction(design, y) is None
    reach = np.linspace(-6, 6, 121) if wide else np.linspace(-0.5, 0.5, 51)
    grid = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2) + (0.0 if wide else beta)

    def penalised(points: np.ndarray) -> np.ndarray:
        eta = points @ design.T
        w = 1 / (2 + 2 * np.cosh(eta))
        s0, s1, s2 = w.sum(axis=1), w @ x, w @ x**2
        return (np.where(y, eta, 0) - np.logaddexp(0, eta)).sum(axis=1) + np.log(s0 * s2 - s1**2) / 2

    assert np.isfinite(beta).all()
    assert penalised(grid).max() <= penalised(beta[None, :])[0] + 1e-9


def test_offset_shifts_the_intercept() -> None:
    """A constant offset is taken out of the intercept and leaves the slopes."""
    x, y = drawn(200, 2, share=0.1, seed=3)
    design = np.column_stack([np.ones(200), x])
    plain, shifted = firth_logistic(design, y), firth_logistic(design, y, offset=np.full(200, 2.5))
    np.testing.assert_allclose(shifted, plain - [2.5, 0, 0], atol=1e-8)


def test_columns_may_be_mixed() -> None:
    """Any other columns of the same span give the same log odds: the penalty does not depend on them."""
    x, y = drawn(300, 3, share=0.05, seed=4)
    design = np.column_stack([np.ones(300), x])
    mixed = design @ np.array([[1.0, 2, 0, 4], [0, 1, 3, 1], [0, 0, 5, -2], [0, 0, 0, 0.1]])
    np.testing.assert_allclose(mixed @ firth_logistic(mixed, y), design @ firth_logistic(design, y), atol=1e-8)


def test_repeated_columns_are_refused() -> None:
    """A design without full rank has no maximum that could be told from others."""
    x, y = np.arange(100.0), np.arange(100) % 3 == 0
    with pytest.raises(DesignError) as caught:
        firth_logistic(np.column_stack([np.ones(100), x, x]), y)
    assert caught.value.code == "design.not_converged"


def test_mixing_loop_is_a_matrix_product() -> None:
    """The compiled loop, run uncompiled, adds the constant to the centred rows times the matrix."""
    rng = np.random.default_rng(1)
    x, centre, constant, matrix = (
        rng.normal(size=(5, 3)),
        rng.normal(size=3),
        rng.normal(size=2),
        rng.normal(size=(3, 2)),
    )
    mixed = np.empty((5, 2))
    mix_columns(x, centre, constant, matrix, mixed)
    np.testing.assert_allclose(mixed, constant + (x - centre) @ matrix, atol=1e-14)
