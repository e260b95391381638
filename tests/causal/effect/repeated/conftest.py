"""A small trial with missed visits, and the likelihood as textbooks write it: one matrix over all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.effect.repeated.mmrm import Method, Mmrm, mmrm
from causal.effect.repeated.structures import Structure

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows of a design, by subject and visit."""

    x: FloatArray
    y: FloatArray
    subject: NDArray[np.int64]
    visit: NDArray[np.int64]
    weight: FloatArray
    group: NDArray[np.int64]
    n_visits: int

    def fit(self, structure: Structure, method: Method = "REML", *, grouped: bool = False) -> Mmrm:
        """The fit under test."""
        return mmrm(
            self.x,
            self.y,
            subjects=self.subject,
            visits=self.visit,
            n_visits=self.n_visits,
            weights=self.weight,
            groups=self.group if grouped else None,
            structure=structure,
            method=method,
        )

    def whole(self, sigma: FloatArray) -> FloatArray:
        """Covariance of all rows for one covariance per group (groups, T, T); a single one serves all."""
        which = self.group if sigma.shape[0] > 1 else np.zeros_like(self.group)
        same = self.subject[:, None] == self.subject
        v = sigma[which][np.arange(self.y.size)[:, None], self.visit[:, None], self.visit[None, :]]
        return np.where(same, v, 0.0) / np.sqrt(np.outer(self.weight, self.weight))

    def gls(self, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients and their covariance."""
        inverse = np.linalg.inv(self.whole(sigma))
        phi = np.linalg.inv(self.x.T @ inverse @ self.x)
        return phi @ self.x.T @ inverse @ self.y, phi

    def deviance(self, sigma: FloatArray, method: Method = "REML") -> float:
        """-2 log likelihood, restricted under REML."""
        v = self.whole(sigma)
        beta, phi = self.gls(sigma)
        r = self.y - self.x @ beta
        out = np.linalg.slogdet(v)[1] + r @ np.linalg.solve(v, r) + self.y.size * np.log(2 * np.pi)
        if method == "REML":
            out -= np.linalg.slogdet(phi)[1] + beta.size * np.log(2 * np.pi)
        return float(out)


def trial(seed: int, *, n: int, n_visits: int, missed: float = 0.25, p: int = 1) -> Rows:
    """Two arms by visit and p baseline covariates with one slope each, visits missed at random."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(0.6 + 0.4 * np.eye(n_visits) + np.diag(0.1 * np.arange(n_visits)))
    arm, base = rng.random(n) < 0.5, rng.normal(size=(n, p))
    y = 3 + base.sum(axis=1)[:, None] + np.arange(n_visits) + rng.normal(size=(n, n_visits)) @ root.T
    seen = rng.random((n, n_visits)) >= missed
    subject, visit = np.nonzero(seen)
    at = (visit[:, None] == np.arange(n_visits)).astype(np.float64)
    return Rows(
        x=np.column_stack([at, at * arm[subject, None], base[subject]]),
        y=y[seen],
        subject=subject,
        visit=visit,
        weight=rng.uniform(0.5, 2, n)[subject],
        group=arm[subject].astype(np.int64),
        n_visits=n_visits,
    )


@pytest.fixture(scope="session")
def small() -> Rows:
    """Forty subjects, three visits."""
    return trial(1, n=40, n_visits=3)


@pytest.fixture(scope="session")
def longer() -> Rows:
    """Sixty subjects, five visits."""
    return trial(2, n=60, n_visits=5)
