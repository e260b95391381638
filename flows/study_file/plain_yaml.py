"""Plain YAML, read with the line of every value: mappings, lists, text, numbers, true, false, null.

A file is input from a stranger. Whatever makes YAML dangerous (anchors, aliases, tags, merge keys, directives), endless
(size, depth) or ambiguous (duplicate keys, ``010``, ``12:30:00``) is refused, all of it at once, each with its line.
`ruamel.yaml` only splits the text into events; no value is constructed by it, so no file can make it build an object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flows.shown import shown
from flows.study_file.small_file import INVISIBLE

MAX_DEPTH = 32
MAX_EVENTS = 5_000
MAX_LINE = 4000
MAX_NUMBER = 40

Where = tuple[str | int, ...]
"""Keys, and list positions from 0, that lead from the top of the document to a value."""
Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-9_]+(\.[0-9_]*)?([eE][-+]?[0-9]+)?"  # 010: ten, or eight
    r"|[-+]?0[xXoObB][0-9a-fA-F_]+"
    r"|[-+]?[0-9]+(_[0-9]+)+(\.[0-9_]*)?"  # 1_000: a thousand, or text
    r"|[-+]?[0-9]+(:[0-9]{1,2})+(\.[0-9]*)?"  # 12:30:00: text, or 45000 seconds
    r"|[-+]?(\.[0-9]+|[0-9]+\.)([eE][-+]?[0-9]+)?"  # .5 and 5.
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SYNTAX = {
    "mapping values are not allowed": "a colon inside text; put the text in quotes",
    "could not find expected ':'": "a key without a colon, or a line indented unlike its neighbours",
    "expected <block end>": "the line is indented unlike its neighbours, or a list or mapping above is not closed",
    "expected ',' or": "a list or mapping opened with [ or { is not closed, or a comma is missing",
    "expected the node content": "a value is missing inside [ ] or { }",
    "unexpected end of stream": "a quotation mark is opened and never closed",
    "block sequence entries are not allowed": "a list item ('- ') stands where none can be",
    "cannot start any token": "text may not begin with this character; put it in quotes",
    "undefined alias": "anchors and aliases ('&', '*') are not allowed; write the value out",
    "unknown escape character": "a backslash inside double quotes; use single quotes",
    "undefined tag handle": "tags ('!') are not allowed; remove it, or quote the text",
    "duplicate anchor": "anchors and aliases ('&', '*') are not allowed; write the value out",
}
"""ruamel.yaml's words for a broken text, and ours."""
_DEEPER = "the line is indented otherwise than its neighbours, so that it goes on with the value above it"
_CUT_OFF = re.compile(r"[ ]+#[0-9]")
"""What YAML takes for a comment and a person means as "number"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line and a column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong: where it stands, the path that leads there, and a sentence that repeats neither."""

    place: Place | None
    where: Where
    text: str


@dataclass(slots=True, kw_only=True)
class Document:
    """What a text says: plain values, the place of each key and value, and whatever had to be refused.

    `unquoted` holds, as written, every scalar without quotes that is not text (numbers, true, false, null). Where
    `problems` name a value, `value` holds a stand-in for it.
    """

    text: str = ""
    value: Plain = None
    places: dict[Where, Place] = field(default_factory=dict)
    keys: dict[Where, Place] = field(default_factory=dict)
    unquoted: dict[Where, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, place: Place | None, where: Where, text: str) -> None:
        """Note a problem and read on."""
        self.problems.append(Problem(place=place, where=where, text=text))


def plain_yaml(text: str) -> Document:
    r"""Read the one document written in `text`; never raises, see `Document.problems`.

    >>> document = plain_yaml("ratio: 2\nregimes: [NO, on]")
    >>> document.value
    {'ratio': 2, 'regimes': ['NO', 'on']}
    >>> document.places["regimes", 1]
    Place(line=2, column=15)
    >>> plain_yaml("start: 010").problems[0].text
    '010 means different things to different readers of YAML; write it as a plain number, or quote it if it is text'
    """
    document = Document(text=text)
    for problem in _unfit_lines(text):
        document.problems.append(problem)
    if not document.problems:
        try:
            document.value = _document(_events(text, document), document)
        except _StopReadingError as stop:
            document.refuse(stop.place, (), stop.text)
    return document


class _StopReadingError(Exception):
    """Nothing after this place can be understood."""

    def __init__(self, place: Place | None, text: str) -> None:
        self.place = place
        self.text = text
        super().__init__(text)


def _named(character: str) -> str:
    return f"the hidden character U+{ord(character):04X}"


def _unfit_lines(text: str) -> Iterator[Problem]:
    """Lines with a character no editor shows, or longer than a person writes."""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        found = INVISIBLE.search(line)
        if found is not None:
            what = "a tab; use spaces" if found[0] == "\t" else f"{_named(found[0])}; remove it"
            yield Problem(place=Place(line=number, column=found.start() + 1), where=(), text=f"the line holds {what}")
        elif len(line) > MAX_LINE:
            sentence = f"the line has {len(line)} characters; at most {MAX_LINE} are read"
            yield Problem(place=Place(line=number, column=1), where=(), text=sentence)


def _events(text: str, document: Document) -> Iterator[Any]:
    """ruamel.yaml's events of content; what stands around it is judged here."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    documents = 0
    try:
        for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
            if count > MAX_EVENTS:
                raise _StopReadingError(
                    _place(event), f"more than {MAX_EVENTS} values and keys, far more than a person writes"
                )
            kind = _kind(event)
            if kind == "DocumentStart":
                documents += 1
                if documents > 1:
                    raise _StopReadingError(_place(event), "a second document begins here ('---'); a file holds one")
                if event.version is not None or event.tags:
                    document.refuse(_place(event), (), "a directive ('%YAML', '%TAG') is not allowed; remove it")
            elif kind not in ("StreamStart", "DocumentEnd", "StreamEnd"):
                yield event
    except MarkedYAMLError as error:
        opened = "end of stream" in str(error.problem)  # where a quotation mark was opened helps, the file's end not
        mark = (opened and error.context_mark) or error.problem_mark or error.context_mark
        place = None if mark is None else Place(line=mark.line + 1, column=mark.column + 1)
        raise _StopReadingError(place, _syntax(str(error.problem), place, text)) from None
    except YAMLError:
        raise _StopReadingError(None, "the text is not YAML") from None


def _syntax(problem: str, place: Place | None, text: str) -> str:
    if "mapping values are not allowed" in problem and place is not None:
        before = text.replace("\r\n", "\n").split("\n")[place.line - 1][: place.column - 1]
        if re.fullmatch(r"\s*(- )?[\w.-]+", before):
            return _DEEPER
    for theirs, ours in _SYNTAX.items():
        if theirs in problem:
            return ours
    return f"the text is not YAML ({shown(problem)})"


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _place(event: Any) -> Place:
    return Place(line=event.start_mark.line + 1, column=event.start_mark.column + 1)


def _document(events: Iterator[Any], document: Document) -> Plain:
    first = next(events, None)
    if first is None or (_kind(first) == "Scalar" and first.value == "" and first.style is None):
        raise _StopReadingError(Place(line=1, column=1), "the file is empty")
    value = _value(events, first, (), document)
    if next(events, None) is not None:  # lets the parser reach the end, where a second document may stand
        raise _StopReadingError(None, "the text is not YAML")
    return value


def _value(events: Iterator[Any], event: Any, where: Where, document: Document) -> Plain:
    """Read the value that begins with `event`; what belongs to it is taken from `events`."""
    kind = _kind(event)
    place = _place(event)
    if kind == "Scalar" and event.start_mark.index == event.end_mark.index:  # nothing is written: stand at the key
        place = document.keys.get(where, place)
    document.places[where] = place
    if len(where) >= MAX_DEPTH and kind != "Scalar":
        raise _StopReadingError(place, f"values are nested more than {MAX_DEPTH} deep")
    if kind == "Alias" or event.anchor is not None:
        document.refuse(place, where, "anchors and aliases ('&', '*') are not allowed; write the value out")
    elif event.tag is not None:
        document.refuse(place, where, f"the tag {shown(str(event.tag))!r} is not allowed; remove it, or quote the text")
    match kind:
        case "MappingStart":
            return _mapping(events, where, document)
        case "SequenceStart":
            return _list(events, where, document)
        case "Scalar":
            return _scalar(event, where, document)
        case _:
            return None


def _list(events: Iterator[Any], where: Where, document: Document) -> list[Plain]:
    values: list[Plain] = []
    while _kind(event := next(events)) != "SequenceEnd":
        values.append(_value(events, event, (*where, len(values)), document))
    return values


def _mapping(events: Iterator[Any], where: Where, document: Document) -> dict[str, Plain]:
    values: dict[str, Plain] = {}
    while _kind(event := next(events)) != "MappingEnd":
        key, inner = _key(events, event, where, document)
        fresh = key is not None and key not in values
        if key is not None and not fresh:
            first = document.keys[inner].line
            document.refuse(
                _place(event), inner, f"key {shown(key)!r} is here a second time; it stands on line {first}"
            )
        elif key is not None:
            document.keys[inner] = _place(event)
        value = _value(events, next(events), inner if fresh else (*inner, ""), document)
        if key is not None and fresh:
            values[key] = value
    return values


def _key(events: Iterator[Any], event: Any, where: Where, document: Document) -> tuple[str | None, Where]:
    """Read the key that begins with `event` as it is written, and its path; None when it cannot be a key."""
    nameless = (*where, "")
    if _kind(event) != "Scalar":
        document.refuse(_place(event), nameless, "a key must be a plain word")
        if _kind(event) != "Alias":
            _value(events, event, nameless, document)
        return None, nameless
    if found := INVISIBLE.search(str(event.value)):
        document.refuse(_place(event), nameless, f"a key holds {_named(found[0])}; remove it")
        return None, nameless
    if event.anchor is not None or event.tag is not None:
        document.refuse(_place(event), (*where, event.value), "anchors, aliases and tags are not allowed on a key")
    if event.value == "<<" and event.style is None:
        document.refuse(_place(event), (*where, "<<"), "merge keys ('<<') are not allowed; write the values out")
    return str(event.value), (*where, str(event.value))


def _scalar(event: Any, where: Where, document: Document) -> Plain:
    """Text, or, without quotes, a number, true, false or null. Only YAML 1.2's core words and plain decimals count."""
    text = str(event.value)
    if found := INVISIBLE.search(text):  # escapes such as "\e" and "\u202e" bring in what no editor shows
        document.refuse(document.places[where], where, f"the text holds {_named(found[0])}; remove it")
        text = INVISIBLE.sub("?", text)
    if event.style is not None:
        return text
    if text and _CUT_OFF.match(document.text, event.end_mark.index):
        sentence = "what follows '#' is a comment to YAML; put the text in quotes, or a blank after '#'"
        document.refuse(document.places[where], where, sentence)
    if text in _WORDS:
        document.unquoted[where] = text
        return _WORDS[text]
    if _DECIMAL.fullmatch(text):
        document.unquoted[where] = text
        return _number(text, where, document)
    if _AMBIGUOUS.fullmatch(text):
        document.refuse(
            document.places[where],
            where,
            f"{shown(text)} means different things to different readers of YAML; "
            "write it as a plain number, or quote it if it is text",
        )
    return text


def _number(text: str, where: Where, document: Document) -> int | float:
    if len(text) > MAX_NUMBER or not math.isfinite(float(text)):
        document.refuse(document.places[where], where, f"the number {shown(text)} is too long or too large")
        return 0
    return int(text) if _INTEGER.fullmatch(text) else float(text)
