"""Optimal matching on a line against exhaustive search, scipy's assignment and its own uncompiled loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import optimal_line
from causal.design.matching.optimal_line import line_choices

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, int, float]


@st.composite
def problems(draw: st.DrawFn, most: int = 40) -> Problem:
    """Draw scores (on a grid of halves, so that sums are exact and ties abound), strata, arms, ratio and caliper."""
    n = draw(st.integers(2, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    treated = rng.random(n) < draw(st.sampled_from([0.1, 0.3, 0.5, 0.8]))
    treated[:2] = [True, False]
    score = rng.integers(0, draw(st.sampled_from([4, 20, 1000])), n) / 2 + draw(st.sampled_from([0, 3])) * treated
    stratum = rng.integers(0, draw(st.sampled_from([1, 3])), n)
    return score, stratum, treated, draw(st.integers(1, 3)), draw(st.sampled_from([0.5, 1.0, 2.5, 6.0, np.inf]))


def costs(problem: Problem) -> np.ndarray:
    """Distance of every treated row from every comparison row, infinite where they may not be matched."""
    score, stratum, treated, _, caliper = problem
    apart = np.abs(score[treated][:, None] - score[~treated])
    return np.where((apart <= caliper) & (stratum[treated][:, None] == stratum[~treated]), apart, np.inf)


def worth(problem: Problem) -> tuple[int, int, float]:
    """Count pairs and treated rows served, and add up the distances, checking that the match is one."""
    score, stratum, treated, ratio, caliper = problem
    cases, chosen = line_choices(score, stratum, treated, ratio=ratio, caliper=caliper)
    given = chosen >= 0
    assert sorted(cases) == np.flatnonzero(treated).tolist()
    assert chosen.shape == (cases.size, ratio)
    assert not treated[chosen[given]].any()
    assert np.unique(chosen[given]).size == given.sum()
    assert (stratum[cases][:, None] == stratum[chosen])[given].all()
    apart = np.abs(score[cases][:, None] - score[chosen])[given]
    assert (apart <= caliper).all()
    return int(given.sum()), int(given.any(axis=1).sum()), float(apart.sum())


def exhaustive(cost: np.ndarray, ratio: int) -> tuple[int, int, float]:
    """Try every way of giving each comparison to a treated row or to nobody."""
    best = (0, 0, 0.0)
    n1, n0 = cost.shape
    todo: list[tuple[int, tuple[int, ...], float]] = [(0, (0,) * n1, 0.0)]
    while todo:
        j, has, total = todo.pop()
        if j == n0:
            served = (-sum(has), -sum(h > 0 for h in has), total)
            best = min(best, served)
            continue
        todo.append((j + 1, has, total))
        takers = [i for i in range(n1) if has[i] < ratio and np.isfinite(cost[i, j])]
        todo += [(j + 1, (*has[:i], has[i] + 1, *has[i + 1 :]), total + cost[i, j]) for i in takers]
    return -best[0], -best[1], best[2]


def assigned(cost: np.ndarray, ratio: int) -> tuple[int, int, float]:
    """Solve by scipy's dense assignment: an empty slot costs more than all pairs, a first slot twice that."""
    from scipy.optimize import linear_sum_assignment

    empty = 2.0**20
    slots = np.repeat(np.where(np.isfinite(cost), cost, 2.0**40), ratio, axis=0)
    dummy = np.repeat(np.where(np.arange(len(slots)) % ratio == 0, 2 * empty, empty)[:, None], len(slots), axis=1)
    slot, to = linear_sum_assignment(np.hstack([slots, dummy]))
    given = to < cost.shape[1]
    return int(given.sum()), len(set(slot[given] // ratio)), float(slots[slot[given], to[given]].sum())


def test_by_hand() -> None:
    """Treated at 0 and 1, comparisons at 0.9 and 5: the nearest pair (1, 0.9) would leave 0 to 5, in all 5.1.

    The other way round it is 0.9 + 4 = 4.9. Within a caliper of 1 only one pair is possible, and 1 with 0.9 is nearest.
    """
    score, treated = np.array([0.0, 1.0, 0.9, 5.0]), np.array([True, True, False, False])
    assert line_choices(score, np.zeros(4, int), treated, ratio=1, caliper=np.inf)[1].tolist() == [[2], [3]]
    assert line_choices(score, np.zeros(4, int), treated, ratio=1, caliper=1.0)[1].tolist() == [[-1], [2]]


def test_extra_comparisons_never_cost_a_treated_row_its_only_one() -> None:
    """Treated at 0 and 2, comparisons at 0, 0 and 1, caliper 1, ratio 2: three pairs at distance 0, 0 and 1.

    Either row may have the comparison at 1; all three pairs are kept and both rows served.
    """
    score, treated = np.array([0.0, 2.0, 0.0, 0.0, 1.0]), np.array([True, True, False, False, False])
    _, chosen = line_choices(score, np.zeros(5, int), treated, ratio=2, caliper=1.0)
    assert chosen.tolist() == [[2, 3], [4, -1]]


@settings(deadline=None, max_examples=60)
@given(problem=problems(most=9))
def test_is_the_best_of_all_matchings(problem: Problem) -> None:
    """Exhaustive search over tiny problems finds nothing with more pairs, more treated served or less distance."""
    assert worth(problem) == exhaustive(costs(problem), problem[3])


@settings(deadline=None, max_examples=300)
@given(problem=problems())
def test_is_as_good_as_dense_assignment(problem: Problem) -> None:
    """The dense linear_sum_assignment of scipy reaches the same counts and the same total."""
    assert worth(problem) == assigned(costs(problem), problem[3])


@settings(deadline=None, max_examples=100)
@given(problem=problems())
def test_sets_keep_the_order_of_the_score(problem: Problem) -> None:
    """From one treated row to the next in (stratum, score, row), no comparison lies below one given before."""
    score, stratum, treated, ratio, caliper = problem
    cases, chosen = line_choices(score, stratum, treated, ratio=ratio, caliper=caliper)
    assert (np.diff(stratum[cases]) >= 0).all()
    for s in np.unique(stratum[cases]):
        sets = [np.sort(score[rows[rows >= 0]]) for rows in chosen[stratum[cases] == s]]
        assert (np.diff(np.concatenate(sets)) >= 0).all()


def test_ties_go_to_the_lowest_score_then_the_lowest_row() -> None:
    """A treated row at 1 between comparisons at 2, 0 and 0 takes the first of the two below."""
    treated = np.array([True, False, False, False])
    _, chosen = line_choices(np.array([1.0, 2.0, 0.0, 0.0]), np.zeros(4, int), treated, ratio=1, caliper=np.inf)
    assert chosen.tolist() == [[2]]


@settings(deadline=None, max_examples=50)
@given(problem=problems(most=20))
def test_compiled_and_plain_loops_agree(problem: Problem) -> None:
    """The loops choose the same rows run as plain Python."""
    score, stratum, treated, ratio, caliper = problem
    compiled = line_choices(score, stratum, treated, ratio=ratio, caliper=caliper)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal_line, "_kernel", lambda: optimal_line._match_strata)
        plain = line_choices(score, stratum, treated, ratio=ratio, caliper=caliper)[1]
    np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("caliper", [0.001, 0.2, np.inf])
@pytest.mark.parametrize("ratio", [1, 2])
def test_a_thousand_rows_are_as_good_as_dense_assignment(caliper: float, ratio: int) -> None:
    """Continuous scores, treated one standard deviation above: same counts, same total to rounding."""
    rng = np.random.default_rng(7)
    treated = rng.random(1000) < 0.2
    problem = rng.normal(size=1000) + treated, np.zeros(1000, int), treated, ratio, caliper
    ours, theirs = worth(problem), assigned(costs(problem), ratio)
    assert ours[:2] == theirs[:2]
    assert ours[2] == pytest.approx(theirs[2], rel=1e-9)
