"""Hostile labels: whatever a person writes into a study file is text on every page, and only text."""

from __future__ import annotations

import dataclasses
import json
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "flows" / "report"))

from dossiers import DOSSIER, HOSTILE, PAYLOADS

from flows.report.document import printable, texts
from flows.report.dossier import BalanceLine, Dossier
from flows.report.quality_page import render_quality_page
from flows.report.render import render
from flows.report.wording import document

CONTROL = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - {"\n"}
TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


class Elements(HTMLParser):
    """Names of the elements a browser would build."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        self.names.add(tag)
        self.attributes.update(name for name, _ in attrs)


@pytest.fixture(scope="module")
def plain() -> dict[str, bytes]:
    """The release with ordinary words."""
    return render(DOSSIER)


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    """The release with an attack in every place for words."""
    return render(HOSTILE)


def test_an_attack_adds_no_element_to_the_page(plain: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """The browser builds from hostile words what it builds from plain ones, and nothing else."""
    ours, theirs = (Elements(release["report.html"].decode()) for release in (plain, hostile))
    assert theirs.names == ours.names
    assert theirs.attributes == ours.attributes


def test_the_attack_is_still_there_to_be_read(hostile: dict[str, bytes]) -> None:
    """Nothing is quietly dropped: each label is on the page as it was written, invisible characters marked."""
    page = unescape(hostile["report.html"].decode())
    shown = " ".join(page.split())
    for payload in PAYLOADS:
        words = " ".join(printable(payload).split())
        assert words in shown or words[:1].upper() + words[1:] in shown, payload


@pytest.mark.parametrize(
    "name", ["report.html", "flow.svg", "love_plot.svg", "overlap.svg", "effects.svg", "termination.svg"]
)
def test_no_control_or_turning_character_is_left(hostile: dict[str, bytes], name: str) -> None:
    """Text cannot be hidden, turned around or sent to a terminal."""
    assert not (CONTROL | TURNING) & set(hostile[name].decode())


def test_an_attack_adds_no_element_to_a_drawing(plain: dict[str, bytes], hostile: dict[str, bytes]) -> None:
    """Drawn letters are paths; words stand only in the label for screen readers, escaped."""
    for name in (name for name in plain if name.endswith(".svg")):
        ours, theirs = (Elements(release[name].decode()).names for release in (plain, hostile))
        assert theirs <= ours | {"use", "defs"}, name


def test_the_compiler_reads_no_file_and_runs_no_code(hostile: dict[str, bytes], tmp_path: Path) -> None:
    """A label that asks for a file gets none of it, even one the process could read."""
    canary = tmp_path / "canary.txt"
    canary.write_text("CANARY-7f3a", encoding="utf-8")
    label = (
        f'#read("{canary}") #import "{canary}" {{{{ cycler.__init__.__globals__.os.system("touch {tmp_path}/ran") }}}}'
    )
    asked = dataclasses.replace(DOSSIER, title=label, treated_short=label[:40], limitations=(label,))
    made = render(asked)
    assert not (tmp_path / "ran").exists()
    for content in (*made.values(), *hostile.values()):
        assert b"CANARY-7f3a" not in content
        assert b"root:x:0" not in content
    assert json.loads(made["results.json"])["title"] == label


def test_json_keeps_what_was_written(hostile: dict[str, bytes]) -> None:
    """The numbers' file holds the labels as they came, escaped as JSON."""
    assert json.loads(hostile["results.json"])["title"] == HOSTILE.title
    lone = dataclasses.replace(DOSSIER, title="lone \ud800 surrogate")
    assert json.loads(render(lone)["results.json"])["title"] == "lone \ud800 surrogate"


def test_the_quality_page_is_as_inert(hostile: dict[str, bytes]) -> None:
    """Reasons and table names are text there too."""
    page = render_quality_page(HOSTILE.quality, HOSTILE.verdicts, 11, title=PAYLOADS[0], about=PAYLOADS[1]).decode()
    assert Elements(page).names <= Elements(hostile["report.html"].decode()).names
    assert not (CONTROL | TURNING) & set(page)


def wide_study() -> Dossier:
    """Forty facts and twenty-five rules with long names."""
    facts = tuple(
        dataclasses.replace(line, name=f"fact_{k}", label=f"{line.label} {'very ' * 30}{k}")
        for k in range(2)
        for line in DOSSIER.balance
    )
    steps = tuple(
        dataclasses.replace(DOSSIER.flow[0], rule=f"rule {k} " + "long " * 100, occasions=60000 - 100 * k)
        for k in range(25)
    )
    return dataclasses.replace(DOSSIER, balance=facts, flow=steps)


def test_layout_holds_for_a_very_large_study() -> None:
    """Figures grow taller, not wider, and every fact and rule is in the tables in full."""
    study = wide_study()
    made = render(study)
    assert isinstance(study.balance[0], BalanceLine)
    for name in ("flow.svg", "love_plot.svg"):
        assert b'viewBox="0 0 460.8 ' in made[name]
    words = " ".join(texts(document(study)))
    assert all(step.rule in words for step in study.flow)
    assert made["report.pdf"].startswith(b"%PDF")
