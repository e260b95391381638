"""The recursion over 30-day periods: rating, assessment, warning, leaving.

Within a period the order is fixed: a rating (day 3-12), at most one assessment (day 13-27), its warning if there is one
(0.5-60 h later), and the end of the relationship if it ends (day 28-29). A warning that would come after the end does
not happen. A first warning lowers the alliance from the next rating on and raises the hazard of leaving from the next
period on; the period of the assessment is the same under both arms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.simulation.course import Course
from causal.simulation.draws import WAI_ITEMS
from causal.simulation.items import Items, item_mean
from causal.simulation.mechanisms import (
    NO_RATING,
    NOT_WARNED,
    STAYS,
    at,
    current_alliance,
    endings,
    latest_rating,
    modification,
    response_probability,
    wai_form,
    warning_probability,
)
from causal.simulation.parameters import PERIODS, SimulationParameters


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
    before
        (r, s) latest rating before the last assessment of an earlier step, `NO_RATING` where there was none.
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
    before: NDArray[np.float64]
    assessed: NDArray[np.bool_]
    warned: NDArray[np.bool_]
    first_warning: NDArray[np.int64]
    end: NDArray[np.int8]
    end_step: NDArray[np.int64]

    def observed_scores(self) -> NDArray[np.float64]:
        """(r, s) item means of completed forms, nan elsewhere."""
        return np.where(self.answered, item_mean(self.items), np.nan)


def advance(
    parameters: SimulationParameters,
    course: Course,
    *,
    persons: NDArray[np.int64],
    start: NDArray[np.int64],
    steps: int,
    earlier: NDArray[np.float64],
    before: NDArray[np.float64],
    forced: NDArray[np.bool_] | None = None,
    lasting: bool = False,
) -> Paths:
    """Run the recursion for rows of people never warned before `start`.

    Parameters
    ----------
    persons, start
        (r,) index into `course` and first period of each row.
    steps
        How many periods; those after the last period of care are empty.
    earlier
        (r, 2) observed scores two and one periods before `start`, nan where there was none.
    before
        (r,) what `Paths.before` says at `start`.
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
    before = before.copy()
    for step in range(steps):
        row = np.flatnonzero(present & (start + step < PERIODS))
        cell = persons[row] * PERIODS + start[row] + step
        alliance = current_alliance(
            parameters,
            course,
            cell,
            first_warning=paths.first_warning[row],
            warned_at=warned_at[row],
            factor=factor[row],
        )
        answers = wai_form(course, cell, alliance)
        warned = paths.first_warning[row] != NOT_WARNED
        answered = at(course.draws.period.respond, cell) < response_probability(
            parameters, alliance, before[row], warned
        )
        scores[row, step + 2] = np.where(answered, item_mean(answers), np.nan)
        observed = latest_rating(scores[row, step : step + 3])
        assessed = at(course.assessed, cell)
        decision = assessed & (
            at(course.draws.period.warn, cell) < warning_probability(parameters, course, cell, observed)
        )
        if step == 0 and forced is not None:
            decision = assessed & forced[row]
        end = np.full(len(row), STAYS, dtype=np.int8)
        if not lasting:
            since = np.where(paths.first_warning[row] == NOT_WARNED, 0, step - paths.first_warning[row])
            end = endings(parameters, course, cell, alliance, since)
        warned = decision & ((end == STAYS) | (at(course.warning_at, cell) < at(course.ending_at, cell)))

        paths.present[row, step] = True
        paths.alliance[row, step] = alliance
        paths.items[row, step] = answers
        paths.answered[row, step] = answered
        paths.before[row, step] = before[row]
        before[row[assessed]] = observed[assessed]
        paths.assessed[row, step] = assessed
        paths.warned[row, step] = warned
        first = warned & (paths.first_warning[row] == NOT_WARNED)
        paths.first_warning[row[first]] = step
        warned_at[row[first]] = at(course.warning_at, cell[first])
        factor[row[first]] = modification(parameters, course, cell[first])
        gone = end != STAYS
        paths.end[row[gone]] = end[gone]
        paths.end_step[row[gone]] = step
        present[row[gone]] = False
    return paths


def _blank(rows: int, steps: int) -> Paths:
    shape = (rows, steps)
    return Paths(
        present=np.zeros(shape, dtype=bool),
        alliance=np.full(shape, np.nan),
        items=np.zeros((*shape, WAI_ITEMS), dtype=np.int8),
        answered=np.zeros(shape, dtype=bool),
        before=np.full(shape, NO_RATING),
        assessed=np.zeros(shape, dtype=bool),
        warned=np.zeros(shape, dtype=bool),
        first_warning=np.full(rows, NOT_WARNED),
        end=np.zeros(rows, dtype=np.int8),
        end_step=np.full(rows, steps),
    )
