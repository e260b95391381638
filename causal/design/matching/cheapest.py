"""The cheapest links that give every occasion a stated number of partners: shortest paths with prices.

Each occasion must have `fewest` links and may have `most`. One that has too few is given a link along a shortest path
of links taken and handed on (successive shortest paths, Ahuja, Magnanti & Orlin 1993, section 9.7; Dijkstra's algorithm
over costs reduced by dual prices). Searches stop at the nearest place that is free, so it matters who seeks: where one
arm is scarce, it is its own seeking that would be long and often in vain. So those seek first whose number of links is
fixed, then the comparisons that still have too few, then the treated.

With u and v the prices of the ends of a pair and c its cost, in the end c - u - v is 0 for every link and not negative
for any pair. An occasion with `fewest` links has a price of 0 or more, one with `most` of 0 or less, one between the
two of 0, one that must have as many as it may any price. By linear programming duality nothing is cheaper.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.matching.links import Side, tie, untie

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Search(NamedTuple):
    """What a search remembers: of those who give (b,) distance, who asked, whether final; of those who seek (a,) too.

    `near` and `came` are distance and link of those who seek; `touched` and `reached` list who has been met.
    """

    far: FloatArray
    via: IntArray
    settled: BoolArray
    touched: IntArray
    near: FloatArray
    came: IntArray
    reached: IntArray


def link_cheapest(treated: Side, comparison: Side, made: IntArray, order: IntArray) -> bool:
    """Make the cheapest links that keep `fewest` and `most` of both sides.

    Parameters
    ----------
    treated, comparison
        The two sides, changed in place. They have no links and prices of 0, or those that were cheapest when some of
        the pairs were not listed yet.
    made
        (1,) number of links, changed in place.
    order
        (a,) order in which the treated seek. It decides between equal totals.

    Returns
    -------
    Whether they can be kept at all.
    """
    return bool(_kernel()(treated, comparison, made, order))


@cache
def _kernel() -> Callable[..., bool]:
    return compiled(
        _link_cheapest, _forget, _search, _satisfy, _surrender, _begin, _least, _seek, _reprice, _hand_on, tie, untie
    )


def _link_cheapest(treated: Side, comparison: Side, made: IntArray, order: IntArray) -> bool:
    """See `link_cheapest`."""
    rows, fixed = np.arange(comparison.degree.size), treated.fewest == treated.most
    forward, backward = _search(treated, comparison), _search(comparison, treated)
    _forget(treated, comparison, made, fixed)
    _forget(comparison, treated, made, np.ones(rows.size, dtype=np.bool_))
    _forget(treated, comparison, made, np.ones(order.size, dtype=np.bool_))
    for who in range(3):
        if who == 0 and not _satisfy(treated, comparison, made, order[fixed[order]], forward):
            return False
        if who == 1 and not _satisfy(comparison, treated, made, rows, backward):
            return False
        if who == 2 and not _satisfy(treated, comparison, made, order, forward):
            return False
    _surrender(comparison, treated, made, rows, backward)
    _surrender(treated, comparison, made, order, forward)
    return True


def _search(seeking: Side, giving: Side) -> Search:
    """Nobody met yet."""
    a, b = seeking.degree.size, giving.degree.size
    return Search(
        np.full(b, np.inf),
        np.empty(b, dtype=np.int64),
        np.zeros(b, dtype=np.bool_),
        np.empty(b, dtype=np.int64),
        np.full(a, np.inf),
        np.empty(a, dtype=np.int64),
        np.empty(a, dtype=np.int64),
    )


def _least(seeking: Side, giving: Side, i: int) -> float:
    """The least that a pair of i costs beyond the other's price."""
    pairs = seeking.lists
    least = np.inf
    for e in range(pairs.indptr[i], pairs.indptr[i + 1]):
        least = min(least, pairs.cost[e] - giving.price[pairs.other[e]])
    return least


def _forget(seeking: Side, giving: Side, made: IntArray, who: BoolArray) -> None:
    """Where a pair costs less than the prices of its ends, lower that of the one who seeks, and undo all its links."""
    for i in range(who.size):
        least = _least(seeking, giving, i) if who[i] else np.inf
        if least >= seeking.price[i]:
            continue
        seeking.price[i] = least if seeking.fewest[i] == seeking.most[i] else max(least, 0.0)
        while seeking.head[i] >= 0:
            link, last = seeking.head[i], made[0] - 1
            untie(giving, link)
            untie(seeking, link)
            if link != last:  # links keep the first numbers
                one, other = seeking.end[last], giving.end[last]
                untie(seeking, last)
                untie(giving, last)
                tie(seeking, one, link)
                tie(giving, other, link)
            made[0] = last


def _satisfy(seeking: Side, giving: Side, made: IntArray, who: IntArray, search: Search) -> bool:
    """Let those of `who` that have too few links seek; false where somebody finds none."""
    for i in who:
        if seeking.degree[i] < seeking.fewest[i] and seeking.degree[i] == 0 and seeking.price[i] == 0:
            _begin(seeking, giving, made, i)
    dearest = giving.price.max()  # prices of those who give only fall
    for i in who:
        while seeking.degree[i] < seeking.fewest[i]:
            if not _seek(seeking, giving, made, i, dearest, np.inf, search):
                return False
    return True


def _surrender(seeking: Side, giving: Side, made: IntArray, who: IntArray, search: Search) -> None:
    """Let those who are in demand but were left with a free place have another link, or a price of 0."""
    dearest = giving.price.max()
    for i in who:
        if seeking.fewest[i] < seeking.most[i]:
            while seeking.price[i] < 0 and seeking.degree[i] < seeking.most[i]:
                _seek(seeking, giving, made, i, dearest, -seeking.price[i], search)


def _begin(seeking: Side, giving: Side, made: IntArray, i: int) -> None:
    """Price i at its cheapest pair, and link it where there is a free place."""
    pairs, least = seeking.lists, _least(seeking, giving, i)
    if least == np.inf:
        return
    seeking.price[i] = least
    for e in range(pairs.indptr[i], pairs.indptr[i + 1]):
        j = int(np.int64(pairs.other[e]))
        if pairs.cost[e] - giving.price[j] == least and giving.price[j] == 0 and giving.degree[j] < giving.most[j]:
            tie(seeking, i, made[0])
            tie(giving, j, made[0])
            made[0] += 1
            return


def _seek(  # noqa: PLR0912 - one search, compiled as a whole
    seeking: Side, giving: Side, made: IntArray, start: int, dearest: float, stay: float, search: Search
) -> bool:
    """Give `start` one more link along a shortest path, if one is shorter than `stay`; reprice; false if none is."""
    pairs = seeking.lists
    best, last_seeking, last_giving, touched, reached = stay, -1, -1, 0, 0
    heap = [(0.0, -1)]
    while len(heap) > 0:
        length, k = heappop(heap)
        if length >= best:
            break
        if k >= 0 and search.settled[k]:
            continue
        link = np.int64(-1)
        if k >= 0:
            search.settled[k] = True
            link = giving.head[k]
        while k < 0 or link >= 0:
            i = int(np.int64(start)) if k < 0 else int(seeking.end[link])
            if np.isinf(search.near[i]):
                search.near[i], search.came[i], search.reached[reached] = length, link, i
                reached += 1
                base = length - seeking.price[i]
                if k >= 0 and seeking.degree[i] > seeking.fewest[i] and base < best:
                    best, last_seeking, last_giving = base, i, -1
                for e in range(pairs.indptr[i], pairs.indptr[i + 1]):
                    if base + pairs.cost[e] - dearest >= best:
                        break
                    j = int(np.int64(pairs.other[e]))
                    through = max(base + pairs.cost[e] - giving.price[j], length)  # rounding must not shorten a path
                    if through >= search.far[j] or through >= best:
                        continue
                    if np.isinf(search.far[j]):
                        search.touched[touched] = j
                        touched += 1
                    search.far[j], search.via[j] = through, i
                    if giving.degree[j] < giving.most[j]:
                        whole = through if giving.degree[j] < giving.fewest[j] else through + max(giving.price[j], 0.0)
                        if whole < best:
                            best, last_seeking, last_giving = whole, -1, j
                    if through < best and giving.head[j] >= 0:
                        heappush(heap, (through, j))
            if k < 0:
                break
            link = giving.ahead[link]
    found = last_seeking >= 0 or last_giving >= 0
    _reprice(seeking, giving, search, touched, reached, best)
    if found:
        _hand_on(seeking, giving, made, search, start, last_seeking, last_giving)
    return found


def _reprice(seeking: Side, giving: Side, search: Search, touched: int, reached: int, best: float) -> None:
    """Raise the prices of those who seek nearer than the path's end, lower those of who gives by as much; forget."""
    for i in search.reached[:reached]:
        if search.near[i] < best < np.inf:
            seeking.price[i] += best - search.near[i]
        search.near[i] = np.inf
    for j in search.touched[:touched]:
        if search.far[j] < best < np.inf:
            giving.price[j] -= best - search.far[j]
        search.far[j], search.settled[j] = np.inf, False


def _hand_on(
    seeking: Side, giving: Side, made: IntArray, search: Search, start: int, last_seeking: int, last_giving: int
) -> None:
    """Hand the links on along the path, from its end back to its start."""
    i = np.int64(last_seeking)
    if last_giving >= 0:
        if made[0] == seeking.end.size:
            raise RuntimeError("more links than there is room for")
        i = search.via[last_giving]
        tie(giving, last_giving, made[0])
        tie(seeking, i, made[0])
        made[0] += 1
    while i != start:
        link = search.came[i]
        untie(seeking, link)
        i = search.via[giving.end[link]]
        tie(seeking, i, link)
