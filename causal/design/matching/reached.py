"""Who can be reached from those who lack partners: over few listed pairs, then over all admissible pairs.

From the occasions that have too few links one comes, by links that would be handed on, to all who share the shortage.
`links.deficient` follows the listed pairs. `spread` goes on from there over all admissible pairs, which it does not
list: each occasion is come to once, by a tree whose boxes are passed over when nobody in them is left. Where it comes
to a free place the matching can grow; the pairs it came by are to be listed and the search repeated.

`sweep` begins: each treated occasion in turn takes the first free comparison in reach, along the sorted pool. On a
score with a caliper no matching is larger.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import Reach, distance
from causal.design.matching.compiled import compiled
from causal.design.matching.links import Side
from causal.design.matching.optimal_pricing import Market, box_gap
from causal.design.matching.pairing import admissible, reluctance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Found(NamedTuple):
    """Pairs that sweeping or spreading came by (m,): treated, comparison, cost; whether any leads to a free place."""

    case: IntArray
    comparison: IntArray
    cost: FloatArray
    free: bool


def sweep(near: Reach, *, wanted: int, room: int) -> Found:
    """Links each treated occasion, in the order of the key, to the first comparisons in reach that have room.

    Parameters
    ----------
    near
        Where each treated occasion has to look.
    wanted, room
        Most links of a treated occasion, and of a comparison.
    """
    order = np.lexsort((near.end, near.begin))
    return Found(*_sweeping()(near, order, wanted, room), free=False)


@cache
def _sweeping() -> Callable[..., tuple[IntArray, IntArray, FloatArray]]:
    return compiled(_sweep, admissible, reluctance, distance)


def _sweep(near: Reach, order: IntArray, wanted: int, room: int) -> tuple[IntArray, IntArray, FloatArray]:
    """See `sweep`; ``onward`` leads from each place to one at which or after which the next free one stands."""
    n1, n0 = near.begin.size, near.comparison.size
    onward, used = np.arange(n0 + 1), np.zeros(n0, dtype=np.int64)
    most = min(n1 * wanted, n0 * room)
    case, other, cost = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64), np.empty(most)
    found = 0
    for i in order:
        p, taken = near.begin[i], 0
        while taken < wanted:
            free = p
            while onward[free] != free:
                free = onward[free]
            while onward[p] != free:
                p, onward[p] = onward[p], free
            p = free
            if p >= near.end[i]:
                break
            if distance(near.coordinates, i, n1 + p) <= near.caliper and admissible(near.rules, i, n1 + p):
                case[found], other[found] = i, near.comparison[p]
                cost[found] = distance(near.coordinates, i, n1 + p) + reluctance(near.rules, i, n1 + p)
                found += 1
                taken += 1
                used[p] += 1
                if used[p] == room:
                    onward[p] = p + 1
            p += 1
    return case[:found], other[:found], cost[:found]


def spread(
    pairs: Market, treated: Side, comparison: Side, case_reached: BoolArray, reached: BoolArray, *, by_treated: bool
) -> Found:
    """Come from those reached to all that can be reached over any admissible pairs; both are changed in place.

    Parameters
    ----------
    pairs
        The treated occasions and their pool.
    treated, comparison
        Both sides with the links of a largest matching over listed pairs.
    case_reached, reached
        (n1,) and (n0,) who can be reached over listed pairs.
    by_treated
        Whether the treated seek, or the comparisons.
    """
    kernel = _from_treated() if by_treated else _from_comparisons()
    return Found(*kernel(pairs, treated, comparison, case_reached, reached))


@cache
def _from_treated() -> Callable[..., tuple[IntArray, IntArray, FloatArray, bool]]:
    return compiled(_spread_from_treated, _crowds, _leave, _anybody, _cost, box_gap, admissible, reluctance, distance)


@cache
def _from_comparisons() -> Callable[..., tuple[IntArray, IntArray, FloatArray, bool]]:
    return compiled(
        _spread_from_comparisons, _crowds, _leave, _anybody, _cost, box_gap, admissible, reluctance, distance
    )


def _spread_from_treated(
    pairs: Market, treated: Side, comparison: Side, case_reached: BoolArray, reached: BoolArray
) -> tuple[IntArray, IntArray, FloatArray, bool]:
    """The treated seek: whoever a reached one may have is reached, and so are the treated who would hand them on."""
    n0 = reached.size
    here, crowd = _crowds(pairs, ~reached)
    queue, stack = np.empty(case_reached.size, dtype=np.int64), np.empty(256, dtype=np.int64)
    case, other, cost = np.empty(n0, dtype=np.int64), np.empty(n0, dtype=np.int64), np.empty(n0)
    waiting, at, found, free = 0, 0, 0, False
    for i in range(case_reached.size):
        if case_reached[i]:
            queue[waiting] = i
            waiting += 1
    while at < waiting:
        i = queue[at]
        at += 1
        while True:
            p = _anybody(pairs, i, here, crowd, stack)
            if p < 0:
                break
            _leave(pairs, p, here, crowd)
            j = pairs.comparison[p]
            reached[j] = True
            case[found], other[found], cost[found] = i, j, _cost(pairs, i, p)
            found += 1
            free |= comparison.degree[j] < comparison.most[j]
            link = comparison.head[j]
            while link >= 0:
                if not case_reached[treated.end[link]]:
                    case_reached[treated.end[link]] = True
                    queue[waiting] = treated.end[link]
                    waiting += 1
                link = comparison.ahead[link]
    return case[:found], other[:found], cost[:found], free


def _spread_from_comparisons(
    pairs: Market, treated: Side, comparison: Side, case_reached: BoolArray, reached: BoolArray
) -> tuple[IntArray, IntArray, FloatArray, bool]:
    """The comparisons seek: a treated who may have a reached one is reached, and so is whom that one would hand on."""
    n1 = case_reached.size
    here, crowd = _crowds(pairs, reached)
    place = np.empty(reached.size, dtype=np.int64)
    place[pairs.comparison] = np.arange(reached.size)
    stack = np.empty(256, dtype=np.int64)
    case, other, cost = np.empty(n1, dtype=np.int64), np.empty(n1, dtype=np.int64), np.empty(n1)
    found, free, grown = 0, False, True
    while grown:
        grown = False
        for i in range(n1):
            if case_reached[i]:
                continue
            p = _anybody(pairs, i, here, crowd, stack)
            if p < 0:
                continue
            case_reached[i] = grown = True
            case[found], other[found], cost[found] = i, pairs.comparison[p], _cost(pairs, i, p)
            found += 1
            free |= treated.degree[i] < treated.most[i]
            link = treated.head[i]
            while link >= 0:
                j = comparison.end[link]
                if not reached[j]:
                    reached[j] = here[place[j]] = True
                    node = pairs.tree.leaf[place[j]]
                    while node >= 0:
                        crowd[node] += 1
                        node = pairs.tree.parent[node]
                link = treated.ahead[link]
    return case[:found], other[:found], cost[:found], free


def _crowds(pairs: Market, who: BoolArray) -> tuple[BoolArray, IntArray]:
    """Which of the tree's positions are of `who`, and how many in each node."""
    here, crowd = who[pairs.comparison], np.zeros(pairs.tree.begin.size, dtype=np.int64)
    for node in range(crowd.size - 1, -1, -1):  # children come after their parents
        if pairs.tree.child[node] < 0:
            crowd[node] = here[pairs.tree.begin[node] : pairs.tree.end[node]].sum()
        if pairs.tree.parent[node] >= 0:
            crowd[pairs.tree.parent[node]] += crowd[node]
    return here, crowd


def _leave(pairs: Market, p: int, here: BoolArray, crowd: IntArray) -> None:
    """Take position p out of the crowd."""
    here[p] = False
    node = pairs.tree.leaf[p]
    while node >= 0:
        crowd[node] -= 1
        node = pairs.tree.parent[node]


def _anybody(pairs: Market, i: int, here: BoolArray, crowd: IntArray, stack: IntArray) -> int:
    """A position of the crowd whom treated i may have; -1 for none."""
    waiting, n1 = 0, pairs.root.size
    if pairs.root[i] >= 0:
        stack[0], waiting = pairs.root[i], 1
    while waiting > 0:
        waiting -= 1
        node = stack[waiting]
        nearest = box_gap(pairs, i, node) if crowd[node] > 0 else np.inf
        if nearest > pairs.caliper or nearest == np.inf:
            continue
        child = pairs.tree.child[node]
        if child >= 0:
            stack[waiting], stack[waiting + 1] = child, child + 1
            waiting += 2
            continue
        for p in range(pairs.tree.begin[node], pairs.tree.end[node]):
            if (
                here[p]
                and distance(pairs.coordinates, i, n1 + p) <= pairs.caliper
                and admissible(pairs.rules, i, n1 + p)
            ):
                return int(p)
    return -1


def _cost(pairs: Market, i: int, p: int) -> float:
    """Distance and penalties of treated i and the comparison at position p."""
    row = pairs.root.size + p
    return distance(pairs.coordinates, i, row) + reluctance(pairs.rules, i, row)
