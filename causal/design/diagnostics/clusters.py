"""How each group is spread over those who treat: with few behind a group, their course may pass for an effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Level = Literal["clinician", "clinic", "month", "version of the form"]
"""What occasions may share: who treats, where, the month of time zero, the version of the form behind the occasion."""
GRID = 9
"""Decimals of a share: finer differences are those of the order in which weights are summed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpread:
    """How the weight of each arm lies over the clusters of one level.

    Attributes
    ----------
    level
        What a cluster is.
    declared
        Whether the study's intervals are clustered on it.
    total, treated, comparison
        Clusters that hold an occasion with weight, in all and by arm.
    largest_treated, largest_comparison
        Largest share of the arm's weight that one cluster holds, above 0 and up to 1.
    """

    level: Level
    declared: bool
    total: int
    treated: int
    comparison: int
    largest_treated: float
    largest_comparison: float

    @property
    def fewest(self) -> int:
        """Clusters behind the arm that has fewer."""
        return min(self.treated, self.comparison)

    @property
    def largest(self) -> float:
        """The larger of both arms' largest shares."""
        return max(self.largest_treated, self.largest_comparison)

    @property
    def confines(self) -> bool:
        """Whether an arm lies in one cluster while the comparison spans several: they cannot then be told apart."""
        return self.fewest == 1 < self.total


def cluster_spread(
    treated: BoolArray, weights: FloatArray, clusters: IntArray, *, level: Level, declared: bool = False
) -> ClusterSpread:
    """Clusters behind each arm, and the largest share of the arm that one of them holds.

    Parameters
    ----------
    treated, weights, clusters
        (n,) arm, weight of the occasion in the comparison (0 or more; one used several times carries its sum), and code
        of its cluster from 0.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when an arm has no weight.

    >>> spread = cluster_spread(np.array([True, True, True, False]), np.array([2.0, 1, 1, 4]), np.array([0, 0, 1, 1]),
    ...                         level="clinician")
    >>> spread.total, spread.treated, spread.comparison, spread.largest_treated, spread.confines
    (2, 2, 1, 0.75, True)
    """
    arm, w, code = np.asarray(treated, dtype=np.bool_), np.asarray(weights, dtype=np.float64), np.asarray(clusters)
    counts, largest = [], []
    for side in (arm, ~arm):
        if not (w[side] > 0).any():
            raise DesignError("design.empty_arm", "one arm has no occasion with weight")
        held = np.bincount(code[side], weights=w[side])
        counts.append(int(np.unique(code[side & (w > 0)]).size))
        largest.append(round(float(held.max() / held.sum()), GRID))
    return ClusterSpread(
        level=level,
        declared=declared,
        total=int(np.unique(code[w > 0]).size),
        treated=counts[0],
        comparison=counts[1],
        largest_treated=largest[0],
        largest_comparison=largest[1],
    )
