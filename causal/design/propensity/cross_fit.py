"""Folds of whole clusters, assigned without chance."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

TUNING_FOLDS = 5


def cluster_folds(n: int, folds: int, clusters: IntArray | None = None) -> IntArray:
    """A fold (n,) from 0 to folds - 1 for every row, the same for all rows of a cluster.

    Clusters go largest first, equal ones in the order of their first rows, each to the fold with the fewest rows so
    far, the first of equals. Treatment plays no part: a cluster's fold does not depend on what happened in it.

    Parameters
    ----------
    n
        Rows.
    folds
        2 or more.
    clusters
        (n,) codes; None makes every row its own cluster.

    Raises
    ------
    DesignError
        ``design.too_few_clusters``: fewer clusters than folds.

    >>> cluster_folds(6, 2, np.array([7, 7, 7, 1, 1, 4])).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    if clusters is None:
        _require(n, folds)
        return np.arange(n, dtype=np.int64) % folds
    _, first, code, size = np.unique(clusters, return_index=True, return_inverse=True, return_counts=True)
    _require(first.size, folds)
    heap = [(0, fold) for fold in range(folds)]
    fold_of = np.empty(first.size, dtype=np.int64)
    for cluster in np.lexsort((first, -size)):
        rows, fold = heap[0]
        fold_of[cluster] = fold
        heapq.heapreplace(heap, (rows + int(size[cluster]), fold))
    return np.asarray(fold_of[code], dtype=np.int64)


def tuning_folds(treated: BoolArray, clusters: IntArray | None) -> IntArray:
    """Folds (n,) in which a model is tuned: five, or as many as there are clusters; no arm is empty outside one.

    Raises
    ------
    DesignError
        ``design.too_few_clusters``, ``design.too_few_events``.
    """
    groups = treated.size if clusters is None else np.unique(clusters).size
    fold = cluster_folds(treated.size, max(2, min(TUNING_FOLDS, groups)), clusters)
    require_both_arms(treated, fold)
    return fold


def require_both_arms(treated: BoolArray, fold: IntArray) -> None:
    """Refuse folds (n,) outside one of which all rows are treated, or none."""
    arms = [np.bincount(fold[arm], minlength=int(fold.max()) + 1) for arm in (treated, ~treated)]
    if any((count == count.sum()).any() for count in arms):
        raise DesignError(
            "design.too_few_events",
            "one fold of clusters holds an arm alone: nothing can be learned from the others",
            fix="fewer folds, smaller clusters, or a model that needs no folds",
        )


def _require(found: int, folds: int) -> None:
    if found < folds:
        raise DesignError(
            "design.too_few_clusters",
            f"there are fewer clusters than {folds} folds",
            fix="fewer folds",
        )
