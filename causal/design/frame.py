"""From a table people hold to the arrays an engine takes, with a plain refusal for everything that is not a number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.errors import DesignError
from causal.spelling import nearest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FEW = 11
LARGEST = 1e50
"""Numbers beyond it are no measurement, and products of four of them would leave what a computer can hold."""
NO_PLAN = "one table has no missing-data plan: deliver complete rows"
"""How gaps are mended."""
LINE, ROW = "line of the file", "row of the table"
"""Names of an index that says where rows stand: lines of a CSV file, whose header is line 1, or rows from 1."""
PLAIN_ARMS = ("yes", "no", "true", "false", "treated", "control")
"""Words for an arm that say nothing of anybody; no other value of a treatment is ever repeated."""
DATED = frozenset({"datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"})
"""What pandas calls columns of dates, times and durations."""


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with an index that says where each of its n rows stands: as its reader numbered them, or rows from 1.

    The labels of any other index may be names of people, and are dropped.

    >>> numbered(pd.DataFrame({"age": [30, 40]}, index=["Ann", "Bob"])).index.tolist()
    [1, 2]
    """
    if frame.index.name in (LINE, ROW):
        return frame
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1, name=ROW), axis="index")


def first_of(frame: pd.DataFrame, rows: BoolArray) -> str:
    """Where the first of the chosen rows (n,) stands in its file or table, whatever order they are in now.

    >>> first_of(pd.DataFrame({"age": [30, 40, 50]}), np.array([False, True, True]))
    'first row 2'
    """
    places = numbered(frame).index
    return f"first {'line' if places.name == LINE else 'row'} {places[rows].min()}"


def treatment_of(frame: pd.DataFrame, name: str, *, treated_value: str | bool | int | None = None) -> BoolArray:
    """Arm (n,) from a column of 0 and 1, or of two values one of which means treated.

    Raises
    ------
    DesignError
        ``flat.treatment`` (other values, not two of them, or words of which nothing says which means treated),
        ``flat.treated_value`` (no row has it), and those of `numbers`.

    >>> treatment_of(pd.DataFrame({"told": ["yes", "No ", "YES"]}), "told", treated_value="yes").tolist()
    [True, False, True]
    """
    if treated_value is not None:
        return _arm_of_text(frame, name, treated_value)
    _refuse_untold(frame, name)
    values = numbers(frame, name)
    others = ~np.isin(values, (0.0, 1.0))
    if others.any():
        different = np.unique(values).size
        raise DesignError(
            "flat.treatment",
            f"treatment '{name}' holds values other than 0 and 1 in {some(int(others.sum()))} of {len(values)} rows "
            f"({first_of(frame, others)}), {different} different ones in all",
            fix="write 0 and 1, or say under columns.treated_value which of two values means treated",
        )
    return np.equal(values, 1.0)


def _refuse_untold(frame: pd.DataFrame, name: str) -> None:
    """Refuse words for the arms where nothing says which of them means treated."""
    column = column_of(frame, name)
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return
    words = np.array([isinstance(value, str) for value in column], dtype=np.bool_)
    if words.any():
        places = f"in {some(int(words.sum()))} of {len(words)} rows ({first_of(frame, words)})"
        message, fix = untold(name, places, {str(value) for value in column[words]})
        raise DesignError("flat.treatment", message, fix=fix)


def untold(name: str, places: str, values: Collection[str]) -> tuple[str, str]:
    """What is said of a treatment of words of which nothing says which means treated, and its mend.

    The words are repeated only where all are among `PLAIN_ARMS`.

    >>> untold("told", "in 60 of 60 rows (first row 1)", ["Yes", "no"])[1]
    'it holds no and yes: say under columns which of them means treated, as in treated_value: yes'
    """
    said = sorted({_said(value) for value in values})
    message = f"treatment '{name}' holds words {places}, and columns.treated_value does not say which means treated"
    if not set(said) <= set(PLAIN_ARMS):
        return message, "declare under columns.treated_value which of the two values means treated"
    means = next((word for word in ("treated", "yes", "true") if word in said), said[0])
    held = f"it holds {' and '.join(said)}"
    return message, f"{held}: say under columns which of them means treated, as in treated_value: {means}"


def _arm_of_text(frame: pd.DataFrame, name: str, treated_value: str | bool | int) -> BoolArray:
    """Arm (n,): values compared as they are said, without capitals or blanks around them."""
    column = column_of(frame, name)
    _refuse_dates(column, name)
    refuse_gaps(frame, [name])
    said = np.array([_said(value) for value in column], dtype=object)
    held, wanted = set(said), _said(treated_value)
    if len(held) > 2:
        often = sorted(held, key=lambda value: (value != wanted, -int((said == value).sum()), value))
        others = ~np.isin(said, often[:2])
        raise DesignError(
            "flat.treatment",
            f"treatment '{name}' holds {len(held)} different values, expected 2: {some(int(others.sum()))} of "
            f"{len(said)} rows ({first_of(frame, others)}) hold neither of the two it should",
            fix="one value for treated, one for all others; leave other rows out of the table",
        )
    if wanted not in held:
        near = "one of its values is spelt nearly so: " if nearest(wanted, held) else ""
        raise DesignError(
            "flat.treated_value",
            f"none of {len(said)} rows of treatment '{name}' holds the declared treated_value",
            fix=f"{near}say it as the table does; quote a number that is text, such as '01'",
        )
    return np.asarray(said == wanted, dtype=np.bool_)


def _said(value: object) -> str:
    """A value as people say it: true for what a table writes TRUE, 1 for 1.0.

    >>> _said(True), _said(" Yes"), _said(2.0)
    ('true', 'yes', '2')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold()


def numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    """A column (n,) of finite numbers.

    Raises
    ------
    DesignError
        ``flat.no_column``, ``flat.not_numeric``, ``flat.missing``, ``flat.too_large``, ``flat.too_small``.

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
    if np.isnan(values).any():
        raise missing(frame, {name: np.isnan(values)})
    large = np.abs(values) > LARGEST
    if large.any():
        raise DesignError(
            "flat.too_large",
            f"column '{name}' holds numbers beyond {LARGEST:g}, which no measurement is, in "
            f"{some(int(large.sum()))} rows ({first_of(frame, large)})",
            fix="mend them, or deliver the column in another unit",
        )
    if 0 < np.abs(values).max(initial=0.0) < 1 / LARGEST:
        raise DesignError(
            "flat.too_small",
            f"column '{name}' holds no number above {1 / LARGEST:g}, whose squares a computer takes for 0",
            fix="deliver the column in another unit",
        )
    return values


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """The one column of that name."""
    held = int((frame.columns == name).sum())
    if held == 0:
        raise DesignError("flat.no_column", f"the table has no column '{name}'")
    if held > 1:
        raise DesignError("flat.duplicate_column", "two columns of the table have the same name")
    return frame[name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignColumns:
    """Covariates of n rows as p columns of numbers.

    Columns stand in an order that no spelling of a category decides: the numbers as declared, their squares, then the
    levels of each category, the most frequent first, equally frequent ones as they first appear.

    Attributes
    ----------
    values
        (n, p) numbers, squares, and an indicator of every level of every category.
    names
        p names for people: ``age``, ``age squared``, ``race: b``. A level is a value out of somebody's record: it is
        for tables, never for a refusal.
    source, level
        p declared columns the columns come from, and (p,) which level of a category each indicates: 1, 2, ... by the
        order of their names; 0 for a number.
    spare
        (p,) true for the most frequent level of each category: the others determine it, so that models do without it.
        Balance, distances and tolerances do not.
    """

    values: FloatArray
    names: tuple[str, ...]
    source: tuple[str, ...]
    level: IntArray
    spare: BoolArray

    @property
    def plain(self) -> tuple[str, ...]:
        """Names (p of them) for whatever a refusal may print: a level by its number."""
        levels = zip(self.names, self.source, self.level.tolist(), strict=True)
        return tuple(f"{source}: category {level}" if level else name for name, source, level in levels)

    def only(self, chosen: BoolArray) -> DesignColumns:
        """Those of the columns that are chosen (p,)."""
        return DesignColumns(
            values=np.ascontiguousarray(self.values[:, chosen]),
            names=tuple(compress(self.names, chosen)),
            source=tuple(compress(self.source, chosen)),
            level=self.level[chosen],
            spare=self.spare[chosen],
        )

    def sparing(self, treated: BoolArray) -> DesignColumns:
        """The columns with another level spared where the most frequent one is of one arm (n,) only.

        A level that tells the arms apart must be a column of the models, or nothing there sees it. Spared is the most
        frequent level that both arms have; the most frequent of all where none has both.
        """
        spare = self.spare.copy()
        for source in dict.fromkeys(compress(self.source, self.level > 0)):
            own = [j for j, name in enumerate(self.source) if name == source and self.level[j] > 0]
            both = [j for j in own if self.values[treated, j].any() and self.values[~treated, j].any()]
            if both and spare[own].any():
                spare[own] = False
                spare[both[0]] = True
        return replace(self, spare=spare)

    @property
    def in_models(self) -> FloatArray:
        """The columns (n, k) a model is fitted to: one level short of every category."""
        return self.values[:, ~self.spare]

    @property
    def names_in_models(self) -> tuple[str, ...]:
        """Their k names for refusals."""
        return tuple(name for name, spare in zip(self.plain, self.spare, strict=True) if not spare)

    @property
    def shown(self) -> IntArray:
        """(p,) columns in the order of a table: as declared, levels by the order of their names."""
        first = {source: j for j, source in reversed([*enumerate(self.source)])}
        return np.lexsort((self.level, np.array([first[source] for source in self.source]))).astype(np.int64)


def design_columns(
    frame: pd.DataFrame, *, numeric: Sequence[str], categorical: Sequence[str] = (), squared: Sequence[str] = ()
) -> DesignColumns:
    """Numbers, squares, and an indicator of every level of every category.

    Raises
    ------
    DesignError
        ``flat.no_covariates``, ``flat.mixed``, ``flat.spelling``, ``flat.duplicate_column`` and those of `numbers`.

    >>> frame = pd.DataFrame({"age": [30.0, 40.0, 50.0], "race": ["b", "a", "b"]})
    >>> found = design_columns(frame, numeric=["age"], categorical=["race"])
    >>> found.names, found.plain[1:], found.spare.tolist()
    (('age', 'race: b', 'race: a'), ('race: category 2', 'race: category 1'), [False, True, False])
    """
    named: dict[str, FloatArray] = {name: numbers(frame, name) for name in numeric}
    named |= {f"{name} squared": named[name] ** 2 for name in squared}
    source, level, spare = [*numeric, *squared], [0] * len(named), [False] * len(named)
    for name in categorical:
        codes, levels = _levels(frame, name)
        rank = np.argsort(np.argsort(np.array(levels, dtype=object), kind="stable"), kind="stable")
        often = np.bincount(codes, minlength=len(levels))
        for k in np.argsort(-often, kind="stable").tolist():
            label = f"{name}: {levels[k]}"
            if label in named:
                raise DesignError("flat.duplicate_column", f"a category of column '{name}' has the name of another one")
            named[label] = (codes == k).astype(np.float64)
            source.append(name)
            level.append(int(rank[k]) + 1)
        spare += [True, *[False] * (len(levels) - 1)]
    if not named:
        raise DesignError("flat.no_covariates", "the study names no covariate", fix="list them under columns")
    return DesignColumns(
        values=np.column_stack(list(named.values())),
        names=tuple(map(str, named)),
        source=tuple(source),
        level=np.array(level, dtype=np.int64),
        spare=np.array(spare, dtype=np.bool_),
    )


def key_codes(frame: pd.DataFrame, name: str) -> IntArray:
    """Codes (n,) of a column rows are to agree or differ in; what nobody recorded agrees with nothing and is refused.

    Raises
    ------
    DesignError
        ``flat.no_column``, ``flat.missing``.
    """
    refuse_gaps(frame, [name])
    return np.asarray(pd.factorize(column_of(frame, name))[0], dtype=np.int64)


def _refuse_dates(column: pd.Series, name: str) -> None:
    if pd.api.types.infer_dtype(column, skipna=True) in DATED:
        raise DesignError(
            "flat.not_numeric",
            f"column '{name}' holds dates, times or durations",
            fix="deliver a number, such as years since a fixed day",
        )


def _levels(frame: pd.DataFrame, name: str) -> tuple[IntArray, list[Any]]:
    """Codes (n,) of a category's levels as they first appear, and the levels."""
    values = column_of(frame, name)
    _refuse_dates(values, name)
    refuse_gaps(frame, [name])
    try:
        codes, levels = pd.factorize(values)
        sorted(levels)
    except TypeError:
        raise DesignError(
            "flat.mixed", f"column '{name}' holds categories of several types", fix="deliver all of them as text"
        ) from None
    refuse_spellings(frame, name)
    return np.asarray(codes, dtype=np.int64), list(levels)


def refuse_spellings(frame: pd.DataFrame, name: str) -> None:
    """Refuse values of a column that differ in capitals or blanks only: one place would be taken for two.

    Counted are the rows of every spelling but the most frequent one of its value.

    Raises
    ------
    DesignError
        ``flat.spelling``, with the counts of values and of rows, and the first row.
    """
    column = column_of(frame, name)
    often = {value: int(rows) for value, rows in column.value_counts().items() if rows and isinstance(value, str)}
    ways: dict[str, list[str]] = {}
    for value in sorted(often, key=lambda value: (-often[value], value)):
        ways.setdefault(" ".join(value.split()).casefold(), []).append(value)
    rarer = [value for same in ways.values() for value in same[1:]]
    if rarer:
        rows = column.isin(rarer).to_numpy(dtype=np.bool_)
        raise DesignError(
            "flat.spelling",
            f"{len(rarer)} of {column.nunique()} values of column '{name}' differ from another in capitals or blanks "
            f"only, in {some(int(rows.sum()))} of {len(frame)} rows ({first_of(frame, rows)})",
            fix="write each value in one way",
        )


def refuse_gaps(frame: pd.DataFrame, names: Sequence[str], *, fix: str = NO_PLAN) -> None:
    """Refuse gaps in the columns of those names, all in one line; see `missing`.

    Raises
    ------
    DesignError
        ``flat.missing``, ``flat.no_column``.
    """
    gone = {name: column_of(frame, name).isna().to_numpy(dtype=np.bool_) for name in dict.fromkeys(names)}
    gaps = {name: rows for name, rows in gone.items() if rows.any()}
    if gaps:
        raise missing(frame, gaps, fix=fix)


def missing(frame: pd.DataFrame, gaps: Mapping[str, BoolArray], *, fix: str = NO_PLAN) -> DesignError:
    """The refusal of columns with gaps in the rows (n,) of each: how many, a small count not told, and the first."""
    told = (f"column '{name}' ({some(int(rows.sum()))} rows, {first_of(frame, rows)})" for name, rows in gaps.items())
    return DesignError("flat.missing", f"values are missing in {', '.join(told)}", fix=fix)


def some(count: int) -> str:
    """A count of rows; a small one is not told."""
    return f"fewer than {FEW}" if count < FEW else str(count)
