"""One flat table: a row per unit, a treatment, an outcome, covariates, no dates. Match or weight, then estimate.

Ties go to the earlier row of the table, as in the published analyses it is held against; there is no risk set and no
calendar here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.diagnostics.balance import BalanceRow, balance_table
from causal.design.matching.caliper import caliper_width
from causal.design.matching.greedy import match_greedy
from causal.design.matching.sets import row_weights
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.weighting.propensity_weights import propensity_weights
from causal.effect.matched_estimates import LinearEffect, paired_difference, weighted_ancova
from causal.errors import DesignError
from causal.protocol.matching import Greedy
from causal.protocol.study import FlatColumns, FlatTableStudy
from causal.protocol.weighting import PropensityWeighting

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatResult:
    """The effect in one flat table; `n_sets` is None for weighting. `balance` is after adjustment beside before."""

    effect: LinearEffect
    estimand: str
    method: str
    n_rows: int
    n_sets: int | None
    balance: tuple[BalanceRow, ...]


def analyse_flat_table(frame: pd.DataFrame, study: FlatTableStudy) -> FlatResult:
    """The effect the study asks for.

    Raises
    ------
    DesignError
        A column is missing, not numeric, incomplete or constant; the treatment is not 0 and 1; no overlap.
    """
    columns = study.columns
    _refuse_columns(frame, columns)
    treated = _treatment(frame, columns.treatment)
    outcome = _numbers(frame, columns.outcome)
    covariates, names = design_columns(frame, columns)
    propensity = fit_propensity(covariates, treated, names=names)
    match study.analysis.design:
        case Greedy() as matching:
            return _matched(outcome, treated, covariates, names, propensity, matching, study)
        case PropensityWeighting() as weighting:
            return _weighted(outcome, treated, covariates, names, propensity, weighting, study)


def design_columns(frame: pd.DataFrame, columns: FlatColumns) -> tuple[FloatArray, tuple[str, ...]]:
    """Covariate matrix (n, p) and names: numbers, squares, and an indicator of every category but the first in order.

    >>> frame = pd.DataFrame({"age": [30.0, 40.0], "race": ["b", "a"]})
    >>> design_columns(frame, FlatColumns(treatment="t", outcome="y", numeric=("age",), categorical=("race",)))
    (array([[30.,  1.],
           [40.,  0.]]), ('age', 'race: b'))
    """
    named: dict[str, FloatArray] = {name: _numbers(frame, name) for name in columns.numeric}
    named |= {f"{name} squared": named[name] ** 2 for name in columns.squared}
    for name in columns.categorical:
        values = frame[name]
        if values.isna().any():
            raise _missing(name, int(values.isna().sum()))
        for category in sorted(values.unique())[1:]:
            named[f"{name}: {category}"] = (values == category).to_numpy(dtype=np.float64)
    if not named:
        raise DesignError("flat.no_covariates", "the study names no covariate", fix="list them under columns")
    return np.column_stack(list(named.values())), tuple(named)


def _matched(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    names: tuple[str, ...],
    propensity: Propensity,
    matching: Greedy,
    study: FlatTableStudy,
) -> FlatResult:
    caliper = matching.caliper
    width = caliper_width(propensity.logit, treated, width=caliper.width, sd=caliper.sd) if caliper else None
    sets = match_greedy(propensity.logit, treated, ratio=matching.ratio, caliper=width, order=matching.order)
    level = study.analysis.level
    if study.analysis.standard_error == "paired":
        effect = paired_difference(outcome[sets.row], sets.is_treated, sets=sets.set_id, level=level)
    else:
        effect = weighted_ancova(
            outcome[sets.row], sets.is_treated, None, weights=sets.weight, clusters=sets.set_id, level=level
        )
    return FlatResult(
        effect=effect,
        estimand="ATT" if sets.n_unmatched_treated == 0 else "ATT among the matched",
        method=f"greedy 1:{matching.ratio} on the logit, {matching.order} first",
        n_rows=outcome.size,
        n_sets=int(sets.is_treated.sum()),
        balance=balance_table(
            covariates, names, [1] * len(names), treated, row_weights(sets, outcome.size), estimand="ATT"
        ),
    )


def _weighted(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    names: tuple[str, ...],
    propensity: Propensity,
    weighting: PropensityWeighting,
    study: FlatTableStudy,
) -> FlatResult:
    if study.analysis.standard_error == "paired":
        raise DesignError("flat.paired_weights", "weighting has no pairs", fix="set standard_error to robust")
    weights = propensity_weights(
        propensity.probability, treated, estimand=weighting.estimand, stabilised=weighting.stabilised
    )
    effect = weighted_ancova(
        outcome,
        treated,
        None,
        weights=weights,
        clusters=np.arange(outcome.size, dtype=np.int64),
        level=study.analysis.level,
        kind="CR0",
    )
    return FlatResult(
        effect=effect,
        estimand=weighting.estimand,
        method=f"inverse probability of treatment, {'stabilised' if weighting.stabilised else 'not stabilised'}",
        n_rows=outcome.size,
        n_sets=None,
        balance=balance_table(covariates, names, [1] * len(names), treated, weights, estimand=weighting.estimand),
    )


def _refuse_columns(frame: pd.DataFrame, columns: FlatColumns) -> None:
    wanted = (columns.treatment, columns.outcome, *columns.numeric, *columns.categorical)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise DesignError("flat.no_column", f"the table has no column {', '.join(map(repr, absent))}")
    if frame.columns.has_duplicates:
        raise DesignError("flat.duplicate_column", "two columns of the table have the same name")
    if len(set(wanted)) < len(wanted):
        raise DesignError("flat.column_twice", "a column is named twice under columns", fix="name each column once")
    if not set(columns.squared) <= set(columns.numeric):
        raise DesignError("flat.squared", "a squared column must also be listed as numeric")


def _treatment(frame: pd.DataFrame, name: str) -> BoolArray:
    values = _numbers(frame, name)
    if not np.isin(values, (0.0, 1.0)).all():
        raise DesignError("flat.treatment", f"treatment '{name}' holds values other than 0 and 1")
    return np.equal(values, 1.0)


def _numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    if not pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]):
        raise DesignError("flat.not_numeric", f"column '{name}' is declared a number and holds text")
    values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        raise _missing(name, int((~np.isfinite(values)).sum()))
    return values


def _missing(name: str, count: int) -> DesignError:
    few = "fewer than 11" if count < 11 else str(count)
    return DesignError(
        "flat.missing",
        f"column '{name}' is missing in {few} rows",
        fix="a flat table has no missing-data plan: deliver complete rows",
    )
