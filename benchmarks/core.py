"""Speed of inference, each figure beside a named peer in the same run.

    python benchmarks/core.py

Compilation is not timed. Each figure is the best of three; ratios are to the peer named in the row.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

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


if __name__ == "__main__":
    inference()
