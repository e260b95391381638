"""Every covariate a study may name: what it means, its unit, and over which rows before time zero it is taken.

All are computed from rows dated strictly before the occasion's time zero (rows that carry only a date: before the day
of time zero), or recorded by the assessment itself as its content.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateDefinition:
    """One covariate.

    `tables` are those it is taken from, without a row of which it says nothing; `window_days` counts back from time
    zero (None: the whole record).
    """

    name: str
    label: str
    meaning: str
    unit: str
    tables: tuple[str, ...]
    binary: bool = False
    can_be_missing: bool = False
    window_days: int | None = None


def _definition(
    table: str, name: str, label: str, meaning: str, unit: str, window_days: int | None = None
) -> CovariateDefinition:
    return CovariateDefinition(
        name=name, label=label, meaning=meaning, unit=unit, tables=(table,), window_days=window_days
    )


def _flag(table: str, name: str, label: str, meaning: str, window_days: int | None = None) -> CovariateDefinition:
    return CovariateDefinition(
        name=name,
        label=label,
        meaning=meaning,
        unit="yes or no",
        tables=(table,),
        binary=True,
        window_days=window_days,
    )


def _score(name: str, label: str, meaning: str, unit: str, window_days: int) -> CovariateDefinition:
    return CovariateDefinition(
        name=name,
        label=label,
        meaning=meaning,
        unit=unit,
        tables=("measures",),
        can_be_missing=True,
        window_days=window_days,
    )


COVARIATES: dict[str, CovariateDefinition] = {
    definition.name: definition
    for definition in (
        _score(
            "alliance_lag1", "Alliance, last 30 days", "latest rating of the index dyad 0-30 days before", "points", 30
        ),
        _score("alliance_lag2", "Alliance, 31-60 days before", "latest rating 31-60 days before", "points", 60),
        _score("alliance_lag3", "Alliance, 61-90 days before", "latest rating 61-90 days before", "points", 90),
        _score("phq9", "Depression (PHQ-9)", "latest PHQ-9 total in the 180 days before", "points", 180),
        _definition("threat_assessments", "severity", "Threat severity", "severity score of the assessment", "points"),
        _flag(
            "threat_assessments",
            "target_identified",
            "Identifiable target",
            "the assessment names an identifiable possible victim",
        ),
        _flag("threat_assessments", "means_access", "Access to means", "the assessment records access to means"),
        _flag(
            "threat_assessments",
            "history_violence",
            "History of violence",
            "the assessment records a history of violence",
        ),
        _definition(
            "episodes", "tenure_months", "Months in treatment", "30-day months since the relationship began", "months"
        ),
        _definition(
            "encounters",
            "visits_90d",
            "Visits in 90 days",
            "completed contacts with the index clinician",
            "contacts",
            90,
        ),
        _definition(
            "encounters",
            "missed_180d",
            "Missed visits in 180 days",
            "no-shows and patient cancellations",
            "contacts",
            180,
        ),
        _flag("diagnoses", "sud", "Substance use disorder", "any ICD-10 F10-F19 with an onset before time zero"),
        _flag("diagnoses", "psychosis", "Psychotic disorder", "any ICD-10 F20-F29 with an onset before time zero"),
        _flag(
            "hospitalizations",
            "hospitalised_365d",
            "Inpatient in past year",
            "any inpatient admission in the 365 days before",
            365,
        ),
        _definition(
            "threat_assessments",
            "prior_assessments",
            "Earlier assessments",
            "threat assessments earlier in the record",
            "assessments",
        ),
        _definition("patients", "age", "Age", "age at time zero: calendar year less year of birth, less one", "years"),
        _flag("patients", "male", "Male", "administrative sex M"),
        _flag(
            "jurisdiction_regime",
            "regime_mandatory",
            "Mandatory regime",
            "a mandatory duty regime was in force at time zero",
        ),
        _flag(
            "jurisdiction_regime",
            "regime_permissive",
            "Permissive regime",
            "a permissive regime was in force at time zero",
        ),
        _definition("threat_assessments", "calendar_years", "Calendar time", "years since 1 January 2018", "years"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A fact of several levels, of which the catalogue holds an indicator of all `levels` but the `last`."""

    levels: tuple[str, ...]
    last: CovariateDefinition


CATEGORIES: tuple[Category, ...] = (
    Category(
        levels=("regime_mandatory", "regime_permissive"),
        last=_flag("jurisdiction_regime", "regime_none", "No duty in force", "neither of the two regimes was in force"),
    ),
)
"""Balance is shown, judged and measured at every level; models do without the last."""

DESCRIBED: dict[str, CovariateDefinition] = COVARIATES | {category.last.name: category.last for category in CATEGORIES}
"""Every covariate a page may name: the catalogue's, and the last levels of its categories."""

EXACT_KEYS: dict[str, str] = {
    "regime": "legal regime in force at time zero",
    "same_day_hold": "involuntary or voluntary hold within the same day, part of neither strategy",
    "instrument_ver": "version of the assessment instrument",
    "clinic_id": "clinic",
    "clinician_id": "clinician",
}
"""Keys on which compared occasions can be made to agree."""

CODE_LISTS: dict[str, tuple[str, ...]] = {
    "sud": ("F10", "F11", "F12", "F13", "F14", "F15", "F16", "F17", "F18", "F19"),
    "psychosis": ("F20", "F21", "F22", "F23", "F24", "F25", "F26", "F27", "F28", "F29"),
}
"""ICD-10 blocks of the diagnosis covariates; every code below a block belongs to it."""

CODE_LIST_SOURCES: dict[str, str] = {
    "sud": "ICD-10, 2019: WHO ICD-10 chapter V block F10-F19",
    "psychosis": "ICD-10, 2019: WHO ICD-10 chapter V block F20-F29",
}
"""System, version and source of each list, as `configs/codelists` has them."""

NEAREST_LAGS = ("alliance_lag1", "alliance_lag2", "alliance_lag3")
"""Covariates that may stand in for one another when one is missing, nearest first."""
