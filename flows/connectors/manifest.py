"""What an extract claims to hold, and opening only what it may name.

``manifest.json`` (schema ``rapport-extract/1``) lists the files of every table with rows, bytes and sha256. Nothing in
it is trusted: paths stay inside the folder, and only regular files are opened, never through a link.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pydantic import Field, ValidationError

from causal.errors import ExtractError
from causal.protocol.base import Part
from causal.spelling import nearest
from causal.tables import EARLIEST_DATE, LATEST_DATE, TABLES
from flows.shown import shown_path

MANIFEST_NAME = "manifest.json"
MANIFEST_SCHEMA = "rapport-extract/1"
MANIFEST_BYTES = 4_000_000
FORMATS = ("csv", "parquet")
_PART = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_REDELIVER = "deliver the extract again, with the manifest written last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of one table; `rows`, `bytes` and `sha256` are what the manifest claims, None where there is none."""

    table: str
    path: str
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None

    @property
    def format(self) -> str:
        """``csv`` or ``parquet``."""
        return PurePosixPath(self.path).suffix[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What was delivered: the files by table, the date the extract was taken, and whether its patients are invented."""

    as_of: datetime.date
    synthetic: bool
    sources: tuple[Source, ...]
    manifest_sha256: str | None
    unlisted: int


class _File(Part):
    path: str
    rows: int
    bytes: int
    sha256: str


class _TableFiles(Part):
    rows: int
    files: tuple[_File, ...]


class _Manifest(Part):
    schema_: str = Field(alias="schema")
    as_of: str
    synthetic: bool
    seed: int | None = None  # of a synthetic extract; said for people, used by nothing
    patients: int | None = None
    tables: dict[str, _TableFiles]


def find_delivery(folder: SourceFolder, *, as_of: datetime.date | None = None) -> Delivery:
    """The files of the extract in a folder, from its manifest or, without one, from their names.

    Raises `ExtractError` if the folder, the manifest or a path in it cannot be accepted, or if `as_of` is in neither
    the manifest nor the call.
    """
    if not folder.folder.is_dir():
        what = "is not a folder" if folder.folder.exists() else "is not there"
        raise ExtractError(
            "extract.no_folder", f"the extract {shown_path(folder.folder)} {what}", fix=_path(folder.folder)
        )
    present = tuple(_present(folder.folder))
    if MANIFEST_NAME in present:
        return _from_manifest(folder, present, as_of)
    if as_of is None:
        raise ExtractError(
            "extract.as_of",
            f"the extract has no {MANIFEST_NAME}, so the date it was taken is unknown",
            fix=_path(folder.folder / "extract")
            if (folder.folder / "extract" / MANIFEST_NAME).is_file()
            else "deliver a manifest, or give the date of the extract",
        )
    return Delivery(
        as_of=_checked_date(as_of),
        synthetic=False,
        sources=_sources_by_name(present),
        manifest_sha256=None,
        unlisted=0,
    )


def _path(meant: Path) -> str:
    """How to mend the path of an extract, with the folder that was probably meant."""
    if meant.is_dir():
        return f"did you mean {shown_path(meant)}?"
    near = nearest(meant.name, [other.name for other in meant.parent.iterdir()]) if meant.parent.is_dir() else None
    return f"did you mean {shown_path(meant.with_name(near))}?" if near else "check the path after --extract"


class SourceFolder:
    """Opens files of one folder without following links, and refuses a file that is not the one it was before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, tuple[tuple[int, ...], ...]] = {}

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """The regular file `path` (relative), open for reading; raises `ExtractError` if it changes meanwhile.

        Every part of the path is looked at before opening, so that a pipe or a device cannot hang the run.
        """
        place, before = self.folder / path, self._looked_at(path)
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            message = f"{path} cannot be opened: {reason}"
            raise ExtractError("extract.cannot_open", message, fix="check its permissions") from None
        with os.fdopen(descriptor, "rb") as stream:
            first = self._seen.setdefault(path, before)
            yield stream
            if {first, before, self._looked_at(path)} != {first} or first[-1] != _identity(os.fstat(descriptor)):
                raise changed(path)

    def _looked_at(self, path: str) -> tuple[tuple[int, ...], ...]:
        """What tells the file, and each folder on the way to it, from any other that could be put in its place."""
        place = self.folder
        met = [_identity(os.lstat(place))]
        for part in PurePosixPath(path).parts:
            place = place / part
            try:
                status = os.lstat(place)
            except OSError:
                message = f"{path} is not in the extract folder"
                raise ExtractError("extract.missing_file", message, fix=_REDELIVER) from None
            if stat.S_ISLNK(status.st_mode):
                raise ExtractError("extract.not_a_file", f"{path} is a link", fix="deliver the file itself")
            met.append(_identity(status))
        if not stat.S_ISREG(status.st_mode):
            raise ExtractError("extract.not_a_file", f"{path} is not a regular file", fix="deliver plain files only")
        return tuple(met)


def digest_of(stream: BinaryIO) -> str:
    """sha256 of the whole stream, in hex."""
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def changed(what: str) -> ExtractError:
    """The refusal of a file that is not what it was when it was first read."""
    fix = "wait until the delivery is complete"
    return ExtractError("extract.changed", f"{what} changed while it was read", fix=fix)


def check_claim(source: Source, *, size: int, sha256: str, rows: int) -> None:
    """Raises `ExtractError` where a file is not the one its manifest describes."""
    for claim, got, noun in ((source.bytes, size, "bytes"), (source.rows, rows, "rows")):
        if claim is not None and claim != got:
            message = f"{source.path} has {got} {noun}, its manifest says {claim}"
            raise ExtractError("extract.manifest_mismatch", message, fix=_REDELIVER)
    if source.sha256 is not None and source.sha256 != sha256:
        message = f"the sha256 of {source.path} is not the one in its manifest"
        raise ExtractError("extract.manifest_mismatch", message, fix=_REDELIVER)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _present(folder: Path) -> Iterator[str]:
    """Relative paths of everything in the folder and one level below; links are listed, never entered."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from (
                f"{entry.name}/{inner.name}" for inner in sorted(os.scandir(entry), key=lambda inner: inner.name)
            )
        else:
            yield entry.name


def _from_manifest(folder: SourceFolder, present: tuple[str, ...], as_of: datetime.date | None) -> Delivery:
    with folder.opened(MANIFEST_NAME) as stream:
        content = stream.read(MANIFEST_BYTES + 1)
    manifest = _parsed(content)
    taken = _checked_date(_iso_date(manifest.as_of))
    if as_of is not None and as_of != taken:
        message = f"the manifest says the extract was taken on {taken}, the call says {as_of}"
        raise ExtractError("extract.as_of", message, fix="drop one of the two dates")
    sources = tuple(
        Source(
            table=table,
            path=_checked_path(file.path, table, number),
            rows=file.rows,
            bytes=file.bytes,
            sha256=file.sha256,
        )
        for table, listed in manifest.tables.items()
        for number, file in enumerate(listed.files, start=1)
    )
    _refuse_repeated(sources)
    for table, listed in manifest.tables.items():
        if listed.rows != sum(file.rows for file in listed.files):
            raise _bad_manifest(f"the rows of the files of table '{table}' do not add up to the rows of the table")
    return Delivery(
        as_of=taken,
        synthetic=manifest.synthetic,
        sources=sources,
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        unlisted=len(set(present) - {source.path for source in sources} - {MANIFEST_NAME}),
    )


def _parsed(content: bytes) -> _Manifest:
    if len(content) > MANIFEST_BYTES:
        raise _bad_manifest(f"it is larger than {MANIFEST_BYTES} bytes")
    try:
        loaded = json.loads(content.decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise _bad_manifest("it is not JSON (cut short, a repeated key, or nested too deep)") from None
    if not isinstance(loaded, dict) or loaded.get("schema") != MANIFEST_SCHEMA:
        raise _bad_manifest(f'it does not say "schema": "{MANIFEST_SCHEMA}"')
    unknown = (
        [name for name in loaded["tables"] if name not in TABLES] if isinstance(loaded.get("tables"), dict) else []
    )
    if unknown:
        raise _bad_manifest(f"{len(unknown)} of its tables are not known; known: {', '.join(TABLES)}")
    try:
        return _Manifest.model_validate_json(content)
    except ValidationError as error:
        # The place is made of our own field names and positions; what stood there is not repeated.
        places = sorted({".".join(_shown(part) for part in fault["loc"]) for fault in error.errors()})
        raise _bad_manifest(f"missing, unknown or of the wrong type: {', '.join(places)}") from None


def _shown(part: int | str) -> str:
    ours = {"schema", *_File.model_fields, *_Manifest.model_fields, *_TableFiles.model_fields, *TABLES}
    return str(part) if isinstance(part, int) or part in ours else "(unknown key)"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError
    return dict(pairs)


def _bad_manifest(what: str) -> ExtractError:
    return ExtractError("extract.manifest", f"{MANIFEST_NAME} cannot be used: {what}", fix=_REDELIVER)


def _iso_date(text: str) -> datetime.date:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return datetime.date.fromisoformat(text)
    except ValueError:
        pass
    raise _bad_manifest("as_of is not a date written YYYY-MM-DD")


def _checked_date(as_of: datetime.date) -> datetime.date:
    if not EARLIEST_DATE <= as_of.isoformat() <= LATEST_DATE:
        message = f"the extract claims to be taken on {as_of}; expected a date from {EARLIEST_DATE} to {LATEST_DATE}"
        raise ExtractError("extract.as_of", message, fix="correct as_of")
    return as_of


def _checked_path(path: str, table: str, number: int) -> str:
    parts = path.split("/")
    if len(parts) > 2 or not all(_PART.fullmatch(part) for part in parts):
        raise ExtractError(
            "extract.path",
            f"the path of file {number} of table '{table}' leaves the extract folder, or is not a plain name",
            fix="use letters, digits, '.', '_' and '-', no '..' and no leading '/'",
        )
    if PurePosixPath(path).suffix[1:] not in FORMATS:
        message = f"{path} is neither .csv nor .parquet"
        raise ExtractError("extract.format", message, fix="deliver the table as CSV or Parquet")
    return path


def _refuse_repeated(sources: tuple[Source, ...]) -> None:
    if len({source.path for source in sources}) < len(sources):
        raise _bad_manifest("it lists one file more than once")


def _sources_by_name(present: tuple[str, ...]) -> tuple[Source, ...]:
    """``<table>.csv|parquet`` or ``<table>/*.csv|parquet``; other names are not the extract's."""
    found: list[Source] = []
    for path in present:
        table = path.split("/")[0] if "/" in path else PurePosixPath(path).stem
        if table in TABLES and PurePosixPath(path).suffix[1:] in FORMATS:
            found.append(Source(table=table, path=_checked_path(path, table, len(found) + 1)))
    both = sorted({s.table for s in found if len({(t.format, "/" in t.path) for t in found if t.table == s.table}) > 1})
    if both:
        message = f"delivered in more than one way: {', '.join(both)}"
        raise ExtractError("extract.format", message, fix="deliver each table once, as CSV or as Parquet")
    return tuple(found)
