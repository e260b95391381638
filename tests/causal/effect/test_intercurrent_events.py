"""Each strategy for each intercurrent event, on occasions small enough to read; and what no strategy may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.effect.outcomes import apply_estimand
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.protocol.outcome import ESTIMABLE_STRATEGIES, Estimand, Window
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
DAY_90 = Window(day=90, half_width=21)
NAN = np.nan


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship study, with estimands E1 to E4."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


def facts(**columns: Any) -> pd.DataFrame:
    """Facts with these columns; otherwise the relationship lasts, nothing was rated, nobody was treated later."""
    n = len(next(iter(columns.values())))
    nothing = {name: [NAN] * n for name in ("ended_after_days", "died_after_days", "window_score", "last_score")}
    usual = {"ta_id": [f"t{i}" for i in range(n)], "end_reason": [None] * n, **nothing}
    later = {"treated_later_after_days": [NAN] * n, "inpatient_in_window": [False] * n}
    return pd.DataFrame(usual | later | columns)


def with_strategy(estimand: Estimand, **events: dict[str, Any]) -> Estimand:
    """The estimand with other strategies for some events."""
    plain = estimand.model_dump(mode="python")
    return Estimand.model_validate(plain | {"intercurrent_events": plain["intercurrent_events"] | events})


def scores(study: OccasionStudy, name: str, table: pd.DataFrame, treated: list[bool] | None = None) -> list[float]:
    """Scores under the estimand with this id."""
    estimand = next(e for e in study.estimands if e.id == name)
    arm = np.array(treated or [True] * len(table))
    return apply_estimand(table, estimand, DAY_90, arm).score.tolist()


LEFT_ON_DAY_85 = facts(
    end_reason=["pt_initiated"] * 3,
    ended_after_days=[85.0] * 3,
    window_score=[2.0, NAN, NAN],
    last_score=[2.0, 3.0, NAN],
)
"""Rated on a day of the window before leaving; rated only before the window; never rated."""


def test_leaving_under_each_estimand(study: OccasionStudy) -> None:
    """Composite and stratum: no score. Hypothetical: what was rated in the window. While it lasted: the last rating."""
    found = {name: scores(study, name, LEFT_ON_DAY_85) for name in ("E1", "E2", "E3", "E4")}
    np.testing.assert_array_equal(found["E1"], [NAN] * 3)
    np.testing.assert_array_equal(found["E2"], [2.0, NAN, NAN])
    np.testing.assert_array_equal(found["E3"], [2.0, 3.0, NAN])
    np.testing.assert_array_equal(found["E4"], [NAN] * 3)


def test_a_comparison_treated_later_leaves_its_strategy(study: OccasionStudy) -> None:
    """Hypothetical: no score from then on, and what ended afterwards is not known to end without it."""
    table = facts(
        end_reason=["pt_initiated", "pt_initiated", None, None],
        ended_after_days=[60.0, 30.0, NAN, NAN],
        treated_later_after_days=[40.0, 40.0, 89.0, 91.0],
        window_score=[NAN, NAN, 3.0, 3.0],
    )
    estimand = next(e for e in study.estimands if e.id == "E2")
    found = apply_estimand(table, estimand, DAY_90, np.zeros(4, dtype=bool))
    assert found.ended.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(found.score, [NAN, NAN, NAN, 3.0])
    treated = apply_estimand(table, estimand, DAY_90, np.ones(4, dtype=bool))
    assert treated.ended.tolist() == [True, True, False, False], "the treated cannot be treated later"


@pytest.mark.parametrize("name", ["E1", "E4"])
def test_a_course_is_not_cut_short_where_endings_count(study: OccasionStudy, name: str) -> None:
    """Whether a comparison treated later would have ended is unknown: refused, never counted as staying."""
    plain = next(e for e in study.estimands if e.id == name)
    estimand = with_strategy(plain, comparison_treated_later={"strategy": "hypothetical"})
    with pytest.raises(EstimationError, match="this estimand counts endings"):
        apply_estimand(facts(window_score=[3.0]), estimand, DAY_90, np.zeros(1, dtype=bool))


def test_a_hospital_stay_under_each_strategy(study: OccasionStudy) -> None:
    """Treatment policy: as rated. Hypothetical: not rated. While it lasted: the last rating where there is none."""
    table = facts(inpatient_in_window=[True, True, False], window_score=[3.0, NAN, NAN], last_score=[3.0, 4.0, 4.0])
    expected = {
        "treatment_policy": [3.0, NAN, NAN],
        "hypothetical": [NAN, NAN, NAN],
        "while_in_relationship": [3.0, 4.0, NAN],
    }
    for strategy, score in expected.items():
        estimand = with_strategy(study.estimands[0], hospitalised={"strategy": strategy})
        np.testing.assert_array_equal(apply_estimand(table, estimand, DAY_90).score, score)


def test_a_transfer_and_a_death_while_it_lasted(study: OccasionStudy) -> None:
    """While it lasted: the last rating stands, and the dead stay in the comparison; otherwise they leave it."""
    table = facts(
        end_reason=["transfer", "death"],
        ended_after_days=[50.0, 60.0],
        died_after_days=[NAN, 60.0],
        last_score=[4.0, 2.0],
    )
    np.testing.assert_array_equal(scores(study, "E3", table), [4.0, 2.0])
    np.testing.assert_array_equal(scores(study, "E2", table), [NAN, NAN])
    first = apply_estimand(table, study.estimands[0], DAY_90)
    assert first.excluded.tolist() == [False, True]


@pytest.mark.parametrize(
    ("event", "strategy"),
    [("death", {"strategy": "composite", "value": 1.0}), ("transfer", {"strategy": "treatment_policy"})],
)
def test_a_strategy_without_meaning_is_refused(study: OccasionStudy, event: str, strategy: dict[str, Any]) -> None:
    """The message names the event, the strategy and what is possible."""
    estimand = with_strategy(study.estimands[0], **{event: strategy})
    with pytest.raises(EstimationError, match=f"has no meaning here for {event}") as refusal:
        apply_estimand(facts(window_score=[3.0]), estimand, DAY_90)
    assert refusal.value.code == "estimation.strategy"
    assert strategy["strategy"] not in ESTIMABLE_STRATEGIES[event]


DAY = st.one_of(st.none(), st.floats(0, 200))
RATING = st.one_of(st.none(), st.floats(1, 5))
OCCASIONS = st.lists(
    st.tuples(
        st.sampled_from([None, "pt_initiated", "lost", "completed", "transfer", "death", "incarcerated"]),
        DAY,
        DAY,
        RATING,
        RATING,
        DAY,
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(rows=OCCASIONS)
def test_no_score_is_made_up(study: OccasionStudy, rows: list[tuple[Any, ...]]) -> None:
    """Every score is one that was given; where the relationship is over or the person dead, nothing is left missing.

    "Undefined" is disjoint from "missing": a score is missing only in a relationship that goes on.
    """
    names = ("end_reason", "ended_after_days", "died_after_days", "window_score", "last_score")
    names = (*names, "treated_later_after_days", "inpatient_in_window")
    table = facts(**{name: [row[k] for row in rows] for k, name in enumerate(names)})
    numbers = [name for name in names if name not in ("end_reason", "inpatient_in_window")]
    table[numbers] = table[numbers].astype(float)
    treated = np.array([row[7] for row in rows])
    for estimand in study.estimands:
        found = apply_estimand(table, estimand, DAY_90, treated)
        given_scores = table[["window_score", "last_score"]].to_numpy()
        scored = ~np.isnan(found.score)
        assert (np.isclose(found.score[:, None], given_scores).any(axis=1) | ~scored).all()
        missing = np.isnan(found.score) & ~found.undefined & ~found.excluded
        over = (table["ended_after_days"].to_numpy() <= 90) | (table["died_after_days"].to_numpy() <= 90)
        later = table["treated_later_after_days"].to_numpy() <= 90
        assert not (missing & over & ~(~treated & later)).any()
        assert not (scored & found.undefined).any()
