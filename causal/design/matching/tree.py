"""Trees of comparison occasions that find the nearest free one whom the rules admit.

The comparisons of each exact stratum form a k-d tree over their coordinates and over whatever limits pairs to a range
(score caliper, calendar window, time at risk, calipers): boxes out of reach, or without a free occasion, are passed
over whole. In twelve dimensions boxes exclude little, so a leaf is wide and its distances are taken all at once in
single precision; only those that could be the nearest, error bounds included, are taken exactly. The answer is that of
a plain scan.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.pairing import PairArrays, admissible, reluctance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAF = 512
"""Most occasions in a leaf: wide enough for vector instructions, small enough to be passed over."""
SAMPLE = 256
"""Occasions looked at to see along which variable a node spreads most."""
DEPTH = 128
"""Room for the nodes still to be visited: two for each level, and halving 2^63 occasions takes 63."""


class Tree(NamedTuple):
    """Trees over m comparisons in k nodes, q coordinates, c limited variables. Positions count the occasions in order.

    `row` (m,), `leaf` (m,) the node of each position; `begin`, `end` (k,) positions of a node; `child` (k,) its first
    child, the second comes after it, -1 at a leaf; `parent` (k,), -1 at a root; `free` (k,) occasions left in it;
    `low`, `high` (k, q + c) its box; `packed` (m q,) the coordinates in single precision, leaf by leaf, a coordinate's
    values in a row; `centre` (q,) and `size` map coordinates into [-1, 1] there.
    """

    row: IntArray
    leaf: IntArray
    begin: IntArray
    end: IntArray
    child: IntArray
    parent: IntArray
    free: IntArray
    low: FloatArray
    high: FloatArray
    packed: NDArray[np.float32]
    centre: FloatArray
    size: float


def build(
    row: IntArray,
    roots: IntArray,
    points: FloatArray,
    unit: FloatArray,
    q: int,
    centre: FloatArray,
    size: float,
    most: int,
) -> Tree:
    """Trees over the rows `row` (m,): one for each stretch ``roots[s]:roots[s + 1]``, their roots the first nodes.

    `points` (n, q + c) are coordinates and limited variables, `unit` (q + c,) the spread of each worth a split, `most`
    the largest leaf. A node is halved at the median of the variable that spreads most, in those units.
    """
    m, dims, trees = row.size, points.shape[1], roots.size - 1
    nodes = 0
    for s in range(trees):
        nodes += 4 * ((roots[s + 1] - roots[s]) // most) + 1
    begin, end = np.zeros(nodes, dtype=np.int64), np.zeros(nodes, dtype=np.int64)
    child, parent = np.full(nodes, -1, dtype=np.int64), np.full(nodes, -1, dtype=np.int64)
    leaf, values = np.empty(m, dtype=np.int64), np.empty(m)
    packed = np.empty(m * q, dtype=np.float32)
    begin[:trees], end[:trees] = roots[:-1], roots[1:]
    made, node = trees, 0
    while node < made:
        first, stop = begin[node], end[node]
        widest = _widest(points, unit, row[first:stop]) if stop - first > most else -1
        if widest >= 0:
            half = (first + stop) // 2
            for p in range(first, stop):
                values[p] = points[row[p], widest]
            _halve(row[first:stop], values[first:stop], half - first)
            child[node] = made
            begin[made], end[made], begin[made + 1], end[made + 1] = first, half, half, stop
            parent[made] = parent[made + 1] = node
            made += 2
        node += 1
    low, high = np.full((made, dims), np.inf), np.full((made, dims), -np.inf)
    for node in range(made - 1, -1, -1):  # children come after their parents
        first, stop = begin[node], end[node]
        if child[node] < 0:
            for p in range(first, stop):
                leaf[p] = node
                for d in range(dims):
                    value = points[row[p], d]
                    low[node, d], high[node, d] = min(low[node, d], value), max(high[node, d], value)
                    if d < q:
                        packed[first * q + d * (stop - first) + p - first] = np.float32((value - centre[d]) / size)
        if parent[node] >= 0:
            for d in range(dims):
                low[parent[node], d] = min(low[parent[node], d], low[node, d])
                high[parent[node], d] = max(high[parent[node], d], high[node, d])
    free = end - begin
    return Tree(
        row, leaf, begin[:made], end[:made], child[:made], parent[:made], free[:made], low, high, packed, centre, size
    )  # fmt: skip


def _widest(points: FloatArray, unit: FloatArray, row: IntArray) -> int:
    """Variable that spreads most, in units, over a sample of the rows; -1 where none does."""
    widest, spread = -1, 0.0
    step = max(1, row.size // SAMPLE)
    for d in range(unit.size):
        low = high = points[row[0], d]
        for p in range(step, row.size, step):
            low, high = min(low, points[row[p], d]), max(high, points[row[p], d])
        if (high - low) / unit[d] > spread:
            widest, spread = d, (high - low) / unit[d]
    return widest


def _halve(row: IntArray, values: FloatArray, half: int) -> None:
    """Reorder both alike so that the first `half` values are the smallest (Hoare's selection)."""
    low, high = 0, values.size - 1
    while low < high:
        pivot, left, right = values[(low + high) // 2], low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                row[left], row[right] = row[right], row[left]
                left, right = left + 1, right - 1
        if half <= right:
            high = right
        elif half >= left:
            low = left
        else:
            return


def apart(points: FloatArray, q: int, i: int, j: int) -> float:
    """Euclidean distance, in whole steps, of rows i and j over the first q columns, summed from the first."""
    total = 0.0
    for k in range(q):
        difference = points[i, k] - points[j, k]
        total += difference * difference
    return float(np.rint(np.sqrt(total)))


def _reach(tree: Tree, node: int, points: FloatArray, widths: FloatArray, q: int, i: int) -> float:
    """Smallest distance row i may have to a free occasion in the node's box; infinite where there is none.

    Rounding is monotone, so that no occasion in the box is computed to be nearer than this.
    """
    if tree.free[node] == 0:
        return np.inf
    for c in range(widths.shape[1]):
        value = points[i, q + c]
        if tree.low[node, q + c] - value > widths[0, c] or value - tree.high[node, q + c] > widths[1, c]:
            return np.inf
    total = 0.0
    for k in range(q):
        value = points[i, k]
        gap = max(tree.low[node, k] - value, value - tree.high[node, k], 0.0)
        total += gap * gap
    return float(np.rint(np.sqrt(total)))


def nearest(
    tree: Tree,
    used: IntArray,
    most_uses: int,
    points: FloatArray,
    widths: FloatArray,
    rules: PairArrays,
    q: int,
    i: int,
    root: int,
    earlier: IntArray,
) -> tuple[int, float]:
    """Position and cost (distance + reluctance) of the nearest free occasion admitted with row i; -1 where none.

    `widths` (2, c): how far a limited variable may exceed row i's, and fall short of it. `earlier`: positions in the
    set so far, -1 for none. Ties by row.
    """
    best, cost = -1, np.inf
    here, squares = np.empty(q, dtype=np.float32), np.empty(1, dtype=np.float32)
    for k in range(q):
        here[k] = np.float32((points[i, k] - tree.centre[k]) / tree.size)
    nodes, reaches = np.empty(DEPTH, dtype=np.int64), np.empty(DEPTH)
    nodes[0], reaches[0] = root, _reach(tree, root, points, widths, q, i)
    waiting = 1
    while waiting > 0:
        waiting -= 1
        node = nodes[waiting]
        if reaches[waiting] > cost or reaches[waiting] == np.inf:
            continue
        child = tree.child[node]
        if child >= 0:
            one, other = _reach(tree, child, points, widths, q, i), _reach(tree, child + 1, points, widths, q, i)
            far = 0 if one > other else 1
            nodes[waiting], reaches[waiting] = child + far, max(one, other)
            nodes[waiting + 1], reaches[waiting + 1] = child + 1 - far, min(one, other)
            waiting += 2
            continue
        first, count = tree.begin[node], tree.end[node] - tree.begin[node]
        if squares.size < count:
            squares = np.empty(count, dtype=np.float32)
        limit = _limit((cost + 0.5) / tree.size, q)
        if not _squares(tree.packed[first * q : (first + count) * q], here, squares[:count], limit):
            continue
        for p in range(count):
            if squares[p] > limit or used[first + p] >= most_uses:
                continue
            j = tree.row[first + p]
            distance = apart(points, q, i, j)
            if distance > cost:
                continue
            distance += reluctance(rules, i, j)
            if distance > cost or (distance == cost and best >= 0 and j > tree.row[best]):
                continue
            allowed = admissible(rules, i, j)
            for before in earlier:
                allowed = allowed and (before < 0 or rules.person[tree.row[before]] != rules.person[j])
            if allowed:
                best, cost = first + p, distance
                limit = _limit((cost + 0.5) / tree.size, q)
    return best, cost


def _limit(distance: float, q: int) -> np.float32:
    """Single-precision sum of q squares above which a pair in [-1, 1] is farther apart than `distance`, certainly.

    With u = 2^-24: both coordinates and their difference are rounded, by at most 2u together, so that the distance is
    off by sqrt(q) 2u; squares and sum by a factor of (1 + u)^(q + 1). Twice as much is allowed for.
    """
    widened = distance + np.sqrt(q) * 2.0**-22
    return np.float32(widened * widened * (1.0 + (q + 2) * 2.0**-23))


def _squares(
    packed: NDArray[np.float32], here: NDArray[np.float32], out: NDArray[np.float32], limit: np.float32
) -> int:
    """Squared distances of a leaf's occasions from `here` into `out`; how many are within the limit."""
    count = out.size
    for p in range(count):
        out[p] = 0.0
    for k in range(here.size):
        for p in range(count):
            difference = packed[k * count + p] - here[k]
            out[p] += difference * difference
    within = 0
    for p in range(count):
        within += out[p] <= limit
    return within


BUILDING = (_widest, _halve)
"""What `build` calls."""
SEARCHING = (nearest, _reach, _limit, _squares, apart, admissible, reluctance)
"""`nearest` and what it calls."""
