"""Which rating answers a question: nearest to its target day, inside its window, after time zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.protocol.outcome import Window

Ints = NDArray[np.int64]
Instants = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenAdministrations:
    """The rating chosen for each of n occasions in each of w windows.

    Attributes
    ----------
    row
        (n, w) row of the chosen rating, -1 where there is none.
    chosen
        (w,) occasions with a rating.
    scheduled_before
        (w,) of those, how many a schedule had asked for before time zero: no strategy can have moved them
        ("prospective" measurement). Ratings without a scheduled time are not among them.
    """

    row: Ints
    chosen: Ints
    scheduled_before: Ints

    @property
    def prospective_share(self) -> NDArray[np.float64]:
        """(w,) `scheduled_before` / `chosen`; NaN where nothing was chosen."""
        none = np.full(len(self.chosen), np.nan)
        share: NDArray[np.float64] = np.divide(self.scheduled_before, self.chosen, out=none, where=self.chosen > 0)
        return share


def choose_administrations(
    occasion: Ints,
    completed: Instants,
    scheduled: Instants,
    time_zero: Instants,
    relationship_end: Instants,
    windows: Sequence[Window],
) -> ChosenAdministrations:
    """Choose, per occasion and window, the rating nearest to the target day.

    A rating counts when it was completed strictly after time zero, not after the end of the relationship, and at most
    `half_width` calendar days from `day`, both counted from the day of time zero. Of two equally near days the earlier
    counts, of two on one day the earlier; of two at one instant the first in the order given.

    Parameters
    ----------
    occasion, completed, scheduled
        (m,) occasion each rating belongs to, from 0; when it was completed; when a schedule asked for it, NaT unknown.
    time_zero, relationship_end
        (n,) of each occasion; NaT where the relationship lasts.
    windows
        Target days and half widths.

    Raises
    ------
    ValueError
        A rating has no completion time or no occasion, or an occasion no time zero.

    >>> zero = np.array(["2024-01-01T12:00"], dtype="datetime64[s]")
    >>> at = np.array(["2024-01-01T12:00", "2024-03-29T09:00", "2024-04-02T09:00"], dtype="datetime64[s]")
    >>> never = np.full(3, "NaT", dtype="datetime64[s]")
    >>> found = choose_administrations(np.zeros(3, int), at, never, zero, never[:1], [Window(day=90, half_width=21)])
    >>> found.row.tolist(), found.prospective_share.tolist()
    ([[1]], [0.0])
    """
    n = len(time_zero)
    if np.isnat(completed).any() or np.isnat(time_zero).any():
        raise ValueError("a rating has no completion time, or an occasion no time zero")
    if len(occasion) and not (occasion.min() >= 0 and occasion.max() < n):
        raise ValueError("a rating belongs to no occasion")
    zero, end = time_zero[occasion], relationship_end[occasion]
    counts = (completed > zero) & (np.isnat(end) | (completed <= end))
    days = (completed.astype("datetime64[D]") - zero.astype("datetime64[D]")).astype(np.int64)
    row = np.column_stack([_nearest(occasion, completed, days, counts, window, n) for window in windows])
    found = row >= 0
    # NaT is before nothing, so a rating nobody scheduled is not prospective.
    asked_before = scheduled < zero
    prospective = found & np.where(found, asked_before[row] if len(asked_before) else False, False)
    return ChosenAdministrations(row=row, chosen=found.sum(axis=0), scheduled_before=prospective.sum(axis=0))


def _nearest(
    occasion: Ints, completed: Instants, days: Ints, counts: NDArray[np.bool_], window: Window, n: int
) -> Ints:
    distance = np.abs(days - window.day)
    inside = np.flatnonzero(counts & (distance <= window.half_width))
    order = inside[np.lexsort((completed[inside], distance[inside], occasion[inside]))]
    held, first = np.unique(occasion[order], return_index=True)
    row = np.full(n, -1, dtype=np.int64)
    row[held] = order[first]
    return row
