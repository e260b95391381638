"""Gradient-boosted trees for the probability of treatment, calibrated on predictions for clusters not seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.logistic import maximum_likelihood
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.sums import Regression
from causal.numeric.folds import tuning_folds
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SMALLEST_LEAF = 20  # rows
ROUNDING = 1e-12  # relative spread of raw scores that are all the same


def boosted(
    x: FloatArray,
    treated: BoolArray,
    model: PropensityModel,
    *,
    key: KeyArray,
    clusters: IntArray | None,
    seed: int,
) -> Callable[[FloatArray], FloatArray]:
    """A function from rows (m, k) to calibrated log odds (m,) of treatment, always finite.

    Parameters
    ----------
    x, treated
        (n, k) covariates and (n,) arms the trees are grown on.
    model
        Trees, learning rate, leaves and calibration.
    key, clusters
        (n,) keys of the rows, by which folds are drawn, and codes, kept whole by the folds; None makes every row its
        own cluster. Calibration is learned from rows scored by trees that never saw their cluster.
    seed
        Of scikit-learn's generator.

    Raises
    ------
    DesignError
        Those of `tuning_folds`.

    Notes
    -----
    Trees: scikit-learn's HistGradientBoostingClassifier, a fixed number, no early stopping (McCaffrey et al. 2004,
    Psychol Methods 9:403-425, for propensities). Platt (1999): a logistic curve of the raw score, on targets moved
    inwards by his rule, so it stays finite even if the raw scores separate the arms. Isotonic: one row with the average
    share is added at each end, so no probability is 0 or 1.
    """
    raw, folds = np.empty(treated.size), tuning_folds(treated, key, clusters)
    for fold in range(int(folds.max()) + 1):
        seen = folds != fold
        raw[~seen] = _grown(x[seen], treated[seen], model, seed)(x[~seen])
    calibrate = _platt(raw, treated) if model.calibration == "platt" else _isotonic(raw, treated)
    grown = _grown(x, treated, model, seed)
    return lambda rows: calibrate(grown(rows))


def _grown(x: FloatArray, treated: BoolArray, model: PropensityModel, seed: int) -> Callable[[FloatArray], FloatArray]:
    """Raw log odds of trees grown on one thread, so that no sum depends on their number."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

    trees = HistGradientBoostingClassifier(
        max_iter=model.trees,
        learning_rate=model.learning_rate,
        max_leaf_nodes=model.leaves,
        min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(limits=1):
        trees.fit(x, treated)

    def score(rows: FloatArray) -> FloatArray:
        with threadpool_limits(limits=1):
            return np.asarray(trees.decision_function(rows), dtype=np.float64)

    return score


def _platt(raw: FloatArray, treated: BoolArray) -> Callable[[FloatArray], FloatArray]:
    n1, n0 = int(treated.sum()), int((~treated).sum())
    target = np.where(treated, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    centre, spread, share = float(raw.mean()), float(raw.std()), float(target.mean())
    if spread > ROUNDING * (1 + abs(centre)):
        curve = Regression(
            x=raw[:, None], centre=np.array([centre]), scale=np.array([spread]), outcome=target, offset=np.empty(0)
        )
        intercept, slope = maximum_likelihood(curve).beta
        if slope > 0:
            return lambda score: np.asarray(intercept + slope * ((score - centre) / spread), dtype=np.float64)
    return lambda score: np.full(score.size, np.log(share / (1 - share)))  # the trees learned nothing that holds


def _isotonic(raw: FloatArray, treated: BoolArray) -> Callable[[FloatArray], FloatArray]:
    from sklearn.isotonic import IsotonicRegression

    share = float(treated.mean())
    steps = IsotonicRegression(out_of_bounds="clip").fit(
        np.concatenate([[raw.min()], raw, [raw.max()]]), np.concatenate([[share], treated, [share]])
    )

    def logit(score: FloatArray) -> FloatArray:
        p = np.asarray(steps.predict(score), dtype=np.float64)
        return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)

    return logit
