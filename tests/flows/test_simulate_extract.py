"""A simulated extract on disk: whole or absent, true to its manifest, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from causal.errors import ExtractError, StudyFileError
from causal.simulation import SimulationParameters, simulate
from causal.tables import TABLES, Kind
from flows import simulate_extract as module
from flows.simulate_extract import simulate_extract

PARAMETERS = SimulationParameters(dirt=0.02)


def hashes(manifest: dict[str, Any]) -> dict[str, str]:
    """sha256 by path."""
    return {file["path"]: file["sha256"] for table in manifest["tables"].values() for file in table["files"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a Parquet extract of 400 people."""
    out = tmp_path_factory.mktemp("simulated") / "out"
    simulate_extract(PARAMETERS, patients=400, seed=3, out=out)
    return out


def test_manifest_tells_the_truth(written: Path) -> None:
    """Every file is listed with its rows, bytes and sha256, and nothing else lies in the extract."""
    extract = written / "extract"
    manifest = json.loads((extract / "manifest.json").read_text(encoding="utf-8"))
    assert {key: manifest[key] for key in ("schema", "as_of", "synthetic", "seed", "patients")} == {
        "schema": "rapport-extract/1",
        "as_of": "2023-12-31",
        "synthetic": True,
        "seed": 3,
        "patients": 400,
    }
    assert list(manifest["tables"]) == list(TABLES)
    for table in manifest["tables"].values():
        assert table["rows"] == sum(file["rows"] for file in table["files"])
        for file in table["files"]:
            path = extract / file["path"]
            assert path.stat().st_size == file["bytes"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
            assert pq.read_metadata(path).num_rows == file["rows"]
    there = {str(path.relative_to(extract)) for path in extract.rglob("*") if path.is_file()}
    assert there == {*hashes(manifest), "manifest.json"}


def test_truth_and_dirt_lie_outside_the_extract(written: Path) -> None:
    """What no pipeline may see stands beside the extract, and matches the simulation."""
    assert {path.name for path in written.iterdir()} == {"extract", "truth.parquet", "dirt.json"}
    simulated = simulate(PARAMETERS, 400, seed=3)
    pd.testing.assert_frame_equal(pd.read_parquet(written / "truth.parquet"), simulated.truth)
    assert Counter(json.loads((written / "dirt.json").read_text(encoding="utf-8"))) == simulated.dirt


def test_columns_have_their_declared_types(written: Path) -> None:
    """Parquet files carry the declared columns in order, as text, integers, dates and timestamps."""
    kinds = {
        Kind.ID: "string",
        Kind.CATEGORY: "string",
        Kind.INTEGER: "int64",
        Kind.NUMBER: "double",
        Kind.BOOLEAN: "bool",
        Kind.DATE: "date32[day]",
        Kind.TIMESTAMP: "timestamp[us]",
    }
    for name, table in TABLES.items():
        schema = pq.read_schema(written / "extract" / name / "part-00000.parquet")
        declared = [column for column in table.columns if column.name in schema.names]
        assert schema.names == [column.name for column in declared]
        for column in declared:
            expected = "int16" if column.name.startswith("itm_") else kinds[column.kind]
            assert str(schema.field(column.name).type) == expected
        assert schema.metadata is None


def test_values_survive_the_disk(written: Path) -> None:
    """What is read back is what was simulated."""
    simulated = simulate(PARAMETERS, 400, seed=3)
    for name, frame in simulated.tables.items():
        back = pd.read_parquet(written / "extract" / name)
        dated = [column.name for column in TABLES[name].columns if column.kind in (Kind.DATE, Kind.TIMESTAMP)]
        times = [column for column in dated if column in frame.columns]  # optional ones are not simulated
        back[times] = back[times].astype("datetime64[s]")
        pd.testing.assert_frame_equal(back, frame, check_dtype=False)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_same_call_same_bytes(tmp_path: Path, file_format: Any) -> None:
    """Two runs in two places give the same hashes."""
    first, second = (
        simulate_extract(PARAMETERS, patients=200, seed=3, out=tmp_path / place, file_format=file_format)
        for place in ("a", "b")
    )
    assert first == second
    assert (tmp_path / "a" / "truth.parquet").read_bytes() == (tmp_path / "b" / "truth.parquet").read_bytes()


def test_csv_says_what_parquet_says(written: Path, tmp_path: Path) -> None:
    """The CSV form is plain UTF-8 with a header, ISO dates and times, line feeds and empty nulls."""
    manifest = simulate_extract(PARAMETERS, patients=400, seed=3, out=tmp_path / "csv", file_format="csv")
    for name, table in TABLES.items():
        path = tmp_path / "csv" / "extract" / name / "part-00000.csv"
        content = path.read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")
        assert content.count(b"\n") == manifest["tables"][name]["rows"] + 1
        text = pd.read_csv(path, dtype="str", keep_default_na=False)
        typed = pd.read_parquet(written / "extract" / name)
        for column in table.columns:
            if column.name not in typed:
                continue
            values = typed[column.name]
            if column.kind is Kind.TIMESTAMP:
                values = pd.to_datetime(values).dt.strftime("%Y-%m-%dT%H:%M:%S")
            elif column.kind is Kind.DATE:
                values = pd.to_datetime(values).dt.strftime("%Y-%m-%d")
            elif column.kind is Kind.BOOLEAN:
                values = values.map({True: "true", False: "false"})
            elif column.kind is Kind.INTEGER:
                values = values.astype("Int64").astype("str")
            elif column.kind is Kind.NUMBER:
                text[column.name] = text[column.name].astype(float)
            expected = values if column.kind is Kind.NUMBER else values.astype("str").where(values.notna(), "")
            assert text[column.name].tolist() == expected.tolist(), column.name


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """A folder that is not empty, or a file, is refused and kept; an empty folder is used."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "report.html").write_text("keep me", encoding="utf-8")
    (tmp_path / "file").write_text("keep me", encoding="utf-8")
    for name in ("full", "file"):
        with pytest.raises(ExtractError, match=r"extract\.exists"):
            simulate_extract(PARAMETERS, patients=20, seed=3, out=tmp_path / name)
    assert (tmp_path / "full" / "report.html").read_text(encoding="utf-8") == "keep me"
    (tmp_path / "empty").mkdir()
    simulate_extract(PARAMETERS, patients=20, seed=3, out=tmp_path / "empty")
    assert (tmp_path / "empty" / "extract" / "manifest.json").is_file()


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails half-way, neither the folder nor its staging folder is there."""

    def full(_path: Path, _content: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write_json", full)
    with pytest.raises(OSError, match="No space left"):
        simulate_extract(PARAMETERS, patients=20, seed=3, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    """An unknown format and an impossible size are refused, and leave nothing behind."""
    with pytest.raises(ExtractError, match=r"extract\.format"):
        simulate_extract(PARAMETERS, patients=20, seed=3, out=tmp_path / "out", file_format="xlsx")  # type: ignore[arg-type]
    with pytest.raises(StudyFileError, match=r"simulation\.patients"):
        simulate_extract(PARAMETERS, patients=0, seed=3, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
