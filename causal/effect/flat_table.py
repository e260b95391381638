"""One flat table: a row per unit, a treatment, an outcome, covariates, no dates. From its design to the effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.compare import Comparison, Units, coordinates_of
from causal.design.diagnostics.balance import BalanceRow
from causal.design.fates import CovariateFate
from causal.design.frame import numbered, numbers
from causal.effect.abadie_imbens import matched_with_replacement, matches_of
from causal.effect.contrast import Contrast, student
from causal.effect.doubly_robust.influence import MarginalMean
from causal.effect.flat_design import FlatDesign, FlatFacts, flat_design, flat_facts, refuse_columns
from causal.effect.flat_diagnostics import FlatDiagnostics, diagnostics_of
from causal.effect.flat_disguise import refuse_disguised_outcome
from causal.effect.flat_extremes import measured, refuse_beyond
from causal.effect.flat_models import (
    Answer,
    Table,
    g_computed,
    refuse_reuse,
    standardised,
    two_models,
    units_of_error,
    wider,
)
from causal.effect.flat_response import with_outcomes
from causal.effect.matched_estimates import LinearEffect, paired_difference, weighted_ancova
from causal.effect.uneven_clusters import corrected
from causal.effect.weighted_estimates import WeightedEffect, weighted_difference
from causal.errors import DesignError
from causal.numeric.grid import figures
from causal.protocol.flat_table import (
    AugmentedWeighting,
    Difference,
    FlatAnalysis,
    FlatTableStudy,
    GComputation,
    Standardisation,
    TargetedLikelihood,
)
from causal.protocol.matching import AnyMatching, CovariateDistance, Greedy
from causal.protocol.weighting import PropensityWeighting
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatResult:
    """The effect in one flat table.

    Attributes
    ----------
    effect
        Treated minus comparison.
    log_ratio
        Log of the ratio of risks, from a logistic outcome model; otherwise None.
    means
        Mean outcome had all been treated, and had none, from estimators that give them; otherwise None.
    estimand, method
        Whose effect, and how it was found, in a few words.
    n_rows, n_sets
        Rows of the table; matched sets or strata, None without.
    balance
        After adjustment beside before; empty where nothing but a model of the outcome adjusts.
    fates
        What became of every declared covariate.
    notes
        What a reader should know of the estimate.
    diagnostics
        What the estimate rests on.
    events
        Of an outcome of 0 and 1, treated and comparison rows with 1 among those with weight; None of any other.
    """

    effect: LinearEffect | WeightedEffect | Contrast
    log_ratio: Contrast | None
    means: tuple[MarginalMean, MarginalMean] | None
    estimand: str
    method: str
    n_rows: int
    n_sets: int | None
    balance: tuple[BalanceRow, ...]
    fates: tuple[CovariateFate, ...]
    notes: tuple[str, ...]
    diagnostics: FlatDiagnostics
    events: tuple[int, int] | None = None


def analyse_flat_table(frame: pd.DataFrame, study: FlatTableStudy) -> FlatResult:
    """The effect the study asks for.

    Raises
    ------
    DesignError
        A column is missing, not numeric, incomplete or constant; the treatment is not 0 and 1; covariates tell the
        arms apart; the standard error does not go with the design. Refusals name columns, never a category.
    EstimationError
        The estimator cannot be computed; see `g_computation`, `aipw`, `tmle`.
    """
    with one_thread():
        return figures(_analysed(frame, study))


def _analysed(frame: pd.DataFrame, study: FlatTableStudy) -> FlatResult:
    frame = numbered(frame)
    refuse_columns(frame, study.columns)
    frame, response = with_outcomes(frame, study)
    facts = flat_facts(frame, study)
    outcome = opened(facts, study)
    return _answered(flat_design(facts, study), outcome, study, response)


def answer_flat_table(design: FlatDesign, frame: pd.DataFrame, study: FlatTableStudy) -> FlatResult:
    """The effect by a design that was made before, from the table with its outcome.

    Raises
    ------
    DesignError
        ``flat.missing`` where an outcome is missing, and those of `opened`; ``flat.other_rows`` where the table's rows
        are not those of the design.
    EstimationError
        As `analyse_flat_table`.
    """
    with one_thread():
        frame = numbered(frame)
        refuse_columns(frame, study.columns)
        frame, response = with_outcomes(frame, study)
        facts = flat_facts(frame, study)
        if not np.array_equal(facts.key, design.table.key):
            raise DesignError(
                "flat.other_rows",
                "the rows of the table are not those of the design",
                fix="make the design again from this table",
            )
        return figures(_answered(design, opened(facts, study), study, response))


def opened(facts: FlatFacts, study: FlatTableStudy) -> FloatArray:
    """The outcome (n,) of the rows, looked at before anything is computed with it.

    Raises
    ------
    DesignError
        It holds no numbers, or one that cannot be; covariates are the outcome under another name.
    """
    outcome = numbers(facts.frame, study.columns.outcome)
    refuse_beyond(facts.frame, measured(study))  # once every column is known to hold numbers
    refuse_disguised_outcome(outcome, facts.covariates.in_models, facts.covariates.names_in_models)
    return outcome


def _answered(
    design: FlatDesign, outcome: FloatArray, study: FlatTableStudy, response: tuple[float, float]
) -> FlatResult:
    table, compared, analysis = replace(design.table, outcome=outcome), design.compared, study.analysis
    answer = _answer(table, design.units, compared, analysis)
    return FlatResult(
        effect=answer.effect,
        log_ratio=answer.log_ratio,
        means=answer.means,
        estimand=design.estimand,
        method=flat_method(analysis),
        n_rows=table.outcome.size,
        n_sets=design.n_sets if isinstance(analysis.design, AnyMatching) else None,
        balance=() if compared is None else design.balance,
        fates=design.fates,
        notes=(*design.notes, *answer.notes),
        diagnostics=diagnostics_of(
            table.treated,
            compared,
            design.balance,
            weight=answer.weight,
            logit=design.logit,
            clusters=table.clusters,
            response=response,
            outpredicted=answer.outpredicted,
        ),
        events=_events(table, compared, answer),
    )


def _events(table: Table, compared: Comparison | None, answer: Answer) -> tuple[int, int] | None:
    """Rows with the event behind each arm, where the outcome is one."""
    made = np.ones(table.treated.size) if compared is None else compared.weight
    used = (made if answer.weight is None else answer.weight) > 0
    if not np.isin(table.outcome[used], (0.0, 1.0)).all():
        return None
    happened = used & (table.outcome == 1.0)
    return int((happened & table.treated).sum()), int((happened & ~table.treated).sum())


def _answer(table: Table, units: Units | None, compared: Comparison | None, analysis: FlatAnalysis) -> Answer:
    """What the estimator makes of the comparison, or of the whole table."""
    match analysis.estimator:
        case AugmentedWeighting() | TargetedLikelihood():
            return two_models(table, analysis.estimator, analysis)
        case Standardisation() as estimator:
            return wider(table, None, analysis, lambda by: standardised(by, estimator, analysis))
    assert units is not None
    assert compared is not None
    if isinstance(analysis.estimator, Difference):
        if analysis.standard_error == "abadie_imbens":
            return _reused(table, units, compared, analysis)
        return wider(table, compared, analysis, lambda by: Answer(effect=_effect(by, compared, analysis)))
    modelled = analysis.estimator
    return wider(table, compared, analysis, lambda by: g_computed(by, compared, modelled, analysis))


def _effect(table: Table, compared: Comparison, analysis: FlatAnalysis) -> LinearEffect | WeightedEffect:
    """The contrast with the standard error that is asked for."""
    outcome, treated, clusters = table.outcome, table.treated, table.clusters
    row, level = compared.row, analysis.level
    if compared.weights is not None:
        if analysis.standard_error == "paired":
            raise DesignError("flat.paired_weights", "weighting has no pairs", fix="set standard_error to robust")
        if analysis.standard_error == "estimated_weights":
            found = weighted_difference(outcome, treated, compared.weights, clusters=clusters, level=level)
            return found if clusters is None else _uneven(found, treated, compared.weight, clusters)
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
    paired = analysis.standard_error == "paired"
    refuse_reuse(compared, clusters, paired=paired)
    if paired:
        return paired_difference(outcome[row], treated[row], sets=compared.set_id, level=level)
    return weighted_ancova(
        outcome[row],
        treated[row],
        None,
        weights=compared.row_weight,
        clusters=units_of_error(compared, clusters),
        level=level,
    )


def _uneven(found: WeightedEffect, treated: BoolArray, weights: FloatArray, clusters: IntArray) -> WeightedEffect:
    """The same effect, its error by cluster corrected where an arm lies in few of them."""
    plain = student("difference", found.value, found.std_error, found.df, level=found.level)
    right = corrected(plain, found.influence * found.influence.size, treated, weights, clusters)
    return replace(
        found,
        std_error=right.std_error,
        df=right.df,
        lower=right.lower,
        upper=right.upper,
        p_value=right.p_value,
    )


def _reused(table: Table, units: Units, compared: Comparison, analysis: FlatAnalysis) -> Answer:
    """The effect on the treated where a comparison may serve several, with its own standard error."""
    design, row = analysis.design, compared.row
    if not (isinstance(design, Greedy) and design.replacement):
        raise DesignError(
            "flat.abadie_imbens",
            "an Abadie-Imbens standard error is for greedy matching with replacement",
            fix="set standard_error to robust, or replacement to true",
        )
    one, zero, weight = matches_of(compared.set_id, row, table.treated[row], compared.row_weight)
    found = matched_with_replacement(
        table.outcome,
        table.treated,
        coordinates_of(design.distance, units),
        treated_row=one,
        comparison_row=zero,
        weight=weight,
        level=analysis.level,
    )
    known = "" if isinstance(design.distance, CovariateDistance) else ", and the propensity for known"
    note = f"the standard error (Abadie and Imbens 2006) takes rows for independent of one another{known}"
    return Answer(effect=found.effect, notes=(note,))


def flat_method(analysis: FlatAnalysis) -> str:
    """The method in a few words."""
    match analysis.estimator:
        case Standardisation():
            return f"standardisation by a {analysis.estimator.outcome_model} model of the outcome"
        case AugmentedWeighting() | TargetedLikelihood():
            name = "augmented weighting" if analysis.estimator.method == "aipw" else "targeted likelihood"
            folds = analysis.estimator.folds
            median = f", the median of {analysis.lots} lots of folds" if analysis.lots > 1 else ""
            return f"{name}, {'not cross-fitted' if folds is None else f'cross-fitted in {folds} folds'}{median}"
        case GComputation():
            return f"{_design_words(analysis)}, with a {analysis.estimator.outcome_model} model of the outcome"
        case Difference():
            return _design_words(analysis)


def _design_words(analysis: FlatAnalysis) -> str:
    design = analysis.design
    words = design.method.replace("_", " ")
    if isinstance(design, PropensityWeighting):
        return f"inverse probability of treatment, {'stabilised' if design.stabilised else 'not stabilised'}"
    if ratio := getattr(design, "ratio", None):
        words += f" 1:{ratio}"
    if isinstance(order := getattr(design, "order", None), str):
        words += f", {order} first" if order != "random" else ", by lot"
    return f"{words}, with replacement" if isinstance(design, Greedy) and design.replacement else words
