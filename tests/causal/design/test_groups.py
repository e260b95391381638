"""What leads to a comparison, part by part, over a cohort small enough to look at."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.cohort.catalogue import catalogue_of, exact_keys_of
from causal.design.describe import method_sentence
from causal.design.groups import (
    bearings_of,
    build_groups,
    chosen_method,
    exact_codes,
    fit_occasions,
    groups_of,
    of_population,
    target_part,
    work_out,
)
from causal.design.weighting.weights import WeightEstimand
from causal.errors import DesignError
from causal.protocol import STUDY, OccasionStudy
from causal.protocol.definitions import Definition
from causal.records import OCCASION_COLUMNS, Cohort
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
FLAGSHIP: Any = load_study(STUDY_FILE).study
COVARIATES = catalogue_of(FLAGSHIP).covariates
N = 400
EVERYONE = {"rule": "none"}


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship study with two facts to be alike in: the dearer part of a fit is how many there are."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    few = loaded.confounders.model_copy(update={"tier1": ("severity",), "tier2": ("age",)})
    return loaded.model_copy(update={"confounders": few, "seed": 7})


def declaring(study: OccasionStudy, **words: Any) -> OccasionStudy:
    """The study with parts of it declared anew."""
    plain = study.model_dump(mode="python")
    if {"matching", "weighting"} & set(words):
        plain |= {"matching": None, "weighting": None}
    made = STUDY.validate_python(plain | words)
    assert isinstance(made, OccasionStudy)
    return made


def assigning(study: OccasionStudy, **words: Any) -> OccasionStudy:
    """The study with other rules on who may be compared with whom."""
    assignment = study.target_trial.assignment.model_copy(update=words)
    return study.model_copy(update={"target_trial": study.target_trial.model_copy(update={"assignment": assignment})})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Occasions of two per person in ten clinicians and two clinics; the severe are treated more often."""
    rng = np.random.default_rng(5)
    drawn = pd.DataFrame({name: rng.normal(size=N).round(3) for name in COVARIATES})
    rows = np.arange(N)
    return drawn.assign(
        ta_id=[f"t{i:03}" for i in rows],
        person_id=[f"p{i // 2}" for i in rows],
        clinician_id=[f"c{i % 10}" for i in rows],
        clinic_id=[f"k{i % 2}" for i in rows],
        time_zero=pd.Timestamp("2019-01-01 12:00") + pd.to_timedelta(rng.integers(0, 300, N), unit="D"),
        regime=np.where(rows % 4 < 2, "mandatory", "none"),
        same_day_hold=False,
        instrument_ver="v1",
        treated=rng.random(N) < 1 / (1 + np.exp(1 - drawn["severity"])),
        recipient=None,
        patient_informed=None,
        ended_in_grace=False,
    )[[*OCCASION_COLUMNS, *COVARIATES]]


@pytest.fixture(scope="module")
def cohort(frame: pd.DataFrame) -> Cohort:
    """Those occasions."""
    return Cohort(occasions=frame, attrition=(), covariates=(*COVARIATES,))


PARTS: dict[WeightEstimand, list[float]] = {
    "ATT": [1.0, 0.0],
    "ATC": [0.0, 1.0],
    "ATE": [1.0, 1.0],
    "ATO": [0.16, 0.09],
    "ATM": [0.2, 0.1],
}


@pytest.mark.parametrize("estimand", PARTS)
def test_each_occasion_s_part_in_the_population_an_effect_is_about(estimand: WeightEstimand) -> None:
    """One treated at four in five, one untreated at one in ten, worked by hand."""
    found = target_part(np.array([True, False]), np.array([0.8, 0.1]), estimand)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx(PARTS[estimand])


def test_where_an_occasion_stands(frame: pd.DataFrame, study: OccasionStudy) -> None:
    """Its person, its clinician, its day counted from 1970 with the hour as a part, and a key dealt by the seed."""
    found = bearings_of(frame, study)
    assert found.person.tolist() == [i // 2 for i in range(N)]
    assert found.cluster.tolist() == [i % 10 for i in range(N)]
    assert found.keys["clinic_id"].tolist() == [i % 2 for i in range(N)]
    assert found.keys["regime"].tolist() == [i % 4 // 2 for i in range(N)]
    since = (frame["time_zero"] - pd.Timestamp("1970-01-01")).dt.total_seconds() / 86400
    assert found.day.tolist() == since.tolist()
    other = bearings_of(frame, study.model_copy(update={"seed": 8}))
    assert not (found.key == other.key).any()


@pytest.mark.parametrize(("means", "n"), [(None, 10), ("clinician", 10), ("clinic", 2)])
def test_folds_and_means_are_of_the_declared_level(
    frame: pd.DataFrame, study: OccasionStudy, means: str | None, n: int
) -> None:
    """Clinicians unless the study takes means of clinics."""
    words = declaring(study, propensity={"model": "logistic", "cluster_means": means})
    assert len(set(bearings_of(frame, words).cluster.tolist())) == n


@pytest.mark.parametrize("both", [True, False])
def test_a_study_declares_one_method(study: OccasionStudy, *, both: bool) -> None:
    """Matching and weighting together, or neither, is a refusal that says what to do."""
    weighted = declaring(study, weighting={"method": "entropy_balancing"})
    assert chosen_method(weighted) is weighted.weighting
    assert chosen_method(study) is study.matching
    wrong = study.model_copy(update={"weighting": weighted.weighting} if both else {"matching": None})
    with pytest.raises(DesignError) as refused:
        chosen_method(wrong)
    assert refused.value.code == "design.method"
    assert "a study declares matching or weighting, one of the two" in str(refused.value)
    assert "keep one of the two keys" in str(refused.value)


def test_an_unknown_key_is_refused_with_those_there_are() -> None:
    """The refusal lists what a study may name instead."""
    with pytest.raises(
        DesignError,
        match=r"^\[design\.exact_key\] 'sex' .* known: regime, same_day_hold, instrument_ver, clinic_id, clinician_id",
    ):
        exact_codes(pd.DataFrame({"sex": ["F"]}), ("sex",))


def test_combinations_of_keys_are_told_apart() -> None:
    """Every combination has a code of its own, and what is not recorded agrees with itself only."""
    frame = pd.DataFrame({"regime": ["a", "a", "b", None, None], "instrument_ver": ["v1", "v2", "v1", "v1", "v2"]})
    assert len(set(exact_codes(frame, ("regime", "instrument_ver")).tolist())) == len(frame)


def test_a_definition_may_be_an_exact_key(frame: pd.DataFrame, study: OccasionStudy) -> None:
    """Compared people agree in it, in a category of many values as in a yes or no; what was not recorded is a value."""
    rng = np.random.default_rng(8)
    levels = [f"payer_{value}" for value in ("medicaid", "medicare", "self", "other", "not_recorded")]
    chosen = rng.integers(0, len(levels) + 1, N)  # the last is the one models leave out: private
    held = frame.assign(
        male=(rng.random(N) < 0.5).astype(float), **{name: (chosen == k).astype(float) for k, name in enumerate(levels)}
    )
    payer = Definition(take="value", of="person.insurance", reference="private")
    own = study.model_copy(update={"definitions": {**study.definitions, "payer": payer}})
    words = declaring(assigning(own, exact=("male", "payer"), calendar_days=400), support=EVERYONE)
    cohort = Cohort(
        occasions=held[[*OCCASION_COLUMNS, *COVARIATES, *levels]], attrition=(), covariates=(*COVARIATES, *levels)
    )
    worked = work_out(cohort, words)
    groups = groups_of(cohort, worked)
    assert groups.n_sets > 20
    told = groups.members.groupby("set_id")[["male", *levels]]
    assert (told.max() == told.min()).all(axis=None)
    assert len(set(worked.exact.tolist())) == 2 * (len(levels) + 1)
    assert "male" not in groups.covariate_names  # agreeing in it is not adjusting for it
    said = method_sentence(chosen_method(words), words.target_trial.assignment, words.words, exact_keys_of(words))
    assert "the same in: male, payer" in said


def test_without_exact_keys_all_are_alike() -> None:
    """No key divides nobody."""
    assert exact_codes(pd.DataFrame({"regime": ["none", "mandatory"]}), ()).tolist() == [0, 0]


def test_what_led_to_the_comparison(cohort: Cohort, study: OccasionStudy) -> None:
    """Arm, facts, exact keys and scores stand as they were; the share lost is of the treated left unmatched."""
    worked = work_out(cohort, study)
    occasions = cohort.occasions
    assert worked.treated.tolist() == occasions["treated"].tolist()
    assert worked.matrix.names == ("severity", "age")
    assert worked.matrix.values[:, 0].tolist() == occasions["severity"].tolist()
    assert worked.exact.tolist() == [i % 4 // 2 for i in range(N)]
    assert worked.propensity is worked.fitted
    lost = worked.treated & (worked.compared.weight == 0)
    assert 0 < worked.lost == lost.sum() / worked.treated.sum() < 1
    assert not (worked.compared.weight[~worked.supported] > 0).any()


def test_bearings_that_are_known_are_taken_as_they_are(cohort: Cohort, study: OccasionStudy) -> None:
    """Imputed sets share the first one's: with bearings that tell no regimes apart, none is told apart."""
    known = bearings_of(cohort.occasions, study)
    alike = dataclasses.replace(known, keys={key: np.zeros(N, dtype=np.int64) for key in known.keys})
    assert set(work_out(cohort, study, alike).exact.tolist()) == {0}


def test_members_are_those_compared(cohort: Cohort, study: OccasionStudy) -> None:
    """Each has its own columns, facts and score, the columns asked for or all, and a label that tells of the lost."""
    worked = work_out(cohort, study)
    found, few = groups_of(cohort, worked), groups_of(cohort, worked, ["ta_id", "treated"])
    own = cohort.occasions.iloc[worked.compared.row]
    assert found.members["ta_id"].tolist() == own["ta_id"].tolist()
    assert list(few.members) == ["ta_id", "treated", "set_id", "weight", "logit"]
    assert few.members.equals(found.members[list(few.members)])
    assert found.members.index.tolist() == list(range(len(own)))
    assert found.members["set_id"].tolist() == worked.compared.set_id.tolist()
    assert found.members["weight"].tolist() == worked.compared.row_weight.tolist()
    assert found.members["logit"].to_numpy() == pytest.approx(worked.propensity.logit[worked.compared.row], abs=1e-6)
    assert found.covariates.tolist() == own[["severity", "age"]].to_numpy().tolist()
    assert (found.covariate_names, found.estimand, found.grouping) == (("severity", "age"), "ATT", "matched set")
    assert found.estimand_label == "ATT in the matched"
    assert build_groups(cohort, study).members.equals(found.members)
    assert groups_of(cohort, dataclasses.replace(worked, lost=0.0)).estimand_label == "ATT"


def test_scores_of_the_population_are_lower_where_the_untreated_were_sampled(
    cohort: Cohort, study: OccasionStudy
) -> None:
    """One in four of the untreated in the extract: the population's odds are a quarter; with all, nothing changes."""
    fitted = work_out(cohort, study).fitted
    assert of_population(fitted, None) is fitted
    found = of_population(fitted, 0.25)
    assert np.exp(found.logit) == pytest.approx(np.exp(fitted.logit) / 4)
    assert found.probability / (1 - found.probability) == pytest.approx(np.exp(found.logit))
    assert found.intercept == fitted.intercept


def test_exact_keys_window_and_persons_keep_pairs_apart(cohort: Cohort, study: OccasionStudy) -> None:
    """Each set is alike in regime, within the declared days and of different people; wider rules let more match."""
    matching = {"method": "greedy", "ratio": 1, "caliper": None}
    strict = declaring(assigning(study, calendar_days=5, exact=("regime",)), matching=matching, support=EVERYONE)
    free = assigning(strict, calendar_days=1000, exact=())
    n_sets = []
    for words, days, regimes in ((strict, 5, 1), (free, 1000, 2)):
        sets = groups_of(cohort, work_out(cohort, words)).members.groupby("set_id")
        span = sets["time_zero"].max() - sets["time_zero"].min()
        assert (span <= pd.Timedelta(days=days)).all()
        assert sets["regime"].nunique().max() == regimes
        assert (sets["person_id"].nunique() == 2).all()
        n_sets.append(len(sets))
    assert n_sets[0] < n_sets[1]


def test_a_person_is_a_comparison_once_where_the_method_keeps_people_apart(
    cohort: Cohort, study: OccasionStudy
) -> None:
    """Greedy matching uses one occasion of a person among the comparisons."""
    free = assigning(study, exact=(), calendar_days=1000)
    greedy = declaring(free, matching={"method": "greedy", "ratio": 2, "caliper": None}, support=EVERYONE)
    members = groups_of(cohort, work_out(cohort, greedy)).members
    assert members["person_id"][~members["treated"]].is_unique


def test_a_method_is_given_the_facts_by_name(cohort: Cohort, study: OccasionStudy) -> None:
    """Calipers on a fact, strata of the tier-1 facts: each finds what it names."""
    free = declaring(assigning(study, exact=(), calendar_days=1000), support=EVERYONE)
    close = {"method": "greedy", "ratio": 1, "caliper": None, "calipers": ({"covariate": "age", "width": 0.1},)}
    sets = groups_of(cohort, work_out(cohort, declaring(free, matching=close))).members.groupby("set_id")["age"]
    assert (sets.max() - sets.min()).max() <= 0.1 * cohort.occasions["age"].std() + 1e-9
    coarse = {"method": "coarsened_exact", "bins": ({"covariate": "severity", "number": 4},)}
    strata = groups_of(cohort, work_out(cohort, declaring(free, matching=coarse))).members.groupby("set_id")
    width = np.ptp(cohort.occasions["severity"]) / 4
    assert (strata["severity"].max() - strata["severity"].min()).max() <= width
    assert (strata["age"].max() - strata["age"].min()).max() > width


def test_the_last_day_of_the_window_is_inside(frame: pd.DataFrame, study: OccasionStudy) -> None:
    """All treated on one day and all others five days later: compared within five days, refused within four."""
    days = pd.to_timedelta(np.where(frame["treated"], 0, 5), unit="D")
    apart = Cohort(
        occasions=frame.assign(time_zero=pd.Timestamp("2020-01-01 12:00") + days),
        attrition=(),
        covariates=(*COVARIATES,),
    )
    matching = {"method": "greedy", "ratio": 1, "caliper": None}
    words = declaring(assigning(study, calendar_days=5), matching=matching, support=EVERYONE)
    assert (work_out(apart, words).compared.weight > 0).sum() > 20
    with pytest.raises(DesignError):
        work_out(apart, assigning(words, calendar_days=4))


def test_a_sample_of_the_untreated_reaches_the_model(cohort: Cohort, study: OccasionStudy) -> None:
    """Drawing one in ten tells the model, and everyone's scores, that the population has ten times as many."""
    sampled = declaring(study, propensity={"model": "logistic", "sampling_fraction": 0.1})
    worked, plain = work_out(cohort, sampled), work_out(cohort, study)
    assert worked.fitted.intercept == pytest.approx(plain.fitted.intercept + np.log(0.1), abs=1e-6)
    assert worked.propensity.logit == pytest.approx(worked.fitted.logit + np.log(0.1))
    known = bearings_of(cohort.occasions, sampled)
    again = fit_occasions(cohort.occasions, worked.treated, worked.matrix, sampled, worked.model, known.cluster)
    assert again.intercept == pytest.approx(worked.fitted.intercept)
    assert again.logit == pytest.approx(worked.fitted.logit)


def test_folds_keep_clinicians_whole_and_are_dealt_by_the_seed(cohort: Cohort, study: OccasionStudy) -> None:
    """Scores of a model of the others: nobody's clinician is on both sides; another seed deals anew."""
    crossed = declaring(study, support=EVERYONE, propensity={"model": "logistic", "cross_fit": 2})
    worked, again = work_out(cohort, crossed), work_out(cohort, crossed)
    other = work_out(cohort, crossed.model_copy(update={"seed": 8}))
    fold, clinician = worked.fitted.fold, np.arange(N) % 10
    assert fold is not None
    assert all(len(set(fold[clinician == k].tolist())) == 1 for k in range(10))
    assert set(fold.tolist()) == {0, 1}
    np.testing.assert_array_equal(fold, again.fitted.fold)
    assert (fold != other.fitted.fold).any()
    known = bearings_of(cohort.occasions, crossed)
    direct = fit_occasions(cohort.occasions, worked.treated, worked.matrix, crossed, worked.model, known.cluster)
    np.testing.assert_array_equal(direct.fold, fold)
    np.testing.assert_array_equal(direct.logit, worked.fitted.logit)


@pytest.mark.parametrize(("level", "n"), [("clinician", 10), ("clinic", 2)])
def test_means_of_clusters_enter_the_model(frame: pd.DataFrame, study: OccasionStudy, level: str, n: int) -> None:
    """Facts beside their means in the declared clusters, in the scores and in the test of curves."""
    words = declaring(study, support=EVERYONE, propensity={"model": "logistic", "cluster_means": level})
    lifted = frame.assign(severity=frame["severity"] + np.arange(N) % n)
    worked = work_out(Cohort(occasions=lifted, attrition=(), covariates=(*COVARIATES,)), words)
    assert "severity, cluster mean" in worked.fitted.names
    assert worked.curvature.linear is not None
    known = bearings_of(lifted, words)
    direct = fit_occasions(lifted, worked.treated, worked.matrix, words, worked.model, known.cluster)
    np.testing.assert_array_equal(direct.logit, worked.fitted.logit)


def test_a_sample_of_the_untreated_does_not_move_the_test_of_curves(frame: pd.DataFrame, study: OccasionStudy) -> None:
    """The share drawn is a constant of the model: as much curve is seen with it as without."""
    plain, sampled = (
        work_out(
            curved(frame),
            declaring(
                study, support=EVERYONE, propensity={"model": "logistic", "sampling_fraction": f, "bends": "none"}
            ),
        ).curvature.linear
        for f in (None, 0.1)
    )
    assert plain is not None
    assert sampled is not None
    assert sampled.statistic == pytest.approx(plain.statistic, rel=1e-4)


def curved(frame: pd.DataFrame) -> Cohort:
    """Occasions of which the middling are treated most often: no line tells that."""
    drawn = np.random.default_rng(3).random(N)
    treated = drawn < 1 / (1 + np.exp(1.5 * frame["severity"] ** 2 - 0.5))
    return Cohort(occasions=frame.assign(treated=treated), attrition=(), covariates=(*COVARIATES,))


def test_a_curve_is_found_and_bent_where_the_study_allows_it(frame: pd.DataFrame, study: OccasionStudy) -> None:
    """The test fires on the tier-1 fact and a bend is added; with `bends: none` it fires and nothing is added."""
    bending = declaring(study, support=EVERYONE, propensity={"model": "logistic", "bends": "where_needed"})
    straight = declaring(study, support=EVERYONE, propensity={"model": "logistic", "bends": "none"})
    found, left = work_out(curved(frame), bending), work_out(curved(frame), straight)
    assert found.curvature.bends == found.model.bends == ("severity",)
    assert left.curvature.bends == left.model.bends == ()
    for one in (found, left):
        assert one.curvature.linear is not None
        assert one.curvature.linear.covariates == ("severity",)
        assert one.curvature.linear.p_value < study.gates.curvature
    lenient = bending.model_copy(update={"gates": bending.gates.model_copy(update={"curvature": 0.0})})
    assert work_out(curved(frame), lenient).curvature.bends == ()


def test_without_overlap_the_refusal_says_what_would_help(frame: pd.DataFrame, study: OccasionStudy) -> None:
    """One regime treats all and the other nobody: no stratum has both, unless the rule of support is none."""
    decided = Cohort(
        occasions=frame.assign(treated=frame["regime"] == "mandatory"), attrition=(), covariates=(*COVARIATES,)
    )
    with pytest.raises(DesignError) as refused:
        work_out(decided, study)
    assert refused.value.code == "design.no_overlap"
    assert "no stratum holds treated and comparison occasions with a shared probability" in str(refused.value)
    assert "fewer exact keys, or a population in which either decision is open" in str(refused.value)
    strict = study.model_copy(update={"support": study.support.model_copy(update={"probability_max": 0.001})})
    with pytest.raises(DesignError, match=r"^\[design\.no_overlap\]"):  # comparisons are left, the treated are not
        work_out(Cohort(occasions=frame, attrition=(), covariates=(*COVARIATES,)), strict)
    free = declaring(assigning(study, exact=()), support=EVERYONE)
    worked = work_out(decided, free)
    assert worked.supported.dtype == np.bool_
    assert worked.supported.all()
