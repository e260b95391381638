"""A cross-fitted average of propensity models: logistic regression, ridge regression, boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.model import PropensityModel
from causal.numeric.stacking import average_weights

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def members_of(model: PropensityModel) -> tuple[PropensityModel, ...]:
    """The models that are averaged; splines, bends and interactions are columns by then."""
    plain = replace(model, splines=(), bends=(), interactions=())
    return (
        replace(plain, kind="logistic"),
        replace(plain, kind="elastic_net", l1_ratio=0.0),
        replace(plain, kind="boosting"),
    )


def member_weights(treated: BoolArray, outside: Sequence[FloatArray]) -> FloatArray:
    """Weights (m,) of the members, by the likelihood of arms (n,) under log odds (n,) each that never saw them."""
    sign = np.where(treated, -1.0, 1.0)
    return average_weights(np.column_stack(outside), lambda said: float(np.logaddexp(0.0, sign * said).mean()))
