"""Reliable change against numbers worked from Jacobson & Truax (1991)."""

from __future__ import annotations

import numpy as np
import pytest

from causal.measures.reliable_change import ReliableChange, change_shares, reliable_change

NAN = np.nan


def change(before: list[float], after: list[float], sd: float = 9.0, reliability: float = 0.92) -> ReliableChange:
    """Reliable change against a made-up reference sample."""
    return reliable_change(before, after, sd=sd, reliability=reliability, basis="test_retest", reference="made up")


@pytest.mark.parametrize(
    ("sd", "reliability", "sem", "sdiff", "threshold"),
    [
        # Worked from the formulas of Jacobson & Truax (1991): SEM = SD sqrt(1 - r), Sdiff = sqrt(2) SEM, 1.96 Sdiff.
        (0.75, 0.92, 0.2121, 0.3000, 0.588),
        (0.75, 0.75, 0.3750, 0.5303, 1.039),
        (9.0, 0.92, 2.5456, 3.6000, 7.056),
        (5.5, 0.89, None, None, 5.056),
        (4.9, 0.84, None, None, 5.433),
    ],
)
def test_reliable_change_thresholds(
    sd: float, reliability: float, sem: float | None, sdiff: float | None, threshold: float
) -> None:
    """SEM, Sdiff and the smallest reliable change, to the printed digits."""
    found = change([0.0], [1.0], sd=sd, reliability=reliability)
    assert round(found.threshold, 3) == threshold
    if sem is not None:
        assert (round(found.sem, 4), round(found.sdiff, 4)) == (sem, sdiff)


def test_reliable_change_of_people() -> None:
    """Both directions count; a missing score is no reliable change; 7 points are below the threshold of 7.056."""
    found = change([10, 10, 10, NAN], [18, 2, 17, 30])
    assert found.reliable.tolist() == [True, True, False, False]
    assert np.isnan(found.index).tolist() == [False, False, False, True]
    assert found.index[0] == pytest.approx(8 / 3.6)
    assert (found.basis, found.reference) == ("test_retest", "made up")


def test_a_change_in_other_units_is_the_same_change() -> None:
    """Y -> a + b y, with the standard deviation in the same units."""
    before, after = np.array([10.0, 12, 20]), np.array([18.0, 13, 11])
    points = change(before.tolist(), after.tolist())
    percent = change((5 + 2 * before).tolist(), (5 + 2 * after).tolist(), sd=18.0)
    np.testing.assert_allclose(percent.index, points.index, rtol=1e-14)


def test_shares_in_both_arms() -> None:
    """Weighted, by direction, of those with both scores and a weight; each arm of its own."""
    found = change([10, 10, 10, 10, 10, 10], [2, 10, NAN, 20, 1, 10])
    treated, comparison = change_shares(found, [True, True, True, False, False, False], [1, 1, 1, 0.5, 1.5, 2])
    assert (treated.fell, treated.rose, treated.measured) == (0.5, 0, 2)
    assert (comparison.fell, comparison.rose, comparison.measured) == (1.5 / 4, 0.5 / 4, 3)
    swapped = change_shares(found, [False, False, False, True, True, True], [1, 1, 1, 0.5, 1.5, 2])
    assert swapped == (comparison, treated)


def test_an_arm_without_scores_has_no_shares() -> None:
    """Nobody measured twice is not a share of 0."""
    with pytest.raises(ValueError, match="an arm has nobody with both scores"):
        change_shares(change([10, 10], [NAN, 10]), [True, False], [1, 1])


@pytest.mark.parametrize(("sd", "reliability"), [(0.0, 0.9), (-1.0, 0.9), (1.0, 1.0), (1.0, -0.1), (NAN, 0.9)])
def test_reliable_change_needs_a_spread_and_a_reliability(sd: float, reliability: float) -> None:
    """No change is reliable against no spread."""
    with pytest.raises(ValueError, match="expected sd > 0"):
        change([1.0], [2.0], sd=sd, reliability=reliability)


def test_reliable_change_needs_a_reference_sample() -> None:
    """Whose standard deviation it is must be said."""
    with pytest.raises(ValueError, match="expected the reference sample"):
        reliable_change([1.0], [2.0], sd=1.0, reliability=0.5, basis="alpha", reference=" ")
