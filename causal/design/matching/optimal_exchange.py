"""Nobody twice in a set at no cost: comparisons exchanged between sets, or for unused ones, at the same total.

Optima are seldom unique: on a score two treated occasions that lie on one side of their comparisons may exchange them
and the total stays. So where an optimum that was found without regard to persons has somebody in a set twice, an
exchange often gives another optimum that has not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import distance
from causal.design.matching.compiled import compiled
from causal.design.matching.pairing import PairArrays, admissible, reluctance
from causal.design.matching.steps import Counted

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def kept_apart(steps: Counted, treated: BoolArray, cases: IntArray, given: IntArray) -> IntArray | None:
    """Sets of the same total in which nobody stands twice; None where exchanges between two sets do not lead there.

    Parameters
    ----------
    steps
        (n, q) coordinates, caliper and rules in whole steps, so that equal totals are equal.
    treated
        (n,) arm.
    cases, given
        (n1,) treated rows and (n1, k) rows of their comparisons, -1 for none. All rules but that on persons are kept.

    Returns
    -------
    (n1, k) rows of the comparisons. Sets are mended in their order, each by the first place that serves: of a set, in
    its order, then of the unused comparisons.

    >>> from causal.design.matching.pairing import Pairing
    >>> place, person = np.array([[9.0], [8.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 2, 2, 3])
    >>> steps = Counted(place, np.inf, Pairing(person=person))
    >>> kept_apart(steps, np.arange(5) < 2, np.array([0, 1]), np.array([[2, 3], [4, -1]])).tolist()
    [[4, 3], [2, -1]]
    """
    exchanged = given.copy()
    unused = ~treated
    unused[given[given >= 0]] = False
    rules = steps.pairing.arrays(treated.size)
    done = _kernel()(steps.coordinates, rules, cases, exchanged, np.flatnonzero(unused), steps.caliper)
    return exchanged if done else None


@cache
def _kernel() -> Callable[..., bool]:
    return compiled(_exchange, _mended, _clashes, _fits, _cost, admissible, reluctance, distance)


def _exchange(
    z: FloatArray,
    rules: PairArrays,
    cases: IntArray,
    given: IntArray,
    unused: IntArray,
    caliper: float,
) -> bool:
    """Mend every place that holds somebody who stands in the set already; whether all could be."""
    for a in range(cases.size):
        for s in range(given.shape[1]):
            clash = given[a, s] >= 0 and _clashes(rules, cases, given, a, s, given[a, s])
            if clash and not _mended(z, rules, cases, given, unused, caliper, a, s):
                return False
    return True


def _mended(
    z: FloatArray, rules: PairArrays, cases: IntArray, given: IntArray, unused: IntArray, caliper: float,
    a: int, s: int,
) -> bool:  # fmt: skip
    """Put somebody else into place s of set a at the same total; whether there is a way."""
    j = given[a, s]
    here = _cost(z, rules, cases[a], j)
    for b in range(cases.size):
        for t in range(given.shape[1]):
            k = given[b, t]
            if b == a or k < 0:
                continue
            more = _cost(z, rules, cases[a], k) + _cost(z, rules, cases[b], j) - here - _cost(z, rules, cases[b], k)
            if more != 0 or _clashes(rules, cases, given, a, s, k) or _clashes(rules, cases, given, b, t, j):
                continue
            if _fits(z, rules, cases[a], k, caliper) and _fits(z, rules, cases[b], j, caliper):
                given[a, s], given[b, t] = k, j
                return True
    for u in range(unused.size):
        k = unused[u]
        if _cost(z, rules, cases[a], k) != here or _clashes(rules, cases, given, a, s, k):
            continue
        if _fits(z, rules, cases[a], k, caliper):
            given[a, s], unused[u] = k, j
            return True
    return False


def _clashes(rules: PairArrays, cases: IntArray, given: IntArray, a: int, s: int, j: int) -> bool:
    """Whether the person of row j stands in set a, its place s left aside."""
    if rules.person[j] == rules.person[cases[a]]:
        return True
    for t in range(given.shape[1]):
        if t != s and given[a, t] >= 0 and rules.person[given[a, t]] == rules.person[j]:
            return True
    return False


def _fits(z: FloatArray, rules: PairArrays, i: int, j: int, caliper: float) -> bool:
    """Whether rows i and j are a pair that the rules and the caliper admit."""
    return distance(z, i, j) <= caliper and admissible(rules, i, j)


def _cost(z: FloatArray, rules: PairArrays, i: int, j: int) -> float:
    """Distance and penalties of rows i and j."""
    return distance(z, i, j) + reluctance(rules, i, j)
