"""The answer from end to end: outcomes of the matched occasions in, the headline pair with its intervals out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from causal.effect.matched_estimates import LinearEffect
from causal.effect.outcome_decomposition import CompositeEffect, composite_effect
from causal.effect.sample import Sample, sample_of
from causal.effect.widest import widest
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

    Both are weighted ANCOVAs on the same rows, weights and covariates, so the composite splits exactly. Each has an
    interval clustered on the study's cluster and one on the matched set (on the patient where sets overlap, are strata,
    or do not exist), the main one first: the clusters' when enough of them contribute, else the wider of the two,
    decided for each difference by itself. Linear algebra runs on one thread, as for the design.

    Raises
    ------
    EstimationError
        Too few sets are left for any inference, an arm lies in one cluster, an outcome cannot be formed, or it does not
        vary.
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
        by_cluster = composite_of(sample, outcomes, study, sample.clusters)
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


def composite_of(
    sample: Sample,
    outcomes: Outcomes,
    study: OccasionStudy,
    clusters: IntArray,
    *,
    response_covariates: FloatArray | None = None,
) -> CompositeEffect:
    """The composite's effect with its parts, under one clustering (n_kept,) of the sample's rows.

    Whether somebody answered is explained by `response_covariates` (n_kept, p), the sample's own unless given.

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
    explaining = sample.covariates if response_covariates is None else response_covariates
    return composite_effect(
        sample.treated,
        outcomes.ended[sample.kept],
        score,
        ~np.isnan(score),
        clusters=clusters,
        weights=sample.weights,
        response_covariates=explaining if by_response else None,
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
    by_cluster: CompositeEffect,
) -> Effects:
    members, kept = design.members, sample.kept
    treated = members["treated"].to_numpy(dtype=np.bool_)
    first_row = kept & ~members.loc[kept, "ta_id"].duplicated().reindex(members.index, fill_value=True).to_numpy()
    gone = set(members.loc[~kept, "ta_id"]) - set(members.loc[kept, "ta_id"])
    n_treated = int((first_row & treated).sum())
    n_sets = members.loc[kept, "set_id"].nunique() if design.grouping == "matched set" else n_treated
    c = by_cluster

    def estimate(
        name: str, scale: str, both: tuple[LinearEffect, LinearEffect], means: tuple[float, float]
    ) -> Estimate:
        lines = main_first(sample, *both)
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
            why_main=sample.why_main,
            detectable=detectable(first.std_error, first.df, level=first.level),
        )

    means = tuple(c.floor * p + (1 - p) * m if p < 1 else c.floor for p, m in ((c.p1, c.m1), (c.p0, c.m0)))
    return Effects(
        termination=estimate(
            "termination", "risk difference", (by_unit.termination, by_cluster.termination), (c.p1, c.p0)
        ),
        composite=estimate("composite", "points", (by_unit.composite, by_cluster.composite), (means[0], means[1])),
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


def main_first(
    sample: Sample, by_unit: LinearEffect, by_cluster: LinearEffect
) -> tuple[tuple[str, LinearEffect], tuple[str, LinearEffect]]:
    """Both intervals of one difference with what they are clustered by, the main one first."""
    unit, cluster = (sample.unit_label, by_unit), (sample.cluster_label, by_cluster)
    return (unit, cluster) if sample.few_clusters and widest([unit, cluster]) is unit else (cluster, unit)


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
