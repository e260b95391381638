"""Every declared analysis to its finding; a refusal becomes the reason for which there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from causal.effect.multiplicity import holm
from causal.effect.secondary.change import reliable_change
from causal.effect.secondary.days import last_rating, other_days, subscales, two_way_clustering
from causal.effect.secondary.dropout import dropout_story
from causal.effect.secondary.endings import stratum_bounds, termination_course, win_odds
from causal.effect.secondary.everyone import doubly_robust, imputation_within
from causal.effect.secondary.finding import Finding
from causal.effect.secondary.inference import (
    equivalence,
    g_computation,
    non_inferiority,
    randomisation,
    reuse_variance,
)
from causal.effect.secondary.opened import Opened
from causal.effect.secondary.repeated import marginal_model, mixed_model, repeated_outcomes
from causal.effect.secondary.resampling import cluster_bootstrap
from causal.errors import DesignError, EstimationError
from causal.protocol import OccasionStudy
from causal.protocol import secondary as declarable
from causal.protocol.secondary import Secondary
from causal.threads import one_thread

ANALYSES: Mapping[type[Secondary], Callable[[Opened, Any], Finding]] = {
    declarable.OtherDays: other_days,
    declarable.Subscales: subscales,
    declarable.RepeatedOutcomes: repeated_outcomes,
    declarable.MixedModel: mixed_model,
    declarable.MarginalModel: marginal_model,
    declarable.LastRating: last_rating,
    declarable.StratumBounds: stratum_bounds,
    declarable.TerminationCourse: termination_course,
    declarable.WinOdds: win_odds,
    declarable.GComputation: g_computation,
    declarable.DoublyRobust: doubly_robust,
    declarable.TwoWayClustering: two_way_clustering,
    declarable.Randomisation: randomisation,
    declarable.ClusterBootstrap: cluster_bootstrap,
    declarable.ReuseVariance: reuse_variance,
    declarable.ReliableChange: reliable_change,
    declarable.DropoutStory: dropout_story,
    declarable.ImputationWithin: imputation_within,
    declarable.NonInferiority: non_inferiority,
    declarable.Equivalence: equivalence,
}
"""What carries out each analysis a study can declare."""


def findings(opened: Opened) -> tuple[Finding, ...]:
    """One finding for each analysis the study declares, in its order; linear algebra runs on one thread."""
    with one_thread():
        found = tuple(evaluated(opened, declared) for declared in opened.study.secondary)
    return in_family(found, opened.study)


def in_family(found: tuple[Finding, ...], study: OccasionStudy) -> tuple[Finding, ...]:
    """The findings with Holm's p-values on the lines of the declared family; every other line loses its p-value.

    What was declared and could not be evaluated stays in the family's size, as the worst of all.
    """
    family = study.multiplicity.holm if study.multiplicity else ()
    tested = {
        (finding.analysis, line.label): line.p_value
        for finding in found
        if finding.analysis in family
        for line in finding.lines
        if line.p_value is not None
    }
    lost = {
        (finding.analysis, words): None
        for finding in found
        if finding.analysis in family
        for words in finding.not_evaluated
    }
    members = {f"{analysis}: {label}": p for (analysis, label), p in (tested | lost).items()}
    adjusted = {
        one.name: one.adjusted for one in (holm(members, error_rate=1 - study.estimator.level) if members else ())
    }
    return tuple(
        replace(
            finding,
            lines=tuple(
                replace(
                    line,
                    p_value=line.p_value if finding.analysis in family else None,
                    p_adjusted=adjusted.get(f"{finding.analysis}: {line.label}"),
                )
                for line in finding.lines
            ),
        )
        for finding in found
    )


def evaluated(opened: Opened, declared: Secondary) -> Finding:
    """The finding of one analysis; what it refuses is told in its place, and nothing else stops."""
    try:
        return ANALYSES[type(declared)](opened, declared)
    except (EstimationError, DesignError) as refusal:
        return Finding(
            analysis=declared.analysis,
            title=declared.analysis.replace("_", " ").capitalize(),
            method="",
            not_evaluated=(refusal.message,),
        )
