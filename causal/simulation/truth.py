"""Potential outcomes of every candidate occasion, under a warning and without, on the same random draws.

A candidate occasion is an assessment of a person never warned before. The truth answers for full response and without
an administrative end: what would have been seen had every form been filled in and the record gone on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.simulation.course import Course
from causal.simulation.draws import DAY
from causal.simulation.items import item_mean
from causal.simulation.mechanisms import LEFT, LOST, STAYS
from causal.simulation.parameters import PERIODS, SimulationParameters
from causal.simulation.trajectories import Paths, advance

FOLLOW_UP_PERIODS: Final = 8
TARGET_DAY: Final = 90
HALF_WINDOW: Final = 21
ACTIONS: Final = ("warn_victim", "warn_police")
"""The actions whose effect the truth is about; what other actions do is not simulated."""
HALF_WINDOWS: Final = {30: 14, TARGET_DAY: HALF_WINDOW, 180: 30}
"""Days of the outcome, each with how far from it a rating may lie."""
FLOOR: Final = 1.0
"""Lowest item mean: the composite's value when the patient ended the relationship."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Candidate occasions: (k,) person index and period, and whether a warning followed."""

    persons: NDArray[np.int64]
    periods: NDArray[np.int64]
    treated: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueEffect:
    """Averages over n occasions of the difference between a warning and none, by one day.

    Attributes
    ----------
    termination_rd
        Risk difference of the patient ending the relationship by the day.
    composite_difference
        Item-mean points at the day, the scale's floor (1) when the patient ended the relationship.
    level_difference
        Item-mean points at the day had every relationship lasted under both arms (hypothetical strategy).
    latent_difference
        The same on the latent scale, before the questionnaire's floor and ceiling.
    stayer_difference
        Item-mean points among those who would not have ended the relationship by the day under either arm (principal
        stratum); None where there is nobody of that kind.
    stayer_share
        Their share.
    win_probability
        Chance that the composite of one occasion after a warning is above that of another, drawn independently, without
        one; ties count one half.
    n
        Occasions averaged over. Occasions without a composite (the relationship ended otherwise before any rating,
        necessarily in both arms) are left out of `composite_difference`, `stayer_difference` and `win_probability`.
    """

    termination_rd: float
    composite_difference: float
    level_difference: float
    latent_difference: float
    stayer_difference: float | None
    stayer_share: float
    win_probability: float
    n: int


def candidate_occasions(course: Course, factual: Paths, as_of_day: int) -> Candidates:
    """Assessments up to the administrative end, of people in care and not warned in an earlier period."""
    step = np.arange(factual.assessed.shape[1])
    warned_before = (factual.first_warning[:, None] >= 0) & (step > factual.first_warning[:, None])
    recorded = course.intake_day[:, None] + course.assessed_at // DAY <= as_of_day
    persons, periods = np.nonzero(factual.assessed & recorded & ~warned_before)
    return Candidates(persons=persons, periods=periods, treated=factual.warned[persons, periods])


def counterfactual(
    parameters: SimulationParameters,
    course: Course,
    candidates: Candidates,
    factual: Paths,
    *,
    arm: bool,
    lasting: bool = False,
) -> Paths:
    """Run the recursion again from each candidate's period, its warning decision forced to `arm`."""
    return advance(
        parameters,
        course,
        persons=candidates.persons,
        start=candidates.periods,
        steps=FOLLOW_UP_PERIODS,
        earlier=_scores_before(candidates, factual),
        before=factual.before[candidates.persons, candidates.periods],
        forced=np.full(len(candidates.persons), arm),
        lasting=lasting,
    )


def _scores_before(candidates: Candidates, factual: Paths) -> NDArray[np.float64]:
    """(k, 2) observed scores of the two periods before each candidate's, nan where there was none."""
    period = candidates.periods[:, None] - np.array([2, 1])
    cells = candidates.persons[:, None], np.maximum(period, 0)
    return np.where((period >= 0) & factual.answered[cells], item_mean(factual.items[cells]), np.nan)


def potential_outcomes(
    parameters: SimulationParameters, course: Course, factual: Paths, candidates: Candidates
) -> pd.DataFrame:
    """Give both outcomes of every candidate occasion, one row each.

    ``treated``
        bool, whether a warning was recorded. Then, for each arm a in 0, 1:
    ``terminated_a``
        bool, the patient ended the relationship (or was lost) within 90 days.
    ``score_a``
        item mean of the rating the outcome rule selects (nearest to day 90 within 21 days, by calendar days, ties to
        the earlier), else of the last rating after time zero; nan when terminated, or when there is none.
    ``composite_a``
        the floor when terminated, else the score. Missing only when the relationship ended in the period of the
        assessment otherwise than by the patient. That end is the same in both arms, so both are missing or neither.
    ``level_a``, ``latent_a``
        item mean, and latent alliance, at the rating nearest day 90 had the relationship lasted; never missing.

    The same of the other days d of `HALF_WINDOWS`, without ``score``, in ``terminated_dayd_a`` and so on.
    """
    days = _rating_days(course, candidates)
    columns: dict[str, NDArray[np.bool_] | NDArray[np.float64]] = {"treated": candidates.treated}
    arms = {
        arm: (
            counterfactual(parameters, course, candidates, factual, arm=arm),
            counterfactual(parameters, course, candidates, factual, arm=arm, lasting=True),
        )
        for arm in (False, True)
    }
    for day in sorted(HALF_WINDOWS, key=lambda day: day != TARGET_DAY):
        for arm, (natural, kept) in arms.items():
            terminated = patient_ended(course, candidates, natural, day)
            seen = _at_selected(item_mean(natural.items), select_rating(days, natural.present, day))
            score = np.where(terminated, np.nan, seen)
            nearest = select_rating(days, kept.present, day)
            found = {
                "terminated": terminated,
                "score": score,
                "composite": np.where(terminated, FLOOR, score),
                "level": _at_selected(item_mean(kept.items), nearest),
                "latent": _at_selected(kept.alliance, nearest),
            }
            if day != TARGET_DAY:
                del found["score"]
            columns |= {outcome_column(name, arm, day): values for name, values in found.items()}
    return pd.DataFrame(columns)


def outcome_column(name: str, arm: bool, day: int) -> str:
    """Name the column of one potential outcome.

    >>> outcome_column("level", True, 90), outcome_column("level", False, 30)
    ('level_1', 'level_day30_0')
    """
    return f"{name}_{arm:d}" if day == TARGET_DAY else f"{name}_day{day}_{arm:d}"


def patient_ended(course: Course, candidates: Candidates, paths: Paths, day: int = TARGET_DAY) -> NDArray[np.bool_]:
    """Whether the patient ended the relationship, or was lost, in (t0, t0 + `day` days]."""
    ended = paths.end != STAYS
    step = np.where(ended, paths.end_step, 0)
    time_zero = course.assessed_at[candidates.persons, candidates.periods]
    end = course.ending_at[candidates.persons, candidates.periods + step]
    return np.isin(paths.end, (LEFT, LOST)) & (end - time_zero <= day * DAY)


def select_rating(days: NDArray[np.int64], available: NDArray[np.bool_], day: int = TARGET_DAY) -> NDArray[np.int64]:
    """Column of the rating the outcome rule selects in each row; -1 where there is none.

    Nearest to the day within its window, ties to the earlier; without one, the last rating from after time zero to the
    end of the window.

    >>> days = np.array([[-5, 25, 60, 80, 100], [-5, 25, 60, 110, 140]])
    >>> select_rating(days, np.ones((2, 5), dtype=bool))
    array([3, 3])
    >>> select_rating(days[:1], days[:1] < 70), select_rating(days[:1], days[:1] < 0)
    (array([2]), array([-1]))
    """
    distance = np.abs(days - day)
    after = available & (days > 0) & (days <= day + HALF_WINDOWS[day])
    inside = after & (distance <= HALF_WINDOWS[day])
    nearest = np.where(inside, distance, np.iinfo(np.int64).max).argmin(axis=1)
    last = days.shape[1] - 1 - after[:, ::-1].argmax(axis=1)
    return np.where(inside.any(axis=1), nearest, np.where(after.any(axis=1), last, -1))


def true_effect(
    truth: pd.DataFrame, ta_ids: Iterable[str], weights: NDArray[np.float64] | None = None, *, day: int = TARGET_DAY
) -> TrueEffect:
    """Average the effect over the given occasions of a truth table, weighted where weights (one an occasion) are given.

    Raises
    ------
    KeyError
        An id that is no candidate occasion of this truth, or a day of which it says nothing.
    """
    chosen = truth.set_index("ta_id").loc[list(ta_ids)]
    share = np.ones(len(chosen)) if weights is None else weights

    def both(outcome: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        treated, untreated = (
            chosen[outcome_column(outcome, arm, day)].to_numpy(dtype=np.float64) for arm in (True, False)
        )
        return treated, untreated

    def difference(outcome: str) -> float:
        treated, untreated = both(outcome)
        known = ~np.isnan(treated - untreated)  # who dies under either choice has no outcome of this kind
        return float(np.average((treated - untreated)[known], weights=share[known]))

    ended_treated, ended_untreated = both("terminated")
    treated, untreated = both("composite")
    known = ~np.isnan(treated - untreated)
    stays = (ended_treated == 0) & (ended_untreated == 0)
    stayers = stays & known
    return TrueEffect(
        termination_rd=difference("terminated"),
        composite_difference=difference("composite"),
        level_difference=difference("level"),
        latent_difference=difference("latent"),
        stayer_difference=float(np.average((treated - untreated)[stayers], weights=share[stayers]))
        if share[stayers].sum() > 0
        else None,
        stayer_share=float(np.average(stays, weights=share)),
        win_probability=_win_probability(treated[known], untreated[known], share[known]),
        n=len(chosen),
    )


def _win_probability(
    treated: NDArray[np.float64], untreated: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """P(Y1 > Y0') + P(Y1 = Y0') / 2 for independent occasions drawn with the weights.

    >>> _win_probability(np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.ones(2))
    0.375
    """
    order = np.argsort(untreated, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    lower, upper = (below[np.searchsorted(untreated[order], treated, side=side)] for side in ("left", "right"))
    return float(np.average((lower + upper) / 2, weights=weights) / weights.sum())


def _rating_days(course: Course, candidates: Candidates) -> NDArray[np.int64]:
    """(k, steps) calendar days from the assessment to the rating of each following period of care."""
    steps = np.minimum(candidates.periods[:, None] + np.arange(FOLLOW_UP_PERIODS), PERIODS - 1)
    rating = course.rating_at[candidates.persons[:, None], steps] // DAY
    time_zero = course.assessed_at[candidates.persons, candidates.periods] // DAY
    days: NDArray[np.int64] = rating - time_zero[:, None]
    return days


def _at_selected(values: NDArray[np.float64], column: NDArray[np.int64]) -> NDArray[np.float64]:
    chosen = np.take_along_axis(values, np.maximum(column, 0)[:, None], axis=1)[:, 0]
    return np.where(column < 0, np.nan, chosen)
