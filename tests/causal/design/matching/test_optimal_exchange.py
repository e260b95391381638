"""Nobody twice in a set at no cost: exchanges keep the total and every rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching import optimal_exchange
from causal.design.matching.optimal import match_optimal
from causal.design.matching.optimal_exchange import kept_apart
from causal.design.matching.pairing import Pairing, admissible
from causal.design.matching.steps import in_steps
from causal.errors import DesignError


def test_equal_totals_are_exchanged_rather_than_refused() -> None:
    """Treated at 8 and 9 share three comparisons below them, two of one person: 1 and 2 go apart, the total stays."""
    score, treated = np.array([9.0, 8.0, 1.0, 2.0, 3.0, 0.0]), np.array([1, 1, 0, 0, 0, 0]) == 1
    person = np.array([0, 1, 2, 3, 3, 2])
    free = match_optimal(score, treated, ratio=2, pairing=Pairing())
    kept = match_optimal(score, treated, ratio=2, pairing=Pairing(person=person))
    assert kept.distance.sum() == free.distance.sum() == 28.0
    assert {frozenset(person[kept.row[kept.set_id == s]].tolist()) for s in (0, 1)} == {
        frozenset({0, 2, 3}),
        frozenset({1, 2, 3}),
    }


def test_what_no_exchange_mends_is_refused() -> None:
    """One treated occasion between two comparisons of one person, a third far away: another set would cost more."""
    score, treated = np.array([0.0, -1.0, 1.0, 9.0]), np.array([1, 0, 0, 0]) == 1
    with pytest.raises(DesignError) as refusal:
        match_optimal(score, treated, ratio=2, pairing=Pairing(person=np.array([0, 1, 1, 2])))
    assert refusal.value.code == "design.rule_unsupported"


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32 - 1), ratio=st.integers(1, 3), dimensions=st.integers(1, 2))
def test_exchanges_keep_totals_and_rules(seed: int, ratio: int, dimensions: int) -> None:
    """The optimum without regard to persons and its exchange: same sizes, same total, nobody twice, all rules kept."""
    rng = np.random.default_rng(seed)
    n = 24
    treated = np.arange(n) < 6
    z = rng.integers(0, 8, (n, dimensions)) + 5.0 * treated[:, None]
    free = Pairing(exact=rng.integers(0, 2, n), prefer=rng.integers(0, 2, (n, 1)), penalty=np.array([0.5]))
    rules, caliper = replace(free, person=rng.integers(0, 12, n)), float(rng.choice([6.0, 30.0]))
    try:
        sets = match_optimal(z, treated, ratio=ratio, caliper=caliper, pairing=free)
    except DesignError:
        return
    cases = np.flatnonzero(treated)
    given = np.full((cases.size, ratio), -1)
    hub = sets.row[sets.is_treated]
    for s in range(sets.n_sets):
        members = sets.row[(sets.set_id == s) & ~sets.is_treated]
        given[hub[s], : members.size] = members
    apart = kept_apart(in_steps(z, caliper, rules), treated, cases, given)
    if apart is None:
        return
    arrays = rules.arrays(n)

    def total(found: np.ndarray) -> float:
        costs = 0.0
        for i in cases:
            for j in found[i][found[i] >= 0]:
                costs += np.sqrt(((z[i] - z[j]) ** 2).sum()) + 0.5 * (rules.prefer[i, 0] != rules.prefer[j, 0])
        return costs

    assert total(apart) == pytest.approx(total(given), abs=1e-9)
    assert ((apart >= 0) == (given >= 0)).all()
    used = apart[apart >= 0]
    assert np.unique(used).size == used.size
    for i in cases:
        mine = apart[i][apart[i] >= 0]
        assert all(admissible(arrays, i, j) and np.sqrt(((z[i] - z[j]) ** 2).sum()) <= caliper for j in mine)
        assert np.unique(rules.person[mine]).size == mine.size


def test_loop_says_the_same_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilation changes nothing."""
    rng = np.random.default_rng(4)
    treated = np.arange(60) < 15
    score = np.round(rng.normal(size=60), 1) + 2 * treated
    rules = Pairing(person=rng.integers(0, 30, 60))
    cases, given = np.flatnonzero(treated), np.flatnonzero(~treated)[rng.permutation(45)[:30]].reshape(15, 2)
    arguments = in_steps(score[:, None], None, rules), treated, cases, given
    compiled = kept_apart(*arguments)
    monkeypatch.setattr(optimal_exchange, "_kernel", lambda: optimal_exchange._exchange)
    plain = kept_apart(*arguments)
    assert (compiled is None) == (plain is None)
    assert compiled is None or (compiled == plain).all()
