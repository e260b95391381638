"""Columns of questionnaires that an extract may have or lack: when scheduled, how long, under which code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from flows.connectors.extract import ExtractFiles, read_extract
from tests.flows.connectors.small_extract import Rows, small_extract, write_csv, write_parquet

MAY_BE_THERE = ("scheduled_at", "completion_seconds", "loinc")
FILLED = {"scheduled_at": "2023-01-15 08:00:00", "completion_seconds": "90.5", "loinc": "12345-6"}
Writer = Callable[[Path, Rows], Path]


def read(folder: Path, cache: Path) -> tuple[ExtractFiles, list[tuple[object, ...]]]:
    """The extract, and its optional columns of measures as typed, in order of their answers."""
    extract = read_extract(folder, cache=cache)
    there = ", ".join(name for name in MAY_BE_THERE if name in extract.columns["measures"]) or "count(*)"
    files = [str(path) for path in extract.files["measures"]]
    with duckdb.connect() as connection:
        return extract, sorted(connection.execute(f"SELECT {there} FROM read_parquet(?)", [files]).fetchall(), key=repr)  # noqa: S608


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_files_without_them_are_read(tmp_path: Path, write: Writer) -> None:
    """An extract of before these columns were declared is as good as it was."""
    extract, rows = read(write(tmp_path / "extract", small_extract()), tmp_path / "cache")
    assert not {*MAY_BE_THERE} & {*extract.columns["measures"]}
    assert rows == [(3,)]
    assert not extract.unreadable


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_files_with_them_are_read(tmp_path: Path, write: Writer) -> None:
    """Each has its declared type, and may be empty in any row."""
    tables = small_extract()
    tables["measures"][0] |= FILLED
    extract, rows = read(write(tmp_path / "extract", tables), tmp_path / "cache")
    assert {*MAY_BE_THERE} <= {*extract.columns["measures"]}
    assert rows == [
        (None, None, None),
        (None, None, None),
        (datetime.fromisoformat("2023-01-15 08:00"), 90.5, "12345-6"),
    ]
    assert not extract.unreadable


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    """A duration in words and a moment that is none are counted under their reason codes."""
    tables = small_extract()
    tables["measures"][0] |= FILLED | {"completion_seconds": "two minutes"}
    tables["measures"][1] |= FILLED | {"scheduled_at": "at intake"}
    extract, _ = read(write_csv(tmp_path / "extract", tables), tmp_path / "cache")
    assert extract.unreadable == {
        "measures.scheduled_at:unreadable": 1,
        "measures.completion_seconds:unreadable": 1,
    }
