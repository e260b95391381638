"""Optimal matching on any graph: certificates checked from their definition, pricing against the full list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import optimal_graph, optimal_pricing
from causal.design.matching.candidates import Edges, candidate_edges
from causal.design.matching.optimal_graph import assignment, graph_choices
from causal.design.matching.optimal_pricing import Assignment, market
from causal.design.matching.pairing import Pairing
from causal.design.matching.steps import in_steps
from causal.errors import DesignError

Problem = tuple[np.ndarray, np.ndarray, float, Pairing, int]


@st.composite
def problems(draw: st.DrawFn, most: int = 40) -> Problem:
    """Draw coordinates, arms, a caliper, rules that leave a ragged graph, and a ratio."""
    n = draw(st.integers(4, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    treated = rng.random(n) < draw(st.sampled_from([0.1, 0.3, 0.6]))
    treated[:2] = [True, False]
    z = rng.integers(0, draw(st.sampled_from([4, 100])), (n, draw(st.sampled_from([1, 2])))) / 2 + treated[:, None]
    entry = rng.integers(-20, 20, n).astype(float)
    rules = Pairing(
        exact=rng.integers(0, 3, n) if draw(st.booleans()) else None,
        differ=rng.integers(0, 4, (n, 1)) if draw(st.booleans()) else None,
        calipers=rng.integers(0, 9, (n, 2)).astype(float),
        widths=np.array([draw(st.sampled_from([3.0, 100.0])), -1.0]),
        window=draw(st.sampled_from([8.0, 100.0])),
        time=rng.integers(0, 20, n).astype(float),
        at_risk=np.column_stack([entry, entry + 20]) if draw(st.booleans()) else None,
        prefer=rng.integers(0, 2, (n, 1)) if draw(st.booleans()) else np.zeros((n, 1), int),
        penalty=np.array([1.5]),
    )
    return z, treated, draw(st.sampled_from([2.0, 10.0, np.inf])), rules, draw(st.integers(1, 3))


def dense(edges: Edges, n0: int) -> np.ndarray:
    """Costs of all pairs (n1, n0), infinite where not listed."""
    n1 = edges.indptr.size - 1
    cost = np.full((n1, n0), np.inf)
    cost[np.repeat(np.arange(n1), np.diff(edges.indptr)), edges.comparison] = edges.cost
    return cost


def worth(given: np.ndarray, cost: np.ndarray) -> tuple[int, int, float]:
    """Pairs, treated occasions served and total cost of the comparisons given (n1, ratio)."""
    has = given >= 0
    assert np.unique(given[has]).size == has.sum()
    return int(has.sum()), int(has.any(axis=1).sum()), float(cost[np.nonzero(has)[0], given[has]].sum())


def assert_certified(best: Assignment, cost: np.ndarray, ratio: int) -> None:
    """Check complementary slackness: no reduced cost below 0, none above 0 where matched, nothing free has a price."""
    cost = np.repeat(cost, ratio, axis=0)
    slots = np.arange(len(cost))
    level = -best.slot_level[:, None] - best.level
    reduced = cost - best.slot_price[:, None] - best.price
    linked = np.isfinite(cost)
    assert (level[linked] >= 0).all()
    assert (reduced[linked & (level == 0)] >= -1e-9).all()
    used = best.given >= 0
    assert (level[slots[used], best.given[used]] == 0).all()
    np.testing.assert_allclose(reduced[slots[used], best.given[used]], 0, atol=1e-9)
    free = np.setdiff1d(np.arange(cost.shape[1]), best.given)
    assert (best.level[free] == 0).all()
    assert (best.price[free] == 0).all()
    assert ((best.level < 0) | (best.price <= 1e-9)).all()
    empty_costs = np.where(slots % ratio == 0, 2, 1)
    assert (best.slot_level <= empty_costs).all()
    assert ((best.slot_level < empty_costs) | (best.slot_price <= 1e-9)).all()
    assert (best.slot_level[~used] == empty_costs[~used]).all()
    np.testing.assert_allclose(best.slot_price[~used], 0, atol=1e-9)


@settings(deadline=None, max_examples=200)
@given(problem=problems())
def test_prices_prove_the_matching_optimal(problem: Problem) -> None:
    """Linear programming duality: a matching with such prices cannot be improved, in counts or in cost."""
    z, treated, caliper, rules, ratio = problem
    edges = candidate_edges(z, treated, caliper=caliper, pairing=rules)
    n0 = int((~treated).sum())
    assert_certified(assignment(edges, ratio, n0), dense(edges, n0), ratio)


@settings(deadline=None, max_examples=200)
@given(problem=problems(), first=st.integers(1, 3), leaf=st.integers(1, 8))
def test_few_candidates_are_enough(problem: Problem, first: int, leaf: int) -> None:
    """Starting from one to three candidates each, in boxes of any size, pricing ends with the full list's worth."""
    z, treated, caliper, rules, ratio = problem
    edges = candidate_edges(z, treated, caliper=caliper, pairing=rules)
    n0 = int((~treated).sum())
    full = assignment(edges, ratio, n0).given.reshape(-1, ratio)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal_pricing, "LEAF", leaf)
        patch.setattr(optimal_graph, "FIRST_CANDIDATES", first)
        pairs = market(z, treated, caliper=caliper, pairing=rules)
        priced = graph_choices(pairs, ratio=ratio, memory=1.0)
    ours, theirs = worth(priced, dense(edges, n0)), worth(full, dense(edges, n0))
    assert ours[:2] == theirs[:2]
    assert ours[2] == pytest.approx(theirs[2], abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(problem=problems())
def test_counts_are_those_of_maximum_matchings(problem: Problem) -> None:
    """As many pairs as scipy's maximum matching of all slots, and as many treated served as of one slot each."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    z, treated, caliper, rules, ratio = problem
    edges = candidate_edges(z, treated, caliper=caliper, pairing=rules)
    cost = dense(edges, int((~treated).sum()))
    given = assignment(edges, ratio, cost.shape[1]).given.reshape(-1, ratio)
    linked = np.isfinite(cost)
    one = maximum_bipartite_matching(csr_array(linked), perm_type="column")
    all_slots = maximum_bipartite_matching(csr_array(np.repeat(linked, ratio, axis=0)), perm_type="column")
    assert worth(given, cost)[:2] == ((all_slots >= 0).sum(), (one >= 0).sum())


def test_is_as_good_as_scipys_sparse_assignment() -> None:
    """300 treated, 1,200 comparisons, all with a full match: the total of min_weight_full_bipartite_matching."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rng = np.random.default_rng(3)
    treated = np.arange(1500) < 300
    z = rng.normal(size=(1500, 2)) + 0.5 * treated[:, None]
    pairs = market(in_steps(z, None, Pairing()).coordinates, treated, caliper=None, pairing=Pairing())
    cost = np.sqrt(((z[:300][:, None] - z[300:]) ** 2).sum(axis=2))
    rows, columns = min_weight_full_bipartite_matching(csr_array(cost))
    ours = worth(graph_choices(pairs, ratio=1, memory=1.0), cost)
    assert ours == (300, 300, pytest.approx(cost[rows, columns].sum(), rel=1e-12))


@settings(deadline=None, max_examples=40)
@given(problem=problems(most=20))
def test_compiled_and_plain_loops_agree(problem: Problem) -> None:
    """The loops choose the same comparisons run as plain Python."""
    z, treated, caliper, rules, ratio = problem
    pairs = market(z, treated, caliper=caliper, pairing=rules)
    compiled = graph_choices(pairs, ratio=ratio, memory=1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal_graph, "_assigning_kernel", lambda: optimal_graph._assign)
        patch.setattr(optimal_graph, "_joining_kernel", lambda: optimal_graph._join)
        patch.setattr(optimal_pricing, "_improving_kernel", lambda: optimal_pricing._improving)
        plain = graph_choices(pairs, ratio=ratio, memory=1.0)
    np.testing.assert_array_equal(compiled, plain)


def test_tiny_distances_beside_large_ones_keep_their_precision() -> None:
    """Distances of 1e-9 decide between comparisons although another treated occasion is 1e6 away."""
    score = np.array([0.0, 1e6, 3e-9, 2e-9, 0.5])
    pairs = market(score, np.arange(5) < 2, caliper=None, pairing=Pairing())
    assert graph_choices(pairs, ratio=1, memory=1.0).tolist() == [[1], [2]]


def test_memory_is_refused_before_the_search() -> None:
    """A thousand treated occasions with a candidate each need more than 10 kB."""
    pairs = market(np.arange(2000.0), np.arange(2000) < 1000, caliper=None, pairing=Pairing())
    with pytest.raises(DesignError, match="candidate pairs") as refusal:
        graph_choices(pairs, ratio=1, memory=1e-5)
    assert refusal.value.code == "design.memory"
