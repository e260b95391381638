"""Minimum detectable effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.design.diagnostics.power import (
    DesignSize,
    OutcomePlan,
    design_size,
    detectable_effect,
    minimum_detectable_effect,
)
from causal.errors import DesignError

PLAN: dict[str, float] = {"attrition_treated": 0.35, "attrition_comparison": 0.25, "icc": 0.05, "per_cluster": 2}


def rounded_twice(value: float) -> float:
    """Three decimals first, then two with halves upwards: how the planning table was written down."""
    return float(np.floor(np.round(value, 3) * 100 + 0.5 + 1e-9) / 100)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (30, (0.94, 0.83, 0.67, 0.58, 0.55)),
        (50, (0.71, 0.62, 0.50, 0.44, 0.42)),
        (100, (0.49, 0.43, 0.35, 0.31, 0.29)),
        (150, (0.40, 0.35, 0.28, 0.25, 0.24)),
        (200, (0.35, 0.30, 0.25, 0.22, 0.20)),
        (300, (0.28, 0.25, 0.20, 0.18, 0.17)),
    ],
)
def test_planning_table(cases: float, expected: tuple[float, ...]) -> None:
    """The study's planning table, computed once in R with qt(): 80% power, two-sided .05, 35% and 25% attrition."""
    designs = [(1, 0.0), (2, 0.0), (1, 0.5), (2, 0.5), (3, 0.5)]
    found = [minimum_detectable_effect(cases, ratio=ratio, r2=r2, **PLAN) for ratio, r2 in designs]
    assert [rounded_twice(value) for value in found] == list(expected)


def test_recovered_by_simulation() -> None:
    """At the detectable difference a two-sample t test rejects in about 80% of 4,000 samples."""
    rng = np.random.default_rng(5)
    quiet = {"attrition_treated": 0.0, "attrition_comparison": 0.0, "r2": 0.0, "icc": 0.0, "per_cluster": 1}
    effect = minimum_detectable_effect(40, ratio=1, **quiet)
    one, zero = rng.normal(effect, 1, (4000, 40)), rng.normal(0, 1, (4000, 40))
    t = (one.mean(axis=1) - zero.mean(axis=1)) / np.sqrt((one.var(axis=1, ddof=1) + zero.var(axis=1, ddof=1)) / 40)
    assert (np.abs(t) > 1.9908).mean() == pytest.approx(0.80, abs=0.03)  # t quantile, 78 degrees of freedom


@pytest.mark.parametrize(
    ("cases", "change", "code"),
    [
        (3, {}, "design.too_few_cases"),
        (50, {"r2": 1.0}, "design.power_inputs"),
        (50, {"attrition_treated": 1.0}, "design.power_inputs"),
        (50, {"ratio": 0}, "design.power_inputs"),
        (50, {"power": 1.0}, "design.power_inputs"),
    ],
)
def test_refusals(cases: float, change: dict[str, Any], code: str) -> None:
    """Plans without information are refused."""
    with pytest.raises(DesignError) as caught:
        minimum_detectable_effect(cases, **(PLAN | {"ratio": 2, "r2": 0.5} | change))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("cases", "composite", "rise"), [(50, 0.63, 23.5), (100, 0.44, 16.3), (200, 0.31, 11.3), (300, 0.25, 9.1)]
)
def test_planning_figures_of_the_outcome_pair(cases: float, composite: float, rise: float) -> None:
    """The study's figures for the composite (SD 1.24) and ending the relationship (22% among comparisons).

    They were computed once in R: 1:2, R2 .1, 10% missing, ICC .05 with 2 cases each; the composite with t quantiles,
    the rise in risk (percentage points) with normal ones.
    """
    size = DesignSize(ess_treated=cases, ess_comparison=2 * cases, per_cluster_treated=2, per_cluster_comparison=2)
    common = {"attrition_treated": 0.1, "attrition_comparison": 0.1, "r2": 0.1, "icc": 0.05}
    score = detectable_effect(size, OutcomePlan(name="composite", sd=1.24, **common))
    ending = detectable_effect(size, OutcomePlan(name="ending", risk=0.22, **common), df=np.inf)
    assert score.in_units == pytest.approx(composite, abs=0.005)
    assert ending.in_units is not None
    assert 100 * ending.in_units == pytest.approx(rise, abs=0.06)


def test_size_of_the_design_obtained() -> None:
    """Effective sizes are Kish's; cluster sizes weigh each occasion's own cluster, so empty clusters count nothing."""
    treated = np.array([True, True, True, False, False, False, False])
    weights = np.array([1.0, 1.0, 1.0, 0.5, 0.5, 2.0, 0.0])
    size = design_size(treated, weights, np.array([0, 0, 1, 2, 2, 3, 3]))
    assert (size.ess_treated, size.ess_comparison) == (3.0, 9 / 4.5)
    assert size.per_cluster_treated == pytest.approx((4 + 1) / 3)
    assert size.per_cluster_comparison == pytest.approx((1 + 4) / 4.5)


def test_equal_sets_are_the_plan() -> None:
    """Sixty sets of 1:2 with every arm of a clinician of size 2: the design obtained is the plan."""
    treated = np.r_[np.ones(60, bool), np.zeros(120, bool)]
    weights = np.r_[np.ones(60), np.full(120, 0.5)]
    size = design_size(treated, weights, np.arange(180) // 2)
    plan = OutcomePlan(name="alliance", r2=0.5, icc=0.05, attrition_treated=0.35, attrition_comparison=0.25)
    assert detectable_effect(size, plan).in_sd == pytest.approx(
        minimum_detectable_effect(60, ratio=2, r2=0.5, **PLAN), rel=1e-12
    )


def test_unequal_weights_and_clusters_cost_power() -> None:
    """Holding the numbers, uneven weights, uneven clusters and fewer degrees of freedom each raise what is needed."""
    treated = np.r_[np.ones(60, bool), np.zeros(120, bool)]
    even, plan = np.ones(180), OutcomePlan(name="alliance", icc=0.1)
    clusters = np.arange(180) // 4
    base = detectable_effect(design_size(treated, even, clusters), plan).in_sd
    uneven = detectable_effect(design_size(treated, np.where(np.arange(180) % 2, 1.8, 0.2), clusters), plan).in_sd
    lumped = detectable_effect(design_size(treated, even, np.where(clusters < 20, 0, clusters)), plan).in_sd
    few = detectable_effect(design_size(treated, even, clusters), plan, df=10).in_sd
    assert base is not None
    assert all(other is not None and other > base for other in (uneven, lumped, few))


def standard_error(plan: OutcomePlan, size: DesignSize) -> float:
    """What the formula takes for the standard error, from the effect at normal quantiles (.05, 80%: 2.8016)."""
    found = detectable_effect(size, plan, df=np.inf).in_sd
    assert found is not None
    return found / 2.801585


def test_sets_and_attrition_by_simulation() -> None:
    """1:2 sets with correlation .4 and both arms thinned: the difference of means varies as the formula says."""
    rng = np.random.default_rng(1)
    sets, replicates = 80, 6000
    y = np.sqrt(0.4) * rng.normal(size=(replicates, sets, 1)) + np.sqrt(0.6) * rng.normal(size=(replicates, sets, 3))
    seen = rng.random(y.shape) < [0.7, 0.8, 0.8]
    kept = np.where(seen, y, 0.0)
    one = kept[..., 0].sum(axis=1) / seen[..., 0].sum(axis=1)
    zero = kept[..., 1:].sum(axis=(1, 2)) / seen[..., 1:].sum(axis=(1, 2))
    plan = OutcomePlan(name="y", attrition_treated=0.3, attrition_comparison=0.2, set_correlation=0.4)
    size = DesignSize(ess_treated=sets, ess_comparison=2 * sets)
    assert (one - zero).std() == pytest.approx(standard_error(plan, size), rel=0.04)


def test_visits_and_baselines_by_simulation() -> None:
    """Three ratings after and two before, any two correlated .6: analysis of covariance varies as the formula says."""
    rng = np.random.default_rng(2)
    n, replicates = 200, 1500
    treated = np.r_[np.ones(n), np.zeros(n)]
    effects = []
    for _ in range(replicates):
        y = np.sqrt(0.6) * rng.normal(size=(2 * n, 1)) + np.sqrt(0.4) * rng.normal(size=(2 * n, 5))
        design = np.column_stack([np.ones(2 * n), treated, y[:, :2].mean(axis=1)])
        effects.append(np.linalg.lstsq(design, y[:, 2:].mean(axis=1), rcond=None)[0][1])
    plan = OutcomePlan(name="y", visits=3, baselines=2, visit_correlation=0.6)
    size = DesignSize(ess_treated=n, ess_comparison=n)
    assert np.std(effects) == pytest.approx(standard_error(plan, size), rel=0.06)


def test_clusters_by_simulation() -> None:
    """Arms in separate clusters of very unequal size: the design effect of the weighted mean size is exact."""
    rng = np.random.default_rng(3)
    sizes = np.array([1] * 20 + [5] * 8 + [20] * 2)
    clusters = np.repeat(np.arange(60), np.r_[sizes, sizes])
    treated = clusters < 30
    draws = np.sqrt(0.1) * rng.normal(size=(5000, 60))[:, clusters] + np.sqrt(0.9) * rng.normal(size=(5000, 200))
    difference = draws[:, treated].mean(axis=1) - draws[:, ~treated].mean(axis=1)
    size = design_size(treated, np.ones(200), clusters)
    assert difference.std() == pytest.approx(standard_error(OutcomePlan(name="y", icc=0.1), size), rel=0.04)


def test_a_risk_out_of_reach() -> None:
    """Of ten warned with 80% of comparisons ending anyway, not even all of them ending could be told apart."""
    found = detectable_effect(DesignSize(ess_treated=10, ess_comparison=10), OutcomePlan(name="ending", risk=0.8))
    assert (found.in_sd, found.in_units) == (None, None)


@pytest.mark.parametrize(
    "change", [{"icc": 1.5}, {"visits": 0}, {"risk": 0.2, "visits": 2}, {"risk": 1.0}, {"sd": 0.0}, {"r2": 1.0}]
)
def test_impossible_outcomes_are_refused(change: dict[str, Any]) -> None:
    """Correlations above 1, no visit, a risk of 1, no spread."""
    with pytest.raises(DesignError, match="power_inputs"):
        OutcomePlan(name="y", **change)


def test_an_arm_without_weight_has_no_size() -> None:
    """A design that gives one arm no weight is refused."""
    with pytest.raises(DesignError, match="empty_arm"):
        design_size(np.array([True, False]), np.array([1.0, 0.0]), np.zeros(2, dtype=np.int64))
