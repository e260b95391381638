"""Proportion of days covered (PDC) by dispensed medicine, as interval arithmetic over all persons at once.

Days are whole numbers on any common calendar, a window holds both its ends, and a fill of d days on day f covers
f .. f + d - 1. A fill of the *same* drug while supply is in hand is moved to the day after it runs out; supply of one
drug never moves another's. A day is covered when any drug covers it (Pharmacy Quality Alliance, PDC).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LONGEST_SUPPLY = 180
"""Days; a longer supply is more often a mistyped quantity than a prescription."""
MONTHS = 3
"""A supply of 1 to 3 days may be a supply of 1 to 3 months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fills:
    """m dispensings: `person` (m,) row of the person, `drug` (m,) ingredient code, `day` (m,), `supply` (m,) days.

    Attributes
    ----------
    reversed_claim, as_needed
        (m,) claims later reversed, and medicines taken only when needed, whose supply says nothing about days; both
        are set aside and counted. None where the source has no such flag.
    """

    person: Ints
    drug: Ints
    day: Ints
    supply: Ints
    reversed_claim: Bools | None = None
    as_needed: Bools | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """s inpatient stays: `person` (s,), first day `admit` (s,), last day `discharge` (s,), both inside the stay."""

    person: Ints
    admit: Ints
    discharge: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysCovered:
    """Days covered of n persons, and what was met on the way.

    Attributes
    ----------
    covered, days
        (n,) covered days and days counted.
    pdc
        (n,) covered / days, in [0, 1]; NaN where no day counts (censored before the window, or always an inpatient).
    adherent
        (n, t) whether the PDC reaches each threshold; False where it is NaN.
    unmeasured
        Persons without a day that counts.
    begins_before_supply
        Persons whose window begins before their first fill in use. Where being followed requires a fill, the days
        before it are immortal time: nobody could have dropped out on them.
    reversed_claims, as_needed, no_supply, long_supply
        Fills set aside, each for its first reason in this order: a supply below 1 day, or above the longest.
    perhaps_months
        Fills kept although a supply of 1 to 3 stands beside a median of at least 28 days: months, not days?
    same_day
        Fills kept that another fill of the same person, drug and day precedes: stacked, unless they are repeats.
    """

    covered: Ints
    days: Ints
    pdc: Floats
    adherent: Bools
    unmeasured: int
    begins_before_supply: int
    reversed_claims: int
    as_needed: int
    no_supply: int
    long_supply: int
    perhaps_months: int
    same_day: int


def days_covered(
    fills: Fills,
    first_day: ArrayLike,
    last_day: ArrayLike,
    *,
    carry_in: bool,
    stays: Stays | None = None,
    inpatient: Literal["credit", "remove"] = "remove",
    last_known: ArrayLike | None = None,
    thresholds: tuple[float, ...] = (0.8,),
    longest_supply: int = LONGEST_SUPPLY,
) -> DaysCovered:
    """Proportion of days covered in each person's window.

    Parameters
    ----------
    fills
        Dispensings; `person` counts from 0 and names a row of `first_day`.
    first_day, last_day
        (n,) window of each person, both days inside it.
    carry_in
        Whether supply dispensed before the window counts where it reaches into it; otherwise those fills are as if
        they had never been.
    stays, inpatient
        Inpatient days count as covered ("credit"), or count neither way ("remove"). Without stays nothing is done.
    last_known
        (n,) last day the person is alive and enrolled, itself counted; the window ends there.

    Raises
    ------
    ValueError
        A window ends before it begins, a stay too, arrays differ in length, or a person has no window.

    >>> fills = Fills(person=np.zeros(3, int), drug=np.zeros(3, int), day=np.array([0, 25, 60]), supply=np.full(3, 30))
    >>> found = days_covered(fills, [0], [89], carry_in=True)
    >>> found.covered.tolist(), found.pdc.tolist()
    ([90], [1.0])
    """
    begin, end = np.asarray(first_day, dtype=np.int64), np.asarray(last_day, dtype=np.int64)
    _refuse(fills, begin, end, stays)
    kept, aside = _usable(fills, longest_supply)
    person, drug, day, supply = (column[kept] for column in (fills.person, fills.drug, fills.day, fills.supply))
    if not carry_in:
        inside = day >= begin[person]
        person, drug, day, supply = person[inside], drug[inside], day[inside], supply[inside]
    n = len(begin)
    last = end if last_known is None else np.minimum(end, np.asarray(last_known, dtype=np.int64))
    first_fill = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first_fill, person, day)
    order = _order(person, drug, day)
    person, drug, day, supply = person[order], drug[order], day[order], supply[order]
    spans = _shifted(person, drug, day, supply)
    counted = np.maximum(last - begin + 1, 0)
    covered = _union(spans, begin, last)
    if stays is not None:
        inside_hospital = _Spans(person=stays.person, first=stays.admit, last=stays.discharge)
        either = _union(spans.and_(inside_hospital), begin, last)
        away = _union(inside_hospital, begin, last)
        covered = either if inpatient == "credit" else either - away
        counted = counted if inpatient == "credit" else counted - away
    pdc = np.divide(covered, counted, out=np.full(n, np.nan), where=counted > 0)
    return DaysCovered(
        covered=covered,
        days=counted,
        pdc=pdc,
        adherent=pdc[:, None] >= np.array(thresholds),
        unmeasured=int((counted == 0).sum()),
        begins_before_supply=int(((first_fill > begin) & (first_fill <= last)).sum()),
        reversed_claims=aside[0],
        as_needed=aside[1],
        no_supply=aside[2],
        long_supply=aside[3],
        perhaps_months=_perhaps_months(supply),
        same_day=int((~_first_of_run(person, drug, day)).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spans:
    """Spans of days, both ends inside, in any order: person, first and last day, (k,) each."""

    person: Ints
    first: Ints
    last: Ints

    def and_(self, other: _Spans) -> _Spans:
        return _Spans(
            person=np.concatenate([self.person, other.person]),
            first=np.concatenate([self.first, other.first]),
            last=np.concatenate([self.last, other.last]),
        )


def _shifted(person: Ints, drug: Ints, day: Ints, supply: Ints) -> _Spans:
    """Spans covered by each fill, sorted by person, drug and day, when supply in hand is used up first, drug by drug.

    With c the supply of a drug's earlier fills, start = c + max over fills so far of (day - c): the recursion
    start = max(day, previous start + previous supply) written without a loop.
    """
    new = _first_of_run(person, drug)
    before = np.cumsum(supply) - supply
    before -= _carried(before, new)
    start = before + _running_maximum(day - before, new)
    return _Spans(person=person, first=start, last=start + supply - 1)


def _union(spans: _Spans, begin: Ints, end: Ints) -> Ints:
    """(n,) days of each person's window that lie in at least one span."""
    first = np.maximum(spans.first, begin[spans.person])
    last = np.minimum(spans.last, end[spans.person])
    inside = np.flatnonzero(last >= first)
    order = inside[_order(spans.person[inside], first[inside])]
    person, first, last = spans.person[order], first[order], last[order]
    new = _first_of_run(person)
    reached = _running_maximum(last, new)
    already = np.where(new, first - 1, np.roll(reached, 1))
    fresh = np.maximum(last - np.maximum(first - 1, already), 0)
    covered = np.zeros(len(begin), dtype=np.int64)
    np.add.at(covered, person, fresh)
    return covered


def _order(*columns: Ints) -> Ints:
    """(k,) rows sorted by the first column, then the next: as one whole number each where 62 bits hold them."""
    if not len(columns[0]):
        return np.empty(0, dtype=np.int64)
    ranges = [(int(column.min()), int(column.max()) - int(column.min()) + 1) for column in columns]
    if math.prod(size for _, size in ranges) >= 2**62:
        return np.lexsort(columns[::-1])
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column, (low, size) in zip(columns, ranges, strict=True):
        number = number * size + (column - low)
    return np.argsort(number, kind="stable")


def _first_of_run(*sorted_columns: Ints) -> Bools:
    """(k,) whether a row begins a new run of equal values."""
    new = np.ones(len(sorted_columns[0]), dtype=bool)
    new[1:] = np.any([column[1:] != column[:-1] for column in sorted_columns], axis=0)
    return new


def _carried(values: Ints, new: Bools) -> Ints:
    """(k,) the value at the first row of each row's run."""
    first: Ints = np.maximum.accumulate(np.where(new, np.arange(len(values)), 0))
    return values[first]


def _running_maximum(values: Ints, new: Bools) -> Ints:
    """(k,) largest value so far within each run: runs are lifted apart, so one pass serves all."""
    if not len(values):
        return values
    lift = np.cumsum(new) * (int(values.max()) - int(values.min()) + 1)
    lifted: Ints = np.maximum.accumulate(values + lift)
    return lifted - lift


def _usable(fills: Fills, longest: int) -> tuple[Bools, tuple[int, int, int, int]]:
    """Fills that can be counted, and how many are not, by first reason."""
    kept = np.ones(len(fills.day), dtype=bool)
    none = np.zeros(len(fills.day), dtype=bool)
    counts = []
    for flag in (fills.reversed_claim, fills.as_needed, fills.supply < 1, fills.supply > longest):
        aside = kept & (none if flag is None else flag)
        counts.append(int(aside.sum()))
        kept &= ~aside
    return kept, (counts[0], counts[1], counts[2], counts[3])


def _perhaps_months(supply: Ints) -> int:
    return int((supply <= MONTHS).sum()) if len(supply) and np.median(supply) >= 28 else 0


def _refuse(fills: Fills, begin: Ints, end: Ints, stays: Stays | None) -> None:
    lengths = {len(column) for column in (fills.person, fills.drug, fills.day, fills.supply)}
    if len(lengths) != 1 or len(begin) != len(end):
        raise ValueError("fills, and the two ends of windows, need one entry each")
    if (end < begin).any():
        raise ValueError(f"{int((end < begin).sum())} windows end before they begin")
    if stays is not None and (stays.discharge < stays.admit).any():
        raise ValueError(f"{int((stays.discharge < stays.admit).sum())} stays end before they begin")
    for person in (fills.person, *(() if stays is None else (stays.person,))):
        if len(person) and not (person.min() >= 0 and person.max() < len(begin)):
            raise ValueError("a person of the fills or stays has no window")
