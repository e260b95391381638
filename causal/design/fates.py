"""What became of every covariate a study declares: none leaves a table, a model or a sentence without a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from causal.design.frame import DesignColumns
from causal.design.propensity.columns import independent_columns
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
COUNTS = 1e-7
"""Share of a column's length below which another one's part in it is rounding."""


class Fate(StrEnum):
    """What became of a covariate, in the word a reader sees."""

    ADJUSTED = "adjusted"
    """It is balanced and in the models."""
    COLLINEAR = "collinear"
    """It is balanced; others determine it exactly, so models that hold those hold it too."""
    CONSTANT = "constant"
    """Everyone eligible has the same value: there is nothing to adjust."""
    PARTLY = "adjusted, but for levels that one group alone has, in few rows"
    """It is balanced and in the models, but for some levels of a category."""
    TOO_RARE = "too rare"
    """So few have it, or lack it, that it would alone decide the choice: in no model."""
    NEVER_RECORDED = "never recorded"
    """No value for anybody eligible."""
    NOT_DELIVERED = "not delivered"
    """The table or column it comes from was not delivered, or held no row."""


HELD = frozenset({Fate.ADJUSTED, Fate.COLLINEAR, Fate.CONSTANT})
"""Fates under which compared people are alike in a covariate, or made so: it blocks the paths it stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateFate:
    """What became of one covariate.

    Attributes
    ----------
    name, tier
        The covariate, or the indicator ``x_missing`` of one, and its tier.
    fate
        What became of it.
    determined_by
        Where it is collinear, the covariates before it that determine it; otherwise empty.
    """

    name: str
    tier: int
    fate: Fate
    determined_by: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The fate as a reader sees it, with what determines the covariate where others do."""
        return f"{self.fate} with {', '.join(self.determined_by)}" if self.determined_by else str(self.fate)


def fates_of(values: FloatArray, names: Sequence[str], tiers: Sequence[int]) -> tuple[CovariateFate, ...]:
    """The fates of complete columns (n, p): constant, collinear with columns before them, or adjusted.

    Which of several columns that repeat one another is called collinear depends on the order they are declared in;
    that they do, and with whom, does not.

    >>> x = np.array([[1.0, 2, 5, 0], [2, 4, 5, 1], [4, 8, 5, 0]])
    >>> [(one.name, str(one.fate), one.determined_by) for one in fates_of(x, ["a", "b", "c", "d"], [1, 1, 2, 2])]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('a', 'adjusted', ()), ('b', 'collinear', ('a',)), ('c', 'constant', ()), ('d', 'adjusted', ())]
    """
    x = np.asarray(values, dtype=np.float64)
    varies = np.ptp(x, axis=0) > 0 if x.shape[0] else np.zeros(len(names), dtype=np.bool_)
    z = x[:, varies]
    z -= z.mean(axis=0) if varies.any() else 0.0
    z /= np.linalg.norm(z, axis=0)
    stays = np.zeros(len(names), dtype=np.bool_)
    stays[varies] = independent_columns(z)
    basis = z[:, stays[varies]]
    place = np.cumsum(varies) - 1
    told = []
    for j, (name, tier) in enumerate(zip(names, tiers, strict=True)):
        fate = Fate.ADJUSTED
        others: tuple[str, ...] = ()
        if not varies[j]:
            fate = Fate.CONSTANT
        elif not stays[j]:
            fate = Fate.COLLINEAR
            earlier = [names[int(k)] for k in np.flatnonzero(stays[:j])]
            others = _determining(z[:, place[j]], basis[:, : len(earlier)], earlier)
        told.append(CovariateFate(name=name, tier=tier, fate=fate, determined_by=others))
    return tuple(told)


def fates_of_columns(columns: DesignColumns) -> tuple[CovariateFate, ...]:
    """The fates of the declared columns of a table, each with all its levels and its square.

    A column is collinear where others determine all of it that a model would hold.

    >>> import pandas as pd
    >>> from causal.design.frame import design_columns
    >>> table = pd.DataFrame({"age": [30.0, 40, 50, 60], "ward": ["a", "b", "a", "b"], "east": [0, 1, 0, 1]})
    >>> found = fates_of_columns(design_columns(table, numeric=["age", "east"], categorical=["ward"]))
    >>> [f"{one.name} {one.said}" for one in found]
    ['age adjusted', 'east adjusted', 'ward collinear with east']
    """
    sources = np.array(columns.source, dtype=object)
    alone = np.array([(sources == source).sum() == 1 for source in sources], dtype=np.bool_)
    shown = np.flatnonzero(~columns.spare | alone)  # a category of one level is told, though no model holds it
    parts = fates_of(columns.values[:, shown], [str(j) for j in shown], [1] * shown.size)
    told = []
    for source in dict.fromkeys(columns.source):
        own = [part for part in parts if sources[int(part.name)] == source]
        others = dict.fromkeys(str(sources[int(name)]) for part in own for name in part.determined_by)
        kinds = {part.fate for part in own}
        fate = kinds.pop() if len(kinds) == 1 else Fate.ADJUSTED
        by = tuple(name for name in others if name != source) if fate is Fate.COLLINEAR else ()
        told.append(CovariateFate(name=str(source), tier=1, fate=fate, determined_by=by))
    return tuple(told)


def refuse_constant(fates: Sequence[CovariateFate]) -> None:
    """Refuse a table in whose declared covariates nobody differs.

    Raises
    ------
    DesignError
        ``design.constant_covariate``, with all of their names.
    """
    if constant := [one.name for one in fates if one.fate is Fate.CONSTANT]:
        raise DesignError(
            "design.constant_covariate",
            f"covariates have one value only: {', '.join(constant)}",
            fix="remove them from the confounders, or check that they were extracted",
        )


def _determining(column: FloatArray, before: FloatArray, names: Sequence[str]) -> tuple[str, ...]:
    """Those of independent columns (n, k) of length one that have a part in a column (n,) they determine."""
    part = np.linalg.lstsq(before, column, rcond=None)[0]
    return tuple(name for name, share in zip(names, part, strict=True) if abs(share) > COUNTS)
