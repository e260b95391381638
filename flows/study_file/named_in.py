"""Which value of a study file a sentence about it names: "confounders named twice: severity" is about `severity`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flows.study_file.plain_yaml import Document, Plain, Where

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_QUOTED = re.compile(r"'([^']+)'")
_ARROW = " -> "


def named_in(sentence: str, part: Where, document: Document) -> Where | None:
    """The path of the value below `part` that `sentence` names; None where it names none.

    In this order: an arrow that stands in the sentence, a text that is what the sentence quotes, one that holds it, a
    name that is one of its words, an arrow from or to one of its words. Of several names the rarest below `part`
    counts, then the one that the sentence says first; of several places the last, which is the one written too often.
    """
    texts = dict(_texts(_below(document.value, part), part))
    words = _NAME.findall(sentence)
    quoted = _QUOTED.findall(sentence)
    arrows = [where for where, text in texts.items() if _ARROW in text and _stands_in(sentence, text)]
    if arrows:
        return arrows[-1]
    for phrase in quoted:
        if exact := [where for where, text in texts.items() if text == phrase]:
            return exact[-1]
    holding = [where for where, text in texts.items() if any(phrase in text for phrase in quoted)]
    if holding:
        return holding[-1]
    by_name: dict[str, list[Where]] = {}
    for where, text in texts.items():
        if text in words:
            by_name.setdefault(text, []).append(where)
    if by_name:
        return min(by_name.items(), key=lambda named: (len(named[1]), words.index(named[0])))[1][-1]
    ends = [where for where, text in texts.items() if _ARROW in text and set(text.split(_ARROW)) & set(words)]
    return ends[0] if ends else None


def _stands_in(sentence: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", sentence) is not None


def _below(value: Plain, where: Where) -> Plain:
    for step in where:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _texts(value: Plain, where: Where) -> Iterator[tuple[Where, str]]:
    """Every text in `value`, with its path."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*where, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _texts(item, (*where, position))
