"""A trial starts in every period: whoever is eligible then, and untreated so far, enters it by what happens next.

One person is a comparison in the trials before treatment starts, treated in the trial in which it does, and in none
after. Nothing known later than a trial's period decides who enters it, how, or with which covariates. There are no
outcomes here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowUp:
    """What became of the entries of the trials: f rows, one for each entry and later period with a row.

    Attributes
    ----------
    entry
        (f,) entry of `SequentialTrials`, ascending; within an entry by period.
    row
        (f,) person-period row as given.
    offset
        (f,) periods since the trial began; 0 is the entry's own row.
    off_protocol
        (f,) whether the person has left, in this period or an earlier one of the trial, the strategy entered with:
        treated and stopped, or not treated and started. Intention to treat uses every row; per protocol those before,
        weighted for the censoring.
    deviation
        (m,) offset of each entry's first row off protocol, -1 where there is none within the follow-up.
    """

    entry: IntArray
    row: IntArray
    offset: IntArray
    off_protocol: BoolArray
    deviation: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequentialTrials:
    """Entries of a sequence of nested trials: m rows ordered by (trial, person code), a person at most once in a trial.

    Attributes
    ----------
    trial
        (m,) 0, 1, ... in the order of their periods: matched sets within a trial have it as `Pairing.exact`.
    period
        (m,) period in which the trial begins.
    row
        (m,) person-period row as given.
    person, cluster
        (m,) codes of persons and of clinicians, for variance clustered on both: a person is in many trials.
    treated
        (m,) whether treatment started in this period; true at most once for a person.
    covariates
        (m, p) as recorded for this period.
    n_treated_before
        Rows marked eligible that are in no trial because treatment had started before.
    follow_up
        What became of them, if asked for.
    """

    trial: IntArray
    period: IntArray
    row: IntArray
    person: IntArray
    cluster: IntArray
    treated: BoolArray
    covariates: FloatArray
    n_treated_before: int
    follow_up: FollowUp | None

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return int(self.trial[-1]) + 1


def expand_trials(
    person: IntArray,
    period: IntArray,
    treated: BoolArray,
    eligible: BoolArray,
    covariates: FloatArray,
    *,
    clusters: IntArray,
    follow_up: int | None = None,
    memory: float = MEMORY,
) -> SequentialTrials:
    """Emulate a trial in every period with an eligible, so far untreated person.

    Parameters
    ----------
    person, period
        (n,) codes of persons and numbers of equally long periods, one row for each person and period under
        observation, in any order. Periods without a row are unknown: they neither enter nor follow a trial.
    treated
        (n,) whether the person is treated in the period. The first such period is the start.
    eligible
        (n,) whether the person meets the entry criteria at the beginning of the period.
    covariates
        (n, p) as known at the beginning of the period, before its treatment is decided; NaN for not recorded.
    clusters
        (n,) codes of clinicians.
    follow_up
        Periods after its own that each entry is followed for, as far as there are rows; None for no follow-up.
    memory
        Gigabytes allowed for what is returned.

    Raises
    ------
    DesignError
        ``cohort.duplicate_period``, ``cohort.no_treated``, ``cohort.no_comparison``, ``cohort.follow_up``,
        ``design.memory``.

    Notes
    -----
    Hernán, Alonso, Logan et al. (2008), Epidemiology 19:766-779; Danaei, García Rodríguez, Cantero, Logan & Hernán
    (2013), Stat Methods Med Res 22:70-96; intention to treat and per protocol as in the R package TrialEmulation. The
    result depends on the values only, not on the order of the rows: entries are ordered by period and person code.

    >>> person, period = np.array([1, 1, 1, 2, 2]), np.array([0, 1, 2, 0, 1])
    >>> trials = expand_trials(person, period, np.array([0, 1, 1, 0, 0], bool), np.ones(5, bool), np.zeros((5, 0)),
    ...                        clusters=person)
    >>> trials.trial.tolist(), trials.person.tolist(), trials.treated.tolist(), trials.n_treated_before
    ([0, 0, 1, 1], [1, 2, 1, 2], [False, False, True, False], 1)
    """
    who, when = np.asarray(person, dtype=np.int64), np.asarray(period, dtype=np.int64)
    x = np.asarray(covariates, dtype=np.float64)
    order = np.lexsort((when, who))
    who, when, on = who[order], when[order], np.asarray(treated, dtype=np.bool_)[order]
    begin, end = _spans(who)
    if ((when[1:] == when[:-1]) & (begin[1:] != np.arange(1, who.size))).any():
        raise DesignError("cohort.duplicate_period", "a person has two rows in one period", fix="give one row for each")
    earlier: IntArray = np.cumsum(on) - on
    before: BoolArray = earlier > earlier[begin]
    willing = np.asarray(eligible, dtype=np.bool_)[order]
    entry = np.flatnonzero(willing & ~before)
    _refuse_empty_arms(on[entry])
    entry = entry[np.argsort(when[entry], kind="stable")]
    until = entry + 1 if follow_up is None else _followed_until(when, begin, end, entry, follow_up)
    n_followed = 0 if follow_up is None else int((until - entry).sum())
    require_memory(
        8.0 * (entry.size * (8 + x.shape[1]) + n_followed * 6),
        limit=memory,
        work=f"{entry.size:,} entries of trials with {n_followed:,} periods of follow-up",
        instead="use fewer covariates, a shorter follow-up or longer periods",
    )
    rows = order[entry]
    return SequentialTrials(
        trial=np.cumsum(np.diff(when[entry], prepend=when[entry[0]]) != 0).astype(np.int64),
        period=when[entry],
        row=rows,
        person=who[entry],
        cluster=np.asarray(clusters, dtype=np.int64)[rows],
        treated=on[entry],
        covariates=x[rows],
        n_treated_before=int((willing & before).sum()),
        follow_up=None if follow_up is None else _follow(order, when, on, entry, until),
    )


def _spans(who: IntArray) -> tuple[IntArray, IntArray]:
    """Where the rows of each row's person begin and end (n,), rows sorted by person."""
    first = np.flatnonzero(np.diff(who, prepend=who[:1] - 1))
    length = np.diff(first, append=who.size)
    return np.repeat(first, length), np.repeat(first + length, length)


def _followed_until(when: IntArray, begin: IntArray, end: IntArray, entry: IntArray, follow_up: int) -> IntArray:
    """Place after the last row (m,) that follows each entry within its person and `follow_up` periods."""
    if follow_up < 0:
        raise DesignError("cohort.follow_up", f"the follow-up must be 0 periods or more, got {follow_up}")
    since = when - when.min()
    span = int(since.max()) + 1
    line = begin * span + since  # ascending: persons do not overlap on it
    last = np.minimum(since[entry] + min(follow_up, span), span - 1)
    after: IntArray = np.searchsorted(line, begin[entry] * span + last, side="right")
    return np.minimum(after, end[entry])


def _follow(order: IntArray, when: IntArray, on: BoolArray, entry: IntArray, until: IntArray) -> FollowUp:
    """Follow-up rows of every entry; places are those of the rows sorted by (person, period)."""
    length = until - entry
    number = np.repeat(np.arange(entry.size), length)
    place = np.arange(number.size) - np.repeat(np.cumsum(length) - length - entry, length)
    left = np.where(on[entry], _next(~on)[entry], _next(on)[entry])
    inside = left < until
    return FollowUp(
        entry=number,
        row=order[place],
        offset=when[place] - np.repeat(when[entry], length),
        off_protocol=place >= np.repeat(left, length),
        deviation=np.where(inside, when[np.where(inside, left, 0)] - when[entry], -1),
    )


def _next(flag: BoolArray) -> IntArray:
    """For each place the next at or after it where the flag is up; the number of places where there is none."""
    at: IntArray = np.where(flag, np.arange(flag.size), flag.size)
    return np.minimum.accumulate(at[::-1])[::-1]


def _refuse_empty_arms(started: BoolArray) -> None:
    if not started.any():
        raise DesignError("cohort.no_treated", "no eligible person starts treatment in any period")
    if started.all():
        raise DesignError(
            "cohort.no_comparison", "every eligible person starts treatment at once: nobody to compare with"
        )
