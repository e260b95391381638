"""The answer from end to end: outcomes of the matched occasions in, the headline pair with its intervals out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from causal.effect.matched_estimates import LinearEffect
from causal.effect.outcome_decomposition import CompositeEffect, composite_effect
from causal.effect.sample import Sample, sample_of
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Composite, Estimand
from causal.records import ComparisonGroups, Effects, Estimate, Interval, Outcomes
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POWER = 0.80
BOTH = 2


def primary_estimand(study: OccasionStudy) -> Estimand:
    """The one estimand the study calls primary; raises `EstimationError` unless there is exactly one."""
    primary = [estimand for estimand in study.estimands if estimand.primary]
    if len(primary) != 1:
        raise EstimationError("estimation.no_primary", f"a study has one primary estimand, this one has {len(primary)}")
    return primary[0]


def estimate_effects(design: ComparisonGroups, outcomes: Outcomes, study: OccasionStudy) -> Effects:
    """Termination risk difference and composite mean difference at the primary day.

    Both are weighted ANCOVAs on the same rows, weights and covariates, so the composite splits exactly. Intervals are
    clustered on the study's cluster when enough of them contribute, else on the matched set (on the patient where sets
    overlap, are strata, or do not exist); both are returned, the primary one first. An arm that lies in one cluster
    says nothing about variation between clusters: then there is no such interval. Linear algebra runs on one thread,
    as for the design.

    Raises
    ------
    EstimationError
        Too few sets are left for any inference, an outcome cannot be formed, or it does not vary.
    """
    sample = sample_of(design, outcomes.excluded, study)
    if np.unique(outcomes.ended[sample.kept]).size < BOTH:
        raise EstimationError(
            "estimation.no_endings",
            f"by day {outcomes.day} every relationship ended in both groups, or none did: endings leave no variation "
            "for an interval",
            fix="an earlier or a later primary day, or more records",
        )
    with one_thread():
        by_unit = composite_of(sample, outcomes, study, sample.units)
        by_cluster = composite_of(sample, outcomes, study, sample.clusters) if sample.clusters_vary else None
    return _effects(design, outcomes, sample, by_unit, by_cluster)


def target_population(design: ComparisonGroups, kept: BoolArray, weights: FloatArray) -> tuple[list[str], FloatArray]:
    """Ids of the occasions whose average effect the estimate speaks of, and what each counts for.

    `kept` (n,) and `weights` (n_kept,) are those of `without_excluded`. For the ATT these are the treated, for the ATC
    the comparisons; for the others both arms, each of which is weighted to the same population.
    """
    treated = design.members["treated"].to_numpy(dtype=np.bool_)[kept]
    arms = {"ATT": treated, "ATC": ~treated}.get(design.estimand, np.ones(treated.size, dtype=np.bool_))
    total = np.where(treated, weights[treated].sum(), weights[~treated].sum())
    return design.members.loc[kept, "ta_id"][arms].tolist(), (weights / total)[arms]


def composite_of(sample: Sample, outcomes: Outcomes, study: OccasionStudy, clusters: IntArray) -> CompositeEffect:
    """The composite's effect with its parts, under one clustering (n_kept,) of the sample's rows.

    Raises
    ------
    EstimationError
        ``estimation.strategy``: the primary estimand does not count an ended relationship as a bad outcome.
    """
    events = primary_estimand(study).intercurrent_events
    if not isinstance(events.patient_ended, Composite):
        raise EstimationError(
            "estimation.strategy", "only the composite strategy for an ended relationship is estimable"
        )
    score = outcomes.score[sample.kept]
    by_response = study.missing.outcome == "inverse_probability_of_response"
    return composite_effect(
        sample.treated,
        outcomes.ended[sample.kept],
        score,
        ~np.isnan(score),
        clusters=clusters,
        weights=sample.weights,
        response_covariates=sample.covariates if by_response else None,
        covariates=sample.covariates,
        names=sample.names,
        floor=events.patient_ended.value,
        level=study.estimator.level,
    )


def _effects(
    design: ComparisonGroups,
    outcomes: Outcomes,
    sample: Sample,
    by_unit: CompositeEffect,
    by_cluster: CompositeEffect | None,
) -> Effects:
    members, kept = design.members, sample.kept
    treated = members["treated"].to_numpy(dtype=np.bool_)
    first_row = kept & ~members.loc[kept, "ta_id"].duplicated().reindex(members.index, fill_value=True).to_numpy()
    gone = set(members.loc[~kept, "ta_id"]) - set(members.loc[kept, "ta_id"])
    n_treated = int((first_row & treated).sum())
    n_sets = members.loc[kept, "set_id"].nunique() if design.grouping == "matched set" else n_treated
    ordered: list[tuple[str, CompositeEffect]] = [(sample.unit_label, by_unit)]
    if by_cluster is not None:
        first = sample.primary[0] == sample.cluster_label
        ordered.insert(0 if first else 1, (sample.cluster_label, by_cluster))
    c = ordered[0][1]

    def estimate(name: str, scale: str, lines: list[tuple[str, LinearEffect]], means: tuple[float, float]) -> Estimate:
        first = lines[0][1]
        return Estimate(
            name=name,
            estimand=design.estimand_label,
            method="weighted ANCOVA, CR2",
            scale=scale,
            value=first.value,
            level=first.level,
            mean_treated=means[0],
            mean_comparison=means[1],
            n_treated=n_treated,
            n_comparison=int((first_row & ~treated).sum()),
            n_sets=n_sets,
            intervals=tuple(_interval(clustered_by, line) for clustered_by, line in lines),
            detectable=detectable(first.std_error, first.df, level=first.level),
        )

    means = tuple(c.floor * p + (1 - p) * m if p < 1 else c.floor for p, m in ((c.p1, c.m1), (c.p0, c.m0)))
    return Effects(
        termination=estimate(
            "termination", "risk difference", [(by, e.termination) for by, e in ordered], (c.p1, c.p0)
        ),
        composite=estimate("composite", "points", [(by, e.composite) for by, e in ordered], (means[0], means[1])),
        termination_part=c.termination_part,
        level_part=c.level_part,
        floor=c.floor,
        response_treated=c.response_treated,
        response_comparison=c.response_comparison,
        response_handling=c.response_method if not c.response_note else f"{c.response_method}: {c.response_note}",
        n_excluded=len(gone),
        n_ended_treated=int((outcomes.ended & first_row & treated).sum()),
        n_ended_comparison=int((outcomes.ended & first_row & ~treated).sum()),
        day=outcomes.day,
        half_width=outcomes.half_width,
        aliased=c.composite.aliased,
    )


def _interval(clustered_by: str, effect: LinearEffect) -> Interval:
    return Interval(
        clustered_by=clustered_by,
        clusters=effect.n_clusters,
        std_error=effect.std_error,
        df=effect.df,
        lower=effect.lower,
        upper=effect.upper,
    )


def detectable(std_error: float, df: float, *, level: float = 0.95, power: float = POWER) -> float:
    """Smallest true effect that a study with this standard error would have told from zero, with the given power.

    ``(t_{(1+level)/2, df} + t_{power, df}) * SE``, the obtained-precision form of the minimum detectable effect.

    >>> round(detectable(0.1, 1e6), 3)
    0.28
    """
    return float((stdtrit(df, (1 + level) / 2) + stdtrit(df, power)) * std_error)
