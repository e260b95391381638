"""Matrix functions of a few parameters with their exact first and second derivatives (forward differentiation)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expansion:
    """An array at one point of m parameters, to second order.

    Attributes
    ----------
    value
        (...) the array.
    first
        (m, ...) its derivative by each parameter.
    second
        (m, m, ...) by each pair; None where only first derivatives are followed.
    """

    value: FloatArray
    first: FloatArray
    second: FloatArray | None


def linear(function: Callable[[FloatArray], FloatArray], a: Expansion) -> Expansion:
    """`function` of `a`, for a function linear in its argument that works on the last axes of any array.

    >>> trace = linear(lambda x: np.trace(x, axis1=-2, axis2=-1), Expansion(
    ...     value=np.eye(2), first=np.ones((1, 2, 2)), second=None))
    >>> float(trace.value), trace.first.tolist()
    (2.0, [2.0])
    """
    return Expansion(
        value=function(a.value), first=function(a.first), second=None if a.second is None else function(a.second)
    )


def bilinear(function: Callable[[FloatArray, FloatArray], FloatArray], a: Expansion, b: Expansion) -> Expansion:
    """`function` of `a` and `b`, linear in each, broadcasting over leading axes: the product rule.

    >>> x = Expansion(value=np.eye(1) * 3, first=np.ones((1, 1, 1)), second=np.zeros((1, 1, 1, 1)))
    >>> square = bilinear(np.matmul, x, x)  # the square of the parameter, at 3
    >>> square.value.item(), square.first.item(), square.second.item()
    (9.0, 6.0, 2.0)
    """
    second = None
    if a.second is not None and b.second is not None:
        cross = function(a.first[:, None], b.first[None, :])
        second = function(a.second, b.value) + function(a.value, b.second) + cross + cross.swapaxes(0, 1)
    return Expansion(
        value=function(a.value, b.value),
        first=function(a.first, b.value) + function(a.value, b.first),
        second=second,
    )


def plus(a: Expansion, b: Expansion) -> Expansion:
    """Sum of two expansions about the same point."""
    second = None if a.second is None or b.second is None else a.second + b.second
    return Expansion(value=a.value + b.value, first=a.first + b.first, second=second)


def minus(a: Expansion, b: Expansion) -> Expansion:
    """Difference of two expansions about the same point."""
    return plus(a, linear(np.negative, b))


def inverse(a: Expansion) -> Expansion:
    """Inverse of square matrices (..., q, q)."""
    b = np.asarray(np.linalg.inv(a.value), dtype=np.float64)
    step = b @ a.first
    second = None
    if a.second is not None:
        cross = step[:, None] @ step[None, :] @ b
        second = cross + cross.swapaxes(0, 1) - b @ a.second @ b
    return Expansion(value=b, first=-step @ b, second=second)


def log_determinant(a: Expansion) -> Expansion:
    """Logarithm of the determinants of square matrices (..., q, q) with positive determinants: (...)."""
    b = np.asarray(np.linalg.inv(a.value), dtype=np.float64)
    step = b @ a.first
    second = None
    if a.second is not None:
        cross = np.einsum("k...ij,l...ji->kl...", step, step)
        second = _trace(b @ a.second) - cross
    return Expansion(value=np.asarray(np.linalg.slogdet(a.value)[1]), first=_trace(step), second=second)


def _trace(x: FloatArray) -> FloatArray:
    return np.asarray(np.trace(x, axis1=-2, axis2=-1), dtype=np.float64)
