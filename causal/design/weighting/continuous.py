"""Weights for a continuous exposure: stabilised densities, and entropy balancing of exposure against covariates.

Under the weights the exposure is to be unrelated to the covariates while exposure and covariates keep their own
distributions. A weighted regression of the outcome on the exposure then estimates the average dose-response.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.design.memory import MEMORY, require_memory
from causal.design.weighting.propensity_weights import truncated
from causal.design.weighting.terms import balance_terms, checked_base
from causal.design.weighting.tilting import determined, tilt, tilt_nuisance
from causal.design.weighting.weights import Nuisance, Weights
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SETTLED = 1e-10
ESTIMAND = "average dose-response"


def density_weights(
    exposure: FloatArray,
    covariates: FloatArray,
    *,
    names: Sequence[str],
    heteroscedastic: bool = False,
    truncate: tuple[float, float] | float | None = None,
    memory: float = MEMORY,
) -> Weights:
    """Stabilised generalised-propensity weights ``f(a) / f(a | x)`` with normal densities.

    Parameters
    ----------
    exposure, covariates
        (n,) exposure a and (n, p) covariates x known before it, finite.
    names
        p names, for refusals.
    heteroscedastic
        Whether the logarithm of the exposure's conditional standard deviation is linear in the covariates too, instead
        of constant.
    truncate
        Two quantiles, or the largest weight allowed, as in `propensity_weights`.
    memory
        Gigabytes allowed.

    Raises
    ------
    DesignError
        ``design.not_finite``, ``design.constant_covariate``, ``design.constant_exposure``,
        ``design.determined_exposure`` (by the covariates), ``design.not_converged``, ``design.truncate``,
        ``design.memory``.

    Notes
    -----
    Robins, Hernan & Brumback (2000), Epidemiology 11:550-560; Hirano & Imbens (2004). ``a | x ~ N(x'b, exp(2 x'g))`` by
    maximum likelihood (Fisher scoring; g is an intercept when homoscedastic), ``a ~ N(m, s^2)`` marginally. The
    variance of the weights can be infinite when the conditional spread is less than ``s / sqrt 2``: look at the
    effective sample size, or balance instead.

    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(2000, 1))
    >>> dose = x[:, 0] + 2 * rng.normal(size=2000)
    >>> w = density_weights(dose, x, names=["age"]).weight
    >>> bool(abs(weighted_correlations(dose, x, w)[0]) < 0.05 < abs(np.corrcoef(dose, x[:, 0])[0, 1]))
    True
    """
    a = _exposure(exposure)
    mean_terms = determined(balance_terms(covariates, names, memory=memory).rows)
    spread_terms = mean_terms if heteroscedastic else np.ones((a.size, 1))
    residual, log_sd = _normal_model(a, mean_terms, spread_terms)
    marginal = a / a.std()  # centred by _exposure
    weight = np.exp(log_sd - np.log(a.std()) + (residual**2 * np.exp(-2 * log_sd) - marginal**2) / 2)
    if not np.isfinite(weight).all():
        raise DesignError(
            "design.probability", "some exposures are impossible under the model: no weight exists", fix="balance them"
        )
    limited, beyond = truncated(weight, np.ones(a.size, dtype=np.bool_), truncate)
    return Weights(
        weight=limited,
        estimand=ESTIMAND + ("" if truncate is None else ", truncated"),
        estimand_note="" if truncate is None else "Truncated: what confounding the largest weights removed is back.",
        method="stabilised normal density of the exposure"
        + (", its spread depending on covariates" if heteroscedastic else ""),
        nuisance=_density_nuisance(a, residual, log_sd, mean_terms, spread_terms, weight * ~beyond),
    )


def entropy_weights_continuous(
    exposure: FloatArray,
    covariates: FloatArray,
    *,
    names: Sequence[str],
    moments: int = 1,
    interactions: bool = False,
    exposure_moments: int = 1,
    base_weights: FloatArray | None = None,
    nuisance: bool = True,
    memory: float = MEMORY,
) -> Weights:
    """Of all weights that make exposure and covariates uncorrelated and keep their means, those nearest to equal ones.

    Parameters
    ----------
    exposure, covariates
        (n,) exposure and (n, p) covariates known before it, finite.
    names
        p names, for refusals.
    moments, interactions
        Powers of the covariates, and their pairwise products, that are made uncorrelated with the exposure and whose
        means are kept, as in `entropy_weights`.
    exposure_moments
        Powers of the exposure, 1 to 3, that are made uncorrelated with all of these and whose means are kept.
    base_weights, nuisance, memory
        As in `entropy_weights`.

    Returns
    -------
    Weights that sum to n.

    Raises
    ------
    DesignError
        As `entropy_weights`, and ``design.constant_exposure``; ``design.cannot_balance`` names the covariates (or
        ``exposure x covariate``) that no positive weights balance.

    Notes
    -----
    Tubbicke (2022), J Econom Methods 11:71-89; Vegetabile et al. (2021), Health Serv Outcomes Res Methodol 21:69-110.

    >>> x, dose = np.array([[0.0], [1], [2], [0.5], [1.5]]), np.array([1.0, 2, 3, 4, 0])
    >>> w = entropy_weights_continuous(dose, x, names=["age"]).weight
    >>> [round(float(abs(r)), 9) for r in weighted_correlations(dose, x, w)], round(float(w.sum()), 9)
    ([0.0], 5.0)
    """
    a = _exposure(exposure)
    base = checked_base(base_weights, a.size)
    terms = balance_terms(covariates, names, moments=moments, interactions=interactions, memory=memory)
    doses = balance_terms(a[:, None], ["exposure"], moments=exposure_moments, memory=memory)
    columns = (len(terms.names) + 1) * len(doses.names)
    require_memory(
        32.0 * a.size * columns, limit=memory, work=f"balancing {columns} terms", instead="balance fewer terms"
    )
    alone = np.column_stack([terms.rows, doses.rows[:, 1:]])
    crossed = [dose[:, None] * terms.rows[:, 1:] for dose in doses.rows[:, 1:].T]
    labels = [f"{dose} x {term}" for dose in doses.names[1:] for term in terms.names[1:]]
    rows = np.ascontiguousarray(np.column_stack([alone, *crossed]))
    start = np.zeros(rows.shape[1])
    start[0] = np.log(a.size / base.sum())
    found = tilt(
        rows,
        np.ones(a.size),
        base,
        held=np.arange(rows.shape[1]) < alone.shape[1],
        start=start,
        names=[*terms.names, *doses.names[1:], *labels],
        task="make the exposure unrelated to the covariates",
    )
    return Weights(
        weight=found.weight,
        estimand=ESTIMAND,
        estimand_note="",
        method="entropy balancing of a continuous exposure",
        nuisance=tilt_nuisance([found]) if nuisance else None,
    )


def weighted_correlations(exposure: FloatArray, covariates: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted Pearson correlation (p,) of the exposure with each covariate; beyond .1 is imbalance.

    Zhu, Coffman & Ghosh (2015), J Causal Inference 3:25-40. Arguments (n,), (n, p), (n,) with weights of 0 or more.

    Raises
    ------
    DesignError
        ``design.empty_arm`` without weight; ``design.constant_exposure``, ``design.constant_covariate`` where what has
        weight does not vary.

    >>> x = np.array([[1.0], [2], [4]])
    >>> weighted_correlations(np.array([2.0, 4, 8]), x, np.array([1.0, 1, 2])).round(12).tolist()
    [1.0]
    """
    w = np.asarray(weights, dtype=np.float64)
    if not w.sum() > 0:
        raise DesignError("design.empty_arm", "no occasion has weight: there is no correlation")
    a = exposure - np.average(exposure, weights=w)
    x = covariates - np.average(covariates, axis=0, weights=w)
    exposure_square, squares = float(w @ a**2), w @ x**2
    if not exposure_square > 0:
        raise DesignError("design.constant_exposure", "the exposure has one value only")
    if not (squares > 0).all():
        raise DesignError("design.constant_covariate", f"{int((squares == 0).sum())} covariates have one value only")
    return np.asarray((w * a) @ x / np.sqrt(exposure_square * squares), dtype=np.float64)


def _exposure(exposure: FloatArray) -> FloatArray:
    """The exposure minus its mean; refuses missing values and an exposure that does not vary."""
    a = np.asarray(exposure, dtype=np.float64)
    if not np.isfinite(a).all():
        raise DesignError("design.not_finite", "the exposure is missing or infinite for some occasions")
    if a.size == 0 or np.ptp(a) == 0:
        raise DesignError("design.constant_exposure", "the exposure has one value only", fix="check its extraction")
    return np.asarray(a - a.mean(), dtype=np.float64)


def _normal_model(a: FloatArray, mean_terms: FloatArray, spread_terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Residuals and log conditional standard deviations (n,) at the maximum of the normal likelihood.

    Fisher scoring: b by weighted least squares, then g by ``(2 V'V)^-1 V'(r^2/s^2 - 1)`` added, until g settles.
    """
    residual = a - mean_terms @ (mean_terms.T @ a)  # the columns are orthonormal
    if not residual.std() > 1e-8 * a.std():
        raise DesignError("design.determined_exposure", "the covariates determine the exposure: no weight removes that")
    inverse = np.linalg.inv(spread_terms.T @ spread_terms)
    spread = inverse @ spread_terms.sum(axis=0) * np.log(residual.std())  # the same for everyone, to begin with
    for _ in range(200):
        precision = np.exp(-2 * (spread_terms @ spread))
        b = np.linalg.solve((mean_terms * precision[:, None]).T @ mean_terms, mean_terms.T @ (a * precision))
        residual = a - mean_terms @ b
        step = inverse @ (spread_terms.T @ (residual**2 * precision - 1)) / 2
        spread = spread + step
        if np.abs(step).max() < SETTLED:
            return residual, spread_terms @ spread
    raise DesignError("design.not_converged", "the model of the exposure did not converge", fix="drop covariates")


def _density_nuisance(
    a: FloatArray,
    residual: FloatArray,
    log_sd: FloatArray,
    mean_terms: FloatArray,
    spread_terms: FloatArray,
    weight: FloatArray,
) -> Nuisance:
    """Scores of (b, g) in the conditional density and of (m, log s) in the marginal one.

    The logarithm of a weight is the marginal log density minus the conditional one, so its derivative is the marginal
    score minus the conditional score.
    """
    precision = np.exp(-2 * log_sd)
    square = residual**2 * precision
    conditional = np.column_stack([mean_terms * (residual * precision)[:, None], spread_terms * (square - 1)[:, None]])
    variance = a.var()
    marginal = np.column_stack([a / variance, a**2 / variance - 1])
    crossed = -2 * mean_terms.T @ (spread_terms * (residual * precision)[:, None])
    k = mean_terms.shape[1] + spread_terms.shape[1]
    jacobian = np.zeros((k + 2, k + 2))
    jacobian[:k, :k] = np.block(
        [
            [-(mean_terms * precision[:, None]).T @ mean_terms, crossed],
            [crossed.T, -2 * (spread_terms * square[:, None]).T @ spread_terms],
        ]
    )
    jacobian[k:, k:] = np.diag([-a.size / variance, -2.0 * a.size])
    return Nuisance(
        psi=np.column_stack([conditional, marginal]),
        jacobian=jacobian,
        gradient=weight[:, None] * np.column_stack([-conditional, marginal]),
    )
