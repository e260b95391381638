"""What every part of a protocol has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
STUDY_ID_PATTERN = r"^[a-z][a-z0-9_-]{2,40}$"
COLUMN_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$"
DAY_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # annotations are hashed, dictionaries cannot be
class Says:
    """How a key is said to a board, where the first sentence under it would not be plain; part of its annotation.

    `name` is what it is called, `unit` that of its number, `choices` what its values mean, `nothing` what null means
    and `empty` an empty list. A `verbatim` text stays as it is; a `column` does where no label is known of it.
    """

    name: str = ""
    unit: str = ""
    choices: Mapping[str | int | float, str] = field(default_factory=dict)
    nothing: str = ""
    empty: str = ""
    verbatim: bool = False
    column: bool = False


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A plain lower-case word: letters, digits, underscore."""

ColumnName = Annotated[str, StringConstraints(pattern=COLUMN_PATTERN), Says(column=True)]
"""The name of a column in somebody else's table: letters of either case, digits, underscore, full stop."""

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2000), Says(verbatim=True)]
"""Text for people. It is printed literally, never interpreted."""

Days = Annotated[int, Field(ge=0, le=3650), Says(unit="days")]
"""Whole days."""


class Part(BaseModel):
    """A frozen part of a protocol: unknown keys are refused, nothing is converted silently, no number is infinite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True, allow_inf_nan=False
    )


WHOSE_EFFECT = Says(
    name="Whose effect",
    choices={
        "ATT": "that of the treated (ATT)",
        "ATC": "that of the untreated (ATC)",
        "ATE": "that of everyone (ATE)",
        "ATO": "that of those who could have gone either way (ATO)",
        "ATM": "that of those a one-to-one match keeps (ATM)",
    },
)
SPREAD = Says(
    name="Caliper: in standard deviations of",
    choices={"pooled_within": "both groups, pooled within group", "whole": "everyone together"},
    nothing="none: in the fact's own unit",
)


class PlacedError(ValueError):
    """Something wrong at a place inside the part that is judged: keys, and list positions from 0, that lead there."""

    def __init__(self, text: str, *where: str | int) -> None:
        self.where = where
        super().__init__(text)


def is_day(text: str) -> bool:
    """Whether `text` is a day of the calendar, written YYYY-MM-DD.

    >>> is_day("2024-02-29"), is_day("2023-02-29"), is_day("20240229")
    (True, False, False)
    """
    try:
        return re.fullmatch(DAY_PATTERN, text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def is_name(text: str) -> bool:
    """Whether `text` can name a covariate, a level or an actor.

    >>> is_name("alliance_lag1"), is_name("Alliance lag 1")
    (True, False)
    """
    return re.fullmatch(NAME_PATTERN, text) is not None
