"""What this version can estimate of what a study file can say, and in which words it tells the rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from causal.protocol import STUDY, CohortStudy, MetaStudy, OccasionStudy
from causal.protocol.cohort import Analysis, CohortDesign, CohortTrial
from causal.protocol.exposure import CohortExposure, Exposure
from causal.protocol.outcome import CohortOutcome, Outcome, Strategy
from flows.study_file import load_study
from validation.estimable import (
    BESIDE,
    HIDDEN_CAUSES,
    IN_WORDS,
    KNOWN_SENSITIVITY,
    PART_OF,
    judge_estimable,
    judge_planned,
)
from validation.secondary import judge_secondary
from validation.verdict import Status, Verdict

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "configs/studies"


def kinds(union: Any, field: str) -> set[str]:
    """The words by which the members of a union are told apart."""
    members = [one for part in get_args(get_args(union)[0]) for one in (get_args(part) or (part,))]
    return {word for one in members for word in get_args(one.model_fields[field].annotation)}


def occasions() -> OccasionStudy:
    """The flagship study."""
    study = load_study(ROOT / "configs/studies/duty_to_warn.yaml").study
    assert isinstance(study, OccasionStudy)
    return study


def cohort(name: str = "s1_hypertension_adherence", **changes: Any) -> CohortStudy:
    """A study of another unit, with other values for some of its keys."""
    study = STUDY.validate_python(load_study(STUDIES / f"{name}.yaml").study.model_dump(mode="python") | changes)
    assert isinstance(study, CohortStudy)
    return study


def planned(study: Any) -> dict[str, str]:
    """What is planned and not run, code to sentence."""
    return {one.code: one.sentence for one in judge_planned(study)}


def test_every_word_a_study_may_use_has_plain_words() -> None:
    """No refusal stumbles over its own vocabulary: each kind of each part is told in small words, and nothing else."""
    sayable = kinds(Exposure, "kind") | kinds(CohortExposure, "kind")
    sayable |= kinds(Outcome, "kind") | kinds(CohortOutcome, "kind") | kinds(Strategy, "strategy")
    sayable |= kinds(CohortDesign, "method") | kinds(Analysis, "family")
    sayable |= {*get_args(CohortTrial.model_fields["time_zero"].annotation), "per_protocol"}
    assert set(IN_WORDS) == sayable
    assert [words for words in IN_WORDS.values() if not re.fullmatch(r"[a-z][a-z', -]+", words)] == []


def test_names_of_sensitivity_analyses_are_told_apart() -> None:
    """Each stands once, in the order of the alphabet; what is said of some is said of known ones."""
    assert list(KNOWN_SENSITIVITY) == sorted(set(KNOWN_SENSITIVITY))
    assert all(re.fullmatch(r"[a-z_]+", name) and "xx" not in name for name in KNOWN_SENSITIVITY)
    assert set(PART_OF) | HIDDEN_CAUSES <= set(KNOWN_SENSITIVITY)


@pytest.mark.parametrize("name", KNOWN_SENSITIVITY)
def test_a_known_sensitivity_analysis_is_planned_and_not_called_unknown(name: str) -> None:
    """It is said that the software cannot do this yet, or where it is run; never that nobody knows it."""
    study = cohort(sensitivity={"planned": (name,)})
    told = planned(study)[f"protocol.sensitivity.{name}"]
    ran = name in ("tipping_point", "complete_case")
    expected = "declare dropout_story under secondary" if ran else "the software cannot do this yet"
    assert told == f"planned sensitivity analysis {name}: {expected}"


@pytest.mark.parametrize("file", sorted(path.stem for path in STUDIES.glob("s*.yaml")))
def test_other_units_are_told_with_unit_exposure_outcome_and_design(file: str) -> None:
    """A study of another unit is refused with each of its parts in plain words and the file's own."""
    study = load_study(STUDIES / f"{file}.yaml").study
    verdict = judge_estimable(study)
    assert (verdict.code, verdict.status) == ("protocol.not_yet_estimable", Status.NOT_EVALUATED)
    if isinstance(study, MetaStudy):
        assert verdict.sentence.endswith("pooling the effects of other studies")
    if isinstance(study, CohortStudy):
        zero, method, family = study.target_trial.time_zero, study.design.method, study.estimator.primary.family
        assert f"one row for each {study.unit}, starting at {IN_WORDS[zero]} ({zero}); as exposure" in verdict.sentence
        for kind in (study.exposure.kind, study.outcome.kind):
            assert f"{IN_WORDS[kind]} ({kind})" in verdict.sentence
        assert f"{IN_WORDS[method]} ({method}) with {IN_WORDS[family]} ({family})" in verdict.sentence
        assert ("; a claim of" in verdict.sentence) == (study.claim not in ("effect", "description"))


@pytest.mark.parametrize("claim", ["effect_modification", "equivalence", "non_inferiority"])
def test_claims_that_cannot_be_tested_are_named(claim: str) -> None:
    """A claim beyond an effect is one more part that is not estimated."""
    assert judge_estimable(cohort(claim=claim)).sentence.endswith(f"; a claim of {claim}")
    assert "claim" not in judge_estimable(cohort(claim="description")).sentence


def test_a_course_that_cannot_be_censored_is_refused() -> None:
    """Endings counted, and later warnings taken away: nobody knows whether those people would have ended."""
    study = occasions()
    plain = study.model_dump(mode="python")
    estimands = list(plain["estimands"])
    events = estimands[0]["intercurrent_events"] | {"comparison_treated_later": {"strategy": "hypothetical"}}
    estimands[0] = estimands[0] | {"intercurrent_events": events}
    verdict = judge_estimable(STUDY.validate_python(plain | {"estimands": tuple(estimands)}))
    assert verdict.status is Status.NOT_EVALUATED
    assert "comparison_treated_later in E1 as hypothetical, where endings are counted" in verdict.sentence
    assert judge_estimable(study).status is Status.PASS


def test_only_the_primary_estimand_must_count_an_ending_as_failure() -> None:
    """E1 asked as hypothetical is refused with what it may be; E2 asks just that and is not."""
    plain = occasions().model_dump(mode="python")
    estimands = list(plain["estimands"])
    events = estimands[0]["intercurrent_events"] | {"patient_ended": {"strategy": "hypothetical"}}
    estimands[0] = estimands[0] | {"intercurrent_events": events}
    said = judge_estimable(STUDY.validate_python(plain | {"estimands": tuple(estimands)})).sentence
    assert "for patient_ended in E1, asking what would have been without the event (hypothetical)" in said
    assert "where this version has counting the event as a bad outcome (composite)" in said
    assert "E2" not in said


def every_plan() -> tuple[Verdict, ...]:
    """What a study says that declares everything a plan may name and no analysis that answers it."""
    plain = occasions().model_dump(mode="python") | {
        "effect_modifiers": ({"name": "age", "because": "older"}, {"name": "male", "because": "sex"}),
        "mediators": ({"name": "contacts_after", "from_day": 1, "to_day": 30},),
        "directed_measures": ({"rater": "clinician", "target": "patient", "instrument": "wai_sr"},),
        "non_inferiority_margin": 0.2,
        "secondary": (),
        "multiplicity": None,
        "sensitivity": {"planned": ()},
        "negative_controls": {"outcomes": (), "exposures": ()},
    }
    study = STUDY.validate_python(plain)
    assert isinstance(study, OccasionStudy)
    return (*judge_planned(study), *judge_secondary(study))


def test_everything_planned_beside_the_question_is_said_by_its_code() -> None:
    """The page of the plan knows each by its code: modifiers, mediators, directed ratings, margin, days, estimands."""
    found = {one.code: one.sentence for one in every_plan() if one.status is Status.NOT_EVALUATED}
    assert set(found) == set(BESIDE)
    assert found["protocol.effect_modifiers"] == "differences of the effect by age, male: not yet estimated"
    assert found["protocol.mediation"] == "effects through contacts_after: not yet estimated"


@pytest.mark.parametrize("asked", ["non_inferiority", "equivalence"])
def test_a_margin_that_an_analysis_asks_of_is_no_open_plan(asked: str) -> None:
    """Either test of the margin answers for it."""
    plain = occasions().model_dump(mode="python")
    words = {"non_inferiority_margin": 0.2, "secondary": ({"analysis": asked},), "multiplicity": None}
    assert "protocol.non_inferiority" not in planned(STUDY.validate_python(plain | words))


def test_controls_of_another_unit_are_said_too() -> None:
    """Negative controls and sensitivity analyses are named whatever the unit; a flat table plans none."""
    control = {"name": "pretrends", "because": "nothing can have changed it"}
    study = cohort(negative_controls={"outcomes": (control,), "exposures": (control | {"name": "pretrend"},)})
    found = {code: said for code, said in planned(study).items() if "negative_control" in code}
    assert found == {
        "protocol.negative_control.pretrends": "negative control pretrends: the software cannot do this yet "
        "(did you mean pretrend?)"
    }
