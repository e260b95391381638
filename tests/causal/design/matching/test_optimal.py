"""Optimal matching under every rule: against scipy's dense assignment, and the properties every optimum must have."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.greedy import match_greedy
from causal.design.matching.optimal import match_optimal
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything `match_optimal` is asked."""

    z: np.ndarray
    treated: np.ndarray
    ratio: int
    caliper: float | None
    rules: Pairing

    def match(self) -> MatchedSets:
        """Match."""
        return match_optimal(self.z, self.treated, ratio=self.ratio, caliper=self.caliper, pairing=self.rules)

    def costs(self) -> np.ndarray:
        """Cost of every pair of rows (n, n), infinite where a rule forbids it; written from the rules' definitions."""
        r, n = self.rules, len(self.treated)
        z = self.z.reshape(n, -1)
        apart = np.sqrt(((z[:, None] - z) ** 2).sum(axis=2)) if z.shape[1] > 1 else np.abs(z - z.T)
        allowed = self.treated[:, None] & ~self.treated & (apart <= (np.inf if self.caliper is None else self.caliper))
        if r.exact is not None:
            allowed &= r.exact[:, None] == r.exact
        if r.person is not None:
            allowed &= r.person[:, None] != r.person
        if r.differ is not None:
            allowed &= (r.differ[:, None] != r.differ).all(axis=2)
        if r.calipers is not None and r.widths is not None:
            gap = np.abs(r.calipers[:, None] - r.calipers)
            allowed &= np.where(r.widths > 0, gap <= r.widths, gap >= -r.widths).all(axis=2)
        if r.time is not None and r.window is not None:
            allowed &= np.abs(r.time[:, None] - r.time) <= r.window
        if r.time is not None and r.at_risk is not None:
            allowed &= (r.at_risk[:, 0] <= r.time[:, None]) & (r.time[:, None] < r.at_risk[:, 1])
        if r.prefer is not None and r.penalty is not None:
            apart = apart + ((r.prefer[:, None] != r.prefer) * r.penalty).sum(axis=2)
        return np.where(allowed, apart, np.inf)


@st.composite
def problems(draw: st.DrawFn, most: int = 32, ratios: int = 3) -> Problem:
    """Draw small problems under any combination of rules; distances are multiples of a half, so that ties abound."""
    n = draw(st.integers(4, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    treated = rng.random(n) < draw(st.sampled_from([0.1, 0.3, 0.6]))
    treated[:2], treated[-2:] = True, False
    z = rng.integers(0, draw(st.sampled_from([5, 100])), (n, draw(st.sampled_from([1, 1, 2])))) / 2
    has = draw(st.tuples(*[st.booleans()] * 7))
    entry = rng.integers(-20, 30, n).astype(float)
    rules = Pairing(
        exact=rng.integers(0, 3, n) if has[0] else None,
        differ=rng.integers(0, 4, (n, 1)) if has[1] else None,
        calipers=rng.integers(0, 9, (n, 2)).astype(float) if has[2] else None,
        widths=np.array([6.0, -1.0]) if has[2] else None,
        time=rng.integers(0, 40, n).astype(float) if has[3] or has[4] else None,
        window=20.0 if has[3] else None,
        at_risk=np.column_stack([entry, entry + 40]) if has[4] else None,
        person=rng.integers(0, n, n) if has[5] else None,
        prefer=rng.integers(0, 3, (n, 2)) if has[6] else None,
        penalty=np.array([3.0, 0.5]) if has[6] else None,
    )
    ratio = draw(st.integers(1, min(ratios, int((~treated).sum()))))
    return Problem(
        z=z[:, 0] if z.shape[1] == 1 else z + 0.25 * treated[:, None],
        treated=treated,
        ratio=ratio,
        caliper=draw(st.sampled_from([1.0, 4.0, 30.0, None])),
        rules=rules,
    )


def worth(sets: MatchedSets, costs: np.ndarray) -> tuple[int, int, float]:
    """Pairs, treated occasions served and total cost."""
    others = ~sets.is_treated
    hub = sets.row[sets.is_treated][sets.set_id[others]]
    return int(others.sum()), sets.n_sets, float(costs[hub, sets.row[others]].sum())


def dense_optimum(p: Problem) -> tuple[int, int, float]:
    """Solve by scipy's dense assignment: an empty slot costs more than all pairs, a first slot twice that."""
    from scipy.optimize import linear_sum_assignment

    empty, costs = 2.0**20, p.costs()[p.treated][:, ~p.treated]
    slots = np.repeat(np.where(np.isfinite(costs), costs, 2.0**40), p.ratio, axis=0)
    dummy = np.repeat(np.where(np.arange(len(slots)) % p.ratio == 0, 2 * empty, empty)[:, None], len(slots), axis=1)
    slot, to = linear_sum_assignment(np.hstack([slots, dummy]))
    given = to < costs.shape[1]
    return int(given.sum()), len(set(slot[given] // p.ratio)), float(slots[slot[given], to[given]].sum())


def attempt(p: Problem) -> MatchedSets | None:
    """Match; None where nothing can be matched, or where the rule on persons cannot be kept with ratio > 1."""
    try:
        return p.match()
    except DesignError as refusal:
        nothing = refusal.code == "design.nothing_matched" and dense_optimum(p)[0] == 0
        unsupported = refusal.code == "design.rule_unsupported" and p.ratio > 1 and p.rules.person is not None
        assert nothing or unsupported
        return None


def test_by_hand() -> None:
    """Treated at 0 and 1, comparisons at 0.9 and 5: giving 1 its nearest would cost 0.1 + 5, the optimum 0.9 + 4."""
    sets = match_optimal(np.array([0.0, 1.0, 0.9, 5.0]), np.array([1, 1, 0, 0]) == 1, pairing=Pairing())
    assert sets.row.tolist() == [0, 2, 1, 3]
    assert sets.set_id.tolist() == [0, 0, 1, 1]
    assert sets.distance.tolist() == [0.0, 0.9, 0.0, 4.0]
    assert sets.weight.tolist() == [1.0] * 4
    assert (sets.n_unmatched_treated, sets.caliper) == (0, None)


@settings(deadline=None, max_examples=300)
@given(problem=problems())
def test_is_as_good_as_dense_assignment_under_any_rules(problem: Problem) -> None:
    """Pairs, treated served and total cost are scipy's, and every rule is kept (a forbidden pair costs infinity)."""
    sets = attempt(problem)
    if sets is None:
        return
    ours, theirs = worth(sets, problem.costs()), dense_optimum(problem)
    assert ours[:2] == theirs[:2]
    assert ours[2] == pytest.approx(theirs[2], abs=1e-9)
    assert np.unique(sets.row).size == sets.row.size
    assert sets.n_unmatched_treated == problem.treated.sum() - sets.n_sets
    assert problem.caliper is None or sets.distance.max() <= problem.caliper
    if problem.rules.person is not None:
        members = np.column_stack([sets.set_id, problem.rules.person[sets.row]])
        assert len(np.unique(members, axis=0)) == len(members)


@settings(deadline=None, max_examples=150)
@given(problem=problems(most=60))
def test_line_and_graph_agree(problem: Problem) -> None:
    """A rule that forbids nothing sends the same scores, strata and caliper along the other route: same worth."""
    p = replace(problem, z=problem.z.reshape(len(problem.treated), -1)[:, 0], rules=Pairing(exact=problem.rules.exact))
    empty = replace(p.rules, time=np.zeros(len(p.treated)), window=0.0)
    line, graph = attempt(p), attempt(replace(p, rules=empty))
    assert (line is None) == (graph is None)
    if line is not None and graph is not None:
        assert worth(line, p.costs()) == worth(graph, p.costs())


@settings(deadline=None, max_examples=100)
@given(problem=problems(most=60, ratios=1))
def test_is_never_worse_than_greedy(problem: Problem) -> None:
    """At least as many pairs as greedy matching under the same rules; where as many, no more distance."""
    p = replace(problem, z=problem.z.reshape(len(problem.treated), -1)[:, 0])
    sets = attempt(p)
    if sets is None:
        return
    greedy = worth(match_greedy(p.z, p.treated, caliper=p.caliper, pairing=p.rules), p.costs())
    ours = worth(sets, p.costs())
    assert ours[0] >= greedy[0]
    assert ours[0] > greedy[0] or ours[2] <= greedy[2] + 1e-9


@settings(deadline=None, max_examples=100)
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_changes_no_total(problem: Problem, seed: int) -> None:
    """Shuffled rows are matched with the same counts and the same total; ties may pick other rows."""
    order = np.random.default_rng(seed).permutation(len(problem.treated))
    shuffled = replace(problem, z=problem.z[order], treated=problem.treated[order], rules=problem.rules.rows(order))
    sets, other = attempt(problem), attempt(shuffled)
    if sets is not None and other is not None:
        ours, theirs = worth(sets, problem.costs()), worth(other, shuffled.costs())
        assert ours[:2] == theirs[:2]
        assert ours[2] == pytest.approx(theirs[2], abs=1e-9)


@pytest.mark.parametrize("rules", [Pairing(), Pairing(time=np.zeros(300), window=0.0)], ids=["line", "graph"])
@pytest.mark.parametrize("ratio", [1, 2])
def test_untied_scores_give_one_answer(rules: Pairing, ratio: int) -> None:
    """Shuffling rows, mirroring, shifting and rescaling the score (and caliper) leave the very same sets of rows."""
    rng = np.random.default_rng(11)
    treated = rng.random(300) < 0.25
    score = np.round(rng.normal(size=300) + treated, 6) + np.arange(300) * 2.0**-40
    order = rng.permutation(300)
    plain = match_optimal(score, treated, ratio=ratio, caliper=0.5, pairing=rules)
    spread = match_optimal(8 * score, treated, ratio=ratio, caliper=4.0, pairing=rules)
    shuffled = match_optimal(score[order], treated[order], ratio=ratio, caliper=0.5, pairing=rules)
    members = [frozenset(plain.row[plain.set_id == s].tolist()) for s in range(plain.n_sets)]
    assert members == [frozenset(spread.row[spread.set_id == s].tolist()) for s in range(spread.n_sets)]
    assert plain.row.size == shuffled.row.size
    assert set(plain.row.tolist()) == set(order[shuffled.row].tolist())
    for moved in (score + 16.0, -score):
        sets = match_optimal(moved, treated, ratio=ratio, caliper=0.5, pairing=rules)
        assert sets.distance.sum() == pytest.approx(plain.distance.sum(), abs=1e-9)
        assert set(sets.row.tolist()) == set(plain.row.tolist())


def test_everybody_gets_the_ratio_when_that_is_possible() -> None:
    """Without a caliper and with 3 comparisons for each treated occasion, ratio 3 uses all of them."""
    treated = np.arange(40) % 4 == 0
    sets = match_optimal(np.arange(40.0) ** 2, treated, ratio=3, pairing=Pairing())
    assert (np.bincount(sets.set_id) == 4).all()
    assert sets.n_sets == 10
    np.testing.assert_allclose(sets.weight[~sets.is_treated], 1 / 3)


def test_members_come_nearest_first() -> None:
    """In a set the comparisons are in order of distance, ties by row."""
    score = np.array([0.0, 3.0, -1.0, 1.0, 2.0])
    sets = match_optimal(score, np.array([1, 0, 0, 0, 0]) == 1, ratio=4, pairing=Pairing())
    assert sets.row.tolist() == [0, 2, 3, 4, 1]


def test_penalties_choose_but_are_no_distance() -> None:
    """A comparison at 1 of the preferred kind beats one at 0.5 of another, penalty 1; the distance told is 1."""
    rules = Pairing(prefer=np.array([[0], [0], [1]]), penalty=np.array([1.0]))
    sets = match_optimal(np.array([0.0, 1.0, 0.5]), np.array([1, 0, 0]) == 1, caliper=1.0, pairing=rules)
    assert (sets.row.tolist(), sets.distance.tolist()) == ([0, 1], [0.0, 1.0])


def test_nobody_is_their_own_comparison() -> None:
    """The treated occasion's own earlier occasion, at distance 0, is passed over for a stranger's at 1."""
    rules = Pairing(person=np.array([7, 7, 8]))
    sets = match_optimal(np.array([0.0, 0.0, 1.0]), np.array([1, 0, 0]) == 1, pairing=rules)
    assert sets.row.tolist() == [0, 2]


def test_one_person_twice_in_a_set_is_refused_by_name_only_where_it_happens() -> None:
    """Two comparisons of one person both nearest: ratio 2 is refused; with a nearer third person it is kept."""
    score, treated, person = np.array([0.0, 1.0, 1.0, 5.0]), np.array([1, 0, 0, 0]) == 1, np.array([0, 1, 1, 2])
    with pytest.raises(DesignError, match="one person") as refusal:
        match_optimal(score, treated, ratio=2, pairing=Pairing(person=person))
    assert refusal.value.code == "design.rule_unsupported"
    score[3] = 0.5
    assert match_optimal(score, treated, ratio=2, pairing=Pairing(person=person)).row.tolist() == [0, 3, 1]


@pytest.mark.parametrize(
    ("code", "score", "treated", "options"),
    [
        ("design.no_treated", [0.0, 1.0], [0, 0], {}),
        ("design.no_comparison", [0.0, 1.0], [1, 1], {}),
        ("design.not_finite", [0.0, np.inf], [1, 0], {}),
        ("design.caliper", [0.0, 1.0], [1, 0], {"caliper": 0.0}),
        ("design.ratio", [0.0, 1.0], [1, 0], {"ratio": 0}),
        ("design.ratio", [0.0, 1.0], [1, 0], {"ratio": 2}),
        ("design.nothing_matched", [0.0, 1.0], [1, 0], {"caliper": 0.5}),
        ("design.memory", [0.0, 1.0], [1, 0], {"memory": 1e-9}),
    ],
)
def test_refusals(code: str, score: list[float], treated: list[int], options: dict[str, float]) -> None:
    """Bad arms, scores, calipers and ratios are refused by code, and so is a match of nobody."""
    with pytest.raises(DesignError) as refusal:
        match_optimal(np.array(score), np.array(treated) == 1, pairing=Pairing(), **options)  # type: ignore[arg-type]
    assert refusal.value.code == code


def test_a_match_of_nobody_under_other_rules_is_refused() -> None:
    """No comparison is at risk at the treated occasion's time."""
    rules = Pairing(time=np.array([5.0, 0.0]), at_risk=np.array([[0.0, 9.0], [0.0, 5.0]]))
    with pytest.raises(DesignError) as refusal:
        match_optimal(np.zeros(2), np.array([True, False]), pairing=rules)
    assert refusal.value.code == "design.nothing_matched"
