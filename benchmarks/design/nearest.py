"""Speed of matching on covariate distances, each figure beside a sort of the score in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/nearest.py

Processor seconds, best of three, ranks and coordinates included, compilation not. R's cohortmatch takes 3.3 s for the
first row and 32 s for the second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.design.matching.caliper import caliper_width
from causal.design.matching.covariate_nearest import Order, match_nearest
from causal.design.matching.distance import mahalanobis_coordinates, rank_mahalanobis_coordinates
from causal.design.matching.pairing import Pairing


@dataclass(frozen=True, kw_only=True)
class Extract:
    """n occasions: covariates (n, p), arm, score, and rules for the last row of the table."""

    x: np.ndarray
    treated: np.ndarray
    score: np.ndarray
    caliper: float
    pairing: Pairing


def extract(n: int, n_treated: int, p: int = 12) -> Extract:
    """Draw correlated covariates, a third of them counts and a sixth binary, on which treatment depends."""
    rng = np.random.default_rng(n + p)
    x = rng.normal(size=(n, p)) + 0.5 * rng.normal(size=(n, 1))
    x[:, p // 2 : 5 * p // 6] = np.round(2 * x[:, p // 2 : 5 * p // 6])
    x[:, 5 * p // 6 :] = x[:, 5 * p // 6 :] > 0.8
    score = x @ np.full(p, 1 / p)
    treated = np.zeros(n, dtype=np.bool_)
    treated[np.argsort(score + rng.gumbel(size=n))[n - n_treated :]] = True
    time_zero = rng.uniform(0, 2000, n)
    pairing = Pairing(
        exact=rng.integers(0, 4, n),
        time=time_zero,
        window=180.0,
        at_risk=np.column_stack([time_zero - 365, time_zero + 90]),
        person=rng.integers(0, n // 2, n),
        prefer=rng.integers(0, 12, (n, 1)),
        penalty=np.array([0.5]),
    )
    return Extract(x=x, treated=treated, score=score, caliper=caliper_width(score, treated, width=0.2), pairing=pairing)


def row(name: str, data: Extract, work: Callable[[], object], target: float | None = None) -> None:
    """One line of the table."""
    work()
    ours, sort = best(work), best(lambda: np.argsort(data.score))
    kept = "" if target is None else f"   target {target} s {'reached' if ours <= target else 'missed'}"
    print(f"{name:<66}{ours:7.3f} s {ours / sort:7.1f} x np.argsort ({sort:.4f} s){kept}", flush=True)


def ranked(data: Extract, *, caliper: bool = True, order: Order = "highest", ratio: int = 1) -> object:
    """Ranks, coordinates and match."""
    return match_nearest(
        rank_mahalanobis_coordinates(data.x),
        data.treated,
        score=data.score,
        caliper=data.caliper if caliper else None,
        order=order,
        ratio=ratio,
    )


def main() -> None:
    """Rank-based and plain Mahalanobis distance, with and without caliper, and under every rule at once."""
    small, large = extract(100_000, 10_000), extract(1_000_000, 9_900)
    row("100,000 rows, 10,000 treated, 12 ranks, caliper", small, lambda: ranked(small), 0.8)
    row("1,000,000 rows, 9,900 treated, 12 ranks, caliper", large, lambda: ranked(large), 6.0)
    row("1,000,000 rows, 9,900 treated, 12 ranks, no caliper", large, lambda: ranked(large, caliper=False))
    row("100,000 rows, 10,000 treated, closest pair first", small, lambda: ranked(small, order="closest"))
    row("100,000 rows, 10,000 treated, 1:4", small, lambda: ranked(small, ratio=4))
    few = extract(1_000_000, 100_000, 6)
    row(
        "1,000,000 rows, 100,000 treated, 6 covariates, Mahalanobis, caliper",
        few,
        lambda: match_nearest(
            mahalanobis_coordinates(few.x, few.treated), few.treated, score=few.score, caliper=few.caliper
        ),
    )
    row(
        "1,000,000 rows, 9,900 treated, 12 ranks, caliper and every rule",
        large,
        lambda: match_nearest(
            rank_mahalanobis_coordinates(large.x),
            large.treated,
            score=large.score,
            caliper=large.caliper,
            order="highest",
            pairing=large.pairing,
        ),
    )


if __name__ == "__main__":
    main()
