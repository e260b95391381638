"""What a page is made of, before it is HTML or PDF.

`wording` turns a dossier into a `Document`; the two templates lay the same document out. So the pages cannot say
different things, and no text is ever part of a template's source.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from causal.protocol.words import Words

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
T = TypeVar("T")
LAYOUT = ("kind", "tone", "role", "anchor", "name")
"""Fields that steer the templates and are never shown."""
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Running text, with an optional lead-in set in bold."""

    lead: str = ""
    text: str
    kind: Literal["paragraph"] = field(default="paragraph", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subheading:
    """A heading inside a section."""

    text: str
    kind: Literal["subheading"] = field(default="subheading", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """A list in no order."""

    items: tuple[str, ...]
    kind: Literal["bullets"] = field(default="bullets", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A line set apart: an equation in words and figures."""

    text: str
    kind: Literal["display"] = field(default="display", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callout:
    """Paragraphs in a box: the answer, or a caution. The tone is carried by the text too, never by colour alone."""

    tone: Literal["answer", "caution"]
    paragraphs: tuple[Paragraph, ...]
    kind: Literal["callout"] = field(default="callout", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table column; `width` is its share of the page, `role` how its cells are set.

    A "status" cell holds PASS, FAIL or NOT EVALUATED; "code" is unspaced text such as a digest.
    """

    title: str
    role: Literal["text", "number", "status", "code"] = "text"
    width: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells already worded; the first column names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    kind: Literal["table"] = field(default="table", init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing made by `figures`, by name, with the words that stand in for it."""

    name: str
    caption: str
    alt: str
    kind: Literal["figure"] = field(default="figure", init=False)


Block = Paragraph | Subheading | Bullets | Display | Callout | Table | Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A numbered part of the page; `anchor` is its address within it."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One page, from top to bottom. An empty `banner` means real records and a real board."""

    title: str
    subtitle: str
    banner: str
    footer: str
    contents: bool
    sections: tuple[Section, ...]


def numbered(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The sections with their place in the title: "1. In short"."""
    return tuple(dataclasses.replace(s, title=f"{place}. {s.title}") for place, s in enumerate(sections, start=1))


def figures_of(document: Document) -> dict[str, Figure]:
    """Every figure the document calls for, by name."""
    return {block.name: block for s in document.sections for block in s.blocks if isinstance(block, Figure)}


def texts(value: Any) -> list[str]:
    """Every piece of text in a document or a part of one, in reading order (for checks on wording).

    >>> texts(Bullets(items=("a", "b")))
    ['a', 'b']
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in texts(item)]
    if dataclasses.is_dataclass(value):
        fields = (f.name for f in dataclasses.fields(value) if f.name not in LAYOUT)
        return [text for name in fields for text in texts(getattr(value, name))]
    return []


def printable(value: T) -> T:
    r"""A value, and what it is made of, without control, direction-changing or unassigned characters.

    It is text, or a tuple, a frozen dataclass or a study's words that hold text.

    White space becomes a plain space; anything else that cannot be seen becomes a visible mark, so that a label cannot
    turn the line around or hide part of itself.

    >>> printable("one\ttwo\u202ethree") == "one two" + REPLACEMENT + "three"
    True
    """
    if isinstance(value, str):
        return "".join(_visible(character) for character in value)  # type: ignore[return-value]
    if isinstance(value, tuple):
        return tuple(printable(item) for item in value)  # type: ignore[return-value]
    if isinstance(value, Words):
        said = {name: printable(text) for name, text in value if isinstance(text, str)}
        return value.model_copy(update=said)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        settable = (f.name for f in dataclasses.fields(value) if f.init)
        return dataclasses.replace(value, **{name: printable(getattr(value, name)) for name in settable})
    return value


def _visible(character: str) -> str:
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    return REPLACEMENT if unicodedata.category(character) in _INVISIBLE else character
