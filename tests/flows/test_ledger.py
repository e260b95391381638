"""The ledger: added to whole or not at all; a cut line is told, set aside by a person, never written on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from causal.errors import RapportError
from flows.ledger import MENDED, append_entry, read_ledger, set_cut_line_aside


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger of two entries."""
    path = tmp_path / "ledger.jsonl"
    append_entry(path, "design", {"design": "d1"})
    append_entry(path, "outcomes opened", {"design": "d1"})
    return path


def refusal(path: Path) -> RapportError:
    """What reading the ledger refuses; adding to it refuses the same and changes nothing."""
    before = path.read_bytes()
    with pytest.raises(RapportError) as read:
        read_ledger(path)
    with pytest.raises(RapportError) as added:
        append_entry(path, "release", {})
    assert str(added.value) == str(read.value)
    assert path.read_bytes() == before
    return read.value


@pytest.mark.parametrize("left", [1, 5, -20, -2])
def test_a_cut_last_line_is_told_and_not_written_on(ledger: Path, left: int) -> None:
    """Wherever an interrupted write stopped inside the last line, it is named with its number and the mend."""
    first, second = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(first + second[:left])
    told = refusal(ledger)
    assert told.code == "ledger.cut"
    assert told.message == f"{ledger}: line 2, the last, was cut short by an interrupted write"
    assert "rapport mend" in told.fix


def test_an_entry_without_its_line_end_is_whole(ledger: Path) -> None:
    """Only the line's end is missing: the entry counts, and the next one begins on a line of its own."""
    ledger.write_bytes(ledger.read_bytes()[:-1])
    assert len(read_ledger(ledger)) == 2
    append_entry(ledger, "release", {})
    assert [entry["seq"] for entry in read_ledger(ledger)] == [1, 2, 3]


def test_a_cut_line_is_set_aside_and_that_is_an_entry(ledger: Path) -> None:
    """Nothing is lost: the piece lies beside the ledger, its hash stands in it, and the chain goes on."""
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + b'{"design":"d2","ev')
    aside = set_cut_line_aside(ledger)
    assert aside.read_bytes() == b'{"design":"d2","ev'
    assert ledger.read_bytes().startswith(whole)
    last = read_ledger(ledger)[-1]
    assert (last["seq"], last["event"], last["cut_bytes"]) == (3, MENDED, 18)
    with pytest.raises(RapportError, match=r"^\[ledger\.whole\]"):
        set_cut_line_aside(ledger)


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[1]", b"{}", b"", b'{"seq":"3","previous":"","time":"","event":""}'])
def test_a_line_that_is_no_entry_has_its_number(ledger: Path, line: bytes) -> None:
    """Garbage with a line's end was not cut by anybody: it is damage, told as such."""
    ledger.write_bytes(ledger.read_bytes() + line + b"\n")
    told = refusal(ledger)
    assert (told.code, told.message) == ("ledger.broken", f"{ledger}: line 3 is not an entry")


@pytest.mark.parametrize("event", ["taken out", "numbered anew"])
def test_a_gap_in_the_chain_is_told(ledger: Path, event: str) -> None:
    """An entry that is gone, or has another number, breaks the chain."""
    append_entry(ledger, "release", {})
    lines = ledger.read_bytes().splitlines(keepends=True)
    if event == "taken out":
        ledger.write_bytes(lines[0] + lines[2])
    else:
        ledger.write_bytes(lines[0] + lines[1] + json.dumps(json.loads(lines[2]) | {"seq": 9}).encode() + b"\n")
    assert refusal(ledger).code == "ledger.broken"


@pytest.mark.parametrize("at", [0, 1, 30])
def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The write that fails half-way is taken back: no later run meets a cut line."""
    before, write = ledger.read_bytes(), os.write
    written: list[int] = []

    def full(handle: int, content: bytes) -> int:
        if written or not at:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(write(handle, content[:at]))
        return written[0]

    monkeypatch.setattr("os.write", full)
    with pytest.raises(RapportError) as refused:
        append_entry(ledger, "outcomes opened", {"design": "d2"})
    monkeypatch.undo()
    assert refused.value.code == "ledger.unwritable"
    assert refused.value.message == f"{ledger}: no space left on device; 'outcomes opened' is not recorded"
    assert "space" in refused.value.fix
    assert ledger.read_bytes() == before
