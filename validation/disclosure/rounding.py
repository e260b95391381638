"""How far a number is rounded before it leaves, and what of it rounding leaves open.

A share to full precision is a fraction whose denominator can be found, and a standardised difference one whose
numerator can.
"""

from __future__ import annotations

from math import isclose
from typing import TypeVar, cast

Number = TypeVar("Number", bound=float)
"""What has been through disclosure stays so when it is rounded, and nothing else becomes so."""

EFFECT_DECIMALS = 3
COARSE_EFFECT_DECIMALS = 2
"""Of the effects where endings are withheld: a standard error to three decimals would tell how few they were."""
SHARE_DECIMALS = (2, 3, 4)
SCALE_DECIMALS = {"hazard ratio": 2, "win odds": 2, "days": 1}
"""Of the scales on which nothing counted can be read off three decimals anyway."""


def effect_decimals(*, endings_told: bool) -> int:
    """How many decimals the effects of a release are shown to."""
    return EFFECT_DECIMALS if endings_told else COARSE_EFFECT_DECIMALS


def rounded(x: Number, decimals: int) -> Number:
    """`x` with so many decimals, never a negative zero.

    >>> rounded(0.12345, 2), rounded(-0.0001, 2)
    (0.12, 0.0)
    """
    return cast("Number", round(x, decimals) + 0.0)


def rounded_share(share: Number) -> Number:
    """A share in whole percent, with more decimals only where it would otherwise read as nobody or everybody.

    >>> rounded_share(0.3142), rounded_share(0.0042), rounded_share(0.0), rounded_share(0.9996)
    (0.31, 0.004, 0.0, 0.9996)
    """
    for decimals in SHARE_DECIMALS[:-1]:
        if share in (0, 1) or 0 < round(share, decimals) < 1:
            return rounded(share, decimals)
    return rounded(share, SHARE_DECIMALS[-1])


def rounded_percent(percent: Number) -> Number:
    """A percentage as `rounded_share` rounds the share.

    >>> rounded_percent(31.42), rounded_percent(0.42)
    (31.0, 0.4)
    """
    return cast("Number", rounded(100 * rounded_share(percent / 100), 2))


def range_of_share(printed: float) -> tuple[float, float]:
    """Between which two values a share was that `rounded_share` prints so.

    >>> range_of_share(0.31), range_of_share(1.0)
    ((0.305, 0.315), (1.0, 1.0))
    """
    if printed in (0, 1):
        return printed, printed
    decimals = next(d for d in SHARE_DECIMALS if isclose(round(printed, d), printed, abs_tol=1e-12))
    half = 0.5 * 10.0**-decimals
    return max(round(printed - half, 6), 0.0), min(round(printed + half, 6), 1.0)
