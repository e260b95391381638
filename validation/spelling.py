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
def known_zones() -> frozenset[str]:
    """Every IANA time zone."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def respelt(table: ir.Table, declared: Table) -> tuple[ir.Table, dict[str, int]]:
    """The table with every code in its declared spelling, where it is one but for blanks and case.

    Beside it the number of rows whose code that changes, by column; columns without any are left out.
    """
    codes = [c for c in declared.columns if c.kind is Kind.CATEGORY and c.name in table.columns]
    if not codes:
        return table, {}
    spelt = {column.name: _respelt(table, declared, column) for column in codes}
    sums = {name: (table[name] != code).sum().fill_null(0) for name, code in spelt.items()}
    row = table.aggregate(**sums).to_pyarrow().to_pylist()[0]
    return table.mutate(**spelt), {name: int(n) for name, n in row.items() if n}


def _respelt(table: ir.Table, declared: Table, column: Column) -> ir.StringValue:
    code = table[column.name]
    trimmed = code.replace(_NO_BREAK_SPACE, " ").strip()
    zone = declared is CLINICS and column.name == "tz"
    spellings = zones_that_are(trimmed) if zone else column.values
    if zone or spellings:
        # Nearly every code is written as declared, and the look-up is slow.
        known = dict(zip((each.lower() for each in spellings), spellings, strict=True))
        found = trimmed.lower().substitute(known, else_=trimmed) if known else trimmed
        return ibis.ifelse(code.isin(spellings), code, found)
    match column.case:
        case Case.UPPER:
            return trimmed.upper()
        case Case.LOWER:
            return trimmed.lower()
        case None:
            return trimmed


def zones_that_are(written: ir.StringValue) -> tuple[str, ...]:
    """The IANA time zones among those written, in whatever case: few of six hundred, of which no query should be."""
    lower = set(written.lower().name("zone").as_table().distinct().to_pyarrow().column("zone").to_pylist())
    return tuple(sorted(zone for zone in known_zones() if zone.lower() in lower))
