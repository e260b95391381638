"""The recursion over 30-day periods: rating, assessment, warning, leaving.

Within a period the order is fixed: a rating (day 3-12), at most one assessment (day 13-27), its warning if there is one
(0.5-60 h later), and the end of the relationship if it ends (day 28-29). A warning that would come after the end does
not happen. A first warning lowers the alliance from the next rating on and raises the hazard of leaving from the next
period on; the period of the assessment is the same under both arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from causal.simulation.course import Course, expit
from causal.simulation.draws import DAY, WAI_ITEMS
from causal.simulation.items import Items, item_mean, wai_answers
from causal.simulation.parameters import PERIODS, SimulationParameters

STAYS, LEFT, LOST, COMPLETED, TRANSFERRED, DIED = range(6)
"""How a relationship ended; STAYS while it has not."""

NO_RATING: Final = 3.5
"""Taken for the latest rating when there was none within 90 days."""
INFORMED_BEFORE: Final = 0.40
"""Share of warnings of which the person was told beforehand."""
_LEAVING_PERIODS: Final = 6
_NOT_WARNED: Final = -1
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """What happened on each of r rows over s steps (step k is period ``start + k``).

    Attributes
    ----------
    present
        (r, s) in care at the rating day.
    alliance
        (r, s) latent alliance at the rating; nan once gone.
    items
        (r, s, 12) WAI-SR answers the person would give; 0 once gone.
    answered
        (r, s) whether the form was completed.
    assessed, warned
        (r, s) an assessment took place; a warning followed it.
    first_warning
        (r,) step of the first warning, -1 if none.
    end
        (r,) how the relationship ended within the steps (`STAYS` if it did not).
    end_step
        (r,) step in which it ended; s if it did not.
    """

    present: NDArray[np.bool_]
    alliance: NDArray[np.float64]
    items: Items
    answered: NDArray[np.bool_]
    assessed: NDArray[np.bool_]
    warned: NDArray[np.bool_]
    first_warning: NDArray[np.int64]
    end: NDArray[np.int8]
    end_step: NDArray[np.int64]

    def observed_scores(self) -> NDArray[np.float64]:
        """(r, s) item means of completed forms, nan elsewhere."""
        return np.where(self.answered, item_mean(self.items), np.nan)


def warning_effect(parameters: SimulationParameters, days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the alliance `days` after a first warning, before modification: piecewise linear.

    >>> warning_effect(SimulationParameters(), np.array([0.0, 60.0, 90.0, 270.0, 400.0])).round(3)
    array([-0.4  , -0.35 , -0.3  , -0.075,  0.   ])
    """
    if parameters.null:
        return np.zeros_like(days)
    at_30, at_90, at_180 = parameters.effect
    return np.interp(days, [0, 30, 90, 180, 360], [at_30, at_30, at_90, at_180, 0.0])


def advance(
    parameters: SimulationParameters,
    course: Course,
    *,
    persons: NDArray[np.int64],
    start: NDArray[np.int64],
    steps: int,
    earlier: NDArray[np.float64],
    forced: NDArray[np.bool_] | None = None,
    lasting: bool = False,
) -> Paths:
    """Run the recursion for rows of people never warned before `start`.

    Parameters
    ----------
    persons, start
        (r,) index into `course` and first period of each row; ``start + steps`` may not exceed the last period.
    steps
        How many periods.
    earlier
        (r, 2) observed scores two and one periods before `start`, nan where there was none.
    forced
        (r,) the warning decision at the first step; None lets the process decide. Later steps always decide themselves.
    lasting
        Nobody leaves: the course had the relationship lasted.
    """
    rows = len(persons)
    paths = _blank(rows, steps)
    present = np.ones(rows, dtype=bool)
    factor = np.zeros(rows)
    warned_at = np.zeros(rows, dtype=np.int64)
    scores = np.column_stack([earlier, np.full((rows, steps), np.nan)])
    for step in range(steps):
        row = np.flatnonzero(present)
        cell = persons[row] * PERIODS + start[row] + step
        alliance = _alliance(parameters, course, cell, paths.first_warning[row], warned_at[row], factor[row])
        answers = _answers(course, cell, alliance)
        answered = _at(course.draws.period.respond, cell) < response_probability(parameters, alliance)
        scores[row, step + 2] = np.where(answered, item_mean(answers), np.nan)
        assessed = _at(course.assessed, cell)
        decision = assessed & _decides(parameters, course, cell, scores[row, step : step + 3])
        if step == 0 and forced is not None:
            decision = assessed & forced[row]
        end = np.full(len(row), STAYS, dtype=np.int8)
        if not lasting:
            since = np.where(paths.first_warning[row] == _NOT_WARNED, 0, step - paths.first_warning[row])
            end = _ends(parameters, course, cell, alliance, since)
        warned = decision & ((end == STAYS) | (_at(course.warning_at, cell) < _at(course.ending_at, cell)))

        paths.present[row, step] = True
        paths.alliance[row, step] = alliance
        paths.items[row, step] = answers
        paths.answered[row, step] = answered
        paths.assessed[row, step] = assessed
        paths.warned[row, step] = warned
        first = warned & (paths.first_warning[row] == _NOT_WARNED)
        paths.first_warning[row[first]] = step
        warned_at[row[first]] = _at(course.warning_at, cell[first])
        factor[row[first]] = _modification(parameters, course, cell[first])
        gone = end != STAYS
        paths.end[row[gone]] = end[gone]
        paths.end_step[row[gone]] = step
        present[row[gone]] = False
    return paths


def response_probability(parameters: SimulationParameters, alliance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that a form is completed, given the current latent alliance."""
    rate = parameters.response_rate
    if rate in (0.0, 1.0):
        return np.full(len(alliance), rate)
    return expit(np.log(rate / (1 - rate)) - parameters.mnar * (alliance - 3.5))


def _blank(rows: int, steps: int) -> Paths:
    shape = (rows, steps)
    return Paths(
        present=np.zeros(shape, dtype=bool),
        alliance=np.full(shape, np.nan),
        items=np.zeros((*shape, WAI_ITEMS), dtype=np.int8),
        answered=np.zeros(shape, dtype=bool),
        assessed=np.zeros(shape, dtype=bool),
        warned=np.zeros(shape, dtype=bool),
        first_warning=np.full(rows, _NOT_WARNED),
        end=np.zeros(rows, dtype=np.int8),
        end_step=np.full(rows, steps),
    )


def _at(values: NDArray[_Scalar], cell: NDArray[np.int64]) -> NDArray[_Scalar]:
    """Values of a (n, P) array at flat positions."""
    return values.reshape(-1)[cell]


def _alliance(
    parameters: SimulationParameters,
    course: Course,
    cell: NDArray[np.int64],
    first_warning: NDArray[np.int64],
    warned_at: NDArray[np.int64],
    factor: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Latent alliance at the rating, with what is left of a first warning's effect."""
    alliance = _at(course.untreated, cell)
    warned = np.flatnonzero(first_warning != _NOT_WARNED)
    days = (_at(course.rating_at, cell[warned]) - warned_at[warned]) / DAY
    alliance[warned] += factor[warned] * warning_effect(parameters, days)
    return alliance


def _answers(course: Course, cell: NDArray[np.int64], alliance: NDArray[np.float64]) -> Items:
    draws = course.draws
    return wai_answers(
        alliance,
        draws.person.bond_task[cell // PERIODS],
        draws.period.bond_task.reshape(-1, 2)[cell],
        draws.period.wai.reshape(-1, WAI_ITEMS)[cell],
    )


def _decides(
    parameters: SimulationParameters, course: Course, cell: NDArray[np.int64], scores: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a warning follows an assessment, given (rows, 3) observed scores of the last three periods.

    Three periods are the 90 days: a rating of the period before them lies at least 91 days back.
    """
    recent = np.where(np.isnan(scores[:, 1]), scores[:, 0], scores[:, 1])
    recent = np.where(np.isnan(scores[:, 2]), recent, scores[:, 2])
    observed = np.where(np.isnan(recent), NO_RATING, recent)
    judged = (1 - parameters.meas_error) * observed + parameters.meas_error * _at(course.stable, cell)
    logit = _at(course.warning, cell) + parameters.alliance_on_warning * (judged - 3.5)
    return _at(course.draws.period.warn, cell) < expit(logit)


def _ends(
    parameters: SimulationParameters,
    course: Course,
    cell: NDArray[np.int64],
    alliance: NDArray[np.float64],
    since: NDArray[np.int64],
) -> NDArray[np.int8]:
    """How the relationship ends in this period; `since` is periods since the first warning, 0 if none."""
    affected = (since >= 1) & (since <= _LEAVING_PERIODS) & (not parameters.null)
    logit = _at(course.leaving, cell) + parameters.alliance_on_leaving * (alliance - 3.5)
    logit += parameters.warning_on_leaving * affected
    leaves = _at(course.draws.period.leave, cell) < expit(logit)
    lost = _at(course.draws.period.lost, cell) < parameters.lost_share
    other = _at(course.draws.period.other_end, cell)
    completed = parameters.completed_rate
    transferred = completed + parameters.transfer_rate
    last = cell % PERIODS == PERIODS - 1
    return np.select(
        [leaves & lost, leaves, last | (other < completed), other < transferred, other < transferred + parameters.death_rate],
        [LOST, LEFT, COMPLETED, TRANSFERRED, DIED],
        STAYS,
    ).astype(np.int8)


def _modification(
    parameters: SimulationParameters, course: Course, cell: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What multiplies a first warning's effect: alliance before it, and whether the person was told beforehand."""
    told_before = _at(course.draws.period.informed, cell) < INFORMED_BEFORE
    modified = 1 + parameters.kappa * (_at(course.stable, cell) - 3.5)
    return modified * np.where(told_before, parameters.informed_before_factor, 1.0)

