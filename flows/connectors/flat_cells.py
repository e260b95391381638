"""What the cells of a flat table mean: text, until the study declares their column a number or the treatment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import nan
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.frame import LARGEST, untold
from causal.errors import ExtractError
from causal.protocol.flat_table import FlatTableStudy
from causal.protocol.long_table import LongTableStudy, Visits

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_POINT = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
_COMMA = re.compile(_POINT.pattern.replace(r"\.", ","))
_GROUPS = {
    "point": re.compile(r"[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+"),
    "comma": re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+"),
}
"""Whole numbers with that sign between their thousands; some are decimals to anybody who does not know."""
_NUMBER = r"[+-]?[0-9]{1,30}([.,][0-9]{1,30})?"
_WITH_UNIT = re.compile(rf"{_NUMBER} ?[^\d\s.,+-][^\d]{{0,11}}|[^\d\s.,+-]{{1,4}} ?{_NUMBER}")
_DATE = re.compile(r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}([ T].{0,20})?|[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_TRUTH = {"true": 1.0, "false": 0.0}
FEWEST_GROUPED = 2
"""Cells from which on signs that may part thousands are no chance."""
_MARKS = frozenset(
    {"na", "n/a", "#n/a", "<na>", "nan", "null", "none", "missing", "unknown", ".", "-", "--", "?", "\\n"}
)
"""What people write where nothing is known, in lower case. A mark is no number, and means "missing" once declared."""


class Role(StrEnum):
    """How the cells of a column are read."""

    NUMBER = "number"
    ZERO_ONE = "zero_one"
    """The treatment where the study does not say which value means treated: a number, or refused as words are."""
    TEXT = "text"
    """A category, a key or a name: as it stands, without blanks around it."""
    ARM = "arm"
    """The treatment where the study says which value means treated: text, compared by `treatment_of`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """How a table writes what it holds.

    Attributes
    ----------
    table, place
        The file's name, and what counts its rows: ``line`` of a CSV file, ``row`` of another.
    first
        The number of the first row's line.
    decimal
        What parts a number's whole part from its fraction.
    missing
        What stands for a missing value beside an empty cell.
    """

    table: str
    place: Literal["line", "row"]
    first: int
    decimal: Literal["point", "comma"] = "point"
    missing: frozenset[str] = frozenset()

    @property
    def missing_numbers(self) -> frozenset[float]:
        """Declared marks that are numbers: -99 is missing where the table writes -99.0."""
        return frozenset(float(mark) for mark in self.missing if _POINT.fullmatch(mark))


def roles_of(study: FlatTableStudy) -> dict[str, Role]:
    """The role of every column the study reads, in the order they are declared."""
    columns, analysis = study.columns, study.analysis
    roles = {columns.treatment: Role.ZERO_ONE if columns.treated_value is None else Role.ARM}
    placebos = (placebo.column for placebo in study.placebo_outcomes)
    roles |= dict.fromkeys((columns.outcome, *columns.numeric, *placebos), Role.NUMBER)
    texts = (columns.key, *columns.categorical, *columns.keys, *analysis.exact, analysis.cluster, analysis.person)
    return roles | {name: Role.TEXT for name in texts if name is not None and name not in roles}


def roles_in_long(study: LongTableStudy) -> dict[str, Role]:
    """The role of every column that a study of one long table reads."""
    columns = study.columns
    roles = {columns.treatment: Role.ZERO_ONE if columns.treated_value is None else Role.ARM}
    if isinstance(columns, Visits):
        roles[columns.visit] = Role.TEXT if isinstance(columns.visits[0], str) else Role.NUMBER
        own: tuple[str, ...] = (columns.outcome,)
    else:
        own = (columns.start, columns.stop, columns.event)
    roles |= dict.fromkeys((*own, *columns.numeric), Role.NUMBER)
    texts = (*columns.named_by, *columns.categorical, columns.cluster)
    return roles | {name: Role.TEXT for name in texts if name is not None and name not in roles}


def typed_columns(cells: Mapping[str, Sequence[str]], roles: Mapping[str, Role], spelling: Spelling) -> pd.DataFrame:
    """The columns of text (n,) each, typed by their roles; see `typed_cells`."""
    return pd.DataFrame({name: typed_cells(cells[name], name, role, spelling) for name, role in roles.items()})


def typed_cells(cells: Sequence[str], name: str, role: Role, spelling: Spelling) -> pd.Series:
    """One column (n,) of text cells as its role has it. Blanks around a cell do not count; an empty one is missing.

    Raises
    ------
    ExtractError
        A column declared a number has cells that are none: ``flat.thousands``, ``flat.decimal_comma``,
        ``flat.missing_mark``, ``flat.too_large`` or ``flat.not_numeric``, with their count and the first line, never a
        value; ``flat.treatment`` where they are words for the arms (`causal.design.frame.untold`).

    >>> said = Spelling(table="t.csv", place="line", first=2, missing=frozenset({"NA"}))
    >>> typed_cells(["07", " 7 ", "", "NA", "None"], "site", Role.TEXT, said).tolist()
    ['07', '7', nan, nan, 'None']
    >>> typed_cells(["1", "2.50", "", "NA"], "age", Role.NUMBER, said).tolist()
    [1.0, 2.5, nan, nan]
    """
    trimmed = [cell.strip() for cell in cells]
    gone = spelling.missing | {""}
    if role not in (Role.NUMBER, Role.ZERO_ONE):
        return pd.Series([None if cell in gone else cell for cell in trimmed], dtype="str", name=name)
    _refuse_thousands(trimmed, name, spelling)
    numbers = _plain_numbers(trimmed, spelling)
    if numbers is None:
        numbers = _numbers(trimmed, name, role, spelling)
    large = np.flatnonzero(np.abs(numbers) > LARGEST)
    if large.size:
        raise ExtractError(
            "flat.too_large",
            f"column '{name}' of {spelling.table} has {_places(large, len(cells), spelling)} beyond {LARGEST:g}, "
            "which no measurement is",
            fix="mend the number, or deliver the column in another unit",
        )
    return pd.Series(numbers, dtype="float64", name=name)


def _refuse_thousands(trimmed: Sequence[str], name: str, spelling: Spelling) -> None:
    """Refuse signs that may part thousands where the column's other numbers say that they do.

    Under the sign declared for decimals "1,054" is a little more than one. Where every cell with that sign has it
    before three digits, and whole numbers of three digits stand beside them but none of four, it is a thousand and
    fifty-four.
    """
    sign = "," if spelling.decimal == "comma" else "."
    marked = [row for row, cell in enumerate(trimmed) if sign in cell and cell not in spelling.missing]
    grouped = _GROUPS[spelling.decimal].fullmatch
    if len(marked) < FEWEST_GROUPED or not all(grouped(trimmed[row]) for row in marked):
        return
    whole = {
        len(cell.lstrip("+-")) for cell in trimmed if cell.lstrip("+-").isdecimal() and cell not in spelling.missing
    }
    if 3 in whole and max(whole) == 3:
        raise _thousands(marked, len(trimmed), name, spelling)


def _thousands(rows: Sequence[int], total: int, name: str, spelling: Spelling) -> ExtractError:
    return ExtractError(
        "flat.thousands",
        f"column '{name}' of {spelling.table} is declared a number and has {_places(rows, total, spelling)} whose "
        "points or commas stand where thousands are parted",
        fix="write numbers without a sign between thousands; decimals that look so by chance need another digit",
    )


def _plain_numbers(trimmed: Sequence[str], spelling: Spelling) -> FloatArray | None:
    """The numbers (n,) of cells of digits, signs and exponents alone, in one go; None where any is another.

    Of these letters Python's own reading is that of the grammar.
    """
    letters = "0123456789+-eE" + ("," if spelling.decimal == "comma" else ".")
    if set().union(*trimmed) - set(letters):
        return None
    pointed = trimmed if spelling.decimal == "point" else [cell.replace(",", ".") for cell in trimmed]
    try:
        numbers = np.array([float(cell) if cell else nan for cell in pointed], dtype=np.float64)
    except ValueError:
        return None
    numbers[np.isin(numbers, list(spelling.missing_numbers))] = nan
    return numbers


def _numbers(trimmed: Sequence[str], name: str, role: Role, spelling: Spelling) -> FloatArray:
    """The numbers (n,) of any cells, refused where one is none."""
    gone = spelling.missing | {""}
    known = {cell: _number(cell, spelling) for cell in set(trimmed)}
    if {cell.lower() for cell in known if cell not in gone} <= _TRUTH.keys():
        known = {cell: _TRUTH.get(cell.lower(), nan) for cell in known}
    elif unread := {cell for cell, value in known.items() if value is None}:
        raise _refusal(trimmed, name, role, unread, spelling)
    return np.array([known[cell] for cell in trimmed], dtype=np.float64)


def _number(cell: str, spelling: Spelling) -> float | None:
    """The number a trimmed cell says; NaN where it says missing, None where it says neither."""
    if cell == "" or cell in spelling.missing:
        return nan
    if not (_COMMA if spelling.decimal == "comma" else _POINT).fullmatch(cell):
        return None
    value = float(cell.replace(",", "."))
    return nan if value in spelling.missing_numbers else value


def _refusal(trimmed: Sequence[str], name: str, role: Role, unread: set[str], spelling: Spelling) -> ExtractError:
    """Why a column declared a number is none, by what its unread cells look like."""
    rows = [row for row, cell in enumerate(trimmed) if cell in unread]
    other = _POINT if spelling.decimal == "comma" else _COMMA
    code, what = "flat.not_numeric", "that are no plain numbers"
    fix = "write digits, a sign and a decimal point, without units; text belongs to columns.categorical"
    opposite: Literal["point", "comma"] = "point" if spelling.decimal == "comma" else "comma"
    if all(_GROUPS[opposite].fullmatch(cell) for cell in unread):
        return _thousands(rows, len(trimmed), name, spelling)
    if all(other.fullmatch(cell) for cell in unread):
        code = "flat.decimal_comma"
        declared, meant = ("comma", "point") if spelling.decimal == "comma" else ("point", "comma")
        what = f"with a decimal {meant}"
        fix = f"write decimals with a {declared}, or declare decimal: {meant} under data"
    elif all(_WITH_UNIT.fullmatch(cell) for cell in unread):
        what, fix = "with a unit", "write the number alone, and the unit in the column's name"
    elif all(_DATE.fullmatch(cell) for cell in unread):
        what, fix = "that look like dates or times", "deliver a number, such as days since a fixed day"
    elif all(cell.casefold() == name.casefold() for cell in unread):
        what, fix = "that repeat the column's name", "leave the header out where files were joined"
    elif all(cell.lower() in _MARKS for cell in unread):
        code, what = "flat.missing_mark", "with a mark for a missing value"
        fix = "name the mark under data.missing, or leave such cells empty"
    elif role is Role.ZERO_ONE:
        message, fix = untold(name, f"in {_places(rows, len(trimmed), spelling)} of {spelling.table}", unread)
        return ExtractError("flat.treatment", message, fix=fix)
    return ExtractError(
        code,
        f"column '{name}' of {spelling.table} is declared a number and has "
        f"{_places(rows, len(trimmed), spelling)} {what}",
        fix=fix,
    )


def _places(rows: Sequence[int] | IntArray, total: int, spelling: Spelling) -> str:
    """How many cells, and where the first of them is."""
    return f"{len(rows)} of {total} cells (first {spelling.place} {rows[0] + spelling.first})"
