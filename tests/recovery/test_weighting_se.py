"""Standard errors of weighted differences: a few replicates in every run, many among the slow tests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import expit
from weighting_se import INTERCEPT, METHODS, MODIFICATION, SELECTION, TRUTH, performance, recover


def test_truth_by_simulation() -> None:
    """The integrals over the linear predictor agree with averages over a million draws of the confounders."""
    x = np.random.default_rng(1).normal(size=(1_000_000, 4))
    e, effect = expit(INTERCEPT + x @ SELECTION), 1 + x @ MODIFICATION
    tilt = {"ATT": e, "ATC": 1 - e, "ATE": np.ones(e.size), "ATO": e * (1 - e), "ATM": np.minimum(e, 1 - e)}
    for estimand, value in TRUTH.items():
        assert np.average(effect, weights=tilt[estimand]) == pytest.approx(value, abs=0.004)
    assert len({round(value, 2) for value in TRUTH.values()}) == 5


def test_a_few_replicates() -> None:
    """Twenty replicates: estimates lie a few errors around the truth, and the same whatever the number asked for."""
    found = recover(replicates=20, rows=2000, jobs=1)
    z = (found[..., 0] - [TRUTH[method.estimand] for method in METHODS]) / found[..., 1]
    assert np.abs(z).max() < 5
    np.testing.assert_array_equal(found[:3], recover(replicates=3, rows=2000, jobs=1))


def test_each_demand_can_be_missed() -> None:
    """Good figures meet every demand, and each flaw misses exactly one."""
    good = dataclasses.replace(
        performance(recover(replicates=3, rows=500, jobs=1))[0], bias=0.0, bias_mcse=0.001, ratio=1.0, coverage=0.95
    )
    assert [met for *_, met in good.demands()] == [True, True, True]
    for flaw in ({"bias": 0.004}, {"ratio": 0.94}, {"ratio": 1.06}, {"coverage": 0.92}):
        flawed = dataclasses.replace(good, **flaw)
        assert [met for *_, met in flawed.demands()].count(False) == 1


@pytest.mark.slow
def test_errors_are_right() -> None:
    """2,000 replicates of 10,000 occasions: every demand on bias, error and coverage is met."""
    rows = performance(recover(replicates=2000, rows=10_000, jobs=2))
    missed = [(p.label, sentence, figure) for p in rows for sentence, figure, met in p.demands() if not met]
    assert missed == []
