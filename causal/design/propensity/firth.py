"""Firth's penalised likelihood for few events: logistic regression without its small-sample bias, always finite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.propensity.logistic import Climb, climb, expit, null_start
from causal.design.propensity.separation import not_converged
from causal.design.propensity.sums import BLOCK, Regression, Sums, add_scores, gram, standardised_rows, sums

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FIRTH_BELOW = 10.0  # events per parameter under which maximum likelihood gives way to Firth

CELLS_PER_BLOCK = 4_000_000  # products of three columns formed at once, to bound memory


def firth_logistic(design: FloatArray, treated: BoolArray, *, offset: FloatArray | None = None) -> FloatArray:
    """Coefficients maximising Firth's penalised likelihood, log L + log|X'WX|/2.

    Parameters
    ----------
    design
        (n, k) of full column rank, its intercept included.
    treated
        (n,) true for an event.
    offset
        (n,) added to the log odds; None for none.

    Returns
    -------
    (k,) coefficients solving ``X'(y - p + h(1/2 - p)) = 0``, where h are the leverages of ``W^(1/2) X`` and
    ``W = p(1 - p)``. Finite under separation.

    Raises
    ------
    DesignError
        ``design.not_converged``.

    >>> none_of_twenty = firth_logistic(np.ones((20, 1)), np.zeros(20, dtype=bool))
    >>> round(float(none_of_twenty[0]), 6)  # log((0 + 1/2) / (20 - 0 + 1/2))
    -3.713572
    """
    x = np.require(design, dtype=np.float64, requirements=["C", "W"])
    scale = np.sqrt((x**2).mean(axis=0))
    regression = Regression(
        x=x,
        centre=np.zeros(x.shape[1]),
        scale=np.where(scale > 0, scale, 1.0),
        outcome=np.asarray(treated, dtype=np.float64),
        offset=np.empty(0) if offset is None else np.asarray(offset, dtype=np.float64),
        intercept=False,
    )
    return np.asarray(penalised_likelihood(regression).beta / regression.scale, dtype=np.float64)


def penalised_likelihood(regression: Regression) -> Climb:
    """The maximum of Firth's objective: by scoring, and by Newton's method once scoring slows down under separation.

    Raises
    ------
    DesignError
        ``design.not_converged``.

    Notes
    -----
    Firth (1993), Biometrika 80:27-38; Heinze & Schemper (2002), Stat Med 21:2409-2419. The objective is not concave: on
    a handful of rows that separation splits it can have two maxima. The climb starts without slopes, as logistf does.
    """
    whitened, back = _whitened(regression)

    def step(beta: FloatArray, logit: FloatArray, here: Sums, slow: bool) -> FloatArray:  # noqa: ARG001 - a Step
        curvature = _curvature(whitened, logit, here.information) if slow else here.information
        return np.asarray(np.linalg.solve(curvature, here.score), dtype=np.float64)

    found = climb(partial(_penalised, whitened), step, null_start(whitened), regression.outcome.size)
    if not found.settled:
        raise not_converged()
    forward = np.linalg.inv(back)
    information = forward.T @ found.sums.information @ forward
    return replace(found, beta=back @ found.beta, sums=replace(found.sums, information=information))


def _whitened(regression: Regression) -> tuple[Regression, FloatArray]:
    """The regression on uncorrelated columns, and the map (q, q) of its coefficients to those of the columns given.

    The penalty is the same for any columns of the same span, but needs the inverse information itself, which columns
    that nearly repeat one another would spoil.
    """
    r, lead = regression, int(regression.intercept)
    correlation = gram(r.x, r.centre)[1:, 1:] / np.outer(r.scale, r.scale)
    try:
        mix = np.linalg.inv(np.linalg.cholesky(correlation)).T
    except np.linalg.LinAlgError as singular:
        raise not_converged() from singular
    k = r.scale.size
    x = np.empty(r.x.shape)
    _mix()(r.x, r.centre, np.zeros(k), np.ascontiguousarray(mix / r.scale[:, None]), x)
    back = np.eye(k + lead)
    back[lead:, lead:] = mix
    return replace(r, x=x, centre=np.zeros(k), scale=np.ones(k)), back


def _penalised(
    regression: Regression,
    beta: FloatArray,
    logit: FloatArray,
    known: FloatArray | None,  # noqa: ARG001 - the penalty needs the information as it is
) -> Sums:
    """The sums of a plain regression with Firth's penalty added to value and score."""
    plain = sums(regression, beta, logit)
    try:
        whitener = np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(plain.information)).T)
    except np.linalg.LinAlgError:
        return replace(plain, value=-np.inf)
    r, lead, q = regression, int(regression.intercept), beta.size
    constant = whitener[0] if lead else np.zeros(q)
    extra = np.zeros(q)
    for begin in range(0, logit.size, BLOCK):
        rows = slice(begin, begin + BLOCK)
        p = expit(logit[rows])
        white = np.empty((p.size, q))
        _mix()(r.x[rows], r.centre, constant, whitener[lead:], white)
        leverage = p * (1 - p) * (white**2).sum(axis=1)
        add_scores(regression, rows, leverage * (0.5 - p), extra)
    half_log_determinant = -float(np.log(np.diag(whitener)).sum())
    return replace(plain, value=plain.value + half_log_determinant, score=plain.score + extra)


@cache
def _mix() -> Callable[..., Any]:
    return compiled(mix_columns)


def mix_columns(x: FloatArray, centre: FloatArray, constant: FloatArray, matrix: FloatArray, mixed: FloatArray) -> None:
    """``constant + (x - centre) matrix`` of every row, into mixed (n, q)."""
    for i in range(x.shape[0]):
        for m in range(mixed.shape[1]):
            mixed[i, m] = constant[m]
        for j in range(x.shape[1]):
            z = x[i, j] - centre[j]
            for m in range(mixed.shape[1]):
                mixed[i, m] += z * matrix[j, m]


def _curvature(regression: Regression, logit: FloatArray, information: FloatArray) -> FloatArray:
    """Minus the second derivative (q, q) of Firth's objective, made positive definite.

    ``I - [tr(I^-1 I_jl) - tr(I^-1 I_j I^-1 I_l)] / 2`` with I_j and I_jl the derivatives of the information I. Relative
    to I its eigenvalues are taken as they are above 1/100, otherwise by size and no less than that: far from the
    maximum the objective is not concave.
    """
    q = information.shape[0]
    root = np.linalg.cholesky(information)
    first, second = np.zeros((q, q * q)), np.zeros((q, q))
    for begin in range(0, logit.size, block := max(1, CELLS_PER_BLOCK // (q * q))):
        rows = slice(begin, begin + block)
        design = standardised_rows(regression, rows)
        p = expit(logit[rows])
        w = p * (1 - p)
        white = np.linalg.solve(root, design.T).T
        pairs = (white[:, :, None] * white[:, None, :]).reshape(-1, q * q)
        first += (design * (w * (1 - 2 * p))[:, None]).T @ pairs
        second += design.T @ (design * (w * (1 - 6 * w) * (white**2).sum(axis=1))[:, None])
    relative = np.linalg.solve(root, np.linalg.solve(root, (second - first @ first.T) / 2).T)
    values, vectors = np.linalg.eigh(np.eye(q) - (relative + relative.T) / 2)
    half = root @ vectors * np.sqrt(np.maximum(np.abs(values), 0.01))
    return np.asarray(half @ half.T, dtype=np.float64)
