"""What happened after time zero, and the outcome of each occasion with every intercurrent event handled as declared.

Opened only after approval. Relational expressions give the raw facts after time zero; one pure function turns them into
the outcome of each occasion. A relationship's end or a death leaves no score behind that anything could impute: the
score of such an occasion is what its strategy says, or there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.clock import after, before, elapsed, last_moment, placed
from causal.cohort.history import SUBSCALE, scored_ratings
from causal.cohort.occasions import actions_of_person
from causal.errors import EstimationError
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import (
    ESTIMABLE_STRATEGIES,
    Composite,
    Estimand,
    Hypothetical,
    IntercurrentEvents,
    PrincipalStratum,
    Rating,
    WhileInRelationship,
    Window,
    course_can_be_censored,
)
from causal.records import Outcomes
from causal.tables import ENDED_BY_PATIENT

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FACT_COLUMNS = ("ta_id", "end_reason", "ended_after_days", "died_after_days", "window_score", "last_score")
LATER_COLUMNS = ("treated_later_after_days", "inpatient_in_window")
"""Facts that only some strategies ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFacts:
    """Raw facts after time zero, opened for one design; each frame has `FACT_COLUMNS` and `LATER_COLUMNS`.

    Attributes
    ----------
    facts
        By day of the outcome: one row per row of the design's members, in their order. The primary day's also has
        ``subscale_<name>`` for each subscale of the outcome: its score in the rating of ``window_score``.
    course
        Facts by the last day any analysis counts; None where no analysis asks.
    followed_days
        (n,) days from time zero to the end of the record, for the design's members; None where that was not worked out.
    everyone
        Facts by the primary day of every eligible occasion, in the cohort's order; None where no analysis asks.
    """

    facts: Mapping[int, pd.DataFrame]
    course: pd.DataFrame | None = None
    followed_days: Floats | None = None
    everyone: pd.DataFrame | None = None


def facts_after(
    members: ir.Table,
    tables: dict[str, ir.Table],
    study: OccasionStudy,
    instrument: Instrument,
    window: Window | None = None,
    *,
    subscales: tuple[str, ...] = (),
) -> ir.Table:
    """What happened after time zero, one row per occasion of `members` (ta_id, person_id, clinician_id, time_zero).

    `window` is that of the primary day unless another is given; "the day" is its day.

    The relationship's end is that of the dyad's latest episode begun by the day: a relationship that was
    resumed has not ended. Ratings count while it lasts and the person lives. window_score: the rating of the index
    dyad nearest to the day inside its window, in calendar days, ties to the earlier; last_score: the last rating after
    the grace window (one before it cannot show what the strategy did). A date is all of its day: ratings of the day of
    time zero are not after it. Times of ending and death are fractional days on the clock from time zero, a date from
    its beginning. For each of `subscales` there is a column ``subscale_<name>``: its score in the rating of
    window_score.
    """
    assert isinstance(study.outcome, Rating)
    window = window or primary_window(study.outcome)
    grace_hours = study.target_trial.strategies.treated.grace_hours
    asked = placed(members, tables)
    episode = _latest_episode(asked, tables["episodes"], window)
    deaths = tables["patients"].select("person_id", "death_date")
    known = asked.left_join(episode, "ta_id").drop("ta_id_right").left_join(deaths, "person_id").drop("person_id_right")
    ratings = scored_ratings(tables["measures"], members, instrument, study.outcome.rater, subscales)
    parts = tuple(f"{SUBSCALE}{name}" for name in subscales)
    chosen = _chosen_scores(known, ratings, window, grace_hours, parts)
    joined = known.left_join(chosen, "ta_id").drop("ta_id_right")
    zero = joined.time_zero.epoch_seconds()
    return joined.select(
        "ta_id",
        "end_reason",
        "window_score",
        "last_score",
        *parts,
        ended_after_days=(joined.episode_end.epoch_seconds() - zero) / 86400,
        died_after_days=(joined.death_date.cast("timestamp").epoch_seconds() - zero) / 86400,
    )


def _latest_episode(members: ir.Table, episodes: ir.Table, window: Window) -> ir.Table:
    """The dyad's latest-starting episode that is open at time zero or begins by the primary day: end and reason."""
    spans = episodes.select("person_id", "clinician_id", "end_reason", episode_start="start", episode_end="end")
    joined = members.inner_join(spans, ["person_id", "clinician_id"])
    by_day = joined.filter(
        (joined.episode_start <= joined.time_zero + ibis.interval(days=window.day))
        & (joined.episode_end.isnull() | ~before(joined.episode_end, joined))
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


def _chosen_scores(
    known: ir.Table, ratings: ir.Table, window: Window, grace_hours: int, subscales: tuple[str, ...] = ()
) -> ir.Table:
    joined = known.inner_join(ratings, ["person_id", "clinician_id"])
    seconds = joined.admin_ts.epoch_seconds() - joined.time_zero.epoch_seconds()
    days = joined.admin_ts.date().delta(joined.time_zero.date(), unit="day")
    later = joined.mutate(seconds=seconds, days=days).filter(
        after(joined.admin_ts, joined)
        & (days <= window.day + window.half_width)
        & (joined.episode_end.isnull() | (joined.admin_ts <= last_moment(joined.episode_end)))
        & (joined.death_date.isnull() | (joined.admin_ts.date() <= joined.death_date))
    )
    distance = (later.days - window.day).abs()
    inside = distance <= window.half_width
    # One integer orders candidates: nearest day first, then earlier. Seconds are below 2^31.
    order = distance * 2**31 + later.seconds
    parts = {column: later[column].argmin(order, where=inside) for column in subscales}
    return later.group_by("ta_id").aggregate(
        window_score=later.score.argmin(order, where=inside),
        last_score=later.score.argmax(later.seconds, where=later.admin_ts > elapsed(later, grace_hours)),
        **parts,
    )


def later_after(members: ir.Table, tables: dict[str, ir.Table], study: OccasionStudy, window: Window) -> ir.Table:
    """`LATER_COLUMNS` for each occasion of `members`: ta_id, when treated later, whether inpatient in the window.

    treated_later_after_days: days until the person's first action of the treated strategy after the grace window, null
    without one. inpatient_in_window: whether an inpatient stay touches the window, by calendar days.
    """
    treated = study.target_trial.strategies.treated
    taken = actions_of_person(tables, placed(members, tables), treated.actions)
    past_grace = taken.filter(taken.action_ts > elapsed(taken, treated.grace_hours))
    seconds = past_grace.action_ts.epoch_seconds() - past_grace.time_zero.epoch_seconds()
    later = past_grace.group_by("ta_id").aggregate(treated_later_after_days=seconds.min() / 86400)
    stays = tables["hospitalizations"].select("person_id", "admit", "discharge")
    stayed = members.inner_join(stays, "person_id")
    from_zero = stayed.admit.delta(stayed.time_zero.date(), unit="day")
    until_zero = stayed.discharge.delta(stayed.time_zero.date(), unit="day")
    touches = (from_zero <= window.day + window.half_width) & (
        stayed.discharge.isnull() | (until_zero >= window.day - window.half_width)
    )
    inpatient = stayed.group_by("ta_id").aggregate(inpatient_in_window=touches.any())
    both = members.left_join(later, "ta_id").drop("ta_id_right").left_join(inpatient, "ta_id").drop("ta_id_right")
    return both.select(
        "ta_id", "treated_later_after_days", inpatient_in_window=both.inpatient_in_window.fill_null(False)
    )


def apply_estimand(
    facts: pd.DataFrame, estimand: Estimand, window: Window, treated: NDArray[np.bool_] | None = None
) -> Outcomes:
    """The outcome of each occasion by `window.day` under the estimand's intercurrent-event strategies.

    `facts` has `FACT_COLUMNS` (and `LATER_COLUMNS` where a strategy asks for them), one row per occasion; `treated`
    (n,) is asked for where comparison occasions treated later are handled. An event counts when it happens by the day,
    and the first one decides: who leaves and then dies has left. An ending without a recorded reason is not known to
    be the patient's. Scores left NaN are missing data, for the missing-data plan, unless `Outcomes.undefined`: after a
    relationship's end or a death there is no score to be missing.

    Raises
    ------
    EstimationError
        ``estimation.strategy``: a strategy that has no meaning for its event here.
    """
    events = estimand.intercurrent_events
    refuse_meaningless(events)
    ended_after = facts["ended_after_days"].to_numpy(dtype=float)
    died_after = facts["died_after_days"].to_numpy(dtype=float)
    by_day = ended_after <= window.day
    reason = facts["end_reason"].fillna("").to_numpy(dtype=str)
    ended = by_day & np.isin(reason, ENDED_BY_PATIENT)
    # A death date is midnight of its day: a relationship that ended on that day by death ended at the death.
    left_first = by_day & (reason != "death") & (np.isnan(died_after) | (np.floor(ended_after) < np.floor(died_after)))
    died = ((died_after <= window.day) | (by_day & (reason == "death"))) & ~left_first
    ended &= ~died
    over = by_day & ~ended & ~died
    score = facts["window_score"].to_numpy(dtype=float).copy()
    last = np.where(np.isnan(score), facts["last_score"].to_numpy(dtype=float), score)
    if isinstance(events.planned_completion, WhileInRelationship):
        score = np.where(over & (reason == "completed"), last, score)
    if isinstance(events.transfer, WhileInRelationship):
        score = np.where(over & (reason != "completed"), last, score)
    score = _after_patient_ended(events, ended, score, last)
    if isinstance(events.death, WhileInRelationship):
        score = np.where(died, last, score)
    score = _hospitalised(events, facts, score, last)
    censored = _treated_later(events, facts, window, treated)
    score = np.where(censored, np.nan, score)
    return Outcomes(
        ended=ended & ~censored,
        score=score,
        excluded=died & (events.death.strategy == "separate"),
        undefined=((ended & ~censored) | died | over) & np.isnan(score),
        day=window.day,
        half_width=window.half_width,
    )


def refuse_meaningless(events: IntercurrentEvents) -> None:
    """Refuse strategies without a meaning for their event; see `ESTIMABLE_STRATEGIES`."""
    for event, allowed in ESTIMABLE_STRATEGIES.items():
        chosen = getattr(events, event).strategy
        if chosen not in allowed:
            raise EstimationError(
                "estimation.strategy",
                f"'{chosen}' has no meaning here for {event}",
                fix=f"one of: {', '.join(allowed)}",
            )
    if not course_can_be_censored(events):
        raise EstimationError(
            "estimation.strategy",
            "whether a comparison patient treated later would have ended is unknown, and this estimand counts endings",
            fix="comparison_treated_later: treatment_policy, or a patient_ended that is hypothetical",
        )


def _after_patient_ended(events: IntercurrentEvents, ended: Bools, score: Floats, last: Floats) -> Floats:
    """Scores of those who ended: their own from before the end, or none."""
    match events.patient_ended:
        case WhileInRelationship():
            return np.where(ended, last, score)
        case Hypothetical():
            return score  # a rating given in the window before leaving is what would have been seen
        case Composite() | PrincipalStratum():
            return np.where(ended, np.nan, score)
        case _:
            raise AssertionError("refused before")


def _hospitalised(events: IntercurrentEvents, facts: pd.DataFrame, score: Floats, last: Floats) -> Floats:
    strategy = events.hospitalised.strategy
    if strategy == "treatment_policy":
        return score
    inpatient = facts["inpatient_in_window"].to_numpy(dtype=np.bool_)
    return np.where(inpatient, np.nan if strategy == "hypothetical" else np.where(np.isnan(score), last, score), score)


def _treated_later(
    events: IntercurrentEvents, facts: pd.DataFrame, window: Window, treated: NDArray[np.bool_] | None
) -> Bools:
    """Comparison occasions whose course by the day is no longer that of their strategy."""
    if events.comparison_treated_later.strategy == "treatment_policy":
        return np.zeros(len(facts), dtype=np.bool_)
    if treated is None:
        raise AssertionError("the arms are needed to tell who was treated later")
    later = facts["treated_later_after_days"].to_numpy(dtype=float)
    ended_before = facts["ended_after_days"].to_numpy(dtype=float) < later
    return ~treated & (later <= window.day) & ~ended_before
