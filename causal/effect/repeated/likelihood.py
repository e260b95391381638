"""Likelihood of the repeated measures given their covariance, its derivatives, and the search for its maximum.

With ``V_i`` the covariance of subject i's visits, beta profiled out and ``Phi = (X'V^-1 X)^-1``, the function made
small is ``sum log|V_i| + log|X'V^-1 X| + r'V^-1 r``, without its middle term for ML. The first and second derivatives
are those of Lindstrom & Bates (1988), J Am Stat Assoc 83:1014-1022. Steps are Newton's, with the observed information,
where it is positive definite; else Fisher's, with the expected information ``tr(P dV P dV)``, which always is.
"""

from __future__ import annotations

from collections.abc import Callable
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
CONVEX = 1e-9  # least curvature of a maximum, in units of the expected information
INFORMED = 1e-6  # least expected information on a logarithm of a standard deviation or a correlation
SINGULAR, NEARLY = 1e-8, 1e-4  # least eigenvalue, in units of the first variances: at any step, and where all ended


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
    gradient, hessian, expected
        (K,) first, (K, K) second, and (K, K) the expectation of the second were these the true parameters.
    forms
        (K, p, p): ``X' V^-1 (dV/dtheta) V^-1 X``, which is minus the derivative of ``Phi^-1``.
    """

    gradient: FloatArray
    hessian: FloatArray
    expected: FloatArray
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
    fitted = visit_moments(sums, np.pad(at.phi, (0, 1))) if reml else np.zeros_like(residual)
    size = covariances[0].first.shape[0]
    n_parameters = size * len(covariances)
    gradient, hessian, expected = np.zeros(n_parameters), np.zeros((n_parameters,) * 2), np.zeros((n_parameters,) * 2)
    kernels = np.zeros((sums.counts.size, n_parameters, n_visits, n_visits))
    for j, found in enumerate(covariances):
        mine, own = slice(j * size, (j + 1) * size), sums.groups == j
        omega, counts = at.omega[own], sums.counts[own, None, None]
        change = omega[:, None] @ found.first  # Omega dSigma, (g, k, T, T)
        whole, excess = counts * np.eye(n_visits), residual[own] + fitted[own]
        slope = (whole @ omega - omega @ excess @ omega).sum(axis=0)
        gradient[mine] = np.tensordot(found.first, slope, 2)
        hessian[mine, mine] = np.tensordot(found.second, slope, 2) + _traces(change, 2 * omega @ excess - whole)
        expected[mine, mine] = _traces(change, whole - 2 * omega @ fitted[own])
        kernels[own, mine] = change @ omega[:, None]
    forms = weighted_grams(sums, kernels)
    pull = forms[:, :p] @ error  # X' V^-1 dV V^-1 r, (K, p)
    hessian -= 2 * pull @ at.phi @ pull.T
    if reml:
        spread = at.phi @ forms[:, :p, :p]
        shared = spread.reshape(n_parameters, -1) @ spread.transpose(0, 2, 1).reshape(n_parameters, -1).T
        hessian -= shared
        expected += shared
    return Derivatives(gradient=gradient, hessian=hessian, expected=expected, forms=forms[:, :p, :p])


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
    moments = [_moments(sums, j) for j in range(n_groups)]
    scales = np.stack([np.sqrt(np.diag(m)) for m in moments])

    def place(theta: FloatArray) -> _Place:
        covariances = tuple(covariance(structure, part, n_visits) for part in np.split(theta, n_groups))
        return _Place(theta=theta, covariances=covariances, profile=profile(sums, covariances, reml=reml))

    here = place(np.concatenate([starting_values(structure, m) for m in moments]))
    _refuse_unseen(sums, here.covariances)
    for step in range(STEPS):
        _refuse_singular(here.covariances, scales, SINGULAR)
        if here.profile is None:
            break
        found = derivatives(sums, here.profile, here.covariances, reml=reml)
        direction = _direction(found)
        decrement = float(-found.gradient @ direction)
        there = None if decrement <= CONVERGED else _search(place, here, direction, decrement)
        if there is None:
            if decrement > CERTIFIED or _least_curvature(found) <= CONVEX:
                break
            return Maximum(
                covariances=here.covariances, profile=here.profile, derivatives=found, decrement=decrement, steps=step
            )
        here = there
    _refuse_singular(here.covariances, scales, NEARLY)  # where it was going
    raise EstimationError(
        "estimation.not_converged",
        "the likelihood of the repeated measures has no maximum that could be confirmed",
        fix="take a structure with fewer parameters (compound symmetry), or leave out a visit with few scores",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Place:
    """Parameters of all groups, their covariances, and the likelihood there if there is one."""

    theta: FloatArray
    covariances: tuple[Covariance, ...]
    profile: Profile | None


def _search(
    place: Callable[[FloatArray], _Place], here: _Place, direction: FloatArray, decrement: float
) -> _Place | None:
    """The first of ever shorter steps that lowers the objective as its slope promises (Armijo); None if none does."""
    assert here.profile is not None
    rounding = 1e-12 * abs(here.profile.objective)
    length = min(1.0, 1 / float(np.abs(direction).max()))  # no standard deviation more than e-fold
    while length > 1e-10:
        there = place(here.theta + length * direction)
        promised = here.profile.objective - 1e-4 * length * decrement
        if there.profile is not None and there.profile.objective <= promised + rounding:
            return there
        length /= 2
    return None


def _traces(change: FloatArray, weight: FloatArray) -> FloatArray:
    """``sum_g tr(A_a A_b F)`` (k, k) for A = change (g, k, T, T) and F = weight (g, T, T)."""
    k = change.shape[1]
    right = (change @ weight[:, None]).transpose(1, 0, 3, 2).reshape(k, -1)
    return np.asarray(change.transpose(1, 0, 2, 3).reshape(k, -1) @ right.T)


def _direction(found: Derivatives) -> FloatArray:
    """Newton's step where the surface is convex, else Fisher's."""
    if not np.diag(found.expected).min() > INFORMED:
        raise _singular()
    size = np.sqrt(np.diag(found.expected))
    unit = found.hessian if _least_curvature(found) > CONVEX else found.expected
    values, vectors = np.linalg.eigh(unit / np.outer(size, size))
    return np.asarray(-(vectors @ ((vectors.T @ (found.gradient / size)) / np.maximum(values, CONVEX))) / size)


def _least_curvature(found: Derivatives) -> float:
    """Least eigenvalue of the observed information, in units of the expected."""
    size = np.sqrt(np.diag(found.expected))
    return float(np.linalg.eigvalsh(found.hessian / np.outer(size, size))[0])


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


def _refuse_singular(covariances: tuple[Covariance, ...], scales: FloatArray, least: float) -> None:
    """Refuse eigenvalues that are next to nothing beside the variances (groups, T) the scores have by themselves."""
    for found, sd in zip(covariances, scales, strict=True):
        if not np.linalg.eigvalsh(found.value / np.outer(sd, sd))[0] > least:
            raise _singular()


def _singular() -> EstimationError:
    return EstimationError(
        "estimation.singular_covariance",
        "the residual covariance of the visits is singular: scores at some visits determine those at another, "
        "or there are too few patients",
        fix="leave a visit out, adjust for fewer covariates, or take a structure with fewer parameters",
    )
