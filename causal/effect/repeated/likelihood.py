"""Likelihood of the repeated measures given their covariance, its derivatives, and the search for its maximum.

With ``V_i`` the covariance of subject i's visits, beta profiled out and ``Phi = (X'V^-1 X)^-1``, the function made
small is ``sum log|V_i| + log|X'V^-1 X| + r'V^-1 r``, without its middle term for ML. The first and second derivatives
are those of Lindstrom & Bates (1988), J Am Stat Assoc 83:1014-1022; the average of observed and expected information,
free of traces and never indefinite, is that of Gilmour, Thompson & Cullis (1995), Biometrics 51:1440-1450.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from causal.effect.repeated.patterns import PatternSums, visit_moments, weighted_grams
from causal.effect.repeated.structures import Covariance, Structure, covariance, starting_values
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
STEPS = 200
CONVERGED = 1e-14  # Newton decrement: how much smaller, in units of -2 log likelihood, a full step promises to make it
CERTIFIED = 1e-8  # the same, where rounding ends the search
CONVEX, FLAT = 1e-9, 1e-2  # least curvatures, in units of the average information, of Newton's step and of the other
SINGULAR, NEARLY = 1e-8, 1e-4  # least eigenvalue of the correlations: of any, and of one where the search ended


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """The likelihood at one covariance.

    Attributes
    ----------
    objective
        -2 log likelihood, without its constants.
    beta, phi
        (p,) coefficients and (p, p) their covariance were the covariance of the visits known.
    omega
        (G, T, T) inverse covariance of each pattern, 0 at visits not seen.
    """

    objective: float
    beta: FloatArray
    phi: FloatArray
    omega: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derivatives:
    """Derivatives of the objective with respect to the K parameters of all groups.

    Attributes
    ----------
    gradient, hessian, average
        (K,), (K, K) observed, and (K, K) the average of observed and expected.
    forms
        (K, p, p): ``X' V^-1 (dV/dtheta) V^-1 X``, which is minus the derivative of ``Phi^-1``.
    """

    gradient: FloatArray
    hessian: FloatArray
    average: FloatArray
    forms: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum:
    """Where the likelihood is greatest: one covariance per group, the profile there, and the proof."""

    covariances: tuple[Covariance, ...]
    profile: Profile
    derivatives: Derivatives
    decrement: float
    steps: int


def profile(sums: PatternSums, covariances: tuple[Covariance, ...], *, reml: bool) -> Profile | None:
    """Likelihood and generalised least squares at given covariances; None where one is not positive definite."""
    both = sums.seen[:, :, None] & sums.seen[:, None, :]
    values = np.stack([c.value for c in covariances])[sums.groups]
    filled = np.where(both, values, np.eye(sums.seen.shape[1]))
    try:
        triangle = np.linalg.cholesky(filled)
        omega = np.where(both, np.linalg.inv(filled), 0.0)
        gram = weighted_grams(sums, omega[:, None])[0]
        factor = cho_factor(gram[:-1, :-1], lower=True)
    except (np.linalg.LinAlgError, LinAlgError, ValueError):  # ValueError: overflow left no finite number
        return None
    beta = cho_solve(factor, gram[:-1, -1])
    logs = 2 * np.log(np.diagonal(triangle, axis1=1, axis2=2)).sum(axis=1)
    objective = float(sums.counts @ logs + gram[-1, -1] - gram[:-1, -1] @ beta)
    if reml:
        objective += 2 * float(np.log(np.diag(factor[0])).sum())
    return Profile(objective=objective, beta=beta, phi=cho_solve(factor, np.eye(beta.size)), omega=omega)


def derivatives(sums: PatternSums, at: Profile, covariances: tuple[Covariance, ...], *, reml: bool) -> Derivatives:
    """First and second derivatives of the objective at a profile."""
    p, n_visits = at.beta.size, sums.seen.shape[1]
    error = np.append(-at.beta, 1.0)
    residual = visit_moments(sums, np.outer(error, error))
    excess = residual + visit_moments(sums, np.pad(at.phi, (0, 1))) if reml else residual
    size = covariances[0].first.shape[0]
    n_parameters = size * len(covariances)
    gradient, hessian, average = np.zeros(n_parameters), np.zeros((n_parameters,) * 2), np.zeros((n_parameters,) * 2)
    kernels = np.zeros((sums.counts.size, n_parameters, n_visits, n_visits))
    for j, found in enumerate(covariances):
        mine, own = slice(j * size, (j + 1) * size), sums.groups == j
        omega, counts = at.omega[own], sums.counts[own, None, None]
        change = omega[:, None] @ found.first  # Omega dSigma, (g, k, T, T)
        slope = (counts * omega - omega @ excess[own] @ omega).sum(axis=0)
        gradient[mine] = np.tensordot(found.first, slope, 2)
        hessian[mine, mine] = np.tensordot(found.second, slope, 2) + _traces(
            change, 2 * omega @ excess[own] - counts * np.eye(n_visits)
        )
        average[mine, mine] = _traces(change, omega @ residual[own])
        kernels[own, mine] = change @ omega[:, None]
    forms = weighted_grams(sums, kernels)
    pull = forms[:, :p] @ error  # X' V^-1 dV V^-1 r, (K, p)
    known = pull @ at.phi @ pull.T
    if reml:
        spread = at.phi @ forms[:, :p, :p]
        flat = spread.reshape(n_parameters, -1)
        hessian -= flat @ spread.transpose(0, 2, 1).reshape(n_parameters, -1).T
    return Derivatives(gradient=gradient, hessian=hessian - 2 * known, average=average - known, forms=forms[:, :p, :p])


def maximise(sums: PatternSums, structure: Structure, *, n_groups: int, reml: bool) -> Maximum:
    """Newton's method with a line search that never leaves the positive definite matrices.

    Raises
    ------
    EstimationError
        ``estimation.covariance_not_identified``: visits never seen together in one subject.
        ``estimation.singular_covariance``: scores of one visit determine those of another, or too few subjects.
        ``estimation.not_converged``: no maximum found.
    """
    n_visits = sums.seen.shape[1]
    theta = np.concatenate([starting_values(structure, _moments(sums, j)) for j in range(n_groups)])
    covariances = _covariances(structure, theta, n_groups, n_visits)
    _refuse_unseen(sums, covariances)
    at = profile(sums, covariances, reml=reml)
    for step in range(STEPS):
        _refuse_singular(covariances, SINGULAR)
        if at is None:
            break
        found = derivatives(sums, at, covariances, reml=reml)
        direction = _direction(found)
        decrement = float(-found.gradient @ direction)
        if decrement <= CONVERGED:
            return _certified(covariances, at, found, decrement, step)
        length, trial = 1.0, None
        while length > 1e-10:
            ahead = _covariances(structure, theta + length * direction, n_groups, n_visits)
            trial = profile(sums, ahead, reml=reml)
            rounding = 1e-12 * abs(at.objective)
            if trial is not None and trial.objective <= at.objective - 1e-4 * length * decrement + rounding:
                break
            length /= 2
        else:
            return _certified(covariances, at, found, decrement, step)
        theta, covariances, at = theta + length * direction, ahead, trial
    raise _not_converged(covariances)


def _traces(change: FloatArray, weight: FloatArray) -> FloatArray:
    """``sum_g tr(A_a A_b F)`` (k, k) for A = change (g, k, T, T) and F = weight (g, T, T)."""
    k = change.shape[1]
    right = (change @ weight[:, None]).transpose(1, 0, 3, 2).reshape(k, -1)
    return np.asarray(change.transpose(1, 0, 2, 3).reshape(k, -1) @ right.T)


def _direction(found: Derivatives) -> FloatArray:
    """Newton's step where the surface is convex; else that of the average information, held up where it is flat."""
    size = np.sqrt(np.diag(found.average))
    slope = found.gradient / size
    values, vectors = np.linalg.eigh(found.hessian / np.outer(size, size))
    if values[0] <= CONVEX:
        values, vectors = np.linalg.eigh(found.average / np.outer(size, size))
        values = np.maximum(values, FLAT)
    return np.asarray(-(vectors @ ((vectors.T @ slope) / values)) / size)


def _certified(
    covariances: tuple[Covariance, ...], at: Profile, found: Derivatives, decrement: float, steps: int
) -> Maximum:
    """The maximum, if the gradient and the curvature prove it to be one."""
    size = np.sqrt(np.diag(found.average))
    if not (decrement <= CERTIFIED and np.linalg.eigvalsh(found.hessian / np.outer(size, size))[0] > CONVEX):
        raise _not_converged(covariances)
    return Maximum(covariances=covariances, profile=at, derivatives=found, decrement=decrement, steps=steps)


def _covariances(structure: Structure, theta: FloatArray, n_groups: int, n_visits: int) -> tuple[Covariance, ...]:
    return tuple(covariance(structure, part, n_visits) for part in np.split(theta, n_groups))


def _moments(sums: PatternSums, group: int) -> FloatArray:
    """Covariances (T, T) of the scores of a group, each from the subjects seen at both visits; 0 where there are none.

    The scores are residuals of ordinary least squares.
    """
    own = sums.groups == group
    only_score = np.zeros((sums.n_columns + 1,) * 2)
    only_score[-1, -1] = 1
    total = visit_moments(sums, only_score)[own].sum(axis=0)
    seen = sums.seen[own].astype(np.float64)
    together = (seen * sums.counts[own, None]).T @ seen
    if not (np.diag(total) > 0).all():
        raise _singular()
    return np.asarray(total / np.maximum(together, 1))


def _refuse_unseen(sums: PatternSums, covariances: tuple[Covariance, ...]) -> None:
    """Refuse a parameter that no subject's pair of visits depends on."""
    for j, found in enumerate(covariances):
        seen = sums.seen[sums.groups == j].astype(np.float64)
        together = seen.T @ seen > 0
        if not ((found.first != 0) & together).any(axis=(1, 2)).all():
            raise EstimationError(
                "estimation.covariance_not_identified",
                "two visits were never both attended by one patient, so their covariance is unknown",
                fix="leave one of the visits out, or take a structure with fewer parameters (compound symmetry)",
            )


def _refuse_singular(covariances: tuple[Covariance, ...], least: float) -> None:
    for found in covariances:
        sd = np.sqrt(np.diag(found.value))
        if not np.linalg.eigvalsh(found.value / np.outer(sd, sd))[0] > least:
            raise _singular()


def _singular() -> EstimationError:
    return EstimationError(
        "estimation.singular_covariance",
        "the residual covariance of the visits is singular: scores at some visits determine those at another, "
        "or there are too few patients",
        fix="leave a visit out, adjust for fewer covariates, or take a structure with fewer parameters",
    )


def _not_converged(covariances: tuple[Covariance, ...]) -> EstimationError:
    """The refusal where no maximum was proved; a search that ended close to a singular matrix was on its way there."""
    _refuse_singular(covariances, NEARLY)
    return EstimationError(
        "estimation.not_converged",
        "the likelihood of the repeated measures has no maximum that could be confirmed",
        fix="take a structure with fewer parameters (compound symmetry), or leave out a visit with few scores",
    )
