"""How benchmarks take time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def best(work: Callable[[], object]) -> float:
    """Processor seconds of the fastest of three runs; of fewer where they are long."""
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 20:
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def yardstick() -> float:
    """Processor seconds of a workload that no change of ours moves, to tell a slow machine from slow code.

    Hundred least-squares fits of 2,000 rows on 24 columns, a sort of a million numbers, and a million steps of plain
    Python: what the estimators are made of.
    """
    rng = np.random.default_rng(0)
    x, y, numbers = rng.normal(size=(2_000, 24)), rng.normal(size=2_000), rng.normal(size=1_000_000)

    def workload() -> int:
        for _ in range(100):
            np.linalg.lstsq(x, y, rcond=None)
        np.sort(numbers)
        return sum(k & 1 for k in range(1_000_000))

    return best(workload)
