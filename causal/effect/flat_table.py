"""One flat table: a row per unit, a treatment, an outcome, covariates, no dates. Match or weight, then estimate.

Ties go to the earlier row of the table, as in the published analyses it is held against; there is no risk set and no
calendar here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from causal.design.compare import Comparison, Units, compare, engine_model
from causal.design.describe import estimand_label
from causal.design.diagnostics.balance import BalanceRow, balance_table
from causal.design.frame import column_of, design_columns, numbers, treatment_of
from causal.design.matching.pairing import Pairing
from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.terms import model_matrix
from causal.effect.matched_estimates import LinearEffect, paired_difference, weighted_ancova
from causal.effect.weighted_estimates import WeightedEffect, weighted_difference
from causal.errors import DesignError
from causal.protocol.matching import AnyMatching
from causal.protocol.study import FlatAnalysis, FlatColumns, FlatTableStudy
from causal.protocol.weighting import PropensityWeighting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatResult:
    """The effect in one flat table; `n_sets` is None for weighting. `balance` is after adjustment beside before."""

    effect: LinearEffect | WeightedEffect
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
    with threadpool_limits(limits=1, user_api="blas"):
        return _analysed(frame, study)


def _analysed(frame: pd.DataFrame, study: FlatTableStudy) -> FlatResult:
    columns, analysis = study.columns, study.analysis
    _refuse_columns(frame, columns)
    treated = treatment_of(frame, columns.treatment)
    outcome = numbers(frame, columns.outcome)
    covariates, names = design_columns(
        frame, numeric=columns.numeric, categorical=columns.categorical, squared=columns.squared
    )
    clusters = None if analysis.cluster is None else _codes(frame, analysis.cluster)
    model = engine_model(analysis.propensity)
    rng = None if analysis.propensity.seed is None else np.random.default_rng(analysis.propensity.seed)
    propensity = fit_propensity(covariates, treated, names=names, model=model, clusters=clusters, rng=rng)
    wants_matrix = analysis.standard_error == "estimated_weights"
    is_model = isinstance(analysis.design, PropensityWeighting) and analysis.propensity.model == "logistic"
    compared = compare(
        analysis.design,
        Units(
            treated=treated,
            covariates=covariates,
            names=names,
            tiers=(1,) * len(names),
            logit=propensity.logit,
            keys={name: _codes(frame, name) for name in (*columns.numeric, *columns.categorical, *columns.keys)},
            pairing=Pairing(exact=_joint(frame, analysis.exact)),
            design_matrix=model_matrix(covariates, names, model, clusters)[0]
            if wants_matrix and is_model
            else (covariates if wants_matrix and not isinstance(analysis.design, PropensityWeighting) else None),
        ),
    )
    return FlatResult(
        effect=_effect(outcome, treated, compared, clusters, analysis),
        estimand=estimand_label(compared, left_out=_left_out(treated, compared)),
        method=flat_method(analysis),
        n_rows=outcome.size,
        n_sets=int(np.unique(compared.set_id).size) if isinstance(analysis.design, AnyMatching) else None,
        balance=balance_table(
            covariates, names, [1] * len(names), treated, compared.weight, estimand=compared.estimand
        ),
    )


def _left_out(treated: BoolArray, compared: Comparison) -> int:
    """Units of the population the effect is meant for that are not in the comparison."""
    focal = {"ATT": treated, "ATC": ~treated}.get(compared.estimand, np.ones(treated.size, dtype=np.bool_))
    return int((focal & (compared.weight == 0)).sum())


def _effect(
    outcome: FloatArray, treated: BoolArray, compared: Comparison, clusters: IntArray | None, analysis: FlatAnalysis
) -> LinearEffect | WeightedEffect:
    """The contrast with the standard error that is asked for."""
    row, level = compared.row, analysis.level
    if compared.weights is not None:
        if analysis.standard_error == "paired":
            raise DesignError("flat.paired_weights", "weighting has no pairs", fix="set standard_error to robust")
        if analysis.standard_error == "estimated_weights":
            return weighted_difference(outcome, treated, compared.weights, clusters=clusters, level=level)
        own = np.arange(outcome.size, dtype=np.int64)
        return weighted_ancova(
            outcome,
            treated,
            None,
            weights=compared.weight,
            clusters=own if clusters is None else clusters,
            level=level,
            kind="CR0" if clusters is None else "CR2",
        )
    if analysis.standard_error == "estimated_weights":
        raise DesignError(
            "flat.estimated_weights", "matched sets are not weights with a model", fix="set standard_error to robust"
        )
    if analysis.standard_error == "paired":
        return paired_difference(outcome[row], treated[row], sets=compared.set_id, level=level)
    reused = np.unique(row).size < row.size
    if clusters is None and reused:
        raise DesignError(
            "flat.reused",
            "a unit used in several matched sets makes the sets depend on one another",
            fix="name a cluster column that holds them together, or match without replacement",
        )
    return weighted_ancova(
        outcome[row],
        treated[row],
        None,
        weights=compared.row_weight,
        clusters=compared.set_id if clusters is None else clusters[row],
        level=level,
    )


def flat_method(analysis: FlatAnalysis) -> str:
    """The method in a few words."""
    design = analysis.design
    words = design.method.replace("_", " ")
    if isinstance(design, PropensityWeighting):
        return f"inverse probability of treatment, {'stabilised' if design.stabilised else 'not stabilised'}"
    if ratio := getattr(design, "ratio", None):
        words += f" 1:{ratio}"
    if isinstance(order := getattr(design, "order", None), str):
        words += f", {order} first" if order != "random" else ", by lot"
    return words


def _codes(frame: pd.DataFrame, name: str) -> IntArray:
    return np.asarray(pd.factorize(column_of(frame, name), use_na_sentinel=False)[0], dtype=np.int64)


def _joint(frame: pd.DataFrame, names: tuple[str, ...]) -> IntArray | None:
    """One code (n,) per combination of the columns' values."""
    if not names:
        return None
    joint = np.zeros(len(frame), dtype=np.int64)
    for name in names:
        codes = _codes(frame, name)
        joint = joint * (int(codes.max()) + 1) + codes
    return joint


def _refuse_columns(frame: pd.DataFrame, columns: FlatColumns) -> None:
    wanted = (columns.treatment, columns.outcome, *columns.numeric, *columns.categorical, *columns.keys)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise DesignError("flat.no_column", f"the table has no column {', '.join(map(repr, absent))}")
    if frame.columns.has_duplicates:
        raise DesignError("flat.duplicate_column", "two columns of the table have the same name")
    if len(set(wanted)) < len(wanted):
        raise DesignError("flat.column_twice", "a column is named twice under columns", fix="name each column once")
    if not set(columns.squared) <= set(columns.numeric):
        raise DesignError("flat.squared", "a squared column must also be listed as numeric")
