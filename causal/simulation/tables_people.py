"""patients, episodes, diagnoses and hospitalizations of one chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal import tables
from causal.simulation.columns import allowed, category, dates, instants, picked, text
from causal.simulation.draws import DAY
from causal.simulation.mechanisms import COMPLETED, DIED, LEFT, LOST, STAYS, TRANSFERRED
from causal.simulation.scene import AS_OF_DAY, Scene, recorded

SEXES = ("F", "M", "X", "U")
_GROUPS = allowed(tables.PATIENTS, "race_eth")
_PAYERS = allowed(tables.PATIENTS, "insurance")
END_REASON = {LEFT: "pt_initiated", LOST: "lost", COMPLETED: "completed", TRANSFERRED: "transfer", DIED: "death"}
_MAIN_CODES = ("F32.1", "F33.1", "F41.1", "F43.10", "F31.9", "F60.3", "F20.0", "F25.0")
_SUD_CODES = ("F10.20", "F11.20", "F12.20", "F14.20")
DIAGNOSIS_CODES = _MAIN_CODES + _SUD_CODES
_DIAGNOSIS_SOURCES = allowed(tables.DIAGNOSES, "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrations:
    """People (n,) as registered: year of birth, codes of group and payer, and which of these two are unknown."""

    birth_year: NDArray[np.int64]
    group: NDArray[np.int64]
    payer: NDArray[np.int64]
    unknown: NDArray[np.bool_]
    """(2, n)."""


def registrations(scene: Scene) -> Registrations:
    """Draw what is registered of everyone, adults of 18 to 79 at intake."""
    rng, people = scene.rng, len(scene.course.intake_day)
    unknown = rng.random((2, people)) < 0.03
    intake_year = scene.course.intake_day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return Registrations(
        birth_year=intake_year - rng.integers(19, 80, people),
        group=rng.choice(5, people, p=(0.06, 0.16, 0.18, 0.06, 0.54)),
        payer=rng.choice(5, people, p=(0.45, 0.30, 0.12, 0.08, 0.05)),
        unknown=unknown,
    )


def patients_table(scene: Scene, registered: Registrations) -> pd.DataFrame:
    """List everyone, with the date of a death on record."""
    end = ending_at(scene)
    died = (scene.factual.end == DIED) & recorded(end)
    return pd.DataFrame(
        {
            "person_id": text(scene.person_ids),
            "birth_year": registered.birth_year,
            "sex": category(SEXES, scene.course.sex),
            "race_eth": category(_GROUPS, registered.group, registered.unknown[0]),
            "insurance": category(_PAYERS, registered.payer, registered.unknown[1]),
            "death_date": dates(end // DAY, missing=~died),
        }
    )


def episodes_table(scene: Scene) -> pd.DataFrame:
    """One relationship per person, from the intake contact; open where it outlasts the record."""
    everyone = np.arange(len(scene.course.intake_day))
    end = ending_at(scene)
    still_open = (scene.factual.end == STAYS) | ~recorded(end)
    reasons = tuple(END_REASON.values())
    return pd.DataFrame(
        {
            "person_id": text(scene.person_ids),
            "clinician_id": picked(scene.clinician_ids, scene.course.clinician),
            "start": instants(scene.absolute(everyone, scene.course.intake_second)),
            "end": np.where(still_open, np.datetime64("NaT", "s"), instants(end)),
            "end_reason": category(reasons, np.maximum(scene.factual.end.astype(np.int64) - LEFT, 0), still_open),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnoses:
    """Diagnoses (k,): of whom, a code into `DIAGNOSIS_CODES`, onset in days since 1970-01-01, code of the source."""

    persons: NDArray[np.int64]
    codes: NDArray[np.int64]
    onset: NDArray[np.int64]
    source: NDArray[np.int64]


def diagnoses(scene: Scene) -> Diagnoses:
    """Draw a main diagnosis recorded before intake, and any substance use disorder."""
    course, rng = scene.course, scene.rng
    people = len(course.intake_day)
    with_sud = np.flatnonzero(course.intake_day + course.sud_day <= AS_OF_DAY)
    persons = np.concatenate([np.arange(people), with_sud])
    return Diagnoses(
        persons=persons,
        codes=np.concatenate(
            [
                rng.integers(0, len(_MAIN_CODES), people),
                len(_MAIN_CODES) + rng.integers(0, len(_SUD_CODES), len(with_sud)),
            ]
        ),
        onset=course.intake_day[persons]
        + np.concatenate([-1 - rng.integers(0, 1500, people), course.sud_day[with_sud]]),
        source=rng.integers(0, 3, len(persons)),
    )


def diagnoses_table(scene: Scene, made: Diagnoses) -> pd.DataFrame:
    """List the diagnoses; claims omit the dot."""
    undotted = tuple(code.replace(".", "") for code in DIAGNOSIS_CODES)
    from_claim = made.source == _DIAGNOSIS_SOURCES.index("claim")
    return pd.DataFrame(
        {
            "person_id": picked(scene.person_ids, made.persons),
            "icd10": category(DIAGNOSIS_CODES + undotted, made.codes + len(DIAGNOSIS_CODES) * from_claim),
            "onset": dates(made.onset),
            "source": category(_DIAGNOSIS_SOURCES, made.source),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """Inpatient stays (k,) begun on record, from `admit` to `discharge`, in days since 1970-01-01."""

    persons: NDArray[np.int64]
    admit: NDArray[np.int64]
    discharge: NDArray[np.int64]
    involuntary: NDArray[np.bool_]
    medical: NDArray[np.bool_]


def stays(scene: Scene) -> Stays:
    """Draw rare stays of 1 to 8 days while in care, and some that follow a hold by a day."""
    rng, course, factual = scene.rng, scene.course, scene.factual
    survivors = (factual.end != DIED)[:, None]
    by_chance = factual.present & survivors & (rng.random(factual.present.shape, dtype=np.float32) < 0.003)
    after_hold = (
        factual.assessed & course.hold & survivors & (rng.random(factual.present.shape, dtype=np.float32) < 0.2)
    )
    chance_person, chance_period = np.nonzero(by_chance)
    hold_person, hold_period = np.nonzero(after_hold)
    persons = np.concatenate([chance_person, hold_person])
    chance_day = chance_period * 30 + rng.integers(13, 20, len(chance_period))
    hold_day = course.assessed_at[hold_person, hold_period] // DAY + 1
    admit = course.intake_day[persons] + np.concatenate([chance_day, hold_day])
    involuntary = np.concatenate([rng.random(len(chance_person)) < 0.2, np.ones(len(hold_person), dtype=bool)])
    medical = np.concatenate([rng.random(len(chance_person)) < 0.3, np.zeros(len(hold_person), dtype=bool)])
    discharge = admit + rng.integers(1, 9, len(persons))
    within = admit <= AS_OF_DAY
    return Stays(
        persons=persons[within],
        admit=admit[within],
        discharge=discharge[within],
        involuntary=involuntary[within],
        medical=medical[within],
    )


def hospitalizations_table(scene: Scene, stayed: Stays) -> pd.DataFrame:
    """List the stays; one that outlasts the record has no discharge."""
    return pd.DataFrame(
        {
            "person_id": picked(scene.person_ids, stayed.persons),
            "admit": dates(stayed.admit),
            "discharge": dates(stayed.discharge, missing=stayed.discharge > AS_OF_DAY),
            "type": category(("psychiatric", "medical"), stayed.medical),
            "legal_status": category(("voluntary", "involuntary"), stayed.involuntary, missing=stayed.medical),
        }
    )


def ending_at(scene: Scene) -> NDArray[np.int64]:
    """When each relationship ends, in seconds since 1970-01-01; its last period's end if it does not."""
    last = scene.course.ending_at.shape[1] - 1
    everyone, step = np.arange(len(scene.factual.end_step)), np.minimum(scene.factual.end_step, last)
    return scene.absolute(everyone, scene.course.ending_at[everyone, step])
