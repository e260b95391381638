"""Standardised mean differences and the balance table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.diagnostics.balance import Estimand, balance_table, fixed_sd, standardised_mean_difference
from causal.errors import DesignError

ESTIMANDS: tuple[Estimand, ...] = ("ATT", "ATC", "ATE", "ATO", "ATM")


def sample(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three covariates (one binary), an arm and small whole-number weights, both arms weighted."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 4, n), rng.random(n) < 0.4]).astype(float)
    weights = rng.integers(0, 4, n)
    weights[[0, 1]] = 1
    return x, np.arange(n) % 3 == 0, weights


def test_by_hand() -> None:
    """The means of 1, 3, 5 and, weighted, of 0, 2, 7 (1), over the SD each estimand names."""
    x, treated = np.array([1.0, 3.0, 5.0, 0.0, 2.0, 7.0]), np.arange(6) < 3
    weights = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 0.0])
    difference = 3.0 - 1.0
    joint = (1 + 9 + 25 + 2 * 0 + 2 * 4) / 7 - ((9 + 4) / 7) ** 2
    expected = {
        "ATT": 2.0,  # of 1, 3, 5
        "ATC": np.sqrt(13.0),  # of 0, 2, 7
        "ATE": np.sqrt((4 + 13) / 2),
        "ATO": np.sqrt(joint / (1 - 11 / 49)),  # weights 1, 1, 1, 2, 2 of 7
    }
    for estimand, sd in expected.items():
        found = standardised_mean_difference(x, treated, weights=weights, sd=None, estimand=estimand)
        assert found == pytest.approx(difference / sd)


def test_two_values_have_the_spread_of_a_share() -> None:
    """sqrt(p(1 - p)) for yes and no, however the two are written down."""
    treated = np.array([True, True, True, True, False, False])
    x = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    rows = balance_table(np.column_stack([x, 2 - x]), ["married", "single"], [1, 1], treated, np.ones(6))
    assert rows[0].smd_before == pytest.approx((1 / 4 - 1 / 2) / np.sqrt(1 / 4 * 3 / 4))
    assert rows[1].smd_before == pytest.approx(-rows[0].smd_before)
    assert rows[0].raw_difference_before == -0.25
    assert rows[1].raw_difference_before is None
    assert [(row.variance_ratio_before, row.ks_before, row.ecdf_mean_before) for row in rows] == [
        (None, 0.25, 0.25)
    ] * 2


def test_denominator_is_fixed_before_adjustment() -> None:
    """Dropping extreme treated occasions changes the numerator only; a denominator from the rest would not agree."""
    x, treated = np.array([0.0, 10.0, 1.0, 2.0, 0.0, 3.0]), np.array([True, True, True, False, False, False])
    kept = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    row = balance_table(x[:, None], ["tenure"], [1], treated, kept)[0]
    before = x[treated].std(ddof=1)
    assert row.smd_after == pytest.approx((0.5 - 2.0) / before)
    moved = standardised_mean_difference(x[kept > 0], treated[kept > 0], sd=None)
    assert row.smd_after != pytest.approx(moved)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.sampled_from(ESTIMANDS))
def test_the_table_is_the_function(seed: int, estimand: Estimand) -> None:
    """Every difference in the table is the one function at the fixed denominator."""
    x, treated, weights = sample(seed)
    sd = fixed_sd(x, treated, estimand=estimand, weights=weights)
    rows = balance_table(x, list("abc"), [1, 2, 3], treated, weights, estimand=estimand)
    for j, row in enumerate(rows):
        assert row.smd_before == standardised_mean_difference(x[:, j], treated, sd=sd[j])
        assert row.smd_after == standardised_mean_difference(x[:, j], treated, weights=weights, sd=sd[j])
        own = standardised_mean_difference(x[:, j], treated, weights=weights, sd=None, estimand=estimand)
        assert row.smd_after == own
        assert row.tier == j + 1


@settings(max_examples=50)
@given(st.integers(0, 2**31))
def test_whole_weights_are_repeated_rows(seed: int) -> None:
    """A weight of 2 counts as the row twice, for means, differences and gaps, with whole-number weights as given."""
    x, treated, weights = sample(seed)
    repeat = np.repeat(np.arange(60), weights)
    sd = fixed_sd(x, treated)
    weighted = balance_table(x, list("abc"), [1] * 3, treated, weights)
    repeated = balance_table(x[repeat], list("abc"), [1] * 3, treated[repeat], np.ones(repeat.size))
    for j in range(3):
        smd = standardised_mean_difference(x[repeat, j], treated[repeat], sd=sd[j])
        assert weighted[j].smd_after == pytest.approx(smd, abs=1e-12)
        assert weighted[j].ks_after == pytest.approx(repeated[j].ks_after, abs=1e-12)
        assert weighted[j].mean_comparison_after == pytest.approx(repeated[j].mean_comparison_after, abs=1e-12)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-50, 50))
def test_invariances(seed: int, scale: float, shift: float) -> None:
    """Units do not matter, swapped arms flip the sign, doubled rows change nothing, row order does not matter."""
    x, treated, weights = sample(seed)
    sd = float(fixed_sd(x, treated)[0])
    one = standardised_mean_difference(x[:, 0], treated, weights=weights, sd=sd)
    rescaled = standardised_mean_difference(x[:, 0] * scale + shift, treated, weights=weights, sd=sd * scale)
    assert rescaled == pytest.approx(one, abs=1e-9)
    assert standardised_mean_difference(x[:, 0], ~treated, weights=weights, sd=sd) == pytest.approx(-one)
    twice = np.r_[np.arange(60), np.arange(60)]
    doubled = standardised_mean_difference(x[twice, 0], treated[twice], weights=weights[twice], sd=sd)
    assert doubled == pytest.approx(one, abs=1e-12)
    assert standardised_mean_difference(x[::-1, 0], treated[::-1], weights=weights[::-1], sd=sd) == pytest.approx(one)


def test_gap_and_variance_ratio_by_hand() -> None:
    """The largest gap between {1, 2} and {2, 3, 4} is 2/3 and the variance ratio is .5."""
    x = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    row = balance_table(x[:, None], ["lag"], [1], np.array([True, True, False, False, False]), np.ones(5))[0]
    assert row.ks_before == pytest.approx(2 / 3)
    assert row.variance_ratio == pytest.approx(0.5)
    assert row.raw_difference_after is None


def test_gap_agrees_with_scipy() -> None:
    """Unweighted, the largest gap is the two-sample Kolmogorov-Smirnov statistic."""
    from scipy.stats import ks_2samp

    x, treated, _ = sample(11, 300)
    rows = balance_table(x, list("abc"), [1] * 3, treated, np.ones(300))
    for j, row in enumerate(rows):
        assert row.ks_before == pytest.approx(ks_2samp(x[treated, j], x[~treated, j]).statistic, abs=1e-12)


def test_binary_covariates_show_the_difference_in_shares() -> None:
    """A binary covariate reports the difference in shares and no variance ratio."""
    x, treated, weights = sample(12)
    row = balance_table(x, list("abc"), [1] * 3, treated, weights)[2]
    assert row.raw_difference_after == pytest.approx(row.mean_treated_after - row.mean_comparison_after)
    assert row.variance_ratio is None
    assert row.variance_ratio_before is None


def test_denominator_where_the_treated_do_not_vary() -> None:
    """All treated alike: the pooled SD stands in, the difference stays finite; a constant has difference 0."""
    x = np.column_stack([[1.0, 1.0, 0.0, 1.0], [5.0, 5.0, 5.0, 5.0]])
    treated = np.array([True, True, False, False])
    rows = balance_table(x, ["victim", "site"], [1, 1], treated, np.ones(4))
    assert rows[0].smd_before == pytest.approx(0.5 / np.sqrt(0.25 / 2))
    assert rows[1].smd_before == 0.0


def test_an_arm_all_alike_has_no_spread_at_all() -> None:
    """Rounding in a weighted mean of equal values is not taken for a spread: the difference stays of order 1."""
    x = np.r_[1.0, np.full(7, 0.1), 0.2, 0.3, 0.4]
    treated = np.r_[False, np.ones(7, dtype=bool), np.zeros(3, dtype=bool)]
    row = balance_table(x[:, None], ["dose"], [1], treated, np.linspace(0.1, 1.1, 11))[0]
    assert row.smd_before == pytest.approx((0.1 - 0.475) / np.sqrt(np.var([1.0, 0.2, 0.3, 0.4], ddof=1) / 2))
    assert row.variance_ratio == 0.0


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.sampled_from(ESTIMANDS))
def test_identical_arms_are_balanced(seed: int, estimand: Estimand) -> None:
    """The same rows and weights in both arms: no difference, no gap, variances alike."""
    x, _, weights = sample(seed)
    both = np.r_[x, x]
    rows = balance_table(both, list("abc"), [1] * 3, np.arange(120) < 60, np.r_[weights, weights], estimand=estimand)
    for row in rows:
        assert row.smd_after == pytest.approx(0.0, abs=1e-12)
        assert (row.ks_before, row.ks_after) == pytest.approx((0.0, 0.0), abs=1e-12)
        assert row.variance_ratio is None or row.variance_ratio == pytest.approx(1.0)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_the_table_ignores_units_and_row_order(seed: int, shift: float, scale: float) -> None:
    """Gaps, ratios and differences are the same on another scale and in another order, and lie within bounds."""
    x, treated, weights = sample(seed)
    order = np.random.default_rng(seed).permutation(60)
    one = balance_table(x, list("abc"), [1] * 3, treated, weights)
    two = balance_table((x * scale + shift)[order], list("abc"), [1] * 3, treated[order], weights[order])
    for a, b in zip(one, two, strict=True):
        assert 0 <= a.ecdf_mean_after <= a.ks_after <= 1
        assert b.smd_after == pytest.approx(a.smd_after, abs=1e-6)
        assert (b.ks_after, b.ecdf_mean_after) == pytest.approx((a.ks_after, a.ecdf_mean_after), abs=1e-9)
        assert b.variance_ratio == (None if a.variance_ratio is None else pytest.approx(a.variance_ratio, rel=1e-6))


@pytest.mark.parametrize(
    ("weights", "code"),
    [([1, 1, 0, 0], "design.empty_arm"), ([1, 1, -1, 2], "design.weights"), ([1, 1, np.nan, 2], "design.weights")],
)
def test_refusals(weights: list[float], code: str) -> None:
    """An arm without weight, and weights that are negative or missing, are refused."""
    with pytest.raises(DesignError) as caught:
        balance_table(np.ones((4, 1)), ["a"], [1], np.array([True, True, False, False]), np.array(weights, dtype=float))
    assert caught.value.code == code


def test_missing_values_are_refused_by_column() -> None:
    """A missing value is refused with its column's name and no value."""
    x = np.array([[1.0, 2.0], [0.0, np.nan], [3.0, 1.0]])
    with pytest.raises(DesignError, match="tenure has missing") as caught:
        balance_table(x, ["age", "tenure"], [1, 1], np.array([True, False, False]), np.ones(3))
    assert caught.value.code == "design.not_finite"
