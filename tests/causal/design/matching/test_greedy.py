"""Greedy matching against a plain reference under every rule and order, and the properties every match must have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import greedy, neighbours, packed_sort
from causal.design.matching.greedy import Order, match_greedy
from causal.design.matching.nearest import choose_in_turn, seek, settle
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.design.matching.steps import in_steps
from causal.errors import DesignError

ORDERS: tuple[Order, ...] = ("highest", "lowest", "closest", "data", "random")
Sets = dict[int, list[int]]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything `match_greedy` is asked."""

    score: np.ndarray
    treated: np.ndarray
    limits: np.ndarray
    caliper: float | None
    pairing: Pairing
    order: Order
    most_uses: int | None  # 1: without replacement

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.score.size


def allows(rules: Pairing, a: int, b: int) -> bool:
    """Tell whether the rules let comparison b stand with treated a."""
    if rules.exact is not None and rules.exact[a] != rules.exact[b]:
        return False
    if rules.differ is not None and (rules.differ[a] == rules.differ[b]).any():
        return False
    if rules.person is not None and rules.person[a] == rules.person[b]:
        return False
    if rules.window is not None and abs(rules.time[a] - rules.time[b]) > rules.window:
        return False
    if rules.at_risk is not None and not rules.at_risk[b, 0] <= rules.time[a] < rules.at_risk[b, 1]:
        return False
    for x, width in zip(rules.calipers.T, rules.widths, strict=True) if rules.calipers is not None else ():
        if (width > 0 and abs(x[a] - x[b]) > width) or (width < 0 and abs(x[a] - x[b]) < -width):
            return False
    return True


def cost(p: Problem, a: int, b: int) -> float:
    """Tell what a pair costs: the score distance and the penalties of the preferences that disagree."""
    if p.pairing.prefer is None:
        return abs(p.score[a] - p.score[b])
    disagree = p.pairing.prefer[a] != p.pairing.prefer[b]
    return abs(p.score[a] - p.score[b]) + sum(p.pairing.penalty[disagree].tolist(), 0.0)


def in_whole_steps(p: Problem) -> Problem:
    """The same problem on the decimal grid on which every method matches (`test_steps` says what that is)."""
    counted = in_steps(p.score[:, None], p.caliper, p.pairing)
    return replace(p, score=counted.coordinates[:, 0], caliper=counted.caliper, pairing=counted.pairing)


def reference(problem: Problem, permutation: np.ndarray) -> Sets:
    """Match as one would tell it: take the best admissible comparison that may still be used, in rounds."""
    p = in_whole_steps(problem)
    cases = np.flatnonzero(p.treated).tolist()
    limit = dict(zip(cases, p.limits.tolist(), strict=True))
    uses = dict.fromkeys(np.flatnonzero(~p.treated).tolist(), 0)
    most = np.inf if p.most_uses is None else p.most_uses
    sets: Sets = {a: [] for a in cases}

    def options(a: int) -> list[tuple[float, int, int]]:
        """List what a may still take, best first."""
        near = [b for b in uses if uses[b] < most and (p.caliper is None or abs(p.score[a] - p.score[b]) <= p.caliper)]
        near = [b for b in near if b not in sets[a] and allows(p.pairing, a, b)]
        if p.pairing.person is not None:
            near = [b for b in near if all(p.pairing.person[b] != p.pairing.person[c] for c in sets[a])]
        return sorted((cost(p, a, b), a, b) for b in near)

    for turn in range(max(limit.values())):
        waiting = [a for a in cases if len(sets[a]) == turn < limit[a]]
        if p.order == "random":
            waiting = [cases[i] for i in permutation if cases[i] in waiting]
        elif p.order in {"highest", "lowest"}:
            waiting.sort(key=lambda a: (-p.score[a] if p.order == "highest" else p.score[a], a))
        while waiting:
            offers = [options(a)[0] for a in (waiting if p.order == "closest" else waiting[:1]) if options(a)]
            if offers:
                _, a, b = min(offers)
                sets[a].append(b)
                uses[b] += 1
                waiting.remove(a)
            else:
                waiting = [] if p.order == "closest" else waiting[1:]
    return {a: found for a, found in sets.items() if found}


def as_dict(sets: MatchedSets) -> Sets:
    """Return the sets as {treated row: comparison rows in the order they came}."""
    heads = sets.row[sets.is_treated]
    return {int(heads[s]): sets.row[(sets.set_id == s) & ~sets.is_treated].tolist() for s in range(sets.n_sets)}


def whole(n: int, *, low: int = 0, high: int = 3) -> st.SearchStrategy[np.ndarray]:
    """Draw n whole numbers."""
    return st.lists(st.integers(low, high), min_size=n, max_size=n).map(np.array)


def table(n: int, columns: int, *, low: int = 0, high: int = 3) -> st.SearchStrategy[np.ndarray]:
    """Draw n rows of whole numbers."""
    return whole(n * columns, low=low, high=high).map(lambda x: x.reshape(n, columns))


@st.composite
def pairings(draw: st.DrawFn, n: int) -> Pairing:
    """Draw rules, each with even odds, small numbers of codes and times so that they bind."""
    rules: dict[str, Any] = {}
    if draw(st.booleans()):
        wide = draw(st.sampled_from([1, 10**15]))  # codes far apart are numbered anew
        rules["exact"] = draw(whole(n, high=2)) * wide
    if draw(st.booleans()):
        rules["differ"] = draw(table(n, draw(st.integers(1, 2)), high=4))
    if draw(st.booleans()):
        width = st.sampled_from([-3.0, -1.0, 0.1, 1.0, 4.0])
        rules["widths"] = np.array(draw(st.lists(width, min_size=1, max_size=2)))
        rules["calipers"] = draw(table(n, rules["widths"].size, high=9)) * draw(st.sampled_from([1.0, 0.1]))
    if draw(st.booleans()):
        rules["time"] = draw(whole(n, high=40)) * draw(st.sampled_from([1.0, 0.1]))
        if draw(st.booleans()):
            rules["window"] = draw(st.sampled_from([0.0, 0.3, 3.0, 7.0, 1e9]))
        if draw(st.booleans()):
            entry = draw(whole(n, low=-10, high=40)).astype(float)
            length = np.array(draw(st.lists(st.sampled_from([0.0, 1, 5, 9, 30, np.inf]), min_size=n, max_size=n)))
            rules["at_risk"] = np.column_stack([np.where(entry < 0, -np.inf, entry), entry + length])
    if draw(st.booleans()):
        rules["person"] = draw(whole(n, high=9))
    if draw(st.booleans()):
        penalty = st.sampled_from([0.0, 0.1, 0.25, 2.0, np.inf])
        rules["penalty"] = np.array(draw(st.lists(penalty, min_size=1, max_size=4)))
        rules["prefer"] = draw(table(n, rules["penalty"].size))
    return Pairing(**rules)


@st.composite
def problems(draw: st.DrawFn, *, ruled: bool = True) -> Problem:
    """Draw small problems, most of them with tied scores, tied distances and scarce comparisons."""
    n = draw(st.integers(2, 30))
    score = st.one_of(st.integers(-4, 4).map(lambda v: v / 4), st.floats(-3, 3), st.sampled_from([0.1, 0.3, 1e-17]))
    treated = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: any(t) and not all(t))))
    limit = st.integers(1, min(4, int((~treated).sum())))
    n1 = int(treated.sum())
    scores = np.array(draw(st.lists(score, min_size=n, max_size=n)))
    rules = draw(pairings(n)) if ruled else Pairing(exact=draw(st.one_of(st.none(), whole(n, high=2))))
    if rules.calipers is not None and draw(st.booleans()):  # a caliper on the score itself
        rules = replace(rules, calipers=np.column_stack([scores, rules.calipers[:, 1:]]), widths=rules.widths / 4)
    return Problem(
        score=scores,
        treated=treated,
        limits=np.array(draw(st.one_of(limit.map(lambda k: [k] * n1), st.lists(limit, min_size=n1, max_size=n1)))),
        caliper=draw(st.sampled_from([None, 0.0625, 0.25, 1.0])),
        pairing=rules,
        order=draw(st.sampled_from(ORDERS)),
        most_uses=draw(st.sampled_from([1, 1, 2, None])),
    )


def run(p: Problem) -> MatchedSets | None:
    """Match, or return None where nothing can be matched."""
    try:
        return match_greedy(
            p.score,
            p.treated,
            ratios=p.limits,
            caliper=p.caliper,
            pairing=p.pairing,
            order=p.order,
            replacement=p.most_uses != 1,
            most_uses=p.most_uses,
            rng=np.random.default_rng(6) if p.order == "random" else None,
        )
    except DesignError as refusal:
        if refusal.code != "design.nothing_matched":
            raise
        return None


def drawn(p: Problem) -> np.ndarray:
    """Return the permutation that the order 'random' draws."""
    return np.random.default_rng(6).permutation(int(p.treated.sum()))


@settings(max_examples=300, deadline=None)
@given(st.one_of(problems(), problems(ruled=False)))
def test_agrees_with_the_reference(problem: Problem) -> None:
    """The compiled search finds exactly the sets of the rule written out in a few lines, in every order."""
    sets = run(problem)
    assert (as_dict(sets) if sets else {}) == reference(problem, drawn(problem))


@settings(max_examples=100, deadline=None)
@given(problems())
def test_promises_hold(problem: Problem) -> None:
    """Caliper, rules and persons are respected, nobody is used too often, weights and counts add up."""
    sets = run(problem)
    if sets is None:
        return
    heads = sets.row[sets.is_treated]
    head, others = heads[sets.set_id], ~sets.is_treated
    assert (problem.treated[sets.row] == sets.is_treated).all()
    assert (sets.distance == np.abs(problem.score[sets.row] - problem.score[head])).all()
    assert problem.caliper is None or (sets.distance <= problem.caliper * (1 + 1e-12)).all()
    rules = in_whole_steps(problem).pairing
    assert all(allows(rules, a, b) for a, b in zip(head[others], sets.row[others], strict=True))
    uses = np.bincount(sets.row)
    assert uses.max() <= (np.inf if problem.most_uses is None else problem.most_uses)
    assert uses[heads].max() == 1
    person = np.arange(problem.n) if problem.pairing.person is None else problem.pairing.person
    members = np.column_stack([sets.set_id, person[sets.row]])
    assert np.unique(members, axis=0).shape == members.shape
    limit = problem.limits[np.isin(np.flatnonzero(problem.treated), heads)]
    assert (np.bincount(sets.set_id[others]) <= limit).all()
    np.testing.assert_allclose(np.bincount(sets.set_id[others], weights=sets.weight[others]), 1.0)
    assert sets.n_sets + sets.n_unmatched_treated == problem.treated.sum()
    assert (np.diff(heads) > 0).all()


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(-8, 8))
def test_rescaling_changes_nothing(problem: Problem, power: int) -> None:
    """Scores, caliper and penalties in units of a power of two, which rounds the same, give the same sets."""
    unit = 2.0**power
    penalty = None if problem.pairing.penalty is None else problem.pairing.penalty * unit
    other = replace(
        problem,
        score=problem.score * unit,
        caliper=None if problem.caliper is None else problem.caliper * unit,
        pairing=replace(problem.pairing, penalty=penalty),
    )
    one, two = run(problem), run(other)
    assert (one is None) == (two is None)
    assert one is None or two is None or as_dict(one) == as_dict(two)


@settings(max_examples=60, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter_to_keyed_rows(problem: Problem, random: Any) -> None:
    """Rows shuffled and put back in order of a key give the same sets, and so do rows whose scores all differ."""
    if problem.order in {"data", "random"}:
        return
    rng = np.random.default_rng(random.randrange(2**32))
    p = replace(problem, score=rng.permutation(problem.n) + rng.random(problem.n) / 2, caliper=None)
    if p.pairing.penalty is not None:  # infinite ones make pairs equally far
        p = replace(p, pairing=replace(p.pairing, penalty=np.minimum(p.pairing.penalty, 3.0)))
    shuffle = rng.permutation(p.n)
    position = np.argsort(shuffle)
    limits = np.zeros(p.n, dtype=np.int64)
    limits[p.treated] = p.limits
    other = replace(
        p,
        score=p.score[shuffle],
        treated=p.treated[shuffle],
        limits=limits[shuffle][p.treated[shuffle]],
        pairing=p.pairing.rows(shuffle),
    )
    one, two = run(p), run(other)
    if one is None or two is None:
        assert one is two
        return
    assert {int(position[a]): [int(position[b]) for b in found] for a, found in as_dict(one).items()} == as_dict(two)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_doubling_everybody_doubles_the_match(problem: Problem) -> None:
    """With every row twice, side by side, each pair is found twice: first with first, second with second."""
    if problem.order == "random" or problem.pairing.person is not None:
        return
    p = replace(problem, limits=np.ones_like(problem.limits))
    twice = np.repeat(np.arange(p.n), 2)
    double = replace(
        p, score=p.score[twice], treated=p.treated[twice], limits=p.limits[0].repeat(2 * p.limits.size),
        pairing=p.pairing.rows(twice),
    )  # fmt: skip
    one, two = run(p), run(double)
    if one is None or two is None:
        assert one is two
        return
    copies = (0, 1) if p.most_uses == 1 else (0, 0)  # reused comparisons: the first copy serves both
    expected = {2 * a + c: [2 * b + copies[c]] for a, (b,) in as_dict(one).items() for c in (0, 1)}
    if p.most_uses in {1, None}:
        assert as_dict(two) == expected
    np.testing.assert_array_equal(two.distance[~two.is_treated], one.distance[~one.is_treated].repeat(2))


@pytest.mark.parametrize("order", ["highest", "closest"])
@pytest.mark.parametrize("kind", ["none", "exact", "window", "at risk", "caliper", "far", "prefer"])
def test_agrees_with_the_reference_at_length(order: Order, kind: str) -> None:
    """On 160 rows, where searches meet many blocks and long chains of used comparisons, the reference still agrees."""
    rng = np.random.default_rng(12)
    n = 160
    score, time, entry = rng.normal(size=n).round(2), rng.uniform(0, 900, n), rng.uniform(-200, 900, n)
    rules = {
        "none": Pairing(),
        "exact": Pairing(exact=rng.integers(0, 6, n), person=rng.integers(0, 60, n)),
        "window": Pairing(time=time, window=90.0),
        "at risk": Pairing(time=time, window=300.0, at_risk=np.column_stack([entry, entry + rng.exponential(90, n)])),
        "caliper": Pairing(calipers=rng.normal(size=(n, 2)), widths=np.array([0.2, -0.2])),
        "far": Pairing(calipers=np.column_stack([score, score]), widths=np.array([-0.15, -0.1])),
        "prefer": Pairing(prefer=rng.integers(0, 5, (n, 2)), penalty=np.array([0.5, 0.1]), person=np.arange(n) // 2),
    }[kind]
    treated = rng.random(n) < 0.3
    problem = Problem(
        score=score, treated=treated, limits=np.full(int(treated.sum()), 2), caliper=0.4,
        pairing=rules, order=order, most_uses=1,
    )  # fmt: skip
    sets = run(problem)
    assert sets is not None
    assert as_dict(sets) == reference(problem, drawn(problem))


@pytest.mark.parametrize("order", ["highest", "closest"])
def test_same_function_without_the_compiler(monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    """The loops give the same sets interpreted as compiled."""
    rng = np.random.default_rng(8)
    score, treated = rng.normal(size=120).round(1), np.arange(120) < 40
    rules = Pairing(
        time=rng.uniform(0, 900, 120), window=180.0, prefer=rng.integers(0, 3, (120, 1)), penalty=np.ones(1)
    )
    expected = [as_dict(match_greedy(score, treated, caliper=0.3, pairing=p, order=order)) for p in (Pairing(), rules)]
    plain = greedy._Loops(choose_in_turn, seek, settle)
    listing = neighbours._Kernels(neighbours._runs, neighbours._places)
    sorting = packed_sort._Kernels(packed_sort._pack, packed_sort._settle)
    monkeypatch.setattr(greedy, "_loops", lambda: plain)
    monkeypatch.setattr(neighbours, "_compiled", lambda: listing)
    monkeypatch.setattr(packed_sort, "_compiled", lambda: sorting)
    found = [as_dict(match_greedy(score, treated, caliper=0.3, pairing=p, order=order)) for p in (Pairing(), rules)]
    assert found == expected


def test_matches_where_the_compiler_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for numba's cache the loops are compiled afresh and find the same sets."""
    import numba

    def unwritable(*, cache: bool) -> None:
        raise RuntimeError(f"no locator available, cache={cache}")

    score, treated = np.random.default_rng(5).normal(size=60), np.arange(60) < 20
    expected = as_dict(match_greedy(score, treated))
    plain = numba.njit
    monkeypatch.setattr(numba, "njit", lambda *search, **options: plain(*search) if search else unwritable(**options))
    greedy._loops.cache_clear()
    assert as_dict(match_greedy(score, treated)) == expected
    greedy._loops.cache_clear()
