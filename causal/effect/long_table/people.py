"""From the rows of a long table to people: what is the same in all rows of a person, and where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.fates import CovariateFate, fates_of_columns, refuse_constant
from causal.design.frame import (
    DesignColumns,
    column_of,
    design_columns,
    first_of,
    numbers,
    refuse_gaps,
    refuse_spellings,
    some,
    treatment_of,
)
from causal.design.matching.pairing import refuse_arms
from causal.errors import DesignError
from causal.protocol.long_table import LongColumns, Spells, Visits, plain
from causal.spelling import nearest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """Covariates of n rows with all their levels, and what became of each; no columns where none is declared."""

    columns: DesignColumns | None
    fates: tuple[CovariateFate, ...]
    rows: int

    @property
    def values(self) -> FloatArray:
        """(n, p) as models hold them."""
        return np.empty((self.rows, 0)) if self.columns is None else self.columns.in_models

    @property
    def names(self) -> tuple[str, ...]:
        """P names of those, for whatever may be printed."""
        return () if self.columns is None else self.columns.names_in_models


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visited:
    """People at visits.

    Attributes
    ----------
    scores
        (n, T) outcome of each person at each compared visit, NaN where missed.
    treated, clusters
        (n,) arm; codes of what holds them, each their own where nothing does.
    clustered
        Whether the study names clusters.
    facts
        Of the n people, the outcome at the baseline visit first where there is one.
    labels, times
        T visits in their order; (T,) when, or None where nothing says it.
    """

    scores: FloatArray
    treated: BoolArray
    clusters: IntArray
    clustered: bool
    facts: Facts
    labels: tuple[str, ...]
    times: FloatArray | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed:
    """Spells of people, a row each.

    Attributes
    ----------
    start, stop, event
        (n,) times, and whether the spell ended with the event.
    treated, people, clusters
        (n,) arm during the spell; codes of its person, and of what holds the person (the person where nothing does).
    clustered
        Whether the study names clusters.
    facts
        Of the n spells.
    """

    start: FloatArray
    stop: FloatArray
    event: BoolArray
    treated: BoolArray
    people: IntArray
    clusters: IntArray
    clustered: bool
    facts: Facts


def visited(frame: pd.DataFrame, columns: Visits) -> Visited:
    """The people of a table with a row for each visit.

    Raises
    ------
    DesignError
        ``long.visit`` (rows of visits that the study does not name), ``long.repeated`` (two rows of one person and
        visit), ``long.changes`` (treatment, a covariate or the cluster differs between rows of a person),
        ``long.no_baseline``, and those of `causal.design.frame`.
    """
    refuse_columns(frame, columns, (columns.visit, columns.outcome))
    place, people = places_of(frame, columns), people_of(frame, columns)
    used = place != UNUSED  # of other visits only who was there counts, and that nothing about them changes
    _refuse_repeated(frame.loc[used], people[used], place[used])
    arm = treatment_of(frame, columns.treatment, treated_value=columns.treated_value)
    refuse_arms(arm)
    first = np.unique(people, return_index=True)[1]
    _refuse_changes(frame, columns.treatment, arm.astype(np.int64), people)
    outcome = _with_gaps(frame, columns.outcome)
    _refuse_outside(frame, columns, outcome)
    scores = np.full((first.size, len(columns.visits)), np.nan)
    compared = place >= 0
    scores[people[compared], place[compared]] = outcome[compared]
    for name in (*columns.numeric, *columns.categorical):
        refuse_gaps(frame, [name])
        _refuse_changes(frame, name, pd.factorize(column_of(frame, name))[0], people)
    persons = frame.iloc[first]
    numeric = columns.numeric
    if columns.baseline is not None:
        name = f"{columns.outcome} at {columns.baseline}"
        persons = persons.assign(**{name: _baseline(frame, columns, outcome, people, place, first.size)})
        numeric = (name, *numeric)
    clusters = np.arange(first.size) if columns.cluster is None else _clusters(frame, columns.cluster, people)[first]
    return Visited(
        scores=scores,
        treated=arm[first],
        clusters=clusters,
        clustered=columns.cluster is not None,
        facts=_facts(persons, numeric, columns.categorical, arm[first]),
        labels=columns.labels,
        times=np.array(columns.when) if columns.when else None,
    )


def followed(frame: pd.DataFrame, columns: Spells) -> Followed:
    """The spells of a table with a row for each.

    Raises
    ------
    DesignError
        ``long.spell`` (a spell that does not stop after its start, or starts below 0), ``long.overlap`` (two spells of
        one person at once), ``long.event``, ``long.changes`` (the cluster differs between rows of a person), and those
        of `causal.design.frame`.
    """
    refuse_columns(frame, columns, (columns.start, columns.stop, columns.event))
    people = people_of(frame, columns)
    start, stop = numbers(frame, columns.start), numbers(frame, columns.stop)
    wrong = (start < 0) | (stop <= start)
    if wrong.any():
        raise DesignError(
            "long.spell",
            f"{some(int(wrong.sum()))} of {len(frame)} spells start below 0 or do not stop after they start "
            f"({first_of(frame, wrong)})",
            fix="count from the person's own time zero; a spell without length is none",
        )
    order = np.lexsort((start, people))
    overlaps = np.zeros(len(frame), dtype=np.bool_)
    after = order[1:]
    overlaps[after] = (people[after] == people[order[:-1]]) & (start[after] < stop[order[:-1]])
    if overlaps.any():
        raise DesignError(
            "long.overlap",
            f"{some(int(overlaps.sum()))} of {len(frame)} spells start before the one before them of the same person "
            f"stops ({first_of(frame, overlaps)}): nobody is at risk twice at once",
            fix="mend the times, or the names under columns.person",
        )
    event = numbers(frame, columns.event)
    others = ~np.isin(event, (0.0, 1.0))
    if others.any():
        raise DesignError(
            "long.event",
            f"'{columns.event}' holds values other than 0 and 1 in {some(int(others.sum()))} of {len(frame)} rows "
            f"({first_of(frame, others)})",
            fix="1 where the spell ended with the event, 0 where it did not",
        )
    arm = treatment_of(frame, columns.treatment, treated_value=columns.treated_value)
    return Followed(
        start=start,
        stop=stop,
        event=event == 1.0,
        treated=arm,
        people=people,
        clusters=people if columns.cluster is None else _clusters(frame, columns.cluster, people),
        clustered=columns.cluster is not None,
        facts=_facts(frame, columns.numeric, columns.categorical, arm),
    )


BASELINE, UNUSED = -1, -2


def places_of(frame: pd.DataFrame, columns: Visits) -> IntArray:
    """Which compared visit (n,) each row is, from 0; `BASELINE` or `UNUSED` otherwise."""
    if isinstance(columns.visits[0], str):
        refuse_gaps(frame, [columns.visit])
        found = [plain(str(value)) for value in column_of(frame, columns.visit)]
    else:
        found = [plain(float(value)) for value in numbers(frame, columns.visit)]
    known = {plain(visit): k for k, visit in enumerate(columns.visits)}
    known |= {plain(visit): UNUSED for visit in columns.visits_not_used}
    known |= {} if columns.baseline is None else {plain(columns.baseline): BASELINE}
    unseen = [label for label in columns.labels if plain(label) not in set(found)]
    if unseen:
        raise DesignError(
            "long.no_visit",
            f"no row is of the visit {', '.join(unseen)}",
            fix="write each visit as the table does, or leave it out of columns.visits",
        )
    strange = np.array([text not in known for text in found], dtype=np.bool_)
    if strange.any():
        raise DesignError(
            "long.visit",
            f"{some(int(strange.sum()))} of {len(frame)} rows are of a visit that the study does not name "
            f"({first_of(frame, strange)})",
            fix="name it under columns.visits, as baseline, or under visits_not_used",
        )
    return np.array([known[text] for text in found], dtype=np.int64)


def people_of(frame: pd.DataFrame, columns: LongColumns) -> IntArray:
    """Codes (n,) of the rows' people, in the order of their names."""
    refuse_gaps(frame, columns.named_by)
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in columns.named_by:
        refuse_spellings(frame, name)
        names = np.array([str(value) for value in column_of(frame, name)], dtype=object)
        of_name = np.unique(names, return_inverse=True)[1].reshape(-1)
        codes = np.unique(codes * (int(of_name.max()) + 1) + of_name, return_inverse=True)[1].reshape(-1)
    return codes.astype(np.int64)


def _refuse_repeated(frame: pd.DataFrame, people: IntArray, place: IntArray) -> None:
    twice = pd.DataFrame({"person": people, "place": place}).duplicated().to_numpy(dtype=np.bool_)
    if twice.any():
        raise DesignError(
            "long.repeated",
            f"{some(int(twice.sum()))} of {len(frame)} rows repeat the person and visit of an earlier one "
            f"({first_of(frame, twice)})",
            fix="choose one row per person and visit; if names repeat from clinic to clinic, person: [clinic, name]",
        )


def _refuse_changes(frame: pd.DataFrame, name: str, values: NDArray[np.int64], people: IntArray) -> None:
    """Refuse a column that differs between the rows of a person."""
    order = np.argsort(people, kind="stable")
    opens = np.unique(people[order], return_index=True)[1]
    own = values[order[opens]][people]  # codes of people are 0, 1, ...
    changed = values != own
    if changed.any():
        who = np.unique(people[changed]).size
        raise DesignError(
            "long.changes",
            f"'{name}' changes from row to row of {some(who)} of {opens.size} people ({first_of(frame, changed)})",
            fix="deliver in all rows of a person the value from before the first visit; what changes over time needs "
            "rows: spells",
        )


def _refuse_outside(frame: pd.DataFrame, columns: Visits, outcome: FloatArray) -> None:
    """Refuse outcomes that nobody can have."""
    least = -np.inf if columns.lower is None else columns.lower
    most = np.inf if columns.upper is None else columns.upper
    wrong = (outcome < least) | (outcome > most)
    if wrong.any():
        raise DesignError(
            "long.outside",
            f"'{columns.outcome}' lies outside {least:g} to {most:g} in {some(int(wrong.sum()))} of {len(frame)} rows "
            f"({first_of(frame, wrong)})",
            fix="name what stands for a missing value under data.missing, or mend lower and upper under columns",
        )


def _with_gaps(frame: pd.DataFrame, name: str) -> FloatArray:
    """A column (n,) of numbers of which some are missing."""
    known = column_of(frame, name).notna().to_numpy(dtype=np.bool_)
    values = np.full(len(frame), np.nan)
    values[known] = numbers(frame.loc[known], name)
    return values


def _baseline(
    frame: pd.DataFrame, columns: Visits, outcome: FloatArray, people: IntArray, place: IntArray, n: int
) -> FloatArray:
    """The outcome (n people,) at the baseline visit."""
    values = np.full(n, np.nan)
    rows = place == BASELINE
    values[people[rows]] = outcome[rows]
    gone = np.isnan(values)
    if gone.any():
        raise DesignError(
            "long.no_baseline",
            f"{some(int(gone.sum()))} of {n} people have no '{columns.outcome}' at the baseline visit "
            f"({first_of(frame, gone[people])})",
            fix="deliver it, leave these people out of the table and say so, or drop columns.baseline",
        )
    return values


def _clusters(frame: pd.DataFrame, name: str, people: IntArray) -> IntArray:
    """Codes (n,) of what holds the rows' people."""
    refuse_gaps(frame, [name])
    refuse_spellings(frame, name)
    text = np.array([str(value) for value in column_of(frame, name)], dtype=object)
    codes = np.unique(text, return_inverse=True)[1].reshape(-1).astype(np.int64)
    _refuse_changes(frame, name, codes, people)
    return codes


def _facts(frame: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str], treated: BoolArray) -> Facts:
    """The covariates of the rows; refuses one in which nobody differs."""
    if not numeric and not categorical:
        return Facts(columns=None, fates=(), rows=len(frame))
    columns = design_columns(frame, numeric=numeric, categorical=categorical).sparing(treated)
    fates = fates_of_columns(columns)
    refuse_constant(fates)
    return Facts(columns=columns, fates=fates, rows=len(frame))


def refuse_columns(frame: pd.DataFrame, columns: LongColumns, own: Sequence[str]) -> None:
    """Refuse a table without rows, or without a column that the study names, those in `own` among them."""
    if not len(frame):
        raise DesignError("flat.empty", "the table has a header and no row", fix="deliver its rows")
    cluster = () if columns.cluster is None else (columns.cluster,)
    wanted = (*columns.named_by, columns.treatment, *own, *columns.numeric, *columns.categorical, *cluster)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        held = set(map(str, frame.columns)) - set(wanted)
        meant = [repr(near) for name in absent if (near := nearest(name, held))]
        raise DesignError(
            "flat.no_column",
            f"the table has no column {', '.join(map(repr, absent))}",
            fix=f"did you mean {', '.join(meant)}?" if meant else "correct the name under columns",
        )
