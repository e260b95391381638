"""Reference-based imputation against the formulas of Carpenter, Roger and Kenward written out, and its relations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.missing.reference_based import ArmModel, Assumption, NormalDraws, normal_draws, reference_based
from causal.errors import EstimationError

OWN_MEAN, REFERENCE_MEAN = np.array([3.2, 2.9]), np.array([3.6, 3.8])


def model(mean: np.ndarray, covariance: np.ndarray, copies: int) -> ArmModel:
    """The arm model of a given mean (T,) and covariance (T, T) without covariates, the same in all draws."""
    visits = mean.size
    earlier, sd, intercept = np.zeros((visits, visits)), np.zeros(visits), np.zeros(visits)
    for t in range(visits):
        earlier[t, :t] = np.linalg.solve(covariance[:t, :t], covariance[:t, t]) if t else []
        sd[t] = (covariance[t, t] - earlier[t, :t] @ covariance[:t, t]) ** 0.5
        intercept[t] = mean[t] - earlier[t, :t] @ mean[:t]
    return ArmModel(
        slopes=np.tile(intercept[:, None], (copies, 1, 1)),
        earlier=np.tile(earlier, (copies, 1, 1)),
        sd=np.tile(sd, (copies, 1)),
    )


def known(
    own: ArmModel, reference: ArmModel, scores: np.ndarray, treated: np.ndarray, noise: np.ndarray
) -> NormalDraws:
    """Draws with known parameters and noise, scores as they are."""
    rated = np.isfinite(scores)
    visits = scores.shape[1]
    return NormalDraws(
        treated=own,
        comparison=reference,
        given=scores,
        arm=treated,
        design=np.ones((treated.size, 1)),
        history=np.where(rated, scores, 0.0) * np.ones((noise.shape[0], 1, 1)),
        last=np.where(rated, np.arange(1, visits + 1), 0).max(axis=1),
        filled=~rated,
        undefined=np.zeros_like(rated),
        noise=noise,
        centre=0.0,
        scale=1.0,
        aliased=(),
    )


@pytest.mark.parametrize(
    ("assumption", "by_hand"),
    [
        ("MAR", 2.9 + 0.8 * (4.0 - 3.2)),
        ("J2R", 3.8 + 0.5 * (4.0 - 3.2)),
        ("CIR", 3.2 + 3.8 - 3.6 + 0.5 * (4.0 - 3.2)),
        ("CR", 3.8 + 0.5 * (4.0 - 3.6)),
    ],
)
def test_two_visits_by_hand(assumption: Assumption, by_hand: float) -> None:
    """A treated patient with 4.0 at the first of two visits; regression slopes .8 (own) and .5 (reference)."""
    own = model(OWN_MEAN, np.array([[0.25, 0.2], [0.2, 0.3]]), 1)
    reference = model(REFERENCE_MEAN, np.array([[0.36, 0.18], [0.18, 0.4]]), 1)
    scores = np.array([[4.0, np.nan], [3.0, 3.0]])
    draws = known(own, reference, scores, np.array([True, False]), np.zeros((1, 2, 2)))
    assert reference_based(draws, assumption)[0, 0, 1] == pytest.approx(by_hand, rel=1e-12)


def joint(
    assumption: Assumption, last: int, own: tuple[np.ndarray, np.ndarray], ref: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of a deviating patient as published: Carpenter, Roger & Kenward 2013, sections 4.3-4.4."""
    (mg, sg), (mr, sr) = own, ref
    if assumption == "CR":
        return mr, sr
    if assumption == "MAR":
        return mg, sg
    before, after = slice(0, last), slice(last, None)
    shift = mg[last - 1] - mr[last - 1] if assumption == "CIR" and last else 0.0
    mean = np.concatenate([mg[before], mr[after] + shift])
    slope = sr[after, before] @ np.linalg.inv(sr[before, before])
    covariance = np.empty_like(sg)
    covariance[before, before] = sg[before, before]
    covariance[after, before] = slope @ sg[before, before]
    covariance[before, after] = covariance[after, before].T
    covariance[after, after] = sr[after, after] - slope @ (sr[before, before] - sg[before, before]) @ slope.T
    return mean, covariance


@pytest.mark.parametrize("assumption", ["MAR", "J2R", "CIR", "CR"])
@pytest.mark.parametrize("last", [0, 1, 2, 3])
def test_four_visits_against_the_joint_normal(assumption: Assumption, last: int) -> None:
    """Mean and covariance of the imputed visits are those of the published joint distribution given the past."""
    rng = np.random.default_rng(1)
    own_root, ref_root = rng.normal(size=(2, 4, 4)) * 0.3 + np.eye(4) * 0.6
    own, ref = (rng.normal(3.5, 0.5, 4), own_root @ own_root.T), (rng.normal(3.5, 0.5, 4), ref_root @ ref_root.T)
    scores = np.array([rng.normal(3.5, 0.5, 4), np.zeros(4)])
    scores[0, last:] = np.nan
    draws_many = 40_000
    imputed = reference_based(
        known(
            model(*own, draws_many),
            model(*ref, draws_many),
            scores,
            np.array([True, False]),
            rng.standard_normal((draws_many, 2, 4)),
        ),
        assumption,
    )[:, 0, last:]
    mean, covariance = joint(assumption, last, own, ref)
    slope = covariance[last:, :last] @ np.linalg.inv(covariance[:last, :last])
    expected = mean[last:] + slope @ (scores[0, :last] - mean[:last])
    spread = covariance[last:, last:] - slope @ covariance[:last, last:]
    error = 5 * np.sqrt(np.diag(spread) / draws_many)
    assert (np.abs(imputed.mean(axis=0) - expected) < error).all()
    np.testing.assert_allclose(np.cov(imputed.T), spread, atol=0.04 * np.diag(spread).max())


def trial(rng: np.random.Generator, n: int = 400, effect: float = -0.4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of three visits without missing values, arm and baseline score."""
    arm = np.arange(n) % 2 == 0
    baseline = rng.normal(3.5, 0.5, n)
    common = rng.normal(0, 0.3, n)
    time = np.array([0.3, 0.7, 1.0])
    scores = 0.7 + 0.8 * baseline[:, None] + common[:, None] + effect * arm[:, None] * time
    return scores + rng.normal(0, 0.3, (n, 3)), arm, baseline[:, None]


def lose(scores: np.ndarray, arm: np.ndarray, rng: np.random.Generator, *, gaps: bool = False) -> np.ndarray:
    """Drop visits: who scores low drops out after the first or second visit; some visits in between are missed."""
    out = scores.copy()
    for t in (1, 2):
        chance = 1 / (1 + np.exp(2.5 * (out[:, t - 1] - 3.2) + 0.8 * ~arm))
        out[np.isnan(out[:, t - 1]) | (rng.random(arm.size) < chance), t] = np.nan
    if gaps:
        out[rng.random(arm.size) < 0.1, 0] = np.nan
    return out


@pytest.mark.parametrize("gaps", [False, True])
def test_mar_recovers_the_means(gaps: bool) -> None:
    """Own-arm imputation recovers the last visit's means where dropout depends on the visit before (n = 6,000)."""
    rng = np.random.default_rng(2)
    full, arm, baseline = trial(rng, 6000)
    scores = lose(full, arm, rng, gaps=gaps)
    draws = normal_draws(scores, treated=arm, may_impute=np.ones_like(scores, bool), covariates=baseline, rng=rng)
    sets = reference_based(draws, "MAR")
    for rows in (arm, ~arm):
        assert abs(np.nanmean(scores[rows, 2]) - full[rows, 2].mean()) > 0.05  # what the available cases would say
        assert sets[:, rows, 2].mean() == pytest.approx(full[rows, 2].mean(), abs=0.02)
        assert sets[:, rows].std(axis=1).mean(axis=0) == pytest.approx(full[rows].std(axis=0), abs=0.02)
    if gaps:
        assert np.corrcoef(sets[0, :, 0], sets[0, :, 2])[0, 1] == pytest.approx(
            np.corrcoef(full[:, 0], full[:, 2])[0, 1], abs=0.03
        )


def test_equal_arms_make_all_assumptions_equal() -> None:
    """With the same model in both arms every assumption is missing at random, value by value."""
    rng = np.random.default_rng(3)
    full, arm, baseline = trial(rng, 200)
    scores = lose(full, arm, rng)
    draws = normal_draws(scores, treated=arm, may_impute=np.ones_like(scores, bool), covariates=baseline, rng=rng)
    same = replace(draws, treated=draws.comparison)
    mar = reference_based(same, "MAR")
    for assumption in ("J2R", "CIR", "CR"):
        np.testing.assert_allclose(reference_based(same, assumption), mar, rtol=1e-10)


def test_comparison_arm_is_the_same_under_all() -> None:
    """Only the treated after their last rating differ between assumptions, and the effect shrinks towards none."""
    rng = np.random.default_rng(4)
    full, arm, baseline = trial(rng, 2000, effect=-0.8)
    scores = lose(full, arm, rng, gaps=True)
    draws = normal_draws(scores, treated=arm, may_impute=np.ones_like(scores, bool), covariates=baseline, rng=rng)
    sets: dict[Assumption, np.ndarray] = {name: reference_based(draws, name) for name in ("MAR", "J2R", "CIR", "CR")}
    rated_before = np.arange(3) < np.where(np.isfinite(scores), [1, 2, 3], 0).max(axis=1)[:, None]
    for one in sets.values():
        np.testing.assert_array_equal(one[:, ~arm], sets["MAR"][:, ~arm])
        np.testing.assert_array_equal(one[:, rated_before], sets["MAR"][:, rated_before])
    effect = {name: one[:, arm, 2].mean() - one[:, ~arm, 2].mean() for name, one in sets.items()}
    assert effect["MAR"] < effect["CIR"] < effect["J2R"] < 0
    assert effect["MAR"] < effect["CR"] < 0


@pytest.mark.slow
def test_rubins_variance_against_repeated_samples() -> None:
    """Over 600 samples Rubin's variance is that of the estimates under MAR, and plainly more under jump to reference.

    The Monte Carlo error of a variance from 600 samples is 6%.
    """
    from causal.effect.missing.rubin import pool

    rng = np.random.default_rng(5)
    found: dict[Assumption, list[tuple[float, float, bool]]] = {"MAR": [], "J2R": []}
    for _ in range(600):
        full, arm, baseline = trial(rng, 200)
        scores = lose(full, arm, rng)
        draws = normal_draws(scores, treated=arm, may_impute=np.ones_like(scores, bool), covariates=baseline, rng=rng)
        for assumption, estimates in found.items():
            y = reference_based(draws, assumption)[..., 2]
            one, zero = y[:, arm], y[:, ~arm]
            variance = one.var(axis=1, ddof=1) / 100 + zero.var(axis=1, ddof=1) / 100
            pooled = pool(one.mean(axis=1) - zero.mean(axis=1), variance, 198, label="difference")
            covers = pooled.contrast.lower < -0.4 < pooled.contrast.upper
            estimates.append((pooled.contrast.value, pooled.total, covers))
    ratio = {name: np.mean([t for _, t, _ in rows]) / np.var([q for q, _, _ in rows]) for name, rows in found.items()}
    mar = np.array(found["MAR"])
    assert abs(mar[:, 0].mean() + 0.4) < 3 * mar[:, 0].std() / 600**0.5
    assert ratio["MAR"] == pytest.approx(1.0, abs=0.15)
    assert mar[:, 2].mean() == pytest.approx(0.95, abs=0.027)
    assert ratio["J2R"] > 1.2


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_undefined_scores_stay_undefined(seed: int) -> None:
    """After the end nothing is imputed, before it everything missing is, and ratings are returned as they came."""
    rng = np.random.default_rng(seed)
    full, arm, baseline = trial(rng, 300)
    scores = lose(full, arm, rng, gaps=True)
    defined = np.arange(3) < rng.integers(1, 5, 300)[:, None]
    scores[~defined] = np.nan
    draws = normal_draws(scores, treated=arm, may_impute=defined, covariates=baseline, rng=rng)
    for assumption in ("MAR", "J2R", "CIR", "CR"):
        sets = reference_based(draws, assumption)
        assert np.isnan(sets[:, ~defined]).all()
        assert np.isfinite(sets[:, defined]).all()
        rated = np.isfinite(scores)
        np.testing.assert_array_equal(sets[:, rated], np.broadcast_to(scores[rated], (20, rated.sum())))


@pytest.mark.parametrize("gaps", [False, True])
def test_row_order_and_units(gaps: bool) -> None:
    """Rows in another order give the same values; other units give the values in those units."""
    rng = np.random.default_rng(7)
    full, arm, baseline = trial(rng, 120)
    scores = lose(full, arm, rng, gaps=gaps)
    order = rng.permutation(120)

    def sets(y: np.ndarray, rows: np.ndarray) -> np.ndarray:
        draws = normal_draws(
            y[rows],
            treated=arm[rows],
            may_impute=np.ones((120, 3), bool),
            covariates=baseline[rows],
            iterations=3,
            rng=np.random.default_rng(8),
        )
        return reference_based(draws, "CIR")

    plain = sets(scores, np.arange(120))
    np.testing.assert_allclose(sets(scores, order), plain[:, order], rtol=1e-9)
    np.testing.assert_allclose(sets(10 + 3 * scores, np.arange(120)), 10 + 3 * plain, rtol=1e-7)


def test_aliased_covariates_are_named() -> None:
    """A covariate constant in one arm is left out by name, because the other arm's model could not be applied to it."""
    rng = np.random.default_rng(9)
    scores, arm, baseline = trial(rng, 200)
    only_comparison = np.where(arm, 0.0, rng.random(200) < 0.5)
    draws = normal_draws(
        scores,
        treated=arm,
        may_impute=np.ones((200, 3), bool),
        covariates=np.column_stack([baseline, only_comparison]),
        names=["baseline", "clinic"],
        rng=rng,
    )
    assert draws.aliased == ("clinic",)


def test_refusals() -> None:
    """Unrated visits, too few ratings, values after the end and missing covariates have codes of their own."""
    rng = np.random.default_rng(10)
    full, arm, baseline = trial(rng, 60)
    may = np.ones((60, 3), dtype=bool)

    def code(scores: np.ndarray, allowed: np.ndarray = may, x: np.ndarray = baseline, m: int = 20) -> str:
        with pytest.raises(EstimationError) as refusal:
            normal_draws(scores, treated=arm, may_impute=allowed, covariates=x, imputations=m, rng=rng)
        return refusal.value.code

    bare, few, late = full.copy(), full.copy(), full.copy()
    bare[arm, 2] = np.nan
    few[np.flatnonzero(arm)[3:], 2] = np.nan
    late[0, 1] = np.nan
    ended = may.copy()
    ended[0, 1] = False
    assert code(bare) == "estimation.nothing_observed"
    assert code(few) == "estimation.too_few_ratings"
    assert code(late, ended) == "estimation.inconsistent_scores"
    assert code(full, x=np.where(np.arange(60)[:, None] == 0, np.nan, baseline)) == "estimation.not_finite"
    assert code(full, m=1) == "estimation.too_few_imputations"
    assert code(np.repeat(full[:, :1], 3, axis=1)) == "estimation.no_variation"


def test_too_few_ratings_tells_no_count() -> None:
    """The refusal says how many ratings the model needs, never how many there are."""
    rng = np.random.default_rng(3)
    scores, arm = rng.normal(3.5, 0.5, (40, 2)), np.arange(40) < 20
    scores[:18, 1] = np.nan
    with pytest.raises(EstimationError, match="fewer ratings of the treated arm reach visit 2 than the 5") as refusal:
        normal_draws(
            scores, treated=arm, may_impute=np.ones((40, 2), bool), covariates=rng.normal(size=(40, 1)), rng=rng
        )
    assert refusal.value.code == "estimation.too_few_ratings"


@pytest.mark.parametrize("visit", [0, 1])
def test_ratings_all_alike_have_no_normal_model(visit: int) -> None:
    """An arm whose ratings at a visit are all equal is refused by name, with no warning on the way."""
    rng = np.random.default_rng(4)
    scores, arm = rng.normal(3.5, 0.5, (80, 2)), np.arange(80) < 40
    scores[:40, visit] = 4.3
    scores[:5, 1] = np.nan
    with pytest.raises(EstimationError, match=f"treated arm at visit {visit + 1} do not vary") as refusal:
        normal_draws(scores, treated=arm, may_impute=np.ones((80, 2), bool), rng=rng)
    assert refusal.value.code == "estimation.no_variation"


def test_ratings_that_follow_from_earlier_ones() -> None:
    """A visit that repeats the one before leaves no noise to draw: refused, though rounding leaves a little."""
    rng = np.random.default_rng(5)
    scores, arm = np.repeat(rng.normal(3.5, 0.5, (80, 1)), 2, axis=1), np.arange(80) < 40
    scores[:5, 1] = np.nan
    with pytest.raises(EstimationError, match="follow exactly") as refusal:
        normal_draws(scores, treated=arm, may_impute=np.ones((80, 2), bool), rng=rng)
    assert refusal.value.code == "estimation.no_variation"
