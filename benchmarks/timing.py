"""How benchmarks take time."""

from __future__ import annotations

import time
from collections.abc import Callable


def best(work: Callable[[], object]) -> float:
    """Processor seconds of the fastest of three runs; of fewer where they are long."""
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 20:
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)
