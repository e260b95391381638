"""Numbers that stand far from all others of their column: marks for "not known", other units, a lost decimal point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.frame import first_of
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
    `rows` is how many rows hold it, `place` where the first of them stands.
    """

    column: str
    gap: float
    rows: int
    place: str


def measured(study: FlatTableStudy) -> tuple[str, ...]:
    """The outcome and the numeric covariates of a study of one flat table."""
    return (study.columns.outcome, *study.columns.numeric)


def farthest(frame: pd.DataFrame, columns: Sequence[str]) -> Farthest | None:
    """The farthest value of columns of numbers; None where no column has enough values.

    A mean leans on such a value, and a standard deviation that holds it hides how unlike the groups are.
    """
    found = [(column, *_apart(frame[column].to_numpy(dtype=np.float64, na_value=np.nan))) for column in columns]
    ranked = sorted((one for one in found if one[2].any()), key=lambda one: (-one[1], one[0]))
    if not ranked:
        return None
    column, gap, rows = ranked[0]
    return Farthest(column=column, gap=gap, rows=int(rows.sum()), place=first_of(frame, rows))


def _apart(values: NDArray[np.float64]) -> tuple[float, NDArray[np.bool_]]:
    """Gap of the farther end of values (n,), missing ones left out, and which hold it (n,); none where too few differ.

    >>> _apart(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 99.0, 99.0]))
    (23.5, array([False, False, False, False, False,  True,  True]))
    """
    different = np.unique(values[np.isfinite(values)])
    if different.size <= FEWEST_VALUES:
        return 0.0, np.zeros(values.size, dtype=np.bool_)
    high = (different[-1] - different[-2]) / (different[-2] - different[0])
    low = (different[1] - different[0]) / (different[-1] - different[1])
    return (float(high), values == different[-1]) if high >= low else (float(low), values == different[0])


def refuse_beyond(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a number beside which all others of its column are one: no model or distance could tell them apart.

    The columns must hold numbers (`causal.design.frame.numbers`), or nothing.

    Raises
    ------
    DesignError
        ``flat.beyond``, with the column, the count of rows and the first of them.
    """
    far = farthest(frame, columns)
    if far is not None and far.gap > BEYOND:
        raise DesignError(
            "flat.beyond",
            f"column '{far.column}' holds a number in {far.rows} of {len(frame)} rows ({far.place}) that is more than "
            f"{BEYOND:g} times as far from the next one as all others lie apart",
            fix="mend it: a mark for 'not known', a lost decimal point, another unit",
        )


def repeated_rows(frame: pd.DataFrame, study: FlatTableStudy) -> int:
    """Rows that repeat an earlier one in every column the study reads."""
    columns = study.columns
    read = (columns.treatment, columns.outcome, *columns.numeric, *columns.categorical)
    return int(frame[list(dict.fromkeys(read))].duplicated().sum())
