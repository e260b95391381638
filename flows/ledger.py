"""The ledger of a study: one line of JSON for each run and look, each with the hash of the one before; only added to.

A line that an interrupted write left without its end is not an entry. It is told, never overwritten or written on; a
person sets it aside with `rapport mend`, and that is an entry too.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from causal.errors import RapportError
from flows.machine import mend_of

MENDED = "ledger mended"
Fact = str | float | bool | list[str] | None


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the bytes that are hashed and signed.

    >>> canonical_json({"b": 1, "a": [2.0]})
    b'{"a":[2.0],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The entries of the ledger at `path`, oldest first; none where there is no such file.

    Raises
    ------
    RapportError
        ``ledger.cut`` where the last line has no end; ``ledger.broken`` where a line is no entry, or does not follow
        from the one before.
    """
    whole, cut = _halves(path)
    if cut:
        number = whole.count(b"\n") + 1
        raise RapportError(
            "ledger.cut",
            f"{path}: line {number}, the last, was cut short by an interrupted write",
            fix="'rapport mend STUDY' sets it aside in a file of its own and notes that; nothing else is lost",
        )
    entries = [_entry(path, number, line) for number, line in enumerate(whole.splitlines(), start=1)]
    for before, after in itertools.pairwise(entries):
        if after["previous"] != _hash(before) or after["seq"] != before["seq"] + 1:
            raise RapportError(
                "ledger.broken",
                f"{path}: entry {after['seq']} does not follow from the one before it",
                fix="the ledger was edited; restore it from a copy",
            )
    return entries


def append_entry(path: Path, event: str, facts: dict[str, Fact]) -> None:
    """Add one entry: sequence number, previous entry's hash, time, event and digests or counts; whole or not at all.

    Raises
    ------
    RapportError
        What `read_ledger` raises; ``ledger.unwritable`` where the disk refused, and then the file is as it was.
    """
    entries = read_ledger(path)
    last = entries[-1] if entries else None
    entry: dict[str, Any] = {
        "seq": last["seq"] + 1 if last else 1,
        "previous": _hash(last) if last else "",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "event": event,
        **facts,
    }
    line = canonical_json(entry) + b"\n"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # the last entry is whole but for its line's end
                line = b"\n" + line
            _write(handle, line, size)
        finally:
            os.close(handle)
    except OSError as error:
        raise RapportError(
            "ledger.unwritable",
            f"{path}: {os.strerror(error.errno or 0).lower()}; '{event}' is not recorded",
            fix=f"{mend_of(error)}; it is recorded when the run is made again",
        ) from None


def set_cut_line_aside(path: Path) -> Path:
    """Move a last line without an end out of the ledger into a file beside it, and record that; gives that file.

    Raises `RapportError` ``ledger.whole`` where there is none.
    """
    whole, cut = _halves(path)
    if not cut:
        raise RapportError("ledger.whole", f"{path}: no line is cut short, so nothing has to be mended")
    digest = hashlib.sha256(cut).hexdigest()
    aside = path.with_name(f"{path.stem}-cut-{digest[:16]}")
    with aside.open("wb") as stream:
        stream.write(cut)
        stream.flush()
        os.fsync(stream.fileno())
    with path.open("r+b") as stream:
        stream.truncate(len(whole))
        os.fsync(stream.fileno())
    append_entry(path, MENDED, {"cut_bytes": len(cut), "cut_sha256": digest})
    return aside


def _halves(path: Path) -> tuple[bytes, bytes]:
    """The ledger's whole lines, and what stands after the last of them that is no whole entry."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", b""
    end = content.rfind(b"\n") + 1
    if _parsed(content[end:]) is not None:
        return content, b""
    return content[:end], content[end:]


def _entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    entry = _parsed(line)
    if entry is None:
        raise RapportError(
            "ledger.broken",
            f"{path}: line {number} is not an entry",
            fix="the ledger was edited or damaged; restore it from a copy",
        )
    return entry


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kinds = {"seq": int, "previous": str, "time": str, "event": str}
    whole = isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in kinds.items())
    return entry if whole else None


def _hash(entry: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(entry)).hexdigest()


def _write(handle: int, line: bytes, size: int) -> None:
    """Write the whole line and flush it to disk, or leave the file at `size`."""
    try:
        done = 0
        while done < len(line):
            done += os.write(handle, line[done:])
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):  # what could not be taken back is a cut line, and told as one
            os.ftruncate(handle, size)
        raise
