"""Scoring keys: numbers of items, never their wording."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Name, Part, Sentence


class Subscale(Part):
    """Item numbers of one subscale, and how many of them must be answered."""

    items: tuple[Annotated[int, Field(ge=1, le=36)], ...] = Field(min_length=1)
    minimum_answered: int = Field(ge=1)


class Licence(Part):
    """Who holds the rights."""

    holder: Sentence
    permission_required: bool


class Verified(Part):
    """How far the key has been checked against its source."""

    status: Literal["primary_source", "secondary_source", "recall"]
    source: Sentence


class Instrument(Part):
    """One instrument's scoring key (science: range check, missing codes, reversal, item-count rule, mean of answered)."""

    id: Name
    version: Name
    n_items: int = Field(ge=1, le=36)
    low: int
    high: int
    reverse: tuple[int, ...] = ()
    missing_codes: tuple[int, ...] = ()
    """Responses that mean "no answer"; mapped before anything is reversed."""
    subscales: dict[Name, Subscale] = {}
    minimum_answered: int = Field(ge=1)
    total: Literal["mean", "sum"]
    licence: Licence
    verified: Verified
