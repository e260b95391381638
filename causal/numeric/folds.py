"""Folds for models that must not see what they predict: drawn by the units' keys, alike in each arm, clusters whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError
from causal.numeric.keys import KeyArray, keys_of_groups

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

TUNING_FOLDS = 5
RARE = 10  # rows per fold and arm below which the rarer of two outcomes is dealt out on its own


def drawn_folds(key: KeyArray, folds: int, *, strata: IntArray, clusters: IntArray | None = None) -> IntArray:
    """A fold (n,) from 0 to folds - 1 for every row: a lot by key within each stratum, the same for all of a cluster.

    Parameters
    ----------
    key
        (n,) keys of the rows (`causal.numeric.keys`); the folds are a function of these, never of the order of rows.
    folds
        2 or more.
    strata
        (n,) codes from 0; every fold gets its share of each (`strata_of`).
    clusters
        (n,) codes of what must stay whole; None makes every row its own cluster. Their names do not matter.

    Raises
    ------
    DesignError
        ``design.too_few_clusters``: fewer clusters than folds.

    Notes
    -----
    Rows are dealt in turn in the order of their keys, stratum by stratum: shares differ by one row at most. Clusters go
    largest first (in powers of two; of one size in the order of their keys), each to the fold that stays the least
    uneven: the sum over strata of (rows of the stratum in the fold / rows of the stratum)^2 rises least; of equals the
    first. Rows with equal keys are interchangeable.

    >>> from causal.numeric.keys import keys_of_names
    >>> arm = np.array([0, 1, 0, 1, 0, 1, 0, 1])  # pairs, one after the other
    >>> fold = drawn_folds(keys_of_names(range(8)), 2, strata=arm)
    >>> np.bincount(2 * fold + arm).tolist()  # two of each arm in each fold
    [2, 2, 2, 2]
    """
    codes = None if clusters is None else np.unique(clusters, return_inverse=True)[1].reshape(-1)
    groups = key.size if codes is None else int(codes.max(initial=-1)) + 1
    if groups < folds:
        raise DesignError("design.too_few_clusters", f"there are fewer clusters than {folds} folds", fix="fewer folds")
    if codes is None or groups == key.size:
        fold = np.empty(key.size, dtype=np.int64)
        fold[np.lexsort((key, strata))] = np.arange(key.size) % folds
        return fold
    return _whole(codes, keys_of_groups(key, codes), strata, folds)[codes]


def _whole(codes: IntArray, key: KeyArray, strata: IntArray, folds: int) -> IntArray:
    """The fold of each cluster."""
    held = np.zeros((key.size, int(strata.max()) + 1))
    np.add.at(held, (codes, strata), 1.0)
    size = held.sum(axis=1)
    share = np.column_stack([held / np.maximum(held.sum(axis=0), 1.0), size / size.sum()])
    fold = np.empty(key.size, dtype=np.int64)
    filled = np.zeros((folds, share.shape[1]))
    for cluster in np.lexsort((key, -np.floor(np.log2(size)))):
        rise = np.zeros(folds)  # half of what the sum of squares rises by, but for what is the same for all folds
        for stratum in range(share.shape[1]):  # in turn: the same bits on every machine
            rise += filled[:, stratum] * share[cluster, stratum]
        fold[cluster] = int(np.argmin(rise))
        filled[fold[cluster]] += share[cluster]
    return fold


def strata_of(treated: BoolArray, outcome: FloatArray | None = None, *, folds: int = TUNING_FOLDS) -> IntArray:
    """Codes (n,) of what every fold should get its share of: the arm, and within it the outcome where that is rare.

    An outcome of two values is rare where the rarer has fewer than ten rows per fold in one of the arms.

    >>> arm = np.array([True, True, False, False])
    >>> strata_of(arm).tolist(), strata_of(arm, np.array([0.0, 1.0, 0.0, 0.0])).tolist()
    ([1, 1, 0, 0], [2, 3, 0, 0])
    """
    arm = treated.astype(np.int64)
    if outcome is None or not treated.size:
        return arm
    high = outcome == outcome.max()
    if not (high | (outcome == outcome.min())).all():
        return arm
    count = np.bincount(2 * arm + high, minlength=4).reshape(2, 2)
    return 2 * arm + high if count.min() < RARE * folds else arm


def tuning_folds(treated: BoolArray, key: KeyArray, clusters: IntArray | None) -> IntArray:
    """Folds (n,) in which a model is tuned: five, or as many as there are clusters; no arm is empty outside one.

    Raises
    ------
    DesignError
        ``design.too_few_clusters``, ``design.too_few_events``.
    """
    groups = treated.size if clusters is None else np.unique(clusters).size
    fold = drawn_folds(key, max(2, min(TUNING_FOLDS, groups)), strata=strata_of(treated), clusters=clusters)
    require_both_arms(treated, fold)
    return fold


def require_both_arms(treated: BoolArray, fold: IntArray) -> None:
    """Refuse folds (n,) outside one of which all rows are treated, or none."""
    if arm_in_one_fold(treated, fold):
        raise DesignError(
            "design.too_few_events",
            "one fold of clusters holds an arm alone: nothing can be learned from the others",
            fix="fewer folds, smaller clusters, or a model that needs no folds",
        )


def arm_in_one_fold(treated: BoolArray, fold: IntArray) -> bool:
    """Whether all rows of one arm lie in one fold (n,)."""
    return any(np.unique(fold[arm]).size < 2 for arm in (treated, ~treated))
