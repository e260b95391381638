"""Errors from influence functions where an arm lies in few clusters."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.contrast import student
from causal.effect.doubly_robust.influence import clustered_error
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.uneven_clusters import corrected
from causal.errors import EstimationError


def weighted_influence(y: np.ndarray, arm: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray]:
    """Difference of weighted means and each row's influence on it."""
    means = [np.average(y[side], weights=w[side]) for side in (arm, ~arm)]
    one, zero = (w / w[side].sum() * (y - mean) for side, mean in zip((arm, ~arm), means, strict=True))
    return means[0] - means[1], y.size * np.where(arm, one, -zero)


def test_a_difference_of_weighted_means_gets_its_own_cr2() -> None:
    """Where nothing but the weights is involved the correction is CR2 with its degrees of freedom, exactly."""
    rng = np.random.default_rng(3)
    arm = np.arange(90) < 30
    clinician = np.r_[rng.integers(0, 3, 30), rng.integers(0, 12, 60)]
    w = rng.uniform(0.5, 2, 90)
    w /= np.where(arm, w[arm].sum(), w[~arm].sum())
    y = rng.normal(size=90) + rng.normal(size=12)[clinician]
    value, influence = weighted_influence(y, arm, w)
    plain = student("difference", value, *clustered_error(influence, clinician))
    found = corrected(plain, influence, arm, w, clinician)
    right = weighted_ancova(y, arm, None, w, clinician)
    assert (found.value, found.std_error, found.df) == pytest.approx((right.value, right.std_error, right.df), rel=1e-9)
    order, relabel = rng.permutation(90), rng.permutation(12)
    again = corrected(
        plain, influence[order], arm[order], np.where(arm, 7, 3)[order] * w[order], relabel[clinician[order]]
    )
    assert (again.std_error, again.df) == pytest.approx((found.std_error, found.df), rel=1e-9)


def test_an_arm_in_two_of_twelve_clusters_is_not_found_to_differ_too_often() -> None:
    """Clusters drift, nothing else differs: clusters - 1 degrees of freedom reject in every fifth sample and more."""
    rng = np.random.default_rng(4)
    arm = np.arange(120) < 40
    clinician = np.r_[np.arange(40) % 2, np.arange(80) % 12]
    rejected = np.zeros(2)
    for _ in range(400):
        y = rng.normal(size=120) + 0.7 * rng.normal(size=12)[clinician]
        value, influence = weighted_influence(y, arm, np.ones(120))
        plain = student("difference", value, *clustered_error(influence, clinician))
        found = corrected(plain, influence, arm, np.ones(120), clinician)
        rejected += [not one.lower <= 0 <= one.upper for one in (plain, found)]
    assert rejected[0] / 400 > 0.15
    assert rejected[1] / 400 < 0.08


def test_an_arm_in_one_cluster_has_no_correction() -> None:
    """Where an arm lies in one cluster there is nothing to correct by."""
    arm, clinician = np.arange(40) < 20, np.r_[np.zeros(20, dtype=int), np.arange(20)]
    influence = np.random.default_rng(5).normal(size=40)
    plain = student("difference", 0.0, *clustered_error(influence, clinician))
    with pytest.raises(EstimationError, match="too_few_clusters"):
        corrected(plain, influence, arm, np.ones(40), clinician)
