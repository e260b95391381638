"""What every part of a protocol has in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
STUDY_ID_PATTERN = r"^[a-z][a-z0-9_-]{2,40}$"
COLUMN_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$"

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


def is_name(text: str) -> bool:
    """Whether `text` can name a covariate, a level or an actor.

    >>> is_name("alliance_lag1"), is_name("Alliance lag 1")
    (True, False)
    """
    return re.fullmatch(NAME_PATTERN, text) is not None
