"""Links between treated and comparison occasions while a matching is made, and the largest number of them.

A *link* is a chosen pair. Each occasion strings its links into a list, so that a link changes hands in constant time.
Both arms are described alike (`Side`), and every loop takes "the side that seeks" and "the other side": it runs either
way round.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


class Lists(NamedTuple):
    """Pairs by occasion of one arm: those of i are ``indptr[i]:indptr[i + 1]``, cheapest first, ties by row.

    `indptr` (r + 1,), `other` (e,) occasion of the other arm, `cost` (e,).
    """

    indptr: IntArray
    other: ShortArray
    cost: FloatArray


class Side(NamedTuple):
    """One arm of r occasions and its ends of at most m links.

    Attributes
    ----------
    lists
        The pairs that may be linked.
    fewest, most
        (r,) how many links each must and may have.
    price
        (r,) dual prices.
    degree, head
        (r,) links each has, and the first of them; -1 for none.
    end, ahead, behind
        (m,) occasion at this end of each link, and the next and the last link in its list; -1 for none.
    """

    lists: Lists
    fewest: IntArray
    most: IntArray
    price: FloatArray
    degree: IntArray
    head: IntArray
    end: IntArray
    ahead: IntArray
    behind: IntArray


def side(lists: Lists, fewest: IntArray, most: IntArray, links: int) -> Side:
    """An arm without links, with room for so many."""
    r = lists.indptr.size - 1
    none = (np.full(size, -1) for size in (r, links, links, links))
    return Side(lists, fewest, most, np.zeros(r), np.zeros(r, dtype=np.int64), *none)


def link_all(one: Side, other: Side, made: IntArray, ends: tuple[IntArray, IntArray]) -> None:
    """Make links between `ends` (m,) of both sides, which are changed in place."""
    _linking_kernel()(one, other, made, *ends)


@cache
def _linking_kernel() -> Callable[..., None]:
    return compiled(_link_all, tie, untie)


def _link_all(one: Side, other: Side, made: IntArray, ends: IntArray, other_ends: IntArray) -> None:
    """See `link_all`."""
    for at in range(ends.size):
        tie(one, ends[at], made[0])
        tie(other, other_ends[at], made[0])
        made[0] += 1


def deficient(seeking: Side, giving: Side, made: IntArray) -> tuple[BoolArray, BoolArray]:
    """Link as many as possible, at most `most` to an occasion of either side, going on from the links there are.

    Parameters
    ----------
    seeking, giving
        The two sides, changed in place. `most` is 1 on one of them.
    made
        (1,) number of links, changed in place.

    Returns
    -------
    Which occasions of either side can be reached, from one that has fewer links than its `most`, by handing links on.
    These sets are the same for every largest matching (Dulmage & Mendelsohn 1958, Canad J Math 10:517-534): all that
    seek within them share all that can be given within them, which is not enough.
    """
    return _deficient_kernel()(seeking, giving, made)


@cache
def _deficient_kernel() -> Callable[..., tuple[BoolArray, BoolArray]]:
    return compiled(_deficient, _depths, _hand_on, tie, untie)


def tie(here: Side, i: int, link: int) -> None:
    """Enter the link into the list of occasion i."""
    first = here.head[i]
    here.end[link], here.ahead[link], here.behind[link], here.head[i] = i, first, -1, link
    if first >= 0:
        here.behind[first] = link
    here.degree[i] += 1


def untie(here: Side, link: int) -> None:
    """Take the link out of its occasion's list."""
    i, last, following = here.end[link], here.behind[link], here.ahead[link]
    if last >= 0:
        here.ahead[last] = following
    else:
        here.head[i] = following
    if following >= 0:
        here.behind[following] = last
    here.degree[i] -= 1


def _deficient(seeking: Side, giving: Side, made: IntArray) -> tuple[BoolArray, BoolArray]:
    """See `deficient`: rounds of shortest paths that share no occasion (Hopcroft & Karp 1973), until none is left."""
    n = seeking.degree.size
    looked = seeking.lists.indptr[:-1].copy()  # where free places are looked for: a place once taken stays taken
    stack, scratch = np.empty(n, dtype=np.int64), np.empty((2, n), dtype=np.int64)
    while True:
        depths, given_at = _depths(seeking, giving, stack)
        seen, given = depths >= 0, given_at >= 0
        tried = seeking.lists.indptr[:-1].copy()
        gained = False
        for root in range(n):
            if depths[root] == 0:
                gained |= _hand_on(seeking, giving, made, root, looked, tried, depths, given_at, stack, scratch)
        if not gained:
            return seen, given


def _depths(seeking: Side, giving: Side, queue: IntArray) -> tuple[IntArray, IntArray]:
    """How many links must be handed on to come to each that seeks and to each that gives; -1 where nobody comes."""
    pairs = seeking.lists
    depth, given = np.full(seeking.degree.size, -1), np.full(giving.degree.size, -1)
    waiting = 0
    for i in range(depth.size):
        if seeking.degree[i] < seeking.most[i]:
            depth[i] = 0
            queue[waiting] = i
            waiting += 1
    at = 0
    while at < waiting:
        i = queue[at]
        at += 1
        for e in range(pairs.indptr[i], pairs.indptr[i + 1]):
            j = pairs.other[e]
            if given[j] < 0:
                given[j] = depth[i]
                link = giving.head[j]
                while link >= 0:
                    other = seeking.end[link]
                    if depth[other] < 0:
                        depth[other] = depth[i] + 1
                        queue[waiting] = other
                        waiting += 1
                    link = giving.ahead[link]
    return depth, given


def _hand_on(
    seeking: Side,
    giving: Side,
    made: IntArray,
    root: int,
    looked: IntArray,
    tried: IntArray,
    depths: IntArray,
    given: IntArray,
    stack: IntArray,
    scratch: IntArray,
) -> bool:
    """Give `root` one more link along a path on which links are handed on, if there is such a path."""
    came, holder = scratch[0], scratch[1]  # the link each of the stack would hand on; the next link to be asked for
    pairs = seeking.lists
    depth, stack[0], holder[0] = 0, root, -1
    while depth >= 0:
        i = stack[depth]
        while looked[i] < pairs.indptr[i + 1]:
            j = int(np.int64(pairs.other[looked[i]]))  # int alone keeps 32 bits under numba
            if giving.degree[j] < giving.most[j]:
                tie(seeking, i, made[0])
                tie(giving, j, made[0])
                made[0] += 1
                for d in range(depth, 0, -1):
                    untie(seeking, came[d])
                    tie(seeking, stack[d - 1], came[d])
                return True
            looked[i] += 1
        if holder[depth] >= 0:
            link = holder[depth]
            holder[depth] = giving.ahead[link]
            if depths[seeking.end[link]] == depth + 1:
                depth += 1
                stack[depth], came[depth], holder[depth] = seeking.end[link], link, -1
                depths[stack[depth]] = -2  # nobody comes here twice a round
            continue
        while tried[i] < pairs.indptr[i + 1] and given[pairs.other[tried[i]]] != depth:
            tried[i] += 1
        if tried[i] == pairs.indptr[i + 1]:
            depth -= 1
            continue
        j = int(np.int64(pairs.other[tried[i]]))
        given[j] = -2  # nor here
        holder[depth] = giving.head[j]
    return False
