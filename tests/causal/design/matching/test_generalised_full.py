"""Generalised full matching: everyone in a set with both arms, and no set wider than the guarantee."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import generalised_full
from causal.design.matching.generalised_full import match_generalised_full
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.errors import DesignError


def widths(sets: MatchedSets, points: np.ndarray) -> list[float]:
    """Largest distance between two members of each set."""
    found = []
    for s in range(sets.n_sets):
        members = points[sets.row[sets.set_id == s]]
        found.append(float(np.linalg.norm(members[:, None] - members, axis=2).max()))
    return found


def partitions(rows: list[int]) -> list[list[list[int]]]:
    """Every division of the rows into sets."""
    if not rows:
        return [[]]
    first, rest = rows[0], partitions(rows[1:])
    alone = [[[first], *parts] for parts in rest]
    joined = [[*parts[:k], [first, *parts[k]], *parts[k + 1 :]] for parts in rest for k in range(len(parts))]
    return alone + joined


@st.composite
def samples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw a few points with ties, and their arms."""
    n, q = draw(st.integers(2, 7)), draw(st.integers(1, 2))
    coordinate = st.one_of(st.integers(-4, 4).map(float), st.floats(-3, 3))
    points = np.array(draw(st.lists(coordinate, min_size=n * q, max_size=n * q))).reshape(n, q)
    return points, np.array(
        draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: any(t) and not all(t)))
    )


@settings(max_examples=60, deadline=None)
@given(sample=samples())
def test_four_times_the_best_division(sample: tuple[np.ndarray, np.ndarray]) -> None:
    """Everyone is in one set with both arms, and the widest set is at most four times that of the best division."""
    points, treated = sample
    sets = match_generalised_full(points, treated)
    assert sorted(sets.row.tolist()) == list(range(treated.size))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    best = min(
        max(apart[np.ix_(part, part)].max() for part in parts)
        for parts in partitions(list(range(treated.size)))
        if all(treated[part].any() and not treated[part].all() for part in parts)
    )
    assert max(widths(sets, points)) <= 4 * best + 1e-12


@pytest.mark.parametrize("columns", [1, 3])
def test_four_times_the_nearest_in_a_large_sample(columns: int) -> None:
    """The largest distance to a nearest occasion of the other arm bounds every division from below."""
    rng = np.random.default_rng(columns)
    points, treated = rng.normal(size=(3000, columns)), np.arange(3000) < 500
    apart = np.linalg.norm(points[treated][:, None] - points[~treated], axis=2)
    bound = max(apart.min(axis=0).max(), apart.min(axis=1).max())
    sets = match_generalised_full(points, treated)
    assert sets.row.size == 3000
    assert max(widths(sets, points)) <= 4 * bound
    assert sets.distance.max() <= 2 * bound
    assert (np.bincount(sets.set_id[sets.distance == 0]) == 1).all()  # one seed in each set, by no ties


def test_hand_worked() -> None:
    """Nobody looks to 0 and 20: they found sets with 1 and 11; 2, to whom nobody looks either, joins the seed at 0."""
    score, treated = np.array([0.0, 1.0, 2.0, 11.0, 20.0]), np.array([True, False, True, False, True])
    sets = match_generalised_full(score, treated)
    assert sets.row.tolist() == [0, 2, 1, 4, 3]
    assert sets.set_id.tolist() == [0, 0, 0, 1, 1]
    assert sets.distance.tolist() == [0.0, 2.0, 1.0, 0.0, 9.0]
    assert sets.weight.tolist() == [1.0, 1.0, 2.0, 1.0, 1.0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), columns=st.sampled_from([1, 2]))
def test_order_and_units_do_not_matter(seed: int, columns: int) -> None:
    """Rescaled coordinates give the same sets."""
    rng = np.random.default_rng(seed)
    points, treated = rng.normal(size=(40, columns)), rng.random(40) < 0.4
    treated[:2] = [True, False]
    points[1] = points[0] + 0.01  # somebody is within reach
    here = match_generalised_full(points, treated, caliper=0.5)
    there = match_generalised_full(points * 4, treated, caliper=2.0)
    assert (here.row == there.row).all()
    assert (here.set_id == there.set_id).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), caliper=st.sampled_from([0.2, 0.5, 1.0]))
def test_caliper_and_strata_are_kept(seed: int, caliper: float) -> None:
    """No set is wider than the caliper or spans strata, nor is anybody in two."""
    rng = np.random.default_rng(seed)
    points, treated, stratum = rng.normal(size=(200, 2)), np.arange(200) < 70, rng.integers(0, 2, 200)
    sets = match_generalised_full(points, treated, caliper=caliper, pairing=Pairing(exact=stratum))
    assert max(widths(sets, points)) <= caliper
    assert np.unique(sets.row).size == sets.row.size
    assert sets.n_unmatched_treated == 70 - sets.is_treated.sum()
    assert all(np.unique(stratum[sets.row[sets.set_id == s]]).size == 1 for s in range(sets.n_sets))


def test_a_stratum_with_one_arm_is_left_out() -> None:
    """Nobody is compared across strata."""
    sets = match_generalised_full(
        np.array([0.0, 0.1, 0.2]), np.array([True, True, False]), pairing=Pairing(exact=np.array([1, 2, 2]))
    )
    assert (sets.row.tolist(), sets.n_unmatched_treated) == ([1, 2], 1)


def test_loop_says_the_same_uncompiled() -> None:
    """Compilation changes nothing."""
    nearest, order = np.array([3, 3, 4, 0, 2, -1]), np.array([5, 1, 0, 2, 3, 4])
    founded = generalised_full._found(nearest, order)
    assert founded.tolist() == [-1, 1, 2, 1, 2, -1]
    assert (generalised_full._compiled()(nearest, order) == founded).all()


GOOD: dict[str, Any] = {"coordinates": np.array([0.0, 1.0, 2.0]), "treated": np.array([True, False, False])}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"treated": np.zeros(3, bool)}, "design.no_treated"),
        ({"treated": np.ones(3, bool)}, "design.no_comparison"),
        ({"coordinates": np.array([0.0, np.inf, 2.0])}, "design.not_finite"),
        ({"caliper": -1.0}, "design.caliper"),
        ({"caliper": 0.5}, "design.nothing_matched"),
        ({"pairing": Pairing(exact=np.array([0, 1, 1]))}, "design.nothing_matched"),
        ({"pairing": Pairing(person=np.array([0, 1, 1]))}, "design.rule_unsupported"),
        ({"pairing": Pairing(time=np.zeros(3), window=1.0)}, "design.rule_unsupported"),
        ({"pairing": Pairing(calipers=np.zeros((3, 1)), widths=np.ones(1))}, "design.rule_unsupported"),
        ({"pairing": Pairing(differ=np.zeros((3, 1), int))}, "design.rule_unsupported"),
    ],
)
def test_refusals(changed: dict[str, Any], code: str) -> None:
    """Bad input, and rules that would not be kept, are refused by name."""
    with pytest.raises(DesignError) as refusal:
        match_generalised_full(**{**GOOD, **changed})
    assert refusal.value.code == code
