"""Speed of propensity models beside a sort of the log odds and scikit-learn's L-BFGS in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/propensity.py

Processor seconds, best of three, everything `fit_propensity` does included (checks, ranks, separation, convergence on
all rows, c statistic), compilation not. scikit-learn gets the columns standardised and the tolerance at which it comes
within 1e-6 of the maximum. R's glm takes 2.5 s for the first row.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.logistic import expit

TARGETS = {(1_000_000, 12): 0.6}
"""Processor seconds, by rows and covariates; where none is set, scikit-learn's in the same run."""


def extract(n: int, k: int, kind: Literal["independent", "clinical"]) -> tuple[np.ndarray, np.ndarray]:
    """Draw k covariates and an arm: independent normals, or correlated ones with skewed and binary columns."""
    rng = np.random.default_rng(n + k)
    x = rng.normal(size=(n, k))
    if kind == "clinical":
        x += rng.normal(size=(n, 3)) @ rng.normal(size=(3, k))
        x[:, : k // 3] = np.exp(x[:, : k // 3] / 2)
        x[:, k // 3 : 2 * k // 3] = x[:, k // 3 : 2 * k // 3] > 1
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return x, rng.random(n) < expit(z @ rng.normal(size=k) * 0.2 - 3)


def compare(n: int, k: int, kind: Literal["independent", "clinical"]) -> None:
    """Print our seconds, the target and both peers' seconds for one extract."""
    from sklearn.linear_model import LogisticRegression

    x, treated = extract(n, k, kind)
    names = [f"c{j}" for j in range(k)]
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    peer = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    fit = fit_propensity(x, treated, names=names)
    gap = np.abs(peer.fit(z, treated).coef_[0] - fit.coefficients * x.std(axis=0)).max()
    ours, theirs = best(lambda: fit_propensity(x, treated, names=names)), best(lambda: peer.fit(z, treated))
    sort = best(lambda: np.argsort(fit.logit))
    target = TARGETS.get((n, k), theirs)
    print(
        f"{n:>9,} x {k + 1:<3} {kind:<12}{ours:7.3f} s   target {target:.3f}   {ours / theirs:5.2f} x scikit-learn "
        f"({theirs:.3f})   {ours / sort:6.1f} x argsort ({sort:.3f})   coefficients differ by {gap:.0e}"
    )


def main() -> None:
    """Print one line per extract."""
    for n, k in ((1_000_000, 12), (230_000, 30)):
        compare(n, k, "independent")
        compare(n, k, "clinical")


if __name__ == "__main__":
    main()
