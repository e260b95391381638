"""How much worse than predicted the unseen scores would have to be before the conclusion changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.missing.rubin import Pooled, pool
from causal.effect.missing.within import Result
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

GRID = tuple(round(0.1 * k, 1) for k in range(-15, 6))
"""Shifts of the imputed scores, in points: -1.5 to 0.5 by 0.1."""

EXACT = 1e-6  # relative disagreement at which an analysis is not what the grid needs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TippingGrid:
    """Pooled estimates after shifting imputed values, by the shift in each arm.

    Attributes
    ----------
    deltas_treated, deltas_comparison
        (A,) and (B,) points added to every imputed value of the arm.
    pooled
        A rows of B pooled estimates.
    tipping_delta
        The shift in the treated arm nearest 0, the comparison arm unshifted, at which the interval begins to include
        0 (or to exclude it, if it included 0 before); None when no shift on the grid does.
    boundary
        (B,) the same for each shift in the comparison arm, against the conclusion without any shift; NaN for none.
    outside_treated, outside_comparison
        (A,) and (B,) shares of the arm's imputed values that leave the scale after the shift; they are not clipped.
    n_treated, n_comparison
        Values imputed in each arm (per set).
    """

    deltas_treated: FloatArray
    deltas_comparison: FloatArray
    pooled: tuple[tuple[Pooled, ...], ...]
    tipping_delta: float | None
    boundary: FloatArray
    outside_treated: FloatArray
    outside_comparison: FloatArray
    n_treated: int
    n_comparison: int

    @property
    def values(self) -> FloatArray:
        """Pooled estimates (A, B)."""
        return np.array([[cell.contrast.value for cell in row] for row in self.pooled])

    @property
    def excludes_zero(self) -> BoolArray:
        """Whether the interval (A, B) excludes 0."""
        return _excludes_zero(self.pooled)

    def at(self, treated: float, comparison: float) -> Pooled:
        """The pooled estimate at shifts on the grid."""
        rows, columns = (
            np.flatnonzero(np.isclose(grid, shift))
            for grid, shift in ((self.deltas_treated, treated), (self.deltas_comparison, comparison))
        )
        return self.pooled[int(rows[0])][int(columns[0])]


def tipping(
    outcomes: FloatArray,
    imputed: BoolArray,
    treated: BoolArray,
    analyse: Callable[[FloatArray], Result],
    *,
    label: str,
    deltas_treated: tuple[float, ...] = GRID,
    deltas_comparison: tuple[float, ...] = GRID,
    scale: tuple[float, float] = (1.0, 5.0),
    level: float = 0.95,
) -> TippingGrid:
    """Shift the imputed outcomes of each arm over a grid and pool the effect at every point.

    Parameters
    ----------
    outcomes
        (M, n) completed outcomes, imputed as missing at random.
    imputed, treated
        (n,) which are imputed, and the arm.
    analyse
        Effect from an outcome (n,): value, standard error, degrees of freedom. Linear in the outcome with a sandwich
        or least-squares variance, as `causal.effect.matched_estimates.weighted_ancova`.
    label
        What is estimated.
    deltas_treated, deltas_comparison
        Rising shifts, 0 among them.
    scale
        Lowest and highest score.
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        ``estimation.nothing_imputed``; ``estimation.not_linear`` when a shifted set analysed by itself differs from
        what the grid says; those of the analysis and of `pool`.

    Notes
    -----
    Value and variance of a linear analysis are a linear and a quadratic function of the two shifts, so 3 analyses of
    each set and 3 more in all give the whole grid exactly; one more holds it to account at a corner. The quadratic
    terms and the degrees of freedom depend on who is imputed only, not on the set. Carpenter & Kenward (2013), Multiple
    Imputation and its Application, ch. 10; National Research Council (2010), ch. 5.

    >>> rng = np.random.default_rng(0)
    >>> arm, gone = np.arange(40) < 20, np.arange(40) % 4 == 0
    >>> sets = np.where(gone, rng.normal(3, 0.5, (20, 40)), rng.normal(3, 0.5, 40) - 0.6 * arm)
    >>> def difference(y):
    ...     return y[arm].mean() - y[~arm].mean(), (y[arm].var(ddof=1) / 20 + y[~arm].var(ddof=1) / 20) ** 0.5, 38.0
    >>> grid = tipping(sets, gone, arm, difference, label="difference")
    >>> round(grid.at(-1.0, 0.0).contrast.value - grid.at(0.0, 0.0).contrast.value, 6)  # a quarter is imputed
    -0.25
    """
    y, gone, arm = (np.asarray(outcomes, np.float64), np.asarray(imputed, np.bool_), np.asarray(treated, np.bool_))
    one, zero = np.array(deltas_treated, dtype=np.float64), np.array(deltas_comparison, dtype=np.float64)
    for grid in (one, zero):
        if not ((np.diff(grid) > 0).all() and np.isclose(grid, 0).any()):
            raise ValueError("shifts must rise and have 0 among them")
    if not gone.any():
        raise EstimationError("estimation.nothing_imputed", "no outcome was imputed: there is nothing to shift")
    moves = np.column_stack([gone & arm, gone & ~arm]).astype(np.float64)
    values, variances, df = _over_grid(y, moves, analyse, one, zero)
    pooled = tuple(
        tuple(
            pool(
                values[:, a, b],
                variances[:, a, b],
                df,
                label=f"{label}, imputed shifted by {one[a]:+.3g} (treated) and {zero[b]:+.3g} (comparison)",
                level=level,
            )
            for b in range(zero.size)
        )
        for a in range(one.size)
    )
    boundary = _boundary(_excludes_zero(pooled), one, zero)
    at_zero = float(boundary[np.isclose(zero, 0)][0])
    return TippingGrid(
        deltas_treated=one,
        deltas_comparison=zero,
        pooled=pooled,
        tipping_delta=None if np.isnan(at_zero) else at_zero,
        boundary=boundary,
        outside_treated=outside(y[:, gone & arm], one, scale),
        outside_comparison=outside(y[:, gone & ~arm], zero, scale),
        n_treated=int((gone & arm).sum()),
        n_comparison=int((gone & ~arm).sum()),
    )


def _over_grid(
    y: FloatArray, moves: FloatArray, analyse: Callable[[FloatArray], Result], one: FloatArray, zero: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Value and variance (M, A, B) of each set at every pair of shifts, and the mean degrees of freedom."""

    def fit(shift: tuple[float, float], of: FloatArray) -> FloatArray:
        value, error, df = analyse(of + moves @ np.array(shift))
        return np.array([value, error**2, df])

    base, up, over = (np.array([fit(shift, of) for of in y]) for shift in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    first = y[0]
    square = [(fit(s, first) + plus[0] - 2 * base[0])[1] / 2 for s, plus in (((-1.0, 0.0), up), ((0.0, -1.0), over))]
    product = (fit((1.0, 1.0), first) - up[0] - over[0] + base[0])[1]
    slopes = up - base - np.array([0.0, square[0], 0.0]), over - base - np.array([0.0, square[1], 0.0])
    d1, d0 = one[:, None], zero[None, :]
    values, variances = (
        base[:, i, None, None] + slopes[0][:, i, None, None] * d1 + slopes[1][:, i, None, None] * d0 for i in (0, 1)
    )
    variances = np.maximum(variances + square[0] * d1**2 + square[1] * d0**2 + product * d1 * d0, 0.0)
    corner, last = fit((float(one[0]), float(zero[0])), y[-1]), (values[-1, 0, 0], variances[-1, 0, 0], base[-1, 2])
    size = np.array([np.sqrt(corner[1]) + abs(corner[0]), corner[1], corner[2]])
    if (np.abs(corner - last) > EXACT * size).any():
        raise EstimationError(
            "estimation.not_linear",
            "the analysis is not linear in the outcome, or its variance not quadratic: the grid does not hold",
            fix="analyse by weighted least squares with fixed weights",
        )
    return values, variances, float(base[:, 2].mean())


def _excludes_zero(pooled: tuple[tuple[Pooled, ...], ...]) -> BoolArray:
    """Whether the interval of each cell (A, B) excludes 0."""
    return np.array([[cell.contrast.lower > 0 or cell.contrast.upper < 0 for cell in row] for row in pooled])


def _boundary(excludes: BoolArray, one: FloatArray, zero: FloatArray) -> FloatArray:
    """Shift in the treated arm nearest 0 at which the conclusion differs from that without shifts (B,), NaN for none.

    Of two equally near the one below 0 counts: it is the direction feared.
    """
    unshifted = excludes[np.isclose(one, 0), np.isclose(zero, 0)][0]
    nearest = np.lexsort((one, np.round(np.abs(one), 9)))
    differs = (excludes != unshifted)[nearest]
    return np.where(differs.any(axis=0), one[nearest][differs.argmax(axis=0)], np.nan)


def outside(values: FloatArray, deltas: FloatArray, scale: tuple[float, float]) -> FloatArray:
    """Share (A,) of the values that leave the scale after each of A shifts, 0 where there are none.

    >>> outside(np.array([1.5, 4.8]), np.array([-1.0, 0.0]), (1.0, 5.0)).tolist()
    [0.5, 0.0]
    """
    if not values.size:
        return np.zeros(deltas.size)
    slack = 1e-9
    return np.array([((values + d < scale[0] - slack) | (values + d > scale[1] + slack)).mean() for d in deltas])
