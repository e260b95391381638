"""Randomisation inference within matched sets, against enumeration by hand, scipy and the assignment itself."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test, wilcoxon

from causal.effect.randomisation import RandomisationTest, Statistic, randomisation_interval, randomisation_test
from causal.errors import EstimationError

STATISTICS: tuple[Statistic, ...] = ("mean_difference", "huber", "wilcoxon")
UNUSED = np.random.default_rng(0)


def sets_of(*shapes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Arm and set code of sets of (treated, comparisons)."""
    code = np.repeat(np.arange(len(shapes)), [a + b for a, b in shapes])
    return np.concatenate([np.arange(a + b) < a for a, b in shapes]), code


def set_statistic(r: np.ndarray, treated: np.ndarray, code: np.ndarray, psi: object) -> float:
    """Sum over pairs of a treated and a comparison of a set, over its comparisons, over the treated."""
    total = 0.0
    for s in np.unique(code):
        one, zero = r[(code == s) & treated], r[(code == s) & ~treated]
        total += sum(psi(a - b) for a in one for b in zero) / zero.size  # type: ignore[operator]
    return total / treated.sum()


def every_assignment(treated: np.ndarray, code: np.ndarray) -> list[np.ndarray]:
    """Each arm vector that keeps the number of treated of each set."""
    choices = []
    for s in np.unique(code):
        rows = np.flatnonzero(code == s)
        choices.append(list(combinations(rows.tolist(), int(treated[rows].sum()))))
    found = []
    for chosen in product(*choices):
        arm = np.zeros(code.size, dtype=bool)
        arm[[i for one in chosen for i in one]] = True
        found.append(arm)
    return found


def p_by_enumeration(r: np.ndarray, treated: np.ndarray, code: np.ndarray, statistic: Statistic) -> tuple[float, float]:
    """Statistic and two-sided p-value from its definition."""
    apart = [abs(r[i] - r[j]) for s in np.unique(code) for i, j in combinations(np.flatnonzero(code == s), 2)]
    scale = np.median(apart)

    def rank(d: float) -> float:
        return float(np.mean([k + 1 for k, v in enumerate(sorted(apart)) if abs(v - abs(d)) < 1e-9]))

    psi = {
        "mean_difference": lambda d: d,
        "huber": lambda d: np.clip(d / scale, -2.5, 2.5),
        "wilcoxon": lambda d: np.sign(round(d, 9)) * rank(d),
    }[statistic]
    seen = set_statistic(r, treated, code, psi)
    others = np.array([set_statistic(r, arm, code, psi) for arm in every_assignment(treated, code)])
    tails = (others >= seen - 1e-9).mean(), (others <= seen + 1e-9).mean()
    return seen, min(1.0, 2 * min(tails))


def test_three_pairs_by_hand() -> None:
    """Differences 4, 1, -2: mean 1; of the eight signings 4+1+2, 4+1-2 and 4-1+2 reach 3: one-sided 3/8, two-sided 3/4.

    The effects that no one of the means of subsets (4, 1, -2, 2.5, 1, -.5, 1) excludes at 50% are between -.5 and 2.5.
    """
    treated, code = sets_of((1, 1), (1, 1), (1, 1))
    y = np.array([5.0, 1, 3, 2, 0, 2])
    test = randomisation_test(y, treated, sets=code, rng=UNUSED)
    assert test.statistic == pytest.approx(1.0)
    assert (test.p_greater, test.p_less, test.p_value) == (3 / 8, 6 / 8, 3 / 4)
    assert (test.exact, test.n_assignments, test.n_sets) == (True, 8, 3)
    found = randomisation_interval(y, treated, sets=code, rng=UNUSED, level=0.5)
    assert (found.value, found.lower, found.upper) == pytest.approx((1.0, -0.5, 2.5))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(STATISTICS), st.booleans())
def test_agrees_with_enumeration(seed: int, statistic: Statistic, coarse: bool) -> None:
    """Pairs, 1:2, 1:3, 2:2 and 3:1 sets together, ties or none: statistic and p-value from their definitions."""
    treated, code = sets_of((1, 2), (1, 1), (2, 2), (3, 1), (1, 1))
    rng = np.random.default_rng(seed)
    y = rng.normal(size=code.size)
    y = np.round(y) / 10 + (np.arange(code.size) == 0) if coarse else y
    seen, p_value = p_by_enumeration(y, treated, code, statistic)
    order = rng.permutation(code.size)
    test = randomisation_test(y[order], treated[order], sets=-3 * code[order], rng=UNUSED, statistic=statistic)
    assert test.statistic == pytest.approx(seen)
    assert test.p_value == pytest.approx(p_value)
    assert test.n_assignments == 3 * 2 * 6 * 4 * 2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_pairs_agree_with_scipy(seed: int) -> None:
    """On pairs the mean difference is scipy's exhaustive paired permutation test, and wilcoxon its signed-rank test."""
    rng = np.random.default_rng(seed)
    one, zero = rng.normal(size=(2, 9))
    y, treated, code = np.r_[one, zero], np.arange(18) < 9, np.arange(18) % 9
    paired = permutation_test(
        (one, zero), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert randomisation_test(y, treated, sets=code, rng=UNUSED).p_value == pytest.approx(paired.pvalue)
    ranked = randomisation_test(y, treated, sets=code, rng=UNUSED, statistic="wilcoxon")
    assert ranked.p_value == pytest.approx(wilcoxon(one, zero, method="exact").pvalue)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(STATISTICS))
def test_the_interval_is_what_the_test_does_not_reject(seed: int, statistic: Statistic) -> None:
    """Just inside each end the p-value is above .1, just outside it is not; at the estimate the statistic is 0."""
    treated, code = sets_of(*[(1, 2)] * 5, *[(1, 1)] * 3)
    y = np.random.default_rng(seed).normal(size=code.size)
    found = randomisation_interval(y, treated, sets=code, rng=UNUSED, statistic=statistic, level=0.9)

    def test(effect: float) -> RandomisationTest:
        return randomisation_test(y, treated, sets=code, rng=UNUSED, statistic=statistic, effect=effect)

    assert test(found.lower + 1e-6).p_value > 0.1 >= test(found.lower - 1e-6).p_value
    assert test(found.upper - 1e-6).p_value > 0.1 >= test(found.upper + 1e-6).p_value
    assert test(found.value - 1e-6).statistic >= -1e-9
    assert test(found.value + 1e-6).statistic <= 1e-9


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_adjusted_interval_holds_every_effect_not_rejected(seed: int) -> None:
    """With covariates no effect outside has a p-value above .1; an assignment that no effect can refute widens it."""
    treated, code = sets_of(*[(1, 2)] * 5, *[(1, 1)] * 3)
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=code.size), rng.normal(size=(code.size, 2))
    found = randomisation_interval(y, treated, x, sets=code, rng=UNUSED, level=0.9)
    width = found.upper - found.lower
    for effect in np.r_[found.lower - width * np.geomspace(1e-6, 1, 8), found.upper + width * np.geomspace(1e-6, 1, 8)]:
        assert randomisation_test(y, treated, x, sets=code, rng=UNUSED, effect=float(effect)).p_value <= 0.1
    assert found.lower < found.value < found.upper


@pytest.mark.parametrize("statistic", STATISTICS)
def test_units_and_arms(statistic: Statistic) -> None:
    """Units scale the interval, a constant for a whole set is nothing, swapped arms flip it."""
    treated, code = sets_of(*[(1, 1)] * 6, *[(2, 2)] * 2)
    rng = np.random.default_rng(5)
    y = rng.normal(size=code.size)
    plain = randomisation_interval(y, treated, sets=code, rng=UNUSED, statistic=statistic)
    moved = randomisation_interval(3 * y + 10.0 * code, treated, sets=code, rng=UNUSED, statistic=statistic)
    swapped = randomisation_interval(y, ~treated, sets=code, rng=UNUSED, statistic=statistic)
    ends = np.array([plain.value, plain.lower, plain.upper])
    np.testing.assert_allclose([moved.value, moved.lower, moved.upper], 3 * ends, atol=1e-6)
    np.testing.assert_allclose([swapped.value, swapped.upper, swapped.lower], -ends, atol=1e-6)
    assert moved.test.p_value == plain.test.p_value == swapped.test.p_value


def test_adjusted_estimate_is_the_regression_within_sets() -> None:
    """With pairs and covariates the estimate is that of least squares with an intercept for each pair."""
    treated, code = sets_of(*[(1, 1)] * 10)
    rng = np.random.default_rng(6)
    x = rng.normal(size=(20, 2))
    y = rng.normal(size=20) + x @ [2.0, -1] - 0.4 * treated
    found = randomisation_interval(y, treated, x, sets=code, rng=UNUSED)
    design = np.c_[treated, x, code[:, None] == np.arange(10)]
    assert found.value == pytest.approx(np.linalg.lstsq(design.astype(float), y)[0][0])
    plain = randomisation_interval(y, treated, sets=code, rng=UNUSED)
    assert found.upper - found.lower < plain.upper - plain.lower


def test_drawn_assignments_approach_the_listed() -> None:
    """20 sets of 1:2 are 3.5e9 assignments: drawn ones repeat for the same seed and give the normal p-value to .02.

    The p-value is never 0; the observed assignment is among those counted.
    """
    treated, code = sets_of(*[(1, 2)] * 20)
    y = np.random.default_rng(7).normal(size=60) + 0.45 * treated
    tests = [randomisation_test(y, treated, sets=code, rng=np.random.default_rng(8), draws=4000) for _ in range(2)]
    assert tests[0] == tests[1]
    assert (tests[0].exact, tests[0].n_assignments) == (False, 4001)
    by_set = y.reshape(20, 3)
    spread = np.sqrt((by_set.var(axis=1) * 1.5**2).sum()) / 20
    from scipy.special import ndtr

    assert tests[0].p_greater == pytest.approx(ndtr(-tests[0].statistic / spread), abs=0.02)
    extreme = randomisation_test(y + 100 * treated, treated, sets=code, rng=np.random.default_rng(8), draws=999)
    assert extreme.p_greater == 1 / 1000


@pytest.mark.parametrize("statistic", STATISTICS)
def test_random_sets_of_every_shape_are_drawn_evenly(statistic: Statistic) -> None:
    """Under no effect the statistic of drawn assignments has mean 0: every member is treated equally often."""
    treated, code = sets_of(*[(2, 3)] * 8, *[(1, 4)] * 4)
    y = np.random.default_rng(9).normal(size=code.size)
    test = randomisation_test(y, treated, sets=code, rng=np.random.default_rng(1), draws=5000, statistic=statistic)
    seen, _ = p_by_enumeration(y[:10], treated[:10], code[:10], statistic)
    exact = randomisation_test(y[:10], treated[:10], sets=code[:10], rng=UNUSED, statistic=statistic)
    assert exact.statistic == pytest.approx(seen)
    assert test.p_greater + test.p_less == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_size_is_held(statistic: Statistic) -> None:
    """No effect, eight skewed sets: over 600 assignments at most 5% reject at .05, and not far fewer (MCSE .9%)."""
    code = sets_of(*[(1, 2)] * 8)[1]
    rng = np.random.default_rng(10)
    y = np.exp(rng.normal(size=24))
    rejected = 0
    for _ in range(600):
        arm = np.zeros(24, dtype=bool)
        arm[np.arange(8) * 3 + rng.integers(3, size=8)] = True
        rejected += randomisation_test(y, arm, sets=code, rng=UNUSED, statistic=statistic).p_value <= 0.05
    assert 0.025 <= rejected / 600 <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize("statistic", STATISTICS)
def test_interval_covers(statistic: Statistic) -> None:
    """A constant effect in 30 sets: drawn intervals cover in 93 to 97.5% of 400 samples (MCSE 1.1%)."""
    treated, code = sets_of(*[(1, 2)] * 30)
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        y = -0.3 * treated + rng.normal(size=90) + rng.normal(size=30)[code]
        found = randomisation_interval(y, treated, sets=code, rng=rng, statistic=statistic, draws=999)
        covered += found.lower <= -0.3 <= found.upper
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"treated": np.array([1, 1, 1, 0], dtype=bool)}, "one_armed_set"),
        ({"outcome": np.array([1, 2, np.nan, 4])}, "not_finite"),
        ({"covariates": np.full((4, 1), np.inf)}, "not_finite"),
        ({"outcome": np.array([1.0, 1, 4, 4])}, "no_standard_error"),
        ({}, "too_few_assignments"),
    ],
)
def test_refusals(change: dict[str, np.ndarray], refusal: str) -> None:
    """One-armed sets, missing values, no variation within sets; four assignments give no 95% interval."""
    arguments = {"outcome": np.array([1.0, 2, 3, 5]), "treated": np.array([1, 0, 1, 0], dtype=bool)} | change
    for statistic in STATISTICS:
        with pytest.raises(EstimationError) as caught:
            randomisation_interval(**arguments, sets=np.array([0, 0, 1, 1]), rng=UNUSED, statistic=statistic)  # type: ignore[arg-type]
        assert caught.value.code == f"estimation.{refusal}"
    with pytest.raises(EstimationError, match="empty_arm"):
        randomisation_test(np.empty(0), np.empty(0, dtype=bool), sets=np.empty(0, dtype=int), rng=UNUSED)
