"""The standing world: clinics, clinicians and the legal regimes they work under."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from causal.simulation.parameters import SimulationParameters

STATES = ("CA", "FL", "NY", "TX", "WA", "OH")
TIME_ZONES = {
    "CA": "America/Los_Angeles",
    "FL": "America/New_York",
    "NY": "America/New_York",
    "TX": "America/Chicago",
    "WA": "America/Los_Angeles",
    "OH": "America/New_York",
}
NEVER_WARNS = -100.0
"""Logit of a readiness to warn that nothing outweighs."""
FIRST_REGIME_DAY = date(2010, 1, 1)
_STANDING_REGIMES = {"CA": "mandatory", "NY": "permissive", "TX": "none", "WA": "mandatory", "OH": "permissive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeSpan:
    """One legal regime of one state, from `valid_from` to `valid_to` inclusive (None: still in force)."""

    state: str
    regime: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Clinics (C) and clinicians (J), drawn from their own random stream.

    Attributes
    ----------
    clinic_state, clinic_type
        (C,) codes into `STATES` and the declared clinic types.
    clinic_level
        (C,) points added to the alliance at the clinic.
    second_version_day
        (C,) day since 1970-01-01 from which the clinic uses version v2 of the threat instrument.
    clinician_clinic, clinician_profession
        (J,) clinic index; code into the declared professions.
    clinician_level
        (J,) points v_j added to the alliance with the clinician.
    clinician_drift
        (J,) points added to the alliance after the first assessment.
    clinician_practice
        (J,) logit r_j added to the readiness to warn.
    hire_day
        (J,) day since 1970-01-01.
    first_patient
        (J,) running number of the clinician's first patient; a clinician's patients follow one another.
    """

    clinic_state: NDArray[np.int64]
    clinic_type: NDArray[np.int64]
    clinic_level: NDArray[np.float64]
    second_version_day: NDArray[np.int64]
    clinician_clinic: NDArray[np.int64]
    clinician_profession: NDArray[np.int64]
    clinician_level: NDArray[np.float64]
    clinician_drift: NDArray[np.float64]
    clinician_practice: NDArray[np.float64]
    hire_day: NDArray[np.int64]
    first_patient: NDArray[np.int64]
    regimes: tuple[RegimeSpan, ...]

    def clinician_of(self, patients: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the clinician of each patient running number."""
        return np.searchsorted(self.first_patient, patients, side="right") - 1


def build_world(parameters: SimulationParameters, patients: int, rng: np.random.Generator) -> World:
    """Clinicians for `patients` people (25 to 40 each, in the default caseload), clinics spread over the states."""
    clinicians = -(-patients // parameters.caseload)
    clinics = -(-clinicians // parameters.clinicians_per_clinic)
    level, own = rng.standard_normal((2, clinicians))
    rho = parameters.clinician_confounding
    practice = rho * level + np.sqrt(1 - rho**2) * own
    caseload = rng.integers(25, 41, clinicians)
    # Scaled so that the caseloads add up to the number of patients.
    last_patient = np.cumsum(caseload) * patients // caseload.sum()
    never = np.arange(clinicians) >= (parameters.warning_clinicians or clinicians)
    drawn = World(
        clinic_state=rng.permutation(np.arange(clinics) % len(STATES)),
        clinic_type=rng.integers(0, 4, clinics),
        clinic_level=parameters.clinic_sd * rng.standard_normal(clinics),
        second_version_day=_day(date(2020, 1, 1)) + rng.integers(0, 731, clinics),
        clinician_clinic=np.arange(clinicians) // parameters.clinicians_per_clinic,
        clinician_profession=rng.integers(0, 4, clinicians),
        clinician_level=parameters.clinician_sd * level,
        clinician_drift=np.zeros(clinicians),
        clinician_practice=np.where(never, NEVER_WARNS, parameters.practice_sd * practice),
        hire_day=_day(date(2018, 1, 1)) - rng.integers(1, 3650, clinicians),
        first_patient=np.concatenate([[0], last_patient[:-1]]),
        regimes=regime_spans(date.fromisoformat(parameters.regime_change) if parameters.regime_change else None),
    )
    # Drawn last, so that worlds without it keep their luck.
    return replace(drawn, clinician_drift=parameters.clinician_drift * rng.standard_normal(clinicians))


def regime_spans(florida_change: date | None) -> tuple[RegimeSpan, ...]:
    """Make an illustrative regime table (not legal advice): standing regimes, and Florida's change to mandatory."""
    spans = [
        RegimeSpan(state=state, regime=regime, valid_from=FIRST_REGIME_DAY, valid_to=None)
        for state, regime in _STANDING_REGIMES.items()
    ]
    if florida_change is None:
        return (*spans, RegimeSpan(state="FL", regime="permissive", valid_from=FIRST_REGIME_DAY, valid_to=None))
    day_before = date.fromordinal(florida_change.toordinal() - 1)
    return (
        *spans,
        RegimeSpan(state="FL", regime="permissive", valid_from=FIRST_REGIME_DAY, valid_to=day_before),
        RegimeSpan(state="FL", regime="mandatory", valid_from=florida_change, valid_to=None),
    )


def regime_in_force(world: World, clinics: NDArray[np.int64], days: NDArray[np.int64]) -> NDArray[np.str_]:
    """Find the regime of each clinic's state on each day since 1970-01-01."""
    regime = np.full(len(clinics), "", dtype="<U10")
    states = np.array(STATES)[world.clinic_state[clinics]]
    for span in world.regimes:
        begun = (states == span.state) & (days >= _day(span.valid_from))
        over = days > _day(span.valid_to) if span.valid_to else np.zeros(len(days), dtype=bool)
        regime[begun & ~over] = span.regime
    return regime


def _day(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()
