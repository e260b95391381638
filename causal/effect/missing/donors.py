"""Predictive mean matching's search: a donor for each recipient, drawn evenly from the nearest."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.numeric.grid import SCORE, whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FARTHEST = 1e3  # standard deviations: predicted means beyond are told as that far


def nearest_donors(given: FloatArray, wanted: FloatArray, chance: FloatArray, k: int) -> IntArray:
    """Index of a donor for each recipient, drawn evenly from those no farther than the k-th nearest.

    Parameters
    ----------
    given, wanted
        (M, d) and (M, r) predicted means of donors and recipients, in standard deviations; d is k or more. They are
        told to a grid (`SCORE`), in whole steps of which donors at equal distance are equally near.
    chance
        (M, r) uniform random numbers that choose.

    >>> given, wanted = np.array([[0.0, 1.0, 5.0, 6.0]]), np.array([[5.2, 0.4]])
    >>> nearest_donors(given, wanted, np.array([[0.0, 0.9]]), 2).tolist()
    [[2, 1]]
    """
    donors, places = (whole(np.clip(means, -FARTHEST, FARTHEST), SCORE).astype(np.int64) for means in (given, wanted))
    d = donors.shape[1]
    donors *= d
    donors += np.arange(d)  # sorted by mean, ties by place: faster than a stable order
    donors.sort(axis=1)
    line = donors // d
    low, high = np.empty_like(places), np.empty_like(places)
    _within_reach()(line, places, k, low, high)
    chosen = low + (chance * (high - low)).astype(np.int64)
    return np.asarray(np.take_along_axis(donors, chosen, axis=1) % d, dtype=np.int64)


@cache
def _within_reach() -> Callable[..., Any]:
    return compiled(within_reach)


def within_reach(line: IntArray, places: IntArray, k: int, low: IntArray, high: IntArray) -> None:
    """Into low and high (M, r): the part of each rising line (M, d) no farther from a place than its k-th nearest."""
    d = line.shape[1]
    for m in range(line.shape[0]):
        for i in range(places.shape[1]):
            place = places[m, i]
            after = np.searchsorted(line[m], place)
            before, reach = after - 1, 0
            for _ in range(k):
                if before < 0 or (after < d and line[m, after] - place < place - line[m, before]):
                    reach = line[m, after] - place
                    after += 1
                else:
                    reach = place - line[m, before]
                    before -= 1
            # Others at the same distance count; where there may be many they are not passed one by one.
            if before >= 0 and place - line[m, before] <= reach:
                before = np.searchsorted(line[m], place - reach) - 1
            if after < d and line[m, after] - place <= reach:
                after = np.searchsorted(line[m], place + reach, side="right")
            low[m, i], high[m, i] = before + 1, after
