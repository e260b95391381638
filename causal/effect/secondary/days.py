"""The primary question again: on other days, for subscales, for the last rating, under another clustering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causal.cohort.history import SUBSCALE
from causal.effect.cluster_robust import TwoWayClusterRobust, beyond_rounding, cluster_robust, two_way
from causal.effect.contrast import student
from causal.effect.estimate import composite_of
from causal.effect.matched_estimates import LinearEffect
from causal.effect.matched_sets import set_differences as differences_of
from causal.effect.outcome_decomposition import CompositeEffect, composite_effect
from causal.effect.sample import Sample
from causal.effect.secondary.finding import Finding, Line, Scale, line_of, told
from causal.effect.secondary.opened import FloatArray, Opened, counts_of
from causal.effect.variation import refuse_constant
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.outcome import WhileInRelationship, Window
from causal.protocol.secondary import LastRating, OtherDays, SetDifferences, Subscales, TwoWayClustering
from causal.protocol.words import Words
from causal.records import Outcomes


def other_days(opened: Opened, _: OtherDays) -> Finding:
    """Both headline differences at every day of the outcome but the primary one."""
    found = [_at(opened, window) for window in opened.windows if window.day != opened.window.day]
    return Finding(
        analysis="other_days",
        title="The same question at other days",
        method="As the primary analysis, at each of the outcome's other days, among those on record so long.",
        lines=tuple(line for lines, _ in found for line in lines),
        not_evaluated=tuple(words for _, missing in found for words in missing),
    )


def _at(opened: Opened, window: Window) -> tuple[list[Line], list[str]]:
    """The lines of one day, and what of it could not be told."""
    outcomes = opened.outcomes(opened.primary, window)
    try:
        sample = opened.sample(outcomes.excluded | opened.followed_too_briefly(window))
        found = sample.under_each(lambda code: composite_of(sample, outcomes, opened.study, code))
    except EstimationError as refusal:
        return [], [f"day {window.day}: {refusal.message}"]
    counts, events = counts_of(sample), counts_of(sample, outcomes.ended[sample.kept])
    return headline_pair(found, window.day, opened.study.words, counts=counts, events=events, tested=True)


def headline_pair(
    found: Sequence[tuple[str, CompositeEffect]],
    day: int,
    words: Words,
    *,
    counts: tuple[int, int],
    events: tuple[int, int],
    tested: bool = False,
) -> tuple[list[Line], list[str]]:
    """Lines of both headline differences, by the widest of their clusterings, and why one of them cannot be told."""
    rated, ended = composite_label(words, day), f"ended by day {day}"
    by, composite = widest([(by, one.composite) for by, one in found])
    lines = [
        line_of(
            composite, label=rated, scale="points", counts=counts, clustered_by=by, tested=tested, rated_days=(day,)
        )
    ]
    endings = [(by, one.termination) for by, one in found if one.termination is not None]
    if len(endings) < len(found):
        return lines, [f"{ended}: {found[0][1].termination_refused}"]
    by, more = widest(endings)
    lines.append(line_of(more, label=ended, scale="risk difference", counts=counts, clustered_by=by, events=events))
    return lines, []


def composite_label(words: Words, day: int) -> str:
    """What the composite at a day is called.

    >>> from causal.protocol.words import NEUTRAL
    >>> composite_label(NEUTRAL, 90)
    'the outcome at day 90, an ending counted'
    """
    return f"{words.outcome} at day {day}, an ending counted"


def subscale_label(name: str) -> str:
    """What a subscale's composite is called."""
    return f"{name.replace('_', ' and ')}, an ending counted"


def subscales(opened: Opened, _: Subscales) -> Finding:
    """The composite for each subscale the outcome names, at the primary day."""
    if opened.rating.scale != "item_mean":
        raise EstimationError("estimation.subscale_range", "subscales of a sum differ in range from the total's floor")
    outcomes, facts = opened.outcomes(opened.primary), opened.follow_up.facts[opened.window.day]
    sample = opened.sample(outcomes.excluded)
    lines: list[Line] = []
    missing: list[str] = []
    for name in opened.rating.subscales:
        score = np.where(np.isnan(outcomes.score), np.nan, facts[f"{SUBSCALE}{name}"].to_numpy(dtype=float))
        rated = replace(outcomes, score=score)
        try:
            by, found = _composite(opened, sample, rated)
            label, counts = subscale_label(name), counts_of(sample)
            lines.append(line_of(found, label=label, scale="points", counts=counts, clustered_by=by, tested=True))
        except EstimationError as refusal:
            missing.append(f"{name}: {refusal.message}")
    return Finding(
        analysis="subscales",
        title=f"Parts of the {opened.study.words.rating}",
        method="As the primary analysis, for each subscale of the same rating.",
        lines=tuple(lines),
        not_evaluated=tuple(missing),
    )


def _composite(opened: Opened, sample: Sample, outcomes: Outcomes) -> tuple[str, LinearEffect]:
    """The composite's main interval and what it is clustered by."""
    return sample.wider(lambda code: composite_of(sample, outcomes, opened.study, code).composite)


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
    score = opened.last_score(outcomes)[sample.kept]
    rated = ~np.isnan(score)
    by_response = opened.study.missing.outcome == "inverse_probability_of_response"
    by, found = sample.wider(
        lambda code: (
            composite_effect(
                sample.treated,
                np.zeros(rated.size, dtype=np.bool_),
                score,
                rated,
                clusters=code,
                weights=sample.weights,
                response_covariates=sample.covariates if by_response else None,
                response_bends=sample.adjustment.n_bends,
                covariates=sample.covariates,
                names=sample.names,
                level=opened.study.estimator.level,
            ).composite
        )
    )
    line = line_of(
        found,
        label=f"last rating up to day {opened.window.day + opened.window.half_width}",
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

    clipped: list[bool] = []

    def line(outcome: FloatArray, label: str, scale: Scale, events: tuple[int, int] | None = None) -> Line:
        refuse_constant(outcome, sample.treated, sample.weights)
        fit: TwoWayClusterRobust = two_way(
            design, outcome, weights=sample.weights, first=sample.units, second=sample.clusters, contrast=contrast
        )
        alone = [
            cluster_robust(design, outcome, weights=sample.weights, clusters=codes, contrast=contrast)
            for codes in (sample.units, sample.clusters)
        ]
        error = beyond_rounding(max(fit.std_error, *(one.std_error for one in alone)), outcome)
        df = min(fit.df, *(one.df for one in alone))
        estimate = student(label, fit.coefficient, error, df, level=opened.study.estimator.level)
        clipped.append(fit.clipped)
        return line_of(
            estimate,
            label=label,
            scale=scale,
            counts=counts_of(sample),
            clustered_by=f"{sample.unit_label} and {sample.cluster_label}",
            events=events,
        )

    day, endings = opened.window.day, outcomes.ended[sample.kept].astype(np.float64)
    ended, rated = f"ended by day {day}", composite_label(opened.study.words, day)
    lines, missing = told(
        {
            ended: lambda: line(endings, ended, "risk difference", counts_of(sample, endings > 0)),
            rated: lambda: line(found.pseudo_outcome, rated, "points"),
        }
    )
    return Finding(
        analysis="two_way_clustering",
        title=f"Likeness within {sample.unit_label}s and within {sample.cluster_label}s at once",
        method=f"As the primary analysis; the CR2 variances by {sample.unit_label} and by {sample.cluster_label} are "
        "added and the shared part taken off, and the result is never below either of them.",
        lines=lines,
        not_evaluated=missing,
        notes=("The combined variance had a negative part, which was set to zero.",) if any(clipped) else (),
    )


def set_differences(opened: Opened, _: SetDifferences) -> Finding:
    """Both headline differences as means over matched sets, by the t test of set differences."""
    opened.require_distinct_sets()
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    day, level = opened.window.day, opened.study.estimator.level
    endings = outcomes.ended[sample.kept]
    composite = composite_of(sample, outcomes, opened.study, sample.units).pseudo_outcome

    def line(outcome: FloatArray, label: str, scale: Scale, events: tuple[int, int] | None = None) -> Line:
        found = differences_of(
            outcome,
            sample.treated,
            sample.covariates,
            sample.weights,
            sets=sample.sets,
            names=sample.names,
            level=level,
        ).effect
        counts = counts_of(sample)
        return line_of(found, label=label, scale=scale, counts=counts, clustered_by="matched set", events=events)

    ended, rated = f"ended by day {day}", composite_label(opened.study.words, day)
    lines, missing = told(
        {
            ended: lambda: line(endings.astype(np.float64), ended, "risk difference", counts_of(sample, endings)),
            rated: lambda: line(composite, rated, "points"),
        }
    )
    return Finding(
        analysis="set_differences",
        title="Differences within matched sets",
        method="Mean over matched sets of the treated less their comparisons, adjusted by differences of covariates.",
        lines=lines,
        notes=(f"Occasions of one {sample.cluster_label} are taken for unlike each other, but for their set.",),
        not_evaluated=missing,
    )
