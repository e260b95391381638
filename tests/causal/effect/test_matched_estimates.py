"""Estimators in a matched sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from causal.effect.matched_estimates import (
    ancova,
    clustered_effect,
    contributing_clusters,
    paired_difference,
    weighted_ancova,
    weighted_means,
)
from causal.errors import EstimationError


def one_to_two(seed: int, sets: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw outcome, arm, two covariates, weights and set of matched sets with one or two comparisons each."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 3, sets)
    code = np.repeat(np.arange(sets), size + 1)
    treated = np.r_[True, code[1:] != code[:-1]]
    x = rng.normal(size=(code.size, 2)) + rng.normal(size=(sets, 2))[code]
    y = 3.5 - 0.3 * treated + x @ [0.4, -0.2] + rng.normal(size=sets)[code] * 0.3 + rng.normal(size=code.size) * 0.5
    return y, treated, x, np.where(treated, 1.0, 1 / size[code]), code


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_unadjusted_is_the_mean_of_set_differences(seed: int) -> None:
    """Without covariates the coefficient is the average over sets of treated minus mean of comparisons."""
    y, treated, _, w, code = one_to_two(seed)
    within = [y[(code == s) & treated][0] - y[(code == s) & ~treated].mean() for s in range(40)]
    effect = weighted_ancova(y, treated, None, w, code)
    assert effect.value == pytest.approx(np.mean(within), abs=1e-10)
    assert effect.value == pytest.approx(weighted_means(y, treated, weights=w).difference, abs=1e-10)
    assert (effect.n_treated, effect.n_comparison, effect.n_clusters) == (40, (~treated).sum(), 40)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_pairs_agree_with_the_paired_t_test(seed: int) -> None:
    """On pairs, regression with CR2 by pair, the paired difference and scipy's paired t test are one."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(15), 2)
    treated, y = np.tile([True, False], 15), rng.normal(size=30)
    shuffle = rng.permutation(30)
    y, treated, code = y[shuffle], treated[shuffle], code[shuffle]
    regression, pairs = weighted_ancova(y, treated, None, None, code), paired_difference(y, treated, sets=code)
    one, zero = (y[treated == arm][np.argsort(code[treated == arm])] for arm in (True, False))
    test = ttest_rel(one, zero)
    interval = test.confidence_interval(0.95)
    for effect in (regression, pairs):
        assert effect.p_value == pytest.approx(test.pvalue, rel=1e-7)
        assert (effect.lower, effect.upper) == pytest.approx((interval.low, interval.high), rel=1e-7)


def test_adjustment_is_the_partial_regression() -> None:
    """The adjusted effect is that of the residual of treatment on the covariates (Frisch-Waugh), by numpy."""
    y, treated, x, w, code = one_to_two(1)
    root = np.sqrt(w)
    others = np.column_stack([np.ones(y.size), x]) * root[:, None]
    residual = treated * root - others @ np.linalg.lstsq(others, treated * root, rcond=None)[0]
    effect = weighted_ancova(y, treated, x, w, code)
    assert effect.value == pytest.approx(residual @ (y * root) / (residual @ residual), rel=1e-10)


def test_where_covariates_are_centred_does_not_matter() -> None:
    """Shifting and rescaling covariates leaves effect and error; swapping arms flips the sign."""
    y, treated, x, w, code = one_to_two(2)
    effect = weighted_ancova(y, treated, x, w, code)
    moved = weighted_ancova(y, treated, x * [1e4, 1e-4] + [2000.0, -3.0], w, code)
    swapped = weighted_ancova(y, ~treated, x, w, code)
    assert (moved.value, moved.std_error, moved.df) == pytest.approx(
        (effect.value, effect.std_error, effect.df), rel=1e-7
    )
    assert (swapped.value, swapped.lower) == pytest.approx((-effect.value, -effect.upper), rel=1e-9)


def test_aliased_covariates_are_named() -> None:
    """A regime absent from the matched sample and a repeated covariate are dropped by name."""
    y, treated, x, w, code = one_to_two(3)
    wide = np.column_stack([x, np.zeros(y.size), x[:, 0] + 1])
    effect = weighted_ancova(y, treated, wide, w, code, names=["severity", "phq", "regime none", "severity again"])
    assert effect.aliased == ("regime none", "severity again")
    assert effect.value == pytest.approx(weighted_ancova(y, treated, x, w, code).value, rel=1e-9)
    assert weighted_ancova(y, treated, wide, w, code).aliased == ("covariate 3", "covariate 4")


def test_one_regression_serves_many_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second outcome is only projected: no further factor, no further roots, and the figures of a fresh start."""
    y, treated, x, w, code = one_to_two(5)
    outcomes = [y, np.round(y), y - 2 * treated, y]
    fresh = [weighted_ancova(one, treated, x, w, code, working="homoscedastic") for one in outcomes]
    regression = ancova(treated, x, w, code, working="homoscedastic")
    monkeypatch.delattr(np.linalg, "qr")
    monkeypatch.delattr(np.linalg, "eigh")
    assert [regression.effect(one) for one in outcomes] == fresh
    assert [regression.difference(one) for one in outcomes] == [effect.value for effect in fresh]


def test_level_sets_the_interval() -> None:
    """A 90% interval lies inside the 95% one, and the p-value is .05 at the 95% bound."""
    y, treated, x, w, code = one_to_two(4)
    wide, narrow = (weighted_ancova(y, treated, x, w, code, level=level) for level in (0.95, 0.90))
    assert wide.lower < narrow.lower < narrow.upper < wide.upper
    at_bound = weighted_ancova(y - wide.lower * treated, treated, x, w, code)
    assert at_bound.p_value == pytest.approx(0.05, rel=1e-7)


@pytest.mark.parametrize(
    ("treated", "sets", "code"),
    [
        ([True, False, True, False], [0, 0, 1, 2], "estimation.not_pairs"),
        ([True, False, False, True], [0, 0, 0, 1], "estimation.not_pairs"),
        ([True, True, False, False], [0, 0, 0, 0], "estimation.not_pairs"),
        ([True, False], [0, 0], "estimation.too_few_clusters"),
    ],
)
def test_only_whole_pairs_are_paired(treated: list[bool], sets: list[int], code: str) -> None:
    """Sets that are not one treated and one comparison, and a single pair, are refused."""
    with pytest.raises(EstimationError) as caught:
        paired_difference(np.arange(len(sets), dtype=float), np.array(treated), sets=np.array(sets))
    assert caught.value.code == code


def test_missing_outcomes_are_refused() -> None:
    """No estimator drops a missing outcome by itself; a row without weight may lack one."""
    y, treated, x, w, code = one_to_two(5)
    y[3] = np.nan
    for call in (
        lambda: weighted_ancova(y, treated, x, w, code),
        lambda: weighted_means(y, treated, weights=w),
        lambda: paired_difference(y, treated, sets=code),
    ):
        with pytest.raises(EstimationError, match="not_finite"):
            call()
    w[3] = 0.0
    x[3] = np.nan
    assert np.isfinite(weighted_ancova(y, treated, x, w, code).value)
    assert np.isfinite(weighted_means(y, treated, weights=w).difference)


def test_an_arm_without_weight_is_refused() -> None:
    """There is no difference from nobody."""
    y, treated, x, w, code = one_to_two(6)
    with pytest.raises(EstimationError, match="empty_arm"):
        weighted_ancova(y, treated, x, w * treated, code)


def test_pairs_that_all_differ_alike_have_no_interval() -> None:
    """Outcomes that vary, in pairs that differ by one number to the last digit, leave no variation to estimate from."""
    y = np.array([0.1, 0.3, 0.7, 1.9])
    with pytest.raises(EstimationError) as refusal:
        paired_difference(np.r_[y + 0.2, y], np.arange(8) < 4, sets=np.tile(np.arange(4), 2))
    assert refusal.value.code == "estimation.no_standard_error"


def test_own_slopes_are_two_regressions() -> None:
    """With slopes of their own the effect is the difference of two arms' regressions at the treated's covariates."""
    y, treated, x, w, code = one_to_two(8)
    at = np.r_[1.0, np.average(x[treated], axis=0, weights=w[treated])]
    fitted = []
    for arm in (treated, ~treated):
        root = np.sqrt(w[arm])
        design = np.column_stack([np.ones(arm.sum()), x[arm]])
        fitted.append(at @ np.linalg.lstsq(design * root[:, None], y[arm] * root)[0])
    effect = weighted_ancova(y, treated, x, w, code, own_slopes_at="treated")
    assert effect.value == pytest.approx(fitted[0] - fitted[1], rel=1e-10)
    swapped = weighted_ancova(y, ~treated, x, w, code, own_slopes_at="comparison")
    assert (swapped.value, swapped.std_error) == pytest.approx((-effect.value, effect.std_error), rel=1e-9)
    wide = weighted_ancova(y, treated, np.column_stack([x, x[:, 0] + 1]), w, code, own_slopes_at="treated")
    assert wide.aliased == ("covariate 3", "treated x covariate 3")


def test_clusters_contribute_with_weight() -> None:
    """Thirty clinicians are thirty; one whose rows have no weight does not count."""
    clinician = np.r_[np.arange(30), 29]
    assert contributing_clusters(clinician) == 30
    assert contributing_clusters(clinician, np.r_[0.0, np.ones(30)]) == 29


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_few_clusters_give_the_wider_interval(drift: float) -> None:
    """Below the minimum the main interval is the wider of the two, whichever that is; from it on the clusters'."""
    y, treated, x, w, code = one_to_two(9)
    clinician = np.random.default_rng(9).integers(0, 12, code.size)
    y = y + drift * np.random.default_rng(10).normal(size=12)[clinician]
    found = clustered_effect(y, treated, x, w, sets=code, clusters=clinician)
    assert found.by_cluster is not None
    assert found.by_set is not None
    widths = {
        "cluster": found.by_cluster.upper - found.by_cluster.lower,
        "set": found.by_set.upper - found.by_set.lower,
    }
    assert found.primary == max(widths, key=lambda name: widths[name])
    assert found.effect.upper - found.effect.lower == max(widths.values())
    enough = clustered_effect(y, treated, x, w, sets=code, clusters=clinician, minimum_clusters=12)
    assert enough.effect is enough.by_cluster


def test_every_clustering_is_that_of_its_own_regression() -> None:
    """By clinician and by set as `weighted_ancova` finds them, one value in all, the primary one named by the rule."""
    y, treated, x, w, code = one_to_two(9)
    clinician = np.random.default_rng(9).integers(0, 12, code.size)
    found = clustered_effect(y, treated, x, w, sets=code, clusters=clinician, minimum_clusters=12)
    assert (found.primary, found.n_clusters, found.n_sets, found.refused) == ("cluster", 12, 40, ())
    assert found.effect is found.by_cluster
    for contrast, clusters in ((found.by_cluster, clinician), (found.by_set, code)):
        one = weighted_ancova(y, treated, x, w, clusters)
        assert contrast is not None
        assert (contrast.value, contrast.std_error, contrast.df, contrast.p_value) == pytest.approx(
            (one.value, one.std_error, one.df, one.p_value), rel=1e-12
        )
    assert found.by_both is not None
    assert found.by_both.df == pytest.approx(min(found.by_cluster.df, found.by_set.df))  # type: ignore[union-attr]


def test_an_arm_in_one_cluster_is_refused() -> None:
    """One clinician in all, or one for an arm alone: refused by its own code, whatever sets would give; one set too."""
    y, treated, x, w, code = one_to_two(10)
    for clinician in (np.zeros(code.size, dtype=np.int64), np.where(treated, 0, code + 1)):
        with pytest.raises(EstimationError, match=r"^\[estimation\.arm_in_one_cluster\]"):
            clustered_effect(y, treated, x, w, sets=code, clusters=clinician, minimum_clusters=2)
    with pytest.raises(EstimationError, match="too_few_clusters"):
        clustered_effect(y, treated, x, w, sets=np.zeros_like(code), clusters=code, minimum_clusters=1000)
