"""The command's manners: usage errors are refusals, our own faults are named as ours, neither shows a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flows import cli


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of the command with these words."""
    monkeypatch.setattr(sys, "argv", ["rapport", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("design",),
        ("check", "a.yaml", "b.yaml", "c.yaml"),
        ("simulate", "study.yaml", "--patients", "many", "--out", "somewhere"),
        ("status", "study.yaml", "--no-such-option"),
    ],
)
def test_a_usage_error_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Exit 1 and one line that begins with 'refused', for what the person can mend."""
    assert run(monkeypatch, *words) == 1
    said = capsys.readouterr()
    assert said.err.startswith("refused: ")
    assert "Traceback" not in said.err + said.out


def test_our_own_fault_is_exit_2_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception shows its kind, never its words, which could hold a value."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("patient-7731")

    monkeypatch.delenv("RAPPORT_DEBUG", raising=False)
    monkeypatch.setattr("flows.study_file.load_study", broken)
    assert run(monkeypatch, "check", "configs/studies/duty_to_warn.yaml") == 2
    said = capsys.readouterr()
    assert "internal error (KeyError)" in said.err
    assert "7731" not in said.err + said.out


def test_success_is_exit_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is printed as JSON and nothing else."""
    import json

    assert run(monkeypatch, "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"]


def test_a_release_is_printed_with_its_cautions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it lies, and what `release_lines` says of it."""
    facts = {"unanswered": "nobody answered", "results": None, "truth": [], "verdicts": [], "plan": []}
    (tmp_path / "results.json").write_text(json.dumps(facts), encoding="utf-8")
    cli._print_release(cli.Console(as_json=False), tmp_path, fresh=True)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"published: {tmp_path / 'report.html'}", "NOT EVALUATED: nobody answered"]


def test_a_failed_check_of_a_study_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people behind the sentence, for machines in a key of its own; passed checks have none."""
    text = Path("configs/studies/duty_to_warn.yaml").read_text(encoding="utf-8")
    assert text.count("primary_day: 90") == 1
    (tmp_path / "study.yaml").write_text(text.replace("primary_day: 90", "primary_day: 91"), encoding="utf-8")
    line = text[: text.index("primary_day: 90")].count("\n") + 1
    assert run(monkeypatch, "check", str(tmp_path / "study.yaml")) == 1
    said = [one for one in capsys.readouterr().out.splitlines() if "protocol.primary_day" in one]
    assert [one.endswith(f"study.yaml:{line}:3)") for one in said] == [True]
    assert run(monkeypatch, "check", str(tmp_path / "study.yaml"), "--json") == 1
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    places = {v["code"]: v["place"] for v in verdicts}
    assert places["protocol.primary_day"].endswith(f"study.yaml:{line}:3")
    assert {v["place"] is None for v in verdicts if v["status"] != "FAIL"} == {True}
