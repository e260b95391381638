"""An extract on disk, read strictly once: every file hashed, every column typed, nothing changed in place."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causal.errors import ExtractError
from causal.spelling import nearest
from causal.tables import TABLES, Table
from flows.connectors.csv import CsvFacts, convert_csv, scan_csv
from flows.connectors.manifest import (
    MANIFEST_NAME,
    Delivery,
    Source,
    SourceFolder,
    changed,
    check_claim,
    digest_of,
    find_delivery,
)
from flows.connectors.parquet import ParquetFacts, convert_parquet, scan_parquet
from validation.delivery import NEEDED_TABLES

if TYPE_CHECKING:
    import duckdb

READER_VERSION = 1
"""Raised when the same bytes would be typed differently, so that older typed copies are made again."""

_RECORD = "read.json"
_MEMORY = "2GB"
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_FREE_TEXT = re.compile(r"(^|_)(notes?|text|comments?|narrative|transcript|remarks?|memo)(_|$)", re.IGNORECASE)

Facts = CsvFacts | ParquetFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractFiles:
    """An extract as typed Parquet files.

    Attributes
    ----------
    digest
        sha256 over the sorted (path, sha256) pairs of the delivered files and the manifest.
    file_format
        ``csv``, ``parquet`` or ``mixed``: as delivered.
    files, columns
        By table: its typed files, and the declared columns they hold.
    rows
        By table: rows delivered, readable or not.
    unreadable
        Rows kept out of the typed files, by reason code ``<table>.<column>:unreadable``.
    notes
        What was accepted but is worth knowing.
    place, delivered
        The folder, which knows every file it has opened, and the sha256 of each delivered file by its path there.
    made
        The typed copies.
    """

    folder: Path
    as_of: datetime.date
    synthetic: bool
    digest: str
    file_format: str
    files: dict[str, tuple[Path, ...]]
    columns: dict[str, tuple[str, ...]]
    rows: dict[str, int]
    unreadable: dict[str, int]
    notes: tuple[str, ...]
    place: SourceFolder = field(compare=False)
    delivered: dict[str, str]
    made: Path

    def refuse_changed(self) -> None:
        """Whether everything under `files` still is what was hashed: every result read from them rests on that.

        Files that need no typed copy are read where they lie, later than they were hashed, and by name. Called after
        the reading and before anything made of it is published.

        Raises
        ------
        ExtractError
            ``extract.changed``: a delivered file has other bytes, or is another file, or was put aside for a while; or
            a typed copy is not the one that was made.
        """
        for path, sha256 in self.delivered.items():
            with self.place.opened(path) as stream:
                if digest_of(stream) != sha256:
                    raise changed(path)
        if _intact(self.made) is None:
            raise changed("a typed copy of the extract")


def read_extract(
    folder: Path, *, cache: Path, forbidden: Collection[str] = (), as_of: datetime.date | None = None
) -> ExtractFiles:
    """Read the extract in `folder`; typed copies of files that need one are kept under ``cache/<digest>/``.

    Parameters
    ----------
    forbidden
        Names of columns that must not be in the extract at all.
    as_of
        The date of the extract, where it has no manifest to say so.

    Raises
    ------
    ExtractError
        Anything that cannot be accepted, in one line, without a value of any row.
    """
    place = SourceFolder(folder.resolve())
    delivery = find_delivery(place, as_of=as_of)
    _refuse_missing_tables(delivery)
    facts = {source: _scan(place, source) for source in delivery.sources}
    columns, undeclared = _check_columns(facts, forbidden)
    _refuse_empty(facts)
    digest = _digest(delivery, facts)
    record = _typed(place, facts, cache, digest)
    made = cache / digest
    files = {
        table: tuple(made / kept if kept else place.folder / path for path, kept in record["files"][table].items())
        for table in columns
    }
    formats = {source.format for source in delivery.sources}
    return ExtractFiles(
        folder=folder,
        as_of=delivery.as_of,
        synthetic=delivery.synthetic,
        digest=digest,
        file_format=formats.pop() if len(formats) == 1 else "mixed",
        files=files,
        columns=columns,
        rows={table: sum(f.rows for s, f in facts.items() if s.table == table) for table in columns},
        unreadable=record["unreadable"],
        notes=tuple(_notes(delivery, facts, undeclared)),
        place=place,
        delivered={source.path: fact.sha256 for source, fact in facts.items()},
        made=made,
    )


def _scan(place: SourceFolder, source: Source) -> Facts:
    with place.opened(source.path) as stream:
        facts = scan_csv(stream, source.path) if source.format == "csv" else scan_parquet(stream, source.path)
    check_claim(source, size=facts.size, sha256=facts.sha256, rows=facts.rows)
    if isinstance(facts, CsvFacts) and source.sha256 is None and not facts.final_newline:
        message = f"{source.path} does not end with a line end, so it may be cut short"
        raise ExtractError("extract.truncated", message, fix=f"deliver a {MANIFEST_NAME}, or end the last line")
    return facts


def _refuse_missing_tables(delivery: Delivery) -> None:
    delivered = {source.table for source in delivery.sources}
    missing = [name for name, table in TABLES.items() if name not in delivered and not table.optional]
    if missing:
        raise ExtractError("extract.missing_table", f"missing tables: {', '.join(missing)}", fix="deliver them")


def _refuse_empty(facts: Mapping[Source, Facts]) -> None:
    empty = [t for t in TABLES if t in NEEDED_TABLES and not sum(f.rows for s, f in facts.items() if s.table == t)]
    if empty:
        message = f"tables with 0 rows: {', '.join(empty)}"
        raise ExtractError("extract.empty_table", message, fix="deliver them with their rows")


def _check_columns(
    facts: Mapping[Source, Facts], forbidden: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], Counter[str]]:
    """Declared columns present and number of undeclared columns, by table; refuses what cannot be accepted."""
    present: dict[str, tuple[str, ...]] = {}
    undeclared: Counter[str] = Counter()
    missing: list[str] = []
    for source, fact in facts.items():
        declared = TABLES[source.table]
        known = tuple(column.name for column in declared.columns)
        _refuse_odd_names(fact, known)
        _refuse_forbidden(fact, known, forbidden)
        held = tuple(name for name in known if name in fact.header)
        if not held:
            message = f"the first line of {fact.name} names none of the columns of '{declared.name}'"
            raise ExtractError(
                "extract.no_header", message, fix="write the column names on the first line, in lower case"
            )
        if present.setdefault(source.table, held) != held:
            message = f"the files of table '{source.table}' hold different columns"
            raise ExtractError("extract.columns_differ", message, fix="deliver all its files with the same columns")
        missing += _missing_columns(declared, held, fact.header)
        undeclared[source.table] = max(undeclared[source.table], len(fact.header) - len(held))
    if missing:
        listed = ", ".join(dict.fromkeys(missing))
        raise ExtractError(
            "extract.missing_column", f"missing columns: {listed}", fix="deliver them, named in lower case"
        )
    return {table: present[table] for table in TABLES if table in present}, undeclared


def _missing_columns(declared: Table, held: tuple[str, ...], header: Sequence[str]) -> list[str]:
    """Columns that are not there, with the place of one that is named much like it: a first line may hold values."""
    places = {name: place for place, name in enumerate(header, start=1) if name not in held}
    told = []
    for column in declared.columns:
        if column.name not in held and not column.optional:
            near = nearest(column.name, places)
            like = f" (column {places[near]} has a name much like it)" if near else ""
            told.append(f"{declared.name}.{column.name}{like}")
    return told


def _refuse_odd_names(fact: Facts, known: tuple[str, ...]) -> None:
    """Names are shown only where they are ours: a file without a header has values on its first line."""
    lower = [name.lower() for name in fact.header]
    repeated = {name for name, count in Counter(lower).items() if count > 1}
    if repeated:
        named = [name for name in known if name in repeated]
        places = [str(i) for i, name in enumerate(lower, start=1) if name in repeated and name not in named]
        listed = ", ".join([*named, *([f"columns number {', '.join(places)}"] if places else [])])
        message = f"{fact.name} has column names that differ only in case, or not at all: {listed}"
        raise ExtractError("extract.duplicate_column", message, fix="give every column its own name")
    odd = [str(i) for i, name in enumerate(fact.header, start=1) if not _COLUMN.fullmatch(name)]
    if odd:
        message = f"{fact.name} has column names that are not plain words: columns number {', '.join(odd)}"
        raise ExtractError("extract.column_name", message, fix="use letters, digits and underscores")


def _refuse_forbidden(fact: Facts, known: tuple[str, ...], forbidden: Collection[str]) -> None:
    refused = {name.lower() for name in forbidden}
    named = sorted(refused & {name.lower() for name in fact.header})
    if named:
        message = f"{fact.name} has columns the study forbids: {', '.join(named)}"
        raise ExtractError("extract.forbidden_column", message, fix="deliver the extract without them")
    places = [str(i) for i, name in enumerate(fact.header, start=1) if name not in known and _FREE_TEXT.search(name)]
    if places:
        message = f"{fact.name} has columns that seem to hold free text: columns number {', '.join(places)}"
        raise ExtractError("extract.free_text", message, fix="deliver the extract without them")


def _digest(delivery: Delivery, facts: Mapping[Source, Facts]) -> str:
    pairs = sorted((source.path, fact.sha256) for source, fact in facts.items())
    if delivery.manifest_sha256 is not None:
        pairs.append((MANIFEST_NAME, delivery.manifest_sha256))
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def _typed(place: SourceFolder, facts: Mapping[Source, Facts], cache: Path, digest: str) -> dict[str, Any]:
    """The record of the typed copies, made now unless they are there and intact."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(cache):
            return _intact(cache / digest) or _make(place, facts, cache, digest)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        message = f"typed copies of the extract cannot be kept in the cache folder: {reason}"
        raise ExtractError(
            "extract.cache", message, fix="check the folder, its permissions and the free space"
        ) from None


def _make(place: SourceFolder, facts: Mapping[Source, Facts], cache: Path, digest: str) -> dict[str, Any]:
    """Type every file that needs it in a staging folder, and move that into place whole."""
    for stale in (cache / digest, *cache.glob(".staging-*")):
        shutil.rmtree(stale, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=cache))
    try:
        record = _convert_all(place, facts, staging)
        staging.rename(cache / digest)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return record


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One reader at a time makes typed copies; the lock ends with its process."""
    with (cache / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _convert_all(place: SourceFolder, facts: Mapping[Source, Facts], staging: Path) -> dict[str, Any]:
    files: dict[str, dict[str, str | None]] = {}
    unreadable: Counter[str] = Counter()
    digests: dict[str, str] = {}
    with _engine(place.folder, staging) as connection:
        for source, fact in facts.items():
            number = len(files.setdefault(source.table, {}))
            kept = f"{source.table}/{number:04d}.parquet"
            target, aside = staging / kept, staging / "unreadable" / kept
            for path in (target, aside):
                path.parent.mkdir(parents=True, exist_ok=True)
            with place.opened(source.path):
                path, declared = place.folder / source.path, TABLES[source.table]
                counts = (
                    convert_csv(connection, path, fact, declared, target=target, unreadable=aside)
                    if isinstance(fact, CsvFacts)
                    else convert_parquet(connection, path, fact, declared, target=target, unreadable=aside)
                )
            files[source.table][source.path] = None if counts is None else kept
            unreadable.update(counts or {})
    for path in sorted(staging.rglob("*.parquet")):
        with path.open("rb") as stream:
            digests[str(path.relative_to(staging))] = digest_of(stream)
            os.fsync(stream.fileno())
    record = {
        "reader": READER_VERSION,
        "files": files,
        "unreadable": dict(sorted(unreadable.items())),
        "sha256": digests,
    }
    (staging / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


@contextmanager
def _engine(folder: Path, staging: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that can reach the extract and the staging folder, and nothing else."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        for name, value in (
            ("memory_limit", f"'{_MEMORY}'"),
            ("temp_directory", _quote(staging / "spill")),
            ("autoinstall_known_extensions", "false"),
            ("autoload_known_extensions", "false"),
            ("allowed_directories", f"[{_quote(folder)}, {_quote(staging)}]"),
            ("enable_external_access", "false"),
            ("lock_configuration", "true"),
        ):
            connection.execute(f"SET {name} = {value}")
        yield connection


def _quote(path: Path) -> str:
    return "'" + str(path.resolve()).replace("'", "''") + "'"


def _intact(made: Path) -> dict[str, Any] | None:
    """The record of earlier typed copies; None unless every one is there, unchanged and made by this reader."""
    try:
        record: dict[str, Any] = json.loads((made / _RECORD).read_text(encoding="utf-8"))
        if record["reader"] != READER_VERSION:
            return None
        for name, sha256 in record["sha256"].items():
            with (made / name).open("rb") as stream:
                if digest_of(stream) != sha256:
                    return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record


def _notes(delivery: Delivery, facts: Mapping[Source, Facts], undeclared: Counter[str]) -> Iterator[str]:
    if delivery.manifest_sha256 is None:
        yield f"the extract has no {MANIFEST_NAME}: its completeness could not be checked"
    if delivery.unlisted:
        yield f"files in the folder that are not in the manifest and were left alone: {delivery.unlisted}"
    texts = [fact for fact in facts.values() if isinstance(fact, CsvFacts)]
    for count, what in (
        (sum(fact.byte_order_mark for fact in texts), "that carried a byte-order mark"),
        (sum(fact.carriage_returns for fact in texts), "that ended their lines with CR LF"),
        (sum(not fact.final_newline for fact in texts), "without a line end after the last line"),
    ):
        if count:
            yield f"files {what}: {count}"
    for table, count in undeclared.items():
        if count:
            yield f"undeclared columns of table '{table}' that were ignored: {count}"
