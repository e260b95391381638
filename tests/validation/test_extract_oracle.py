"""Quarantine by relations against quarantine by plain loops over rows, on random dirt."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

import ibis
import numpy as np
import pytest

from causal.tables import EARLIEST_DATE, OLDEST, TABLES, Case, Kind, Order, Table
from flows.study_file.load import load_instruments
from tests.flows.connectors.small_extract import AS_OF, Rows, arrow_table, small_extract
from validation.extract import judge_extract

KEYS = load_instruments("configs/instruments")
Row = dict[str, Any]
CHOICES = {
    Kind.ID: ["", " ", "nobody"],
    Kind.INTEGER: ["", "7", "-5", "1850"],
    Kind.NUMBER: ["", "-1", "99", "nan"],
    Kind.BOOLEAN: [""],
    Kind.DATE: ["", "0001-01-01", "1999-01-01", "2024-06-01", "2025-01-01"],
    Kind.TIMESTAMP: ["", "1900-01-01 00:00", "1999-01-01 10:00", "2024-06-01 10:00", "2025-01-01 00:00"],
}


def random_extract(rng: np.random.Generator, copies: int = 25, share: float = 0.08) -> Rows:
    """Copies of the small extract's rows under ids of their own, with cells spoiled and some rows delivered again."""
    tables: Rows = {name: [] for name in TABLES}
    for number in range(copies):
        for name, rows in small_extract().items():
            ids = [column.name for column in TABLES[name].columns if column.kind is Kind.ID]
            for row in rows:
                own = {each: f"{row[each]}-{number}" for each in ids if row.get(each)}
                tables[name].append(row | own | ({"state": f"S{number}"} if name == "jurisdiction_regime" else {}))
    for name, rows in tables.items():
        for row in rows:
            for column in TABLES[name].columns:
                if name != "patients" or column.name != "person_id":
                    choices = CHOICES.get(column.kind, ["", "other", *column.values])
                    if column.name in row and rng.random() < share / 2:
                        row[column.name] = str(rng.choice(choices))
        again = [dict(rows[i]) for i in rng.integers(0, len(rows), 2)]
        if name not in ("patients", "measures") and len(again[1]) > 3:
            again[1][list(again[1])[-1]] = ""
        tables[name] = rows + again
    return tables


def reason(declared: Table, row: Row, tables: dict[str, list[Row]], seen: Counter[str]) -> str | None:
    """The first rule a row breaks, in the words of `causal.tables`, one row and one rule at a time."""

    def code(column: str, rule: str) -> str:
        return f"{declared.name}.{column}:{rule}"

    def missing(name: str) -> bool:
        return row[name] is None or row[name] != row[name] or (isinstance(row[name], str) and not row[name].strip())

    columns = [column for column in declared.columns if column.name in row]
    for column in columns:
        if column.required and missing(column.name):
            return code(column.name, "missing")
    for column in columns:
        if column.values and row[column.name] is not None and row[column.name] not in column.values:
            return code(column.name, "not_allowed")
    for column in columns:
        value, (low, high) = row[column.name], (column.low, column.high)
        if column.name == "birth_year":
            low, high = AS_OF.year - OLDEST - 1, AS_OF.year
        if value is not None and not in_range(value, low, high):
            return code(column.name, "out_of_range")
    if duplicate(declared, row, tables[declared.name], seen):
        return code(declared.key[0], "duplicate_key")
    for key in declared.foreign_keys:
        parents = {parent[TABLES[key.table].key[0]] for parent in tables[key.table]}
        if row[key.column] is not None and row[key.column] not in parents:
            return code(key.column, "orphan")
    for order in declared.orders:
        if not in_order(order, row, tables):
            return code(order.later, "out_of_order")
    return foreign_answer(row, code) if declared.name == "measures" else None


def declared(table: Table, row: Row) -> Row:
    """A row with its codes as they are declared: these hold no others that differ by blanks or case."""
    cases = {Case.UPPER: str.upper, Case.LOWER: str.lower}
    codes = {c.name: row[c.name].strip() for c in table.columns if c.kind is Kind.CATEGORY and row.get(c.name)}
    return row | {name: cases.get(table.column(name).case, str)(said) for name, said in codes.items()}


def in_range(value: object, low: float | None, high: float | None) -> bool:
    """Numbers within their bounds; dates within the calendar."""
    if isinstance(value, datetime.date):
        day = value.date() if isinstance(value, datetime.datetime) else value
        return datetime.date.fromisoformat(EARLIEST_DATE) <= day <= AS_OF
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (low is None or value >= low) and (high is None or value <= high)
    return True


def duplicate(declared: Table, row: Row, rows: list[Row], seen: Counter[str]) -> bool:
    """One of two contents for a key, or the second and later of identical rows."""
    if not declared.key or any(row[name] is None for name in declared.key):
        return False
    same = [other for other in rows if all(other[name] == row[name] for name in declared.key)]
    if any(repr(other) != repr(row) for other in same):
        return True
    seen[repr(row)] += 1
    return seen[repr(row)] > 1


def in_order(order: Order, row: Row, tables: dict[str, list[Row]]) -> bool:
    """All columns with an order are of one kind today; by days where either is at midnight, which is a date."""
    earlier, later = row.get(order.earlier), row[order.later]
    if order.via:
        key = TABLES[order.via.table].key[0]
        found = [p[order.earlier] for p in tables[order.via.table] if p[key] == row[order.via.column] is not None]
        earlier = min((each for each in found if each is not None), default=None)
    if earlier is None or later is None:
        return True
    dates = any(isinstance(at, datetime.datetime) and at.time() == datetime.time() for at in (earlier, later))
    return bool(earlier.date() <= later.date() if dates else earlier <= later)


def foreign_answer(row: Row, code: Any) -> str | None:
    """The first item whose response the form does not have."""
    key = KEYS[row["instrument"]]
    for number in range(1, 37):
        answer = row.get(f"itm_{number:02d}")
        fits = number <= key.n_items and (answer in key.missing_codes or key.low <= (answer or 0) <= key.high)
        if answer is not None and not fits:
            return str(code(f"itm_{number:02d}", "out_of_instrument"))
    return None


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_relations_and_loops_set_the_same_rows_aside() -> None:
    """Same counts by reason, same sound rows, on extracts spoiled in every column."""
    spoiled = {name: arrow_table(name, rows) for name, rows in random_extract(np.random.default_rng(1)).items()}
    tables = {name: [declared(TABLES[name], row) for row in content.to_pylist()] for name, content in spoiled.items()}
    counts: Counter[str] = Counter()
    sound: dict[str, list[str]] = {}
    for name, rows in tables.items():
        seen: Counter[str] = Counter()
        found = [reason(TABLES[name], row, tables, seen) for row in rows]
        counts.update(each for each in found if each)
        sound[name] = sorted(repr(row) for row, each in zip(rows, found, strict=True) if each is None)
    connection = ibis.duckdb.connect()
    loaded = {name: connection.create_table(name, content) for name, content in spoiled.items()}
    judgement = judge_extract(loaded, KEYS, as_of=AS_OF, quarantined_share=1.0)
    assert len({each.split(":")[1] for each in counts}) == 7  # every rule is met
    assert judgement.counts == dict(sorted(counts.items()))
    assert {n: sorted(repr(r) for r in e.to_pyarrow().to_pylist()) for n, e in judgement.clean.items()} == {
        name: rows for name, rows in sound.items() if name in judgement.clean
    }
