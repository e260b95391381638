"""Rows in nested units, and the marginal likelihood of a mixed model from sums over those units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.effect.multilevel.expansion import (
    Expansion,
    bilinear,
    inverse,
    linear,
    log_determinant,
    minus,
    plus,
)
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """Units whose rows share random effects.

    Attributes
    ----------
    name
        What a unit is, for messages and results ("patient").
    codes
        (n,) unit of each row.
    design
        (n, q) columns the random effects multiply: ones for an intercept; a row of zeros belongs to no unit.
    terms
        q names of those columns ("intercept", "day").
    """

    name: str
    codes: IntArray
    design: FloatArray
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """Nested levels with their rows in order.

    Attributes
    ----------
    levels
        Inner first, rows sorted.
    order
        (n,) row of the caller for each sorted row.
    starts
        For each level, first sorted row of each unit.
    """

    levels: tuple[Level, ...]
    order: IntArray
    starts: tuple[IntArray, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossProducts:
    """All that the likelihood needs of the rows: sums within units, by group of residual variance (g groups).

    Attributes
    ----------
    units
        For each level (g, units, q, q + columns): its design with itself, with those of the levels above, and with
        the fixed columns and the outcome.
    total
        (g, k + 1, k + 1) fixed columns and outcome with themselves, weighted.
    rows
        (g,) rows, weighted.
    starts
        For each level, and for each level above it, the first of its units in every unit there.
    weights
        For each level (units,) weight of the top unit each belongs to.
    """

    units: tuple[FloatArray, ...]
    total: FloatArray
    rows: FloatArray
    starts: tuple[tuple[IntArray, ...], ...]
    weights: tuple[FloatArray, ...]


def arrange(levels: Sequence[Level]) -> Layout:
    """Sort rows so that units of every level are runs of rows, inner levels given first.

    Raises
    ------
    EstimationError
        ``estimation.not_nested`` (a unit in two units of the level above), ``estimation.too_few_clusters``,
        ``estimation.singletons_only``, ``estimation.levels_coincide``.

    >>> ones = np.ones((4, 1))
    >>> inner = Level(name="patient", codes=np.array([3, 1, 1, 3]), design=ones, terms=("intercept",))
    >>> layout = arrange([inner])
    >>> layout.order.tolist(), layout.starts[0].tolist()
    ([1, 2, 0, 3], [0, 2])
    """
    order = np.lexsort([level.codes for level in levels]).astype(np.int64)
    ordered = tuple(replace(one, codes=one.codes[order], design=one.design[order]) for one in levels)
    starts: list[IntArray] = []
    for i, level in enumerate(ordered):
        change = np.any([one.codes[1:] != one.codes[:-1] for one in ordered[i:]], axis=0)
        starts.append(np.flatnonzero(np.r_[True, change]))
        if starts[i].size > np.unique(level.codes).size:
            raise EstimationError(
                "estimation.not_nested",
                f"a {level.name} belongs to more than one {ordered[i + 1].name}",
                fix=f"give every {level.name} the {ordered[i + 1].name} at time zero",
            )
    for i, level in enumerate(ordered):
        _refuse_indistinguishable(level, starts[i], ordered[i - 1].name if i else "row", starts[i - 1] if i else None)
    return Layout(levels=ordered, order=order, starts=tuple(starts))


def _refuse_indistinguishable(level: Level, starts: IntArray, within: str, inner: IntArray | None) -> None:
    """Refuse a level with one unit, or whose units hold one unit each of what is inside them."""
    takes_part = np.add.reduceat((level.design != 0).any(axis=1), starts) > 0
    if takes_part.sum() < 2:
        raise EstimationError(
            "estimation.too_few_clusters",
            f"there are fewer than 2 units of {level.name}: the variance between them cannot be estimated",
            fix=f"leave the level {level.name} out",
        )
    inside = np.arange(level.codes.size) if inner is None else inner
    if (np.diff(np.r_[np.searchsorted(inside, starts), inside.size])[takes_part] > 1).any():
        return
    raise EstimationError(
        "estimation.singletons_only" if inner is None else "estimation.levels_coincide",
        f"every {level.name} holds one {within} only: the two variances cannot be told apart",
        fix=f"leave the level {level.name} out",
    )


def cross_products(
    layout: Layout, fixed: FloatArray, groups: IntArray, n_groups: int, weights: FloatArray
) -> CrossProducts:
    """Sums over the units of sorted rows: `fixed` (n, k + 1) columns with the outcome last, `weights` (n,) by top."""
    designs = [level.design for level in layout.levels]
    of_group = [(groups == g).astype(np.float64) for g in range(n_groups)]
    units = []
    for i, design in enumerate(designs):
        right = np.column_stack([*designs[i:], fixed])
        per_row = [design * chosen[:, None] for chosen in of_group]
        sums = [
            [np.add.reduceat(left[:, [a]] * right, layout.starts[i]) for a in range(left.shape[1])] for left in per_row
        ]
        units.append(np.stack([np.stack(columns, axis=1) for columns in sums]))
    weighted = fixed * weights[:, None]
    return CrossProducts(
        units=tuple(units),
        total=np.stack([(weighted * chosen[:, None]).T @ fixed for chosen in of_group]),
        rows=np.array([weights @ chosen for chosen in of_group]),
        starts=tuple(
            tuple(np.searchsorted(layout.starts[i], above) for above in layout.starts[i + 1 :])
            for i in range(len(designs))
        ),
        weights=tuple(weights[starts] for starts in layout.starts),
    )


def marginal(sums: CrossProducts, covariances: Sequence[Expansion], residual: Expansion) -> tuple[Expansion, Expansion]:
    """``log |V|`` and ``[X y]' V^-1 [X y]`` (k + 1, k + 1) of the marginal covariance V.

    Parameters
    ----------
    sums
        Of the rows.
    covariances
        (q, q) of each level's random effects, inner first; may be singular.
    residual
        (g,) residual variances.

    Notes
    -----
    Woodbury's identity, one level at a time from the inside: with S = Z'V^-1 Z of the levels eliminated so far and D
    the level's covariance, ``(D^-1 + S)^-1 = D (I + S D)^-1`` needs no inverse of D.
    """
    precision = _reciprocal(residual)
    spread = [_over_groups(precision, unit) for unit in sums.units]
    total = _over_groups(precision, sums.total)
    log_det = _over_groups(_logarithm(residual), sums.rows)
    for i, covariance in enumerate(covariances):
        gained, rest, shrunk = _eliminate(spread[i], covariance)
        log_det = plus(log_det, _over_groups(gained, sums.weights[i]))
        at = 0
        for h, starts in enumerate(sums.starts[i], start=i + 1):
            size = covariances[h].value.shape[-1]
            gone = bilinear(crossed, columns(rest, at, at + size), columns(shrunk, at))
            spread[h] = minus(spread[h], _gathered(gone, starts))
            at += size
        root = np.sqrt(sums.weights[i])[:, None, None]
        total = minus(total, bilinear(crossed, _stacked(columns(rest, at), root), _stacked(columns(shrunk, at), root)))
    return log_det, total


def _eliminate(own: Expansion, covariance: Expansion) -> tuple[Expansion, Expansion, Expansion]:
    """``log |I + S D|`` (units,), the other columns ``Z'V^-1 [...]`` (units, q, columns), and these shrunk."""
    q = covariance.value.shape[-1]
    shared = linear(lambda x: x[..., None, :, :], covariance)
    rest, ratio = columns(own, q), bilinear(_product, columns(own, 0, q), shared)
    ratio = replace(ratio, value=ratio.value + np.eye(q))
    shrunk = bilinear(_product, bilinear(_product, shared, inverse(ratio)), rest)
    return log_determinant(ratio), rest, shrunk


def crossed(a: FloatArray, b: FloatArray) -> FloatArray:
    """``a'b`` of the last two axes."""
    return _product(a.swapaxes(-1, -2), b)


def _product(a: FloatArray, b: FloatArray) -> FloatArray:
    """``a b`` of the last two axes; many products of a column and a row at once are faster as one multiplication."""
    return np.asarray(a * b if a.shape[-1] == 1 else a @ b, dtype=np.float64)


def columns(a: Expansion, first: int, last: int | None = None) -> Expansion:
    """Columns of the last axis."""
    return linear(lambda x: x[..., first:last], a)


def _over_groups(a: Expansion, x: FloatArray) -> Expansion:
    """Sum over groups g of ``a`` (g,) times ``x`` (g, ...)."""
    flat = x.reshape(x.shape[0], -1)
    return linear(lambda u: np.einsum("...g,gz->...z", u, flat).reshape((*u.shape[:-1], *x.shape[1:])), a)


def _gathered(a: Expansion, starts: IntArray) -> Expansion:
    """Sums over the runs of units that begin at `starts`."""
    return linear(lambda x: np.asarray(np.add.reduceat(x, starts, axis=-3)), a)


def _stacked(a: Expansion, root: FloatArray) -> Expansion:
    """(units, q, columns) times `root`, as (units * q, columns)."""
    return linear(lambda x: (x * root).reshape(*x.shape[:-3], -1, x.shape[-1]), a)


def _reciprocal(a: Expansion) -> Expansion:
    """``1 / a``, element by element."""
    u = 1 / a.value
    second = None
    if a.second is not None:
        second = 2 * u**3 * a.first[:, None] * a.first[None, :] - u**2 * a.second
    return Expansion(value=u, first=-(u**2) * a.first, second=second)


def _logarithm(a: Expansion) -> Expansion:
    """``log a``, element by element."""
    step = a.first / a.value
    second = None if a.second is None else a.second / a.value - step[:, None] * step[None, :]
    return Expansion(value=np.log(a.value), first=step, second=second)


def whitened(
    layout: Layout, columns: FloatArray, groups: IntArray, covariances: Sequence[FloatArray], residual: FloatArray
) -> FloatArray:
    """Sorted rows of `columns` (n, c) times a root of V^-1: independent with variance 1 under the model.

    Level by level ``(I + B B')^(-1/2)`` with ``B = Z root(D)``, through the q x q matrix B'B of each unit.
    """
    deviations = np.sqrt(residual)[groups, None]
    out = columns / deviations
    designs = [level.design / deviations for level in layout.levels]
    for i, covariance in enumerate(covariances):
        values, vectors = np.linalg.eigh(covariance)
        factor = designs[i] @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        inner = np.add.reduceat(factor[:, :, None] * factor[:, None, :], layout.starts[i])
        size, axes = np.linalg.eigh(inner)
        size = np.maximum(size, 1e-300)
        shrink = (axes * (np.expm1(-0.5 * np.log1p(size)) / size)[:, None, :]) @ axes.swapaxes(1, 2)

        out = _shrunk_rows(out, factor, shrink, layout.starts[i])
        designs[i + 1 :] = [_shrunk_rows(one, factor, shrink, layout.starts[i]) for one in designs[i + 1 :]]
    return np.asarray(out)


def _shrunk_rows(x: FloatArray, factor: FloatArray, shrink: FloatArray, starts: IntArray) -> FloatArray:
    """``x + B M B'x`` within units, for x (n, c), B = factor (n, q) and M = shrink (units, q, q)."""
    sums = shrink @ np.add.reduceat(factor[:, :, None] * x[:, None, :], starts)
    counts = np.diff(np.r_[starts, x.shape[0]])
    return np.asarray(x + np.einsum("nq,nqc->nc", factor, np.repeat(sums, counts, axis=0)))
