"""Pairs whose prices say that they might improve a matching, found without looking at all admissible pairs.

The comparisons of each exact stratum form a k-d tree over the coordinates of the distance and over whatever limits
pairs to a range (calipers, calendar window, time at risk). A box is passed over if the rules put it out of reach, or if
even its dearest comparison, at the box's smallest distance, would not improve the matching.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from heapq import heappush, heapreplace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching import tree
from causal.design.matching.candidates import Edges, Reach, distance, reach, refuse_distances
from causal.design.matching.compiled import compiled
from causal.design.matching.pairing import PairArrays, Pairing, admissible, reluctance
from causal.design.matching.tree import Tree

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LEAF = 16  # comparisons in a box that is not divided further
NEARBY = 256  # admissible comparisons a box as long as it is wide should hold, about


class Prices(NamedTuple):
    """What a pair costs beyond the prices of its ends tells whether it could improve a matching.

    Levels come first: a pair whose ends' levels add up to 0 may be of use if its cost is less than the ends' prices,
    one of a sum above 0 whatever it costs, one of a sum below 0 never.

    Attributes
    ----------
    treated_level, treated_price
        (n1,) of the treated occasions.
    level, price
        (n0,) of the comparisons.
    """

    treated_level: IntArray
    treated_price: FloatArray
    level: IntArray
    price: FloatArray


class Market(NamedTuple):
    """Treated occasions and their pool. Arrays of n rows: treated in row order, then comparisons as in the tree.

    Attributes
    ----------
    tree, root
        Trees over the pool; (n1,) root of each treated occasion's stratum, -1 where it is empty.
    comparison
        (n0,) which comparison, counted in row order, stands at each position of the tree.
    coordinates, rules, caliper
        (n, q) coordinates, the rules on pairs and the largest distance, possibly infinite.
    limited
        (n1, c) values of the limited variables of the treated.
    widths
        (2, c) how far a comparison's may exceed a treated occasion's, and fall short of it.
    near
        The pool sorted, for sweeps.
    """

    tree: Tree
    root: IntArray
    comparison: IntArray
    coordinates: FloatArray
    rules: PairArrays
    caliper: float
    limited: FloatArray
    widths: FloatArray
    near: Reach


def market(coordinates: FloatArray, treated: BoolArray, *, caliper: float | None, pairing: Pairing) -> Market:
    """Grow the trees; arguments and refusals are those of `candidate_edges`."""
    z = np.asarray(coordinates, dtype=np.float64)
    z = np.ascontiguousarray(z.reshape(z.shape[0], -1))
    case = np.asarray(treated, dtype=np.bool_)
    refuse_distances(z, case, caliper=caliper, pairing=pairing)
    cases, pool = np.flatnonzero(case), np.flatnonzero(~case)
    exact = np.zeros(case.size, dtype=np.int64) if pairing.exact is None else np.asarray(pairing.exact, dtype=np.int64)
    pool = pool[np.argsort(exact[pool], kind="stable")]
    strata, first = np.unique(exact[pool], return_index=True)
    limited, widths, units = _limits(case, pairing)
    unit = np.r_[np.full(z.shape[1], _box(z, limited, widths, cases, pool)), units]
    grown = _growing_kernel()(
        pool,
        np.r_[first, pool.size],
        np.ascontiguousarray(np.column_stack([z, limited])),
        unit,
        0,
        np.zeros(0),
        1.0,
        LEAF,
    )
    at = np.minimum(np.searchsorted(strata, exact[cases]), strata.size - 1)
    order = np.r_[cases, grown.row]
    return Market(
        tree=grown,
        root=np.where(strata[at] == exact[cases], at, -1),
        comparison=np.cumsum(~case)[grown.row] - 1,
        coordinates=z[order],
        rules=pairing.rows(order).arrays(case.size),
        caliper=np.inf if caliper is None else float(caliper),
        limited=np.ascontiguousarray(limited[cases]),
        widths=widths,
        near=reach(z, case, caliper=caliper, pairing=pairing),
    )


def improving(pairs: Market, edges: Edges, best: Prices, *, most: int) -> Edges:
    """Admissible pairs, not in `edges`, that might improve the matching; of each treated the `most` promising."""
    return _improving_kernel()(pairs, edges, best, most)


def _limits(case: BoolArray, pairing: Pairing) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Variables that limit pairs (n, c), how far (2, c) (see `Market`), and a typical range of each (c,)."""
    columns: list[FloatArray] = []
    widths: list[tuple[float, float]] = []
    units: list[float] = []
    if pairing.calipers is not None and pairing.widths is not None:
        for c in np.flatnonzero(pairing.widths > 0):
            columns.append(np.asarray(pairing.calipers[:, c], dtype=np.float64))
            widths.append((float(pairing.widths[c]),) * 2)
            units.append(float(pairing.widths[c]))
    if pairing.time is not None and pairing.window is not None:
        columns.append(np.asarray(pairing.time, dtype=np.float64))
        widths.append((pairing.window,) * 2)
        units.append(pairing.window)
    if pairing.time is not None and pairing.at_risk is not None:
        times = pairing.time[case]
        entry, leaving = (np.clip(pairing.at_risk[:, c], times.min(), times.max() + 1) for c in (0, 1))
        columns += [np.where(case, pairing.time, limit).astype(np.float64) for limit in (entry, leaving)]
        widths += [(0.0, np.inf), (np.inf, 0.0)]
        units += [float(np.abs(leaving - entry)[~case].mean())] * 2
    unit = np.array(units, dtype=np.float64)
    limited = np.column_stack(columns) if columns else np.zeros((case.size, 0))
    return limited, np.array(widths).reshape(-1, 2).T.copy(), np.where(unit > 0, unit, 1.0)


def _box(z: FloatArray, limited: FloatArray, widths: FloatArray, cases: IntArray, pool: IntArray) -> float:
    """Length, along a coordinate, of a box with `NEARBY` comparisons within the limits, judged from a grid of pairs."""
    some, others = (rows[np.linspace(0, rows.size - 1, min(rows.size, 200)).astype(np.int64)] for rows in (cases, pool))
    above = limited[others] - limited[some][:, None]
    within = ((above <= widths[0]) & (-above <= widths[1])).all(axis=2).mean()
    share = min(NEARBY / (pool.size * max(float(within), 1e-4)), 1.0)
    return float(np.sqrt(z.var(axis=0).mean()) * share ** (1 / z.shape[1])) or 1.0


@cache
def _growing_kernel() -> Callable[..., Tree]:
    return compiled(tree.build, *tree.BUILDING)


@cache
def _improving_kernel() -> Callable[..., Edges]:
    return compiled(_improving, _dearest, box_gap, _listed, admissible, reluctance, distance)


def _dearest(grown: Tree, level: IntArray, price: FloatArray) -> tuple[IntArray, FloatArray]:
    """Highest price in each node, level first; `level` and `price` by position."""
    nodes = grown.begin.size
    top_level, top = np.full(nodes, -9, dtype=np.int64), np.zeros(nodes)
    for node in range(nodes - 1, -1, -1):  # children come after their parents
        if grown.child[node] < 0:
            for p in range(grown.begin[node], grown.end[node]):
                if (level[p], price[p]) > (top_level[node], top[node]):  # noqa: PLR1730 - numba has no max of pairs
                    top_level[node], top[node] = level[p], price[p]
        up = grown.parent[node]
        if up >= 0 and (top_level[node], top[node]) > (top_level[up], top[up]):
            top_level[up], top[up] = top_level[node], top[node]
    return top_level, top


def box_gap(pairs: Market, i: int, node: int) -> float:
    """Smallest distance a comparison in the node may have to treated i; infinite where the limits exclude all.

    Rounding is monotone, so that no comparison in the box is computed to be nearer than this.
    """
    q = pairs.coordinates.shape[1]
    for c in range(pairs.widths.shape[1]):
        value = pairs.limited[i, c]
        too_high = pairs.tree.low[node, q + c] - value > pairs.widths[0, c]
        if too_high or value - pairs.tree.high[node, q + c] > pairs.widths[1, c]:
            return np.inf
    total = gap = 0.0
    for k in range(q):
        value = pairs.coordinates[i, k]
        gap = max(pairs.tree.low[node, k] - value, value - pairs.tree.high[node, k], 0.0)
        total += gap * gap
    return gap if q == 1 else float(np.rint(np.sqrt(total)))


def _improving(  # noqa: PLR0912, PLR0915 - one search, compiled as a whole
    pairs: Market, edges: Edges, best: Prices, most: int
) -> Edges:
    n1 = pairs.root.size
    level_at, price_at = best.level[pairs.comparison], best.price[pairs.comparison]
    top_level, top = _dearest(pairs.tree, level_at, price_at)
    nodes, gaps = np.empty(256, dtype=np.int64), np.empty(256)
    indptr = np.zeros(n1 + 1, dtype=np.int64)
    comparison = np.empty(n1 * most, dtype=np.int32)
    cost = np.empty(n1 * most, dtype=np.float64)
    e = 0
    for i in range(n1):
        level, price = best.treated_level[i], best.treated_price[i]
        kept = [(0, 0.0, 0, 0.0)]  # heap, least promising first: minus (reduced level, reduced cost, comparison), cost
        kept.pop()
        bar_level, bar = 0, 0.0  # to be undercut: costs are whole numbers, so that prices are exact
        waiting = 0
        if pairs.root[i] >= 0:
            nodes[0], gaps[0], waiting = pairs.root[i], box_gap(pairs, i, pairs.root[i]), 1
        while waiting > 0:
            waiting -= 1
            node, gap = nodes[waiting], gaps[waiting]
            if gap > pairs.caliper or gap == np.inf:
                continue
            if (-level - top_level[node], gap - price - top[node]) >= (bar_level, bar):
                continue
            child = pairs.tree.child[node]
            if child >= 0:
                one, other = box_gap(pairs, i, child), box_gap(pairs, i, child + 1)
                far = 0 if one > other else 1
                nodes[waiting], gaps[waiting] = child + far, max(one, other)
                nodes[waiting + 1], gaps[waiting + 1] = child + 1 - far, min(one, other)
                waiting += 2
                continue
            for p in range(pairs.tree.begin[node], pairs.tree.end[node]):
                reduced_level = -level - level_at[p]
                if (reduced_level, gap - price - price_at[p]) >= (bar_level, bar):
                    continue
                apart = distance(pairs.coordinates, i, n1 + p)
                if apart > pairs.caliper or (reduced_level, apart - price - price_at[p]) >= (bar_level, bar):
                    continue
                if not admissible(pairs.rules, i, n1 + p):
                    continue
                total = apart + reluctance(pairs.rules, i, n1 + p)
                reduced, j = total - price - price_at[p], pairs.comparison[p]
                if (reduced_level, reduced) >= (bar_level, bar) or _listed(edges, i, j):
                    continue
                if len(kept) < most:
                    heappush(kept, (-reduced_level, -reduced, -j, total))
                else:
                    heapreplace(kept, (-reduced_level, -reduced, -j, total))
                if len(kept) == most:
                    bar_level, bar = -kept[0][0], -kept[0][1]
        for entry in kept:
            comparison[e], cost[e] = -entry[2], entry[3]
            e += 1
        indptr[i + 1] = e
    return Edges(indptr, comparison[:e].copy(), cost[:e].copy())


def _listed(edges: Edges, i: int, j: int) -> bool:
    """Whether treated i and comparison j are a listed pair."""
    return bool((edges.comparison[edges.indptr[i] : edges.indptr[i + 1]] == j).any())
