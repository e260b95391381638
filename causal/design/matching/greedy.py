"""Greedy nearest-neighbour matching on a score.

Treated occasions choose one after the other, or the closest pair anywhere is taken first; each choice is final. The
comparisons are sorted once (`neighbours`), and used ones are stepped over in near-constant time (`nearest`), so that a
match without further rules costs less than an argsort of the scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.matching.nearest import (
    Free,
    before,
    choose_in_turn,
    first_free,
    nearest,
    position,
    rings,
    seek,
    settle,
    take,
)
from causal.design.matching.neighbours import LISTED_PREFERENCES, Neighbours, list_neighbours
from causal.design.matching.packed_sort import sort_entries
from causal.design.matching.pairing import (
    PairArrays,
    Pairing,
    admissible,
    nothing_matched,
    refuse_arms,
    reluctance,
)
from causal.design.matching.sets import MatchedSets, sets_from_choices
from causal.design.matching.steps import in_steps
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
Order = Literal["highest", "lowest", "closest", "data", "random"]

NO_RULES = Pairing()


def match_greedy(
    score: FloatArray,
    treated: BoolArray,
    *,
    ratio: int = 1,
    ratios: IntArray | None = None,
    caliper: float | None = None,
    pairing: Pairing = NO_RULES,
    order: Order = "highest",
    replacement: bool = False,
    most_uses: int | None = None,
    rng: np.random.Generator | None = None,
    memory: float = MEMORY,
) -> MatchedSets:
    """Give each treated occasion its nearest comparison still free, in rounds.

    The nearest comparison is the admissible one with the smallest ``abs(score difference)`` plus the penalties of
    preferences, ties by row. With ``ratio > 1`` round r gives its r-th comparison to every treated occasion that got
    one in round r - 1: all have a first before any has a second. Rows must arrive in a canonical order that does not
    depend on the file or on patient ids; the tie rule then makes the match reproducible.

    Parameters
    ----------
    score
        (n,) finite: the propensity score or its logit.
    treated
        (n,) true for treated occasions.
    ratio
        Most comparisons a treated occasion may get, from 1 to the number of comparisons.
    ratios
        (n1,) the same for each treated occasion in row order, instead of `ratio` (see `ratio_by_score`).
    caliper
        Largest difference of scores allowed, in the score's own units (see `caliper_width`), inclusive; None for no
        limit.
    pairing
        Rules on pairs, all of them honoured.
    order
        Who chooses first: the ``highest`` or the ``lowest`` score, ties by row; the earlier row (``data``); a
        permutation drawn from `rng` over the treated rows (``random``); or, in each round, the ``closest`` pair left,
        by distance with penalties, ties by treated row and then comparison row.
    replacement, most_uses
        Whether a comparison may serve in several sets, and in how many at most (None: no limit), all rows that count as
        one (`Pairing.once`) together. Never twice in one.
    rng
        Draws the order ``random``; no other order uses it.
    memory
        Gigabytes allowed.

    Raises
    ------
    DesignError
        ``design.nothing_matched``, ``design.no_treated``, ``design.no_comparison``, ``design.ratio``,
        ``design.caliper``, ``design.not_finite``, ``design.most_uses``, ``design.memory``.

    Notes
    -----
    Rosenbaum & Rubin (1985), Am Stat 39:33-38; Austin (2014), Stat Med 33:1057-1069.

    >>> logit = np.array([0.9, 0.1, 0.2, 0.8, 0.5])
    >>> sets = match_greedy(logit, np.array([True, True, False, False, False]))
    >>> sets.row.tolist(), sets.set_id.tolist(), sets.weight.tolist()
    ([0, 3, 1, 2], [0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0])
    """
    score = np.ascontiguousarray(score, dtype=np.float64)
    treated = np.ascontiguousarray(treated, dtype=np.bool_)
    _refuse_lengths(score, treated, pairing)
    refuse_arms(treated)
    _refuse_score(score, caliper)
    by_row = np.flatnonzero(treated)
    limits = _limits(by_row.size, score.size - by_row.size, ratio, ratios)
    most, k = _most_uses(most_uses, replacement=replacement), int(limits.max())
    _require_memory(score.size, by_row.size, k, pairing, memory)
    counted = in_steps(score[:, None], caliper, pairing)
    place, rule = counted.coordinates[:, 0], counted.pairing
    coming, rank = _coming(place[by_row], order, rng)
    cases = by_row[coming]
    near = list_neighbours(place, treated, cases, rule)
    slots = np.full((cases.size, k), -1, dtype=np.int32)
    if near.row.size:
        rules = None if rule.only_exact else _rules(rule, cases, near)
        kin = _kin(rule, near)
        search = (near, _all_free(near, kin), rules, place[cases], limits[coming], counted.caliper, most, slots)
        if order in {"highest", "lowest"}:
            _choose_in_turn(*search)
        else:
            _settle(*search, rank=rank, closest=order == "closest")
    if not (slots[:, 0] >= 0).any():
        raise nothing_matched()
    chosen = np.empty(slots.shape, dtype=np.int64)
    chosen[coming] = np.where(slots >= 0, near.row[slots], -1)
    return sets_from_choices(by_row, chosen, np.abs(score[chosen] - score[by_row][:, None]), caliper=caliper)


def ratio_by_score(
    score: FloatArray, treated: BoolArray, *, mean: float, least: int = 1, most: int | None = None
) -> IntArray:
    """Comparisons for each treated occasion (n1,), in row order: most where comparisons abound, fewest elsewhere.

    Extremal matching: `least` for the treated farthest into their own end of the score, `most` for those nearest the
    comparisons' end, and one in between, so that they add up to ``round(mean * n1)`` as a fixed ratio would. Which end
    is whose is decided by the arms' mean scores; ties by row.

    Parameters
    ----------
    score, treated
        (n,) score and arm.
    mean
        Comparisons per treated occasion overall, between `least` and `most`, at most n0/n1.
    least, most
        Fewest, 1 or more, and most for one occasion; None for all that `mean` allows.

    Raises
    ------
    DesignError
        ``design.ratio``, ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``.

    Notes
    -----
    Ming & Rosenbaum (2000), Biometrics 56:118-124, p. 119; MatchIt's ``min.controls`` and ``max.controls``.

    >>> logit = np.array([2.0, 1.0, 0.0, -1.0, -2.0, -2.0, -2.0, -2.0, -2.0])
    >>> ratio_by_score(logit, logit > -0.5, mean=5 / 3, most=3).tolist()
    [1, 1, 3]
    """
    score, treated = np.asarray(score, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    refuse_arms(treated)
    _refuse_score(score, None)
    n1, total = int(treated.sum()), round(mean * int(treated.sum()))
    most = total if most is None else most
    if not 1 <= least <= mean <= most or total > score.size - n1:
        raise DesignError(
            "design.ratio",
            f"{n1} treated occasions cannot have {mean:g} comparisons on average, from {least} to {most} each, "
            f"out of {score.size - n1}",
            fix="a mean between the least and the most, and no more than the comparisons allow",
        )
    own_end = -score[treated] if score[treated].mean() > score[~treated].mean() else score[treated]
    full, rest = divmod(total - least * n1, max(most - least, 1))
    ratios = np.full(n1, least)
    by_distance = np.argsort(own_end, kind="stable")
    ratios[by_distance[n1 - full :]] = most
    if rest:
        ratios[by_distance[n1 - full - 1]] += rest
    return ratios


def _refuse_lengths(score: FloatArray, treated: BoolArray, pairing: Pairing) -> None:
    by_row = (getattr(pairing, f.name) for f in fields(pairing) if f.name not in {"widths", "window", "penalty"})
    if any(len(values) != score.size for values in (treated, *by_row) if values is not None):
        raise ValueError("score, arm and rules need the same number of rows")


def _refuse_score(score: FloatArray, caliper: float | None) -> None:
    if caliper is not None and not caliper > 0:
        raise DesignError("design.caliper", f"the caliper must be above 0, got {caliper:g}")
    if not np.isfinite(float(score.max()) - float(score.min())):
        raise DesignError("design.not_finite", "the score of some occasion is missing or infinite")


def _limits(n1: int, n0: int, ratio: int, ratios: IntArray | None) -> IntArray:
    """Most comparisons for each treated occasion (n1,)."""
    if ratios is None:
        limits = np.full(n1, ratio, dtype=np.int64)
    else:
        limits = np.asarray(ratios, dtype=np.int64)
        if ratio != 1 or limits.shape != (n1,):
            raise ValueError("ratios hold one number for each treated occasion, and take the place of the ratio")
    least, most = int(limits.min()), int(limits.max())
    if not 1 <= least <= most <= n0:
        got = f"{least}" if least == most else f"{least} to {most}"
        raise DesignError("design.ratio", f"the ratio must be from 1 to the {n0} comparison occasions, got {got}")
    return limits


def _most_uses(most_uses: int | None, *, replacement: bool) -> int:
    """How often a comparison may be used, 0 for any number of times."""
    if most_uses is not None and (most_uses < 1 or (most_uses > 1 and not replacement)):
        raise DesignError(
            "design.most_uses",
            f"a comparison cannot be used up to {most_uses} times {'with' if replacement else 'without'} replacement",
            fix="1 or more with replacement, 1 or none without",
        )
    return (most_uses or 0) if replacement else 1


def _require_memory(n: int, n1: int, k: int, pairing: Pairing, memory: float) -> None:
    lists = 2 ** (0 if pairing.penalty is None else min(pairing.penalty.size, LISTED_PREFERENCES))
    columns = sum(a.shape[1] for a in (pairing.differ, pairing.calipers, pairing.prefer) if a is not None)
    rules = 0 if pairing.only_exact else 80 + 16 * columns
    needed = n * (24.0 + 36.0 * lists + rules) + 64.0 * n1 * k
    require_memory(
        needed if n * lists < 2**31 else np.inf,  # positions are 32-bit integers
        limit=memory,
        work=f"matching {n1:,} treated to up to {k:,} of {n - n1:,} comparison occasions",
        instead="a smaller ratio, or more memory",
    )


def _all_free(near: Neighbours, kin: ShortArray) -> Free:
    """Every comparison unused."""
    positions = np.arange(near.row.size + 1, dtype=np.int32)
    uses = np.zeros(near.row.size // near.floor.size, dtype=np.int32)
    return Free(positions, positions.copy(), uses, near.start[:-1].copy(), kin)


def _kin(pairing: Pairing, near: Neighbours) -> ShortArray:
    """Which slots count as one (`Free.kin`)."""
    slots = near.row[: near.row.size // near.floor.size]
    return np.empty(0, dtype=np.int32) if pairing.once is None else rings(pairing.once[slots])


def _rules(pairing: Pairing, cases: IntArray, near: Neighbours) -> PairArrays:
    """The rules for the treated occasions and, after them, the comparisons by slot: neighbours stand side by side."""
    slots = near.row[: near.row.size // near.floor.size]
    return pairing.rows(np.concatenate([cases, slots])).arrays(cases.size + slots.size)


def _coming(score: FloatArray, order: Order, rng: np.random.Generator | None) -> tuple[IntArray, IntArray]:
    """The treated in the order in which they are looked at (n1,), and the rank of each in choosing (n1,).

    All but the highest first are looked at from the lowest score, whoever chooses: neighbours then lie close together.
    """
    coming = _ascending(-score if order == "highest" else score)
    if order != "random":
        return coming, coming
    if rng is None:
        raise ValueError("a random order needs rng")
    rank = np.empty(score.size, dtype=np.int64)
    rank[rng.permutation(score.size)] = np.arange(score.size)
    return coming, rank[coming]


def _ascending(values: FloatArray) -> IntArray:
    """Order that sorts finite values, ties by position."""
    everyone, one_block = np.ones(values.size, dtype=np.bool_), np.zeros((1, 0), dtype=np.int64)
    return sort_entries(values, everyone, one_block, 1).row.astype(np.int64)


def _choose_in_turn(
    near: Neighbours,
    free: Free,
    rules: PairArrays | None,
    value: FloatArray,
    limits: IntArray,
    caliper: float,
    most: int,
    chosen: ShortArray,
) -> None:
    """Fill `chosen` (n1, k) with slots, round by round, everyone choosing as they come."""
    _loops().choose_in_turn(near, free, rules, value, limits, caliper, most, chosen)


def _settle(
    near: Neighbours,
    free: Free,
    rules: PairArrays | None,
    value: FloatArray,
    limits: IntArray,
    caliper: float,
    most: int,
    chosen: ShortArray,
    *,
    rank: IntArray,
    closest: bool,
) -> None:
    """Fill `chosen` (n1, k) with slots, round by round: all look first, then choose by rank or the closest first."""
    loops = _loops()
    for turn in range(chosen.shape[1]):
        distance = np.empty(value.size)
        loops.seek(near, free, rules, value, limits, caliper, turn, chosen, distance)
        found = np.flatnonzero(chosen[:, turn] >= 0)
        if found.size == 0:
            break
        queue = found[np.argsort(rank[found])]
        if closest:
            finite = np.minimum(distance[queue], np.finfo(np.float64).max)  # a penalty may be infinite
            queue = queue[_ascending(finite)]
        loops.settle(near, free, rules, value, caliper, most, turn, closest, queue, rank, chosen, distance)


class _Loops(NamedTuple):
    choose_in_turn: Callable[..., None]
    seek: Callable[..., None]
    settle: Callable[..., None]


@cache
def _loops() -> _Loops:
    search = (nearest, position, first_free, admissible, reluctance)
    return _Loops(
        compiled(choose_in_turn, take, *search),
        compiled(seek, *search),
        compiled(settle, before, take, *search),
    )
