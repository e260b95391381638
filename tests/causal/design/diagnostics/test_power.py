"""Minimum detectable effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.design.diagnostics.power import minimum_detectable_effect
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
