"""Which rating is chosen: worked cases, and the relational version on random small cases."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.outcomes import _chosen_scores
from causal.measures.administration import ChosenAdministrations, choose_administrations
from causal.protocol.outcome import Window

# Ibis 12 still makes a call that DuckDB 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

ZERO = "2024-01-01T12:00"
DAY_90 = Window(day=90, half_width=21)  # 2024-03-31


def instants(*texts: str) -> np.ndarray:
    """Seconds; "NaT" for none."""
    return np.array(texts, dtype="datetime64[s]")


def chosen(*completed: str, end: str = "NaT", scheduled: tuple[str, ...] = (), window: Window = DAY_90) -> int:
    """Row chosen for one occasion at `ZERO`."""
    asked = instants(*(scheduled or ["NaT"] * len(completed)))
    found = choose_administrations(
        np.zeros(len(completed), dtype=np.int64), instants(*completed), asked, instants(ZERO), instants(end), [window]
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


def both(*, scheduled: tuple[str, ...]) -> ChosenAdministrations:
    """Two occasions with a rating each at day 90, and none at day 180."""
    return choose_administrations(
        np.array([0, 1]),
        instants("2024-03-31T09:00", "2024-03-30T09:00"),
        instants(*scheduled),
        instants(ZERO, ZERO),
        instants("NaT", "NaT"),
        [DAY_90, Window(day=180, half_width=30)],
    )


def test_prospective_means_scheduled_before_time_zero() -> None:
    """A rating nobody scheduled, or scheduled at time zero, is not; a window without ratings has no share."""
    found = both(scheduled=("2023-12-01T09:00", "NaT"))
    assert found.row.tolist() == [[0, -1], [1, -1]]
    assert (found.chosen.tolist(), found.scheduled_before.tolist()) == ([2, 0], [1, 0])
    assert found.prospective_share[0] == 0.5
    assert np.isnan(found.prospective_share[1])
    assert both(scheduled=(ZERO, "2024-02-01T09:00")).scheduled_before.tolist() == [0, 0]


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
            np.array(occasion), instants(*completed), instants("NaT"), instants(ZERO), instants("NaT"), [DAY_90]
        )


MINUTES = st.integers(-3 * 1440, 14 * 1440)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), MINUTES), min_size=1, max_size=14, unique=True),
    st.lists(st.tuples(st.integers(0, 1439), st.none() | MINUTES), min_size=3, max_size=3),
    st.integers(0, 8),
    st.integers(0, 6),
)
def test_arrays_and_relations_choose_alike(
    ratings: list[tuple[int, int]], occasions: list[tuple[int, int | None]], day: int, half_width: int
) -> None:
    """Three dyads with ratings, ends and times of day drawn at random; no two ratings of a dyad at one instant."""
    window = Window(day=day, half_width=half_width)
    midnight = np.datetime64("2024-03-01T00:00", "s")
    zero = np.array([midnight + np.timedelta64(m, "m") for m, _ in occasions])
    end = np.array(
        [np.datetime64("NaT", "s") if m is None else midnight + np.timedelta64(m, "m") for _, m in occasions]
    )
    occasion = np.array([which for which, _ in ratings])
    completed = np.array([midnight + np.timedelta64(m, "m") for _, m in ratings])
    never = np.full(len(ratings), np.datetime64("NaT", "s"))
    ours = choose_administrations(occasion, completed, never, zero, end, [window]).row[:, 0]

    known = pd.DataFrame({"ta_id": list("abc"), "time_zero": zero, "episode_end": end})
    rated = pd.DataFrame({"admin_ts": completed, "score": np.arange(len(ratings), dtype=float)})
    for frame, which in ((known, np.arange(3)), (rated, occasion)):
        frame["person_id"] = [f"p{i}" for i in which]
        frame["clinician_id"] = "c"
    stamps = {"time_zero": "timestamp", "episode_end": "timestamp", "admin_ts": "timestamp", "score": "float64"}
    tables = [
        ibis.memtable(frame, schema={name: stamps.get(name, "string") for name in frame.columns})
        for frame in (known, rated)
    ]
    found = _chosen_scores(*tables, window, grace_hours=0).to_pyarrow().to_pylist()
    scores = {row["ta_id"]: row["window_score"] for row in found}
    theirs = [-1 if scores.get(name) is None else int(scores[name]) for name in "abc"]
    assert ours.tolist() == theirs
