"""Outcomes of matched occasions, with every intercurrent event handled as the estimand says.

Opened only after approval. Relational expressions give the raw facts after time zero; one pure function turns them into
the outcome of each occasion.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from causal.cohort.history import scored_ratings
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import Estimand, Hypothetical, LastValue, Rating, Window
from causal.records import Outcomes

ENDED_BY_PATIENT = ("pt_initiated", "lost")
FACT_COLUMNS = ("ta_id", "end_reason", "ended_after_days", "died_after_days", "window_score", "last_score")


def facts_after(
    members: ir.Table, tables: dict[str, ir.Table], study: OccasionStudy, instrument: Instrument
) -> ir.Table:
    """What happened after time zero, one row per occasion of `members` (ta_id, person_id, clinician_id, time_zero).

    The relationship's end is that of the dyad's latest episode begun by the primary day: a relationship that was
    resumed has not ended. Ratings count while it lasts. window_score: the rating of the index dyad nearest to the
    primary day inside its window, in calendar days, ties to the earlier; last_score: the last rating after the grace
    window (one before it cannot show what the strategy did). Times of ending and death are fractional days from time
    zero.
    """
    assert isinstance(study.outcome, Rating)
    window = primary_window(study.outcome)
    grace_hours = study.target_trial.strategies.treated.grace_hours
    episode = _latest_episode(members, tables["episodes"], window)
    known = members.left_join(episode, "ta_id").drop("ta_id_right")
    ratings = scored_ratings(tables["measures"], members, instrument, study.outcome.rater)
    chosen = _chosen_scores(known, ratings, window, grace_hours)
    deaths = tables["patients"].select("person_id", "death_date")
    joined = known.left_join(chosen, "ta_id").drop("ta_id_right").left_join(deaths, "person_id")
    zero = joined.time_zero.epoch_seconds()
    return joined.select(
        "ta_id",
        "end_reason",
        "window_score",
        "last_score",
        ended_after_days=(joined.episode_end.epoch_seconds() - zero) / 86400,
        died_after_days=(joined.death_date.cast("timestamp").epoch_seconds() - zero) / 86400,
    )


def _latest_episode(members: ir.Table, episodes: ir.Table, window: Window) -> ir.Table:
    """The dyad's latest-starting episode that is open at time zero or begins by the primary day: end and reason."""
    spans = episodes.select("person_id", "clinician_id", "end_reason", episode_start="start", episode_end="end")
    joined = members.inner_join(spans, ["person_id", "clinician_id"])
    by_day = joined.filter(
        (joined.episode_start <= joined.time_zero + ibis.interval(days=window.day))
        & (joined.episode_end.isnull() | (joined.episode_end >= joined.time_zero))
    )
    latest = by_day.mutate(
        rank=ibis.row_number().over(
            ibis.window(group_by="ta_id", order_by=[ibis.desc("episode_start"), ibis.desc("episode_end")])
        )
    )
    return latest.filter(latest.rank == 0).select("ta_id", "episode_end", "end_reason")


def primary_window(outcome: Rating) -> Window:
    """The window of the primary day."""
    return next(window for window in outcome.windows if window.day == outcome.primary_day)


def _chosen_scores(known: ir.Table, ratings: ir.Table, window: Window, grace_hours: int) -> ir.Table:
    joined = known.inner_join(ratings, ["person_id", "clinician_id"])
    seconds = joined.admin_ts.epoch_seconds() - joined.time_zero.epoch_seconds()
    days = joined.admin_ts.date().delta(joined.time_zero.date(), unit="day")
    after = joined.mutate(seconds=seconds, days=days).filter(
        (joined.admin_ts > joined.time_zero)
        & (days <= window.day + window.half_width)
        & (joined.episode_end.isnull() | (joined.admin_ts <= joined.episode_end))
    )
    distance = (after.days - window.day).abs()
    inside = distance <= window.half_width
    # One integer orders candidates: nearest day first, then earlier. Seconds are below 2^31.
    order = distance * 2**31 + after.seconds
    return after.group_by("ta_id").aggregate(
        window_score=after.score.argmin(order, where=inside),
        last_score=after.score.argmax(after.seconds, where=after.seconds > grace_hours * 3600),
    )


def apply_estimand(facts: pd.DataFrame, estimand: Estimand, window: Window) -> Outcomes:
    """The outcome of each occasion under the estimand's intercurrent-event strategies.

    `facts` has `FACT_COLUMNS`, one row per matched occasion in the order of the design's members. An event counts when
    it happens by the primary day, and the first one decides: who leaves and then dies has left. An ending without a
    recorded reason is not known to be the patient's. Scores left NaN are missing data, for the missing-data plan.
    """
    events = estimand.intercurrent_events
    ended_after = facts["ended_after_days"].to_numpy(dtype=float)
    died_after = facts["died_after_days"].to_numpy(dtype=float)
    by_day = ended_after <= window.day
    reason = facts["end_reason"].fillna("").to_numpy(dtype=str)
    ended = by_day & np.isin(reason, ENDED_BY_PATIENT)
    completed = by_day & (reason == "completed")
    # A death date is midnight of its day: a relationship that ended on that day by death ended at the death.
    left_first = by_day & (reason != "death") & (np.isnan(died_after) | (np.floor(ended_after) < np.floor(died_after)))
    died = ((died_after <= window.day) | (by_day & (reason == "death"))) & ~left_first
    ended &= ~died
    score = facts["window_score"].to_numpy(dtype=float).copy()
    if isinstance(events.planned_completion, LastValue):
        last = facts["last_score"].to_numpy(dtype=float)
        score = np.where(completed & np.isnan(score), last, score)
    else:
        assert isinstance(events.planned_completion, Hypothetical)
    score[ended] = np.nan
    return Outcomes(ended=ended, score=score, excluded=died, day=window.day, half_width=window.half_width)
