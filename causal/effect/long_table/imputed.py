"""Completed tables of a long table's visits, and the adjusted difference at one of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.asked import OfVisits
from causal.effect.matched_estimates import ancova
from causal.effect.missing.reference_based import NormalDraws, normal_draws

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Result = tuple[float, float, float]


def draws_until(asked: OfVisits, visit: int, *, imputations: int, name: str) -> NormalDraws:
    """Each group's normal model of the visits up to one (from 0), drawn; refusals of `normal_draws`."""
    table = asked.table
    scores = table.scores[:, : visit + 1]
    return normal_draws(
        scores,
        treated=table.treated,
        may_impute=np.ones(scores.shape, dtype=np.bool_),
        covariates=table.facts.values,
        names=table.facts.names,
        imputations=imputations,
        rng=asked.rng(name),
    )


def apart(asked: OfVisits) -> tuple[str, ...]:
    """What to know of imputation where people come in clusters."""
    return (APART,) if asked.table.clustered else ()


APART = (
    "The completed outcomes are drawn as if people of one cluster were no more alike than others: where they are, what "
    "is missing is less certain than these intervals say."
)


def difference_by(asked: OfVisits, codes: IntArray) -> Callable[[FloatArray], Result]:
    """The adjusted difference of completed outcomes (n,): value, CR2 error by `codes` (n,), degrees of freedom."""
    table = asked.table
    regression = ancova(table.treated, table.facts.values, None, codes, names=table.facts.names, level=asked.level)

    def difference(outcome: FloatArray) -> Result:
        found = regression.effect(outcome)
        return found.value, found.std_error, found.df

    return difference
