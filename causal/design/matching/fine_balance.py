"""Matching with near-fine or refined balance: pairs may differ in a nominal variable as long as the groups do not.

Exact matching on a variable with many levels loses treated occasions, and balance is a matter of groups, not pairs. So
the counts of each level are made to agree over all pairs, or come as near as they can, at the least total distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import Edges, candidate_edges, distances, refuse_distances
from causal.design.matching.optimal import match_optimal
from causal.design.matching.pairing import Pairing, nothing_matched
from causal.design.matching.programme import NODES, Programme, solve
from causal.design.matching.sets import MatchedSets, on_rows, sets_from_choices
from causal.design.matching.steps import in_steps
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

UNIT = 1e3
"""The largest distance as the solver sees it, which stops within 1e-6 of the least total."""
BYTES_PER_PAIR, BYTES_PER_CODE = 1500.0, 600.0
"""Memory HiGHS takes per admissible pair, and for each column of codes to balance on top; measured."""


def match_fine_balance(
    coordinates: FloatArray,
    treated: BoolArray,
    *,
    balance: IntArray,
    ratio: int = 1,
    caliper: float | None = None,
    pairing: Pairing,
    nodes: int = NODES,
    memory: float = MEMORY,
) -> MatchedSets:
    """Match as many as can be, then balance as well as can be, then as closely as can be.

    With x 1 for each admissible pair (a, b) chosen, find in this order, each without giving up what came before:

    1. the most treated occasions with a comparison, then the most pairs, at most `ratio` for each treated occasion;
    2. for each column of `balance` in turn the smallest imbalance
       ``sum over levels q of abs(sum of x_ab (a in q) - sum of x_ab (b in q))``;
    3. the smallest ``sum of d_ab x_ab``, d the distance plus the penalties of preferences not met.

    That is the limit of ``sum d x + lambda_1 imbalance_1 + lambda_2 imbalance_2 + ...`` as each penalty grows past
    everything after it. One column is near-fine balance, and fine balance wherever that can be had; several columns are
    refined balance where each divides the levels of the one before.

    Parameters
    ----------
    coordinates, treated
        (n,) score or (n, q) coordinates, the distance being the absolute difference or Euclidean; (n,) arm.
    balance
        (n,) or (n, b) codes, the most important column first.
    ratio
        Most comparisons per treated occasion. Where all get as many, the imbalance is that of the matched groups,
        ``abs(ratio * n_treated - n_comparison)`` summed over levels; otherwise it counts pairs.
    caliper
        Largest distance allowed, inclusive, before penalties; None for no limit.
    pairing
        Rules on pairs; all are kept.
    nodes
        Branches to search before giving up, see `solve`.
    memory
        Gigabytes allowed.

    Returns
    -------
    The sets, each one's comparisons nearest first (ties by row). `MatchedSets.distance` excludes penalties. `imbalance`
    says what balance was reached.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.caliper``, ``design.penalty``,
        ``design.ratio``, ``design.nothing_matched``, ``design.memory``, ``design.programme``.

    Notes
    -----
    Rosenbaum, Ross & Silber (2007), J Am Stat Assoc 102:75-83 (fine balance); Yang, Small, Silber & Rosenbaum (2012),
    Biometrics 68:628-636 (near-fine); Pimentel, Kelz, Silber & Rosenbaum (2015), J Am Stat Assoc 110:515-527 (refined);
    Li, Propert & Rosenbaum (2001), J Am Stat Assoc 96:870-882 (in risk sets, by integer programming).

    Step 1 is a maximum flow. Each column is a programme of its own, solved together with the distances (which is faster
    than without), an imbalance weighing more than all of them; so no weight ever grows large enough to drown a distance
    in rounding. Balance depends on who is matched, not with whom: where every treated occasion matched has `ratio`
    comparisons, those the programme chose are paired anew by `match_optimal`, whose totals are exact and whose ties are
    settled. Other ties depend on the order of rows alone.

    >>> score, clinic = np.array([0.0, 1.0, 0.1, 0.9, 3.0]), np.array([1, 2, 1, 1, 2])
    >>> sets = match_fine_balance(score, np.arange(5) < 2, balance=clinic, pairing=Pairing())
    >>> sets.row.tolist(), imbalance(sets, clinic).tolist()
    ([0, 2, 1, 4], [0])
    """
    z = np.asarray(coordinates, dtype=np.float64)
    z = z.reshape(z.shape[0], -1)
    case = np.asarray(treated, dtype=np.bool_)
    codes = np.asarray(balance, dtype=np.int64).reshape(case.size, -1)
    pairing.refuse_once("fine balance")
    refuse_distances(z, case, caliper=caliper, pairing=pairing)
    place, limit, counted = in_steps(z, caliper, pairing)
    edges = candidate_edges(place, case, caliper=limit, pairing=counted, memory=memory)
    if not 1 <= ratio <= (~case).sum():
        raise DesignError("design.ratio", f"the ratio must be from 1 to the number of comparisons, got {ratio}")
    if not edges.cost.size:
        raise nothing_matched()
    require_memory(
        (BYTES_PER_PAIR + BYTES_PER_CODE * codes.shape[1]) * edges.cost.size,
        limit=memory,
        work=f"the programme over {edges.cost.size:,} admissible pairs",
        instead="give a caliper, or a narrower one, or match exactly on more variables",
    )
    cases, pool = np.flatnonzero(case), np.flatnonzero(~case)
    graph = _graph(edges, case, pairing, ratio)
    chosen = _choose(graph, [(column[cases], column[pool]) for column in codes.T], nodes)
    given = _by_case(graph, chosen)
    if np.isin((given >= 0).sum(axis=1), [0, ratio]).all() and (graph.alike < 0).all():
        sample = np.sort(np.concatenate([cases[given[:, 0] >= 0], pool[given[given >= 0]]]))
        sets = match_optimal(
            z[sample], case[sample], ratio=ratio, caliper=caliper, pairing=pairing.rows(sample), memory=memory
        )
        return replace(on_rows(sets, sample), n_unmatched_treated=cases.size - sets.n_sets)
    given = np.where(given >= 0, pool[given], -1)
    apart = np.where(given >= 0, distances(place, cases, given, steps=True), np.inf)
    given = np.take_along_axis(given, np.lexsort((given, apart), axis=1), axis=1)
    return sets_from_choices(cases, given, distances(z, cases, given), caliper=caliper)


def imbalance(sets: MatchedSets, balance: IntArray) -> IntArray:
    """Imbalance of each column of codes (n,) or (n, b) over all pairs of the sets: (b,), 0 where balance is fine.

    Every comparison makes a pair with its set's treated occasion; over levels, the pairs whose treated occasion has the
    level less those whose comparison has it, without sign, are summed.
    """
    head = sets.row[sets.is_treated][sets.set_id][~sets.is_treated]
    other = sets.row[~sets.is_treated]
    columns = balance.reshape(balance.shape[0], -1).T
    return np.array([np.abs(_difference(column[head], column[other])).sum() for column in columns], dtype=np.int64)


def _difference(one: IntArray, other: IntArray) -> IntArray:
    """For each level its count in `one` less its count in `other`."""
    values, code = np.unique(np.concatenate([one, other]), return_inverse=True)
    sign = np.repeat([1, -1], [one.size, other.size])
    return np.bincount(code, weights=sign, minlength=values.size).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Graph:
    """Admissible pairs: treated `case` and comparison `pool`, both counted in row order, and `cost`, (e,) each.

    `alike` (e,) numbers the pairs of one treated occasion with one person, where several of them could enter its set;
    -1 elsewhere.
    """

    case: IntArray
    pool: IntArray
    cost: FloatArray
    alike: IntArray
    n1: int
    n0: int
    ratio: int


def _graph(edges: Edges, case: BoolArray, pairing: Pairing, ratio: int) -> _Graph:
    n1, n0 = int(case.sum()), int((~case).sum())
    of_case = np.repeat(np.arange(n1), np.diff(edges.indptr))
    alike = np.full(of_case.size, -1, dtype=np.int64)
    if pairing.person is not None and ratio > 1:
        _, who = np.unique(pairing.person[~case], return_inverse=True)
        _, label, times = np.unique(of_case * n0 + who[edges.comparison], return_inverse=True, return_counts=True)
        several = times[label] > 1
        alike[several] = np.unique(label[several], return_inverse=True)[1]
    return _Graph(
        case=of_case,
        pool=edges.comparison.astype(np.int64),
        cost=edges.cost,
        alike=alike,
        n1=n1,
        n0=n0,
        ratio=ratio,
    )


def _most(graph: _Graph, each: int) -> int:
    """Most pairs there can be at once with at most `each` for a treated occasion (maximum flow)."""
    from scipy import sparse
    from scipy.sparse.csgraph import maximum_flow

    n1, n0, e = graph.n1, graph.n0, graph.case.size
    _, between = np.unique(np.where(graph.alike >= 0, graph.alike, -1 - np.arange(e)), return_inverse=True)
    middle = 1 + n1 + np.arange(int(between.max()) + 1)  # pairs alike pass through one place that lets one pass
    pool = middle[-1] + 1
    sink = pool + n0
    enter, begin = np.unique(between, return_index=True)
    tail = np.concatenate([np.zeros(n1), 1 + graph.case[begin], middle[between], pool + np.arange(n0)])
    head = np.concatenate([1 + np.arange(n1), middle[enter], pool + graph.pool, np.full(n0, sink)])
    most = np.concatenate([np.full(n1, each), np.ones(tail.size - n1)])
    network = sparse.csr_matrix((most.astype(np.int32), (tail.astype(np.int32), head)), shape=(sink + 1, sink + 1))
    return int(maximum_flow(network, 0, sink).flow_value)


def _choose(graph: _Graph, columns: list[tuple[IntArray, IntArray]], nodes: int) -> BoolArray:
    """Which pairs are chosen (e,), given the codes of treated and comparisons in each column."""
    from scipy import sparse

    n_matched, n_pairs = _most(graph, 1), _most(graph, graph.ratio)
    programme, of_column = _programme(graph, columns, n_matched, n_pairs)
    closeness = np.zeros(programme.cost.size)
    closeness[: graph.cost.size] = UNIT * (graph.cost / (graph.cost.max() or 1.0))
    x = np.zeros(0)
    for k in range(len(columns)):
        apart = (of_column == k).astype(np.float64)
        aim = closeness + UNIT * (n_pairs + 1) / 2 * apart  # imbalances differ by 2 or more
        found = solve(replace(programme, cost=aim), nodes=nodes, work=f"the match of {graph.cost.size:,} pairs")
        assert found is not None  # the flow is a match, and later aims keep the earlier solution
        x = found.x
        reached = np.array([np.round(apart @ x)])
        programme = replace(
            programme,
            matrix=sparse.vstack([programme.matrix, sparse.csr_array(apart[None])], format="csc"),
            row_lower=np.concatenate([programme.row_lower, reached]),
            row_upper=np.concatenate([programme.row_upper, reached]),
        )
    return np.asarray(x[: graph.cost.size] > 0.5, dtype=np.bool_)


def _programme(
    graph: _Graph, columns: list[tuple[IntArray, IntArray]], n_matched: int, n_pairs: int
) -> tuple[Programme, IntArray]:
    """The programme without a cost, and the column of codes each variable counts the imbalance of (-1: none).

    Variables: pairs (e,); `first` (n1,), 0 or 1, and `further` (n1,), 0 to ratio - 1, which add up to a treated
    occasion's pairs; `over` and `under`, by how many pairs each level of each column has too many treated or too many
    comparisons. All rules but those of levels that cross each other are a network's: its corners are whole numbers.
    """
    from scipy import sparse

    e, n1, n_alike = graph.case.size, graph.n1, int(graph.alike.max()) + 1
    difference, of_level = _differences(graph, columns)
    levels = of_level.size
    one, level = sparse.eye_array(n1), sparse.eye_array(levels)
    all_of = sparse.csr_array(np.ones((1, n1)))
    blocks: list[list[Any]] = [
        [_incidence(graph.case, n1), -one, -one, None, None],
        [difference, None, None, -level, level],
        [None, all_of, None, None, None],
        [None, None, all_of, None, None],
        [_incidence(graph.pool, graph.n0), None, None, None, None],
        *([[_incidence(graph.alike, n_alike), None, None, None, None]] if n_alike else []),
    ]
    fixed = np.concatenate([np.zeros(n1 + levels), [n_matched, n_pairs - n_matched]])
    sizes = [e, n1, n1, levels, levels]
    programme = Programme(
        cost=np.zeros(sum(sizes)),
        lower=np.zeros(sum(sizes)),
        upper=np.repeat([1.0, 1.0, graph.ratio - 1.0, n_pairs, n_pairs], sizes),
        integral=np.arange(sum(sizes)) < e,
        matrix=sparse.block_array(blocks, format="csc"),
        row_lower=np.concatenate([fixed, np.zeros(graph.n0 + n_alike)]),
        row_upper=np.concatenate([fixed, np.ones(graph.n0 + n_alike)]),
    )
    return programme, np.concatenate([np.full(e + 2 * n1, -1), of_level, of_level])


def _incidence(row: IntArray, n: int) -> Any:
    """Sparse (n, e) with a 1 for each of the e pairs in the row given; negative rows are nowhere."""
    from scipy import sparse

    at = np.flatnonzero(row >= 0)
    return sparse.csr_array((np.ones(at.size), (row[at], at)), shape=(n, row.size))


def _differences(graph: _Graph, columns: list[tuple[IntArray, IntArray]]) -> tuple[Any, IntArray]:
    """Sparse (l, e): 1 where the pair's treated occasion has the level, -1 where its comparison has, 0 where both."""
    from scipy import sparse

    blocks, of_level = [], []
    for k, (treated, comparison) in enumerate(columns):
        values, code = np.unique(np.concatenate([treated, comparison]), return_inverse=True)
        here, there = code[: graph.n1][graph.case], code[graph.n1 :][graph.pool]
        unlike = here != there
        blocks.append(
            _incidence(np.where(unlike, here, -1), values.size) - _incidence(np.where(unlike, there, -1), values.size)
        )
        of_level.append(np.full(values.size, k))
    return sparse.vstack(blocks), np.concatenate(of_level)


def _by_case(graph: _Graph, chosen: BoolArray) -> IntArray:
    """Comparisons chosen by each treated occasion, in row order: (n1, ratio), -1 where none."""
    given = np.full((graph.n1, graph.ratio), -1, dtype=np.int64)
    case = graph.case[chosen]
    given[case, np.arange(case.size) - np.searchsorted(case, case)] = graph.pool[chosen]
    return given
