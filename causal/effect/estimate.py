"""The answer from end to end: outcomes of the matched occasions in, the headline pair with its intervals out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from causal.effect.adjustment import Adjustment
from causal.effect.matched_estimates import LinearEffect, weighted_ancova
from causal.effect.outcome_decomposition import CompositeEffect, composite_effect
from causal.effect.response import response_of
from causal.effect.sample import Sample, sample_of
from causal.effect.variation import CONSTANT
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Composite, Estimand
from causal.records import ComparisonGroups, Effects, Estimate, Interval, NotEstimated, Outcomes
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POWER = 0.80


def primary_estimand(study: OccasionStudy) -> Estimand:
    """The one estimand the study calls primary; raises `EstimationError` unless there is exactly one."""
    primary = [estimand for estimand in study.estimands if estimand.primary]
    if len(primary) != 1:
        raise EstimationError("estimation.no_primary", f"a study has one primary estimand, this one has {len(primary)}")
    return primary[0]


def estimate_effects(design: ComparisonGroups, outcomes: Outcomes, study: OccasionStudy) -> Effects:
    """Termination risk difference and composite mean difference at the primary day.

    Both are weighted ANCOVAs on the same rows, weights and covariates, so the composite splits exactly. One that cannot
    be had, such as a difference in endings of which a group has none, leaves the other standing. Each has an
    interval clustered on the study's cluster and one on the matched set (on the patient where sets overlap, are strata,
    or do not exist), the main one first: the clusters' when enough of them contribute, else the wider of the two,
    decided for each difference by itself. Linear algebra runs on one thread, as for the design.

    Raises
    ------
    EstimationError
        Too few sets are left for any inference, an arm lies in one cluster, an outcome cannot be formed, or neither
        varies.
    """
    sample = sample_of(design, outcomes.excluded, study)
    with one_thread():
        return _effects(design, outcomes, study, sample)


def target_population(design: ComparisonGroups, kept: BoolArray, weights: FloatArray) -> tuple[list[str], FloatArray]:
    """Ids of the occasions whose average effect the estimate speaks of, and what each counts for.

    `kept` (n,) and `weights` (n_kept,) are those of `without_excluded`. For the ATT these are the treated, for the ATC
    the comparisons; for the others both arms, each of which is weighted to the same population.
    """
    treated = design.members["treated"].to_numpy(dtype=np.bool_)[kept]
    arms = {"ATT": treated, "ATC": ~treated}.get(design.estimand, np.ones(treated.size, dtype=np.bool_))
    total = np.where(treated, weights[treated].sum(), weights[~treated].sum())
    return design.members.loc[kept, "ta_id"][arms].tolist(), (weights / total)[arms]


def ended_as(study: OccasionStudy) -> float:
    """The score that the primary estimand gives an ended relationship.

    Raises
    ------
    EstimationError
        ``estimation.strategy``: it does not count an ended relationship as a bad outcome.
    """
    strategy = primary_estimand(study).intercurrent_events.patient_ended
    if not isinstance(strategy, Composite):
        raise EstimationError(
            "estimation.strategy", "only the composite strategy for an ended relationship is estimable"
        )
    return strategy.value


def composite_of(
    sample: Sample,
    outcomes: Outcomes,
    study: OccasionStudy,
    clusters: IntArray,
    *,
    explained_by: Adjustment | None = None,
) -> CompositeEffect:
    """The composite's effect with its parts, under one clustering (n_kept,) of the sample's rows.

    Whether somebody answered is explained by `explained_by`, the sample's own adjustment unless given.

    Raises
    ------
    EstimationError
        As `ended_as` and `composite_effect`.
    """
    score = outcomes.score[sample.kept]
    by_response = study.missing.outcome == "inverse_probability_of_response"
    explaining = explained_by or sample.adjustment
    return composite_effect(
        sample.treated,
        outcomes.ended[sample.kept],
        score,
        ~np.isnan(score),
        clusters=clusters,
        weights=sample.weights,
        response_covariates=explaining.values if by_response else None,
        response_bends=explaining.n_bends,
        covariates=sample.covariates,
        names=sample.names,
        floor=ended_as(study),
        level=study.estimator.level,
    )


Lines = list[tuple[str, LinearEffect]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What could be had of the pair: a line for each clustering, the main one first, or the refusal."""

    termination: Lines | EstimationError
    composite: Lines | EstimationError
    parts: CompositeEffect | None
    aliased: tuple[str, ...]


def _found(sample: Sample, outcomes: Outcomes, study: OccasionStudy) -> _Found:
    clusterings = [(sample.unit_label, sample.units), (sample.cluster_label, sample.clusters)]
    try:
        by = [(label, composite_of(sample, outcomes, study, codes)) for label, codes in clusterings]
    except EstimationError as refusal:
        if np.isnan(outcomes.score[sample.kept]).all():
            raise  # nobody gave the study's outcome: there is no study of it
        ended = outcomes.ended[sample.kept].astype(np.float64)
        try:
            lines = [(label, _endings(sample, ended, codes, study.estimator.level)) for label, codes in clusterings]
        except EstimationError:
            raise refusal from None
        return _Found(termination=main_first(sample, lines), composite=refusal, parts=None, aliased=lines[0][1].aliased)
    composite, parts = [(label, one.composite) for label, one in by], by[-1][1]
    endings = [(label, one.termination) for label, one in by if one.termination is not None]
    varies = len(endings) == len(by)
    return _Found(
        termination=main_first(sample, endings) if varies else EstimationError(CONSTANT, parts.termination_refused),
        composite=main_first(sample, composite),
        parts=parts,
        aliased=parts.composite.aliased,
    )


def main_first(sample: Sample, by_unit_and_cluster: Lines) -> Lines:
    """Both intervals of one difference with what they are clustered by, the main one first."""
    unit, cluster = by_unit_and_cluster
    return [unit, cluster] if sample.few_clusters and widest([unit, cluster]) is unit else [cluster, unit]


def _endings(sample: Sample, ended: FloatArray, clusters: IntArray, level: float) -> LinearEffect:
    """The difference in endings by itself, as the composite has it."""
    return weighted_ancova(
        ended, sample.treated, sample.covariates, sample.weights, clusters, names=sample.names, level=level
    )


def _effects(design: ComparisonGroups, outcomes: Outcomes, study: OccasionStudy, sample: Sample) -> Effects:
    found, response = _found(sample, outcomes, study), response_of(sample, outcomes)
    members, kept, c = design.members, sample.kept, found.parts
    treated = members["treated"].to_numpy(dtype=np.bool_)
    first_row = kept & ~members.loc[kept, "ta_id"].duplicated().reindex(members.index, fill_value=True).to_numpy()
    gone = set(members.loc[~kept, "ta_id"]) - set(members.loc[kept, "ta_id"])
    n_treated, n_comparison = int((first_row & treated).sum()), int((first_row & ~treated).sum())
    n_sets = members.loc[kept, "set_id"].nunique() if design.grouping == "matched set" else n_treated

    def one(
        name: str, scale: str, lines: Lines | EstimationError, means: tuple[float, float]
    ) -> Estimate | NotEstimated:
        if isinstance(lines, EstimationError):
            return NotEstimated(
                name=name,
                scale=scale,
                reason=lines.message,
                mean_treated=means[0],
                mean_comparison=means[1],
                n_treated=n_treated,
                n_comparison=n_comparison,
            )
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
            n_comparison=n_comparison,
            n_sets=n_sets,
            intervals=tuple(_interval(clustered_by, line) for clustered_by, line in lines),
            why_main=sample.why_main,
            detectable=detectable(first.std_error, first.df, level=first.level),
        )

    ended = outcomes.ended[kept].astype(np.float64)
    p1, p0 = (float(np.average(ended[arm], weights=sample.weights[arm])) for arm in (sample.treated, ~sample.treated))
    floor = ended_as(study)
    nowhere = float("nan")
    rated = (nowhere, nowhere)
    if c is not None:
        rated = (_mean(floor, c.p1, c.m1), _mean(floor, c.p0, c.m0))
    handling = "" if c is None else c.response_method
    return Effects(
        termination=one("termination", "risk difference", found.termination, (p1, p0)),
        composite=one("composite", "points", found.composite, rated),
        termination_part=None if c is None else c.termination_part,
        level_part=None if c is None else c.level_part,
        floor=floor,
        response_treated=response.treated,
        response_comparison=response.comparison,
        response_handling=f"{handling}: {c.response_note}" if c is not None and c.response_note else handling,
        n_excluded=len(gone),
        n_ended_treated=int((outcomes.ended & first_row & treated).sum()),
        n_ended_comparison=int((outcomes.ended & first_row & ~treated).sum()),
        day=outcomes.day,
        half_width=outcomes.half_width,
        aliased=(*sample.left_out, *found.aliased),
    )


def _mean(floor: float, ended: float, rating: float) -> float:
    """Mean of the composite in an arm."""
    return floor * ended + (1 - ended) * rating if ended < 1 else floor


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
