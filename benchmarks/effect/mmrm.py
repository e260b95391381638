"""Speed of the mixed model for repeated measures: five visits, a fifth missed, eight covariates with a slope by visit.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/mmrm.py

Processor seconds, best of three, unstructured REML with all contrasts and marginal means, beside statsmodels in the
same run: `MixedLM` with a random intercept for the same means, the nearest model it has, and for the larger data `OLS`
visit by visit, which estimates no covariance between visits. Imports are not timed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.effect.repeated.alliance import repeated_alliance

VISITS, COLUMNS = 5, 8


def patients(n: int, n_visits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, visits) with gaps, arm and covariates."""
    rng = np.random.default_rng(1)
    covariates, treated = rng.normal(size=(n, COLUMNS)), rng.random(n) < 0.3
    root = np.linalg.cholesky(0.5 + 0.5 * 0.6 ** np.abs(np.subtract.outer(np.arange(n_visits), np.arange(n_visits))))
    scores = (
        4 + 0.1 * covariates.sum(axis=1)[:, None] + 0.3 * treated[:, None] + rng.normal(size=(n, n_visits)) @ root.T
    )
    scores[rng.random((n, n_visits)) < 0.2] = np.nan
    return scores, treated, covariates


def mixed_intercept(scores: np.ndarray, treated: np.ndarray, covariates: np.ndarray) -> object:
    """Peer: the same mean model with a random intercept."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    who, visit = np.nonzero(np.isfinite(scores))
    each = np.column_stack([np.ones(treated.size), covariates, treated])[who]
    design = np.hstack([each * (visit == t)[:, None] for t in range(scores.shape[1])])
    return MixedLM(scores[who, visit], design, groups=who).fit(reml=True)


def least_squares(scores: np.ndarray, treated: np.ndarray, covariates: np.ndarray) -> list[object]:
    """Peer: ordinary least squares at each visit."""
    from statsmodels.api import OLS

    each = np.column_stack([np.ones(treated.size), covariates, treated])
    return [OLS(y[seen], each[seen]).fit().bse for y, seen in zip(scores.T, np.isfinite(scores).T, strict=True)]


def row(name: str, ours: float, peer: float, words: str, limit: float) -> None:
    """One line: the model beside its peer and its limit."""
    kept = "reached" if ours <= limit else "missed"
    print(f"{name:<44}{ours:8.3f} s {ours / peer:8.3f} x {words} ({peer:.3f} s)   limit {limit:g} s {kept}")


def main() -> None:
    """The two sizes with a limit, then ten visits and the cluster-robust standard errors."""
    days, names = np.arange(10) * 30.0 + 30, tuple(f"x{j}" for j in range(COLUMNS))
    for n, n_visits, kind, limit in (
        (5_000, VISITS, "kenward_roger", 2.0),
        (5_000, VISITS, "cluster_robust", 0.3),
        (5_000, 10, "kenward_roger", 20.0),
        (100_000, VISITS, "satterthwaite", 20.0),
        (100_000, VISITS, "kenward_roger", 20.0),
        (100_000, VISITS, "cluster_robust", 20.0),
    ):
        scores, treated, covariates = patients(n, n_visits)
        ours = best(
            lambda s=scores, a=treated, x=covariates, k=kind: repeated_alliance(
                s, a, days[: s.shape[1]], covariates=x, names=names, degrees_of_freedom=k
            )
        )
        if n == 5_000 and kind == "kenward_roger" and n_visits == VISITS:
            peer, words = best(lambda d=(scores, treated, covariates): mixed_intercept(*d)), "MixedLM intercept"
        else:
            peer, words = best(lambda d=(scores, treated, covariates): least_squares(*d)), "OLS by visit"
        row(f"{n:,} patients, {n_visits} visits, {kind}", ours, peer, words, limit)


if __name__ == "__main__":
    main()
