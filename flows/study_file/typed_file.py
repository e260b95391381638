"""From a YAML file to a typed value, or to one message that names every problem and its line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from causal.errors import StudyFileError
from flows.shown import shown_path
from flows.study_file.plain_words import path_words, problems_in, tags_in
from flows.study_file.plain_yaml import Document, Problem, plain_yaml
from flows.study_file.small_file import UnreadableFileError, small_text

T = TypeVar("T")
MOST_PROBLEMS = 50


def typed_file(
    path: Path,
    adapter: TypeAdapter[T],
    *,
    what: str,
    more_problems: Callable[[Document], Iterable[Problem]] | None = None,
) -> T:
    """Read the value written in the file at `path`.

    Parameters
    ----------
    path
        A small regular ``.yaml`` file.
    adapter
        What it must say. Nothing is converted: text is not a number, a number is not text.
    what
        ``"study"``, ``"site"`` or ``"instrument"``: begins the code of a refusal.
    more_problems
        Further rules over the plain values (names that must exist), judged together with the rest.

    Raises
    ------
    StudyFileError
        ``<what>.unreadable`` when the file may not be opened; ``<what>.invalid`` with every problem on its line.
    """
    try:
        text = small_text(path)
    except UnreadableFileError as error:
        raise StudyFileError(f"{what}.unreadable", f"{shown_path(path)}: {error}") from None
    read = judged(plain_yaml(text), adapter, more_problems)
    value, problems = read
    if problems or value is None:
        raise StudyFileError(f"{what}.invalid", _message(shown_path(path), problems))
    return value


def judged(
    document: Document, adapter: TypeAdapter[T], more_problems: Callable[[Document], Iterable[Problem]] | None = None
) -> tuple[T | None, list[Problem]]:
    """The typed value that `document` says, where it says one, and every problem of it; see `typed_file`."""
    problems = list(document.problems)
    value: T | None = None
    if document.value is not None or not problems:
        problems += _not_yet_named(more_problems(document) if more_problems is not None else (), problems)
        try:
            # JSON, because strict mode takes a JSON array for a tuple but refuses a Python list.
            value = adapter.validate_json(json.dumps(document.value, allow_nan=False))
        except ValidationError as error:
            problems += _not_yet_named(problems_in(error, document, *_vocabulary(adapter)), problems)
    return value, problems


def _not_yet_named(found: Iterable[Problem], known: list[Problem]) -> list[Problem]:
    """Keep those of `found` that do not speak of a value already refused, or of a part of it."""
    refused = [problem.where for problem in known if problem.where]
    return [problem for problem in found if not any(problem.where[: len(where)] == where for where in refused)]


@cache
def _vocabulary(adapter: TypeAdapter[Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """The JSON Schema of what a file may say, and the keys by which its blocks say which of several they are."""
    schema = adapter.json_schema()
    return schema, tags_in(schema)


def _message(name: str, problems: list[Problem]) -> str:
    problems = sorted(problems, key=lambda each: (each.place.line, each.place.column) if each.place else (0, 0))
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{name} cannot be used: {count}", *(_line(name, problem) for problem in problems[:MOST_PROBLEMS])]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"… and {len(problems) - MOST_PROBLEMS} more")
    return "\n".join(lines)


def _line(name: str, problem: Problem) -> str:
    place = f":{problem.place.line}:{problem.place.column}" if problem.place else ""
    words = path_words(problem.where)
    return f"{name}{place}: {words}: {problem.text}" if words else f"{name}{place}: {problem.text}"
