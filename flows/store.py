"""Where results live: content-addressed, published whole or not at all, with a hash-chained ledger.

```
<results>/<study>/
  designs/<digest>/          what the board reads before approving; immutable
  approvals/<digest>.json    signed decisions
  releases/<n>-<digest>/     what may leave; immutable
  private/                   row level, mode 0700; private/stages/<stage>/<key>/ is a rebuildable cache
  ledger.jsonl               append-only record of every run and look
```
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from causal.errors import RapportError
from flows.ledger import Fact, append_entry, canonical_json, read_ledger, set_cut_line_aside
from flows.machine import mend_of

MANIFEST = "manifest.json"
SYNTHETIC = "synthetic"
"""Folder under private/ with the records that this store simulated itself."""
SHORT = 16
"""Characters of a digest used in folder names."""


def digest_of(*parts: Any) -> str:
    """sha256 of the canonical JSON of `parts`, hex."""
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Store:
    """The results of one study on disk."""

    def __init__(self, results: Path, study_id: str) -> None:
        self.root = results / study_id
        self.private = self.root / "private"
        self.ledger = self.root / "ledger.jsonl"

    def prepare(self) -> None:
        """Create the folders; refuse a results path that is not a folder we can write."""
        try:
            for folder in (self.root / "designs", self.root / "approvals", self.root / "releases"):
                folder.mkdir(parents=True, exist_ok=True)
            self.private.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise RapportError(
                "store.unwritable",
                f"cannot write results under {self.root}: {error.strerror}",
                fix=f"{mend_of(error)}, with --results or in the site file",
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study's lock; the kernel frees it when the process dies. A second run is told who holds it."""
        self.prepare()
        path = self.private / "study.lock"
        with path.open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                raise RapportError(
                    "store.busy", f"this study is being run by {holder}", fix="wait for it to finish"
                ) from None
            stream.truncate(0)
            stream.write(f"process {os.getpid()} since {_now()}")
            stream.flush()
            self._sweep()
            yield

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Hold the study's lock for a run; a ledger that cannot be added to is told before hours of work, not after."""
        with self.locked():
            self.entries()
            yield

    def _sweep(self) -> None:
        """Remove what a killed run left half written."""
        for staging in self.root.glob("**/.staging-*"):
            shutil.rmtree(staging, ignore_errors=True)

    def stage_folder(self, stage: str, key: str) -> Path:
        """Where the private result of one stage with one key lives."""
        return self.private / "stages" / stage / key[:SHORT]

    @contextmanager
    def publishing(self, folder: Path) -> Iterator[Path]:
        """A staging folder that becomes `folder` when the block ends well: whole or not at all, never overwriting.

        The manifest (sha256 and bytes of every file) is written last.
        """
        private = self.private in folder.parents
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = folder.parent / f".staging-{uuid.uuid4().hex}"
        staging.mkdir(mode=0o700 if private else 0o755)
        try:
            yield staging
            self._publish(staging, folder, replace_damaged=private)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _publish(self, staging: Path, folder: Path, *, replace_damaged: bool) -> None:
        """Move `staging` to `folder`. A damaged cache entry is thrown away; a damaged publication is evidence."""
        try:
            write_manifest(staging)
            if replace_damaged and folder.exists() and not intact(folder):
                folder.rename(folder.parent / f".staging-{uuid.uuid4().hex}")
            staging.rename(folder)
            _sync(folder.parent)
        except OSError as error:
            standing = folder.exists()
            raise RapportError(
                "store.write_failed",
                f"could not publish {folder.name}: {error.strerror}",
                fix="what stands there is damaged: move it away and keep it" if standing else mend_of(error),
            ) from None

    def append(self, event: str, **facts: Fact) -> None:
        """Add one entry to the ledger; see `append_entry`."""
        append_entry(self.ledger, event, facts)

    def record(self, event: str, **facts: Fact) -> None:
        """As `append`, unless that very entry stands: what was published may have been left without it."""
        if not any(entry["event"] == event and facts.items() <= entry.items() for entry in self.entries()):
            self.append(event, **facts)

    def entries(self) -> list[dict[str, Any]]:
        """The ledger's entries, oldest first; raises when its last line is cut or its chain of hashes is broken."""
        return read_ledger(self.ledger)

    def mend_ledger(self) -> Path:
        """Set a cut last line of the ledger aside, and note that; gives the file that holds it."""
        return set_cut_line_aside(self.ledger)

    def releases(self) -> list[Path]:
        """Published releases, oldest first."""
        folder = self.root / "releases"
        found = [path for path in folder.glob("*-*") if path.is_dir() and re.match(r"\d+-", path.name)]
        return sorted(found, key=lambda path: int(path.name.split("-")[0]))


OPENED = "outcomes opened"
"""The ledger's event of an opening, with the design it was for."""


def looks(entries: Iterable[Mapping[str, Any]]) -> int:
    """How many different designs have had their outcomes opened; one opened again shows nothing new.

    >>> looks([{"event": OPENED, "design": "a"}, {"event": OPENED, "design": "a"}, {"event": "release", "design": "b"}])
    1
    """
    return len({entry["design"] for entry in entries if entry["event"] == OPENED})


def looks_before(store: Store, digest: str) -> int:
    """How many other designs had been opened before the design with this digest was first published."""
    before = itertools.takewhile(
        lambda entry: not (entry["event"] == "design" and entry["design"] == digest), store.entries()
    )
    return looks(entry for entry in before if entry.get("design") != digest)


def write_manifest(folder: Path) -> None:
    """sha256 and size of every file of `folder`, written last and flushed to disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listing = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in files
    }
    for path in files:
        _sync(path)
    manifest = folder / MANIFEST
    manifest.write_bytes(json.dumps(listing, indent=1, sort_keys=True).encode() + b"\n")
    _sync(manifest)


def intact(folder: Path) -> bool:
    """Whether every file of a published folder is there with the bytes its manifest states."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return False
    try:
        listing: Mapping[str, Mapping[str, Any]] = json.loads(manifest.read_bytes())
        return all(
            (folder / name).is_file() and file_sha256(folder / name) == facts["sha256"]
            for name, facts in listing.items()
        )
    except (ValueError, TypeError, KeyError, AttributeError):  # a manifest that is none
        return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
