"""Standard errors from influence functions summed by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import beyond_rounding
from causal.effect.contrast import Contrast, student
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Estimand = Literal["ATT", "ATC", "ATE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginalMean:
    """The mean outcome had all of the population been in one arm, with its standard error, in units of the outcome."""

    value: float
    std_error: float


def clustered_error(influence: FloatArray, clusters: IntArray) -> tuple[float, float]:
    """Standard error of a mean of influences (n,) and its degrees of freedom, G - 1.

    ``sqrt(G/(G - 1) sum_g (sum_i in g IF_i / n)^2)``; with each row its own cluster, sd(IF)/sqrt(n) when the mean is 0.

    Raises
    ------
    EstimationError
        ``estimation.too_few_clusters``: one cluster only.

    >>> clustered_error(np.array([1.0, -1.0]), np.array([0, 1]))
    (1.0, 1.0)
    """
    code = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    totals = np.bincount(code, weights=influence) / influence.size
    if totals.size < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more",
            fix="cluster on smaller units",
        )
    return float(np.sqrt(totals @ totals * totals.size / (totals.size - 1))), float(totals.size - 1)


def from_influence(
    label: str,
    outcome: FloatArray,
    means: tuple[float, float],
    influences: tuple[FloatArray, FloatArray],
    clusters: IntArray,
    level: float,
) -> tuple[Contrast, MarginalMean, MarginalMean]:
    """The difference of two means (treated first) and both, with errors from their influences (n,) each."""
    error, df = clustered_error(influences[0] - influences[1], clusters)
    error = beyond_rounding(error, outcome)
    one, zero = (
        MarginalMean(value=mean, std_error=clustered_error(influence, clusters)[0])
        for mean, influence in zip(means, influences, strict=True)
    )
    return student(label, means[0] - means[1], error, df, level=level), one, zero
