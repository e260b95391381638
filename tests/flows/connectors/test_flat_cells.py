"""Cells of numbers: what may be thousands is no decimal, and no decimal is offered where it may be thousands."""

from __future__ import annotations

from typing import Literal

import pytest

from causal.errors import ExtractError
from flows.connectors.flat_cells import Role, Spelling, typed_cells


def read(cells: list[str], decimal: Literal["point", "comma"] = "point") -> list[float]:
    """The cells as numbers."""
    return list(
        typed_cells(cells, "score", Role.NUMBER, Spelling(table="t.csv", place="line", first=2, decimal=decimal))
    )


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [
        (["1,054", "987", "2,310"], "point"),  # would be offered a decimal comma
        (["1,054", "987", "2,310"], "comma"),  # ... and with it be a thousandth
        (["1.054", "987", "2.310"], "point"),
        (["1.054", "987", "2.310"], "comma"),
        (["1,054,000", "-2,310"], "point"),
    ],
)
def test_thousands_are_refused_under_either_decimal(cells: list[str], decimal: Literal["point", "comma"]) -> None:
    """1,054 beside 987 is a thousand and more: read as decimals both signs and sizes of effects were wrong."""
    with pytest.raises(ExtractError, match=r"flat\.thousands.*'score'.*of 3 cells \(first line 2\)|of 2 cells") as said:
        read(cells, decimal)
    assert "decimal: " not in str(said.value)


@pytest.mark.parametrize(
    "cells",
    [
        ["1.054", "0.987", "2.310"],  # no whole number beside them
        ["1.054", "98", "2.310"],  # a whole number below a hundred says nothing
        ["1.05", "987", "2.310"],  # two digits part no thousands
        ["1.054", "1987", "2.310"],  # a whole number beyond a thousand is written without a sign
        ["0.125", "987", "2.310"],
        ["1.054", "987", "9"],  # one cell may be so by chance
    ],
)
def test_three_decimals_are_decimals(cells: list[str]) -> None:
    """Unless the column's other numbers say otherwise."""
    assert read(cells) == [float(cell) for cell in cells]


def test_a_decimal_comma_is_still_told() -> None:
    """With other than three digits after it."""
    with pytest.raises(ExtractError, match=r"flat\.decimal_comma"):
        read(["1,5", "2,25"])
    assert read(["1,5", "2,25"], "comma") == [1.5, 2.25]


@pytest.mark.parametrize(
    ("cells", "what", "fix"),
    [
        (["12%", "7.5 %", "3"], "2 of 3 cells (first line 2) with a unit", "the unit in the column's name"),
        (["€12", "$ 7", "3"], "2 of 3 cells (first line 2) with a unit", "the unit in the column's name"),
        (["5", "70 kg", "80kg"], "2 of 3 cells (first line 3) with a unit", "the unit in the column's name"),
        (["1980-01-03", "3.1.1980"], "2 of 2 cells (first line 2) that look like dates or times", "days since"),
        (["1980-01-03 10:00", "09:30"], "2 of 2 cells (first line 2) that look like dates or times", "days since"),
        (["1", "Score", "3"], "1 of 3 cells (first line 3) that repeat the column's name", "leave the header out"),
        (["1", "70 kg", "tall"], "2 of 3 cells (first line 3) that are no plain numbers", "without units"),
    ],
)
def test_what_is_no_number_is_told_by_what_it_looks_like(cells: list[str], what: str, fix: str) -> None:
    """With the mend for it, and no cell's content."""
    with pytest.raises(ExtractError) as said:
        read(cells)
    assert said.value.code == "flat.not_numeric"
    assert said.value.message == f"column 'score' of t.csv is declared a number and has {what}"
    assert fix in said.value.fix
    assert not any(cell in said.value.fix for cell in cells if len(cell) > 1)
