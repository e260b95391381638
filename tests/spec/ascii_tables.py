"""Small worlds written as ASCII tables.

A table has a header and rows, columns divided by ``|``. ``-`` is nothing, ``yes`` and ``no`` are what they say. Columns
and tables that a rule does not touch are left out and take the values of `USUAL` and `STANDING`: one person, one
clinician, one clinic, one legal regime, a relationship that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from asking import rows_of

from causal.cohort.history import history
from causal.cohort.occasions import assessments, candidate_occasions
from causal.protocol import Instrument, OccasionStudy
from causal.tables import ITEM_COLUMNS, TABLES, Column, Kind
from flows.simulate_extract import arrow_schema
from flows.study_file.load import load_instruments, load_study

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
N_ITEMS = 12
Cell = str | int | float | bool | date | datetime | None

STANDING = {
    "patients": "person_id\nann",
    "clinics": "clinic_id\nnorth",
    "clinicians": "clinician_id\ndr_a",
    "jurisdiction_regime": "state | regime\nCA | mandatory",
    "episodes": "person_id\nann",
}
"""Tables as they are when a test does not write them; tables not named here are empty."""

USUAL: dict[str, dict[str, str]] = {
    "patients": {"birth_year": "1980", "sex": "F", "race_eth": "-", "insurance": "-", "death_date": "-"},
    "clinics": {"state": "CA", "type": "community", "tz": "America/Los_Angeles"},
    "clinicians": {"clinic_id": "north", "profession": "psychologist", "hire_date": "-", "end_date": "-"},
    "jurisdiction_regime": {"profession": "any", "valid_from": "2010-01-01", "valid_to": "-"},
    "encounters": {"person_id": "ann", "clinician_id": "dr_a", "modality": "video", "status": "completed"},
    "threat_assessments": {
        "person_id": "ann",
        "clinician_id": "dr_a",
        "ts": "2020-03-10 12:00",
        "instrument_ver": "v1",
        "severity": "5",
        "target_identified": "no",
        "means_access": "no",
        "history_violence": "no",
    },
    "protective_actions": {"person_id": "ann", "ta_id": "t1", "action": "warn_police", "patient_informed": "-"},
    "measures": {
        "person_id": "ann",
        "clinician_id": "dr_a",
        "instrument": "wai_sr",
        "version": "client",
        "rater": "patient",
        "scheduled_ts": "-",
    },
    "diagnoses": {"person_id": "ann", "source": "encounter"},
    "hospitalizations": {"person_id": "ann", "type": "psychiatric", "legal_status": "voluntary"},
    "episodes": {
        "person_id": "ann",
        "clinician_id": "dr_a",
        "start": "2019-09-10 12:00",
        "end": "-",
        "end_reason": "-",
    },
}
"""What a column holds when a test leaves it out. Ids that number rows are made up (e1, e2, …)."""


@cache
def study() -> OccasionStudy:
    """The flagship study as delivered."""
    loaded = load_study(CONFIGS / "studies" / "duty_to_warn.yaml").study
    assert isinstance(loaded, OccasionStudy)
    return loaded


@cache
def instruments() -> dict[str, Instrument]:
    """The scoring keys as delivered."""
    return load_instruments(CONFIGS / "instruments")


def parse(text: str) -> list[dict[str, str]]:
    """Rows of an ASCII table, cells as text.

    >>> parse('''
    ...   ta | treated
    ...   t1 | yes
    ... ''')
    [{'ta': 't1', 'treated': 'yes'}]
    """
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    header, *rows = lines
    return [dict(zip(header, row, strict=True)) for row in rows]


def world(texts: Mapping[str, str]) -> dict[str, ir.Table]:
    """All tables of an extract: those written in `texts`, and the others as `STANDING` and empty."""
    unknown = set(texts) - set(TABLES)
    assert not unknown, f"no such tables: {sorted(unknown)}"
    return {name: table(name, texts.get(name, STANDING.get(name, "-"))) for name in TABLES}


def table(name: str, text: str) -> ir.Table:
    """One table of an extract from its ASCII form; in `measures` the column `items` is the answer to every item.

    Optional columns that are not written are left out; the items of the flagship's questionnaire are always there.
    """
    rows = [] if text.strip() == "-" else parse(text)
    named = {key for row in rows for key in row} - {"items"}
    kept = named.union(ITEM_COLUMNS[:N_ITEMS])
    columns = [c.name for c in TABLES[name].columns if not c.optional or c.name in kept]
    cells = {column: [_cell(name, column, row, k) for k, row in enumerate(rows)] for column in columns}
    assert named <= set(columns), f"no such columns in {name}: {sorted(named - set(columns))}"
    return ibis.memtable(pa.table(cells, schema=arrow_schema(TABLES[name], columns)))


def _cell(name: str, column: str, row: Mapping[str, str], number: int) -> Cell:
    declared = TABLES[name].column(column)
    if column in row:
        return _value(row[column], declared)
    if column in ITEM_COLUMNS:
        return _value(row["items"], declared)
    if column in USUAL[name]:
        return _value(USUAL[name][column], declared)
    assert TABLES[name].key == (column,), f"{name}.{column} has to be written"
    return f"{name[0]}{number + 1}"


def _value(text: str, column: Column) -> Cell:
    if text == "-":
        return None
    match column.kind:
        case Kind.INTEGER:
            return int(text)
        case Kind.NUMBER:
            return float(text)
        case Kind.BOOLEAN:
            return {"yes": True, "no": False}[text]
        case Kind.DATE:
            return date.fromisoformat(text)
        case Kind.TIMESTAMP:
            return datetime.fromisoformat(text)
        case _:
            return text


def known(tables: dict[str, ir.Table], under: OccasionStudy | None = None) -> ir.Table:
    """Every assessment with its strategy and history, under a study or the flagship; kept in between, as a run does."""
    return kept(history(kept(occasions(tables)), tables, under or study(), instruments()))


def occasions(tables: dict[str, ir.Table]) -> ir.Table:
    """Every assessment with its strategy, under the flagship study."""
    return candidate_occasions(kept(assessments(tables)), tables, study())


def kept(expression: ir.Table) -> ir.Table:
    """The rows of an expression, computed once."""
    return ibis.memtable(rows_of(expression))


def expect(found: ir.Table | pd.DataFrame, text: str) -> None:
    """Assert that `found` has exactly the rows of an ASCII table, in its columns; rows sorted by all of them."""
    wanted = parse(text)
    frame = found if isinstance(found, pd.DataFrame) else rows_of(found).to_pandas()
    got = [{column: _shown(row[column]) for column in wanted[0]} for row in frame.to_dict("records")]
    assert _as_text(got) == _as_text(wanted), f"\nexpected\n{_as_text(wanted)}\ngot\n{_as_text(got)}"


def _as_text(rows: list[dict[str, str]]) -> str:
    return "\n".join(sorted(" | ".join(row.values()) for row in rows))


def _shown(value: object) -> str:
    if pd.isna(value):
        return "-"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:g}"
    return str(value)
