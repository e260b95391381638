"""By how much trees tell the outcome better than the regression a study declares: to be judged, never a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.doubly_robust.influence import clustered_error
from causal.effect.doubly_robust.outcome_model import OutcomeModel, predicted_means
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

QUICK_TREES = OutcomeModel(kind="boosting", trees=20, learning_rate=0.3, leaves=8)  # few and large: a look, no tuning
FEWEST = 200  # rows of an arm below which trees show little
ERRORS = 3.0  # standard errors of the mean difference: those of cross-validation are told somewhat too small


@dataclass(frozen=True, slots=True, kw_only=True)
class Outpredicted:
    """How a regression of the outcome stands beside a few trees, in rows neither learned from.

    Attributes
    ----------
    kind
        Of the regression.
    share
        Share of its squared error that the trees save beyond doubt, in the arm where they save most; 0 where they save
        nothing, None where it was not asked.
    reason
        Why it was not asked; empty where it was.
    """

    kind: str
    share: float | None
    reason: str = ""


def outpredicted(
    model: OutcomeModel,
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    *,
    names: Sequence[str],
    arms: Sequence[bool],
    fold: IntArray | None,
    key: KeyArray,
    clusters: IntArray | None,
) -> Outpredicted:
    """By how much a few trees predict the outcome better than a regression.

    Parameters
    ----------
    model
        The regression as declared.
    outcome, treated, covariates, names, arms, fold, key, clusters
        As `predicted_means`.

    Notes
    -----
    In each arm the squared errors out of fold are compared row by row: the share is the mean difference less three of
    its standard errors (by cluster), over the regression's mean squared error. The standard errors take the predictions
    for fixed and are somewhat too small (Bates, Hastie & Tibshirani 2024, JASA 119:1434-1445), hence three. The trees
    are 20 of 8 leaves, with a step of .3, and not tuned: better ones may save more, and where they save nothing the
    regression may be wrong all the same.
    """
    large = [arm for arm in arms if (treated == arm).sum() >= FEWEST]
    if fold is None:
        return Outpredicted(kind=model.kind, share=None, reason="it is not cross-fitted")
    if not large:
        return Outpredicted(kind=model.kind, share=None, reason=f"a group has fewer than {FEWEST} rows")
    said, grown = (
        predicted_means(
            kind, outcome, treated, covariates, names=names, arms=large, fold=fold, key=key, clusters=clusters
        ).mean
        for kind in (model, QUICK_TREES)
    )
    shares = [0.0]
    for arm in large:
        rows = treated == arm
        of_model, of_trees = ((outcome[rows] - mean[arm][rows]) ** 2 for mean in (said, grown))
        gain = of_model - of_trees
        units = np.arange(gain.size, dtype=np.int64) if clusters is None else clusters[rows]
        if of_model.any() and np.unique(units).size > 1:
            error = clustered_error(gain - gain.mean(), units)[0]
            shares.append(float((gain.mean() - ERRORS * error) / of_model.mean()))
    return Outpredicted(kind=model.kind, share=max(shares))
