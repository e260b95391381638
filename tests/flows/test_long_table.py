"""A study of one long table, as people run it: from a file to numbers, and every slip to one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import cli
from tests.causal.effect.long_table.worlds import spells, visits

Command = Callable[..., tuple[int, str]]
EXAMPLES = Path(__file__).parents[2] / "configs" / "studies" / "examples"
STUDY = """\
schema_version: rapport-study/1
kind: long_table

study:
  id: weeks
  title: Scores over twelve weeks
  question: What does treatment do to the score?
  why_no_trial: It was one.
  registered: not registered

data: {kind: file, path: weeks.csv}

columns:
  rows: visits
  person: who
  visit: week
  visits: [4, 8, 12]
  baseline: 0
  treatment: arm
  treated_value: treated
  outcome: score
  numeric: [age]
  cluster: clinic

assigned: by_lot

analyses:
  - {name: by_visit, analysis: repeated_measures, degrees_of_freedom: cluster_robust}
  - {name: straight, analysis: mixed_model}
  - {name: average, analysis: marginal_model, working: independence}
  - {name: imputed, analysis: reference_based, at: 12, assumptions: [MAR, J2R]}
  - {name: tipped, analysis: tipping_point, at: 12, lower: -20, upper: 40, step: 0.5, steps: 4}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study file beside its table, the arms written as words."""
    frame = visits(1, n=160, clinics=16, effect=-1.5)
    frame["arm"] = frame["arm"].map({0: "waiting", 1: "Treated"})
    frame.to_csv(tmp_path / "weeks.csv", index=False)
    (tmp_path / "weeks.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def rapport(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command: exit code, and all that is printed."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["rapport", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


@pytest.mark.parametrize("name", ["orthodont", "respiratory", "bladder"])
def test_published_numbers_are_found_again(name: str, tmp_path: Path, rapport: Command) -> None:
    """Those of R, from the study file alone."""
    file = Path(shutil.copy(EXAMPLES / f"{name}.yaml", tmp_path))
    code, said = rapport("run", str(file), "--json", "--strict")
    value = json.loads(said)
    assert code == 0
    assert value["published"]
    assert all(one["agrees"] for one in value["published"])
    assert not value["failed"]


def test_every_analysis_is_told_and_twice_the_same(folder: Path, rapport: Command) -> None:
    """Text and JSON; the order of the file's lines changes no letter."""
    code, said = rapport("run", str(folder / "weeks.yaml"))
    assert code == 0
    for word in ("by_visit (the main analysis)", "straight", "average", "MAR", "J2R", "shifted by", "by cluster"):
        assert word in said
    rows = (folder / "weeks.csv").read_text(encoding="utf-8").splitlines()
    (folder / "weeks.csv").write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n", encoding="utf-8")
    again = rapport("run", str(folder / "weeks.yaml"))[1]
    place = re.compile(r"first line \d+")
    assert place.sub("", again) == place.sub("", said)


def test_nobody_is_named(folder: Path, rapport: Command) -> None:
    """Neither people nor clinics nor values of theirs, in text or JSON."""
    for form in ((), ("--json",)):
        said = rapport("run", str(folder / "weeks.yaml"), *form)[1]
        assert not re.search(r"\bp\d{3}\b|\bc\d\b|waiting", said)


SLIPS = {
    "visits: [4, 8, 12]": ("visits: [4, 12, 8]", "rising order"),
    "baseline: 0": ("baseline: 4", "the visit 4 is named twice"),
    "rows: visits": ("rows: visit", "columns"),
    "degrees_of_freedom: cluster_robust": ("degrees_of_freedom: kenward_roger", "with clusters"),
    "at: 12, assumptions": ("at: 16, assumptions", "visit 16 is not among columns.visits"),
    "assumptions: [MAR, J2R]": ("assumptions: [MAR, MAR]", "each assumption is named once"),
    "lower: -20": ("lower: 50", "lower must be below upper"),
    "name: straight": ("name: average", "the same name: average"),
    "numeric: [age]": ("numeric: [arm]", "a column is named twice: arm"),
    "analysis: mixed_model": ("analysis: hazards", "hazards is for rows: spells"),
    "treated_value: treated": ("treated_value: cured", "treated_value"),
    "outcome: score": ("outcome: scores", "a name much like it"),
    "cluster: clinic": ("cluster: who", "columns.cluster names people themselves"),
    "marginal_model, working: independence": (
        "marginal_model",
        "exchangeable would make all visits of a cluster alike",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_plain_line_with_its_place(slip: str, folder: Path, rapport: Command) -> None:
    """In the study file or the table: what, where, how to mend it."""
    written, told = SLIPS[slip]
    file = folder / "weeks.yaml"
    text = STUDY.replace(slip, written)
    assert text != STUDY
    file.write_text(text, encoding="utf-8")
    code, said = rapport("run", str(file))
    assert code == 1
    assert told in said
    assert "weeks.yaml:" in said or "line" in said
    assert "Traceback" not in said


def test_other_commands_say_what_to_do_instead(folder: Path, rapport: Command) -> None:
    """A long table has no extract."""
    code, said = rapport("design", str(folder / "weeks.yaml"), "--extract", str(folder))
    assert code == 1
    assert "reads no extract" in said
    code, said = rapport("design", str(folder / "weeks.yaml"))
    assert code == 1
    assert "declares no governance" in said
    assert "rapport run" in said
    code, said = rapport("check", str(folder / "weeks.yaml"))
    assert code == 0
    assert "0 of" in said


def test_spells_from_a_file(tmp_path: Path, rapport: Command) -> None:
    """Hazards of rows with a start and a stop, and a first line that warns where a check fails."""
    spells(1, n=60).to_csv(tmp_path / "weeks.csv", index=False)
    text = STUDY[: STUDY.index("columns:")] + (
        "columns: {rows: spells, person: who, start: start, stop: stop, event: event, treatment: arm, numeric: [age]}\n"
        "assigned: by_choice\nanalyses: [{name: main, analysis: hazards}]\ngates: {smd: 0.01}\n"
    )
    (tmp_path / "weeks.yaml").write_text(text, encoding="utf-8")
    code, said = rapport("run", str(tmp_path / "weeks.yaml"), "--strict")
    assert code == 1
    assert said.startswith("DO NOT TRUST THIS ESTIMATE: 1 of")
    assert "hazard ratio" in said
