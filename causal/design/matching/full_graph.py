"""Optimal full matching under any rules: the cheapest edge cover of the graph of admissible pairs, bounded or not.

Without bounds an occasion that is in no matched pair joins its nearest partner, whoever that is. So a cover is a
matching plus the nearest partners of the rest, and an edge is worth having in the matching only where it costs less
than the two nearest partners together: what is left is a small assignment problem. A bound on how many comparisons a
treated occasion may have (or the other way round) makes the bounded occasions columns of limited capacity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import BYTES_PER_EDGE, Reach, candidate_edges, distance, reach, sort_edges
from causal.design.matching.compiled import compiled
from causal.design.matching.full_flow import assign
from causal.design.matching.pairing import Pairing, admissible, reluctance
from causal.design.memory import require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ShortArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

BYTES = 56  # of a pair at the peak, when pairs are turned from one arm's lists into the other's


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a star may be, whole numbers or infinity.

    Attributes
    ----------
    fewest, most
        Comparisons of a treated occasion. `fewest` above 1 must be met, or the match is refused.
    shared
        Treated occasions of one comparison; 1 where `fewest` is 1 or more.
    """

    fewest: int
    most: float
    shared: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Graph:
    """Admissible pairs as compressed rows of one arm, and the nearest partner of every occasion.

    Attributes
    ----------
    indptr, column, cost
        (r + 1,), (e,), (e,) for each occasion of the row arm, its partners and what each costs, cheapest first.
    near_row, near_column
        (r,) and (c,) cost of the nearest partner, infinite where there is none.
    nearest_of_row, nearest_of_column
        (r,) and (c,) which it is, the first of equals, -1 for none.
    """

    indptr: IntArray
    column: ShortArray
    cost: FloatArray
    near_row: FloatArray
    near_column: FloatArray
    nearest_of_row: IntArray
    nearest_of_column: IntArray

    def transposed(self) -> _Graph:
        """The same pairs as rows of the other arm."""
        row = np.repeat(np.arange(self.near_row.size, dtype=np.int32), np.diff(self.indptr))
        order = np.lexsort((row, self.cost, self.column))
        degree = np.bincount(self.column, minlength=self.near_column.size)
        return _Graph(
            indptr=np.r_[0, np.cumsum(degree)], column=row[order], cost=self.cost[order],
            near_row=self.near_column, near_column=self.near_row,
            nearest_of_row=self.nearest_of_column, nearest_of_column=self.nearest_of_row,
        )  # fmt: skip


def cover_graph(
    coordinates: FloatArray, treated: BoolArray, pairing: Pairing, *, caliper: float, bounds: Bounds, memory: float
) -> tuple[IntArray, IntArray]:
    """Edges of a cheapest cover of the occasions that have an admissible partner.

    Parameters
    ----------
    coordinates
        (n, q) whose Euclidean distance is the cost of a pair, to which the penalties of preferences are added.
    treated
        (n,) arm.
    caliper
        Largest distance of a pair, inclusive.
    bounds
        Where they cannot be kept with all occasions, as many as possible are covered, and those at least cost.
    memory
        Gigabytes allowed.

    Returns
    -------
    Rows of the treated and of the comparison end of each edge (e,). Where edges of no cost leave a choice an edge may
    be superfluous.
    """
    bounded = bounds.fewest > 1 or np.isfinite(bounds.most) or np.isfinite(bounds.shared)
    graph = (_all_pairs if bounded else _useful_pairs)(coordinates, treated, pairing, caliper, memory)
    if graph.near_row.min() == np.inf:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    by_comparison = bounded and _comparisons_are_rows(graph, bounds)
    solved = graph.transposed() if by_comparison else graph
    order = np.argsort(coordinates[treated != by_comparison, 0], kind="stable")  # neighbours in turn: shorter searches
    row_limit, column_limit = (bounds.shared, bounds.most) if by_comparison else (bounds.most, bounds.shared)
    if np.isinf(row_limit):
        row, column = _cover_free_rows(solved, order, column_limit)
    else:
        row, column = _cover_bounded(solved, order, row_limit, column_limit, need=bounds.fewest if by_comparison else 1)
    case, comparison = (column, row) if by_comparison else (row, column)
    short = np.bincount(case, minlength=graph.near_row.size)[np.isfinite(graph.near_row)] < bounds.fewest
    if bounds.fewest > 1 and short.any():
        raise DesignError(
            "design.too_few_comparisons",
            f"{int(short.sum())} treated occasions cannot be given {bounds.fewest} comparisons each",
            fix="lower min_controls, or widen the caliper",
        )
    return np.flatnonzero(treated)[case], np.flatnonzero(~treated)[comparison]


def _comparisons_are_rows(graph: _Graph, bounds: Bounds) -> bool:
    """Whether comparisons look for treated occasions, or the other way round: whichever makes the fewer rows."""
    if bounds.fewest > 1:
        return True
    degrees = np.diff(graph.indptr), np.bincount(graph.column, minlength=graph.near_column.size)
    limits = bounds.most, bounds.shared
    searching = [
        degree.size if np.isinf(limit) else np.minimum(degree, limit).sum()
        for degree, limit in zip(degrees, limits, strict=True)
    ]
    return bool(searching[1] < searching[0])


def _cover_free_rows(graph: _Graph, order: IntArray, column_limit: float) -> tuple[IntArray, IntArray]:
    """Cover where a row may serve any number of columns: a column no row takes joins its nearest row.

    The rows come in the given order.
    """
    stay = graph.near_row if np.isinf(column_limit) else np.full(graph.near_row.size, _prohibitive(graph))
    stay = np.where(np.isfinite(graph.near_row), stay, 0.0)
    taken = assign(
        graph.indptr, graph.column, graph.cost, owner=order, stay=stay[order],
        capacity=1 if np.isinf(column_limit) else int(column_limit), need=1,
        first=np.where(np.isfinite(graph.near_column), -graph.near_column, 0.0), later=0.0,
    )  # fmt: skip
    row, column = order[taken >= 0], graph.column[taken[taken >= 0]].astype(np.int64)
    idle = np.setdiff1d(np.flatnonzero(graph.nearest_of_column >= 0), column)
    ends = [(row, column), (graph.nearest_of_column[idle], idle)]
    if np.isinf(column_limit):
        idle = np.setdiff1d(np.flatnonzero(graph.nearest_of_row >= 0), row)
        ends.append((idle, graph.nearest_of_row[idle]))
    rows, columns = zip(*ends, strict=True)
    return np.concatenate(rows), np.concatenate(columns)


def _cover_bounded(
    graph: _Graph, order: IntArray, row_limit: float, column_limit: float, *, need: int
) -> tuple[IntArray, IntArray]:
    """Cover where a row serves `row_limit` columns at most: the row and copies of it, which need not serve.

    The rows come in the given order, then their copies.
    """
    copies = np.maximum(np.minimum(np.diff(graph.indptr), row_limit), 1).astype(np.int64)
    owner = np.r_[order, np.repeat(order, copies[order] - 1)]
    dear = _prohibitive(graph)
    taken = assign(
        graph.indptr, graph.column, graph.cost,
        owner=owner, stay=np.where(np.arange(owner.size) < order.size, 2 * dear, dear),  # so a place earns `dear`
        capacity=int(min(column_limit, owner.size)), need=need, first=np.zeros(graph.near_column.size), later=dear,
    )  # fmt: skip
    used = np.flatnonzero(taken >= 0)
    return owner[used], graph.column[taken[used]].astype(np.int64)


def _prohibitive(graph: _Graph) -> float:
    """A cost above that of any chain of reassignments, so that nobody is left out to save distance."""
    longest = float(graph.cost.max(initial=0.0))
    return (2.0 * min(graph.near_row.size, graph.near_column.size) + 4.0) * (longest if longest > 0 else 1.0)


def _all_pairs(coordinates: FloatArray, treated: BoolArray, pairing: Pairing, caliper: float, memory: float) -> _Graph:
    """Every admissible pair."""
    edges = candidate_edges(
        coordinates, treated, caliper=None if np.isinf(caliper) else caliper, pairing=pairing,
        memory=memory * BYTES_PER_EDGE / BYTES,
    )  # fmt: skip
    rows, columns = int(treated.sum()), int((~treated).sum())
    near_row, near_column = np.full(rows, np.inf), np.full(columns, np.inf)
    nearest_of_row, nearest_of_column = np.full(rows, -1), np.full(columns, -1)
    some = np.flatnonzero(np.diff(edges.indptr))
    near_row[some], nearest_of_row[some] = edges.cost[edges.indptr[some]], edges.comparison[edges.indptr[some]]
    row = np.repeat(np.arange(rows), np.diff(edges.indptr))
    order = np.lexsort((row, edges.cost, edges.comparison))
    first = order[np.flatnonzero(np.diff(edges.comparison[order], prepend=-1))]
    near_column[edges.comparison[first]], nearest_of_column[edges.comparison[first]] = edges.cost[first], row[first]
    return _Graph(
        indptr=edges.indptr, column=edges.comparison, cost=edges.cost, near_row=near_row, near_column=near_column,
        nearest_of_row=nearest_of_row, nearest_of_column=nearest_of_column,
    )  # fmt: skip


def _useful_pairs(
    coordinates: FloatArray, treated: BoolArray, pairing: Pairing, caliper: float, memory: float
) -> _Graph:
    """Pairs that cost less than the nearest partners of both: no other is in a cheapest cover without bounds."""
    near = reach(coordinates, treated, caliper=None if np.isinf(caliper) else caliper, pairing=pairing)
    near_row, near_column, nearest_of_row, nearest_of_column = _compiled_nearest()(near)
    most = int(memory * 1e9 / BYTES)
    indptr, column, cost = _compiled_useful()(near, near_row, near_column, most)
    if indptr[-1] > most:
        found = f"more than {most:,} pairs that may be of use"
        require_memory(float(BYTES * indptr[-1]), limit=memory, work=found, instead="give a narrower caliper")
    return _Graph(
        indptr=indptr, column=column, cost=cost, near_row=near_row, near_column=near_column,
        nearest_of_row=nearest_of_row, nearest_of_column=nearest_of_column,
    )  # fmt: skip


@cache
def _compiled_nearest() -> Callable[..., Any]:
    return compiled(_nearest, distance, admissible, reluctance)


@cache
def _compiled_useful() -> Callable[..., Any]:
    return compiled(_useful, distance, admissible, reluctance, sort_edges)


def _nearest(near: Reach) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """Cost and number of the nearest partner of every treated and every comparison occasion, ties by row."""
    rows, columns = near.begin.size, near.comparison.size
    near_row, near_column = np.full(rows, np.inf), np.full(columns, np.inf)
    nearest_of_row, nearest_of_column = np.full(rows, -1), np.full(columns, -1)
    for i in range(rows):
        for p in range(near.begin[i], near.end[i]):
            j = near.comparison[p]
            most = min(max(near_row[i], near_column[j]), near.caliper)
            if near.key_bounds_distance and abs(near.key[i] - near.key[rows + p]) - 0.5 > most:
                continue
            cost = distance(near.coordinates, i, rows + p)
            if cost > most or not admissible(near.rules, i, rows + p):
                continue
            cost += reluctance(near.rules, i, rows + p)
            if cost < near_row[i] or (cost == near_row[i] and j < nearest_of_row[i]):
                near_row[i], nearest_of_row[i] = cost, j
            if cost < near_column[j]:
                near_column[j], nearest_of_column[j] = cost, i
    return near_row, near_column, nearest_of_row, nearest_of_column


def _useful(
    near: Reach, near_row: FloatArray, near_column: FloatArray, most: int
) -> tuple[IntArray, ShortArray, FloatArray]:
    """The useful pairs as compressed rows, cheapest first, ties by row; it stops soon after more than `most`."""
    rows = near.begin.size
    indptr = np.zeros(rows + 1, dtype=np.int64)
    column, cost = np.empty(4 * rows, dtype=np.int32), np.empty(4 * rows)
    e = 0
    for i in range(rows):
        for p in range(near.begin[i], near.end[i]):
            limit = near_row[i] + near_column[near.comparison[p]]
            if near.key_bounds_distance and abs(near.key[i] - near.key[rows + p]) - 0.5 >= limit:
                continue
            apart = distance(near.coordinates, i, rows + p)
            if apart > near.caliper or apart >= limit or not admissible(near.rules, i, rows + p):
                continue
            whole = apart + reluctance(near.rules, i, rows + p)
            if whole < limit:
                if e == column.size:
                    column, cost = np.append(column, np.empty_like(column)), np.append(cost, np.empty_like(cost))
                column[e], cost[e] = near.comparison[p], whole
                e += 1
        sort_edges(cost[indptr[i] : e], column[indptr[i] : e])
        indptr[i + 1] = e
        if e > most:
            indptr[rows] = e
            break
    return indptr, column[:e], cost[:e]
