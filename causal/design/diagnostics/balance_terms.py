"""Balance beyond means: squares and products of the covariates that matter most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance import (
    BalanceRow,
    Estimand,
    arms_of,
    balance_row,
    finite_column,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def balance_terms(
    covariates: FloatArray,
    names: Sequence[str],
    tiers: Sequence[int],
    treated: BoolArray,
    weights: FloatArray,
    *,
    tier: int = 1,
    estimand: Estimand = "ATT",
) -> tuple[BalanceRow, ...]:
    """Balance of the squares and pairwise products of the covariates of one tier.

    Parameters
    ----------
    covariates, names, tiers, treated, weights, estimand
        As for `causal.design.diagnostics.balance.balance_table`: everyone eligible, (n, p), p, p, (n,), (n,).
    tier
        The tier whose terms are taken; with k covariates there are at most k (k + 1) / 2.

    Returns
    -------
    One row per term, ``age squared`` and ``age x severity``, in the order of the covariates. Numbers are centred at
    the mean of everyone eligible first, so that neither their origin nor their unit matters and a square says
    something its covariate does not; covariates of 0 and 1 are left as they are. Terms that say nothing new are left
    out: the square of a covariate of two values, and products that do not vary (of categories of one variable).

    Raises
    ------
    DesignError
        As `balance_table`.

    Notes
    -----
    Balance of means, variances and covariances: Austin (2009), Stat Med 28:3083-3107; Ho, Imai, King & Stuart (2007),
    Polit Anal 15:199-236.

    >>> x = np.array([[1.0, 1.0], [3.0, 0.0], [0.0, 0.0], [4.0, 1.0]])
    >>> rows = balance_terms(x, ["lag", "victim"], [1, 1], np.array([True, True, False, False]), np.ones(4))
    >>> [(row.name, row.mean_treated, row.mean_comparison_before) for row in rows]
    [('lag squared', 1.0, 4.0), ('lag x victim', -0.5, 1.0)]
    """
    chosen = [j for j, own in enumerate(tiers) if own == tier]
    before, after = arms_of(treated, None), arms_of(treated, weights)
    room = np.empty((2, before.treated.size), dtype=np.uint64)
    terms = _terms(covariates[:, chosen], [names[j] for j in chosen])
    return tuple(
        balance_row(x, before, after, room, name=name, tier=tier, estimand=estimand)
        for name, x in terms
        if (x != x[0]).any()
    )


def _terms(covariates: FloatArray, names: Sequence[str]) -> Iterator[tuple[str, FloatArray]]:
    """Names and values (n,) of squares and products, one at a time."""
    columns = [_centred(finite_column(x, name)) for x, name in zip(covariates.T, names, strict=True)]
    for i, j in combinations_with_replacement(range(len(names)), 2):
        if i != j:
            yield f"{names[i]} x {names[j]}", columns[i] * columns[j]
        elif not _two_valued(columns[i]):
            yield f"{names[i]} squared", columns[i] ** 2


def _centred(x: FloatArray) -> FloatArray:
    """Deviations from the mean; x itself where it is 0 or 1."""
    return x if ((x == 0) | (x == 1)).all() else x - x.mean()


def _two_valued(x: FloatArray) -> bool:
    return bool(((x == x.min()) | (x == x.max())).all())
