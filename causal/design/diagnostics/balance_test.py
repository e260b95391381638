"""How much imbalance chance alone would leave, had treatment been drawn by lot within the sets.

A supplement to the limits on standardised differences, never a substitute. With few sets a difference above 0.1 may be
what a randomised experiment of this size would show; with many, a trifle is 'significant'. The limits say whether the
groups are alike enough, these tests say how surprising what remains is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from causal.design.matching.compiled import compiled
from causal.design.matching.sets import SetEstimand
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceTest:
    """Balance of all covariates together against a lottery within sets.

    Attributes
    ----------
    d2, df, p_chi2
        Hansen & Bowers' omnibus statistic, the rank of its covariance, and the tail of chi-square beyond it. The
        approximation wants many more sets than `df`.
    p_d2
        The same from the lottery itself, whatever the number of sets.
    max_smd
        Largest absolute standardised difference found.
    max_smd_by_chance
        What 95 of 100 lotteries do not exceed.
    p_max_smd
        Share of lotteries with a largest difference as large as that found.
    draws, n_sets
        Lotteries drawn, and sets with both arms.
    """

    d2: float
    df: int
    p_chi2: float
    p_d2: float
    max_smd: float
    max_smd_by_chance: float
    p_max_smd: float
    draws: int
    n_sets: int


def balance_test(
    covariates: FloatArray,
    treated: BoolArray,
    set_id: IntArray,
    unit: IntArray,
    *,
    sd: FloatArray,
    rng: np.random.Generator,
    estimand: SetEstimand = "ATT",
    draws: int = 999,
) -> BalanceTest:
    """Omnibus test and largest standardised difference against lotteries that keep every set's numbers.

    Parameters
    ----------
    covariates, treated
        (m, p) and (m,) of the members of sets or strata.
    set_id, unit
        (m,) set, and which occasion the member is: no occasion may be in two sets, or no lottery within sets exists.
    sd
        (p,) denominators of the standardised differences (`causal.design.diagnostics.balance.fixed_sd`); a covariate
        whose is 0 has no difference.
    estimand
        How sets are weighted in the standardised differences, as in the table. The omnibus statistic weighs each set
        by ``n1 n0 / (n1 + n0)``, as its authors do.
    draws
        Lotteries; the smallest p value is ``1 / (draws + 1)``.

    Raises
    ------
    DesignError
        ``design.balance_test_reuse`` when an occasion is in two sets, ``design.one_armed_set``,
        ``design.not_finite``, ``design.draws`` for fewer than 19.

    Notes
    -----
    Hansen & Bowers (2008), Stat Sci 23:219-236: with y the covariates about their set's mean and T their sum over the
    treated, ``d2 = T' V^- T``, ``V = sum_s n1 n0 / (m (m - 1)) sum_i y_i y_i'``, the covariance of T under simple
    random assignment in each set. Both distributions are from the same lotteries.

    >>> x = np.array([[1.0], [0.0], [2.0], [3.0]])
    >>> found = balance_test(x, np.array([True, False, True, False]), np.array([0, 0, 1, 1]), np.arange(4),
    ...                      sd=np.ones(1), rng=np.random.default_rng(1))
    >>> found.d2, found.df, found.max_smd
    (0.0, 1, 0.0)
    """
    if not np.shape(covariates)[0] == np.size(treated) == np.size(set_id) == np.size(unit):
        raise ValueError("covariates, arms, sets and units do not have one row per member")
    _refuse(covariates, unit, draws)
    order = np.argsort(set_id, kind="stable")
    x, arm = np.asarray(covariates, dtype=np.float64)[order], np.asarray(treated, dtype=np.bool_)[order]
    code = np.unique(np.asarray(set_id)[order], return_inverse=True)[1].ravel()
    one, zero = np.bincount(code[arm], minlength=code[-1] + 1), np.bincount(code[~arm], minlength=code[-1] + 1)
    if not (one * zero > 0).all():
        raise DesignError("design.one_armed_set", "a set has one arm only: it compares nobody")
    size = one + zero
    x = x - x.mean(axis=0)
    means = np.column_stack([np.bincount(code, weights=column) for column in x.T]) / size[:, None]
    y = _exact_zeros(x - means[code], x)
    whitened = y @ _whitener(y * np.sqrt(one * zero / (size * (size - 1)))[code, None])
    target = {"ATT": one, "ATC": zero, "ATE": size}[estimand]
    factor = target * size / (one * zero * target.sum())
    scaled = y * factor[code, None] / np.where(sd > 0, sd, np.inf)
    rows = np.ascontiguousarray(np.column_stack([scaled, whitened]))
    found, lots = rows[arm].sum(axis=0), _lotteries(rows, size, one, rng, draws)
    p, df = x.shape[1], whitened.shape[1]
    largest, by_chance = np.abs(found[:p]).max(initial=0.0), np.abs(lots[:, :p]).max(axis=1, initial=0.0)
    d2, d2_by_chance = float((found[p:] ** 2).sum()), (lots[:, p:] ** 2).sum(axis=1)
    return BalanceTest(
        d2=d2,
        df=df,
        p_chi2=float(chdtrc(df, d2)) if df else 1.0,
        p_d2=_tail(d2, d2_by_chance),
        max_smd=float(largest),
        max_smd_by_chance=float(np.quantile(by_chance, 0.95, method="higher")),
        p_max_smd=_tail(float(largest), by_chance),
        draws=draws,
        n_sets=size.size,
    )


def sums_over_lots(
    rows: FloatArray, size: IntArray, n_treated: IntArray, lots: FloatArray, place: IntArray
) -> FloatArray:
    """Sum (q,) of the rows a lottery draws: from each set of `size` consecutive rows, `n_treated` of them.

    ``lots`` holds one uniform number for each row drawn; ``place`` (m,) is a shuffle of the rows within sets, shuffled
    on in place.
    """
    total = np.zeros(rows.shape[1])
    begin = drawn = 0
    for s in range(size.size):
        for k in range(n_treated[s]):
            other = begin + k + int(lots[drawn] * (size[s] - k))
            place[begin + k], place[other] = place[other], place[begin + k]
            for j in range(rows.shape[1]):
                total[j] += rows[place[begin + k], j]
            drawn += 1
        begin += size[s]
    return total


@cache
def _compiled() -> Callable[..., Any]:
    return compiled(sums_over_lots)


def _lotteries(
    rows: FloatArray, size: IntArray, n_treated: IntArray, rng: np.random.Generator, draws: int
) -> FloatArray:
    """Sums over the rows drawn in each lottery (draws, q)."""
    place = np.arange(rows.shape[0])
    lottery, number = _compiled(), int(n_treated.sum())
    return np.array([lottery(rows, size, n_treated, rng.random(number), place) for _ in range(draws)])


def _whitener(scaled: FloatArray) -> FloatArray:
    """(p, rank) matrix B with ``B B'`` the generalised inverse of the covariance ``scaled' scaled``."""
    covariance = scaled.T @ scaled
    spread = np.sqrt(np.diag(covariance))
    varies = spread > 0
    unit = np.where(varies, spread, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(unit, unit))
    kept = values > 1e-10 * max(spread.size, 1)
    return np.asarray(np.where(varies, 1 / unit, 0.0)[:, None] * vectors[:, kept] / np.sqrt(values[kept]))


def _exact_zeros(y: FloatArray, x: FloatArray) -> FloatArray:
    """Deviations whose size is that of rounding in x are 0: a covariate matched exactly has no spread within sets."""
    return np.where(np.abs(y) > 1e-12 * np.abs(x).max(axis=0, initial=0.0), y, 0.0)


def _tail(found: float, by_chance: FloatArray) -> float:
    """Share of lotteries at least as extreme, the one found among them."""
    return float((1 + (by_chance >= found - 1e-9 * max(found, 1.0)).sum()) / (1 + by_chance.size))


def _refuse(covariates: FloatArray, unit: IntArray, draws: int) -> None:
    if draws < 19:
        raise DesignError("design.draws", f"a test at 5 per cent needs 19 lotteries or more, got {draws}")
    if np.unique(unit).size < np.size(unit):
        raise DesignError(
            "design.balance_test_reuse",
            "an occasion serves several sets: no lottery within sets could have made this design",
            fix="judge balance by the standardised differences alone, or match without reuse",
        )
    if not np.isfinite(covariates).all():
        raise DesignError("design.not_finite", "a covariate of the balance test has missing or infinite values")
