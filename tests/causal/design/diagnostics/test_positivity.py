"""Strata with one arm, and who is outside the support, in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.diagnostics.positivity import positivity_table, support_rules
from causal.errors import DesignError


@settings(max_examples=100)
@given(st.integers(0, 2**31), st.integers(1, 400), st.integers(1, 12), st.integers(1, 20))
def test_no_stratum_shows_a_small_count(seed: int, n: int, strata: int, minimum: int) -> None:
    """Every count is 0 or large enough and all are counted, so nothing follows by subtraction."""
    rng = np.random.default_rng(seed)
    codes, treated = (rng.random(n) ** 2 * strata).astype(int), rng.random(n) < 0.3
    rows = positivity_table(codes, [f"s{g}" for g in range(strata)], treated, minimum=minimum)
    counts = [count for row in rows for count in (row.n_treated, row.n_comparison)]
    assert all(count == 0 or count >= minimum for count in counts)
    if rows:
        assert sum(counts) == n
        assert sum(row.n_strata for row in rows) == np.unique(codes).size
    else:
        assert any(0 < arm.sum() < minimum for arm in (treated, ~treated))


def test_a_rule_that_decides_is_seen() -> None:
    """Always warned under the mandatory regime, never on an open ward: both are one-armed, the clinic is not."""
    codes = np.repeat([0, 1, 2], [40, 30, 60])
    treated = np.r_[np.ones(40, bool), np.zeros(30, bool), np.arange(60) < 20]
    rows = positivity_table(codes, ["mandatory", "open ward", "clinic"], treated)
    assert [(row.label, row.n_treated, row.n_comparison, row.one_armed) for row in rows] == [
        ("mandatory", 40, 0, True),
        ("open ward", 0, 30, True),
        ("clinic", 20, 40, False),
    ]


def test_a_small_stratum_takes_the_next_smallest_with_it() -> None:
    """Four warned in the small clinic: with the next clinic there are enough of them, with the empty code nothing."""
    codes = np.repeat([0, 1, 3], [60, 40, 10])
    treated = np.r_[np.arange(60) < 20, np.arange(40) < 12, np.arange(10) < 4]
    rows = positivity_table(codes, ["A", "B", "empty", "D"], treated)
    assert [(row.label, row.n_treated, row.n_comparison) for row in rows] == [
        ("A", 20, 40),
        ("2 strata together", 16, 34),
    ]


def test_the_rule_that_made_the_support_is_recovered() -> None:
    """Outside are those of high severity under a mandatory regime: the two conditions, with true counts."""
    rng = np.random.default_rng(1)
    x = np.column_stack([rng.integers(0, 11, 600), rng.random(600) < 0.4, rng.normal(size=600)]).astype(float)
    outside = (x[:, 0] > 7) & (x[:, 1] == 1)
    rules = support_rules(
        x,
        ["severity", "regime", "lag"],
        outside,
        labels=[("", ""), ("permissive regime", "mandatory regime"), ("", "")],
    )
    assert rules[0].sentence in {
        f"severity above 7 and mandatory regime: {outside.sum()} outside of {outside.sum()}",
        f"mandatory regime and severity above 7: {outside.sum()} outside of {outside.sum()}",
    }
    assert [rule.n_outside for rule in rules[1:]] == [0] * (len(rules) - 1)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31), st.integers(5, 300), st.integers(1, 3), st.integers(1, 15))
def test_rules_hold_everybody_and_no_small_count(seed: int, n: int, depth: int, minimum: int) -> None:
    """Groups part everybody; those outside and inside are none or enough in each; no rule is longer than asked."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n) * 40, rng.integers(0, 4, n), rng.random(n) < 0.5]).astype(float)
    outside = rng.random(n) < 1 / (1 + np.exp(1 - 0.05 * x[:, 0] - x[:, 2]))
    rules = support_rules(x, ["tenure", "threats", "police"], outside, depth=depth, minimum=minimum)
    for rule in rules:
        assert len(rule.conditions) <= depth
        assert all(count == 0 or count >= minimum for count in (rule.n_outside, rule.n - rule.n_outside))
    if rules:
        assert (sum(r.n for r in rules), sum(r.n_outside for r in rules)) == (n, outside.sum())
        shares = [rule.n_outside / rule.n for rule in rules]
        assert shares == sorted(shares, reverse=True)
    else:
        assert any(0 < side.sum() < minimum for side in (outside, ~outside))


def test_one_split_is_sklearn_s() -> None:
    """Of all thresholds on offer the one that an exhaustive tree of depth one would take by Gini impurity."""
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(2)
    x = rng.integers(0, 8, (500, 3)).astype(float)
    outside = rng.random(500) < 0.1 + 0.1 * x[:, 1]
    tree = DecisionTreeClassifier(max_depth=1, min_samples_leaf=11).fit(x, outside).tree_
    high, low = support_rules(x, ["a", "b", "c"], outside, depth=1)
    assert high.conditions == (f"{'abc'[tree.feature[0]]} above {np.floor(tree.threshold[0]):g}",)
    assert {high.n, low.n} == set(tree.n_node_samples[1:].tolist())


def test_thresholds_are_rounded_and_true_as_they_stand() -> None:
    """On a fine scale no observed value is a threshold, and counting by the sentence gives the sentence's count."""
    rng = np.random.default_rng(3)
    x = rng.gamma(2, 137.0, 400)
    (high, low) = support_rules(x[:, None], ["tenure"], x > np.quantile(x, 0.7), depth=1)
    threshold = float(high.conditions[0].removeprefix("tenure above "))
    assert threshold == round(threshold, -1)
    assert threshold not in x
    assert high.n == (x > threshold).sum()
    assert low.conditions == (f"tenure at most {threshold:g}",)


def test_a_narrower_condition_takes_the_place_of_a_wider_one() -> None:
    """Two splits on one covariate in the same direction are one condition."""
    x = np.repeat(np.arange(20.0), 20)
    outside = (x > 9) & ((x > 15) | (np.arange(400) % 2 == 0))
    rules = support_rules(x[:, None], ["severity"], outside)
    assert rules[0].conditions == ("severity above 15",)


def test_nobody_outside() -> None:
    """One group with everybody in it."""
    (everybody,) = support_rules(np.arange(30.0)[:, None], ["severity"], np.zeros(30, dtype=bool))
    assert everybody.sentence == "everybody: 0 outside of 30"


def test_refusals() -> None:
    """A rule of four conditions nobody can check; a missing value has no side."""
    x = np.arange(30.0)[:, None]
    with pytest.raises(DesignError, match="depth"):
        support_rules(x, ["a"], x[:, 0] > 9, depth=4)
    with pytest.raises(DesignError, match="not_finite"):
        support_rules(np.where(x > 3, np.nan, x), ["a"], x[:, 0] > 9)
