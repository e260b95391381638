"""Common support, preference score, and bins that show no small count."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.design.diagnostics.overlap import common_support, equipoise_share, overlap_bins, preference_score
from causal.errors import DesignError


@given(st.integers(0, 2**31), st.integers(1, 300), st.integers(1, 12), st.integers(1, 20))
def test_no_bin_shows_a_small_count(seed: int, n: int, max_bins: int, minimum: int) -> None:
    """Every count is 0 or large enough, bins tile the scale, and all are counted unless none can be shown."""
    rng = np.random.default_rng(seed)
    score, treated = rng.beta(1, 3, n), rng.random(n) < 0.3
    bins = overlap_bins(score, treated, max_bins=max_bins, minimum=minimum)
    counts = [count for b in bins for count in (b.n_treated, b.n_comparison)]
    assert all(count == 0 or count >= minimum for count in counts)
    if bins:
        assert sum(counts) == n
        assert (bins[0].lower, bins[-1].upper) == (0.0, 1.0)
        assert all(one.upper == other.lower for one, other in pairwise(bins))
        assert sum(b.share_comparison for b in bins) == pytest.approx(1.0 if (~treated).any() else 0.0)
    else:
        assert any(0 < arm.sum() < minimum for arm in (treated, ~treated))


def test_finest_merging_is_chosen() -> None:
    """Three bins of 6, 6 and 11 become two, not one: the small neighbours merge and the large one stays."""
    score = np.repeat([0.1, 0.5, 0.9], [6, 6, 11])
    bins = overlap_bins(score, np.zeros(23, dtype=bool), max_bins=3, minimum=11)
    assert [b.n_comparison for b in bins] == [12, 11]


def test_edges_are_never_observed_values() -> None:
    """On the logit scale the edges are between whole numbers, whatever the extremes."""
    bins = overlap_bins(np.array([-3.7, 2.2] * 11), np.array([True, False] * 11), scale="logit", max_bins=1)
    assert (bins[0].lower, bins[0].upper) == (-4.0, 3.0)


def test_weights_change_shares_and_drop_the_unweighted() -> None:
    """Counts are of weighted occasions only; shares are of the arm's weight."""
    score = np.array([0.1, 0.1, 0.9, 0.9, 0.1])
    bins = overlap_bins(
        score, np.array([True, False, False, True, False]), np.array([1, 3, 1, 1, 0.0]), max_bins=2, minimum=1
    )
    assert [(b.n_treated, b.n_comparison, b.share_comparison) for b in bins] == [(1, 1, 0.75), (1, 1, 0.25)]


def test_support_by_hand() -> None:
    """Per stratum: treated above the highest comparison and comparisons below the lowest treated are dropped."""
    logit = np.array([0.0, 1.0, 2.0, -1.0, 0.5, 0.0, -1.0])
    treated = np.array([True, False, True, False, True, True, False])
    exact = np.array([0, 0, 0, 0, 0, 1, 1])
    keep = common_support(logit, treated, exact)
    assert keep.tolist() == [True, True, False, False, True, False, False]


def test_support_drops_near_certain_treatment() -> None:
    """A treated occasion above ps_max goes even where a comparison is higher still; the comparison stays."""
    logit = np.array([3.5, 4.0, 0.0, 0.1])
    treated = np.array([True, False, True, False])
    assert common_support(logit, treated).tolist() == [False, True, True, True]
    assert common_support(logit, treated, ps_max=1.0).all()


def test_stratum_with_one_arm_is_dropped() -> None:
    """A clinic with only treated, or none, supports no comparison."""
    logit, treated = np.zeros(4), np.array([True, False, True, False])
    assert common_support(logit, treated, np.array([0, 0, 1, 2])).tolist() == [True, True, False, False]


def test_support_refuses_an_impossible_limit() -> None:
    """ps_max lies above 0 and at most at 1."""
    with pytest.raises(DesignError, match="ps_max"):
        common_support(np.zeros(2), np.array([True, False]), ps_max=0.0)


def test_preference_score_takes_out_rarity() -> None:
    """An occasion with the average odds of treatment has preference .5, however rare treatment is."""
    treated = np.arange(100) < 5
    score = preference_score(np.array([0.05] * 99 + [0.5]), treated)
    assert score[:99] == pytest.approx(0.5)
    assert score[99] == pytest.approx(0.95)


def test_preference_score_needs_both_arms() -> None:
    """Without treated occasions there is no marginal odds."""
    with pytest.raises(DesignError, match="empty_arm"):
        preference_score(np.array([0.5]), np.array([False]))


def test_equipoise_by_hand() -> None:
    """A quarter treated: preference .5 is a probability of .25; weights count, and both ends of .3 to .7 belong."""
    treated = np.array([True, False, False, False])
    ends = [0.3 * 0.25 / (0.3 * 0.25 + 0.7 * 0.75), 0.7 * 0.25 / (0.7 * 0.25 + 0.3 * 0.75)]
    probability = np.array([0.25, 0.9, ends[0] + 1e-9, ends[1] - 1e-9])
    assert equipoise_share(probability, treated) == pytest.approx((1.0, 2 / 3))
    assert equipoise_share(probability, treated, np.array([1.0, 2.0, 1.0, 1.0])) == pytest.approx((1.0, 0.5))
    assert equipoise_share(probability, treated, low=0.45) == pytest.approx((1.0, 0.0))


def test_equipoise_needs_weight_in_both_arms() -> None:
    """Nobody weighted, nobody in equipoise."""
    with pytest.raises(DesignError, match="empty_arm"):
        equipoise_share(np.array([0.5, 0.5]), np.array([True, False]), np.array([1.0, 0.0]))
