"""One flat table out of a CSV file: every cell is text until the study declares its column a number."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection
from math import inf, nan
from pathlib import Path

import pandas as pd

from causal.errors import ExtractError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NOT_RECORDED = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>"})
"""What stands for a missing number."""
TRUTH = {"TRUE": 1.0, "True": 1.0, "true": 1.0, "FALSE": 0.0, "False": 0.0, "false": 0.0}


def read_flat_csv(path: Path, *, numbers: Collection[str]) -> pd.DataFrame:
    """The table of a plain UTF-8 file with commas and one line of names.

    Parameters
    ----------
    numbers
        Columns read as numbers (whole where each cell is one, or true and false). Every other cell is text as it
        stands, so that ``07``, ``7`` and ``NA`` are three categories wherever in the file they stand; only an empty
        one is missing.

    Raises
    ------
    ExtractError
        ``flat.unreadable``: not UTF-8, no header, a row with more or fewer cells than the header, a quote not closed.
        ``flat.cut``: no line break at the end. ``flat.duplicate_column``.
    """
    header, rows = _cells(path)
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise ExtractError(
            "flat.duplicate_column",
            f"{path.name} has more than one column named {', '.join(map(repr, repeated))}",
            fix="give every column its own name",
        )
    columns = {name: [row[j] for row in rows] for j, name in enumerate(header)}
    return pd.DataFrame({name: _numbers(cells) if name in numbers else _text(cells) for name, cells in columns.items()})


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names and the rows, each with as many cells as there are names."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            size = stream.tell()
            stream.seek(max(size - 1, 0))
            ended = stream.read(1) == b"\n"
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [row for row in csv.reader(lines, strict=True) if row]
    except (csv.Error, UnicodeDecodeError):
        raise _unreadable(path, "is not a plain UTF-8 CSV file") from None
    if not rows:
        raise _unreadable(path, "is empty")
    if not ended:
        raise ExtractError(
            "flat.cut",
            f"{path.name} does not end in a line break: its last cell may have been cut",
            fix="export it again, or end the last line",
        )
    header = rows.pop(0)
    odd = [number for number, row in enumerate(rows, start=1) if len(row) != len(header)]
    if odd:
        raise _unreadable(
            path,
            f"names {len(header)} columns, and {len(odd)} of {len(rows)} rows have another number of cells, the first "
            f"of them row {odd[0]} with {len(rows[odd[0] - 1])}",
        )
    return header, rows


def _unreadable(path: Path, why: str) -> ExtractError:
    return ExtractError("flat.unreadable", f"{path.name} {why}", fix="export it again, as many cells in every line")


def _text(cells: list[str]) -> pd.Series:
    return pd.Series([None if cell == "" else cell for cell in cells], dtype="str")


def _numbers(cells: list[str]) -> pd.Series:
    """Numbers; the text itself where a cell is none, for the refusal that names the column."""
    known: dict[str, float] = {}
    for cell in set(cells):
        plain = cell.strip()
        if plain in NOT_RECORDED:
            known[cell] = nan
        elif plain in TRUTH:
            known[cell] = TRUTH[plain]
        elif NUMBER.fullmatch(plain) and abs(float(plain)) < inf:
            known[cell] = float(plain)
        else:
            return _text(cells)
    truths = {cell.strip() in TRUTH for cell in known if cell.strip() not in NOT_RECORDED}
    return _text(cells) if len(truths) > 1 else pd.Series([known[cell] for cell in cells], dtype="float64")
