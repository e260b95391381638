"""Speed of full matching and of matching in strata, CPU seconds beside a sort of the same scores.

    python benchmarks/design/full.py

Compilation is not timed. Each figure is the least of three; the ratio is to np.argsort of the row's scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from causal.design.matching.coarsened import match_coarsened
from causal.design.matching.full import match_full
from causal.design.matching.generalised_full import match_generalised_full
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.design.matching.subclass import match_subclass


def least(work: Callable[[], object], *, times: int = 3) -> float:
    """CPU seconds of the cheapest run."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def sample(n: int, share: float) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Scores (n,) that the treated have higher by one standard deviation, their arm, and the generator."""
    rng = np.random.default_rng(n)
    treated = np.zeros(n, dtype=np.bool_)
    treated[rng.choice(n, int(n * share), replace=False)] = True
    return rng.normal(size=n) + treated, treated, rng


def row(name: str, score: np.ndarray, match: Callable[[], MatchedSets], *, target: float | None = None) -> None:
    """Run once for the compiler, then print one line of the table."""
    sets = match()
    ours, sort = least(match), least(lambda: np.argsort(score))
    kept = ""
    if target is not None:
        kept = f"limit {target:g} s x {ours / target:.2f} {'met' if ours <= target else 'MISSED'}"
    print(f"{name:<66}{ours:9.4f} s {ours / sort:9.0f} x sort ({sort:.5f} s) {sets.n_sets:>8,} sets  {kept}")


def on_a_score(n: int, caliper: float | None, *, strata: int | None = None, target: float | None = None) -> None:
    """Full matching without bounds: linear time after sorting."""
    score, treated, rng = sample(n, 0.1)
    pairing = Pairing(exact=None if strata is None else rng.integers(0, strata, n))
    name = f"full, {n:,}, score, caliper {caliper}, strata {strata}"
    row(name, score, lambda: match_full(score, treated, caliper=caliper, pairing=pairing), target=target)


def on_a_graph(n: int, caliper: float | None, reach: float | None, *, target: float) -> None:
    """Full matching under a calendar window, and on coordinates."""
    score, treated, rng = sample(n, 0.1)
    window = Pairing(time=rng.integers(0, 2000, n).astype(np.float64), window=180.0)
    name = f"full, {n:,}, score and calendar window, caliper {caliper}"
    row(name, score, lambda: match_full(score, treated, caliper=caliper, pairing=window), target=target)
    points = np.column_stack([score, rng.normal(size=(n, 3))])
    name = f"full, {n:,}, 4 coordinates, caliper {reach}"
    row(name, score, lambda: match_full(points, treated, caliper=reach), target=target)


def bounded(n: int, caliper: float, *, fewest: float = 0, most: float = np.inf, target: float | None = None) -> None:
    """Full matching with bounds on a score."""
    score, treated, _ = sample(n, 0.1)
    name = f"full, {n:,}, score, caliper {caliper}, controls {fewest} to {most}"

    def match() -> MatchedSets:
        return match_full(score, treated, caliper=caliper, min_controls=fewest, max_controls=most)

    row(name, score, match, target=target)


def in_strata(n: int) -> None:
    """Generalised full matching and strata."""
    score, treated, rng = sample(n, 0.1)
    columns = {"a": score, "b": rng.normal(size=n), "c": rng.integers(0, 5, n), "d": rng.integers(0, 2, n)}
    row(f"generalised full, {n:,}, score", score, lambda: match_generalised_full(score, treated))
    row(f"coarsened exact, {n:,}, 4 columns", score, lambda: match_coarsened(columns, treated))
    row(f"subclassification, {n:,}", score, lambda: match_subclass(score, treated))


def main() -> None:
    """Print the table."""
    on_a_score(10_000, None, target=0.5)
    on_a_score(100_000, 0.2, target=15.0)
    on_a_score(100_000, None)
    on_a_score(1_000_000, 0.2)
    on_a_score(1_000_000, 0.2, strata=200)
    on_a_graph(10_000, None, None, target=0.5)
    on_a_graph(100_000, 0.02, 0.5, target=15.0)
    for fewest, most in ((0, 5), (0, 20), (1 / 2, np.inf), (1 / 2, 20)):
        bounded(10_000, 0.2, fewest=fewest, most=most)
    bounded(100_000, 0.02, most=5, target=3.0)
    bounded(100_000, 0.02, fewest=1 / 2, most=5, target=3.0)
    in_strata(100_000)
    in_strata(1_000_000)
    score, treated, rng = sample(100_000, 0.1)
    points = np.column_stack([score, rng.normal(size=(100_000, 3))])
    row("generalised full, 100,000, 4 coordinates", score, lambda: match_generalised_full(points, treated))


if __name__ == "__main__":
    main()
