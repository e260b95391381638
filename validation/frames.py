"""Rows of the engine as pandas batches, as light as pandas can hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from causal.tables import Kind
from validation.rules import ColumnRule, comparable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def column_frames(table: ir.Table, rules: Sequence[ColumnRule], batch_rows: int) -> Iterator[pd.DataFrame]:
    """Yield the columns that `rules` name, as their rules see them (`comparable`)."""
    columns = {rule.column.name: rule.column for rule in rules}
    values = {name: comparable(table, column) for name, column in columns.items()}
    numeric = {
        name: value.cast("int8") if columns[name].kind is Kind.BOOLEAN else value for name, value in values.items()
    }
    return frames(table.select(**numeric), batch_rows)


def frames(rows: ir.Table, batch_rows: int) -> Iterator[pd.DataFrame]:
    """Yield batches of at most `batch_rows`: text as categories, dates as days since 1970-01-01, null as NaN."""
    import pyarrow as pa

    for batch in _record_batches(rows, batch_rows):
        arrays = [_light(array) for array in batch.columns]
        yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names).to_pandas()


def _light(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.dictionary_encode()
    if pa.types.is_date(array.type):
        return array.cast(pa.int32()).cast(pa.int64())
    # 64 bits whatever is stored: narrower integers are compared one by one in Python.
    return array.cast(pa.int64()) if pa.types.is_integer(array.type) else array


def _record_batches(rows: ir.Table, batch_rows: int) -> Iterator[pa.RecordBatch]:
    backend = ibis.get_backend(rows)
    if backend.name == "duckdb":
        # DuckDB 2 no longer has the call that Ibis 12 makes for batches.
        yield from backend.con.sql(backend.compile(rows)).to_arrow_reader(batch_rows)
    else:
        yield from rows.to_pyarrow_batches(chunk_size=batch_rows)
