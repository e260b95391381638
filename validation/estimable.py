"""What a study file can say, and which of it this version can estimate."""

from __future__ import annotations

from collections.abc import Iterator

from causal.cohort.catalogue import COVARIATES, EXACT_KEYS
from causal.protocol import AnyStudy, CohortStudy, FlatTableStudy, MetaStudy, OccasionStudy
from causal.protocol.design import Matching, Negative
from causal.protocol.outcome import IntercurrentEvents, Rating
from validation.verdict import Verdict, not_evaluated
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
"""Those that this version runs."""
IMPLEMENTED_NEGATIVE_CONTROLS = frozenset({"pretrend"})
"""Negative controls that this version runs."""

ESTIMABLE_STRATEGIES: dict[str, tuple[str, ...]] = {
    "patient_ended": ("composite",),
    "planned_completion": ("last_value", "hypothetical"),
    "transfer": ("hypothetical",),
    "hospitalised": ("treatment_policy",),
    "comparison_treated_later": ("treatment_policy",),
    "death": ("separate",),
}
"""Strategies for intercurrent events that this version carries out."""
DESCRIBED_VERSIONS = ("recipient", "patient_informed")


def judge_estimable(study: AnyStudy) -> Verdict:
    """FAIL naming, in plain words, each part that can be said and not yet estimated."""
    match study:
        case OccasionStudy():
            parts = list(_occasion_parts(study))
        case FlatTableStudy():
            paired_weights = (
                not isinstance(study.analysis.design, Matching) and study.analysis.standard_error == "paired"
            )
            parts = ["a paired standard error without pairs (weighting needs 'robust')"] if paired_weights else []
        case CohortStudy():
            parts = list(_cohort_parts(study))
        case MetaStudy():
            parts = ["pooling the effects of other studies"]
    return holds(
        "protocol.not_yet_estimable",
        f"this can be written down and checked, but this version cannot estimate it yet: {'; '.join(parts)}"
        if parts
        else "",
        "this version can estimate every part of the study's main question",
    )


def _occasion_parts(study: OccasionStudy) -> Iterator[str]:
    if study.exposure.kind != "binary_event":
        yield f"an exposure of the kind {study.exposure.kind}"
    elif unknown := [name for name in study.exposure.versions if name not in DESCRIBED_VERSIONS]:
        yield f"versions of the exposure called {listed(unknown)}"
    if isinstance(study.outcome, Rating):
        if study.outcome.dyad != "index_clinician":
            yield "ratings of another clinician than the one who made the assessment"
    else:
        yield f"an outcome of the kind {study.outcome.kind}"
    contrast = study.target_trial.contrast
    if contrast.estimand != "ATT":
        yield f"the effect in another group than the treated ({contrast.estimand})"
    if contrast.analogue != "intention_to_treat":
        yield "the effect of keeping to a strategy (per_protocol)"
    for estimand in study.estimands:
        if estimand.primary:
            yield from _strategies(estimand.intercurrent_events)
    declared = {covariate.name for covariate in study.covariates} - set(COVARIATES)
    named = (*study.confounders.tier1, *study.confounders.tier2)
    if missing := [name for name in named if name in declared]:
        yield f"covariates that no table holds yet: {listed(missing)}"
    if missing := [key for key in study.target_trial.assignment.exact if key not in EXACT_KEYS]:
        yield f"agreement on keys that no table holds yet: {listed(missing)}"


def _strategies(events: IntercurrentEvents) -> Iterator[str]:
    for event, allowed in ESTIMABLE_STRATEGIES.items():
        chosen = getattr(events, event).strategy
        if chosen not in allowed:
            yield f"the {chosen} strategy for {event} (this version has {' or '.join(allowed)})"


def _cohort_parts(study: CohortStudy) -> Iterator[str]:
    yield f"a study whose rows are {study.unit}s from the time of {study.target_trial.time_zero}"
    yield f"an exposure of the kind {study.exposure.kind}"
    yield f"an outcome of the kind {study.outcome.kind}"
    yield f"a {study.design.method} design with a {study.estimator.primary.family} analysis"
    if study.claim not in ("effect", "description"):
        yield f"a claim of {study.claim}"


def judge_planned(study: AnyStudy) -> tuple[Verdict, ...]:
    """NOT EVALUATED, with the reason, for everything that is planned beside the main question and not yet run."""
    match study:
        case FlatTableStudy():
            return ()
        case MetaStudy():
            return tuple(_sensitivity(study.sensitivity.planned))
        case CohortStudy():
            return (
                *_sensitivity(study.sensitivity.planned),
                *_controls(study.negative_controls.outcomes, study.negative_controls.exposures),
            )
        case OccasionStudy():
            return (
                *_sensitivity(study.sensitivity.planned),
                *_controls(study.negative_controls.outcomes, study.negative_controls.exposures),
                *_secondary(study),
            )


def _sensitivity(planned: tuple[str, ...]) -> Iterator[Verdict]:
    for name in planned:
        if name in IMPLEMENTED_SENSITIVITY:
            continue
        code = f"protocol.sensitivity.{name}"
        if name in KNOWN_SENSITIVITY:
            yield not_evaluated(code, f"planned sensitivity analysis {name}: this version does not run it yet")
        else:
            near = did_you_mean(name, KNOWN_SENSITIVITY)
            yield not_evaluated(code, f"planned sensitivity analysis {name}: this version does not know the name{near}")


def _controls(outcomes: tuple[Negative, ...], exposures: tuple[Negative, ...]) -> Iterator[Verdict]:
    for control in (*outcomes, *exposures):
        if control.name not in IMPLEMENTED_NEGATIVE_CONTROLS:
            yield not_evaluated(
                f"protocol.negative_control.{control.name}",
                f"negative control {control.name}: this version does not run it yet"
                f"{did_you_mean(control.name, IMPLEMENTED_NEGATIVE_CONTROLS)}",
            )


def _secondary(study: OccasionStudy) -> Iterator[Verdict]:
    if isinstance(study.outcome, Rating):
        others = [str(window.day) for window in study.outcome.windows if window.day != study.outcome.primary_day]
        if others:
            sentence = (
                f"ratings around day {listed(others)}: this version estimates day {study.outcome.primary_day} only"
            )
            yield not_evaluated("protocol.secondary_days", sentence)
        if study.outcome.subscales:
            sentence = f"subscales {listed(study.outcome.subscales)}: this version estimates the total only"
            yield not_evaluated("protocol.subscales", sentence)
    if others := [estimand.id for estimand in study.estimands if not estimand.primary]:
        sentence = f"estimands {listed(others)}: this version estimates the primary one only"
        yield not_evaluated("protocol.secondary_estimands", sentence)
    if study.effect_modifiers:
        names = listed(modifier.name for modifier in study.effect_modifiers)
        yield not_evaluated("protocol.effect_modifiers", f"differences of the effect by {names}: not yet estimated")
    if study.mediators:
        names = listed(mediator.name for mediator in study.mediators)
        yield not_evaluated("protocol.mediation", f"effects through {names}: not yet estimated")
    if study.directed_measures:
        yield not_evaluated("protocol.directed_measures", "ratings between other actors: not yet estimated")
    if study.non_inferiority_margin is not None:
        yield not_evaluated("protocol.non_inferiority", "whether the effect stays inside the margin: not yet judged")
