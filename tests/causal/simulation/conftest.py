"""Extracts simulated once for all tests of the simulator, and a slow, plain judge of tables against their contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from causal import tables
from causal.simulation import AS_OF, Simulated, SimulationParameters, simulate
from causal.tables import Kind, Order, Table

INSTRUMENTS = {"wai_sr": (12, 1, 5), "phq9": (9, 0, 3)}
"""Number of items, lowest and highest answer (WAI-SR: Hatcher and Gillaspy 2006; PHQ-9: Kroenke et al. 2001)."""
NOT_SIMULATED = {"scheduled_at", "completion_seconds", "loinc", *tables.ITEM_COLUMNS[12:]}
"""Columns an extract may lack, and simulated ones do."""

Judge = Callable[[dict[str, pd.DataFrame]], Counter[str]]


@pytest.fixture(scope="session")
def base() -> Simulated:
    """20,000 people under the defaults."""
    return simulate(SimulationParameters(), 20_000, seed=11)


@pytest.fixture(scope="session")
def violations() -> Judge:
    """Count of violations of `causal.tables` per reason code."""
    return _violations


def _violations(frames: dict[str, pd.DataFrame]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, table in tables.TABLES.items():
        frame = frames[name].reset_index(drop=True)
        assert list(frame.columns) == [c.name for c in table.columns if c.name not in NOT_SIMULATED]
        for column in table.columns:
            if column.name in frame.columns:
                _column(found, table, frame[column.name])
        if table.key:
            found[f"{name}.{table.key[0]}:duplicate_key"] += int(frame.duplicated(list(table.key)).sum())
        for foreign in table.foreign_keys:
            there = frames[foreign.table][tables.TABLES[foreign.table].key[0]]
            values = frame[foreign.column].dropna()
            found[f"{name}.{foreign.column}:orphan"] += int((~values.isin(there)).sum())
        for order in table.orders:
            found[f"{name}.{order.later}:out_of_order"] += _out_of_order(order, frame, frames)
    _items(found, frames["measures"])
    return +found


def _column(found: Counter[str], table: Table, values: pd.Series) -> None:
    column, place = table.column(values.name), f"{table.name}.{values.name}"
    present = values.dropna()
    if column.required:
        found[f"{place}:missing"] += int(values.isna().sum())
    allowed = column.values
    if allowed:
        found[f"{place}:not_allowed"] += int((~present.isin(allowed)).sum())
    if column.kind in (Kind.DATE, Kind.TIMESTAMP):
        earliest, after = np.datetime64(tables.EARLIEST_DATE), np.datetime64(AS_OF) + np.timedelta64(1, "D")
        found[f"{place}:out_of_range"] += int(((present < earliest) | (present >= after)).sum())
    if column.low is not None and column.high is not None:
        found[f"{place}:out_of_range"] += int((~present.between(column.low, column.high)).sum())
    if column.kind in (Kind.ID, Kind.CATEGORY):
        assert isinstance(values.dtype, pd.StringDtype)
        found[f"{place}:missing"] += int((present == "").sum())


def _out_of_order(order: Order, frame: pd.DataFrame, frames: dict[str, pd.DataFrame]) -> int:
    earlier = frame[order.earlier]
    if order.via is not None:
        other = frames[order.via.table].set_index(tables.TABLES[order.via.table].key[0])[order.earlier]
        earlier = other.reindex(frame[order.via.column]).reset_index(drop=True)
    return int((earlier > frame[order.later]).sum())


def _items(found: Counter[str], measures: pd.DataFrame) -> None:
    for instrument, (count, low, high) in INSTRUMENTS.items():
        rows = measures[measures["instrument"] == instrument]
        for place, item in enumerate(tables.ITEM_COLUMNS[:12]):
            answers = rows[item]
            good = answers.between(low, high) if place < count else answers.isna()
            found[f"measures.{item}:out_of_instrument"] += int((~good.fillna(value=False)).sum())
