"""Cox's partial likelihood: risk sets, its derivatives, and what each row's weight does to the score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Ties = Literal["efron", "breslow"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskSets:
    """Rows sorted by stratum and time, and the e events among them, each with the risk set it is drawn from.

    `group` (n,) numbers the distinct days of each stratum; `starts` (k,) is the first row of each, `opens` (k,) whether
    it is its stratum's first. `events` (e,) are the rows with an event; `fraction` (e,) is the share of the day's
    events no longer at risk, 0 under Breslow; `share` (e,) is the mean weight of the day's events. `first` (n,) is the
    first of its stratum's days on which a row is at risk, None where all are from the stratum's first.
    """

    x: FloatArray
    weights: FloatArray
    group: IntArray
    starts: IntArray
    opens: BoolArray
    events: IntArray
    fraction: FloatArray
    share: FloatArray
    first: IntArray | None = None

    @property
    def at(self) -> IntArray:
        """Group (e,) of each event."""
        return self.group[self.events]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """Sums at one value of the coefficients: relative hazards (n,), and of each event its risk set's total and mean."""

    linear: FloatArray  # (n,)
    relative: FloatArray  # (n,) exp(linear)
    totals: FloatArray  # (e,)
    means: FloatArray  # (e, r) of the columns in the risk set
    own_hazard: FloatArray  # (n,) cumulative baseline hazard a row was at risk of


def risk_sets(
    x: FloatArray,
    w: FloatArray,
    t: FloatArray,
    ended: BoolArray,
    stratum: IntArray,
    order: IntArray,
    ties: Ties,
    *,
    entry: FloatArray | None = None,
) -> RiskSets:
    """Sort the rows and lay out the days and their events; a row is at risk on (entry, t], from the start without."""
    entry = None if entry is None else entry[order]
    t, stratum, ended, w = t[order], stratum[order], ended[order], w[order]
    enters = np.r_[True, stratum[1:] != stratum[:-1]]
    begins = enters | np.r_[True, t[1:] != t[:-1]]
    group, starts, events = np.cumsum(begins) - 1, np.flatnonzero(begins), np.flatnonzero(ended)
    at = group[events]
    count = np.bincount(at, minlength=starts.size)
    rank = np.arange(events.size) - (np.cumsum(count) - count)[at]
    return RiskSets(
        x=x[order],
        weights=w,
        group=group,
        starts=starts,
        opens=enters[starts],
        events=events,
        fraction=rank / count[at] if ties == "efron" else np.zeros(events.size),
        share=(np.bincount(at, weights=w[events], minlength=starts.size) / np.maximum(count, 1))[at],
        first=None if entry is None else _first_days(t, entry, stratum, starts),
    )


def _first_days(t: FloatArray, entry: FloatArray, stratum: IntArray, starts: IntArray) -> IntArray:
    """The first of its stratum's days (n,) that comes after a row's entry, of rows sorted by stratum and time."""
    days, code = np.unique(t, return_inverse=True)
    width = days.size + 1
    after = np.searchsorted(days, entry, side="right")
    keys = stratum * width + code
    return np.searchsorted(keys[starts], stratum * width + after).astype(np.int64)


def totals_at(sets: RiskSets, beta: FloatArray) -> Pass:
    """Totals and means over every event's risk set, those of its day that came before it taken out by Efron's share."""
    linear = sets.x @ beta
    relative = np.exp(linear)
    terms = (sets.weights * relative)[:, None] * np.column_stack([np.ones(linear.size), sets.x])
    at_risk = running_totals(np.add.reduceat(terms, sets.starts, axis=0)[::-1], _closes(sets.opens))[::-1]
    if sets.first is not None:
        enter = np.zeros_like(at_risk)
        np.add.at(enter, sets.first, terms)
        at_risk = at_risk - (running_totals(enter[::-1], _closes(sets.opens))[::-1] - enter)  # who enters later
    gone = np.zeros_like(at_risk)
    np.add.at(gone, sets.at, terms[sets.events])
    both = at_risk[sets.at] - sets.fraction[:, None] * gone[sets.at]
    totals = both[:, 0]
    return Pass(
        linear=linear,
        relative=relative,
        totals=totals,
        means=both[:, 1:] / totals[:, None],
        own_hazard=_accumulated(sets, (sets.share / totals)[:, None])[:, 0],
    )


def _accumulated(sets: RiskSets, per_event: FloatArray) -> FloatArray:
    """Sum (n, m) over the events (e, m) each row was at risk of; of its own day, an event row leaves by its share."""
    by_day = np.zeros((sets.starts.size, per_event.shape[1]))
    left = np.zeros_like(by_day)
    np.add.at(by_day, sets.at, per_event)
    np.add.at(left, sets.at, per_event * sets.fraction[:, None])
    running = running_totals(by_day, sets.opens)
    total = running[sets.group]
    if sets.first is not None:
        total = total - (running - by_day)[sets.first]  # what happened before a row was at risk
    total[sets.events] -= left[sets.at]
    return total


def derivatives(sets: RiskSets, here: Pass) -> tuple[float, FloatArray, FloatArray]:
    """Log likelihood, score (r,) and information (r, r).

    The sum over events of the second moments in their risk sets is one over rows, each times the hazard it was at risk
    of: no moment of rows by columns by columns is formed.
    """
    w, x = sets.weights[sets.events], sets.x
    value = float(w @ here.linear[sets.events] - sets.share @ np.log(here.totals))
    score = w @ x[sets.events] - sets.share @ here.means
    information = (x * (sets.weights * here.relative * here.own_hazard)[:, None]).T @ x
    return value, score, information - (here.means * sets.share[:, None]).T @ here.means


def score_residuals(sets: RiskSets, here: Pass) -> FloatArray:
    """Weighted score residuals (n, r) in the sorted order: the derivative of the score with respect to each weight."""
    hazards = (sets.share / here.totals)[:, None]
    drift = _accumulated(sets, hazards * here.means)
    residual = -here.relative[:, None] * (sets.x * here.own_hazard[:, None] - drift)
    day_mean = np.zeros((sets.starts.size, sets.x.shape[1]))
    np.add.at(day_mean, sets.at, here.means)
    count = np.bincount(sets.at, minlength=sets.starts.size)[:, None]
    residual[sets.events] += sets.x[sets.events] - (day_mean / np.maximum(count, 1))[sets.at]
    return np.asarray(residual * sets.weights[:, None], dtype=np.float64)


def separates(sets: RiskSets, direction: FloatArray) -> bool:
    """Whether every event has the largest value along the direction in its risk set, so that the likelihood rises."""
    along = sets.x @ direction
    slack = 1e-4 * np.ptp(along)
    if sets.first is not None:
        first, group = sets.first, sets.group
        return all(
            along[row] >= along[(first <= group[row]) & (group >= group[row]) & _same(sets, row)].max() - slack
            for row in sets.events
        )
    highest = np.maximum.reduceat(along, sets.starts)[::-1]
    step = (np.cumsum(_closes(sets.opens)) - 1) * (np.ptp(along) + 1.0)  # a later stratum starts above all earlier ones
    at_risk = (np.maximum.accumulate(highest + step) - step)[::-1]
    return bool((along[sets.events] >= at_risk[sets.at] - slack).all())


def _same(sets: RiskSets, row: int) -> BoolArray:
    """Rows (n,) of the stratum of one row."""
    number = np.cumsum(sets.opens)[sets.group]
    return np.asarray(number == number[row])


def _closes(opens: BoolArray) -> BoolArray:
    """From the last day back: where each stratum begins."""
    return np.concatenate([[True], opens[:0:-1]], dtype=np.bool_)


def running_totals(values: FloatArray, first: BoolArray) -> FloatArray:
    """Running sums of the rows of values (k, m), from 0 wherever ``first`` (k,) is true."""
    out = np.array(values, dtype=np.float64, order="C")
    _run()(out, first)
    return out


@cache
def _run() -> Callable[..., Any]:
    return compiled(run_on)


def run_on(values: FloatArray, first: BoolArray) -> None:
    """Add to each row of values (k, m) the row before it, unless it is the first of its stratum."""
    for i in range(1, values.shape[0]):
        if not first[i]:
            for j in range(values.shape[1]):
                values[i, j] += values[i - 1, j]
