"""Standard errors and degrees of freedom, against textbook formulas over all rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.effect.repeated.mmrm import Mmrm

UPPER = np.triu_indices(3)


def linear(values: Any) -> Any:
    """A covariance of three visits from its six entries: the parameters in which it is linear."""
    sigma = np.zeros((3, 3))
    sigma[UPPER] = values
    return np.where(sigma, sigma, sigma.T)


def entries_and_their_covariance(rows: Any, fit: Mmrm) -> tuple[Any, Any]:
    """Fitted entries (6,) and twice the inverse of the numerical curvature of the textbook deviance (6, 6)."""
    at, h = fit.covariance[0][UPPER], 1e-3
    curvature = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            a, b = h * np.eye(6)[i], h * np.eye(6)[j]
            curvature[i, j] = (
                rows.deviance(linear(at + a + b)[None])
                - rows.deviance(linear(at + a - b)[None])
                - rows.deviance(linear(at - a + b)[None])
                + rows.deviance(linear(at - a - b)[None])
            ) / (4 * h**2)
    return at, 2 * np.linalg.inv(curvature)


def test_satterthwaite_is_the_delta_method_of_the_variance(small: Any) -> None:
    """Degrees of freedom from numerical derivatives of c'Phi c in other parameters are the same."""
    fit = small.fit("unstructured")
    at, w = entries_and_their_covariance(small, fit)
    for c in (np.array([0, 0, 0, 0, 0, 1.0, 0]), np.array([0, 0, 0, -1.0, 0, 1, 0]), np.array([1.0, 0, 0, 0, 0, 0, 2])):
        v = c @ small.gls(fit.covariance)[1] @ c
        h = 1e-5
        slope = np.array(
            [
                (c @ (small.gls(linear(at + e)[None])[1] - small.gls(linear(at - e)[None])[1]) @ c) / (2 * h)
                for e in h * np.eye(6)
            ]
        )
        found = fit.contrast(c, "contrast", degrees_of_freedom="satterthwaite")
        assert found.df == pytest.approx(2 * v**2 / (slope @ w @ slope), rel=1e-4)
        assert found.std_error == pytest.approx(np.sqrt(v), rel=1e-9)
        assert fit.contrast(c, "contrast").df == found.df


def test_kenward_roger_is_the_textbook_sum(small: Any) -> None:
    """The adjusted covariance is Phi + 2 Phi (sum W (Q - P Phi P)) Phi over matrices of all rows."""
    fit = small.fit("unstructured")
    _, w = entries_and_their_covariance(small, fit)
    inverse = np.linalg.inv(small.whole(fit.covariance))
    _, phi = small.gls(fit.covariance)
    change = [small.whole(linear(unit)[None]) for unit in np.eye(6)]
    p = [-small.x.T @ inverse @ d @ inverse @ small.x for d in change]
    excess = sum(
        w[i, j] * (small.x.T @ inverse @ change[i] @ inverse @ change[j] @ inverse @ small.x - p[i] @ phi @ p[j])
        for i in range(6)
        for j in range(6)
    )
    assert fit.vcov_kenward_roger is not None
    np.testing.assert_allclose(fit.vcov_kenward_roger, phi + 2 * phi @ excess @ phi, rtol=1e-5, atol=1e-8)
    assert (np.diag(fit.vcov_kenward_roger) >= np.diag(fit.vcov)).all()


def directions() -> list[Any]:
    """Variance and covariance of each of two groups of five visits: parameters in which they are linear."""
    shapes = (np.eye(5), 1 - np.eye(5))
    return [np.stack([shape * (group == 0), shape * (group == 1)]) for group in range(2) for shape in shapes]


def test_kenward_roger_with_a_covariance_for_each_group(longer: Any) -> None:
    """Parameters of different groups share no term of second order, and all their terms of first order."""
    fit, h = longer.fit("compound_symmetry", grouped=True), 1e-3
    sigma, units = fit.covariance, directions()
    inverse = np.linalg.inv(longer.whole(sigma))
    _, phi = longer.gls(sigma)
    signs = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
    curvature = np.array(
        [
            [sum(s * longer.deviance(sigma + h * (i * a + j * b)) for i, j, s in signs) / (4 * h**2) for b in units]
            for a in units
        ]
    )
    w = 2 * np.linalg.inv(curvature)
    change = [longer.whole(unit) for unit in units]
    p = [-longer.x.T @ inverse @ d @ inverse @ longer.x for d in change]
    excess = sum(
        w[i, j] * (longer.x.T @ inverse @ change[i] @ inverse @ change[j] @ inverse @ longer.x - p[i] @ phi @ p[j])
        for i in range(4)
        for j in range(4)
    )
    assert fit.vcov_kenward_roger is not None
    np.testing.assert_allclose(fit.vcov_kenward_roger, phi + 2 * phi @ excess @ phi, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("coarse", [False, True])
def test_cluster_robust_is_the_dense_textbook_one(small: Any, coarse: bool) -> None:
    """CR2 with the fitted working covariance, and its degrees of freedom, from matrices over all rows."""
    fit = small.fit("toeplitz")
    names, position = np.unique(small.subject, return_inverse=True)
    of_subject = names // (5 if coarse else 1)
    cluster = of_subject[position]
    v = small.whole(fit.covariance)
    inverse = np.linalg.inv(v)
    beta, m = small.gls(fit.covariance)
    r = small.y - small.x @ beta
    c = np.array([0, 0, 0, 0, 0, 1.0, 0])
    variance, through = 0.0, []
    residual_maker = np.eye(small.y.size) - small.x @ m @ small.x.T @ inverse
    for g in np.unique(cluster):
        own = np.flatnonzero(cluster == g)
        root = np.linalg.cholesky(v[np.ix_(own, own)])
        back = np.linalg.inv(root)
        hat = back @ small.x[own] @ m @ small.x[own].T @ back.T
        values, vectors = np.linalg.eigh(np.eye(own.size) - hat)
        adjust = root @ (vectors / np.sqrt(values)) @ vectors.T @ back
        unexplained = v[np.ix_(own, own)] - small.x[own] @ m @ small.x[own].T
        np.testing.assert_allclose(adjust @ unexplained @ adjust.T, v[np.ix_(own, own)], atol=1e-9)  # defines CR2
        side = adjust.T @ inverse[np.ix_(own, own)] @ small.x[own] @ m @ c
        variance += float(side @ r[own]) ** 2
        through.append(residual_maker[own].T @ side)
    spread = np.array(through) @ v @ np.array(through).T
    found = fit.contrast(c, "contrast", degrees_of_freedom="cluster_robust", clusters=of_subject if coarse else None)
    assert found.std_error == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert found.df == pytest.approx(np.trace(spread) ** 2 / (spread**2).sum(), rel=1e-8)
    assert np.trace(spread) == pytest.approx(c @ m @ c, rel=1e-9)  # unbiased under the working model


@pytest.mark.parametrize("by", ["cluster_robust", "kenward_roger", "satterthwaite"])
def test_contrasts_together_are_each_of_them(small: Any, by: Any) -> None:
    """Asked for at once or one by one: the same estimates, errors and degrees of freedom."""
    fit = small.fit("toeplitz")
    wanted = np.eye(fit.coefficients.size)[:3] + 0.5
    together = fit.contrasts(wanted, ("a", "b", "c"), degrees_of_freedom=by)
    for one, label, found in zip(wanted, "abc", together, strict=True):
        alone = fit.contrast(one, label, degrees_of_freedom=by)
        assert found.label == alone.label
        assert (found.value, found.std_error, found.df) == pytest.approx(
            (alone.value, alone.std_error, alone.df), rel=1e-12
        )
