"""The sums of logistic regression: likelihood, score and information in one pass of compiled loops over the rows.

Each pass centres a row as it is read and adds to the score and to the information, so nothing of the size of the data
is allocated but the log odds. The order of every sum is fixed by the order of the rows: results do not depend on
threads, and equal rows get equal log odds wherever they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]

BLOCK = 8_192  # rows summed at a time: they stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """A logistic regression of n outcomes on k columns.

    Attributes
    ----------
    x
        (n, k) columns as given, rows contiguous, without an intercept.
    centre, scale
        (k,) each: the columns enter as ``(x - centre) / scale``.
    outcome
        (n,) between 0 and 1.
    offset
        (n,) added to every log odds, or (0,) for none.
    intercept
        Whether a column of ones comes first: q = k + 1 coefficients, otherwise q = k.
    """

    x: FloatArray
    centre: FloatArray
    scale: FloatArray
    outcome: FloatArray
    offset: FloatArray
    intercept: bool = True

    @property
    def unit(self) -> FloatArray:
        """What the centred columns (q,) are multiplied with, that of the intercept included."""
        return np.concatenate([np.ones(int(self.intercept)), 1 / self.scale])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """What one pass over the rows knows about some coefficients.

    Attributes
    ----------
    value
        Log likelihood, penalties included.
    score, information
        (q,) and (q, q): its gradient, and ``X'WX`` with ``W = p(1 - p)``.
    moved
        Largest change of a log odds since the pass before.
    least, weight
        Smallest ``p(1 - p)`` of a row, and the sum over the rows.
    """

    value: float
    score: FloatArray
    information: FloatArray
    moved: float
    least: float
    weight: float


def sums(regression: Regression, beta: FloatArray, logit: FloatArray, known: FloatArray | None = None) -> Sums:
    """One pass over the rows at `beta` (q,); `logit` (n,) is overwritten with the log odds there.

    The information (q, q) is `known` if given.
    """
    q, moved, least, total, value = beta.size, 0.0, 0.25, 0.0, 0.0
    score, information = np.zeros(q), np.zeros((q, padded(q)))
    for begin in range(0, logit.size, BLOCK):
        rows = slice(begin, begin + BLOCK)
        eta, y = log_odds(regression, beta, rows), regression.outcome[rows]
        moved = max(moved, float(np.abs(eta - logit[rows]).max()))
        logit[rows] = eta
        small = np.exp(-np.abs(eta))
        weight = small / (1 + small) ** 2
        least, total = min(least, float(weight.min())), total + float(weight.sum())
        value += float((y * eta - np.maximum(eta, 0) - np.log(1 + small)).sum())
        add_scores(regression, rows, y - np.where(eta >= 0, 1.0, small) / (1 + small), score)
        if known is None:
            lead = int(regression.intercept)
            _products()(regression.x[rows], regression.centre, lead, weight, information)
    unit = regression.unit
    return Sums(
        value=value,
        score=score * unit,
        information=information[:, :q] * np.outer(unit, unit) if known is None else known,
        moved=moved,
        least=least,
        weight=total,
    )


def add_scores(regression: Regression, rows: slice, residual: FloatArray, score: FloatArray) -> None:
    """Add the rows, each times its residual, to a score (q,) in the units of the columns as given."""
    _add_residuals()(regression.x[rows], regression.centre, int(regression.intercept), residual, score)


def log_odds(regression: Regression, beta: FloatArray, rows: slice) -> FloatArray:
    """Log odds (m,) of some rows at `beta` (q,): equal rows have equal ones, wherever they stand."""
    r, lead = regression, int(regression.intercept)
    eta: FloatArray = np.empty(r.outcome[rows].size)
    _add_up()(r.x[rows], r.centre, beta[lead:] / r.scale, beta[0] if lead else 0.0, eta)
    if r.offset.size:
        eta += r.offset[rows]
    return eta


def standardised_rows(regression: Regression, rows: slice) -> FloatArray:
    """The rows (m, q) of the design as the regression sees them, intercept included."""
    z = (regression.x[rows] - regression.centre) / regression.scale
    return np.column_stack([np.ones(z.shape[0]), z]) if regression.intercept else z


def gram(x: FloatArray, centre: FloatArray) -> FloatArray:
    """``Z'Z / n`` (k + 1, k + 1) of the rows x (n, k) about a centre (k,), a column of ones first."""
    n, k = x.shape
    total = np.zeros((k + 1, padded(k + 1)))
    _products()(np.ascontiguousarray(x), centre, 1, np.ones(n), total)
    return np.asarray(total[:, : k + 1] / n, dtype=np.float64)


def padded(q: int) -> int:
    """Columns a row of q numbers is padded to: whole vectors of the processor."""
    return (q + 15) // 16 * 16


@cache
def _products() -> Callable[..., Any]:
    return compiled(products)


@cache
def _add_residuals() -> Callable[..., Any]:
    return compiled(add_residuals)


@cache
def _add_up() -> Callable[..., Any]:
    return compiled(add_up)


def add_up(x: FloatArray, centre: FloatArray, slope: FloatArray, intercept: float, eta: FloatArray) -> None:
    """``intercept + (x - centre) slope`` of every row (n,), from the first column to the last, into eta (n,)."""
    for i in range(x.shape[0]):
        total = intercept
        for j in range(x.shape[1]):
            total += slope[j] * (x[i, j] - centre[j])
        eta[i] = total


def add_residuals(x: FloatArray, centre: FloatArray, lead: int, residual: FloatArray, score: FloatArray) -> None:
    """Add ``residual (x - centre)`` of every row to score (q,); with lead 1 the residual itself comes first."""
    for i in range(x.shape[0]):
        r = residual[i]
        if lead:
            score[0] += r
        for j in range(x.shape[1]):
            score[lead + j] += r * (x[i, j] - centre[j])


def products(x: FloatArray, centre: FloatArray, lead: int, weight: FloatArray, total: FloatArray) -> None:
    """Add ``weight z z'`` of every row z = x - centre, with lead 1 a one before it, to total (q, padded q).

    Eight rows at a time share a visit to the matrix, and whole padded rows of it are summed although half would do:
    both keep the processor's vectors full.
    """
    n, k = x.shape
    q, width = total.shape
    z, w = np.zeros((8, width)), np.zeros(8)
    z[:, :lead] = 1.0
    for begin in range(0, n, 8):
        for s in range(8):
            i = min(begin + s, n - 1)
            w[s] = weight[i] if begin + s < n else 0.0
            for j in range(k):
                z[s, lead + j] = x[i, j] - centre[j]
        for j in range(q):
            a0, a1, a2, a3 = w[0] * z[0, j], w[1] * z[1, j], w[2] * z[2, j], w[3] * z[3, j]
            a4, a5, a6, a7 = w[4] * z[4, j], w[5] * z[5, j], w[6] * z[6, j], w[7] * z[7, j]
            for m in range(width):
                total[j, m] += ((a0 * z[0, m] + a1 * z[1, m]) + (a2 * z[2, m] + a3 * z[3, m])) + (
                    (a4 * z[4, m] + a5 * z[5, m]) + (a6 * z[6, m] + a7 * z[7, m])
                )
