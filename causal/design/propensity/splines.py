"""Natural cubic splines on Harrell's knots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.numeric.grid import SCORE, settled

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

KNOT_QUANTILES = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.50, 0.6583, 0.8167, 0.975),
}
"""Harrell (2015), Regression Modeling Strategies, table 2.3."""


def harrell_knots(values: FloatArray, knots: int) -> FloatArray:
    """Knots (knots,) at fixed quantiles of values (n,), R's type 7; equal ones where many values are equal.

    >>> harrell_knots(np.arange(101.0), 4).tolist()
    [5.0, 35.0, 65.0, 95.0]
    """
    return np.asarray(np.quantile(values, KNOT_QUANTILES[knots]), dtype=np.float64)


def bend(values: FloatArray, among: BoolArray | None = None) -> FloatArray | None:
    """The one term (n,) that bends a line in values (n,) on three knots; None where their values are too few for it.

    Knots are at the 10th, 50th and 90th percentile of the values `among` (n,), on a grid of 1e-9
    (`causal.numeric.grid`): the last bits of a value, which differ between processors, move none.

    >>> bend(np.array([0.0, 1.0, 2.0, 3.0])).round(3).tolist()
    [0.0, 0.06, 0.81, 2.25]
    >>> bend(np.array([0.0, 1.0, 1.0])) is None
    True
    """
    placing = values if among is None else values[among]
    if placing.size == 0:
        return None
    knots = settled(harrell_knots(placing, 3), SCORE)
    return natural_spline_terms(values, knots)[:, 0] if (np.diff(knots) > 0).all() else None


def natural_spline_terms(values: FloatArray, knots: FloatArray) -> FloatArray:
    """The terms (n, k - 2) that bend a line on k knots; beyond the outer knots it is straight.

    With ``t_1 < ... < t_k`` and ``u_+ = max(u, 0)``, term j is ``[(x - t_j)_+^3 - (x - t_(k-1))_+^3 (t_k - t_j)/(t_k -
    t_(k-1)) + (x - t_k)_+^3 (t_(k-1) - t_j)/(t_k - t_(k-1))] / (t_k - t_1)^2`` (Harrell 2015, equation 2.25; rms::rcs).

    >>> natural_spline_terms(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0])).ravel().tolist()
    [0.0, 0.25, 1.5, 3.0]
    """
    first, (before, last) = knots[:-2], knots[-2:]

    def cube(at: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(values[:, None] - at, 0.0) ** 3, dtype=np.float64)

    bent = cube(first)
    bent -= cube(knots[-2:-1]) * ((last - first) / (last - before))
    bent += cube(knots[-1:]) * ((before - first) / (last - before))
    return np.asarray(bent / (last - knots[0]) ** 2, dtype=np.float64)
