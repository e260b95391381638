"""Targeted maximum likelihood estimation for bounded outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from causal.design.propensity.fit import Propensity
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.terms import LOGISTIC
from causal.effect.doubly_robust.influence import Estimand
from causal.effect.doubly_robust.nuisance import Nuisance, fitted_nuisance
from causal.effect.doubly_robust.outcome_model import OutcomeModel
from causal.effect.doubly_robust.result import DoublyRobust, doubly_robust
from causal.errors import EstimationError
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

INSIDE = 0.0005  # predictions are kept this far inside the bounds, as shares of their distance (the R package's tmle)
FURTHEST = 60.0  # log odds of a fluctuation
QUASI_LOGISTIC = OutcomeModel(kind="logistic")


def tmle(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    *,
    bounds: tuple[float, float],
    names: Sequence[str],
    estimand: Estimand = "ATT",
    clusters: IntArray | None = None,
    key: KeyArray | None = None,
    folds: int | None = 5,
    propensity_model: PropensityModel = LOGISTIC,
    outcome_model: OutcomeModel = QUASI_LOGISTIC,
    outcome_terms: FloatArray | None = None,
    scores: Propensity | None = None,
    truncate: float = 0.01,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> DoublyRobust:
    """The effect as `aipw`, from means that cannot leave the bounds of the outcome.

    Parameters
    ----------
    bounds
        Least and largest value the outcome can have by its definition, as (1, 5) for a rating or (0, 1) for an event.
    outcome_model
        Of the outcome scaled to [0, 1]; predictions of kinds that leave it are moved inside.
    outcome, treated, covariates, names, estimand, clusters, key, folds, propensity_model, outcome_terms, scores,
    truncate, rng, level
        As `aipw`.

    Raises
    ------
    EstimationError
        Those of `aipw`, ``estimation.bounds`` (an outcome outside, or bounds that do not rise) and
        ``estimation.outcome_at_bound`` (all outcomes of an arm at one bound).

    Notes
    -----
    Outcomes and predictions are scaled to [0, 1]. In each arm that stands for the population the predicted log odds are
    moved by one number, the maximum of the Bernoulli quasi-likelihood with weights h_a (those of `aipw`), so that
    ``sum 1[W = a] h_a (Y - m_a*) = 0``; the mean is ``sum T m_a*/sum T``. For the ATT the joint distribution of arm and
    covariates is the empirical one, so that this solves the whole efficient score equation in one step, and no score
    needs a fluctuation of its own. Weights, not a covariate, carry h_a: where scores are near 0 or 1 the predictions
    stay bounded. Van der Laan & Rubin (2006), Int J Biostat 2(1):11; Gruber & van der Laan (2010), Int J Biostat
    6(1):26 (bounded outcomes); Stitelman, De Gruttola & van der Laan (2012), Int J Biostat 8(1):26 (weights); Zheng &
    van der Laan (2011) (cross-fitting).

    >>> rng = np.random.default_rng(1)
    >>> age = rng.normal(size=(600, 1))
    >>> treated = rng.random(600) < 1 / (1 + np.exp(-age[:, 0]))
    >>> ended = (rng.random(600) < 1 / (1 + np.exp(1 - age[:, 0] - treated))).astype(float)
    >>> found = tmle(ended, treated, age, bounds=(0, 1), names=["age"])
    >>> 0 < found.mean_comparison.value < found.mean_treated.value < 1
    True
    >>> bool(abs(found.influence.mean()) < 1e-10)
    True
    """
    low, high = bounds
    y, arm = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    if not low < high:
        raise EstimationError("estimation.bounds", f"bounds must rise, got {low:g}, {high:g}")
    if outside := int(((y < low) | (y > high)).sum()):
        raise EstimationError(
            "estimation.bounds",
            f"{outside} of {y.size} outcomes lie outside their bounds {low:g} to {high:g}",
            fix="declare true bounds",
        )
    scaled = (y - low) / (high - low)
    nuisance = fitted_nuisance(
        scaled,
        arm,
        covariates,
        names=names,
        estimand=estimand,
        clusters=clusters,
        key=key,
        folds=folds,
        propensity_model=propensity_model,
        outcome_model=outcome_model,
        outcome_terms=outcome_terms,
        scores=scores,
        truncate=truncate,
        rng=rng,
    )
    label = f"targeted maximum likelihood, {estimand}"
    return doubly_robust(label, scaled, _targeted(scaled, nuisance), clusters, level=level, origin=low, unit=high - low)


def _targeted(outcome: FloatArray, nuisance: Nuisance) -> Nuisance:
    """The models with their predictions moved so that each arm's weighted residuals sum to 0; outcomes in [0, 1]."""
    means: list[FloatArray | None] = []
    beyond = False
    for weight, predicted in zip(nuisance.weight, nuisance.mean, strict=True):
        if predicted is None:
            means.append(None)
            continue
        inside = np.clip(predicted, INSIDE, 1 - INSIDE)
        beyond = beyond or bool((inside != predicted).any())
        eta = logit(inside)
        means.append(expit(eta + _fluctuation(outcome, eta, weight)))
    moved = ("predicted outcomes beyond the bounds were moved inside",) * beyond
    return replace(nuisance, mean=(means[0], means[1]), notes=nuisance.notes + moved)


def _fluctuation(outcome: FloatArray, eta: FloatArray, weight: FloatArray) -> float:
    """The number that, added to the log odds (n,), makes the weighted residuals sum to 0."""
    used = weight > 0
    y, h, base = outcome[used], weight[used] / weight.sum(), eta[used]
    if not 0 < float(h @ y) < 1:
        raise EstimationError(
            "estimation.outcome_at_bound",
            "all outcomes of an arm lie at the same bound",
            fix="describe, do not estimate",
        )

    def score(epsilon: float) -> float:
        return float(h @ (y - expit(base + epsilon)))

    found: float = brentq(score, -FURTHEST, FURTHEST, xtol=1e-14, rtol=1e-15)
    return found
