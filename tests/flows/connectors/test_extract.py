"""What a sound extract becomes, whatever the shape it comes in."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal.errors import ExtractError
from causal.tables import TABLES, Kind
from flows.connectors.extract import ExtractFiles, read_extract
from tests.flows.connectors.small_extract import (
    AS_OF,
    arrow_table,
    csv_text,
    encounter,
    small_extract,
    write_csv,
    write_files,
    write_manifest,
    write_parquet,
)


def contents(extract: ExtractFiles, table: str) -> list[tuple[object, ...]]:
    """Rows of the typed files, in a fixed order of rows and columns."""
    files = [str(path) for path in extract.files[table]]
    columns = ", ".join(f'"{name}"' for name in extract.columns[table])
    with duckdb.connect() as connection:
        return sorted(connection.execute(f"SELECT {columns} FROM read_parquet(?)", [files]).fetchall(), key=repr)  # noqa: S608


def test_csv_and_parquet_give_the_same_typed_rows(tmp_path: Path) -> None:
    """Every table read from CSV equals the same table read from Parquet."""
    tables = small_extract()
    csv = read_extract(write_csv(tmp_path / "csv", tables), cache=tmp_path / "cache")
    parquet = read_extract(write_parquet(tmp_path / "parquet", tables), cache=tmp_path / "cache")
    assert (csv.file_format, parquet.file_format) == ("csv", "parquet")
    assert csv.columns == parquet.columns
    assert {name: contents(csv, name) for name in tables} == {name: contents(parquet, name) for name in tables}
    assert csv.rows == {name: len(rows) for name, rows in tables.items()}
    assert csv.as_of == AS_OF
    assert csv.synthetic is True


def test_typed_files_have_the_declared_types(tmp_path: Path) -> None:
    """Each kind has one storage type; ids stay text with zeros, exponents and NA as they were."""
    extract = read_extract(write_csv(tmp_path / "csv", small_extract()), cache=tmp_path / "cache")
    expected = {
        Kind.ID: pa.string(),
        Kind.CATEGORY: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.DATE: pa.date32(),
        Kind.TIMESTAMP: pa.timestamp("us"),
    }
    for table, files in extract.files.items():
        schema = pq.read_schema(files[0])
        assert {f.name: f.type for f in schema} == {
            column.name: expected[column.kind]
            for column in TABLES[table].columns
            if column.name in extract.columns[table]
        }
    people = pq.read_table(extract.files["patients"][0]).column("person_id").to_pylist()
    assert people == ["0007", "1E5", "NA", "null"]


def test_parquet_of_the_declared_types_is_not_copied(tmp_path: Path) -> None:
    """Such files are used where they lie."""
    folder = write_parquet(tmp_path / "parquet", small_extract())
    extract = read_extract(folder, cache=tmp_path / "cache")
    assert {path.parent for paths in extract.files.values() for path in paths} == {folder}


def test_parquet_of_other_types_is_typed_again(tmp_path: Path) -> None:
    """Items as doubles with NaN, dates as midnights, empty texts and text stamps become what is declared."""
    tables = small_extract()
    plain = read_extract(write_parquet(tmp_path / "plain", tables), cache=tmp_path / "cache")
    measures = arrow_table("measures", tables["measures"])
    for name in measures.column_names:
        place, column = measures.column_names.index(name), measures.column(name)
        if name.startswith("itm_"):
            values = [float("nan") if value is None else float(value) for value in column.to_pylist()]
            measures = measures.set_column(place, name, pa.array(values, pa.float64()))
        if name == "admin_ts":
            measures = measures.set_column(place, name, column.cast(pa.string()))
    patients = arrow_table("patients", tables["patients"])
    died = patients.column("death_date").cast(pa.timestamp("ns"))
    race = pa.array([value or "" for value in patients.column("race_eth").to_pylist()])
    patients = patients.set_column(5, "death_date", died).set_column(3, "race_eth", race)
    folder = write_parquet(tmp_path / "odd", tables, measures=measures, patients=patients)
    odd = read_extract(folder, cache=tmp_path / "cache")
    assert odd.unreadable == {}
    for table in ("measures", "patients"):
        assert contents(odd, table) == contents(plain, table)
        assert odd.files[table][0].parent != folder


def test_undeclared_columns_change_nothing(tmp_path: Path) -> None:
    """Columns called `propensity_score`, `weights` or `select` are ignored and noted, in CSV and in Parquet."""
    plain = read_extract(write_csv(tmp_path / "plain", small_extract()), cache=tmp_path / "cache")
    tables = small_extract()
    for row in tables["patients"]:
        row |= {"propensity_score": "0.3", "weights": "2", "select": "drop"}
    for folder in (write_csv(tmp_path / "csv", tables), write_parquet(tmp_path / "parquet", tables)):
        extract = read_extract(folder, cache=tmp_path / "cache")
        assert contents(extract, "patients") == contents(plain, "patients")
        assert pq.read_schema(extract.files["patients"][0]).names == list(plain.columns["patients"])
        assert extract.notes == ("undeclared columns of table 'patients' that were ignored: 3",)


def test_order_of_columns_and_number_of_files_do_not_matter(tmp_path: Path) -> None:
    """A table cut into two files with its columns turned round is the same table."""
    tables = small_extract()
    whole = read_extract(write_csv(tmp_path / "whole", tables), cache=tmp_path / "cache")
    folder = tmp_path / "parts"
    (folder / "encounters").mkdir(parents=True)
    listed = {}
    for name, rows in tables.items():
        parts = [rows[:2], rows[2:]] if name == "encounters" else [rows]
        listed[name] = []
        for number, part in enumerate(parts):
            path = f"{name}/part{number}.csv" if name == "encounters" else f"{name}.csv"
            turned = [dict(reversed(row.items())) for row in part]
            header = list(turned[0])
            lines = [",".join(header), *(",".join(row.get(column, "") for column in header) for row in turned)]
            if name == "measures":
                lines = csv_text(name, part).splitlines()
            (folder / path).write_text("\n".join(lines) + "\n")
            listed[name].append((path, len(part)))
    write_manifest(folder, listed)
    parts = read_extract(folder, cache=tmp_path / "cache")
    assert len(parts.files["encounters"]) == 2
    assert {name: contents(parts, name) for name in tables} == {name: contents(whole, name) for name in tables}


def test_byte_order_mark_and_carriage_returns_are_accepted_and_noted(tmp_path: Path) -> None:
    """A file saved by a spreadsheet reads the same, and the notes say what was met."""
    tables = small_extract()
    plain = read_extract(write_csv(tmp_path / "plain", tables), cache=tmp_path / "cache")
    files = {f"{name}.csv": csv_text(name, rows).encode() for name, rows in tables.items()}
    files["patients.csv"] = b"\xef\xbb\xbf" + files["patients.csv"].replace(b"\n", b"\r\n")
    files["clinics.csv"] = files["clinics.csv"].rstrip(b"\n")
    extract = read_extract(write_files(tmp_path / "odd", files), cache=tmp_path / "cache")
    assert contents(extract, "patients") == contents(plain, "patients")
    assert contents(extract, "clinics") == contents(plain, "clinics")
    assert extract.notes == (
        "files that carried a byte-order mark: 1",
        "files that ended their lines with CR LF: 1",
        "files without a line end after the last line: 1",
    )


def test_quoted_values_are_read(tmp_path: Path) -> None:
    """Quotes are taken off, doubled quotes become one, and a quoted empty value is no value."""
    files = {f"{name}.csv": csv_text(name, rows).encode() for name, rows in small_extract().items()}
    lines = files["patients.csv"].decode().splitlines()
    lines += ['"a,b","1980","F","","private",', '"c""d",1980,F,white,private,""']
    files["patients.csv"] = ("\n".join(lines) + "\n").encode()
    extract = read_extract(write_files(tmp_path / "quoted", files), cache=tmp_path / "cache")
    rows = pq.read_table(extract.files["patients"][0]).to_pylist()[-2:]
    assert [(row["person_id"], row["race_eth"], row["death_date"]) for row in rows] == [
        ("a,b", None, None),
        ('c"d', "white", None),
    ]


def test_unreadable_cells_are_set_aside_with_line_numbers_only(tmp_path: Path) -> None:
    """A row with a cell that is not of its kind is kept out, counted, and remembered by line and reason."""
    tables = small_extract()
    tables["patients"][1]["birth_year"] = "198O"
    tables["patients"][3]["death_date"] = "2024-02-30"
    tables["encounters"] += [
        encounter("E8", "0007", "2023-05-01 24:00:00"),
        encounter("E9", "0007", "2023-05-01"),
    ]
    tables["measures"][0] |= {"itm_02": "3 - sometimes", "admin_ts": "yesterday"}
    tables["threat_assessments"][0]["severity"] = "nan"
    tables["threat_assessments"][1]["means_access"] = "yes"
    extract = read_extract(write_csv(tmp_path / "csv", tables), cache=tmp_path / "cache")
    assert extract.unreadable == {
        "encounters.start_ts:unreadable": 2,
        "measures.admin_ts:unreadable": 1,
        "patients.birth_year:unreadable": 1,
        "patients.death_date:unreadable": 1,
        "threat_assessments.means_access:unreadable": 1,
        "threat_assessments.severity:unreadable": 1,
    }
    assert extract.rows["encounters"] == 6
    assert len(contents(extract, "encounters")) == 4
    kept = tmp_path / "cache" / extract.digest / "unreadable" / "encounters" / "0000.parquet"
    assert pq.read_table(kept).to_pylist() == [
        {"line": 6, "reason": "encounters.start_ts:unreadable"},
        {"line": 7, "reason": "encounters.start_ts:unreadable"},
    ]


def test_what_a_cell_may_look_like(tmp_path: Path) -> None:
    """Each kind has one written form; the hour that a clock change skips is read as written."""
    readable = {
        "patients.birth_year": ["007", "+5", "123456789012345678"],
        "patients.death_date": ["2024-02-29", "0001-01-01"],
        "threat_assessments.severity": ["5.25", "-1e-3", "7"],
        "threat_assessments.ts": ["2024-03-10 02:30:00", "2024-03-10T02:30", "2024-03-10 02:30:59.123456"],
        "threat_assessments.means_access": ["TRUE", "0"],
    }
    unreadable = {
        "patients.birth_year": ["1.0", "1e3", " 5", "5 ", "--5", "1_000", "1234567890123456789"],
        "patients.death_date": ["2023-02-29", "2024-1-1", "0000-01-01", "2024-01-01 00:00:00", "20240101", "infinity"],
        "threat_assessments.severity": ["1e999", "inf", "NaN", ".5", "0x10"],
        "threat_assessments.ts": ["2024-03-10 02:30:60", "2024-03-10 25:00", "2024-03-10", "2024-02-30 10:00", "now"],
        "threat_assessments.means_access": ["no", "t", "2"],
    }
    tables = small_extract()
    for cells in (readable, unreadable):
        for place, listed in cells.items():
            table, column = place.split(".")
            tables[table] += [tables[table][0] | {column: cell} for cell in listed]
    extract = read_extract(write_csv(tmp_path / "csv", tables), cache=tmp_path / "cache")
    assert extract.unreadable == {f"{place}:unreadable": len(cells) for place, cells in sorted(unreadable.items())}


def test_a_second_reading_uses_the_typed_copies(tmp_path: Path) -> None:
    """The same bytes are typed once."""
    folder = write_csv(tmp_path / "csv", small_extract())
    first = read_extract(folder, cache=tmp_path / "cache")
    made = first.files["patients"][0].stat().st_ino
    second = read_extract(folder, cache=tmp_path / "cache")
    assert second == first
    assert second.files["patients"][0].stat().st_ino == made


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove", "record"])
def test_a_damaged_typed_copy_is_made_again(tmp_path: Path, damage: str) -> None:
    """A copy that is not the one that was made is never used."""
    folder = write_csv(tmp_path / "csv", small_extract())
    first = read_extract(folder, cache=tmp_path / "cache")
    before = contents(first, "patients")
    copy = first.files["patients"][0]
    content = copy.read_bytes()
    if damage == "flip":
        copy.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    elif damage == "cut":
        copy.write_bytes(content[:-10])
    elif damage == "empty":
        copy.write_bytes(b"")
    elif damage == "remove":
        copy.unlink()
    else:
        (copy.parent.parent / "read.json").write_text("{")
    assert contents(read_extract(folder, cache=tmp_path / "cache"), "patients") == before
    assert copy.read_bytes() == content


def test_a_failed_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    """Refused or killed, a reading leaves no half-made copies for the next one."""
    tables = small_extract()
    tables["episodes"][0]["start"] = "03/04/2024 10:00"
    folder = write_csv(tmp_path / "csv", tables)
    (tmp_path / "cache" / ".staging-left-by-a-killed-run").mkdir(parents=True)
    with pytest.raises(ExtractError):
        read_extract(folder, cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_digest_follows_the_bytes(tmp_path: Path) -> None:
    """One changed byte changes the digest, even when size and times stay; the folder's name does not."""
    first = read_extract(write_csv(tmp_path / "one", small_extract()), cache=tmp_path / "cache")
    same = read_extract(write_csv(tmp_path / "two", small_extract()), cache=tmp_path / "cache")
    assert first.digest == same.digest
    tables = small_extract()
    tables["patients"][0]["birth_year"] = "1981"
    stamp = (tmp_path / "two" / "patients.csv").stat()
    write_csv(tmp_path / "two", tables)
    os.utime(tmp_path / "two" / "patients.csv", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert read_extract(tmp_path / "two", cache=tmp_path / "cache").digest != first.digest


def test_without_a_manifest_names_say_what_a_file_is(tmp_path: Path) -> None:
    """``<table>.csv`` and ``<table>/*.csv`` are found; the date comes from the caller, and the notes say so."""
    folder = write_csv(tmp_path / "csv", small_extract(), manifest=False)
    (folder / "patients").mkdir()
    (folder / "patients.csv").rename(folder / "patients" / "any-name.csv")
    (folder / "readme.txt").write_text("not a table")
    extract = read_extract(folder, cache=tmp_path / "cache", as_of=datetime.date(2024, 12, 31))
    assert len(contents(extract, "patients")) == 4
    assert extract.synthetic is False
    assert extract.notes == ("the extract has no manifest.json: its completeness could not be checked",)


def test_files_beside_the_manifest_are_left_alone(tmp_path: Path) -> None:
    """A file nobody listed is not opened, only counted: not even a pipe can hang the reading."""
    folder = write_csv(tmp_path / "csv", small_extract())
    os.mkfifo(folder / "patients_extra.csv")
    extract = read_extract(folder, cache=tmp_path / "cache")
    assert extract.notes == ("files in the folder that are not in the manifest and were left alone: 1",)


def test_header_only_tables_are_empty_tables(tmp_path: Path) -> None:
    """A table nobody needs may have no rows."""
    tables = small_extract() | {"hospitalizations": []}
    extract = read_extract(write_csv(tmp_path / "csv", tables), cache=tmp_path / "cache")
    assert extract.rows["hospitalizations"] == 0
    assert contents(extract, "hospitalizations") == []


def test_a_long_file_is_read_in_blocks(tmp_path: Path) -> None:
    """Line numbers and counts hold across the blocks in which a file is looked at."""
    tables = small_extract()
    tables["encounters"] = [encounter(f"E{i}", "0007", "2023-01-01 09:00:00") for i in range(120_000)]
    tables["encounters"][99_998]["start_ts"] = "never"
    extract = read_extract(write_csv(tmp_path / "csv", tables), cache=tmp_path / "cache")
    kept = tmp_path / "cache" / extract.digest / "unreadable" / "encounters" / "0000.parquet"
    assert pq.read_table(kept).to_pylist() == [{"line": 100_000, "reason": "encounters.start_ts:unreadable"}]
    assert extract.rows["encounters"] == 120_000


def test_manifest_read_from_the_folder_wins_nothing_over_the_caller(tmp_path: Path) -> None:
    """Two dates for one extract are refused."""
    folder = write_csv(tmp_path / "csv", small_extract())
    with pytest.raises(ExtractError) as refusal:
        read_extract(folder, cache=tmp_path / "cache", as_of=datetime.date(2020, 1, 1))
    assert str(refusal.value) == (
        "[extract.as_of] the manifest says the extract was taken on 2024-12-31, the call says 2020-01-01."
        " Fix: drop one of the two dates"
    )
    assert json.loads((folder / "manifest.json").read_text())["as_of"] == "2024-12-31"
