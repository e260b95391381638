"""The composite in samples of whole clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal.design.groups import build_groups
from causal.effect.bootstrap import Bootstrapped, Resampled
from causal.effect.bootstrap import cluster_bootstrap as bootstrapped
from causal.effect.outcome_decomposition import composite_effect
from causal.effect.sample import sample_of
from causal.effect.secondary.days import composite_label
from causal.effect.secondary.everyone import everyone_of
from causal.effect.secondary.finding import Finding, Line
from causal.effect.secondary.opened import Opened, counts_of
from causal.effect.secondary.responses import responses
from causal.errors import EstimationError
from causal.protocol.secondary import ClusterBootstrap

IntArray = NDArray[np.int64]


def cluster_bootstrap(opened: Opened, declared: ClusterBootstrap) -> Finding:
    """The composite in samples of whole clusters: of sets as matched, or of clinicians weighted anew."""
    weighted = opened.design.grouping == "weight"
    if not weighted and opened.design.unit_of_inference != "matched set":
        raise EstimationError(
            "estimation.bootstrap_with_replacement",
            "whole sets can be drawn only where each stands for itself, and here they are strata or share comparisons",
            fix="match without replacement, or weight",
        )
    found = _of_weights(opened, declared) if weighted else _of_sets(opened, declared)
    sample = opened.sample()
    lines = [
        Line(
            label=f"{label}: {how}",
            scale="points",
            value=found.effect.value,
            lower=lower,
            upper=upper,
            level=found.effect.level,
            std_error=found.effect.std_error,
            df=found.effect.df,
            clustered_by=opened.study.estimator.cluster if weighted else "matched set",
            n_treated=counts_of(sample)[0],
            n_comparison=counts_of(sample)[1],
        )
        for label in (composite_label(opened.study.words, opened.window.day),)
        for how, lower, upper in (
            ("from the bootstrap standard error", found.effect.lower, found.effect.upper),
            ("bias-corrected and accelerated", found.lower, found.upper),
        )
    ]
    what = (
        f"whole {opened.study.estimator.cluster}s drawn, weighted anew each time"
        if weighted
        else "whole matched sets drawn, as matched"
    )
    return Finding(
        analysis="cluster_bootstrap",
        title=f"The main difference in {opened.study.words.outcome}, resampled",
        method=f"Bootstrap of {found.draws.size} samples: {what}; the response model fitted anew in each.",
        lines=tuple(lines),
        notes=()
        if weighted
        else (f"Occasions of one {sample.cluster_label} are taken for unlike each other, but for their set.",),
    )


def _of_sets(opened: Opened, declared: ClusterBootstrap) -> Bootstrapped:
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    ended, score = outcomes.ended[sample.kept], outcomes.score[sample.kept]
    floor = responses(opened, sample, outcomes).floor
    by_response = opened.study.missing.outcome == "inverse_probability_of_response"

    def procedure(rows: IntArray) -> float:
        return composite_effect(
            sample.treated[rows],
            ended[rows],
            score[rows],
            ~np.isnan(score[rows]),
            clusters=np.arange(rows.size),
            weights=sample.weights[rows],
            response_covariates=sample.covariates[rows] if by_response else None,
            response_bends=sample.adjustment.n_bends,
            covariates=sample.covariates[rows],
            names=sample.names,
            floor=floor,
        ).composite.value

    return bootstrapped(
        procedure,
        sample.sets,
        resampled=Resampled.MATCHED_SETS,
        rng=opened.rng("cluster_bootstrap"),
        draws=declared.draws,
        level=opened.study.estimator.level,
    )


def _of_weights(opened: Opened, declared: ClusterBootstrap) -> Bootstrapped:
    every = everyone_of(opened)
    occasions, outcomes = every.cohort.occasions, every.outcomes
    by_response = opened.study.missing.outcome == "inverse_probability_of_response"

    def procedure(rows: IntArray) -> float:
        drawn = occasions.iloc[rows].reset_index(drop=True)
        drawn = drawn.assign(ta_id=[str(k) for k in range(len(drawn))])
        groups = build_groups(replace(every.cohort, occasions=drawn), opened.study)
        place = rows[groups.members["ta_id"].astype(int).to_numpy()]
        sample = sample_of(groups, outcomes.excluded[place], opened.study)
        kept = place[sample.kept]
        return composite_effect(
            sample.treated,
            outcomes.ended[kept],
            outcomes.score[kept],
            ~np.isnan(outcomes.score[kept]),
            clusters=np.arange(sample.treated.size),
            weights=sample.weights,
            response_covariates=sample.covariates if by_response else None,
            response_bends=sample.adjustment.n_bends,
            covariates=sample.covariates,
            names=sample.names,
            floor=every.floor,
        ).composite.value

    return bootstrapped(
        procedure,
        every.clusters,
        resampled=Resampled.WEIGHTS,
        rng=opened.rng("cluster_bootstrap"),
        draws=declared.draws,
        level=opened.study.estimator.level,
    )
