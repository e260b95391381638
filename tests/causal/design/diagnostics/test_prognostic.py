"""The prognostic score and its balance."""

from __future__ import annotations

import numpy as np
import pytest

from causal.design.diagnostics.prognostic import fit_prognostic, prognostic_balance
from causal.errors import DesignError


def history(seed: int, n: int = 60, p: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Covariates on different scales and an outcome that depends on two of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * [1, 10, 0.1, 5] + [0, 100, 0, 1]
    return x, x[:, 0] + 0.1 * x[:, 1] + rng.normal(size=n)


def test_least_squares() -> None:
    """Without a penalty the model is numpy's least squares."""
    x, y = history(1)
    model = fit_prognostic(x, y, penalties=np.zeros(1))
    expected = np.linalg.lstsq(np.column_stack([np.ones(60), x]), y, rcond=None)[0]
    np.testing.assert_allclose(np.r_[model.intercept, model.coefficients], expected, rtol=1e-9)


def test_ridge_is_sklearn_s() -> None:
    """With a penalty the model is scikit-learn's Ridge on standardised covariates with alpha = n penalty."""
    from sklearn.linear_model import Ridge

    x, y = history(2)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    model = fit_prognostic(x, y, penalties=np.array([0.3]))
    np.testing.assert_allclose(model.score(x), Ridge(alpha=60 * 0.3).fit(z, y).predict(z), rtol=1e-9)


@pytest.mark.parametrize("penalty", [0.0, 0.05, 2.0])
def test_r2_leaves_each_row_out(penalty: float) -> None:
    """Leave-one-out R squared equals refitting without each row, the penalty and the scale kept."""
    x, y = history(3, n=25)
    z = np.column_stack([np.ones(25), (x - x.mean(axis=0)) / x.std(axis=0)])
    ridge = 25 * penalty * np.diag([0.0, 1, 1, 1, 1])
    errors, naive = [], []
    for i in range(25):
        rest = np.arange(25) != i
        errors.append(y[i] - z[i] @ np.linalg.solve(z[rest].T @ z[rest] + ridge, z[rest].T @ y[rest]))
        naive.append(y[i] - y[rest].mean())
    model = fit_prognostic(x, y, penalties=np.array([penalty]))
    assert model.r2 == pytest.approx(1 - np.square(errors).sum() / np.square(naive).sum(), rel=1e-9)


def test_the_penalty_that_predicts_best_is_taken() -> None:
    """Nothing to predict: the strongest penalty and no R squared; much to predict: a weak one."""
    rng = np.random.default_rng(4)
    x, y = history(4, n=200)
    noise = fit_prognostic(x, rng.normal(size=200))
    assert noise.penalty >= 1
    assert noise.r2 < 0.05
    assert fit_prognostic(x, y).penalty < 0.1
    assert fit_prognostic(x, y).r2 > 0.4


def test_more_covariates_than_rows() -> None:
    """A constant column and fewer rows than covariates are no obstacle."""
    rng = np.random.default_rng(5)
    x = np.column_stack([rng.normal(size=(12, 20)), np.ones(12)])
    model = fit_prognostic(x, x[:, 0] + 0.1 * rng.normal(size=12))
    assert np.isfinite(model.coefficients).all()
    assert model.coefficients[-1] == 0


def test_balance_of_the_score() -> None:
    """Arms that differ in what predicts the outcome are apart on the score; in what does not, they are not."""
    x, y = history(6, n=400)
    treated = np.arange(200) < 80
    for column, apart in ((0, True), (3, False)):
        design = history(7, n=200)[0]
        design[treated, column] += 1.5 * design[:, column].std()
        found = prognostic_balance(x, y, design, treated, np.ones(200))
        assert (abs(found.row.smd_before) > 0.5) == apart
        assert found.n_history == 400


def test_the_fit_cannot_depend_on_the_arms() -> None:
    """The score is fixed by the history: who is treated, and the design's weights, do not enter it."""
    x, y = history(8)
    design, treated = history(9)[0], np.arange(60) % 2 == 0
    one = prognostic_balance(x, y, design, treated, np.ones(60))
    two = prognostic_balance(x, y, design, ~treated, np.linspace(1, 2, 60))
    assert (one.r2, one.penalty) == (two.r2, two.penalty)
    assert one.row.mean_treated == pytest.approx(two.row.mean_comparison_before)


def test_refusals() -> None:
    """Missing values, too little history, an outcome that does not vary, other covariates."""
    x, y = history(10)
    for bad_x, bad_y, code in (
        (np.where(x > 100, np.nan, x), y, "design.not_finite"),
        (x[:2], y[:2], "design.history"),
        (x, np.ones(60), "design.history"),
    ):
        with pytest.raises(DesignError) as caught:
            fit_prognostic(bad_x, bad_y)
        assert caught.value.code == code
    with pytest.raises(ValueError, match="4 covariates"):
        prognostic_balance(x, y, x[:, :3], np.arange(60) < 9, np.ones(60))
