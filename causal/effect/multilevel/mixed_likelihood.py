"""The likelihood of a linear mixed model in its variances, and its maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.effect.multilevel.expansion import Expansion, bilinear, inverse, linear, log_determinant, minus, plus
from causal.effect.multilevel.nested import CrossProducts, Layout, Level, columns, cross_products, crossed, marginal
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NOTHING = 1e-7  # share of the residual variance below which a random effect's variance is taken for 0
NO_RESIDUAL = 1e-10  # residual variance, in an outcome of variance one, that stands for none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledModel:
    """The model in columns of length one: fixed = q @ triangle, outcome = q @ first + scale * rest."""

    sums: CrossProducts
    sizes: tuple[int, ...]
    n_groups: int
    n_rows: float
    triangle: FloatArray
    first: FloatArray
    scale: float
    roots: tuple[FloatArray, ...]  # design of each level = scaled design @ root
    restricted: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variances:
    """Covariance (q, q) of each level, residual variances (g,), and the levels whose covariance has no full rank."""

    covariances: tuple[FloatArray, ...]
    residual: FloatArray
    boundary: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solved:
    """Pieces of the likelihood at some variances."""

    log_det: Expansion  # of V, and of the information under REML
    information: Expansion  # (k, k)
    coefficients: FloatArray  # (k,)
    rest: Expansion  # weighted sum of squared residuals


def scaled_model(
    x: FloatArray, y: FloatArray, layout: Layout, groups: IntArray, weights: FloatArray, *, restricted: bool
) -> ScaledModel:
    """Orthonormal columns and an outcome of size one, so that tolerances mean the same in any units.

    Parameters
    ----------
    x, y, groups, weights
        (n, k) independent columns, (n,) outcome, residual group and weight with mean 1 of the rows of `layout`, sorted.
    restricted
        Whether the likelihood is the restricted one.

    Raises
    ------
    EstimationError
        ``estimation.no_variation``, ``estimation.not_identified``.
    """
    n = y.size
    q, triangle = np.linalg.qr(x)
    q, triangle = q * np.sqrt(n), triangle / np.sqrt(n)
    first = q.T @ y / n
    rest = y - q @ first
    scale = float(np.sqrt(rest @ rest / n))
    if scale <= 1e-10 * float(np.abs(y).max()):
        raise EstimationError(
            "estimation.no_variation",
            "the covariates determine the outcome exactly: there is nothing to estimate a variance from",
            fix="describe, do not estimate",
        )
    roots = tuple(_root(level, n) for level in layout.levels)
    even = replace(
        layout,
        levels=tuple(
            replace(level, design=np.asarray(np.linalg.solve(root.T, level.design.T).T))
            for level, root in zip(layout.levels, roots, strict=True)
        ),
    )
    n_groups = int(groups.max()) + 1
    sums = cross_products(even, np.column_stack([q, rest / scale]), groups, n_groups, weights)
    return ScaledModel(
        sums=sums,
        sizes=tuple(root.shape[0] for root in roots),
        n_groups=n_groups,
        n_rows=float(sums.rows.sum()),
        triangle=triangle,
        first=first,
        scale=scale,
        roots=roots,
        restricted=restricted,
    )


def _root(level: Level, n: int) -> FloatArray:
    """Upper (q, q) root of ``Z'Z / n``."""
    try:
        return np.asarray(np.linalg.cholesky(level.design.T @ level.design / n).T)
    except np.linalg.LinAlgError:
        raise EstimationError(
            "estimation.not_identified", f"the columns of the random effects of {level.name} do not vary"
        ) from None


def solve(scaled: ScaledModel, covariances: Sequence[Expansion], residual: Expansion) -> Solved:
    """Generalised least squares at given variances, with derivatives."""
    log_det, total = marginal(scaled.sums, covariances, residual)
    fixed, last = linear(lambda x: x[..., :-1, :], total), linear(lambda x: x[..., -1:, :], total)
    information, right, square = columns(fixed, 0, -1), columns(fixed, -1), columns(last, -1)
    if scaled.restricted:
        log_det = plus(log_det, log_determinant(information))
    found = bilinear(np.matmul, inverse(information), right)
    rest = minus(square, bilinear(crossed, right, found))
    return Solved(
        log_det=log_det,
        information=information,
        coefficients=found.value[:, 0],
        rest=linear(lambda x: x[..., 0, 0], rest),
    )


def maximise(scaled: ScaledModel) -> Variances:
    """Variances, in scaled units, at which the likelihood is highest.

    Raises
    ------
    EstimationError
        ``estimation.no_residual_variance``, ``estimation.not_identified``, ``estimation.not_converged``.
    """
    variances = _climbed(scaled)
    for _ in range(20):
        variances = _at_boundary(variances)
        at = solve(scaled, *in_themselves(variances))
        _refuse_unidentified(-0.5 * second(at.log_det))
        step, decrement = _newton(at, variances)
        variances = _moved(variances, step)
        if abs(decrement) < 1e-10 * scaled.n_rows:  # this step squared the error
            return variances
        if decrement < 0 or (variances.residual <= 0).any():
            break
    raise _not_converged()


def _climbed(scaled: ScaledModel) -> Variances:
    """The maximum to a few digits, from Cholesky factors relative to the first residual variance (profiled out)."""
    from scipy.optimize import minimize

    df = scaled.n_rows - (scaled.triangle.shape[0] if scaled.restricted else 0)

    def deviance(theta: FloatArray) -> tuple[float, FloatArray]:
        at = solve(scaled, *_relative(theta, scaled))
        value = float(at.log_det.value + df * np.log(at.rest.value / df))
        return value, at.log_det.first + df * at.rest.first / at.rest.value

    factors = np.concatenate([np.eye(q)[np.tril_indices(q)] for q in scaled.sizes])
    found = minimize(
        deviance,
        np.r_[factors, np.zeros(scaled.n_groups - 1)],
        jac=True,
        method="L-BFGS-B",
        bounds=[(-1e6, 1e6)] * factors.size + [(-30.0, 30.0)] * (scaled.n_groups - 1),
        options={"maxiter": 1000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-6},
    )
    covariances, residual = _relative(found.x, scaled)
    variance = float(solve(scaled, covariances, residual).rest.value) / df
    if variance * residual.value.min() < NO_RESIDUAL:
        raise EstimationError(
            "estimation.no_residual_variance",
            "rows of the same unit do not differ beyond what the model explains: the residual variance is 0",
            fix="estimate from one row per unit",
        )
    if np.abs(found.jac).max() > 1e-2:
        raise _not_converged()
    return Variances(
        covariances=tuple(variance * one.value for one in covariances), residual=variance * residual.value, boundary=()
    )


def _not_converged() -> EstimationError:
    return EstimationError(
        "estimation.not_converged",
        "the likelihood of the mixed model has no maximum that could be found",
        fix="use fewer random effects",
    )


def _refuse_unidentified(expected: FloatArray) -> None:
    """Refuse variance parameters about which the design holds no information apart from the others'."""
    scale = np.sqrt(np.maximum(np.diag(expected), 1e-300))
    if np.linalg.eigvalsh(expected / np.outer(scale, scale))[0] < 1e-9:
        raise EstimationError(
            "estimation.not_identified",
            "the variances of the random effects cannot be told apart in this sample",
            fix="use fewer random effects",
        )


def _relative(theta: FloatArray, scaled: ScaledModel) -> tuple[list[Expansion], Expansion]:
    """Covariances ``L L'`` and residual variances relative to the first, from lower triangles and logarithms."""
    covariances = []
    for place, rows, right in _triangles(scaled.sizes):
        factor = np.zeros((rows.max() + 1,) * 2)
        factor[rows, right] = theta[place]
        first = np.zeros((theta.size, *factor.shape))
        first[place, rows] = factor.T[right]
        covariances.append(Expansion(value=factor @ factor.T, first=first + first.swapaxes(1, 2), second=None))
    groups = np.arange(1, scaled.n_groups)
    ratio = np.exp(np.r_[0.0, theta[theta.size - groups.size :]])
    slope = np.zeros((theta.size, scaled.n_groups))
    slope[theta.size - groups.size + groups - 1, groups] = ratio[1:]
    return covariances, Expansion(value=ratio, first=slope, second=None)


def in_themselves(variances: Variances) -> tuple[list[Expansion], Expansion]:
    """The variances as functions of their m free values: lower triangles of the covariances, then the residuals."""
    triangles = _triangles([one.shape[0] for one in variances.covariances])
    groups = np.arange(variances.residual.size)
    m = sum(place.size for place, _, _ in triangles) + groups.size
    covariances = []
    for one, (place, rows, right) in zip(variances.covariances, triangles, strict=True):
        first = np.zeros((m, *one.shape))
        first[place, rows, right] = first[place, right, rows] = 1.0
        covariances.append(Expansion(value=one, first=first, second=np.zeros((m, m, *one.shape))))
    slope = np.zeros((m, groups.size))
    slope[m - groups.size + groups, groups] = 1.0
    return covariances, Expansion(value=variances.residual, first=slope, second=np.zeros((m, m, groups.size)))


def _triangles(sizes: Sequence[int]) -> list[tuple[IntArray, IntArray, IntArray]]:
    """For each covariance the places of its parameters, and the rows and columns of its lower triangle."""
    at, found = 0, []
    for q in sizes:
        rows, right = np.tril_indices(q)
        found.append((at + np.arange(rows.size), rows, right))
        at += rows.size
    return found


def _at_boundary(variances: Variances) -> Variances:
    """Eigenvalues of covariances that are next to nothing, or below, set to 0, and their levels listed."""
    boundary, covariances, nothing = set(variances.boundary), [], NOTHING * float(variances.residual.min())
    for i, one in enumerate(variances.covariances):
        values, vectors = np.linalg.eigh(one)
        if values[0] < nothing:
            boundary.add(i)
        covariances.append(
            one if i not in boundary else (vectors * np.where(values < nothing, 0.0, values)) @ vectors.T
        )
    return replace(variances, covariances=tuple(covariances), boundary=tuple(sorted(boundary)))


def _newton(at: Solved, variances: Variances) -> tuple[FloatArray, float]:
    """Step (m,) to the minimum of the deviance as a parabola, boundary levels held, and twice what it should gain."""
    gradient, hessian = at.log_det.first + at.rest.first, second(at.log_det) + second(at.rest)
    free = np.ones(gradient.size, dtype=np.bool_)
    triangles = _triangles([one.shape[0] for one in variances.covariances])
    for i in variances.boundary:
        free[triangles[i][0]] = False
    step = np.zeros(gradient.size)
    step[free] = -np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
    return step, -float(gradient @ step)


def _moved(variances: Variances, step: FloatArray) -> Variances:
    """Variances after a step (m,)."""
    covariances = [one.copy() for one in variances.covariances]
    for one, (place, rows, right) in zip(covariances, _triangles([c.shape[0] for c in covariances]), strict=True):
        one[rows, right] += step[place]
        one[right, rows] = one[rows, right]
    return replace(
        variances,
        covariances=tuple(covariances),
        residual=variances.residual + step[step.size - variances.residual.size :],
    )


def second(a: Expansion) -> FloatArray:
    """Second derivatives (m, m, ...) of an expansion that has them."""
    assert a.second is not None
    return a.second
