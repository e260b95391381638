"""Judge the analyses set in advance beside the primary one: whether each can answer what it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from causal.protocol import OccasionStudy
from causal.protocol.matching import OF_ONE_RATIO, AnyMatching, Greedy
from causal.protocol.outcome import Estimand, Rating
from causal.protocol.secondary import (
    ClusterBootstrap,
    DoublyRobust,
    DropoutStory,
    Equivalence,
    GComputation,
    LastRating,
    MarginalModel,
    MixedModel,
    NonInferiority,
    OtherDays,
    Randomisation,
    ReliableChange,
    RepeatedOutcomes,
    ReuseVariance,
    Secondary,
    SetDifferences,
    StratumBounds,
    Subscales,
    TerminationCourse,
    WinOdds,
)
from validation.method import estimand_of
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
MOST_SHIFTS = 100
WIDEST_MARGIN = 2.0
"""Points: half of a five-point scale."""
WIDEST_SD = 2.0
"""Points: half the people at either end of a five-point scale."""
WHOLE = 1e-9


def judge_secondary(study: OccasionStudy) -> Iterator[Verdict]:
    """PASS or FAIL on the declared analyses; NOT EVALUATED for every estimand, day or subscale nothing declared."""
    problems = [*_twice(study), *(words for declared in study.secondary for words in _problems(study, declared))]
    problems += _family(study)
    if study.non_inferiority_margin is not None and not any(
        isinstance(declared, NonInferiority | Equivalence) for declared in study.secondary
    ):
        problems += _too_wide(study.non_inferiority_margin)
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
        if list(declared.days) != sorted(set(declared.days)):
            yield "the days of termination_course must rise"
        if max(declared.days) > declared.horizon_days:
            yield "termination_course tells the incidence after its own horizon"
        if declared.horizon_days > study.target_trial.follow_up.horizon_days:
            yield f"termination_course goes on after follow-up ends on day {study.target_trial.follow_up.horizon_days}"
    if isinstance(declared, NonInferiority | Equivalence):
        yield from _margin(study, declared)
    item_mean = isinstance(outcome, Rating) and outcome.scale == "item_mean"
    if isinstance(declared, ReliableChange) and item_mean and declared.sd > WIDEST_SD:
        yield f"means of items have no standard deviation of {declared.sd:g} points; at most {WIDEST_SD:g}"
    if isinstance(declared, DropoutStory):
        yield from _shifts(declared)
    yield from _population(study, declared)


def _margin(study: OccasionStudy, declared: NonInferiority | Equivalence) -> Iterator[str]:
    if study.non_inferiority_margin is None:
        yield f"{declared.analysis} needs non_inferiority_margin"
    else:
        yield from _too_wide(study.non_inferiority_margin)


def _too_wide(margin: float) -> list[str]:
    if margin <= WIDEST_MARGIN:
        return []
    return [f"a margin of {margin:g} points excludes nothing; at most {WIDEST_MARGIN:g}"]


def _shifts(declared: DropoutStory) -> Iterator[str]:
    """The grid of shifts is the one that was written down, and of a size that can be gone through."""
    if not declared.delta_lowest <= 0 <= declared.delta_highest or declared.delta_lowest == declared.delta_highest:
        yield "the shifts of dropout_story must take in 0 and reach beyond it"
        return
    ends = (declared.delta_lowest / declared.delta_step, declared.delta_highest / declared.delta_step)
    if any(abs(end - round(end)) > WHOLE for end in ends):
        yield "both ends of dropout_story's shifts must be whole numbers of steps away from 0"
    if ends[1] - ends[0] > MOST_SHIFTS:
        yield f"dropout_story has more than {MOST_SHIFTS} shifts: take longer steps"


def _population(study: OccasionStudy, declared: Secondary) -> Iterator[str]:
    """Analyses that need a population of their own kind, or matched sets."""
    method = study.matching or study.weighting
    estimand = "ATT" if method is None else estimand_of(method)
    own = isinstance(declared, DoublyRobust) and declared.effect_in != "design"
    if isinstance(declared, GComputation | DoublyRobust) and not own and estimand not in ("ATT", "ATC", "ATE"):
        whom = "the treated, the untreated or everyone"
        yield f"{declared.analysis} averages over {whom}, and the design is for {estimand}"
    sets = isinstance(study.matching, AnyMatching)
    if isinstance(declared, WinOdds) and not sets:
        yield "win_odds counts wins within matched sets, and this study weights"
    if isinstance(declared, SetDifferences) and not _distinct_sets(study):
        yield "set_differences needs matched sets in which nobody stands twice"
    one_ratio = isinstance(study.matching, AnyMatching) and study.matching.method in OF_ONE_RATIO
    if isinstance(declared, MixedModel) and not (one_ratio and _distinct_sets(study)):
        yield "mixed_model carries no weights: it needs matched sets of one ratio in which nobody stands twice"
    if isinstance(declared, ClusterBootstrap) and sets and not _distinct_sets(study) and not _reused(study):
        yield "cluster_bootstrap draws whole matched sets, which needs sets in which nobody stands twice"
    if isinstance(declared, RepeatedOutcomes) and declared.degrees_of_freedom != "cluster_robust" and _reused(study):
        yield "where an occasion stands in several sets repeated_outcomes needs degrees_of_freedom: cluster_robust"


def _reused(study: OccasionStudy) -> bool:
    return isinstance(study.matching, Greedy) and study.matching.replacement


def _reuse(study: OccasionStudy, declared: Secondary) -> Iterator[str]:
    """What goes with comparisons used several times, and what does not."""
    replaced = _reused(study)
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
    return not _reused(study)


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
