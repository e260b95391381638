"""Bounds on the effect among those who would stay under either strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.matched_estimates import weighted_ancova
from causal.effect.principal_strata import StratumBounds, always_stayer_bounds, trimmed_means
from causal.errors import EstimationError

EFFECT = -0.3  # among always-stayers, in `stratified`


def stratified(rng: np.random.Generator, n_clusters: int = 80, size: int = 6) -> dict[str, Any]:
    """Draw clusters crossing arms with known strata: 60% always stay, 25% leave if treated, 15% always leave.

    Those who would leave if treated rate lower than always-stayers do; scores have cluster effects and two decimals.
    """
    clusters = np.repeat(np.arange(n_clusters), size)
    treated = np.tile(np.arange(size) < size // 2, n_clusters)
    stratum = rng.choice(3, clusters.size, p=[0.6, 0.25, 0.15])
    stayed = (stratum == 0) | ((stratum == 1) & ~treated)
    level = 3.8 - 0.6 * (stratum == 1) + EFFECT * treated + 0.3 * rng.normal(size=n_clusters)[clusters]
    score = np.round(level + 0.6 * rng.normal(size=clusters.size), 2)
    return {"score": np.where(stayed, score, np.nan), "stayed": stayed, "treated": treated, "clusters": clusters}


def bounds(data: dict[str, Any], **options: Any) -> StratumBounds:
    """Bounds with few draws, where the interval is not what is tested."""
    return always_stayer_bounds(**{"rng": np.random.default_rng(1), "draws": 20, **data, **options})


def ends(found: StratumBounds) -> tuple[float, float]:
    """The identified set."""
    return found.lower, found.upper


def told(found: StratumBounds) -> tuple[float, ...]:
    """The identified set, the interval and what it rests on."""
    return (*ends(found), found.interval_lower, found.interval_upper, found.df, found.share)


def test_by_hand() -> None:
    """Treated stay 2 of 4, comparisons 4 of 5: always-stayers are 5/8 of the latter's 4 stayers, i.e. 2.5 people."""
    data = {
        "score": np.array([3.0, 4, np.nan, np.nan, 2, 3, 3, 5, np.nan]),
        "stayed": np.array([1, 1, 0, 0, 1, 1, 1, 1, 0], dtype=bool),
        "treated": np.repeat([True, False], [4, 5]),
        "clusters": np.array([0, 1, 2, 3, 0, 1, 2, 3, 3]),
    }
    found = bounds(data, score_range=(1, 5))
    lowest, highest = (2 + 3 + 0.5 * 3) / 2.5, (5 + 3 + 0.5 * 3) / 2.5
    assert ends(found) == pytest.approx((3.5 - highest, 3.5 - lowest), rel=1e-12)
    assert (found.share, found.largest_share) == (0.5, 0.5)
    assert (found.kept_treated, found.kept_comparison) == (1.0, 0.625)
    # with no assumption at least .5 + .8 - 1 = .3 always stay: 3/5 of 2 treated stayers, 3/8 of 4 comparison ones
    free = bounds(data, monotone=None, score_range=(1, 5))
    assert (free.share, free.largest_share) == pytest.approx((0.3, 0.5))
    low1, high1 = (3 + 0.2 * 4) / 1.2, (4 + 0.2 * 3) / 1.2
    low0, high0 = (2 + 0.5 * 3) / 1.5, (5 + 0.5 * 3) / 1.5
    assert ends(free) == pytest.approx((low1 - high0, high1 - low0), rel=1e-12)


def test_trimmed_means_solve_the_linear_programme() -> None:
    """The least and greatest mean of a part of weighted, tied values is that of the linear programme over shares."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(2)
    values, weight = np.sort(rng.integers(1, 5, 12)).astype(float), rng.random(12) + 0.1
    for kept in (0.15, 0.5, 0.83, 1.0):
        low, high = trimmed_means(values, weight[:, None], np.array([kept]))
        part = kept * weight.sum()
        for sign, found in ((1, low), (-1, high)):
            solved = linprog(sign * values / part, A_eq=np.ones((1, 12)), b_eq=[part], bounds=[(0, w) for w in weight])
            assert found[0] == pytest.approx(sign * solved.fun, rel=1e-9)


def test_no_share_of_always_stayers_gives_wider_bounds() -> None:
    """Over all feasible shares the extreme bounds are those at the least one."""
    data = stratified(np.random.default_rng(3))
    found = bounds(data, monotone=None)
    for share in np.linspace(found.share, found.largest_share, 30):
        ranges = []
        for arm, stayed in ((data["treated"], found.stayed_treated), (~data["treated"], found.stayed_comparison)):
            values = np.sort(data["score"][arm & data["stayed"]])
            ranges.append(trimmed_means(values, np.ones((values.size, 1)), np.array([min(share / stayed, 1.0)])))
        (low1, high1), (low0, high0) = ranges
        assert low1[0] - high0[0] >= found.lower - 1e-12
        assert high1[0] - low0[0] <= found.upper + 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_monotonicity_narrows(seed: int, more: bool) -> None:
    """Bounds under monotonicity lie inside those without; both hold the difference at equal means when none trims."""
    rng = np.random.default_rng(seed)
    n = 60
    stayed = rng.random(n) < 0.8
    data = {
        "score": np.where(stayed, rng.integers(10, 50, n) / 10, np.nan),
        "stayed": stayed,
        "treated": np.tile([True, False], 30),
        "weights": rng.random(n) + 0.2,
        "clusters": np.repeat(np.arange(20), 3),
    }
    wide = bounds(data, monotone=None, score_range=(1, 5))
    try:
        narrow = bounds(data, monotone="treated_leaves_more" if more else "comparison_leaves_more", score_range=(1, 5))
    except EstimationError as refusal:
        assert refusal.code == "estimation.monotonicity_contradicted"  # noqa: PT017 - either outcome is right
        return
    assert wide.lower <= narrow.lower + 1e-12
    assert narrow.lower <= narrow.upper + 1e-12
    assert narrow.upper <= wide.upper + 1e-12
    assert narrow.interval_lower <= narrow.lower


@pytest.mark.parametrize("monotone", ["treated_leaves_more", "comparison_leaves_more", None])
def test_when_nobody_leaves_it_is_the_mean_difference(monotone: Any) -> None:
    """Both bounds are the weighted difference, and the interval is near that of its cluster-robust error."""
    rng = np.random.default_rng(4)
    data = stratified(rng)
    data["stayed"][:] = True
    data["score"] = rng.normal(3.5, 0.7, data["stayed"].size) + rng.normal(size=80)[data["clusters"]] * data["treated"]
    weights = rng.random(data["stayed"].size) + 0.5
    found = bounds(data, weights=weights, monotone=monotone, draws=2000)
    effect = weighted_ancova(data["score"], data["treated"], None, weights, data["clusters"])
    assert ends(found) == pytest.approx((effect.value, effect.value), abs=1e-10)
    assert (found.share, found.excess, found.failed_draws) == (1.0, 0.0, 0)
    assert found.std_error_lower == pytest.approx(effect.std_error, rel=0.08)  # 2,000 draws: 1.6% Monte Carlo error
    assert found.interval_upper - found.upper == pytest.approx(1.99 * found.std_error_upper, rel=5e-3)  # t


def test_interval_between_one_and_two_sided() -> None:
    """Far apart bounds need the one-sided quantile only (Imbens and Manski): about 1.664."""
    found = bounds(stratified(np.random.default_rng(5)), draws=400)
    assert found.upper - found.lower > 5 * found.std_error_lower
    assert (found.lower - found.interval_lower) / found.std_error_lower == pytest.approx(1.664, abs=5e-3)
    assert (found.interval_upper - found.upper) / found.std_error_upper == pytest.approx(1.664, abs=5e-3)


def test_recovery() -> None:
    """In 300 samples with known strata the mean bounds hold the truth and are the population's; the interval covers.

    The population's bounds are from one sample of 600,000. Coverage is 97% or more as the truth lies inside the set.
    """
    rng = np.random.default_rng(6)
    population = bounds(stratified(rng, 100_000), draws=2)
    assert population.lower < EFFECT < population.upper
    found = [always_stayer_bounds(**stratified(rng), rng=rng, draws=100) for _ in range(300)]
    for name in ("lower", "upper"):
        values = np.array([getattr(one, name) for one in found])
        assert values.mean() == pytest.approx(getattr(population, name), abs=3.5 * values.std() / np.sqrt(300) + 0.01)
        errors = np.array([getattr(one, f"std_error_{name}") for one in found])
        assert errors.mean() == pytest.approx(values.std(), rel=0.15)  # Monte Carlo error 4% of the deviation
    for end in (population.lower, population.upper):  # the least favourable truths
        covered = np.mean([one.interval_lower <= end <= one.interval_upper for one in found])
        assert covered >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 300)
    assert np.mean([one.interval_lower <= EFFECT <= one.interval_upper for one in found]) >= 0.97


def test_invariances() -> None:
    """Row order, labels and the scale of weights do not matter; units carry over; swapped arms turn the sign."""
    data, rng = stratified(np.random.default_rng(7)), np.random.default_rng(8)
    base = bounds(data)
    order = rng.permutation(data["stayed"].size)
    shuffled = bounds({name: values[order] for name, values in data.items()})
    renamed = bounds({**data, "clusters": 3 * data["clusters"] - 11})
    for other in (shuffled, renamed):
        assert told(other) == pytest.approx(told(base), rel=1e-10)
    heavier = bounds(data, weights=np.full(order.size, 4.0))
    assert ends(heavier) == pytest.approx(ends(base), rel=1e-12)
    stretched = bounds({**data, "score": 10 + 2 * data["score"]})
    expected = tuple(2 * x for x in (*ends(base), base.interval_lower, base.interval_upper))
    assert (*ends(stretched), stretched.interval_lower, stretched.interval_upper) == pytest.approx(expected, rel=1e-9)
    turned = bounds({**data, "score": -data["score"]})
    assert ends(turned) == pytest.approx((-base.upper, -base.lower), rel=1e-9)
    swapped = bounds({**data, "treated": ~data["treated"]}, monotone="comparison_leaves_more")
    assert ends(swapped) == pytest.approx((-base.upper, -base.lower), rel=1e-12)


def test_weights_are_copies() -> None:
    """A row of weight 3 is three rows; a row of weight 0 is none, and neither is its cluster."""
    data, rng = stratified(np.random.default_rng(9), 20), np.random.default_rng(10)
    weights = rng.integers(0, 4, 120).astype(float)
    weights[data["clusters"] == 3] = 0
    repeated = {name: np.repeat(values, weights.astype(int)) for name, values in data.items()}
    found, copies = bounds(data, weights=weights), bounds(repeated)
    assert ends(found) == pytest.approx(ends(copies), rel=1e-12)
    assert found.n_clusters == copies.n_clusters == 19


def test_response_weights_stand_in_for_missing_ratings() -> None:
    """A stayer without a rating is replaced by the one whose factor is 2; without factors the rated stand for all."""
    data = stratified(np.random.default_rng(11))
    rated = np.flatnonzero(data["stayed"] & ~data["treated"])
    alike, missing = rated[0], rated[1]
    full = {**data, "score": data["score"].copy()}
    full["score"][missing] = full["score"][alike]
    holed = {**data, "score": data["score"].copy()}
    holed["score"][missing] = np.nan
    factor = np.full(data["stayed"].size, np.nan)
    factor[np.isfinite(holed["score"])] = 1.0
    factor[alike] = 2.0
    assert ends(bounds(holed, response_weights=factor)) == pytest.approx(ends(bounds(full)), rel=1e-12)
    assert bounds(holed).stayed_comparison == bounds(full).stayed_comparison


def test_contradicted_monotonicity_is_refused_and_small_excess_reported() -> None:
    """Beyond sampling the assumption is refused; within it, shares are taken for equal and the excess is told."""
    data = stratified(np.random.default_rng(12))
    with pytest.raises(EstimationError) as refusal:
        bounds(data, monotone="comparison_leaves_more")
    assert refusal.value.code == "estimation.monotonicity_contradicted"
    rng = np.random.default_rng(13)
    equal = {**data, "stayed": rng.random(data["stayed"].size) < 0.8}
    equal["score"] = np.where(equal["stayed"], rng.normal(3.5, 1, data["stayed"].size), np.nan)
    less, more = (bounds(equal, monotone=m) for m in ("treated_leaves_more", "comparison_leaves_more"))
    assert min(less.excess, more.excess) == 0
    told = max((less, more), key=lambda one: one.excess)
    assert told.excess == pytest.approx(abs(told.stayed_treated - told.stayed_comparison), rel=1e-12)
    assert told.lower == told.upper
    assert (told.kept_treated, told.kept_comparison) == (1.0, 1.0)


def test_an_empty_stratum_has_only_the_range() -> None:
    """Half or fewer staying in each arm: no bound without a range, and the range with one."""
    data = stratified(np.random.default_rng(14))
    leave = np.arange(data["stayed"].size) % 2 == 0
    data = {**data, "stayed": data["stayed"] & ~leave, "score": np.where(leave, np.nan, data["score"])}
    with pytest.raises(EstimationError) as refusal:
        bounds(data, monotone=None)
    assert refusal.value.code == "estimation.stratum_may_be_empty"
    found = bounds(data, monotone=None, score_range=(1.0, 7.0))
    assert (*ends(found), found.interval_lower, found.interval_upper) == (-6, 6, -6, 6)
    assert found.vacuous
    assert found.share == 0
    assert not bounds(data).vacuous


def test_a_stratum_empty_in_many_draws_is_refused() -> None:
    """Where the least share is just above 0, bounds without a range would rest on the extreme ratings."""
    rng = np.random.default_rng(15)
    data = stratified(rng)
    n = data["stayed"].size
    stayed = np.zeros(n, dtype=bool)
    for arm in (data["treated"], ~data["treated"]):
        stayed[rng.choice(np.flatnonzero(arm), arm.sum() // 2 + 2, replace=False)] = True
    data = {**data, "stayed": stayed, "score": np.where(stayed, rng.normal(size=n), np.nan)}
    with pytest.raises(EstimationError, match="bootstrap draws") as refusal:
        bounds(data, monotone=None, draws=100)
    assert refusal.value.code == "estimation.stratum_may_be_empty"
    ranged = bounds(data, monotone=None, draws=100, score_range=(-6, 6))
    assert (ranged.interval_lower, ranged.interval_upper, ranged.std_error_lower) == (-12, 12, None)
    assert -12 < ranged.lower < ranged.upper < 12


def test_same_seed_same_interval() -> None:
    """The interval comes from the generator passed in, and from nothing else."""
    data = stratified(np.random.default_rng(16))
    assert bounds(data) == bounds(data)
    assert bounds(data, rng=np.random.default_rng(2)).interval_lower != bounds(data).interval_lower


def test_refusals() -> None:
    """Each input without bounds is refused by its code."""
    data = stratified(np.random.default_rng(17))
    n, arm = data["stayed"].size, data["treated"]
    nobody = {**data, "stayed": data["stayed"] & ~arm, "score": np.where(arm, np.nan, data["score"])}
    flat = {**data, "score": np.where(data["stayed"], 3.0, np.nan)}
    for case, code in [
        ({**data, "stayed": np.zeros(n, dtype=bool)}, "estimation.inconsistent_scores"),
        ({**data, "score": np.where(data["stayed"], np.inf, np.nan)}, "estimation.inconsistent_scores"),
        ({**data, "score_range": (2.0, 3.0)}, "estimation.score_range"),
        (nobody, "estimation.no_stayers"),
        ({**nobody, "stayed": data["stayed"]}, "estimation.no_scores"),
        ({**data, "treated": np.ones(n, dtype=bool)}, "estimation.empty_arm"),
        ({**data, "clusters": np.where(arm, 0, data["clusters"])}, "estimation.too_few_clusters"),
        ({**data, "weights": np.full(n, -1.0)}, "estimation.weights"),
        ({**data, "draws": 1}, "estimation.draws"),
        (flat, "estimation.constant_outcome"),
        ({**flat, "score": np.where(arm, flat["score"], data["score"])}, "estimation.constant_outcome"),
    ]:
        with pytest.raises(EstimationError) as refusal:
            bounds(case)
        assert refusal.value.code == code
