"""Reading CSV strictly: one dialect, no guessing, and every refusal with a line number and never a value.

Comma, double quote (doubled inside a quoted value), UTF-8, one header line, LF or CRLF, no line break inside a value.
`scan_csv` looks at the bytes; DuckDB's strict parser then reads every column as text, and `flows.connectors.casts`
says what each cell means.
"""

# ruff: noqa: S608 -- statements hold declared names, quoted paths and our own patterns, never a name or value delivered

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from causal.errors import ExtractError
from causal.tables import Column, Kind, Table
from flows.connectors.casts import DECIMAL_COMMA, OTHER_DATE, TIME_ZONE, literal, quoted, text_unreadable, text_value

if TYPE_CHECKING:
    import duckdb

BLOCK_BYTES = 1 << 22
LINE_BYTES = 1_000_000
MAXIMUM_COLUMNS = 500
_NEWLINE, _RETURN, _QUOTE = b"\n", b"\r", b'"'
_CONTROL = bytes(code for code in (*range(32), 127) if code not in b"\r\n")
COMMA = b","
_CONTROL_C1 = re.compile(rb"\xc2[\x80-\x9f]")
_NO_TEXT = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip or Excel file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF file",
}
"""How files begin that are no text, and what they are."""
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_UTF8_MARK = b"\xef\xbb\xbf"
DELIMITERS = {COMMA: "comma", b";": "semicolon", b"\t": "tab", b"|": "vertical bar"}
"""What may part values, and its name; extracts have commas."""
_OTHER_FORMATS = (
    (
        TIME_ZONE,
        (Kind.TIMESTAMP, Kind.DATE),
        "extract.time_zone",
        "times with a time zone",
        "write clinic-local times without a zone; the zone of a clinic is clinics.tz",
    ),
    (
        OTHER_DATE,
        (Kind.TIMESTAMP, Kind.DATE),
        "extract.date_format",
        "dates whose day and month can be confused",
        "write dates as YYYY-MM-DD and times as YYYY-MM-DD HH:MM:SS",
    ),
    (
        DECIMAL_COMMA,
        (Kind.NUMBER, Kind.INTEGER),
        "extract.decimal_comma",
        "numbers with a decimal comma",
        "write decimals with a point",
    ),
)
_RESAVE = "save the file as UTF-8 and deliver it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFacts:
    """What the bytes of a CSV file say: `rows` are the lines after the header; `header` is the first line's names."""

    name: str
    header: tuple[str, ...]
    rows: int
    size: int
    sha256: str
    byte_order_mark: bool
    carriage_returns: bool
    final_newline: bool


def scan_csv(stream: BinaryIO, name: str, *, delimiter: bytes = COMMA) -> CsvFacts:
    """Look once at every byte of a file; memory is bounded by a block and the longest allowed line.

    `delimiter` is one of `DELIMITERS`.

    Raises
    ------
    ExtractError
        The encoding is not UTF-8, a line is too long, blank or ends in another way than its neighbours, a value holds
        a control character, or a quote is not closed on its own line.
    """
    stream.seek(0)
    digest, size, lines, returns = hashlib.sha256(), 0, 0, 0
    rest, header, mark = b"", b"", False
    while chunk := stream.read(BLOCK_BYTES):
        digest.update(chunk)
        if size == 0:
            _check_start(chunk, name, delimiter)
            mark = chunk.startswith(_UTF8_MARK)
            chunk, size = (chunk[3:], 3) if mark else (chunk, 0)
        size += len(chunk)
        rest += chunk
        end = rest.rfind(_NEWLINE) + 1
        if not end and len(rest) > LINE_BYTES:
            _refuse_line(rest, lines + 1, name)
        if end:
            header = header or rest[:end].split(_NEWLINE, 1)[0]
            returns += _check_block(rest[:end], lines, name, delimiter)
            lines += rest.count(_NEWLINE, 0, end)
            rest = rest[end:]
    final_newline = not rest
    if rest:
        header = header or rest
        returns += _check_block(rest + _NEWLINE, lines, name, delimiter)
        lines += 1
    if lines == 0:
        raise ExtractError("extract.no_header", f"{name} is empty", fix="deliver at least the line of column names")
    if returns not in (0, lines - (not final_newline)):
        message = f"{name} mixes line ends: {returns} of {lines} lines end in CR LF"
        raise ExtractError("extract.line_ends", message, fix="write every line with the same line end")
    return CsvFacts(
        name=name,
        header=_header(header, name, delimiter),
        rows=lines - 1,
        size=size,
        sha256=digest.hexdigest(),
        byte_order_mark=mark,
        carriage_returns=returns > 0,
        final_newline=final_newline,
    )


def convert_csv(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    facts: CsvFacts,
    declared: Table,
    *,
    target: Path,
    unreadable: Path,
) -> dict[str, int]:
    """Write the readable rows of a scanned file to `target`, typed, with the declared columns the file has.

    Rows with a cell that cannot be read go to `unreadable` as (line, reason) only. Gives their counts by reason code
    ``<table>.<column>:unreadable`` (first such column in declared order).
    """
    source = _source(path, facts.header, declared)
    columns = [column for column in declared.columns if column.name in facts.header]
    values = ", ".join(f"{text_value(quoted(c.name), c.kind)} AS {quoted(c.name)}" for c in columns)
    conditions = {c.name: text_unreadable(quoted(c.name), c.kind) for c in columns}
    with plain_faults(f"{facts.name} cannot be read as CSV", "write it with commas and double quotes, in UTF-8"):
        connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        copied = connection.execute(
            f"COPY (SELECT {values} FROM {source} WHERE NOT ({' OR '.join(conditions.values())}))"
            f" TO {literal(str(target))} (FORMAT parquet)"
        ).fetchone()
        _refuse_ragged(connection, facts.name, len(facts.header))
        if copied is not None and copied[0] == facts.rows:
            return {}
        refuse_other_formats(connection, source, facts.name, columns)
        return set_aside(connection, source, declared.name, conditions, unreadable, first_line=2)


@contextmanager
def plain_faults(what: str, fix: str) -> Iterator[None]:
    """Turn the engine's errors, which may quote a line of data, into one plain line; a full disk is not `what`."""
    import duckdb

    try:
        yield
    except duckdb.IOException:
        message = "typed copies of the extract cannot be written: the disk may be full, or the extract unreadable"
        raise ExtractError("extract.cache", message, fix="check the free space and the permissions") from None
    except duckdb.OutOfMemoryException:
        message = "typing the extract needs more memory than the reader may use"
        raise ExtractError("extract.memory", message, fix="deliver the table in several files") from None
    except duckdb.Error:
        raise ExtractError("extract.unreadable_file", what, fix=fix) from None


def set_aside(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    table: str,
    conditions: Mapping[str, str],
    target: Path,
    *,
    first_line: int,
) -> dict[str, int]:
    """Write (line, reason) of the rows of `source` for which a column's condition holds; count them by reason.

    Lines count from `first_line`; a row with several such columns counts for the first.
    """
    cases = " ".join(f"WHEN {bad} THEN {literal(f'{table}.{name}:unreadable')}" for name, bad in conditions.items())
    connection.execute(
        f"COPY (SELECT * FROM (SELECT row_number() OVER () + {first_line - 1} AS line, CASE {cases} END AS reason"
        f" FROM {source}) WHERE reason IS NOT NULL) TO {literal(str(target))} (FORMAT parquet)"
    )
    counted = connection.execute(
        f"SELECT reason, count(*) FROM read_parquet({literal(str(target))}) GROUP BY reason ORDER BY reason"
    )
    return dict(counted.fetchall())


def refuse_other_formats(
    connection: duckdb.DuckDBPyConnection, source: str, name: str, columns: Iterable[Column]
) -> None:
    """Raises `ExtractError` where text columns hold dates, times or numbers written another way, counted by column.

    Such a column would be lost whole, so it is worth a sentence of its own.
    """
    chosen = tuple(columns)
    for pattern, kinds, code, what, fix in _OTHER_FORMATS:
        tested = [column.name for column in chosen if column.kind in kinds]
        if not tested:
            continue
        counts = ", ".join(f"count_if(regexp_matches({quoted(column)}, {literal(pattern)}))" for column in tested)
        found = connection.execute(f"SELECT {counts} FROM {source}").fetchone()
        listed = [f"{column} ({count} rows)" for column, count in zip(tested, found or (), strict=True) if count]
        if listed:
            raise ExtractError(code, f"{name} has {what} in {', '.join(listed)}", fix=fix)


def _source(path: Path, header: tuple[str, ...], declared: Table) -> str:
    # Undeclared names are not needed, and not to be trusted in a statement.
    known = {column.name for column in declared.columns}
    names = (name if name in known else f"undeclared {i}" for i, name in enumerate(header))
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({literal(str(path))}, auto_detect=false, header=false, skip=1, delim=',', quote='\"', escape='\"',"
        f" columns={{{columns}}}, strict_mode=true, null_padding=false, comment='', max_line_size={LINE_BYTES},"
        " store_rejects=true, rejects_limit=1000)"
    )


def _refuse_ragged(connection: duckdb.DuckDBPyConnection, name: str, expected: int) -> None:
    found = connection.execute("SELECT count(*), min(line), count_if(error_type LIKE '%COLUMNS') FROM reject_errors")
    bad, first, ragged = found.fetchone() or (0, 0, 0)
    if bad and ragged == bad:
        message = f"{name} has {_some(bad)} lines without its {expected} values, first line {first}"
        fix = f"write {expected} values on every line; quote a value that holds a comma; write decimals with a point"
        raise ExtractError("extract.ragged", message, fix=fix)
    if bad:
        message = f"{name} has {_some(bad)} lines that are not CSV, first line {first}"
        raise ExtractError("extract.csv", message, fix="quote whole values and double the quotes inside them")


def _some(count: int) -> str:
    return str(count) if count < 1000 else "1000 or more"


def _check_start(chunk: bytes, name: str, delimiter: bytes) -> None:
    kind = next((kind for start, kind in _NO_TEXT.items() if chunk.startswith(start)), None)
    if kind:
        raise ExtractError("extract.not_text", f"{name} is {kind}, whatever its name says", fix=_RESAVE)
    encoding = _BYTE_ORDER_MARKS.get(chunk[:2])
    if encoding is None and chunk[:200].count(0) > len(chunk[:200]) // 4:
        encoding = "UTF-16"
    if encoding:
        raise ExtractError("extract.encoding", f"{name} is not UTF-8, it is likely {encoding}", fix=_RESAVE)
    if _NEWLINE not in chunk and _RETURN in chunk:
        message = f"{name} ends its lines with CR alone"
        raise ExtractError("extract.line_ends", message, fix="end lines with LF or CR LF")
    first = re.split(rb"[\r\n]", chunk[:LINE_BYTES], maxsplit=1)[0]
    others = [word for other, word in DELIMITERS.items() if other in first]
    if others and delimiter not in first:
        message = f"{name} seems to be separated by {others[0]}, expected {DELIMITERS[delimiter]}"
        raise ExtractError("extract.delimiter", message, fix="write it with commas (and decimals with a point)")


def _check_block(block: bytes, before: int, name: str, delimiter: bytes) -> int:
    """Check whole lines; gives how many of them end in CR LF. `before` is the number of lines before the block."""
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _NEWLINE[0])
    lengths = np.diff(ends, prepend=-1)
    if lengths.max() > LINE_BYTES:
        _refuse_line(block, before + int(lengths.argmax()) + 1, name)
    _check_encoding(block, before, name)
    returns = block.count(b"\r\n")
    blank = lengths == 1
    if returns:
        blank |= (lengths == 2) & (np.frombuffer(block, dtype=np.uint8)[np.maximum(ends - 1, 0)] == _RETURN[0])
    if blank.any():
        line = before + int(blank.argmax()) + 1
        message = f"{name} has {int(blank.sum())} blank lines, first line {line}"
        raise ExtractError("extract.blank_line", message, fix="leave no line empty")
    if block.count(_RETURN) != returns:
        at = re.search(rb"\r(?!\n)", block)
        line = before + block.count(_NEWLINE, 0, at.start() if at else 0) + 1
        raise _control_character(line, name)
    _check_controls(block, before, name, _CONTROL.replace(delimiter, b""))
    if _QUOTE in block:
        _check_quotes(block, ends, before, name, delimiter)
    return returns


def _check_encoding(block: bytes, before: int, name: str) -> None:
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = before + block.count(_NEWLINE, 0, error.start) + 1
        message = f"{name} is not UTF-8 from line {line}, it is likely {_likely_encoding(block)}"
        raise ExtractError("extract.encoding", message, fix=_RESAVE) from None


def _likely_encoding(block: bytes) -> str:
    if block.decode("utf-8", errors="ignore").isascii():
        return "Windows-1252" if re.search(rb"[\x80-\x9f]", block) else "Latin-1 (ISO 8859-1)"
    return "a mixture of UTF-8 and another encoding"


def _check_controls(block: bytes, before: int, name: str, control: bytes) -> None:
    found = [_CONTROL_C1.search(block)] if not block.isascii() else []
    if len(block.translate(None, control)) < len(block):  # much faster than a pattern, and nearly always the end of it
        found.append(re.search(b"[" + re.escape(control) + b"]", block))
    places = [match.start() for match in found if match]
    if places:
        raise _control_character(before + block.count(_NEWLINE, 0, min(places)) + 1, name)


def _control_character(line: int, name: str) -> ExtractError:
    message = f"{name} has control characters inside values, first on line {line}"
    return ExtractError(
        "extract.control_character", message, fix="remove NUL, tab, escape and other control characters"
    )


def _check_quotes(block: bytes, ends: NDArray[np.intp], before: int, name: str, delimiter: bytes) -> None:
    """Each quoted value opens after a delimiter or line start and closes before one or a line end, on its own line."""
    octets = np.frombuffer(block, dtype=np.uint8)
    at = np.flatnonzero(octets == _QUOTE[0])
    line_of = np.searchsorted(ends, at)
    odd = np.bincount(line_of, minlength=len(ends)) % 2 == 1
    if odd.any():
        line = before + int(odd.argmax()) + 1
        message = f"{name} has a quote that is not closed on its own line, on line {line}"
        raise ExtractError(
            "extract.unterminated_quote", message, fix="close every quote; values may not hold line breaks"
        )
    previous = np.where(at == 0, _NEWLINE[0], octets[at - 1])
    following = octets[np.minimum(at + 1, len(octets) - 1)]
    fine = np.isin(previous, list(delimiter + b'\n"')) | np.isin(following, list(delimiter + b'\n\r"'))
    if not fine.all():
        line = before + int(line_of[(~fine).argmax()]) + 1
        message = f"{name} has a quote in the middle of a value, on line {line}"
        raise ExtractError("extract.csv", message, fix="quote whole values and double the quotes inside them")


def _refuse_line(block: bytes, line: int, name: str) -> None:
    message = f"line {line} of {name} is longer than {LINE_BYTES} bytes"
    if line == 1 and _RETURN in block[:LINE_BYTES]:
        raise ExtractError(
            "extract.line_ends", f"{name} ends its lines with CR alone", fix="end lines with LF or CR LF"
        )
    raise ExtractError("extract.line_too_long", message, fix="an extract holds codes and numbers, not documents")


def _header(line: bytes, name: str, delimiter: bytes) -> tuple[str, ...]:
    text = line.removesuffix(_RETURN).decode("utf-8")
    try:
        names = tuple(next(csv.reader([text], strict=True, delimiter=delimiter.decode())))
    except (csv.Error, StopIteration):
        raise ExtractError(
            "extract.header", f"the header of {name} is not CSV", fix="quote column names properly"
        ) from None
    if len(names) > MAXIMUM_COLUMNS:
        message = f"{name} has {len(names)} columns; at most {MAXIMUM_COLUMNS} are read"
        raise ExtractError("extract.too_many_columns", message, fix="deliver only the declared columns")
    return names
