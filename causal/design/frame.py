"""From a table people hold to the arrays an engine takes, with a plain refusal for everything that is not a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FEW = 11
DATED = frozenset({"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"})
"""What pandas calls columns of dates, times and durations."""


def treatment_of(frame: pd.DataFrame, name: str) -> BoolArray:
    """Arm (n,) from a column of 0 and 1.

    Raises
    ------
    DesignError
        ``flat.treatment`` and those of `numbers`.
    """
    values = numbers(frame, name)
    if not np.isin(values, (0.0, 1.0)).all():
        raise DesignError("flat.treatment", f"treatment '{name}' holds values other than 0 and 1")
    return np.equal(values, 1.0)


def numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    """A column (n,) of finite numbers.

    Raises
    ------
    DesignError
        ``flat.no_column``, ``flat.not_numeric``, ``flat.missing``.

    >>> numbers(pd.DataFrame({"age": [30, 40]}), "age").tolist()
    [30.0, 40.0]
    """
    column = column_of(frame, name)
    _refuse_dates(column, name)
    if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        raise DesignError(
            "flat.not_numeric", f"column '{name}' is declared a number and holds text", fix="declare it categorical"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        raise missing(name, int((~np.isfinite(values)).sum()))
    return values


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """The one column of that name."""
    held = int((frame.columns == name).sum())
    if held == 0:
        raise DesignError("flat.no_column", f"the table has no column '{name}'")
    if held > 1:
        raise DesignError("flat.duplicate_column", "two columns of the table have the same name")
    return frame[name]


def design_columns(
    frame: pd.DataFrame, *, numeric: Sequence[str], categorical: Sequence[str] = (), squared: Sequence[str] = ()
) -> tuple[FloatArray, tuple[str, ...]]:
    """Covariate matrix (n, p) and names: numbers, squares, and an indicator of every category but the first in order.

    The name of an indicator holds its category, which is a value out of somebody's record: give engines, whose refusals
    print names, those of `without_levels`.

    Raises
    ------
    DesignError
        ``flat.no_covariates``, ``flat.mixed``, ``flat.duplicate_column`` and those of `numbers`.

    >>> frame = pd.DataFrame({"age": [30.0, 40.0], "race": ["b", "a"]})
    >>> design_columns(frame, numeric=["age"], categorical=["race"])
    (array([[30.,  1.],
           [40.,  0.]]), ('age', 'race: b'))
    """
    named: dict[str, FloatArray] = {name: numbers(frame, name) for name in numeric}
    named |= {f"{name} squared": named[name] ** 2 for name in squared}
    for name in categorical:
        values = column_of(frame, name)
        _refuse_dates(values, name)
        if values.isna().any():
            raise missing(name, int(values.isna().sum()))
        for category in _in_order(values, name)[1:]:
            label = f"{name}: {category}"
            if label in named:
                raise DesignError("flat.duplicate_column", f"a category of column '{name}' has the name of another one")
            named[label] = (values == category).to_numpy(dtype=np.float64)
    if not named:
        raise DesignError("flat.no_covariates", "the study names no covariate", fix="list them under columns")
    return np.column_stack(list(named.values())), tuple(named)


def without_levels(names: Sequence[str], categorical: Sequence[str]) -> tuple[str, ...]:
    """The names of `design_columns` with the number of each category, in order, instead of the category itself.

    >>> without_levels(("age", "doctor: Dr Rare", "doctor: Dr Usual"), ["doctor"])
    ('age', 'doctor: category 2', 'doctor: category 3')
    """
    number = dict.fromkeys(categorical, 1)
    plain = []
    for name in names:
        columns = [column for column in categorical if name.startswith(f"{column}: ")]
        if columns:
            column = max(columns, key=len)
            number[column] += 1
            plain.append(f"{column}: category {number[column]}")
        else:
            plain.append(name)
    return tuple(plain)


def key_codes(frame: pd.DataFrame, name: str) -> IntArray:
    """Codes (n,) of a column rows are to agree or differ in; what nobody recorded agrees with nothing and is refused.

    Raises
    ------
    DesignError
        ``flat.no_column``, ``flat.missing``.
    """
    column = column_of(frame, name)
    if column.isna().any():
        raise missing(name, int(column.isna().sum()))
    return np.asarray(pd.factorize(column)[0], dtype=np.int64)


def _refuse_dates(column: pd.Series, name: str) -> None:
    if pd.api.types.infer_dtype(column, skipna=True) in DATED:
        raise DesignError(
            "flat.not_numeric",
            f"column '{name}' holds dates, times or durations",
            fix="deliver a number, such as years since a fixed day",
        )


def _in_order(values: pd.Series, name: str) -> list[Any]:
    try:
        return sorted(values.unique())
    except TypeError:
        raise DesignError(
            "flat.mixed", f"column '{name}' holds categories of several types", fix="deliver all of them as text"
        ) from None


def missing(name: str, count: int) -> DesignError:
    """The refusal of a column with gaps; a small count is not told."""
    few = f"fewer than {FEW}" if count < FEW else str(count)
    return DesignError(
        "flat.missing",
        f"column '{name}' is missing in {few} rows",
        fix="a flat table has no missing-data plan: deliver complete rows",
    )
