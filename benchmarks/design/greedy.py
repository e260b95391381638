"""Speed of greedy matching on a score, a tenth of the occasions treated, beside a sort of the same scores.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/greedy.py

Processor seconds, best of three, beside `np.argsort` of the scores in the same run. Compilation is not timed. The last
lines give the exponent with which time grows from a million to ten million occasions, and the most memory ever held.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.design.matching.greedy import match_greedy
from causal.design.matching.pairing import Pairing

DAYS, MOST_EXPONENT, MOST_GB = 2000.0, 1.1, 3.0


def sample(n: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Scores and arms (n,), and a generator for the rules."""
    rng = np.random.default_rng(n)
    treated = np.zeros(n, dtype=np.bool_)
    treated[rng.choice(n, n // 10, replace=False)] = True
    return rng.normal(size=n), treated, rng


def row(
    label: str, score: np.ndarray, treated: np.ndarray, sort: float, *, target: float | None = None, **rules: Any
) -> float:
    """One line: the match, its ratio to the sort, its target where it has one."""
    seconds = best(lambda: match_greedy(score, treated, **rules))
    kept = "" if target is None else f"target {target:g} s {'reached' if seconds <= target else 'missed'}"
    print(f"{label:<64}{seconds:8.3f} s {seconds / sort:7.2f} x np.argsort   {kept}", flush=True)
    return seconds


def risk(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Calendar days (n,), and intervals at risk (n, 2) of 300 days on average."""
    entry = rng.uniform(-500, DAYS, n)
    return rng.uniform(0, DAYS, n), np.column_stack([entry, entry + rng.exponential(300, n)])


def by_rule(n: int, window_target: float, label: str) -> None:
    """Every kind of rule, n occasions."""
    score, treated, rng = sample(n)
    sort = best(lambda: np.argsort(score))
    days, at_risk = risk(rng, n)
    clinician = rng.integers(0, 5000, n)
    near: dict[str, Any] = {"caliper": 0.2}
    print(f"\n{label}: np.argsort {sort:.3f} s")
    row("any window of 180 days", score, treated, sort, target=window_target,
        pairing=Pairing(time=days, window=180.0), **near)  # fmt: skip
    row("at risk at the treated day", score, treated, sort, target=window_target,
        pairing=Pairing(time=days, at_risk=at_risk), **near)  # fmt: skip
    row("window, at risk, persons, 200 strata, 1:2", score, treated, sort, target=window_target, ratio=2,
        pairing=Pairing(time=days, window=180.0, at_risk=at_risk, person=rng.integers(0, n // 3, n),
                        exact=clinician // 25), **near)  # fmt: skip
    row("clinician preferred (5,000), penalty 0.5", score, treated, sort,
        pairing=Pairing(prefer=clinician[:, None], penalty=np.array([0.5])), **near)  # fmt: skip
    row("two more calipers, one of them forbidding closeness", score, treated, sort,
        pairing=Pairing(calipers=rng.normal(size=(n, 2)), widths=np.array([0.1, -0.1])), **near)  # fmt: skip
    row("other clinician, same of 50 clinics", score, treated, sort,
        pairing=Pairing(exact=clinician // 100, differ=clinician[:, None]), **near)  # fmt: skip


def plain(n: int, targets: dict[str, float]) -> dict[str, float]:
    """Orders and strata, n occasions; seconds by label."""
    score, treated, rng = sample(n)
    sort = best(lambda: np.argsort(score))
    clinician = Pairing(exact=rng.integers(0, 5000, n))
    print(f"\n{n:,} occasions, {n // 10:,} treated, caliper 0.2: np.argsort {sort:.3f} s")
    lines: dict[str, dict[str, Any]] = {
        "highest first": {},
        "closest first": {"order": "closest"},
        "exactly within 5,000 clinicians": {"pairing": clinician},
        "in row order": {"order": "data"},
        "1:3 in rounds": {"ratio": 3},
        "1:3 with replacement": {"ratio": 3, "replacement": True},
    }
    return {
        label: row(label, score, treated, sort, target=targets.get(label), caliper=0.2, **rules)
        for label, rules in lines.items()
    }


def main() -> None:
    """Plain matches at one and ten million, rules at a hundred thousand and a million."""
    score, treated, rng = sample(2000)  # compile both forms of every loop
    for order in ("highest", "closest"):
        for pairing in (Pairing(), Pairing(exact=rng.integers(0, 2, 2000), person=np.arange(2000))):
            match_greedy(score, treated, order=order, pairing=pairing)
    small = plain(1_000_000, {"highest first": 0.04, "closest first": 0.12, "exactly within 5,000 clinicians": 0.12})
    by_rule(100_000, 0.3, "rules, 100,000 occasions")
    by_rule(1_000_000, 4.0, "rules, 1,000,000 occasions")
    large = plain(10_000_000, {"highest first": 0.8, "closest first": 2.0})
    print(f"\nexponent from 1,000,000 to 10,000,000 (target at most {MOST_EXPONENT})")
    for label, seconds in small.items():
        print(f"{label:<64}{np.log10(large[label] / seconds):8.2f}")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"most memory held {held:.2f} GB, target {MOST_GB:g} GB")


if __name__ == "__main__":
    main()
