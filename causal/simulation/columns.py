"""From arrays of codes and times to columns of a frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from causal.simulation.draws import DAY
from causal.tables import Table

Dates = NDArray[np.datetime64]


def text(array: pa.LargeStringArray) -> pd.api.extensions.ExtensionArray:
    """Wrap an Arrow array of text as a pandas column (dtype ``str``), without copying."""
    dtype = pd.StringDtype("pyarrow", na_value=np.nan)
    return pd.arrays.ArrowStringArray(array, dtype=dtype)  # type: ignore[call-arg]  # the stubs lack `dtype`


def picked(
    array: pa.LargeStringArray, rows: NDArray[np.int64], missing: NDArray[np.bool_] | None = None
) -> pd.api.extensions.ExtensionArray:
    """Pick the entries of `array` at `rows`, null where `missing`."""
    return text(array.take(pa.array(rows, mask=missing)))


def category(
    values: Sequence[str], codes: NDArray[np.int64] | NDArray[np.bool_], missing: NDArray[np.bool_] | None = None
) -> pd.api.extensions.ExtensionArray:
    """Text from codes into `values`, null where `missing`.

    >>> list(category(("no", "yes"), np.array([True, False])))
    ['yes', 'no']
    """
    return picked(pa.array(values, type=pa.large_string()), codes.astype(np.int64), missing)


def allowed(table: Table, column: str) -> tuple[str, ...]:
    """Name the categories a declared column allows, in their order; their places are the codes."""
    return table.column(column).values


def instants(seconds: NDArray[np.int64]) -> Dates:
    """Timestamps to the second from seconds since 1970-01-01."""
    return seconds.astype("datetime64[s]")


def dates(days: NDArray[np.int64], missing: NDArray[np.bool_] | None = None) -> Dates:
    """Midnights from days since 1970-01-01, NaT where `missing`."""
    midnights = (days * DAY).astype("datetime64[s]")
    return midnights if missing is None else np.where(missing, np.datetime64("NaT", "s"), midnights)


def integers(values: NDArray[np.int8], missing: NDArray[np.bool_]) -> pd.arrays.IntegerArray:
    """Nullable 16-bit integers."""
    return pd.arrays.IntegerArray(values.astype(np.int16), missing)
