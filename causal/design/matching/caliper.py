"""Calipers: the largest distance allowed between matched occasions, on a stated scale with the SD named."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError
from causal.numeric.grid import DIGITS, significant

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def caliper_width(
    logit: FloatArray, treated: BoolArray, *, width: float, sd: Literal["pooled_within", "whole"] = "pooled_within"
) -> float:
    """Caliper in logit units: ``width`` standard deviations of the logit.

    Parameters
    ----------
    logit, treated
        (n,) log odds of treatment and arm, before matching.
    width
        Number of standard deviations; 0.2 removes nearly all bias a caliper can (Austin 2011, Pharm Stat 10:150-161).
    sd
        ``pooled_within``: ``sqrt((s1^2 + s0^2) / 2)`` over the arms. ``whole``: the SD of all occasions, which the
        difference between the arms inflates (by a third on the lalonde data).

    Raises
    ------
    DesignError
        ``design.caliper`` if the width is not positive or an arm is too small to have a standard deviation;
        ``design.no_spread`` if the score does not vary.

    >>> score = np.array([1.0, 3.0, 0.0, 2.0])
    >>> round(caliper_width(score, np.array([True, True, False, False]), width=0.2), 4)
    0.2828
    """
    if not width > 0:
        raise DesignError("design.caliper", f"the caliper width must be above 0, got {width:g}")
    arms = (logit[treated], logit[~treated])
    if min(arm.size for arm in arms) < 2:
        raise DesignError("design.caliper", "an arm has fewer than 2 occasions: the caliper has no standard deviation")
    spread = np.sqrt((arms[0].var(ddof=1) + arms[1].var(ddof=1)) / 2) if sd == "pooled_within" else logit.std(ddof=1)
    if not spread > 0:
        raise DesignError("design.no_spread", "the propensity score is the same for every occasion of an arm")
    return float(significant(width * spread, DIGITS))
