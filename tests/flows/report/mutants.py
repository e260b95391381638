"""Every block of the vocabulary filled in, and every study that differs from another in one decision."""

from __future__ import annotations

import datetime
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from causal.protocol.base import Part
from causal.protocol.definitions import Definition

MADE_UP: dict[Any, tuple[Any, Any]] = {
    bool: (True, False),
    int: (7, 8),
    float: (0.31, 0.32),
    str: ("some_name", "other_name"),
    datetime.date: (datetime.date(2020, 1, 2), datetime.date(2021, 1, 2)),
}
SENSIBLE = {"some_name": Definition(take="count", of="encounters", before="ever")}
ARROWS = ("one_cause -> one_effect", "other_cause -> one_effect")


def members(annotation: Any) -> list[Any]:
    """What a value may be, null left out."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for each in get_args(annotation) for one in members(each)]
    return [] if annotation is type(None) else [annotation]


def made(annotation: Any) -> Any:
    """A value of a type: every list holds each kind of its blocks, and nothing is null."""
    kinds = members(annotation)
    kind, origin = kinds[0], get_origin(kinds[0])
    if origin is Literal:
        return get_args(kind)[0]
    if origin is tuple:
        return tuple(made(each) for each in members(get_args(kind)[0]))
    if origin is dict:
        return {made(str): made(get_args(kind)[1])}
    if isinstance(kind, type) and issubclass(kind, Part):
        return filled(kind)
    return MADE_UP[kind][0]


def filled(kind: type[Part]) -> Any:
    """A block with every key filled in; not checked, for only its shape matters."""
    values = {key: made(field.annotation) for key, field in kind.model_fields.items()}
    made_to_hold = {"edges": ARROWS, "definitions": SENSIBLE}
    return kind.model_construct(**values | {key: value for key, value in made_to_hold.items() if key in values})


def mutants(part: Part, under: str = "") -> Iterator[tuple[str, Any]]:
    """The key of every decision in `part`, and `part` with that decision another; all the others it might be."""
    for key, field in type(part).model_fields.items():
        path = f"{under}.{key}".lstrip(".")
        for where, other in _others(getattr(part, key), field.annotation, path):
            yield where, part.model_copy(update={key: other})


def blocks(kind: type[Part]) -> set[type[Part]]:
    """A kind of block, and every kind it can hold."""
    found: set[type[Part]] = set()
    waiting: list[Any] = [kind]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, Part):
            if one in found:
                continue
            found.add(one)
            waiting += [field.annotation for field in one.model_fields.values()]
        else:
            waiting += get_args(one)
    return found


def _others(value: Any, annotation: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Other values of one key, and of what it holds."""
    if value is None:
        yield path, made(annotation)
        return
    if type(None) in get_args(annotation):
        yield path, None
    kinds = members(annotation)
    if isinstance(value, Part):
        yield from mutants(value, path)
        others = [
            kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Part) and kind is not type(value)
        ]
        yield from ((path, filled(kind)) for kind in others[:1])
    elif isinstance(value, (dict, tuple)):
        yield from _other_collections(value, next(kind for kind in kinds if get_origin(kind) is type(value)), path)
    elif get_origin(kinds[0]) is Literal:
        yield from ((path, option) for option in get_args(kinds[0]) if option != value)
    elif " -> " in str(value):
        yield path, "other_cause -> other_effect"
    else:
        yield path, next(one for one in MADE_UP[type(value)] if one != value)


def _other_collections(value: Any, kind: Any, path: str) -> Iterator[tuple[str, Any]]:
    """One more, one fewer, and each of them another."""
    if isinstance(value, dict):
        yield path, {} if value else made(kind)
        for name, one in value.items():
            for where, other in _others(one, get_args(kind)[1], f"{path}[{name}]"):
                yield where, {**value, name: other}
        return
    yield path, (*value, *(ARROWS[1:] if "edges" in path else made(kind)[:1]))
    if value:
        yield path, value[1:]
    for place, one in enumerate(value):
        for where, other in _others(one, get_args(kind)[0], f"{path}[{place + 1}]"):
            yield where, (*value[:place], other, *value[place + 1 :])
