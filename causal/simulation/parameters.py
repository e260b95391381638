"""Every number of the data-generating process, with the switches that make it harder.

With the defaults the latent alliance has an SD of about .70 on the 1-5 scale, about one assessment in twenty is
followed by a third-party warning, and about one relationship in four is ended by the patient within 90 days of an
assessment. They are assumptions chosen to be plausible, not norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import date

from causal.errors import StudyFileError

AS_OF = date(2023, 12, 31)
"""Administrative end: nothing later is recorded."""
FIRST_INTAKE = date(2018, 1, 1)
LAST_INTAKE = date(2022, 12, 31)

PERIOD_DAYS = 30
PERIODS = 24
"""Care lasts at most this many 30-day periods; whoever is left then has completed it."""
ASSESSED_PERIODS = 18
"""Assessments happen in the first of them, so that each has its follow-up inside the process."""

CHUNK_PATIENTS = 20_000
"""Patients per independent random stream. Part of the process: changing it changes every simulated value."""

_PROBABILITIES = (
    "response_rate",
    "phq9_response_rate",
    "lost_share",
    "completed_rate",
    "transfer_rate",
    "death_rate",
    "informed_before_factor",
    "meas_error",
    "unlinked_share",
    "second_provider_share",
)
_COUNTS = {"clinicians_per_clinic": (1, 100), "caseload": (1, 10_000), "warning_clinicians": (0, 10_000)}
_STANDARD_DEVIATIONS = ("clinic_sd", "clinician_sd", "clinician_drift", "patient_sd", "occasion_sd", "practice_sd")
_PAIRS = ("hidden_u", "curved_severity", "curved_phq9", "curved_alliance")
_SWITCHES = {
    "immortal": (0.0, 3.0),
    "mnar": (-5.0, 5.0),
    "mar": (-5.0, 5.0),
    "leaving_intercept": (-100.0, 10.0),
    "positivity": (-5.0, 5.0),
    "clinician_confounding": (-1.0, 1.0),
    "dip": (-2.0, 2.0),
    "assessment_rate": (0.0, 1.0),
    "dirt": (0.0, 0.2),
    "code_spelling": (0.0, 1.0),
    "impossible_dates": (0.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationParameters:
    """The process in numbers; alliance terms are points of the 1-5 scale, "logit" terms are log-odds.

    Raises
    ------
    StudyFileError
        A value of the wrong type, not finite, or outside its range (``"simulation.dose"``).

    >>> SimulationParameters(null=True).null
    True
    >>> SimulationParameters(dirt=0.9)
    Traceback (most recent call last):
    causal.errors.StudyFileError: [simulation.dose] 'dirt' is 0.9, expected a number from 0.0 to 0.2. Fix: mend the dose
    """

    # Latent alliance
    alliance_mean: float = 3.55
    clinic_sd: float = 0.12
    clinician_sd: float = 0.20
    """Clustering: SD of clinicians' own alliance level v_j (doses 0, .20, .35)."""
    clinicians_per_clinic: int = 10
    caseload: int = 33
    """Mean number of patients of a clinician (six to eight parts in seven); a large one makes clinicians few."""
    patient_sd: float = 0.50
    occasion_sd: float = 0.38
    growth: float = 0.03
    """Points per month in the first six months of care."""
    tenure: float = 0.015
    """Points per month in the first 24 months of care."""
    severity_on_alliance: float = -0.06
    phq9_on_alliance: float = -0.02
    sud_on_alliance: float = -0.12
    dip: float = -0.25
    """Shift of the latent alliance at a rating within 30 days before an assessment (doses 0, -.25, -.5)."""

    # Assessments and warnings
    assessment_rate: float = 0.04
    """Per 30 days in care, times exp(.3 threat trait); at most one per period."""
    warning_intercept: float = -5.82
    positivity: float = 0.85
    """Logit per point of severity (doses .85, 2, 4: in the end severity all but decides, and overlap is gone)."""
    phq9_on_warning: float = 0.05
    sud_on_warning: float = 0.35
    alliance_on_warning: float = -0.45
    """On the latest observed rating within 90 days (3.5 if none)."""
    target_on_warning: float = 0.8
    means_on_warning: float = 0.3
    history_on_warning: float = 0.2
    male_on_warning: float = 0.25
    hold_on_warning: float = 0.3
    mandatory_on_warning: float = 1.1
    permissive_on_warning: float = 0.2
    no_duty_on_warning: float = -0.6
    practice_sd: float = 0.5
    """SD of clinicians' own readiness to warn r_j (logit)."""

    # Effects
    effect: tuple[float, float, float] = (-0.40, -0.30, -0.15)
    """On the alliance 30, 90 and 180 days after a first warning: flat before 30, straight between, 0 from 360 on."""
    kappa: float = 0.0
    """Effect modification: times 1 + kappa (alliance before - 3.5). 0, so that the truth can be checked by hand."""
    informed_before_factor: float = 0.5
    """Times this when the person was told beforehand."""
    warning_on_leaving: float = 0.55
    """Logit, in the six periods after the period of the warning."""
    null: bool = False
    """All effects of a warning are exactly zero."""

    # Leaving, per 30 days
    leaving_intercept: float = -2.4
    """Logit (dose -100: nobody ever leaves)."""
    alliance_on_leaving: float = -0.45
    phq9_on_leaving: float = 0.05
    lost_share: float = 0.15
    """Of those who leave, how many are coded lost rather than patient-initiated."""
    completed_rate: float = 0.005
    transfer_rate: float = 0.004
    death_rate: float = 0.0002

    # What is recorded
    response_rate: float = 0.88
    warning_on_answering: float = 0.0
    """Logit of a form after a first warning (-3.58 at a response rate of .8: one in ten of the warned answer)."""
    phq9_response_rate: float = 0.45
    unlinked_share: float = 0.05
    """Protective actions whose assessment the source did not record."""
    second_provider_share: float = 0.06
    """People who also rate another clinician, an alliance that no warning touches (a negative-control outcome)."""

    # Hard modes
    hidden_u: tuple[float, float] = (0.0, 0.0)
    """(gamma, theta) of an unrecorded standard normal U: gamma logit per SD on warning, theta points per SD off every
    alliance after the first assessment (doses (.4, .1), (.7, .2), (1.1, .3))."""
    curved_severity: tuple[float, float] = (0.0, 0.0)
    """(gamma, theta) of a curve in severity: z SDs from the mean, at an assessment, add gamma (z^2 - 1) to the logit of
    a warning and take theta (z^2 - 1) points off every alliance until after the next one (doses (.5, .4) with
    `positivity` .4; half)."""
    curved_phq9: tuple[float, float] = (0.0, 0.0)
    """The same in the latest PHQ-9 before the assessment (doses (.5, .2); half)."""
    curved_alliance: tuple[float, float] = (0.0, 0.0)
    """The same in the alliance: gamma by the rating on which a warning depends, theta by the level behind the ratings
    (doses (.6, .4); half)."""
    immortal: float = 0.0
    """Assessments come later in care, so whoever is ever warned stayed long: rate times exp(dose (month - 6)/12)."""
    mnar: float = 0.0
    """Log-odds of not answering per point of current alliance (doses -.6, -1.2: the dissatisfied fall silent)."""
    mar: float = 0.0
    """The same per point of the latest rating before the last assessment: recorded, so that analyses can allow for it
    (doses -.6, -1.2)."""
    clinician_drift: float = 0.0
    """SD of a clinician's own shift of every alliance after the first assessment, in points: patients of one clinician
    drift together, whether warned or not (doses .2, .5)."""
    warning_clinicians: int = 0
    """How many clinicians ever warn, the first of them; 0 for all. With 1 the effect is that clinician's drift."""
    clinician_confounding: float = 0.0
    """Correlation of readiness to warn r_j with alliance level v_j (dose -.4)."""
    meas_error: float = 0.0
    """Weight (0 to 1) of the true, unrecorded alliance in the clinician's judgement; the rest is the last rating."""
    regime_change: str | None = "2019-07-01"
    """First day on which Florida's regime is mandatory (ISO date); None: it stays permissive."""
    dirt: float = 0.0
    """Share of the rows of a table in which faults are injected, after the truth is fixed."""
    date_forms: bool = False
    """Questionnaires are dated to the day: every time of theirs is midnight, beside the clock times of other tables."""
    code_spelling: float = 0.0
    """Share of codes written with a blank before them or in other letters."""
    impossible_dates: float = 0.0
    """Share of people half of whom are born in 1901 and half dead before their last contact."""

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "effect":
                _check_numbers(field.name, value, 3, "three numbers from -4 to 4, at 30, 90 and 180 days")
            elif field.name in _PAIRS:
                _check_numbers(field.name, value, 2, "two numbers from -4 to 4, gamma and theta")
            elif field.name in _COUNTS:
                least, most = _COUNTS[field.name]
                if type(value) is not int or not least <= value <= most:
                    raise _refused(field.name, value, f"a whole number from {least} to {most}")
            elif field.name == "regime_change":
                _check_regime_change(value)
            elif field.name in ("null", "date_forms"):
                if not isinstance(value, bool):
                    raise _refused(field.name, value, "true or false")
            else:
                _check_number(field.name, value)


def _refused(name: str, value: object, expected: str) -> StudyFileError:
    return StudyFileError("simulation.dose", f"{name!r} is {value!r}, expected {expected}", fix="mend the dose")


def _range(name: str) -> tuple[float, float]:
    if name in _PROBABILITIES:
        return (0.0, 1.0)
    if name in _STANDARD_DEVIATIONS:
        return (0.0, 2.0)
    return _SWITCHES.get(name, (-10.0, 10.0))


def _check_number(name: str, value: object) -> None:
    low, high = _range(name)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and low <= value <= high):  # type: ignore[arg-type, operator]
        raise _refused(name, value, f"a number from {low} to {high}")


def _check_numbers(name: str, value: object, count: int, expected: str) -> None:
    if not (isinstance(value, tuple) and len(value) == count):
        raise _refused(name, value, expected)
    for number in value:
        plain = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not (plain and math.isfinite(number) and abs(number) <= 4):
            raise _refused(name, value, expected)


def _check_regime_change(value: object) -> None:
    if value is None:
        return
    expected = f"an ISO date after {FIRST_INTAKE} and up to {AS_OF}, or none"
    try:
        day = date.fromisoformat(value)  # type: ignore[arg-type]  # anything else is refused below
    except (TypeError, ValueError):
        raise _refused("regime_change", value, expected) from None
    if not FIRST_INTAKE < day <= AS_OF:
        raise _refused("regime_change", value, expected)
