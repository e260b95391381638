"""Subclassification: quantiles of the target, and subclasses that lack an arm filled from their neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets, row_weights
from causal.design.matching.subclass import match_subclass
from causal.errors import DesignError


def as_sets(sets: MatchedSets, key: np.ndarray) -> set[frozenset[int]]:
    """Return the sets as keys of their members."""
    return {frozenset(key[sets.row[sets.set_id == s]].tolist()) for s in range(sets.n_sets)}


def members(score: list[float], treated: list[int], **asked: Any) -> list[list[list[float]]]:
    """Scores of the treated and of the comparisons in each subclass, from the lowest."""
    x, case = np.array(score), np.array(treated, dtype=bool)
    sets = match_subclass(x, case, **asked)
    found = []
    for s in range(sets.n_sets):
        rows = sets.row[sets.set_id == s]
        found.append([sorted(x[rows[case[rows]]].tolist()), sorted(x[rows[~case[rows]]].tolist())])
    return sorted(found)


@pytest.mark.parametrize(
    ("estimand", "expected"),
    [
        ("ATT", [[[4, 5], [0, 1, 2, 3, 5]], [[6, 7], [6]]]),  # the treated's median is 5.5
        ("ATC", [[[4], [0, 1, 2]], [[5, 6, 7], [3, 5, 6]]]),  # 2.5; one treated has to move down
        ("ATE", [[[4], [0, 1, 2, 3]], [[5, 6, 7], [5, 6]]]),  # 4.5
    ],
)
def test_cuts_by_hand(estimand: str, expected: list[list[list[float]]]) -> None:
    """The cut is the median of the target."""
    score = [4.0, 5, 6, 7, 0, 1, 2, 3, 5, 6]
    assert members(score, [1] * 4 + [0] * 6, subclasses=2, estimand=estimand) == expected


def test_an_occasion_on_a_cut_belongs_above() -> None:
    """The median of 0, 1 and 2 is 1; the largest belongs to the highest subclass all the same."""
    assert members([0.0, 1, 2, 0, 1, 3], [1, 1, 1, 0, 0, 0], subclasses=2) == [[[0], [0]], [[1, 2], [1, 3]]]


def test_the_nearest_of_a_neighbour_moves() -> None:
    """Comparisons 0.5 to 2 lie in the lowest of three subclasses: the top takes 2, the middle then the next, 1.5."""
    score = [0.0, 5, 10, 11, 15, 20, 0.5, 1.0, 1.5, 2.0]
    expected = [[[0, 5], [0.5, 1.0]], [[10, 11], [2.0]], [[15, 20], [1.5]]]
    found = members(score, [1] * 6 + [0] * 4, subclasses=3)
    assert [arms[0] for arms in found] == [arms[0] for arms in expected]
    assert sorted(value for arms in found for value in arms[1]) == [0.5, 1.0, 1.5, 2.0]
    assert [len(arms[1]) for arms in found] == [2, 1, 1]


def test_without_moves_one_armed_subclasses_are_left_out() -> None:
    """With min_n = 0 the upper half, which has no comparison, is dropped."""
    sets = match_subclass(np.array([0.0, 1, 2, 3, 0.5]), np.arange(5) < 4, subclasses=2, min_n=0)
    assert (sets.row.tolist(), sets.n_unmatched_treated) == ([0, 1, 4], 2)


def test_weights_by_hand() -> None:
    """Lower half 2 treated beside 5, upper 2 beside 1: 2/5 and 2 (ATT)."""
    score = np.array([4.0, 5, 6, 7, 0, 1, 2, 3, 5, 6])
    weight = row_weights(match_subclass(score, np.arange(10) < 4, subclasses=2), 10)
    assert weight.tolist() == [1, 1, 1, 1, 0.4, 0.4, 0.4, 0.4, 0.4, 2.0]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    subclasses=st.integers(2, 6),
    min_n=st.integers(1, 3),
    estimand=st.sampled_from(["ATT", "ATC", "ATE"]),
    tied=st.booleans(),
)
def test_every_subclass_has_both_arms(
    seed: int, subclasses: int, min_n: int, estimand: Any, tied: bool
) -> None:  # fmt: skip
    """Everyone is in a subclass, each of which has at least min_n of each arm."""
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.arange(60) < int(rng.integers(18, 42)))
    score = rng.normal(size=60) + 2 * treated
    score = np.round(score) if tied else score
    sets = match_subclass(score, treated, subclasses=subclasses, min_n=min_n, estimand=estimand)
    assert sorted(sets.row.tolist()) == list(range(60))
    assert sets.n_sets == subclasses or tied
    for arm in (sets.is_treated, ~sets.is_treated):
        assert np.bincount(sets.set_id[arm], minlength=sets.n_sets).min() >= min_n


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), estimand=st.sampled_from(["ATT", "ATC", "ATE"]))
def test_order_units_and_copies_do_not_matter(seed: int, estimand: Any) -> None:
    """Shuffled rows and other units give the same subclasses; twice the occasions, the same weights.

    Type 7 quantiles of doubled data lie between the same occasions where the number of subclasses divides the target.
    """
    rng = np.random.default_rng(seed)
    score, treated = rng.normal(size=60), rng.permutation(np.arange(60) < 24)
    kept = match_subclass(score, treated, subclasses=3, estimand=estimand)
    order = rng.permutation(60)
    shuffled = match_subclass(score[order], treated[order], subclasses=3, estimand=estimand)
    assert as_sets(shuffled, order) == as_sets(kept, np.arange(60))
    scaled = match_subclass(score * 8 + 16, treated, subclasses=3, estimand=estimand)
    assert as_sets(scaled, np.arange(60)) == as_sets(kept, np.arange(60))
    doubled = match_subclass(np.repeat(score, 2), np.repeat(treated, 2), subclasses=3, estimand=estimand)
    assert (row_weights(doubled, 120)[::2] == row_weights(kept, 60)).all()


def test_strata_are_cut_by_themselves() -> None:
    """Each stratum gives what it gives alone; a stratum with one arm is left out."""
    rng = np.random.default_rng(8)
    score, treated, stratum = rng.normal(size=80), np.arange(80) % 2 == 0, np.arange(80) // 2 % 2 * 7
    stratum[:2] = 3
    treated[:2] = True
    sets = match_subclass(score, treated, subclasses=3, pairing=Pairing(exact=stratum))
    alone = [
        as_sets(match_subclass(score[rows], treated[rows], subclasses=3), rows)
        for rows in (np.flatnonzero(stratum == 0), np.flatnonzero(stratum == 7))
    ]
    assert as_sets(sets, np.arange(80)) == alone[0] | alone[1]
    assert sets.n_unmatched_treated == 2


GOOD: dict[str, Any] = {"score": np.arange(6.0), "treated": np.array([True, False] * 3), "subclasses": 2}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"treated": np.zeros(6, bool)}, "design.no_treated"),
        ({"treated": np.ones(6, bool)}, "design.no_comparison"),
        ({"score": np.r_[np.arange(5.0), np.nan]}, "design.not_finite"),
        ({"subclasses": 1}, "design.subclasses"),
        ({"subclasses": 4}, "design.subclasses"),
        ({"min_n": 2}, "design.subclasses"),
        ({"min_n": -1}, "design.subclasses"),
        ({"pairing": Pairing(exact=np.array([0, 1] * 3))}, "design.nothing_matched"),
        ({"pairing": Pairing(exact=np.array([0, 0, 1, 1, 1, 1]))}, "design.subclasses"),
        ({"pairing": Pairing(person=np.arange(6))}, "design.rule_unsupported"),
        ({"pairing": Pairing(time=np.zeros(6), window=3.0)}, "design.rule_unsupported"),
    ],
)
def test_refusals(changed: dict[str, Any], code: str) -> None:
    """Bad input, and rules that would not be kept, are refused by name."""
    with pytest.raises(DesignError) as refusal:
        match_subclass(**{**GOOD, **changed})
    assert refusal.value.code == code
