"""Speed of cluster-robust errors, each figure beside plain least squares on the same rows in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/cluster_robust.py

Processor seconds, best of three.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.effect.cluster_robust import cluster_robust, two_way

TARGET = 2.0


def sample(n: int, k: int, groups: int, *, uneven: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Design (n, k), outcome, weights and clusters; uneven ones crowd at the low codes."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(n), rng.random(n) < 0.5, rng.normal(size=(n, k - 2))]).astype(np.float64)
    clusters = (groups * rng.random(n) ** (3 if uneven else 1)).astype(np.int64)
    return x, rng.normal(size=n), rng.uniform(0.2, 2, n), clusters


def row(name: str, work: Callable[[], object], x: np.ndarray, y: np.ndarray) -> None:
    """One line of the table."""
    ours, theirs = best(work), best(lambda: np.linalg.lstsq(x, y))
    kept = "reached" if ours <= TARGET else "missed"
    print(f"{name:<76}{ours:7.3f} s {ours / theirs:6.1f} x np.linalg.lstsq ({theirs:.4f} s)   target {TARGET} s {kept}")


def main() -> None:
    """CR2 with Satterthwaite degrees of freedom, one way and two ways, under both working models."""
    for n, k, groups, uneven in (
        (100_000, 10, 1_000, False),
        (100_000, 10, 30_000, False),
        (100_000, 10, 30_000, True),
        (40_000, 20, 3_000, False),
    ):
        x, y, w, clusters = sample(n, k, groups, uneven=uneven)
        contrast = np.eye(1, k, 1)[0]
        told = f"{n:,} rows, {np.unique(clusters).size:,} {'uneven ' if uneven else ''}clusters, {k} columns"
        for working in ("inverse_weights", "homoscedastic"):
            work = partial(cluster_robust, x, y, weights=w, clusters=clusters, contrast=contrast, working=working)
            row(f"{told}, {working}", work, x, y)
    x, y, w, clusters = sample(100_000, 10, 1_000, uneven=False)
    sets = np.arange(y.size) // 3
    row(
        "100,000 rows, 33,334 sets x 1,000 clusters, 10 columns, two ways",
        lambda: two_way(x, y, weights=w, first=sets, second=clusters, contrast=np.eye(1, 10, 1)[0]),
        x,
        y,
    )


if __name__ == "__main__":
    main()
