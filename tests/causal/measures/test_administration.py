"""Which rating is chosen: worked cases, and the relational version on random small cases."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.cohort.clock import placed
from causal.effect.outcomes import _chosen_scores, facts_after
from causal.measures.administration import (
    ChosenAdministrations,
    ProspectiveRatings,
    administrations,
    choose_administrations,
    prospective_ratings,
)
from causal.measures.detectors import Finding
from causal.protocol.outcome import Rating, Window
from tests.spec.ascii_tables import instruments, study, world
from validation.verdict import Status, at_least, not_evaluated

# Ibis 12 still makes a call that DuckDB 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

ZERO = "2024-01-01T12:00"
DAY_90 = Window(day=90, half_width=21)  # 2024-03-31


def instants(*texts: str) -> np.ndarray:
    """Seconds; "NaT" for none."""
    return np.array(texts, dtype="datetime64[s]")


def chosen(*completed: str, end: str = "NaT", window: Window = DAY_90) -> int:
    """Row chosen for one occasion at `ZERO`."""
    found = choose_administrations(
        np.zeros(len(completed), dtype=np.int64), instants(*completed), None, instants(ZERO), instants(end), [window]
    )
    return int(found.row[0, 0])


def test_the_nearest_day_inside_the_window_is_chosen() -> None:
    """Days count, not hours; 21 days away still counts, 22 do not."""
    assert chosen("2024-03-20T09:00", "2024-04-02T09:00") == 1
    assert chosen("2024-03-10T00:00") == 0
    assert chosen("2024-03-09T23:59") == -1
    assert chosen("2024-04-21T23:59") == 0
    assert chosen("2024-04-22T00:00") == -1


def test_ties_go_to_the_earlier() -> None:
    """Three days before and three days after; and two of one day."""
    assert chosen("2024-04-03T09:00", "2024-03-28T21:00") == 1
    assert chosen("2024-03-31T10:00", "2024-03-31T09:59") == 1


def test_ratings_at_or_before_time_zero_never_count() -> None:
    """A window that reaches before time zero does not; the same day afterwards does."""
    near = Window(day=1, half_width=5)
    assert chosen("2024-01-01T12:00", "2023-12-31T12:00", window=near) == -1
    assert chosen("2024-01-01T12:00", "2024-01-01T12:01", window=near) == 1


def test_ratings_after_the_relationship_never_count() -> None:
    """At its end still, a second later no more."""
    assert chosen("2024-03-30T09:00", end="2024-03-30T09:00") == 0
    assert chosen("2024-03-30T09:00", end="2024-03-30T08:59:59") == -1


def both(*, scheduled_at: tuple[str, ...] | None) -> ChosenAdministrations:
    """Two occasions with a rating each at day 90, and none at day 180."""
    return choose_administrations(
        np.array([0, 1]),
        instants("2024-03-31T09:00", "2024-03-30T09:00"),
        None if scheduled_at is None else instants(*scheduled_at),
        instants(ZERO, ZERO),
        instants("NaT", "NaT"),
        [DAY_90, Window(day=180, half_width=30)],
    )


def test_prospective_means_put_on_the_schedule_before_time_zero() -> None:
    """A rating of which nobody says when, or planned at time zero or later, is not; without the column nothing is."""
    found = both(scheduled_at=("2023-12-01T09:00", "NaT"))
    assert found.row.tolist() == [[0, -1], [1, -1]]
    assert found.prospective is not None
    assert (found.chosen.tolist(), found.prospective.tolist()) == ([2, 0], [1, 0])
    later = both(scheduled_at=(ZERO, "2024-02-01T09:00")).prospective
    assert later is not None
    assert later.tolist() == [0, 0]
    assert both(scheduled_at=None).prospective is None


def test_no_ratings_at_all() -> None:
    """Nothing is chosen."""
    assert chosen() == -1


@pytest.mark.parametrize(
    ("occasion", "completed", "message"),
    [([0], ["NaT"], "no completion time"), ([1], [ZERO], "belongs to no occasion"), ([-1], [ZERO], "no occasion")],
)
def test_impossible_input_is_an_error(occasion: list[int], completed: list[str], message: str) -> None:
    """Every rating has a time and an occasion."""
    with pytest.raises(ValueError, match=message):
        choose_administrations(
            np.array(occasion), instants(*completed), None, instants(ZERO), instants("NaT"), [DAY_90]
        )


MINUTES = st.integers(-3 * 1440, 14 * 1440) | st.integers(-3, 14).map(lambda day: day * 1440)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), MINUTES), min_size=1, max_size=14, unique=True),
    st.lists(st.tuples(st.just(0) | st.integers(0, 1439), st.none() | MINUTES), min_size=3, max_size=3),
    st.integers(0, 8),
    st.integers(0, 6),
)
def test_arrays_and_relations_choose_alike(
    ratings: list[tuple[int, int]], occasions: list[tuple[int, int | None]], day: int, half_width: int
) -> None:
    """Three dyads; ratings, ends and times of day at random, midnights too; never two ratings of a dyad at once."""
    window = Window(day=day, half_width=half_width)
    midnight = np.datetime64("2024-03-01T00:00", "s")
    zero = np.array([midnight + np.timedelta64(m, "m") for m, _ in occasions])
    end = np.array(
        [np.datetime64("NaT", "s") if m is None else midnight + np.timedelta64(m, "m") for _, m in occasions]
    )
    occasion = np.array([which for which, _ in ratings])
    completed = np.array([midnight + np.timedelta64(m, "m") for _, m in ratings])
    ours = choose_administrations(occasion, completed, None, zero, end, [window]).row[:, 0]

    known = pd.DataFrame({"ta_id": list("abc"), "time_zero": zero, "episode_end": end})
    rated = pd.DataFrame({"admin_ts": completed, "score": np.arange(len(ratings), dtype=float)})
    for frame, which in ((known, np.arange(3)), (rated, occasion)):
        frame["person_id"] = [f"p{i}" for i in which]
        frame["clinician_id"] = "c"
    known["death_date"] = None
    stamps = {"time_zero": "timestamp", "episode_end": "timestamp", "admin_ts": "timestamp", "score": "float64"}
    stamps["death_date"] = "date"
    tables = [
        ibis.memtable(frame, schema={name: stamps.get(name, "string") for name in frame.columns})
        for frame in (known, rated)
    ]
    clinic = {
        "clinics": ibis.memtable(pa.table({"clinic_id": ["k"], "tz": ["UTC"]})),
        "clinicians": ibis.memtable(pa.table({"clinic_id": ["k"], "clinician_id": ["c"]})),
    }
    asked = placed(tables[0], clinic)
    found = _chosen_scores(asked, tables[1], window, grace_hours=0).to_pyarrow().to_pylist()
    scores = {row["ta_id"]: row["window_score"] for row in found}
    theirs = [-1 if scores.get(name) is None else int(scores[name]) for name in "abc"]
    assert ours.tolist() == theirs


PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
"""
ENDINGS = """
    person_id | end              | end_reason
    ann       | -                | -
    bob       | -                | -
    cas       | 2024-03-29 12:00 | transfer
    dee       | -                | -
"""
PLANNED = """
    person_id | admin_ts         | scheduled_at     | items
    ann       | 2024-03-20 09:00 | 2023-12-01 09:00 | 3
    ann       | 2024-03-31 09:00 | -                | 4
    bob       | 2024-03-31 09:00 | 2023-12-01 09:00 | 4
    cas       | 2024-03-28 09:00 | 2023-12-24 09:00 | 2
    cas       | 2024-03-30 09:00 | 2024-01-09 09:00 | 2
    dee       | 2024-03-31 09:00 | 2023-12-01 09:00 | -
"""
"""Ann's nearest is not known to be planned; cas's is, for the nearer one came after the end; dee answered nothing."""


def judged(measures: str, window: Window = DAY_90) -> ProspectiveRatings:
    """What a run finds of four occasions at `ZERO`, one of them standing twice."""
    tables = world({"patients": PEOPLE, "episodes": ENDINGS, "measures": measures})
    people = [*"abcda"]
    names = {"a": "ann", "b": "bob", "c": "cas", "d": "dee"}
    occasions = pd.DataFrame({"ta_id": people, "person_id": [names[one] for one in people], "clinician_id": "dr_a"})
    occasions["time_zero"] = pd.Timestamp(ZERO)
    asked = ibis.memtable(pa.Table.from_pandas(occasions.drop_duplicates("ta_id"), preserve_index=False))
    key, outcome = instruments()["wai_sr"], study().outcome
    assert isinstance(outcome, Rating)
    facts = facts_after(asked, tables, study(), key, window).to_pyarrow().to_pandas().set_index("ta_id")
    ratings = administrations(tables["measures"], asked, key, outcome.rater).to_pyarrow().to_pandas()
    aligned = occasions.assign(ended_after_days=facts.loc[occasions["ta_id"], "ended_after_days"].to_numpy())
    found = prospective_ratings(aligned, ratings, window)
    if found.found is not None:
        assert found.found.of == facts["window_score"].notna().sum()
    return found


def test_the_ratings_that_count_are_judged_and_no_others() -> None:
    """Of the three ratings behind the outcome two were planned; the verdict carries their share."""
    found = judged(PLANNED)
    assert found.found == Finding(count=2, of=3)
    verdict = at_least(found.code, found.found.share, 0.5, found.sentence)
    assert (verdict.code, verdict.status) == ("outcome.prospective.90", Status.PASS)
    assert verdict.sentence.startswith("share of ratings around day 90 that had been put on the schedule before")


def test_without_the_column_nothing_is_claimed() -> None:
    """An extract that does not say when questionnaires were scheduled gives a reason and no share."""
    cells = [line.split("|") for line in PLANNED.strip().splitlines()]
    found = judged("\n".join("|".join([*row[:2], *row[3:]]) for row in cells))
    assert found.found is None
    assert not_evaluated(found.code, found.sentence).sentence == (
        "whether ratings around day 90 were planned before time zero: the extract has no column scheduled_at, which "
        "says when a questionnaire was put on the schedule"
    )


def test_a_day_without_ratings_has_no_share() -> None:
    """Nothing counts around day 300, so nothing is judged."""
    found = judged(PLANNED, Window(day=300, half_width=21))
    assert found.found is None
    assert found.sentence == "whether ratings around day 300 were planned before time zero: there are none"
