"""What happens within one period: the warning's effect, answering, warning, leaving.

Functions take flat positions (`cell`) into the (n, P) arrays of a `Course` and return one value per position.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from causal.simulation.course import Course
from causal.simulation.draws import DAY, WAI_ITEMS
from causal.simulation.items import Items, wai_answers
from causal.simulation.latent import MEAN_ALLIANCE, SD_ALLIANCE, curve, expit
from causal.simulation.parameters import PERIODS, SimulationParameters

STAYS, LEFT, LOST, COMPLETED, TRANSFERRED, DIED = range(6)
"""How a relationship ended; STAYS while it has not."""
NOT_WARNED: Final = -1
"""First warning of someone never warned."""
NO_RATING: Final = 3.5
"""Taken for the latest rating when there was none within 90 days."""
INFORMED_BEFORE: Final = 0.40
"""Share of warnings of which the person was told beforehand."""
_LEAVING_PERIODS: Final = 6
_Scalar = TypeVar("_Scalar", bound=np.generic)


def warning_effect(parameters: SimulationParameters, days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the alliance `days` after a first warning, before modification: piecewise linear.

    >>> warning_effect(SimulationParameters(), np.array([0.0, 60.0, 90.0, 270.0, 400.0])).round(3)
    array([-0.4  , -0.35 , -0.3  , -0.075,  0.   ])
    """
    if parameters.null:
        return np.zeros_like(days)
    at_30, at_90, at_180 = parameters.effect
    return np.interp(days, [0, 30, 90, 180, 360], [at_30, at_30, at_90, at_180, 0.0])


def response_probability(
    parameters: SimulationParameters,
    alliance: NDArray[np.float64],
    before: NDArray[np.float64],
    warned: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Probability that a form is completed, given the current latent alliance and the rating before an assessment.

    `before` is the latest rating before the last assessment so far, `NO_RATING` where there was none; `warned` tells
    whether a warning has been given by then, None for nobody.
    """
    rate = parameters.response_rate
    if rate in (0.0, 1.0):
        return np.full(len(alliance), rate)
    silence = parameters.mnar * (alliance - 3.5) + parameters.mar * (before - NO_RATING)
    if warned is not None:
        silence = silence - parameters.warning_on_answering * warned
    return expit(np.log(rate / (1 - rate)) - silence)


def at(values: NDArray[_Scalar], cell: NDArray[np.int64]) -> NDArray[_Scalar]:
    """Values of a (n, P) array at flat positions."""
    return values.reshape(-1)[cell]


def current_alliance(
    parameters: SimulationParameters,
    course: Course,
    cell: NDArray[np.int64],
    *,
    first_warning: NDArray[np.int64],
    warned_at: NDArray[np.int64],
    factor: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Latent alliance at the rating, with what is left of a first warning's effect."""
    alliance = at(course.untreated, cell)
    warned = np.flatnonzero(first_warning != NOT_WARNED)
    days = (at(course.rating_at, cell[warned]) - warned_at[warned]) / DAY
    alliance[warned] += factor[warned] * warning_effect(parameters, days)
    return alliance


def wai_form(course: Course, cell: NDArray[np.int64], alliance: NDArray[np.float64]) -> Items:
    """Give the 12 answers (rows, 12) each person would give to the form at that rating."""
    draws = course.draws
    return wai_answers(
        alliance,
        draws.person.bond_task[cell // PERIODS],
        draws.period.bond_task.reshape(-1, 2)[cell],
        draws.period.wai.reshape(-1, WAI_ITEMS)[cell],
    )


def latest_rating(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Latest of (rows, 3) observed scores of three periods; `NO_RATING` where there is none.

    Three periods are the 90 days: a rating of the period before them lies at least 91 days back.
    """
    recent = np.where(np.isnan(scores[:, 1]), scores[:, 0], scores[:, 1])
    recent = np.where(np.isnan(scores[:, 2]), recent, scores[:, 2])
    return np.where(np.isnan(recent), NO_RATING, recent)


def warning_probability(
    parameters: SimulationParameters, course: Course, cell: NDArray[np.int64], observed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability of a warning after an assessment, given the latest rating observed by then (rows,)."""
    judged = (1 - parameters.meas_error) * observed + parameters.meas_error * at(course.stable, cell)
    logit = at(course.warning, cell) + parameters.alliance_on_warning * (judged - MEAN_ALLIANCE)
    if parameters.curved_alliance[0]:
        logit += parameters.curved_alliance[0] * curve(judged, MEAN_ALLIANCE, SD_ALLIANCE)
    return expit(logit)


def endings(
    parameters: SimulationParameters,
    course: Course,
    cell: NDArray[np.int64],
    alliance: NDArray[np.float64],
    since: NDArray[np.int64],
) -> NDArray[np.int8]:
    """How the relationship ends in this period; `since` is periods since the first warning, 0 if none."""
    affected = (since >= 1) & (since <= _LEAVING_PERIODS) & (not parameters.null)
    logit = at(course.leaving, cell) + parameters.alliance_on_leaving * (alliance - 3.5)
    logit += parameters.warning_on_leaving * affected
    leaves = at(course.draws.period.leave, cell) < expit(logit)
    lost = at(course.draws.period.lost, cell) < parameters.lost_share
    other = at(course.draws.period.other_end, cell)
    completed = parameters.completed_rate
    transferred = completed + parameters.transfer_rate
    last = cell % PERIODS == PERIODS - 1
    return np.select(
        [
            leaves & lost,
            leaves,
            last | (other < completed),
            other < transferred,
            other < transferred + parameters.death_rate,
        ],
        [LOST, LEFT, COMPLETED, TRANSFERRED, DIED],
        STAYS,
    ).astype(np.int8)


def modification(parameters: SimulationParameters, course: Course, cell: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give what multiplies a first warning's effect: alliance before it, and whether the person was told beforehand."""
    told_before = at(course.draws.period.informed, cell) < INFORMED_BEFORE
    modified = 1 + parameters.kappa * (at(course.stable, cell) - 3.5)
    return modified * np.where(told_before, parameters.informed_before_factor, 1.0)
