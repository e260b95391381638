from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from functools import cache
from html.parser import HTMLParser

import pytest
from dossiers import DESIGN_ONLY, DOSSIER, GATE_FAILED, HOSTILE

from flows.report.document import figures_of, printable, texts
from flows.report.dossier import Dossier
from flows.report.figures import draw
from flows.report.html import render_html
from flows.report.sentences import forbidden
from flows.report.wording import document

DOSSIERS = {"plain": DOSSIER, "design only": DESIGN_ONLY, "gate failed": GATE_FAILED, "hostile": HOSTILE}
VOID = {"meta", "col", "wbr"}


class Page(HTMLParser):
    """The page as a browser would see it: elements in order, and the text between them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element opens."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that holds nothing."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """An element closes, and it is the one that was open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, unless it is style."""
        if "style" not in self.open:
            self.text.append(data)


@cache
def source_of(dossier: Dossier) -> str:
    """The page's source."""
    pages = document(dossier)
    drawn = draw(printable(dossier), {name: figure.alt for name, figure in figures_of(pages).items()})
    return render_html(pages, drawn).decode("utf-8")


@pytest.fixture(scope="module", params=DOSSIERS.values(), ids=DOSSIERS.keys())
def source(request: pytest.FixtureRequest) -> str:
    """Each page once."""
    return source_of(request.param)


def test_nothing_runs_and_nothing_is_fetched(source: str) -> None:
    """No script, frame, form or outside address; a policy forbids them besides."""
    page = Page(source)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "link",
        "base",
        "img",
        "image",
        "foreignobject",
        "a:",
    }
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith("#"), tag
    policies = [a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)


def test_the_page_is_well_formed_and_navigable(source: str) -> None:
    """Language, one main heading, no skipped level, unique anchors, every link lands."""
    page = Page(source)
    assert page.open == []
    assert page.elements[0] == ("html", {"lang": "en"})
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert set(anchors.values()) == {1}
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert {f"#{anchor}" for anchor in anchors} >= links
    assert len(links) >= 11


def test_figures_and_tables_can_be_read_without_eyes(source: str) -> None:
    """Drawings carry a label; tables a caption, column heads and row heads; scrolling parts can be reached by key."""
    page = Page(source)
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(drawings) >= 3
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawings)
    count = Counter(tag for tag, _ in page.elements)
    assert count["caption"] == count["table"] > 5
    scopes = Counter(attributes.get("scope") for tag, attributes in page.elements if tag == "th")
    assert set(scopes) == {"col", "row"}
    scrolling = [attributes for _, attributes in page.elements if attributes.get("class") == "scroll"]
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for attributes in scrolling)


def test_every_word_of_the_document_is_on_the_page() -> None:
    """Nothing the document says is lost in the layout."""
    for dossier in DOSSIERS.values():
        pages = document(dossier)
        page = Page(source_of(dossier))
        labels = [attributes.get("aria-label") or "" for _, attributes in page.elements]
        seen = _squeezed(" ".join(["".join(page.text), *labels]))
        assert [text for text in texts(pages) if _squeezed(text) not in seen] == []


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def test_the_page_holds_no_forbidden_phrase(source: str) -> None:
    """What a reader sees, labels for screen readers included."""
    page = Page(source)
    labels = [attributes.get("aria-label") or "" for _, attributes in page.elements]
    assert forbidden(" ".join(["".join(page.text), *labels])) == ()


def test_the_banner_stays_in_sight() -> None:
    """It sticks to the top on a screen and stands at the head of each printed page; without one there is no trace."""
    source = source_of(DOSSIER)
    page = Page(source)
    assert page.elements[[tag for tag, _ in page.elements].index("body") + 1] == (
        "div",
        {"class": "banner", "role": "note"},
    )
    assert "position: sticky" in source
    assert '@top-center { content: "SYNTHETIC RECORDS, SIMULATED BOARD"' in source
    real = dataclasses.replace(
        DOSSIER,
        simulated=False,
        approval=dataclasses.replace(DOSSIER.approval, simulated=False),
        provenance=dataclasses.replace(DOSSIER.provenance, synthetic=False),
    )
    assert 'class="banner"' not in source_of(real)


def test_verdicts_are_words_and_marks() -> None:
    """PASS, FAIL and NOT EVALUATED are written out, and have a mark of their own besides colour."""
    source = source_of(GATE_FAILED)
    for verdict in ("PASS", "FAIL", "NOT EVALUATED"):
        assert f'<td class="status {verdict}">{verdict}</td>' in source
    marks = re.findall(r'\.(?:PASS|FAIL|NOT)::before \{ content: "(\\\w+)"', source)
    assert len(set(marks)) == 3
