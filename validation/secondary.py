"""Judge the analyses set in advance beside the primary one: whether each can answer what it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from causal.protocol import OccasionStudy
from causal.protocol.matching import AnyMatching, Greedy
from causal.protocol.outcome import Estimand, Rating
from causal.protocol.secondary import (
    ClusterBootstrap,
    DropoutStory,
    Equivalence,
    LastRating,
    MarginalModel,
    MixedModel,
    NonInferiority,
    OtherDays,
    Randomisation,
    RepeatedOutcomes,
    ReuseVariance,
    Secondary,
    StratumBounds,
    Subscales,
    TerminationCourse,
)
from validation.verdict import Verdict, not_evaluated
from validation.words import holds, listed

Answering = RepeatedOutcomes | MixedModel | MarginalModel | LastRating | StratumBounds
ANSWERS: dict[str, str] = {
    "repeated_outcomes": "hypothetical",
    "mixed_model": "hypothetical",
    "marginal_model": "hypothetical",
    "last_rating": "while_in_relationship",
    "stratum_bounds": "principal_stratum",
}
"""Which strategy for an ended relationship each analysis answers."""
MODELS = (RepeatedOutcomes, MixedModel, MarginalModel)
FEWEST_DAYS = 2


def judge_secondary(study: OccasionStudy) -> Iterator[Verdict]:
    """PASS or FAIL on the declared analyses; NOT EVALUATED for every estimand, day or subscale nothing declared."""
    problems = [*_twice(study), *(words for declared in study.secondary for words in _problems(study, declared))]
    problems += _family(study)
    yield holds("protocol.secondary", "; ".join(problems), "each analysis set in advance can answer what it is asked")
    yield from _unanswered(study)


def _twice(study: OccasionStudy) -> Iterator[str]:
    asked = [(declared.analysis, getattr(declared, "estimand", "")) for declared in study.secondary]
    if twice := sorted({name for name, estimand in asked if asked.count((name, estimand)) > 1}):
        yield f"declared twice: {listed(twice)}"


def _problems(study: OccasionStudy, declared: Secondary) -> Iterator[str]:
    if isinstance(declared, Answering):
        yield from _answers(study, declared)
    yield from _reuse(study, declared)
    outcome = study.outcome
    if isinstance(outcome, Rating):
        if isinstance(declared, (*MODELS, OtherDays)) and len(outcome.windows) < FEWEST_DAYS:
            yield f"{declared.analysis} needs an outcome rated around two days or more"
        if isinstance(declared, Subscales) and not outcome.subscales:
            yield "subscales are to be analysed, and the outcome names none"
        if isinstance(declared, Subscales) and outcome.scale == "sum":
            yield "subscales of a sum have a range of their own: rate the outcome as item_mean"
    if isinstance(declared, TerminationCourse):
        if max(declared.days) > declared.horizon_days:
            yield "termination_course tells the incidence after its own horizon"
        if declared.horizon_days > study.target_trial.follow_up.horizon_days:
            yield f"termination_course goes on after follow-up ends on day {study.target_trial.follow_up.horizon_days}"
    if isinstance(declared, NonInferiority | Equivalence) and study.non_inferiority_margin is None:
        yield f"{declared.analysis} needs non_inferiority_margin"
    if isinstance(declared, DropoutStory) and not declared.delta_lowest <= 0 <= declared.delta_highest:
        yield "the shifts of dropout_story must take in 0"


def _reuse(study: OccasionStudy, declared: Secondary) -> Iterator[str]:
    """What goes with comparisons used several times, and what does not."""
    replaced = isinstance(study.matching, Greedy) and study.matching.replacement
    if isinstance(declared, Randomisation) and not _distinct_sets(study):
        yield "randomisation needs matched sets in which nobody stands twice, and no weights"
    if isinstance(declared, ClusterBootstrap) and replaced:
        yield (
            "cluster_bootstrap is not valid after matching with replacement (Abadie and Imbens 2008): leave it out, or "
            "match without replacement"
        )
    if isinstance(declared, ReuseVariance) and not replaced:
        yield "reuse_variance is for matching with replacement: leave it out, or set replacement to true"


def _answers(study: OccasionStudy, declared: Answering) -> Iterator[str]:
    found = next((estimand for estimand in study.estimands if estimand.id == declared.estimand), None)
    if found is None:
        yield f"{declared.analysis} answers {declared.estimand}, which is no estimand of this study"
        return
    strategy = found.intercurrent_events.patient_ended.strategy
    if strategy != ANSWERS[declared.analysis]:
        yield (
            f"{declared.analysis} answers an estimand whose patient_ended is {ANSWERS[declared.analysis]}, and that of "
            f"{found.id} is {strategy}"
        )


def _distinct_sets(study: OccasionStudy) -> bool:
    method = study.matching
    if not isinstance(method, AnyMatching) or method.method in ("subclassification", "coarsened_exact"):
        return False
    return not (isinstance(method, Greedy) and method.replacement)


def _family(study: OccasionStudy) -> list[str]:
    if study.multiplicity is None:
        return []
    absent = sorted(set(study.multiplicity.holm) - {declared.analysis for declared in study.secondary})
    return [f"the family of tests names analyses that are not declared: {listed(absent)}"] if absent else []


def _unanswered(study: OccasionStudy) -> Iterator[Verdict]:
    names = {declared.analysis for declared in study.secondary}
    outcome = study.outcome
    if isinstance(outcome, Rating):
        others = [str(window.day) for window in outcome.windows if window.day != outcome.primary_day]
        if others and not names & {"other_days", "repeated_outcomes", "mixed_model", "marginal_model"}:
            sentence = f"ratings around day {listed(others)}: no analysis under secondary asks for them"
            yield not_evaluated("protocol.secondary_days", sentence)
        if outcome.subscales and "subscales" not in names:
            sentence = f"subscales {listed(outcome.subscales)}: no analysis under secondary asks for them"
            yield not_evaluated("protocol.subscales", sentence)
    answered = {declared.estimand for declared in study.secondary if isinstance(declared, Answering)}
    if left := [estimand.id for estimand in study.estimands if not _is_answered(estimand, answered)]:
        sentence = f"estimands {listed(left)}: no analysis under secondary answers them"
        yield not_evaluated("protocol.secondary_estimands", sentence)


def _is_answered(estimand: Estimand, answered: set[str]) -> bool:
    return estimand.primary or estimand.id in answered
