"""The product's own path from an extract to a cohort and to outcome facts: what the fast path is held to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
from replicate import INSTRUMENTS, flagship

from causal import tables as declared
from causal.effect.estimate import primary_estimand
from causal.effect.outcomes import apply_estimand, facts_after, primary_window
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import Rating
from causal.records import ComparisonGroups, Outcomes
from flows.engine import engine
from flows.simulate_extract import arrow_schema
from flows.study_file.load import load_instruments

if TYPE_CHECKING:
    import ibis.backends.duckdb
    import ibis.expr.types as ir


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
    with engine(scratch, memory_gb=2, threads=threads) as connection:
        yield Bench(connection=connection, study=flagship(), instruments=load_instruments(INSTRUMENTS), compiled={})


def facts_by_engine(bench: Bench, tables: dict[str, ir.Table], occasions: pd.DataFrame) -> pd.DataFrame:
    """What happened after time zero, one row for each of `occasions`, in their order."""
    outcome = bench.study.outcome
    assert isinstance(outcome, Rating)
    once = occasions[["ta_id", "person_id", "clinician_id", "time_zero"]].drop_duplicates("ta_id")
    bench.connection.con.register("members", pa.Table.from_pandas(once, preserve_index=False))
    members = bench.connection.table("members")
    kept = bench.keep("facts", facts_after(members, tables, bench.study, bench.instruments[outcome.instrument]))
    return kept.to_pyarrow().to_pandas().set_index("ta_id").loc[occasions["ta_id"]].reset_index()


def open_outcomes(bench: Bench, tables: dict[str, ir.Table], groups: ComparisonGroups) -> Outcomes:
    """The primary outcome of everyone compared."""
    assert isinstance(bench.study.outcome, Rating)
    facts = facts_by_engine(bench, tables, groups.members)
    return apply_estimand(facts, primary_estimand(bench.study), primary_window(bench.study.outcome))
