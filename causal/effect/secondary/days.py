"""The primary question again: on other days, for subscales, for the last rating, under another clustering."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from causal.cohort.history import SUBSCALE
from causal.effect.cluster_robust import TwoWayClusterRobust, two_way
from causal.effect.contrast import student
from causal.effect.estimate import composite_of
from causal.effect.matched_estimates import LinearEffect
from causal.effect.outcome_decomposition import composite_effect
from causal.effect.secondary.finding import Finding, Line, Scale, line_of
from causal.effect.secondary.opened import FloatArray, Opened, counts_of
from causal.errors import EstimationError
from causal.protocol.outcome import WhileInRelationship
from causal.protocol.secondary import LastRating, OtherDays, Subscales, TwoWayClustering


def other_days(opened: Opened, _: OtherDays) -> Finding:
    """Both headline differences at every day of the outcome but the primary one."""
    lines: list[Line] = []
    missing: list[str] = []
    for window in opened.windows:
        if window.day == opened.window.day:
            continue
        outcomes = opened.outcomes(opened.primary, window)
        try:
            sample = opened.sample(outcomes.excluded)
            by, clusters = sample.primary
            found = composite_of(sample, outcomes, opened.study, clusters)
        except EstimationError as refusal:
            missing.append(f"day {window.day}: {refusal.message}")
            continue
        counts = counts_of(sample)
        told: tuple[tuple[LinearEffect, str, Scale], ...] = (
            (found.composite, f"trust at day {window.day}, an ending counted", "points"),
            (found.termination, f"ended by day {window.day}", "risk difference"),
        )
        for effect, label, scale in told:
            try:
                lines.append(
                    line_of(effect, label=label, scale=scale, counts=counts, clustered_by=by, tested=scale == "points")
                )
            except EstimationError as refusal:
                missing.append(refusal.message)
    return Finding(
        analysis="other_days",
        title="The same question at other days",
        method="As the primary analysis, at each of the outcome's other days.",
        lines=tuple(lines),
        not_evaluated=tuple(missing),
    )


def subscales(opened: Opened, _: Subscales) -> Finding:
    """The composite for each subscale the outcome names, at the primary day."""
    if opened.rating.scale != "item_mean":
        raise EstimationError("estimation.subscale_range", "subscales of a sum differ in range from the total's floor")
    outcomes, facts = opened.outcomes(opened.primary), opened.follow_up.facts[opened.window.day]
    sample = opened.sample(outcomes.excluded)
    by, clusters = sample.primary
    lines: list[Line] = []
    missing: list[str] = []
    for name in opened.rating.subscales:
        score = np.where(np.isnan(outcomes.score), np.nan, facts[f"{SUBSCALE}{name}"].to_numpy(dtype=float))
        try:
            found = composite_of(sample, replace(outcomes, score=score), opened.study, clusters)
        except EstimationError as refusal:
            missing.append(f"{name}: {refusal.message}")
            continue
        label = f"{name.replace('_', ' and ')}, an ending counted"
        lines.append(
            line_of(
                found.composite, label=label, scale="points", counts=counts_of(sample), clustered_by=by, tested=True
            )
        )
    return Finding(
        analysis="subscales",
        title="Parts of the trust rating",
        method="As the primary analysis, for each subscale of the same rating.",
        lines=tuple(lines),
        not_evaluated=tuple(missing),
    )


def last_rating(opened: Opened, declared: LastRating) -> Finding:
    """Weighted ANCOVA of the last rating given while the relationship lasted."""
    estimand = opened.estimand(declared.estimand)
    if not isinstance(estimand.intercurrent_events.patient_ended, WhileInRelationship):
        raise EstimationError(
            "estimation.strategy",
            f"{declared.estimand} does not ask for the outcome while the relationship lasted",
            fix="name an estimand whose patient_ended strategy is while_in_relationship",
        )
    outcomes = opened.outcomes(estimand)
    sample = opened.sample(outcomes.excluded)
    score = outcomes.score[sample.kept]
    rated = ~np.isnan(score)
    by, clusters = sample.primary
    by_response = opened.study.missing.outcome == "inverse_probability_of_response"
    found = composite_effect(
        sample.treated,
        np.zeros(rated.size, dtype=np.bool_),
        score,
        rated,
        clusters=clusters,
        weights=sample.weights,
        response_covariates=sample.covariates if by_response else None,
        covariates=sample.covariates,
        names=sample.names,
        level=opened.study.estimator.level,
    )
    line = line_of(
        found.composite,
        label=f"last rating by day {opened.window.day}",
        scale="points",
        counts=counts_of(sample, rated),
        clustered_by=by,
    )
    return Finding(
        analysis="last_rating",
        title=estimand.label,
        method="Weighted ANCOVA of the last rating given after the grace window while the relationship lasted.",
        lines=(line,),
        notes=("Who left early was last rated early: this compares ratings given at different times.",),
    )


def two_way_clustering(opened: Opened, _: TwoWayClustering) -> Finding:
    """Both headline differences with standard errors robust to likeness within sets and within clusters at once."""
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    found = composite_of(sample, outcomes, opened.study, sample.units)
    centred = sample.covariates - np.average(sample.covariates, axis=0, weights=sample.weights)
    design = np.column_stack([np.ones(sample.treated.size), sample.treated, centred])
    contrast = np.r_[0.0, 1.0, np.zeros(sample.covariates.shape[1])]

    def line(outcome: FloatArray, label: str, scale: Scale) -> tuple[Line, bool]:
        fit: TwoWayClusterRobust = two_way(
            design, outcome, weights=sample.weights, first=sample.units, second=sample.clusters, contrast=contrast
        )
        estimate = student(label, fit.coefficient, fit.std_error, fit.df, level=opened.study.estimator.level)
        return line_of(
            estimate,
            label=label,
            scale=scale,
            counts=counts_of(sample),
            clustered_by=f"{sample.unit_label} and {sample.cluster_label}",
        ), fit.clipped

    day = opened.window.day
    ended, first = line(outcomes.ended[sample.kept].astype(np.float64), f"ended by day {day}", "risk difference")
    trust, second = line(found.pseudo_outcome, f"trust at day {day}, an ending counted", "points")
    clipped = ("The combined variance had a negative part, which was set to zero.",) if first or second else ()
    return Finding(
        analysis="two_way_clustering",
        title="Likeness within sets and within clinicians at once",
        method=f"As the primary analysis, with CR2 variances for {sample.unit_label} and {sample.cluster_label} "
        "added and the shared part taken off.",
        lines=(ended, trust),
        notes=clipped,
    )
