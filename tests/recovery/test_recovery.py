"""Recovery in small, in every run; in full, as the command runs it, among the slow tests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from naive import ever_warned_contrast
from performance import Performance, criteria
from recover import PATIENTS, SETTINGS, judge, recover, seeds
from replicate import ESTIMANDS, Replicate


@pytest.fixture(scope="module")
def few() -> list[Replicate]:
    """Six replicates under the null with immortal time."""
    return recover("immortal", replicates=6, patients=PATIENTS, jobs=1)


def test_a_few_replicates(few: list[Replicate]) -> None:
    """Six replicates of the whole pipeline: enough sets, a truth of zero, and errors a few standard errors wide."""
    for replicate in few:
        assert replicate.n_sets >= 40
        for estimand in ESTIMANDS:
            answer = replicate.answers[estimand]
            assert answer.truth == 0
            assert answer.lower < answer.value < answer.upper
            assert abs(answer.value) < 5 * answer.std_error
    assert np.mean([replicate.naive for replicate in few]) < -0.2


def test_seeds_extend() -> None:
    """More replicates add to the list; settings share no seed."""
    assert seeds("base", 5) == seeds("base", 9)[:5]
    assert not set(seeds("base", 500)) & set(seeds("null", 500))
    assert len(set(seeds("base", 2000))) == 2000


def test_naive_contrast_by_hand() -> None:
    """Ever warned against never warned: one of two left within six months against two of three."""
    start = pd.Timestamp("2020-01-01")
    episodes = pd.DataFrame(
        {
            "person_id": ["a", "b", "c", "d", "e"],
            "start": start,
            "end": [start + pd.Timedelta(days=days) for days in (100, 181, 180, 30, 40)],
            "end_reason": ["lost", "pt_initiated", "pt_initiated", "lost", "completed"],
        }
    )
    actions = pd.DataFrame({"person_id": ["a", "b", "c"], "action": ["warn_victim", "warn_police", "hold_vol"]})
    assert ever_warned_contrast({"episodes": episodes, "protective_actions": actions}) == pytest.approx(1 / 2 - 2 / 3)


GOOD = Performance(
    estimand="termination",
    replicates=400,
    truth=0.0,
    bias=0.001,
    bias_mcse=0.003,
    empirical_se=0.06,
    model_se=0.06,
    coverage=0.95,
    coverage_mcse=0.011,
    rejection=0.05,
    rejection_mcse=0.011,
    mean_sets=80.0,
    least_sets=60,
    naive=-0.28,
    naive_mcse=0.001,
)


@pytest.mark.parametrize(
    "flaw",
    [
        {"bias": -0.021},
        {"coverage": 0.92},
        {"coverage": 0.98},
        {"rejection": 0.08},
        {"model_se": 0.053},
        {"model_se": 0.07},
        {"mean_sets": 55.0},
        {"naive": -0.2},
    ],
)
def test_each_demand_can_be_missed(flaw: dict[str, float]) -> None:
    """Good figures meet every demand, and each flaw misses exactly one."""
    assert all(demand.met for demand in criteria(GOOD, null=True, immortal=True))
    flawed = criteria(dataclasses.replace(GOOD, **flaw), null=True, immortal=True)  # type: ignore[arg-type]
    assert [demand.met for demand in flawed].count(False) == 1


@pytest.mark.slow
@pytest.mark.parametrize("setting", list(SETTINGS))
def test_recovery(setting: str) -> None:
    """Four hundred replicates meet every demand: bias, coverage, standard error, type I error."""
    found = recover(setting, replicates=400, patients=PATIENTS, jobs=2)
    missed = [demand for _, demands in judge(setting, found) for demand in demands if not demand.met]
    assert not missed
