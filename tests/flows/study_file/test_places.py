"""Every judgement of a study file knows where in it to look."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from causal.errors import StudyFileError
from flows.study_file.load import load_instruments, load_study
from flows.study_file.places import JUDGED, places_of
from validation.protocol import judge_protocol
from validation.verdict import failed
from validation.words import holds

CONFIGS = Path(__file__).parents[3] / "configs"
STUDIES = sorted((CONFIGS / "studies").rglob("*.yaml"))
CODE = re.compile(r"\"protocol\.([a-z_]+)")


def codes_in_source() -> set[str]:
    """Every code of a judgement of the protocol that stands in the code, without what follows its second word."""
    texts = (path.read_text(encoding="utf-8") for path in (CONFIGS.parent / "validation").glob("*.py"))
    return {code for text in texts for code in CODE.findall(text)}


def test_every_code_has_its_parts_and_no_part_is_of_nothing() -> None:
    """A judgement added without a place would be told without a line."""
    assert codes_in_source() - {"name", "order"} == set(JUDGED)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_parts_stand_in_the_files(path: Path) -> None:
    """For every judgement of a shipped study whose part is written out: the line is that of the part's key."""
    lines = path.read_text(encoding="utf-8").splitlines()
    judged = judge_protocol(load_study(path).study, load_instruments(CONFIGS / "instruments"))
    of_parts = [dataclasses.replace(verdict, sentence="") for verdict in judged]
    for code, place in places_of(path, of_parts).items():
        line, column = (int(number) for number in place.rsplit(":", 2)[1:])
        parts = JUDGED[code.split(".")[1]]
        assert any(lines[line - 1][column - 1 :].startswith(f"{part[-1]}:") for part in parts), (code, place)


def test_a_failed_judgement_is_told_with_its_line(tmp_path: Path) -> None:
    """The key of the part, not the top of the file; what is not in the file has no place."""
    written = tmp_path / "study.yaml"
    written.write_text("kind: occasions\nestimator:\n  adjust_for: [age]\n", encoding="utf-8")
    verdicts = [holds(code, "no", "") for code in ("protocol.adjust_for", "protocol.claims", "design.sets")]
    places = places_of(written, verdicts)
    assert {code: place.rsplit("/", 1)[-1] for code, place in places.items()} == {
        "protocol.adjust_for": "study.yaml:3:3"
    }
    assert places_of(tmp_path / "gone.yaml", verdicts[:1]) == {}


@pytest.mark.parametrize(
    ("text", "slip", "at"),
    [
        ("last_rating, estimand: E3", "last_rating, estimand: E2", "last_rating"),
        ("horizon_days: 180}", "horizon_days: 365}", "termination_course"),
        ("  - {analysis: subscales}\n", "", "subscales]"),
        ("    - means_access\n    - history", "    - severity\n    - history", "severity\n    - history"),
        (
            "    - {rule: alive}\n",
            "    - {rule: alive}\n    - {rule: minimum_age, years: 21}\n",
            "minimum_age, years: 18",
        ),
        ("[bond, goal, task]", "[bond, goal, tasks]", "tasks]"),
        ("    - severity -> warning\n", "    - severty -> warning\n", "severty -> warning"),
        ("    - warning -> alliance_after\n", "    - warning -> phq9\n", "warning -> phq9"),
        ("- Whether a warning prevents", "- No harm, and it prevents", "No harm, and"),
        ("{model: logistic, bends: where_needed}", "{model: boosting}", "boosting}"),
    ],
    ids=("estimand", "horizon", "family", "covariate", "rule", "subscale", "arrow", "circle", "claim", "seed"),
)
def test_the_place_is_that_of_the_item(tmp_path: Path, text: str, slip: str, at: str) -> None:
    """A judgement of one item of a block is told with the item's own line and column."""
    before = (CONFIGS / "studies" / "duty_to_warn.yaml").read_text(encoding="utf-8")
    assert text in before
    after = before.replace(text, slip, 1)
    path = tmp_path / "study.yaml"
    path.write_text(after, encoding="utf-8")
    bad = failed(judge_protocol(load_study(path).study, load_instruments(CONFIGS / "instruments")))
    (first, *_) = [place.split(":", 1)[1] for place in places_of(path, bad).values()]
    assert first == position(after, at)


@pytest.mark.parametrize(
    ("text", "slip", "at", "said"),
    [
        ("days: [30, 90, 180],", "days: 30, 90, 180,", "90, 180,", "a list in [ ]"),
        ("because: A warning cannot change", "because: A warning cannot, we think, change", "we think", "in quotes"),
        ("title: Duty-to-warn disclosure", "title: Duty-to-warn #1", "Duty-to-warn #1", "put the text in quotes"),
        ("title: Duty-to-warn disclosure", "title: Duty-to-warn: a", ": a and", "a colon inside text"),
        ("  smd_tier1: 0.10", "smd_tier1: 0.10", ": 0.20\n  minimum", "indented otherwise than its neighbours"),
        ("kind: occasions", "kind: flat_table", "flat_table", "did you mean 'occasions'?"),
        ("registered: not registered", "registered: 2999-01-01", "2999", "a day that has not come"),
        ("registered: not registered", "registered: 'not registered", "'not registered", "never closed"),
        ("- phq9 -> warning", "- phq-9 -> warning", "phq-9", "names of lower-case letters"),
    ],
    ids=("list", "comma", "number_sign", "colon", "dedent", "kind", "registered", "quote", "arrow"),
)
def test_a_slip_of_writing_is_told_where_it_is(tmp_path: Path, text: str, slip: str, at: str, said: str) -> None:
    """At its place, in words that mend it, and at most one line more for what follows from it."""
    before = (CONFIGS / "studies" / "duty_to_warn.yaml").read_text(encoding="utf-8")
    assert text in before
    after = before.replace(text, slip, 1)
    path = tmp_path / "study.yaml"
    path.write_text(after, encoding="utf-8")
    with pytest.raises(StudyFileError) as refusal:
        load_study(path)
    lines = refusal.value.message.splitlines()[1:]
    (line,) = [line for line in lines if said in line]
    assert f"study.yaml:{position(after, at)}:" in line
    assert len(lines) <= 2


def position(text: str, at: str) -> str:
    """Line and column at which `at` first stands in `text`."""
    above, _, before = text[: text.index(at)].rpartition("\n")
    return f"{above.count(chr(10)) + 2}:{len(before) + 1}"


def test_a_name_declared_twice_is_told_before_what_uses_it(tmp_path: Path) -> None:
    """Two estimands of one id: the second is told with the line of the first, and no estimand is called unknown."""
    text = (CONFIGS / "studies" / "duty_to_warn.yaml").read_text(encoding="utf-8")
    assert text.count("id: E3") == 1
    written = tmp_path / "study.yaml"
    written.write_text(text.replace("id: E3", "id: E2"), encoding="utf-8")
    first = text[: text.index("id: E2")].count("\n") + 1
    with pytest.raises(StudyFileError) as refusal:
        load_study(written)
    assert f"'E2' is declared twice, first on line {first}" in str(refusal.value)
    assert "unknown estimand" not in str(refusal.value)


def test_quotes_are_offered_where_they_help(tmp_path: Path) -> None:
    """A number where one of some words is expected stays wrong in quotes."""
    text = (CONFIGS / "studies" / "duty_to_warn.yaml").read_text(encoding="utf-8")
    assert "fill: median" in text
    written = tmp_path / "study.yaml"
    written.write_text(text.replace("fill: median", "fill: 0", 1), encoding="utf-8")
    with pytest.raises(StudyFileError) as refusal:
        load_study(written)
    assert "got 0, expected one of: median, nearest_lag" in str(refusal.value)
    assert "quote it" not in str(refusal.value)
