"""Every judgement of a study file knows where in it to look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from causal.errors import StudyFileError
from flows.study_file.load import load_instruments, load_study
from flows.study_file.places import JUDGED, places_of
from validation.protocol import judge_protocol

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
    codes = tuple(v.code for v in judge_protocol(load_study(path).study, load_instruments(CONFIGS / "instruments")))
    for code, place in places_of(path, codes).items():
        line, column = (int(number) for number in place.rsplit(":", 2)[1:])
        parts = JUDGED[code.split(".")[1]]
        assert any(lines[line - 1][column - 1 :].startswith(f"{part[-1]}:") for part in parts), (code, place)


def test_a_failed_judgement_is_told_with_its_line(tmp_path: Path) -> None:
    """The key of the part, not the top of the file; what is not in the file has no place."""
    written = tmp_path / "study.yaml"
    written.write_text("kind: occasions\nestimator:\n  adjust_for: [age]\n", encoding="utf-8")
    places = places_of(written, ("protocol.adjust_for", "protocol.claims", "design.sets"))
    assert {code: place.rsplit("/", 1)[-1] for code, place in places.items()} == {
        "protocol.adjust_for": "study.yaml:3:3"
    }
    assert places_of(tmp_path / "gone.yaml", ("protocol.adjust_for",)) == {}


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
