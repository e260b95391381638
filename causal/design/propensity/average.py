"""A cross-fitted average of propensity models: logistic regression, ridge regression, boosted trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.model import PropensityModel
from causal.numeric.stacking import average_weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Score = Callable[[PropensityModel, BoolArray], FloatArray]


def members_of(model: PropensityModel) -> tuple[PropensityModel, ...]:
    """The models that are averaged; splines, bends and interactions are columns by then."""
    plain = replace(model, splines=(), bends=(), interactions=())
    return (
        replace(plain, kind="logistic"),
        replace(plain, kind="elastic_net", l1_ratio=0.0),
        replace(plain, kind="boosting"),
    )


def member_weights(
    treated: BoolArray, members: tuple[PropensityModel, ...], fold: IntArray, score: Score
) -> FloatArray:
    """Weights (m,) of the members, by the likelihood of rows outside the folds they were learned from.

    `score(member, held_out)` gives the log odds of the rows `held_out` (n,) by the member learned from the others.
    """
    logit = np.empty((treated.size, len(members)))
    for k in range(int(fold.max()) + 1):
        for j, member in enumerate(members):
            logit[fold == k, j] = score(member, fold == k)
    sign = np.where(treated, -1.0, 1.0)
    return average_weights(logit, lambda said: float(np.logaddexp(0.0, sign * said).mean()))
