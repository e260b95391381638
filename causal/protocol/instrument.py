"""Scoring keys: numbers of items, never their wording."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from causal.protocol.base import Name, Part, Sentence

ItemNumber = Annotated[int, Field(ge=1, le=36)]


class Subscale(Part):
    """Item numbers of one subscale, and how many of them must be answered."""

    items: tuple[ItemNumber, ...] = Field(min_length=1)
    """Numbers of its items, counted from 1."""
    minimum_answered: int = Field(ge=1)
    """Fewer answered items than this, and the subscale is missing."""


class Licence(Part):
    """Who holds the rights."""

    holder: Sentence
    """The holder of the rights in the wording."""
    permission_required: bool
    """Whether a site must ask before using the instrument."""


class Verified(Part):
    """How far the key has been checked against its source."""

    status: Literal["primary_source", "secondary_source", "recall"]
    """Read in the authors' own publication, in somebody else's, or written from memory."""
    source: Sentence
    """Where it was read."""


class Instrument(Part):
    """One instrument's scoring key: range, missing codes, reversed items, subscales, how many must be answered."""

    id: Name
    """Short name, the same as the file's."""
    version: Name
    """Which form: the patient's, the therapist's."""
    n_items: int = Field(ge=1, le=36)
    """Number of items on the form."""
    low: int
    """Lowest response."""
    high: int
    """Highest response."""
    reverse: tuple[ItemNumber, ...] = ()
    """Items scored backwards: response r becomes low + high - r."""
    missing_codes: tuple[int, ...] = ()
    """Responses that mean "no answer"; mapped before anything is reversed."""
    subscales: dict[Name, Subscale] = Field(default_factory=dict)
    """Subscales by name."""
    minimum_answered: int = Field(ge=1)
    """Fewer answered items than this, and the total is missing."""
    total: Literal["mean", "sum"]
    """Whether the total is on the scale of one item, or of all items together."""
    licence: Licence
    """Who holds the rights."""
    verified: Verified
    """How far this key can be trusted."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Refuse a key that no form can have."""
        if self.low >= self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; low must be below high")
        numbers = {*self.reverse, *(item for subscale in self.subscales.values() for item in subscale.items)}
        beyond = sorted(number for number in numbers if number > self.n_items)
        if beyond:
            raise ValueError(f"items {beyond} are named, but the form has {self.n_items}")
        if self.minimum_answered > self.n_items:
            raise ValueError(f"minimum_answered is {self.minimum_answered}, but the form has {self.n_items} items")
        short = sorted(name for name, part in self.subscales.items() if part.minimum_answered > len(part.items))
        if short:
            raise ValueError(f"minimum_answered exceeds the number of items in subscales {short}")
        codes = sorted(code for code in self.missing_codes if self.low <= code <= self.high)
        if codes:
            raise ValueError(f"missing_codes {codes} are also responses from {self.low} to {self.high}")
        return self
