"""From a table people hold to units an engine can compare, in order of their keys and by names of our own.

Columns are called ``c0``, ``c1``, ... while an engine runs, and the indicators of text ``c1_1``, ``c1_2``, one for
every level: a column may then have any name, and what an engine says names columns, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.api_arguments import names_of
from causal.design.compare import Units
from causal.design.frame import DesignColumns, column_of, design_columns, numbered, refuse_gaps, treatment_of
from causal.design.matching.pairing import Pairing
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """n units in order of their key.

    Attributes
    ----------
    keys
        (n,) names of the units, in order.
    place
        (n,) where each row of the table stands in that order.
    treated, covariates
        (n,) arm and the covariates' p columns.
    short
        (p,) what these are called while an engine runs.
    columns
        Columns of the table used, in the order of their short names.
    codes
        (n,) codes of the columns rules name, by short name.
    """

    keys: pd.Index
    place: NDArray[np.intp]
    treated: BoolArray
    covariates: DesignColumns
    short: tuple[str, ...]
    columns: tuple[str, ...]
    codes: Mapping[str, IntArray]

    def key(self, name: str) -> str:
        """Short name of a column a rule names."""
        return f"c{self.columns.index(name)}"

    def parts(self, word: str, name: str) -> list[str]:
        """Short names of a covariate's columns: one of a number, one per level of text."""
        own = self.key(name) if name in self.columns else ""
        found = [short for short in self.short if short.partition("_")[0] == own]
        if not found:
            raise DesignError("design.no_column", f"argument {word} names '{name}', which is no covariate")
        return found

    def number(self, word: str, name: str) -> str:
        """Short name of a covariate that is a number."""
        parts = self.parts(word, name)
        if parts != [self.key(name)]:
            raise DesignError("flat.not_numeric", f"argument {word} names '{name}', which holds no numbers")
        return parts[0]

    def units(self, score: FloatArray, exact: Sequence[str], person: str | None, *, swap: bool) -> Units:
        """As a method sees them; `swap` exchanges the arms, for the effect in the untreated."""
        who = None if person is None else self.codes[self.key(person)]
        joint = None
        for name in exact:
            codes = self.codes[self.key(name)]
            joint = codes if joint is None else pd.factorize(joint * (int(codes.max()) + 1) + codes)[0].astype(np.int64)
        return Units(
            treated=~self.treated if swap else self.treated,
            covariates=self.covariates.values,
            names=self.short,
            spare=self.covariates.spare,
            tiers=(1,) * len(self.short),
            logit=-score if swap else score,
            keys=self.codes,
            pairing=Pairing(exact=joint, person=who, once=who),
        )

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """A refusal of an engine, with the names of the table's columns."""
        try:
            yield
        except DesignError as refusal:
            raise DesignError(refusal.code, self._named(refusal.message), fix=self._named(refusal.fix)) from None

    def _named(self, text: str) -> str:
        once = re.sub(r"(?<! x )\bc(\d+)_\d+(?:, c\1_\d+)+\b(?! x )", r"c\1", text)  # several indicators: told once
        return re.sub(r"\bc(\d+)(?:_\d+)?\b", lambda found: str(self.columns[int(found[1])]), once)


def sample_of(
    table: pd.DataFrame, treatment: str, covariates: Sequence[str], *, keys: Sequence[str] = (), key: str | None
) -> Sample:
    """The table's units.

    Raises
    ------
    DesignError
        ``design.key``, ``design.argument``, ``design.constant_covariate``, ``flat.mixed`` and those of `numbers`.
    """
    index = keys_of(table, key)
    order = _order(index)
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    units = numbered(table).iloc[order]
    columns = tuple(dict.fromkeys([*names_of("covariates", covariates), *keys]))
    treated = treatment_of(units, names_of("treatment", (treatment,))[0])
    found = _covariates(units, covariates, columns).sparing(treated)
    return Sample(
        keys=index[order],
        place=place,
        treated=treated,
        covariates=found,
        short=tuple(
            f"c{columns.index(source)}_{level}" if level else f"c{columns.index(source)}"
            for source, level in zip(found.source, found.level.tolist(), strict=True)
        ),
        columns=columns,
        codes={f"c{columns.index(name)}": _codes(units, name) for name in keys},
    )


def keys_of(table: pd.DataFrame, key: str | None) -> pd.Index:
    """Names of the units (n,), in the table's order: its index, or the column `key`."""
    if not isinstance(table, pd.DataFrame):
        raise DesignError("design.argument", "the table must be a pandas DataFrame")
    if key is not None and (not isinstance(key, str | int) or key not in table.columns):
        raise DesignError("design.key", f"the table has no column '{key}', which names the units")
    keys = table.index if key is None else pd.Index(column_of(table, key), name=key)
    try:
        sound = len(pd.factorize(keys)[1]) == len(keys) and not keys.to_frame(name=range(keys.nlevels)).isna().any(
            axis=None
        )
    except TypeError:
        sound = False
    if not sound:
        raise DesignError(
            "design.key", "the units' key is missing or repeated for some rows", fix="name a column unique to each row"
        )
    return keys


def places(units: pd.Index, table: pd.DataFrame, key: str | None) -> NDArray[np.intp]:
    """Where each row of the table stands among the units of a design; -1 for a row that is none of them."""
    found = units.get_indexer(keys_of(table, key))
    if (found >= 0).sum() < len(units):
        raise DesignError("design.key", "the table lacks some units of the design", fix="give the table it was made of")
    return found


def _order(keys: pd.Index) -> NDArray[np.intp]:
    try:
        return np.argsort(keys.to_numpy(), kind="stable")
    except TypeError:
        raise DesignError(
            "design.key", "the units' keys are of more than one type and have no order", fix="make them all text"
        ) from None


def _covariates(units: pd.DataFrame, covariates: Sequence[str], columns: tuple[str, ...]) -> DesignColumns:
    """Numbers first, then the indicators of text."""
    if not columns or not len(covariates):
        raise DesignError("flat.no_covariates", "no covariate is named")
    if not len(units):
        raise DesignError("design.no_treated", "the table has no rows")
    text = {name: _is_text(units, name) for name in covariates}
    return design_columns(
        units,
        numeric=[name for name, is_text in text.items() if not is_text],
        categorical=[name for name, is_text in text.items() if is_text],
    )


def _is_text(units: pd.DataFrame, name: str) -> bool:
    """Whether a covariate becomes indicators; refused where it is neither a number nor text."""
    column = column_of(units, name)
    known = pd.api.types
    if known.is_complex_dtype(column) or not (
        known.is_numeric_dtype(column)
        or known.is_object_dtype(column)
        or known.is_string_dtype(column)
        or isinstance(column.dtype, pd.CategoricalDtype)
    ):
        raise DesignError(
            "flat.not_numeric", f"column '{name}' is neither a number nor text", fix="make it a number, such as an age"
        )
    if known.is_numeric_dtype(column):
        return False
    _codes(units, name)
    try:
        levels = len(sorted(column.unique()))
    except TypeError:
        raise mixed(name) from None
    if levels < 2:
        raise DesignError(
            "design.constant_covariate", f"column '{name}' is the same for every unit", fix="leave it out"
        )
    return True


def _codes(units: pd.DataFrame, name: str) -> IntArray:
    """Codes (n,) that say which units agree in a column."""
    refuse_gaps(units, [name])
    try:
        return pd.factorize(column_of(units, name))[0].astype(np.int64)
    except TypeError:
        raise mixed(name) from None


def mixed(name: str) -> DesignError:
    """The refusal of a column whose values cannot be compared with each other."""
    return DesignError(
        "flat.mixed", f"column '{name}' holds values that cannot be compared", fix="make it all text or all numbers"
    )
