"""Stated grids: what orders, pairs, draws or is digested is rounded first, so that rounding noise decides nothing.

Sums and factorisations end in other last digits on other processors (linear algebra picks other kernels), about 1e-15
of their size. A comparison of two such numbers would fall as the machine pleases. Rounded to a grid they are equal
where they differ by noise only, and a tie goes to the key. A number within noise of the middle between two points of
the grid may still fall either way: with noise of 1e-15 and steps of 1e-9, one in a million, and it changes an answer
only where it also breaks a tie.

Grids are decimal, so that numbers people write down lie on them: values in tenths that are 0.3 apart are 0.3 apart.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
T = TypeVar("T")

SCORE = -9
"""Computed scores (log odds, probabilities, covariates in standard deviations) are ordered and paired as multiples of
1e-9."""
DIGITS, PLACES = 9, -10
"""A figure that is printed, judged or digested has so many significant digits, and is a multiple of 1e-10."""
WEIGHT_DIGITS = 8
"""Significant digits of a computed weight."""
DECIMALS = 14
"""Most significant digits of a typical number that is taken for a decimal; doubles hold 15."""
COMPUTED = 11
"""Digits that are looked at of one that is not: it was computed, and its last digits are noise."""
SAMPLE = 1000
"""Values looked at before all are."""
POWERS = np.array([10.0**power for power in range(309)])
SMALLEST, SPAN = -300, 140
"""Smallest exponent of a step, as smaller ones have no reciprocal; and most digits of a number of steps, as the squares
of larger ones are infinite."""


def whole(values: ArrayLike, exponent: int) -> FloatArray:
    """How many steps of ``10**exponent`` each value is, to the nearest whole number (no minus zero).

    Whole numbers are exact up to 2^53, and so are their differences and sums.

    >>> whole([0.1, 0.4, 0.7], -1).tolist()
    [1.0, 4.0, 7.0]
    """
    x = np.asarray(values, dtype=np.float64)
    steps = x * 10.0**-exponent if exponent < 0 else x / 10.0**exponent
    return np.asarray(np.rint(steps) + 0.0, dtype=np.float64)


def settled(values: ArrayLike, exponent: int) -> FloatArray:
    """Values rounded to multiples of ``10**exponent``.

    >>> settled([0.1 + 0.2, -1e-17], SCORE).tolist()
    [0.3, 0.0]
    """
    steps = whole(values, exponent)
    return np.asarray(steps / 10.0**-exponent if exponent < 0 else steps * 10.0**exponent, dtype=np.float64)


def cuts(values: FloatArray, at: FloatArray, exponent: int) -> FloatArray:
    """Quantiles (R's type 7) of values that are multiples of ``10**exponent``, to a thousandth of that step.

    One that falls on a value is equal to it, which interpolation alone would leave to rounding.

    >>> cuts(np.array([0.1, 0.2, 0.3, 0.4]), np.array([1 / 3, 0.5]), -1).tolist()
    [0.2, 0.25]
    """
    return settled(np.quantile(values, at), exponent - 3)


def exponent_for(values: FloatArray, digits: int) -> int:
    """Exponent of the step with which a typical value has that many digits; 0 where all values are 0.

    Typical is the median size of values that are not 0, which no outlier moves.

    >>> exponent_for(np.array([0.5, -1.2, 12.0, 1e9]), 3), exponent_for(np.zeros(2), 3)
    (-1, 0)
    """
    sizes = np.abs(values[values != 0])
    if sizes.size == 0:
        return 0
    typical = float(np.partition(sizes, sizes.size // 2)[sizes.size // 2])
    return max(_leading(typical) - digits + 1, _leading(float(sizes.max())) - SPAN, SMALLEST)


def _leading(size: float) -> int:
    """Exponent of the first digit; a logarithm would be off by one at powers of ten."""
    return int(f"{size:.15e}".partition("e")[2])


def decimal_exponent(values: FloatArray, others: FloatArray | None = None) -> tuple[int, bool]:
    """Exponent of the coarsest decimal step, 1 or less, of which all values are multiples; and whether there is one.

    Where there is none with which a typical value has `DECIMALS` digits or fewer, it is the step with which it has
    `COMPUTED`. `others` are to be multiples too, but do not set the scale unless all values are 0, which have none.

    >>> decimal_exponent(np.array([0.7, 5.0])), decimal_exponent(np.array([1 / 3, 7.0]))
    ((-1, True), (-10, False))
    >>> decimal_exponent(np.zeros(2), np.array([0.25]))
    (-2, True)
    """
    scale = values if others is None or values.any() else others
    finest = exponent_for(scale, DECIMALS)
    everyone = values if others is None else np.concatenate([others, values])
    some = everyone[:SAMPLE]
    for exponent in range(max(min(finest + DECIMALS - 1, 0), finest), finest - 1, -1):
        if (settled(some, exponent) == some).all() and (settled(everyone, exponent) == everyone).all():
            return exponent, True
    return exponent_for(scale, COMPUTED), False


def significant(values: ArrayLike, digits: int) -> FloatArray:
    """Values, each rounded to that many significant digits.

    >>> significant([2 / 3, 1e5 / 3, 0.0], 3).tolist()
    [0.667, 33300.0, 0.0]
    """
    x = np.asarray(values, dtype=np.float64)
    told = np.isfinite(x) & (x != 0)
    places = digits - 1 - np.floor(np.log10(np.abs(x), where=told, out=np.zeros_like(x))).astype(np.int64)
    scale = POWERS[np.minimum(np.abs(places), POWERS.size - 1)]  # a power computed on vectors may differ elsewhere
    return np.asarray(np.where(places >= 0, np.rint(x * scale) / scale, np.rint(x / scale) * scale), dtype=np.float64)


def figures(value: T) -> T:
    """The same result with every number in it, however deep in dataclasses and tuples, told as a figure.

    Arrays stay: they hold what was observed, or were settled where they were made.

    >>> figures((1 / 3, 2e-17, float("nan"), "text", 7))
    (0.333333333, 0.0, nan, 'text', 7)
    """
    found: Any = value
    if isinstance(value, float):  # np.float64 is one
        found = float(f"{value:.{DIGITS - 1}e}")
        found = round(found, -PLACES) + 0.0 if math.isfinite(found) else found  # no minus zero
    elif isinstance(value, tuple):
        parts = [figures(part) for part in value]
        found = type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    elif is_dataclass(value) and not isinstance(value, type):
        own = {f.name: (getattr(value, f.name), figures(getattr(value, f.name))) for f in fields(value) if f.init}
        changed = {name: new for name, (old, new) in own.items() if new is not old}
        found = replace(value, **changed) if changed else value
    return found  # type: ignore[no-any-return]  # of the same type
