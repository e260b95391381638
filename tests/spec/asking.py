"""Rows of an expression over small worlds held in memory; one that was asked before, of other rows, is not made anew.

Turning an expression into SQL costs a hundred times what running it on a few rows does, and most specifications ask the
same expression of other rows.
"""

from __future__ import annotations

from functools import cache

import ibis
import ibis.backends.duckdb
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa

_sql: dict[ops.Node, str] = {}
"""By expression over tables of no rows: the SQL that ibis makes of it."""


def rows_of(expression: ir.Table) -> pa.Table:
    """What `expression.to_pyarrow()` gives."""
    node = expression.op()
    held = tuple(dict.fromkeys(node.find(ops.InMemoryTable)))
    places = {
        one: ops.DatabaseTable(name=f"held_{k}", schema=one.schema, source=_engine(), namespace=ops.Namespace())
        for k, one in enumerate(held)
    }
    asked = node.replace(places)
    if asked not in _sql:
        _sql[asked] = str(_engine().compile(asked.to_expr()))
    for one, place in places.items():
        _engine().con.register(place.name, one.data.to_pyarrow(one.schema))
    found = _engine().con.sql(_sql[asked]).to_arrow_table()
    return found.rename_columns(expression.columns).cast(expression.schema().to_pyarrow())


@cache
def _engine() -> ibis.backends.duckdb.Backend:
    return ibis.duckdb.connect(threads=1)
