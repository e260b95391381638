"""The primary question within clinics: a check of what whole clinics share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from causal.effect.estimate import composite_of
from causal.effect.sample import cluster_codes
from causal.effect.secondary.days import headline_pair
from causal.effect.secondary.finding import Finding
from causal.effect.secondary.opened import Opened, counts_of
from causal.errors import EstimationError
from causal.protocol.secondary import ClinicFixedEffects

BOTH = 2


def clinic_fixed_effects(opened: Opened, _: ClinicFixedEffects) -> Finding:
    """Both headline differences with an intercept for every clinic in the regression.

    Raises
    ------
    EstimationError
        ``estimation.one_clinic``: there is one clinic, or none holds both arms, so that nothing is within clinics.
    """
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    used = sample.weights > 0
    clinic = cluster_codes(opened.design.members.loc[sample.kept], "clinic")
    clinics = np.unique(clinic[used])
    mixed = [np.unique(sample.treated[used & (clinic == one)]).size == BOTH for one in clinics]
    if clinics.size < BOTH or not any(mixed):
        raise EstimationError(
            "estimation.one_clinic",
            "there is one clinic, or none in which both groups are found: nothing can be compared within clinics",
            fix="leave clinic_fixed_effects out, or pool more sites",
        )
    intercepts = (clinic[:, None] == clinics[1:]).astype(np.float64)
    names = tuple(f"clinic {k}" for k in range(2, clinics.size + 1))
    within = replace(sample, adjustment=sample.adjustment.beside(intercepts, names))
    found = sample.under_each(
        lambda code: composite_of(within, outcomes, opened.study, code, explained_by=sample.adjustment)
    )
    counts, ended = counts_of(sample), outcomes.ended[sample.kept]
    lines, missing = headline_pair(
        found, opened.window.day, opened.study.words, counts=counts, events=counts_of(sample, ended)
    )
    drops = f"What all {opened.study.words.persons} of a clinic share drops out"
    return Finding(
        analysis="clinic_fixed_effects",
        title="The same question within clinics",
        method="As the primary analysis, with an intercept for every clinic in the regression.",
        lines=tuple(reversed(lines)),
        not_evaluated=tuple(missing),
        notes=(
            f"{drops}; clinics in which one group alone is found say nothing.",
            "What only those of one clinician share does not drop out.",
        ),
    )
