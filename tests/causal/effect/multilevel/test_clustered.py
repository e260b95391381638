"""The effect from a mixed model of patients in clinicians."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_ind

from causal.effect.multilevel.clustered import clustered_alliance
from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
WAYS: tuple[DegreesOfFreedom, ...] = ("satterthwaite", "kenward_roger", "cluster_robust")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """Rows of patients in clinicians."""

    outcome: FloatArray
    treated: NDArray[np.bool_]
    day: FloatArray
    patient: IntArray
    clinician: IntArray


def extract(rng: np.random.Generator, *, clinicians: int = 24, spread: float = 1.0, effect: float = 0.0) -> Extract:
    """Patients treated within clinicians: 2 to 6 patients each, up to 3 visits, slopes of their own."""
    clinician = np.repeat(np.arange(clinicians), rng.integers(2, 7, clinicians))
    patients = clinician.size
    visits = rng.integers(1, 4, patients)
    treated = rng.random(patients) < 0.35
    patient = np.repeat(np.arange(patients), visits)
    day = rng.choice([30.0, 90.0, 180.0], patient.size)
    y = 3.5 + effect * treated[patient] + spread * rng.normal(size=clinicians)[clinician][patient]
    y += 0.5 * rng.normal(size=patients)[patient] + day / 90 * 0.3 * rng.normal(size=patients)[patient]
    return Extract(
        outcome=y + 0.4 * rng.normal(size=patient.size),
        treated=treated[patient],
        day=day,
        patient=patient,
        clinician=clinician[patient],
    )


def test_two_clinicians_in_each_arm() -> None:
    """Balanced clinicians of one arm each: the t test of their means, whichever way errors are found."""
    rng = np.random.default_rng(1)
    clinician = np.repeat(np.arange(8), 6)
    y = rng.normal(size=8)[clinician] * 2 + rng.normal(size=48)
    treated = clinician < 4
    means = y.reshape(8, 6).mean(axis=1)
    peer = ttest_ind(means[:4], means[4:])
    for way in WAYS:
        (found,) = clustered_alliance(y, treated, clinician=clinician, degrees_of_freedom=way).contrasts
        assert found.value == pytest.approx(means[:4].mean() - means[4:].mean(), rel=1e-9)
        assert found.df == pytest.approx(6, rel=1e-6)
        assert found.p_value == pytest.approx(peer.pvalue, rel=1e-6)


def test_patients_paired_within_clinicians() -> None:
    """One treated and one comparison patient each: the paired t test on clinicians - 1 degrees of freedom."""
    rng = np.random.default_rng(2)
    clinician, treated = np.repeat(np.arange(12), 2), np.tile([True, False], 12)
    y = rng.normal(size=12)[clinician] * 2 + 0.5 * treated + rng.normal(size=24)
    d = y[treated] - y[~treated]
    for way in WAYS:
        (found,) = clustered_alliance(y, treated, clinician=clinician, degrees_of_freedom=way).contrasts
        assert (found.value, found.std_error, found.df) == pytest.approx(
            (d.mean(), d.std(ddof=1) / 12**0.5, 11), rel=1e-6
        )


def test_days_give_a_difference_at_each_and_in_slope() -> None:
    """Differences at days are on one line whose slope is the last contrast; variance components are named."""
    drawn = extract(np.random.default_rng(3))
    found = clustered_alliance(
        drawn.outcome,
        drawn.treated,
        patient=drawn.patient,
        clinician=drawn.clinician,
        day=drawn.day,
        at=(30, 90, 180),
        random="slope",
    )
    one, two, three, slope = found.contrasts
    assert [c.label for c in found.contrasts] == [
        "difference at day 30",
        "difference at day 90",
        "difference at day 180",
        "difference in slope per day",
    ]
    assert two.value - one.value == pytest.approx(60 * slope.value)
    assert three.value - two.value == pytest.approx(90 * slope.value)
    assert [(v.level, v.term) for v in found.variances] == [
        ("patient", "intercept"),
        ("patient", "intercept with day"),
        ("patient", "day"),
        ("clinician", "intercept"),
        ("residual", ""),
    ]
    assert found.n_units == (drawn.patient.max() + 1, 24)


def test_intraclass_correlations_are_shares_of_variance() -> None:
    """Clinicians' share is theirs; patients' share adds their own; without levels above, one share."""
    drawn = extract(np.random.default_rng(4))
    found = clustered_alliance(drawn.outcome, drawn.treated, patient=drawn.patient, clinician=drawn.clinician)
    patient, clinician, rest = (v.value for v in found.variances)
    total = patient + clinician + rest
    assert [(i.level, i.value) for i in found.intraclass] == [
        ("patient", pytest.approx((patient + clinician) / total)),
        ("clinician", pytest.approx(clinician / total)),
    ]


def test_variance_at_zero_is_said() -> None:
    """Clinicians no more different than chance: their variance is 0, and a note says so."""
    drawn = extract(np.random.default_rng(5), spread=0.0)
    means = np.bincount(drawn.clinician, drawn.outcome) / np.bincount(drawn.clinician)
    level = drawn.outcome - means[drawn.clinician]
    found = clustered_alliance(level, drawn.treated, patient=drawn.patient, clinician=drawn.clinician)
    assert found.boundary == ("clinician",)
    assert found.variances[1].value == 0
    assert "clinician is estimated at 0" in found.notes[0]


def test_aliased_covariates_are_named() -> None:
    """A covariate that repeats another is dropped; a covariate that is the treatment leaves no effect."""
    drawn = extract(np.random.default_rng(6))
    age = np.random.default_rng(0).normal(size=drawn.outcome.size)
    twice = np.column_stack([age, 2 * age + 1])
    found = clustered_alliance(
        drawn.outcome, drawn.treated, covariates=twice, names=["age", "years"], clinician=drawn.clinician
    )
    once = clustered_alliance(
        drawn.outcome, drawn.treated, covariates=age[:, None], names=["age"], clinician=drawn.clinician
    )
    assert found.aliased == ("years",)
    assert found.contrasts[0].value == pytest.approx(once.contrasts[0].value, rel=1e-9)
    with pytest.raises(EstimationError, match="not_estimable"):
        clustered_alliance(
            drawn.outcome,
            drawn.treated,
            covariates=drawn.treated[:, None].astype(float),
            names=["warned"],
            clinician=drawn.clinician,
        )


def test_refusals() -> None:
    """No level, no day, one arm, one day: each by its own code."""
    drawn = extract(np.random.default_rng(7))
    y, t = drawn.outcome, drawn.treated
    with pytest.raises(EstimationError, match="no_levels"):
        clustered_alliance(y, t)
    with pytest.raises(EstimationError, match="no_days"):
        clustered_alliance(y, t, patient=drawn.patient, random="slope")
    with pytest.raises(EstimationError, match="empty_arm"):
        clustered_alliance(y, t & False, patient=drawn.patient)
    with pytest.raises(EstimationError, match="one_visit"):
        clustered_alliance(y, t, patient=drawn.patient, day=np.full(y.size, 90.0))
    with pytest.raises(EstimationError, match="not_finite"):
        clustered_alliance(np.where(y > y[0], np.nan, y), t, patient=drawn.patient)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.sampled_from([-3.0, 0.01, 20.0]))
def test_row_order_units_and_codes_do_not_matter(seed: int, shift: float, scale: float) -> None:
    """Rows shuffled, patients and clinicians relabelled, y -> a + b y; arms swapped turn the sign."""
    drawn = extract(np.random.default_rng(seed % 20), clinicians=8)
    order = np.random.default_rng(seed).permutation(drawn.outcome.size)
    for way in WAYS:
        one = clustered_alliance(
            drawn.outcome, drawn.treated, patient=drawn.patient, clinician=drawn.clinician, degrees_of_freedom=way
        ).contrasts[0]
        other = clustered_alliance(
            (shift + scale * drawn.outcome)[order],
            ~drawn.treated[order],
            patient=7 - 3 * drawn.patient[order],
            clinician=(drawn.clinician[order] * 5) % 8,
            degrees_of_freedom=way,
        ).contrasts[0]
        assert other.value == pytest.approx(-scale * one.value, rel=1e-5, abs=1e-6 * abs(scale) * one.std_error)
        assert other.std_error == pytest.approx(abs(scale) * one.std_error, rel=1e-5)
        assert other.df == pytest.approx(one.df, rel=1e-4)


def coverage(way: DegreesOfFreedom, *, replicates: int, arms_of_clinicians: bool) -> tuple[float, float]:
    """Share of 95 % intervals that hold the truth of -0.3, and mean error in units of its Monte Carlo error."""
    rng = np.random.default_rng(88)
    held, errors = [], []
    for _ in range(replicates):
        drawn = extract(rng, effect=0.0)
        treated = drawn.clinician % 3 == 0 if arms_of_clinicians else drawn.treated
        drawn = replace(drawn, outcome=drawn.outcome - 0.3 * treated, treated=treated)
        (found,) = clustered_alliance(
            drawn.outcome, drawn.treated, patient=drawn.patient, clinician=drawn.clinician, degrees_of_freedom=way
        ).contrasts
        held.append(found.lower < -0.3 < found.upper)
        errors.append(found.value + 0.3)
    return float(np.mean(held)), float(np.mean(errors) / (np.std(errors) / replicates**0.5))


def test_recovers_the_effect_with_24_clinicians() -> None:
    """150 replicates: coverage within 3 Monte Carlo errors (1.8 points each) of 95 %, no bias beyond 3 of its own."""
    held, bias = coverage("satterthwaite", replicates=150, arms_of_clinicians=False)
    assert abs(held - 0.95) < 3 * (0.95 * 0.05 / 150) ** 0.5
    assert abs(bias) < 3


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("arms_of_clinicians", [False, True])
def test_coverage_with_24_clinicians(way: DegreesOfFreedom, *, arms_of_clinicians: bool) -> None:
    """1,500 replicates, treatment within or between clinicians: coverage within 3 Monte Carlo errors of 95 %."""
    held, bias = coverage(way, replicates=1500, arms_of_clinicians=arms_of_clinicians)
    assert abs(held - 0.95) < 3 * (0.95 * 0.05 / 1500) ** 0.5
    assert abs(bias) < 3


def test_more_noise_between_clinicians_widens_a_comparison_between_them() -> None:
    """Clinicians of one arm each: the interval grows with the variance between clinicians."""
    widths = []
    for spread in (0.2, 1.0, 3.0):
        drawn = extract(np.random.default_rng(9), spread=spread)
        (found,) = clustered_alliance(drawn.outcome, drawn.clinician < 12, clinician=drawn.clinician).contrasts
        widths.append(found.upper - found.lower)
    assert all(narrow < wide for narrow, wide in pairwise(widths))
