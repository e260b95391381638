"""Gradient-boosted trees for the mean of an outcome: as many as predict best in clusters they never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causal.numeric.folds import drawn_folds
from causal.numeric.keys import KeyArray

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SMALLEST_LEAF = 2  # rows: what few rows at the end of a scale hold counts; how far trees go is settled out of fold
EVERY = 5  # rounds between the numbers of trees that are tried
UNTUNED = 20  # so few trees are grown as they are
FOLDS = 3  # in which the number is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Most trees, the step of each, its leaves, and the seed of scikit-learn's generator."""

    most: int
    learning_rate: float
    leaves: int
    seed: int


def boosted_means(
    trees: Trees, x: FloatArray, y: FloatArray, *, key: KeyArray, clusters: IntArray | None
) -> Callable[[FloatArray], FloatArray]:
    """A function from columns (m, k) to means (m,), learned from columns (n, k) and outcomes (n,).

    Parameters
    ----------
    key, clusters
        (n,) keys of the rows and codes, or None: the number of trees is chosen in folds of whole clusters.

    Notes
    -----
    Friedman (2001), Ann Stat 29:1189-1232, by scikit-learn's HistGradientBoostingRegressor. Of 5, 10, ... trees the
    number with the least squared error out of fold, the fewest of equals; all of them where there are fewer clusters
    than folds, or 20 at most. Grown on one thread, so that no sum depends on the number of threads.
    """
    import sklearn.ensemble  # noqa: F401  # loads its threads, which a limit set before would miss
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

    with threadpool_limits(limits=1):
        grown = _model(trees, _rounds(trees, x, y, key, clusters)).fit(x, y)

    def predict(rows: FloatArray) -> FloatArray:
        with threadpool_limits(limits=1):
            return np.asarray(grown.predict(rows), dtype=np.float64)

    return predict


def _model(trees: Trees, rounds: int) -> HistGradientBoostingRegressor:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        max_iter=rounds,
        learning_rate=trees.learning_rate,
        max_leaf_nodes=trees.leaves,
        min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
        random_state=trees.seed,
    )


def _rounds(trees: Trees, x: FloatArray, y: FloatArray, key: KeyArray, clusters: IntArray | None) -> int:
    """The number of trees with the least squared error in clusters not seen."""
    groups = y.size if clusters is None else np.unique(clusters).size
    if trees.most <= UNTUNED or groups < FOLDS:
        return trees.most
    fold = drawn_folds(key, FOLDS, strata=np.zeros(y.size, dtype=np.int64), clusters=clusters)
    tried = np.arange(EVERY, trees.most + 1, EVERY)
    error = np.zeros(tried.size)
    for held_out in range(FOLDS):
        seen, unseen = fold != held_out, fold == held_out
        grown = _model(trees, int(tried[-1])).fit(x[seen], y[seen])
        for number, predicted in enumerate(grown.staged_predict(x[unseen]), start=1):
            if number % EVERY == 0:
                error[number // EVERY - 1] += float(((y[unseen] - predicted) ** 2).sum())
    return int(tried[np.argmin(error)])
