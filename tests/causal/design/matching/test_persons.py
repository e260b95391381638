"""Person-periods: nobody is matched to themselves, and nobody is a comparison in more sets than is allowed."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design import match
from causal.design.matching.optimal import match_optimal
from causal.design.matching.pairing import Pairing
from causal.errors import DesignError

METHODS: list[dict[str, Any]] = [
    {"method": "nearest", "distance": "mahalanobis"},
    {"method": "nearest", "distance": "mahalanobis", "ratio": 2},
    {"method": "nearest", "distance": "mahalanobis", "m_order": "closest"},
    {"method": "nearest"},
    {"method": "nearest", "ratio": 2, "prefer": {"site": 0.3}},
    {"method": "nearest", "m_order": "closest", "caliper": 1.0},
    {"method": "nearest", "m_order": "random", "seed": 3, "exact": ["site"]},
    {"method": "nearest", "replace": True, "reuse_max": 1},
    {"method": "optimal"},
    {"method": "optimal", "ratio": 2, "distance": "robust_mahalanobis"},
    {"method": "cardinality", "tols": 0.2},
]


def periods(seed: int = 2, people: int = 60) -> pd.DataFrame:
    """One to four periods of each person; some are treated in their last one."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), rng.integers(1, 5, people))
    last = np.r_[person[1:] != person[:-1], True]
    level = rng.normal(size=people)[person] + 0.3 * rng.normal(size=person.size)
    treated = last & (rng.random(person.size) < 1 / (1 + np.exp(1 - 0.5 * level)))
    return pd.DataFrame(
        {
            "treat": treated.astype(int),
            "level": level,
            "site": rng.choice(["a", "b"], person.size),
            "who": [f"p{k}" for k in person],
        },
        index=[f"u{k:03d}" for k in range(person.size)],
    )


def test_by_hand() -> None:
    """Persons P and Q have two periods each: each serves once, and the second treated one goes on to the next best."""
    table = pd.DataFrame(
        {
            "treat": [1, 1, 1, 0, 0, 0, 0, 0],
            "level": [5.0, 4.0, 3.0, 5.0, 4.1, 3.5, 3.0, 9.0],
            "who": ["A", "B", "C", "P", "P", "Q", "Q", "B"],
        },
        index=list("abcpqrst"),
    )
    words: dict[str, Any] = {"distance": "mahalanobis", "m_order": "data"}
    mates = dict(zip("abc", "prt", strict=True))  # b cannot have q (P serves a) nor t (herself): Q at 3.5; c has only B
    found = match(table, "treat", ["level"], person="who", **words)
    pairs = found.sets.pivot_table(index="subclass", columns="treated", values="unit", aggfunc="first")
    assert dict(zip(pairs[True], pairs[False], strict=True)) == mates
    freely = match(table, "treat", ["level"], **words)
    assert freely.sets.loc[~freely.sets["treated"], "unit"].map(table["who"]).duplicated().any()


@pytest.mark.parametrize("words", METHODS, ids=lambda w: "-".join(map(str, w.values())))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nobody_serves_twice_or_meets_themselves(words: dict[str, Any], seed: int) -> None:
    """Whatever the method, its order and its rules; without persons the same tables break it."""
    table = periods(seed)
    try:
        found = match(table, "treat", ["level", "site"], person="who", **words)
    except DesignError as refusal:
        if refusal.code not in ("design.balance_infeasible", "design.nothing_matched", "design.separation"):
            raise
        return
    members = found.sets.assign(who=found.sets["unit"].map(table["who"]))
    assert not members.loc[~members["treated"], "who"].duplicated().any()
    assert not members.duplicated(["subclass", "who"]).any()


@pytest.mark.parametrize("words", METHODS, ids=lambda w: "-".join(map(str, w.values())))
def test_persons_of_one_row_each_change_nothing(words: dict[str, Any]) -> None:
    """Where everybody has one row the rule says nothing new, and names of persons do not matter."""
    table = periods().assign(who=lambda t: t.index)
    plain = match(table, "treat", ["level", "site"], **words)
    named = match(table, "treat", ["level", "site"], person="who", **words)
    pd.testing.assert_series_equal(plain.weights, named.weights, check_exact=True)
    again = match(periods().assign(who=lambda t: t["who"].str[::-1]), "treat", ["level", "site"], person="who", **words)
    other = match(periods(), "treat", ["level", "site"], person="who", **words)
    pd.testing.assert_series_equal(other.weights, again.weights, check_exact=True)


def test_reuse_is_counted_by_person() -> None:
    """With at most two uses a person serves twice, in the same period or in two."""
    table = periods()
    found = match(table, "treat", ["level"], person="who", replace=True, reuse_max=2)
    used = found.sets.loc[~found.sets["treated"], "unit"].map(table["who"]).value_counts()
    assert used.max() == 2


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ratio", [1, 2])
def test_optimal_with_persons_is_the_best_of_all(seed: int, ratio: int) -> None:
    """Against every assignment of people to slots, each by their best admissible row."""
    rng = np.random.default_rng(seed)
    case = np.arange(11) < 3
    who = np.r_[[0, 1, 2], rng.integers(1, 6, 8)]
    score = rng.normal(size=11)
    sets = match_optimal(score, case, ratio=ratio, pairing=Pairing(person=who, once=who))
    cost = np.full((3, 6), np.inf)
    for i, j in product(range(3), range(3, 11)):
        if who[i] != who[j]:
            cost[i, who[j]] = min(cost[i, who[j]], abs(score[i] - score[j]))
    slots = np.repeat(np.arange(3), ratio)
    best = (-1, -1, 0.0)
    allowed = [[-1, *np.flatnonzero(np.isfinite(cost[i]))] for i in slots]
    for given_to in product(*allowed):
        pairs = [(i, p) for i, p in zip(slots, given_to, strict=True) if p >= 0]
        if len({p for _, p in pairs}) == len(pairs):
            total = sum(cost[pair] for pair in pairs)
            best = max(best, (len(pairs), len({i for i, _ in pairs}), -total))
    found = ~sets.is_treated
    assert (int(found.sum()), sets.n_sets) == best[:2]
    assert sets.distance[found].sum() == pytest.approx(-best[2])


@pytest.mark.parametrize("method", ["full", "quick", "fine", "cem", "subclass"])
def test_methods_that_cannot_keep_people_apart_say_so(method: str) -> None:
    """The word is refused by name where it would do nothing."""
    words: dict[str, Any] = {"fine": ["site"]} if method == "fine" else {}
    with pytest.raises(DesignError, match=r"design\.argument.*does not use person"):
        match(periods(), "treat", ["level", "site"], method=method, person="who", **words)
