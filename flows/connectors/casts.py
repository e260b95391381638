"""Our own reading of a text cell: what it becomes, and when it cannot be read.

The engine's casts are too kind (``'1.5'`` becomes the integer 2, ``'2024-01-01 10:00+05'`` loses its zone), so a cell
must first have the right shape. SQL text for DuckDB; column names come from `causal.tables` only.
"""

from __future__ import annotations

from causal.tables import Column, Kind

STORAGE: dict[Kind, str] = {
    Kind.ID: "VARCHAR",
    Kind.CATEGORY: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP",
}
"""Storage type of each kind in typed files (INTEGER: any signed integer type of a file that needs no conversion)."""

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_SHAPES: dict[Kind, str] = {
    Kind.INTEGER: r"[+-]?[0-9]{1,18}",
    Kind.NUMBER: r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
    Kind.BOOLEAN: r"(?i)true|false|0|1",
    Kind.DATE: _DAY,
    Kind.TIMESTAMP: f"{_DAY}[T ]{_CLOCK}",
}
# Whole columns written another way: refused with a plain word, because every cell of them would be lost.
TIME_ZONE = r"(?i)^[0-9]{4}-[0-9]{2}-[0-9]{2}.*[0-9]{2}:[0-9]{2}.*(z|utc|gmt|[+-][0-9]{2}(:?[0-9]{2})?)$"
OTHER_DATE = r"^[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}|^[0-9]{4}[./][0-9]{1,2}[./][0-9]{1,2}"
DECIMAL_COMMA = r"^[+-]?[0-9]+,[0-9]+$"


def quoted(name: str) -> str:
    """A column name as an SQL identifier.

    >>> quoted("end")
    '"end"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as an SQL string.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def text_value(cell: str, kind: Kind) -> str:
    """SQL value of the text expression `cell` as `kind`; NULL where it cannot be read."""
    if kind in (Kind.ID, Kind.CATEGORY):
        return cell
    return f"TRY_CAST({cell} AS {STORAGE[kind]})"


def text_unreadable(cell: str, kind: Kind) -> str:
    """SQL condition: the text `cell` is there but is not a `kind`. Never NULL."""
    if kind in (Kind.ID, Kind.CATEGORY):
        return "FALSE"
    readable = f"regexp_full_match({cell}, {literal(_SHAPES[kind])})"
    if kind is Kind.INTEGER:  # nearly every cell is one digit, and the pattern is slow
        readable = f"((strlen({cell}) = 1 AND {cell} BETWEEN '0' AND '9') OR {readable})"
    if kind is Kind.NUMBER:
        readable += f" AND isfinite(TRY_CAST({cell} AS DOUBLE))"
    if kind in (Kind.DATE, Kind.TIMESTAMP):  # there is no year 0
        readable += f" AND {cell} >= '0001' AND {text_value(cell, kind)} IS NOT NULL"
    return f"({cell} IS NOT NULL AND NOT ({readable}))"


def stored_value(column: Column, stored: str) -> str | None:
    """SQL value of a column of a Parquet file that is stored as `stored`; None where that type cannot become its kind.

    Text is read as text is read from CSV; blanks and NaN, which some writers use for "no value", become NULL.
    """
    name, kind = quoted(column.name), column.kind
    if stored == "VARCHAR":
        return text_value(f"nullif({name}, '')", kind)
    if is_integer(stored):
        return f"CAST({name} AS {STORAGE[kind]})" if kind in (Kind.INTEGER, Kind.NUMBER, Kind.ID) else None
    if stored in ("DOUBLE", "FLOAT") or stored.startswith("DECIMAL"):
        number = f"nullif(CAST({name} AS DOUBLE), 'nan'::DOUBLE)"
        return {Kind.NUMBER: number, Kind.INTEGER: f"TRY_CAST({number} AS BIGINT)"}.get(kind)
    if stored == "BOOLEAN":
        return name if kind is Kind.BOOLEAN else None
    if stored == "DATE":
        return name if kind is Kind.DATE else None
    if stored.startswith("TIMESTAMP"):
        return f"CAST({name} AS {STORAGE[kind]})" if kind in (Kind.DATE, Kind.TIMESTAMP) else None
    return f"CAST(NULL AS {STORAGE[kind]})" if stored in ('"NULL"', "NULL") else None


def stored_unreadable(column: Column, stored: str) -> str:
    """SQL condition: the stored value is there but is not of the column's kind. Never NULL."""
    name, kind = quoted(column.name), column.kind
    if stored == "VARCHAR":
        return text_unreadable(f"nullif({name}, '')", kind)
    if kind is Kind.INTEGER and not is_integer(stored):
        number = f"CAST({name} AS DOUBLE)"
        return f"coalesce(NOT isnan({number}) AND NOT ({number} = floor({number}) AND abs({number}) < 1e15), FALSE)"
    if kind is Kind.DATE and stored.startswith("TIMESTAMP"):
        return f"coalesce({name} <> date_trunc('day', {name}), FALSE)"
    return "FALSE"


def is_integer(stored: str) -> bool:
    """Whether a stored type is a signed integer that fits 64 bits, or an unsigned one that does."""
    return stored in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")


def matches(column: Column, stored: str) -> bool:
    """Whether a stored type already is the column's storage type."""
    if column.kind is Kind.INTEGER:
        return stored in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
    return stored == STORAGE[column.kind]
