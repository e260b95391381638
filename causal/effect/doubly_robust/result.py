"""What a doubly robust estimate consists of, and how it follows from fitted models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast
from causal.effect.doubly_robust.influence import Estimand, MarginalMean, from_influence
from causal.effect.doubly_robust.nuisance import Nuisance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoublyRobust:
    """An effect from a model of treatment and a model of outcome.

    Attributes
    ----------
    effect
        Mean had all been treated minus mean had none, in units of the outcome; clusters - 1 degrees of freedom.
    mean_treated, mean_comparison
        The two means.
    estimand
        Over whom they are averaged: the treated (ATT), the untreated (ATC), everyone (ATE).
    n_rows, n_treated, n_clusters
        Rows, treated rows and clusters (each row its own where none were given).
    largest_weight
        Largest share one row has of the weights of the arm that stands for the other: above .05 it decides much.
    truncate, n_truncated
        Distance from 0 and 1 to which scores were moved where a weight divides by them, and how many rows' were.
    folds, fold
        Number of folds, 1 without cross-fitting, and (n,) the fold of each row or None.
    influence
        (n,) influence of each row on the effect, with mean 0.
    weight
        (n,) what the row stands for in its own arm, as a share of the arm.
    propensity_method
        How the model of all rows was estimated.
    notes
        What a reader should know, without any count.
    """

    effect: Contrast
    mean_treated: MarginalMean
    mean_comparison: MarginalMean
    estimand: Estimand
    n_rows: int
    n_treated: int
    n_clusters: int
    largest_weight: float
    truncate: float
    n_truncated: int
    folds: int
    fold: IntArray | None
    influence: FloatArray
    weight: FloatArray
    propensity_method: str
    notes: tuple[str, ...]


def doubly_robust(
    label: str,
    outcome: FloatArray,
    nuisance: Nuisance,
    clusters: IntArray | None,
    *,
    level: float,
    origin: float = 0.0,
    unit: float = 1.0,
) -> DoublyRobust:
    """The estimate that follows from an outcome (n,) and models of it in units of `unit`, counted from `origin`."""
    means, influences = augmented_means(outcome, nuisance)
    own = np.arange(outcome.size, dtype=np.int64) if clusters is None else np.asarray(clusters)
    one, zero = (origin + unit * mean for mean in means)
    scaled = (unit * influences[0], unit * influences[1])
    effect, mean_treated, mean_comparison = from_influence(label, unit * outcome, (one, zero), scaled, own, level)
    modelled = [w for w, mean in zip(nuisance.weight, nuisance.mean, strict=True) if mean is not None]
    return DoublyRobust(
        effect=effect,
        mean_treated=mean_treated,
        mean_comparison=mean_comparison,
        estimand=nuisance.estimand,
        n_rows=outcome.size,
        n_treated=int((nuisance.weight[0] > 0).sum()),
        n_clusters=int(np.unique(own).size),
        largest_weight=max(float(w.max() / w.sum()) for w in modelled),
        truncate=nuisance.truncate,
        n_truncated=nuisance.n_truncated,
        folds=1 if nuisance.fold is None else int(nuisance.fold.max()) + 1,
        fold=nuisance.fold,
        influence=scaled[0] - scaled[1],
        weight=sum((w / w.sum() for w in nuisance.weight), np.zeros(outcome.size)),
        propensity_method=nuisance.propensity_method,
        notes=nuisance.notes,
    )


def augmented_means(
    outcome: FloatArray, nuisance: Nuisance
) -> tuple[tuple[float, float], tuple[FloatArray, FloatArray]]:
    """Means under both arms, treated first, and their influences (n,) each, by the equations of `aipw`."""
    means, influences = [], []
    for weight, predicted in zip(nuisance.weight, nuisance.mean, strict=True):
        m = np.zeros(outcome.size) if predicted is None else predicted  # any m gives the observed mean of one's own arm
        summand = nuisance.population * m + weight * (outcome - m)
        theta = float(summand.sum() / nuisance.population.sum())
        means.append(theta)
        influences.append((summand - nuisance.population * theta) * (outcome.size / nuisance.population.sum()))
    return (means[0], means[1]), (influences[0], influences[1])
