"""Where relational expressions run: DuckDB in this process, inside stated limits of memory and threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.backends.duckdb
    import ibis.expr.types as ir


@contextmanager
def engine(scratch: Path, *, memory_gb: float, threads: int) -> Iterator[ibis.backends.duckdb.Backend]:
    """An empty DuckDB in memory that spills to `scratch` and closes at the end.

    Extensions are never fetched. Insertion order is not preserved: nothing may rely on it, and every result that
    leaves is ordered by its caller.
    """
    import ibis

    scratch.mkdir(parents=True, exist_ok=True)
    connection = ibis.duckdb.connect(
        ":memory:",
        threads=threads,
        memory_limit=f"{memory_gb:g}GB",
        temp_directory=str(scratch),
        autoinstall_known_extensions=False,
        autoload_known_extensions=False,
        preserve_insertion_order=False,
    )
    try:
        yield connection
    finally:
        connection.disconnect()


def attach(
    connection: ibis.backends.duckdb.Backend, files: Mapping[str, tuple[Path, ...]], *, prefix: str = ""
) -> dict[str, ir.Table]:
    """Typed Parquet files as tables of the engine, by table name; files are read when an expression runs."""
    return {
        name: connection.read_parquet([str(path) for path in paths], table_name=f"{prefix}{name}")
        for name, paths in files.items()
    }


def keep(connection: ibis.backends.duckdb.Backend, name: str, expression: ir.Table) -> ir.Table:
    """Run `expression` once and keep its rows as table `name` of the engine, for expressions that build on it."""
    return connection.create_table(name, expression, overwrite=True)
