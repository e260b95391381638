"""Levels too rare to learn from: all of their rows lie in one arm, by chance or because a fold holds the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import Moments

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BY_CHANCE = 0.01  # probability below which rows of one arm alone are no accident
FEW = 5  # fewer rows than this tell nothing, whatever their probability


def one_armed_levels(x: FloatArray, found: Moments) -> BoolArray:
    """Columns (k,) of two values that tell the arms apart, each by itself, in the rows x (n, k)."""
    low, high = found.low.min(axis=0), found.high.max(axis=0)
    return np.asarray(found.apart & found.varies & ((x == low) | (x == high)).all(axis=0), dtype=np.bool_)


def levels_of_one_arm(x: FloatArray, treated: BoolArray, found: Moments, *, arm: bool) -> BoolArray:
    """Those of `one_armed_levels` one value of which has rows of this arm (true: treated) only, the other rows of both.

    >>> from causal.design.propensity.columns import moments
    >>> treated, level = np.array([True, True, False, False, False]), np.array([[0.0], [0], [0], [1], [1]])
    >>> levels_of_one_arm(level, treated, moments(level, treated), arm=False).tolist()
    [True]
    """
    held = np.zeros(x.shape[1], dtype=np.bool_)
    for j in np.flatnonzero(one_armed_levels(x, found)):
        high = x[:, j] == x[:, j].max()
        one, other = (treated[rows] == arm for rows in (high, ~high))
        held[j] = bool(one.all()) != bool(other.all()) and bool(one.any() and other.any())
    return held


def rare_levels(x: FloatArray, treated: BoolArray, found: Moments) -> BoolArray:
    """Those of `one_armed_levels` whose rows, all in one arm, are too few to say who may be treated.

    With m rows of the level, all in the arm that holds the share s of all rows, that is ``s^m >= .01``: chance may have
    put them there, and nobody can tell whether the other arm never occurs or was not met yet. And it is any m below 5.

    >>> from causal.design.propensity.columns import moments
    >>> arm, level = np.arange(100) % 2 == 0, np.zeros((100, 2))
    >>> level[[0, 2], 0], level[:40:2, 1] = 1, 1  # two treated rows, and twenty
    >>> rare_levels(level, arm, moments(level, arm)).tolist()
    [True, False]
    """
    rare = np.zeros(x.shape[1], dtype=np.bool_)
    for j in np.flatnonzero(one_armed_levels(x, found)):
        values = x[:, j]
        for value in (values.min(), values.max()):
            rows = values == value
            share = treated.mean() if treated[rows].all() else (~treated).mean() if not treated[rows].any() else 0.0
            rare[j] |= share > 0 and (rows.sum() < FEW or share ** int(rows.sum()) >= BY_CHANCE)
    return rare


def rows_of_one_arm(x: FloatArray, treated: BoolArray) -> BoolArray:
    """Rows (n,) with a value of a two-valued column x (n,) that one arm alone has; the fewer where both values are so.

    >>> arm, level = np.array([True, True, False, False]), np.array([0.0, 1, 0, 0])
    >>> rows_of_one_arm(level, arm).tolist()
    [False, True, False, False]
    """
    sides = [x == value for value in (x.min(), x.max())]
    alone = [rows for rows in sides if treated[rows].all() or not treated[rows].any()]
    return min(alone, key=lambda rows: int(rows.sum()), default=np.zeros(x.size, dtype=np.bool_))
