"""Folds by key: alike in arms, clusters whole, and no function of the order of rows or of the names of clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.errors import DesignError
from causal.numeric.folds import arm_in_one_fold, drawn_folds, strata_of, tuning_folds
from causal.numeric.keys import keys_of_content, keys_of_groups, keys_of_names, rekeyed


def keys(n: int, seed: int = 0) -> np.ndarray:
    """Keys of rows named 0 to n - 1."""
    return keys_of_names(np.arange(n), seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 7), st.integers(20, 200))
def test_every_fold_gets_its_share_of_each_stratum(seed: int, folds: int, n: int) -> None:
    """Shares of a stratum, and of all rows, differ by one at most, in whatever order the rows come."""
    rng = np.random.default_rng(seed)
    strata, key = rng.integers(0, 3, n), keys(n, seed)
    fold = drawn_folds(key, folds, strata=strata)
    for part in (np.ones(n, dtype=bool), *(strata == s for s in range(3))):
        assert np.ptp(np.bincount(fold[part], minlength=folds)) <= 1
    order = rng.permutation(n)
    np.testing.assert_array_equal(drawn_folds(key[order], folds, strata=strata[order]), fold[order])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6), st.integers(6, 40))
def test_folds_keep_clusters_whole_and_balance_arms(seed: int, folds: int, clusters: int) -> None:
    """Every cluster in one fold, no fold empty, arms about even; order of rows and names of clusters do not matter."""
    rng = np.random.default_rng(seed)
    code = np.concatenate([np.arange(clusters), rng.integers(0, clusters, 200)])
    arm, key = (rng.random(code.size) < 0.4).astype(int), keys(code.size, seed)
    fold = drawn_folds(key, folds, strata=arm, clusters=code)
    assert all(np.unique(fold[code == c]).size == 1 for c in range(clusters))
    assert np.bincount(fold, minlength=folds).min() > 0
    for one in (0, 1):
        held = np.bincount(code[arm == one], minlength=clusters)
        assert np.ptp(np.bincount(fold[arm == one], minlength=folds)) <= 2 * held.max() + 2
    order, names = rng.permutation(code.size), rng.permutation(10 * clusters)
    moved = drawn_folds(key[order], folds, strata=arm[order], clusters=names[code[order]])
    np.testing.assert_array_equal(moved, fold[order])


def test_interleaved_pairs_are_not_parted_by_arm() -> None:
    """Treated and comparison rows in turn, two folds: half of each arm in each, not one arm in each."""
    arm = np.arange(100) % 2
    fold = drawn_folds(keys(100), 2, strata=arm)
    assert np.bincount(2 * fold + arm).tolist() == [25, 25, 25, 25]


def test_rows_that_are_clusters_of_one_are_rows() -> None:
    """Clusters of one row each give the folds of no clusters."""
    arm, key = np.arange(60) % 3 == 0, keys(60)
    codes = np.random.default_rng(1).permutation(60)
    plain = drawn_folds(key, 5, strata=strata_of(arm))
    np.testing.assert_array_equal(drawn_folds(key, 5, strata=strata_of(arm), clusters=codes), plain)


def test_treated_rows_of_few_clusters_are_spread() -> None:
    """Three of thirty clusters hold all treated rows: five folds keep them in three different ones."""
    code = np.repeat(np.arange(30), 10)
    arm = (np.isin(code, (3, 11, 20)) & (np.arange(300) % 10 < 2)).astype(int)
    for seed in range(20):
        fold = drawn_folds(keys(300, seed), 5, strata=arm, clusters=code)
        assert np.unique(fold[arm == 1]).size == 3


def test_another_seed_deals_anew() -> None:
    """Each number gives another lot: about a fifth of rows stay in place by chance, with clusters of one size too."""
    arm, key = np.arange(1000) % 2, keys(1000)
    one, other = (drawn_folds(rekeyed(key, seed), 5, strata=arm) for seed in (1, 2))
    assert 0.14 < (one == other).mean() < 0.26
    code = np.arange(1000) // 5
    one, other = (drawn_folds(rekeyed(key, seed), 5, strata=arm, clusters=code) for seed in (1, 2))
    assert (one == other).mean() < 0.5


def test_rare_outcomes_are_dealt_out() -> None:
    """Five events in an arm of 100 go one to each of five folds; frequent or graded outcomes make no stratum."""
    arm = np.arange(200) < 100
    event = np.zeros(200)
    event[:5] = event[100:140] = 1
    fold = drawn_folds(keys(200), 5, strata=strata_of(arm, event, folds=5))
    assert np.bincount(fold[:5], minlength=5).tolist() == [1, 1, 1, 1, 1]
    np.testing.assert_array_equal(strata_of(arm, (np.arange(200) % 2).astype(float), folds=5), arm)
    np.testing.assert_array_equal(strata_of(arm, np.arange(200.0), folds=5), arm)


def test_too_few_clusters() -> None:
    """Fewer clusters than folds are refused."""
    with pytest.raises(DesignError) as caught:
        drawn_folds(keys(10), 3, strata=np.zeros(10, dtype=np.int64), clusters=np.arange(10) % 2)
    assert caught.value.code == "design.too_few_clusters"


def test_tuning_uses_as_many_folds_as_there_are_clusters() -> None:
    """Five folds, or one for each of fewer clusters; one cluster alone, or one that holds an arm, is refused."""
    treated, key = np.arange(60) % 3 == 0, keys(60)
    assert tuning_folds(treated, key, None).max() == 4
    fold = tuning_folds(treated, key, np.arange(60) // 20)
    assert np.unique(fold * 3 + np.arange(60) // 20).size == 3
    assert fold.max() == 2
    for clusters, arm, code in (
        (np.zeros(60, dtype=np.int64), treated, "design.too_few_clusters"),
        (np.arange(60) // 20, np.arange(60) < 15, "design.too_few_events"),
    ):
        with pytest.raises(DesignError) as caught:
            tuning_folds(arm, key, clusters)
        assert caught.value.code == code
    assert arm_in_one_fold(np.arange(60) < 15, np.arange(60) // 20)


def test_keys_of_names() -> None:
    """Names count as text whatever they were read as, and no two of 10,000 share a key."""
    np.testing.assert_array_equal(keys_of_names([7, 8]), keys_of_names(["7", "8"]))
    assert np.unique(keys_of_names(np.arange(10_000))).size == 10_000


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_keys_of_content(seed: int) -> None:
    """Units, order of columns, and names of labels do not enter; every value does, and so does who bears a label."""
    rng = np.random.default_rng(seed)
    arm, x, code = rng.integers(0, 2, 50), rng.integers(0, 4, (50, 3)), rng.integers(0, 6, 50)
    found = keys_of_content([arm], x, labels=[code])
    order = rng.permutation(50)
    moved = keys_of_content([arm[order]], 1000 * x[order][:, [2, 0, 1]] + 5, labels=[rng.permutation(60)[code[order]]])
    np.testing.assert_array_equal(moved, found[order])
    rows = np.column_stack([arm, x, code])
    alike = (rows[:, None] == rows[None]).all(axis=2)
    np.testing.assert_array_equal(found[:, None] == found[None], alike)


def test_keys_of_groups() -> None:
    """The key of a group is that of its rows in any order, under any name."""
    key, code = keys(9), np.array([0, 1, 2, 0, 1, 2, 0, 0, 1])
    order, name = np.random.default_rng(2).permutation(9), np.array([2, 0, 1])
    np.testing.assert_array_equal(keys_of_groups(key[order], name[code[order]])[name], keys_of_groups(key, code))
