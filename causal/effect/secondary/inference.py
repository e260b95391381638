"""The composite again: standardised by regression, by lottery, by resampling, against a margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.design.groups import build_groups
from causal.effect.bootstrap import Bootstrapped, Resampled
from causal.effect.bootstrap import cluster_bootstrap as bootstrapped
from causal.effect.contrast import Contrast, student
from causal.effect.margins import equivalence as equivalent
from causal.effect.margins import non_inferiority as non_inferior
from causal.effect.outcome_decomposition import composite_effect
from causal.effect.randomisation import randomisation_interval
from causal.effect.sample import sample_of
from causal.effect.secondary.everyone import everyone_of
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.secondary.opened import Opened, counts_of
from causal.effect.secondary.responses import responses
from causal.effect.standardisation import g_computation as standardised
from causal.errors import EstimationError
from causal.protocol.secondary import ClusterBootstrap, Equivalence, GComputation, NonInferiority, Randomisation
from causal.records import Cohort

IntArray = NDArray[np.int64]
POPULATIONS = ("ATT", "ATC", "ATE")


def g_computation(opened: Opened, _: GComputation) -> Finding:
    """Composite by regression with treatment-covariate products, averaged over the effect's population."""
    estimand = opened.design.estimand
    if estimand not in POPULATIONS:
        raise EstimationError(
            "estimation.population",
            f"nobody is at hand over whom to average for {estimand}",
            fix="weight for the ATT, the ATC or the ATE",
        )
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    by, clusters = sample.primary
    found = standardised(
        responses(opened, sample, outcomes).pseudo_outcome,
        sample.treated,
        sample.covariates,
        sample.weights,
        clusters,
        names=sample.names,
        estimand=estimand,  # type: ignore[arg-type]  # one of POPULATIONS
        level=opened.study.estimator.level,
    )
    label = f"trust at day {opened.window.day}, an ending counted"
    aliased = (f"Terms left out, because others determine them: {', '.join(found.aliased)}.",) if found.aliased else ()
    return Finding(
        analysis="g_computation",
        title="The effect averaged over the first group",
        method=(
            "Regression of the outcome on the choice, the covariates and their products, averaged over the population "
            "the effect is about (g-computation), CR2."
        ),
        lines=(line_of(found.effect, label=label, scale="points", counts=counts_of(sample), clustered_by=by),),
        notes=aliased,
    )


def randomisation(opened: Opened, declared: Randomisation) -> Finding:
    """Constant effects that lotteries within matched sets would not reject."""
    if opened.design.grouping != "matched set" or opened.design.unit_of_inference != "matched set":
        raise EstimationError(
            "estimation.no_lottery",
            "a lottery within sets needs matched sets in which nobody stands twice",
            fix="match in sets without replacement",
        )
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    composite = responses(opened, sample, outcomes).pseudo_outcome
    ended = outcomes.ended[sample.kept].astype(np.float64)
    rng, day, level = opened.rng("randomisation"), opened.window.day, opened.study.estimator.level
    lines = []
    for outcome, label, points in (
        (ended, f"ended by day {day}", False),
        (composite, f"trust at day {day}, an ending counted", True),
    ):
        found = randomisation_interval(
            outcome, sample.treated, sample.covariates, sets=sample.sets, rng=rng, level=level, draws=declared.draws
        )
        lines.append(
            Line(
                label=label,
                scale="points" if points else "risk difference",
                value=found.value,
                lower=found.lower,
                upper=found.upper,
                level=found.level,
                n_treated=counts_of(sample)[0],
                n_comparison=counts_of(sample)[1],
            )
        )
    return Finding(
        analysis="randomisation",
        title="As if the choice had been drawn by lot within sets",
        method=(
            "Effects, the same for everyone, that lotteries within matched sets would not reject, adjusted for the "
            "covariates; no model of the outcome is assumed."
        ),
        lines=tuple(lines),
        notes=("It takes the choice for a lottery among those matched, and patients for unlike each other otherwise.",),
    )


def cluster_bootstrap(opened: Opened, declared: ClusterBootstrap) -> Finding:
    """The composite in samples of whole clusters: of sets as matched, or of clinicians weighted anew."""
    weighted = opened.design.grouping == "weight"
    if not weighted and opened.design.unit_of_inference != "matched set":
        raise EstimationError(
            "estimation.bootstrap_with_replacement",
            "the bootstrap is not valid where a comparison stands in several sets (Abadie and Imbens 2008)",
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
        for label in (f"trust at day {opened.window.day}, an ending counted",)
        for how, lower, upper in (
            ("from the bootstrap standard error", found.effect.lower, found.effect.upper),
            ("bias-corrected and accelerated", found.lower, found.upper),
        )
    ]
    what = "whole clinicians drawn, weighted anew each time" if weighted else "whole matched sets drawn, as matched"
    return Finding(
        analysis="cluster_bootstrap",
        title="The main difference in trust, resampled",
        method=f"Bootstrap of {found.draws.size} samples: {what}; the response model fitted anew in each.",
        lines=tuple(lines),
    )


def _of_sets(opened: Opened, declared: ClusterBootstrap) -> Bootstrapped:
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    ended, score = outcomes.ended[sample.kept], outcomes.score[sample.kept]
    floor = responses(opened, sample, outcomes).floor

    def procedure(rows: IntArray) -> float:
        return composite_effect(
            sample.treated[rows],
            ended[rows],
            score[rows],
            ~np.isnan(score[rows]),
            clusters=np.arange(rows.size),
            weights=sample.weights[rows],
            response_covariates=sample.covariates[rows],
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

    def procedure(rows: IntArray) -> float:
        drawn = occasions.iloc[rows].reset_index(drop=True)
        drawn = drawn.assign(ta_id=[str(k) for k in range(len(drawn))])
        groups = build_groups(Cohort(occasions=drawn, attrition=every.cohort.attrition), opened.study)
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
            response_covariates=sample.covariates,
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


def non_inferiority(opened: Opened, _: NonInferiority) -> Finding:
    """Whether trust is shown to be less than the margin worse."""
    effect, line = _headline(opened)
    margin = _margin(opened)
    found = non_inferior(effect, margin=margin, better="higher")
    verdict = "shown" if found.shown else "not shown"
    return Finding(
        analysis="non_inferiority",
        title="Is trust less than the margin worse?",
        method=f"One-sided {100 * found.level:g}% bound of the main difference against a margin of {margin:g} points "
        "declared in advance.",
        lines=(line,),
        notes=(f"The bound is {found.bound:.2f}: that trust is less than {margin:g} points worse is {verdict}.",),
    )


def equivalence(opened: Opened, _: Equivalence) -> Finding:
    """Whether the difference is shown to lie within the margin on both sides."""
    effect, line = _headline(opened)
    margin = _margin(opened)
    found = equivalent(effect, low=-margin, high=margin)
    verdict = "shown" if found.shown else "not shown"
    reading = (
        f"The {100 * found.level:g}% interval is {found.lower:.2f} to {found.upper:.2f}: a difference of less than "
        f"{margin:g} points either way is {verdict}."
    )
    return Finding(
        analysis="equivalence",
        title="Does trust differ by less than the margin either way?",
        method=f"Two one-sided tests of the main difference against {margin:g} points either way, declared in advance.",
        lines=(line,),
        notes=(reading,),
    )


def _headline(opened: Opened) -> tuple[Contrast, Line]:
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    found = responses(opened, sample, outcomes).composite
    effect = student("difference", found.value, found.std_error, found.df, level=found.level)
    label = f"trust at day {opened.window.day}, an ending counted"
    return effect, line_of(
        effect, label=label, scale="points", counts=counts_of(sample), clustered_by=sample.primary[0]
    )


def _margin(opened: Opened) -> float:
    margin = opened.study.non_inferiority_margin
    if margin is None:
        raise EstimationError("estimation.margin", "the study declares no margin", fix="add non_inferiority_margin")
    return margin
