"""Chunks of people, from random draws to tables and truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from causal.errors import StudyFileError
from causal.simulation.course import Course, plan_course
from causal.simulation.dirt import soil
from causal.simulation.draws import draw
from causal.simulation.habits import as_written
from causal.simulation.happenings import Happenings, happenings
from causal.simulation.identifiers import opaque_ids
from causal.simulation.mechanisms import NO_RATING
from causal.simulation.parameters import CHUNK_PATIENTS, PERIODS, SimulationParameters
from causal.simulation.scene import Scene
from causal.simulation.tables_contacts import encounters_table, measures_table
from causal.simulation.tables_people import diagnoses_table, episodes_table, hospitalizations_table, patients_table
from causal.simulation.tables_threat import protective_actions_table, threat_assessments_table, truth_table
from causal.simulation.tables_world import world_tables
from causal.simulation.trajectories import Paths, advance
from causal.simulation.world import build_world

MOST_PATIENTS: Final = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedChunk:
    """Some consecutive people of an extract.

    Attributes
    ----------
    tables
        Frames by table name, with the columns of `causal.tables` (items 1-12). The first chunk carries all tables,
        later ones all but clinics, clinicians and jurisdiction_regime.
    truth
        One row per candidate occasion: `ta_id`, `person_id`, and the columns of `truth.potential_outcomes`.
    dirt
        Number of injected faults per reason code.
    """

    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame
    dirt: Counter[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A whole extract in memory; fields as in `SimulatedChunk`."""

    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame
    dirt: Counter[str]


def simulate_chunks(parameters: SimulationParameters, patients: int, seed: int) -> Iterator[SimulatedChunk]:
    """Simulate `patients` people, `CHUNK_PATIENTS` at a time; the output depends on the three arguments alone.

    Raises
    ------
    StudyFileError
        Not a positive number of patients, or a negative seed.
    """
    for scene in scenes(parameters, patients, seed):
        what = happenings(scene)
        frames, faults = soil(_tables(scene, what), parameters.dirt, number=scene.number, key=scene.key, rng=scene.dirt)
        if scene.number == 0:
            frames |= world_tables(scene.world, scene.clinic_ids, scene.clinician_ids)
        frames = as_written(frames, parameters, scene.dirt)
        yield SimulatedChunk(tables=frames, truth=truth_table(scene, what.assessments), dirt=faults)


def scenes(parameters: SimulationParameters, patients: int, seed: int) -> Iterator[Scene]:
    """Simulate chunks of people as they happened, before anything is recorded; raises as `simulate_chunks`."""
    _check_size(patients, seed)
    chunks = -(-patients // CHUNK_PATIENTS)
    world_stream, id_stream, *streams = np.random.SeedSequence(seed).spawn(2 + chunks)
    world = build_world(parameters, patients, np.random.default_rng(world_stream))
    key = int(id_stream.generate_state(1, np.uint64)[0])
    clinician_ids = opaque_ids("c", np.arange(len(world.clinician_clinic)), key)
    clinic_ids = opaque_ids("s", np.arange(len(world.clinic_state)), key)
    for number, stream in enumerate(streams):
        process, record, dirt = (np.random.default_rng(child) for child in stream.spawn(3))
        people = np.arange(number * CHUNK_PATIENTS, min((number + 1) * CHUNK_PATIENTS, patients))
        course = plan_course(parameters, world, people, draw(len(people), process))
        yield Scene(
            number=number,
            parameters=parameters,
            world=world,
            course=course,
            factual=factual_paths(parameters, course),
            person_ids=opaque_ids("p", people, key),
            clinician_ids=clinician_ids,
            clinic_ids=clinic_ids,
            key=key,
            rng=record,
            dirt=dirt,
        )


def simulate(parameters: SimulationParameters, patients: int, seed: int) -> Simulated:
    """All chunks of `simulate_chunks` as one; raises as it does."""
    chunks = list(simulate_chunks(parameters, patients, seed))
    names = chunks[0].tables
    return Simulated(
        tables={name: _joined([chunk.tables[name] for chunk in chunks if name in chunk.tables]) for name in names},
        truth=_joined([chunk.truth for chunk in chunks]),
        dirt=sum((chunk.dirt for chunk in chunks), Counter()),
    )


def _check_size(patients: int, seed: int) -> None:
    if not 1 <= patients <= MOST_PATIENTS:
        raise StudyFileError(
            "simulation.patients",
            f"{patients} patients asked for, expected 1 to {MOST_PATIENTS}",
            fix="mend the number",
        )
    if seed < 0:
        raise StudyFileError("simulation.seed", f"seed is {seed}, expected 0 or more", fix="mend the seed")


def factual_paths(parameters: SimulationParameters, course: Course) -> Paths:
    """Everyone's path from intake, with the warnings that were given."""
    people = len(course.intake_day)
    return advance(
        parameters,
        course,
        persons=np.arange(people),
        start=np.zeros(people, dtype=np.int64),
        steps=PERIODS,
        earlier=np.full((people, 2), np.nan),
        before=np.full(people, NO_RATING),
    )


def _tables(scene: Scene, what: Happenings) -> dict[str, pd.DataFrame]:
    return {
        "patients": patients_table(scene, what.registrations),
        "encounters": encounters_table(scene, what.contacts),
        "threat_assessments": threat_assessments_table(scene, what.assessments),
        "protective_actions": protective_actions_table(scene, what.assessments, what.actions),
        "measures": measures_table(scene, what.forms),
        "diagnoses": diagnoses_table(scene, what.diagnoses),
        "hospitalizations": hospitalizations_table(scene, what.stays),
        "episodes": episodes_table(scene),
    }


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
