"""What a study file can say, and which of it this version can estimate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from causal.cohort.catalogue import EXACT_KEYS
from causal.protocol import AnyStudy, CohortStudy, FlatTableStudy, LongTableStudy, MetaStudy, OccasionStudy
from causal.protocol.design import NegativeControls
from causal.protocol.outcome import ESTIMABLE_STRATEGIES, Estimand, Rating, course_can_be_censored
from validation.verdict import Status, Verdict, not_evaluated
from validation.words import did_you_mean, holds, listed

KNOWN_SENSITIVITY = (
    "caliper_grid",
    "clone_censor_weight",
    "common_rater",
    "complete_case",
    "correlation_grid",
    "drop_last_lag",
    "e_value",
    "entropy_balancing",
    "facilitator_leave_one_out",
    "grace_grid",
    "leave_one_out",
    "margin_grid",
    "overlap_weights",
    "quantitative_bias",
    "rosenbaum",
    "threshold_grid",
    "tipping_point",
    "within_clinic",
)
"""Sensitivity analyses that have a meaning here."""
IMPLEMENTED_SENSITIVITY: frozenset[str] = frozenset()
"""Those that this version runs by that name."""
PART_OF = {"tipping_point": "dropout_story", "complete_case": "dropout_story"}
"""Those that are part of an analysis declared under `secondary`."""
IMPLEMENTED_NEGATIVE_CONTROLS = frozenset({"pretrend"})
"""Negative controls that this version runs."""
SENSITIVITY_CODE, CONTROL_CODE = "protocol.sensitivity.", "protocol.negative_control."
BESIDE = {
    "protocol.effect_modifiers": "differences of the effect",
    "protocol.mediation": "effects through a mediator",
    "protocol.directed_measures": "ratings between other actors",
    "protocol.non_inferiority": "whether the effect stays inside the margin",
    "protocol.secondary_days": "other days of rating",
    "protocol.subscales": "subscales",
    "protocol.secondary_estimands": "other estimands",
}
"""What a study may declare without an analysis that answers it, by the code under which that is said."""
HIDDEN_CAUSES = frozenset({"e_value", "quantitative_bias", "rosenbaum"})
"""Sensitivity analyses that ask how strong a cause nobody recorded would have to be."""

DESCRIBED_VERSIONS = ("recipient", "patient_informed")

IN_WORDS: dict[str, str] = {
    # exposures
    "binary_event": "something that happens or does not",
    "continuous": "an amount that everyone has more or less of",
    "joint": "several components together",
    "repeated": "something measured again at every session",
    "cluster_level": "something a family, triad or group has",
    "own_and_others": "a member's own value beside the other members'",
    "allocated": "an arm of an experiment",
    "sustained": "a strategy kept over time",
    # outcomes
    "rating": "a rating",
    "days_covered": "days covered by medicine",
    "time_to_event": "the time until an event",
    "amount": "a measured amount",
    "event_by": "an event by a day",
    "next_session": "a value at a later session",
    # designs
    "greedy": "matching",
    "optimal": "optimal matching",
    "full": "full matching",
    "generalised_full": "generalised full matching",
    "fine_balance": "matching with fine balance",
    "cardinality": "cardinality matching",
    "coarsened_exact": "coarsened exact matching",
    "subclassification": "subclassification",
    "propensity": "weighting by the propensity",
    "entropy_balancing": "entropy balancing",
    "covariate_balancing": "covariate-balancing weights",
    "none": "neither matching nor weighting",
    "sequential_trials": "a sequence of trials",
    "clone_censor_weight": "cloning, censoring and weighting",
    # analyses
    "modified_treatment_policy": "the effect of a shift",
    "joint_means": "means under each combination",
    "mixed_model": "a mixed model",
    "within_between": "effects within and between people",
    "dyadic": "a model of people who rate each other",
    "survival": "survival analysis",
    "mediation": "effects through a mediator",
    "non_inferiority": "a test of non-inferiority",
    "permutation": "a permutation test",
    # time zeros
    "assessment": "an assessment",
    "session_end": "the end of a session",
    "scheduling": "scheduling",
    "allocation": "allocation",
    "first_offer": "the first offer",
    "preparation_end": "the end of preparation",
    # groups and analogues
    "per_protocol": "of keeping to a strategy",
    # strategies
    "composite": "counting the event as a bad outcome",
    "while_in_relationship": "taking the last value before the event",
    "principal_stratum": "asking only about those in whom the event would never happen",
    "hypothetical": "asking what would have been without the event",
    "treatment_policy": "taking the outcome as it is",
    "separate": "counting the event apart",
}
"""The vocabulary's words, as people would say them."""


def _said(word: str) -> str:
    """Plain words for one of the vocabulary's, with the file's own word in brackets."""
    return f"{IN_WORDS[word]} ({word})"


WAITS = "protocol.not_yet_estimable"


def waiting(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Those that say that a study makes sense and this version cannot run it: nothing of it may be run in part."""
    return [verdict for verdict in verdicts if verdict.code == WAITS and verdict.status is not Status.PASS]


def judge_estimable(study: AnyStudy) -> Verdict:
    """NOT EVALUATED naming, in plain words, each part that can be said and not yet estimated."""
    match study:
        case OccasionStudy():
            parts = list(_occasion_parts(study))
        case FlatTableStudy() | LongTableStudy():
            parts = []
        case CohortStudy():
            parts = list(_cohort_parts(study))
        case MetaStudy():
            parts = ["pooling the effects of other studies"]
    if parts:
        said = f"this can be written down and checked, but this version cannot estimate it yet: {'; '.join(parts)}"
        return not_evaluated(WAITS, said)
    return holds(WAITS, "", "this version can estimate every part of the study's main question")


def _occasion_parts(study: OccasionStudy) -> Iterator[str]:
    if study.exposure.kind != "binary_event":
        yield f"as exposure, {_said(study.exposure.kind)}"
    elif unknown := [name for name in study.exposure.versions if name not in DESCRIBED_VERSIONS]:
        yield f"versions of the exposure called {listed(unknown)}"
    if not isinstance(study.outcome, Rating):
        yield f"as outcome, {_said(study.outcome.kind)}"
    elif study.outcome.dyad != "index_clinician":
        yield f"ratings of another clinician than {study.words.clinician}"
    contrast = study.target_trial.contrast
    if contrast.analogue != "intention_to_treat":
        yield f"the effect {_said(contrast.analogue)}"
    for estimand in study.estimands:
        yield from _strategies(estimand)
    declared = {covariate.name for covariate in study.covariates} - set(study.definitions)
    if missing := [name for name in (*study.confounders.tier1, *study.confounders.tier2) if name in declared]:
        yield f"covariates that no table holds yet: {listed(missing)}"
    if missing := [key for key in study.target_trial.assignment.exact if key in declared - set(EXACT_KEYS)]:
        yield f"agreement on keys that no table holds yet: {listed(missing)}"


def _strategies(estimand: Estimand) -> Iterator[str]:
    """Strategies without a meaning for their event; the primary estimand counts an ended relationship as a failure."""
    for event, allowed in ESTIMABLE_STRATEGIES.items():
        chosen = getattr(estimand.intercurrent_events, event).strategy
        possible = ("composite",) if estimand.primary and event == "patient_ended" else allowed
        if chosen not in possible:
            has = " or ".join(_said(strategy) for strategy in possible)
            yield f"for {event} in {estimand.id}, {_said(chosen)}, where this version has {has}"
    if not course_can_be_censored(estimand.intercurrent_events):
        yield (
            f"comparison_treated_later in {estimand.id} as hypothetical, where endings are counted: whether a "
            "comparison patient treated later would have ended is unknown"
        )


def _cohort_parts(study: CohortStudy) -> Iterator[str]:
    yield f"a study with one row for each {study.unit}, starting at {_said(study.target_trial.time_zero)}"
    yield f"as exposure, {_said(study.exposure.kind)}"
    yield f"as outcome, {_said(study.outcome.kind)}"
    yield f"{_said(study.design.method)} with {_said(study.estimator.primary.family)}"
    if study.claim in ("effect_modification", "equivalence", "non_inferiority"):
        yield f"a claim of {study.claim}"


def judge_planned(study: AnyStudy) -> tuple[Verdict, ...]:
    """NOT EVALUATED, with the reason, for everything that is planned beside the main question and not yet run."""
    match study:
        case FlatTableStudy() | LongTableStudy():
            return ()
        case MetaStudy():
            return tuple(_sensitivity(study.sensitivity.planned))
        case CohortStudy():
            return (
                *_sensitivity(study.sensitivity.planned),
                *_controls(study.negative_controls),
            )
        case OccasionStudy():
            declared = {analysis.analysis for analysis in study.secondary}
            planned = tuple(name for name in study.sensitivity.planned if PART_OF.get(name) not in declared)
            return (
                *_sensitivity(planned),
                *_controls(study.negative_controls),
                *_secondary(study),
            )


def _sensitivity(planned: tuple[str, ...]) -> Iterator[Verdict]:
    for name in planned:
        if name in IMPLEMENTED_SENSITIVITY:
            continue
        code = f"protocol.sensitivity.{name}"
        if name in PART_OF:
            yield not_evaluated(code, f"planned sensitivity analysis {name}: declare {PART_OF[name]} under secondary")
        elif name in KNOWN_SENSITIVITY:
            yield not_evaluated(code, f"planned sensitivity analysis {name}: the software cannot do this yet")
        else:
            near = did_you_mean(name, KNOWN_SENSITIVITY)
            yield not_evaluated(code, f"planned sensitivity analysis {name}: this version does not know the name{near}")


def _controls(controls: NegativeControls) -> Iterator[Verdict]:
    for control in (*controls.outcomes, *controls.exposures):
        if control.name not in IMPLEMENTED_NEGATIVE_CONTROLS:
            yield not_evaluated(
                f"protocol.negative_control.{control.name}",
                f"negative control {control.name}: the software cannot do this yet"
                f"{did_you_mean(control.name, IMPLEMENTED_NEGATIVE_CONTROLS)}",
            )


def _secondary(study: OccasionStudy) -> Iterator[Verdict]:
    if study.effect_modifiers:
        names = listed(modifier.name for modifier in study.effect_modifiers)
        yield not_evaluated("protocol.effect_modifiers", f"differences of the effect by {names}: not yet estimated")
    if study.mediators:
        names = listed(mediator.name for mediator in study.mediators)
        yield not_evaluated("protocol.mediation", f"effects through {names}: not yet estimated")
    if study.directed_measures:
        yield not_evaluated("protocol.directed_measures", "ratings between other actors: not yet estimated")
    judged = {"non_inferiority", "equivalence"} & {declared.analysis for declared in study.secondary}
    if study.non_inferiority_margin is not None and not judged:
        sentence = "whether the effect stays inside the margin: no analysis under secondary asks"
        yield not_evaluated("protocol.non_inferiority", sentence)
