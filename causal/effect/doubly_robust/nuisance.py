"""The two models behind a doubly robust estimate: scores of treatment, predicted outcomes, and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from causal.design.propensity.columns import Moments, moments
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.rare import levels_of_one_arm, rare_levels
from causal.effect.doubly_robust.influence import Estimand
from causal.effect.doubly_robust.outcome_model import OutcomeModel, predicted_means
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError
from causal.numeric.folds import arm_in_one_fold, drawn_folds, strata_of
from causal.numeric.grid import SCORE, settled
from causal.numeric.keys import KeyArray, keys_of_content

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MOST_TRUNCATED = 0.10  # share of the population beyond the bounds above which there is no support for an effect in it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nuisance:
    """What doubly robust estimators need of n rows, in the order treated, comparison where there are two.

    Attributes
    ----------
    estimand, population
        Whose effect, and (n,) true for the rows it is averaged over.
    weight
        Two arrays (n,): what an outcome seen in that arm stands for, ``1[in arm] p/P(arm)`` with p = 1 (ATE), e (ATT)
        or 1 - e (ATC); 0 in the other arm.
    mean
        Two arrays (n,) of predicted outcomes; None for an arm that is the population itself, whose mean is observed.
    truncate, n_truncated
        Distance from 0 and 1 scores keep, and rows whose score was moved for it.
    fold
        (n,) fold of each row, None without cross-fitting.
    propensity_method
        How the model of all rows was estimated.
    notes
        What a reader should know.
    """

    estimand: Estimand
    population: BoolArray
    weight: tuple[FloatArray, FloatArray]
    mean: tuple[FloatArray | None, FloatArray | None]
    truncate: float
    n_truncated: int
    fold: IntArray | None
    propensity_method: str
    notes: tuple[str, ...]


def fitted_nuisance(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    *,
    names: Sequence[str],
    estimand: Estimand,
    clusters: IntArray | None,
    key: KeyArray | None,
    folds: int | None,
    propensity_model: PropensityModel,
    outcome_model: OutcomeModel,
    outcome_terms: FloatArray | None = None,
    scores: Propensity | None = None,
    truncate: float,
    rng: np.random.Generator | None,
) -> Nuisance:
    """Fit both models, each row scored and predicted by models of the other folds; see `aipw` for the arguments.

    Both models are cross-fitted on the same folds of whole clusters. Only an arm that stands for another is modelled:
    the mean of the population's own arm is observed.
    """
    y, arm = _checked(outcome, treated, covariates, truncate, propensity_model, clusters)
    x = np.ascontiguousarray(covariates, dtype=np.float64)
    row_key = keys_of_content([arm, y], covariates) if key is None else key
    if scores is not None:
        fold = _both_arms(arm, scores.fold)
    else:
        fold = None if folds is None else _folds(y, arm, row_key, folds, clusters)
    if rng is None and (outcome_model.draws or (scores is None and propensity_model.draws)):
        raise ValueError("boosted trees draw: pass rng")
    seed = 0 if rng is None else int(rng.integers(2**31))
    rare = np.zeros(x.shape[1], dtype=np.bool_)
    if scores is None:
        summary = moments(x, arm)
        rare = rare_levels(x, arm, summary)
        _refuse_apart(names, summary.apart & summary.varies & ~rare & ~_not_needed(x, arm, summary, estimand))
        scores = fit_propensity(
            x[:, ~rare],
            arm,
            names=[name for name, is_rare in zip(names, rare, strict=True) if not is_rare],
            model=propensity_model,
            clusters=clusters,
            key=row_key,
            fold=fold,
            finite=True,
            rng=rng,
        )
    else:
        _refuse_apart(scores.separated, np.ones(len(scores.separated), dtype=np.bool_))
    population = {"ATT": arm, "ATC": ~arm, "ATE": np.ones(arm.size, dtype=np.bool_)}[estimand]
    weight, beyond = _weights(scores.logit, arm, estimand, truncate)
    if (beyond & population).sum() > MOST_TRUNCATED * population.sum():
        raise EstimationError(
            "estimation.positivity",
            f"more than {MOST_TRUNCATED:.0%} of the population have a score within {truncate:g} of 0 or 1",
            fix="restrict the population to where both arms occur",
        )
    own = {"ATT": True, "ATC": False, "ATE": None}[estimand]
    wanted = [a for a in (True, False) if a != own]
    columns, labels = x, tuple(names)
    if outcome_terms is not None:
        columns = np.column_stack([x, outcome_terms])
        labels += tuple(f"term {j + 1}" for j in range(outcome_terms.shape[1]))
    found = predicted_means(
        outcome_model,
        y,
        arm,
        columns,
        names=labels,
        arms=wanted,
        fold=fold,
        key=row_key,
        clusters=clusters,
        seed=seed,
    )
    too_rare = [name for name, is_rare in zip(names, rare, strict=True) if is_rare]
    told = {
        "left out of the model of treatment, determined by others": scores.aliased,
        "in one of the groups only, and in few rows: left out of the model of treatment": too_rare,
        "tells the groups apart in some rows, so that Firth's likelihood models treatment": scores.separated,
    }
    notes = [f"{why}: {', '.join(which)}" for why, which in told.items() if which]
    notes += [*scores.notes, *found.notes]
    notes += [f"scores closer than {truncate:g} to 0 or 1 were moved there"] * bool(beyond.any())
    return Nuisance(
        estimand=estimand,
        population=population,
        weight=weight,
        mean=(found.mean.get(True), found.mean.get(False)),
        truncate=truncate,
        n_truncated=int(beyond.sum()),
        fold=fold,
        propensity_method=scores.method,
        notes=tuple(notes),
    )


def _not_needed(x: FloatArray, arm: BoolArray, summary: Moments, estimand: Estimand) -> BoolArray:
    """Levels (p,) that only the other arm has: nobody of the population needs to be stood for there."""
    if estimand == "ATE":
        return np.zeros(x.shape[1], dtype=np.bool_)
    return levels_of_one_arm(x, arm, summary, arm=estimand == "ATC")


def _refuse_apart(names: Sequence[str], apart: BoolArray) -> None:
    """Refuse covariates each of which tells the arms apart; those that do so together are judged by their scores."""
    if apart.any():
        raise EstimationError(
            "estimation.positivity",
            "covariates tell the arms apart, so that nobody stands for some: "
            + ", ".join(name for name, is_apart in zip(names, apart, strict=True) if is_apart),
            fix="restrict the population to where both arms occur, or drop what is no confounder",
        )


def _weights(
    logit: FloatArray, arm: BoolArray, estimand: Estimand, truncate: float
) -> tuple[tuple[FloatArray, FloatArray], BoolArray]:
    """Weights of both arms (n,) each, and whose score (n,) was moved: only where a weight would divide by it."""
    e, rest = expit(logit), expit(-logit)  # two, so that neither loses its digits near 1
    low, high = settled(e, SCORE) < truncate, settled(rest, SCORE) < truncate
    beyond = {"ATT": high, "ATC": low, "ATE": low | high}[estimand]
    if estimand != "ATT":
        e, rest = np.where(low, truncate, e), np.where(low, 1 - truncate, rest)
    if estimand != "ATC":
        e, rest = np.where(high, 1 - truncate, e), np.where(high, truncate, rest)
    if not (e.min() > 0 and rest.min() > 0):
        raise EstimationError(
            "estimation.positivity",
            "some scores are 0 or 1: nobody in the other arm stands for those rows",
            fix="set truncate above 0, or restrict the population to where both arms occur",
        )
    share = {"ATT": e, "ATC": rest, "ATE": np.ones(e.size)}[estimand]
    return (np.where(arm, share / e, 0.0), np.where(arm, 0.0, share / rest)), beyond


def _checked(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    truncate: float,
    model: PropensityModel,
    clusters: IntArray | None,
) -> tuple[FloatArray, BoolArray]:
    """Outcome and arm as arrays; refuses what no estimate can come of."""
    y, arm = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    if y.shape != arm.shape or np.shape(covariates)[0] != y.size:
        raise ValueError(f"outcome {y.shape}, treated {arm.shape} and covariates {np.shape(covariates)} do not agree")
    if model.cross_fit is not None:
        raise ValueError("folds say how both models are cross-fitted: leave cross_fit of the propensity model None")
    if not 0 <= truncate < 0.5:
        raise EstimationError("estimation.truncate", f"truncate must lie from 0 to below .5, got {truncate:g}")
    if not np.isfinite(y).all():
        raise EstimationError("estimation.not_finite", "the outcome of a row is missing")
    if not arm.any() or arm.all():
        raise EstimationError("estimation.empty_arm", "one arm has no row: there is no difference")
    refuse_constant(y, arm)
    if clusters is not None and np.unique(clusters).size < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    return y, arm


def _folds(y: FloatArray, arm: BoolArray, key: KeyArray, folds: int, clusters: IntArray | None) -> IntArray:
    """Folds (n,) of whole clusters, alike in arms and rare outcomes, outside each of which both arms occur."""
    groups = arm.size if clusters is None else np.unique(clusters).size
    if folds < 2 or groups < folds:
        units = "rows" if clusters is None else "clusters"
        raise EstimationError(
            "estimation.folds",
            f"{groups} {units} cannot be dealt into {folds} fold{'' if folds == 1 else 's'}",
            fix=f"choose from 2 to {groups} folds, or none",
        )
    fold = drawn_folds(key, folds, strata=strata_of(arm, y, folds=folds), clusters=clusters)
    _both_arms(arm, fold)
    return fold


def _both_arms(arm: BoolArray, fold: IntArray | None) -> IntArray | None:
    """The folds (n,), refused where all rows of an arm lie in one."""
    if fold is not None and arm_in_one_fold(arm, fold):
        raise EstimationError(
            "estimation.arm_in_one_fold",
            "one fold of clusters holds an arm alone: nothing can be learned of it from the others",
            fix="fewer folds, smaller clusters, or no cross-fitting",
        )
    return fold
