"""The omnibus test and the largest difference against lotteries within sets."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.diagnostics import balance_test as module
from causal.design.diagnostics.balance import balance_table, fixed_sd
from causal.design.diagnostics.balance_test import balance_test
from causal.design.matching.sets import set_weights
from causal.errors import DesignError


def sets(seed: int, sizes: list[tuple[int, int]], p: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, arms and set numbers of sets of given (treated, comparisons), treated first."""
    set_id = np.repeat(np.arange(len(sizes)), [one + zero for one, zero in sizes])
    treated = np.concatenate([np.arange(one + zero) < one for one, zero in sizes])
    rng = np.random.default_rng(seed)
    return rng.normal(size=(treated.size, p)) + set_id[:, None], treated, set_id


def every_lottery(treated: np.ndarray, set_id: np.ndarray) -> list[np.ndarray]:
    """All arms that keep each set's numbers."""
    choices = []
    for s in np.unique(set_id):
        rows = np.flatnonzero(set_id == s)
        choices.append(list(combinations(rows, int(treated[rows].sum()))))
    return [np.isin(np.arange(treated.size), np.concatenate(drawn)) for drawn in product(*choices)]


def statistics(x: np.ndarray, treated: np.ndarray, set_id: np.ndarray) -> np.ndarray:
    """Sum over the treated of covariates about their set's mean (p,), by hand."""
    y = x - np.array([x[set_id == s].mean(axis=0) for s in set_id])
    return y[treated].sum(axis=0)


SMALL = [(1, 2), (1, 3), (2, 2), (2, 1)]


def test_exact_over_every_lottery() -> None:
    """d2 is T' Cov(T)^-1 T with the covariance over all 3 x 4 x 6 x 3 lotteries, and both p values are their shares."""
    x, treated, set_id = sets(1, SMALL)
    lotteries = every_lottery(treated, set_id)
    assert len(lotteries) == 216
    sums = np.array([statistics(x, arm, set_id) for arm in lotteries])
    inverse = np.linalg.inv(sums.T @ sums / 216)
    d2 = np.einsum("ij,jk,ik->i", sums, inverse, sums)
    sd = np.array([1.0, 2.0])

    def largest(arm: np.ndarray) -> float:
        w = set_weights(set_id, arm)
        return float(
            max(
                abs(np.average(x[arm, j], weights=w[arm]) - np.average(x[~arm, j], weights=w[~arm])) / sd[j]
                for j in (0, 1)
            )
        )

    by_lottery = np.array([largest(arm) for arm in lotteries])
    own = next(i for i, arm in enumerate(lotteries) if (arm == treated).all())
    found = balance_test(x, treated, set_id, np.arange(14), sd=sd, rng=np.random.default_rng(2), draws=20_000)
    assert (found.df, found.n_sets) == (2, 4)
    assert found.d2 == pytest.approx(d2[own])
    assert found.max_smd == pytest.approx(by_lottery[own])
    assert found.p_d2 == pytest.approx((d2 >= d2[own] - 1e-9).mean(), abs=0.012)  # 3.5 Monte Carlo errors at most
    assert found.p_max_smd == pytest.approx((by_lottery >= by_lottery[own] - 1e-9).mean(), abs=0.012)
    below, above = (np.quantile(by_lottery, q, method="higher") for q in (0.94, 0.96))
    assert below <= found.max_smd_by_chance <= above


def test_largest_difference_is_the_table_s() -> None:
    """The same number as in the balance table, for pairs, sets of many and strata, under each set estimand."""
    x, treated, set_id = sets(3, [(1, 1), (1, 4), (3, 2), (5, 9)], p=3)
    x[:, 2] = x[:, 2] > 1
    for estimand in ("ATT", "ATC", "ATE"):
        sd = fixed_sd(x, treated, estimand=estimand)
        weights = set_weights(set_id, treated, estimand=estimand)
        rows = balance_table(x, list("abc"), [1] * 3, treated, weights, estimand=estimand)
        found = balance_test(
            x, treated, set_id, np.arange(26), sd=sd, rng=np.random.default_rng(1), estimand=estimand, draws=19
        )
        assert found.max_smd == pytest.approx(max(abs(row.smd_after) for row in rows))


def test_chi_square_under_a_lottery() -> None:
    """With 200 sets and a true lottery d2 has the mean, variance and tail of chi-square on 5 (2,000 replicates)."""
    rng = np.random.default_rng(4)
    x, _, set_id = sets(5, [(1, 2)] * 200, p=5)
    d2, p = [], []
    for _ in range(2000):
        arm = np.zeros(600, dtype=bool)
        arm[3 * np.arange(200) + rng.integers(0, 3, 200)] = True
        found = balance_test(x, arm, set_id, np.arange(600), sd=np.ones(5), rng=rng, draws=19)
        d2.append(found.d2)
        p.append(found.p_chi2)
    assert np.mean(d2) == pytest.approx(5, abs=4 * np.sqrt(10 / 2000))
    assert np.var(d2) == pytest.approx(10, abs=1.5)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))


def test_p_values_are_uniform_under_a_lottery_of_few_sets() -> None:
    """Eight pairs: the lottery's p values reject a true lottery no more often than they say (1,000 replicates)."""
    rng = np.random.default_rng(6)
    x, _, set_id = sets(7, [(1, 1)] * 8, p=3)
    rejected = np.zeros(2)
    for _ in range(1000):
        arm = np.zeros(16, dtype=bool)
        arm[2 * np.arange(8) + rng.integers(0, 2, 8)] = True
        found = balance_test(x, arm, set_id, np.arange(16), sd=np.ones(3), rng=rng, draws=99)
        rejected += (found.p_d2 <= 0.1, found.p_max_smd <= 0.1)
    assert (rejected / 1000 <= 0.1 + 4 * np.sqrt(0.09 / 1000)).all()


def test_few_sets_leave_large_differences_by_chance() -> None:
    """With 15 pairs and ten covariates a lottery exceeds 0.1 nearly always; with 2,000 pairs almost never."""
    for pairs, bound in ((15, (0.4, 2.0)), (2000, (0.03, 0.13))):
        x, treated, set_id = sets(8, [(1, 1)] * pairs, p=10)
        found = balance_test(
            x - set_id[:, None], treated, set_id, np.arange(2 * pairs), sd=np.ones(10), rng=np.random.default_rng(9)
        )
        assert bound[0] < found.max_smd_by_chance < bound[1]


def test_a_planted_difference_is_found() -> None:
    """Treated half a standard deviation higher in 100 pairs: both tests see it."""
    x, treated, set_id = sets(10, [(1, 1)] * 100)
    x[treated, 1] += 0.7
    found = balance_test(x, treated, set_id, np.arange(200), sd=np.ones(2), rng=np.random.default_rng(11))
    assert max(found.p_chi2, found.p_d2, found.p_max_smd) < 0.005


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_d2_ignores_linear_changes_of_the_covariates(seed: int) -> None:
    """Units, origins, mixtures and redundant columns leave d2 and its degrees of freedom as they are."""
    x, treated, set_id = sets(seed, [(1, 2)] * 20, p=3)
    mixing = np.random.default_rng(seed).normal(size=(3, 3)) + 3 * np.eye(3)
    mixed = np.column_stack([x @ mixing + 100, x @ mixing @ np.ones(3), np.full(60, 7.3), set_id * 0.1])
    one, two = (
        balance_test(v, treated, set_id, np.arange(60), sd=np.ones(v.shape[1]), rng=np.random.default_rng(0), draws=19)
        for v in (x, mixed)
    )
    assert (two.df, one.df) == (3, 3)
    assert two.d2 == pytest.approx(one.d2, rel=1e-6)


def test_order_of_rows_does_not_matter() -> None:
    """Members in another order, sets under other numbers: the same statistics."""
    x, treated, set_id = sets(12, SMALL)
    order = np.random.default_rng(13).permutation(14)
    one = balance_test(x, treated, set_id, np.arange(14), sd=np.ones(2), rng=np.random.default_rng(1))
    two = balance_test(x[order], treated[order], 90 - set_id[order], order, sd=np.ones(2), rng=np.random.default_rng(1))
    assert (two.d2, two.max_smd) == pytest.approx((one.d2, one.max_smd))


def test_plain_python_draws_the_compiled_lottery() -> None:
    """Uncompiled, the same numbers draw the same rows; each row of a set is drawn equally often."""
    rows, size, one = np.eye(7), np.array([3, 4]), np.array([1, 2])
    rng, total = np.random.default_rng(14), np.zeros(7)
    places = [np.arange(7), np.arange(7)]
    for _ in range(3000):
        lots = rng.random(3)
        drawn = [
            work(rows, size, one, lots, place)
            for work, place in zip((module.sums_over_lots, module._compiled()), places, strict=True)
        ]
        assert (drawn[0] == drawn[1]).all()
        total += drawn[0]
    np.testing.assert_allclose(total / 3000, [1 / 3] * 3 + [1 / 2] * 4, atol=0.04)


def test_refusals() -> None:
    """Reuse, sets of one arm, missing values and too few lotteries are refused."""
    x, treated, set_id = sets(15, SMALL)
    unit, rng = np.arange(14), np.random.default_rng(0)
    cases = (
        (x, treated, np.r_[unit[:-1], 0], 99, "design.balance_test_reuse"),
        (x, treated | (set_id == 0), unit, 99, "design.one_armed_set"),
        (np.where(x > 1, np.nan, x), treated, unit, 99, "design.not_finite"),
        (x, treated, unit, 10, "design.draws"),
    )
    for values, arm, units, draws, code in cases:
        with pytest.raises(DesignError) as caught:
            balance_test(values, arm, set_id, units, sd=np.ones(2), rng=rng, draws=draws)
        assert caught.value.code == code
    with pytest.raises(ValueError, match="one row per member"):
        balance_test(x, treated, set_id, unit[:-1], sd=np.ones(2), rng=rng)
