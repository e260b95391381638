"""AIPW and TMLE: saturated strata by hand, brute force, invariances, refusals, and known truths recovered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.effect.doubly_robust.aipw import aipw
from causal.effect.doubly_robust.outcome_model import OutcomeModel, Predictions, predicted_means
from causal.effect.doubly_robust.result import DoublyRobust
from causal.effect.doubly_robust.tmle import tmle
from causal.effect.standardisation import g_computation
from causal.errors import EstimationError
from causal.numeric.folds import drawn_folds, strata_of
from causal.numeric.keys import keys_of_content

NAMES = ("a", "b")
ESTIMANDS = ("ATT", "ATC", "ATE")
WIDE = (-20.0, 20.0)
LINES = OutcomeModel()
Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def estimate(which: str, *arguments: Any, **options: Any) -> DoublyRobust:
    """Either estimator; TMLE with bounds wide enough for any of the samples unless others are given."""
    options.setdefault("names", NAMES)
    if which == "aipw":
        options.pop("bounds", None)
        return aipw(*arguments, **options)
    return tmle(*arguments, **{"bounds": WIDE} | options)


def sample(seed: int = 1, n: int = 300) -> Sample:
    """Outcome, arm, covariates, 30 clusters."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]).astype(float)
    arm = rng.random(n) < expit(0.6 * x[:, 0] - 0.5 * x[:, 1])
    clusters = np.arange(n) % 30
    y = x @ [0.8, -0.5] + arm * (0.5 + 0.4 * x[:, 0]) + 0.5 * rng.normal(size=30)[clusters] + rng.normal(size=n)
    return y, arm, x, clusters


def stratified() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two strata: of 4 and 6 treated in the first and second 1 and 3 had the event, of 10 and 5 others 4 and 1."""
    counts = {(0, True): (4, 1), (1, True): (6, 3), (0, False): (10, 4), (1, False): (5, 1)}
    rows = [(s, a, int(i < events)) for (s, a), (n, events) in counts.items() for i in range(n)]
    stratum, arm, y = (np.array(column) for column in zip(*rows, strict=True))
    return y.astype(float), arm.astype(bool), stratum[:, None].astype(float)


BY_HAND = {
    "ATT": ((1 + 3) / 10, (4 * 0.4 + 6 * 0.2) / 10),
    "ATC": ((10 * 0.25 + 5 * 0.5) / 15, (4 + 1) / 15),
    "ATE": ((14 * 0.25 + 11 * 0.5) / 25, (14 * 0.4 + 11 * 0.2) / 25),
}


@pytest.mark.parametrize("which", ["aipw", "tmle"])
@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("kind", ["linear", "logistic"])
def test_saturated_strata_are_standardised_by_hand(which: str, estimand: str, kind: Any) -> None:
    """Models saturated in the strata give the standardised difference exactly."""
    y, arm, x = stratified()
    found = estimate(
        which,
        y,
        arm,
        x,
        names=("s",),
        estimand=estimand,
        folds=None,
        outcome_model=OutcomeModel(kind=kind),
        bounds=(0, 1),
    )
    got = (found.mean_treated.value, found.mean_comparison.value)
    assert got == pytest.approx(BY_HAND[estimand], rel=1e-7)
    assert found.effect.value == pytest.approx(got[0] - got[1], rel=1e-12)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_scores_alone_suffice(which: str, estimand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With saturated scores even a constant for an outcome model gives the standardised difference exactly."""
    y, arm, x = stratified()

    def constant(model: object, outcome: np.ndarray, *_: object, arms: list[bool], **__: object) -> Predictions:
        del model
        return Predictions(mean={a: np.full(outcome.size, 0.37) for a in arms}, notes=())

    monkeypatch.setattr("causal.effect.doubly_robust.nuisance.predicted_means", constant)
    found = estimate(which, y, arm, x, names=("s",), estimand=estimand, folds=None, bounds=(0, 1))
    got = (found.mean_treated.value, found.mean_comparison.value)
    assert got == pytest.approx(BY_HAND[estimand], rel=1e-7)


def test_the_formula_of_the_att() -> None:
    """``(1/n1) sum [W (Y - m0) - (1 - W) e/(1 - e) (Y - m0)]`` and its influence, clustered and cross-fitted."""
    y, arm, x, clusters = sample()
    found = aipw(y, arm, x, names=NAMES, clusters=clusters, folds=5, level=0.9)
    fold = drawn_folds(keys_of_content([arm, y], x), 5, strata=strata_of(arm), clusters=clusters)
    e = fit_propensity(x, arm, names=NAMES, fold=fold).probability
    m0 = np.empty(y.size)
    for k in range(5):
        rows = (fold != k) & ~arm
        design = np.column_stack([np.ones(y.size), x])
        m0[fold == k] = design[fold == k] @ np.linalg.lstsq(design[rows], y[rows], rcond=None)[0]
    n, n1 = y.size, arm.sum()
    summand = arm * (y - m0) - ~arm * e / (1 - e) * (y - m0)
    tau = summand.sum() / n1
    influence = summand * n / n1 - arm * tau * n / n1
    totals = np.bincount(clusters, weights=influence)
    error = np.sqrt(30 / 29 * (totals @ totals)) / n
    assert found.effect.value == pytest.approx(tau, rel=1e-9)
    assert found.effect.std_error == pytest.approx(error, rel=1e-9)
    assert (found.effect.df, found.n_clusters, found.folds, found.effect.level) == (29, 30, 5, 0.9)
    assert found.influence == pytest.approx(influence, rel=1e-8, abs=1e-9)
    weight = e[~arm] / (1 - e[~arm])
    assert found.largest_weight == pytest.approx(weight.max() / weight.sum(), rel=1e-9)
    assert found.fold is not None
    assert (found.fold == fold).all()


def test_the_formula_of_the_ate() -> None:
    """``m1 - m0 + W (Y - m1)/e - (1 - W)(Y - m0)/(1 - e)``, averaged; error sd/sqrt(n) where every row is its own."""
    y, arm, x, _ = sample()
    found = aipw(y, arm, x, names=NAMES, estimand="ATE", folds=None)
    e = fit_propensity(x, arm, names=NAMES).probability
    design = np.column_stack([np.ones(y.size), x])
    m1, m0 = (design @ np.linalg.lstsq(design[rows], y[rows], rcond=None)[0] for rows in (arm, ~arm))
    summand = m1 - m0 + arm * (y - m1) / e - ~arm * (y - m0) / (1 - e)
    assert found.effect.value == pytest.approx(summand.mean(), rel=1e-9)
    assert found.effect.std_error == pytest.approx(summand.std(ddof=1) / np.sqrt(y.size), rel=1e-9)
    assert (found.folds, found.fold, found.effect.df) == (1, None, y.size - 1)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("kind", ["linear", "logistic", "ridge", "boosting"])
def test_the_efficient_score_is_solved(which: str, estimand: str, kind: Any) -> None:
    """The mean influence is 0 to 1e-8 under every outcome model, cross-fitted; TMLE's means are its own plug-in."""
    y, arm, x, clusters = sample()
    y = np.clip(y, -4, 4)
    scaled = (y + 4) / 8
    outcome, bounds = (scaled, (0.0, 1.0)) if kind == "logistic" else (y, (-4.0, 4.0))
    found = estimate(
        which,
        outcome,
        arm,
        x,
        estimand=estimand,
        clusters=clusters,
        outcome_model=OutcomeModel(kind=kind, trees=10),
        rng=np.random.default_rng(1),
        bounds=bounds,
    )
    assert abs(found.influence.mean()) < 1e-8
    if which == "tmle":
        assert bounds[0] <= found.mean_treated.value <= bounds[1]
        assert bounds[0] <= found.mean_comparison.value <= bounds[1]


def test_targeted_means_stay_within_bounds_where_augmented_ones_do_not() -> None:
    """Few events and extreme scores push AIPW's risk among the treated below 0; TMLE's stays inside, by the plug-in."""
    rng = np.random.default_rng(16)
    x = rng.normal(size=(150, 2))
    arm = rng.random(150) < expit(1.2 * x[:, 0])
    y = (rng.random(150) < expit(-2.5 - 1.5 * x[:, 0])).astype(float)
    outside = OutcomeModel(kind="linear")
    weighted = aipw(y, arm, x, names=NAMES, outcome_model=outside, folds=None, truncate=0.001)
    targeted = tmle(y, arm, x, names=NAMES, outcome_model=outside, bounds=(0, 1), folds=None, truncate=0.001)
    assert weighted.mean_comparison.value < 0 < targeted.mean_comparison.value
    assert "moved inside" in " ".join(targeted.notes)
    assert abs(targeted.influence.mean()) < 1e-8


def test_agreement_in_large_samples() -> None:
    """With 20,000 rows the two differ by less than a tenth of their standard error, for each estimand."""
    y, arm, x, _ = sample(n=20_000)
    for estimand in ESTIMANDS:
        one, other = (estimate(which, y, arm, x, estimand=estimand).effect for which in ("aipw", "tmle"))
        assert abs(one.value - other.value) < 0.1 * one.std_error
        assert other.std_error == pytest.approx(one.std_error, rel=0.01)


def test_att_and_atc_make_the_ate() -> None:
    """With constant weights and one linear model per arm, the ATE is the mixture of ATT and ATC by shares."""
    y, arm, x, _ = sample()
    by = {e: aipw(y, arm, x, names=NAMES, estimand=e, folds=None).effect.value for e in ("ATT", "ATC", "ATE")}
    share = arm.mean()
    assert by["ATE"] == pytest.approx(share * by["ATT"] + (1 - share) * by["ATC"], rel=1e-9)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50), scale=st.floats(0.1, 20))
def test_invariances(which: str, seed: int, shift: float, scale: float) -> None:
    """Order of rows, names of clusters and units change nothing; swapped arms turn the ATT into minus the ATC."""
    y, arm, x, clusters = sample(seed)
    rng = np.random.default_rng(seed)
    bounds = (shift + scale * WIDE[0], shift + scale * WIDE[1])
    plain = estimate(which, y, arm, x, clusters=clusters, folds=None).effect
    order, relabel = rng.permutation(y.size), rng.permutation(30) + 7
    moved = estimate(
        which,
        shift + scale * y[order],
        arm[order],
        3 - 2 * x[order],
        clusters=relabel[clusters[order]],
        folds=None,
        bounds=bounds,
    ).effect
    expected = (scale * plain.value, scale * plain.std_error)
    assert (moved.value, moved.std_error) == pytest.approx(expected, rel=1e-6, abs=1e-8 * scale)
    swapped = estimate(which, y, ~arm, x, clusters=clusters, folds=None, estimand="ATC").effect
    assert (swapped.value, swapped.std_error) == pytest.approx((-plain.value, plain.std_error), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
def test_names_of_clusters_do_not_matter_to_folds(which: str) -> None:
    """Cross-fitted, relabelled clusters give the same bits."""
    y, arm, x, clusters = sample()
    relabel = np.random.default_rng(0).permutation(30) * 3
    one, other = (estimate(which, y, arm, x, clusters=c).effect for c in (clusters, relabel[clusters]))
    assert one.value == other.value
    assert one.std_error == pytest.approx(other.std_error, rel=1e-12)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
def test_repeating_every_row_in_its_cluster(which: str) -> None:
    """Every row twice in its cluster: the same effect and the same error."""
    y, arm, x, clusters = sample()
    rows = np.r_[np.arange(y.size), np.arange(y.size)]
    once = estimate(which, y, arm, x, clusters=clusters, folds=None).effect
    twice = estimate(which, y[rows], arm[rows], x[rows], clusters=clusters[rows], folds=None).effect
    assert (twice.value, twice.std_error, twice.df) == pytest.approx((once.value, once.std_error, once.df), rel=1e-7)


def test_treated_rows_need_no_outcome_model() -> None:
    """For the ATT the mean of the treated is observed: no model of their outcomes enters, and few of them suffice."""
    y, arm, x, _ = sample()
    changed = y + arm * 1000.0
    one, other = (aipw(outcome, arm, x, names=NAMES, folds=None).effect for outcome in (y, changed))
    assert other.value == pytest.approx(one.value + 1000, rel=1e-10)
    few = np.zeros_like(arm)
    few[:12] = True  # 3 for each covariate: enough for Firth's scores
    many = np.column_stack([x, np.random.default_rng(2).normal(size=(y.size, 2))])
    found = aipw(y, few, many, names=tuple("abcd"), folds=None)
    assert (found.n_treated, found.propensity_method) == (12, "Firth")
    with pytest.raises(EstimationError, match="no more rows"):
        predicted_means(OutcomeModel(), y[:5], few[:5], many[:5], names=tuple("abcd"), arms=[True])


def test_truncation_is_stated_and_only_where_weights_divide() -> None:
    """Scores near 1 are moved for the ATT and those near 0 are not; rows moved are counted."""
    y, arm, x, _ = sample(n=3000)
    e = fit_propensity(x, arm, names=NAMES).probability
    limit = 0.15
    for estimand, beyond in (("ATT", e > 1 - limit), ("ATC", e < limit), ("ATE", (e < limit) | (e > 1 - limit))):
        found = aipw(y, arm, x, names=NAMES, estimand=estimand, folds=None, truncate=limit)  # type: ignore[arg-type]
        assert found.n_truncated == beyond.sum() > 0
        assert (found.truncate, found.notes) == (limit, ("scores closer than 0.15 to 0 or 1 were moved there",))
    untouched = aipw(y, arm, x, names=NAMES, folds=None, truncate=1e-6)
    assert (untouched.n_truncated, untouched.notes) == (0, ())


def test_truncated_scores_by_hand() -> None:
    """A truncated score is the limit, in both arms' weights."""
    y, arm, x, _ = sample(n=3000)
    found = aipw(y, arm, x, names=NAMES, estimand="ATE", folds=None, truncate=0.15)
    e = np.clip(fit_propensity(x, arm, names=NAMES).probability, 0.15, 0.85)
    m = predicted_means(OutcomeModel(), y, arm, x, names=NAMES, arms=[True, False]).mean
    summand = m[True] - m[False] + arm * (y - m[True]) / e - ~arm * (y - m[False]) / (1 - e)
    assert found.effect.value == pytest.approx(summand.mean(), rel=1e-10)


def test_models_of_many_kinds() -> None:
    """Elastic net, boosting and Firth's scores beside ridge, trees and lines: all within two errors of each other."""
    y, arm, x, clusters = sample(n=600)
    found = [
        aipw(
            y,
            arm,
            x,
            names=NAMES,
            clusters=clusters,
            propensity_model=PropensityModel(kind=kind, trees=12),
            outcome_model=outcome,
            rng=np.random.default_rng(3),
        ).effect
        for kind in ("logistic", "elastic_net", "boosting")
        for outcome in (OutcomeModel(), OutcomeModel(kind="ridge"), OutcomeModel(kind="boosting", trees=12))
    ]
    assert np.ptp([effect.value for effect in found]) < 2 * found[0].std_error
    assert len({effect.value for effect in found}) == 6  # a line is the truth: no trees are taken into its scores


def test_trees_are_grown_from_the_seed() -> None:
    """The same generator gives the same bits; without one trees are refused."""
    y, arm, x, _ = sample()
    boosted: dict[str, Any] = {"names": NAMES, "outcome_model": OutcomeModel(kind="boosting", trees=5)}
    one, other = (aipw(y, arm, x, rng=np.random.default_rng(4), **boosted).effect for _ in range(2))
    assert one == other
    with pytest.raises(ValueError, match="pass rng"):
        aipw(y, arm, x, **boosted)


Y, ARM, X, CLUSTERS = sample()
SEPARATED = np.column_stack([X[:, 0], ARM.astype(float)])
ONE_FOLD = np.where(ARM, 0, 1 + np.arange(300) % 9)
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "one arm": ("estimation.empty_arm", {"treated": np.ones(300, dtype=bool)}),
    "no treated": ("estimation.empty_arm", {"treated": np.zeros(300, dtype=bool)}),
    "one outcome": ("estimation.constant_outcome", {"outcome": np.ones(300)}),
    "one outcome in an arm": ("estimation.constant_outcome", {"outcome": np.where(ARM, Y, 2.0)}),
    "a missing outcome": ("estimation.not_finite", {"outcome": np.where(np.arange(300) == 3, np.nan, Y)}),
    "one cluster": ("estimation.too_few_clusters", {"clusters": np.zeros(300, dtype=int)}),
    "fewer clusters than folds": ("estimation.folds", {"clusters": CLUSTERS % 4}),
    "one fold": ("estimation.folds", {"folds": 1}),
    "an arm in one fold": ("estimation.arm_in_one_fold", {"clusters": ONE_FOLD}),
    "a covariate that is the arm": (
        "estimation.positivity",
        {"covariates": SEPARATED, "propensity_model": PropensityModel(kind="elastic_net")},
    ),
    "a tenth beyond the limit": ("estimation.positivity", {"truncate": 0.45}),
    "a limit of a half": ("estimation.truncate", {"truncate": 0.5}),
    "a misspelt product": (
        "estimation.unknown_covariate",
        {"outcome_model": OutcomeModel(arms="pooled", interactions=("c",))},
    ),
}


@pytest.mark.parametrize(
    ("changes", "message", "fix"),
    [
        ({"clusters": CLUSTERS % 4}, "4 clusters cannot be dealt into 5 folds", "choose from 2 to 4 folds, or none"),
        ({"folds": 301}, "300 rows cannot be dealt into 301 folds", "choose from 2 to 300 folds, or none"),
        ({"folds": 1}, "300 rows cannot be dealt into 1 fold", "choose from 2 to 300 folds, or none"),
    ],
)
def test_folds_that_cannot_be_dealt_are_told_with_those_that_can(
    changes: dict[str, Any], message: str, fix: str
) -> None:
    """How many there are to deal, into how many folds, and which numbers of folds there may be."""
    with pytest.raises(EstimationError) as refusal:
        aipw(Y, ARM, X, names=("a", "b"), **changes)
    assert (refusal.value.code, refusal.value.message, refusal.value.fix) == ("estimation.folds", message, fix)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
@pytest.mark.parametrize("reason", REFUSED)
def test_refusals(which: str, reason: str) -> None:
    """What no honest number can come of is refused with a code of its own."""
    code, changes = REFUSED[reason]
    arguments: dict[str, Any] = {"outcome": Y, "treated": ARM, "covariates": X, "clusters": CLUSTERS} | changes
    with pytest.raises(EstimationError) as refusal:
        estimate(which, **arguments)
    assert refusal.value.code == code


def test_scores_of_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that is 1 to the last digit is refused where nothing is truncated, even if its row is treated."""
    from dataclasses import replace

    def certain(*arguments: Any, **options: Any) -> Any:
        fitted = fit_propensity(*arguments, **options)
        return replace(fitted, logit=np.where(np.arange(300) == np.flatnonzero(ARM)[0], 800.0, fitted.logit))

    monkeypatch.setattr("causal.effect.doubly_robust.nuisance.fit_propensity", certain)
    with pytest.raises(EstimationError, match="scores are 0 or 1") as refusal:
        aipw(Y, ARM, X, names=NAMES, truncate=0)
    assert refusal.value.code == "estimation.positivity"
    assert aipw(Y, ARM, X, names=NAMES, truncate=0.01).n_truncated == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"bounds": (1, 1)}, "estimation.bounds"),
        ({"bounds": (0, 0.5)}, "estimation.bounds"),
        ({"outcome": ARM * (X[:, 0] > 0) * 1.0, "bounds": (0, 1)}, "estimation.constant_outcome"),
        ({"outcome": (X[:, 0] > 0) * 1.0, "bounds": (0, 1)}, "estimation.outcome_separated"),
    ],
)
def test_refusals_of_targeting(changes: dict[str, Any], code: str) -> None:
    """Bounds that do not rise or do not hold, an arm without events, and covariates that decide who has one."""
    arguments: dict[str, Any] = {"outcome": Y, "treated": ARM, "covariates": X, "names": NAMES} | changes
    with pytest.raises(EstimationError) as refusal:
        tmle(**arguments)
    assert refusal.value.code == code


def test_mistakes_of_the_caller() -> None:
    """Cross-fitting said twice, or arrays that do not agree, is no refusal about data."""
    with pytest.raises(ValueError, match="folds say"):
        aipw(Y, ARM, X, names=NAMES, propensity_model=PropensityModel(cross_fit=3))
    with pytest.raises(ValueError, match="do not agree"):
        aipw(Y[:-1], ARM, X, names=NAMES)


# Known truths.


def wrong_outcome_model(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Treatment is logistic in x; the outcome bends in x, which lines do not."""
    x = rng.normal(size=(n, 2))
    arm = rng.random(n) < expit(0.8 * x[:, 0] - 0.5)
    return np.exp(0.7 * x[:, 0]) + x[:, 1] + arm + rng.normal(size=n), arm, x


def wrong_score_model(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The outcome is linear in x; treatment bends in x, which the logistic model does not."""
    x = rng.normal(size=(n, 2))
    arm = rng.random(n) < expit(1.5 * np.maximum(x[:, 0], 0) * (x[:, 1] > 0) - 1)
    return x @ [1.5, 1.5] + arm + rng.normal(size=n), arm, x


def weighting(y: np.ndarray, arm: np.ndarray, x: np.ndarray) -> float:
    """The ATT by the odds of a logistic score alone."""
    odds = np.exp(fit_propensity(x, arm, names=NAMES).logit)
    return float(y[arm].mean() - np.average(y[~arm], weights=odds[~arm]))


def regression(y: np.ndarray, arm: np.ndarray, x: np.ndarray) -> float:
    """The ATT by linear regression alone."""
    return g_computation(y, arm, x, None, None, names=NAMES, kind="CR0").effect.value


@pytest.mark.parametrize(
    ("draw", "alone"), [(wrong_outcome_model, regression), (wrong_score_model, weighting)], ids=["m0 wrong", "e wrong"]
)
@pytest.mark.parametrize("which", ["aipw", "tmle"])
def test_double_robustness(
    which: str,
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, np.ndarray]],
    alone: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
) -> None:
    """One model wrong: 60 estimates average the truth, 1, to 3.5 Monte Carlo errors; the wrong one alone is off."""
    rng, repeats = np.random.default_rng(11), 60
    linear = OutcomeModel()
    robust, single = [], []
    for _ in range(repeats):
        y, arm, x = draw(rng, 1500)
        found = estimate(which, y, arm, x, outcome_model=linear, bounds=(y.min(), y.max()))
        robust.append(found.effect.value)
        single.append(alone(y, arm, x))
    error = np.std(robust) / np.sqrt(repeats)
    assert abs(np.mean(robust) - 1) < 3.5 * error
    assert abs(np.mean(single) - 1) > 6 * np.std(single) / np.sqrt(repeats)


def clinicians(rng: np.random.Generator, groups: int, size: int) -> Sample:
    """Rows of clinicians who differ in whom they treat and in outcomes; the effect is 1 + x/2 on x."""
    of = np.repeat(np.arange(groups), size)
    habit = rng.normal(size=groups)
    x = np.column_stack([rng.normal(size=of.size), habit[of]])
    arm = rng.random(of.size) < expit(0.5 * x[:, 0] + 0.5 * x[:, 1] - 0.3)
    y = x @ [0.7, 0.4] + arm * (1 + 0.5 * x[:, 0]) + 0.5 * rng.normal(size=groups)[of] + rng.normal(size=of.size)
    return y, arm, x, of


def truth(estimand: str) -> float:
    """Effect in the population `clinicians` draws from: 1 + E[x]/2 among those it is about."""
    _, arm, x, _ = clinicians(np.random.default_rng(99), 40_000, 25)
    return float(1 + 0.5 * (x[arm, 0] if estimand == "ATT" else x[:, 0]).mean())


def recovered(which: str, estimand: str, repeats: int) -> None:
    """Mean and coverage of 95% intervals over samples of 40 clinicians, each to 3.5 Monte Carlo errors."""
    rng, target = np.random.default_rng(13), truth(estimand)
    errors, covered = [], 0
    for _ in range(repeats):
        y, arm, x, clusters = clinicians(rng, 40, 12)
        effect = estimate(which, y, arm, x, estimand=estimand, clusters=clusters, outcome_model=OutcomeModel()).effect
        errors.append(effect.value - target)
        covered += effect.lower <= target <= effect.upper
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(repeats)
    assert abs(covered / repeats - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / repeats)


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_recovery_with_clinicians(estimand: str) -> None:
    """AIPW in 300 samples: no bias, and coverage of 95% within 3.5 Monte Carlo errors (4.4 points)."""
    recovered("aipw", estimand, 300)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["aipw", "tmle"])
@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_recovery_in_many_samples(which: str, estimand: str) -> None:
    """Both estimators in 1,000 samples: coverage within 2.4 points of 95%."""
    recovered(which, estimand, 1000)


@pytest.mark.parametrize("which", ["aipw", "tmle"])
def test_rare_levels_refuse_nothing(which: str) -> None:
    """Levels of three untreated rows, with one treated row, and two that separate together: estimated, and noted."""
    y, arm, x, _ = sample(n=900)
    bare, treated = np.flatnonzero(~arm), np.flatnonzero(arm)
    levels = np.zeros((900, 4))
    levels[bare[:3], 0] = 1
    levels[np.r_[bare[3:30], treated[0]], 1] = 1
    levels[np.r_[bare[30:45], treated[1]], 2] = 1
    levels[np.r_[bare[45:60], treated[1]], 3] = 1
    names = (*NAMES, "none", "one", "this", "that")
    found = estimate(which, y, arm, np.column_stack([x, levels]), names=names, estimand="ATE", outcome_model=LINES)
    without = estimate(which, y, arm, x, estimand="ATE", outcome_model=LINES)
    assert abs(found.effect.value - without.effect.value) < found.effect.std_error
    said = "\n".join(found.notes)
    assert "in few rows: left out of the model of treatment: none" in said
    assert any("some folds" in note and "one" in note for note in found.notes)


@pytest.mark.parametrize(("estimand", "arm_of_level"), [("ATT", False), ("ATC", True)])
def test_a_level_only_the_others_have_is_no_obstacle(estimand: str, arm_of_level: bool) -> None:
    """Sixty rows of a level in the arm that stands for the population: estimated; for everyone: refused."""
    y, arm, x, _ = sample(n=900)
    level = np.zeros(900)
    level[np.flatnonzero(arm == arm_of_level)[:60]] = 1
    columns = np.column_stack([x, level])
    found = estimate("aipw", y, arm, columns, names=(*NAMES, "level"), estimand=estimand)
    assert "Firth" in "\n".join(found.notes)
    with pytest.raises(EstimationError, match="level") as refusal:
        estimate("aipw", y, arm, columns, names=(*NAMES, "level"), estimand="ATE")
    assert refusal.value.code == "estimation.positivity"


def test_order_of_rows_changes_no_fold() -> None:
    """Cross-fitted on shuffled rows: the same folds, and the same effect to rounding."""
    y, arm, x, clusters = sample()
    order = np.random.default_rng(3).permutation(y.size)
    for held in (None, clusters):
        one = aipw(y, arm, x, names=NAMES, clusters=held)
        other = aipw(y[order], arm[order], x[order], names=NAMES, clusters=None if held is None else held[order])
        assert one.fold is not None
        assert other.fold is not None
        np.testing.assert_array_equal(other.fold, one.fold[order])
        assert other.effect.value == pytest.approx(one.effect.value, rel=1e-9)


def test_interleaved_pairs_in_an_even_number_of_folds() -> None:
    """Treated and comparison rows in turn, two folds: over 60 samples no bias (a fold for each arm had .12 of it)."""
    rng, errors = np.random.default_rng(5), []
    for _ in range(60):
        pair = np.repeat(rng.normal(size=100), 2)
        arm = np.arange(200) % 2 == 0
        x = pair + 0.3 * rng.normal(size=200)
        y = pair + arm + 0.3 * rng.normal(size=200)
        errors.append(aipw(y, arm, x[:, None], names=("x",), folds=2, estimand="ATE").effect.value - 1)
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(60)
