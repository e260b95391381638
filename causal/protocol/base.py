"""What every part of a protocol has in common."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
STUDY_ID_PATTERN = r"^[a-z][a-z0-9_-]{2,40}$"
COLUMN_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$"
DAY_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A plain lower-case word: letters, digits, underscore."""

ColumnName = Annotated[str, StringConstraints(pattern=COLUMN_PATTERN)]
"""The name of a column in somebody else's table: letters of either case, digits, underscore, full stop."""

Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
"""Text for people. It is printed literally, never interpreted."""

Days = Annotated[int, Field(ge=0, le=3650)]
"""Whole days."""


class Part(BaseModel):
    """A frozen part of a protocol: unknown keys are refused, nothing is converted silently, no number is infinite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True, allow_inf_nan=False
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
