"""The fast path of the study of recovery gives what the product's own path gives, value for value."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from engine_path import Bench, facts_by_engine, open_bench
from in_memory import cohort_of, ever_warned_contrast, facts_of, recorded_of, truth_of

from causal.cohort.build import build_cohort
from causal.effect.outcomes import primary_window
from causal.protocol.outcome import Rating
from causal.simulation import AS_OF, SimulationParameters, simulate
from causal.simulation.extract import scenes

HARD = SimulationParameters(
    immortal=0.75, mnar=-0.6, mar=-0.6, meas_error=0.5, assessment_rate=0.3, warning_intercept=-3.0, death_rate=0.02
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The flagship study on an engine of its own."""
    with tempfile.TemporaryDirectory() as scratch, open_bench(Path(scratch)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("parameters", "patients", "seed"),
    [
        (SimulationParameters(), 7_500, 1),
        (SimulationParameters(caseload=150), 3_000, 2),
        (HARD, 1_500, 3),
        (HARD, 900, 4),
    ],
)
def test_both_paths_agree(bench: Bench, parameters: SimulationParameters, patients: int, seed: int) -> None:
    """Every occasion, covariate, count of the flow and fact about the outcome is the same, in the same order."""
    simulated = simulate(parameters, patients, seed)
    extract = bench.load(simulated.tables)
    slow = build_cohort(extract, bench.study, bench.instruments, bench.keep, as_of=AS_OF)
    made = recorded_of(next(scenes(parameters, patients, seed)))
    fast = cohort_of(made, bench.study)
    assert fast.attrition == slow.attrition
    assert len(fast.occasions) > 100
    pd.testing.assert_frame_equal(fast.occasions, slow.occasions, check_exact=True)
    outcome = bench.study.outcome
    assert isinstance(outcome, Rating)
    window = primary_window(outcome)
    facts = facts_of(made, fast.occasions["ta_id"].tolist(), bench.study, window)
    expected = facts_by_engine(bench, extract, slow.occasions)[facts.columns]
    assert facts["died_after_days"].notna().any() or parameters != HARD
    pd.testing.assert_frame_equal(facts, expected, check_exact=True)
    assert np.isfinite(facts["window_score"]).mean() > 0.3


def test_truth_of_some() -> None:
    """The truth looked up for some occasions is that of the extract's truth table."""
    truth = simulate(HARD, 900, 4).truth.sample(40, random_state=1).reset_index(drop=True)
    made = recorded_of(next(scenes(HARD, 900, 4)))
    found = truth_of(made, truth["ta_id"].tolist()).drop(columns=["ta_id"])
    pd.testing.assert_frame_equal(found, truth[found.columns], check_exact=True)


def test_naive_contrast_from_the_tables() -> None:
    """Ever warned against never warned, counted from intake: the same from the tables with pandas alone."""
    tables = simulate(SimulationParameters(), 3_000, 5).tables
    episodes, actions = tables["episodes"], tables["protective_actions"]
    warned = episodes["person_id"].isin(
        actions.loc[actions["action"].isin(["warn_victim", "warn_police"]), "person_id"]
    )
    days = (episodes["end"] - episodes["start"]).dt.total_seconds() / 86400
    left = (days <= 180) & episodes["end_reason"].isin(["pt_initiated", "lost"])
    expected = left[warned].mean() - left[~warned].mean()
    assert expected < -0.05
    made = recorded_of(next(scenes(SimulationParameters(), 3_000, 5)))
    assert ever_warned_contrast(made) == pytest.approx(expected, abs=1e-12)
