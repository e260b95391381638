"""Designs that cannot be built and effects that cannot be estimated: refused plainly, never printed as a number."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.cohort.catalogue import catalogue_of
from causal.design.build import build_design
from causal.design.fates import Fate
from causal.effect.estimate import estimate_effects
from causal.errors import DesignError, EstimationError
from causal.protocol import OccasionStudy
from causal.protocol.design import Confounders
from causal.records import AttritionStep, Cohort, Design, Outcomes, canonical
from flows.study_file import load_study
from validation.design import judge_design
from validation.verdict import Status, Verdict

STUDY_FILE = Path(__file__).parents[2] / "configs" / "studies" / "duty_to_warn.yaml"
FLAGSHIP: Any = load_study(STUDY_FILE).study
COVARIATES = catalogue_of(FLAGSHIP).covariates
N = 1200


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship's protocol."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


@pytest.fixture
def occasions() -> pd.DataFrame:
    """Occasions in which treatment depends weakly on severity: a design is easy."""
    rng = np.random.default_rng(20)
    frame = pd.DataFrame({name: rng.normal(size=N) for name in COVARIATES})
    for name, definition in COVARIATES.items():
        if definition.binary:
            frame[name] = (rng.random(N) < 0.4).astype(float)
    frame["treated"] = rng.random(N) < 1 / (1 + np.exp(1.2 - 0.4 * frame["severity"]))
    frame["ta_id"] = [f"t{i}" for i in range(N)]
    frame["person_id"] = [f"p{i}" for i in range(N)]
    frame["clinician_id"] = [f"c{i % 60}" for i in range(N)]
    frame["clinic_id"] = [f"k{i % 6}" for i in range(N)]
    frame["time_zero"] = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 100 * 86400, N), unit="s")
    frame["regime"], frame["instrument_ver"], frame["same_day_hold"] = "mandatory", "v1", False
    frame["recipient"] = np.where(frame["treated"], "warn_police", None)
    frame["patient_informed"] = np.where(frame["treated"], "before", None)
    frame["ended_in_grace"] = False
    return frame


def cohort_of(occasions: pd.DataFrame) -> Cohort:
    """A cohort of these occasions with one step of attrition."""
    treated = int(occasions["treated"].sum())
    step = AttritionStep(rule="all", persons=len(occasions), occasions=len(occasions), treated=treated)
    return Cohort(occasions=canonical(occasions, [*COVARIATES]), attrition=(step,), covariates=(*COVARIATES,))


def outcomes_of(design: Design) -> Outcomes:
    """Outcomes without an effect: a quarter end, the others rate around 3.5."""
    rng = np.random.default_rng(21)
    n = len(design.members)
    ended = rng.random(n) < 0.25
    score = np.where(ended, np.nan, np.clip(rng.normal(3.5, 0.7, n), 1, 5))
    return Outcomes(ended=ended, score=score, excluded=np.zeros(n, dtype=bool), undefined=ended, day=90, half_width=21)


def test_the_easy_design_is_built_and_estimated(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """The fixture itself is fine, so each refusal below is due to what the test changes."""
    design = build_design(cohort_of(occasions), study)
    effects = estimate_effects(design, outcomes_of(design), study)
    assert [interval.clustered_by for interval in effects.composite.intervals] == ["clinician", "matched set"]


def test_a_covariate_recorded_for_nobody_is_refused(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """All-missing severity stops the design, by name."""
    occasions["severity"] = np.nan
    with pytest.raises(DesignError, match=r"^\[design\.covariate_empty\] covariate 'severity' is not recorded"):
        build_design(cohort_of(occasions), study)


def test_a_missing_covariate_without_a_rule_is_refused(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """What stands in for a missing value is declared or the design stops."""
    occasions.loc[::3, "severity"] = np.nan
    with pytest.raises(DesignError, match=r"^\[design\.missing_rule\] covariate 'severity' is missing for 33%"):
        build_design(cohort_of(occasions), study)


def test_a_constant_covariate_is_left_out_and_named(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """A covariate with one value cannot be balanced; it is listed among those left out."""
    occasions["psychosis"] = 0.0
    told = {one.name: one for one in build_design(cohort_of(occasions), study).fates}
    assert (told["psychosis"].fate, told["psychosis"].tier) == (Fate.CONSTANT, 2)
    assert {one.name for one in told.values()} >= {*study.confounders.tier1, *study.confounders.tier2}


@pytest.mark.parametrize(
    ("column", "fails"),
    [("severity", "design.facts_tier1"), ("regime_permissive", None), ("psychosis", None)],
)
def test_a_major_fact_without_variation_fails_a_gate(
    occasions: pd.DataFrame, study: OccasionStudy, column: str, fails: str | None
) -> None:
    """Nothing was adjusted for it, and absent records look the same; minor facts, and one level of several, may be."""
    occasions[column] = 0.0
    tier1 = (*study.confounders.tier1, "regime_mandatory", "regime_permissive")
    tier2 = tuple(name for name in study.confounders.tier2 if not name.startswith("regime"))
    strict = study.model_copy(update={"confounders": Confounders(tier1=tier1, tier2=tier2)})
    design = build_design(cohort_of(occasions), strict)
    verdict = {one.code: one for one in judge_design(design, study.gates, study.words, catalogue_of(study))}[
        "design.facts_tier1"
    ]
    assert verdict.status is (Status.PASS if fails is None else Status.FAIL)
    assert ("Threat severity (constant)" in verdict.sentence) == (fails is not None)


def test_every_level_of_a_fact_of_several_is_balanced(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Two indicators of the regime leave a third one, which has its row and is in no model."""
    shares = occasions[["regime_mandatory", "regime_permissive"]]
    design = build_design(cohort_of(occasions), study)
    row = next(row for row in design.balance if row.name == "regime_none")
    none = 1 - shares.sum(axis=1)
    assert row.mean_treated == pytest.approx(none[occasions["treated"]].mean())
    assert "regime_none" not in design.aliased
    told = next(one for one in design.fates if one.name == "regime_none")
    assert told.determined_by == ("regime_mandatory", "regime_permissive")


@pytest.mark.parametrize("value", [True, False])
def test_one_empty_arm_is_refused(occasions: pd.DataFrame, study: OccasionStudy, *, value: bool) -> None:
    """All treated or none treated: there is nothing to compare."""
    occasions["treated"] = value
    with pytest.raises(DesignError, match=r"^\[design\.no_(treated|comparison)\]"):
        build_design(cohort_of(occasions), study)


def test_perfect_separation_is_a_finding_not_a_number(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """A covariate that decides treatment leaves no overlap: refused and named."""
    occasions["severity"] = np.where(occasions["treated"], 9.0, 1.0) + np.arange(N) / (10 * N)
    with pytest.raises(DesignError, match=r"^\[design\.separation\].*severity"):
        build_design(cohort_of(occasions), study)


def test_too_few_events_for_the_covariates_is_refused(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Thirty treated occasions cannot support a model of twenty covariates."""
    treated = occasions.index[occasions["treated"]]
    few = occasions.drop(treated[30:])
    with pytest.raises(DesignError, match=r"^\[design\.too_few_events\]"):
        build_design(cohort_of(few), study)


def test_clinic_equal_to_treatment_is_refused(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Exact matching on a key that is the treatment under another name leaves no stratum with both."""
    occasions["clinic_id"] = np.where(occasions["treated"], "k1", "k2")
    assignment = study.target_trial.assignment.model_copy(update={"exact": ("clinic_id",)})
    trial = study.target_trial.model_copy(update={"assignment": assignment})
    with pytest.raises(DesignError, match=r"^\[design\.no_overlap\]"):
        build_design(cohort_of(occasions), study.model_copy(update={"target_trial": trial}))


def test_a_cohort_cannot_hold_an_outcome(occasions: pd.DataFrame) -> None:
    """A column that is not declared, such as a later rating, is refused by type."""
    frame = canonical(occasions, [*COVARIATES]).assign(alliance_after=3.0)
    with pytest.raises(DesignError, match=r"^\[cohort\.columns\].*alliance_after"):
        Cohort(occasions=frame, attrition=(), covariates=(*COVARIATES,))


@pytest.mark.parametrize("who", ["warned", "others", "everyone"])
def test_a_group_of_one_clinician_fails_a_gate_and_is_refused(
    occasions: pd.DataFrame, study: OccasionStudy, who: str
) -> None:
    """Told before outcomes, and never estimated afterwards, whatever an approval accepts."""
    chosen = {"warned": occasions["treated"], "others": ~occasions["treated"], "everyone": True}[who]
    occasions["clinician_id"] = np.where(chosen, "c1", occasions["clinician_id"])
    design = build_design(cohort_of(occasions), study)
    verdicts = {
        verdict.code: verdict for verdict in judge_design(design, study.gates, study.words, catalogue_of(study))
    }
    assert (verdicts["design.clusters"].status, verdicts["design.clusters"].measured) == (Status.FAIL, 1)
    assert (verdicts["design.cluster_share"].status, verdicts["design.cluster_share"].measured) == (Status.FAIL, 1)
    with pytest.raises(EstimationError, match=r"^\[estimation\.arm_in_one_cluster\]"):
        estimate_effects(design, outcomes_of(design), study)


def test_a_group_that_leans_on_one_clinician_fails_a_gate(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Three in four of the warned with one clinician: the share fails, the number of clinicians does not."""
    first = occasions["treated"] & (np.arange(N) % 4 > 0)
    occasions["clinician_id"] = np.where(first, "c1", occasions["clinician_id"])
    design = build_design(cohort_of(occasions), study)
    verdicts = {
        verdict.code: verdict for verdict in judge_design(design, study.gates, study.words, catalogue_of(study))
    }
    assert verdicts["design.cluster_share"].status is Status.FAIL
    assert verdicts["design.cluster_share"].measured == pytest.approx(0.75, abs=0.06)
    assert verdicts["design.clusters"].status is Status.PASS
    assert estimate_effects(design, outcomes_of(design), study).composite.intervals


@pytest.mark.parametrize(
    ("column", "word"), [("clinic_id", "clinic"), ("time_zero", "month"), ("instrument_ver", "version of the form")]
)
def test_a_group_in_one_clinic_month_or_version_fails_a_gate(
    occasions: pd.DataFrame, study: OccasionStudy, column: str, word: str
) -> None:
    """What all of a group share and the others do not is named before outcomes; what everybody shares is no matter."""
    everywhere = design_codes(occasions, study)
    assert everywhere["design.confined"].status is Status.PASS
    alone = {"clinic_id": "k1", "time_zero": pd.Timestamp("2021-02-10"), "instrument_ver": "v2"}[column]
    occasions.loc[occasions["treated"], column] = alone
    loose = study.target_trial.assignment.model_copy(update={"exact": ()})
    trial = study.target_trial.model_copy(update={"assignment": loose})
    verdict = design_codes(occasions, study.model_copy(update={"target_trial": trial}))["design.confined"]
    assert (verdict.status, verdict.measured) == (Status.FAIL, 1)
    assert verdict.sentence.endswith(f": {word}")


def design_codes(occasions: pd.DataFrame, study: OccasionStudy) -> dict[str, Verdict]:
    """The verdicts on the design of these occasions, by code."""
    design = build_design(cohort_of(occasions), study)
    return {verdict.code: verdict for verdict in judge_design(design, study.gates, study.words, catalogue_of(study))}


def test_few_clinicians_give_the_wider_interval(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Under the study's minimum of clusters the wider interval comes first; both are kept."""
    occasions["clinician_id"] = [f"c{i % 8}" for i in range(N)]
    design = build_design(cohort_of(occasions), study)
    effects = estimate_effects(design, outcomes_of(design), study)
    for estimate in (effects.termination, effects.composite):
        first, second = estimate.intervals
        assert first.upper - first.lower >= second.upper - second.lower
        assert {first.clustered_by, second.clustered_by} == {"matched set", "clinician"}


def test_no_rating_at_all_is_refused(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Relationships that go on without a single rating have no level to compare."""
    design = build_design(cohort_of(occasions), study)
    silent = dataclasses.replace(outcomes_of(design), score=np.full(len(design.members), np.nan))
    with pytest.raises(EstimationError, match=r"^\[estimation\.no_scores\]"):
        estimate_effects(design, silent, study)


def test_too_few_sets_are_described_not_estimated(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """When exclusions leave fewer sets than the study's minimum there is no interval."""
    design = build_design(cohort_of(occasions), study)
    outcomes = outcomes_of(design)
    sets = design.members["set_id"].to_numpy()
    with pytest.raises(EstimationError, match=r"^\[estimation\.too_few_sets\]"):
        estimate_effects(design, dataclasses.replace(outcomes, excluded=sets >= 5), study)


def test_a_set_loses_its_weight_with_its_treated_member(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """Excluding a treated occasion takes its set out; excluding one comparison gives its weight to the other."""
    from causal.effect.sample import without_excluded

    design = build_design(cohort_of(occasions), study)
    members = design.members
    excluded = np.zeros(len(members), dtype=bool)
    excluded[members.index[members["treated"]][0]] = True
    kept, weights = without_excluded(design, excluded)
    first = members["set_id"] == members.loc[excluded, "set_id"].iloc[0]
    assert not kept[first.to_numpy()].any()
    left = members.loc[kept].assign(weight=weights)
    assert left.groupby(["set_id", "treated"])["weight"].sum().round(12).eq(1.0).all()


@pytest.mark.parametrize("arm", [False, True])
def test_four_missing_forms_do_not_fail_a_study(occasions: pd.DataFrame, study: OccasionStudy, arm: bool) -> None:
    """A form that four did not fill in, all of one arm: out of every model, said so, and no verdict on positivity."""
    design = build_design(cohort_of(without_forms(occasions, arm, 4)), study)
    told = {one.name: one.fate for one in design.fates}
    assert (told["phq9_missing"], told["phq9"]) == (Fate.TOO_RARE, Fate.ADJUSTED)
    assert "phq9_missing" not in design.covariate_names
    assert design.separated == ()
    assert not [
        v
        for v in judge_design(design, study.gates, study.words, catalogue_of(study))
        if v.code == "design.separation" and v.status == "FAIL"
    ]


def test_what_many_have_of_one_arm_alone_still_fails(occasions: pd.DataFrame, study: OccasionStudy) -> None:
    """A major fact of a third of the comparisons and of none of the treated is no accident: refused by name."""
    rng = np.random.default_rng(8)
    occasions["sud"] = (~occasions["treated"] & (rng.random(N) < 0.33)).astype(float)
    major = study.model_copy(
        update={
            "confounders": study.confounders.model_copy(
                update={
                    "tier1": (*study.confounders.tier1, "sud"),
                    "tier2": tuple(name for name in study.confounders.tier2 if name != "sud"),
                }
            )
        }
    )
    with pytest.raises(DesignError, match=r"^\[design\.separation\] covariate sud tells"):
        build_design(cohort_of(occasions), major)


def without_forms(occasions: pd.DataFrame, treated: bool, count: int) -> pd.DataFrame:
    """The occasions with so many forms of one arm not filled in."""
    rows = occasions.index[occasions["treated"] == treated][:count]
    return occasions.assign(phq9=occasions["phq9"].where(~occasions.index.isin(rows)))
