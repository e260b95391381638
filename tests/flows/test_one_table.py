"""A study of one table that declares its governance: blind design, approval, disclosed release."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows import cli
from tests.causal.effect.long_table.worlds import spells, visits

Command = Callable[..., tuple[int, str]]
GOVERNANCE = """
governance:
  basis: Approved by the board of the clinic.
  data_class: limited_data_set
  agreement: Number 7.
  certificate_of_confidentiality: none
report:
  audience: ethics_board
  limitations: [Nobody wrote down why people were told.]
  cannot_say: [What anybody should do.]
"""
HEADER = """\
schema_version: rapport-study/1
kind: %s
study:
  id: one_table
  title: Told and left
  question: Do more people leave once they are told?
  why_no_trial: Nobody may be told by lot.
  registered: not registered
data: {kind: file, path: t.csv}
"""
FLAT = (
    HEADER % "flat_table"
    + """\
columns: {treatment: told, outcome: left, numeric: [age], categorical: [site], key: who}
analysis:
  design: {method: propensity, estimand: ATE}
  standard_error: robust
"""
    + GOVERNANCE
)
LONG = (
    HEADER % "long_table"
    + """\
columns: {rows: visits, person: who, visit: week, visits: [4, 8, 12], baseline: 0, treatment: arm, outcome: score,
  numeric: [age]}
assigned: by_lot
analyses:
  - {name: by_visit, analysis: repeated_measures, at: 8}
  - {name: dropouts, analysis: reference_based, at: 12, imputations: 10}
gates: {maximum_response_difference: 1}
"""
    + GOVERNANCE
)
SPELLS = (
    HEADER % "long_table"
    + """\
columns: {rows: spells, person: who, start: start, stop: stop, event: event, treatment: arm, numeric: [age]}
assigned: by_choice
analyses: [{name: main, analysis: hazards}]
"""
    + GOVERNANCE
)
KINDS = {"flat": FLAT, "long": LONG, "spells": SPELLS}


def people(n: int = 400) -> pd.DataFrame:
    """Rows with names, a site that few come from, and an event."""
    rng = np.random.default_rng(1)
    age, site = rng.integers(20, 70, n), rng.choice(["north", "south", "east", "Zanzibar"], n, p=[0.5, 0.3, 0.18, 0.02])
    told = (rng.random(n) < 1 / (1 + np.exp(-(age - 48) / 15 - (site == "north")))).astype(int)
    left = (rng.random(n) < 0.15 + 0.1 * told).astype(int)
    return pd.DataFrame({"who": [f"q{i:04d}" for i in range(n)], "told": told, "left": left, "age": age, "site": site})


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "flat": people,
    "long": lambda: visits(1, n=160),
    "spells": lambda: spells(1, n=80),
}


@pytest.fixture
def rapport(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs the command in a folder with a site that one board may approve at: exit code, and all that is printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["rapport", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    said = run("approve", "study.yaml", "--init", "--key", "board.key")[1]
    key = re.search(r"public_key: (\S+)\}", said)
    assert key is not None
    site = f"results: results\napprovers:\n  - {{name: The Board, role: ethics_board, public_key: {key[1]}}}\n"
    (tmp_path / "site.yaml").write_text(site, encoding="utf-8")
    return run


def written(folder: Path, kind: str, **changes: str) -> str:
    """The study of a kind beside its table; gives its file's name."""
    text = KINDS[kind]
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    TABLES[kind]().to_csv(folder / "t.csv", index=False)
    return "study.yaml"


def approved(rapport: Command, *accept: str) -> str:
    """Design the study and approve the design; gives its digest."""
    value = rapport("design", "study.yaml", "--site", "site.yaml", "--json")[1]
    digest = str(json.loads(value[value.index("{") :])["design"])
    arguments = [part for code in accept for part in ("--accept", code)]
    who = ("--approver", "The Board", "--role", "ethics_board", "--expires", "2090-01-01")
    code, said = rapport(
        "approve", "study.yaml", "--design", digest, "--key", "board.key", *who, "--site", "site.yaml", *arguments
    )
    assert code == 0, said
    return digest


def results(folder: Path) -> dict[str, Any]:
    """The newest release's numbers."""
    (newest,) = (folder / "results" / "one_table" / "releases").iterdir()
    value: dict[str, Any] = json.loads((newest / "results.json").read_text(encoding="utf-8"))
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_outcomes_stay_closed_until_a_board_has_signed(kind: str, rapport: Command, tmp_path: Path) -> None:
    """Then they are opened once, and an unchanged run publishes nothing anew."""
    file = written(tmp_path, kind)
    ledger, releases = (tmp_path / "results" / "one_table" / part for part in ("ledger.jsonl", "releases"))
    code, said = rapport("run", file, "--site", "site.yaml")
    assert code == 1
    assert "nobody has approved design" in said
    assert not list(releases.iterdir())
    assert "outcomes opened" not in ledger.read_text(encoding="utf-8")
    (dossier,) = (tmp_path / "results" / "one_table" / "designs").iterdir()
    facts = json.loads((dossier / "results.json").read_text(encoding="utf-8"))
    assert facts["findings"] == []
    approved(rapport, *(v["code"] for v in facts["verdicts"] if v["status"] == "FAIL"))
    code, said = rapport("run", file, "--site", "site.yaml")
    assert (code, "published: results/one_table/releases/1-" in said) == (0, True), said
    assert results(tmp_path)["findings"][0]["rows"]
    assert "unchanged: " in rapport("estimate", file, "--site", "site.yaml")[1]
    assert ledger.read_text(encoding="utf-8").count("outcomes opened") == 1
    code, said = rapport("status", file, "--site", "site.yaml")
    assert "approved, failed checks" in said
    assert "outcomes opened for 1 design(s)" in said


def test_a_dossier_tells_nothing_of_outcomes(rapport: Command, tmp_path: Path) -> None:
    """With every outcome turned round, all but the table's digest and what is made of it stays."""
    pages = []
    for turn in (False, True):
        file = written(tmp_path, "flat")
        frame = people()
        frame.assign(left=1 - frame["left"] if turn else frame["left"]).to_csv(tmp_path / "t.csv", index=False)
        value = rapport("design", file, "--site", "site.yaml", "--json")[1]
        folder = Path(json.loads(value[value.index("{") :])["folder"])
        facts = json.loads((tmp_path / folder / "results.json").read_text(encoding="utf-8"))
        provenance = facts.pop("provenance")
        pages.append((facts, provenance["table_digest"]))
    assert pages[0][0] == pages[1][0]
    assert pages[0][1] != pages[1][1]


def test_another_table_needs_another_approval(rapport: Command, tmp_path: Path) -> None:
    """One cell changed after the signature."""
    file = written(tmp_path, "flat")
    approved(rapport)
    frame = people()
    frame.loc[3, "left"] = 1 - frame.loc[3, "left"]
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, said = rapport("run", file, "--site", "site.yaml")
    assert code == 1
    assert "nobody has approved" in said


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_on_a_page(kind: str, rapport: Command, tmp_path: Path) -> None:
    """No name of a row, no level of a category, no row's number, in any file that may leave."""
    file = written(tmp_path, kind)
    frame = TABLES[kind]()
    facts = json.loads(_dossier(rapport, file, tmp_path))
    approved(rapport, *(v["code"] for v in facts["verdicts"] if v["status"] == "FAIL"))
    assert rapport("run", file, "--site", "site.yaml")[0] == 0
    names = {str(name) for name in frame["who"]} if kind != "spells" else set()
    for path in (tmp_path / "results").rglob("*"):
        if path.suffix in (".html", ".json", ".jsonl"):
            text = path.read_text(encoding="utf-8")
            assert not names & set(re.findall(r"\w+", text)), path.name
            assert "Zanzibar" not in text
            assert "first line" not in text
            assert "first row" not in text


def _dossier(rapport: Command, file: str, folder: Path) -> str:
    value = rapport("design", file, "--site", "site.yaml", "--json")[1]
    found = Path(json.loads(value[value.index("{") :])["folder"])
    return (folder / found / "results.json").read_text(encoding="utf-8")


def test_what_few_share_is_withheld_with_what_would_tell_it(rapport: Command, tmp_path: Path) -> None:
    """The rare site and the next smallest; the balance check that is about either; the rest stays."""
    file = written(tmp_path, "flat")
    facts = json.loads(_dossier(rapport, file, tmp_path))
    shown = {line["name"]: line["before"] for line in facts["balance"]}
    assert [name for name, value in shown.items() if value is None] == ["site: category 1", "site: category 3"] or sum(
        value is None for value in shown.values()
    ) == 2
    assert shown["age"] is not None
    assert (facts["treated"], facts["comparison"]) != (None, None)


def test_few_events_are_withheld(rapport: Command, tmp_path: Path) -> None:
    """A difference of shares of which one rests on four events."""
    file = written(tmp_path, "flat")
    frame = people()
    few = frame.index[(frame["told"] == 1) & (frame["left"] == 1)][4:]
    frame.loc[few, "left"] = 0
    frame.to_csv(tmp_path / "t.csv", index=False)
    approved(rapport)
    assert rapport("run", file, "--site", "site.yaml")[0] == 0
    row = results(tmp_path)["findings"][0]["rows"][0]
    assert row["value"] is None
    assert "ended" in row["withheld"] or "count" in row["withheld"]


def test_public_tables_need_no_approval(rapport: Command, tmp_path: Path) -> None:
    """They are published at once; the main answer is that of the declared visit."""
    file = written(tmp_path, "long", limited_data_set="public")
    code, said = rapport("run", file, "--site", "site.yaml", "--strict")
    assert code == 0, said
    value = results(tmp_path)
    assert value["findings"][0]["rows"][value["main"]]["label"] == "visit 8"
    assert value["approval"] is None


REFUSED = {
    "no key": ({"key: who": "keys: [who]"}, "columns.key must name the rows"),
    "who has an outcome": ({"standard_error: robust": "standard_error: robust\n  missing_outcome: leave_out"}, "blind"),
    "no report": ({GOVERNANCE[GOVERNANCE.index("report:") :]: ""}, "report must be said where the other is"),
    "no governance": ({GOVERNANCE: ""}, "declares no governance"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_approved_is_refused(why: str, rapport: Command, tmp_path: Path) -> None:
    """In one plain line, before the table is read."""
    changes, told = REFUSED[why]
    file = written(tmp_path, "flat", **changes)
    code, said = rapport("design", file, "--site", "site.yaml")
    assert code == 1
    assert told in said
    assert not (tmp_path / "results" / "one_table" / "designs").exists() or not list(
        (tmp_path / "results" / "one_table" / "designs").iterdir()
    )


def test_an_extract_is_no_part_of_it(rapport: Command, tmp_path: Path) -> None:
    """And a missing outcome is told only once outcomes may be opened."""
    file = written(tmp_path, "flat")
    assert "reads no extract" in rapport("design", file, "--extract", ".")[1]
    frame = people()
    frame["left"] = frame["left"].where(frame.index > 2)
    frame.to_csv(tmp_path / "t.csv", index=False)
    approved(rapport)
    code, said = rapport("run", file, "--site", "site.yaml")
    assert code == 1
    assert "values are missing in column 'left'" in said
    assert not list((tmp_path / "results" / "one_table" / "releases").iterdir())


def test_few_events_at_a_visit_are_withheld(rapport: Command, tmp_path: Path) -> None:
    """Four people with a 1 in one group: no difference of shares tells them, in any model of visits."""
    file = written(tmp_path, "long")
    frame = visits(1, n=160, dropout=0.0)
    rng = np.random.default_rng(2)
    ones = (rng.random(len(frame)) < 0.4) & (frame["week"] < 12)
    few = frame.index[(frame["week"] == 12) & (frame["arm"] == 0)][:4]
    many = frame.index[(frame["week"] == 12) & (frame["arm"] == 1)][:30]
    frame = frame.assign(score=ones.astype(int))
    frame.loc[[*few, *many], "score"] = 1
    frame.to_csv(tmp_path / "t.csv", index=False)
    facts = json.loads(_dossier(rapport, file, tmp_path))
    approved(rapport, *(v["code"] for v in facts["verdicts"] if v["status"] == "FAIL"))
    assert rapport("run", file, "--site", "site.yaml")[0] == 0
    rows = results(tmp_path)["findings"][0]["rows"]
    shown = {row["label"]: row["value"] for row in rows}
    assert shown["visit 12"] is None
    assert shown["mean over these visits"] is None
    assert shown["visit 4"] is not None


def test_a_main_analysis_without_a_number_is_a_failed_check(rapport: Command, tmp_path: Path) -> None:
    """Treatment that a covariate tells: nothing to estimate, and the run says so."""
    file = written(tmp_path, "long", limited_data_set="public")
    frame = visits(1, n=160)
    frame.assign(age=30 + frame["arm"]).to_csv(tmp_path / "t.csv", index=False)
    code, said = rapport("run", file, "--site", "site.yaml", "--strict")
    assert code == 1
    assert "long.analysis.by_visit" in said
