"""Bounds on the propensity score beyond which occasions are set aside, for `propensity_weights(trim=...)`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.special import logit as log_odds

from causal.design.weighting.terms import checked_arms
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def support_bounds(treated: BoolArray, *, logit: FloatArray) -> tuple[float, float]:
    """Range of probabilities both arms reach: from the higher of their minima to the lower of their maxima.

    Dehejia & Wahba (1999), JASA 94:1053-1062. Arguments (n,) each.

    Raises
    ------
    DesignError
        ``design.no_overlap`` when the ranges do not meet; ``design.no_treated``, ``design.no_comparison``.

    >>> logit = np.log([1 / 3, 1.0, 3.0, 1.0, 9.0])
    >>> support_bounds(np.array([False, False, False, True, True]), logit=logit)
    (0.5, 0.75)
    """
    arm = checked_arms(treated)
    low = max(float(logit[arm].min()), float(logit[~arm].min()))
    high = min(float(logit[arm].max()), float(logit[~arm].max()))
    if not low < high:
        raise DesignError(
            "design.no_overlap", "the groups' propensity scores do not overlap", fix="reconsider eligibility"
        )
    return float(expit(low)), float(expit(high))


def preference_bounds(treated: BoolArray, *, lowest: float = 0.3, highest: float = 0.7) -> tuple[float, float]:
    """Probabilities whose preference score, the probability with treatment's rarity taken out, lies in a range.

    ``logit(preference) = logit(probability) - logit(share treated)``: Walker et al. (2013), Comp Eff Res 3:11-20.
    `treated` is (n,).

    Raises
    ------
    DesignError
        ``design.trim`` for a range that does not rise within 0 and 1; ``design.no_treated``, ``design.no_comparison``.

    >>> low, high = preference_bounds(np.array([True, False, False, False]))
    >>> round(low, 4), round(high, 4)
    (0.125, 0.4375)
    """
    if not 0 < lowest < highest < 1:
        raise DesignError("design.trim", f"preference bounds must rise within 0 and 1, got {lowest:g}, {highest:g}")
    share = log_odds(checked_arms(treated).mean())
    return float(expit(log_odds(lowest) + share)), float(expit(log_odds(highest) + share))


def crump_bounds(*, logit: FloatArray) -> tuple[float, float]:
    """The range (a, 1 - a) in which the average effect can be estimated with the smallest variance.

    a is 0 when ``max g <= 2 mean g``, ``g = 1/(e(1 - e))``; otherwise ``1/(a(1 - a)) = 2 mean(g | g <= 1/(a(1 - a)))``,
    which the data meet at the largest g for which ``g <= 2 mean(g' | g' <= g)``. Crump et al. (2009), Biometrika
    96:187-199. `logit` is (n,); a is .1 in many samples.

    >>> low, high = crump_bounds(logit=np.array([-8.0, -1, 0, 1, 2]))
    >>> round(low, 4), round(high, 4)
    (0.0931, 0.9069)
    """
    g = np.sort(2.0 + np.exp(logit) + np.exp(-np.asarray(logit, dtype=np.float64)))
    mean = np.cumsum(g) / np.arange(1, g.size + 1)
    if g[-1] <= 2 * mean[-1]:
        return 0.0, 1.0
    within = np.flatnonzero(g <= 2 * mean)
    limit = 2 * float(mean[within[-1]])
    a = 0.5 - float(np.sqrt(max(0.25 - 1 / limit, 0.0)))
    return a, 1 - a
