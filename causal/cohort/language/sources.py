"""What a definition is taken of: rows, forms, codes, a standing fact, a day, or another definition."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from causal.protocol.base import is_day
from causal.protocol.definitions import OUTCOME, Codes, Definition, Score
from causal.protocol.outcome import Rating
from causal.spelling import nearest
from causal.tables import CLINICIANS, CLINICS, PATIENTS, REGIMES, TABLES, THREAT_ASSESSMENTS, Column, Kind, Table

DATES = (Kind.DATE, Kind.TIMESTAMP)


class DefinitionError(ValueError):
    """What is wrong with a definition, and the key of it where it is."""

    def __init__(self, text: str, *where: str) -> None:
        self.where = where
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A fact that stands beside the occasion: of it, its person, its clinician or its clinic."""

    table: Table
    column: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """The person's age at time zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the calendar."""

    day: datetime.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a table with a date; `column` is what is taken of them, None where they themselves are."""

    table: Table
    column: Column | None
    dated: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Scores of one questionnaire by one rater; `rater` is None for the one the scoring key is for."""

    instrument: str
    subscale: str | None
    rater: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """Diagnoses with a code of a list."""

    codes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Another definition."""

    name: str


Source = Standing | Age | Day | Rows | Scored | Coded | Named

REGIME = Column(name="regime", kind=Kind.CATEGORY, meaning="legal regime in force at the place and day", values=REGIMES)
"""What an occasion is given beside its own columns (`causal.cohort.occasions.assessments`)."""
UNIT = Table(
    name=THREAT_ASSESSMENTS.name,
    grain=THREAT_ASSESSMENTS.grain,
    columns=(*(one for one in THREAT_ASSESSMENTS.columns if one.kind not in (Kind.ID, *DATES)), REGIME),
)
HEADS = {"unit": UNIT, "person": PATIENTS, "clinician": CLINICIANS, "clinic": CLINICS}
AGE = "age"


def source_of(definition: Definition, names: Collection[str], outcome: Rating | None) -> Source:
    """What `definition` is taken of.

    Parameters
    ----------
    definition
        One with `of`.
    names
        Names of all definitions, for those that name another.
    outcome
        The study's outcome, for the score called ``outcome``.

    Raises
    ------
    DefinitionError
        Nothing is called so.
    """
    of = definition.of
    assert of is not None
    if isinstance(of, Codes):
        return Coded(codes=of.codes)
    if isinstance(of, Score):
        return _scored(of, outcome)
    if is_day(of):
        return Day(day=datetime.date.fromisoformat(of))
    if of in names and "." not in of:
        return Named(name=of)
    head, _, column = of.partition(".")
    if head in HEADS and column:
        return _standing(head, column)
    if head in TABLES:
        return _rows(TABLES[head], column)
    if head in HEADS:
        raise DefinitionError(f"say which fact: {of}.{HEADS[of].columns[-1].name}, say", "of")
    known = [*names, *TABLES, *HEADS]
    raise DefinitionError(f"nothing is called '{of}'{_meant(head, known)}; name a table or a definition", "of")


def _scored(of: Score, outcome: Rating | None) -> Scored:
    name, _, subscale = of.score.partition(".")
    if name != OUTCOME:
        return Scored(instrument=name, subscale=subscale or None, rater=of.rater)
    if outcome is None:  # nothing is its score: the protocol's check of scoring keys says so
        return Scored(instrument=OUTCOME, subscale=subscale or None, rater=of.rater)
    return Scored(instrument=outcome.instrument, subscale=subscale or None, rater=of.rater or outcome.rater)


def _standing(head: str, name: str) -> Standing | Age:
    table = HEADS[head]
    if head == "person" and name == AGE:
        return Age()
    column = column_of(table, name, f"{head}.{name}")
    if column.known_at:
        said = f"{head}.{name} becomes known later: take it with a window, as {table.name}.{name} before time zero"
        raise DefinitionError(said, "of")
    if column.kind in (Kind.ID, *DATES):
        raise DefinitionError(f"{head}.{name} is no number and no category", "of")
    return Standing(table=table, column=column)


def _rows(table: Table, name: str) -> Rows:
    column = column_of(table, name, f"{table.name}.{name}") if name else None
    if table.dated:
        dated = table.column(table.dated)
        if column is not None and column.kind in DATES and column != dated:
            raise DefinitionError(f"rows of '{table.name}' are dated by {dated.name}, not {column.name}", "of")
        return Rows(table=table, column=None if column == dated else column, dated=dated)
    if column is None or column.kind not in DATES:
        raise DefinitionError(f"rows of '{table.name}' have no date: take a standing fact of it, or a date", "of")
    return Rows(table=table, column=None, dated=column)


def column_of(table: Table, name: str, said: str, *where: str) -> Column:
    """A table's column; raises `DefinitionError`, at `where` or else at `of`, where it has none of that name."""
    known = [one.name for one in table.columns]
    if name not in known:
        near = _meant(name, known) or f"; it has {', '.join(known[:12])}"
        raise DefinitionError(f"table '{table.name}' has no column for {said}{near}", *(where or ("of",)))
    return table.column(name)


def _meant(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""
