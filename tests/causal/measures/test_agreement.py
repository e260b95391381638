"""Agreement against published formulas worked by hand, definitions, statsmodels and known truths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.errors import EstimationError
from causal.measures.agreement import generalisability, intraclass, retest_correlation, rwg_j

RATINGS = [5, 6, 5, 6, 3, 4, 4, 3, 7, 6, 7, 8]
GROUPS = np.repeat([0, 1, 2], 4)


def test_intraclass_by_hand() -> None:
    """Groups (5,6,5,6), (3,4,4,3), (7,6,7,8): MSB 37/3, MSW 4/9, so ICC(1) .86992 and ICC(2) .96396."""
    found = intraclass(RATINGS, GROUPS)
    assert (found.between, found.within) == (pytest.approx(37 / 3), pytest.approx(4 / 9))
    assert (round(found.icc1, 5), round(found.icc2, 5)) == (0.86992, 0.96396)
    assert (found.size, found.groups, found.members) == (4, 3, 12)


def test_intraclass_of_unequal_groups_by_hand() -> None:
    """Groups (1,3), (4,6,8): MSB 19.2, MSW 10/3, k = 5 - 13/5 = 2.4."""
    found = intraclass([1, 3, 4, 6, 8], [0, 0, 1, 1, 1])
    assert (found.between, found.within) == (pytest.approx(19.2), pytest.approx(10 / 3))
    assert found.size == pytest.approx(2.4)
    assert found.icc1 == pytest.approx((19.2 - 10 / 3) / (19.2 + 1.4 * 10 / 3))
    assert found.icc2 == pytest.approx(1 - 10 / 3 / 19.2)


def test_mean_squares_are_those_of_a_one_way_analysis_of_variance() -> None:
    """F of `scipy.stats.f_oneway` on unequal groups."""
    from scipy.stats import f_oneway

    rng = np.random.default_rng(4)
    groups = rng.integers(0, 9, 80)
    values = rng.standard_normal(80) + 0.5 * groups
    found = intraclass(values, groups)
    expected = f_oneway(*(values[groups == g] for g in range(9))).statistic
    assert found.between / found.within == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_intraclass_does_not_depend_on_units_names_or_order(seed: int, shift: float, scale: float) -> None:
    """Y -> a + b y, groups by other names, rows shuffled."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.r_[rng.integers(0, 5, 20), 0, 0, 1])
    values = rng.standard_normal(23) + groups
    order = rng.permutation(23)
    names = np.array(["e", "d", "c", "b", "a"])
    ours, theirs = intraclass(values, groups), intraclass((shift + scale * values)[order], names[groups][order])
    for field in ("icc1", "icc2", "icc1_lower", "icc2_upper", "size"):
        assert getattr(theirs, field) == pytest.approx(getattr(ours, field), rel=1e-8, abs=1e-9)


def test_the_mean_of_a_group_is_as_reliable_as_spearman_and_brown_say() -> None:
    """Equal groups: ICC(2) is ICC(1) stepped up k times (Bliese 2000)."""
    from causal.measures.reliability import spearman_brown

    found = intraclass(RATINGS, GROUPS)
    assert found.icc2 == pytest.approx(spearman_brown(found.icc1, 4), rel=1e-12)


def test_intervals_of_intraclass_correlations_cover_as_often_as_they_say() -> None:
    """600 samples of 30 groups of 4 with ICC(1) .3, ICC(2) .632: within 2.6 Monte Carlo errors of .95 (.0089)."""
    covered = np.zeros(2)
    groups = np.repeat(np.arange(30), 4)
    truth = 4 * 0.3 / (1 + 3 * 0.3)
    for seed in range(600):
        rng = np.random.default_rng(seed)
        found = intraclass(
            np.sqrt(0.3) * rng.standard_normal(30)[groups] + np.sqrt(0.7) * rng.standard_normal(120), groups
        )
        covered += (
            found.icc1_lower <= 0.3 <= found.icc1_upper,
            found.icc2_lower <= truth <= found.icc2_upper,
        )
    assert (np.abs(covered / 600 - 0.95) < 2.6 * 0.0089).all()


@pytest.mark.parametrize(
    ("values", "groups", "code"),
    [
        ([1, 2], [0, 0], "estimation.one_group"),
        ([1, 2], [0, 1], "estimation.single_member_groups"),
        ([1, 1, 2, 2], [0, 0, 1, 1], "estimation.no_spread"),
        ([1, np.nan, 2, 2], [0, 0, 1, 1], "estimation.missing_values"),
    ],
)
def test_intraclass_is_refused(values: list[float], groups: list[int], code: str) -> None:
    """Nothing to compare, or nothing within groups."""
    with pytest.raises(EstimationError) as refusal:
        intraclass(values, groups)
    assert refusal.value.code == code


def test_rwg_j_by_hand() -> None:
    """Four raters of three items on five points, (4,4,5), (4,5,5), (3,4,4), (4,4,4): .94898."""
    names, found = rwg_j([[4, 4, 5], [4, 5, 5], [3, 4, 4], [4, 4, 4]], ["g"] * 4, categories=5)
    assert names.tolist() == ["g"]
    # Item variances 2/3, 1/4... by numpy, then the formula of James, Demaree & Wolf (1984).
    s2 = np.var([[4, 4, 5], [4, 5, 5], [3, 4, 4], [4, 4, 4]], axis=0, ddof=1).mean() / 2
    assert found[0] == pytest.approx(3 * (1 - s2) / (3 * (1 - s2) + s2), rel=1e-12)
    assert round(found[0], 5) == 0.94898


def test_rwg_j_is_0_where_raters_differ_more_than_by_chance() -> None:
    """Ratings at both ends have variance 5.33 against 2 for chance; full agreement is 1; groups do not mix."""
    items = [[1, 1], [5, 5], [1, 1], [5, 5], [3, 4], [3, 4]]
    names, found = rwg_j(items, [2, 2, 2, 2, 1, 1], categories=5)
    assert (names.tolist(), found.tolist()) == ([1, 2], [1.0, 0.0])


def test_a_skewed_null_asks_for_more_agreement() -> None:
    """With 1.34 for 2 (slightly skewed, five options) the same ratings agree less."""
    items = [[4, 4, 5], [4, 5, 5], [3, 4, 4], [4, 4, 4]]
    uniform, skewed = (rwg_j(items, [0] * 4, categories=5, expected_variance=null)[1][0] for null in (None, 1.34))
    assert skewed < uniform
    assert skewed == pytest.approx(
        3 * (1 - 0.2777778 / 1.34) / (3 * (1 - 0.2777778 / 1.34) + 0.2777778 / 1.34), rel=1e-6
    )


def test_rwg_j_is_refused() -> None:
    """A group of one rater, a missing rating, one response option."""
    with pytest.raises(EstimationError) as refusal:
        rwg_j([[1], [2], [3]], [0, 0, 1], categories=5)
    assert refusal.value.code == "estimation.single_member_groups"
    with pytest.raises(EstimationError) as refusal:
        rwg_j([[1], [np.nan]], [0, 0], categories=5)
    assert refusal.value.code == "estimation.missing_values"
    with pytest.raises(ValueError, match="at least two categories"):
        rwg_j([[1], [2]], [0, 0], categories=1)


def test_retest_is_the_correlation_of_complete_pairs() -> None:
    """As `numpy.corrcoef`; a pair with a gap is left out; swapped occasions give the same."""
    rng = np.random.default_rng(1)
    first = rng.standard_normal(30)
    second = first + rng.standard_normal(30)
    found = retest_correlation(np.r_[first, 1.0], np.r_[second, np.nan])
    assert found.value == pytest.approx(np.corrcoef(first, second)[0, 1], rel=1e-12)
    assert found.n == 30
    assert retest_correlation(second, 10 - 3 * -first) == retest_correlation(second, 10 + 3 * first)


def test_the_interval_of_a_retest_correlation_is_fishers_with_t() -> None:
    """Near scipy's (normal) interval with many pairs, wider with few."""
    from scipy.stats import pearsonr, t

    rng = np.random.default_rng(2)
    for n, tolerance in ((2000, 1e-4), (8, None)):
        first = rng.standard_normal(n)
        second = first + rng.standard_normal(n)
        ours, theirs = retest_correlation(first, second), pearsonr(first, second).confidence_interval()
        half = t.ppf(0.975, n - 2) / np.sqrt(n - 3)
        assert ours.lower == pytest.approx(np.tanh(np.arctanh(ours.value) - half), rel=1e-12)
        if tolerance:
            np.testing.assert_allclose([ours.lower, ours.upper], theirs, atol=tolerance)
        else:
            assert ours.lower < theirs.low < theirs.high < ours.upper


def test_the_interval_of_a_retest_correlation_covers_as_often_as_it_says() -> None:
    """2,000 samples of 15 normal pairs with correlation .7: at least .95 less 2.6 Monte Carlo errors (.0049)."""
    covered = 0
    for seed in range(2000):
        first, noise = np.random.default_rng(seed).standard_normal((2, 15))
        found = retest_correlation(first, 0.7 * first + np.sqrt(0.51) * noise)
        covered += found.lower <= 0.7 <= found.upper
    assert 0.95 - 2.6 * 0.0049 < covered / 2000 < 0.98


def test_a_perfect_correlation_has_a_perfect_interval() -> None:
    """The same scores twice: 1, and no NaN."""
    found = retest_correlation([1, 2, 3, 5], [1, 2, 3, 5])
    assert (found.value, found.lower, found.upper) == (1, 1, 1)


@pytest.mark.parametrize(
    ("second", "code"),
    [([1, 2, 3, np.nan], "estimation.too_few_pairs"), ([2, 2, 2, 2], "estimation.no_spread")],
)
def test_retest_is_refused(second: list[float], code: str) -> None:
    """Three pairs, or one score for everybody."""
    with pytest.raises(EstimationError) as refusal:
        retest_correlation([1, 2, 3, 4], second)
    assert refusal.value.code == code


def test_variance_components_by_the_table_of_squares() -> None:
    """Persons x sessions by hand: MSp 25/6, MSs 2, MSr 1/3, so 23/12, 5/12, 1/3."""
    found = generalisability([[3, 4], [1, 2], [5, 5], [2, 4]])
    assert (found.person, found.session, found.residual) == (
        pytest.approx(23 / 12),
        pytest.approx(5 / 12),
        pytest.approx(1 / 3),
    )
    assert found.absolute(1) == pytest.approx((23 / 12) / (23 / 12 + 5 / 12 + 1 / 3))


def test_more_sessions_generalise_as_spearman_and_brown_say() -> None:
    """The mean of m sessions has the relative coefficient of one session stepped up m times; .77 becomes .87."""
    from causal.measures.reliability import spearman_brown

    found = generalisability(np.random.default_rng(3).standard_normal((40, 3)) + np.arange(40)[:, None] / 10)
    for sessions in (1, 2, 4):
        assert found.relative(sessions) == pytest.approx(spearman_brown(found.relative(1), sessions), rel=1e-12)
    assert spearman_brown(0.77, 2) > 0.80


def test_relative_generalisability_is_alpha_of_the_sessions() -> None:
    """Of the mean of the sessions observed: Hoyt (1941)."""
    from causal.measures.reliability import cronbach_alpha

    scores = np.random.default_rng(5).standard_normal((30, 4)) + np.random.default_rng(6).standard_normal((30, 1))
    assert generalisability(scores).relative(4) == pytest.approx(cronbach_alpha(scores).value, rel=1e-12)


def test_variance_components_recover_the_truth() -> None:
    """2,000 persons in 12 sessions, variances 1, .25 and .5: person within .1, residual within .02."""
    rng = np.random.default_rng(7)
    scores = (
        rng.standard_normal((2000, 1)) + 0.5 * rng.standard_normal(12) + np.sqrt(0.5) * rng.standard_normal((2000, 12))
    )
    found = generalisability(scores)
    assert found.person == pytest.approx(1, abs=3 * np.sqrt(2 / 2000))
    assert found.residual == pytest.approx(0.5, abs=3 * 0.5 * np.sqrt(2 / (1999 * 11)))


@pytest.mark.parametrize(
    ("scores", "code"),
    [
        ([[1], [2]], "estimation.too_few_sessions"),
        ([[1, 2], [2, 1]], "estimation.no_person_variance"),
        ([[1, np.nan], [2, 1]], "estimation.missing_values"),
    ],
)
def test_generalisability_is_refused(scores: list[list[float]], code: str) -> None:
    """One session, no difference between persons, a gap."""
    with pytest.raises(EstimationError) as refusal:
        generalisability(scores)
    assert refusal.value.code == code
