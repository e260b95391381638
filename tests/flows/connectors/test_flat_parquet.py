"""A flat table's Parquet file: stored types are kept, text is read as text is read from CSV."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal.design.frame import numbers
from causal.errors import DesignError, ExtractError
from causal.protocol.flat_table import FileData
from flows.connectors.flat_cells import Role
from flows.connectors.flat_parquet import read_flat_parquet

AGE, SITE = {"age": Role.NUMBER}, {"site": Role.TEXT}


def read(folder: Path, columns: dict[str, Any] | pa.Table, roles: dict[str, Role], **data: Any) -> pd.DataFrame:
    """The table a file of these columns holds."""
    path = folder / "t.parquet"
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path)
    declared = FileData.model_validate({"kind": "file", "path": "t.parquet"} | data)
    return read_flat_parquet(path, declared, roles)


@pytest.mark.parametrize(
    "stored",
    [
        pa.array([7, None, 40], pa.int16()),
        pa.array([7, None, 40], pa.uint64()),
        pa.array([7.0, None, 40.0]),
        pa.array([7.0, float("nan"), 40.0]),
        pa.array([Decimal("7.0"), None, Decimal("40.0")]),
        pa.array(["7", "", " 40 "]),
        pa.array(["7", "NA", "4e1"]),
        pa.array(["7", None, "40"]).dictionary_encode(),
        pa.array([7, -99, 40]),
        pa.array([7.0, -99.0, 40.0]),
    ],
)
def test_numbers_however_they_are_stored(tmp_path: Path, stored: pa.Array) -> None:
    """Whole numbers, floats, decimals and text with gaps or declared marks are the same column."""
    found = read(tmp_path, {"age": stored}, AGE, missing=("NA", -99))
    assert found["age"].isna().tolist() == [False, True, False]
    assert numbers(found.dropna(), "age").tolist() == [7.0, 40.0]


def test_names_and_levels_stay_as_they_stand(tmp_path: Path) -> None:
    """Zeros of ids, NA and None as text, long whole numbers; an index that pandas wrote is a column like others."""
    texts = read(tmp_path, {"site": ["07", "NA", "None", " 7 ", ""]}, SITE)["site"]
    assert texts.tolist()[:4] == ["07", "NA", "None", "7"]
    assert texts.isna().tolist() == [False] * 4 + [True]
    long = [123456789012345678, 123456789012345679, None]
    assert read(tmp_path, {"site": long}, SITE)["site"].tolist()[:2] == long[:2]
    indexed = pa.Table.from_pandas(pd.DataFrame({"age": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="site")))
    assert read(tmp_path, indexed, SITE)["site"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "roles", "code", "said"),
    [
        ({"age": ["40", "forty"]}, AGE, "flat.not_numeric", "1 of 2 cells (first row 2)"),
        ({"age": ["40", "1,5"]}, AGE, "flat.decimal_comma", "(first row 2)"),
        ({"age": ["NA", "40"]}, AGE, "flat.missing_mark", "(first row 1)"),
        ({"site": ["a", "b\x00c"]}, SITE, "extract.control_character", "first row 2"),
        ({"age": [[1.0], [2.0]]}, AGE, "flat.column_type", "'age'"),
        ({"site": [b"a", b"b"]}, SITE, "flat.column_type", "'site'"),
        ({"Age": [1.0]}, AGE, "flat.no_column", "column 1 for 'age'"),
        (pa.table([[1.0], [2.0]], names=["age", "age"]), AGE, "flat.duplicate_column", "columns 1 and 2"),
    ],
)
def test_slips_are_told_by_column_and_row(
    tmp_path: Path, columns: Any, roles: dict[str, Role], code: str, said: str
) -> None:
    """The same words as for CSV, with rows for lines."""
    with pytest.raises(ExtractError) as refusal:
        read(tmp_path, columns, roles)
    assert refusal.value.code == code
    assert said in str(refusal.value)
    assert "forty" not in str(refusal.value)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """A file cut short, or of another kind, is one plain line."""
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ExtractError) as refusal:
        read_flat_parquet(path, FileData(kind="file", path="t.parquet"), AGE)
    assert refusal.value.code == "extract.unreadable_file"


def test_dates_are_no_numbers(tmp_path: Path) -> None:
    """A date is refused where a number is needed, by the analysis and by name."""
    found = read(tmp_path, {"age": [date(2024, 1, 1), date(2024, 1, 2)]}, AGE)
    with pytest.raises(DesignError, match="holds dates"):
        numbers(found, "age")
