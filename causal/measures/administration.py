"""Which rating answers a question: nearest to its target day, inside its window, after time zero; and was it planned.

A rating is *prospective* when it had been put on the schedule before time zero: whatever was chosen then, somebody had
already decided to ask. When it was due says nothing about that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.measures.detectors import Finding
from causal.measures.scoring import score_expression
from causal.protocol.instrument import Instrument
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
    prospective
        (w,) of those, how many had been put on the schedule before time zero. Ratings of which nobody says when are not
        among them. None where the source does not say of any.
    """

    row: Ints
    chosen: Ints
    prospective: Ints | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProspectiveRatings:
    """Whether the ratings around one day were planned before time zero, ready to be judged.

    Attributes
    ----------
    code
        Stable name for a verdict: ``outcome.prospective.<day>``.
    sentence
        What the share is, or why there is none.
    found
        Prospective ratings, of those that count; None: not evaluated, for the reason in `sentence`.
    """

    code: str
    sentence: str
    found: Finding | None


def choose_administrations(
    occasion: Ints,
    completed: Instants,
    scheduled_at: Instants | None,
    time_zero: Instants,
    relationship_end: Instants,
    windows: Sequence[Window],
) -> ChosenAdministrations:
    """Choose, per occasion and window, the rating nearest to the target day.

    A rating counts when it was completed strictly after time zero, not after the end of the relationship, and at most
    `half_width` calendar days from `day`, both counted from the day of time zero. Of two equally near days the earlier
    counts, of two on one day the earlier; of two at one instant the first in the order given. Midnight is a date: on
    the day of time zero it is neither before nor after, and a relationship that ends then lasts to the end of the day.

    Parameters
    ----------
    occasion, completed
        (m,) occasion each rating belongs to, from 0; when it was completed.
    scheduled_at
        (m,) when it was put on the schedule, NaT where nobody says; None where the source does not say of any.
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
    >>> lasting = np.array(["NaT"], dtype="datetime64[s]")
    >>> planned = np.array(["NaT", "2023-12-01", "2024-02-01"], dtype="datetime64[s]")
    >>> found = choose_administrations(np.zeros(3, int), at, planned, zero, lasting, [Window(day=90, half_width=21)])
    >>> found.row.tolist(), found.chosen.tolist(), found.prospective.tolist()
    ([[1]], [1], [1])
    """
    n = len(time_zero)
    if np.isnat(completed).any() or np.isnat(time_zero).any():
        raise ValueError("a rating has no completion time, or an occasion no time zero")
    if len(occasion) and not (occasion.min() >= 0 and occasion.max() < n):
        raise ValueError("a rating belongs to no occasion")
    zero, end = time_zero[occasion], _last_moment(relationship_end)[occasion]
    counts = (completed > _last_moment(time_zero)[occasion]) & (np.isnat(end) | (completed <= end))
    days = (completed.astype("datetime64[D]") - zero.astype("datetime64[D]")).astype(np.int64)
    row = np.column_stack([_nearest(occasion, completed, days, counts, window, n) for window in windows])
    found = row >= 0
    prospective = None
    if scheduled_at is not None:
        # NaT is before nothing, so a rating of which nobody says when it was planned is not prospective.
        known = (scheduled_at < zero) & (scheduled_at != zero.astype("datetime64[D]"))
        planned = np.append(known, np.False_)  # row -1, where nothing was found, is the one appended
        prospective = planned[row].sum(axis=0)
    return ChosenAdministrations(row=row, chosen=found.sum(axis=0), prospective=prospective)


def _last_moment(at: Instants) -> Instants:
    """The end of the day for a midnight, which is a date (see `causal.cohort.clock`); else the time itself."""
    day = at.astype("datetime64[D]")
    return np.where(at == day, (day + 1).astype("datetime64[us]") - np.timedelta64(1, "us"), at)


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


def administrations(measures: ir.Table, people: ir.Table, instrument: Instrument, rater: str) -> ir.Table:
    """Ratings that have a score, for `people`: person_id, clinician_id, admin_ts, and scheduled_at where it is told."""
    mine = measures.filter(
        (measures.instrument == instrument.id) & (measures.version == instrument.version) & (measures.rater == rater)
    ).semi_join(people, "person_id")
    scored = mine.filter(score_expression(mine, instrument).notnull())  # noqa: PD004  (a relation, no data frame)
    told = ("scheduled_at",) if "scheduled_at" in measures.columns else ()
    return scored.select("person_id", "clinician_id", "admin_ts", *told)


def prospective_ratings(occasions: pd.DataFrame, ratings: pd.DataFrame, window: Window) -> ProspectiveRatings:
    """Of the ratings that count for `window`, how many had been put on the schedule before time zero.

    Parameters
    ----------
    occasions
        ta_id, person_id, clinician_id, time_zero, and ended_after_days: days from time zero to the end of the
        relationship or of life, NaN while they last (as `causal.effect.outcomes.facts_after` gives them for this
        window). An occasion that stands in several rows is counted once.
    ratings
        `administrations` of their people.
    """
    code, day = f"outcome.prospective.{window.day}", f"ratings around day {window.day}"
    if "scheduled_at" not in ratings.columns:
        reason = "the extract has no column scheduled_at, which says when a questionnaire was put on the schedule"
        return ProspectiveRatings(
            code=code, sentence=f"whether {day} were planned before time zero: {reason}", found=None
        )
    once = occasions.drop_duplicates("ta_id")
    numbered = once.assign(occasion=np.arange(len(once)))
    pairs = numbered[["occasion", "person_id", "clinician_id"]].merge(ratings, on=["person_id", "clinician_id"])
    lasted = pd.to_timedelta(once["ended_after_days"] * 86400, unit="s").dt.round("s")
    chosen = choose_administrations(
        pairs["occasion"].to_numpy(dtype=np.int64),
        pairs["admin_ts"].to_numpy(dtype="datetime64[us]"),
        pairs["scheduled_at"].to_numpy(dtype="datetime64[us]"),
        once["time_zero"].to_numpy(dtype="datetime64[us]"),
        (once["time_zero"] + lasted).to_numpy(dtype="datetime64[us]"),
        [window],
    )
    assert chosen.prospective is not None
    if not chosen.chosen[0]:
        return ProspectiveRatings(
            code=code, sentence=f"whether {day} were planned before time zero: there are none", found=None
        )
    return ProspectiveRatings(
        code=code,
        sentence=f"share of {day} that had been put on the schedule before time zero, whatever was chosen then",
        found=Finding(count=int(chosen.prospective[0]), of=int(chosen.chosen[0])),
    )
