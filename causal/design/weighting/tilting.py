"""Exponential tilting: the weights nearest to given ones whose weighted sums equal a target, or the proof of none.

Entropy balancing, calibration and the covariate-balancing propensity score all solve the same equations,
``sum_i w_i r_i = sum_i a_i r_i`` with ``w_i = b_i exp(r_i'beta)``: the minimum of the convex function
``F(beta) = sum_i b_i exp(r_i'beta) - sum_i a_i r_i'beta`` (Deville & Sarndal 1992, JASA 87:376-382; Zhao 2019, Ann Stat
47:965-993). Newton's method with a line search finds it; where it does not exist a linear programme names the terms
that stand in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.design.weighting.weights import Nuisance
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SETTLED = 1e-11  # largest |sum w r - target| / sum w at a solution, in standard deviations of a term
PATIENCE = 30  # Newton steps after which the existence of a solution is questioned
LAST_STEP = 200
SUSPICIOUS = 15.0  # range of log weights from which a solution may be one at infinity
REDUNDANT = 1e-12  # share of the largest eigenvalue below which a combination of terms is the same for everyone
WARM_FROM = 200_000  # rows from which a regular sample finds the neighbourhood of the solution
SAMPLE = 20_000
CUTS = 2_000  # rows added to the linear programme at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tilt:
    """Solution of the balancing equations.

    Attributes
    ----------
    weight
        (n,) ``b exp(r'beta)``; 0 where the base weight is 0.
    share, held
        (n,) a, each row's part in the target; (k,) terms it has a part in.
    rows
        (n, k) the terms r.
    basis
        (k, q) combinations of terms that differ between rows; all others are balanced whatever the weights.
    curvature
        (k, k) ``sum w r r'``.
    """

    weight: FloatArray
    share: FloatArray
    held: BoolArray
    rows: FloatArray
    basis: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    rows: FloatArray  # (n, k)
    offset: FloatArray  # (n,) logarithm of the base weight
    target: FloatArray  # (k,)
    basis: FloatArray  # (k, q)
    total: float  # what gaps are measured against


def tilt(
    rows: FloatArray,
    share: FloatArray,
    base: FloatArray,
    *,
    held: BoolArray | None = None,
    start: FloatArray,
    names: Sequence[str],
    task: str,
) -> Tilt:
    """Weights ``b exp(r'beta)`` with ``sum w r = sum a r``.

    Parameters
    ----------
    rows
        (n, k) terms r near unit scale, C-contiguous.
    share
        (n,) a: each row's part in the target.
    base
        (n,) b of 0 or more: the weights to stay near.
    held
        (k,) terms whose sum is to be that of the target; the others are to sum to 0. None for all.
    start
        (k,) beta to begin with.
    names
        k names of the terms; one that begins with ``(`` is not a covariate and is not named in a refusal.
    task
        What such weights would do, for the refusal: ``"give the comparisons the means of the treated"``.

    Raises
    ------
    DesignError
        ``design.cannot_balance``: the target lies outside, or on the edge of, what positive weights can reach.
        ``design.not_converged``.

    >>> x = np.array([[1.0, 0], [1, 1], [1, 2]])
    >>> found = tilt(x, np.array([0.0, 0, 1.5]) + 0.5, np.ones(3), start=np.zeros(2), names=["(n)", "x"], task="agree")
    >>> (x.T @ found.weight).round(9).tolist()  # as sum a r
    [3.0, 4.5]
    """
    held = np.ones(len(names), dtype=np.bool_) if held is None else held
    target = _sums(rows, share) * held
    basis = _varying(_curvature(rows, base))
    with np.errstate(divide="ignore"):
        offset = np.log(base)  # minus infinity for rows that get no weight
    problem = _Problem(rows=rows, offset=offset, target=target, basis=basis, total=float(np.abs(share).sum()))
    beta, weight, settled = _newton(problem, _warm(problem, start), PATIENCE)
    if not settled or _log_range(weight) > SUSPICIOUS:
        blocking = _blocking(rows[base > 0], target, tuple(names))
        if blocking:
            listed = ", ".join(blocking)
            raise DesignError(
                "design.cannot_balance",
                f"no positive weights {task}: the groups do not overlap in {listed}",
                fix="restrict eligibility to where both groups occur, or balance fewer terms",
            )
    if not settled:
        beta, weight, settled = _newton(problem, beta, LAST_STEP)
    if not settled:
        raise DesignError(
            "design.not_converged",
            f"the search for weights that {task} did not converge: the terms nearly repeat one another",
            fix="balance fewer terms",
        )
    return Tilt(
        weight=weight,
        share=share,
        held=held,
        rows=rows,
        basis=basis if basis.shape[1] < len(names) else np.eye(len(names)),
        curvature=_curvature(rows, weight),
    )


def tilt_nuisance(tilts: Sequence[Tilt]) -> Nuisance:
    """Estimating functions ``(a_i - w_i) r_i`` of independent tilts of the same n rows, side by side."""
    ends = np.cumsum([0, *(t.basis.shape[1] for t in tilts)])
    psi, gradient = np.empty((tilts[0].weight.size, ends[-1])), np.empty((tilts[0].weight.size, ends[-1]))
    jacobian = np.zeros((ends[-1], ends[-1]))
    for t, first, end in zip(tilts, ends, ends[1:], strict=False):
        _combine(t, t.weight[:, None], gradient[:, first:end])
        _combine(
            t,
            (t.share - t.weight)[:, None] if t.held.all() else np.outer(t.share, t.held) - t.weight[:, None],
            psi[:, first:end],
        )
        jacobian[first:end, first:end] = -t.basis.T @ t.curvature @ t.basis
    return Nuisance(psi=psi, jacobian=jacobian, gradient=gradient)


def _combine(t: Tilt, factor: FloatArray, out: FloatArray) -> None:
    """The terms times a factor, in the combinations that vary, into (n, q) `out`."""
    if t.basis.shape[0] == t.basis.shape[1]:  # all of them: the terms themselves
        np.multiply(t.rows, factor, out=out)
    else:
        np.matmul(t.rows * factor, t.basis, out=out)


def determined(rows: FloatArray) -> FloatArray:
    """(n, q) combinations of the terms that vary between rows, orthogonal and with mean square 1/n.

    >>> determined(np.array([[1.0, 2, 0], [1, 2, 1]])).shape  # the second column repeats the first
    (2, 2)
    """
    return np.asarray(rows @ _varying(_curvature(rows, np.ones(rows.shape[0]))), dtype=np.float64)


def _newton(problem: _Problem, beta: FloatArray, steps: int) -> tuple[FloatArray, FloatArray, bool]:
    """Beta, weights and whether the equations hold, after at most so many Newton steps."""
    eta = _linear()(problem.rows, beta)
    value, weight = _objective(problem, eta, beta)
    for _ in range(steps):
        gap = _sums(problem.rows, weight) - problem.target
        if np.abs(gap).max() <= SETTLED * problem.total:
            return beta, weight, True
        slope = problem.basis.T @ gap
        curvature = problem.basis.T @ _curvature(problem.rows, weight) @ problem.basis
        try:
            step = problem.basis @ np.linalg.solve(curvature, -slope)
        except np.linalg.LinAlgError:
            return beta, weight, False
        along = _linear()(problem.rows, step)
        fall = float(gap @ step)
        size = 1.0
        while True:
            trial, moved = _objective(problem, eta + size * along, beta + size * step)
            if trial <= value + 1e-4 * size * fall + 1e-13 * abs(value):
                break
            size /= 2
            if size < 1e-10:
                return beta, weight, False
        beta, eta, value, weight = beta + size * step, eta + size * along, trial, moved
    return beta, weight, False


def _objective(problem: _Problem, eta: FloatArray, beta: FloatArray) -> tuple[float, FloatArray]:
    """F(beta) and the weights; infinite where a weight overflows."""
    with np.errstate(over="ignore"):
        weight = np.exp(eta + problem.offset)
    value = float(weight.sum() - problem.target @ beta)
    return (value if np.isfinite(value) else np.inf), weight


def _warm(problem: _Problem, start: FloatArray) -> FloatArray:
    """A start near the solution, from every so-manyth row of a large problem."""
    n = problem.offset.size
    if n < WARM_FROM:
        return start
    every = n // SAMPLE
    sample = _Problem(
        rows=np.ascontiguousarray(problem.rows[::every]),
        offset=problem.offset[::every] + np.log(every),
        target=problem.target,
        basis=problem.basis,
        total=problem.total,
    )
    beta, _, settled = _newton(sample, start, PATIENCE)
    return beta if settled else start


def _varying(curvature: FloatArray) -> FloatArray:
    """(k, q) combinations of terms that vary, scaled to unit curvature."""
    length = np.sqrt(np.diag(curvature))
    unit = np.where(length > 0, 1 / np.where(length > 0, length, 1.0), 0.0)
    values, vectors = np.linalg.eigh(curvature * np.outer(unit, unit))
    kept = values > REDUNDANT * values[-1]
    return np.asarray(unit[:, None] * vectors[:, kept] / np.sqrt(values[kept]), dtype=np.float64)


def _log_range(weight: FloatArray) -> float:
    """Logarithm of the largest over the smallest positive weight; infinite where weights vanished."""
    used = weight[weight > 0]
    return float(np.log(used.max()) - np.log(used.min())) if used.size else np.inf


def _blocking(rows: FloatArray, target: FloatArray, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the covariates that rule a solution out; empty where one exists.

    None exists exactly when some direction d has ``r_i'd <= 0`` for every row and ``target'd >= 0``, not all zero: F
    never rises along it. A direction is reduced to the covariates it cannot do without, these are set aside, and the
    search begins again until no direction is left.
    """
    covariate = np.array([not name.startswith("(") for name in names])
    allowed = np.ones(len(names), dtype=np.bool_)
    found = np.zeros(len(names), dtype=np.bool_)
    while (direction := _direction(rows, target, allowed)) is not None:
        needed = allowed.copy()
        for j in np.argsort(np.abs(direction), kind="stable"):
            needed[j] = not covariate[j]
            needed[j] = needed[j] or (allowed[j] and _direction(rows, target, needed) is None)
        blocking = needed & covariate
        if not blocking.any():  # the numbers of rows, or clusters, alone rule it out
            break
        found |= blocking
        allowed &= ~blocking
    return tuple(name for name, named in zip(names, found, strict=True) if named)


def _direction(rows: FloatArray, target: FloatArray, allowed: BoolArray) -> FloatArray | None:
    """(k,) a direction along which F never rises, or None; by linear programming on the rows that matter."""
    from scipy.optimize import linprog

    total = rows.sum(axis=0)
    bounds = [(-1.0, 1.0) if free else (0.0, 0.0) for free in allowed]
    active = np.unique(np.linspace(0, rows.shape[0] - 1, CUTS).astype(np.int64))
    while True:
        inequality = np.vstack([rows[active], -target / max(float(np.abs(target).max()), 1.0)])
        solution = linprog(
            -(target - total) / rows.shape[0],
            A_ub=inequality,
            b_ub=np.zeros(inequality.shape[0]),
            bounds=bounds,
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10},
        )
        if solution.x is None or float((target - total) @ solution.x) <= 1e-6:
            return None
        against = _linear()(rows, np.asarray(solution.x, dtype=np.float64))
        violated = np.flatnonzero(against > 1e-8)
        if violated.size == 0:
            return np.asarray(solution.x, dtype=np.float64)
        worst = violated[np.argsort(-against[violated], kind="stable")[:CUTS]]
        active = np.union1d(active, worst)


def _sums(rows: FloatArray, weight: FloatArray) -> FloatArray:
    return np.asarray(_weighted_sums()(rows, weight), dtype=np.float64)


def _curvature(rows: FloatArray, weight: FloatArray) -> FloatArray:
    return np.asarray(_weighted_squares()(rows, weight), dtype=np.float64)


def linear_loop(rows: FloatArray, beta: FloatArray) -> FloatArray:
    """(n,) ``r'beta``."""
    out = np.empty(rows.shape[0])
    for i in range(rows.shape[0]):
        total = 0.0
        for a in range(rows.shape[1]):
            total += rows[i, a] * beta[a]
        out[i] = total
    return out


def sums_loop(rows: FloatArray, weight: FloatArray) -> FloatArray:
    """(k,) ``sum w r``."""
    out = np.zeros(rows.shape[1])
    for i in range(rows.shape[0]):
        for a in range(rows.shape[1]):
            out[a] += weight[i] * rows[i, a]
    return out


def squares_loop(rows: FloatArray, weight: FloatArray) -> FloatArray:
    """(k, k) ``sum w r r'``, four rows at a time."""
    n, k = rows.shape
    out = np.zeros((k, k))
    whole = n - n % 4
    for i in range(0, whole, 4):
        for a in range(k):
            one, two = weight[i] * rows[i, a], weight[i + 1] * rows[i + 1, a]
            three, four = weight[i + 2] * rows[i + 2, a], weight[i + 3] * rows[i + 3, a]
            for b in range(k):
                out[a, b] += one * rows[i, b] + two * rows[i + 1, b] + three * rows[i + 2, b] + four * rows[i + 3, b]
    for i in range(whole, n):
        for a in range(k):
            for b in range(k):
                out[a, b] += weight[i] * rows[i, a] * rows[i, b]
    return out


@cache
def _linear() -> Any:
    return compiled(linear_loop)


@cache
def _weighted_sums() -> Any:
    return compiled(sums_loop)


@cache
def _weighted_squares() -> Any:
    return compiled(squares_loop)
