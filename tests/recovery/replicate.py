"""One replicate: simulate an extract, run the product's own stages on it, and set the answer beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
from naive import ever_warned_contrast

from causal import tables as declared
from causal.cohort.build import build_cohort
from causal.design.build import build_design
from causal.effect.estimate import estimate_effects, primary_estimand, target_population
from causal.effect.outcomes import apply_estimand, facts_after, primary_window
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import Rating
from causal.records import Cohort, Design, Estimate, Outcomes
from causal.simulation import AS_OF, SimulationParameters, simulate, true_effect
from flows.engine import engine
from flows.simulate_extract import arrow_schema
from flows.study_file.load import load_instruments, load_study

if TYPE_CHECKING:
    import ibis.backends.duckdb
    import ibis.expr.types as ir

ROOT = Path(__file__).resolve().parents[2]
ESTIMANDS = ("termination", "composite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One estimate with its primary interval, and the truth of the occasions it speaks of."""

    value: float
    std_error: float
    lower: float
    upper: float
    truth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """Both answers of one replicate, the number of matched sets, and the naive contrast from intake."""

    answers: Mapping[str, Answer]
    n_sets: int
    naive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An engine that stays open between replicates, with the study to run on it.

    `compiled` holds the SQL of each kept expression. Every replicate builds the same expressions over tables of the
    same names, and turning them into SQL costs more than running it: an equal expression is not turned twice.
    """

    connection: ibis.backends.duckdb.Backend
    study: OccasionStudy
    instruments: dict[str, Instrument]
    compiled: dict[str, tuple[ir.Table, str]]

    def load(self, frames: Mapping[str, pd.DataFrame]) -> dict[str, ir.Table]:
        """Frames as tables of the engine, typed as an extract's files are."""
        for name, frame in frames.items():
            schema = arrow_schema(declared.TABLES[name], list(frame.columns))
            self.connection.con.register(name, pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
        return {name: self.connection.table(name) for name in frames}

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        """As `flows.engine.keep`, turning an expression into SQL only when it is not the one turned before."""
        known = self.compiled.get(name)
        if known is None or not known[0].equals(expression):
            known = self.compiled[name] = (expression, str(self.connection.compile(expression)))
        self.connection.raw_sql(f'CREATE OR REPLACE TABLE "{name}" AS {known[1]}')
        return self.connection.table(name)


@contextmanager
def open_bench(scratch: Path, *, threads: int = 1) -> Iterator[Bench]:
    """The flagship study on an engine of its own."""
    study = load_study(ROOT / "configs" / "studies" / "duty_to_warn.yaml").study
    assert isinstance(study, OccasionStudy)
    instruments = load_instruments(ROOT / "configs" / "instruments")
    with engine(scratch, memory_gb=2, threads=threads) as connection:
        yield Bench(connection=connection, study=study, instruments=instruments, compiled={})


def run_replicate(bench: Bench, parameters: SimulationParameters, *, patients: int, seed: int) -> Replicate:
    """Simulate, build the cohort and the design, open the outcomes, estimate, look the truth up."""
    simulated = simulate(parameters, patients, seed)
    tables = bench.load(simulated.tables)
    cohort = build_cohort(tables, bench.study, bench.instruments, bench.keep, as_of=AS_OF)
    naive = ever_warned_contrast(simulated.tables)
    return answer(bench, bench.study, cohort, tables, simulated.truth, naive=naive)


def answer(
    bench: Bench,
    study: OccasionStudy,
    cohort: Cohort,
    tables: dict[str, ir.Table],
    truth: pd.DataFrame,
    *,
    naive: float,
) -> Replicate:
    """One study's answer from a cohort, beside the truth of the population its design speaks of."""
    design = build_design(cohort, study)
    outcomes = open_outcomes(bench, tables, design)
    effects = estimate_effects(design, outcomes, study)
    everyone = np.ones(len(design.members), dtype=np.bool_)
    weights = design.members["weight"].to_numpy(dtype=np.float64)
    true = true_effect(truth, *target_population(design, everyone, weights))
    return Replicate(
        answers={
            "termination": _answer(effects.termination, true.termination_rd),
            "composite": _answer(effects.composite, true.composite_difference),
        },
        n_sets=design.n_treated,
        naive=naive,
    )


def open_outcomes(bench: Bench, tables: dict[str, ir.Table], design: Design) -> Outcomes:
    """Outcomes of the design's members, in their order."""
    outcome = bench.study.outcome
    assert isinstance(outcome, Rating)
    once = design.members[["ta_id", "person_id", "clinician_id", "time_zero"]].drop_duplicates("ta_id")
    bench.connection.con.register("members", pa.Table.from_pandas(once, preserve_index=False))
    members = bench.connection.table("members")
    kept = bench.keep("facts", facts_after(members, tables, bench.study, bench.instruments[outcome.instrument]))
    facts = kept.to_pyarrow().to_pandas().set_index("ta_id").loc[design.members["ta_id"]].reset_index()
    return apply_estimand(facts, primary_estimand(bench.study), primary_window(outcome))


def _answer(estimate: Estimate, truth: float) -> Answer:
    primary = estimate.intervals[0]
    return Answer(
        value=estimate.value, std_error=primary.std_error, lower=primary.lower, upper=primary.upper, truth=truth
    )
