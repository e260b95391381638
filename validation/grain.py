"""How finely times were recorded: a column of times that are mostly midnight is a column of dates.

Source systems that keep only a day still write a time, and everything at 00:00 would seem to have happened before
whatever has a clock time that day. A time at midnight is therefore read as its whole day, wherever it stands
(`causal.cohort.clock`); and where most of a column is midnight, its other times are no better and are dates too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ibis.expr.types as ir

from causal.measures.detectors import Finding
from causal.tables import Kind, Table
from validation.shares import at_most_share
from validation.verdict import Verdict

MOSTLY = 0.5
"""Above this share of times at one clock time, the clock time says nothing: chance would give one in 1,440 a minute."""
ENOUGH = 20
"""Times that a column must hold before one clock time that is not midnight is held against it."""

SET_BY_A_SYSTEM = ("scheduled_ts", "scheduled_at")
"""Columns that a scheduler may well write at one time of day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """Of the times of one column: how many are midnight, and how many are at the commonest other clock time."""

    midnight: Finding
    other: Finding

    @property
    def dates(self) -> bool:
        """Whether the column holds dates."""
        return self.midnight.share > MOSTLY


def measure_grain(table: ir.Table, declared: Table) -> dict[str, Grain]:
    """The grain of every timestamp column of a table, by name."""
    names = [c.name for c in declared.columns if c.kind is Kind.TIMESTAMP and c.name in table.columns]
    return {name: _grain(table, name) for name in names}


def _grain(table: ir.Table, name: str) -> Grain:
    at = table[name]
    clock = table.filter(at.notnull()).select(clock=at.epoch_seconds() % 86400, whole=at == at.truncate("D"))
    counted = clock.group_by("clock", "whole").aggregate(n=clock.count())
    sums = counted.aggregate(
        times=counted.n.sum(),
        midnight=counted.n.sum(where=counted.whole),
        other=counted.n.max(where=~counted.whole),
    )
    row = sums.to_pyarrow().to_pylist()[0]
    times = int(row["times"] or 0)
    return Grain(
        midnight=Finding(count=int(row["midnight"] or 0), of=times),
        other=Finding(count=int(row["other"] or 0), of=times),
    )


def at_their_grain(table: ir.Table, grains: Mapping[str, Grain]) -> ir.Table:
    """The table with the times of columns that hold dates at midnight."""
    dates = {name: table[name].truncate("D") for name, grain in grains.items() if grain.dates}
    return table.mutate(**dates) if dates else table


def coarsened(grains: Mapping[str, Grain]) -> bool:
    """Whether `at_their_grain` changes anything."""
    return any(grain.dates and grain.midnight.count < grain.midnight.of for grain in grains.values())


def judge_grain(table: str, grains: Mapping[str, Grain]) -> Iterator[Verdict]:
    """What each column's grain is, for information; and a clock time so common that it can only be a shifted date."""
    for name, grain in grains.items():
        column = f"{table}.{name}"
        sentence = f"share of times in {column} at midnight; such a time counts as its whole day"
        if grain.dates:
            sentence = (
                f"share of times in {column} at midnight: the column holds dates, so nothing in it on the day of time "
                "zero counts as before or after it"
            )
        yield at_most_share(f"extract.grain.{column}", grain.midnight, 1.0, sentence)
        if grain.other.of >= ENOUGH and name not in SET_BY_A_SYSTEM:
            yield at_most_share(
                f"extract.one_clock_time.{column}",
                grain.other,
                MOSTLY,
                f"share of times in {column} at one clock time that is not midnight (dates that went through a time "
                "zone or were filled in can lie on another day: deliver dates at midnight)",
            )
