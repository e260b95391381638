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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grown:
    """A function from columns (m, k) to means (m,), and the means (n,) of its own rows by trees that never saw them.

    `outside` is None where no trees were grown out of fold.
    """

    predict: Callable[[FloatArray], FloatArray]
    outside: FloatArray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Most trees, the step of each, its leaves, and the seed of scikit-learn's generator."""

    most: int
    learning_rate: float
    leaves: int
    seed: int


def boosted_means(trees: Trees, x: FloatArray, y: FloatArray, fold: IntArray | None) -> Grown:
    """Means learned from columns (n, k) and outcomes (n,).

    Parameters
    ----------
    fold
        (n,) folds, from 0, in which the number of trees is chosen; None grows all.

    Notes
    -----
    Friedman (2001), Ann Stat 29:1189-1232, by scikit-learn's HistGradientBoostingRegressor. Of 5, 10, ... trees the
    number with the least squared error out of fold, the fewest of equals; all of them where there are 20 at most or no
    folds. Grown on one thread, so that no sum depends on the number of threads.
    """
    import sklearn.ensemble  # noqa: F401  # loads its threads, which a limit set before would miss
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

    with threadpool_limits(limits=1):
        rounds, outside = (trees.most, None) if fold is None else _tuned(trees, x, y, fold)
        grown = _model(trees, rounds).fit(x, y)

    def predict(rows: FloatArray) -> FloatArray:
        with threadpool_limits(limits=1):
            return np.asarray(grown.predict(rows), dtype=np.float64)

    return Grown(predict=predict, outside=outside)


def folds_of_trees(trees: Trees, key: KeyArray, clusters: IntArray | None) -> IntArray | None:
    """Folds (n,) of whole clusters in which the number of trees is chosen; None where all are grown."""
    groups = key.size if clusters is None else np.unique(clusters).size
    if trees.most <= UNTUNED or groups < FOLDS:
        return None
    return drawn_folds(key, FOLDS, strata=np.zeros(key.size, dtype=np.int64), clusters=clusters)


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


def _tuned(trees: Trees, x: FloatArray, y: FloatArray, fold: IntArray) -> tuple[int, FloatArray]:
    """The number of trees with the least squared error in folds not seen, and what so many say of those (n,)."""
    tried = range(EVERY, trees.most + 1, EVERY) if trees.most > UNTUNED else [trees.most]
    said = np.empty((len(tried), y.size))
    for held_out in range(int(fold.max()) + 1):
        seen, unseen = fold != held_out, fold == held_out
        staged = enumerate(_model(trees, tried[-1]).fit(x[seen], y[seen]).staged_predict(x[unseen]), start=1)
        said[:, unseen] = [predicted for number, predicted in staged if number in tried]
    best = int(np.argmin(((y - said) ** 2).sum(axis=1)))
    return tried[best], said[best]
