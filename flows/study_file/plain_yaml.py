"""Plain YAML, read with the line of every value: mappings, lists, text, numbers, true, false, null.

A file is input from a stranger. Whatever makes YAML dangerous (anchors, aliases, tags, merge keys, directives), endless
(size, depth) or ambiguous (duplicate keys, ``010``, ``12:30:00``) is refused, all of it at once, each with its line.
`ruamel.yaml` supplies events; nothing of it constructs a value, so no file can make it build an object.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 256 * 1024
MAX_LINE = 4000
MAX_DEPTH = 32
MAX_VALUES = 10_000
MAX_NUMBER = 40
SHOWN = 80

Key = str | int
Where = tuple[Key, ...]
"""Keys and list positions (from 0) from the top of the document to a value."""
Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

_CONTROL = re.compile(
    "[\x00-\x08\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
    "|\r(?!\n)"
)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-9_]+(\.[0-9_]*)?([eE][-+]?[0-9]+)?"  # 010 is 8 or 10
    r"|[-+]?0[xXoObB][0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"  # 1_000
    r"|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?"  # 12:30:00 is 45000 seconds to some
    r"|[-+]?(\.[0-9_]+|[0-9]+\.)([eE][-+]?[0-9]+)?"  # .5 and 5.
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line and a column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong: the place, the path of keys, and a sentence without either."""

    place: Place | None
    where: Where
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says: plain values, and the place of each key and value.

    `unquoted` holds the text of every number, true, false and null as it stands in the file.
    """

    name: str
    value: Plain
    places: dict[Where, Place]
    keys: dict[Where, Place]
    unquoted: dict[Where, str]
    problems: tuple[Problem, ...]


class UnreadableFile(Exception):
    """The file is not one that may be opened or parsed at all; the message says why."""


def shown(text: str) -> str:
    """`text` as it may be printed: control characters replaced, at most 80 characters.

    >>> shown("a" + chr(27) + "[31m" + "b" * 100)
    'a?[31mbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…'
    """
    clean = _CONTROL.sub("?", text.replace("\r\n", " ").replace("\n", " "))
    clean = "".join(char if char.isprintable() or char == " " else "?" for char in clean)
    return clean if len(clean) <= SHOWN else clean[: SHOWN - 1] + "…"


def read_plain_yaml(path: Path) -> Document:
    """The document at `path`.

    Raises `UnreadableFile` when the path is not a small regular ``.yaml`` file of plain UTF-8 text. Everything wrong
    inside the text is collected in `Document.problems`.
    """
    return parse_plain_yaml(_decoded(_content(path)), name=shown(str(path)))


def parse_plain_yaml(text: str, *, name: str) -> Document:
    """The document written as `text`.

    >>> document = parse_plain_yaml("ratio: 2\\nregimes: [NO, on]", name="x.yaml")
    >>> document.value
    {'ratio': 2, 'regimes': ['NO', 'on']}
    >>> document.places["regimes", 1]
    Place(line=2, column=15)
    """
    reader = _Reader()
    problems = list(_bad_characters(text))
    value = None if problems else reader.document(text)
    return Document(
        name=name,
        value=value,
        places=reader.places,
        keys=reader.keys,
        unquoted=reader.unquoted,
        problems=(*problems, *reader.problems),
    )


def _content(path: Path) -> bytes:
    """The bytes of a small regular file, opened once, never through a symbolic link, never waiting."""
    name = str(path)
    if _CONTROL.search(name) or len(name) > 1000:
        raise UnreadableFile("its name holds control characters or is too long; give it a plain name")
    if path.suffix not in (".yaml", ".yml"):
        raise UnreadableFile("its name does not end in .yaml; only study, site and instrument files are read")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnreadableFile("there is no such file") from None
    except OSError as error:
        if path.is_symlink():
            raise UnreadableFile("it is a symbolic link; name the file itself") from None
        raise UnreadableFile(f"it cannot be opened: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile("it is not a regular file (a folder, pipe or device)")
        content = stream.read(MAX_BYTES + 1) if status.st_size <= MAX_BYTES else None
    if content is None or len(content) > MAX_BYTES:
        raise UnreadableFile(f"it is larger than {MAX_BYTES // 1024} KB; a file people write is far smaller")
    return content


def _decoded(content: bytes) -> str:
    """The text of `content`, which must be UTF-8; a byte-order mark at the start is dropped."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("it is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UnreadableFile(f"line {line} is not UTF-8 (perhaps Windows-1252 or Latin-1); save it as UTF-8") from None


def _bad_characters(text: str) -> Iterator[Problem]:
    """Lines that hold a character no editor shows, or that are too long to be written by a person."""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        found = _CONTROL.search(line)
        if found is not None:
            place = Place(line=number, column=found.start() + 1)
            what = "a tab; use spaces" if found[0] == "\t" else f"the invisible character U+{ord(found[0]):04X}; remove it"
            yield Problem(place=place, where=(), text=f"the line holds {what}")
        elif len(line) > MAX_LINE:
            yield Problem(
                place=Place(line=number, column=1),
                where=(),
                text=f"the line has {len(line)} characters; at most {MAX_LINE} are read",
            )


class _Stop(Exception):
    """Reading cannot go on; the problem has been noted."""


@dataclass(slots=True)
class _Open:
    """A mapping or list being read; `key` is the key that waits for its value."""

    where: Where
    value: list[Plain] | dict[str, Plain]
    key: str | None = None
    ignored: bool = False  # the value to come belongs to a key already refused


@dataclass(slots=True)
class _Reader:
    """Builds plain values from YAML events and collects everything it must refuse."""

    places: dict[Where, Place] = field(default_factory=dict)
    keys: dict[Where, Place] = field(default_factory=dict)
    unquoted: dict[Where, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def document(self, text: str) -> Plain:
        """The only document of `text`, or None if there is nothing to read."""
        try:
            return self._read(text)
        except _Stop:
            return None

    def _refuse(self, place: Place | None, where: Where, text: str) -> None:
        self.problems.append(Problem(place=place, where=where, text=text))

    def _stop(self, place: Place | None, text: str) -> None:
        self._refuse(place, (), text)
        raise _Stop

    def _read(self, text: str) -> Plain:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        opened: list[_Open] = []
        result: list[Plain] = []
        documents = 0
        try:
            for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
                place = Place(line=event.start_mark.line + 1, column=event.start_mark.column + 1)
                if count > 2 * MAX_VALUES:
                    self._stop(place, f"there are more than {MAX_VALUES} values; a file people write has far fewer")
                kind = type(event).__name__
                if kind == "DocumentStartEvent":
                    documents += 1
                    if documents > 1:
                        self._stop(place, "a second document begins here ('---'); one file holds one")
                    if event.version is not None or event.tags:
                        self._refuse(place, (), "directives ('%YAML', '%TAG') are not allowed; remove the line")
                elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                    if len(opened) >= MAX_DEPTH:
                        self._stop(place, f"values are nested more than {MAX_DEPTH} deep")
                    opened.append(self._begin(event, place, opened))
                elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                    self._put(opened, result, opened.pop())
                elif kind in ("ScalarEvent", "AliasEvent"):
                    self._scalar(event, place, opened, result)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = None if mark is None else Place(line=mark.line + 1, column=mark.column + 1)
            self._stop(where, _plain_words(str(error.problem or "")))
        except YAMLError:
            self._stop(None, "it is not YAML")
        if not result:
            self._stop(None, "the file is empty")
        return result[0]
