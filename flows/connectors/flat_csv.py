"""One flat table out of a CSV file, by the strict reader of extracts: nothing is guessed, and refusals have lines."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from causal.design.frame import LINE
from causal.errors import ExtractError
from causal.protocol.flat_table import FileData
from flows.connectors.csv import DELIMITERS, CsvFacts, scan_csv
from flows.connectors.flat_cells import Role, Spelling, typed_columns
from flows.connectors.flat_header import places_of, unnamed

_BYTE = {word: byte for byte, word in DELIMITERS.items()}
_BYTE["vertical_bar"] = _BYTE["vertical bar"]


def read_flat_csv(path: Path, data: FileData, roles: Mapping[str, Role]) -> pd.DataFrame:
    """The declared columns of a UTF-8 file with one line of names, typed by their roles; the index says their lines.

    Raises
    ------
    ExtractError
        Those of `scan_csv` (encoding, line ends, blank lines, control characters, quotes), of `places_of` (the header)
        and of `typed_cells` (numbers that are none). ``flat.delimiter``, ``flat.cut`` (no line break at the end),
        ``flat.ragged`` (lines with more or fewer values than the header), ``flat.unnamed_column``,
        ``flat.unreadable``.
    """
    delimiter = _BYTE[data.delimiter]
    with path.open("rb") as stream:
        facts = _scanned(stream, path.name, delimiter)
        if not facts.final_newline:
            raise ExtractError(
                "flat.cut",
                f"{path.name} does not end in a line break: its last cell may have been cut",
                fix="export it again, or end the last line",
            )
        places = places_of(facts.header, roles, path.name)
        rows = _rows(stream, facts, delimiter)
    _refuse_unnamed(facts, rows)
    cells = {name: [row[place] for row in rows] for name, place in places.items()}
    spelling = Spelling(
        table=path.name, place="line", first=2, decimal=data.decimal, missing=frozenset(map(str, data.missing))
    )
    found = typed_columns(cells, roles, spelling)
    return found.set_axis(pd.RangeIndex(2, len(found) + 2, name=LINE), axis="index")


def _scanned(stream: BinaryIO, name: str, delimiter: bytes) -> CsvFacts:
    try:
        return scan_csv(stream, name, delimiter=delimiter)
    except ExtractError as refusal:
        if refusal.code != "extract.delimiter":
            raise
        raise ExtractError(
            "flat.delimiter", refusal.message, fix="declare its delimiter under data, or write the file again"
        ) from None


def _rows(stream: BinaryIO, facts: CsvFacts, delimiter: bytes) -> list[list[str]]:
    """The lines after the header, each with as many values as there are names. A value holds no line break."""
    stream.seek(0)
    text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    lines = csv.reader(text, strict=True, delimiter=delimiter.decode())
    try:
        rows = list(lines)[1:]
    except csv.Error:
        raise ExtractError(
            "flat.unreadable",
            f"line {lines.line_num} of {facts.name} is not CSV",
            fix="quote whole values, double the quotes inside them, and leave documents out",
        ) from None
    finally:
        text.detach()
    width = len(facts.header)
    if odd := [line for line, row in enumerate(rows, start=2) if len(row) != width]:
        raise ExtractError(
            "flat.ragged",
            f"{facts.name} names {width} columns, and {len(odd)} of {len(rows)} lines have another number of values, "
            f"first line {odd[0]} with {len(rows[odd[0] - 2])}",
            fix="quote a value that holds the delimiter, end no line with one, and give the names of rows a name",
        )
    return rows


def _refuse_unnamed(facts: CsvFacts, rows: list[list[str]]) -> None:
    """Refuse a column without a name that holds something: the header may have shifted."""
    held = [place + 1 for place in unnamed(facts.header) if any(row[place].strip() for row in rows)]
    if held:
        raise ExtractError(
            "flat.unnamed_column",
            f"columns of {facts.name} hold values and have no name: {', '.join(map(str, held))}",
            fix="give every column a name; see whether the names have shifted",
        )
