"""Greedy matching against a plain reference, and the properties every match must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import greedy
from causal.design.matching.caliper import caliper_width
from causal.design.matching.greedy import match_greedy
from causal.design.matching.sets import MatchedSets, row_weights
from causal.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything `match_greedy` is asked, with infinite limits for none."""

    logit: np.ndarray
    treated: np.ndarray
    ratio: int
    caliper: float
    exact: np.ndarray
    time_days: np.ndarray
    window_days: float
    person: np.ndarray
    order: Literal["highest", "lowest"]

    def allows(self, a: int, b: int) -> bool:
        """Tell whether b may be compared with a."""
        near = abs(self.logit[b] - self.logit[a]) <= self.caliper
        timely = abs(self.time_days[b] - self.time_days[a]) <= self.window_days
        return bool(near and timely and self.exact[a] == self.exact[b] and self.person[a] != self.person[b])


def reference(p: Problem) -> dict[int, list[int]]:
    """Match as one would tell it: each case in turn takes its nearest eligible comparison."""
    sign = -1 if p.order == "highest" else 1
    cases = sorted(np.flatnonzero(p.treated).tolist(), key=lambda a: (sign * p.logit[a], a))
    sets: dict[int, list[int]] = {a: [] for a in cases}
    free = set(np.flatnonzero(~p.treated).tolist())
    for turn in range(p.ratio):
        for a in (a for a in cases if len(sets[a]) == turn):
            eligible = [b for b in free if p.allows(a, b) and all(p.person[b] != p.person[c] for c in sets[a])]
            if eligible:
                nearest = min(eligible, key=lambda b: (abs(p.logit[b] - p.logit[a]), b))
                sets[a].append(nearest)
                free.remove(nearest)
    return {a: found for a, found in sets.items() if found}


def as_dict(sets: MatchedSets) -> dict[int, list[int]]:
    """Return the sets as {treated row: comparison rows in the order they came}."""
    heads = sets.row[sets.is_treated]
    return {int(heads[s]): sets.row[(sets.set_id == s) & ~sets.is_treated].tolist() for s in range(sets.n_sets)}


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw small matching problems, most of them with tied scores, tied distances and scarce comparisons."""
    n = draw(st.integers(2, 36))
    score = st.one_of(st.integers(-4, 4).map(lambda v: v / 4), st.floats(-3, 3), st.sampled_from([0.1, 0.3, 1e-17]))
    treated = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: any(t) and not all(t)))
    whole = draw(st.booleans())
    day = st.integers(0, 40).map(float) if whole else st.floats(0, 40)
    return Problem(
        logit=np.array(draw(st.lists(score, min_size=n, max_size=n))),
        treated=np.array(treated),
        ratio=draw(st.integers(1, 4)),
        caliper=draw(st.sampled_from([np.inf, 0.0625, 0.25, 1.0])),
        exact=np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))),
        time_days=np.array(draw(st.lists(day, min_size=n, max_size=n))),
        window_days=draw(st.sampled_from([np.inf, 0.0, 0.5, 3.0, 7.0])),
        person=np.array(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))),
        order=draw(st.sampled_from(["highest", "lowest"])),
    )


def run(p: Problem) -> MatchedSets | None:
    """Match, or return None where nothing can be matched."""
    windowed = np.isfinite(p.window_days)
    try:
        return match_greedy(
            p.logit,
            p.treated,
            ratio=p.ratio,
            caliper=p.caliper if np.isfinite(p.caliper) else None,
            exact=p.exact,
            time_days=p.time_days if windowed else None,
            window_days=p.window_days if windowed else None,
            person=p.person,
            order=p.order,
        )
    except DesignError as refusal:
        if refusal.code != "design.nothing_matched":
            raise
        return None


@settings(max_examples=400, deadline=None)
@given(problems())
def test_agrees_with_the_reference(problem: Problem) -> None:
    """The compiled search finds exactly the sets of the rule written out in a few lines."""
    sets = run(problem)
    assert (as_dict(sets) if sets else {}) == reference(problem)


@settings(max_examples=200, deadline=None)
@given(problems())
def test_promises_hold(problem: Problem) -> None:
    """Caliper, strata, window and persons are respected, nobody is reused, weights and counts add up."""
    sets = run(problem)
    if sets is None:
        return
    head = sets.row[sets.is_treated][sets.set_id]
    others = ~sets.is_treated
    assert np.unique(sets.row).size == sets.row.size
    assert (problem.treated[sets.row] == sets.is_treated).all()
    assert (sets.distance == np.abs(problem.logit[sets.row] - problem.logit[head])).all()
    assert (sets.distance <= problem.caliper).all()
    assert (problem.exact[sets.row] == problem.exact[head]).all()
    assert (np.abs(problem.time_days[sets.row] - problem.time_days[head]) <= problem.window_days).all()
    members = np.column_stack([sets.set_id, problem.person[sets.row]])
    assert np.unique(members, axis=0).shape == members.shape
    assert np.bincount(sets.set_id[others]).max() <= problem.ratio
    np.testing.assert_allclose(np.bincount(sets.set_id[others], weights=sets.weight[others]), 1.0)
    assert sets.n_sets + sets.n_unmatched_treated == problem.treated.sum()
    assert (np.diff(sets.row[sets.is_treated]) > 0).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3))
def test_row_order_does_not_matter_without_ties(seed: int, ratio: int) -> None:
    """With distinct scores any order of the rows gives the same sets of occasions."""
    rng = np.random.default_rng(seed)
    logit, treated, exact = rng.normal(size=40), np.arange(40) < 12, rng.integers(0, 2, 40)
    shuffle = rng.permutation(40)
    one = match_greedy(logit, treated, ratio=ratio, exact=exact)
    other = match_greedy(logit[shuffle], treated[shuffle], ratio=ratio, exact=exact[shuffle])
    renamed = {int(shuffle[a]): [int(shuffle[b]) for b in found] for a, found in as_dict(other).items()}
    assert renamed == as_dict(one)


def test_first_row_wins_ties() -> None:
    """Equal distances, equal scores and equal choosers all go to the earlier row."""
    logit = np.array([0.0, 0.0, 0.25, -0.25, -0.25, 0.25])
    sets = match_greedy(logit, np.array([True, True, False, False, False, False]))
    assert as_dict(sets) == {0: [2], 1: [3]}


def test_rounds_serve_everyone_once_before_anyone_twice() -> None:
    """Two treated occasions and two comparisons at ratio 2 make two pairs, not one triple."""
    sets = match_greedy(np.array([1.0, 0.9, 0.95, 0.0]), np.array([True, True, False, False]), ratio=2)
    assert as_dict(sets) == {0: [2], 1: [3]}


def test_who_chooses_first_matters() -> None:
    """The highest score takes the shared comparison under 'highest', the lowest under 'lowest'."""
    logit, treated = np.array([1.0, 0.0, 0.5]), np.array([True, True, False])
    assert as_dict(match_greedy(logit, treated, order="highest")) == {0: [2]}
    assert as_dict(match_greedy(logit, treated, order="lowest")) == {1: [2]}


def test_window_edge_is_inclusive() -> None:
    """A comparison exactly one window away is eligible, a hair farther is not, on either side."""
    treated = np.array([True, False])
    for days in (180.0, -180.0):
        time = np.array([1000.1, 1000.1 + days])
        window = abs(time[1] - time[0])
        assert match_greedy(np.zeros(2), treated, time_days=time, window_days=window).n_sets == 1
        with pytest.raises(DesignError, match="nothing_matched"):
            match_greedy(np.zeros(2), treated, time_days=time, window_days=window - 1e-6)


def test_caliper_edge_is_inclusive() -> None:
    """A distance equal to the caliper is within it."""
    assert match_greedy(np.array([0.5, 0.0]), np.array([True, False]), caliper=0.5).n_sets == 1
    with pytest.raises(DesignError, match="nothing_matched"):
        match_greedy(np.array([0.5, 0.0]), np.array([True, False]), caliper=0.499)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ratio": 0}, "design.ratio"),
        ({"caliper": 0.0}, "design.caliper"),
        ({"caliper": -1.0}, "design.caliper"),
        ({"caliper": np.nan}, "design.caliper"),
        ({"window_days": -1.0, "time_days": np.zeros(4)}, "design.window"),
        ({"window_days": np.nan, "time_days": np.zeros(4)}, "design.window"),
        ({"window_days": 9.0, "time_days": np.array([0, 1, np.nan, 2])}, "design.not_finite"),
        ({"logit": np.array([0, 1, np.nan, 2])}, "design.not_finite"),
        ({"treated": np.zeros(4, dtype=bool)}, "design.no_treated"),
        ({"treated": np.ones(4, dtype=bool)}, "design.no_comparison"),
        ({"exact": np.array([0, 0, 1, 1])}, "design.nothing_matched"),
    ],
)
def test_refusals(change: dict[str, Any], code: str) -> None:
    """Impossible requests are refused by code."""
    arguments = {"logit": np.arange(4.0), "treated": np.array([True, True, False, False])} | change
    with pytest.raises(DesignError) as caught:
        match_greedy(arguments.pop("logit"), arguments.pop("treated"), **arguments)
    assert caught.value.code == code


def test_caliper_width_by_hand() -> None:
    """Pooled within-arm and whole-sample widths of four scores, worked by hand."""
    logit, treated = np.array([1.0, 3.0, 0.0, 4.0]), np.array([True, True, False, False])
    assert caliper_width(logit, treated, width=0.2) == pytest.approx(0.2 * np.sqrt((2 + 8) / 2))
    assert caliper_width(logit, treated, width=0.2, sd="whole") == pytest.approx(0.2 * np.sqrt(10 / 3))


@pytest.mark.parametrize(
    ("logit", "width", "code"),
    [([1, 2, 3, 4], 0.0, "design.caliper"), ([1, 1, 1, 1], 0.2, "design.no_spread")],
)
def test_caliper_width_refusals(logit: list[float], width: float, code: str) -> None:
    """A width of zero and a score without spread have no caliper."""
    with pytest.raises(DesignError) as caught:
        caliper_width(np.array(logit, dtype=float), np.array([True, True, False, False]), width=width)
    assert caught.value.code == code


def test_row_weights_cover_everybody() -> None:
    """Weights by row sum to the number of sets in each arm and are zero for the unmatched."""
    rng = np.random.default_rng(4)
    logit, treated = rng.normal(size=60), np.arange(60) < 15
    sets = match_greedy(logit, treated, ratio=2, caliper=0.2)
    weights = row_weights(sets, 60)
    assert weights.size == 60
    assert weights[treated].sum() == pytest.approx(sets.n_sets)
    assert weights[~treated].sum() == pytest.approx(sets.n_sets)
    assert set(np.flatnonzero(weights)) == set(sets.row)


def test_same_function_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search gives the same sets interpreted as compiled."""
    rng = np.random.default_rng(8)
    logit, treated, day = rng.normal(size=120).round(1), np.arange(120) < 40, rng.uniform(0, 900, 120)
    compiled = match_greedy(logit, treated, ratio=2, caliper=0.3, time_days=day, window_days=180.0)
    monkeypatch.setattr(greedy, "_compiled", lambda: greedy._choose)
    assert as_dict(match_greedy(logit, treated, ratio=2, caliper=0.3, time_days=day, window_days=180.0)) == as_dict(
        compiled
    )


def test_matches_where_the_compiler_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for numba's cache the search is compiled afresh and finds the same sets."""
    import numba

    def unwritable(*, cache: bool) -> None:
        raise RuntimeError(f"no locator available, cache={cache}")

    logit, treated = np.random.default_rng(5).normal(size=60), np.arange(60) < 20
    expected = as_dict(match_greedy(logit, treated))
    plain = numba.njit
    monkeypatch.setattr(numba, "njit", lambda *search, **options: plain(*search) if search else unwritable(**options))
    greedy._compiled.cache_clear()
    assert as_dict(match_greedy(logit, treated)) == expected
    greedy._compiled.cache_clear()
