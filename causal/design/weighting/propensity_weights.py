"""Weights from propensity scores, and how many occasions a weighted sample is worth."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def propensity_weights(
    probability: FloatArray,
    treated: BoolArray,
    *,
    estimand: Literal["ATT", "ATE", "ATO"],
    stabilised: bool = False,
    truncate: tuple[float, float] | None = None,
) -> FloatArray:
    """Weights that make the arms comparable for the estimand.

    Parameters
    ----------
    probability, treated
        (n,) probability e of treatment, strictly between 0 and 1, and arm W.
    estimand
        ``ATT``: ``W + (1 - W) e/(1 - e)``. ``ATE``: ``W/e + (1 - W)/(1 - e)``. ``ATO``: ``W(1 - e) + (1 - W)e``.
    stabilised
        Multiply by the arm's share (ATE) or, for comparisons under ATT, by the odds of comparison, so that the mean
        weight is near 1. Weighted means within an arm do not change. Not defined for ATO, whose weights are bounded.
    truncate
        Two quantiles, as (0.01, 0.99): weights beyond them are set to them, over all occasions. Trades bias for
        variance; report the untruncated estimate beside it.

    Returns
    -------
    (n,) weights above 0.

    Raises
    ------
    DesignError
        ``design.probability`` for a score of 0 or 1 or missing, ``design.stabilised``, ``design.truncate``.

    Notes
    -----
    Robins, Hernan & Brumback (2000), Epidemiology 11:550-560; Li, Morgan & Zaslavsky (2018), JASA 113:390-400.

    >>> w = propensity_weights(np.array([0.8, 0.2]), np.array([True, False]), estimand="ATT")
    >>> w.tolist()
    [1.0, 0.25]
    """
    e = np.asarray(probability, dtype=np.float64)
    if not ((e > 0) & (e < 1)).all():
        raise DesignError(
            "design.probability",
            "some propensity scores are 0, 1 or missing: no weight exists there",
            fix="restrict to the common support first",
        )
    share = float(np.mean(treated))
    if estimand == "ATT":
        weights = np.where(treated, 1.0, e / (1 - e) * ((1 - share) / share if stabilised else 1.0))
    elif estimand == "ATE":
        arm = np.where(treated, share, 1 - share) if stabilised else 1.0
        weights = arm / np.where(treated, e, 1 - e)
    elif stabilised:
        raise DesignError("design.stabilised", "overlap weights are bounded and are not stabilised")
    else:
        weights = np.where(treated, 1 - e, e)
    if truncate is not None:
        low, high = truncate
        if not 0 <= low < high <= 1:
            raise DesignError(
                "design.truncate", f"truncation quantiles must rise within 0 and 1, got {low:g}, {high:g}"
            )
        weights = np.clip(weights, *np.quantile(weights, [low, high]))
    return np.asarray(weights, dtype=np.float64)
