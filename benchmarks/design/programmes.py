"""Speed of the integer programmes (fine balance, cardinality) and of the expansion into sequential trials.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/programmes.py

Processor seconds beside `np.argsort` of as many rows in the same run: best of three where a run takes under a second,
one run otherwise. Compilation is not timed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.cohort.sequential_trials import expand_trials
from causal.design.matching.candidates import candidate_edges
from causal.design.matching.cardinality import match_cardinality
from causal.design.matching.fine_balance import imbalance, match_fine_balance
from causal.design.matching.pairing import Pairing

SIZES = (1_000, 5_000, 20_000)


def row(name: str, n: int, work: Callable[[], object]) -> None:
    """One line: the work beside a sort of as many numbers."""
    numbers = np.random.default_rng(0).normal(size=n)
    sort = best(lambda: np.argsort(numbers))
    ours = best(work)
    print(f"{name:<86}{ours:9.3f} s {ours / sort:10.0f} x np.argsort ({sort * 1e3:.2f} ms)", flush=True)


def occasions(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Covariates (n, 8), score, arms (about one in six treated) and nested codes to balance (n, 2)."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 8))
    x[:, 4:] = x[:, 4:] > 0
    score = x @ np.linspace(0.1, 0.5, 8) / 2
    treated = rng.random(n) < 1 / (1 + np.exp(2 - score))
    clinic = np.where(treated & (rng.random(n) < 0.2), 0, rng.integers(0, 12, n))
    return x, score, treated, np.column_stack([clinic, clinic * 3 + rng.integers(0, 3, n)])


def fine_balance(n: int) -> None:
    """Pairs in 0.5% of the range of comparisons on the score, one level variable, then two."""
    _, score, treated, codes = occasions(n)
    caliper = 30.0 / n
    n_pairs = candidate_edges(score, treated, caliper=caliper, pairing=Pairing()).cost.size
    for columns in (codes[:, :1], codes):
        sets = match_fine_balance(score, treated, balance=columns, caliper=caliper, pairing=Pairing())
        label = (
            f"fine balance {n:,}: {treated.sum():,} treated, {n_pairs:,} pairs, imbalance {imbalance(sets, columns)}"
        )
        row(
            label,
            n,
            lambda columns=columns: match_fine_balance(  # type: ignore[misc]
                score, treated, balance=columns, caliper=caliper, pairing=Pairing()
            ),
        )


def cardinality(n: int) -> None:
    """The largest sample within 0.05 SD in eight covariates: as pairs, and to the profile of the treated."""
    x, score, treated, _ = occasions(n)
    names = [f"x{j}" for j in range(8)]
    pairs = match_cardinality(x, treated, names=names, pair_on=score)
    label = f"cardinality {n:,}: {treated.sum():,} treated, {pairs.n_treated:,} pairs, gap {pairs.gap:.1g}"
    row(label, n, lambda: match_cardinality(x, treated, names=names, pair_on=score))
    profile = match_cardinality(x, treated, names=names, profile="ATT")
    label = f"profile {n:,}: {profile.n_comparison:,} comparisons kept, gap {profile.gap:.1g}"
    row(label, n, lambda: match_cardinality(x, treated, names=names, profile="ATT"))


def sequential_trials(persons: int, periods: int) -> None:
    """Monthly rows of persons, two in a hundred of the untreated starting each month."""
    rng = np.random.default_rng(persons)
    person, period = (codes.ravel() for codes in np.indices((persons, periods)))
    treated = period >= rng.geometric(0.02, persons)[person]
    order = rng.permutation(person.size)
    person, period, treated = person[order], period[order], treated[order]
    x, eligible = rng.normal(size=(person.size, 8)), rng.random(person.size) < 0.9
    for follow_up in (None, 6):
        label = f"sequential trials of {person.size:,} shuffled person-periods, follow-up {follow_up}"
        row(
            label,
            person.size,
            lambda follow_up=follow_up: expand_trials(  # type: ignore[misc]
                person, period, treated, eligible, x, clusters=person % 97, follow_up=follow_up
            ),
        )


def main() -> None:
    """All three."""
    sequential_trials(50_000, 20)
    for n in SIZES:
        fine_balance(n)
    for n in SIZES:
        cardinality(n)


if __name__ == "__main__":
    main()
