"""A typed study in plain words: every decision it holds, one line each, in the order of its file.

The words stand where a key is declared: the sentence under it, and `Says` where that sentence is not plain. Nothing
here knows a study or a key, so that a key added to the vocabulary is told without a line added here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from causal.protocol.base import Part, Says, is_name

Names = Mapping[str, str]
"""What covariates, keys and a study's nouns are called: "phq9" to "Depression (PHQ-9)", "words.unit" to "visit".

A name that is not here is said as it is. A key's words name a noun in backquotes: "`words.units` of the same kind".
"""

TAGS = ("kind", "method", "rule", "strategy", "analysis", "family")
"""Keys by which a block says which of several it is."""
AS_IT_COMES = " (as Rapport comes)"
MINUS = "\N{MINUS SIGN}"
_QUOTED = re.compile(r"`+([^`]+)`+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One decision: its key in the study file (places in lists count from 1), what it is called, and what was decided.

    `usual` says that it is what Rapport would have done had the file said nothing.
    """

    key: str
    name: str
    value: str
    usual: bool


def lines_of(
    part: Part, names: Names, *, under: str = "", called: str = "", otherwise: object = None
) -> Iterator[Line]:
    """Every decision in `part`, depth first; a block in a list is one line.

    Parameters
    ----------
    part
        A study, or a block of one.
    names
        What covariates and keys are called.
    under
        Key of `part` in the file; empty for a whole study.
    called
        What is decided by the choice of `part` among several blocks.
    otherwise
        What would stand here had the file said nothing.
    """
    kind = type(part)
    for key in kind.model_fields:
        value, path = getattr(part, key), f"{under}.{key}".lstrip(".")
        usual = _usual(part, key, otherwise)
        if isinstance(value, Part):
            yield from lines_of(value, names, under=path, called=_name(kind, key), otherwise=usual)
        elif _holds_parts(value):
            yield from _one_each(value, path, _name(kind, key), names)
        elif key == _tag_key(kind) and under:
            said = f"{_titled(value)}. {_sentence(part, names)}"
            yield Line(key=path, name=called, value=said, usual=type(otherwise) is kind)
        else:
            said = _said(value, _says(kind, key), names)
            yield Line(key=path, name=_name(kind, key), value=said, usual=bool(value == usual))


def given(part: Part, names: Names) -> str:
    """A block as its file says it: every key whose value is not what comes, in words."""
    kind = type(part)
    said = (key for key in kind.model_fields if getattr(part, key) != _usual(part, key, None))
    return "; ".join(_braced(part, key, _labelled(part, key, names)) for key in said)


def _braced(part: Part, key: str, said: str) -> str:
    """What a block inside a block says, in brackets, so that it is seen where it ends."""
    label, _, value = said.partition(": ")
    return f"{label}: ({value})" if isinstance(getattr(part, key), dict | Part) and value else said


def _one_each(value: Any, path: str, called: str, names: Names) -> Iterator[Line]:
    """A line for each block of a list or of a dictionary of blocks."""
    for place, item in value.items() if isinstance(value, dict) else enumerate(value, start=1):
        name = f"{called}: {place}" if isinstance(value, dict) else _titled(_tag(item)) or called
        yield Line(key=f"{path}[{place}]", name=name, value=_inline(item, names), usual=False)


def _inline(part: Part, names: Names) -> str:
    """A block in one sentence: what it is, with the decisions it names, and its other keys after it."""
    kind = type(part)
    speaks = bool(_tag_key(kind)) or not _named(kind).isdisjoint(kind.model_fields)
    told = {*_named(kind), _tag_key(kind)} if speaks else {""}
    rest = "; ".join(_labelled(part, key, names) for key in kind.model_fields if key not in told)
    return f"{_sentence(part, names)} {rest[:1].upper()}{rest[1:]}".strip() if speaks else rest


def _labelled(part: Part, key: str, names: Names) -> str:
    """One key of a block that is told in a sentence: "within: 180 days"."""
    value, says = getattr(part, key), _says(type(part), key)
    label = says.name or re.sub(rf"_{says.unit}$", "", key.rstrip("_")).replace("_", " ")
    said = _said(value, says, names) + (AS_IT_COMES if bool(value == _usual(part, key, None)) else "")
    return said if label == says.unit else f"{label}: {said}"


def _said(value: Any, says: Says, names: Names) -> str:
    """A value in words, with its unit."""
    if value is None:
        return says.nothing or "none"
    if value in ((), {}):
        return says.empty or "none"
    if isinstance(value, Part):
        return f"{_titled(_tag(value))} ({_inline(value, names)})" if _tag(value) else _inline(value, names)
    if isinstance(value, dict):
        return "; ".join(f"{names.get(key, _spaced(key))}: {_said(each, says, names)}" for key, each in value.items())
    if isinstance(value, tuple):
        if _holds_parts(value):
            return "; ".join(f"({_said(one, says, names)})" for one in value)
        each = (_bare(one, says, names) for one in value)
        return ("; " if isinstance(value[0], str) else ", ").join(each) + _unit(says, value[-1])
    return _bare(value, says, names) + _unit(says, value)


def _bare(value: Any, says: Says, names: Names) -> str:
    """A single value without its unit."""
    if value in says.choices:
        return _QUOTED.sub(lambda found: names.get(found[1], found[1]), says.choices[value])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return repr(value).removesuffix(".0").replace("-", MINUS)
    if isinstance(value, str) and not says.verbatim:
        return names.get(value, value if says.column else _spaced(value))
    return str(value)


def _unit(says: Says, value: Any) -> str:
    return f" {says.unit}" if says.unit and isinstance(value, (int, float)) else ""


def _spaced(text: str) -> str:
    return text.replace("_", " ") if is_name(text) else text


def _titled(tag: str) -> str:
    words = tag.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"


def _sentence(part: Part, names: Names) -> str:
    """The first paragraph of a block's docstring, the keys it names in backquotes replaced by what was decided."""
    kind = type(part)

    def decided(found: re.Match[str]) -> str:
        key = found[1]
        if key not in kind.model_fields:
            return names.get(key, key.replace("_", " "))
        value, says = getattr(part, key), _says(kind, key)
        return _bare(value, says, names) if isinstance(value, (int, float)) else _said(value, says, names)

    return _QUOTED.sub(decided, _paragraph(kind))


@cache
def _paragraph(kind: type[Part]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


@cache
def _named(kind: type[Part]) -> frozenset[str]:
    """What the first paragraph of a block's docstring names in backquotes."""
    return frozenset(_QUOTED.findall(_paragraph(kind)))


@cache
def _name(kind: type[Part], key: str) -> str:
    """What a key is called: its name for people, else the first sentence under it."""
    sentence = (kind.model_fields[key].description or key).split("\n\n")[0].split(". ")[0]
    plain = " ".join(_QUOTED.sub(lambda found: found[1].replace("_", " "), sentence).split())
    return _says(kind, key).name or plain.rstrip(".")


@cache
def _tag_key(kind: type[Part]) -> str:
    """The key by which a block says which of several it is; empty where there is one kind only."""
    return next((key for key in kind.model_fields if key in TAGS and _is_fixed(kind.model_fields[key].annotation)), "")


def _is_fixed(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _tag(part: Part) -> str:
    key = _tag_key(type(part))
    return str(getattr(part, key)) if key else ""


def _holds_parts(value: Any) -> bool:
    held = tuple(value.values()) if isinstance(value, dict) else value
    return isinstance(held, tuple) and bool(held) and isinstance(held[0], Part)


def _usual(part: Part, key: str, otherwise: object) -> Any:
    """What would stand under `key` had the file said nothing; pydantic's mark where a file must say something."""
    if type(otherwise) is type(part):
        return getattr(otherwise, key)
    return _default(type(part), key)


@cache
def _default(kind: type[Part], key: str) -> Any:
    """What comes where a file says nothing; shared, for it is only compared."""
    return kind.model_fields[key].get_default(call_default_factory=True)


@cache
def _says(kind: type[Part], key: str) -> Says:
    """Everything declared about how a key is said, the nearest declaration first."""
    declared = kind.model_fields[key]
    marks = [mark for mark in (*declared.metadata, *_marks(declared.annotation)) if isinstance(mark, Says)]
    return Says(
        name=next((mark.name for mark in marks if mark.name), ""),
        unit=next((mark.unit for mark in marks if mark.unit), ""),
        choices=next((mark.choices for mark in marks if mark.choices), {}),
        nothing=next((mark.nothing for mark in marks if mark.nothing), ""),
        empty=next((mark.empty for mark in marks if mark.empty), ""),
        verbatim=any(mark.verbatim for mark in marks),
        column=any(mark.column for mark in marks),
    )


def _marks(annotation: Any) -> Iterator[Any]:
    """What stands inside an annotation, outermost first."""
    for inside in get_args(annotation):
        yield inside
        yield from _marks(inside)
