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
from causal.simulation.parameters import SimulationParameters
from causal.simulation.trajectories import Paths, advance

FOLLOW_UP_PERIODS: Final = 7
TARGET_DAY: Final = 90
HALF_WINDOW: Final = 21
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
    """Averages over n occasions of the difference between a warning and none.

    Attributes
    ----------
    termination_rd
        Risk difference of the patient ending the relationship within 90 days.
    composite_difference
        Item-mean points at 90 days, the scale's floor (1) when the patient ended the relationship.
    level_difference
        Item-mean points at 90 days had every relationship lasted under both arms (hypothetical strategy).
    latent_difference
        The same on the latent scale, before the questionnaire's floor and ceiling.
    n
        Occasions averaged over. Occasions without a composite (the relationship ended otherwise before any rating,
        necessarily in both arms) are left out of `composite_difference` only.
    """

    termination_rd: float
    composite_difference: float
    level_difference: float
    latent_difference: float
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
    scores = factual.observed_scores()
    padded = np.column_stack([np.full((len(scores), 2), np.nan), scores])
    earlier = padded[candidates.persons[:, None], candidates.periods[:, None] + np.arange(2)]
    return advance(
        parameters,
        course,
        persons=candidates.persons,
        start=candidates.periods,
        steps=FOLLOW_UP_PERIODS,
        earlier=earlier,
        forced=np.full(len(candidates.persons), arm),
        lasting=lasting,
    )


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
    """
    days = _rating_days(course, candidates)
    columns: dict[str, NDArray[np.bool_] | NDArray[np.float64]] = {"treated": candidates.treated}
    for arm in (False, True):
        natural = counterfactual(parameters, course, candidates, factual, arm=arm)
        kept = counterfactual(parameters, course, candidates, factual, arm=arm, lasting=True)
        terminated = patient_ended(course, candidates, natural)
        score = np.where(
            terminated, np.nan, _at_selected(item_mean(natural.items), select_rating(days, natural.present))
        )
        nearest = select_rating(days, kept.present)
        columns |= {
            f"terminated_{arm:d}": terminated,
            f"score_{arm:d}": score,
            f"composite_{arm:d}": np.where(terminated, FLOOR, score),
            f"level_{arm:d}": _at_selected(item_mean(kept.items), nearest),
            f"latent_{arm:d}": _at_selected(kept.alliance, nearest),
        }
    return pd.DataFrame(columns)


def patient_ended(course: Course, candidates: Candidates, paths: Paths) -> NDArray[np.bool_]:
    """Whether the patient ended the relationship, or was lost, in (t0, t0 + 90 days]."""
    ended = paths.end != STAYS
    step = np.where(ended, paths.end_step, 0)
    time_zero = course.assessed_at[candidates.persons, candidates.periods]
    end = course.ending_at[candidates.persons, candidates.periods + step]
    return np.isin(paths.end, (LEFT, LOST)) & (end - time_zero <= TARGET_DAY * DAY)


def select_rating(days: NDArray[np.int64], available: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Column of the rating the outcome rule selects in each row; -1 where there is none.

    Nearest to day 90 within the window, ties to the earlier; without one, the last rating after time zero.

    >>> days = np.array([[-5, 25, 60, 80, 100], [-5, 25, 60, 110, 140]])
    >>> select_rating(days, np.ones((2, 5), dtype=bool))
    array([3, 3])
    >>> select_rating(days[:1], days[:1] < 70), select_rating(days[:1], days[:1] < 0)
    (array([2]), array([-1]))
    """
    after = available & (days > 0)
    distance = np.abs(days - TARGET_DAY)
    inside = after & (distance <= HALF_WINDOW)
    nearest = np.where(inside, distance, np.iinfo(np.int64).max).argmin(axis=1)
    last = days.shape[1] - 1 - after[:, ::-1].argmax(axis=1)
    return np.where(inside.any(axis=1), nearest, np.where(after.any(axis=1), last, -1))


def true_effect(truth: pd.DataFrame, ta_ids: Iterable[str], weights: NDArray[np.float64] | None = None) -> TrueEffect:
    """Average the effect over the given occasions of a truth table, weighted where weights (one an occasion) are given.

    Raises
    ------
    KeyError
        An id that is no candidate occasion of this truth.
    """
    chosen = truth.set_index("ta_id").loc[list(ta_ids)]
    share = np.ones(len(chosen)) if weights is None else weights

    def difference(outcome: str) -> float:
        each = (chosen[f"{outcome}_1"].astype(float) - chosen[f"{outcome}_0"].astype(float)).to_numpy()
        known = ~np.isnan(each)  # who dies under either choice has no outcome of this kind
        return float(np.average(each[known], weights=share[known]))

    return TrueEffect(
        termination_rd=difference("terminated"),
        composite_difference=difference("composite"),
        level_difference=difference("level"),
        latent_difference=difference("latent"),
        n=len(chosen),
    )


def _rating_days(course: Course, candidates: Candidates) -> NDArray[np.int64]:
    """(k, steps) calendar days from the assessment to the rating of each following period."""
    steps = candidates.periods[:, None] + np.arange(FOLLOW_UP_PERIODS)
    rating = course.rating_at[candidates.persons[:, None], steps] // DAY
    time_zero = course.assessed_at[candidates.persons, candidates.periods] // DAY
    days: NDArray[np.int64] = rating - time_zero[:, None]
    return days


def _at_selected(values: NDArray[np.float64], column: NDArray[np.int64]) -> NDArray[np.float64]:
    chosen = np.take_along_axis(values, np.maximum(column, 0)[:, None], axis=1)[:, 0]
    return np.where(column < 0, np.nan, chosen)
