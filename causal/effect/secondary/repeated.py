"""All days of the outcome at once, for an estimand that asks what would have been rated had no relationship ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causal.effect.matched_estimates import refuse_arm_in_one_cluster
from causal.effect.multilevel.clustered import clustered_alliance
from causal.effect.multilevel.marginal import marginal_alliance
from causal.effect.repeated.alliance import RepeatedEffects, repeated_alliance
from causal.effect.sample import IntArray, Sample
from causal.effect.secondary.finding import Finding, line_of
from causal.effect.secondary.opened import FloatArray, Opened, counts_of
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.matching import OF_ONE_RATIO
from causal.protocol.outcome import Estimand, Hypothetical
from causal.protocol.secondary import MarginalModel, MixedModel, RepeatedOutcomes

HYPOTHETICAL = (
    "It asks what would have been rated had no relationship ended, taking those who left for like those who stayed and "
    "were alike in what was recorded. Nothing in the records can check that."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ratings:
    """Ratings of one sample at T days: `scores` (n_kept, T), `days` (T,)."""

    sample: Sample
    scores: FloatArray
    days: FloatArray

    def counts(self, visit: int) -> tuple[int, int]:
        """Ratings at a visit by arm."""
        return counts_of(self.sample, ~np.isnan(self.scores[:, visit]))


def hypothetical(opened: Opened, name: str) -> tuple[Estimand, Ratings]:
    """The estimand with this id and its ratings; refuses one that does not ask for the hypothetical course."""
    estimand = opened.estimand(name)
    if not isinstance(estimand.intercurrent_events.patient_ended, Hypothetical):
        raise EstimationError(
            "estimation.strategy",
            f"{name} does not ask what would have been without an ending",
            fix="name an estimand whose patient_ended strategy is hypothetical",
        )
    sample = opened.sample(opened.outcomes(estimand).excluded)
    days = np.array([window.day for window in opened.windows], dtype=np.float64)
    return estimand, Ratings(sample=sample, scores=opened.scores(estimand, sample), days=days)


def repeated_outcomes(opened: Opened, declared: RepeatedOutcomes) -> Finding:
    """A mixed model for repeated measures: the difference at each day, and their mean."""
    estimand, ratings = hypothetical(opened, declared.estimand)
    sample = ratings.sample
    robust = declared.degrees_of_freedom == "cluster_robust"
    if not robust and np.unique(sample.occasions).size < sample.occasions.size:
        raise EstimationError(
            "estimation.reuse_needs_cluster_robust",
            "an occasion that stands in several sets is not several patients",
            fix="degrees_of_freedom: cluster_robust",
        )

    def fitted(code: IntArray | None) -> RepeatedEffects:
        return repeated_alliance(
            ratings.scores,
            sample.treated,
            ratings.days,
            covariates=sample.covariates,
            names=sample.names,
            weights=sample.weights,
            clusters=code,
            structure=declared.covariance,
            method=declared.likelihood,
            degrees_of_freedom=declared.degrees_of_freedom,
            level=opened.study.estimator.level,
        )

    each = sample.under_each(fitted) if robust else (("", fitted(None)),)
    found, rated = each[0][1], tuple(int(day) for day in ratings.days)
    lines = []
    for k, one in enumerate(found.by_day):
        by, day = widest([(by, fit.by_day[k]) for by, fit in each])
        label, counts = f"{opened.study.words.outcome} at {one.label}", ratings.counts(k)
        lines.append(line_of(day, label=label, scale="points", counts=counts, clustered_by=by, rated_days=(rated[k],)))
    fewest = min(ratings.counts(k) for k in range(len(found.by_day)))
    by, average = widest([(by, fit.average) for by, fit in each])
    label = "mean over these days"
    lines.append(line_of(average, label=label, scale="points", counts=fewest, clustered_by=by, rated_days=rated))
    weighted = () if robust or np.ptp(sample.weights) == 0 else (WEIGHTS_AS_PRECISION,)
    return Finding(
        analysis="repeated_outcomes",
        title=estimand.label,
        method=found.description,
        lines=tuple(lines),
        notes=(HYPOTHETICAL, *weighted, *_aliased(found.aliased)),
    )


WEIGHTS_AS_PRECISION = (
    "Weights that make groups alike are no measure of precision: these standard errors take them for one, and only "
    "degrees_of_freedom: cluster_robust does not."
)


def mixed_model(opened: Opened, declared: MixedModel) -> Finding:
    """Random effects of occasions within clinicians, a course over time in each arm; the difference at each day."""
    paired = opened.study.matching is not None and opened.study.matching.method in OF_ONE_RATIO
    if not paired or opened.design.unit_of_inference != "matched set":
        raise EstimationError(
            "estimation.weights_need_cluster_robust",
            "a model of random effects cannot carry the weights of this comparison",
            fix="marginal_model or repeated_outcomes (cluster_robust), or sets of one ratio without replacement",
        )
    estimand, ratings = hypothetical(opened, declared.estimand)
    sample = ratings.sample
    row, visit = np.nonzero(~np.isnan(ratings.scores))
    refuse_arm_in_one_cluster(sample.treated[row], sample.clusters[row], sample.cluster_label)
    found = clustered_alliance(
        ratings.scores[row, visit],
        sample.treated[row],
        covariates=sample.covariates[row],
        names=sample.names,
        patient=row.astype(np.int64),
        clinician=sample.clusters[row],
        day=ratings.days[visit],
        at=tuple(ratings.days.tolist()),
        random="slope" if declared.random == "intercept_and_slope" else "intercept",
        method=declared.likelihood,
        degrees_of_freedom="satterthwaite",
        level=opened.study.estimator.level,
    )
    rated = tuple(int(day) for day in ratings.days)  # one straight course: every day's rating bears on each difference
    lines = tuple(
        line_of(
            one,
            label=f"{opened.study.words.outcome} at day {ratings.days[k]:g}",
            scale="points",
            counts=ratings.counts(k),
            rated_days=rated,
        )
        for k, one in enumerate(found.contrasts[: ratings.days.size])
    )
    return Finding(
        analysis="mixed_model",
        title=f"{estimand.label}: random effects",
        method=(
            f"Linear mixed model ({declared.likelihood}) with random effects of occasions within "
            f"{sample.cluster_label}s and a straight course over time in each group; Satterthwaite degrees of freedom. "
            "Every rating counts once: sets are not weighted."
        ),
        lines=lines,
        notes=(HYPOTHETICAL, *found.notes, *_aliased(found.aliased)),
    )


def marginal_model(opened: Opened, declared: MarginalModel) -> Finding:
    """Estimating equations with an independence working correlation: the mean difference over the days."""
    estimand, ratings = hypothetical(opened, declared.estimand)
    sample = ratings.sample
    row, visit = np.nonzero(~np.isnan(ratings.scores))
    by_day = (visit[:, None] == np.arange(1, ratings.days.size)).astype(np.float64)
    each = sample.under_each(
        lambda code: marginal_alliance(
            ratings.scores[row, visit],
            sample.treated[row],
            clusters=code[row],
            covariates=np.column_stack([sample.covariates[row], by_day]),
            names=(*sample.names, *(f"day {day:g}" for day in ratings.days[1:])),
            correlation="independence",
            weights=sample.weights[row],
            correction=declared.correction,
            level=opened.study.estimator.level,
        )
    )
    found = each[0][1]
    by, main = widest([(by, one.contrast) for by, one in each])
    fewest = min(ratings.counts(k) for k in range(ratings.days.size))
    days = ", ".join(f"{day:g}" for day in ratings.days)
    correction = declared.correction.replace("_", " ").title().replace(" ", " and ")
    line = line_of(
        main,
        label=f"mean over days {days}",
        scale="points",
        counts=fewest,
        clustered_by=by,
        rated_days=tuple(int(day) for day in ratings.days),
    )
    return Finding(
        analysis="marginal_model",
        title=f"{estimand.label}: averaged over {opened.study.words.persons}",
        method=(
            "Generalised estimating equations with an independence working correlation and the weights of the "
            f"comparison; standard errors corrected for few clusters ({correction}), Satterthwaite degrees of freedom."
        ),
        lines=(line,),
        notes=(HYPOTHETICAL, ASKS_MORE, *_aliased(found.aliased)),
    )


ASKS_MORE = (
    "Given the covariates, whether a rating is missing may not depend on earlier ratings: that asks more than a mixed "
    "model does."
)


def _aliased(names: tuple[str, ...]) -> tuple[str, ...]:
    return (f"Left out, because others determine them: {', '.join(names)}.",) if names else ()
