"""Every declared analysis to its finding; a refusal becomes the reason for which there is none."""

from __future__ import annotations

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from causal.effect.secondary import days, dropout, endings, inference, repeated
from causal.effect.secondary.finding import Finding
from causal.effect.secondary.opened import Opened
from causal.errors import DesignError, EstimationError
from causal.protocol.secondary import (
    DropoutStory,
    GComputation,
    LastRating,
    MixedModel,
    OtherDays,
    Randomisation,
    RepeatedOutcomes,
    Secondary,
    StratumBounds,
    Subscales,
    TerminationCourse,
    TwoWayClustering,
)


def findings(opened: Opened) -> tuple[Finding, ...]:
    """One finding for each analysis the study declares, in its order; linear algebra runs on one thread."""
    with threadpool_limits(limits=1, user_api="blas"):
        return tuple(_evaluated(opened, declared) for declared in opened.study.secondary)


def _evaluated(opened: Opened, declared: Secondary) -> Finding:
    try:
        return _run(opened, declared)
    except (EstimationError, DesignError) as refusal:
        return Finding(
            analysis=declared.analysis,
            title=declared.analysis.replace("_", " ").capitalize(),
            method="",
            not_evaluated=(refusal.message,),
        )


def _run(opened: Opened, declared: Secondary) -> Finding:
    match declared:
        case OtherDays():
            return days.other_days(opened)
        case Subscales():
            return days.subscales(opened)
        case LastRating():
            return days.last_rating(opened, declared)
        case RepeatedOutcomes():
            return repeated.repeated_outcomes(opened, declared)
        case MixedModel():
            return repeated.mixed_model(opened, declared)
        case TerminationCourse():
            return endings.termination_course(opened, declared)
        case StratumBounds():
            return endings.stratum_bounds(opened, declared)
        case GComputation():
            return inference.g_computation(opened)
        case Randomisation():
            return inference.randomisation(opened, declared)
        case DropoutStory():
            return dropout.dropout_story(opened, declared)
        case TwoWayClustering():
            return days.two_way_clustering(opened)
        case _:
            raise EstimationError("estimation.not_yet", "this version does not run it yet")
