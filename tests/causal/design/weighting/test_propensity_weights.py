"""Propensity weights and effective sample size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.design.diagnostics.balance import Estimand
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.weights import effective_sample_size
from causal.errors import DesignError

E, W = np.array([0.8, 0.5, 0.2, 0.4]), np.array([True, True, False, False])


@pytest.mark.parametrize(
    ("estimand", "expected"),
    [("ATT", [1, 1, 0.25, 2 / 3]), ("ATE", [1.25, 2, 1.25, 5 / 3]), ("ATO", [0.2, 0.5, 0.2, 0.4])],
)
def test_formulas(estimand: Estimand, expected: tuple[float, ...]) -> None:
    """The three weightings by hand."""
    assert propensity_weights(E, W, estimand=estimand) == pytest.approx(expected)


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_stabilising_scales_each_arm(estimand: Estimand) -> None:
    """Stabilised weights differ by one factor per arm, so weighted means stay, and average near 1."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=5000)
    e = 1 / (1 + np.exp(2 - x))
    treated = rng.random(5000) < e
    plain = propensity_weights(e, treated, estimand=estimand)
    stable = propensity_weights(e, treated, estimand=estimand, stabilised=True)
    for arm in (treated, ~treated):
        ratio = stable[arm] / plain[arm]
        assert np.ptp(ratio) < 1e-12
        assert stable[arm].mean() == pytest.approx(1.0, abs=0.1)


def test_weighting_recovers_a_known_mean() -> None:
    """Weighted comparison means of x reach the mean among the treated (ATT) and among all (ATE)."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=200_000)
    e = 1 / (1 + np.exp(1 - x))
    treated = rng.random(200_000) < e
    for estimand, target in (("ATT", x[treated].mean()), ("ATE", x.mean())):
        weights = propensity_weights(e, treated, estimand=estimand)[~treated]
        assert np.average(x[~treated], weights=weights) == pytest.approx(target, abs=0.02)


def test_truncation_moves_only_the_tails() -> None:
    """Weights beyond the quantiles are set to them and the others stay."""
    weights = propensity_weights(np.linspace(0.01, 0.99, 99), np.arange(99) % 2 == 0, estimand="ATE")
    cut = propensity_weights(np.linspace(0.01, 0.99, 99), np.arange(99) % 2 == 0, estimand="ATE", truncate=(0.1, 0.9))
    low, high = np.quantile(weights, [0.1, 0.9])
    assert (cut.min(), cut.max()) == pytest.approx((low, high))
    inside = (weights >= low) & (weights <= high)
    assert (cut[inside] == weights[inside]).all()


@pytest.mark.parametrize(
    ("e", "arguments", "code"),
    [
        ([0.0, 0.5], {"estimand": "ATE"}, "design.probability"),
        ([1.0, 0.5], {"estimand": "ATT"}, "design.probability"),
        ([np.nan, 0.5], {"estimand": "ATO"}, "design.probability"),
        ([0.4, 0.5], {"estimand": "ATO", "stabilised": True}, "design.stabilised"),
        ([0.4, 0.5], {"estimand": "ATT", "truncate": (0.9, 0.1)}, "design.truncate"),
    ],
)
def test_refusals(e: list[float], arguments: dict[str, Any], code: str) -> None:
    """Scores without a weight, and options without a meaning, are refused."""
    with pytest.raises(DesignError) as caught:
        propensity_weights(np.array(e), np.array([True, False]), **arguments)
    assert caught.value.code == code


def test_effective_sample_size() -> None:
    """Equal weights are worth their number, one dominant weight little more than one."""
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7.0)
    assert effective_sample_size(np.array([100.0, 1.0, 1.0])) == pytest.approx(102**2 / 10002)
    with pytest.raises(DesignError, match="empty_arm"):
        effective_sample_size(np.zeros(3))
