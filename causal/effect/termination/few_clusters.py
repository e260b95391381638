"""What few or uneven clusters do to the robust error of a hazard ratio, from the Poisson model beside Cox's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import ClusterRobust, Kind, cluster_robust
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def working_correction(
    x: FloatArray,
    expected: FloatArray,
    ended: BoolArray,
    weights: FloatArray,
    clusters: IntArray,
    stratum: IntArray,
    wanted: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Factor on the CR1 standard error of each of r coefficients, and Satterthwaite degrees of freedom: (r,) and (r,).

    Cox's estimate is that of a Poisson regression of the events with the cumulative baseline hazard as exposure
    (Whitehead 1980, Appl Stat 29:268-275). There CR2 and its degrees of freedom are known (Bell & McCaffrey 2002; with
    the iteration's weights Pustejovsky & Tipton 2018); the factor is CR2 over CR1. Without it, intervals on clusters
    - 1 degrees of freedom are much too narrow where an arm lies in a few of many clusters.

    Parameters
    ----------
    x, expected, ended, weights, clusters, stratum
        (n, r) columns; (n,) events expected of each row at the estimate, whether it had one, weight, cluster and
        stratum codes 0, 1, ....
    wanted
        (r,) true for the coefficients to correct.

    Returns
    -------
    (r,) and (r,), NaN for coefficients not wanted.
    """
    rows = expected > 0  # whoever was censored before the first event says nothing
    weight, code = (weights * expected)[rows], stratum[rows]
    residual = (ended[rows] - expected[rows]) / expected[rows]
    total = np.bincount(code, weights=weight)
    columns = np.column_stack([residual, x[rows]])
    for j, column in enumerate(columns.T):  # each stratum's own intercept, taken out
        columns[:, j] = column - (np.bincount(code, weights=weight * column) / np.where(total > 0, total, 1.0))[code]
    factors, df = np.full(wanted.size, np.nan), np.full(wanted.size, np.nan)

    def fit(contrast: FloatArray, kind: Kind) -> ClusterRobust:
        return cluster_robust(
            columns[:, 1:], columns[:, 0], weights=weight, clusters=clusters[rows], contrast=contrast, kind=kind
        )

    for j, contrast in enumerate(np.eye(wanted.size)):
        if not wanted[j]:
            continue
        plain, reduced = fit(contrast, "CR1"), fit(contrast, "CR2")
        factors[j], df[j] = ratio_of_errors(reduced.std_error, plain.std_error), reduced.df
    return factors, df


def ratio_of_errors(corrected: float, plain: float) -> float:
    """Corrected over plain standard error, refused where clusters do not differ at all."""
    if not plain > 0:
        raise EstimationError(
            "estimation.no_standard_error",
            "the outcome leaves no variation for a standard error",
            fix="describe, do not estimate",
        )
    return corrected / plain
