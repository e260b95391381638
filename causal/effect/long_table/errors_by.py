"""Within what people may resemble each other: one clustering, or two of which the wider interval is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from causal.effect.matched_estimates import MINIMUM_CLUSTERS, refuse_arm_in_one_cluster
from causal.effect.widest import Ends, widest

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Found = TypeVar("Found")
PERSON, CLUSTER = "person", "cluster"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusterings:
    """Names and codes (n,) of the clusterings under which an interval is made."""

    each: tuple[tuple[str, IntArray], ...]

    def under_each(self, estimate: Callable[[IntArray], Found]) -> tuple[tuple[str, Found], ...]:
        """What `estimate` makes of each."""
        return tuple((name, estimate(codes)) for name, codes in self.each)

    def wider(self, estimate: Callable[[IntArray], Ends]) -> tuple[str, Ends]:
        """The widest of what `estimate` makes of each, and what it is clustered by."""
        return widest(self.under_each(estimate))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know where there are two."""
        if len(self.each) == 1:
            return ()
        return (
            f"Fewer than {MINIMUM_CLUSTERS} clusters: of the intervals by {PERSON} and by {CLUSTER} the wider is told.",
        )


def clusterings(treated: BoolArray, people: IntArray, clusters: IntArray | None) -> Clusterings:
    """By person; where there are clusters, by cluster, and with fewer than 30 of them by person as well.

    Raises
    ------
    EstimationError
        ``estimation.arm_in_one_cluster``.
    """
    if clusters is None:
        return Clusterings(each=((PERSON, people),))
    refuse_arm_in_one_cluster(treated, clusters, CLUSTER)
    by_cluster = (CLUSTER, clusters)
    few = np.unique(clusters).size < MINIMUM_CLUSTERS
    return Clusterings(each=((PERSON, people), by_cluster) if few else (by_cluster,))
