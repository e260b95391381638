"""The primary outcome as one number an occasion, missing ratings stood in for, for analyses of one outcome."""

from __future__ import annotations

import numpy as np

from causal.effect.outcome_decomposition import CompositeEffect, ResponseMethod, composite_effect
from causal.effect.sample import Sample
from causal.effect.secondary.opened import Opened
from causal.protocol.outcome import Composite
from causal.records import Outcomes

STOOD_IN: dict[ResponseMethod, tuple[str, ...]] = {
    "everyone responded": (),
    "logistic regression": ("Those who answered stand in for those like them who did not.",),
    "share by arm": ("Those who answered stand in for those of their group who did not (share by arm).",),
}
"""What to know of missing ratings, by how the probability of a rating was had."""


def responses(opened: Opened, sample: Sample, outcomes: Outcomes) -> CompositeEffect:
    """Composite of the sample's rows with response weights; its intervals are by the study's clusters.

    An estimand that does not count an ended relationship as a value takes the lowest score for it: only the response
    weights are then of use.
    """
    ended_as = opened.primary.intercurrent_events.patient_ended
    score = outcomes.score[sample.kept]
    by_response = opened.study.missing.outcome == "inverse_probability_of_response"
    return composite_effect(
        sample.treated,
        outcomes.ended[sample.kept],
        score,
        ~np.isnan(score),
        clusters=sample.clusters,
        weights=sample.weights,
        response_covariates=sample.covariates if by_response else None,
        response_bends=sample.adjustment.n_bends,
        covariates=sample.covariates,
        names=sample.names,
        floor=ended_as.value if isinstance(ended_as, Composite) else opened.score_range[0],
        level=opened.study.estimator.level,
    )
