"""Every declared analysis to its finding; a refusal becomes the reason for which there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from causal.effect.adjustment import adjustment_of
from causal.effect.multiplicity import holm
from causal.effect.secondary.change import reliable_change
from causal.effect.secondary.days import (
    composite_label,
    last_rating,
    other_days,
    set_differences,
    subscale_label,
    subscales,
    two_way_clustering,
)
from causal.effect.secondary.dropout import dropout_story
from causal.effect.secondary.endings import stratum_bounds, termination_course, win_odds
from causal.effect.secondary.everyone import doubly_robust, imputation_within
from causal.effect.secondary.finding import Finding, Line
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
from causal.effect.secondary.within_clinics import clinic_fixed_effects
from causal.errors import DesignError, EstimationError
from causal.protocol import OccasionStudy
from causal.protocol import secondary as declarable
from causal.protocol.outcome import Rating
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
    declarable.SetDifferences: set_differences,
    declarable.TwoWayClustering: two_way_clustering,
    declarable.ClinicFixedEffects: clinic_fixed_effects,
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

UNADJUSTED = (
    declarable.LastRating,
    declarable.StratumBounds,
    declarable.TerminationCourse,
    declarable.WinOdds,
    declarable.ReuseVariance,
    declarable.DoublyRobust,
)
"""Analyses that adjust for nothing by regression, or say themselves how."""


def findings(opened: Opened) -> tuple[Finding, ...]:
    """One finding for each analysis the study declares, in its order; linear algebra runs on one thread."""
    with one_thread():
        found = tuple(evaluated(opened, declared) for declared in opened.study.secondary)
    return in_family(found, opened.study)


def in_family(found: tuple[Finding, ...], study: OccasionStudy) -> tuple[Finding, ...]:
    """The findings with Holm's p-values on the lines of the declared family; every other line loses its p-value.

    The family is what was declared, not what came out: a test that could not be evaluated stays in its size, as the
    worst of all.
    """
    tested = {(finding.analysis, line.label): line.p_value for finding in found for line in finding.lines}
    members = {f"{analysis}: {label}": tested.get((analysis, label)) for analysis, label in family_of(study)}
    adjusted = {
        one.name: one.adjusted for one in (holm(members, error_rate=1 - study.estimator.level) if members else ())
    }

    def judged(analysis: str, line: Line) -> Line:
        name = f"{analysis}: {line.label}"
        return replace(line, p_value=line.p_value if name in members else None, p_adjusted=adjusted.get(name))

    return tuple(
        replace(finding, lines=tuple(judged(finding.analysis, line) for line in finding.lines)) for finding in found
    )


def family_of(study: OccasionStudy) -> tuple[tuple[str, str], ...]:
    """Analysis and label of every test of the declared family."""
    holm_of = study.multiplicity.holm if study.multiplicity else ()
    outcome = study.outcome
    assert isinstance(outcome, Rating)
    days = sorted(window.day for window in outcome.windows if window.day != outcome.primary_day)
    labels = {
        "other_days": [composite_label(study.words, day) for day in days],
        "subscales": [subscale_label(name) for name in outcome.subscales],
    }
    return tuple((analysis, label) for analysis in holm_of for label in labels[analysis])


def evaluated(opened: Opened, declared: Secondary) -> Finding:
    """The finding of one analysis; what it refuses is told in its place, and nothing else stops."""
    try:
        found = ANALYSES[type(declared)](opened, declared)
        if type(declared) in UNADJUSTED or not found.lines:
            return found
        return replace(found, method=f"{found.method} {adjustment_of(opened.design, opened.study).sentence}")
    except (EstimationError, DesignError) as refusal:
        why = refusal.message
    except np.linalg.LinAlgError:
        why = "a covariance is singular: an outcome or a covariate hardly varies among the compared"
    title = declared.analysis.replace("_", " ").capitalize()
    return Finding(analysis=declared.analysis, title=title, method="", not_evaluated=(why,))
