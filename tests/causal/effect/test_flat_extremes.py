"""The farthest number of a table, and rows that repeat another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from causal.effect.flat_extremes import farthest, measured, repeated_rows
from causal.protocol import STUDY, FlatTableStudy
from flows.study_file.load import load_study


def study(**columns: Any) -> FlatTableStudy:
    """The shipped example with these columns."""
    adapter: TypeAdapter[Any] = STUDY
    plain = load_study("configs/studies/examples/lalonde.yaml").study.model_dump(mode="json")
    plain["columns"] |= {"treatment": "t", "outcome": "y", "numeric": ["age"], "categorical": []} | columns
    found = adapter.validate_python(plain, strict=False)
    assert isinstance(found, FlatTableStudy)
    return found


def table(**changed: dict[int, float]) -> pd.DataFrame:
    """Sixty people of 20 to 79 with outcomes of 0 to 59, some cells changed."""
    frame = pd.DataFrame({"t": np.arange(60.0) % 2, "y": np.arange(60.0), "age": 20.0 + np.arange(60)})
    for name, cells in changed.items():
        frame.loc[list(cells), name] = list(cells.values())
    return frame


def test_nothing_stands_apart() -> None:
    """Neighbours are one apart, the others 58."""
    found = farthest(table(), measured(study()))
    assert found is not None
    assert (found.gap, found.rows) == (pytest.approx(1 / 58), 1)


def test_a_mark_is_found_in_covariates_and_the_outcome_above_and_below() -> None:
    """999 and -999 stand for "not known" in three rows; a lost decimal point in one."""
    for cells, name, rows in (
        ({"y": {3: 999.0, 5: 999.0, 7: 999.0}}, "y", 3),
        ({"age": {3: -999.0, 5: -999.0}}, "age", 2),
        ({"y": {10: 5230.0}, "age": {1: 200.0}}, "y", 1),
    ):
        found = farthest(table(**cells), measured(study()))
        assert found is not None
        assert (found.column, found.rows) == (name, rows)
        assert found.gap > 5


def test_columns_of_few_values_have_no_range() -> None:
    """Yes and no, or a count of five: what is rare there is no mark; missing cells do not count."""
    frame = table().assign(age=[0.0, 1.0] * 29 + [50.0, np.nan], y=1.0)
    assert farthest(frame, measured(study())) is None


def test_order_of_rows_and_units_change_nothing() -> None:
    """The same column, gap and rows; where the first of them stands is told of the table as it is."""
    frame = table(y={3: 999.0})
    turned = frame.iloc[::-1].assign(y=frame["y"] * 4.0)
    one, other = farthest(turned, measured(study())), farthest(frame, measured(study()))
    assert one is not None
    assert other is not None
    assert one == replace(other, place=one.place)
    assert (one.place, other.place) == ("first row 57", "first row 4")


def test_rows_that_repeat_another_are_counted() -> None:
    """In what is read, whatever else tells them apart."""
    frame = pd.concat([table(), table().iloc[:7]]).assign(note=range(67))
    assert repeated_rows(frame, study()) == 7
    assert repeated_rows(table(), study()) == 0
