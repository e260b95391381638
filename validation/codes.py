"""Codes that match nothing: a code set changed, a spelling slipped, and the rows that carry it fall out in silence.

Rows whose code is not declared are set aside by `validation.rules`; here their share is held to a limit column by
column, and what one table says is compared with what another expects. Names are shown only where they are declarations
of the site (professions of the table of regimes), never where a row of a person says them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import ibis.expr.types as ir

from causal.cohort.language.rows import below
from causal.measures.detectors import Finding
from causal.protocol import Instrument
from causal.tables import CLINICIANS, CLINICS, DIAGNOSES, JURISDICTION_REGIME, MEASURES, Rule, Table
from validation.rules import code
from validation.shares import at_most_share
from validation.spelling import zones_that_are
from validation.verdict import Verdict, at_least, at_most, not_evaluated
from validation.words import holds, listed

ANY = "any"
ENOUGH_DIAGNOSES = 1_000
"""Diagnoses in which a code list that matches none of them is wrong rather than rare."""
_ICD_10 = r"^[A-Z][0-9][0-9A-Z](\.?[0-9A-Z]{1,4})?$"
_ICD_9 = r"^[0-9]{3}(\.?[0-9]{1,2})?$"


def judge_spelling(declared: Table, rows: int, changed: Mapping[str, int]) -> Iterator[Verdict]:
    """For information: how much was written with blanks or in another case."""
    if changed:
        worst = Finding(count=max(changed.values()), of=rows)
        yield at_most_share(
            f"extract.respelt.{declared.name}",
            worst,
            1.0,
            f"largest share of rows of table '{declared.name}' whose code in one column is written with blanks or in "
            f"another case, and read as declared: {listed(sorted(changed))}",
        )


def judge_unmatched(declared: Table, rows: int, counts: Mapping[str, int], limit: float) -> Iterator[Verdict]:
    """The largest share of rows of one table with an undeclared code in one column; names the columns."""
    coded = [column.name for column in declared.columns if column.values]
    if not coded:
        return
    found = {name: counts.get(code(declared.name, name, Rule.NOT_ALLOWED), 0) for name in coded}
    named = sorted(name for name, n in found.items() if n)
    yield at_most_share(
        f"extract.unmatched.{declared.name}",
        Finding(count=max(found.values()), of=rows),
        limit,
        f"largest share of rows of table '{declared.name}' whose code in one column is none that is declared"
        + (f": {listed(named)}" if named else ""),
    )


def judge_zones(clinics: ir.Table) -> Verdict:
    """Clinics in a time zone that no engine knows: their hours cannot be counted."""
    unknown = int(
        clinics.filter(clinics.tz.notnull() & clinics.tz.notin(zones_that_are(clinics.tz))).count().to_pyarrow().as_py()
    )
    return at_most("extract.time_zones", unknown, 0, "clinics whose tz is no IANA time zone, such as America/New_York")


def judge_regime_codes(tables: Mapping[str, ir.Table], limit: float) -> Iterator[Verdict]:
    """Whether the states and professions of the table of regimes are those of the clinics and clinicians."""
    regimes = tables[JURISDICTION_REGIME.name].select("state", "profession").distinct()
    known = {ANY, *CLINICIANS.column("profession").values}
    odd = sorted(set(regimes.profession.to_pyarrow().to_pylist()) - known - {None, ""})
    yield holds(
        "extract.regime_professions",
        f"professions in table 'jurisdiction_regime' that no clinician can have: {listed(odd)}; declared are "
        f"{listed(sorted(known))}"
        if odd
        else "",
        "every profession in table 'jurisdiction_regime' is one that a clinician can have, or 'any'",
    )
    clinics = tables[CLINICS.name].select("clinic_id", "state")
    placed = clinics.semi_join(regimes, "state")
    lost, of = _size(clinics) - _size(placed), _size(clinics)
    sentence = "share of clinics whose state is in no row of table 'jurisdiction_regime', so that no law is known there"
    yield at_most("extract.regime_states", lost / of if of else 0.0, limit, sentence)
    working = tables[CLINICIANS.name].select("clinician_id", "clinic_id", "profession").inner_join(placed, "clinic_id")
    lines = regimes.rename(line="profession")
    met = working.inner_join(lines, "state")
    met = met.filter((met.line == met.profession) | (met.line == ANY)).select("clinician_id").distinct()
    lost, of = _size(working) - _size(met), _size(working)
    sentence = (
        "share of clinicians whose state has legal regimes, but none for their profession and none for any: has a "
        "profession another name there?"
    )
    yield at_most("extract.regime_clinicians", lost / of if of else 0.0, limit, sentence)


def judge_diagnosis_codes(
    diagnoses: ir.Table, codelists: Mapping[str, Sequence[str]], limit: float
) -> Iterator[Verdict]:
    """Whether diagnoses are ICD-10 codes, and whether every code list of the study matches some."""
    said = diagnoses.icd10.strip().upper()
    shape, old = said.re_search(_ICD_10), said.re_search(_ICD_9)
    sums = {name: below(diagnoses.icd10, codes).sum().fill_null(0) for name, codes in codelists.items()}
    row = (
        diagnoses.aggregate(n=diagnoses.count(), odd=(~shape).sum(), old=old.sum(), **sums).to_pyarrow().to_pylist()[0]
    )
    n, odd, looks_old = int(row["n"]), int(row["odd"] or 0), int(row["old"] or 0)
    yield at_most_share(
        "extract.diagnosis_codes",
        Finding(count=odd, of=n),
        limit,
        f"share of codes in {DIAGNOSES.name}.icd10 that are not shaped as ICD-10 codes are"
        + ("; some are shaped as those of ICD-9" if looks_old else ""),
    )
    for name in codelists:
        label = f"extract.code_list.{name}"
        sentence = f"at least one diagnosis has a code of the list '{name}'"
        if n < ENOUGH_DIAGNOSES:
            yield not_evaluated(label, f"{sentence}: fewer than {ENOUGH_DIAGNOSES:,} diagnoses, not judged")
        else:
            yield at_least(label, float(row[name] > 0), 1, sentence)


def judge_versions(measures: ir.Table, instruments: Mapping[str, Instrument], limit: float) -> Iterator[Verdict]:
    """Forms that the key's own rater answered under a version the key is not for: no analysis would count them."""
    for name, key in sorted(instruments.items()):
        if key.rater is None:
            continue
        forms = measures.filter((measures.instrument == name) & (measures.rater == key.rater))
        row = forms.aggregate(n=forms.count(), other=(forms.version != key.version).sum()).to_pyarrow().to_pylist()[0]
        sentence = (
            f"share of forms of {name} by the {key.rater} recorded in {MEASURES.name}.version as another than "
            f"'{key.version}', which no analysis counts"
        )
        found = Finding(count=int(row["other"] or 0), of=int(row["n"]))
        yield at_most_share(f"extract.other_version.{name}", found, limit, sentence)


def _size(rows: ir.Table) -> int:
    return int(rows.count().to_pyarrow().as_py())
