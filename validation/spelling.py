"""Codes as they are declared, however they were written: without blanks around them, in one case.

A code that still matches nothing is counted; what it says is named only where it is a declaration of the site's own.
"""

from __future__ import annotations

import zoneinfo
from functools import cache

import ibis
import ibis.expr.types as ir

from causal.tables import CLINICS, Case, Column, Kind, Table

_NO_BREAK_SPACE = "\u00a0"


@cache
def known_zones() -> tuple[str, ...]:
    """Every IANA time zone."""
    return tuple(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))


def respelt(table: ir.Table, declared: Table) -> ir.Table:
    """The table with every code in its declared spelling, where it is one but for blanks and case."""
    codes = [c for c in declared.columns if c.kind is Kind.CATEGORY and c.name in table.columns]
    return table.mutate(**{column.name: _respelt(table[column.name], declared, column) for column in codes})


def n_respelt(table: ir.Table, declared: Table) -> dict[str, int]:
    """Rows whose code `respelt` writes another way, by column; columns without any are left out."""
    codes = [c for c in declared.columns if c.kind is Kind.CATEGORY and c.name in table.columns]
    if not codes:
        return {}
    sums = {c.name: (table[c.name] != _respelt(table[c.name], declared, c)).sum().fill_null(0) for c in codes}
    row = table.aggregate(**sums).to_pyarrow().to_pylist()[0]
    return {name: int(n) for name, n in row.items() if n}


def _respelt(code: ir.StringValue, declared: Table, column: Column) -> ir.StringValue:
    trimmed = code.replace(_NO_BREAK_SPACE, " ").strip()
    spellings = known_zones() if declared is CLINICS and column.name == "tz" else column.values
    if spellings:
        # Nearly every code is written as declared, and the look-up is slow.
        known = dict(zip((each.lower() for each in spellings), spellings, strict=True))
        found = trimmed.lower().substitute(known, else_=trimmed)
        return ibis.ifelse(code.isin(spellings), code, found)
    match column.case:
        case Case.UPPER:
            return trimmed.upper()
        case Case.LOWER:
            return trimmed.lower()
        case None:
            return trimmed
