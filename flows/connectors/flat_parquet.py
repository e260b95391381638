"""One flat table out of a Parquet file: stored types are kept, and text is read as text is read from CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from causal.errors import ExtractError
from causal.protocol.flat_table import FileData
from flows.connectors.flat_cells import Role, Spelling, typed_cells
from flows.connectors.flat_header import places_of
from flows.connectors.parquet import scan_parquet

if TYPE_CHECKING:
    import pyarrow

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_flat_parquet(path: Path, data: FileData, roles: Mapping[str, Role]) -> pd.DataFrame:
    """The declared columns of a Parquet file: numbers as stored, text typed by its role.

    Raises
    ------
    ExtractError
        Those of `scan_parquet`, `places_of` and `typed_cells`; ``flat.column_type`` (lists, bytes),
        ``extract.control_character``.
    """
    import pyarrow.parquet

    with path.open("rb") as stream:
        facts = scan_parquet(stream, path.name)
        places = places_of(facts.header, roles, path.name)
        stream.seek(0)
        table = pyarrow.parquet.ParquetFile(stream).read()
    spelling = Spelling(table=path.name, place="row", first=1, missing=frozenset(map(str, data.missing)))
    return pd.DataFrame(
        {name: _column(table.column(place), name, roles[name], spelling) for name, place in places.items()}
    )


def _column(stored: pyarrow.ChunkedArray, name: str, role: Role, spelling: Spelling) -> pd.Series:
    from pyarrow import types

    kind: Any = stored.type
    if types.is_dictionary(kind):
        stored = stored.cast(kind.value_type)
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        cells = ["" if cell is None else str(cell) for cell in stored.to_pylist()]
        if odd := [row for row, cell in enumerate(cells, start=1) if _CONTROL.search(cell)]:
            raise ExtractError(
                "extract.control_character",
                f"'{name}' of {spelling.table} has {len(odd)} values with control characters, first row {odd[0]}",
                fix="remove NUL, tab, escape and other control characters",
            )
        return typed_cells(cells, name, role, spelling)
    if types.is_decimal(kind) or types.is_floating(kind):
        return _known(pd.Series(stored.cast("float64").to_pandas(), name=name), spelling)
    if types.is_integer(kind):  # as they are: a name of eighteen digits is no float
        whole = "UInt64" if types.is_unsigned_integer(kind) else "Int64"
        return _known(pd.Series(stored.to_pylist(), dtype=whole, name=name), spelling)
    if types.is_boolean(kind):
        return pd.Series(stored.to_pandas(), name=name).astype("boolean")
    if types.is_temporal(kind):
        return pd.Series(stored.to_pandas(), name=name)  # refused by name where a number or a category is needed
    raise ExtractError(
        "flat.column_type",
        f"column '{name}' of {spelling.table} holds neither numbers nor text",
        fix="write each declared column as numbers or as text",
    )


def _known(numbers: pd.Series, spelling: Spelling) -> pd.Series:
    """Stored numbers, those that stand for a missing value missing."""
    return numbers.mask(numbers.isin(list(spelling.missing_numbers)))
