"""Extracts that must be refused: each with one plain line, and never with a value of a row in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from causal.errors import ExtractError
from causal.tables import TABLES
from flows.connectors.csv import convert_csv, scan_csv
from flows.connectors.extract import read_extract
from tests.flows.connectors.small_extract import (
    AS_OF,
    arrow_table,
    csv_text,
    small_extract,
    write_csv,
    write_files,
    write_manifest,
    write_parquet,
)

Change = Callable[[bytes], bytes]
PLAIN = {f"{name}.csv": csv_text(name, rows).encode() for name, rows in small_extract().items()}


def refusal(folder: Path, **options: Any) -> str:
    """Give the one line with which reading an extract ends."""
    with pytest.raises(ExtractError) as caught:
        read_extract(folder, cache=folder.parent / "cache", **options)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.fix
    return line


def replaced(old: bytes, new: bytes, count: int = -1) -> Change:
    """Change bytes that are there."""

    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, count)

    return change


FAULTS: dict[str, tuple[str, Change, str]] = {
    "unterminated quote": (
        "patients.csv",
        replaced(b"1E5,", b'"1E5,'),
        (
            "[extract.unterminated_quote] patients.csv has a quote that is not closed on its own line, on line 3."
            " Fix: close every quote; values may not hold line breaks"
        ),
    ),
    "line break in a value": (
        "patients.csv",
        replaced(b"1E5,", b'"1\nE5",'),
        (
            "[extract.unterminated_quote] patients.csv has a quote that is not closed on its own line, on line 3."
            " Fix: close every quote; values may not hold line breaks"
        ),
    ),
    "quote inside a value": (
        "patients.csv",
        replaced(b"1E5,", b'"1E"5,'),
        (
            "[extract.csv] patients.csv has a quote in the middle of a value, on line 3."
            " Fix: quote whole values and double the quotes inside them"
        ),
    ),
    "quote after a space": (
        "patients.csv",
        replaced(b"NA,1975", b'NA, "1975"'),
        (
            "[extract.csv] patients.csv has a quote in the middle of a value, on line 4."
            " Fix: quote whole values and double the quotes inside them"
        ),
    ),
    "rows too short and too long": (
        "encounters.csv",
        lambda content: content.replace(b"E2,0007,", b"E2,").replace(b"E4,0007,", b"E4,0007,0007,"),
        (
            "[extract.ragged] encounters.csv has 2 lines without its 6 values, first line 3. Fix: write 6"
            " values on every"
            " line; quote a value that holds a comma; write decimals with a point"
        ),
    ),
    "latin-1": (
        "clinics.csv",
        replaced(b"America", b"Am\xe9rica"),
        (
            "[extract.encoding] clinics.csv is not UTF-8 from line 2, it is likely Latin-1 (ISO 8859-1)."
            " Fix: save the file as UTF-8 and deliver it again"
        ),
    ),
    "Windows-1252": (
        "clinics.csv",
        replaced(b"America", b"\x93America\x94"),
        (
            "[extract.encoding] clinics.csv is not UTF-8 from line 2, it is likely Windows-1252."
            " Fix: save the file as UTF-8 and deliver it again"
        ),
    ),
    "two encodings": (
        "clinics.csv",
        replaced(b"America", b"Am\xe9rica \xc3\xa9"),
        (
            "[extract.encoding] clinics.csv is not UTF-8 from line 2, it is likely a mixture of UTF-8 and"
            " another encoding."
            " Fix: save the file as UTF-8 and deliver it again"
        ),
    ),
    "UTF-16 with its mark": (
        "clinics.csv",
        lambda content: content.decode().encode("utf-16"),
        (
            "[extract.encoding] clinics.csv is not UTF-8, it is likely UTF-16."
            " Fix: save the file as UTF-8 and deliver it again"
        ),
    ),
    "UTF-16 without its mark": (
        "clinics.csv",
        lambda content: content.decode().encode("utf-16-le"),
        (
            "[extract.encoding] clinics.csv is not UTF-8, it is likely UTF-16."
            " Fix: save the file as UTF-8 and deliver it again"
        ),
    ),
    "CR alone": (
        "clinics.csv",
        replaced(b"\n", b"\r"),
        "[extract.line_ends] clinics.csv ends its lines with CR alone. Fix: end lines with LF or CR LF",
    ),
    "two line ends": (
        "patients.csv",
        replaced(b"\n", b"\r\n", 2),
        (
            "[extract.line_ends] patients.csv mixes line ends: 2 of 5 lines end in CR LF."
            " Fix: write every line with the same line end"
        ),
    ),
    "NUL": (
        "patients.csv",
        replaced(b"1E5", b"1\x00E5"),
        (
            "[extract.control_character] patients.csv has control characters inside values, first on line 3."
            " Fix: remove NUL, tab, escape and other control characters"
        ),
    ),
    "terminal escape": (
        "patients.csv",
        replaced(b"1E5", b"\x1b[31m1E5\x1b[0m"),
        (
            "[extract.control_character] patients.csv has control characters inside values, first on line 3."
            " Fix: remove NUL, tab, escape and other control characters"
        ),
    ),
    "CR in a value": (
        "patients.csv",
        replaced(b"1E5", b"1\rE5"),
        (
            "[extract.control_character] patients.csv has control characters inside values, first on line 3."
            " Fix: remove NUL, tab, escape and other control characters"
        ),
    ),
    "C1 control in UTF-8": (
        "patients.csv",
        replaced(b"1E5", "1\x9bE5".encode()),
        (
            "[extract.control_character] patients.csv has control characters inside values, first on line 3."
            " Fix: remove NUL, tab, escape and other control characters"
        ),
    ),
    "huge value": (
        "patients.csv",
        replaced(b"1E5", b"9" * 3_000_000),
        (
            "[extract.line_too_long] line 3 of patients.csv is longer than 1000000 bytes."
            " Fix: an extract holds codes and numbers, not documents"
        ),
    ),
    "huge file without a line end": (
        "patients.csv",
        lambda _: b"9" * 12_000_000,
        (
            "[extract.line_too_long] line 1 of patients.csv is longer than 1000000 bytes."
            " Fix: an extract holds codes and numbers, not documents"
        ),
    ),
    "5,000 columns": (
        "patients.csv",
        lambda _: b",".join(b"c%d" % i for i in range(5000)) + b"\n",
        (
            "[extract.too_many_columns] patients.csv has 5000 columns; at most 500 are read."
            " Fix: deliver only the declared columns"
        ),
    ),
    "blank line": (
        "patients.csv",
        replaced(b"\n1E5", b"\n\n1E5"),
        "[extract.blank_line] patients.csv has 1 blank lines, first line 3. Fix: leave no line empty",
    ),
    "empty file": (
        "clinics.csv",
        lambda _: b"",
        "[extract.no_header] clinics.csv is empty. Fix: deliver at least the line of column names",
    ),
    "header only, of a table that is needed": (
        "threat_assessments.csv",
        lambda content: content.splitlines(keepends=True)[0],
        "[extract.empty_table] tables with 0 rows: threat_assessments. Fix: deliver them with their rows",
    ),
    "no header": (
        "clinics.csv",
        lambda content: content.splitlines(keepends=True)[1].replace(b"/", b""),
        (
            "[extract.no_header] the first line of clinics.csv names none of the columns of 'clinics'."
            " Fix: write the column names on the first line, in lower case"
        ),
    ),
    "repeated column": (
        "patients.csv",
        replaced(b"race_eth", b"sex"),
        (
            "[extract.duplicate_column] patients.csv has column names that differ only in case, or not at all: sex."
            " Fix: give every column its own name"
        ),
    ),
    "columns that differ in case": (
        "patients.csv",
        lambda content: content.replace(b"race_eth,insurance", b"SEX,weight").replace(b"death_date", b"WEIGHT"),
        (
            "[extract.duplicate_column] patients.csv has column names that differ only in case, or not at all: sex,"
            " columns number 5, 6. Fix: give every column its own name"
        ),
    ),
    "column names with spaces and tags": (
        "patients.csv",
        lambda content: content.replace(b"race_eth", b"race eth").replace(b"insurance", b"<b>insurance</b>"),
        (
            "[extract.column_name] patients.csv has column names that are not plain words: columns number 4, 5."
            " Fix: use letters, digits and underscores"
        ),
    ),
    "semicolons": (
        "clinics.csv",
        replaced(b",", b";"),
        (
            "[extract.delimiter] clinics.csv seems to be separated by semicolon, expected comma."
            " Fix: write it with commas (and decimals with a point)"
        ),
    ),
    "tabs": (
        "clinics.csv",
        replaced(b",", b"\t"),
        (
            "[extract.delimiter] clinics.csv seems to be separated by tab, expected comma."
            " Fix: write it with commas (and decimals with a point)"
        ),
    ),
    "decimal comma in quotes": (
        "threat_assessments.csv",
        replaced(b"4.5", b'"4,5"'),
        (
            "[extract.decimal_comma] threat_assessments.csv has numbers with a decimal comma in severity (2 rows)."
            " Fix: write decimals with a point"
        ),
    ),
    "day and month": (
        "hospitalizations.csv",
        replaced(b"2023-01-01", b"03/04/2024"),
        (
            "[extract.date_format] hospitalizations.csv has dates whose day and month can be confused in"
            " admit (1 rows),"
            " discharge (1 rows). Fix: write dates as YYYY-MM-DD and times as YYYY-MM-DD HH:MM:SS"
        ),
    ),
    "a time zone beside none": (
        "encounters.csv",
        replaced(b"2023-02-01 09:00:00", b"2023-02-01 09:00:00+05:00"),
        (
            "[extract.time_zone] encounters.csv has times with a time zone in start_ts (1 rows). Fix: write"
            " clinic-local"
            " times without a zone; the zone of a clinic is clinics.tz"
        ),
    ),
    "UTC": (
        "threat_assessments.csv",
        lambda content: content.replace(b"10:00,", b"10:00Z,").replace(b"11:30,", b"11:30 UTC,"),
        (
            "[extract.time_zone] threat_assessments.csv has times with a time zone in ts (2 rows). Fix:"
            " write clinic-local"
            " times without a zone; the zone of a clinic is clinics.tz"
        ),
    ),
    "free text": (
        "encounters.csv",
        replaced(b"status", b"status,visit_note"),
        (
            "[extract.free_text] encounters.csv has columns that seem to hold free text: columns number 7."
            " Fix: deliver the extract without them"
        ),
    ),
    "missing columns": (
        "patients.csv",
        lambda content: content.replace(b"person_id", b"PERSON").replace(b"sex", b"gender"),
        (
            "[extract.missing_column] missing columns: patients.person_id (column 1 has a name much like it), "
            "patients.sex."
            " Fix: deliver them, named in lower case"
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_csv_file_is_refused_with_one_line(tmp_path: Path, fault: str) -> None:
    """The whole sentence, for every fault of a text file."""
    name, change, line = FAULTS[fault]
    folder = write_files(tmp_path / "extract", PLAIN | {name: change(PLAIN[name])})
    if fault in ("line break in a value", "CR alone", "CR in a value", "C1 control in UTF-8"):  # not our count of lines
        (folder / "manifest.json").unlink()
        assert refusal(folder, as_of=AS_OF) == line
    else:
        assert refusal(folder) == line


def test_a_forbidden_column_is_refused_by_name(tmp_path: Path) -> None:
    """What the study forbids is refused whatever its case."""
    changed = replaced(b"status", b"status,Zip9")(PLAIN["encounters.csv"])
    folder = write_files(tmp_path / "extract", PLAIN | {"encounters.csv": changed})
    assert refusal(folder, forbidden=("zip9",)) == (
        "[extract.forbidden_column] encounters.csv has columns the study forbids: zip9."
        " Fix: deliver the extract without them"
    )


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    """With a manifest by its bytes; without one because its last line does not end."""
    folder = write_files(tmp_path / "extract", PLAIN)
    path = folder / "encounters.csv"
    path.write_bytes(PLAIN["encounters.csv"][:-30])
    got, said = len(PLAIN["encounters.csv"]) - 30, len(PLAIN["encounters.csv"])
    assert refusal(folder) == (
        f"[extract.manifest_mismatch] encounters.csv has {got} bytes, its manifest says {said}."
        " Fix: deliver the extract again, with the manifest written last"
    )
    (folder / "manifest.json").unlink()
    assert refusal(folder, as_of=AS_OF) == (
        "[extract.truncated] encounters.csv does not end with a line end, so it may be cut short."
        " Fix: deliver a manifest.json, or end the last line"
    )


def test_a_file_with_other_bytes_or_rows_is_refused(tmp_path: Path) -> None:
    """Same size but another byte; and a manifest that counts other rows."""
    folder = write_files(tmp_path / "extract", PLAIN)
    (folder / "patients.csv").write_bytes(replaced(b"1980", b"1981")(PLAIN["patients.csv"]))
    assert refusal(folder) == (
        "[extract.manifest_mismatch] the sha256 of patients.csv is not the one in its manifest."
        " Fix: deliver the extract again, with the manifest written last"
    )
    write_manifest(folder, {name.split(".")[0]: [(name, 7)] for name in PLAIN})
    assert refusal(folder) == (
        "[extract.manifest_mismatch] patients.csv has 4 rows, its manifest says 7."
        " Fix: deliver the extract again, with the manifest written last"
    )


def test_all_that_is_missing_is_listed_at_once(tmp_path: Path) -> None:
    """Tables first, then columns."""
    few = {name: content for name, content in PLAIN.items() if name not in ("clinics.csv", "episodes.csv")}
    assert refusal(write_files(tmp_path / "extract", few)) == (
        "[extract.missing_table] missing tables: clinics, episodes. Fix: deliver them"
    )


def test_files_of_one_table_must_have_the_same_columns(tmp_path: Path) -> None:
    """A column that one part lacks is not filled in."""
    folder = write_files(tmp_path / "extract", PLAIN, manifest=False)
    (folder / "measures").mkdir()
    (folder / "measures.csv").rename(folder / "measures" / "1.csv")
    short = [row | {"itm_12": ""} for row in small_extract()["measures"]]
    (folder / "measures" / "2.csv").write_text(
        csv_text("measures", [{k: v for k, v in r.items() if k != "itm_12"} for r in short])
    )
    assert refusal(folder, as_of=AS_OF) == (
        "[extract.columns_differ] the files of table 'measures' hold different columns."
        " Fix: deliver all its files with the same columns"
    )


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("../patients.csv", "[extract.path] the path of file 1 of table 'patients' leaves the extract folder"),
        ("/etc/passwd", "[extract.path] the path of file 1 of table 'patients' leaves the extract folder"),
        ("a/../../patients.csv", "[extract.path] the path of file 1 of table 'patients' leaves the extract folder"),
        ("a\\b.csv", "[extract.path] the path of file 1 of table 'patients' leaves the extract folder"),
        ("pat\x00ients.csv", "[extract.path] the path of file 1 of table 'patients' leaves the extract folder"),
        ("pat\u202eients.csv", "[extract.path] the path of file 1 of table 'patients' leaves the extract folder"),
        ("patients.xlsx", "[extract.format] patients.xlsx is neither .csv nor .parquet"),
        ("elsewhere.csv", "[extract.missing_file] elsewhere.csv is not in the extract folder"),
    ],
)
def test_a_manifest_cannot_name_other_places(tmp_path: Path, path: str, line: str) -> None:
    """Only plain files in the folder, or one level below."""
    folder = write_files(tmp_path / "extract", PLAIN)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]["patients"]["files"][0]["path"] = path
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert refusal(folder).startswith(line)


@pytest.mark.parametrize(
    "kind", ["link", "linked folder", "pipe", "folder", "device link", "manifest pipe", "manifest link"]
)
def test_only_plain_files_are_opened(tmp_path: Path, kind: str) -> None:
    """Links, pipes and devices are refused, at once, without being opened."""
    folder = write_files(tmp_path / "extract", PLAIN)
    outside = write_files(tmp_path / "outside", PLAIN)
    path = folder / ("manifest.json" if kind.startswith("manifest") else "patients.csv")
    path.unlink()
    name, what = path.name, "is a link"
    if kind in ("link", "manifest link"):
        path.symlink_to(outside / path.name)
    elif kind == "device link":
        path.symlink_to("/dev/zero")
    elif kind == "linked folder":
        manifest = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(manifest.replace('"patients.csv"', '"sub/patients.csv"'))
        (folder / "sub").symlink_to(outside)
        name = "sub/patients.csv"
    elif kind == "folder":
        path.mkdir()
        what = "is not a regular file"
    else:
        os.mkfifo(path)
        what = "is not a regular file"
    assert refusal(folder).startswith(f"[extract.not_a_file] {name} {what}. Fix: deliver ")


def test_a_file_that_is_swapped_or_grows_while_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that were hashed are the bytes that are typed, or there is no result."""
    from flows.connectors import extract as module

    folder = write_files(tmp_path / "extract", PLAIN)
    path, typed = folder / "patients.csv", module.convert_csv

    def grow(*arguments: Any, **options: Any) -> dict[str, int]:
        with path.open("ab") as stream:
            stream.write(b"late,1980,F,white,private,\n")
        return typed(*arguments, **options)

    monkeypatch.setattr(module, "convert_csv", grow)
    assert refusal(folder) == (
        "[extract.changed] patients.csv changed while it was read. Fix: wait until the delivery is complete"
    )


MANIFESTS: dict[str, tuple[str, str]] = {
    "cut": ('{"schema": "rapport-extract/1", "as_', "it is not JSON (cut short, a repeated key, or nested too deep)"),
    "deep": ("[" * 100_000, "it is not JSON (cut short, a repeated key, or nested too deep)"),
    "repeated key": ('{"schema": 1, "schema": "rapport-extract/1"}', "it is not JSON (cut short, a repeated key, or"),
    "list": ("[]", 'it does not say "schema": "rapport-extract/1"'),
    "other schema": ('{"schema": "rapport-extract/9"}', 'it does not say "schema": "rapport-extract/1"'),
    "big": (" " * 5_000_000, "it is larger than 4000000 bytes"),
    "bare": ('{"schema": "rapport-extract/1"}', "missing, unknown or of the wrong type: as_of, synthetic, tables"),
    "types": (
        (
            '{"schema": "rapport-extract/1", "as_of": "2024-12-31", "synthetic": "yes", "Smith": 1,'
            ' "tables": {"patients":'
            ' {"rows": 1, "files": [{"path": "patients.csv", "rows": "1", "bytes": 1, "sha256": ""}]}}}'
        ),
        "missing, unknown or of the wrong type: (unknown key), synthetic, tables.patients.files.0.rows",
    ),
    "unknown table": (
        '{"schema": "rapport-extract/1", "as_of": "2024-12-31", "synthetic": true, "tables": {"Smith": {}}}',
        "1 of its tables are not known; known: patients, clinics,",
    ),
    "no date": (
        '{"schema": "rapport-extract/1", "as_of": "31/12/2024", "synthetic": true, "tables": {}}',
        "as_of is not a date written YYYY-MM-DD",
    ),
}


@pytest.mark.parametrize("fault", MANIFESTS)
def test_a_bad_manifest_is_refused(tmp_path: Path, fault: str) -> None:
    """Cut, deep, huge or wrong: one line each, without what stood there."""
    folder = write_files(tmp_path / "extract", PLAIN)
    content, what = MANIFESTS[fault]
    (folder / "manifest.json").write_text(content)
    line = refusal(folder)
    assert line.startswith(f"[extract.manifest] manifest.json cannot be used: {what}")
    assert "Smith" not in line


def test_rows_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    """A table's rows are the rows of its files; a file is listed once."""
    folder = write_files(tmp_path / "extract", PLAIN)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]["patients"]["rows"] = 99
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "the rows of the files of table 'patients' do not add up to the rows of the table" in refusal(folder)
    listed = {name.split(".")[0]: [("clinics.csv", 1)] for name in PLAIN}
    write_manifest(folder, listed)
    assert "it lists one file more than once" in refusal(folder)


def test_no_folder_no_date_no_choice(tmp_path: Path) -> None:
    """What cannot be found, dated or told apart is refused."""
    assert refusal(tmp_path / "nowhere") == (
        f"[extract.no_folder] the extract {tmp_path}/nowhere is not there. Fix: check the path after --extract"
    )
    folder = write_files(tmp_path / "extract", PLAIN, manifest=False)
    assert refusal(tmp_path / "extrcat").endswith(f"is not there. Fix: did you mean {folder}?")
    assert refusal(folder / "clinics.csv").split(". Fix")[0].endswith("clinics.csv is not a folder")
    assert refusal(folder) == (
        "[extract.as_of] the extract has no manifest.json, so the date it was taken is unknown."
        " Fix: deliver a manifest, or give the date of the extract"
    )
    write_files(tmp_path / "delivery" / "extract", PLAIN)
    assert refusal(tmp_path / "delivery").endswith(f" Fix: did you mean {tmp_path}/delivery/extract?")
    pq.write_table(arrow_table("clinics", small_extract()["clinics"]), folder / "clinics.parquet")
    assert refusal(folder, as_of=AS_OF) == (
        "[extract.format] delivered in more than one way: clinics. Fix: deliver each table once, as CSV or as Parquet"
    )


def _with(table: str, column: str, values: pa.Array) -> pa.Table:
    content = arrow_table(table, small_extract()[table])
    return content.set_column(content.column_names.index(column), column, values)


def test_bad_parquet_is_refused(tmp_path: Path) -> None:
    """Zones, control characters, types that cannot become the declared ones, and half a file."""
    stamps = arrow_table("encounters", small_extract()["encounters"]).column("start_ts")
    tables = small_extract()
    cases = {
        "[extract.time_zone] encounters.parquet has times with a time zone in start_ts (4 rows). Fix:"
        " write clinic-local"
        " times without a zone; the zone of a clinic is clinics.tz": _with(
            "encounters", "start_ts", stamps.cast(pa.timestamp("us", tz="UTC"))
        ),
        "[extract.control_character] encounters.parquet has control characters inside values of enc_id (1 rows)."
        " Fix: remove NUL, tab, escape and other control characters": _with(
            "encounters", "enc_id", pa.array(["E1", "E2", "E\x1b[3", "E4"])
        ),
        "[extract.column_type] encounters.parquet stores columns as another type: enc_id (double, expected id), status"
        " (a nested type, expected category). Fix: write each column as its declared type": _with(
            "encounters", "enc_id", pa.array([1.0, 2.0, 3.0, 4.0])
        ).set_column(5, "status", pa.array([{"Smith": 1}] * 4)),
        "[extract.date_format] encounters.parquet has dates whose day and month can be confused in start_ts (4 rows)."
        " Fix: write dates as YYYY-MM-DD and times as YYYY-MM-DD HH:MM:SS": _with(
            "encounters", "start_ts", pa.array(["03/04/2024 10:00"] * 4)
        ),
    }
    for number, (line, content) in enumerate(cases.items()):
        assert refusal(write_parquet(tmp_path / f"case{number}", tables, encounters=content)) == line
    folder = write_parquet(tmp_path / "half", tables)
    half = (folder / "patients.parquet").read_bytes()[:-50]
    (folder / "patients.parquet").write_bytes(half)
    (folder / "manifest.json").unlink()
    assert refusal(folder, as_of=AS_OF) == (
        "[extract.unreadable_file] patients.parquet is not a whole Parquet file. Fix: write the file again"
    )


def test_a_flipped_page_of_parquet_is_refused_without_its_values(tmp_path: Path) -> None:
    """Without a manifest damage inside a file shows when it is read; the engine's words are not repeated."""
    folder = write_parquet(tmp_path / "extract", small_extract())
    (folder / "manifest.json").unlink()
    content = bytearray((folder / "patients.parquet").read_bytes())
    content[4:60] = bytes(byte ^ 0xFF for byte in content[4:60])
    (folder / "patients.parquet").write_bytes(content)
    assert re.match(
        r"\[extract\.unreadable_file\] patients\.parquet cannot be read as Parquet\. Fix:", refusal(folder, as_of=AS_OF)
    )


def test_a_cache_that_cannot_be_written_is_not_the_extracts_fault(tmp_path: Path) -> None:
    """A folder that is a file, and a full disk, are named as what they are."""
    folder = write_files(tmp_path / "extract", PLAIN)
    (tmp_path / "cache").write_text("in the way")
    assert refusal(folder) == (
        "[extract.cache] typed copies of the extract cannot be kept in the cache folder: file exists."
        " Fix: check the folder, its permissions and the free space"
    )
    path, full = folder / "patients.csv", Path("/dev/full")
    with path.open("rb") as stream:
        facts = scan_csv(stream, "patients.csv")
    with duckdb.connect() as connection, pytest.raises(ExtractError) as caught:
        convert_csv(connection, path, facts, TABLES["patients"], target=full, unreadable=tmp_path / "aside")
    assert str(caught.value) == (
        "[extract.cache] typed copies of the extract cannot be written: the disk may be full, or the extract"
        " unreadable. Fix: check the free space and the permissions"
    )


def test_reading_changes_nothing_in_the_folder(tmp_path: Path) -> None:
    """An extract is read only, sound or not."""
    folder = write_csv(tmp_path / "extract", small_extract())
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    read_extract(folder, cache=tmp_path / "cache")
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
