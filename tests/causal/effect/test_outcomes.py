"""From what happened to the outcome of each occasion: every intercurrent event as the estimand handles it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.effect.estimate import primary_estimand
from causal.effect.outcomes import FACT_COLUMNS, apply_estimand, primary_window
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Estimand, Hypothetical, Rating, Window
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
DAY_90 = Window(day=90, half_width=21)
NAN = np.nan


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship study."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


@pytest.fixture(scope="module")
def composite(study: OccasionStudy) -> Estimand:
    """Its primary estimand."""
    return primary_estimand(study)


def facts(**columns: Any) -> pd.DataFrame:
    """Facts with these columns; otherwise the relationship lasts and nothing was rated."""
    n = len(next(iter(columns.values())))
    usual: dict[str, Any] = {"ta_id": [f"t{i}" for i in range(n)], "end_reason": [None] * n}
    usual |= {name: [NAN] * n for name in FACT_COLUMNS[2:]}
    return pd.DataFrame(usual | columns)


def test_the_patient_ends_it(composite: Estimand) -> None:
    """Ended by the patient or lost, by day 90 inclusive: a failure without a rating, whatever was rated before."""
    found = apply_estimand(
        facts(
            end_reason=["pt_initiated", "lost", "pt_initiated", "pt_initiated"],
            ended_after_days=[10.0, 90.0, 90.001, 0.0],
            window_score=[4.0, 4.0, 4.0, 4.0],
        ),
        composite,
        DAY_90,
    )
    assert found.ended.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(found.score, [NAN, NAN, 4.0, NAN])
    assert not found.excluded.any()


def test_other_endings_are_no_failure(composite: Estimand) -> None:
    """An ending the patient did not choose is none; only a planned completion keeps the last rating."""
    reasons = ["completed", "completed", "transfer", "clin_initiated", "incarcerated", "completed"]
    found = apply_estimand(
        facts(
            end_reason=reasons,
            ended_after_days=[50.0, 85.0, 50.0, 50.0, 50.0, 95.0],
            window_score=[NAN, 3.0, NAN, NAN, NAN, NAN],
            last_score=[4.0, 3.0, 4.0, 4.0, 4.0, 4.0],
        ),
        composite,
        DAY_90,
    )
    assert not found.ended.any()
    np.testing.assert_array_equal(found.score, [4.0, 3.0, NAN, NAN, NAN, NAN])


def test_completion_can_be_hypothetical(composite: Estimand) -> None:
    """Where the estimand asks what would have been rated, the last value does not stand in."""
    events = composite.intercurrent_events.model_copy(
        update={"planned_completion": Hypothetical(strategy="hypothetical")}
    )
    other = composite.model_copy(update={"intercurrent_events": events})
    found = apply_estimand(facts(end_reason=["completed"], ended_after_days=[50.0], last_score=[4.0]), other, DAY_90)
    assert np.isnan(found.score).all()


def test_death_stands_apart(composite: Estimand) -> None:
    """A death by day 90 leaves the estimand, known from either table; a later one does not."""
    found = apply_estimand(
        facts(
            end_reason=["death", None, None],
            ended_after_days=[30.0, NAN, NAN],
            died_after_days=[NAN, 90.0, 91.0],
        ),
        composite,
        DAY_90,
    )
    assert found.excluded.tolist() == [True, True, False]
    assert not found.ended.any()


def test_the_first_event_decides(composite: Estimand) -> None:
    """Who leaves and dies on a later day has left; who dies, or leaves on the day of death, has died."""
    found = apply_estimand(
        facts(
            end_reason=["pt_initiated", "pt_initiated", "pt_initiated", "completed"],
            ended_after_days=[20.4, 60.4, 80.4, 20.4],
            died_after_days=[60.0, 60.0, 60.0, 60.0],
        ),
        composite,
        DAY_90,
    )
    assert found.ended.tolist() == [True, False, False, False]
    assert found.excluded.tolist() == [False, True, True, False]


def test_nothing_happened(composite: Estimand) -> None:
    """Lasting relationships: the rating in the window counts; without one it is missing data, not the last value."""
    found = apply_estimand(facts(window_score=[3.5, NAN], last_score=[3.5, 4.0]), composite, DAY_90)
    np.testing.assert_array_equal(found.score, [3.5, NAN])
    assert not found.ended.any()
    assert (found.day, found.half_width) == (90, 21)


def test_facts_are_not_changed(composite: Estimand) -> None:
    """Applying one estimand leaves the facts for the next."""
    given = facts(end_reason=["pt_initiated"], ended_after_days=[10.0], window_score=[4.0])
    before = given.copy()
    apply_estimand(given, composite, DAY_90)
    pd.testing.assert_frame_equal(given, before)


def test_primary_window(study: OccasionStudy) -> None:
    """The window is the primary day's."""
    assert isinstance(study.outcome, Rating)
    assert primary_window(study.outcome) == DAY_90


def test_one_primary_estimand(study: OccasionStudy) -> None:
    """No primary estimand, or two, is a refusal."""
    only = primary_estimand(study)
    for estimands in ((only.model_copy(update={"primary": False}),), (only, only)):
        with pytest.raises(EstimationError, match=r"^\[estimation\.no_primary\]"):
            primary_estimand(study.model_copy(update={"estimands": estimands}))
