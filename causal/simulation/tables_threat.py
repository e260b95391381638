"""threat_assessments and protective_actions of one chunk, and the truth that goes with them."""

from __future__ import annotations

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

_INFORMED = allowed(tables.PROTECTIVE_ACTIONS, "patient_informed")
_INFORMED_BY = (INFORMED_BEFORE, 0.70, 0.95)
"""Cumulative shares of before, after, no; the rest is unknown."""
_VICTIM_ONLY, _POLICE_ONLY = 0.30, 0.85
_OTHER_ACTIONS = 0.30


def threat_tables(scene: Scene) -> dict[str, pd.DataFrame]:
    """``threat_assessments``, ``protective_actions`` and ``truth``."""
    factual, course = scene.factual, scene.course
    persons, periods = np.nonzero(factual.assessed)
    within = recorded(scene.absolute(persons, course.assessed_at[persons, periods]))
    persons, periods = persons[within], periods[within]
    ta_ids = scene.new_ids("t", len(persons))
    return {
        "threat_assessments": _assessments(scene, persons, periods, ta_ids),
        "protective_actions": _actions(scene, persons, periods, ta_ids),
        "truth": _truth(scene, persons, periods, ta_ids),
    }


def _assessments(
    scene: Scene, persons: NDArray[np.int64], periods: NDArray[np.int64], ta_ids: pa.LargeStringArray
) -> pd.DataFrame:
    course, world = scene.course, scene.world
    clinician = course.clinician[persons]
    at = scene.absolute(persons, course.assessed_at[persons, periods])
    second_version = at // DAY >= world.second_version_day[world.clinician_clinic[clinician]]
    return pd.DataFrame(
        {
            "ta_id": text(ta_ids),
            "person_id": picked(scene.person_ids, persons),
            "clinician_id": picked(scene.clinician_ids, clinician),
            "ts": instants(at),
            "instrument_ver": category(("v1", "v2"), second_version),
            "severity": course.severity[persons, periods],
            "target_identified": course.target[persons, periods],
            "means_access": course.means[persons, periods],
            "history_violence": course.violence[persons],
        }
    )


def _actions(
    scene: Scene, persons: NDArray[np.int64], periods: NDArray[np.int64], ta_ids: pa.LargeStringArray
) -> pd.DataFrame:
    """Warnings (to the victim, the police or both), same-day holds, and actions that are no part of a strategy."""
    course, rng, factual = scene.course, scene.rng, scene.factual
    k = len(persons)
    assessed_at = course.assessed_at[persons, periods]
    warning_at = course.warning_at[persons, periods]
    recipient = rng.random(k)
    warned = factual.warned[persons, periods]
    victim = warned & ((recipient < _VICTIM_ONLY) | (recipient >= _POLICE_ONLY))
    police = warned & (recipient >= _VICTIM_ONLY)
    hold = course.hold[persons, periods]
    involuntary = rng.random(k) < 0.4
    hold_at = assessed_at + rng.integers(60, 2 * HOUR + 1, k)
    other_at = assessed_at + rng.integers(HOUR, 72 * HOUR, k)
    ends_now = (factual.end[persons] != STAYS) & (factual.end_step[persons] == periods)
    other = (rng.random(k) < _OTHER_ACTIONS) & ~(ends_now & (other_at >= course.ending_at[persons, periods]))
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
    action = np.concatenate([np.full(taken.sum(), tables.ACTIONS.index(name)) for name, taken, _ in kinds])
    at = scene.absolute(persons[occasion], np.concatenate([when[taken] for _, taken, when in kinds]))
    row = np.flatnonzero(recorded(at))
    row = row[np.lexsort((at[row], occasion[row]))]
    occasion, action, at = occasion[row], action[row], at[row]
    unlinked = rng.random(len(row)) < scene.parameters.unlinked_share
    told = course.draws.period.informed[persons, periods][occasion]
    is_warning = action <= tables.ACTIONS.index("warn_police")
    return pd.DataFrame(
        {
            "action_id": text(scene.new_ids("a", len(row))),
            "ta_id": picked(ta_ids, occasion, missing=unlinked),
            "person_id": picked(scene.person_ids, persons[occasion]),
            "ts": instants(at),
            "action": category(tables.ACTIONS, action),
            "patient_informed": category(
                _INFORMED, np.searchsorted(_INFORMED_BY, told, side="right"), missing=~is_warning
            ),
        }
    )


def _truth(
    scene: Scene, persons: NDArray[np.int64], periods: NDArray[np.int64], ta_ids: pa.LargeStringArray
) -> pd.DataFrame:
    """Potential outcomes of the candidate occasions among the recorded assessments, with their ids."""
    candidates = candidate_occasions(scene.course, scene.factual, AS_OF_DAY)
    position = np.full(scene.factual.assessed.shape, -1)
    position[persons, periods] = np.arange(len(persons))
    warning_at = scene.course.warning_at[candidates.persons, candidates.periods]
    outcomes = potential_outcomes(scene.parameters, scene.course, scene.factual, candidates)
    outcomes["treated"] &= recorded(scene.absolute(candidates.persons, warning_at))
    ids = {
        "ta_id": picked(ta_ids, position[candidates.persons, candidates.periods]),
        "person_id": picked(scene.person_ids, candidates.persons),
    }
    return pd.concat([pd.DataFrame(ids), outcomes], axis=1)
