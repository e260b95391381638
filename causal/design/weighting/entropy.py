"""Entropy balancing: of all weights that make the groups' moments agree exactly, the ones nearest to equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.memory import MEMORY
from causal.design.weighting.terms import Terms, balance_terms, checked_arms, checked_base
from causal.design.weighting.tilting import Tilt, tilt, tilt_nuisance
from causal.design.weighting.weights import Weights
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
EntropyEstimand = Literal["ATT", "ATC", "ATE", "ATO"]


def entropy_weights(
    covariates: FloatArray,
    treated: BoolArray,
    *,
    names: Sequence[str],
    estimand: EntropyEstimand = "ATT",
    moments: int = 1,
    interactions: bool = False,
    base_weights: FloatArray | None = None,
    clusters: IntArray | None = None,
    overlap: FloatArray | None = None,
    nuisance: bool = True,
    memory: float = MEMORY,
) -> Weights:
    """Weights whose groups agree exactly in the means of every term.

    Parameters
    ----------
    covariates, treated
        (n, p) finite values known before time zero, and (n,) arm.
    names
        p names, for refusals.
    estimand
        ``ATT``: comparisons get the means of the treated, whose weight is 1. ``ATC``: the reverse. ``ATE``: both
        groups get the means of everyone. ``ATO``: both get the means of the overlap population, `overlap`.
    moments
        1 for means, 2 for variances too, 3 for skewness too.
    interactions
        Whether the means of all pairwise products agree too.
    base_weights
        (n,) above 0: the weights to stay near in the groups that are weighted; None for equal ones.
    clusters
        (n,) codes of clinics or clinicians within which the weights of both groups sum alike; None for none.
    overlap
        (n,) for the ATO: ``e(1 - e)`` of estimated probabilities e, each occasion's part in the overlap population (Li,
        Morgan & Zaslavsky 2018); needed there and nowhere else.
    nuisance
        Whether to return the estimating functions (3 arrays as large as the terms): what a standard error needs. The
        ATO has none: its target is estimated in a first step that they do not cover.
    memory
        Gigabytes allowed.

    Returns
    -------
    Weights that sum to the size of the target group in every group that is weighted.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.constant_covariate``,
        ``design.base_weights``, ``design.moments``, ``design.cluster_one_arm``, ``design.memory``,
        ``design.cannot_balance`` naming the covariates in which the groups do not overlap, ``design.not_converged``.

    Notes
    -----
    Hainmueller (2012), Polit Anal 20:25-46: ``w = b exp(lambda_0 + lambda'z)`` minimises ``sum w log(w/b)`` given
    ``sum w z = sum_target z``. ATE: Kallberg & Waernbaum (2023), Econom Stat. For the ATT it is consistent when either
    the log odds of treatment or the comparison outcome is linear in the terms (Zhao & Percival 2017, J Causal
    Inference 5).

    >>> x, treated = np.array([[0.0], [1], [2], [1.5]]), np.array([False, False, False, True])
    >>> w = entropy_weights(x, treated, names=["age"]).weight
    >>> [round(float(np.average(x[arm, 0], weights=w[arm])), 9) for arm in (treated, ~treated)]
    [1.5, 1.5]
    """
    arm = checked_arms(treated)
    base = checked_base(base_weights, arm.size)
    if clusters is not None:
        _refuse_one_armed(np.asarray(clusters), arm)
    terms = balance_terms(
        covariates, names, moments=moments, interactions=interactions, clusters=clusters, memory=memory
    )
    match estimand:
        case "ATT":
            tilts = [_towards(terms, arm, ~arm, base, "give the comparisons the means of the treated")]
            weight = arm + tilts[0].weight
        case "ATC":
            tilts = [_towards(terms, ~arm, arm, base, "give the treated the means of the comparisons")]
            weight = ~arm + tilts[0].weight
        case "ATE":
            everyone = np.ones(arm.size, dtype=np.bool_)
            one = _towards(terms, everyone, arm, base, "give the treated the means of everyone")
            zero = _towards(terms, everyone, ~arm, base, "give the comparisons the means of everyone")
            tilts, weight = [one, zero], one.weight + zero.weight
        case "ATO":
            target = _overlap(overlap, arm.size)
            one = _towards(terms, target, arm, base, "give the treated the means of the overlap population")
            zero = _towards(terms, target, ~arm, base, "give the comparisons the means of the overlap population")
            tilts, weight, nuisance = [one, zero], one.weight + zero.weight, False
    return Weights(
        weight=weight,
        estimand=estimand,
        estimand_note="",
        method=_method(moments, interactions=interactions, within_clusters=clusters is not None),
        nuisance=tilt_nuisance(tilts) if nuisance else None,
    )


def _overlap(overlap: FloatArray | None, n: int) -> FloatArray:
    """Each occasion's part in the overlap population, refused where it is none."""
    if overlap is None:
        raise ValueError("the ATO needs each occasion's part in the overlap population")
    part = np.asarray(overlap, dtype=np.float64)
    if part.shape != (n,) or not (np.isfinite(part).all() and (part >= 0).all() and part.sum() > 0):
        raise DesignError("design.probability", "some parts in the overlap population are negative or missing")
    return part


def _towards(terms: Terms, target: BoolArray | FloatArray, weighted: BoolArray, base: FloatArray, task: str) -> Tilt:
    """Weights of the `weighted` rows with the sums of the `target` rows, each counted with its part."""
    start = np.zeros(len(terms.names))
    used = base * weighted
    start[0] = np.log(target.sum() / used.sum())
    return tilt(terms.rows, target.astype(np.float64), used, start=start, names=terms.names, task=task)


def _refuse_one_armed(clusters: IntArray, arm: BoolArray) -> None:
    """Refuse clusters with treated or comparison occasions only."""
    code = np.unique(clusters, return_inverse=True)[1]
    counts = np.stack([np.bincount(code[rows], minlength=int(code.max()) + 1) for rows in (arm, ~arm)])
    if (counts == 0).any():
        raise DesignError(
            "design.cluster_one_arm",
            f"{int((counts == 0).any(axis=0).sum())} of {counts.shape[1]} clusters hold one group only: nothing can be "
            "balanced within them",
            fix="set these clusters aside, or balance without clusters",
        )


def _method(moments: int, *, interactions: bool, within_clusters: bool) -> str:
    of = ("means", "means and variances", "means, variances and skewness")[moments - 1]
    return (
        f"entropy balancing of {of}"
        + (", and of pairwise products" if interactions else "")
        + (", within clusters" if within_clusters else "")
    )
