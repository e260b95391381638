"""patients, episodes, diagnoses and hospitalizations of one chunk."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal import tables
from causal.simulation.columns import allowed, category, dates, instants, picked, text
from causal.simulation.draws import DAY
from causal.simulation.mechanisms import COMPLETED, DIED, LEFT, LOST, STAYS, TRANSFERRED
from causal.simulation.scene import AS_OF_DAY, Scene, recorded

_SEXES = ("F", "M", "X", "U")
_GROUPS = allowed(tables.PATIENTS, "race_eth")
_PAYERS = allowed(tables.PATIENTS, "insurance")
_END_REASON = {LEFT: "pt_initiated", LOST: "lost", COMPLETED: "completed", TRANSFERRED: "transfer", DIED: "death"}
_MAIN_CODES = ("F32.1", "F33.1", "F41.1", "F43.10", "F31.9", "F60.3", "F20.0", "F25.0")
_SUD_CODES = ("F10.20", "F11.20", "F12.20", "F14.20")
_DIAGNOSIS_SOURCES = allowed(tables.DIAGNOSES, "source")


def patients_table(scene: Scene) -> pd.DataFrame:
    """Everyone, adults of 18 to 79 at intake."""
    course, rng = scene.course, scene.rng
    people = len(course.intake_day)
    everyone = np.arange(people)
    end = scene.absolute(everyone, _ending(scene))
    died = (scene.factual.end == DIED) & recorded(end)
    intake_year = course.intake_day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    unknown = rng.random((2, people)) < 0.03
    return pd.DataFrame(
        {
            "person_id": text(scene.person_ids),
            "birth_year": intake_year - rng.integers(19, 80, people),
            "sex": category(_SEXES, course.sex),
            "race_eth": category(_GROUPS, rng.choice(5, people, p=(0.06, 0.16, 0.18, 0.06, 0.54)), unknown[0]),
            "insurance": category(_PAYERS, rng.choice(5, people, p=(0.45, 0.30, 0.12, 0.08, 0.05)), unknown[1]),
            "death_date": dates(end // DAY, missing=~died),
        }
    )


def episodes_table(scene: Scene) -> pd.DataFrame:
    """One relationship per person, from the intake contact; open where it outlasts the record."""
    everyone = np.arange(len(scene.course.intake_day))
    end = scene.absolute(everyone, _ending(scene))
    still_open = (scene.factual.end == STAYS) | ~recorded(end)
    reasons = tuple(_END_REASON.values())
    return pd.DataFrame(
        {
            "person_id": text(scene.person_ids),
            "clinician_id": picked(scene.clinician_ids, scene.course.clinician),
            "start": instants(scene.absolute(everyone, scene.course.intake_second)),
            "end": np.where(still_open, np.datetime64("NaT", "s"), instants(end)),
            "end_reason": category(reasons, np.maximum(scene.factual.end.astype(np.int64) - LEFT, 0), still_open),
        }
    )


def diagnoses_table(scene: Scene) -> pd.DataFrame:
    """List a main diagnosis recorded before intake, and any substance use disorder; claims omit the dot."""
    course, rng = scene.course, scene.rng
    people = len(course.intake_day)
    with_sud = np.flatnonzero(course.intake_day + course.sud_day <= AS_OF_DAY)
    persons = np.concatenate([np.arange(people), with_sud])
    codes = np.concatenate(
        [rng.integers(0, len(_MAIN_CODES), people), len(_MAIN_CODES) + rng.integers(0, len(_SUD_CODES), len(with_sud))]
    )
    onset = course.intake_day[persons] + np.concatenate([-1 - rng.integers(0, 1500, people), course.sud_day[with_sud]])
    source = rng.integers(0, 3, len(persons))
    dotted = _MAIN_CODES + _SUD_CODES
    undotted = tuple(code.replace(".", "") for code in dotted)
    from_claim = source == _DIAGNOSIS_SOURCES.index("claim")
    return pd.DataFrame(
        {
            "person_id": picked(scene.person_ids, persons),
            "icd10": category(dotted + undotted, codes + len(dotted) * from_claim),
            "onset": dates(onset),
            "source": category(_DIAGNOSIS_SOURCES, source),
        }
    )


def hospitalizations_table(scene: Scene) -> pd.DataFrame:
    """Rare stays of 1 to 8 days while in care, and some that follow a hold by a day."""
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
    within = np.flatnonzero(admit <= AS_OF_DAY)
    stays = pd.DataFrame(
        {
            "person_id": picked(scene.person_ids, persons),
            "admit": dates(admit),
            "discharge": dates(discharge, missing=discharge > AS_OF_DAY),
            "type": category(("psychiatric", "medical"), medical),
            "legal_status": category(("voluntary", "involuntary"), involuntary, missing=medical),
        }
    )
    return stays.take(within).reset_index(drop=True)


def _ending(scene: Scene) -> NDArray[np.int64]:
    """When each relationship ends, in seconds from the midnight before intake; its last period's end if it does not."""
    last = scene.course.ending_at.shape[1] - 1
    step = np.minimum(scene.factual.end_step, last)
    ending: NDArray[np.int64] = scene.course.ending_at[np.arange(len(step)), step]
    return ending
