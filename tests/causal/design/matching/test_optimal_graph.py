"""Optimal matching on any graph: certificates checked from their definition, pricing against the full list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from causal.design.matching import cheapest, links, listed, optimal_graph, optimal_pricing, reached
from causal.design.matching.candidates import Edges, candidate_edges
from causal.design.matching.optimal_graph import Solution, graph_choices, sets_of, solve
from causal.design.matching.optimal_pricing import market
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


def assert_certified(found: Solution, cost: np.ndarray) -> None:
    """Check complementary slackness over all pairs of a zone: nobody's price could pay for another pair."""
    prices, (case, comparison) = found.prices, found.links()
    level = -prices.treated_level[:, None] - prices.level
    reduced = cost - prices.treated_price[:, None] - prices.price
    assert (level[np.isfinite(cost)] >= 0).all()
    assert (reduced[np.isfinite(cost) & (level == 0)] >= -1e-9).all()
    assert (level[case, comparison] == 0).all()
    np.testing.assert_allclose(reduced[case, comparison], 0, atol=1e-9)
    for arm, ends, price in (
        (found.treated, case, prices.treated_price),
        (found.comparison, comparison, prices.price),
    ):
        degree = np.bincount(ends, minlength=price.size)
        assert (arm.degree == degree).all()
        assert ((arm.fewest <= degree) & (degree <= arm.most)).all()
        assert (price[(degree == arm.fewest) & (arm.fewest < arm.most)] >= -1e-9).all()
        assert (price[(degree == arm.most) & (arm.fewest < arm.most)] <= 1e-9).all()
        np.testing.assert_allclose(price[(degree > arm.fewest) & (degree < arm.most)], 0, atol=1e-9)


@settings(deadline=None, max_examples=200)
@given(problem=problems(), first=st.integers(1, 16), leaf=st.integers(1, 16))
def test_prices_prove_the_matching_optimal(problem: Problem, first: int, leaf: int) -> None:
    """Linear programming duality, from any first candidates in boxes of any size: no admissible pair could improve."""
    z, treated, caliper, rules, ratio = problem
    edges = candidate_edges(z, treated, caliper=caliper, pairing=rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal_pricing, "LEAF", leaf)
        patch.setattr(optimal_graph, "FIRST_CANDIDATES", first)
        pairs = market(z, treated, caliper=caliper, pairing=rules)
        assert_certified(solve(pairs, *sets_of(ratio), memory=1.0), dense(edges, int((~treated).sum())))


@settings(deadline=None, max_examples=200)
@given(problem=problems(most=24), first=st.integers(1, 3))
def test_no_other_sets_cost_less(problem: Problem, first: int) -> None:
    """Counts and total are those of a mixed integer programme that HiGHS solves, the counts first."""
    z, treated, caliper, rules, ratio = problem
    cost = dense(candidate_edges(z, treated, caliper=caliper, pairing=rules), int((~treated).sum()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal_graph, "FIRST_CANDIDATES", first)
        pairs = market(z, treated, caliper=caliper, pairing=rules)
        ours = worth(graph_choices(pairs, ratio=ratio, memory=1.0), cost)
    i, j = np.nonzero(np.isfinite(cost))
    if i.size == 0:
        assert ours == (0, 0, 0.0)
        return
    served = (np.arange(len(cost))[:, None] == i).astype(float)  # rows: treated; columns: pairs, then who is served
    used = (np.arange(cost.shape[1])[:, None] == j).astype(float)
    none = np.zeros((used.shape[0], len(cost)))
    rows = np.block([[served, np.zeros((len(cost), len(cost)))], [used, none], [-served, np.eye(len(cost))]])
    upper = np.r_[np.full(len(cost), ratio), np.ones(used.shape[0]), np.zeros(len(cost))]
    best = milp(
        np.r_[cost[i, j] - 2.0**14, np.full(len(cost), -(2.0**14))],
        constraints=LinearConstraint(rows, ub=upper),
        integrality=np.ones(rows.shape[1]),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0},
    )
    chosen = best.x[: i.size] > 0.5
    theirs = (chosen.sum(), np.unique(i[chosen]).size, cost[i, j][chosen].sum())
    assert ours[:2] == theirs[:2]
    assert ours[2] == pytest.approx(theirs[2], abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(problem=problems())
def test_counts_are_those_of_maximum_matchings(problem: Problem) -> None:
    """As many pairs as scipy's maximum matching of all slots, and as many treated served as of one slot each."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    z, treated, caliper, rules, ratio = problem
    edges = candidate_edges(z, treated, caliper=caliper, pairing=rules)
    cost = dense(edges, int((~treated).sum()))
    given = graph_choices(market(z, treated, caliper=caliper, pairing=rules), ratio=ratio, memory=1.0)
    linked = np.isfinite(cost)
    one = maximum_bipartite_matching(csr_array(linked), perm_type="column")
    all_slots = maximum_bipartite_matching(csr_array(np.repeat(linked, ratio, axis=0)), perm_type="column")
    assert worth(given, cost)[:2] == ((all_slots >= 0).sum(), (one >= 0).sum())


def test_heavy_competition_is_as_good_as_the_line() -> None:
    """Treated occasions two SD apart from few comparisons: counts and total are those found along the line."""
    from causal.design.matching.optimal_line import line_choices

    rng = np.random.default_rng(8)
    for ratio in (1, 2, 5):
        treated = rng.random(3000) < 0.2
        score = rng.normal(size=3000) + 2 * treated
        cases, given = line_choices(score, np.zeros(3000, int), treated, ratio=ratio, caliper=0.1)
        line = np.abs(score[given] - score[cases][:, None])[given >= 0]
        ours = graph_choices(market(score, treated, caliper=0.1, pairing=Pairing()), ratio=ratio, memory=1.0)
        apart = np.abs(score[~treated][ours] - score[treated][:, None])[ours >= 0]
        assert apart.size == line.size
        assert (ours >= 0).any(axis=1).sum() == (given >= 0).any(axis=1).sum()
        assert apart.sum() == pytest.approx(line.sum(), rel=1e-12)


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
        for module, name, loop in (
            (links, "_linking_kernel", links._link_all),
            (links, "_deficient_kernel", links._deficient),
            (reached, "_sweeping", reached._sweep),
            (reached, "_from_treated", reached._spread_from_treated),
            (listed, "_joining_kernel", listed._join),
            (listed, "_parting_kernel", listed._part),
            (cheapest, "_kernel", cheapest._link_cheapest),
            (optimal_pricing, "_improving_kernel", optimal_pricing._improving),
        ):
            patch.setattr(module, name, lambda loop=loop: loop)
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
