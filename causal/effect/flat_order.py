"""The order of a flat table's rows: by the units' names, or by lot of what they hold; never that of the file."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.frame import column_of, first_of, numbers, refuse_gaps, treatment_of
from causal.errors import DesignError
from causal.numeric.keys import KeyArray, keys_of_content, keys_of_names
from causal.protocol.flat_table import FlatTableStudy

IntArray = NDArray[np.int64]
DIGITS = re.compile(r"(\d+)")


def in_canonical_order(frame: pd.DataFrame, study: FlatTableStudy) -> tuple[pd.DataFrame, KeyArray]:
    """The rows of a table in an order that does not depend on the file's, and their keys (n,).

    With a column of names under ``columns.key`` rows follow their names, as people count (unit 9 before unit 10).
    Without one they come by lot: by a hash of the study's seed and of all the study reads of them, the outcome
    included, so that what they hold says nothing about who comes first; rows alike in everything are interchangeable.
    Units of measurement, the order of columns and the spelling of categories do not enter. Rows keep their index, which
    says where they stood.

    Raises
    ------
    DesignError
        ``flat.key`` (a name missing or repeated), and those of `numbers`.
    """
    columns, analysis = study.columns, study.analysis
    if columns.key is not None:
        order = _by_name(frame, columns.key)
        names = column_of(frame, columns.key).iloc[order]
        return frame.iloc[order], keys_of_names(names, study.seed)
    treated = treatment_of(frame, columns.treatment, treated_value=columns.treated_value)
    apart = [treated.astype(np.float64), numbers(frame, columns.outcome)]
    alike = [numbers(frame, name) for name in columns.numeric]
    named = [*columns.categorical, *columns.keys, *analysis.exact]
    named += [name for name in (analysis.cluster, analysis.person) if name]
    labels = [_codes(frame, name) for name in dict.fromkeys(named)]
    matrix = np.column_stack(alike) if alike else np.empty((len(frame), 0))
    key = keys_of_content(apart, matrix, labels=labels, seed=study.seed)
    order = np.lexsort((*labels, *alike, *apart, key))  # what follows the key parts rows of one hash, if there are any
    return frame.iloc[order], key[order]


def _by_name(frame: pd.DataFrame, name: str) -> IntArray:
    """Places (n,) of the rows in the order of their names."""
    refuse_gaps(frame, [name])
    text = [str(value) for value in column_of(frame, name)]
    repeated = pd.Series(text).duplicated().to_numpy(dtype=np.bool_)
    if repeated.any():
        raise DesignError(
            "flat.key",
            f"{repeated.sum()} of {len(text)} rows share their name in column '{name}' with an earlier row "
            f"({first_of(frame, repeated)})",
            fix="name a column that is unique to each row",
        )
    return np.array(sorted(range(len(text)), key=lambda row: (_counted(text[row]), text[row])), dtype=np.int64)


def _counted(name: str) -> list[tuple[str, int]]:
    """A name as people order it: runs of digits by their number.

    >>> sorted(["a10", "a9", "b1"], key=_counted)
    ['a9', 'a10', 'b1']
    """
    parts = [*DIGITS.split(name), ""]
    return [(text, int(number or 0)) for text, number in zip(parts[::2], parts[1::2], strict=True)]


def _codes(frame: pd.DataFrame, name: str) -> IntArray:
    """Codes (n,) of a column's values, in the order of their text."""
    text = np.array([str(value) for value in column_of(frame, name)], dtype=object)
    return np.unique(text, return_inverse=True)[1].reshape(-1).astype(np.int64)
