"""Speed and memory of optimal matching, each figure beside a sort of the score in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/optimal.py

Processor seconds, best of three (of one above 20 s), compilation not included. Memory is the most the process has taken
so far, so that only rows that raise it tell anything.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.design.matching.caliper import caliper_width
from causal.design.matching.optimal import match_optimal
from causal.design.matching.pairing import Pairing


def extract(n: int, *, apart: float = 1.0, dimensions: int = 1) -> tuple[np.ndarray, np.ndarray, float]:
    """Coordinates of n occasions (n, q), one in ten treated, `apart` SD higher on the first; caliper of 0.2 SD."""
    rng = np.random.default_rng(n)
    treated = np.zeros(n, dtype=np.bool_)
    treated[rng.choice(n, n // 10, replace=False)] = True
    z = rng.normal(size=(n, dimensions))
    z[:, 0] += apart * treated
    return z, treated, caliper_width(z[:, 0], treated, width=0.2)


def strata(n: int) -> Pairing:
    """Two hundred exact strata."""
    return Pairing(exact=np.random.default_rng(n + 2).integers(0, 200, n))


def persons(n: int) -> Pairing:
    """Two occasions of a person on average: some treated occasions stand beside their own person's comparisons."""
    return Pairing(person=np.random.default_rng(n + 1).integers(0, n // 2, n))


def every_rule(n: int) -> Pairing:
    """Strata, a window, risk intervals, persons with several occasions, forbidden closeness and a preference."""
    rng = np.random.default_rng(n + 1)
    days = rng.uniform(0, 2000, n)
    return Pairing(
        exact=rng.integers(0, 4, n),
        differ=rng.integers(0, 50, (n, 1)),
        calipers=rng.normal(size=(n, 2)),
        widths=np.array([1.0, -0.001]),
        time=days,
        window=180.0,
        at_risk=np.column_stack([days - 365, days + 90]),
        person=rng.integers(0, n // 2, n),
        prefer=rng.integers(0, 12, (n, 1)),
        penalty=np.array([0.05]),
    )


def row(name: str, score: np.ndarray, work: Callable[[], object], target: float | None = None) -> None:
    """One line of the table."""
    ours, sort = best(work), best(lambda: np.argsort(score))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    kept = (
        "" if target is None else f"   limit {target} s x {ours / target:.2f} {'met' if ours <= target else 'MISSED'}"
    )
    print(f"{name:<62}{ours:8.3f} s {ours / sort:8.1f} x np.argsort ({sort:.4f} s) {peak:5.2f} GB{kept}", flush=True)


def match(
    name: str,
    n: int,
    *,
    target: float | None = None,
    apart: float = 1.0,
    dimensions: int = 1,
    caliper: bool = True,
    ratio: int = 1,
    pairing: Pairing | None = None,
) -> None:
    """Time one way of matching n occasions."""
    z, treated, width = extract(n, apart=apart, dimensions=dimensions)
    rules = Pairing() if pairing is None else pairing

    def work() -> object:
        return match_optimal(z, treated, ratio=ratio, caliper=width if caliper else None, pairing=rules)

    match_optimal(z[:3000], treated[:3000], caliper=width, pairing=rules.rows(np.arange(3000)))  # compile
    row(f"{n:,} {name}", z[:, 0], work, target)


def dense(n: int) -> None:
    """For scale: scipy's assignment on the matrix of all distances, one in ten treated."""
    from scipy.optimize import linear_sum_assignment

    z, treated, _ = extract(n)
    row(
        f"{n:,} scipy linear_sum_assignment, no caliper",
        z[:, 0],
        lambda: linear_sum_assignment(np.abs(z[treated] - z[~treated].T)),
    )


def main() -> None:
    """The line, the graph under every rule, covariate distances, and scipy's dense assignment for scale."""
    for n, target in ((10_000, 0.05), (100_000, 1.0), (1_000_000, 15.0)):
        match("score, 0.2 SD", n, target=target)
        match("score, no caliper", n, caliper=False, target=target)
        match("score, 1:4, 0.2 SD, 200 strata", n, ratio=4, pairing=strata(n))
    for n, target in ((10_000, None), (100_000, 5.0)):
        match("score, 1:2, 0.2 SD, persons", n, ratio=2, pairing=persons(n), target=target)
    match("two coordinates, 1:2, 0.2 SD, persons", 100_000, dimensions=2, ratio=2, pairing=persons(100_000), target=5.0)
    for n in (10_000, 100_000, 1_000_000):
        match("score, 0.2 SD, every rule", n, pairing=every_rule(n))
    for n in (10_000, 100_000):
        match("five coordinates, no caliper", n, dimensions=5, apart=0.5, caliper=False)
    dense(10_000)


if __name__ == "__main__":
    main()
