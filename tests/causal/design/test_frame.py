"""Columns become arrays or a plain refusal, and no refusal holds what somebody's record holds."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from causal.design.frame import design_columns, key_codes, numbers
from causal.errors import DesignError


def test_names_for_engines_hold_no_category() -> None:
    """Each category has its number, counted by column in the order of names, and numbers keep their names."""
    frame = pd.DataFrame({"age": [1.0, 2, 3], "ward": ["a: 1", "b", "c"], "ward: b": ["x", "y", "z"]})
    found = design_columns(frame, numeric=["age"], categorical=["ward", "ward: b"])
    assert found.plain == (
        "age",
        "ward: category 1",
        "ward: category 2",
        "ward: category 3",
        "ward: b: category 1",
        "ward: b: category 2",
        "ward: b: category 3",
    )


def test_every_level_counts_and_the_most_frequent_is_the_one_models_do_without() -> None:
    """Levels stand by how often they occur, then as they appear; tables show them by name, beside their column."""
    frame = pd.DataFrame({"ward": ["c", "a", "b", "b", "NA"], "age": [1.0, 2, 3, 4, 5]})
    found = design_columns(frame, numeric=["age"], categorical=["ward"], squared=["age"])
    assert found.names == ("age", "age squared", "ward: b", "ward: c", "ward: a", "ward: NA")
    assert found.spare.tolist() == [False, False, True, False, False, False]
    assert found.values[:, 2:].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert [found.names[j] for j in found.shown] == [
        "age", "age squared", "ward: NA", "ward: a", "ward: b", "ward: c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2001-05-06", "2002-07-08"]),
        pd.to_datetime(["2001-05-06", "2002-07-08"], utc=True),
        pd.to_timedelta([3, 4], unit="D"),
        pd.period_range("2001-05", periods=2, freq="M"),
        [datetime.date(2001, 5, 6), datetime.date(2002, 7, 8)],
        [datetime.time(5, 6), None],
    ],
    ids=["datetime", "with zone", "timedelta", "period", "date", "time"],
)
def test_dates_are_neither_numbers_nor_categories(values: object) -> None:
    """Dates, times and durations are refused in one line that shows none of them."""
    frame = pd.DataFrame({"seen": values})
    for refuse in (lambda: numbers(frame, "seen"), lambda: design_columns(frame, numeric=(), categorical=["seen"])):
        with pytest.raises(DesignError) as refusal:
            refuse()
        assert refusal.value.code == "flat.not_numeric"
        assert "'seen' holds dates, times or durations" in refusal.value.message
        assert not any(digit in str(refusal.value) for digit in "0123456789")


def test_categories_of_several_types_are_refused() -> None:
    """Text beside numbers has no order; the refusal shows neither."""
    with pytest.raises(DesignError) as refusal:
        design_columns(pd.DataFrame({"ward": ["Dr Rare", 7, 7]}), numeric=(), categorical=["ward"])
    assert refusal.value.code == "flat.mixed"
    assert "Rare" not in str(refusal.value)
    assert "7" not in str(refusal.value)


def test_two_columns_of_one_name_are_refused() -> None:
    """A category that makes the name of another column's category does not replace it in silence."""
    frame = pd.DataFrame({"a": ["x", "b: y"], "a: b": ["x", "y"]})
    with pytest.raises(DesignError) as refusal:
        design_columns(frame.assign(a=["b", "b: y"]), numeric=(), categorical=["a", "a: b"])
    assert refusal.value.code == "flat.duplicate_column"
    assert "y" not in refusal.value.message.split("'")[1]


def test_keys_without_gaps() -> None:
    """Codes follow first appearance; a gap is refused, with few of them not counted."""
    frame = pd.DataFrame({"ward": ["b", "a", "b"], "clinic": [1, None, np.nan]})
    assert key_codes(frame, "ward").tolist() == [0, 1, 0]
    with pytest.raises(DesignError, match=r"missing in column 'clinic' \(fewer than 11 rows, first row 2\)"):
        key_codes(frame, "clinic")
