"""Every table and column that crosses a boundary, declared once.

The expectation suites, the quarantine reasons, the data dictionary and the simulator's output all read this file.
A value that breaks a declaration is a *violation*; its reason code is ``<table>.<column>:<rule>`` with the rules of
`Rule`. Ids are opaque text everywhere; timestamps are clinic-local wall-clock times without a zone, midnight standing
for the whole day; dates are ISO. Categories are codes: blanks around them and the case of letters do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Storage type of a column; `ID` and `CATEGORY` are text."""

    ID = "id"
    CATEGORY = "category"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Case(StrEnum):
    """How the letters of a code are written."""

    UPPER = "upper"
    LOWER = "lower"


class Rule(StrEnum):
    """Why a row can be quarantined."""

    MISSING = "missing"  # a required value is null or blank
    UNREADABLE = "unreadable"  # the text does not parse as the declared kind
    NOT_ALLOWED = "not_allowed"  # not one of the declared categories
    OUT_OF_RANGE = "out_of_range"  # below `low` or above `high`, or a date outside the calendar bounds
    DUPLICATE_KEY = "duplicate_key"  # second and later rows with the same key
    ORPHAN = "orphan"  # names a row of another table that is not there
    OUT_OF_ORDER = "out_of_order"  # later than it may be, or earlier
    OUT_OF_INSTRUMENT = "out_of_instrument"  # an item response the named instrument does not have


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `low`/`high` are inclusive, in `unit`; `values` are the allowed categories.

    `known_at` names the column of the same row that says when this one became known, where that is later than the row's
    own date: a relationship carries its end from the day it began to be recorded, and nobody knew it then. What is not
    yet known at an occasion's time zero reads there as not recorded.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = True
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str = ""
    optional: bool = False  # the whole column may be absent from an extract
    case: Case | None = None  # how a category without `values` is written; blanks and case never tell two codes apart
    known_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """`column` names a row of `table` by that table's (single-column) key; null is allowed where the column is."""

    column: str
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`earlier` <= `later`, compared at day grain when either is a date; skipped where one is null.

    `later` violates, so the reason code is ``<table>.<later>:out_of_order``. When `via` is given, `earlier` is a
    column of table `via.table`, reached through the foreign key `via`.
    """

    earlier: str
    later: str
    via: ForeignKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table; `grain` says what a row is. `key` is empty where rows have no identity of their own.

    `dated` names the column that says when a row happened, or began; `until` the one that says when it ended. Without
    `dated` a row is a standing fact.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    orders: tuple[Order, ...] = ()
    optional: bool = False  # the whole table may be absent from an extract
    dated: str = ""
    until: str = ""

    def column(self, name: str) -> Column:
        """The declaration of one column; raises `KeyError` if the table has none of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


EARLIEST_DATE = "1990-01-01"
LATEST_DATE = "2099-12-31"
"""Dates outside [EARLIEST_DATE, LATEST_DATE] are sentinels or typing errors: `Rule.OUT_OF_RANGE`. The manifest's
`as_of` date, when given, replaces LATEST_DATE, so dates in the future are caught too (open ends, such as a regime's
`valid_to`, are null, never 9999-12-31)."""

OLDEST = 110
"""Nobody on record is older at `as_of`, in years, or born after it: ``patients.birth_year:out_of_range``."""

ITEM_COLUMNS: tuple[str, ...] = tuple(f"itm_{i:02d}" for i in range(1, 37))

ACTIONS = ("warn_victim", "warn_police", "hold_vol", "hold_invol", "intensify", "med_change", "family_contact")
END_REASONS = ("pt_initiated", "clin_initiated", "transfer", "completed", "lost", "death", "incarcerated")
ENDED_BY_PATIENT = ("pt_initiated", "lost")
REGIMES = ("mandatory", "permissive", "none")
INSTRUMENTS = (
    *("wai_sr", "wai_36", "wai_s", "haq_ii", "gcq_s", "arm_5", "miti", "phq9", "gad7"),
    *("star_p", "calpas_p", "softa_s"),  # their keys are for a site to supply
)
RATERS = ("patient", "clinician", "observer", "caregiver")


def _id(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name=name, kind=Kind.ID, meaning=meaning, required=required)


PATIENTS = Table(
    name="patients",
    grain="one person",
    key=("person_id",),
    columns=(
        _id("person_id", "opaque id of the person"),
        Column(name="birth_year", kind=Kind.INTEGER, meaning="year of birth", low=1900, high=2030, unit="year"),
        Column(name="sex", kind=Kind.CATEGORY, meaning="administrative sex", values=("F", "M", "X", "U")),
        Column(
            name="race_eth",
            kind=Kind.CATEGORY,
            meaning="race and ethnicity, site coding reduced to five groups",
            values=("asian", "black", "hispanic", "other", "white"),
            required=False,
        ),
        Column(
            name="insurance",
            kind=Kind.CATEGORY,
            meaning="payer at intake",
            values=("private", "medicaid", "medicare", "self", "other"),
            required=False,
        ),
        Column(
            name="death_date",
            kind=Kind.DATE,
            meaning="date of death, null while alive",
            required=False,
            known_at="death_date",
        ),
    ),
)

CLINICS = Table(
    name="clinics",
    grain="one clinic",
    key=("clinic_id",),
    columns=(
        _id("clinic_id", "opaque id of the clinic"),
        Column(name="state", kind=Kind.CATEGORY, meaning="jurisdiction code of the clinic", case=Case.UPPER),
        Column(
            name="type",
            kind=Kind.CATEGORY,
            meaning="kind of clinic",
            values=("community", "hospital", "university", "private"),
        ),
        Column(name="tz", kind=Kind.CATEGORY, meaning="IANA time zone in which the clinic's timestamps are written"),
    ),
)

CLINICIANS = Table(
    name="clinicians",
    grain="one clinician",
    key=("clinician_id",),
    columns=(
        _id("clinician_id", "opaque id of the clinician"),
        _id("clinic_id", "clinic where the clinician works"),
        Column(
            name="profession",
            kind=Kind.CATEGORY,
            meaning="licensed profession",
            values=("psychologist", "psychiatrist", "social_worker", "counsellor"),
        ),
        Column(name="hire_date", kind=Kind.DATE, meaning="first day at the clinic", required=False),
        Column(name="end_date", kind=Kind.DATE, meaning="last day at the clinic", required=False, known_at="end_date"),
    ),
    foreign_keys=(ForeignKey(column="clinic_id", table="clinics"),),
    orders=(Order(earlier="hire_date", later="end_date"),),
)

JURISDICTION_REGIME = Table(
    name="jurisdiction_regime",
    grain="one legal regime of one state and profession over one span of dates",
    key=("state", "profession", "valid_from"),
    dated="valid_from",
    until="valid_to",
    columns=(
        Column(name="state", kind=Kind.CATEGORY, meaning="jurisdiction code", case=Case.UPPER),
        Column(name="profession", kind=Kind.CATEGORY, meaning="licensed profession, or 'any'", case=Case.LOWER),
        Column(name="valid_from", kind=Kind.DATE, meaning="first day on which the regime holds"),
        Column(
            name="valid_to", kind=Kind.DATE, meaning="last day on which it holds; null while in force", required=False
        ),
        Column(name="regime", kind=Kind.CATEGORY, meaning="duty to warn or protect", values=REGIMES),
        Column(name="source", kind=Kind.CATEGORY, meaning="where the row comes from", required=False, optional=True),
    ),
    orders=(Order(earlier="valid_from", later="valid_to"),),
)

ENCOUNTERS = Table(
    name="encounters",
    grain="one scheduled contact of one person with one clinician",
    key=("enc_id",),
    dated="start_ts",
    columns=(
        _id("enc_id", "opaque id of the contact"),
        _id("person_id", "the person seen"),
        _id("clinician_id", "the clinician seen"),
        Column(name="start_ts", kind=Kind.TIMESTAMP, meaning="scheduled start"),
        Column(name="modality", kind=Kind.CATEGORY, meaning="how they met", values=("in_person", "video", "phone")),
        Column(
            name="status",
            kind=Kind.CATEGORY,
            meaning="what became of it",
            values=("completed", "no_show", "cancel_pt", "cancel_clinic"),
        ),
    ),
    foreign_keys=(
        ForeignKey(column="person_id", table="patients"),
        ForeignKey(column="clinician_id", table="clinicians"),
    ),
)

THREAT_ASSESSMENTS = Table(
    name="threat_assessments",
    grain="one structured threat assessment",
    key=("ta_id",),
    dated="ts",
    columns=(
        _id("ta_id", "opaque id of the assessment"),
        _id("person_id", "the person assessed"),
        _id("clinician_id", "the assessing clinician"),
        Column(name="ts", kind=Kind.TIMESTAMP, meaning="when the assessment was completed: time zero"),
        Column(
            name="instrument_ver",
            kind=Kind.CATEGORY,
            meaning="version of the structured instrument",
            values=("v1", "v2"),
        ),
        Column(name="severity", kind=Kind.NUMBER, meaning="severity score", low=0, high=10, unit="points"),
        Column(name="target_identified", kind=Kind.BOOLEAN, meaning="an identifiable possible victim was named"),
        Column(name="means_access", kind=Kind.BOOLEAN, meaning="access to means"),
        Column(name="history_violence", kind=Kind.BOOLEAN, meaning="history of violence recorded"),
    ),
    foreign_keys=(
        ForeignKey(column="person_id", table="patients"),
        ForeignKey(column="clinician_id", table="clinicians"),
    ),
)

PROTECTIVE_ACTIONS = Table(
    name="protective_actions",
    grain="one protective action taken for one assessment or person",
    key=("action_id",),
    dated="ts",
    columns=(
        _id("action_id", "opaque id of the action"),
        _id("ta_id", "the assessment it answers; null where the source did not link them", required=False),
        _id("person_id", "the person assessed"),
        Column(name="ts", kind=Kind.TIMESTAMP, meaning="when the action was taken"),
        Column(name="action", kind=Kind.CATEGORY, meaning="what was done", values=ACTIONS),
        Column(
            name="patient_informed",
            kind=Kind.CATEGORY,
            meaning="whether and when the person was told of a disclosure",
            values=("before", "after", "no", "unknown"),
            required=False,
        ),
    ),
    foreign_keys=(
        ForeignKey(column="ta_id", table="threat_assessments"),
        ForeignKey(column="person_id", table="patients"),
    ),
    orders=(Order(earlier="ts", later="ts", via=ForeignKey(column="ta_id", table="threat_assessments")),),
)

SET_ASIDE = f"{PROTECTIVE_ACTIONS.name}_set_aside"
"""Optional table of the action rows that validation set aside: the same columns as protective_actions."""

MEASURES = Table(
    name="measures",
    grain="one completed questionnaire",
    key=("person_id", "clinician_id", "instrument", "rater", "admin_ts"),
    dated="admin_ts",
    columns=(
        _id("person_id", "the person the rating is about"),
        _id("clinician_id", "the clinician of the rated pair; for symptom scales, who ordered it"),
        Column(
            name="instrument",
            kind=Kind.CATEGORY,
            meaning="key in configs/instruments",
            values=INSTRUMENTS,
        ),
        Column(
            name="version",
            kind=Kind.CATEGORY,
            meaning="version of the instrument",
            values=("client", "patient", "therapist", "observer", "caregiver", "std", "v4_2_1"),
        ),
        Column(name="rater", kind=Kind.CATEGORY, meaning="who answered", values=RATERS),
        Column(name="admin_ts", kind=Kind.TIMESTAMP, meaning="when it was completed"),
        Column(name="scheduled_ts", kind=Kind.TIMESTAMP, meaning="when the schedule asked for it", required=False),
        Column(
            name="scheduled_at",
            kind=Kind.TIMESTAMP,
            meaning="when this administration was put on the schedule",
            required=False,
            optional=True,
        ),
        Column(
            name="completion_seconds",
            kind=Kind.NUMBER,
            meaning="time from first to last answer",
            required=False,
            low=0,
            unit="second",
            optional=True,
        ),
        Column(
            name="loinc",
            kind=Kind.CATEGORY,
            meaning="LOINC code under which it was recorded",
            required=False,
            optional=True,
        ),
        *(
            Column(
                name=item,
                kind=Kind.INTEGER,
                meaning=f"response to item {int(item[-2:])}",
                required=False,
                unit="response",
                optional=True,
            )
            for item in ITEM_COLUMNS
        ),
    ),
    foreign_keys=(
        ForeignKey(column="person_id", table="patients"),
        ForeignKey(column="clinician_id", table="clinicians"),
    ),
)

DIAGNOSES = Table(
    name="diagnoses",
    grain="one recorded diagnosis of one person",
    dated="onset",
    columns=(
        _id("person_id", "the person"),
        Column(name="icd10", kind=Kind.CATEGORY, meaning="ICD-10 code, dotted or not", case=Case.UPPER),
        Column(name="onset", kind=Kind.DATE, meaning="date recorded"),
        Column(
            name="source", kind=Kind.CATEGORY, meaning="where recorded", values=("encounter", "problem_list", "claim")
        ),
    ),
    foreign_keys=(ForeignKey(column="person_id", table="patients"),),
)

HOSPITALIZATIONS = Table(
    name="hospitalizations",
    grain="one inpatient stay",
    dated="admit",
    until="discharge",
    columns=(
        _id("person_id", "the person"),
        Column(name="admit", kind=Kind.DATE, meaning="day of admission"),
        Column(
            name="discharge",
            kind=Kind.DATE,
            meaning="day of discharge; null while inpatient",
            required=False,
            known_at="discharge",
        ),
        Column(name="type", kind=Kind.CATEGORY, meaning="kind of stay", values=("psychiatric", "medical")),
        Column(
            name="legal_status",
            kind=Kind.CATEGORY,
            meaning="legal status on admission",
            values=("voluntary", "involuntary"),
            required=False,
        ),
    ),
    foreign_keys=(ForeignKey(column="person_id", table="patients"),),
    orders=(Order(earlier="admit", later="discharge"),),
)

EPISODES = Table(
    name="episodes",
    grain="one treatment relationship of one person with one clinician",
    key=("person_id", "clinician_id", "start"),
    dated="start",
    until="end",
    columns=(
        _id("person_id", "the person"),
        _id("clinician_id", "the clinician"),
        Column(name="start", kind=Kind.TIMESTAMP, meaning="first contact"),
        Column(
            name="end",
            kind=Kind.TIMESTAMP,
            meaning="end of the relationship; null while it lasts",
            required=False,
            known_at="end",
        ),
        Column(
            name="end_reason",
            kind=Kind.CATEGORY,
            meaning="why it ended; null while it lasts",
            values=END_REASONS,
            required=False,
            known_at="end",
        ),
    ),
    foreign_keys=(
        ForeignKey(column="person_id", table="patients"),
        ForeignKey(column="clinician_id", table="clinicians"),
    ),
    orders=(Order(earlier="start", later="end"),),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        PATIENTS,
        CLINICS,
        CLINICIANS,
        JURISDICTION_REGIME,
        ENCOUNTERS,
        THREAT_ASSESSMENTS,
        PROTECTIVE_ACTIONS,
        MEASURES,
        DIAGNOSES,
        HOSPITALIZATIONS,
        EPISODES,
    )
}
"""All tables of an extract, in an order in which every foreign key points backwards."""
