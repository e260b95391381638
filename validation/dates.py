"""Dates nobody could have: people dead, or not yet born, when something happened; a record that ends early."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from functools import reduce

import ibis
import ibis.expr.types as ir

from causal.cohort.clock import skipped, zones
from causal.measures.detectors import Finding
from causal.tables import CLINICS, ENCOUNTERS, MEASURES, PATIENTS, PROTECTIVE_ACTIONS, THREAT_ASSESSMENTS
from validation.shares import at_most_share
from validation.spelling import zones_that_are
from validation.verdict import Verdict, at_most, not_evaluated

HAPPENED = {
    ENCOUNTERS.name: "start_ts",
    MEASURES.name: "admin_ts",
    THREAT_ASSESSMENTS.name: "ts",
    PROTECTIVE_ACTIONS.name: "ts",
}
"""Tables in which a row means that the person was there, by the column that dates it."""
STREAMS = (ENCOUNTERS.name, MEASURES.name)
"""Tables that go on to the last day as long as anybody is in care."""
SPIKE_LIMIT = 0.05
"""Largest share of people born in one year beyond those born in any year near it."""
ENOUGH = 100
"""People, or rows, below which shares of them say little."""
STRAYS = 1_000
"""One in so many rows may be dated anywhere: the end of the record is where the others end."""


def judge_dates(
    tables: Mapping[str, ir.Table], *, as_of: datetime.date, impossible: float, lag_days: int
) -> Iterator[Verdict]:
    """Verdicts on what the dates of an extract say together; `impossible` is a share of people, `lag_days` a number."""
    happened = {name: _happened(tables[name], name) for name in HAPPENED if name in tables}
    for name in STREAMS:
        if name in happened:
            yield _end_of_record(name, happened[name], as_of, lag_days)
    if happened and PATIENTS.name in tables:
        yield from _people(tables[PATIENTS.name], reduce(ibis.union, happened.values()), impossible)
        yield _spike(tables[PATIENTS.name])
    if THREAT_ASSESSMENTS.name in tables and {"clinics", "clinicians"} <= tables.keys():
        yield _skipped_times(tables, impossible)


def _happened(table: ir.Table, name: str) -> ir.Table:
    rows = table.filter(table.status == "completed") if name == ENCOUNTERS.name else table
    return rows.select("person_id", day=rows[HAPPENED[name]].date())


def _end_of_record(name: str, rows: ir.Table, as_of: datetime.date, lag_days: int) -> Verdict:
    """A record that ends before the extract was taken makes the follow-up of its last months look complete."""
    label = f"extract.record_end.{name}"
    sentence = f"days from the last rows of table '{name}' to the date of the extract, which counts as followed up"
    past = rows.filter(rows.day <= as_of)
    n = int(past.count().to_pyarrow().as_py())
    if n < ENOUGH:
        return not_evaluated(label, f"{sentence}: fewer than {ENOUGH} rows, not judged")
    last = past.order_by(ibis.desc("day")).limit(1, offset=n // STRAYS).to_pyarrow().column("day")[0].as_py()
    return at_most(label, (as_of - last).days, lag_days, sentence)


def _people(patients: ir.Table, happened: ir.Table, impossible: float) -> Iterator[Verdict]:
    joined = happened.inner_join(patients.select("person_id", "birth_year", "death_date"), "person_id")
    found = joined.aggregate(
        people=joined.person_id.nunique(),
        dead=joined.person_id.nunique(where=joined.day > joined.death_date),
        unborn=joined.person_id.nunique(where=joined.day.year() < joined.birth_year),
    )
    row = found.to_pyarrow().to_pylist()[0]
    of, dead, unborn = int(row["people"]), int(row["dead"]), int(row["unborn"])
    yield at_most_share(
        "extract.after_death",
        Finding(count=dead, of=of),
        impossible,
        "share of people with a completed contact, a form, an assessment or an action after the day of their death",
    )
    yield at_most_share(
        "extract.before_birth",
        Finding(count=unborn, of=of),
        impossible,
        "share of people with a completed contact, a form, an assessment or an action before the year of their birth",
    )


def _spike(patients: ir.Table) -> Verdict:
    """A year of birth that stands for "not known" towers above the years around it."""
    known = patients.filter(patients.birth_year.notnull())
    years = known.group_by("birth_year").aggregate(n=known.count())
    born = {int(row["birth_year"]): int(row["n"]) for row in years.to_pyarrow().to_pylist()}
    of = sum(born.values())
    sentence = "largest share of people born in one year beyond those born in any of the two years before and after it"
    if of < ENOUGH:
        return not_evaluated("extract.birth_year_spike", f"{sentence}: fewer than {ENOUGH} people, not judged")
    beyond = max(n - max(born.get(year + k, 0) for k in (-2, -1, 1, 2)) for year, n in born.items())
    return at_most_share("extract.birth_year_spike", Finding(count=max(0, beyond), of=of), SPIKE_LIMIT, sentence)


def _skipped_times(tables: Mapping[str, ir.Table], impossible: float) -> Verdict:
    """Times that no clock showed, because it was put forward past them: other zones, or another clock, wrote them."""
    zoned = tables[THREAT_ASSESSMENTS.name].inner_join(zones(dict(tables)), "clinician_id")
    # Of a zone that is none the engine knows no clock; `judge_zones` refuses it.
    zoned = zoned.filter(zoned.zone.isin(zones_that_are(tables[CLINICS.name].tz)))
    row = zoned.aggregate(n=zoned.count(), never=skipped(zoned.ts, zoned.zone).sum()).to_pyarrow().to_pylist()[0]
    sentence = "share of assessments at a time that the clock of their clinic skipped when it was put forward"
    found = Finding(count=int(row["never"] or 0), of=int(row["n"]))
    return at_most_share("extract.skipped_times", found, impossible, sentence)
