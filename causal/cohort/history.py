"""Covariates of each occasion, from rows dated strictly before its time zero.

Rows that carry a timestamp count when it is before time zero; rows that carry only a date (midnight is one, see
`causal.cohort.clock`) count when it is before the day of time zero. Counts and latest values only: every figure is
exact integer arithmetic or one recorded value, so it does not depend on the order in which rows are read.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from causal.cohort.catalogue import CODE_LISTS
from causal.cohort.clock import before, on_the_clock_of, since, zones
from causal.measures.scoring import score_expression, subscale_expression
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import Rating
from causal.protocol.target_trial import PriorContacts, PriorRating

ALLIANCE_DAYS, SYMPTOM_DAYS = 90, 180
SUBSCALE = "subscale_"


def scored_ratings(
    measures: ir.Table, people: ir.Table, instrument: Instrument, rater: str, subscales: tuple[str, ...] = ()
) -> ir.Table:
    """Usable ratings of one instrument by one rater, for `people`: person_id, clinician_id, admin_ts, score.

    A rating is usable when the instrument's item-count rule gives it a score. For each of `subscales` there is a column
    ``subscale_<name>`` too.
    """
    chosen = measures.filter(
        (measures.instrument == instrument.id) & (measures.version == instrument.version) & (measures.rater == rater)
    ).semi_join(people, "person_id")
    parts = {f"{SUBSCALE}{name}": subscale_expression(chosen, instrument, name) for name in subscales}
    scored = chosen.select("person_id", "clinician_id", "admin_ts", score=score_expression(chosen, instrument), **parts)
    return scored.filter(scored.score.notnull())


def _keys(occasions: ir.Table) -> ir.Table:
    return occasions.select(
        "ta_id", "person_id", "clinician_id", "time_zero", "day_zero", "zero_first", "zero_last", "zone"
    )


def _scored_before(joined: ir.Table, instrument: Instrument, rater: str, days: int) -> ir.Table:
    """Questionnaires in the days before time zero among `joined` occasions and questionnaires, with their score.

    The score is null where there is none. Such rows are not filtered out here: an engine would move that filter ahead
    of the join and score every questionnaire there is, which costs more than the rest of the cohort.
    """
    chosen = joined.filter(
        (joined.instrument == instrument.id)
        & (joined.version == instrument.version)
        & (joined.rater == rater)
        & before(joined.admin_ts, joined)
        & since(joined.admin_ts, joined, days)
    )
    return chosen.select("ta_id", "day_zero", "zero_first", "admin_ts", score=score_expression(chosen, instrument))


def alliance_history(
    occasions: ir.Table, measures: ir.Table, instrument: Instrument, rater: str, eligibility: PriorRating | None
) -> ir.Table:
    """Latest rating of the index dyad in each of three 30-day windows, and the number of ratings eligibility asks for.

    Without such a rule the number is of the last 90 days.
    """
    within_days = eligibility.within_days if eligibility else ALLIANCE_DAYS
    joined = _keys(occasions).inner_join(measures, ["person_id", "clinician_id"])
    past = _scored_before(joined, instrument, rater, max(ALLIANCE_DAYS, within_days))

    def within(days: int) -> ir.BooleanValue:
        return past.score.notnull() & since(past.admin_ts, past, days)

    return past.group_by("ta_id").aggregate(
        alliance_lag1=past.score.argmax(past.admin_ts, where=within(30)),
        alliance_lag2=past.score.argmax(past.admin_ts, where=within(60) & ~within(30)),
        alliance_lag3=past.score.argmax(past.admin_ts, where=within(ALLIANCE_DAYS) & ~within(60)),
        n_ratings=past.count(where=within(within_days)),
    )


def symptom_history(
    occasions: ir.Table, measures: ir.Table, instrument: Instrument, clinician_zones: ir.Table
) -> ir.Table:
    """Latest PHQ-9 total in the 180 days before time zero; of two at one instant, the higher."""
    there = clinician_zones.rename(zone_there="zone")
    joined = _keys(occasions).drop("clinician_id").inner_join(measures, "person_id")
    joined = joined.left_join(there, "clinician_id").drop("clinician_id_right")
    joined = joined.mutate(admin_ts=on_the_clock_of(joined.admin_ts, joined.zone_there, joined.zone))
    past = _scored_before(joined, instrument, "patient", SYMPTOM_DAYS)
    # One integer orders candidates: latest first, then higher. Totals of one form differ by more than a thousandth.
    order = past.admin_ts.epoch_seconds() * 10**6 + (past.score * 1000).round().cast("int64")
    return past.group_by("ta_id").aggregate(phq9=past.score.argmax(order, where=past.score.notnull()).cast("float64"))


def contact_history(occasions: ir.Table, encounters: ir.Table, eligibility: PriorContacts | None) -> ir.Table:
    """Completed and missed contacts with the index clinician before time zero."""
    contacts = encounters.select("person_id", "clinician_id", "start_ts", "status")
    joined = _keys(occasions).inner_join(contacts, ["person_id", "clinician_id"])
    past = joined.filter(before(joined.start_ts, joined))

    def within(days: int) -> ir.BooleanValue:
        return since(past.start_ts, past, days)

    completed = past.status == "completed"
    missed = past.status.isin(("no_show", "cancel_pt"))
    asked = within(eligibility.within_days) if eligibility else ibis.literal(True)
    return past.group_by("ta_id").aggregate(
        visits_90d=past.count(where=completed & within(90)),
        missed_180d=past.count(where=missed & within(180)),
        n_contacts=past.count(where=completed & asked),
    )


def diagnosis_history(occasions: ir.Table, diagnoses: ir.Table) -> ir.Table:
    """Whether any diagnosis of each group was recorded before the day of time zero."""
    joined = _keys(occasions).inner_join(diagnoses.select("person_id", "icd10", "onset"), "person_id")
    past = joined.filter(joined.onset < joined.day_zero)
    code = past.icd10.strip().upper().left(3)
    return past.group_by("ta_id").aggregate(
        **{name: code.isin(blocks).any().cast("int8") for name, blocks in CODE_LISTS.items()}
    )


def inpatient_history(occasions: ir.Table, stays: ir.Table) -> ir.Table:
    """Whether the person was admitted in the year before, and is an inpatient on the day of time zero."""
    joined = _keys(occasions).inner_join(stays.select("person_id", "admit", "discharge"), "person_id")
    past = joined.filter(joined.admit < joined.day_zero)
    year = past.admit >= past.day_zero - ibis.interval(days=365)
    still = past.discharge.isnull() | (past.discharge >= past.day_zero)
    return past.group_by("ta_id").aggregate(hospitalised_365d=year.any().cast("int8"), inpatient=still.any())


def assessment_history(occasions: ir.Table) -> ir.Table:
    """Number of the person's assessments before this one."""
    keys = _keys(occasions)
    others = keys.select("person_id", other_zero="time_zero", other_zone="zone")
    joined = keys.inner_join(others, "person_id")
    earlier = before(on_the_clock_of(joined.other_zero, joined.other_zone, joined.zone), joined)
    return joined.group_by("ta_id").aggregate(prior_assessments=earlier.sum())


def history(
    occasions: ir.Table,
    tables: dict[str, ir.Table],
    study: OccasionStudy,
    instruments: dict[str, Instrument],
) -> ir.Table:
    """All covariates of the catalogue and the counts the eligibility rules ask for; one row per occasion.

    Covariates that nobody recorded are null where the catalogue says they can be missing, and zero where absence of a
    row is the value (no diagnosis, no stay, no contact).
    """
    assert isinstance(study.outcome, Rating)
    rules = study.target_trial.eligibility
    rating_rule = next((rule for rule in rules if isinstance(rule, PriorRating)), None)
    contact_rule = next((rule for rule in rules if isinstance(rule, PriorContacts)), None)
    instrument, rater = instruments[study.outcome.instrument], study.outcome.rater
    parts = (
        alliance_history(occasions, tables["measures"], instrument, rater, rating_rule),
        symptom_history(occasions, tables["measures"], instruments["phq9"], zones(tables)),
        contact_history(occasions, tables["encounters"], contact_rule),
        diagnosis_history(occasions, tables["diagnoses"]),
        inpatient_history(occasions, tables["hospitalizations"]),
        assessment_history(occasions),
    )
    joined = occasions
    for part in parts:
        joined = joined.left_join(part, "ta_id").drop("ta_id_right")
    zero = ("n_ratings", "n_contacts", "visits_90d", "missed_180d", "sud", "psychosis", "hospitalised_365d")
    return joined.mutate(
        **{name: joined[name].fill_null(0).cast("int64") for name in (*zero, "prior_assessments")},
        inpatient=joined.inpatient.fill_null(False),
        age=joined.day_zero.year() - joined.birth_year - 1,
        male=(joined.sex == "M").cast("int8"),
        tenure_months=(joined.time_zero.epoch_seconds() - joined.episode_start.epoch_seconds()) / (30 * 86400),
        regime_mandatory=(joined.regime == "mandatory").fill_null(False).cast("int8"),
        regime_permissive=(joined.regime == "permissive").fill_null(False).cast("int8"),
        calendar_years=(joined.time_zero.epoch_seconds() - 1514764800) / (365.25 * 86400),
    ).drop("birth_year", "sex", "day_zero", "episode_start", "zone", "zero_first", "zero_last")
