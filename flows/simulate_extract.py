"""Writes a simulated extract, with its manifest, to disk; its truth goes beside it, where no pipeline looks.

```
OUT/extract/<table>/part-00000.parquet ...    what a site would deliver
OUT/extract/manifest.json                     rows, bytes and sha256 of every file; written last
OUT/truth.parquet                             both potential outcomes of every candidate occasion
OUT/dirt.json                                 injected faults per reason code
```
Everything is written to a staging folder beside OUT and renamed into place: OUT is there whole or not at all. The same
call gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from causal import tables
from causal.errors import ExtractError
from causal.simulation import AS_OF, SimulationParameters, simulate_chunks
from causal.tables import Kind, Table
from flows.machine import mend_of
from flows.shown import shown_path

if TYPE_CHECKING:
    import pandas as pd

FileFormat = Literal["parquet", "csv"]
MANIFEST_SCHEMA = "rapport-extract/1"

_COMPRESSION = "zstd"
_ARROW_TYPES = {
    Kind.ID: pa.string(),
    Kind.CATEGORY: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us"),
}


@dataclass(slots=True)
class _Written:
    """Files of one table so far."""

    rows: int = 0
    files: list[dict[str, object]] = field(default_factory=list)


def simulate_extract(
    parameters: SimulationParameters,
    *,
    patients: int,
    seed: int,
    out: Path,
    file_format: FileFormat = "parquet",
) -> dict[str, Any]:
    """Simulate an extract and put it in the folder `out`, which must be absent or empty.

    Returns
    -------
    The manifest, as written to ``out/extract/manifest.json``.

    Raises
    ------
    ExtractError
        `out` has something in it or is no folder (``"extract.exists"``), or the format is unknown
        (``"extract.format"``).
    StudyFileError
        The number of patients or the seed cannot be used.
    """
    if file_format not in get_args(FileFormat):
        raise ExtractError("extract.format", f"unknown file format {file_format!r}", fix="use 'parquet' or 'csv'")
    _check_free(out)
    staging = out.parent / f".{out.name}.staging-{uuid.uuid4().hex}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
    except OSError as error:
        raise ExtractError(
            "extract.unwritable",
            f"no extract can be written to {shown_path(out)}: {os.strerror(error.errno or 0).lower()}",
            fix=mend_of(error),
        ) from None
    try:
        manifest = _write(staging, parameters, patients, seed, file_format)
        _publish(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def arrow_schema(table: Table, columns: list[str]) -> pa.Schema:
    """Arrow types of some columns of a declared table; item responses take 16 bits."""
    types = {
        column.name: pa.int16() if column.name in tables.ITEM_COLUMNS else _ARROW_TYPES[column.kind]
        for column in table.columns
    }
    return pa.schema([(name, types[name]) for name in columns])


def _write(
    staging: Path, parameters: SimulationParameters, patients: int, seed: int, file_format: FileFormat
) -> dict[str, Any]:
    """Write every file of the extract under `staging`, the manifest last, and give the manifest."""
    extract = staging / "extract"
    written = {name: _Written() for name in tables.TABLES}
    dirt: Counter[str] = Counter()
    truth_writer: pq.ParquetWriter | None = None
    try:
        for chunk in simulate_chunks(parameters, patients, seed):
            for name, frame in chunk.tables.items():
                _write_part(extract, name, frame, written[name], file_format)
            truth = _plain(pa.Table.from_pandas(chunk.truth, preserve_index=False))
            if truth_writer is None:
                truth_writer = pq.ParquetWriter(staging / "truth.parquet", truth.schema, compression=_COMPRESSION)
            truth_writer.write_table(truth)
            dirt += chunk.dirt
    finally:
        if truth_writer is not None:
            truth_writer.close()
    _write_json(staging / "dirt.json", dict(sorted(dirt.items())))
    manifest: dict[str, Any] = {
        "schema": MANIFEST_SCHEMA,
        "as_of": AS_OF.isoformat(),
        "synthetic": True,
        "seed": seed,
        "patients": patients,
        "tables": {name: {"rows": table.rows, "files": table.files} for name, table in written.items()},
    }
    _write_json(extract / "manifest.json", manifest)
    for path in [staging / "truth.parquet", *sorted(path for path in staging.rglob("*") if path.is_dir()), staging]:
        _sync(path)
    return manifest


def _write_part(extract: Path, name: str, frame: pd.DataFrame, written: _Written, file_format: FileFormat) -> None:
    """Write one chunk of one table as its next part, and note its rows, bytes and hash."""
    relative = f"{name}/part-{len(written.files):05d}.{file_format}"
    path = extract / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = arrow_schema(tables.TABLES[name], list(frame.columns))
    table = _plain(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
    if file_format == "parquet":
        pq.write_table(table, path, compression=_COMPRESSION)
    else:
        _write_csv(table, path)
    _sync(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    written.rows += table.num_rows
    written.files.append({"path": relative, "rows": table.num_rows, "bytes": path.stat().st_size, "sha256": digest})


def _write_csv(table: pa.Table, path: Path) -> None:
    r"""UTF-8, a header, ISO dates and times (``2020-01-31T09:30:00``), ``\n``, nothing for null."""
    for index, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            to_the_second = table.column(index).cast(pa.timestamp("s")).cast(pa.string())
            iso = pc.replace_substring(to_the_second, pattern=" ", replacement="T", max_replacements=1)
            table = table.set_column(index, column.name, iso)
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as stream:
        stream.write((",".join(table.column_names) + "\n").encode())
        pa.csv.write_csv(table, stream, options)


def _plain(table: pa.Table) -> pa.Table:
    """Without pandas' own metadata."""
    return table.replace_schema_metadata(None)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_free(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise _in_the_way(out)


def _publish(staging: Path, out: Path) -> None:
    """Rename into place; on POSIX an empty folder is replaced, anything else refuses."""
    try:
        staging.rename(out)
    except OSError as error:
        if out.exists():
            raise _in_the_way(out) from error
        raise
    _sync(out.parent)


def _in_the_way(out: Path) -> ExtractError:
    return ExtractError(
        "extract.exists", f"{str(out)!r} exists and is not an empty folder", fix="name a new folder, or empty this one"
    )
