"""threat_assessments and protective_actions of one chunk, and the truth that goes with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from causal import tables
from causal.simulation.columns import allowed, category, instants, picked, text
from causal.simulation.draws import DAY, HOUR, Seconds
from causal.simulation.mechanisms import INFORMED_BEFORE, STAYS
from causal.simulation.scene import AS_OF_DAY, Scene, recorded
from causal.simulation.truth import candidate_occasions, potential_outcomes

INFORMED = allowed(tables.PROTECTIVE_ACTIONS, "patient_informed")
VERSIONS = ("v1", "v2")
_INFORMED_BY = (INFORMED_BEFORE, 0.70, 0.95)
"""Cumulative shares of before, after, no; the rest is unknown."""
_VICTIM_ONLY, _POLICE_ONLY = 0.30, 0.85
_OTHER_ACTIONS = 0.30


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessments:
    """Assessments (k,) on record by person and period, at what second since 1970-01-01, and the form's version."""

    persons: NDArray[np.int64]
    periods: NDArray[np.int64]
    when: Seconds
    second_version: NDArray[np.bool_]

    @property
    def cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where they are in the (n, P) arrays of a course."""
        return self.persons, self.periods


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Protective actions (k,) on record: the assessment each answers, a code into `tables.ACTIONS`, and when.

    `unlinked`: the record does not name the assessment; `informed`: a code into the declared answers, of warnings only.
    """

    occasions: NDArray[np.int64]
    kind: NDArray[np.int64]
    when: Seconds
    unlinked: NDArray[np.bool_]
    informed: NDArray[np.int64]


def assessments(scene: Scene) -> Assessments:
    """Assessments that took place up to the administrative end."""
    course, world = scene.course, scene.world
    persons, periods = np.nonzero(scene.factual.assessed)
    at = scene.absolute(persons, course.assessed_at[persons, periods])
    within = recorded(at)
    persons, periods, at = persons[within], periods[within], at[within]
    clinic = world.clinician_clinic[course.clinician[persons]]
    return Assessments(
        persons=persons, periods=periods, when=at, second_version=at // DAY >= world.second_version_day[clinic]
    )


def threat_assessments_table(scene: Scene, made: Assessments) -> pd.DataFrame:
    """List the assessments with their content."""
    course = scene.course
    return pd.DataFrame(
        {
            "ta_id": text(assessment_ids(scene, made)),
            "person_id": picked(scene.person_ids, made.persons),
            "clinician_id": picked(scene.clinician_ids, course.clinician[made.persons]),
            "ts": instants(made.when),
            "instrument_ver": category(VERSIONS, made.second_version),
            "severity": course.severity[made.cells],
            "target_identified": course.target[made.cells],
            "means_access": course.means[made.cells],
            "history_violence": course.violence[made.persons],
        }
    )


def assessment_ids(scene: Scene, made: Assessments) -> pa.LargeStringArray:
    """Ids of the assessments, in their order."""
    return scene.new_ids("t", len(made.persons))


def actions(scene: Scene, made: Assessments) -> Actions:
    """Draw warnings (to the victim, the police or both), same-day holds, and actions that are part of no strategy."""
    course, rng, factual = scene.course, scene.rng, scene.factual
    persons, periods, k = made.persons, made.periods, len(made.persons)
    assessed_at = course.assessed_at[made.cells]
    warning_at = course.warning_at[made.cells]
    recipient = rng.random(k)
    warned = factual.warned[made.cells]
    victim = warned & ((recipient < _VICTIM_ONLY) | (recipient >= _POLICE_ONLY))
    police = warned & (recipient >= _VICTIM_ONLY)
    hold = course.hold[made.cells]
    involuntary = rng.random(k) < 0.4
    hold_at = assessed_at + rng.integers(60, 2 * HOUR + 1, k)
    other_at = assessed_at + rng.integers(HOUR, 72 * HOUR, k)
    ends_now = (factual.end[persons] != STAYS) & (factual.end_step[persons] == periods)
    other = (rng.random(k) < _OTHER_ACTIONS) & ~(ends_now & (other_at >= course.ending_at[made.cells]))
    other_kind = rng.integers(0, 3, k)
    kinds: list[tuple[str, NDArray[np.bool_], Seconds]] = [
        ("warn_victim", victim, warning_at),
        # Where both are told, the police come a little later.
        ("warn_police", police, warning_at + 600 * victim),
        ("hold_vol", hold & ~involuntary, hold_at),
        ("hold_invol", hold & involuntary, hold_at),
        ("intensify", other & (other_kind == 0), other_at),
        ("med_change", other & (other_kind == 1), other_at),
        ("family_contact", other & (other_kind == 2), other_at),
    ]
    occasion = np.concatenate([np.flatnonzero(taken) for _, taken, _ in kinds])
    kind = np.concatenate([np.full(taken.sum(), tables.ACTIONS.index(name)) for name, taken, _ in kinds])
    at = scene.absolute(persons[occasion], np.concatenate([when[taken] for _, taken, when in kinds]))
    row = np.flatnonzero(recorded(at))
    row = row[np.lexsort((at[row], occasion[row]))]
    told = course.draws.period.informed[made.cells][occasion[row]]
    return Actions(
        occasions=occasion[row],
        kind=kind[row],
        when=at[row],
        unlinked=rng.random(len(row)) < scene.parameters.unlinked_share,
        informed=np.searchsorted(_INFORMED_BY, told, side="right"),
    )


def protective_actions_table(scene: Scene, made: Assessments, taken: Actions) -> pd.DataFrame:
    """List the actions; only of a warning is it told whether the person was informed."""
    is_warning = taken.kind <= tables.ACTIONS.index("warn_police")
    return pd.DataFrame(
        {
            "action_id": text(scene.new_ids("a", len(taken.when))),
            "ta_id": picked(assessment_ids(scene, made), taken.occasions, missing=taken.unlinked),
            "person_id": picked(scene.person_ids, made.persons[taken.occasions]),
            "ts": instants(taken.when),
            "action": category(tables.ACTIONS, taken.kind),
            "patient_informed": category(INFORMED, taken.informed, missing=~is_warning),
        }
    )


def truth_table(scene: Scene, made: Assessments) -> pd.DataFrame:
    """Potential outcomes of the candidate occasions among the recorded assessments, with their ids."""
    candidates = candidate_occasions(scene.course, scene.factual, AS_OF_DAY)
    position = np.full(scene.factual.assessed.shape, -1)
    position[made.cells] = np.arange(len(made.persons))
    warning_at = scene.course.warning_at[candidates.persons, candidates.periods]
    outcomes = potential_outcomes(scene.parameters, scene.course, scene.factual, candidates)
    outcomes["treated"] &= recorded(scene.absolute(candidates.persons, warning_at))
    ids = {
        "ta_id": picked(assessment_ids(scene, made), position[candidates.persons, candidates.periods]),
        "person_id": picked(scene.person_ids, candidates.persons),
    }
    return pd.concat([pd.DataFrame(ids), outcomes], axis=1)
