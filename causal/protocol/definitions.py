"""The language of definitions: whatever a study takes from the records before time zero, said in its file.

A definition says what is taken, of which rows, and over which time. Windows are words, not signs: ``before: 90 to 60
days`` are the days from ninety up to sixty before time zero, and time zero itself is never among them. What is known
when is no choice of a study: a column that becomes known later (`causal.tables.Column.known_at`) reads as not recorded.

`causal.cohort.language` gives definitions their types, names what is wrong with them and compiles them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from causal.protocol.base import DAY_PATTERN, Name, Part, PlacedError, Says, Sentence

Take = Literal[
    "exists",
    "count",
    "count_distinct",
    "first",
    "last",
    "value",
    "mean",
    "median",
    "minimum",
    "maximum",
    "sum",
    "sd",
    "time_since",
]
COUNTED = ("exists", "count", "count_distinct", "sum")
"""What is zero, and not unknown, where no row is."""
LEVELS = ("person", "clinician")
Level = Literal["person", "clinician"]
SOURCE_PATTERN = r"^([a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?|" + DAY_PATTERN + r")$"
SCORE_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$"
WINDOW_PATTERN = r"^(ever|[0-9]{1,4}( to [0-9]{1,4})? days)$"
CODE_PATTERN = r"^[A-Z0-9][A-Z0-9.]{0,9}$"
SPAN_PATTERN = r"^(days|(months|years) of [0-9]{1,3}(\.[0-9]{1,2})? days)$"
Source = Annotated[str, StringConstraints(pattern=SOURCE_PATTERN)]
Window = Annotated[str, StringConstraints(pattern=WINDOW_PATTERN)]
Span = Annotated[str, StringConstraints(pattern=SPAN_PATTERN)]
Scalar = str | int | float | bool
OUTCOME = "outcome"
"""In `score`, the questionnaire, version and rater of the study's own outcome."""


class Score(Part):
    """Questionnaires with a scoring key, by what the key makes of them."""

    score: Annotated[str, StringConstraints(pattern=SCORE_PATTERN)]
    """Key in `configs/instruments`, or `outcome`, the study's own instrument by its own rater; either with a full stop
    and a subscale where one is meant: `outcome.bond`."""
    rater: Annotated[Literal["patient", "clinician", "observer", "caregiver"] | None, Says(nothing="the key's own")] = (
        None
    )
    """Who answered; without it, the rater the key is for."""


class Codes(Part):
    """Diagnoses whose code is in a list, or below one that is."""

    codes: Name
    """A list in `configs/codelists`, or under the study's own `codelists`. A recorded code counts when it begins with
    one of the list, dots, blanks and case aside."""


class Between(Part):
    """Numbers within limits, both included."""

    at_least: float | None = None
    """The least."""
    at_most: float | None = None
    """The most."""

    @model_validator(mode="after")
    def _hold_something(self) -> Self:
        """Limits between which nothing lies are a slip."""
        _refuse_crossed(self.at_least, self.at_most)
        return self


def _refuse_crossed(least: float | None, most: float | None) -> None:
    if least is not None and most is not None and least > most:
        raise PlacedError(f"nothing is at least {least:g} and at most {most:g}", "at_least")


Condition = Scalar | Annotated[tuple[Scalar, ...], Field(min_length=1)] | Between


class Definition(Part):
    """One thing taken from the records before time zero."""

    model_config = ConfigDict(populate_by_name=True)

    take: Annotated[Take | None, Says(nothing="the definition named by `of`, as it is")] = None
    """What is made of the rows; without it `of` names another definition."""
    of: Annotated[Source | Score | Codes | None, Says(nothing="other definitions", verbatim=True)] = None
    """A table, `table.column`, a score, a code list; `unit.column`, `person.column`, `clinician.column` or
    `clinic.column` for a standing fact, `person.age`; a day, for `time_since`; or another definition's name."""
    same: tuple[Level, ...] = Field(default=("person",), min_length=1)
    """Whose rows: those of the occasion's person, of its clinician, or of the two together."""
    where: Annotated[dict[Name, Condition], Says(empty="every row", verbatim=True)] = Field(default_factory=dict)
    """Rows that count, column by column: a value, several, or limits."""
    except_where: Annotated[dict[Name, Condition], Says(empty="no row", verbatim=True)] = Field(default_factory=dict)
    """Rows that do not count although `where` holds."""
    before: Annotated[Window | None, Says(nothing="no window")] = None
    """`ever`, or whole days up to 9999: `90 days`, or `90 to 60 days` before time zero (two years are `730 days`); a
    row on the far day counts, one at time zero never."""
    at: Annotated[Literal["time_zero"] | None, Says(nothing="no one moment")] = None
    """Spans that lie open at time zero."""
    ties: Literal["highest", "lowest"] = "highest"
    """Which of several rows at one moment `first` and `last` take."""
    if_several: Annotated[Literal["not_recorded"] | None, Says(nothing="there is one row")] = None
    """What several rows mean where one `value` is asked for."""
    if_none: Annotated[
        Literal["zero", "not_recorded", "refuse"] | None,
        Says(nothing="zero for exists, count, count_distinct and sum, else not recorded"),
    ] = None
    """What no row means: zero (so for exists, count, count_distinct and sum where nothing is said), that it was not
    recorded (so for all others), or that the study does not go on without it."""
    minimum_rows: int = Field(default=1, ge=1)
    """With fewer rows than this it was not recorded; for scores and values, not for counts."""
    is_: Annotated[Scalar | tuple[Scalar, ...] | None, Says(nothing="the value itself"), Field(alias="is")] = None
    """Make it yes or no: whether it is this value, or one of these."""
    at_least: Annotated[float | None, Says(nothing="no such limit")] = None
    """Make it yes or no: whether it is at least this."""
    at_most: Annotated[float | None, Says(nothing="no such limit")] = None
    """Make it yes or no: whether it is at most this."""
    not_: Annotated[Name | None, Says(nothing="nothing"), Field(alias="not")] = None
    """The opposite of another definition that is yes or no."""
    difference: Annotated[
        Annotated[tuple[Name, ...], Field(min_length=2, max_length=2)] | None, Says(nothing="none")
    ] = None
    """The first of two definitions less the second."""
    minimum_of: Annotated[tuple[Name, ...], Says(empty="none")] = ()
    """The least of several definitions, of those recorded."""
    maximum_of: Annotated[tuple[Name, ...], Says(empty="none")] = ()
    """The greatest of several definitions, of those recorded."""
    mean_of: Annotated[tuple[Name, ...], Says(empty="none")] = ()
    """The mean of several definitions, where all are recorded."""
    scale: Span = "days"
    """What `time_since` counts in."""
    label: Annotated[Sentence | None, Says(nothing="its name")] = None
    """What pages call it."""
    meaning: Annotated[Sentence | None, Says(nothing="what it says itself")] = None
    """What it is, in words a board reads."""
    unit: Annotated[Sentence | None, Says(nothing="what it is counted in")] = None
    """Points, contacts, years."""
    levels: Annotated[dict[str, Sentence], Says(empty="its values")] = Field(default_factory=dict)
    """What pages call each value of a category."""
    reference: Annotated[str | None, Says(nothing="its last value", verbatim=True)] = None
    """The value of a category that models leave out."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        """A definition says one thing."""
        built = {
            "not": self.not_,
            "difference": self.difference,
            "minimum_of": self.minimum_of,
            "maximum_of": self.maximum_of,
            "mean_of": self.mean_of,
        }
        ways = [key for key, value in built.items() if value]
        if self.of is None and len(ways) != 1:
            raise ValueError("a definition has `of`, or one of not, difference, minimum_of, maximum_of and mean_of")
        if self.of is not None and ways:
            raise PlacedError(f"a definition has `of` or `{ways[0]}`, not both", ways[0])
        if self.of is None and self.take is not None:
            raise PlacedError("nothing is taken of other definitions: leave `take` out, or say `of`", "take")
        if self.before is not None and self.at is not None:
            raise PlacedError("a definition has a window (`before`) or a moment (`at`), not both", "at")
        if self.before and (days := window_days(self.before)) and days[1] is not None and days[0] <= days[1]:
            raise PlacedError(
                "the window is empty or ends before it begins: write the farther day first, 90 to 60 days", "before"
            )
        _refuse_crossed(self.at_least, self.at_most)
        if self.scale != "days" and self.take != "time_since":
            raise PlacedError("only time_since counts in a scale", "scale")
        if self.ties != "highest" and self.take not in ("first", "last"):
            raise PlacedError("ties are told apart for first and last only", "ties")
        if self.minimum_rows > 1 and self.take in COUNTED:
            raise PlacedError(
                f"`{self.take}` counts rows itself: set at_least, or leave minimum_rows out", "minimum_rows"
            )
        if len(set(self.same)) < len(self.same):
            raise PlacedError("the same level stands twice", "same")
        return self


def window_days(window: str) -> tuple[int, int | None] | None:
    """A window's far and near end, in days before time zero; None where it is the whole record.

    >>> window_days("90 to 60 days"), window_days("30 days"), window_days("ever")
    ((90, 60), (30, None), None)
    """
    found = re.findall(r"[0-9]+", window)
    if not found:
        return None
    return int(found[0]), int(found[1]) if len(found) > 1 else None


def scale_days(scale: str) -> float:
    """How many days one of what `time_since` counts in has.

    >>> scale_days("months of 30 days"), scale_days("days")
    (30.0, 1.0)
    """
    found = re.search(r"[0-9.]+", scale)
    return float(found[0]) if found else 1.0


class CodeList(Part):
    """Clinical codes that mean one thing, with where they come from."""

    codes: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=CODE_PATTERN)], ...],
        Says(name="codes, with every code that begins with one of them", verbatim=True),
    ] = Field(min_length=1)
    """Codes, in capital letters; every code below one of them belongs to it."""
    source: Sentence
    """System, version and source."""
