"""Outcomes of matched occasions, with every intercurrent event handled as the estimand says.

Opened only after approval. Relational expressions give the raw facts after time zero; one pure function turns them into
the outcome of each occasion.
"""

from __future__ import annotations

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from causal.cohort.history import scored_ratings
from causal.cohort.occasions import open_episode
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import Estimand, Hypothetical, LastValue, Rating, Window
from causal.records import Outcomes

ENDED_BY_PATIENT = ("pt_initiated", "lost")
FACT_COLUMNS = ("ta_id", "end_reason", "ended_after_days", "died_after_days", "window_score", "last_score")


def facts_after(
    members: ir.Table, tables: dict[str, ir.Table], study: OccasionStudy, instrument: Instrument
) -> ir.Table:
    """What happened after time zero, one row per occasion of `members` (ta_id, person_id, clinician_id, time_zero).

    window_score: the rating of the index dyad nearest to the primary day inside its window, in calendar days, ties to
    the earlier; last_score: the last rating after time zero up to the end of the window. Times of ending and death are
    fractional days from time zero.
    """
    assert isinstance(study.outcome, Rating)
    window = primary_window(study.outcome)
    ratings = scored_ratings(tables["measures"], members, instrument, study.outcome.rater)
    chosen = _chosen_scores(members, ratings, window)
    episode = open_episode(tables, members).select("ta_id", "episode_end", "end_reason")
    deaths = tables["patients"].select("person_id", "death_date")
    joined = (
        members.left_join(chosen, "ta_id")
        .drop("ta_id_right")
        .left_join(episode, "ta_id")
        .drop("ta_id_right")
        .left_join(deaths, "person_id")
    )
    zero = joined.time_zero.epoch_seconds()
    return joined.select(
        "ta_id",
        "end_reason",
        "window_score",
        "last_score",
        ended_after_days=(joined.episode_end.epoch_seconds() - zero) / 86400,
        died_after_days=(joined.death_date.cast("timestamp").epoch_seconds() - zero) / 86400,
    )


def primary_window(outcome: Rating) -> Window:
    """The window of the primary day."""
    return next(window for window in outcome.windows if window.day == outcome.primary_day)


def _chosen_scores(members: ir.Table, ratings: ir.Table, window: Window) -> ir.Table:
    joined = members.inner_join(ratings, ["person_id", "clinician_id"])
    seconds = joined.admin_ts.epoch_seconds() - joined.time_zero.epoch_seconds()
    days = joined.admin_ts.date().delta(joined.time_zero.date(), unit="day")
    after = joined.mutate(seconds=seconds, days=days).filter(
        (joined.admin_ts > joined.time_zero) & (days <= window.day + window.half_width)
    )
    distance = (after.days - window.day).abs()
    inside = distance <= window.half_width
    # One integer orders candidates: nearest day first, then earlier. Seconds are below 2^31.
    order = distance * 2**31 + after.seconds
    return after.group_by("ta_id").aggregate(
        window_score=after.score.argmin(order, where=inside),
        last_score=after.score.argmax(after.seconds),
    )


def apply_estimand(facts: pd.DataFrame, estimand: Estimand, window: Window) -> Outcomes:
    """The outcome of each occasion under the estimand's intercurrent-event strategies.

    `facts` has `FACT_COLUMNS`, one row per matched occasion in the order of the design's members. An event counts when
    it happens by the primary day. Scores left NaN are missing data, for the missing-data plan to handle.
    """
    events = estimand.intercurrent_events
    by_day = facts["ended_after_days"].to_numpy(dtype=float) <= window.day
    reason = facts["end_reason"].fillna("").to_numpy(dtype=str)
    ended = by_day & np.isin(reason, ENDED_BY_PATIENT)
    completed = by_day & (reason == "completed")
    died = (facts["died_after_days"].to_numpy(dtype=float) <= window.day) | (by_day & (reason == "death"))
    score = facts["window_score"].to_numpy(dtype=float).copy()
    if isinstance(events.planned_completion, LastValue):
        last = facts["last_score"].to_numpy(dtype=float)
        score = np.where(completed & np.isnan(score), last, score)
    else:
        assert isinstance(events.planned_completion, Hypothetical)
    score[ended] = np.nan
    return Outcomes(ended=ended, score=score, excluded=died, day=window.day, half_width=window.half_width)
