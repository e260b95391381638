"""How consistently the items of one scale measure one thing: Cronbach's alpha, McDonald's omega, item-rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal.errors import EstimationError

Floats = NDArray[np.float64]
_LOWEST_UNIQUENESS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What a matrix of answers says about consistency.

    Attributes
    ----------
    n
        Number of whole forms.
    item, with_total
        (k,) variance of each item, and its covariance with the sum of all items.
    total
        Variance of the sum. All three over n - 1.
    """

    n: int
    item: Floats
    with_total: Floats
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Cronbach's alpha of `n_items` items over `n` whole forms, with its two-sided interval at `level`."""

    value: float
    lower: float
    upper: float
    level: float
    n: int
    n_items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Omega:
    """McDonald's omega total of one factor.

    Attributes
    ----------
    value
        Share of the variance of the sum that is due to the factor.
    loadings, uniquenesses
        (k,) in the units of the items: loading on a factor of variance 1, and variance not due to the factor.
    n
        Number of whole forms.
    """

    value: float
    loadings: Floats
    uniquenesses: Floats
    n: int


def moments(items: ArrayLike) -> Moments:
    """Variances and covariances with the total of keyed items (n, k), over the rows without NaN.

    Raises
    ------
    EstimationError
        ``estimation.too_few_items`` below two items, ``estimation.too_few_forms`` below two whole forms.
    """
    centred = _whole(items)
    centred = centred - centred.mean(axis=0)
    total = centred.sum(axis=1)
    n = len(centred)
    return Moments(
        n=n,
        item=(centred**2).sum(axis=0) / (n - 1),
        with_total=centred.T @ total / (n - 1),
        total=float(total @ total / (n - 1)),
    )


def alpha_of(found: Moments) -> float:
    """Cronbach's alpha (Cronbach 1951): k/(k - 1) (1 - sum of item variances / variance of the sum).

    Raises
    ------
    EstimationError
        ``estimation.no_spread``: all whole forms have one total.

    >>> alpha_of(Moments(n=9, item=np.array([2.0, 2.0]), with_total=np.array([3.0, 3.0]), total=6.0))
    0.6666666666666667
    """
    if not found.total > 0:
        raise EstimationError(
            "estimation.no_spread",
            "all whole forms have one total, so nothing can be said about consistency",
            fix="look at the answers before anything else",
        )
    k = len(found.item)
    return float(k / (k - 1) * (1 - found.item.sum() / found.total))


def item_rest_of(found: Moments) -> Floats:
    """(k,) correlation of each item with the sum of the others; NaN where either does not vary."""
    rest = found.total - 2 * found.with_total + found.item
    spread = np.sqrt(found.item * np.maximum(rest, 0))
    none = np.full(len(spread), np.nan)
    correlation: Floats = np.divide(found.with_total - found.item, spread, out=none, where=spread > 0)
    return correlation


def cronbach_alpha(items: ArrayLike, *, level: float = 0.95) -> Reliability:
    """Cronbach's alpha with the interval of Feldt (1965): (1 - alpha) / (1 - a) follows F(n - 1, (n - 1)(k - 1)).

    Parameters
    ----------
    items
        (n, k) keyed answers, reversed items turned already; rows with NaN are left out.

    Raises
    ------
    EstimationError
        ``estimation.too_few_items``, ``estimation.too_few_forms``, ``estimation.no_spread``.

    >>> found = cronbach_alpha([[1, 2], [2, 2], [3, 5], [4, 4]])
    >>> round(found.value, 4), found.n
    (0.8675, 4)
    """
    from scipy.special import fdtri

    found = moments(items)
    value, k = alpha_of(found), len(found.item)
    df = found.n - 1, (found.n - 1) * (k - 1)
    tail = (1 - level) / 2
    return Reliability(
        value=value,
        lower=float(1 - (1 - value) * fdtri(*df, 1 - tail)),
        upper=float(1 - (1 - value) * fdtri(*df, tail)),
        level=level,
        n=found.n,
        n_items=k,
    )


def item_rest(items: ArrayLike) -> Floats:
    """Correlation of each keyed item with the sum of the others, (k,); below 0 suggests an item nobody reversed.

    NaN where an item or the rest does not vary.

    >>> item_rest([[1, 2, 4], [2, 2, 2], [3, 5, 1]]).round(3).tolist()
    [0.0, -0.5, -0.866]
    """
    return item_rest_of(moments(items))


def mcdonald_omega(items: ArrayLike) -> Omega:
    """McDonald's omega: (sum of loadings)^2 / ((sum of loadings)^2 + sum of uniquenesses) (McDonald 1999, eq. 6.20b).

    One factor by maximum likelihood on the correlations: uniquenesses by the profile likelihood of Lawley & Maxwell
    (1971, ch. 2), then put back into the units of the items. Equals alpha where all loadings are equal.

    Parameters
    ----------
    items
        (n, k) keyed answers, k >= 3; rows with NaN are left out.

    Raises
    ------
    EstimationError
        ``estimation.too_few_items``, ``estimation.too_few_forms``, ``estimation.no_spread`` (an item does not vary),
        ``estimation.singular_covariance`` (an item is a sum of others), ``estimation.heywood`` (an item would have no
        variance of its own), ``estimation.not_converged``.
    """
    whole = _whole(items, at_least=3)
    covariance = np.cov(whole, rowvar=False)
    sd = np.sqrt(np.diag(covariance))
    if not (sd > 0).all():
        raise EstimationError("estimation.no_spread", "an item has one answer only", fix="leave the item out")
    correlation = covariance / np.outer(sd, sd)
    own = _uniquenesses(correlation)
    loadings = _factor(correlation, own)[1] * sd
    common, unique = loadings.sum() ** 2, own * sd**2
    return Omega(value=float(common / (common + unique.sum())), loadings=loadings, uniquenesses=unique, n=len(whole))


def spearman_brown(reliability: float, times: float) -> float:
    """Reliability of a measure made `times` as long: t r / (1 + (t - 1) r) (Spearman 1910, Brown 1910).

    >>> round(spearman_brown(0.77, 2), 3)
    0.87
    """
    if not 0 <= reliability <= 1 or not times > 0:
        raise ValueError("expected 0 <= reliability <= 1 and times > 0")
    return times * reliability / (1 + (times - 1) * reliability)


def sessions_needed(single: float, target: float) -> int:
    """Fewest sessions whose mean has reliability `target`, where one session has `single`, both inside (0, 1).

    >>> sessions_needed(0.77, 0.80)
    2
    """
    if not (0 < single < 1 and 0 < target < 1):
        raise ValueError("expected both reliabilities inside (0, 1)")
    times = max(1, int(np.floor(target * (1 - single) / (single * (1 - target)))))
    return times if spearman_brown(single, times) >= target else times + 1


def _whole(items: ArrayLike, *, at_least: int = 2) -> Floats:
    matrix = np.asarray(items, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < at_least:
        raise EstimationError(
            "estimation.too_few_items", f"fewer than {at_least} items", fix="judge a scale with more items"
        )
    whole = matrix[~np.isnan(matrix).any(axis=1)]
    if len(whole) < 2:
        raise EstimationError("estimation.too_few_forms", "fewer than two whole forms", fix="wait for more forms")
    return whole


def _uniquenesses(correlation: Floats) -> Floats:
    """(k,) maximum likelihood under one factor; the objective is minus the profile log-likelihood, 2/n of it."""
    from scipy.optimize import minimize

    k = len(correlation)
    values = np.linalg.eigvalsh(correlation)
    if values[0] <= k * np.finfo(float).eps * values[-1]:
        raise EstimationError(
            "estimation.singular_covariance", "one item is a sum of others", fix="leave one of them out"
        )

    def objective(own: Floats) -> tuple[float, Floats]:
        values, loading = _factor(correlation, own)
        residual = loading**2 + own - np.diag(correlation)
        return float((values - np.log(values))[:-1].sum() - (k - 1)), residual / own**2

    start = (1 - 0.5 / k) / np.diag(np.linalg.inv(correlation))
    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(_LOWEST_UNIQUENESS, 1.0)] * k,
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )
    own: Floats = np.asarray(found.x, dtype=np.float64)
    if (own <= _LOWEST_UNIQUENESS).any():
        raise EstimationError(
            "estimation.heywood", "one factor would explain all of an item", fix="report alpha, or another structure"
        )
    free = own < 1
    if not np.abs(objective(own)[1][free]).max(initial=0.0) < 1e-4:
        raise EstimationError("estimation.not_converged", "the one-factor model did not converge", fix="report alpha")
    return own


def _factor(correlation: Floats, own: Floats) -> tuple[Floats, Floats]:
    """Rising eigenvalues (k,) of the correlations scaled by the uniquenesses, and the loadings (k,) of the largest.

    The factor points the way most items do.
    """
    scale = np.sqrt(own)
    values, vectors = np.linalg.eigh(correlation / np.outer(scale, scale))
    loading: Floats = scale * vectors[:, -1] * np.sqrt(max(float(values[-1]) - 1, 0.0))
    return values, -loading if loading.sum() < 0 else loading
