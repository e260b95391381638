"""Exact first and second derivatives of matrix functions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.effect.multilevel.expansion import Expansion, bilinear, inverse, log_determinant, minus


def test_derivatives_are_those_of_finite_differences() -> None:
    """Value, gradient and Hessian of ``log det (A - A^-1 B)`` in two parameters of A, B curved in both."""
    rng = np.random.default_rng(1)
    base, one, two, other = (rng.normal(size=(3, 3)) for _ in range(4))

    def pieces(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return base + 9 * np.eye(3) + t[0] * one + t[1] * two, t[0] * t[1] * other

    def plain(t: NDArray[np.float64]) -> float:
        a, b = pieces(t)
        return float(np.linalg.slogdet(a - np.linalg.inv(a) @ b)[1])

    at, h = np.array([0.4, -0.7]), 1e-4
    a = Expansion(value=pieces(at)[0], first=np.stack([one, two]), second=np.zeros((2, 2, 3, 3)))
    curved = np.zeros((2, 2, 3, 3))
    curved[0, 1] = curved[1, 0] = other
    b = Expansion(value=pieces(at)[1], first=np.stack([at[1] * other, at[0] * other]), second=curved)
    found = log_determinant(minus(a, bilinear(np.matmul, inverse(a), b)))
    steps = h * np.eye(2)
    gradient = [(plain(at + s) - plain(at - s)) / (2 * h) for s in steps]
    hessian = [
        [(plain(at + s + r) - plain(at + s - r) - plain(at - s + r) + plain(at - s - r)) / (4 * h * h) for r in steps]
        for s in steps
    ]
    assert found.value == pytest.approx(plain(at), rel=1e-12)
    assert found.first == pytest.approx(np.array(gradient), rel=1e-6)
    assert found.second == pytest.approx(np.array(hessian), rel=1e-5, abs=1e-7)
