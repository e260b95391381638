"""Folds of whole clusters, assigned without chance."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

IntArray = NDArray[np.int64]


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


def _require(found: int, folds: int) -> None:
    if found < folds:
        raise DesignError(
            "design.too_few_clusters",
            f"{found} clusters cannot make {folds} folds",
            fix="fewer folds",
        )
