"""Matching on covariate distances against a scan of every pair, and the properties every match must have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import covariate_nearest, tree
from causal.design.matching.covariate_nearest import Order, match_nearest
from causal.design.matching.distance import mahalanobis_coordinates, rank_mahalanobis_coordinates
from causal.design.matching.pairing import Pairing, admissible, reluctance
from causal.design.matching.sets import MatchedSets
from causal.design.matching.steps import in_steps
from causal.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything `match_nearest` is asked; `leaf` is the size of its trees' leaves."""

    coordinates: np.ndarray
    treated: np.ndarray
    score: np.ndarray
    caliper: float | None
    ratio: int
    order: Order
    pairing: Pairing
    most_uses: int
    replacement: bool
    seed: int
    leaf: int

    def cases(self) -> list[int]:
        """Treated rows in choosing order."""
        rows = np.flatnonzero(self.treated)
        if self.order == "random":
            return np.random.default_rng(self.seed).permutation(rows).tolist()
        sign = {"highest": -1, "lowest": 1}.get(self.order, 0)
        return sorted(rows.tolist(), key=lambda i: (sign * self.score[i], i))

    def in_whole_steps(self) -> Problem:
        """The same problem on the decimal grid on which every method matches (`test_steps` says what that is)."""
        place = in_steps(self.coordinates, None, self.pairing)
        score = in_steps(self.score[:, None], self.caliper, Pairing())
        return replace(
            self,
            coordinates=place.coordinates,
            pairing=place.pairing,
            score=score.coordinates[:, 0],
            caliper=score.caliper,
        )

    def distance(self, i: int, j: int) -> float:
        """Euclidean distance in whole steps, summed from the first; products, since pow(x, 2) may round otherwise."""
        differences = (self.coordinates[i] - self.coordinates[j]).tolist()
        return round(float(np.sqrt(sum(d * d for d in differences))))


def reference(problem: Problem) -> dict[int, list[int]]:
    """Match as one would tell it: scan every pair for the cheapest that is allowed, round by round."""
    p = problem.in_whole_steps()
    rules, cases = p.pairing.arrays(p.treated.size), p.cases()
    uses = dict.fromkeys(np.flatnonzero(~p.treated).tolist(), p.most_uses if p.replacement else 1)
    sets: dict[int, list[int]] = {i: [] for i in cases}

    def options(i: int) -> list[tuple[float, int, int]]:
        near = [j for j in uses if uses[j] and (p.caliper is None or abs(p.score[i] - p.score[j]) <= p.caliper)]
        new = [j for j in near if all(rules.person[j] != rules.person[b] for b in sets[i])]
        return [(p.distance(i, j) + reluctance(rules, i, j), i, j) for j in new if admissible(rules, i, j)]

    for turn in range(p.ratio):
        waiting = [i for i in cases if len(sets[i]) == turn]
        while waiting:
            asked = waiting if p.order == "closest" else [waiting.pop(0)]
            if not (found := [option for i in asked for option in options(i)]):
                waiting = [] if p.order == "closest" else waiting
                continue
            _, i, j = min(found)
            sets[i].append(j)
            uses[j] -= 1
            waiting = [k for k in waiting if k != i]
    return {i: found for i, found in sets.items() if found}


def as_dict(sets: MatchedSets) -> dict[int, list[int]]:
    """Return the sets as {treated row: comparison rows in the order they came}."""
    heads = sets.row[sets.is_treated]
    return {int(heads[s]): sets.row[(sets.set_id == s) & ~sets.is_treated].tolist() for s in range(sets.n_sets)}


def codes(n: int, k: int) -> st.SearchStrategy[np.ndarray]:
    """Draw n codes out of k."""
    return st.lists(st.integers(0, k - 1), min_size=n, max_size=n).map(np.array)


def reals(n: int) -> st.SearchStrategy[np.ndarray]:
    """Draw n values, often tied, now and then huge, tiny or close."""
    tied = st.lists(st.integers(-3, 3).map(lambda v: v / 2), min_size=n, max_size=n)
    free = st.lists(st.one_of(st.floats(-3, 3), st.sampled_from([1e9, -1e-9, 0.1, 0.3])), min_size=n, max_size=n)
    return st.one_of(tied, free).map(np.array)


@st.composite
def pairings(draw: st.DrawFn, n: int) -> Pairing:
    """Draw rules, each of them absent half the time."""

    def perhaps(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.one_of(st.none(), strategy))

    differ, prefer, calipers, risk = (perhaps(codes(n, k)) for k in (4, 2, 5, 4))
    time = perhaps(codes(n, 12))
    return Pairing(
        exact=perhaps(codes(n, 3)),
        differ=None if differ is None else differ[:, None],
        calipers=None if calipers is None else np.column_stack([calipers, calipers % 3]).astype(float),
        widths=None if calipers is None else np.array([2.0, draw(st.sampled_from([1.0, -1.0]))]),
        time=None if time is None else time.astype(float),
        window=None if time is None else perhaps(st.sampled_from([0.0, 2.0, 5.0])),
        at_risk=None
        if time is None or risk is None
        else np.column_stack([risk - 1.0, np.where(risk == 3, np.inf, risk + 4.0)]),
        person=perhaps(codes(n, 12)),
        prefer=None if prefer is None else np.column_stack([prefer, prefer]),
        penalty=None if prefer is None else np.array([draw(st.sampled_from([0.0, 0.5, 100.0])), 0.25]),
    )


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw small problems, most of them with ties and scarce comparisons."""
    n, q = draw(st.integers(2, 30)), draw(st.integers(1, 4))
    arms = st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: any(t) and not all(t))
    treated = np.array(draw(arms))
    return Problem(
        coordinates=np.column_stack([draw(reals(n)) for _ in range(q)]),
        treated=treated,
        score=draw(reals(n)),
        caliper=draw(st.sampled_from([None, 0.25, 0.5, 2.0])),
        ratio=draw(st.integers(1, min(3, int((~treated).sum())))),
        order=draw(st.sampled_from(["data", "highest", "lowest", "closest", "random"])),
        pairing=draw(pairings(n)),
        most_uses=draw(st.integers(1, 3)),
        replacement=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
        leaf=draw(st.sampled_from([1, 2, 5, 512])),
    )


def run(p: Problem) -> MatchedSets | None:
    """Match, or return None where nothing can be matched."""
    try:
        with mock.patch.object(tree, "LEAF", p.leaf):
            return match_nearest(
                p.coordinates,
                p.treated,
                score=p.score,
                caliper=p.caliper,
                ratio=p.ratio,
                order=p.order,
                pairing=p.pairing,
                replacement=p.replacement,
                most_uses=p.most_uses if p.replacement else None,
                rng=np.random.default_rng(p.seed),
            )
    except DesignError as refusal:
        if refusal.code != "design.nothing_matched":
            raise
        return None


@settings(max_examples=250, deadline=None)
@given(problems())
def test_agrees_with_a_scan_of_every_pair(problem: Problem) -> None:
    """Under every rule, order and ratio, reuse or none, the trees give exactly the sets of the plain scan."""
    sets = run(problem)
    assert (as_dict(sets) if sets else {}) == reference(problem)


@settings(max_examples=150, deadline=None)
@given(problems())
def test_promises_hold(problem: Problem) -> None:
    """Rules are respected, nobody is used too often, distances, weights and counts are what they say."""
    sets = run(problem)
    if sets is None:
        return
    head, others = sets.row[sets.is_treated][sets.set_id], ~sets.is_treated
    rules = problem.pairing.arrays(problem.treated.size)
    pairs = list(zip(head[others].tolist(), sets.row[others].tolist(), strict=True))
    assert all(admissible(rules, i, j) for i, j in pairs)
    apart = problem.coordinates[head[others]] - problem.coordinates[sets.row[others]]
    np.testing.assert_allclose(sets.distance[others], np.sqrt((apart**2).sum(axis=1)), rtol=1e-14)
    assert (sets.distance[sets.is_treated] == 0).all()
    if problem.caliper is not None:
        assert (np.abs(problem.score[head] - problem.score[sets.row]) <= problem.caliper * (1 + 1e-12)).all()
    assert np.bincount(sets.row[others]).max() <= (problem.most_uses if problem.replacement else 1)
    members = np.column_stack([sets.set_id, rules.person[sets.row]])
    assert np.unique(members, axis=0).shape == members.shape
    assert np.bincount(sets.set_id[others]).max() <= problem.ratio
    np.testing.assert_allclose(np.bincount(sets.set_id[others], weights=sets.weight[others]), 1.0)
    assert sets.n_sets + sets.n_unmatched_treated == problem.treated.sum()
    assert sets.caliper == problem.caliper


@pytest.mark.parametrize("order", ["data", "highest", "closest"])
@pytest.mark.parametrize(("q", "leaf"), [(2, 8), (12, 64)])
def test_agrees_with_a_scan_on_larger_pools(order: Order, q: int, leaf: int) -> None:
    """Trees several levels deep, in few and in many dimensions, give the sets of a scan over the distance matrix."""
    rng = np.random.default_rng(q)
    z, treated, score = rng.normal(size=(1500, q)), rng.random(1500) < 0.2, rng.normal(size=1500)
    cases, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    cost = np.sqrt(((z[cases, None] - z[pool]) ** 2).sum(axis=2))
    cost[np.abs(score[cases, None] - score[pool]) > 0.3] = np.inf
    expected: dict[int, list[int]] = {}
    for a in np.argsort(-score[cases]) if order == "highest" else range(cases.size):
        chooser = np.unravel_index(cost.argmin(), cost.shape)[0] if order == "closest" else a
        b = cost[chooser].argmin()
        if np.isfinite(cost[chooser, b]):
            expected[int(cases[chooser])] = [int(pool[b])]
            cost[:, b] = np.inf
            cost[chooser] = np.inf
    with mock.patch.object(tree, "LEAF", leaf):
        sets = match_nearest(z, treated, score=score, caliper=0.3, order=order)
    assert as_dict(sets) == dict(sorted(expected.items()))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["highest", "lowest", "closest"]), st.integers(1, 2))
def test_row_order_does_not_matter_without_ties(seed: int, order: Order, ratio: int) -> None:
    """With distinct scores and distances any order of the rows gives the same sets of occasions."""
    rng = np.random.default_rng(seed)
    z, score, treated = rng.normal(size=(40, 3)), rng.normal(size=40), np.arange(40) < 10
    shuffle = rng.permutation(40)
    one = match_nearest(z, treated, score=score, caliper=0.8, order=order, ratio=ratio)
    other = match_nearest(z[shuffle], treated[shuffle], score=score[shuffle], caliper=0.8, order=order, ratio=ratio)
    renamed = {int(shuffle[i]): [int(shuffle[j]) for j in found] for i, found in as_dict(other).items()}
    assert renamed == as_dict(one)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["pooled_within", "whole", "comparison"]))
def test_mahalanobis_matches_are_affine_invariant(seed: int, covariance: Any) -> None:
    """Recoding the covariates as x A + b, A invertible, leaves the matches."""
    rng = np.random.default_rng(seed)
    x, treated = rng.normal(size=(60, 3)), np.arange(60) < 15
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    recoded = x @ (rotation * np.array([0.2, 1.0, 30.0])) @ rotation.T + np.array([5.0, -100.0, 0.0])
    one, other = (mahalanobis_coordinates(v, treated, covariance=covariance) for v in (x, recoded))
    assert as_dict(match_nearest(one, treated)) == as_dict(match_nearest(other, treated))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_rank_matches_are_invariant_to_monotone_recoding(seed: int) -> None:
    """Any increasing function of each covariate leaves the rank-based matches."""
    rng = np.random.default_rng(seed)
    x, treated = rng.normal(size=(60, 3)).round(1), np.arange(60) < 15
    recoded = np.column_stack([np.exp(x[:, 0]), x[:, 1] ** 3, 1e6 * x[:, 2] - 7])
    one, other = (match_nearest(rank_mahalanobis_coordinates(v), treated) for v in (x, recoded))
    assert as_dict(one) == as_dict(other)
    assert (one.distance == other.distance).all()


def test_first_row_wins_ties() -> None:
    """Of equally near comparisons the earliest row is taken, whichever side it lies on."""
    z = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0], [0.0, 1.0]])
    sets = match_nearest(z, np.arange(6) < 2)
    assert as_dict(sets) == {0: [2], 1: [3]}


def test_near_ties_are_told_apart_in_double_precision() -> None:
    """A difference of one step, far below single precision, decides, however large the leaf; noise does not."""
    z = np.zeros((600, 2))
    z[1:, 0] = 1.0
    z[431, 0] = 1.0 - 1e-15
    assert as_dict(match_nearest(z, np.arange(600) < 1)) == {0: [1]}
    z[431, 0] = 1.0 - 1e-7
    assert as_dict(match_nearest(z, np.arange(600) < 1)) == {0: [431]}


def test_an_outlier_does_not_blur_the_search() -> None:
    """One coordinate a billion times the rest leaves single precision useless and the match exact."""
    rng = np.random.default_rng(3)
    z, treated = rng.normal(size=(400, 2)), np.arange(400) < 100
    alone = match_nearest(z, treated)
    assert as_dict(match_nearest(np.vstack([z, [1e9, 1e9]]), np.r_[treated, False])) == as_dict(alone)


def test_penalty_outweighs_distance() -> None:
    """A comparison of the same clinic is preferred up to the penalty; the distance reported leaves the penalty out."""
    z, treated = np.array([[0.0], [1.0], [1.4]]), np.array([True, False, False])
    clinic = np.array([[7], [8], [7]])
    mild, firm = (Pairing(prefer=clinic, penalty=np.array([penalty])) for penalty in (0.3, 0.5))
    assert match_nearest(z, treated, pairing=mild).distance.tolist() == [0.0, 1.0]
    assert match_nearest(z, treated, pairing=firm).distance.tolist() == [0.0, 1.4]


def test_rounds_serve_everyone_once_before_anyone_twice() -> None:
    """Two treated occasions and two comparisons at ratio 2 make two pairs, not one triple."""
    z = np.array([[1.0], [0.9], [0.95], [0.0]])
    assert as_dict(match_nearest(z, np.arange(4) < 2, ratio=2)) == {0: [2], 1: [3]}


def test_who_chooses_first_matters() -> None:
    """By row the first takes the shared comparison; the closest pair, the lowest score, leave it to the second."""
    z, treated, score = np.array([[1.0], [0.1], [0.3], [5.0]]), np.arange(4) < 2, np.array([2.0, 1.0, 0.0, 0.0])
    assert as_dict(match_nearest(z, treated)) == {0: [2], 1: [3]}
    assert as_dict(match_nearest(z, treated, score=score, order="highest")) == {0: [2], 1: [3]}
    assert as_dict(match_nearest(z, treated, score=score, order="lowest")) == {0: [3], 1: [2]}
    assert as_dict(match_nearest(z, treated, order="closest")) == {0: [3], 1: [2]}


def test_reuse_is_counted() -> None:
    """With replacement all take the nearest, as often as it may be used, and never twice in one set."""
    z, treated = np.array([[0.0], [0.0], [0.0], [1.0], [2.0], [3.0]]), np.arange(6) < 3
    assert as_dict(match_nearest(z, treated, replacement=True, ratio=2)) == {0: [3, 4], 1: [3, 4], 2: [3, 4]}
    assert as_dict(match_nearest(z, treated, replacement=True, most_uses=2)) == {0: [3], 1: [3], 2: [4]}


def test_random_order_is_that_of_the_generator() -> None:
    """The same generator gives the same sets, and some generators give others."""
    rng = np.random.default_rng(0)
    z, treated = rng.normal(size=(40, 2)), np.arange(40) < 15
    drawn = [
        as_dict(match_nearest(z, treated, order="random", rng=np.random.default_rng(seed))) for seed in (1, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] not in drawn[2:]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ratio": 0}, "design.ratio"),
        ({"ratio": 3}, "design.ratio"),
        ({"caliper": 0.0}, "design.caliper"),
        ({"caliper": -1.0}, "design.caliper"),
        ({"caliper": np.nan}, "design.caliper"),
        ({"caliper": 1e-9}, "design.nothing_matched"),
        ({"coordinates": np.array([[0.0], [1.0], [np.nan], [2.0]])}, "design.not_finite"),
        ({"coordinates": np.array([[0.0], [1.0], [1e200], [2.0]])}, "design.not_finite"),
        ({"score": np.array([0.0, 1.0, np.inf, 2.0])}, "design.not_finite"),
        ({"treated": np.zeros(4, dtype=bool)}, "design.no_treated"),
        ({"treated": np.ones(4, dtype=bool)}, "design.no_comparison"),
        ({"replacement": True, "most_uses": 0}, "design.most_uses"),
        ({"pairing": Pairing(exact=np.array([5, 6, 0, 1]))}, "design.nothing_matched"),
        ({"memory": 1e-7}, "design.memory"),
    ],
)
def test_refusals(change: dict[str, Any], code: str) -> None:
    """Impossible requests are refused by code."""
    arguments = {
        "coordinates": np.arange(4.0)[:, None],
        "treated": np.array([True, True, False, False]),
        "score": np.arange(4.0),
    } | change
    with pytest.raises(DesignError) as caught:
        match_nearest(arguments.pop("coordinates"), arguments.pop("treated"), **arguments)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"caliper": 1.0}, "needs a score"),
        ({"order": "highest"}, "needs a score"),
        ({"order": "random"}, "needs rng"),
        ({"order": "largest"}, "order is data"),
        ({"most_uses": 2}, "with replacement"),
        ({"score": np.zeros(3)}, "do not fit"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: dict[str, Any], said: str) -> None:
    """A caliper or an order without what it is about is the programmer's error."""
    with pytest.raises(ValueError, match=said):
        match_nearest(np.arange(4.0)[:, None], np.array([True, True, False, False]), **arguments)


@pytest.mark.parametrize("order", ["data", "closest"])
def test_same_function_without_the_compiler(monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    """The search gives the same sets interpreted as compiled."""
    rng = np.random.default_rng(8)
    z, treated = rng.normal(size=(120, 3)).round(1), np.arange(120) < 40
    pairing = Pairing(exact=rng.integers(0, 2, 120), person=rng.integers(0, 50, 120))
    monkeypatch.setattr(tree, "LEAF", 8)
    compiled = match_nearest(z, treated, ratio=2, order=order, pairing=pairing)
    monkeypatch.setattr(covariate_nearest, "_build", lambda: tree.build)
    monkeypatch.setattr(covariate_nearest, "_in_order", lambda: covariate_nearest._choose_in_order)
    monkeypatch.setattr(covariate_nearest, "_closest", lambda: covariate_nearest._choose_closest)
    interpreted = match_nearest(z, treated, ratio=2, order=order, pairing=pairing)
    assert as_dict(interpreted) == as_dict(compiled)
    assert (interpreted.distance == compiled.distance).all()
