"""What is wrong with a value, and what was expected, in words an analyst uses.

pydantic finds the errors; its sentences speak of unions, models and tuples. Here each is said again from the JSON
Schema of the place where it stands: "got 0, expected an integer from 1 to 4".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from causal.protocol.base import COLUMN_PATTERN, DAY_PATTERN, NAME_PATTERN, STUDY_ID_PATTERN, PlacedError
from causal.protocol.definitions import CODE_PATTERN, SCORE_PATTERN, SOURCE_PATTERN, SPAN_PATTERN, WINDOW_PATTERN
from causal.spelling import nearest
from flows.shown import shown
from flows.study_file.plain_yaml import Document, Plain, Problem, Where

Schema = dict[str, Any]

MANY_KEYS = 3
"""From so many keys of another kind of file on, it is the kind that is wrong."""
_COMMA = "a comma begins a new key here: put a text with commas in quotes, a list in [ ]"
KEY = "[key]"
"""How pydantic says that a key itself, not what it holds, is wrong."""
PATTERNS: dict[str, str] = {
    NAME_PATTERN: "a lower-case word of letters, digits and underscores",
    COLUMN_PATTERN: "the name of a column: letters, digits, underscores, full stops",
    STUDY_ID_PATTERN: "a short name of 3 to 41 lower-case letters, digits, underscores and hyphens",
    f"^({DAY_PATTERN}|not registered)$": "a date written 2026-01-31, or: not registered",
    r"^[a-z][a-z0-9_]* -> [a-z][a-z0-9_]*$": (
        "an arrow between two names of lower-case letters, digits and underscores, written: cause -> effect"
    ),
    r"^E[0-9]{1,2}$": "E1, E2, …",
    r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?$": "the name of a data set, such as MatchIt/lalonde",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.(csv|parquet)$": (
        "a .csv or .parquet file below the study file's folder, without '..'"
    ),
    SOURCE_PATTERN: "a table, table.column, unit.column, person.column, a day, or a definition's name",
    SCORE_PATTERN: "a scoring key, with a full stop and a subscale where one is meant; or: outcome",
    WINDOW_PATTERN: "ever, or whole days up to 9999, such as: 90 days, or: 90 to 60 days",
    CODE_PATTERN: "one code in capital letters, such as F41 or F41.1; no range, no blanks",
    SPAN_PATTERN: "days, months of 30 days, or years of 365.25 days",
    r"^[A-Za-z0-9+/]{43}=$": "a public key: 44 characters of base64",
}
"""Every pattern of the vocabulary, in words."""

_MEMBER = re.compile(r"[A-Z\[-]|^(str|int|float|bool)$")
"""What pydantic calls members of a union without a tag; no key of the vocabulary is written so."""


def problems_in(error: ValidationError, document: Document, schema: Schema, tags: frozenset[str]) -> list[Problem]:
    """One problem for each thing pydantic found wrong in `document`, in the words of `schema` with `tags_in` it."""
    details = error.errors(include_url=False, include_input=False)
    if other := _of_another_kind(details, document, schema):
        return [other]
    details = _of_one_member(details, document, tags)
    found = [_problem(detail, document, schema, tags) for detail in details if not _follows(detail, document, tags)]
    # A misspelt key is one mistake, not an unknown key and a missing one.
    meant = {(*problem.where[:-1], near) for problem, near in found if near is not None}
    told = [problem for problem, _ in found if not (problem.where in meant and problem.text.startswith("this key"))]
    return _commas_once(told)


def _of_one_member(details: Sequence[ErrorDetails], document: Document, tags: frozenset[str]) -> list[ErrorDetails]:
    """What pydantic says of each member of a union without a tag, reduced to the member that was meant.

    That is, for a block, the one with the fewest keys missing or unknown; for anything else the union as a whole.
    """
    kept: list[ErrorDetails] = []
    unions: dict[tuple[int | str, ...], dict[str, list[ErrorDetails]]] = {}
    for detail in details:
        loc = detail["loc"]
        at = next((k for k in range(len(loc)) if _names_a_member(loc, k, document, tags)), None)
        if at is None:
            kept.append(detail)
            continue
        if loc[:at] not in unions:
            kept.append({**detail, "loc": loc[:at]})  # keeps its place in the order
        unions.setdefault(loc[:at], {}).setdefault(str(loc[at]), []).append({**detail, "loc": loc[:at] + loc[at + 1 :]})
    told: list[ErrorDetails] = []
    for detail in kept:
        members = unions.get(detail["loc"], {})
        value = _follow(detail["loc"], document.value, tags)[1]
        blocks = [found for name, found in members.items() if name[:1].isupper() or "(" in name]
        if not members:
            told.append(detail)
        elif isinstance(value, dict) and blocks:
            best = min(blocks, key=lambda found: _unlike(found, value))
            told += _of_one_member(best, document, tags)
        else:
            told.append({**detail, "type": "union", "ctx": {}})
    return told


def _names_a_member(loc: Sequence[int | str], k: int, document: Document, tags: frozenset[str]) -> bool:
    """Whether step `k` of a location is the name of a union's member, and no key that stands there."""
    step = loc[k]
    if not isinstance(step, str) or step == KEY or not _MEMBER.search(step):
        return False
    value = _follow(loc[:k], document.value, tags)[1]
    return not (isinstance(value, dict) and step in value)


def _unlike(found: Sequence[ErrorDetails], block: dict[str, Plain]) -> tuple[int, int]:
    """How many keys are missing or unknown where `block` is taken for a member, and how many of these are not near."""
    missing = [str(one["loc"][-1]) for one in found if one["type"] == "missing"]
    unknown = sum(one["type"] == "extra_forbidden" for one in found)
    return len(missing) + unknown, sum(not _is_near(name, block) for name in missing)


def _is_near(name: str, known: Iterable[str]) -> bool:
    return name in known or nearest(name, known) is not None


def _commas_once(problems: Sequence[Problem]) -> list[Problem]:
    """Of the pieces into which commas cut one text, the first."""
    cut = [problem for problem in problems if problem.text.endswith(_COMMA)]
    first = {problem.where[:-1]: problem for problem in reversed(cut)}
    return [problem for problem in problems if problem not in cut or first[problem.where[:-1]] is problem]


def _of_another_kind(details: Sequence[ErrorDetails], document: Document, schema: Schema) -> Problem | None:
    """One problem where most keys at the top are those of another kind of file than the one it says it is."""
    tag, there = schema.get("discriminator", {}).get("propertyName"), document.value
    if tag is None or not isinstance(there, dict):
        return None
    unknown = {key for d in details if d["type"] == "extra_forbidden" for key in there if d["loc"][1:] == (key,)}
    kinds = {
        kind: set(_resolved({"$ref": reference}, schema).get("properties", {}))
        for kind, reference in schema["discriminator"]["mapping"].items()
    }
    nearest_kind = max(kinds, key=lambda kind: len(unknown & kinds[kind]))
    if len(unknown & kinds[nearest_kind]) < MANY_KEYS:
        return None
    named = [key for key in there if key in unknown & kinds[nearest_kind]][:MANY_KEYS]
    text = f"got {got(there.get(tag), None)}, but {', '.join(named)} belong to another kind"
    text += f"; did you mean {nearest_kind!r}?"
    return Problem(place=document.places[(tag,)], where=(tag,), text=text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a sentence with the nearest known name, or not at all.

    >>> did_you_mean("calliper", ["caliper", "ratio"])
    "; did you mean 'caliper'?"
    """
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def path_words(where: Where) -> str:
    """Write a path as people read it; list positions count from 1.

    >>> path_words(("outcome", "windows", 0, "day"))
    'outcome.windows[1].day'
    """
    words = ""
    for step in where:
        words += f"[{step + 1}]" if isinstance(step, int) else f".{shown(step)}" if step else ""
    return words.removeprefix(".")


def expected(schema: Schema, root: Schema) -> str:
    """Say what `schema` accepts; `root` holds its definitions.

    >>> expected({"type": "integer", "minimum": 1, "maximum": 4}, {})
    'an integer from 1 to 4'
    """
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        rest = [part for part in schema["anyOf"] if part.get("type") != "null"]
        words = " or ".join(expected(part, root) for part in rest)
        return f"{words}, or null" if len(rest) < len(schema["anyOf"]) else words
    if "oneOf" in schema:
        tag = schema["discriminator"]["propertyName"]
        return f"a block whose {tag!r} is one of: {', '.join(schema['discriminator']['mapping'])}"
    if "const" in schema:
        return _plain(schema["const"])
    if "enum" in schema:
        return f"one of: {', '.join(_plain(value) for value in schema['enum'])}"
    match schema.get("type"):
        case "integer":
            return f"an integer{_range(schema)}"
        case "number":
            return f"a number{_range(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            least, most = schema.get("minItems", 0), schema.get("maxItems")
            size = f" of {least}" if least and least == most else f" of {least} or more" if least else ""
            return f"a list{size}" + f" (each: {expected(schema['items'], root)})"
        case "object" if "properties" in schema:
            return f"a block with the keys {', '.join(schema['properties'])}"
        case "object":
            return "a block of names and values"
        case _:
            return PATTERNS.get(schema.get("pattern", ""), f"text{_length(schema)}")


def got(value: Plain, written: str | None) -> str:
    """Say what stands in the file: `written` is its text where it has no quotes and is not text."""
    match value:
        case dict():
            return "a block of keys"
        case list():
            return "an empty list" if not value else f"a list of {len(value)}"
        case None:
            return "nothing" if not written else shown(written)
        case str():
            return repr(shown(value))
        case _:
            return shown(written if written is not None else _plain(value))


def tags_in(schema: Any) -> frozenset[str]:
    """Every key by which a block anywhere in the vocabulary says which of several it is."""
    if isinstance(schema, list):
        return frozenset().union(*map(tags_in, schema))
    if not isinstance(schema, dict):
        return frozenset()
    own = schema.get("discriminator")
    name = own.get("propertyName") if isinstance(own, dict) else None
    return frozenset([name] if isinstance(name, str) else []).union(*map(tags_in, schema.values()))


def _problem(
    detail: ErrorDetails, document: Document, root: Schema, tags: frozenset[str]
) -> tuple[Problem, str | None]:
    """Say the problem, and which key was probably meant when an unknown one was found."""
    where, value = _follow(detail["loc"], document.value, tags)
    node = _at(root, where, document.value)
    near: str | None = None
    match detail["type"]:
        case _ if detail["loc"][-1:] == (KEY,):
            where = where[:-1] if where[-1:] == (KEY,) else where
            place = document.keys[where]
            text = f"a key here is {PATTERNS.get(detail.get('ctx', {}).get('pattern', ''), 'another kind of name')}"
        case "extra_forbidden":
            place = document.keys[where]
            parent = _follow(where[:-1], document.value, tags)[1]
            text, near = _unknown_key(where, _at(root, where[:-1], document.value), parent)
            if value is None and document.unquoted.get(where) == "" and near is None:
                text = f"unknown key {shown(str(where[-1]))!r}; {_COMMA}"
        case "missing":
            place = document.places[where[:-1]]
            text = f"this key is missing; expected {expected(node, root)}"
        case "union_tag_not_found" if isinstance(value, dict):
            where = (*where, node["discriminator"]["propertyName"])
            place = document.places[where[:-1]]
            text = f"this key is missing; expected one of: {', '.join(node['discriminator']['mapping'])}"
            if meant := nearest(str(where[-1]), value):
                text += f"; is it spelt {shown(meant)!r}?"
        case "union_tag_invalid" if isinstance(value, dict):
            where = (*where, node["discriminator"]["propertyName"])
            place = document.places[where]
            chosen, kinds = value[str(where[-1])], list(node["discriminator"]["mapping"])
            text = f"got {got(chosen, document.unquoted.get(where))}, expected one of: {', '.join(kinds)}"
            text += did_you_mean(str(chosen), kinds)
        case "value_error":
            error = detail.get("ctx", {}).get("error")
            within = (*where, *error.where) if isinstance(error, PlacedError) else where
            where = within if within in document.places else where
            place = document.places[where]
            text = str(error or detail["msg"])
        case _:
            place = document.places[where]
            text = _not_as_expected(value, document.unquoted.get(where), node, root)
    return Problem(place=place, where=where, text=text), near


def _follows(detail: ErrorDetails, document: Document, tags: frozenset[str]) -> bool:
    """Whether pydantic calls a list too short only because it left out the items already found wrong."""
    if detail["type"] != "too_short":
        return False
    _, value = _follow(detail["loc"], document.value, tags)
    return isinstance(value, list) and len(value) >= detail["ctx"]["min_length"]


def _unknown_key(where: Where, parent: Schema, block: Plain) -> tuple[str, str | None]:
    key, allowed = str(where[-1]), list(parent.get("properties", {}))
    there = block if isinstance(block, dict) else {}
    # A key that is there already is not the one that was meant, unless no other is near.
    near = nearest(key, [name for name in allowed if name not in there]) or nearest(key, allowed)
    if near:
        return f"unknown key {shown(key)!r}; did you mean {near!r}?", near
    return f"unknown key {shown(key)!r}; the keys here are {', '.join(allowed)}", None


def _not_as_expected(value: Plain, written: str | None, node: Schema, root: Schema) -> str:
    text = f"got {got(value, written)}, expected {expected(node, root)}"
    kinds = {part.get("type") for part in node.get("anyOf", [node])}
    if kinds & {"integer", "number"} and isinstance(value, str) and _is_number(value):
        return f"{text}; remove the quotes"
    if kinds & {"integer", "number"} and isinstance(value, str) and _is_number(value.replace(",", ".", 1)):
        return f"{text}; write a decimal point"
    if "string" in kinds and written and written in node.get("enum", [written]):
        return f"{text}; quote it: '{shown(written)}'"
    if isinstance(value, str) and "enum" in node:
        return text + did_you_mean(value, map(str, node["enum"]))
    return text


def _follow(loc: Sequence[str | int], value: Plain, tags: frozenset[str]) -> tuple[Where, Plain]:
    """Strip from pydantic's location the names of the unions' members; with it, the value found there."""
    where: list[str | int] = []
    member_named = False
    for step in loc:
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            value, member_named = value[step], False
            where.append(step)
        elif isinstance(value, dict) and isinstance(step, str):
            if not member_named and step in [value.get(tag) for tag in tags]:
                member_named = True
                continue
            value, member_named = value.get(step), False
            where.append(step)
    return tuple(where), value


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def _at(root: Schema, where: Where, value: Plain) -> Schema:
    """Find the part of `root` that speaks of the place `where` in `value`."""
    node = _member(root, value, root)
    for step in where:
        if isinstance(step, int):
            node = node.get("items", {})
            value = value[step] if isinstance(value, list) else None
        else:
            named = [node.get("properties", {}).get(step), *node.get("patternProperties", {}).values()]
            node = next(filter(None, [*named, node.get("additionalProperties")]), {})
            value = value.get(step) if isinstance(value, dict) else None
        node = _member(node, value, root)
    return node


def _member(schema: Schema, value: Plain, root: Schema) -> Schema:
    """Choose the member of a union that `value` says it is; the union itself when it does not say."""
    schema = _resolved(schema, root)
    if isinstance(value, dict) and "oneOf" in schema:
        tag = value.get(schema["discriminator"]["propertyName"])
        reference = schema["discriminator"]["mapping"].get(tag) if isinstance(tag, str) else None
        return schema if reference is None else _resolved({"$ref": reference}, root)
    if isinstance(value, (dict, list)) and "anyOf" in schema:
        parts = [_resolved(part, root) for part in schema["anyOf"] if part.get("type") != "null"]
        if len(parts) == 1:
            return _member(parts[0], value, root)
        fitting = [part for part in parts if ("properties" if isinstance(value, dict) else "items") in part]
        if isinstance(value, dict) and len(fitting) > 1:
            fitting.sort(key=lambda part: -sum(_is_near(key, part["properties"]) for key in value))
        return fitting[0] if fitting else schema
    return schema


def _range(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    parts = [
        *([f"of at least {low:g}"] if low is not None else []),
        *([f"above {above:g}"] if above is not None else []),
        *([f"at most {high:g}"] if high is not None else []),
        *([f"below {below:g}"] if below is not None else []),
    ]
    return f" {' and '.join(parts)}" if parts else ""


def _length(schema: Schema) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    return f" of {least} to {most} characters" if most is not None else ""


def _plain(value: object) -> str:
    return (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
