"""Boosted trees: deterministic, calibrated, never certain, and no worse than a line where the truth is one."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from causal.design.propensity import boosting
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
    """Equal seeds and any number of threads give equal scores."""
    x, y = drawn(600)
    first = boost(x, y)
    with threadpool_limits(limits=1):
        again = boost(x, y)
    np.testing.assert_array_equal(again.logit, first.logit)


def line(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw confounders, an arm and an outcome linear in them, the effect 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    w = rng.random(n) < expit(-0.5 + x @ np.array([0.8, 0.6, -0.5, 0.0]))
    return x, w, x @ np.array([1.0, 0.8, -0.5, 0.3]) + w + rng.normal(size=n)


def test_where_the_truth_is_a_line_weights_by_trees_recover_it() -> None:
    """Odds of memorised rows turned the answer round (1.5 for 1): now the bias is under 10% of the naive one."""
    off, naive = [], []
    for seed in range(4):
        x, w, y = line(2000, seed)
        logit = boost(x, w, trees=200).logit
        odds = np.exp(logit)
        one = np.average(y[w], weights=1 + 1 / odds[w]) - np.average(y[~w], weights=1 + odds[~w])
        off.append((y[w].mean() - np.average(y[~w], weights=odds[~w]) - 1, one - 1))
        naive.append(y[w].mean() - y[~w].mean() - 1)
    assert (np.abs(np.mean(off, axis=0)) < 0.1 * np.mean(naive)).all()


def test_trees_that_do_not_help_leave_the_logistic_model_to_the_bit() -> None:
    """Out of fold they add no more than chance here, so that nothing but the method's name differs."""
    x, w, _ = line(600, 0)
    plain = fit_propensity(x, w, names=[str(j) for j in range(4)])
    trees = boost(x, w)
    np.testing.assert_array_equal(trees.logit, plain.logit)
    assert (plain.method, trees.method) == ("maximum likelihood", "boosting")


def test_the_line_beside_trees_is_the_logistic_model_of_its_rows() -> None:
    """A flag of three treated rows is left out, as in the model of a fold; with few events it is Firth's."""
    x, w, _ = line(600, 0)
    flag = np.zeros(600)
    flag[np.flatnonzero(w)[:3]] = 1
    plain = fit_propensity(x, w, names=list("abcd"))
    assert boosting._line(np.column_stack([x, flag]), w)(np.column_stack([x, flag])) == pytest.approx(plain.logit)
    few = w & (np.cumsum(w) <= 30)
    firth = fit_propensity(x, few, names=list("abcd"))
    assert firth.method == "Firth"
    assert boosting._line(x, few)(x) == pytest.approx(firth.logit, abs=1e-6)


def test_no_row_is_scored_by_trees_that_saw_its_arm() -> None:
    """Pure noise, as many trees as one likes: scores tell the arms apart no better than a line does."""
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(800, 6)), rng.random(800) < 0.4
    assert boost(x, y, trees=300, learning_rate=0.3).c_statistic < 0.6


def test_scores_are_calibrated() -> None:
    """Where trees are taken in, probabilities have a slope near 1 and an intercept near 0; nobody is certain."""
    x, y = drawn(3000)
    for fit in (boost(x, y, trees=60), boost(x, y, cross_fit=3, trees=60)):
        found = calibration(fit.logit, y)
        assert found.slope is not None
        assert abs(found.slope - 1) < 0.15
        assert abs(found.intercept) < 0.15
        assert 0 < fit.probability.min() < fit.probability.max() < 1


def test_certainty_is_impossible() -> None:
    """Where a covariate separates the arms the scores stay finite and the covariate is named."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 2))
    fit = boost(x, x[:, 0] > 0.3)
    assert fit.separated == ("0",)
    assert np.isfinite(fit.logit).all()
    assert 0 < fit.probability.min() < fit.probability.max() < 1


def test_without_splits_a_line_is_left() -> None:
    """Too few rows for any leaf: the logistic model stands."""
    x, y = np.random.default_rng(4).normal(size=(30, 1)), np.arange(30) % 3 == 0
    np.testing.assert_array_equal(boost(x, y).logit, fit_propensity(x, y, names=["0"]).logit)


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
