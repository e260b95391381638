"""What the columns of a model matrix are worth: centre, spread, range by arm, and which of them repeat others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.propensity.sums import gram
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PROOF_ROWS = 20_000  # rows that usually prove all columns independent
PLAINLY = 1e-8  # least eigenvalue of the correlations above which no column repeats others


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Summary of the k columns of a matrix of n rows in two arms.

    Attributes
    ----------
    centre, scale
        (k,) each: mean and standard deviation (divisor n).
    low, high
        (2, k) each: smallest and largest value among the comparisons (row 0) and the treated (row 1).
    """

    centre: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def finite(self) -> BoolArray:
        """Columns (k,) whose values are all numbers that can be squared."""
        return np.isfinite(self.scale)

    @property
    def varies(self) -> BoolArray:
        """Columns (k,) with more than one value."""
        return np.asarray((self.low.min(axis=0) < self.high.max(axis=0)) & (self.scale > 0), dtype=np.bool_)

    @property
    def apart(self) -> BoolArray:
        """Columns (k,) one of whose cut points leaves an arm entirely on one side, ties at the cut allowed."""
        return np.asarray((self.low[1] >= self.high[0]) | (self.high[1] <= self.low[0]), dtype=np.bool_)


def moments(x: FloatArray, treated: BoolArray) -> Moments:
    """Moments of the columns x (n, k), rows contiguous, in one pass about a provisional centre."""
    n, k = x.shape
    low, high, first, second = np.full((2, k), np.inf), np.full((2, k), -np.inf), np.zeros(k), np.zeros(k)
    with np.errstate(over="ignore", invalid="ignore"):
        provisional = x[:: max(1, n // 1000)].mean(axis=0)
        _summarise()(x, treated, provisional, low, high, first, second)
        variance = second / n - (first / n) ** 2
        return Moments(centre=provisional + first / n, scale=np.sqrt(np.maximum(variance, 0)), low=low, high=high)


@cache
def _summarise() -> Callable[..., Any]:
    return compiled(summarise)


def summarise(
    x: FloatArray,
    treated: BoolArray,
    centre: FloatArray,
    low: FloatArray,
    high: FloatArray,
    first: FloatArray,
    second: FloatArray,
) -> None:
    """Range of each column in each arm into low and high (2, k), sums and squares about a centre into the others."""
    for i in range(x.shape[0]):
        arm = 1 if treated[i] else 0
        for j in range(x.shape[1]):
            deviation = x[i, j] - centre[j]
            first[j] += deviation
            second[j] += deviation * deviation
            low[arm, j] = min(low[arm, j], x[i, j])
            high[arm, j] = max(high[arm, j], x[i, j])


def refuse_unusable(found: Moments, names: Sequence[str]) -> None:
    """Refuse columns that hold missing or infinite values, or one value only, all of them by name."""
    if not found.finite.all():
        listed = ", ".join(name for name, ok in zip(names, found.finite, strict=True) if not ok)
        raise DesignError(
            "design.not_finite",
            f"covariates hold missing or infinite values: {listed}",
            fix="declare how missing values of these covariates are handled",
        )
    if not found.varies.all():
        listed = ", ".join(name for name, varies in zip(names, found.varies, strict=True) if not varies)
        raise DesignError(
            "design.constant_covariate",
            f"covariates have one value only: {listed}",
            fix="remove them from the confounders, or check that they were extracted",
        )


def kept_columns(x: FloatArray, found: Moments) -> BoolArray:
    """Columns (k,) of x (n, k) that vary and are no combination of an intercept and the columns before them.

    What is left of a column outside the span of others can only grow with more rows: where some rows prove that every
    column counts, the others need not be read.
    """
    kept = found.varies
    if not kept.any():
        return kept
    n = x.shape[0]
    for stride in sorted({max(1, n // PROOF_ROWS), 1}, reverse=True):
        about = gram(x[::stride], found.centre)
        within = about[1:, 1:] - np.outer(about[0, 1:], about[0, 1:])
        unit = within[np.ix_(kept, kept)] / np.outer(found.scale[kept], found.scale[kept])
        if np.linalg.eigvalsh(unit)[0] > PLAINLY * stride:
            return kept
    z = (x[:, kept] - found.centre[kept]) / found.scale[kept]
    kept = kept.copy()
    kept[kept] = independent_columns(z)
    return kept


def independent_columns(x: FloatArray, *, tolerance: float = 1e-7) -> BoolArray:
    """Which columns are not linear combinations of the columns before them.

    Parameters
    ----------
    x
        (n, k) finite values.
    tolerance
        A column is dropped when, scaled to length one, less than this is left of it outside the span of the kept
        columns to its left: the limited pivoting of R's ``lm`` and ``glm``, so that the first declared stays.

    Returns
    -------
    (k,) true for the columns that stay.

    >>> independent_columns(np.array([[1.0, 2, 0], [1, 2, 1], [1, 2, 5]])).tolist()
    [True, False, True]
    """
    lengths = np.linalg.norm(x, axis=0)
    unit = x / np.where(lengths > 0, lengths, 1.0)
    if x.shape[1] and np.linalg.eigvalsh(unit.T @ unit)[0] > PLAINLY:
        return np.ones(x.shape[1], dtype=np.bool_)  # spare the factorisation
    triangle = np.asarray(np.linalg.qr(unit, mode="r"))
    kept = np.zeros(x.shape[1], dtype=np.bool_)
    basis = np.zeros((triangle.shape[0], 0))
    for j, column in enumerate(triangle.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # twice is enough
        if (length := float(np.linalg.norm(rest))) > tolerance:
            kept[j] = True
            basis = np.column_stack([basis, rest / length])
    return kept


def outside(base: FloatArray, columns: FloatArray) -> FloatArray:
    """What is left of columns (n, m) outside the span of others (n, k).

    By normal equations, twice, where the others plainly do not repeat one another: the second time takes away what
    rounding left the first. Otherwise by singular values.

    >>> outside(np.array([[1.0], [1.0]]), np.array([[1.0, 2.0], [3.0, 2.0]])).round(9).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    lengths = np.linalg.norm(base, axis=0)
    unit = base / np.where(lengths > 0, lengths, 1.0)
    products = unit.T @ unit
    if not np.linalg.eigvalsh(products)[0] > PLAINLY:
        return np.asarray(columns - unit @ np.linalg.lstsq(unit, columns, rcond=None)[0], dtype=np.float64)
    left = columns - unit @ np.linalg.solve(products, unit.T @ columns)
    return np.asarray(left - unit @ np.linalg.solve(products, unit.T @ left), dtype=np.float64)
