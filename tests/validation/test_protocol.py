"""Lints of the protocol: each edit of the flagship that makes no sense fails by its own code, in a plain sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from causal.errors import StudyFileError
from causal.protocol import STUDY, AnyStudy, FlatTableStudy, Instrument
from flows.flat_table import analyse
from flows.study_file import load_instruments, load_study
from validation.estimable import IMPLEMENTED_SENSITIVITY, KNOWN_SENSITIVITY, waiting
from validation.protocol import judge_protocol
from validation.verdict import Side, Status, Verdict, failed

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "configs/studies"
INSTRUMENTS = load_instruments(ROOT / "configs/instruments")
FLAGSHIP = load_study(ROOT / "configs/studies/duty_to_warn.yaml").study


def with_changes(study: AnyStudy, changes: dict[str, Any]) -> AnyStudy:
    """`study` with the values at the dotted paths replaced; a number in a path is a position in a list."""
    value: Any = study.model_dump(mode="json")
    for path, new in changes.items():
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
        inner: Any = value
        for step in steps:
            inner = inner[step]
        inner[last] = new
    return STUDY.validate_json(json.dumps(value))


def failures(changes: dict[str, Any], *, study: AnyStudy = FLAGSHIP) -> dict[str, str]:
    """Failed verdicts, code to sentence, after `changes`."""
    return {each.code: each.sentence for each in failed(judge_protocol(with_changes(study, changes), INSTRUMENTS))}


def verdict(code: str, verdicts: tuple[Verdict, ...]) -> Verdict:
    """The one verdict with this code."""
    (found,) = [each for each in verdicts if each.code == code]
    return found


def test_the_flagship_passes() -> None:
    """Nothing fails; what is planned and not yet run is said, once each."""
    verdicts = judge_protocol(FLAGSHIP, INSTRUMENTS)
    assert failed(verdicts) == ()
    assert len({each.code for each in verdicts}) == len(verdicts)
    open_codes = [each.code for each in verdicts if each.status is Status.NOT_EVALUATED]
    planned = ("entropy_balancing", "clone_censor_weight", "drop_last_lag", "rosenbaum", "e_value")
    assert open_codes == [
        *(f"protocol.sensitivity.{name}" for name in planned if name not in IMPLEMENTED_SENSITIVITY),
        "protocol.negative_control.influenza_vaccination",
        "protocol.negative_control.routine_disclosure",
    ]


LAG_RULES = [{"covariate": f"alliance_lag{lag}", "fill": "nearest_lag"} for lag in (1, 2, 3)]
EDGES = list(FLAGSHIP.model_dump(mode="json")["dag"]["edges"])
RELIABLE_CHANGE = {
    "analysis": "reliable_change",
    "sd": 0.75,
    "reliability": 0.9,
    "basis": "alpha",
    "reference": "the validation sample",
}
CASES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"target_trial.eligibility.1": {"rule": "minimum_age", "years": 21}},
        "protocol.eligibility",
        "an eligibility rule stands twice, and only one of them could count: minimum_age",
    ),
    (
        {"target_trial.strategies.treated.actions": ["warn_victm"]},
        "protocol.actions",
        "the treated strategy names actions that the records do not know: warn_victm (did you mean warn_victim?)",
    ),
    (
        {"target_trial.strategies.treated.actions": ["intensify"]},
        "protocol.words",
        "words are given for actions or versions the study does not have: warn_victim, warn_police",
    ),
    (
        {"words.versions": {"recipeint": "Who was told"}},
        "protocol.words",
        "words are given for actions or versions the study does not have: recipeint (did you mean recipient?)",
    ),
    (
        {"target_trial.assignment.exact": ["regim"]},
        "protocol.exact_keys",
        "compared occasions are to agree on keys that do not exist: regim (did you mean regime?)",
    ),
    (
        {"outcome.windows.0.half_width": 28},
        "protocol.outcome_window",
        (
            "the first rating may be from day 2; until day 3 the strategy is still being chosen; "
            "a rating that comes before the strategy cannot be its outcome"
        ),
    ),
    (
        {"target_trial.strategies.treated.grace_hours": 16 * 24},
        "protocol.outcome_window",
        (
            "the first rating may be from day 16; until day 16 the strategy is still being chosen; "
            "a rating that comes before the strategy cannot be its outcome"
        ),
    ),
    (
        {"target_trial.eligibility.0": {"rule": "followed_up", "days": 110}},
        "protocol.followed_up",
        (
            "the answer may be given until day 111, and each occasion has records for at least 110 days; add or raise "
            "the rule followed_up, or the newest occasions count as if all had gone well"
        ),
    ),
    (
        {"outcome.primary_day": 60},
        "protocol.primary_day",
        "the primary day is 60, and the outcome is rated around day 30, 90, 180",
    ),
    (
        {"target_trial.follow_up.horizon_days": 120},
        "protocol.primary_day",
        "the outcome is rated around day 180, after follow-up ends on day 120",
    ),
    ({"outcome.windows.2.day": 90}, "protocol.primary_day", "two windows have the same day: 30, 90, 90"),
    (
        {"outcome.version": "therapist"},
        "protocol.instrument",
        (
            "the outcome is the therapist version of wai_sr, and the scoring key is for client; "
            "the therapist version of wai_sr is answered by the clinician, not by the patient"
        ),
    ),
    (
        {"outcome.rater": "clinician"},
        "protocol.instrument",
        "the client version of wai_sr is answered by the patient, not by the clinician",
    ),
    ({"outcome.subscales": ["bond", "trust"]}, "protocol.instrument", "wai_sr has no subscale trust"),
    (
        {"estimands.0.intercurrent_events.patient_ended.value": 0.0},
        "protocol.composite_value",
        "a rating of wai_sr lies from 1 to 5, and patient_ended in E1 has 0",
    ),
    (
        {"estimands.0.intercurrent_events.patient_ended.value": 5.0},
        "protocol.composite_value",
        "who ends treatment would count as one of the content: patient_ended in E1 has 5, above the middle of 1 to 5",
    ),
    (
        {"outcome.windows.1.half_width": 50},
        "protocol.primary_day",
        "one rating could answer for two days: the windows around day 30 and 90 overlap",
    ),
    (
        {"non_inferiority_margin": 50.0, "secondary": [], "multiplicity": None},
        "protocol.secondary",
        "a margin of 50 points excludes nothing; at most 2",
    ),
    (
        {"secondary": [RELIABLE_CHANGE | {"sd": 7.5}], "multiplicity": None},
        "protocol.secondary",
        "means of items have no standard deviation of 7.5 points; at most 2",
    ),
    ({"estimands.0.primary": False}, "protocol.primary_estimand", "exactly one estimand must be primary; 0 are"),
    (
        {
            "confounders.tier1.0": "aliance_lag1",
            "estimator.adjust_for.0": "severity",
            "dag.edges": [*EDGES[:1], EDGES[-1]],
            "missing.covariates": [*LAG_RULES[1:], {"covariate": "phq9", "fill": "median"}],
        },
        "protocol.covariates",
        "confounders that no table and no definition holds: aliance_lag1 (did you mean alliance_lag1?)",
    ),
    (
        {"confounders.tier2.0": "severity", "dag.edges": ["warning -> alliance_after"]},
        "protocol.covariates",
        "confounders named twice: severity",
    ),
    (
        {"covariates": [{"name": "sud", "meaning": "in treatment for substance use", "unit": "yes or no"}]},
        "protocol.covariates",
        "declared anew under covariates, where the definition's own meaning would be used in silence: sud",
    ),
    (
        {"confounders.tier2": ["regime_mandatory"], "dag.edges": ["warning -> alliance_after"]},
        "protocol.covariates",
        "regime_mandatory alone says only part of the legal regime; name every indicator of it or none",
    ),
    (
        {"estimator.adjust_for": ["severity", "sude"]},
        "protocol.adjust_for",
        "the outcome regression adjusts for what is not among the confounders: sude (did you mean sud?)",
    ),
    (
        {"mediators": [{"name": "visits_90d", "from_day": 1, "to_day": 60}]},
        "protocol.mediators",
        (
            "visits_90d is declared to lie between the exposure and the outcome, and is adjusted for all the same; "
            "that would hide part of the effect"
        ),
    ),
    (
        {"mediators": [{"name": "contacts_after", "from_day": 60, "to_day": 1}]},
        "protocol.mediators",
        "the window of contacts_after ends before it begins",
    ),
    (
        {"missing.covariates": LAG_RULES},
        "protocol.missing_covariates",
        "nobody may have recorded phq9, and nothing says what stands in for it",
    ),
    (
        {"missing.covariates.3.fill": "nearest_lag"},
        "protocol.missing_covariates",
        "phq9 has no other lag that could stand in for it; use the median",
    ),
    (
        {"missing.covariates": [*LAG_RULES, LAG_RULES[0], {"covariate": "phq9", "fill": "median"}]},
        "protocol.missing_covariates",
        "two rules say what stands in for alliance_lag1",
    ),
    (
        {"governance.forbidden_columns": ["note_text"]},
        "protocol.free_text",
        "notes must be kept out of the extract: add session_note to the forbidden columns",
    ),
    (
        {"report.limitations.0": "The analysis shows that warnings are safe."},
        "protocol.claims",
        (
            "wording that promises more than a study can show: 'safe'; to say that the study cannot show it, "
            "begin the sentence with Whether"
        ),
    ),
    (
        {"report.cannot_say.0": "A warning has no effect."},
        "protocol.claims",
        (
            "wording that promises more than a study can show: 'no effect'; to say that the study cannot show it, "
            "begin the sentence with Whether"
        ),
    ),
    (
        {"dag.outcome": "alliance_lag1"},
        "protocol.dag_ends",
        "treatment and outcome may be neither covariates nor unobserved: alliance_lag1",
    ),
    (
        {"dag.treatment": "warnin"},
        "protocol.dag_ends",
        "no arrow of the diagram touches its treatment or outcome: warnin (did you mean warning?)",
    ),
    ({"dag.outcome": "warning"}, "protocol.dag_ends", "the diagram names warning as both treatment and outcome"),
    (
        {"dag.edges": EDGES[:-1]},
        "protocol.dag_ends",
        "no arrow leads from warning to alliance_after: the diagram says there is nothing to estimate",
    ),
    (
        {"dag.edges": [*EDGES, "alliance_after -> severity"]},
        "protocol.dag_acyclic",
        "the diagram goes round in a circle: alliance_after -> severity -> alliance_after; nothing can cause itself",
    ),
    (
        {"dag.edges": [*EDGES, "mood -> warning"]},
        "protocol.dag_nodes",
        "the diagram names what is neither a covariate nor declared unobserved: mood",
    ),
    (
        {"dag.unobserved": ["clinician_threshold", "severity"]},
        "protocol.dag_nodes",
        "declared unobserved, and yet adjusted for: severity",
    ),
    (
        {"dag.edges": [*EDGES, "warning -> visits_90d"]},
        "protocol.dag_descendants",
        "a confounder comes after the treatment, so adjusting for it hides part of the effect: warning -> visits_90d",
    ),
    (
        {"dag.edges": [*EDGES, "clinician_threshold -> alliance_after"]},
        "protocol.dag_open_path",
        (
            "with these confounders, something other than the treatment still links it to the outcome: "
            "warning <- clinician_threshold -> alliance_after"
        ),
    ),
    (
        {
            "dag.edges": [
                *EDGES,
                "habit -> visits_90d",
                "habit -> alliance_after",
                "clinician_threshold -> visits_90d",
            ],
            "dag.unobserved": ["clinician_threshold", "habit"],
        },
        "protocol.dag_open_path",
        (
            "with these confounders, something other than the treatment still links it to the outcome: "
            "warning <- clinician_threshold -> visits_90d <- habit -> alliance_after "
            "(open at visits_90d only because of adjusting for it)"
        ),
    ),
]


@pytest.mark.parametrize(
    ("changes", "code", "said"), CASES, ids=[f"{code}-{i}" for i, (_, code, _) in enumerate(CASES)]
)
def test_what_makes_no_sense_fails(changes: dict[str, Any], code: str, said: str) -> None:
    """The edit fails by its code, with a sentence the author can act on."""
    assert failures(changes)[code] == said


NOT_YET: list[tuple[dict[str, Any], str]] = [
    (
        {"exposure": {"kind": "continuous", "measure": "dose", "intervention": {"shift": 1.0, "units": "mg"}}},
        "as exposure, an amount that everyone has more or less of (continuous)",
    ),
    ({"exposure.versions": ["mood"]}, "versions of the exposure called mood"),
    (
        {"outcome": {"kind": "time_to_event", "event": "left", "horizon_days": 180}},
        "as outcome, the time until an event (time_to_event)",
    ),
    ({"outcome.dyad": "any_clinician"}, "ratings of another clinician than the assessing clinician"),
    ({"target_trial.contrast.analogue": "per_protocol"}, "the effect of keeping to a strategy (per_protocol)"),
    (
        {"estimands.0.intercurrent_events.death": {"strategy": "treatment_policy"}},
        (
            "for death in E1, taking the outcome as it is (treatment_policy), where this version has counting the "
            "event apart (separate) or taking the last value before the event (while_in_relationship)"
        ),
    ),
    (
        {"estimands.0.intercurrent_events.planned_completion": {"strategy": "treatment_policy"}},
        (
            "for planned_completion in E1, taking the outcome as it is (treatment_policy), where this version has "
            "taking the last value before the event (while_in_relationship) or asking what would have been without the "
            "event (hypothetical)"
        ),
    ),
    (
        {
            "covariates": [{"name": "custody", "meaning": "has custody of a child", "unit": "yes or no"}],
            "confounders.tier2.3": "custody",
            "target_trial.assignment.exact": ["regime", "custody"],
        },
        "covariates that no table holds yet: custody; agreement on keys that no table holds yet: custody",
    ),
]


@pytest.mark.parametrize(("changes", "parts"), NOT_YET, ids=[parts[:30] for _, parts in NOT_YET])
def test_what_can_be_said_and_not_yet_estimated_fails(changes: dict[str, Any], parts: str) -> None:
    """Nothing fails, and the parts that wait are named."""
    verdicts = judge_protocol(with_changes(FLAGSHIP, changes), INSTRUMENTS)
    assert failed(verdicts) == ()
    (waits,) = waiting(verdicts)
    assert waits.sentence == (f"this can be written down and checked, but this version cannot estimate it yet: {parts}")


def test_planned_completion_may_be_hypothetical() -> None:
    """Both strategies that this version carries out for a planned end are accepted."""
    assert failures({"estimands.0.intercurrent_events.planned_completion": {"strategy": "hypothetical"}}) == {}


def test_what_is_planned_besides_is_said() -> None:
    """Analyses, controls, estimands and modifiers that are not run are NOT EVALUATED, each with its reason."""
    second = {**FLAGSHIP.model_dump(mode="json")["estimands"][0], "id": "E2", "primary": False}
    study = with_changes(
        FLAGSHIP,
        {
            "sensitivity.planned": ["rosenbaun", "e_value"],
            "negative_controls.outcomes.0.name": "pretrends",
            "estimands": [FLAGSHIP.model_dump(mode="json")["estimands"][0], second],
            "effect_modifiers": [{"name": "tenure_months", "because": "A longer relationship may bear more"}],
            "mediators": [{"name": "contacts_after", "from_day": 1, "to_day": 30}],
            "directed_measures": [{"rater": "clinician", "target": "patient", "instrument": "wai_sr"}],
            "non_inferiority_margin": 0.2,
            "outcome.subscales": ["bond"],
            "secondary": [],
            "multiplicity": None,
        },
    )
    verdicts = judge_protocol(study, INSTRUMENTS)
    assert failed(verdicts) == ()
    said = {each.code: each.sentence for each in verdicts if each.status is Status.NOT_EVALUATED}
    assert said["protocol.sensitivity.rosenbaun"].endswith("does not know the name (did you mean rosenbaum?)")
    assert said["protocol.negative_control.pretrends"].endswith(
        "the software cannot do this yet (did you mean pretrend?)"
    )
    assert said["protocol.secondary_days"] == ("ratings around day 30, 180: no analysis under secondary asks for them")
    assert said["protocol.secondary_estimands"] == "estimands E2: no analysis under secondary answers them"
    assert said["protocol.effect_modifiers"] == "differences of the effect by tenure_months: not yet estimated"
    assert {
        "protocol.mediation",
        "protocol.directed_measures",
        "protocol.non_inferiority",
        "protocol.subscales",
    } <= set(said)
    assert IMPLEMENTED_SENSITIVITY.issubset(KNOWN_SENSITIVITY)


def test_a_tipping_point_is_part_of_the_dropout_story() -> None:
    """It is run where the story is declared; elsewhere the verdict says where to declare it."""
    planned = {"sensitivity.planned": ["tipping_point"]}
    codes = {v.code for v in judge_protocol(with_changes(FLAGSHIP, planned), INSTRUMENTS)}
    assert "protocol.sensitivity.tipping_point" not in codes
    without = with_changes(FLAGSHIP, planned | {"secondary": [], "multiplicity": None})
    said = verdict("protocol.sensitivity.tipping_point", judge_protocol(without, INSTRUMENTS))
    assert said.sentence.endswith("declare dropout_story under secondary")


def test_an_instrument_without_a_key() -> None:
    """An unknown instrument fails with the keys there are; what rests on the key is not evaluated."""
    verdicts = judge_protocol(FLAGSHIP, {name: key for name, key in INSTRUMENTS.items() if name != "wai_sr"})
    assert verdict("protocol.instrument", verdicts).sentence.startswith("there is no scoring key for wai_sr")
    assert verdict("protocol.composite_value", verdicts).status is Status.NOT_EVALUATED
    assert verdict("protocol.instrument_key", verdicts).status is Status.NOT_EVALUATED


def test_a_symptom_scale_without_a_key() -> None:
    """A questionnaire among the confounders needs its key too."""
    verdicts = judge_protocol(FLAGSHIP, {"wai_sr": INSTRUMENTS["wai_sr"]})
    assert [(each.code, each.sentence) for each in failed(verdicts)] == [
        (
            "protocol.symptom_keys",
            "a fact is the score of a questionnaire, and cannot be scored: phq9 has no scoring key",
        )
    ]


@pytest.mark.parametrize(
    ("status", "judged", "said"),
    [
        ("primary_source", Status.PASS, "the scoring key of wai_sr was checked against its authors' publication"),
        ("secondary_source", Status.PASS, "the scoring key of wai_sr was checked against a second-hand source"),
        (
            "recall",
            Status.NOT_EVALUATED,
            "whether the scoring key of wai_sr is right: it was written from memory and never checked",
        ),
    ],
)
def test_how_far_a_key_was_checked(status: str, judged: Status, said: str) -> None:
    """A key from memory is not taken for a checked one."""
    key = INSTRUMENTS["wai_sr"].model_dump()
    key["verified"] = {"status": status, "source": "somewhere"}
    verdicts = judge_protocol(FLAGSHIP, {**INSTRUMENTS, "wai_sr": Instrument.model_validate(key)})
    found = verdict("protocol.instrument_key", verdicts)
    assert (found.status, found.sentence) == (judged, said)


def test_a_scale_that_the_key_does_not_give() -> None:
    """Sums and item means are not mixed, and a composite value is judged on the outcome's scale."""
    found = failures(
        {
            "outcome.scale": "sum",
            "secondary": [],
            "multiplicity": None,
            "estimands.0.intercurrent_events.patient_ended.value": 12.0,
        }
    )
    assert found == {
        "protocol.instrument": "the outcome is on the scale sum, and the scoring key gives the mean of the items"
    }


@pytest.mark.parametrize(
    "sentence",
    [
        "Whether a warning is safe.",
        "That a warning has no effect.",
        "Anything about the safety of clinicians.",
        "The effect on people who were not assessed.",
    ],
)
def test_naming_what_cannot_be_said_is_allowed(sentence: str) -> None:
    """To say that the study cannot show safety is no promise of it."""
    assert failures({"report.cannot_say.0": sentence}) == {}


def test_the_windows_figures_are_kept() -> None:
    """First day of rating beside the days of grace; days on record beside the last day of the answer."""
    found = verdict("protocol.outcome_window", judge_protocol(FLAGSHIP, INSTRUMENTS))
    assert (found.measured, found.limit, found.side) == (16.0, 3.0, Side.MORE_THAN)
    found = verdict("protocol.followed_up", judge_protocol(FLAGSHIP, INSTRUMENTS))
    assert (found.measured, found.limit, found.side) == (111.0, 111.0, Side.AT_LEAST)


def test_a_diagram_that_fails_leaves_its_questions_open() -> None:
    """With a circle, paths are not judged."""
    study = with_changes(FLAGSHIP, {"dag.edges": [*EDGES, "alliance_after -> severity"]})
    verdicts = judge_protocol(study, INSTRUMENTS)
    assert verdict("protocol.dag_open_path", verdicts).status is Status.NOT_EVALUATED
    assert verdict("protocol.dag_descendants", verdicts).status is Status.NOT_EVALUATED


def test_the_regime_may_be_drawn_as_one_node() -> None:
    """A diagram that draws the regime once is understood through its two indicators."""
    edges = [edge for edge in EDGES if "regime" not in edge]
    assert failures({"dag.edges": [*edges, "regime -> warning", "regime -> alliance_after"]}) == {}


COHORT: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "s1_hypertension_adherence",
        {
            "sensitivity.planned": [],
            "outcome": {
                "kind": "rating",
                "instrument": "wai_sr",
                "version": "client",
                "rater": "patient",
                "dyad": "index_clinician",
                "scale": "item_mean",
                "windows": [{"day": 90, "half_width": 21}],
                "primary_day": 90,
            },
        },
        "protocol.common_rater",
        (
            "the patient rates both the exposure and the outcome, so mood alone can link them; "
            "plan the sensitivity analysis common_rater"
        ),
    ),
    (
        "s8_telepsychiatry",
        {"non_inferiority_margin": None},
        "protocol.margin",
        "a claim that something is not much worse needs the margin, set beforehand",
    ),
    (
        "s4_gratitude_journal",
        {"mediators": []},
        "protocol.alliance",
        "the alliance is called a mediator, and the study names none",
    ),
    (
        "s4_gratitude_journal",
        {"estimator.adjust_for": ["alliance_after"]},
        "protocol.mediators",
        (
            "alliance_after is declared to lie between the exposure and the outcome, and is adjusted for all the same; "
            "that would hide part of the effect"
        ),
    ),
    (
        "s6_triadic_psychoeducation",
        {"actors": ["clinician", "patient", "carer"]},
        "protocol.actors",
        "somebody is named who is not among the actors: caregiver (did you mean carer?)",
    ),
    (
        "s13_heterogeneity",
        {"meta.moderators.0.reference": None},
        "protocol.moderators",
        "a categorical moderator needs a reference level: design",
    ),
]


@pytest.mark.parametrize(("name", "changes", "code", "said"), COHORT, ids=[code for _, _, code, _ in COHORT])
def test_lints_of_other_studies(name: str, changes: dict[str, Any], code: str, said: str) -> None:
    """Common raters, margins, the alliance's role, actors and moderators are judged where they occur."""
    study = load_study(STUDIES / f"{name}.yaml").study
    assert failures(changes, study=study)[code] == said


FLAT: list[tuple[dict[str, Any], str]] = [
    ({"columns.categorical": ["race", "age"]}, "a column is named twice: age"),
    ({"columns.squared": ["race"]}, "a squared column must be among the numeric ones: race"),
    (
        {"columns.numeric": [], "columns.categorical": []},
        "no covariate is named, so nothing makes the groups comparable",
    ),
    ({"columns.keys": ["age"]}, "a column is named twice: age"),
    ({"analysis.exact": ["re78"]}, "the treatment or the outcome cannot also serve as a key: re78"),
    (
        {"analysis.cluster": "treat", "analysis.standard_error": "robust"},
        "the treatment or the outcome cannot also serve as a key: treat",
    ),
    ({"analysis.exact": ["rase"]}, "a key is not among the columns of the study: rase (did you mean race?)"),
    (
        {"analysis.cluster": "site", "analysis.standard_error": "robust"},
        "a key is not among the columns of the study: site",
    ),
    (
        {"analysis.design.calipers": [{"covariate": "race", "width": 1}]},
        "calipers, bins and splines need numbers, and this holds categories: race",
    ),
    (
        {"analysis.propensity.splines": ["race"]},
        "calipers, bins and splines need numbers, and this holds categories: race",
    ),
    ({"analysis.propensity.cluster_means": "clinic"}, "cluster means need a cluster column"),
]


@pytest.mark.parametrize(("changes", "said"), FLAT)
def test_columns_of_a_flat_table(changes: dict[str, Any], said: str) -> None:
    """Each column has one part to play."""
    study = load_study(ROOT / "configs/studies/examples/lalonde.yaml").study
    assert failures({}, study=study) == {}
    assert failures(changes, study=study) == {"protocol.columns": said}


@pytest.mark.parametrize(
    "rule", [{"differ": ["treat"]}, {"prefer": [{"key": "re78", "penalty": 1}]}, {"differ": ["zzz"]}]
)
def test_rules_on_pairs_name_columns_of_the_table(rule: dict[str, Any]) -> None:
    """What compared rows differ or had better agree in is a declared column, and not the outcome or the treatment."""
    study = load_study(ROOT / "configs/studies/examples/lalonde.yaml").study
    changes = {f"analysis.design.{name}": value for name, value in rule.items()}
    assert {"protocol.columns", "protocol.method"} <= set(failures(changes, study=study))


NO_PAIRS = "a paired standard error needs pairs: one comparison for each treated, none used twice"
NO_REUSE = (
    "an Abadie-Imbens standard error is for greedy matching with replacement: use paired or robust, or set "
    "replacement to true"
)
UNKNOWN = (
    "how weights were estimated is known for a logistic model of all rows, neither cross-fitted nor of a sample of the "
    "untreated: use robust"
)
WEIGHTING = {"method": "propensity", "estimand": "ATT"}


@pytest.mark.parametrize(
    ("design", "error", "propensity", "said"),
    [
        ({"method": "greedy", "ratio": 1, "caliper": None}, "paired", {}, None),
        ({"method": "optimal", "ratio": 1, "caliper": None}, "paired", {}, None),
        ({"method": "fine_balance", "ratio": 1, "caliper": None, "balance": ["race"]}, "paired", {}, None),
        ({"method": "cardinality", "ratio": 1}, "paired", {}, None),
        ({"method": "greedy", "ratio": 2, "caliper": None}, "paired", {}, NO_PAIRS),
        ({"method": "greedy", "ratio": 1, "caliper": None, "replacement": True}, "paired", {}, NO_PAIRS),
        ({"method": "full", "caliper": None}, "paired", {}, NO_PAIRS),
        ({"method": "greedy", "ratio": 2, "caliper": None, "replacement": True}, "abadie_imbens", {}, None),
        ({"method": "greedy", "ratio": 1, "caliper": None}, "abadie_imbens", {}, NO_REUSE),
        ({"method": "full", "caliper": None}, "abadie_imbens", {}, NO_REUSE),
        (WEIGHTING, "abadie_imbens", {}, NO_REUSE),
        (
            {"method": "optimal", "ratio": 1, "caliper": None},
            "estimated_weights",
            {},
            "matched sets are not weights with a model: set standard_error to robust",
        ),
        (WEIGHTING, "estimated_weights", {}, None),
        (WEIGHTING, "estimated_weights", {"model": "elastic_net"}, UNKNOWN),
        (WEIGHTING, "estimated_weights", {"cross_fit": 3}, UNKNOWN),
        (WEIGHTING, "estimated_weights", {"sampling_fraction": 0.1}, UNKNOWN),
        ({"method": "entropy_balancing"}, "estimated_weights", {"model": "elastic_net"}, None),
        (
            {"method": "entropy_balancing", "estimand": "ATO"},
            "estimated_weights",
            {},
            "how overlap weights by entropy balancing were estimated is not known: use robust",
        ),
    ],
)
def test_standard_errors_of_a_flat_table(
    design: dict[str, Any], error: str, propensity: dict[str, Any], said: str | None
) -> None:
    """Pairs have paired errors, and weights with known estimating equations have errors that know of them."""
    study = load_study(ROOT / "configs/studies/examples/lalonde.yaml").study
    changes = {"analysis.design": design, "analysis.standard_error": error, "analysis.propensity": propensity}
    assert failures(changes, study=study) == ({} if said is None else {"protocol.standard_error": said})


def test_trees_of_a_sample_of_the_untreated() -> None:
    """Boosting takes no offset, so a sampling fraction is refused before any data are read."""
    study = load_study(ROOT / "configs/studies/examples/lalonde.yaml").study
    changes = {"analysis.propensity": {"model": "boosting", "seed": 1, "sampling_fraction": 0.1}}
    assert failures(changes, study=study) == {
        "protocol.method": "boosted trees cannot allow for a sample of the untreated: sampling_fraction belongs to the "
        "regressions"
    }


def test_a_flat_table_is_judged_before_it_is_read() -> None:
    """Running a study that fails its check is refused with every failure, in the words of the check."""
    path = ROOT / "configs/studies/examples/lalonde.yaml"
    changes = {"analysis.exact": ["re78"], "analysis.design.replacement": True, "data.item": "no/such"}
    study = with_changes(load_study(path).study, changes)
    assert isinstance(study, FlatTableStudy)
    with pytest.raises(StudyFileError) as refusal:
        analyse(study, path)
    assert refusal.value.code == "protocol.columns"
    for code, sentence in failures(changes, study=load_study(path).study).items():
        assert f"{code}: {sentence}" in refusal.value.message


def test_weights_have_no_pairs() -> None:
    """A paired standard error of a weighted analysis cannot be computed."""
    study = load_study(ROOT / "configs/studies/examples/nhefs.yaml").study
    assert failures({}, study=study) == {}
    (said,) = failures({"analysis.standard_error": "paired"}, study=study).values()
    assert said.startswith("a paired standard error needs pairs")


def test_sentences_are_for_people() -> None:
    """No sentence of any verdict on any study begins with a capital, ends with a full stop or holds a line feed."""
    paths = [*STUDIES.glob("*.yaml"), *(ROOT / "configs/studies").rglob("*.yaml")]
    for path in paths:
        for each in judge_protocol(load_study(path).study, INSTRUMENTS):
            assert each.sentence[0].islower(), each.sentence
            assert not each.sentence.endswith("."), each.sentence
            assert each.sentence.isprintable()
