"""Cheapest assignment of rows to columns that take several rows each, or of rows to nobody, on a sparse graph.

Rows come one at a time; each is sent along a shortest path of reassignments to a place that is still free (successive
shortest paths with prices, Ahuja, Magnanti & Orlin 1993, section 9.7). Searches stop at the nearest free place, so
their cost is that of the row's neighbourhood, not of the whole graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]


def assign(
    indptr: IntArray,
    column: IntArray | ShortArray,
    cost: FloatArray,
    *,
    owner: IntArray,
    stay: FloatArray,
    capacity: int,
    need: int,
    first: FloatArray,
    later: float,
) -> IntArray:
    """The edge each row takes, -1 for none, such that the total cost of edges, places and staying is least.

    Parameters
    ----------
    indptr, column, cost
        Edges as compressed rows: those of list i are ``indptr[i]:indptr[i + 1]``, cheapest first; costs of 0 or more.
    owner
        (r,) list of each row: rows may share one.
    stay
        (r,) cost of a row that takes no edge.
    capacity, need, first, later
        A column has `capacity` places. The first `need` of them cost (c,) `first` each, negative for a reward, the
        others cost `later`, which is not less.

    >>> edges = np.array([0, 2, 3]), np.array([0, 1, 0]), np.array([1.0, 5.0, 2.0])
    >>> once, places = {"owner": np.arange(2), "stay": np.full(2, 9.0)}, {"first": np.zeros(2), "later": 0.0}
    >>> assign(*edges, **once, **places, capacity=1, need=1).tolist()
    [1, 2]
    """
    kernel = _compiled()
    return np.asarray(kernel(indptr, column, cost, owner, stay, capacity, need, first, float(later)), dtype=np.int64)


@cache
def _compiled() -> Callable[..., IntArray]:
    return compiled(_assign, _give)


def _give(
    r: int, e: int, column: IntArray | ShortArray, taken: IntArray, head: IntArray, ahead: IntArray, behind: IntArray
) -> None:
    """Let row r take edge e (-1 for none), leaving the list of its old column and entering that of its new one."""
    if taken[r] >= 0:
        if behind[r] >= 0:
            ahead[behind[r]] = ahead[r]
        else:
            head[column[taken[r]]] = ahead[r]
        if ahead[r] >= 0:
            behind[ahead[r]] = behind[r]
    taken[r] = e
    if e >= 0:
        first = head[column[e]]
        ahead[r], behind[r] = first, -1
        if first >= 0:
            behind[first] = r
        head[column[e]] = r


def _assign(  # noqa: PLR0912, PLR0915 - one search, compiled as a whole
    indptr: IntArray,
    column: IntArray | ShortArray,
    cost: FloatArray,
    owner: IntArray,
    stay: FloatArray,
    capacity: int,
    need: int,
    first: FloatArray,
    later: float,
) -> IntArray:
    """See `assign`. A column's price lies between the cost of its last taken and that of its next free place.

    Every row that came takes what is cheapest for it at these prices, so that only the first step of a search can lower
    the distance, and Dijkstra's algorithm holds after it.
    """
    rows, columns = owner.size, first.size
    taken = np.full(rows, -1)
    head, ahead, behind = np.full(columns, -1), np.full(rows, -1), np.full(rows, -1)
    degree, price, cheapest = np.zeros(columns, dtype=np.int64), first.copy(), first.min()
    far, via_row, via_edge = np.full(columns, np.inf), np.full(columns, -1), np.full(columns, -1)
    seen, settled = np.empty(columns, dtype=np.int64), np.zeros(columns, dtype=np.bool_)
    nearest, lists = np.full(indptr.size - 1, np.inf), np.empty(indptr.size - 1, dtype=np.int64)
    for start in range(rows):
        best, last_row, last_column, touched, visited = stay[start], start, -1, 0, 0
        heap = [(-np.inf, -1)]
        while heap:
            d, j = heapq.heappop(heap)
            if d >= best:
                break
            if j >= 0:
                if settled[j]:
                    continue
                settled[j] = True
            r = start if j < 0 else head[j]
            while r >= 0 and d < best:
                base = 0.0 if j < 0 else d - cost[taken[r]] - price[j]
                if base + stay[r] < best:
                    best, last_row, last_column = base + stay[r], r, -1
                listed = owner[r]
                if base < nearest[listed]:  # no row of the same list was here, nearer
                    if np.isinf(nearest[listed]):
                        lists[visited] = listed
                        visited += 1
                    nearest[listed] = base
                    for e in range(indptr[listed], indptr[listed + 1]):
                        if base + cost[e] + cheapest >= best:
                            break
                        k = np.int64(column[e])
                        through = base + cost[e] + price[k]
                        if through >= far[k] or through >= best or settled[k]:
                            continue
                        if np.isinf(far[k]):
                            seen[touched] = k
                            touched += 1
                        far[k], via_row[k], via_edge[k] = through, r, e
                        if degree[k] < capacity:
                            whole = through - price[k] + (first[k] if degree[k] < need else later)
                            if whole < best:
                                best, last_row, last_column = whole, -1, int(k)
                        if through < best:
                            heapq.heappush(heap, (through, k))  # type: ignore[misc]  # numba knows one type of tuple
                r = -1 if j < 0 else ahead[r]
        nearest[lists[:visited]] = np.inf
        for c in seen[:touched]:
            if settled[c] and far[c] < best:
                price[c] += best - far[c]
            far[c], settled[c] = np.inf, False
        if last_row == start:
            continue
        if last_row >= 0:
            last_column = int(column[taken[last_row]])
            _give(last_row, -1, column, taken, head, ahead, behind)
        else:
            degree[last_column] += 1
        while last_row != start:
            last_row, e = via_row[last_column], via_edge[last_column]
            if last_row != start:
                last_column = int(column[taken[last_row]])
            _give(last_row, e, column, taken, head, ahead, behind)
    return taken
