"""Who is compared with whom: what every design must satisfy, whatever the data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.cohort.catalogue import catalogue_of
from causal.design.build import build_design
from causal.design.covariates import covariate_matrix
from causal.design.groups import bearings_of, build_groups, exact_codes, fit_occasions, groups_of, work_out
from causal.design.matching.caliper import caliper_width
from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.splines import bend
from causal.errors import DesignError
from causal.numeric.grid import SCORE, settled
from causal.protocol import STUDY, OccasionStudy
from causal.protocol.design import OccasionPropensity
from causal.protocol.matching import Greedy
from causal.records import AttritionStep, Cohort, ComparisonGroups, Design, canonical
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
FLAGSHIP: Any = load_study(STUDY_FILE).study
COVARIATES = catalogue_of(FLAGSHIP).covariates
N = 3000


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship study."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


def greedy(study: OccasionStudy) -> Greedy:
    """The study's matching, which is greedy."""
    assert isinstance(study.matching, Greedy)
    return study.matching


def occasions(seed: int = 2) -> pd.DataFrame:
    """Occasions of about two per person in which severity, mandatory regimes and low alliance lead to warnings."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=N) for name in COVARIATES})
    for name, definition in COVARIATES.items():
        if definition.binary:
            frame[name] = (rng.random(N) < 0.4).astype(float)
    regime = rng.choice(["mandatory", "permissive", "none"], N)
    frame["regime_mandatory"] = (regime == "mandatory").astype(float)
    frame["regime_permissive"] = (regime == "permissive").astype(float)
    frame.loc[rng.random(N) < 0.2, "alliance_lag2"] = np.nan
    logit = -2.2 + 0.8 * frame["severity"] - 0.4 * frame["alliance_lag1"] + 0.6 * frame["regime_mandatory"]
    treated = rng.random(N) < 1 / (1 + np.exp(-logit))
    return frame.assign(
        ta_id=[f"t{i}" for i in range(N)],
        person_id=[f"p{i}" for i in rng.integers(0, N // 2, N)],
        clinician_id=[f"c{i % 60}" for i in range(N)],
        clinic_id=[f"k{i % 6}" for i in range(N)],
        time_zero=pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 900 * 86400, N), unit="s"),
        regime=regime,
        same_day_hold=rng.random(N) < 0.2,
        instrument_ver=rng.choice(["v1", "v2"], N),
        treated=treated,
        recipient=np.where(treated, "warn_police", None),
        patient_informed=np.where(treated, "before", None),
        ended_in_grace=rng.random(N) < 0.05,
    )


def cohort_of(frame: pd.DataFrame) -> Cohort:
    """A cohort of these occasions with one step of attrition."""
    step = AttritionStep(
        rule="all",
        persons=frame["person_id"].nunique(),
        occasions=len(frame),
        treated=int(frame["treated"].sum()),
    )
    return Cohort(occasions=canonical(frame, [*COVARIATES]), attrition=(step,), covariates=(*COVARIATES,))


@pytest.fixture(scope="module")
def design(study: OccasionStudy) -> Design:
    """The design of the occasions above."""
    return build_design(cohort_of(occasions()), study)


def test_every_set_is_a_small_trial(design: Design, study: OccasionStudy) -> None:
    """One warned occasion first, then one or two others of other people, alike in the exact keys and in time."""
    for _, rows in design.members.groupby("set_id"):
        assert rows["treated"].tolist() == [True] + [False] * (len(rows) - 1)
        assert 2 <= len(rows) <= 1 + greedy(study).ratio
        assert rows["person_id"].iloc[0] not in set(rows["person_id"].iloc[1:])
        for key in study.target_trial.assignment.exact:
            assert (rows[key] == rows[key].iloc[0]).all()
        apart = (rows["time_zero"] - rows["time_zero"].iloc[0]).abs().max()
        assert apart <= pd.Timedelta(days=study.target_trial.assignment.calendar_days)
        assert rows["weight"].tolist() == [1.0] + [1 / (len(rows) - 1)] * (len(rows) - 1)
    assert design.members["ta_id"].is_unique


def test_caliper_holds(design: Design, study: OccasionStudy) -> None:
    """No comparison lies further from its warned occasion than the caliper, on the logit fitted to all occasions."""
    cohort = cohort_of(occasions())
    worked = work_out(cohort, study)
    treated, fitted = worked.treated, worked.fitted
    matrix = worked.matrix
    np.testing.assert_array_equal(
        fitted.logit, fit_propensity(matrix.values, treated, names=matrix.names, model=worked.model).logit
    )
    declared = greedy(study).caliper
    assert declared is not None
    caliper = caliper_width(fitted.logit, treated, width=declared.width, sd=declared.sd)
    assert design.caliper == caliper
    logit = pd.Series(fitted.logit, index=cohort.occasions["ta_id"]).loc[design.members["ta_id"]].to_numpy()
    first = logit[np.flatnonzero(design.members["treated"])]
    assert np.abs(logit - first[design.members["set_id"]]).max() <= caliper


def test_counts_agree(design: Design) -> None:
    """The flow's last two steps, the counts of warned occasions and the members say the same."""
    matched = design.attrition[-1]
    assert design.n_eligible_treated == design.attrition[0].treated
    assert design.n_sets == matched.treated == design.n_eligible_treated - design.n_unmatched_treated
    assert (matched.occasions, matched.persons) == (len(design.members), design.members["person_id"].nunique())
    assert len(design.covariates) == len(design.members)


def test_covariates_are_the_members_own(design: Design, study: OccasionStudy) -> None:
    """Each row of the covariate matrix is the filled covariates of the member in that row."""
    cohort = cohort_of(occasions())
    matrix = covariate_matrix(cohort.occasions, study)
    place = pd.Series(np.arange(N), index=cohort.occasions["ta_id"]).loc[design.members["ta_id"]].to_numpy()
    np.testing.assert_array_equal(design.covariates, matrix.values[place])
    assert design.covariate_names == matrix.names


def test_matching_balances(design: Design) -> None:
    """What drives warnings is far apart before and close after matching, with the same denominator."""
    by_name = {row.name: row for row in design.balance}
    for name in ("severity", "alliance_lag1"):
        assert abs(by_name[name].smd_before) > 0.25
        assert abs(by_name[name].smd_after) < 0.15


def test_order_of_rows_does_not_matter(design: Design, study: OccasionStudy) -> None:
    """The same occasions in another order give the same design to the bit."""
    frame = occasions()
    shuffled = frame.iloc[np.random.default_rng(1).permutation(N)]
    assert build_design(cohort_of(shuffled), study).digest == design.digest


def test_the_strategy_s_versions_do_not_matter(design: Design, study: OccasionStudy) -> None:
    """Who was told and whether the patient knew change nobody's match; they are shown, so the digest covers them."""
    frame = occasions().assign(recipient="several", patient_informed="unknown")
    other = build_design(cohort_of(frame), study)
    assert other.balance == design.balance
    assert other.members[["ta_id", "set_id", "weight"]].equals(design.members[["ta_id", "set_id", "weight"]])
    assert other.digest != design.digest


def test_without_a_support_rule_everyone_may_match(study: OccasionStudy) -> None:
    """The rule `none` keeps every occasion; without a caliper every warned one then finds a comparison."""
    free = study.model_copy(
        update={
            "support": study.support.model_copy(update={"rule": "none"}),
            "matching": greedy(study).model_copy(update={"caliper": None, "ratio": 1}),
        }
    )
    design = build_design(cohort_of(occasions()), free)
    assert design.attrition[-2].occasions == N
    assert design.caliper is None
    assert design.n_unmatched_treated < 0.1 * design.n_eligible_treated


def test_no_overlap(study: OccasionStudy) -> None:
    """Where the legal regime decides alone there is nobody to compare with: a refusal, not a design."""
    frame = occasions()
    frame["treated"] = (frame["regime"] == "mandatory") & (np.arange(N) % 3 > 0)
    frame = frame[(frame["regime"] != "mandatory") | frame["treated"]]
    frame = frame.assign(regime_mandatory=0.0, regime_permissive=0.0)
    with pytest.raises(DesignError, match=r"^\[design\.no_overlap\]"):
        build_design(cohort_of(frame), study)


def test_exact_codes_tell_combinations_apart() -> None:
    """Equal codes for equal combinations only; a missing key is a value of its own."""
    frame = pd.DataFrame(
        {
            "regime": ["mandatory", "mandatory", "none", None, None, "none"],
            "instrument_ver": ["v1", "v2", "v1", "v1", "v2", None],
        }
    )
    found = exact_codes(frame, ("regime", "instrument_ver"))
    assert len(set(found.tolist())) == len(frame)
    again = exact_codes(pd.concat([frame, frame]), ("regime", "instrument_ver"))
    np.testing.assert_array_equal(again[:6], again[6:])


def test_unknown_exact_key() -> None:
    """A key that is not in the catalogue is refused by name."""
    with pytest.raises(DesignError, match=r"^\[design\.exact_key\] 'sex' is not a key to match on"):
        exact_codes(pd.DataFrame({"sex": ["F"]}), ("sex",))


def changed(study: OccasionStudy, **words: Any) -> OccasionStudy:
    """The study with parts of it declared anew; the contrast follows the method."""
    plain = study.model_dump(mode="python") | {"matching": None, "weighting": None} | words
    method = plain["matching"] or plain["weighting"]
    trial = plain["target_trial"]
    plain["target_trial"] = trial | {"contrast": trial["contrast"] | {"estimand": method.get("estimand", "ATT")}}
    made = STUDY.validate_python(plain)
    assert isinstance(made, OccasionStudy)
    return made


def test_whoever_the_effect_is_about_may_be_left_out(study: OccasionStudy) -> None:
    """Full matching for the untreated, with a bound, leaves some of them out: letters, sentence and share say so."""
    words = {"method": "full", "estimand": "ATC", "most_comparisons": 2, "caliper": None}
    design = build_design(cohort_of(occasions()), changed(study, matching=words))
    assert design.estimand_label == "ATC in the matched"
    assert "not represented" in design.estimand_sentence
    untreated = N - design.n_eligible_treated
    assert design.lost_share == pytest.approx(1 - design.n_comparison / untreated)
    assert design.n_sets <= design.n_treated


def test_weights_make_a_design_of_their_own(study: OccasionStudy) -> None:
    """Under entropy balancing every supported occasion is a member, means agree, and inference is by patient."""
    design = build_design(cohort_of(occasions()), changed(study, weighting={"method": "entropy_balancing"}))
    assert (design.grouping, design.unit_of_inference) == ("weight", "patient")
    assert max(abs(row.smd_after) for row in design.balance) < 1e-8
    assert len(design.members) == design.attrition[-1].occasions
    assert design.diagnostics.lottery is None


def test_reuse_is_counted_once(study: OccasionStudy) -> None:
    """A comparison used in several sets is one occasion of the design, and sets no longer stand for themselves."""
    words = {"method": "greedy", "ratio": 1, "replacement": True, "most_uses": 3, "caliper": None}
    design = build_design(cohort_of(occasions()), changed(study, matching=words))
    comparisons = design.members.loc[~design.members["treated"], "ta_id"]
    assert design.n_comparison == comparisons.nunique() < len(comparisons)
    assert comparisons.value_counts().max() <= 3
    assert design.unit_of_inference == "patient"


def test_members_carry_their_log_odds(study: OccasionStudy) -> None:
    """Each member has the score the caliper was measured on; the digest a board approves is the same without it."""
    cohort = cohort_of(occasions())
    design = build_design(cohort, study)
    own = pd.Series(settled(work_out(cohort, study).propensity.logit, SCORE), index=cohort.occasions["ta_id"])
    assert design.members["logit"].tolist() == own.loc[design.members["ta_id"]].tolist()
    without = dataclasses.replace(design, members=design.members.drop(columns="logit"))
    assert without.digest == design.digest


def test_a_sample_of_the_untreated_does_not_move_equipoise(study: OccasionStudy) -> None:
    """A declared sampling fraction shifts the scores of the population and leaves calibration and preference alone."""
    plain = build_design(cohort_of(occasions()), study)
    sampled = build_design(
        cohort_of(occasions()), study.model_copy(update={"propensity": OccasionPropensity(sampling_fraction=0.2)})
    )
    one, other = plain.diagnostics.calibration, sampled.diagnostics.calibration
    assert other.equipoise_treated == pytest.approx(one.equipoise_treated, abs=1e-9)
    assert other.intercept == pytest.approx(0, abs=1e-9)
    assert "20% of the unwarned were drawn" in sampled.method_sentence


def with_limit(study: OccasionStudy, most: float, **propensity: Any) -> OccasionStudy:
    """The study with another limit on how certain a warning may have been."""
    support = study.support.model_copy(update={"probability_max": most})
    return study.model_copy(update={"support": support, "propensity": OccasionPropensity(**propensity)})


def test_a_sample_of_the_untreated_moves_scores_and_support(study: OccasionStudy) -> None:
    """In the population there are five untreated for each in the extract: odds are a fifth, and fewer are certain."""
    cohort = cohort_of(occasions())
    plain, sampled = (work_out(cohort, with_limit(study, 0.5, sampling_fraction=f)) for f in (None, 0.2))
    assert sampled.fitted.logit == pytest.approx(plain.fitted.logit, abs=1e-8)
    assert sampled.fitted.intercept == pytest.approx(plain.fitted.intercept + np.log(0.2), abs=1e-8)
    assert sampled.propensity.logit == pytest.approx(plain.propensity.logit + np.log(0.2), abs=1e-8)
    assert sampled.propensity.probability == pytest.approx(1 / (1 + np.exp(-sampled.propensity.logit)))
    assert not (plain.supported & ~sampled.supported).any()
    assert (sampled.supported & ~plain.supported).sum() > 20


@pytest.mark.parametrize("limit", [0.3, 0.5])
def test_nearly_certain_warnings_leave_past_the_declared_limit(study: OccasionStudy, limit: float) -> None:
    """`support.probability_max` decides who leaves among the treated, wherever it stands."""
    cohort = cohort_of(occasions())
    free, strict = (work_out(cohort, with_limit(study, most)) for most in (1.0, limit))
    past = free.treated & (free.propensity.probability > limit)
    assert (past & free.supported).sum() > 5
    assert not (past & strict.supported).any()


@pytest.mark.parametrize(
    "words",
    [
        {"matching": {"method": "greedy", "ratio": 2, "caliper": None}},
        {"matching": {"method": "full", "estimand": "ATC", "most_comparisons": 2, "caliper": None}},
        {"weighting": {"method": "entropy_balancing"}},
    ],
)
def test_groups_are_those_of_the_design(study: OccasionStudy, words: dict[str, Any]) -> None:
    """The comparison made without its description is that of the described design, to the bit."""
    cohort, study = cohort_of(occasions()), changed(study, **words)
    groups, design = build_groups(cohort, study), build_design(cohort, study)
    assert type(groups) is ComparisonGroups
    pd.testing.assert_frame_equal(groups.members, design.members)
    np.testing.assert_array_equal(groups.covariates, design.covariates)
    for name in ("covariate_names", "estimand", "estimand_label", "grouping", "unit_of_inference", "n_sets"):
        assert getattr(groups, name) == getattr(design, name)


def test_bearings_outlast_other_covariates(study: OccasionStudy) -> None:
    """With other covariates and the bearings known before, the comparison is that of the new cohort, to the bit."""
    before = cohort_of(occasions())
    known = bearings_of(before.occasions, study)
    severity = before.occasions["severity"].to_numpy()[::-1]
    after = dataclasses.replace(before, occasions=before.occasions.assign(severity=severity))
    worked, plain = work_out(after, study, known), work_out(after, study)
    pd.testing.assert_frame_equal(groups_of(after, worked).members, groups_of(after, plain).members)
    np.testing.assert_array_equal(worked.exact, exact_codes(after.occasions, study.target_trial.assignment.exact))
    assert worked.fitted.logit.tolist() != work_out(before, study, known).fitted.logit.tolist()
    assert groups_of(after, worked).members["ta_id"].tolist() == after.occasions["ta_id"][worked.compared.row].tolist()


def test_folds_of_everyone_are_dealt_by_the_study_s_seed(study: OccasionStudy) -> None:
    """Scores of all eligible occasions, cross-fitted by clinician: the same seed deals as before, another anew."""
    cohort = cohort_of(occasions())
    worked, known = work_out(cohort, study), bearings_of(cohort.occasions, study)
    model = dataclasses.replace(worked.model, cross_fit=2)
    one, again, other = (
        fit_occasions(
            cohort.occasions,
            worked.treated,
            worked.matrix,
            study.model_copy(update={"seed": seed}),
            model,
            known.cluster,
        )
        for seed in (1, 1, 2)
    )
    assert one.fold is not None
    np.testing.assert_array_equal(one.fold, again.fold)
    assert (one.fold != other.fold).any()


@pytest.mark.parametrize("method", ["entropy_balancing", "covariate_balancing"])
def test_what_balances_means_balances_the_curves_of_the_propensity(study: OccasionStudy, method: str) -> None:
    """A spline declared for the propensity has equal means in both weighted groups, which lines alone do not give."""
    words = {"weighting": {"method": method}, "support": {"rule": "none"}}
    curved = {"model": "logistic", "splines": ("severity",), "knots": 3}
    left = {}
    for name, propensity in (("line", {"model": "logistic", "bends": "none"}), ("curve", curved)):
        changed_study = changed(study, **words, propensity=propensity)
        worked = work_out(cohort_of(occasions()), changed_study)
        term = bend(worked.matrix.in_models[:, worked.matrix.names_in_models.index("severity")])
        assert term is not None
        one, zero = (
            np.average(term[arm], weights=worked.compared.weight[arm]) for arm in (worked.treated, ~worked.treated)
        )
        left[name] = abs(one - zero) / term.std()
    assert left["curve"] < 1e-6
    assert left["line"] > 1e-3
