"""The flagship's cohort and outcome facts straight from the simulator's arrays, without tables or a database.

A replicate through the product's own path writes tables, loads them and runs some twenty relational queries to read out
again what the simulator knew. Here the same values are computed from its arrays, about ten times as fast, for extracts
without faults and for the flagship's rules only. `test_in_memory.py` holds both paths to the same cohort and the same
facts, value for value and in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal import tables
from causal.cohort.catalogue import catalogue_of
from causal.cohort.eligibility import steps
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Window
from causal.protocol.target_trial import EligibilityRule, FollowedUp, MinimumAge, PriorContacts, PriorRating
from causal.records import OCCASION_COLUMNS, AttritionStep, Cohort, canonical
from causal.simulation.draws import DAY, HOUR
from causal.simulation.happenings import Happenings, happenings
from causal.simulation.items import item_mean
from causal.simulation.mechanisms import DIED, LEFT, LOST, STAYS
from causal.simulation.scene import AS_OF_DAY, Scene, recorded
from causal.simulation.tables_contacts import STATUSES
from causal.simulation.tables_people import DIAGNOSIS_CODES, END_REASON, SEXES, ending_at
from causal.simulation.tables_threat import INFORMED, VERSIONS, assessment_ids
from causal.simulation.truth import Candidates, potential_outcomes
from causal.simulation.world import STATES, TIME_ZONES, regime_in_force

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
SIX_MONTHS = 180
EPOCH_2018 = 1_514_764_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One chunk of people with what is recorded of them.

    Attributes
    ----------
    first, second
        (k,) person and period of each assessment; `zero` (k,) its second since 1970-01-01.
    ids
        (k,) ids of the assessments, as text.
    end
        (n,) second at which each relationship ends; the largest integer where it is open at the end of the record.
    rating
        (n, P) second of each patient's own rating of the index clinician; the largest integer where there is none.
    """

    scene: Scene
    what: Happenings
    persons: Ints
    periods: Ints
    zero: Ints
    ids: NDArray[np.str_]
    end: Ints
    rating: Ints


NEVER = np.iinfo(np.int64).max


def recorded_of(scene: Scene) -> Recorded:
    """Draw what is recorded of a chunk; the simulator may have put no faults in."""
    assert scene.parameters.dirt == 0
    assert scene.number == 0
    what = happenings(scene)
    end = ending_at(scene)
    everyone = np.arange(len(end))[:, None]
    at = scene.absolute(everyone, scene.course.rating_at)
    return Recorded(
        scene=scene,
        what=what,
        persons=what.assessments.persons,
        periods=what.assessments.periods,
        zero=what.assessments.when,
        ids=np.array(assessment_ids(scene, what.assessments).to_pylist()),
        end=np.where((scene.factual.end == STAYS) | ~recorded(end), NEVER, end),
        rating=np.where(scene.factual.answered & recorded(at + HOUR), at, NEVER),
    )


def cohort_of(made: Recorded, study: OccasionStudy) -> Cohort:
    """What `causal.cohort.build.build_cohort` makes of the extract of this chunk."""
    occasions = _occasions(made, study)
    inside = np.ones(len(occasions), dtype=np.bool_)
    rules = study.target_trial.eligibility
    flow = []
    treated, persons = occasions["treated"].to_numpy(dtype=np.bool_), made.persons
    for sentence, holding in zip(
        steps(rules, study.words), (inside, inside, *(_holds(rule, occasions) for rule in rules)), strict=True
    ):
        inside = inside & holding
        flow.append(
            AttritionStep(
                rule=sentence,
                persons=int(np.unique(persons[inside]).size),
                occasions=int(inside.sum()),
                treated=int((inside & treated).sum()),
            )
        )
    facts = tuple(catalogue_of(study).covariates)
    kept = occasions.loc[inside, [*OCCASION_COLUMNS, *facts]]
    return Cohort(occasions=_in_order(_with_ids(made, kept), facts), attrition=tuple(flow), covariates=facts)


def _in_order(occasions: pd.DataFrame, facts: tuple[str, ...]) -> pd.DataFrame:
    """As `canonical`, which sorts by thirty columns; time zero alone decides unless two occasions share theirs."""
    if occasions["time_zero"].duplicated().any():
        return canonical(occasions, facts)
    return occasions.sort_values("time_zero", ignore_index=True)


def _with_ids(made: Recorded, kept: pd.DataFrame) -> pd.DataFrame:
    """Text in place of running numbers, for the rows that are kept."""
    scene, row = made.scene, kept.index.to_numpy()
    clinician = scene.course.clinician[made.persons[row]]

    def text(values: Sequence[str], places: Ints) -> pd.Series:
        return pd.Series(np.array(values, dtype=object)[places], index=kept.index, dtype="str")

    informed = kept["patient_informed"].to_numpy()
    return kept.assign(
        ta_id=pd.Series(made.ids[row], index=kept.index, dtype="str"),
        person_id=text(scene.person_ids.to_pylist(), made.persons[row]),
        clinician_id=text(scene.clinician_ids.to_pylist(), clinician),
        clinic_id=text(scene.clinic_ids.to_pylist(), scene.world.clinician_clinic[clinician]),
        instrument_ver=text(VERSIONS, kept["instrument_ver"].to_numpy()),
        recipient=text((None, "warn_victim", "warn_police", "several"), kept["recipient"].to_numpy()),
        patient_informed=text((*INFORMED, None), informed),
        regime=kept["regime"].astype("str"),
    )


def _occasions(made: Recorded, study: OccasionStudy) -> pd.DataFrame:
    """Every assessment (k rows) with its strategy and covariates, and what the eligibility rules ask for."""
    scene, course = made.scene, made.scene.course
    persons, zero, cells = made.persons, made.zero, (made.persons, made.periods)
    clinic = scene.world.clinician_clinic[course.clinician[persons]]
    day = zero // DAY
    regime = regime_in_force(scene.world, clinic, day)
    start = scene.absolute(persons, course.intake_second[persons])
    rules = {type(rule): rule for rule in study.target_trial.eligibility}
    columns = {
        **_strategy(made, closes(made, study)),
        **_ratings(made, within_days=rules[PriorRating].within_days),
        **_contacts(made, within_days=rules[PriorContacts].within_days),
        **_diagnoses(made, day),
        **_stays(made, day),
        "ta_id": np.arange(len(zero)),
        "person_id": persons,
        "clinician_id": course.clinician[persons],
        "clinic_id": clinic,
        "time_zero": zero.astype("datetime64[s]").astype("datetime64[us]"),
        "regime": regime,
        "instrument_ver": made.what.assessments.second_version.astype(np.int64),
        "severity": course.severity[cells],
        "target_identified": course.target[cells],
        "means_access": course.means[cells],
        "history_violence": course.violence[persons],
        "phq9": _phq9(made),
        "tenure_months": (zero - start) / (30 * DAY),
        "prior_assessments": np.arange(len(zero)) - np.searchsorted(persons, persons),
        "age": _year(day) - made.what.registrations.birth_year[persons] - 1,
        "male": course.sex[persons] == SEXES.index("M"),
        "regime_mandatory": regime == "mandatory",
        "regime_permissive": regime == "permissive",
        "calendar_years": (zero - EPOCH_2018) / (365.25 * DAY),
        "days_on_record": AS_OF_DAY - day,
    }
    return pd.DataFrame(columns).astype(dict.fromkeys(catalogue_of(study).covariates, np.float64))


def _year(day: Ints) -> Ints:
    return day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def _holds(rule: EligibilityRule, occasions: pd.DataFrame) -> Bools:
    """Whether the rule holds (k,); where nothing the simulator does breaks it, it always does."""
    match rule:
        case MinimumAge():
            holding = occasions["age"] >= rule.years
        case PriorContacts():
            holding = occasions["n_contacts"] >= rule.at_least
        case PriorRating():
            holding = occasions["n_ratings"] >= rule.at_least
        case FollowedUp():
            holding = occasions["days_on_record"] >= rule.days
        case _:
            broken = {"no_prior_exposure": "prior_exposure", "not_inpatient": "inpatient"}.get(rule.rule)
            return np.ones(len(occasions), dtype=np.bool_) if broken is None else ~occasions[broken].to_numpy()
    return holding.to_numpy()


def closes(made: Recorded, study: OccasionStudy) -> Ints:
    """When each grace window ends (k,), as the clinic's clock shows it: its hours are elapsed hours."""
    world, found = made.scene.world, made.zero.copy()
    states = world.clinic_state[world.clinician_clinic[made.scene.course.clinician[made.persons]]]
    grace = pd.Timedelta(hours=study.target_trial.strategies.treated.grace_hours)
    for number, state in enumerate(STATES):
        here = states == number
        shown = pd.DatetimeIndex(made.zero[here].astype("datetime64[s]")).tz_localize(TIME_ZONES[state]) + grace
        found[here] = shown.tz_localize(None).as_unit("s").asi8
    return found


def _strategy(made: Recorded, closing: Ints) -> dict[str, NDArray[np.generic]]:
    """What was done until `closing` (k,), while the relationship lasted; 0 is nobody told, 3 is several."""
    taken, count = made.what.actions, len(made.zero)
    zero, end = made.zero[taken.occasions], made.end[made.persons[taken.occasions]]
    in_time = (taken.when <= closing[taken.occasions]) & (taken.when <= end)

    def any_of(chosen: Bools) -> Bools:
        return np.bincount(taken.occasions[chosen], minlength=count) > 0

    victim, police = (any_of(in_time & (taken.kind == tables.ACTIONS.index(name))) for name in tables.ACTIONS[:2])
    hold = np.isin(taken.kind, [tables.ACTIONS.index(name) for name in ("hold_vol", "hold_invol")])
    warning = taken.kind <= 1
    first_warning = np.full(len(made.end), NEVER)
    np.minimum.at(first_warning, made.persons[taken.occasions[warning]], taken.when[warning])
    informed = np.full(count, len(INFORMED))
    informed[taken.occasions[warning & in_time]] = taken.informed[warning & in_time]
    return {
        "treated": victim | police,
        "recipient": victim + 2 * police.astype(np.int64),
        "patient_informed": informed,
        "same_day_hold": any_of(in_time & hold & (taken.when // DAY == zero // DAY)),
        "prior_exposure": first_warning[made.persons] < made.zero,
        "ended_in_grace": made.end[made.persons] <= closing,
    }


def _ratings(made: Recorded, *, within_days: int) -> dict[str, NDArray[np.generic]]:
    """Latest rating of each of three 30-day windows before time zero, and the number of ratings."""
    back = made.zero[:, None] - made.rating[made.persons]
    before = back > 0
    scores = item_mean(made.scene.factual.items[made.persons])
    found: dict[str, NDArray[np.generic]] = {"n_ratings": (before & (back <= within_days * DAY)).sum(axis=1)}
    for lag in (1, 2, 3):
        inside = before & (back <= 30 * lag * DAY) & (back > 30 * (lag - 1) * DAY)
        found[f"alliance_lag{lag}"] = _last(scores, inside)
    return found


def _last(values: NDArray[np.generic], inside: Bools) -> Floats:
    """The value in the last column that is `inside`, by row; NaN without one."""
    column = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    chosen = np.take_along_axis(values, column[:, None], axis=1)[:, 0].astype(np.float64)
    return np.where(inside.any(axis=1), chosen, np.nan)


def _phq9(made: Recorded) -> Floats:
    """Total of the latest PHQ-9, completed five minutes after the rating time, in the 180 days before."""
    scene = made.scene
    everyone = np.arange(len(made.end))[:, None]
    at = scene.absolute(everyone, scene.course.rating_at)[made.persons] + 300
    given = (scene.factual.present & scene.course.phq9_answered)[made.persons]
    back = made.zero[:, None] - at
    totals = scene.course.phq9_items[made.persons].sum(axis=-1, dtype=np.int64)
    return _last(totals, given & (back > 0) & (back <= 180 * DAY))


def _contacts(made: Recorded, *, within_days: int) -> dict[str, NDArray[np.generic]]:
    """Completed and missed contacts of the index dyad before time zero."""
    met = made.what.contacts
    own = met.clinicians == made.scene.course.clinician[met.persons]
    occasion, contact = _pairs(made.persons, met.persons[own])
    back = made.zero[occasion] - met.when[own][contact]
    status = met.status[own][contact]
    completed = status == STATUSES.index("completed")
    missed = np.isin(status, [STATUSES.index(name) for name in ("no_show", "cancel_pt")])

    def count(chosen: Bools, days: int) -> Ints:
        return np.bincount(occasion[chosen & (back > 0) & (back <= days * DAY)], minlength=len(made.zero))

    return {
        "visits_90d": count(completed, 90),
        "missed_180d": count(missed, 180),
        "n_contacts": count(completed, within_days),
    }


def _diagnoses(made: Recorded, day: Ints) -> dict[str, NDArray[np.generic]]:
    found = made.what.diagnoses
    chapter = np.array([code[:2] for code in DIAGNOSIS_CODES])[found.codes]
    first = {}
    for name, start in (("sud", "F1"), ("psychosis", "F2")):
        onset = np.full(len(made.end), NEVER)
        chosen = chapter == start
        np.minimum.at(onset, found.persons[chosen], found.onset[chosen])
        first[name] = onset[made.persons] < day
    return first


def _stays(made: Recorded, day: Ints) -> dict[str, NDArray[np.generic]]:
    """Admissions in the year before the day of time zero, and whether somebody is still in then."""
    stayed, count = made.what.stays, len(day)
    occasion, stay = _pairs(made.persons, stayed.persons)
    back = day[occasion] - stayed.admit[stay]
    out = np.where(stayed.discharge > AS_OF_DAY, NEVER, stayed.discharge)[stay]
    return {
        "hospitalised_365d": np.bincount(occasion[(back > 0) & (back <= 365)], minlength=count) > 0,
        "inpatient": np.bincount(occasion[(back > 0) & (out >= day[occasion])], minlength=count) > 0,
    }


def _pairs(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Rows of both sides that agree: an inner join.

    >>> _pairs(np.array([4, 4, 7]), np.array([7, 4, 7, 9]))
    (array([0, 1, 2, 2]), array([1, 1, 0, 2]))
    """
    order = np.argsort(right, kind="stable")
    low, high = (np.searchsorted(right[order], left, side=side) for side in ("left", "right"))
    count = high - low
    rows = np.repeat(np.arange(len(left)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return rows, order[low[rows] + place]


def facts_of(made: Recorded, ta_ids: Sequence[str], study: OccasionStudy, window: Window) -> pd.DataFrame:
    """What `causal.effect.outcomes.facts_after` says of the occasions with these ids, in their order."""
    row = pd.Index(made.ids).get_indexer(ta_ids)
    persons, zero = made.persons[row], made.zero[row]
    end = made.end[persons]
    at = made.rating[persons]
    days = at // DAY - zero[:, None] // DAY
    after = (at > zero[:, None]) & (days <= window.day + window.half_width) & (at <= end[:, None]) & (at != NEVER)
    scores = item_mean(made.scene.factual.items[persons])
    distance = np.abs(days - window.day)
    inside = after & (distance <= window.half_width)
    nearest = np.where(inside, distance, NEVER).argmin(axis=1)
    in_window = np.take_along_axis(scores, nearest[:, None], axis=1)[:, 0]
    ended = end != NEVER
    died = ended & (made.scene.factual.end[persons] == DIED)
    reasons = np.array([None, *END_REASON.values()], dtype=object)
    return pd.DataFrame(
        {
            "ta_id": pd.Series(ta_ids, dtype="str"),
            "end_reason": pd.Series(reasons[np.where(ended, made.scene.factual.end[persons], 0)], dtype="str"),
            "window_score": np.where(inside.any(axis=1), in_window, np.nan),
            "last_score": _last(scores, after & (at > closes(made, study)[row][:, None])),
            "ended_after_days": np.where(ended, end - zero, np.nan) / DAY,
            "died_after_days": np.where(died, end // DAY * DAY - zero, np.nan) / DAY,
        }
    )


def truth_of(made: Recorded, ta_ids: Sequence[str]) -> pd.DataFrame:
    """Potential outcomes of these candidate occasions, one row each, as in the truth of the extract."""
    row = pd.Index(made.ids).get_indexer(ta_ids)
    candidates = Candidates(
        persons=made.persons[row],
        periods=made.periods[row],
        treated=made.scene.factual.warned[made.persons[row], made.periods[row]],
    )
    outcomes = potential_outcomes(made.scene.parameters, made.scene.course, made.scene.factual, candidates)
    return outcomes.assign(ta_id=list(ta_ids))


def ever_warned_contrast(made: Recorded) -> float:
    """Share of relationships the patient ended within six months of intake, ever warned minus never warned.

    The analysis a toy would run. Whoever is warned late must first have stayed that long, so the warned look as if a
    warning kept them in treatment. The whole difference is immortal time (Suissa 2008, Am J Epidemiol 167:492-499); it
    is here to be beaten, not to be used.
    """
    scene, taken = made.scene, made.what.actions
    everyone = np.arange(len(made.end))
    warned = np.zeros(len(everyone), dtype=np.bool_)
    warned[made.persons[taken.occasions[taken.kind <= 1]]] = True
    days = (made.end - scene.absolute(everyone, scene.course.intake_second)) / DAY
    left = (days <= SIX_MONTHS) & np.isin(scene.factual.end, (LEFT, LOST))
    return float(left[warned].mean() - left[~warned].mean())
