"""The composite again: standardised by regression, by lottery, with reuse in its error, against a margin."""

from __future__ import annotations

import numpy as np

from causal.effect.abadie_imbens import matched_with_replacement, matches_of
from causal.effect.contrast import Contrast, student
from causal.effect.estimate import composite_of
from causal.effect.margins import equivalence as equivalent
from causal.effect.margins import non_inferiority as non_inferior
from causal.effect.randomisation import randomisation_interval
from causal.effect.secondary.days import composite_label
from causal.effect.secondary.finding import Finding, Line, Scale, line_of, told
from causal.effect.secondary.opened import FloatArray, Opened, counts_of
from causal.effect.secondary.responses import responses
from causal.effect.standardisation import g_computation as standardised
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.matching import Greedy
from causal.protocol.secondary import Equivalence, GComputation, NonInferiority, Randomisation, ReuseVariance

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
    composite = responses(opened, sample, outcomes).pseudo_outcome
    each = sample.under_each(
        lambda code: standardised(
            composite,
            sample.treated,
            sample.covariates,
            sample.weights,
            code,
            names=sample.names,
            interactions=sample.facts,
            estimand=estimand,  # type: ignore[arg-type]  # one of POPULATIONS
            level=opened.study.estimator.level,
        )
    )
    found = each[0][1]
    by, effect = widest([(by, one.effect) for by, one in each])
    label = composite_label(opened.study.words, opened.window.day)
    aliased = (f"Terms left out, because others determine them: {', '.join(found.aliased)}.",) if found.aliased else ()
    return Finding(
        analysis="g_computation",
        title="The effect averaged over those it is about",
        method=(
            "Regression of the outcome on the choice, the covariates and their products, averaged over the population "
            "the effect is about (g-computation), CR2."
        ),
        lines=(line_of(effect, label=label, scale="points", counts=counts_of(sample), clustered_by=by),),
        notes=aliased,
    )


def randomisation(opened: Opened, declared: Randomisation) -> Finding:
    """Constant effects that lotteries within matched sets would not reject."""
    opened.require_distinct_sets()
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    composite = responses(opened, sample, outcomes).pseudo_outcome
    ended = outcomes.ended[sample.kept]
    rng, day, level = opened.rng("randomisation"), opened.window.day, opened.study.estimator.level
    persons = opened.study.words.persons

    def line(outcome: FloatArray, label: str, scale: Scale, events: tuple[int, int] | None = None) -> Line:
        found = randomisation_interval(
            outcome, sample.treated, sample.covariates, sets=sample.sets, rng=rng, level=level, draws=declared.draws
        )
        return Line(
            label=label,
            scale=scale,
            value=found.value,
            lower=found.lower,
            upper=found.upper,
            level=found.level,
            n_treated=counts_of(sample)[0],
            n_comparison=counts_of(sample)[1],
            events=events,
        )

    endings, rated = f"ended by day {day}", composite_label(opened.study.words, day)
    lines, missing = told(
        {
            endings: lambda: line(ended.astype(np.float64), endings, "risk difference", counts_of(sample, ended)),
            rated: lambda: line(composite, rated, "points"),
        }
    )
    return Finding(
        analysis="randomisation",
        title="As if the choice had been drawn by lot within sets",
        method=(
            "Effects that lotteries within matched sets would not reject, adjusted for the covariates: one effect, the "
            "same for everyone, is assumed, and no distribution of the outcome."
        ),
        lines=lines,
        not_evaluated=missing,
        notes=(
            f"It takes the choice for a lottery among those matched, and {persons} for unlike each other otherwise.",
        ),
    )


def reuse_variance(opened: Opened, _: ReuseVariance) -> Finding:
    """The plain differences of those matched with replacement, with the variance that knows of the reuse."""
    declared, members = opened.study.matching, opened.design.members
    if not (isinstance(declared, Greedy) and declared.replacement):
        raise EstimationError(
            "estimation.no_replacement",
            "this variance is for matching with replacement, where a comparison may stand in several sets",
            fix="leave reuse_variance out, or match with replacement",
        )
    if "logit" not in members.columns:
        raise EstimationError(
            "estimation.no_propensity",
            "the design was stored without the probabilities on which neighbours are found",
            fix="make the design again",
        )
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    once = np.unique(sample.occasions, return_index=True)[1]  # the first row of each occasion, by its code
    one, zero, weight = matches_of(sample.sets, sample.occasions, sample.treated, sample.weights)
    day, ended = opened.window.day, outcomes.ended[sample.kept]
    composite = responses(opened, sample, outcomes).pseudo_outcome

    def line(outcome: FloatArray, label: str, scale: Scale, events: tuple[int, int] | None = None) -> Line:
        found = matched_with_replacement(
            outcome[once],
            sample.treated[once],
            members["logit"].to_numpy(dtype=np.float64)[sample.kept][once, None],
            treated_row=one,
            comparison_row=zero,
            weight=weight,
            level=opened.study.estimator.level,
        )
        return line_of(found.effect, label=label, scale=scale, counts=counts_of(sample), events=events)

    endings, rated = f"ended by day {day}", composite_label(opened.study.words, day)
    lines, missing = told(
        {
            endings: lambda: line(ended.astype(np.float64), endings, "risk difference", counts_of(sample, ended)),
            rated: lambda: line(composite, rated, "points"),
        }
    )
    return Finding(
        analysis="reuse_variance",
        title="Comparisons used more than once",
        method=(
            "Mean difference between each occasion of the first group and those matched to it, without regression; "
            "variance for matching with replacement by Abadie and Imbens (2006)."
        ),
        lines=lines,
        not_evaluated=missing,
        notes=(
            "Occasions are taken for independent of one another, and probabilities of the first choice for known.",
            "How outcomes vary is judged from neighbours among the compared: outcomes of others stay closed.",
        ),
    )


def non_inferiority(opened: Opened, _: NonInferiority) -> Finding:
    """Whether the outcome is shown to be less than the margin worse."""
    effect, line = _headline(opened)
    margin = _margin(opened)
    found = non_inferior(effect, margin=margin, better="higher")
    verdict, outcome = "shown" if found.shown else "not shown", opened.study.words.outcome
    return Finding(
        analysis="non_inferiority",
        title=f"Is {outcome} less than the margin worse?",
        method=f"One-sided {100 * found.level:g}% bound of the main difference against a margin of {margin:g} points "
        "declared in advance.",
        lines=(line,),
        readings=(
            f"The bound is {found.bound:.2f}: that {outcome} is less than {margin:g} points worse is {verdict}.",
        ),
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
        title=f"Does {opened.study.words.outcome} differ by less than the margin either way?",
        method=f"Two one-sided tests of the main difference against {margin:g} points either way, declared in advance.",
        lines=(line,),
        readings=(reading,),
    )


def _headline(opened: Opened) -> tuple[Contrast, Line]:
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    by, found = sample.wider(lambda code: composite_of(sample, outcomes, opened.study, code).composite)
    effect = student("difference", found.value, found.std_error, found.df, level=found.level)
    label = composite_label(opened.study.words, opened.window.day)
    return effect, line_of(effect, label=label, scale="points", counts=counts_of(sample), clustered_by=by)


def _margin(opened: Opened) -> float:
    margin = opened.study.non_inferiority_margin
    if margin is None:
        raise EstimationError("estimation.margin", "the study declares no margin", fix="add non_inferiority_margin")
    return margin
