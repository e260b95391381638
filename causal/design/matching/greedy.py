"""Greedy nearest-neighbour matching on the logit of the propensity score, without replacement.

Comparisons are sorted once by (exact stratum, period, score, row). Each treated occasion looks outwards from its own
score and steps over used comparisons in near-constant time (disjoint sets with path halving), so the whole match costs
little more than the sort. A calendar window is served by cutting time into periods one window long: the comparisons
within the window lie in the treated occasion's period or a neighbouring one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.matching.sets import MatchedSets, sets_from_choices
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def match_greedy(
    logit: FloatArray,
    treated: BoolArray,
    *,
    ratio: int = 1,
    caliper: float | None = None,
    exact: IntArray | None = None,
    time_days: FloatArray | None = None,
    window_days: float | None = None,
    person: IntArray | None = None,
    order: Literal["highest", "lowest"] = "highest",
) -> MatchedSets:
    """Give each treated occasion its nearest unused comparison, in rounds.

    Treated occasions choose in order of logit (``order``), ties by row. The nearest comparison is the one with the
    smallest ``abs(logit difference)``, ties by row. With ``ratio > 1`` round r gives its r-th comparison to every
    treated occasion that got one in round r - 1: all have a first before any has a second. Rows must arrive in a
    canonical order that does not depend on the file or on patient ids; the tie rule then makes the match reproducible.

    Parameters
    ----------
    logit
        (n,) log odds of treatment, finite.
    treated
        (n,) true for treated occasions.
    ratio
        Most comparisons a treated occasion may get, 1 or more.
    caliper
        Largest difference allowed, in logit units (see `caliper_width`), inclusive; None for no limit.
    exact
        (n,) stratum codes that must be equal within a set.
    time_days, window_days
        (n,) time zero in days and the largest difference allowed between a treated occasion and its comparison,
        inclusive. Given together or not at all.
    person
        (n,) codes of persons: nobody appears twice in one set.
    order
        Whether the highest or the lowest logit chooses first.

    Raises
    ------
    DesignError
        ``design.nothing_matched``, ``design.no_treated``, ``design.no_comparison``, ``design.ratio``,
        ``design.caliper``, ``design.window``, ``design.not_finite``.

    Notes
    -----
    Rosenbaum & Rubin (1985), Am Stat 39:33-38; Austin (2014), Stat Med 33:1057-1069.

    >>> logit = np.array([0.9, 0.1, 0.2, 0.8, 0.5])
    >>> sets = match_greedy(logit, np.array([True, True, False, False, False]))
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.weight.tolist()
    ([0, 3, 1, 2], [0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0])
    """
    score = np.asarray(logit, dtype=np.float64)
    case = np.asarray(treated, dtype=np.bool_)
    _refuse_arguments(score, case, ratio=ratio, caliper=caliper, time_days=time_days, window_days=window_days)
    n = score.size
    window = np.inf if window_days is None else float(window_days)
    days = np.zeros(n) if time_days is None else np.asarray(time_days, dtype=np.float64)
    people = np.arange(n) if person is None else np.asarray(person, dtype=np.int64)
    block, neighbours = _blocks(n, exact, days, window)

    cases = np.flatnonzero(case)
    cases = cases[_ascending(-score[cases] if order == "highest" else score[cases])]
    pool = np.flatnonzero(~case)
    pool = pool[_ascending(score[pool]) if block.max() == 0 else np.lexsort((score[pool], block[pool]))]
    wanted = block[cases, None] + neighbours
    chosen = _compiled()(
        score[cases], days[cases], people[cases],
        np.searchsorted(block[pool], wanted, side="left"), np.searchsorted(block[pool], wanted, side="right"),
        score[pool], days[pool], people[pool], pool, *_tie_groups(score[pool], block[pool]),
        ratio, np.inf if caliper is None else float(caliper), window,
    )  # fmt: skip
    if not (chosen >= 0).any():
        raise DesignError(
            "design.nothing_matched",
            "no treated occasion has an eligible comparison within the caliper, strata and window",
            fix="widen the caliper or the window, or match exactly on fewer variables",
        )
    given = np.where(chosen >= 0, pool[chosen], -1)
    return sets_from_choices(cases, given, np.abs(score[given] - score[cases][:, None]), caliper=caliper)


def _refuse_arguments(
    score: FloatArray,
    case: BoolArray,
    *,
    ratio: int,
    caliper: float | None,
    time_days: FloatArray | None,
    window_days: float | None,
) -> None:
    if ratio < 1:
        raise DesignError("design.ratio", f"the ratio must be 1 or more, got {ratio}")
    if caliper is not None and not caliper > 0:
        raise DesignError("design.caliper", f"the caliper must be above 0, got {caliper:g}")
    if (time_days is None) != (window_days is None):
        raise ValueError("time_days and window_days are given together or not at all")
    if window_days is not None and not window_days >= 0:
        raise DesignError("design.window", f"the calendar window must be 0 days or more, got {window_days:g}")
    if not np.isfinite(score).all() or (time_days is not None and not np.isfinite(time_days).all()):
        raise DesignError("design.not_finite", "the score or the time of some occasion is missing or infinite")
    if not case.any():
        raise DesignError("design.no_treated", "zero treated occasions", fix="check eligibility and the exposure")
    if case.all():
        raise DesignError("design.no_comparison", "zero comparison occasions", fix="check the comparator pool")


def _ascending(score: FloatArray) -> IntArray:
    """Order that sorts the scores, ties by position; the quick sort serves where there are none."""
    order = np.argsort(score)
    ordered = score[order]
    return order if (ordered[1:] != ordered[:-1]).all() else np.argsort(score, kind="stable")


def _blocks(n: int, exact: IntArray | None, days: FloatArray, window: float) -> tuple[IntArray, IntArray]:
    """Code of each row's (stratum, period) block (n,), and which codes beside its own a treated row must look in."""
    stratum = np.zeros(n, dtype=np.int64) if exact is None else np.unique(exact, return_inverse=True)[1]
    if np.isinf(window):
        return stratum.astype(np.int64), np.array([0])
    length = max(window, 1.0) * (1 + 1e-9)  # a hair over one window, so that rounding cannot skip a period
    period = np.floor((days - days.min()) / length).astype(np.int64) + 1
    return stratum * (period.max() + 2) + period, np.array([-1, 0, 1])  # a gap between strata keeps neighbours apart


def _tie_groups(score: FloatArray, block: IntArray) -> tuple[IntArray, IntArray]:
    """First position, and first position after, of the run of equal scores that each sorted position belongs to."""
    first = np.flatnonzero(np.r_[True, (score[1:] != score[:-1]) | (block[1:] != block[:-1])])
    length = np.diff(np.r_[first, score.size])
    return np.repeat(first, length), np.repeat(first + length, length)


@cache
def _compiled() -> Callable[..., IntArray]:
    return compiled(_choose, _first_free)


def _first_free(link: IntArray, i: int) -> int:
    """Follow links to the first free position, halving the path on the way."""
    while link[i] != i:
        link[i] = link[link[i]]
        i = link[i]
    return i


def _choose(  # noqa: PLR0912 - one loop nest, compiled as a whole
    case_score: FloatArray,
    case_days: FloatArray,
    case_person: IntArray,
    begin: IntArray,
    end: IntArray,
    score: FloatArray,
    days: FloatArray,
    person: IntArray,
    row: IntArray,
    group_begin: IntArray,
    group_end: IntArray,
    ratio: int,
    caliper: float,
    window: float,
) -> IntArray:
    """Positions in the sorted pool chosen by each case (n1, ratio), -1 where none; cases in choosing order.

    ``begin[i, b]:end[i, b]`` is the b-th block case i may look in. A run of equal scores is visited as one, from its
    earliest row, and the search in a block stops at the first run farther away than the best found so far.
    """
    n = score.size
    ahead = np.arange(n + 1)  # ahead[j]: leads to the first free position at or after j
    behind = np.arange(n + 1)  # behind[j + 1]: leads to 1 + the last free position at or before j
    chosen = np.full((case_score.size, ratio), -1, dtype=np.int64)
    for turn in range(ratio):
        for i in range(case_score.size):
            if turn > 0 and chosen[i, turn - 1] < 0:
                continue
            best, nearest = -1, caliper
            for b in range(begin.shape[1]):
                low, high = begin[i, b], end[i, b]
                if low == high:
                    continue
                start = low + np.searchsorted(score[low:high], case_score[i])
                for side in range(2):
                    j = _first_free(ahead, start) if side == 0 else _first_free(behind, start) - 1
                    while low <= j < high:
                        distance = abs(score[j] - case_score[i])
                        if distance > nearest:
                            break
                        first, stop = group_begin[j], group_end[j]
                        j = _first_free(ahead, first)
                        while j < stop:
                            allowed = abs(days[j] - case_days[i]) <= window and person[j] != case_person[i]
                            for earlier in range(turn):
                                allowed = allowed and person[j] != person[chosen[i, earlier]]
                            if allowed:
                                if best < 0 or distance < nearest or row[j] < row[best]:
                                    best, nearest = j, distance
                                break
                            j = _first_free(ahead, j + 1)
                        j = _first_free(ahead, stop) if side == 0 else _first_free(behind, first) - 1
            if best >= 0:
                chosen[i, turn] = best
                ahead[best] = best + 1
                behind[best + 1] = best
    return chosen
