"""Speed of one replicate of the flagship's analysis at about 80 sets, beside its limit and beside a full design.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/replicate.py

Processor seconds, best of three. The analysis is the comparison, both primary answers and their intervals under both
clusterings, from a cohort and outcomes in memory; a whole replicate simulates both first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "recovery"))
from in_memory import cohort_of
from replicate import analyse, flagship, record, run_replicate
from settings import SETTINGS
from timing import best

from causal.design.build import build_design
from causal.design.groups import build_groups
from causal.effect.estimate import estimate_effects

LIMIT = 0.1
WHOLE_LIMIT = 0.6
"""Seconds: a thousand replicates in ten minutes."""
BENDS_LIMIT = 1.2
"""Most that bends may cost, as a multiple of the same analysis with lines only."""
SEED = 1


def row(name: str, seconds: float, limit: float | None = None) -> None:
    """One line of the table."""
    kept = "" if limit is None else f"   limit {limit} s {'kept' if seconds <= limit else 'MISSED'}"
    print(f"{name:<58}{seconds:8.4f} s{kept}")


def timed(work: Callable[[], object]) -> float:
    """Seconds of the fastest run once everything is compiled."""
    work()
    return best(work)


def main() -> None:
    """The analysis by parts and in all, a full design, and a whole replicate."""
    setting, study = SETTINGS["base"], flagship()
    made = record(setting.parameters, setting.patients, SEED)
    cohort = cohort_of(made, study)
    groups = build_groups(cohort, study)
    outcomes = analyse(study, made, groups).outcomes
    effects = estimate_effects(groups, outcomes, study)
    clustered = " and ".join(interval.clustered_by for interval in effects.termination.intervals)
    print(f"{len(cohort.occasions):,} occasions, {groups.n_treated} matched sets, intervals by {clustered}\n")

    def analysis() -> None:
        estimate_effects(build_groups(cohort, study), outcomes, study)

    lines = study.model_copy(
        update={
            "estimator": study.estimator.model_copy(update={"bends": "none"}),
            "propensity": study.propensity.model_copy(update={"bends": "none"}),
        }
    )

    def without_bends() -> None:
        estimate_effects(build_groups(cohort, lines), outcomes, lines)

    comparison, full = timed(partial(build_groups, cohort, study)), timed(partial(build_design, cohort, study))
    row("comparison (build_groups)", comparison)
    row("estimates and intervals (estimate_effects)", timed(lambda: estimate_effects(groups, outcomes, study)))
    both, straight = timed(analysis), timed(without_bends)
    row("analysis: both", both, LIMIT)
    row("analysis, lines only", straight)
    kept = "kept" if both <= BENDS_LIMIT * straight else "MISSED"
    print(f"{'bends / lines only':<58}{both / straight:8.2f}     limit {BENDS_LIMIT} {kept}")
    row("full design (build_design)", full)
    print(f"{'full design / comparison':<58}{full / comparison:8.2f}\n")
    row("simulation", timed(partial(record, setting.parameters, setting.patients, SEED)))
    row("cohort", timed(partial(cohort_of, made, study)))
    seeds = iter(np.arange(2, 1000))
    row("whole replicate", timed(lambda: run_replicate(setting, seed=int(next(seeds)))), WHOLE_LIMIT)


if __name__ == "__main__":
    main()
