"""Scoring keys: numbers of items, never their wording."""

from __future__ import annotations

import datetime
import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from causal.protocol.base import Name, Part, Says, Sentence

ItemNumber = Annotated[int, Field(ge=1, le=36)]
Loinc = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}-[0-9]$")]


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
    url: Sentence | None = None
    """Where permission is asked for."""


class Verified(Part):
    """How far the key has been checked against its source."""

    status: Annotated[
        Literal["primary_source", "secondary_source", "recall"],
        Says(
            name="How far the key was checked",
            choices={
                "primary_source": "read in the authors' own publication",
                "secondary_source": "read in somebody else's publication",
                "recall": "written from memory",
            },
        ),
    ]
    """Read in the authors' own publication, in somebody else's, or written from memory."""
    source: Sentence
    """Where it was read."""
    by: Annotated[Sentence | None, Says(nothing="nobody is named")] = None
    """Who compared it with the source."""
    checked_on: Annotated[datetime.date | None, Says(name="When it was compared", nothing="not said")] = None
    """When."""


class Namesake(Part):
    """Another questionnaire that goes by the same name in health records, and what its answers look like."""

    name: Sentence
    """What it is."""
    low: int
    """Its lowest response."""
    high: int
    """Its highest response, below this instrument's."""


class Instrument(Part):
    """One instrument's scoring key: range, missing codes, reversed items, subscales, how many must be answered."""

    id: Annotated[Name, Says(name="Scoring key", verbatim=True)]
    """Short name, the same as the file's."""
    version: Name
    """Which form: the patient's, the therapist's."""
    rater: Annotated[
        Literal["patient", "clinician", "observer", "caregiver"] | None, Says(nothing="not said, so not judged")
    ] = None
    """Who answers this form; forms answered by somebody else are reported. Not judged where it is not said."""
    recall_period: Annotated[Sentence | None, Says(nothing="not said")] = None
    """The time the questions ask about."""
    loinc: Annotated[
        tuple[Loinc, ...] | None,
        Says(name="LOINC codes it may carry on record", nothing="not said, so not judged", empty="it has none"),
    ] = None
    """LOINC codes a record of it may carry; a record with any other code is another questionnaire. An empty list says
    that it has none; nothing is judged where the list is left out."""
    namesake: Namesake | None = None
    """Another questionnaire it is taken for."""
    n_items: int = Field(ge=1, le=36)
    """Number of items on the form."""
    low: int
    """Lowest response."""
    high: int
    """Highest response."""
    reverse: Annotated[tuple[ItemNumber, ...], Says(name="Items scored backwards")] = ()
    """Items scored backwards: response r becomes low + high - r."""
    missing_codes: tuple[int, ...] = ()
    """Responses that mean "no answer"; mapped before anything is reversed."""
    subscales: Annotated[dict[Name, Subscale], Says(name="Subscales")] = Field(default_factory=dict)
    """Subscales by name."""
    minimum_answered: Annotated[int, Says(name="Fewest items answered for a score")] = Field(ge=1)
    """Fewer answered items than this, and the total is missing; where there is no total, every subscale is."""
    total: Annotated[
        Literal["mean", "sum", "none"],
        Says(
            name="The total",
            choices={
                "mean": "on the scale of one item (mean)",
                "sum": "on the scale of all items together (sum)",
                "none": "none: each subscale is a mean of its items",
            },
        ),
    ]
    """Whether the total is on the scale of one item, or of all items together; or that the subscales, each a mean of
    its items, have no total."""
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
        named = [("reverse", self.reverse), *((name, part.items) for name, part in self.subscales.items())]
        twice = sorted(name for name, items in named if len(set(items)) < len(items))
        if twice:
            raise ValueError(f"an item is named twice in {twice}")
        if self.minimum_answered > self.n_items:
            raise ValueError(f"minimum_answered is {self.minimum_answered}, but the form has {self.n_items} items")
        short = sorted(name for name, part in self.subscales.items() if part.minimum_answered > len(part.items))
        if short:
            raise ValueError(f"minimum_answered exceeds the number of items in subscales {short}")
        codes = sorted(code for code in self.missing_codes if self.low <= code <= self.high)
        if codes:
            raise ValueError(f"missing_codes {codes} are also responses from {self.low} to {self.high}")
        if self.total == "none" and not self.subscales:
            raise ValueError("total is none and there are no subscales, so nothing would be scored")
        if self.namesake is not None and not self.namesake.low < self.namesake.high < self.high:
            raise ValueError(f"the namesake's highest response must be below {self.high} to tell the two apart")
        return self

    @property
    def scales(self) -> dict[str, tuple[int, ...]]:
        """Item numbers of what is scored as one thing: the whole form, or its subscales where it has no total."""
        if self.total == "none":
            return {name: part.items for name, part in self.subscales.items()}
        return {"total": tuple(range(1, self.n_items + 1))}

    @property
    def digest(self) -> str:
        """SHA-256 of everything in the key that decides a score, for a report to print."""
        key = self.model_dump(mode="json", exclude={"licence", "verified", "recall_period", "loinc", "namesake"})
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    def score_range(self, n_items: int) -> tuple[int, int]:
        """Lowest and highest possible score of a scale with `n_items` items."""
        times = n_items if self.total == "sum" else 1
        return self.low * times, self.high * times
