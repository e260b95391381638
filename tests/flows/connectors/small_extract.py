"""A sound extract small enough to read, and ways to write it to disk."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from causal.tables import TABLES, Kind

AS_OF = datetime.date(2024, 12, 31)
Rows = dict[str, list[dict[str, str]]]

_WAI = {f"itm_{i:02d}": "4" for i in range(1, 13)}
_PHQ = {f"itm_{i:02d}": "1" for i in range(1, 10)}
_ARROW = {
    Kind.ID: pa.string(),
    Kind.CATEGORY: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}


def small_extract() -> Rows:
    """Give every table as rows of text; "" is no value. Sound: nothing in it breaks a rule."""
    return {
        "patients": [
            patient("0007", birth_year="1980"),
            patient("1E5", sex="M", race_eth=""),
            patient("NA", insurance="self"),
            patient("null", death_date="2024-06-01"),
        ],
        "clinics": [{"clinic_id": "K1", "state": "CA", "type": "community", "tz": "America/Los_Angeles"}],
        "clinicians": [
            {
                "clinician_id": "C1",
                "clinic_id": "K1",
                "profession": "psychologist",
                "hire_date": "2015-01-01",
                "end_date": "",
            }
        ],
        "jurisdiction_regime": [
            regime("2000-01-01", "2021-12-31", "permissive"),
            regime("2022-01-01", "", "mandatory"),
        ],
        "encounters": [encounter(f"E{i}", "0007", f"2023-0{i}-01 09:00:00") for i in range(1, 5)],
        "threat_assessments": [
            assessment("T1", "0007", "2023-05-01 10:00"),
            assessment("T2", "1E5", "2023-05-02T11:30"),
        ],
        "protective_actions": [
            {
                "action_id": "A1",
                "ta_id": "T1",
                "person_id": "0007",
                "ts": "2023-05-01 12:00:00",
                "action": "warn_police",
                "patient_informed": "before",
            }
        ],
        "measures": [
            measure("0007", "2023-04-01 09:00:00", **_WAI),
            measure("1E5", "2023-04-02 09:00:00", **(_WAI | {"itm_03": "99"})),
            measure("0007", "2023-04-01 09:00:00", instrument="phq9", version="std", **_PHQ),
        ],
        "diagnoses": [{"person_id": "NA", "icd10": "F32.1", "onset": "2022-02-28", "source": "encounter"}],
        "hospitalizations": [
            {
                "person_id": "null",
                "admit": "2023-01-01",
                "discharge": "2023-01-01",
                "type": "medical",
                "legal_status": "",
            }
        ],
        "episodes": [
            {
                "person_id": person,
                "clinician_id": "C1",
                "start": "2022-01-01 08:00:00",
                "end": "",
                "end_reason": "",
            }
            for person in ("0007", "1E5")
        ],
    }


def patient(person_id: str, **changes: str) -> dict[str, str]:
    """One sound row of patients."""
    row = {"person_id": person_id, "birth_year": "1975", "sex": "F", "race_eth": "white", "insurance": "private"}
    return row | {"death_date": ""} | changes


def regime(valid_from: str, valid_to: str, duty: str) -> dict[str, str]:
    """One row of jurisdiction_regime."""
    return {"state": "CA", "profession": "any", "valid_from": valid_from, "valid_to": valid_to, "regime": duty}


def encounter(enc_id: str, person_id: str, start_ts: str) -> dict[str, str]:
    """One sound row of encounters."""
    row = {"enc_id": enc_id, "person_id": person_id, "clinician_id": "C1", "start_ts": start_ts}
    return row | {"modality": "video", "status": "completed"}


def assessment(ta_id: str, person_id: str, ts: str) -> dict[str, str]:
    """One sound row of threat_assessments."""
    row = {"ta_id": ta_id, "person_id": person_id, "clinician_id": "C1", "ts": ts, "instrument_ver": "v1"}
    flags = {"target_identified": "true", "means_access": "False", "history_violence": "0"}
    return row | {"severity": "4.5"} | flags


def measure(person_id: str, admin_ts: str, **changes: str) -> dict[str, str]:
    """One row of measures without answers."""
    row = {"person_id": person_id, "clinician_id": "C1", "instrument": "wai_sr", "version": "client"}
    return row | {"rater": "patient", "admin_ts": admin_ts, "scheduled_ts": ""} | changes


def header_of(table: str, rows: list[dict[str, str]]) -> list[str]:
    """Columns in declared order, then others."""
    names = [column.name for column in TABLES[table].columns if not column.optional]
    named = dict.fromkeys(name for row in rows for name in row)
    declared = [column.name for column in TABLES[table].columns if column.name in named or column.name in names]
    return [*declared, *(name for name in named if name not in declared)]


def csv_text(table: str, rows: list[dict[str, str]]) -> str:
    """Plain CSV without quotes."""
    header = header_of(table, rows)
    lines = [",".join(header), *(",".join(row.get(name, "") for name in header) for row in rows)]
    return "\n".join(lines) + "\n"


def write_csv(folder: Path, tables: Rows, *, manifest: bool = True) -> Path:
    """Write one CSV file per table."""
    return write_files(
        folder, {f"{name}.csv": csv_text(name, rows).encode() for name, rows in tables.items()}, manifest=manifest
    )


def write_files(folder: Path, files: dict[str, bytes], *, manifest: bool = True) -> Path:
    """Write files named ``<table>.csv`` and, asked to, a manifest that describes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if manifest:
        rows = {name: max(len(content.splitlines()) - 1, 0) for name, content in files.items()}
        write_manifest(folder, {name.split(".")[0]: [(name, rows[name])] for name in files})
    return folder


def write_manifest(folder: Path, files: dict[str, list[tuple[str, int]]], **changes: Any) -> None:
    """Describe the files that are there, by table: (path, rows)."""
    tables = {
        table: {"rows": sum(rows for _, rows in listed), "files": [_entry(folder, path, rows) for path, rows in listed]}
        for table, listed in files.items()
    }
    manifest = {"schema": "rapport-extract/1", "as_of": AS_OF.isoformat(), "synthetic": True, "tables": tables}
    (folder / "manifest.json").write_text(json.dumps(manifest | changes), encoding="utf-8")


def _entry(folder: Path, path: str, rows: int) -> dict[str, object]:
    content = (folder / path).read_bytes()
    return {"path": path, "rows": rows, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def arrow_table(table: str, rows: list[dict[str, str]]) -> pa.Table:
    """Typed columns as a Parquet writer would deliver them."""
    header = header_of(table, rows)
    declared = {column.name: column.kind for column in TABLES[table].columns}
    arrays = {name: [_typed(row.get(name, ""), declared.get(name, Kind.CATEGORY)) for row in rows] for name in header}
    types = {name: _ARROW[declared.get(name, Kind.CATEGORY)] for name in header}
    return pa.table({name: pa.array(values, types[name]) for name, values in arrays.items()})


def _typed(cell: str, kind: Kind) -> object:
    if cell == "":
        return None
    if kind is Kind.INTEGER:
        return int(cell)
    if kind is Kind.NUMBER:
        return float(cell)
    if kind is Kind.BOOLEAN:
        return cell.lower() in ("true", "1")
    if kind is Kind.DATE:
        return datetime.date.fromisoformat(cell)
    return datetime.datetime.fromisoformat(cell) if kind is Kind.TIMESTAMP else cell


def write_parquet(folder: Path, tables: Rows, **arrow: pa.Table) -> Path:
    """Write one Parquet file per table, with a manifest; `arrow` replaces the file of a table."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    for name, rows in tables.items():
        content = arrow.get(name, arrow_table(name, rows))
        pq.write_table(content, folder / f"{name}.parquet")
        listed[name] = [(f"{name}.parquet", content.num_rows)]
    write_manifest(folder, listed)
    return folder
