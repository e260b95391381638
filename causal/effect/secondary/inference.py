"""The composite again: standardised by regression, by lottery, by resampling, against a margin."""

from __future__ import annotations

import numpy as np

from causal.effect.randomisation import randomisation_interval
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.secondary.opened import Opened, counts_of
from causal.effect.secondary.responses import responses
from causal.effect.standardisation import g_computation as standardised
from causal.errors import EstimationError
from causal.protocol.secondary import Randomisation

POPULATIONS = ("ATT", "ATC", "ATE")


def g_computation(opened: Opened) -> Finding:
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
