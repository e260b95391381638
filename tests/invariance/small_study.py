"""A small simulated extract, and the flagship study run on any version of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pandas as pd
from engine_path import Bench, open_bench, open_outcomes

from causal.cohort.build import build_cohort
from causal.design.build import build_design
from causal.effect.estimate import estimate_effects
from causal.records import Cohort, Design, Effects
from causal.simulation import AS_OF, Simulated, SimulationParameters, simulate

PATIENTS, SEED = 6_000, 7
Frames = dict[str, pd.DataFrame]


@cache
def simulated() -> Simulated:
    """Six thousand people; treat its frames as read-only."""
    return simulate(SimulationParameters(), PATIENTS, SEED)


@contextmanager
def bench(*, threads: int = 1) -> Iterator[Bench]:
    """An engine for the flagship study."""
    with tempfile.TemporaryDirectory() as scratch, open_bench(Path(scratch), threads=threads) as opened:
        yield opened


def cohort_of(opened: Bench, frames: Mapping[str, pd.DataFrame]) -> Cohort:
    """The cohort of an extract given as frames."""
    return build_cohort(opened.load(frames), opened.study, opened.instruments, opened.keep, as_of=AS_OF)


def design_of(opened: Bench, frames: Mapping[str, pd.DataFrame]) -> Design:
    """The design of an extract given as frames."""
    return build_design(cohort_of(opened, frames), opened.study)


def answer_of(opened: Bench, frames: Mapping[str, pd.DataFrame]) -> tuple[Design, Effects]:
    """Design and effects of an extract given as frames."""
    design = design_of(opened, frames)
    outcomes = open_outcomes(opened, opened.load(frames), design)
    return design, estimate_effects(design, outcomes, opened.study)


def numbers(design: Design, effects: Effects) -> str:
    """Every number of a design and its effects, to the last bit, and no id."""
    kept = ["set_id", "treated", "weight", "time_zero"]
    return repr(
        (
            design.attrition,
            design.balance,
            design.overlap,
            design.caliper,
            design.c_statistic,
            design.pretrend_smd,
            design.members[kept].to_csv(index=False, float_format="%.17g"),
            design.covariates.tobytes(),
            effects,
        )
    )
