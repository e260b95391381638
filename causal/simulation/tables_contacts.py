"""encounters and measures of one chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal import tables
from causal.simulation.columns import allowed, category, instants, integers, picked, text
from causal.simulation.course import PERIOD_SECONDS
from causal.simulation.draws import DAY, HOUR, PHQ9_ITEMS, WAI_ITEMS, Seconds
from causal.simulation.items import Items, wai_answers
from causal.simulation.mechanisms import DIED
from causal.simulation.scene import Scene, recorded

Cells = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Persons and periods, (k,) each."""

_MINUTE = 60
_MODALITIES = allowed(tables.ENCOUNTERS, "modality")
STATUSES = allowed(tables.ENCOUNTERS, "status")
_OTHER_STATUS = (0.70, 0.12, 0.12, 0.06)
_OTHER_CONTACTS = 0.20
_THERAPIST_FORMS = 0.03
_SECOND_PROVIDER_PERIODS = 12
_SECOND_PROVIDER_RATE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondProvider:
    """Contacts (k,) of some people with another clinician of their clinic, each with a rating of that clinician.

    They go on after the index relationship ends, and no warning touches them.
    """

    persons: NDArray[np.int64]
    clinicians: NDArray[np.int64]
    at: Seconds
    answers: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """Completed questionnaires of one kind, k rows; `answers` is (k, 12), -1 for items the instrument lacks."""

    kind: tuple[str, str, str]
    """Instrument, version and rater."""
    persons: NDArray[np.int64]
    clinicians: NDArray[np.int64]
    at: Seconds
    scheduled: Seconds
    answers: Items


def second_provider(scene: Scene) -> SecondProvider:
    """Who sees a second clinician, when, and how they rate that alliance."""
    course, rng, world = scene.course, scene.rng, scene.world
    people = len(course.clinician)
    colleague = _colleague(course.clinician, world.clinician_clinic)
    chosen = (rng.random(people) < scene.parameters.second_provider_share) & (colleague != course.clinician)
    chosen &= scene.factual.end != DIED
    meets = chosen[:, None] & (rng.random((people, _SECOND_PROVIDER_PERIODS)) < _SECOND_PROVIDER_RATE)
    persons, periods = np.nonzero(meets)
    k = len(persons)
    at = periods * PERIOD_SECONDS + rng.integers(1, 3, k) * DAY + rng.integers(9 * HOUR, 17 * HOUR, k)
    alliance = 3.6 + 0.5 * (course.stable[persons, periods] - 3.55) + world.clinician_level[colleague[persons]]
    alliance += 0.4 * rng.standard_normal(k)
    answers = _fresh_answers(alliance, rng)
    within = recorded(scene.absolute(persons, at))
    return SecondProvider(
        persons=persons[within], clinicians=colleague[persons[within]], at=at[within], answers=answers[within]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """Contacts (k,) in no order: who met whom at what second since 1970-01-01; codes of status and modality."""

    persons: NDArray[np.int64]
    clinicians: NDArray[np.int64]
    when: Seconds
    status: NDArray[np.int64]
    modality: NDArray[np.int64]


def contacts(scene: Scene, second: SecondProvider) -> Contacts:
    """Draw the intake contact, the visit of each rating day, other contacts, and those with a second provider."""
    course, rng = scene.course, scene.rng
    visit_person, visit_period = np.nonzero(scene.factual.present)
    other = rng.random(len(visit_person)) < _OTHER_CONTACTS
    other_person, other_period = visit_person[other], visit_period[other]
    k = len(other_person)
    other_at = other_period * PERIOD_SECONDS + rng.integers(13, 28, k) * DAY + rng.integers(9 * HOUR, 17 * HOUR, k)
    everyone = np.arange(len(course.intake_day))
    visit_at = course.rating_at[visit_person, visit_period] - 45 * _MINUTE
    persons = np.concatenate([everyone, visit_person, other_person, second.persons])
    at = np.concatenate([course.intake_second, visit_at, other_at, second.at - 45 * _MINUTE])
    status = np.zeros(len(persons), dtype=np.int64)
    others = slice(len(everyone) + len(visit_person), len(everyone) + len(visit_person) + k)
    status[others] = np.searchsorted(np.cumsum(_OTHER_STATUS)[:-1], rng.random(k), side="right")
    return Contacts(
        persons=persons,
        clinicians=np.concatenate([course.clinician[persons[: -len(second.persons) or None]], second.clinicians]),
        when=scene.absolute(persons, at),
        status=status,
        modality=np.searchsorted([0.55, 0.90], rng.random(len(persons)), side="right"),
    )


def encounters_table(scene: Scene, met: Contacts) -> pd.DataFrame:
    """List the contacts on record by person and time."""
    row = _by_person_and_time(met.persons, met.when)
    return pd.DataFrame(
        {
            "enc_id": text(scene.new_ids("e", len(row))),
            "person_id": picked(scene.person_ids, met.persons[row]),
            "clinician_id": picked(scene.clinician_ids, met.clinicians[row]),
            "start_ts": instants(met.when[row]),
            "modality": category(_MODALITIES, met.modality[row]),
            "status": category(STATUSES, met.status[row]),
        }
    )


def all_forms(scene: Scene, second: SecondProvider) -> tuple[Forms, ...]:
    """Draw the WAI-SR forms of patients, of some therapists and about second providers, and the PHQ-9 forms."""
    return (_client_forms(scene), _therapist_forms(scene), _second_provider_forms(scene, second), _phq9_forms(scene))


def measures_table(scene: Scene, kinds: tuple[Forms, ...]) -> pd.DataFrame:
    """List the forms of all kinds by person and time."""
    persons = np.concatenate([forms.persons for forms in kinds])
    at = np.concatenate([forms.at for forms in kinds])
    row = _by_person_and_time(persons, at)
    clinicians = np.concatenate([forms.clinicians for forms in kinds])[row]
    scheduled = np.concatenate([forms.scheduled for forms in kinds])[row]
    answers = np.concatenate([forms.answers for forms in kinds])[row]

    which = np.repeat(np.arange(len(kinds)), [len(forms.persons) for forms in kinds])[row]
    instrument, version, rater = (
        category(names, which) for names in zip(*(forms.kind for forms in kinds), strict=True)
    )
    items = {
        item: integers(answers[:, place], answers[:, place] < 0)
        for place, item in enumerate(tables.ITEM_COLUMNS[:WAI_ITEMS])
    }
    return pd.DataFrame(
        {
            "person_id": picked(scene.person_ids, persons[row]),
            "clinician_id": picked(scene.clinician_ids, clinicians),
            "instrument": instrument,
            "version": version,
            "rater": rater,
            "admin_ts": instants(at[row]),
            "scheduled_ts": instants(scheduled),
            **items,
        }
    )


def _client_forms(scene: Scene) -> Forms:
    cells = _on_record(scene, scene.factual.answered)
    return _index_forms(scene, cells, ("wai_sr", "client", "patient"), scene.factual.items[cells], minutes=0)


def _therapist_forms(scene: Scene) -> Forms:
    """Give the clinician's own form on some rating days: correlated with the patient's alliance, but another thing."""
    rng = scene.rng
    asked = rng.random(scene.factual.present.shape, dtype=np.float32) < _THERAPIST_FORMS
    cells = _on_record(scene, scene.factual.present & asked)
    alliance = 3.7 + 0.4 * (scene.factual.alliance[cells] - 3.55) + 0.5 * rng.standard_normal(len(cells[0]))
    return _index_forms(scene, cells, ("wai_sr", "therapist", "clinician"), _fresh_answers(alliance, rng), minutes=15)


def _phq9_forms(scene: Scene) -> Forms:
    cells = _on_record(scene, scene.factual.present & scene.course.phq9_answered)
    answers = np.full((len(cells[0]), WAI_ITEMS), -1, dtype=np.int8)
    answers[:, :PHQ9_ITEMS] = scene.course.phq9_items[cells]
    return _index_forms(scene, cells, ("phq9", "std", "patient"), answers, minutes=5)


def _second_provider_forms(scene: Scene, second: SecondProvider) -> Forms:
    at = scene.absolute(second.persons, second.at)
    return Forms(
        kind=("wai_sr", "client", "patient"),
        persons=second.persons,
        clinicians=second.clinicians,
        at=at,
        scheduled=at // DAY * DAY + 9 * HOUR,
        answers=second.answers,
    )


def _index_forms(scene: Scene, cells: Cells, kind: tuple[str, str, str], answers: Items, *, minutes: int) -> Forms:
    """Make forms about the index relationship, `minutes` after the rating time; due from the period's day 3 on."""
    persons, periods = cells
    return Forms(
        kind=kind,
        persons=persons,
        clinicians=scene.course.clinician[persons],
        at=scene.absolute(persons, scene.course.rating_at[cells] + minutes * _MINUTE),
        scheduled=scene.absolute(persons, periods * PERIOD_SECONDS + 3 * DAY + 9 * HOUR),
        answers=answers,
    )


def _on_record(scene: Scene, chosen: NDArray[np.bool_]) -> Cells:
    """Find the chosen (person, period) cells whose rating day lies within the record."""
    persons, periods = np.nonzero(chosen)
    within = recorded(scene.absolute(persons, scene.course.rating_at[persons, periods] + HOUR))
    return persons[within], periods[within]


def _fresh_answers(alliance: NDArray[np.float64], rng: np.random.Generator) -> Items:
    k = len(alliance)
    lasting, passing = rng.standard_normal((2, k, 2), dtype=np.float32)
    return wai_answers(alliance, lasting, passing, rng.standard_normal((k, WAI_ITEMS), dtype=np.float32))


def _colleague(clinician: NDArray[np.int64], clinic: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the next clinician of the same clinic, or the one before; oneself where one works alone."""
    following = np.minimum(clinician + 1, len(clinic) - 1)
    preceding = np.maximum(clinician - 1, 0)
    return np.where(
        (following != clinician) & (clinic[following] == clinic[clinician]),
        following,
        np.where(clinic[preceding] == clinic[clinician], preceding, clinician),
    )


def _by_person_and_time(persons: NDArray[np.int64], at: Seconds) -> NDArray[np.int64]:
    """Rows on record, by person, then time."""
    row = np.flatnonzero(recorded(at))
    return row[np.argsort((persons[row] << 32) + at[row], kind="stable")]
