"""Boosted trees: deterministic, calibrated, never certain."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from causal.design.propensity.calibration import calibration
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.logistic import expit
from causal.design.propensity.model import PropensityModel
from causal.errors import DesignError


def boost(x: np.ndarray, y: np.ndarray, *, seed: int = 1, **more: object) -> Propensity:
    """Fit a few trees on columns named by their number."""
    model = PropensityModel(**{"kind": "boosting", "trees": 30, **more})  # type: ignore[arg-type]
    return fit_propensity(x, y, names=[str(j) for j in range(x.shape[1])], model=model, rng=np.random.default_rng(seed))


def drawn(n: int = 1200) -> tuple[np.ndarray, np.ndarray]:
    """Draw an arm that depends on whether two covariates have the same sign, which no line can see."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 3))
    return x, rng.random(n) < expit(3 * np.sign(x[:, 0] * x[:, 1]) - 1)


def test_trees_see_what_a_line_cannot() -> None:
    """An interaction without main effects: boosting tells the arms apart out of fold, logistic regression does not."""
    x, y = drawn()
    assert boost(x, y, cross_fit=3).c_statistic > 0.8
    assert fit_propensity(x, y, names=list("abc"), model=PropensityModel(cross_fit=3)).c_statistic < 0.6


def test_the_same_bits_again() -> None:
    """Equal seeds and any number of threads give equal scores; rows with equal covariates tie exactly."""
    x, y = drawn(600)
    x = np.round(x, 0)
    first = boost(x, y)
    with threadpool_limits(limits=1):
        again = boost(x, y)
    np.testing.assert_array_equal(again.logit, first.logit)
    _, kind = np.unique(x, axis=0, return_inverse=True)
    assert all(np.unique(first.logit[kind.ravel() == k]).size == 1 for k in range(kind.max() + 1))


@pytest.mark.parametrize("calibration_by", ["platt", "isotonic"])
def test_scores_of_unseen_clusters_are_calibrated(calibration_by: str) -> None:
    """Cross-fitted probabilities have a calibration slope near 1 and an intercept near 0, and are never 0 or 1."""
    x, y = drawn(3000)
    fit = boost(x, y, cross_fit=3, calibration=calibration_by, trees=60)
    found = calibration(fit.logit, y)
    assert found.slope is not None
    assert abs(found.slope - 1) < 0.15
    assert abs(found.intercept) < 0.15
    assert 0 < fit.probability.min() < fit.probability.max() < 1


@pytest.mark.parametrize("calibration_by", ["platt", "isotonic"])
def test_certainty_is_impossible(calibration_by: str) -> None:
    """Where a covariate separates the arms the scores stay finite and the covariate is named."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 2))
    fit = boost(x, x[:, 0] > 0.3, calibration=calibration_by)
    assert fit.separated == ("0",)
    assert np.isfinite(fit.logit).all()
    assert 0 < fit.probability.min() < fit.probability.max() < 1


def test_without_splits_everybody_has_the_share() -> None:
    """Too few rows for any leaf: one score for all, the mean of Platt's targets."""
    x = np.random.default_rng(4).normal(size=(30, 1))
    fit = boost(x, np.arange(30) % 3 == 0)
    np.testing.assert_allclose(fit.probability, (10 * 11 / 12 + 20 * 1 / 22) / 30)


def test_what_boosting_does_not_have() -> None:
    """No coefficients, no covariance; an offset is refused by name; without a generator it does not start."""
    x, y = drawn(300)
    fit = boost(x, y)
    assert fit.coefficients.size == 0
    assert np.isnan(fit.intercept)
    assert fit.covariance is None
    model = PropensityModel(kind="boosting")
    with pytest.raises(DesignError) as caught:
        fit_propensity(x, y, names=list("abc"), model=model, offset=np.ones(300), rng=np.random.default_rng(1))
    assert caught.value.code == "design.rule_unsupported"
    with pytest.raises(ValueError, match="rng"):
        fit_propensity(x, y, names=list("abc"), model=model)
