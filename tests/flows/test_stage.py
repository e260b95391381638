"""A stage tells of itself in one line; what it keeps is made once for the same inputs, and again if it is damaged."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from flows.runner import direct
from flows.stage import Found, Kept, Stage
from flows.store import intact
from flows.workspace import Workspace, open_workspace

STUDY = Path(__file__).resolve().parents[2] / "configs" / "studies" / "duty_to_warn.yaml"


@pytest.fixture
def said() -> list[str]:
    """Lines that people read."""
    return []


@pytest.fixture
def ws(tmp_path: Path, said: list[str]) -> Workspace:
    """The flagship with results in a folder of this test."""
    ws = open_workspace(STUDY, results=tmp_path / "results", say=said.append)
    ws.store.prepare()
    return ws


def write(_ws: Workspace, staging: Path, text: str) -> None:
    """Keep `text`."""
    (staging / "text").write_text(text)


def read(_ws: Workspace, found: Found, text: str) -> str:
    """What is kept, whatever was asked for."""
    assert text
    return (found.folder / "text").read_text()


KEPT = Kept(place="words", inputs=lambda text: ("words", text), make=write, read=read)
WORDS = Stage(name="keep words", run=KEPT)


def test_a_stage_is_one_line_with_all_it_says(ws: Workspace, said: list[str]) -> None:
    """Name, seconds, and every remark of the work, in order."""

    def work(ws: Workspace, x: int) -> int:
        ws.say("first")
        ws.say("second")
        return 2 * x

    assert direct(Stage(name="double", run=work), ws, 21) == 42
    (line,) = said
    assert re.fullmatch(r"double {12}    0\.0 s   first; second", line)


def test_a_stage_that_stops_says_so_and_raises_what_it_raised(ws: Workspace, said: list[str]) -> None:
    """An error goes through as itself; nothing the stage had begun to say is printed."""

    def work(ws: Workspace) -> None:
        ws.say("patient-7731")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Stage(name="divide", run=work)(ws)
    assert said == ["divide             stopped"]


def test_what_is_kept_is_made_once(ws: Workspace, said: list[str]) -> None:
    """The second time it is read and said to be unchanged; other inputs are another result."""
    assert [WORDS(ws, "one"), WORDS(ws, "one"), WORDS(ws, "two")] == ["one", "one", "two"]
    assert ["unchanged, skipped" in line for line in said] == [False, True, False]
    assert len(list((ws.store.private / "stages" / "words").iterdir())) == 2


def test_what_is_damaged_is_made_again(ws: Workspace, said: list[str]) -> None:
    """A changed byte in the folder is not read as the result."""
    WORDS(ws, "one")
    folder = KEPT.at(ws, "one").folder
    (folder / "text").write_text("eno")
    assert not intact(folder)
    assert WORDS(ws, "one") == "one"
    assert intact(folder)
    assert not [line for line in said if "unchanged" in line]


@pytest.mark.parametrize("change", [{"protocol_digest": "other"}, {"instruments": {}}])
def test_another_study_or_scoring_key_is_another_result(ws: Workspace, change: dict[str, object]) -> None:
    """Neither has to be named among the inputs of a stage."""
    assert KEPT.at(dataclasses.replace(ws, **change), "one").key != KEPT.at(ws, "one").key


def test_a_stage_that_stops_keeps_nothing(ws: Workspace) -> None:
    """Half a result is none."""

    def half(_ws: Workspace, staging: Path, text: str) -> None:
        (staging / "text").write_text(text[:1])
        raise ZeroDivisionError

    halved = dataclasses.replace(KEPT, make=half)
    with pytest.raises(ZeroDivisionError):
        halved(ws, "one")
    assert not halved.at(ws, "one").folder.exists()
    assert KEPT(ws, "one") == "one"
