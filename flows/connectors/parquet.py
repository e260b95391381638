"""Reading Parquet: files that already hold what is declared pass through untouched, the others are typed again."""

# ruff: noqa: S608 -- statements hold declared names, quoted paths and our own patterns, never a name or value delivered

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from causal.errors import ExtractError
from causal.tables import Column, Kind, Table
from flows.connectors.casts import literal, matches, quoted, stored_unreadable, stored_value
from flows.connectors.csv import MAXIMUM_COLUMNS, plain_faults, refuse_other_formats, set_aside
from flows.connectors.manifest import digest_of

if TYPE_CHECKING:
    import duckdb

_CONTROL = r"[\x00-\x1f\x7f-\x{9f}]"
_REWRITE = "write the file again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFacts:
    """What the footer of a Parquet file says, and the digest of its bytes."""

    name: str
    header: tuple[str, ...]
    rows: int
    size: int
    sha256: str


def scan_parquet(stream: BinaryIO, name: str) -> ParquetFacts:
    """Hash a file and read its footer; raises `ExtractError` if it has none (cut short) or too many columns."""
    import pyarrow
    import pyarrow.parquet

    sha256 = digest_of(stream)
    size = stream.tell()
    stream.seek(0)
    try:
        footer = pyarrow.parquet.ParquetFile(stream)
        header, rows = tuple(footer.schema_arrow.names), footer.metadata.num_rows
    except (pyarrow.ArrowException, OSError, ValueError):
        message = f"{name} is not a whole Parquet file"
        raise ExtractError("extract.unreadable_file", message, fix=_REWRITE) from None
    if len(header) > MAXIMUM_COLUMNS:
        message = f"{name} has {len(header)} columns; at most {MAXIMUM_COLUMNS} are read"
        raise ExtractError("extract.too_many_columns", message, fix="deliver only the declared columns")
    return ParquetFacts(name=name, header=header, rows=rows, size=size, sha256=sha256)


def convert_parquet(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    facts: ParquetFacts,
    declared: Table,
    *,
    target: Path,
    unreadable: Path,
) -> dict[str, int] | None:
    """Write the readable rows of a file to `target` with the declared columns and types, unless it has them already.

    None when the file can be used as it is: only declared columns, their storage types, no blanks or NaN for "no
    value". Otherwise counts of rows set aside by reason code, as `flows.connectors.csv.convert_csv` gives them.
    """
    source = f"read_parquet({literal(str(path))})"
    columns = [column for column in declared.columns if column.name in facts.header]
    with plain_faults(f"{facts.name} cannot be read as Parquet", _REWRITE):
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        stored = {name: kind for name, kind, *_ in described}
        _refuse_mistyped(facts, columns, stored)
        texts = [column for column in columns if stored[column.name] == "VARCHAR"]
        _refuse_controls(connection, source, facts.name, texts)
        fits = len(columns) == len(facts.header) and all(matches(c, stored[c.name]) for c in columns)
        if fits and not _odd_blanks(connection, source, columns):
            return None
        refuse_other_formats(connection, source, facts.name, texts)
        values = ", ".join(f"{stored_value(c, stored[c.name])} AS {quoted(c.name)}" for c in columns)
        conditions = {c.name: stored_unreadable(c, stored[c.name]) for c in columns}
        copied = connection.execute(
            f"COPY (SELECT {values} FROM {source} WHERE NOT ({' OR '.join(conditions.values())}))"
            f" TO {literal(str(target))} (FORMAT parquet)"
        ).fetchone()
        if copied is not None and copied[0] == facts.rows:
            return {}
        return set_aside(connection, source, declared.name, conditions, unreadable, first_line=1)


def _refuse_mistyped(facts: ParquetFacts, columns: Iterable[Column], stored: dict[str, str]) -> None:
    zoned = [column.name for column in columns if stored[column.name] == "TIMESTAMP WITH TIME ZONE"]
    if zoned:
        message = (
            f"{facts.name} has times with a time zone in {', '.join(f'{name} ({facts.rows} rows)' for name in zoned)}"
        )
        fix = "write clinic-local times without a zone; the zone of a clinic is clinics.tz"
        raise ExtractError("extract.time_zone", message, fix=fix)
    wrong = [
        f"{c.name} ({_plain(stored[c.name])}, expected {c.kind})"
        for c in columns
        if stored_value(c, stored[c.name]) is None
    ]
    if wrong:
        message = f"{facts.name} stores columns as another type: {', '.join(wrong)}"
        raise ExtractError("extract.column_type", message, fix="write each column as its declared type")


def _plain(stored: str) -> str:
    # A nested type spells out its field names, which are not ours.
    return stored.lower() if stored.replace(" ", "").isalnum() else "a nested type"


def _refuse_controls(connection: duckdb.DuckDBPyConnection, source: str, name: str, columns: list[Column]) -> None:
    if not columns:
        return
    counts = ", ".join(f"count_if(regexp_matches({quoted(column.name)}, '{_CONTROL}'))" for column in columns)
    found = connection.execute(f"SELECT {counts} FROM {source}").fetchone() or ()
    listed = [f"{column.name} ({count} rows)" for column, count in zip(columns, found, strict=True) if count]
    if listed:
        message = f"{name} has control characters inside values of {', '.join(listed)}"
        raise ExtractError(
            "extract.control_character", message, fix="remove NUL, tab, escape and other control characters"
        )


def _odd_blanks(connection: duckdb.DuckDBPyConnection, source: str, columns: list[Column]) -> bool:
    """Whether "no value" is written as an empty text or NaN somewhere."""
    odd = [f"bool_or({quoted(c.name)} = '')" for c in columns if c.kind in (Kind.ID, Kind.CATEGORY)]
    odd += [f"bool_or(isnan({quoted(c.name)}))" for c in columns if c.kind is Kind.NUMBER]
    return any(connection.execute(f"SELECT {', '.join(odd)} FROM {source}").fetchone() or ()) if odd else False
