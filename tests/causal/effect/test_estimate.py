"""The headline pair: excluded occasions, weights, clustering, and the exact decomposition."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from causal.design.diagnose import Diagnostics
from causal.design.propensity.curvature import Curvature
from causal.effect.adjustment import adjustment_of
from causal.effect.cluster_robust import cluster_robust
from causal.effect.estimate import detectable, estimate_effects
from causal.effect.sample import without_excluded
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.records import AttritionStep, Design, Outcomes
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship study."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


def unadjusted(study: OccasionStudy) -> OccasionStudy:
    """The study with no covariate in the outcome regression."""
    return study.model_copy(update={"estimator": study.estimator.model_copy(update={"adjust_for": ()})})


def design_of(n_sets: int, *, clinicians: int = 50, seed: int = 4) -> Design:
    """Sets of one treated and two comparison occasions with one covariate."""
    rng = np.random.default_rng(seed)
    n = 3 * n_sets
    members = pd.DataFrame(
        {
            "set_id": np.repeat(np.arange(n_sets), 3),
            "treated": np.tile([True, False, False], n_sets),
            "weight": np.tile([1.0, 0.5, 0.5], n_sets),
            "ta_id": [f"t{i}" for i in range(n)],
            "person_id": [f"p{i}" for i in range(n)],
            "clinician_id": [f"c{i}" for i in rng.integers(0, clinicians, n)],
            "clinic_id": [f"k{i}" for i in rng.integers(0, 5, n)],
        }
    )
    return Design(
        members=members,
        covariates=rng.normal(size=(n, 1)),
        covariate_names=("severity",),
        estimand="ATT",
        estimand_label="ATT",
        estimand_sentence="the average effect",
        method_sentence="matched",
        grouping="matched set",
        attrition=(AttritionStep(rule="all", persons=n, occasions=n, treated=n_sets),),
        balance=(),
        overlap=(),
        propensity_method="maximum likelihood",
        c_statistic=0.7,
        events_per_parameter=12.0,
        aliased=(),
        separated=(),
        fates=(),
        curvature=Curvature(linear=None),
        caliper=0.2,
        n_eligible_treated=n_sets,
        n_unmatched_treated=0,
        lost_share=0.0,
        pretrend_smd=None,
        ended_in_grace_share=0.0,
        diagnostics=Diagnostics(**dict.fromkeys(field.name for field in dataclasses.fields(Diagnostics))),
    )


def outcomes_of(design: Design, *, missing: float = 0.1, excluded: NDArray[np.bool_] | None = None) -> Outcomes:
    """Random endings and ratings; the warned end more often and rate lower."""
    rng = np.random.default_rng(11)
    n, treated = len(design.members), design.members["treated"].to_numpy()
    ended = rng.random(n) < np.where(treated, 0.4, 0.25)
    score = 3.6 - 0.3 * treated + 0.2 * design.covariates[:, 0] + rng.normal(0, 0.5, n)
    score[ended | (rng.random(n) < missing)] = np.nan
    none = np.zeros(n, dtype=np.bool_)
    return Outcomes(
        ended=ended,
        score=score,
        excluded=none if excluded is None else excluded,
        undefined=ended,
        day=90,
        half_width=21,
    )


def test_unadjusted_effects_are_differences_of_weighted_means(study: OccasionStudy) -> None:
    """Without covariates and missing ratings both effects are the differences of the printed arm means, by hand."""
    design = design_of(60)
    outcomes = outcomes_of(design, missing=0.0)
    effects = estimate_effects(design, outcomes, unadjusted(study))
    treated, weight = design.members["treated"].to_numpy(), design.members["weight"].to_numpy()
    composite = np.where(outcomes.ended, 1.0, outcomes.score)
    for estimate, outcome in ((effects.termination, outcomes.ended.astype(float)), (effects.composite, composite)):
        means = [np.average(outcome[arm], weights=weight[arm]) for arm in (treated, ~treated)]
        assert estimate.value == pytest.approx(means[0] - means[1], abs=1e-12)
        assert (estimate.mean_treated, estimate.mean_comparison) == pytest.approx(means, abs=1e-12)
    assert effects.n_ended_treated == outcomes.ended[treated].sum()
    assert effects.n_ended_comparison == outcomes.ended[~treated].sum()


def test_decomposition_is_exact(study: OccasionStudy) -> None:
    """Adjusted, weighted for response: the two parts still add up to the composite difference."""
    design = design_of(80)
    effects = estimate_effects(design, outcomes_of(design), study)
    assert effects.termination_part + effects.level_part == pytest.approx(effects.composite.value, abs=1e-12)
    assert 0 < effects.response_treated < 1
    assert 0 < effects.response_comparison < 1


def test_adjustment_is_the_weighted_regression(study: OccasionStudy) -> None:
    """The risk difference is the coefficient of treatment in the weighted regression on the adjusted covariates."""
    design = design_of(60)
    outcomes = outcomes_of(design)
    effects = estimate_effects(design, outcomes, study)
    members = design.members
    adjusted = adjustment_of(design, study)
    assert adjusted.names == ("severity", "severity, bend")
    x = np.column_stack([np.ones(len(members)), members["treated"], adjusted.values])
    fit = cluster_robust(
        x,
        outcomes.ended.astype(float),
        weights=members["weight"].to_numpy(),
        clusters=pd.factorize(members["clinician_id"])[0],
        contrast=np.array([0.0, 1.0, 0.0, 0.0]),
    )
    primary = effects.termination.intervals[0]
    assert primary.clustered_by == "clinician"
    assert (effects.termination.value, primary.std_error, primary.df) == pytest.approx(
        (fit.coefficient, fit.std_error, fit.df), rel=1e-9
    )


def test_enough_clinicians_give_the_main_interval(study: OccasionStudy) -> None:
    """Thirty clinicians or more: their interval comes first, be it the narrower; the matched set's stands beside it."""
    design = design_of(80, clinicians=50)
    effects = estimate_effects(design, outcomes_of(design), study)
    for estimate in (effects.termination, effects.composite):
        assert [interval.clustered_by for interval in estimate.intervals] == ["clinician", "matched set"]
        assert estimate.intervals[1].clusters == 80
        assert estimate.why_main.startswith("30 or more clinicians contribute")


@pytest.mark.parametrize("seed", range(6))
def test_few_clinicians_give_the_wider_interval(study: OccasionStudy, seed: int) -> None:
    """Below thirty, each difference by itself: the wider interval comes first, the other stands beside it."""
    design = design_of(80, clinicians=12, seed=seed)
    outcomes = outcomes_of(design)
    effects = estimate_effects(design, outcomes, study)
    for estimate in (effects.termination, effects.composite):
        first, second = (interval.upper - interval.lower for interval in estimate.intervals)
        assert first >= second
        assert {interval.clustered_by for interval in estimate.intervals} == {"clinician", "matched set"}
        assert estimate.why_main.startswith("Fewer than 30 clinicians contribute")
    enough = study.model_copy(update={"estimator": study.estimator.model_copy(update={"minimum_clusters": 12})})
    told = estimate_effects(design, outcomes, enough).composite
    assert told.intervals[0].clustered_by == "clinician"
    assert {i.clustered_by: i for i in told.intervals} == {i.clustered_by: i for i in effects.composite.intervals}


def test_the_wider_interval_is_chosen_for_each_difference(study: OccasionStudy) -> None:
    """Clinicians drift apart in ratings but not in endings: one difference goes by clinician, the other by set."""
    found = set()
    for seed in range(20):
        design = design_of(80, clinicians=12, seed=seed)
        outcomes = outcomes_of(design)
        drift = np.random.default_rng(seed).normal(size=12)[design.members["clinician_id"].str[1:].astype(int)]
        drifting = dataclasses.replace(outcomes, score=outcomes.score + drift)
        effects = estimate_effects(design, drifting, study)
        found.add(tuple(e.intervals[0].clustered_by for e in (effects.termination, effects.composite)))
    assert ("matched set", "clinician") in found


@pytest.mark.parametrize("arm", [True, False])
def test_an_arm_in_one_clinician_is_refused(study: OccasionStudy, *, arm: bool) -> None:
    """All warned, or all others, with one clinician: no interval by set stands in for what cannot be known."""
    design = design_of(80)
    members = design.members
    alone = members["clinician_id"].where(members["treated"] != arm, "c0")
    confined = dataclasses.replace(design, members=members.assign(clinician_id=alone))
    with pytest.raises(EstimationError, match=r"^\[estimation\.arm_in_one_cluster\] all of one group lie in one clin"):
        estimate_effects(confined, outcomes_of(design), study)


def test_exclusions_may_leave_an_arm_in_one_clinician(study: OccasionStudy) -> None:
    """What counts is who stays in the estimand, not who was compared."""
    design = design_of(80)
    members = design.members
    one = members["set_id"] < 40
    design = dataclasses.replace(
        design, members=members.assign(clinician_id=members["clinician_id"].where(~(one & members["treated"]), "c0"))
    )
    assert estimate_effects(design, outcomes_of(design), study).composite.n_sets == 80
    with pytest.raises(EstimationError, match=r"^\[estimation\.arm_in_one_cluster\]"):
        estimate_effects(design, outcomes_of(design, excluded=~one.to_numpy()), study)


def test_excluded_occasions_leave_with_what_hangs_on_them(study: OccasionStudy) -> None:
    """A set whose warned occasion leaves is gone; one that loses a comparison leans wholly on the other."""
    design = design_of(40)
    excluded = np.zeros(120, dtype=np.bool_)
    excluded[0] = True  # the treated occasion of set 0
    excluded[4] = True  # one comparison of set 1
    excluded[[7, 8]] = True  # both comparisons of set 2
    kept, weights = without_excluded(design, excluded)
    assert np.flatnonzero(~kept).tolist() == [0, 1, 2, 4, 6, 7, 8]
    assert weights[:2].tolist() == [1.0, 1.0]  # set 1: the warned occasion and the comparison that is left
    assert weights[2:].tolist() == [1.0, 0.5, 0.5] * 37
    effects = estimate_effects(design, outcomes_of(design, excluded=excluded), study)
    assert (effects.composite.n_sets, effects.n_excluded) == (38, 7)


def test_what_leaves_does_not_matter(study: OccasionStudy) -> None:
    """The outcome of an excluded occasion changes no number."""
    design = design_of(40)
    excluded = np.zeros(120, dtype=np.bool_)
    excluded[[1, 5]] = True
    outcomes = outcomes_of(design, excluded=excluded)
    ended, score = outcomes.ended.copy(), outcomes.score.copy()
    ended[excluded], score[excluded] = ~ended[excluded], np.nan
    changed = dataclasses.replace(outcomes, ended=ended, score=score)
    assert estimate_effects(design, changed, study) == estimate_effects(design, outcomes, study)


def test_too_few_sets(study: OccasionStudy) -> None:
    """Fewer sets than the study's minimum: described, not estimated; the count itself is not printed."""
    design = design_of(study.minimum_n_inference - 1)
    with pytest.raises(EstimationError, match=r"^\[estimation\.too_few_sets\] fewer than 20"):
        estimate_effects(design, outcomes_of(design), study)


def test_a_shift_of_every_rating_shifts_only_the_level(study: OccasionStudy) -> None:
    """Ratings moved by a constant in the warned arm move the level's part by the share that stays, adjusted alike."""
    design = design_of(80)
    outcomes = outcomes_of(design, missing=0.0)
    treated = design.members["treated"].to_numpy()
    moved = dataclasses.replace(outcomes, score=outcomes.score + np.where(treated, 0.2, 0.0))
    plain = unadjusted(study)
    before, after = (estimate_effects(design, o, plain) for o in (outcomes, moved))
    staying = 1 - before.termination.mean_treated
    assert after.composite.value - before.composite.value == pytest.approx(0.2 * staying, abs=1e-12)
    assert after.termination == before.termination


def test_detectable() -> None:
    """1.96 + 0.8416 standard errors for 80% power with many degrees of freedom, more with few."""
    assert detectable(1.0, 1e9) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert detectable(1.0, 10.0) > detectable(1.0, 100.0)
