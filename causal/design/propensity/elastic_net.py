"""Logistic regression with an elastic-net penalty, its strength chosen by cross-validation in whole clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.propensity.logistic import Climb, climb, null_start
from causal.design.propensity.separation import not_converged
from causal.design.propensity.sums import Regression, Sums, log_odds, sums
from causal.numeric.folds import tuning_folds
from causal.numeric.grid import DIGITS, significant
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GRID = 50  # strengths tried
WEAKEST = 1e-4  # the weakest strength, as a share of the weakest at which absolute slopes alone leave none
LEAST_L1 = 1e-3  # the share of the l1 penalty at which a ridge's grid begins
ROUGHLY = 1e-4  # change of a log odds at which a fit is good enough to compare strengths


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ElasticNet:
    """A penalised maximum and the strength of its penalty (glmnet's lambda).

    `outside` (n,) are the log odds of the rows by models of that strength that never saw them, None where the strength
    was given.
    """

    climbed: Climb
    penalty: float
    outside: FloatArray | None


def elastic_net(
    regression: Regression, *, l1_ratio: float, penalty: float | None, key: KeyArray, clusters: IntArray | None
) -> ElasticNet:
    """Slopes of standardised columns under an elastic-net penalty; the intercept is free.

    Parameters
    ----------
    regression
        Its columns standardised, with an intercept.
    l1_ratio
        Share a of the penalty on absolute values.
    penalty
        Strength; None chooses it by the deviance out of fold.
    key, clusters
        (n,) keys of the rows, by which folds are drawn, and codes, kept whole by the folds; None makes every row its
        own cluster.

    Raises
    ------
    DesignError
        ``design.not_converged``, and those of `tuning_folds`.

    Notes
    -----
    Minimises ``-log L / n + penalty (a |b|_1 + (1 - a) |b|^2 / 2)`` (Friedman, Hastie & Tibshirani 2010, J Stat Softw
    33(1)) by Newton's method with coordinate descent on the information matrix, which costs the same for any n. Fifty
    strengths are tried, from the weakest that leaves no slope down to 1/10,000 of the one at which a lasso leaves none;
    the smallest deviance wins, of equals the strongest penalty. A ridge's path ends there too: at 1/10,000 of its own
    strongest, a thousand times that of a lasso, it still shrinks every slope, however many the rows.
    """
    outside = None
    if penalty is None:
        grid, folds = penalties(regression, l1_ratio), tuning_folds(regression.outcome > 0.5, key, clusters)
        logit = _out_of_fold(regression, l1_ratio, grid, folds)
        deviance = (np.logaddexp(0, logit) - regression.outcome * logit).sum(axis=1)
        best = int(np.argmin(significant(deviance, DIGITS)))
        penalty, outside = float(grid[best]), logit[best]
    climbed = penalised(regression, l1_ratio, penalty, null_start(regression))
    if not climbed.settled:
        raise not_converged()
    return ElasticNet(climbed=climbed, penalty=penalty, outside=outside)


def penalised(
    regression: Regression, l1_ratio: float, penalty: float, beta: FloatArray, *, settled: float = 1e-10
) -> Climb:
    """The penalised maximum, climbed to from `beta` (q,)."""
    n = regression.outcome.size
    absolute, square = n * penalty * l1_ratio, n * penalty * (1 - l1_ratio)

    def evaluate(at: FloatArray, logit: FloatArray, known: FloatArray | None) -> Sums:
        plain = sums(regression, at, logit, known)
        cost = absolute * np.abs(at[1:]).sum() + square * (at[1:] ** 2).sum() / 2
        return replace(plain, value=plain.value - float(cost))

    def step(at: FloatArray, logit: FloatArray, here: Sums, slow: bool) -> FloatArray:  # noqa: ARG001 - a Step
        found = at.copy()
        _descend()(here.information, here.score + here.information @ at, absolute, square, found)
        return found - at

    return climb(evaluate, step, beta, n, settled=settled)


def penalties(regression: Regression, l1_ratio: float) -> FloatArray:
    """The strengths (GRID,) tried, strongest first: from the weakest that leaves no slope, or a ridge hardly any."""
    k = regression.x.shape[1]
    no_columns = replace(regression, x=np.empty((regression.outcome.size, 0)), centre=np.empty(0), scale=np.empty(0))
    null = penalised(no_columns, l1_ratio, 1.0, null_start(no_columns)).beta
    at_null = sums(regression, np.concatenate([null, np.zeros(k)]), np.zeros(regression.outcome.size))
    lasso = max(np.abs(at_null.score[1:]).max(initial=0.0) / regression.outcome.size, np.finfo(float).tiny)
    return np.asarray(lasso * np.geomspace(1 / max(l1_ratio, LEAST_L1), WEAKEST, GRID), dtype=np.float64)


def _out_of_fold(regression: Regression, l1_ratio: float, grid: FloatArray, folds: IntArray) -> FloatArray:
    """Log odds (GRID, n) of every row under models that never saw its fold."""
    logit = np.empty((grid.size, folds.size))
    for fold in range(int(folds.max()) + 1):
        seen, unseen = part(regression, folds != fold), part(regression, folds == fold)
        beta = null_start(seen)
        for place, strength in enumerate(grid):
            beta = penalised(seen, l1_ratio, float(strength), beta, settled=ROUGHLY).beta
            logit[place, folds == fold] = log_odds(unseen, beta, slice(None))
    return logit


def part(regression: Regression, rows: NDArray[np.bool_]) -> Regression:
    """The regression on some of its rows, columns standardised as before."""
    offset = regression.offset[rows] if regression.offset.size else regression.offset
    return replace(regression, x=regression.x[rows], outcome=regression.outcome[rows], offset=offset)


@cache
def _descend() -> Callable[..., Any]:
    return compiled(descend)


def descend(information: FloatArray, target: FloatArray, absolute: float, square: float, beta: FloatArray) -> None:
    """Minimise ``b'Ib/2 - target'b + absolute |b|_1 + square |b|^2/2`` by cyclic coordinate descent, into beta (q,).

    Coordinate 0, the intercept, is not penalised. Ends when no coordinate moves by more than rounding.
    """
    q = beta.size
    for _ in range(10_000):
        largest = 0.0
        for j in range(q):
            rest = target[j]
            for m in range(q):
                if m != j:
                    rest -= information[j, m] * beta[m]
            if j == 0:
                new = rest / information[0, 0]
            else:
                new = max(abs(rest) - absolute, 0.0) / (information[j, j] + square)
                new = new if rest > 0 else -new
            largest = max(largest, abs(new - beta[j]) / (1.0 + abs(new)))
            beta[j] = new
        if largest < 1e-13:
            break
