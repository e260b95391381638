"""A definition in plain words, for people who read no YAML."""

from __future__ import annotations

from causal.cohort.language.sources import Age, Coded, Day, Named, Rows, Scored, Standing
from causal.cohort.language.types import Typed
from causal.protocol.definitions import Between, Definition, window_days

TAKES = {
    "exists": "whether there is any",
    "count": "number of",
    "count_distinct": "number of different values of",
    "first": "first",
    "last": "latest",
    "value": "the one",
    "mean": "mean of",
    "median": "median of",
    "minimum": "lowest",
    "maximum": "highest",
    "sum": "sum of",
    "sd": "standard deviation of",
    "time_since": "time since the latest",
}
"""What is made of rows, as a sentence begins with it."""
WHOSE = {
    ("person",): "of the person",
    ("clinician",): "of the clinician",
    ("person", "clinician"): "of the person with the clinician",
    ("clinician", "person"): "of the person with the clinician",
}


def said(one: Typed) -> str:
    """What a definition is, in one clause without a full stop."""
    definition = one.definition
    clause = _taken(one)
    if definition.is_ is not None:
        clause += f", being {_listed(definition.is_)}"
    if definition.at_least is not None:
        clause += f", at least {definition.at_least:g}"
    if definition.at_most is not None:
        clause += f", at most {definition.at_most:g}"
    if definition.minimum_rows > 1:
        clause += f", not recorded with fewer than {definition.minimum_rows}"
    return clause


def _taken(one: Typed) -> str:
    definition = one.definition
    match one.source:
        case None:
            return _built(definition)
        case Named():
            return _plain(one.source.name)
        case Age():
            return "age at time zero: calendar year less year of birth, less one"
        case Day():
            return f"time since {one.source.day.isoformat()}"
        case Standing():
            return one.source.column.meaning
        case Scored():
            part = f", {_plain(one.source.subscale)}" if one.source.subscale else ""
            rater = f" by the {one.source.rater}" if one.source.rater else ""
            what = f"{one.source.instrument.upper().replace('_', '-')}{part} score{rater}"
        case Coded():
            what = f"diagnosis in the list {_plain(one.source.codes)}"
        case Rows():
            column = one.source.column
            what = one.source.table.grain.removeprefix("one ")
            what = f"{column.meaning} ({what})" if column is not None else what
    return (
        f"{TAKES[definition.take or 'exists']} {what}{_rows(definition)}, {WHOSE[definition.same]}, {_when(definition)}"
    )


def _built(definition: Definition) -> str:
    if definition.not_ is not None:
        return f"not: {_plain(definition.not_)}"
    if definition.difference is not None:
        return f"{_plain(definition.difference[0])} less {_plain(definition.difference[1])}"
    for names, word in (
        (definition.minimum_of, "lowest of"),
        (definition.maximum_of, "highest of"),
        (definition.mean_of, "mean of"),
    ):
        if names:
            return f"{word} {'; '.join(map(_plain, names))}"
    raise AssertionError("a definition is of something")


def _rows(definition: Definition) -> str:
    kept = [f"{_plain(name)} {_listed(wanted)}" for name, wanted in definition.where.items()]
    left = [f"not {_plain(name)} {_listed(wanted)}" for name, wanted in definition.except_where.items()]
    return f" ({'; '.join((*kept, *left))})" if kept or left else ""


def _when(definition: Definition) -> str:
    if definition.at is not None:
        return "open at time zero"
    days = window_days(definition.before or "ever")
    if days is None:
        return "at any time before time zero"
    far, near = days
    return f"in the {far} days before time zero" + (f", but not in the last {near}" if near is not None else "")


def _listed(wanted: object) -> str:
    if isinstance(wanted, Between):
        least = None if wanted.at_least is None else f"at least {wanted.at_least:g}"
        most = None if wanted.at_most is None else f"at most {wanted.at_most:g}"
        return " and ".join(each for each in (least, most) if each)
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    return " or ".join("yes" if each is True else "no" if each is False else _plain(str(each)) for each in several)


def _plain(name: str) -> str:
    return name.replace("_", " ")
