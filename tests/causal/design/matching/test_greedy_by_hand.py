"""Greedy matching on examples worked by hand, at the edges of its rules, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.greedy import _require_memory, match_greedy, ratio_by_score
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets, row_weights
from causal.errors import DesignError


def as_dict(sets: MatchedSets) -> dict[int, list[int]]:
    """Return the sets as {treated row: comparison rows in the order they came}."""
    heads = sets.row[sets.is_treated]
    return {int(heads[s]): sets.row[(sets.set_id == s) & ~sets.is_treated].tolist() for s in range(sets.n_sets)}


def test_first_row_wins_ties() -> None:
    """Equal distances, equal scores and equal choosers all go to the earlier row, in every order."""
    score = np.array([0.0, 0.0, 0.25, -0.25, -0.25, 0.25])
    treated = np.array([True, True, False, False, False, False])
    for order in ("highest", "lowest", "closest", "data"):
        assert as_dict(match_greedy(score, treated, order=order)) == {0: [2], 1: [3]}


def test_rounding_ties_go_to_the_earlier_row() -> None:
    """Different scores at the same distance once rounded are as near as each other."""
    score = np.array([1.0, 1e-17, 0.0])
    assert as_dict(match_greedy(score, np.array([True, False, False]))) == {0: [1]}
    assert as_dict(match_greedy(score[[0, 2, 1]], np.array([True, False, False]))) == {0: [1]}


def test_rounds_serve_everyone_once_before_anyone_twice() -> None:
    """Two treated occasions and two comparisons at ratio 2 make two pairs, not one triple."""
    sets = match_greedy(np.array([1.0, 0.9, 0.95, 0.0]), np.array([True, True, False, False]), ratio=2)
    assert as_dict(sets) == {0: [2], 1: [3]}


def test_who_chooses_first_matters() -> None:
    """Worked by hand: four orders, four answers to who takes the comparison at 0.5."""
    score, treated = np.array([0.2, 1.0, 0.55, 0.0, 0.5]), np.array([True, True, True, True, False])
    found = {order: as_dict(match_greedy(score, treated, order=order)) for order in ("highest", "lowest", "closest")}
    assert found == {"highest": {1: [4]}, "lowest": {3: [4]}, "closest": {2: [4]}}
    assert as_dict(match_greedy(score, treated, order="data")) == {0: [4]}
    first = int(np.random.default_rng(1).permutation(4)[0])
    assert as_dict(match_greedy(score, treated, order="random", rng=np.random.default_rng(1))) == {first: [4]}


def test_a_comparison_serves_as_often_as_allowed() -> None:
    """With replacement everyone takes the nearest; up to two uses, the third chooser takes the next; no set twice."""
    score, treated = np.array([0.3, 0.2, 0.1, 0.0, -1.0]), np.array([True, True, True, False, False])
    assert as_dict(match_greedy(score, treated, replacement=True)) == {0: [3], 1: [3], 2: [3]}
    assert as_dict(match_greedy(score, treated, replacement=True, most_uses=2)) == {0: [3], 1: [3], 2: [4]}
    assert as_dict(match_greedy(score, treated, replacement=True, ratio=2)) == {a: [3, 4] for a in range(3)}


def test_a_preference_costs_its_penalty_and_no_caliper() -> None:
    """The same clinician's comparison wins up to the penalty; the caliper applies to the score alone."""
    score, treated = np.array([0.0, 0.4, 0.1]), np.array([True, False, False])
    clinician = np.array([[7], [7], [8]])
    for penalty, nearest in ((0.29, 2), (0.31, 1)):
        rules = Pairing(prefer=clinician, penalty=np.array([penalty]))
        assert as_dict(match_greedy(score, treated, pairing=rules)) == {0: [nearest]}
    strong = Pairing(prefer=clinician, penalty=np.array([50.0]))
    assert as_dict(match_greedy(score, treated, caliper=0.2, pairing=strong)) == {0: [2]}


def test_window_edge_is_inclusive() -> None:
    """A comparison exactly one window away is eligible, a hair farther is not, on either side."""
    treated = np.array([True, False])
    for days in (180.0, -180.0):
        time = np.array([1000.1, 1000.1 + days])
        window = abs(time[1] - time[0])
        assert match_greedy(np.zeros(2), treated, pairing=Pairing(time=time, window=window)).n_sets == 1
        with pytest.raises(DesignError, match="nothing_matched"):
            match_greedy(np.zeros(2), treated, pairing=Pairing(time=time, window=window - 1e-6))


def test_edges_survive_rounding() -> None:
    """A window, and a caliper on another variable, as wide as the computed difference itself never lose a pair."""
    rng = np.random.default_rng(2)
    treated = np.array([True, False])
    for value in rng.uniform(0, 1000, (100, 2)):
        width = abs(value[0] - value[1])
        for rules in (Pairing(time=value, window=width), Pairing(calipers=value[:, None], widths=np.array([width]))):
            assert match_greedy(np.zeros(2), treated, pairing=rules).n_sets == 1


def test_risk_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    """A comparison is at risk from its entry, inclusive, to its exit, exclusive."""
    treated, time = np.array([True, False]), np.array([10.0, 0.0])
    for entry, exit_, open_ in ((10, 11, True), (9, 10, False), (10.5, 20, False), (-np.inf, np.inf, True)):
        rules = Pairing(time=time, at_risk=np.array([[0, 0], [entry, exit_]], dtype=float))
        if open_:
            assert match_greedy(np.zeros(2), treated, pairing=rules).n_sets == 1
        else:
            with pytest.raises(DesignError, match="nothing_matched"):
                match_greedy(np.zeros(2), treated, pairing=rules)


def test_caliper_edge_is_inclusive() -> None:
    """A distance equal to the caliper is within it."""
    assert match_greedy(np.array([0.5, 0.0]), np.array([True, False]), caliper=0.5).n_sets == 1
    with pytest.raises(DesignError, match="nothing_matched"):
        match_greedy(np.array([0.5, 0.0]), np.array([True, False]), caliper=0.499)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ratio": 0}, "design.ratio"),
        ({"ratio": 3}, "design.ratio"),
        ({"ratios": np.array([1, 0])}, "design.ratio"),
        ({"caliper": 0.0}, "design.caliper"),
        ({"caliper": -1.0}, "design.caliper"),
        ({"caliper": np.nan}, "design.caliper"),
        ({"score": np.array([0, 1, np.nan, 2])}, "design.not_finite"),
        ({"score": np.array([0, 1, -np.inf, 2])}, "design.not_finite"),
        ({"score": np.array([0, 1, -1e308, 1e308])}, "design.not_finite"),
        ({"treated": np.zeros(4, dtype=bool)}, "design.no_treated"),
        ({"treated": np.ones(4, dtype=bool)}, "design.no_comparison"),
        ({"pairing": Pairing(exact=np.array([0, 0, 1, 1]))}, "design.nothing_matched"),
        ({"pairing": Pairing(time=np.arange(4.0), at_risk=np.zeros((4, 2)))}, "design.nothing_matched"),
        ({"most_uses": 2}, "design.most_uses"),
        ({"most_uses": 0, "replacement": True}, "design.most_uses"),
        ({"memory": 1e-9}, "design.memory"),
    ],
)
def test_refusals(change: dict[str, Any], code: str) -> None:
    """Impossible requests are refused by code."""
    arguments = {"score": np.arange(4.0), "treated": np.array([True, True, False, False])} | change
    with pytest.raises(DesignError) as caught:
        match_greedy(arguments.pop("score"), arguments.pop("treated"), **arguments)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "change", [{"order": "random"}, {"ratios": np.array([1, 1, 1])}, {"ratios": np.array([1, 1]), "ratio": 2}]
)
def test_arguments_that_contradict_each_other(change: dict[str, Any]) -> None:
    """A caller's mistakes are told apart from a study that cannot be matched."""
    with pytest.raises(ValueError, match=r"rng|ratio"):
        match_greedy(np.arange(4.0), np.array([True, True, False, False]), **change)


def test_rows_that_do_not_line_up() -> None:
    """Arrays of different lengths are a caller's mistake, found before any loop runs over an end."""
    score, treated = np.arange(4.0), np.array([True, True, False, False])
    for arm, rules in ((treated[:3], Pairing()), (treated, Pairing(exact=np.zeros(3, dtype=np.int64)))):
        with pytest.raises(ValueError, match="same number of rows"):
            match_greedy(score, arm, pairing=rules)


def test_more_rows_than_positions_can_count() -> None:
    """Positions are 32-bit integers: 2^31 entries are refused whatever memory is allowed."""
    rules = Pairing(prefer=np.zeros((1, 1), dtype=np.int64), penalty=np.ones(1))
    with pytest.raises(DesignError, match=r"design\.memory"):
        _require_memory(2**30, 2**20, 1, rules, memory=1e6)
    _require_memory(2**30, 2**20, 1, Pairing(), memory=1e6)


def test_ratio_by_score_adds_up_as_in_matchit() -> None:
    """Mean 2, from 1 to 5, for 12 treated: 9 of one comparison each, 3 of five, as MatchIt's rule gives."""
    score = np.r_[np.arange(12.0), np.full(40, -5.0)]
    treated = np.arange(52) < 12
    assert ratio_by_score(score, treated, mean=2, most=5).tolist() == [5, 5, 5] + [1] * 9
    assert ratio_by_score(-score, treated, mean=2, most=5).tolist() == [5, 5, 5] + [1] * 9
    assert ratio_by_score(score, treated, mean=2.5, least=2, most=5).tolist() == [5, 5] + [2] * 10
    assert ratio_by_score(score, treated, mean=2.75, most=5).tolist() == [5] * 5 + [2] + [1] * 6


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 6), st.floats(0, 1), st.integers(0, 99))
def test_ratio_by_score_is_extremal(n1: int, least: int, extra: int, share: float, seed: int) -> None:
    """The ratios add up, lie between their limits, all but one at a limit, and fall with the score."""
    score = np.random.default_rng(seed).normal(size=n1 * 11)
    treated = np.arange(n1 * 11) < n1
    score[treated] += 9
    mean = least + share * extra
    ratios = ratio_by_score(score, treated, mean=mean, least=least, most=least + extra)
    assert ratios.sum() == round(mean * n1)
    assert ratios.min() >= least
    assert ratios.max() <= least + extra
    assert ((ratios > least) & (ratios < least + extra)).sum() <= 1
    assert (np.diff(ratios[np.argsort(score[treated])]) <= 0).all()


@pytest.mark.parametrize("change", [{"mean": 0.5}, {"mean": 4.0}, {"mean": 2.0, "most": 1}, {"mean": 2.0, "least": 0}])
def test_ratio_by_score_refusals(change: dict[str, Any]) -> None:
    """Ratios that cannot add up, or need more comparisons than there are, are refused."""
    with pytest.raises(DesignError) as caught:
        ratio_by_score(np.arange(8.0), np.arange(8) < 2, **change)
    assert caught.value.code == "design.ratio"


def test_variable_ratio_uses_its_allowance() -> None:
    """Matching with the ratios of `ratio_by_score` gives every treated occasion as many as it was allotted."""
    rng = np.random.default_rng(5)
    treated = np.arange(300) < 40
    score = rng.normal(size=300) + treated
    ratios = ratio_by_score(score, treated, mean=3.0, most=8)
    sets = match_greedy(score, treated, ratios=ratios)
    assert np.bincount(sets.set_id[~sets.is_treated]).tolist() == ratios.tolist()


def test_row_weights_cover_everybody() -> None:
    """Weights by row sum to the number of sets in each arm and are zero for the unmatched."""
    rng = np.random.default_rng(4)
    score, treated = rng.normal(size=60), np.arange(60) < 15
    sets = match_greedy(score, treated, ratio=2, caliper=0.2)
    weights = row_weights(sets, 60)
    assert weights.size == 60
    assert weights[treated].sum() == pytest.approx(sets.n_sets)
    assert weights[~treated].sum() == pytest.approx(sets.n_sets)
    assert set(np.flatnonzero(weights)) == set(sets.row)
