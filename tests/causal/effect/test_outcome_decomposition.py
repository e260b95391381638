"""The composite outcome: exact decomposition, missing ratings, refusals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.outcome_decomposition import CompositeEffect, composite_effect, decompose
from causal.errors import EstimationError


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Matched rows with endings, ratings and who gave them; ``truth`` holds every rating that exists."""

    treated: np.ndarray
    terminated: np.ndarray
    truth: np.ndarray
    responded: np.ndarray
    weights: np.ndarray
    sets: np.ndarray
    covariates: np.ndarray


def followed(rng: np.random.Generator, *, sets: int = 300, missing: float = 0.1) -> Followed:
    """Draw sets of one treated and two comparisons; a prior rating drives endings, ratings and responding."""
    code, treated = np.repeat(np.arange(sets), 3), np.tile([True, False, False], sets)
    prior = rng.normal(size=code.size)
    ended = rng.random(code.size) < 1 / (1 + np.exp(1.3 - 0.6 * treated + 0.5 * prior))
    rating = 3.5 - 0.25 * treated + 0.5 * prior + 0.4 * rng.normal(size=code.size)
    answer = 1 / (1 + np.exp(-np.log(1 / missing - 1) - 1.5 * prior + 0.8 * treated)) if missing > 0 else 1.0
    return Followed(
        treated=treated,
        terminated=ended,
        truth=np.where(ended, np.nan, np.clip(rating, 1, 5)),
        responded=(rng.random(code.size) < answer) & ~ended,
        weights=np.where(treated, 1.0, 0.5),
        sets=code,
        covariates=np.column_stack([prior, rng.normal(size=code.size)]),
    )


def estimate(f: Followed, *, adjust: bool = True, response: bool = True, complete: bool = False) -> CompositeEffect:
    """Estimate on the ratings given, or on all that exist."""
    responded = ~f.terminated if complete else f.responded
    return composite_effect(
        f.treated,
        f.terminated,
        np.where(responded, f.truth, np.nan),
        responded,
        clusters=f.sets,
        weights=f.weights,
        response_covariates=f.covariates if response else None,
        covariates=f.covariates if adjust else None,
    )


def test_published_parts() -> None:
    """Floor 1, endings .34 and .22, ratings 3.40 and 3.62: -0.4596 = -0.3012 (endings) - 0.1584 (level), by hand."""
    parts = decompose(p1=0.34, p0=0.22, m1=3.40, m0=3.62)
    found = (parts.difference, parts.termination_part, parts.level_part)
    assert found == pytest.approx((-0.4596, -0.3012, -0.1584), abs=1e-12)


def test_rows_reproduce_the_published_parts() -> None:
    """Fifty rows per arm with those shares and means give the same three numbers through the estimator."""
    ended = np.r_[np.arange(50) < 17, np.arange(50) < 11]
    treated = np.arange(100) < 50
    score = np.where(ended, np.nan, np.where(treated, 3.40, 3.62))
    effect = composite_effect(treated, ended, score, ~ended, clusters=np.arange(100) % 50)
    assert (effect.composite.value, effect.termination_part, effect.level_part) == pytest.approx(
        (-0.4596, -0.3012, -0.1584), abs=1e-12
    )
    assert effect.termination.value == pytest.approx(0.12)
    assert effect.response_method == "everyone responded"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.05, 0.3]), st.floats(0, 2))
def test_parts_add_up_exactly(
    seed: int,
    adjust: bool,
    response: bool,
    missing: float,
    floor: float,
) -> None:
    """Whatever the covariates, weights, missing ratings and floor, the parts are the composite to rounding."""
    f = followed(np.random.default_rng(seed), sets=60, missing=missing)
    effect = composite_effect(
        f.treated,
        f.terminated,
        np.where(f.responded, f.truth, np.nan),
        f.responded,
        clusters=f.sets,
        weights=f.weights * np.random.default_rng(seed).uniform(0.5, 2, f.sets.size),
        response_covariates=f.covariates if response else None,
        covariates=f.covariates if adjust else None,
        floor=floor,
    )
    assert effect.termination_part + effect.level_part == pytest.approx(effect.composite.value, abs=1e-10)
    assert effect.termination_part == pytest.approx((floor - effect.midpoint) * effect.termination.value)
    if not adjust:
        parts = decompose(p1=effect.p1, p0=effect.p0, m1=effect.m1, m0=effect.m0, floor=floor)
        assert effect.composite.value == pytest.approx(parts.difference, abs=1e-10)
        assert effect.termination_part == pytest.approx(parts.termination_part, abs=1e-10)
        assert effect.level_part == pytest.approx(parts.level_part, abs=1e-10)


def test_without_missing_ratings_it_is_the_regression_of_the_composite() -> None:
    """With every rating given the effect is plain regression of floor-or-rating, and the means are plain means."""
    from causal.effect.matched_estimates import weighted_ancova

    f = followed(np.random.default_rng(1), missing=0.0)
    effect = estimate(f)
    plain = weighted_ancova(np.where(f.terminated, 1.0, f.truth), f.treated, f.covariates, f.weights, f.sets)
    assert effect.composite.value == pytest.approx(plain.value, rel=1e-10)
    assert effect.composite.std_error == pytest.approx(plain.std_error, rel=1e-10)
    staying = f.treated & ~f.terminated
    assert effect.m1 == pytest.approx(f.truth[staying].mean())
    assert (effect.response_treated, effect.largest_response_weight) == (1.0, 1.0)


def test_missing_ratings_do_not_bias_the_composite() -> None:
    """Over 200 samples with one rating in eight missing (more among the discontent) the mean error is within noise.

    The error is against the same sample with every rating known. Leaving the non-responders out instead, which counts
    every ending but not every stay, is biased by far more than the noise.
    """
    rng = np.random.default_rng(20240601)
    errors, left_out, missing = [], [], []
    for _ in range(200):
        f = followed(rng, missing=0.06)
        effect, known = estimate(f, adjust=False), estimate(f, adjust=False, complete=True)
        errors.append(effect.composite.value - known.composite.value)
        observed = f.terminated | f.responded
        y = np.where(f.terminated, 1.0, f.truth)
        arms = [np.average(y[observed & a], weights=f.weights[observed & a]) for a in (f.treated, ~f.treated)]
        left_out.append(arms[0] - arms[1] - known.composite.value)
        missing.append(1 - f.responded[~f.terminated].mean())
        assert effect.response_method == "logistic regression"
    noise = np.std(errors) / np.sqrt(200)
    assert 0.08 < np.mean(missing) < 0.16
    assert abs(np.mean(errors)) < 3 * noise
    assert abs(np.mean(errors)) < 0.01
    assert abs(np.mean(left_out)) > 10 * noise


def test_shares_by_arm_would_be_biased_where_covariates_explain_responding() -> None:
    """The covariates of the response model earn their place: without them the mean error is several times noise."""
    rng = np.random.default_rng(7)
    with_model, without = [], []
    for _ in range(100):
        f = followed(rng, missing=0.2)
        known = estimate(f, adjust=False, complete=True).level_part
        with_model.append(estimate(f, adjust=False).level_part - known)
        without.append(estimate(f, adjust=False, response=False).level_part - known)
    noise = np.std(with_model) / 10
    assert abs(np.mean(with_model)) < 3 * noise
    assert abs(np.mean(without)) > 5 * noise


def test_few_missing_ratings_fall_back_to_shares_and_say_so() -> None:
    """Three missing ratings do not carry a regression: the share by arm is used and the note says why."""
    f = followed(np.random.default_rng(3), sets=40, missing=0.0)
    responded = ~f.terminated
    responded[np.flatnonzero(responded)[:3]] = False
    effect = composite_effect(
        f.treated,
        f.terminated,
        np.where(responded, f.truth, np.nan),
        responded,
        clusters=f.sets,
        weights=f.weights,
        response_covariates=f.covariates,
    )
    assert effect.response_method == "share by arm"
    assert "too few" in effect.response_note
    staying = f.treated & responded
    assert effect.m1 == pytest.approx(f.truth[staying].mean())


def test_without_covariates_the_share_by_arm_is_no_regression() -> None:
    """Nothing but the group may explain who answered: the method is named for what it is, and nothing went wrong."""
    effect = estimate(followed(np.random.default_rng(6), sets=200, missing=0.2), response=False)
    assert (effect.response_method, effect.response_note) == ("share by arm", "")


def test_covariates_that_decide_who_answers_are_said() -> None:
    """Where a covariate tells exactly who answered nothing can stand in for the others, and the note says so."""
    f = followed(np.random.default_rng(4), sets=100, missing=0.0)
    effect = estimate(replace(f, responded=~f.terminated & (f.covariates[:, 0] > -0.8)))
    assert effect.response_method == "logistic regression"
    assert "exactly who answered" in effect.response_note


def test_a_group_that_always_answers_is_welcome() -> None:
    """A clinic in which everyone answered keeps the regression: its ratings stand for little but themselves."""
    rng = np.random.default_rng(6)
    f = followed(rng, sets=200, missing=0.1)
    clinic = (np.arange(f.sets.size) % 4 == 0).astype(float)
    responded = np.where(clinic == 1, ~f.terminated, f.responded)
    effect = estimate(replace(f, responded=responded, covariates=np.column_stack([f.covariates, clinic])))
    assert (effect.response_method, effect.response_note) == ("logistic regression", "")


def test_arm_in_which_every_relationship_ended() -> None:
    """Its composite is the floor for everyone: nothing tells how it varies there, and no interval is made of it."""
    treated = np.arange(20) < 10
    ended = treated | (np.arange(20) == 15)
    score = np.where(ended, np.nan, np.linspace(3, 4, 20))
    with pytest.raises(EstimationError, match="among the treated") as refusal:
        composite_effect(treated, ended, score, ~ended, clusters=np.arange(20) % 10)
    assert refusal.value.code == "estimation.constant_outcome"


@pytest.mark.parametrize("left", ["nobody", "nobody treated", "everyone but one treated"])
def test_a_mean_of_ratings_needs_no_ending(left: str) -> None:
    """Where an arm has no ending the composite keeps its interval and its exact parts; the share has neither."""
    treated, row = np.arange(40) < 20, np.arange(40)
    ended = {"nobody": row < 0, "nobody treated": row >= 30, "everyone but one treated": (row > 0) & (row < 20)}[left]
    score = np.where(ended, np.nan, np.linspace(2, 4, 40)[::-1] + 0.3 * np.sin(row))
    effect = composite_effect(treated, ended, score, ~ended, clusters=row % 20)
    means = [np.where(ended, 1.0, score)[arm].mean() for arm in (treated, ~treated)]
    assert effect.composite.value == pytest.approx(means[0] - means[1])
    assert effect.composite.lower < effect.composite.value < effect.composite.upper
    assert effect.termination_part + effect.level_part == pytest.approx(effect.composite.value, rel=1e-12)
    assert effect.termination_part == pytest.approx((1.0 - effect.midpoint) * (effect.p1 - effect.p0))
    assert effect.termination is None
    assert "one value only" in effect.termination_refused


def test_swapped_arms_flip_every_sign() -> None:
    """Calling the arms the other way round negates the composite and both parts."""
    f = followed(np.random.default_rng(5), missing=0.0)
    one, other = estimate(f), estimate(replace(f, treated=~f.treated))
    found = (other.composite.value, other.termination_part, other.level_part)
    assert found == pytest.approx((-one.composite.value, -one.termination_part, -one.level_part), rel=1e-9)


def test_bends_of_the_response_model_need_enough_silences() -> None:
    """With four silences a term the bends are in the model of who answered; with fewer it is that of the lines."""
    rng = np.random.default_rng(8)
    n, x = 600, rng.normal(size=(600, 1))
    both, treated = np.column_stack([x, x**2]), rng.random(600) < 0.4
    score = 3.5 - 0.4 * x[:, 0] ** 2 + rng.normal(0, 0.3, n)
    for silences, same in ((200, False), (11, True)):
        silent = np.argsort(-(np.abs(x[:, 0]) + rng.normal(0, 0.2, n)), kind="stable")[:silences]
        given = ~np.isin(np.arange(n), silent)
        rated = np.where(given, score, np.nan)
        nobody = np.zeros(n, dtype=bool)
        lines, bent = (
            composite_effect(
                treated, nobody, rated, given, clusters=np.arange(n), response_covariates=terms, response_bends=bends
            )
            for terms, bends in ((x, 0), (both, 1))
        )
        assert lines.response_method == bent.response_method == "logistic regression"
        assert (bent.m0 == lines.m0) is same
        if not same:
            truth = score[~treated].mean()
            assert abs(bent.m0 - truth) < abs(lines.m0 - truth)


@pytest.mark.slow
def test_interval_covers_the_truth() -> None:
    """95% intervals of the composite cover in 93 to 97.5% of 1,000 samples of 120 sets, one rating in eight missing.

    The response model is estimated in each sample and taken as known by the error (Monte Carlo error .7%).
    """
    rng = np.random.default_rng(99)
    population = followed(rng, sets=400_000, missing=0.0)
    y = np.where(population.terminated, 1.0, population.truth)
    truth = y[population.treated].mean() - y[~population.treated].mean()
    samples = [estimate(followed(rng, sets=120, missing=0.06)).composite for _ in range(1000)]
    assert 0.93 <= np.mean([effect.lower <= truth <= effect.upper for effect in samples]) <= 0.975
    assert np.mean([effect.value for effect in samples]) == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize(
    ("score", "responded", "terminated", "code"),
    [
        ([3.0, 3, 3, 3], [1, 1, 1, 1], [1, 0, 0, 0], "estimation.inconsistent_scores"),
        ([np.nan, 3, 3, 3], [1, 1, 1, 1], [0, 0, 0, 0], "estimation.inconsistent_scores"),
        ([3.0, 3, 3, 3], [0, 1, 1, 1], [0, 0, 0, 0], "estimation.inconsistent_scores"),
        ([np.nan, np.nan, 3, 3], [0, 0, 1, 1], [0, 0, 0, 0], "estimation.no_scores"),
    ],
)
def test_refusals(score: list[float], responded: list[int], terminated: list[int], code: str) -> None:
    """Ratings that contradict the endings, and an arm without ratings, are refused."""
    with pytest.raises(EstimationError) as caught:
        composite_effect(
            np.array([True, True, False, False]),
            np.array(terminated, dtype=bool),
            np.array(score),
            np.array(responded, dtype=bool),
            clusters=np.array([0, 1, 0, 1]),
        )
    assert caught.value.code == code
