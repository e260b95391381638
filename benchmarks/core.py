"""Speed of the numerical core, each figure beside a named peer in the same run.

    python benchmarks/core.py

Compilation is not timed. Each figure is the best of three; ratios are to the peer named in the row.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from causal.design.matching.greedy import match_greedy
from causal.design.matching.pairing import Pairing
from causal.design.propensity.fit import fit_propensity
from causal.effect.cluster_robust import cluster_robust


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def row(name: str, ours: float, peer: str, theirs: float) -> None:
    """One line of the table."""
    print(f"{name:<58}{ours:9.3f} s {ours / theirs:8.1f} x  {peer} ({theirs:.3f} s)")


def matching(n: int, n_treated: int, *, window: float | None) -> None:
    """Greedy 1:2 matching in 200 strata beside a sort of the same scores."""
    rng = np.random.default_rng(n)
    logit = rng.normal(size=n)
    treated = np.zeros(n, dtype=np.bool_)
    treated[rng.choice(n, n_treated, replace=False)] = True
    days = rng.integers(0, 2000, n).astype(np.float64)
    rules = Pairing(exact=rng.integers(0, 200, n), time=days, window=window) if window else Pairing()

    def work() -> object:
        return match_greedy(logit, treated, ratio=2 if window else 1, caliper=0.2, pairing=rules)

    work()
    label = f"match {n:,} occasions, {n_treated:,} treated" + (", window and strata" if window else "")
    row(label, best(work), "np.argsort", best(lambda: np.argsort(logit)))


def inference() -> None:
    """CR2 with Satterthwaite degrees of freedom beside plain least squares on the same rows."""
    rng = np.random.default_rng(1)
    n, k = 40_000, 20
    x = np.column_stack([np.ones(n), rng.random(n) < 0.5, rng.normal(size=(n, k - 2))]).astype(np.float64)
    y, clusters = rng.normal(size=n), rng.integers(0, 3000, n)
    contrast = np.r_[0.0, 1.0, np.zeros(k - 2)]

    def work() -> object:
        return cluster_robust(x, y, weights=np.ones(n), clusters=clusters, contrast=contrast)

    row(
        "CR2, 40,000 rows, 3,000 clusters, 20 columns",
        best(work),
        "np.linalg.lstsq",
        best(lambda: np.linalg.lstsq(x, y)),
    )


def propensity() -> None:
    """Unpenalised logistic regression beside scikit-learn's at the tolerance that agrees with it."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(2)
    x = rng.normal(size=(230_000, 30))
    treated = rng.random(230_000) < 1 / (1 + np.exp(3 - 0.3 * x[:, 0]))
    names = [f"c{j}" for j in range(30)]
    peer = LogisticRegression(C=np.inf, tol=1e-8, max_iter=500)
    row(
        "propensity, 230,000 occasions, 30 covariates",
        best(lambda: fit_propensity(x, treated, names=names)),
        "scikit-learn lbfgs",
        best(lambda: peer.fit(x, treated)),
    )


if __name__ == "__main__":
    matching(230_000, 12_000, window=180.0)
    matching(1_000_000, 100_000, window=None)
    inference()
    propensity()
