"""Endings: their course over time, ranked below every rating, and those in whom they would never happen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast
from causal.effect.principal_strata import StratumBounds, always_stayer_bounds
from causal.effect.secondary.finding import Finding, Line, line_of, ratio_line
from causal.effect.secondary.opened import BoolArray, FloatArray, Opened, counts_of
from causal.effect.secondary.responses import STOOD_IN, responses
from causal.effect.termination.course import TerminationCourse as Course
from causal.effect.termination.course import termination_course as course_of
from causal.effect.widest import widest
from causal.effect.win_odds import win_odds as won
from causal.errors import EstimationError
from causal.protocol.outcome import PrincipalStratum
from causal.protocol.secondary import StratumBounds as DeclaredBounds
from causal.protocol.secondary import TerminationCourse, WinOdds
from causal.protocol.words import Words
from causal.tables import ENDED_BY_PATIENT

IntArray = NDArray[np.int64]
CENSORED, BY_PATIENT, OTHERWISE, DEATH = 0, 1, 2, 3
SHORTEST = 1 / 86400  # days: an ending at the very instant of time zero comes after it


def termination_course(opened: Opened, declared: TerminationCourse) -> Finding:
    """Incidence of the patient ending the relationship by each day, mean time lost, and the ratio of hazards."""
    facts, record = opened.follow_up.course, opened.follow_up.followed_days
    if facts is None or record is None:
        raise EstimationError("estimation.no_course", "follow-up to the horizon was not opened")
    sample = opened.sample(np.zeros(len(opened.design.members), dtype=np.bool_))
    ended, died = (facts[name].to_numpy(dtype=float)[sample.kept] for name in ("ended_after_days", "died_after_days"))
    reason = facts["end_reason"].fillna("").to_numpy(dtype=str)[sample.kept]
    time, cause = time_and_cause(ended, reason, died, record[sample.kept])
    courses: tuple[tuple[str, Course], ...] = sample.under_each(
        lambda code: course_of(
            time,
            cause,
            sample.treated,
            weights=sample.weights,
            clusters=code,
            days=declared.days,
            horizon=declared.horizon_days,
            level=opened.study.estimator.level,
        )
    )
    course = courses[0][1]
    lines = []
    for k, one in enumerate(course.days):
        main = _main([(by, each.days[k].difference) for by, each in courses])
        if main is not None:
            lines.append(
                line_of(
                    main[1],
                    label=f"ended by day {one.day:g}",
                    scale="risk difference",
                    counts=(one.at_risk_treated, one.at_risk_comparison),
                    clustered_by=main[0],
                    events=(one.events_treated, one.events_comparison),
                )
            )
    counts = counts_of(sample)
    events = counts_of(sample, (cause == BY_PATIENT) & (time <= course.horizon))
    if lost := _main([(by, each.time_lost.difference if each.time_lost else None) for by, each in courses]):
        label = f"mean days lost to endings by day {course.horizon:g}"
        lines.append(line_of(lost[1], label=label, scale="days", counts=counts, clustered_by=lost[0], events=events))
    if ratio := _main([(by, each.hazard.log_ratio if each.hazard else None) for by, each in courses]):
        label = "rate of ending among those still in treatment"
        lines.append(
            ratio_line(ratio[1], label=label, scale="hazard ratio", counts=counts, clustered_by=ratio[0], events=events)
        )
    missing = dict.fromkeys(f"{name}: {reason}" for _, each in courses for name, reason in each.not_evaluated)
    return Finding(
        analysis="termination_course",
        title="When treatment ended",
        method=(
            f"Cumulative incidence of the {opened.study.words.person} ending treatment beside planned ends, "
            "transfers and deaths (Aalen-Johansen), mean days lost to it, and its cause-specific hazard (Cox), in the "
            "compared groups."
        ),
        lines=tuple(lines),
        not_evaluated=tuple(missing),
        notes=(
            "Who resumed by the last day goes on, and deaths are other endings: shares can differ from the headline's.",
            "The ratio of rates compares those who are still there, who need not be alike after the first endings.",
        ),
    )


def _main(found: Sequence[tuple[str, Contrast | None]]) -> tuple[str, Contrast] | None:
    """The main of the intervals; None where one of them could not be had, for nobody knows then which is wider."""
    known = [(by, one) for by, one in found if one is not None]
    return widest(known) if len(known) == len(found) else None


def time_and_cause(
    ended_after: FloatArray, reason: NDArray[np.str_], died_after: FloatArray, followed: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Days (n,) to what happened first, and what it was: 0 nothing by the end of the record, 1 to 3 as above.

    An ending recorded as a death is one; of an ending and a death on one day the death counts, as in the headline.

    >>> nan = np.nan
    >>> time, cause = time_and_cause(np.array([10.0, nan, 60]), np.array(["lost", "", "completed"]),
    ...                              np.array([nan, 20, nan]), np.array([180.0, 180, 50]))
    >>> time.tolist(), cause.tolist()
    ([10.0, 20.0, 50.0], [1, 3, 0])
    """
    end, death = (
        np.where(np.isnan(ended_after), np.inf, ended_after),
        np.where(np.isnan(died_after), np.inf, died_after),
    )
    end_is_death = reason == "death"
    left_first = np.isfinite(end) & ~end_is_death & (np.floor(end) < np.floor(death))
    first = np.where(left_first, end, np.minimum(end, death))
    by_patient = np.isin(reason, ENDED_BY_PATIENT)
    kind = np.where(left_first, np.where(by_patient, BY_PATIENT, OTHERWISE), DEATH)
    cause = np.where(first <= followed, kind, CENSORED)
    return np.maximum(np.minimum(first, followed), SHORTEST), cause.astype(np.int64)


def win_odds(opened: Opened, _: WinOdds) -> Finding:
    """How often a treated patient fares better than one they are compared with: an ending is worse than any rating."""
    if opened.design.grouping != "matched set":
        raise EstimationError(
            "estimation.no_sets", "wins are counted within matched sets, and groups are compared by strata or weights"
        )
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    ended, score = outcomes.ended[sample.kept], outcomes.score[sample.kept]
    answered = responses(opened, sample, outcomes)
    weights = sample.weights * np.where(ended, 1.0, answered.response_weights)
    weights = np.where(_both_arms(sample.sets, sample.treated, weights), weights, 0.0)
    found = sample.under_each(
        lambda code: won(
            score, ended, sample.treated, weights, sets=sample.sets, clusters=code, level=opened.study.estimator.level
        )
    )
    counts = counts_of(sample, weights > 0)
    label = f"odds that {opened.study.words.a_person} of the first group fares better, ties halved"
    by_odds, odds = widest([(by, one.log_odds) for by, one in found])
    by_shares, shares = widest([(by, one.difference) for by, one in found])
    lines = (
        ratio_line(odds, label=label, scale="win odds", counts=counts, clustered_by=by_odds),
        line_of(
            shares,
            label="share who fare better less share who fare worse",
            scale="risk difference",
            counts=counts,
            clustered_by=by_shares,
        ),
    )
    return Finding(
        analysis="win_odds",
        title="Who fares better",
        method=(
            f"Each {opened.study.words.person} of the first group against each they are compared with: ending "
            f"treatment is worse than any rating at day {opened.window.day}, and a higher rating is better."
        ),
        lines=lines,
        notes=(*STOOD_IN[answered.response_method], "A set without an answer in a group leaves."),
    )


def _both_arms(sets: IntArray, treated: BoolArray, weights: FloatArray) -> BoolArray:
    """(n,) whether the row's set has weight in both arms."""
    n = int(sets.max()) + 1
    one, zero = (np.bincount(sets[arm & (weights > 0)], minlength=n) > 0 for arm in (treated, ~treated))
    return np.asarray((one & zero)[sets], dtype=np.bool_)


def stratum_bounds(opened: Opened, declared: DeclaredBounds) -> Finding:
    """Bounds on the difference in ratings among those whose relationship would last either way."""
    estimand = opened.estimand(declared.estimand)
    if not isinstance(estimand.intercurrent_events.patient_ended, PrincipalStratum):
        raise EstimationError(
            "estimation.strategy",
            f"{declared.estimand} does not ask about a principal stratum",
            fix="name an estimand whose patient_ended strategy is principal_stratum",
        )
    outcomes = opened.outcomes(estimand)
    sample = opened.sample(outcomes.excluded)
    answered = responses(opened, sample, outcomes)
    stayed = ~outcomes.ended[sample.kept]
    score = outcomes.score[sample.kept]
    each = sample.under_each(
        lambda code: always_stayer_bounds(
            score,
            stayed,
            sample.treated,
            clusters=code,
            rng=opened.rng("stratum_bounds"),
            weights=sample.weights,
            response_weights=answered.response_weights,
            monotone=None if declared.monotone == "none" else declared.monotone,
            score_range=opened.score_range,
            draws=declared.draws,
            level=opened.study.estimator.level,
        )
    )
    by, found = max(each[::-1], key=lambda one: one[1].interval_upper - one[1].interval_lower)
    kept = (found.kept_treated, found.kept_comparison)  # the bounds are means of these shares of the rated
    rated = counts_of(sample, stayed & ~np.isnan(score))
    counts = int(kept[0] * rated[0]), int(kept[1] * rated[1])
    return Finding(
        analysis="stratum_bounds",
        title=estimand.label,
        method=(
            "Bounds of Zhang and Rubin (with the direction of leaving assumed, Lee's) on the mean difference among "
            f"those who would stay either way, at day {opened.window.day}; interval of Imbens and Manski from "
            f"{found.draws} bootstrap samples of whole clusters."
        ),
        lines=tuple(_bounds_lines(found, counts, by)),
        notes=_bounds_notes(found, opened.study.words),
    )


def _bounds_lines(found: StratumBounds, counts: tuple[int, int], by: str) -> list[Line]:
    """The range and its interval; where both arms keep the same share the range is one number, and told as such."""
    interval = (found.interval_lower, found.interval_upper)
    told: tuple[tuple[str, float | None, tuple[float, float]], ...] = (
        ("range under these assumptions, sampling error left out", None, (found.lower, found.upper)),
        ("the same with sampling error", None, interval),
    )
    if found.upper - found.lower <= 1e-9 * max(abs(end) for end in interval):  # rounding
        told = (("difference among those who stay", found.lower, interval),)
    return [
        Line(
            label=label,
            scale="points",
            value=value,
            lower=low,
            upper=high,
            level=found.level,
            n_treated=counts[0],
            n_comparison=counts[1],
            df=found.df,
            clustered_by=by,
        )
        for label, value, (low, high) in told
    ]


def _bounds_notes(found: StratumBounds, words: Words) -> tuple[str, ...]:
    assumed = {
        "treated_leaves_more": f"It is assumed that the first choice never keeps {words.a_person} who would otherwise "
        "leave.",
        "comparison_leaves_more": f"It is assumed that the second choice never keeps {words.a_person} who would "
        "otherwise leave.",
        None: "Nothing is assumed of who leaves.",
    }[found.monotone]
    notes = [assumed]
    if found.excess > 0:
        notes.append("The arm said to lose more kept a few more, within what chance allows; equal shares are taken.")
    if found.vacuous:
        notes.append("So many leave that there may be nobody who would stay either way: the range says nothing.")
    return tuple(notes)
