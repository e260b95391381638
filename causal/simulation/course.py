"""What is settled about people before any warning: traits, latent courses, assessments, and fixed parts of the logits.

Nothing here depends on what the recursion of `trajectories` will decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.simulation.draws import DAY, HOUR, Draws, Seconds
from causal.simulation.items import Items, phq9_answers
from causal.simulation.latent import (
    MEAN_PHQ9,
    MEAN_SEVERITY,
    SD_PHQ9,
    SD_SEVERITY,
    curve,
    depression_course,
    expit,
    severity_scores,
    stable_alliance,
    sud_recorded_day,
    whole,
)
from causal.simulation.parameters import (
    ASSESSED_PERIODS,
    FIRST_INTAKE,
    LAST_INTAKE,
    PERIOD_DAYS,
    PERIODS,
    SimulationParameters,
)
from causal.simulation.world import World, regime_in_force

PERIOD_SECONDS = PERIOD_DAYS * DAY
_FIRST_INTAKE_DAY = (FIRST_INTAKE - type(FIRST_INTAKE)(1970, 1, 1)).days
_INTAKE_DAYS = (LAST_INTAKE - FIRST_INTAKE).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One chunk of n people over P periods, before any decision. Times are seconds since the midnight before intake.

    Attributes
    ----------
    intake_day
        (n,) days since 1970-01-01.
    intake_second
        (n,) seconds after that midnight.
    sex
        (n,) codes into F, M, X, U.
    clinician
        (n,) index into the world.
    sud_day
        (n,) days from intake on which a substance use disorder was recorded; 10**6 if never.
    violence
        (n,) whether a history of violence is known.
    stable
        (n, P) latent alliance without the occasion's own deviation, the dip, or a warning.
    untreated
        (n, P) latent alliance at the rating without a warning.
    leaving
        (n, P) logit of leaving, apart from alliance and warning.
    warning
        (n, P) logit of a warning, apart from alliance; 0 where there is no assessment.
    assessed
        (n, P) whether an assessment happens, if still in care.
    severity, target, means, hold
        (n, P) content of that assessment, and whether a same-day hold follows it.
    phq9_answered
        (n, P) whether a PHQ-9 is completed with the rating, if still in care.
    phq9_items
        (n, P, 9) its answers, 0 where not answered.
    rating_at, assessed_at, warning_at, ending_at
        (n, P) when each would happen.
    """

    intake_day: NDArray[np.int64]
    intake_second: NDArray[np.int64]
    sex: NDArray[np.int64]
    clinician: NDArray[np.int64]
    sud_day: NDArray[np.int64]
    violence: NDArray[np.bool_]
    stable: NDArray[np.float64]
    untreated: NDArray[np.float64]
    leaving: NDArray[np.float64]
    warning: NDArray[np.float64]
    assessed: NDArray[np.bool_]
    severity: NDArray[np.float64]
    target: NDArray[np.bool_]
    means: NDArray[np.bool_]
    hold: NDArray[np.bool_]
    phq9_answered: NDArray[np.bool_]
    phq9_items: Items
    rating_at: Seconds
    assessed_at: Seconds
    warning_at: Seconds
    ending_at: Seconds
    draws: Draws


def plan_course(parameters: SimulationParameters, world: World, patients: NDArray[np.int64], draws: Draws) -> Course:
    """Settle everything about the people with running numbers `patients` (n,) that no warning can change."""
    person, period = draws.person, draws.period
    clinician = world.clinician_of(patients)
    intake_day = _FIRST_INTAKE_DAY + whole(person.intake, _INTAKE_DAYS)
    sex = np.searchsorted([0.50, 0.96, 0.985], person.sex, side="right")
    sud_day = sud_recorded_day(person.substance, person.substance_recorded)
    violence = person.violence < expit(-1.0 + 0.5 * person.threat.astype(float))
    depression = depression_course(draws)
    severity = severity_scores(draws)
    assessed = _assessed(parameters, draws)
    target = period.target < expit(-0.4 + 0.5 * (severity - MEAN_SEVERITY))
    means = period.means < expit(-0.6 + 0.25 * (severity - MEAN_SEVERITY))
    hold = period.hold < expit(-3.0 + 0.8 * (severity - MEAN_SEVERITY))
    phq9_answered = period.respond_phq9 < parameters.phq9_response_rate
    phq9_items = _phq9_items(depression, phq9_answered, draws)
    latest_phq9 = _latest_phq9(phq9_answered, phq9_items)
    starts = np.arange(PERIODS) * PERIOD_SECONDS
    assessed_at = starts + period.assessment
    stable = stable_alliance(
        parameters,
        world,
        clinician=clinician,
        sud_day=sud_day,
        depression=depression,
        assessed=assessed,
        severity=severity,
        latest_phq9=latest_phq9,
        draws=draws,
    )
    rows, columns = np.nonzero(assessed)
    warning = np.zeros(assessed.shape)
    warning[rows, columns] = (
        parameters.warning_intercept
        + parameters.positivity * (severity[rows, columns] - MEAN_SEVERITY)
        + parameters.phq9_on_warning * (latest_phq9[rows, columns] - MEAN_PHQ9)
        + parameters.curved_severity[0] * curve(severity[rows, columns], MEAN_SEVERITY, SD_SEVERITY)
        + parameters.curved_phq9[0] * curve(latest_phq9[rows, columns], MEAN_PHQ9, SD_PHQ9)
        + parameters.sud_on_warning * (sud_day[rows] < assessed_at[rows, columns] // DAY)
        + parameters.target_on_warning * target[rows, columns]
        + parameters.means_on_warning * means[rows, columns]
        + parameters.history_on_warning * violence[rows]
        + parameters.male_on_warning * (sex[rows] == 1)
        + parameters.hold_on_warning * hold[rows, columns]
        + parameters.hidden_u[0] * person.hidden[rows]
        + world.clinician_practice[clinician[rows]]
        + _regime_logit(parameters, world, clinician[rows], intake_day[rows] + assessed_at[rows, columns] // DAY)
    )
    return Course(
        intake_day=intake_day,
        intake_second=8 * HOUR + whole(person.intake_hour, 10 * HOUR),
        sex=sex,
        clinician=clinician,
        sud_day=sud_day,
        violence=violence,
        stable=stable,
        untreated=stable + parameters.occasion_sd * period.alliance + parameters.dip * assessed,
        leaving=parameters.leaving_intercept + parameters.phq9_on_leaving * (depression - MEAN_PHQ9),
        warning=warning,
        assessed=assessed,
        severity=severity,
        target=target,
        means=means,
        hold=hold,
        phq9_answered=phq9_answered,
        phq9_items=phq9_items,
        rating_at=starts + period.rating,
        assessed_at=assessed_at,
        warning_at=assessed_at + period.delay,
        ending_at=starts + period.ending,
        draws=draws,
    )


def _assessed(parameters: SimulationParameters, draws: Draws) -> NDArray[np.bool_]:
    """At most one assessment a period: a Poisson count's chance of not being zero."""
    month = np.arange(PERIODS)
    rate = parameters.assessment_rate * np.exp(
        0.3 * draws.person.threat.astype(float)[:, None] + parameters.immortal * (month - 6) / 12
    )
    return (draws.period.assess < 1 - np.exp(-rate)) & (month < ASSESSED_PERIODS)


def _phq9_items(depression: NDArray[np.float64], answered: NDArray[np.bool_], draws: Draws) -> Items:
    items = np.zeros(draws.period.phq9.shape, dtype=np.int8)
    items[answered] = phq9_answers(depression[answered], draws.period.phq9[answered])
    return items


def _latest_phq9(answered: NDArray[np.bool_], items: Items) -> NDArray[np.float64]:
    """Latest total within 180 days before an assessment, which by the calendar of a period is the last six; else 13."""
    totals = np.where(answered, items.sum(axis=-1), np.nan)
    latest = totals.copy()
    for back in range(1, 6):
        earlier = totals[:, :-back]
        latest[:, back:] = np.where(np.isnan(latest[:, back:]), earlier, latest[:, back:])
    return np.where(np.isnan(latest), MEAN_PHQ9, latest)


def _regime_logit(
    parameters: SimulationParameters, world: World, clinicians: NDArray[np.int64], days: NDArray[np.int64]
) -> NDArray[np.float64]:
    regime = regime_in_force(world, world.clinician_clinic[clinicians], days)
    return np.select(
        [regime == "mandatory", regime == "permissive"],
        [parameters.mandatory_on_warning, parameters.permissive_on_warning],
        parameters.no_duty_on_warning,
    )
