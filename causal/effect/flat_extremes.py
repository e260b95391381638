"""Numbers that stand far from all others of their column: marks for "not known", other units, a lost decimal point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.errors import DesignError
from causal.protocol.flat_table import FlatTableStudy

BEYOND = 1000.0
"""Gap, in ranges of all others, from which on nothing can be computed beside a number."""
FEWEST_VALUES = 5
"""Different values a column must have beside the farthest for it to have a range that means something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Farthest:
    """Of all columns of numbers, the one whose largest or smallest value is farthest from the rest.

    `gap` is in ranges of the rest: how far the value is from the nearest other one, over how far the others lie apart.
    `rows` is how many rows hold it.
    """

    column: str
    gap: float
    rows: int


def farthest(frame: pd.DataFrame, study: FlatTableStudy) -> Farthest | None:
    """The farthest value of the outcome and the numeric covariates; None where no column has enough values.

    A mean leans on such a value, and a standard deviation that holds it hides how unlike the groups are.
    """
    columns = (study.columns.outcome, *study.columns.numeric)
    found = [(column, *_apart(frame[column].to_numpy(dtype=np.float64, na_value=np.nan))) for column in columns]
    ranked = sorted(((gap, column, rows) for column, gap, rows in found if rows), key=lambda one: (-one[0], one[1]))
    return Farthest(column=ranked[0][1], gap=ranked[0][0], rows=ranked[0][2]) if ranked else None


def _apart(values: NDArray[np.float64]) -> tuple[float, int]:
    """Gap of the farther end of values (n,), missing ones left out, and how many hold it; no rows where too few differ.

    >>> _apart(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 99.0, 99.0]))
    (23.5, 2)
    """
    different, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    if different.size <= FEWEST_VALUES:
        return 0.0, 0
    high = (different[-1] - different[-2]) / (different[-2] - different[0])
    low = (different[1] - different[0]) / (different[-1] - different[1])
    return (float(high), int(counts[-1])) if high >= low else (float(low), int(counts[0]))


def refuse_beyond(frame: pd.DataFrame, study: FlatTableStudy) -> None:
    """Refuse a number beside which all others of its column are one: no model or distance could tell them apart.

    The outcome and the numeric covariates must hold numbers (`causal.design.frame.numbers`).

    Raises
    ------
    DesignError
        ``flat.beyond``, with the column and the count of rows.
    """
    far = farthest(frame, study)
    if far is not None and far.gap > BEYOND:
        raise DesignError(
            "flat.beyond",
            f"column '{far.column}' holds a number in {far.rows} of {len(frame)} rows that is more than {BEYOND:g} "
            "times as far from the next one as all others lie apart",
            fix="mend it: a mark for 'not known', a lost decimal point, another unit",
        )


def repeated_rows(frame: pd.DataFrame, study: FlatTableStudy) -> int:
    """Rows that repeat an earlier one in every column the study reads."""
    columns = study.columns
    read = (columns.treatment, columns.outcome, *columns.numeric, *columns.categorical)
    return int(frame[list(dict.fromkeys(read))].duplicated().sum())
