"""What is to be balanced: covariates, their powers and products, in standard units; and what cannot be weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.memory import require_memory
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Terms to balance over n occasions.

    Attributes
    ----------
    rows
        (n, k) a column of ones, then each term with mean 0 and standard deviation 1.
    names
        k names; the column of ones is ``(weight)``.
    """

    rows: FloatArray
    names: tuple[str, ...]


def balance_terms(
    covariates: FloatArray,
    names: Sequence[str],
    *,
    moments: int = 1,
    interactions: bool = False,
    clusters: IntArray | None = None,
    memory: float,
) -> Terms:
    """Covariates, their powers up to `moments`, their pairwise products, and an indicator of every cluster but one.

    Powers and products are of the standardised covariate: balanced together with the lower powers they mean the same
    as those of the covariate itself, and the equations stay well conditioned. Powers of covariates with two values, and
    products that are the same for everyone, are left out: they are balanced already.

    Raises
    ------
    DesignError
        ``design.not_finite``, ``design.constant_covariate``, ``design.moments``, ``design.memory``.

    >>> terms = balance_terms(np.array([[1.0, 0], [2, 1], [3, 3]]), ["age", "visits"], moments=2, memory=1)
    >>> terms.names
    ('(weight)', 'age', 'visits', 'age^2', 'visits^2')
    """
    x = np.ascontiguousarray(covariates, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != len(names):
        raise ValueError(f"covariates {x.shape} do not fit {len(names)} names")
    if moments not in {1, 2, 3}:
        raise DesignError("design.moments", f"1, 2 or 3 moments can be balanced, got {moments}")
    p = x.shape[1]
    codes = np.empty(0, dtype=np.int64) if clusters is None else np.unique(clusters)
    count = 1 + p * moments + (p * (p - 1) // 2 if interactions else 0) + max(codes.size - 1, 0)
    require_memory(
        8.0 * x.shape[0] * count * 6, limit=memory, work=f"balancing {count} terms", instead="balance fewer terms"
    )
    rows = _standardised(x, tuple(names))
    labels = ["(weight)", *names]
    extra: list[FloatArray] = []
    if moments > 1:
        low, high = rows.min(axis=0), rows.max(axis=0)
        several = np.flatnonzero(~((rows == low) | (rows == high)).all(axis=0)).tolist()
        power = first = rows[:, several]
        for exponent in range(2, moments + 1):
            power = power * first
            extra.append(power)
            labels += [f"{names[j - 1]}^{exponent}" for j in several]
    if interactions:
        for j, k in combinations(range(p), 2):
            extra.append(rows[:, [j + 1]] * rows[:, [k + 1]])
            labels.append(f"{names[j]} x {names[k]}")
    extra += [np.asarray(clusters == code, dtype=np.float64)[:, None] for code in codes[1:]]
    labels += [f"(cluster {number})" for number in range(2, codes.size + 1)]
    if len(labels) == rows.shape[1]:
        return Terms(rows=rows, names=tuple(labels))
    more = np.hstack(extra)
    mean, sd, low, high = _summary()(more)
    varies = sd > 1e-9 * np.maximum(np.abs(low), np.abs(high))
    more = _scaled()(np.ascontiguousarray(more[:, varies]), mean[varies], sd[varies])
    kept = [*labels[: p + 1], *(label for label, keep in zip(labels[p + 1 :], varies, strict=True) if keep)]
    return Terms(rows=np.hstack([rows, more[:, 1:]]), names=tuple(kept))


def checked_arms(treated: BoolArray) -> BoolArray:
    """The arm of each occasion; refuses when one arm is empty."""
    arm = np.asarray(treated, dtype=np.bool_)
    if not arm.any():
        raise DesignError("design.no_treated", "zero treated occasions", fix="check eligibility and the exposure")
    if arm.all():
        raise DesignError("design.no_comparison", "zero comparison occasions", fix="check the comparator pool")
    return arm


def checked_base(base_weights: FloatArray | None, n: int) -> FloatArray:
    """Base weights (n,), all 1 when None; refuses missing and negative ones."""
    if base_weights is None:
        return np.ones(n)
    base = np.asarray(base_weights, dtype=np.float64)
    if not (np.isfinite(base).all() and (base > 0).all()):
        raise DesignError("design.base_weights", "base weights must be above 0, finite and not missing")
    return base


def _standardised(x: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """(n, 1 + p) ones and the columns of x with mean 0 and standard deviation 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd, low, high = _summary()(x)
    usable = np.isfinite(mean) & np.isfinite(sd)
    if not usable.all():
        listed = ", ".join(name for name, ok in zip(names, usable, strict=True) if not ok)
        raise DesignError(
            "design.not_finite",
            f"covariates hold missing or infinite values: {listed}",
            fix="declare how missing values of these covariates are handled",
        )
    constant = (low == high) | (sd == 0)
    if constant.any():
        listed = ", ".join(name for name, flat in zip(names, constant, strict=True) if flat)
        raise DesignError(
            "design.constant_covariate",
            f"covariates have one value only: {listed}",
            fix="remove them from the confounders, or check that they were extracted",
        )
    return np.asarray(_scaled()(x, mean, sd), dtype=np.float64)


def summary_loop(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean, standard deviation (divisor n), least and greatest value of every column."""
    n, p = x.shape
    total, low, high = np.zeros(p), x[0].copy(), x[0].copy()
    for i in range(n):
        for j in range(p):
            value = x[i, j]
            total[j] += value
            low[j] = min(low[j], value)
            high[j] = max(high[j], value)
    mean, square = total / n, np.zeros(p)
    for i in range(n):
        for j in range(p):
            gap = x[i, j] - mean[j]
            square[j] += gap * gap
    return mean, np.sqrt(square / n), low, high


def scaled_loop(x: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """(n, 1 + p) ones, then ``(x - mean) / sd``."""
    n, p = x.shape
    out, inverse = np.empty((n, p + 1)), 1.0 / sd
    for i in range(n):
        out[i, 0] = 1.0
        for j in range(p):
            out[i, j + 1] = (x[i, j] - mean[j]) * inverse[j]
    return out


@cache
def _summary() -> Any:
    return compiled(summary_loop)


@cache
def _scaled() -> Any:
    return compiled(scaled_loop)
