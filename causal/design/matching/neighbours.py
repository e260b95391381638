"""Comparisons in order of (block, score, row), so that the nearest one stands beside a treated occasion's own score.

A block holds comparisons that share the exact key and a period. Two devices keep searches among them short:

- A comparison open only along part of a line (a calendar window, a time at risk, a caliper on another variable) stands
  once: on the level whose periods are just longer than that part, in the period where it begins. Those open at a point
  lie, on each level, in that point's period or the one before, and are about a quarter or more of what stands there.
- Preferred keys are listed for each combination that may agree: the nearest comparison of the same clinician is the
  nearest in the clinician's list, however far away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.matching.packed_sort import sort_entries
from causal.design.matching.pairing import Pairing

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

LISTED_PREFERENCES = 3
"""Preferred keys with lists of their own; further ones are weighed comparison by comparison."""
SLACK = 1e-6
"""Relative excess of a period over its nominal length, so that rounding never carries an interval past two periods."""


class Neighbours(NamedTuple):
    """Comparisons ready to be searched by n1 treated occasions: m of them, each once in each of s lists.

    Attributes
    ----------
    score, row
        (s m,) in order of (list, block, score, row). The first m are list 0 and number the comparisons: their slots.
    run_begin, run_end
        (s m,) first position of the run of equal scores in the block, and first after it; (0,) if no two are equal.
    place
        (s, n) position of each row in each list; (1, 0) for one list, where position and slot are the same.
    start
        (b + 1,) position where each block begins.
    key
        (s, n1) first block of each treated occasion's key in each list; (1, 0) where there is one key.
    floor
        (s,) least that preferences add to the distance of comparisons that stand in no better list.
    at
        (n1,) where on the line each treated occasion stands; (0,) where there is none.
    origin, frequency, offset
        Where the line begins; (l,) periods per unit on each level; (l,) the level's first block within a key.
    gap
        No admissible comparison's score is nearer than this (a negative caliper on the score itself).
    """

    score: FloatArray
    row: ShortArray
    run_begin: ShortArray
    run_end: ShortArray
    place: ShortArray
    start: IntArray
    key: IntArray
    floor: FloatArray
    at: FloatArray
    origin: float
    frequency: FloatArray
    offset: IntArray
    gap: float


class Line(NamedTuple):
    """A variable (n,) and where along it each comparison is open, both ends inclusive (n,), (n,)."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


def list_neighbours(score: FloatArray, treated: BoolArray, cases: IntArray, pairing: Pairing) -> Neighbours:
    """The comparisons among n rows in lists that the treated rows `cases` (n1,), in this order, can search.

    The lists narrow a search and never decide: what they offer may be inadmissible, what they leave out always is.
    """
    n = score.size
    key, n_keys, floor = _keys(pairing, n)
    block, n_blocks, line = key, n_keys, narrowest_line(pairing, treated)
    at, origin, frequency, offset = np.zeros(0), 0.0, np.zeros(0), np.zeros(0, dtype=np.int64)
    if line is not None:
        at = line.value[cases]
        origin = float(at.min())
        frequency, offset, period, n_periods = _periods(line, at, ~treated, most=max(2 * n // n_keys, 1))
        key = key * n_periods if key.shape[1] else np.zeros((1, n), dtype=np.int64)
        block, n_blocks = np.where(period >= 0, key + period, -1), n_keys * n_periods
    entries = sort_entries(score, ~treated, block, n_blocks)
    kernels = _compiled()
    begin, end = kernels.runs(entries.score, entries.start) if entries.tied else (entries.row[:0], entries.row[:0])
    return Neighbours(
        score=entries.score,
        row=entries.row,
        run_begin=begin,
        run_end=end,
        place=kernels.places(entries.row, floor.size, n if floor.size > 1 else 0),
        start=entries.start,
        key=np.ascontiguousarray(key[:, cases]) if key.shape[1] else key,
        floor=floor,
        at=at,
        origin=origin,
        frequency=frequency,
        offset=offset,
        gap=_gap(score, pairing),
    )


def dense(codes: IntArray) -> tuple[IntArray, int]:
    """The same codes (n,) counted from 0, and a number above the largest, never much more than n."""
    low, high = int(codes.min()), int(codes.max())
    if high - low <= 2 * codes.size:
        return codes - low, high - low + 1
    from pandas import factorize

    numbered, values = factorize(codes)
    return numbered.astype(np.int64), len(values)


def _keys(pairing: Pairing, n: int) -> tuple[IntArray, int, FloatArray]:
    """Key of every row in every list (s, n), how many keys there are, and what each list's preferences add (s,).

    A list's key joins the exact key with the preferred keys that agree there; list 0 asks for all of them.
    """
    listed = 0 if pairing.penalty is None else min(pairing.penalty.size, LISTED_PREFERENCES)
    if listed == 0 and pairing.exact is None:
        return np.zeros((1, 0), dtype=np.int64), 1, np.zeros(1)
    keys, floor, n_keys = [], [], 0
    for chosen in reversed(range(2**listed)):
        key, size = (np.zeros(n, dtype=np.int64), 1) if pairing.exact is None else dense(pairing.exact)
        added = 0.0
        for p in range(listed):
            assert pairing.prefer is not None
            assert pairing.penalty is not None
            if chosen >> p & 1:
                code, levels = dense(pairing.prefer[:, p])
                key, size = dense(key * levels + code)
            else:
                added += float(pairing.penalty[p])
        keys.append(key + n_keys)
        floor.append(added)
        n_keys += size
    return np.stack(keys), n_keys, np.array(floor)


def _lines(pairing: Pairing) -> Iterator[Line]:
    """The lines along which rules open comparisons: calendar time, and every caliper's variable."""
    if pairing.time is not None and (pairing.window is not None or pairing.at_risk is not None):
        low, high = np.full(pairing.time.size, -np.inf), np.full(pairing.time.size, np.inf)
        if pairing.at_risk is not None:
            low, high = pairing.at_risk[:, 0], pairing.at_risk[:, 1]
        if pairing.window is not None:
            around = _around(pairing.time, pairing.window)
            low, high = np.maximum(low, around.low), np.minimum(high, around.high)
        yield Line(np.asarray(pairing.time, dtype=np.float64), low, high)
    if pairing.calipers is not None and pairing.widths is not None:
        for c in np.flatnonzero(pairing.widths > 0):
            yield _around(np.asarray(pairing.calipers[:, c], dtype=np.float64), float(pairing.widths[c]))


def _around(at: FloatArray, width: float) -> Line:
    """Where values lie within a width of each other, a hair more than rounding could add."""
    wide = width + 4 * float(np.spacing(np.abs(at).max() + min(width, 1e300)))
    return Line(at, at - wide, at + wide)


def narrowest_line(pairing: Pairing, treated: BoolArray) -> Line | None:
    """The line along which comparisons are open least; None where they are open along most of each."""
    best, least = None, 0.5
    for line in _lines(pairing):
        first, last = line.value[treated].min(), line.value[treated].max()
        low, high = line.low[~treated], line.high[~treated]
        if last > first:
            share = float(np.clip(np.minimum(high, last) - np.maximum(low, first), 0, None).mean() / (last - first))
        else:
            share = float(((low <= first) & (high >= first)).mean())
        if share < least:
            best, least = line, share
    return best


def _gap(score: FloatArray, pairing: Pairing) -> float:
    """How near no admissible score is, a hair less than rounding could take away; 0 where closeness is allowed."""
    if pairing.calipers is None or pairing.widths is None:
        return 0.0
    forbidden = [
        -float(width)
        for x, width in zip(pairing.calipers.T, pairing.widths, strict=True)
        if width < 0 and np.array_equal(x, score)
    ]
    return max(max(forbidden, default=0.0) * (1 - 1e-9) - 4 * float(np.spacing(np.abs(score).max())), 0.0)


def _periods(
    line: Line, at: FloatArray, comparison: BoolArray, *, most: int
) -> tuple[FloatArray, IntArray, IntArray, int]:
    """Levels of periods: periods per unit (l,), first period (l,), period of each row (n,), -1 for none, how many.

    There are at most about `most` periods, so that the table of blocks never outgrows the rows.
    """
    first, last = at.min(), at.max()
    rows = np.flatnonzero(comparison & (line.high >= first) & (line.low <= last) & (line.low <= line.high))
    period = np.full(comparison.size, -1, dtype=np.int64)
    if rows.size == 0:
        return np.ones(1), np.zeros(1, dtype=np.int64), period, 2
    begin = np.maximum(line.low[rows], first)
    span = np.minimum(line.high[rows] - line.low[rows], last - first)
    finest = max(4 * (last - first) / most, 1e-300)
    longest = max(float(span.max()), finest)
    levels = int(np.log2(longest / max(float(span.min()), finest)))
    length = longest * 0.5 ** np.arange(levels, -1, -1)
    level = np.searchsorted(length, span)
    occupied, level = np.unique(level, return_inverse=True)
    frequency = 1 / (length[occupied] * (1 + SLACK))
    offset = np.concatenate([[0], np.cumsum(np.floor((last - first) * frequency).astype(np.int64) + 2)])
    period[rows] = offset[level] + np.floor((begin - first) * frequency[level]).astype(np.int64) + 1
    return frequency, offset[:-1], period, int(offset[-1])


class _Kernels(NamedTuple):
    runs: Callable[..., tuple[ShortArray, ShortArray]]
    places: Callable[..., ShortArray]


@cache
def _compiled() -> _Kernels:
    return _Kernels(compiled(_runs), compiled(_places))


def _runs(score: FloatArray, start: IntArray) -> tuple[ShortArray, ShortArray]:
    """First position, and first position after, of the run of equal scores in its block at each position."""
    begin, end = np.empty(score.size, dtype=np.int32), np.empty(score.size, dtype=np.int32)
    for b in range(start.size - 1):
        first = start[b]
        for p in range(start[b], start[b + 1]):
            if score[p] != score[first]:
                end[first:p] = p
                first = p
            begin[p] = first
        end[first : start[b + 1]] = start[b + 1]
    return begin, end


def _places(row: ShortArray, lists: int, n: int) -> ShortArray:
    """Position of each row in each list (lists, n), -1 for rows in none; (1, 0) where n is 0."""
    place = np.full((lists if n else 1, n), -1, dtype=np.int32)
    m = row.size // lists
    for s in range(lists if n else 0):
        for p in range(s * m, (s + 1) * m):
            place[s, row[p]] = p
    return place
