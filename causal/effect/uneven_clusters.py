"""Errors from influence functions summed by cluster, corrected where clusters are few or an arm lies in few of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import Kind, cluster_robust
from causal.effect.contrast import Contrast, student
from causal.effect.doubly_robust.influence import clustered_error
from causal.effect.matched_estimates import refuse_few_clusters
from causal.effect.termination.few_clusters import ratio_of_errors

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def corrected(
    effect: Contrast, influence: FloatArray, treated: BoolArray, weights: FloatArray, clusters: IntArray
) -> Contrast:
    """The effect with its error by cluster corrected as that of a difference of weighted means would be.

    Influences summed by cluster, with clusters - 1 degrees of freedom, are much too sure where an arm lies in few of
    many clusters. In the regression of ``influence / weight`` (its sign turned in the comparison arm) on the arm, whose
    weighted sums by cluster they are, CR2 and its Satterthwaite degrees of freedom are known (Bell & McCaffrey 2002;
    Pustejovsky & Tipton 2018): the factor is CR2 over CR1 there, never below 1. An approximation where models of
    treatment and outcome were fitted.

    Parameters
    ----------
    effect
        The estimate, for its value, label and level.
    influence
        (n,) of the rows on the effect, whose sum of squares by cluster over n squared is its variance.
    treated, weights, clusters
        (n,) arm, what the row stands for in its arm (above 0 where it counts; in any unit), code of its cluster.

    Raises
    ------
    EstimationError
        ``estimation.too_few_clusters`` for an arm that lies in one cluster, and those of `cluster_robust`.

    >>> rng = np.random.default_rng(1)
    >>> arm, clinician = np.repeat([True, False], 60), np.r_[np.arange(60) % 2, np.arange(60) % 12]
    >>> influence = 2 * rng.normal(size=120)
    >>> plain = student("difference", 0.0, *clustered_error(influence, clinician))
    >>> found = corrected(plain, influence, arm, np.ones(120), clinician)
    >>> plain.df, found.df < 4, found.std_error >= plain.std_error
    (11.0, True, True)
    """
    used = weights > 0
    refuse_few_clusters(treated[used], np.asarray(clusters)[used])
    arm, code = treated[used], np.asarray(clusters)[used]
    design = np.column_stack([np.ones(arm.size), arm])
    w = weights[used] / np.where(arm, weights[used][arm].sum(), weights[used][~arm].sum())
    outcome = np.where(arm, influence[used], -influence[used]) / w

    def fit(kind: Kind) -> tuple[float, float]:
        one = cluster_robust(design, outcome, weights=w, clusters=code, contrast=np.array([0.0, 1.0]), kind=kind)
        return one.std_error, one.df

    (reduced, df), (plain, _) = fit("CR2"), fit("CR1")
    error, most = clustered_error(influence, clusters)
    factor = max(ratio_of_errors(reduced, plain), 1.0)
    return student(effect.label, effect.value, factor * error, min(df, most), level=effect.level)
