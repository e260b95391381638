"""Optimal full matching against every possible cover, integer programming, and the properties it must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds as Box
from scipy.optimize import LinearConstraint, milp

from causal.design.matching import cheapest, full_line, links, listed, optimal_graph, optimal_pricing, reached
from causal.design.matching.full import distance_to, match_full
from causal.design.matching.full_graph import Bounds, cover_graph
from causal.design.matching.full_line import cover_line
from causal.design.matching.greedy import match_greedy
from causal.design.matching.pairing import Pairing, admissible, reluctance
from causal.design.matching.sets import MatchedSets
from causal.design.matching.steps import in_steps
from causal.errors import DesignError

FREE = Bounds(fewest=1, most=np.inf, shared=np.inf)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What `match_full` is asked, bounds as degrees: comparisons of a treated, treated of a comparison."""

    points: np.ndarray
    treated: np.ndarray
    caliper: float | None
    pairing: Pairing
    fewest: int
    most: float
    shared: float

    def solve(self) -> MatchedSets:
        """Call `match_full`."""
        controls = 0.0 if np.isinf(self.shared) else 1 / self.shared
        return match_full(
            self.points, self.treated, caliper=self.caliper, pairing=self.pairing,
            min_controls=self.fewest if self.fewest > 1 else controls, max_controls=self.most,
        )  # fmt: skip

    def edges(self) -> list[tuple[int, int, float]]:
        """List all admissible pairs with their costs."""
        rules, limit = self.pairing.arrays(self.treated.size), np.inf if self.caliper is None else self.caliper
        pairs = [(i, j) for i in np.flatnonzero(self.treated) for j in np.flatnonzero(~self.treated)]
        apart = {(i, j): float(np.sqrt(((self.points[i] - self.points[j]) ** 2).sum())) for i, j in pairs}
        allowed = [pair for pair in pairs if apart[pair] <= limit and admissible(rules, *pair)]
        return [(int(i), int(j), apart[i, j] + reluctance(rules, i, j)) for i, j in allowed]


@st.composite
def problems(draw: st.DrawFn, *, bounded: bool, most_edges: int = 12) -> Problem:
    """Draw small problems with ties in scores and distances, under any rule."""
    n, q = draw(st.integers(2, 8)), draw(st.integers(1, 2))
    coordinate = st.one_of(st.integers(-4, 4).map(lambda v: v / 2), st.floats(-3, 3))
    treated = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: any(t) and not all(t))))
    if treated.sum() * (~treated).sum() > most_edges:
        treated[:] = [True] + [False] * (n - 1)

    def codes(most: int, columns: int | None = None) -> np.ndarray | None:
        if draw(st.booleans()):
            return None
        found = np.array(draw(st.lists(st.integers(0, most), min_size=n, max_size=n)))
        return found if columns is None else found[:, None]

    time, prefer, variable = codes(5), codes(1, 1), codes(3, 1)
    shared = draw(st.sampled_from([np.inf, 3.0, 2.0, 1.0])) if bounded else np.inf
    return Problem(
        points=np.array(draw(st.lists(coordinate, min_size=n * q, max_size=n * q))).reshape(n, q),
        treated=treated,
        caliper=draw(st.sampled_from([None, 0.5, 1.0, 2.5])),
        pairing=Pairing(
            exact=codes(1),
            differ=codes(3, 1),
            time=None if time is None else time.astype(float),
            window=None if time is None else 2.0,
            at_risk=None if time is None else np.column_stack([time - 2.0, time + 3.0]),
            prefer=prefer,
            penalty=None if prefer is None else np.array([0.75]),
            calipers=None if variable is None else variable.astype(float),
            widths=None if variable is None else np.array([draw(st.sampled_from([1.0, 2.0, -1.0]))]),
        ),
        fewest=draw(st.sampled_from([1, 1, 2])) if shared == 1 else 1,
        most=draw(st.sampled_from([2.0, 3.0, np.inf])) if bounded else np.inf,
        shared=shared,
    )


def cheapest_cover(problem: Problem) -> tuple[int, float] | None:
    """Look at every set of admissible pairs: occasions with a partner left out, and cost; None where bounds fail."""
    edges = problem.edges()
    chosen = (np.arange(2 ** len(edges))[:, None] >> np.arange(len(edges))) & 1 == 1
    degree = np.zeros((chosen.shape[0], problem.treated.size), dtype=int)
    for e, (i, j, _) in enumerate(edges):
        degree[:, i] += chosen[:, e]
        degree[:, j] += chosen[:, e]
    partnered = np.isin(np.arange(problem.treated.size), [row for i, j, _ in edges for row in (i, j)])
    allowed = (degree[:, problem.treated] <= problem.most).all(axis=1)
    allowed &= (degree[:, ~problem.treated] <= problem.shared).all(axis=1)
    if problem.fewest > 1:
        allowed &= (degree[:, problem.treated & partnered] >= problem.fewest).all(axis=1)
    if not allowed.any():
        return None
    left_out = (degree[:, partnered] == 0).sum(axis=1)
    cost = chosen @ np.array([cost for _, _, cost in edges])
    best = left_out[allowed].min()
    return int(best), float(cost[allowed & (left_out == best)].min())


def stars(sets: MatchedSets, treated: np.ndarray) -> list[tuple[int, list[int]]]:
    """Hub and leaves of each set, which must be a star."""
    found = []
    for s in range(sets.n_sets):
        rows = sets.row[sets.set_id == s]
        assert (treated[rows] == sets.is_treated[sets.set_id == s]).all()
        arms = rows[treated[rows]], rows[~treated[rows]]
        assert min(arm.size for arm in arms) == 1
        hub = int(arms[0][0] if arms[0].size == 1 else arms[1][0])
        found.append((hub, [int(r) for r in rows if r != hub]))
    return found


def check_against_all_covers(problem: Problem) -> None:
    """Compare with the cheapest of all covers, and hold the sets to the rules."""
    edges = {(i, j): cost for i, j, cost in problem.edges()}
    expected = cheapest_cover(problem)
    if not edges or expected is None:
        with pytest.raises(DesignError) as refusal:
            problem.solve()
        assert refusal.value.code == ("design.too_few_comparisons" if edges else "design.nothing_matched")
        return
    sets = problem.solve()
    treated, total = problem.treated, 0.0
    for hub, leaves in stars(sets, treated):
        pairs = [(hub, leaf) if treated[hub] else (leaf, hub) for leaf in leaves]
        total += sum(edges[pair] for pair in pairs)
        assert len(leaves) <= (problem.most if treated[hub] else problem.shared) or len(leaves) == 1
        assert len(leaves) >= problem.fewest or not treated[hub]
    partnered = {row for pair in edges for row in pair}
    assert np.unique(sets.row).size == sets.row.size == len(partnered) - expected[0]
    assert set(sets.row.tolist()) <= partnered
    assert sets.n_unmatched_treated == treated.sum() - sets.is_treated.sum()
    assert total == pytest.approx(expected[1], abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(problem=problems(bounded=False))
def test_no_cover_is_cheaper(problem: Problem) -> None:
    """Unbounded, everyone who has a partner is in one star, at the least of all total distances, under any rules."""
    check_against_all_covers(problem)


@settings(max_examples=150, deadline=None)
@given(problem=problems(bounded=True))
def test_no_bounded_cover_is_cheaper(problem: Problem) -> None:
    """With bounds as many as possible are in a star, and no other way to match as many is shorter."""
    check_against_all_covers(problem)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(1, 8))
def test_bounded_cover_is_the_linear_programme(seed: int, first: int) -> None:
    """Forty occasions under heavy competition: who is covered and the total are those of HiGHS, under any bounds."""
    rng = np.random.default_rng(seed)
    n = 40
    treated = rng.permutation(n) < rng.choice([4, 10, 20, 30])
    z = rng.integers(0, rng.choice([12, 400]), (n, rng.choice([1, 2]))) / 4 + 2.0 * treated[:, None]
    rules = Pairing(
        exact=rng.integers(0, 2, n) if rng.random() < 0.5 else None,
        person=rng.integers(0, n, n),
        prefer=rng.integers(0, 2, (n, 1)),
        penalty=np.array([0.75]),
    )
    caliper, most, shared = (float(rng.choice(choice)) for choice in ([2.0, 50.0], [1, 2, 5, np.inf], [1, 2, np.inf]))
    problem = Problem(
        points=z, treated=treated, caliper=caliper, pairing=rules, fewest=1, most=most, shared=shared
    )  # fmt: skip
    edges = problem.edges()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal_graph, "FIRST_CANDIDATES", first)
        place, limited, counted = in_steps(z, caliper, rules)
        bounds = Bounds(fewest=1, most=most, shared=shared)
        case, comparison = cover_graph(place, treated, counted, caliper=limited, bounds=bounds, memory=1.0)
    if not edges:
        assert case.size == 0
        return
    cost_of = {(i, j): cost for i, j, cost in edges}
    rows, columns, costs = (np.array(part) for part in zip(*edges, strict=True))
    touches = ((np.arange(n)[:, None] == rows) | (np.arange(n)[:, None] == columns)).astype(float)
    limit = np.minimum(np.where(treated, most, shared), n)
    best = milp(
        np.r_[costs, np.full(n, -(2.0**14))],
        constraints=LinearConstraint(
            np.block([[touches, np.zeros((n, n))], [-touches, np.eye(n)]]), ub=np.r_[limit, np.zeros(n)]
        ),
        integrality=np.ones(costs.size + n),
        bounds=Box(0, 1),
        options={"mip_rel_gap": 0},
    )
    chosen = best.x[: costs.size] > 0.5
    assert np.unique(np.r_[case, comparison]).size == (touches[:, chosen].sum(axis=1) > 0).sum()
    assert (np.bincount(np.r_[case, comparison], minlength=n) <= limit).all()
    total = sum(cost_of[pair] for pair in zip(case.tolist(), comparison.tolist(), strict=True))
    assert total == pytest.approx(costs[chosen].sum(), abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_line_is_the_linear_programme(tied: bool) -> None:
    """On a score the linear-time cover costs what HiGHS finds for the edge cover polytope."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(7)
    for _ in range(60):
        n = int(rng.integers(4, 40))
        score = rng.integers(0, 25, n).astype(float) if tied else rng.normal(size=n) * 5
        treated = rng.permutation(np.arange(n) < max(1, rng.binomial(n - 1, rng.choice([0.2, 0.5, 0.8]))))
        stratum, caliper = rng.integers(0, 2, n), float(rng.choice([np.inf, 0.7, 2.0]))
        i, j = np.nonzero(treated[:, None] & ~treated & (stratum[:, None] == stratum))
        near = np.abs(score[i] - score[j]) <= caliper
        i, j = i[near], j[near]
        ends = cover_line(score, treated, stratum, caliper)
        assert set(np.r_[ends].ravel()) == set(np.r_[i, j])
        if i.size:
            incidence = np.zeros((n, i.size))
            incidence[np.r_[i, j], np.r_[np.arange(i.size), np.arange(i.size)]] = 1
            some = incidence.any(axis=1)
            best = linprog(np.abs(score[i] - score[j]), A_ub=-incidence[some], b_ub=-np.ones(some.sum()), bounds=(0, 1))
            assert np.abs(score[ends[0]] - score[ends[1]]).sum() == pytest.approx(best.fun, abs=1e-9)
            assert (np.abs(score[ends[0]] - score[ends[1]]) <= caliper).all()


@pytest.mark.parametrize("caliper", [np.inf, 0.05])
def test_line_and_graph_agree(caliper: float) -> None:
    """Both routes find covers of equal cost where both apply."""
    rng = np.random.default_rng(3)
    for share in (0.05, 0.3, 0.5):
        score, treated = rng.normal(size=800), rng.random(800) < share
        stratum = rng.integers(0, 3, 800)
        line = cover_line(score, treated, stratum, caliper)
        graph = cover_graph(
            score[:, None], treated, Pairing(exact=stratum), caliper=caliper, bounds=FREE, memory=1.0
        )  # fmt: skip
        costs = [np.abs(score[a] - score[b]).sum() for a, b in (line, graph)]
        assert set(np.r_[line].ravel()) == set(np.r_[graph].ravel())
        assert costs[0] == pytest.approx(costs[1], rel=1e-12)


def test_loops_say_the_same_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilation changes nothing."""
    rng = np.random.default_rng(5)
    x, treated = 1000 * rng.normal(size=(40, 2)), np.arange(40) < 12
    bounds = Bounds(fewest=1, most=3.0, shared=2.0)
    compiled = (
        *cover_line(x[:, 0], treated, np.zeros(40, np.int64), 800.0),
        *cover_graph(x, treated, Pairing(), caliper=1500.0, bounds=bounds, memory=1.0),
        *cover_graph(x, treated, Pairing(), caliper=1500.0, bounds=FREE, memory=1.0),
    )
    for module, name, kernel in (
        (full_line, "_compiled_partners", full_line._has_partner),
        (full_line, "_compiled_edges", full_line._edges),
        (links, "_linking_kernel", links._link_all),
        (links, "_deficient_kernel", links._deficient),
        (reached, "_sweeping", reached._sweep),
        (reached, "_from_treated", reached._spread_from_treated),
        (reached, "_from_comparisons", reached._spread_from_comparisons),
        (listed, "_joining_kernel", listed._join),
        (listed, "_parting_kernel", listed._part),
        (cheapest, "_kernel", cheapest._link_cheapest),
        (optimal_pricing, "_improving_kernel", optimal_pricing._improving),
    ):
        monkeypatch.setattr(module, name, lambda kernel=kernel: kernel)
    plain = (
        *cover_line(x[:, 0], treated, np.zeros(40, np.int64), 800.0),
        *cover_graph(x, treated, Pairing(), caliper=1500.0, bounds=bounds, memory=1.0),
        *cover_graph(x, treated, Pairing(), caliper=1500.0, bounds=FREE, memory=1.0),
    )
    assert all((a == b).all() for a, b in zip(compiled, plain, strict=True))


def as_sets(sets: MatchedSets, key: np.ndarray) -> set[frozenset[int]]:
    """Return the sets as keys of their members."""
    return {frozenset(key[sets.row[sets.set_id == s]].tolist()) for s in range(sets.n_sets)}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), bounded=st.booleans())
def test_order_and_units_do_not_matter(seed: int, bounded: bool) -> None:
    """Shuffled rows, shifted, mirrored and rescaled coordinates give the same sets, where no two ways cost the same."""
    rng = np.random.default_rng(seed)
    x, treated = rng.normal(size=(30, 2 if bounded else 1)), np.arange(30) < 9
    bounds: dict[str, Any] = {"min_controls": 0.5, "max_controls": 3} if bounded else {}
    here = as_sets(match_full(x, treated, caliper=0.75, **bounds), np.arange(30))
    order = rng.permutation(30)
    assert as_sets(match_full(x[order], treated[order], caliper=0.75, **bounds), order) == here
    for changed, caliper in ((x * 8, 6.0), (-x, 0.75), (x + 0.1, 0.75)):
        assert as_sets(match_full(changed, treated, caliper=caliper, **bounds), np.arange(30)) == here


def test_exchanged_arms_are_the_same_sets() -> None:
    """Treated and comparisons play one role, so that a bound may be put on either."""
    rng = np.random.default_rng(11)
    x, treated = 1e6 * rng.normal(size=(40, 2)), np.arange(40) < 15  # costs are rounded to whole numbers
    for bounds, mirrored in (
        (FREE, FREE),
        (Bounds(fewest=1, most=2.0, shared=3.0), Bounds(fewest=1, most=3.0, shared=2.0)),
    ):
        here = cover_graph(x, treated, Pairing(), caliper=np.inf, bounds=bounds, memory=1.0)
        there = cover_graph(x, ~treated, Pairing(), caliper=np.inf, bounds=mirrored, memory=1.0)
        assert set(zip(*here, strict=True)) == set(zip(*there[::-1], strict=True))


def test_hand_worked() -> None:
    """Two stars, by hand: 0 with 1 and 4 (0.1 + 0.3), and 3 with 2 and 5 (0.2 + 0.5)."""
    score = np.array([0.0, 0.1, 5.0, 5.2, 0.3, 5.7])
    sets = match_full(score, np.array([True, False, True, False, False, True]), estimand="ATE")
    assert sets.row.tolist() == [0, 1, 4, 2, 5, 3]
    assert sets.set_id.tolist() == [0, 0, 0, 1, 1, 1]
    assert sets.weight.tolist() == [3.0, 1.5, 1.5, 1.5, 1.5, 3.0]
    assert np.allclose(sets.distance, [0.0, 0.1, 0.3, 0.2, 0.5, 0.0])


def test_a_caliper_can_cost_an_edge() -> None:
    """Treated at 0, 1, 3 and comparisons at 4, 6, 7 pair at 4 + 5 + 4; if 5 is too far, it takes 4 + 3 + 3 + 4."""
    score, treated = np.array([0.0, 1, 3, 4, 6, 7]), np.arange(6) < 3
    free, held = match_full(score, treated), match_full(score, treated, caliper=4.5)
    assert (free.n_sets, free.distance.sum()) == (3, 13.0)
    assert (held.n_sets, held.distance.sum()) == (2, 14.0)
    assert as_sets(held, score.astype(int)) == {frozenset({0, 1, 4}), frozenset({3, 6, 7})}


def test_the_caliper_is_inclusive() -> None:
    """A partner at exactly the caliper is one; who has none is left out, on either side."""
    sets = match_full(np.array([0.0, 0.5, 9.0, 7.0]), np.array([True, False, True, False]), caliper=0.5)
    assert (sets.row.tolist(), sets.n_unmatched_treated, sets.caliper) == ([0, 1], 1, 0.5)


def test_weights_follow_the_estimand_and_sets_do_not() -> None:
    """The same sets weigh 1 : n1/n0 (ATT), n0/n1 : 1 (ATC)."""
    score, treated = np.array([0.0, 1.0, 2.0]), np.array([True, False, False])
    assert match_full(score, treated, estimand="ATT").weight.tolist() == [1.0, 0.5, 0.5]
    assert match_full(score, treated, estimand="ATC").weight.tolist() == [2.0, 1.0, 1.0]


def test_pairs_with_the_rest_attached_cost_no_less() -> None:
    """Greedy pairs, the comparisons left over joined to their nearest treated, are a full match, not a shorter one."""
    rng = np.random.default_rng(2)
    score, treated = rng.normal(size=300), np.arange(300) < 60
    pairs = match_greedy(score, treated)
    rest = np.setdiff1d(np.flatnonzero(~treated), pairs.row)
    extended = pairs.distance.sum() + np.abs(score[rest][:, None] - score[treated]).min(axis=1).sum()
    assert match_full(score, treated).distance.sum() <= extended


def test_surplus_comparisons_are_left_out() -> None:
    """At most two comparisons each: the two that are farthest away are in no set, and no treated occasion is lost."""
    score = np.array([0.0, 10.0, 0.1, 0.2, 0.5, 10.1, 10.2, 10.7])
    sets = match_full(score, np.arange(8) < 2, max_controls=2)
    assert sets.row.tolist() == [0, 2, 3, 1, 5, 6]
    assert sets.n_unmatched_treated == 0


def test_persons_twice_in_a_set() -> None:
    """A person's two comparisons may serve two sets; where the least distance has them in one, it is refused."""
    treated = np.array([True, True, False, False])
    pairing = Pairing(person=np.array([0, 1, 2, 2]))
    assert match_full(np.array([0.0, 5.0, 0.1, 5.1]), treated, pairing=pairing).n_sets == 2
    with pytest.raises(DesignError, match="somebody twice") as refusal:
        match_full(np.array([0.0, 5.0, 4.9, 5.1]), treated, pairing=pairing, max_controls=3, caliper=1.0)
    assert refusal.value.code == "design.rule_unsupported"


def test_own_comparison_is_never_a_partner() -> None:
    """Somebody's later exposure is not compared with their own earlier occasion."""
    sets = match_full(
        np.array([0.0, 0.0, 3.0]), np.array([True, False, False]), pairing=Pairing(person=np.array([7, 7, 8]))
    )
    assert sets.row.tolist() == [0, 2]


def test_distance_leaves_penalties_out() -> None:
    """The penalty decides the set; the distance reported is that on the score."""
    pairing = Pairing(prefer=np.array([[1], [0], [1], [0]]), penalty=np.array([2.0]))
    sets = match_full(np.array([0.0, 0.5, 1.0, 0.25]), np.array([True, False, False, True]), pairing=pairing)
    assert as_sets(sets, np.arange(4)) == {frozenset({0, 2}), frozenset({1, 3})}
    assert sets.distance.tolist() == [0.0, 1.0, 0.0, 0.25]


def test_distance_to_nobody_is_nothing() -> None:
    """Rows without a hub have no distance."""
    assert distance_to(np.array([[1.0], [4.0]]), np.array([1, -1])).tolist() == [3.0, 0.0]


GOOD: dict[str, Any] = {"coordinates": np.array([0.0, 1.0, 2.0]), "treated": np.array([True, False, False])}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"treated": np.zeros(3, bool)}, "design.no_treated"),
        ({"treated": np.ones(3, bool)}, "design.no_comparison"),
        ({"coordinates": np.array([0.0, np.nan, 2.0])}, "design.not_finite"),
        ({"caliper": 0.0}, "design.caliper"),
        ({"caliper": 0.5}, "design.nothing_matched"),
        ({"pairing": Pairing(exact=np.array([0, 1, 1]))}, "design.nothing_matched"),
        ({"caliper": 0.5, "max_controls": 1}, "design.nothing_matched"),
        ({"min_controls": -1}, "design.ratio"),
        ({"min_controls": 0.4}, "design.ratio"),
        ({"min_controls": 1.5}, "design.ratio"),
        ({"min_controls": np.nan}, "design.ratio"),
        ({"min_controls": np.inf}, "design.ratio"),
        ({"max_controls": 0.5}, "design.ratio"),
        ({"max_controls": 1.5}, "design.ratio"),
        ({"max_controls": np.nan}, "design.ratio"),
        ({"min_controls": 3, "max_controls": 2}, "design.ratio"),
        ({"min_controls": 3}, "design.too_few_comparisons"),
        ({"max_controls": 1, "memory": 1e-9}, "design.memory"),
        ({"coordinates": np.array([[0.0, 0], [1, 1], [2, 3]]), "memory": 1e-9}, "design.memory"),
    ],
)
def test_refusals(changed: dict[str, Any], code: str) -> None:
    """Bad input is refused by name."""
    with pytest.raises(DesignError) as refusal:
        match_full(**{**GOOD, **changed})
    assert refusal.value.code == code
