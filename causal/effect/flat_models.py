"""Estimators of a flat table that model the outcome, in the words of its study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from causal.design.compare import Comparison, engine_model
from causal.effect.contrast import Contrast, student
from causal.effect.doubly_robust.aipw import aipw
from causal.effect.doubly_robust.influence import Estimand, MarginalMean, clustered_error
from causal.effect.doubly_robust.lots import keys_of_lots, median_at, median_of_lots
from causal.effect.doubly_robust.outcome_model import OutcomeModel
from causal.effect.doubly_robust.outpredicted import Outpredicted, outpredicted
from causal.effect.doubly_robust.result import DoublyRobust
from causal.effect.doubly_robust.tmle import tmle
from causal.effect.matched_estimates import LinearEffect, contributing_clusters
from causal.effect.standardisation import g_computation
from causal.effect.uneven_clusters import corrected
from causal.effect.weighted_estimates import WeightedEffect
from causal.effect.widest import widest
from causal.errors import DesignError
from causal.numeric.keys import KeyArray
from causal.protocol.flat_table import (
    AugmentedWeighting,
    FlatAnalysis,
    GComputation,
    OutcomeRegression,
    Standardisation,
    TargetedLikelihood,
)
from causal.protocol.weighting import PropensityWeighting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an estimator gives: the effect, the log ratio of risks, the two means, and what to know of them.

    `weight` (n,) is what it used where that is not the comparison's; `outpredicted` how its regression of the outcome
    stands beside trees, where it is asked.
    """

    effect: LinearEffect | WeightedEffect | Contrast
    log_ratio: Contrast | None = None
    means: tuple[MarginalMean, MarginalMean] | None = None
    notes: tuple[str, ...] = ()
    weight: FloatArray | None = None
    outpredicted: Outpredicted | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """The columns of a study: (n,) outcome, arm, cluster codes or None and keys, (n, p) covariates of models, names.

    Of each category one level has no column here; `names` number the others, for whatever a refusal may print.
    """

    outcome: FloatArray
    treated: BoolArray
    clusters: IntArray | None
    key: KeyArray
    covariates: FloatArray
    names: tuple[str, ...]


def wider(
    table: Table, compared: Comparison | None, analysis: FlatAnalysis, answer: Callable[[Table], Answer]
) -> Answer:
    """The answer by clusters; with fewer than the minimum of them, the one by rows or sets if that is wider.

    Where a row stands in several sets only clusters that hold the sets together know of it: the answer by clusters is
    then told whatever their number, with a note where they are few.
    """
    if table.clusters is None or not _few(table, compared, analysis):
        return answer(table)
    if compared is not None and np.unique(compared.row).size < compared.row.size:
        by_cluster = answer(table)
        return replace(by_cluster, notes=(*by_cluster.notes, _why_by_cluster(analysis)))
    unit = "row" if compared is None or compared.grouping != "matched set" else "matched set"
    each = {unit: answer(replace(table, clusters=None)), "cluster": answer(table)}
    by = widest([(name, one.effect) for name, one in each.items()])[0]
    ratios = [(name, one.log_ratio) for name, one in each.items() if one.log_ratio is not None]
    log_ratio = widest(ratios)[1] if ratios else None
    return replace(each[by], log_ratio=log_ratio, notes=(*each[by].notes, _why(by, unit, analysis)))


def _few(table: Table, compared: Comparison | None, analysis: FlatAnalysis) -> bool:
    assert table.clusters is not None
    weight = None if compared is None else compared.weight
    return contributing_clusters(table.clusters, weight) < analysis.minimum_clusters


def _why(by: str, unit: str, analysis: FlatAnalysis) -> str:
    return (
        f"fewer than {analysis.minimum_clusters} clusters: of the intervals by {unit} and by cluster the wider is "
        f"told, here by {by}"
    )


def _why_by_cluster(analysis: FlatAnalysis) -> str:
    return (
        f"fewer than {analysis.minimum_clusters} clusters: the interval is by cluster all the same, because rows stand "
        "in several matched sets and one by matched set would not know of it"
    )


def g_computed(table: Table, compared: Comparison, estimator: GComputation, analysis: FlatAnalysis) -> Answer:
    """Regression of the compared rows, by their weights, averaged over whom the design is about."""
    row, weight = compared.row, compared.row_weight
    # The populations of ATO and ATM are made out of both arms by the weights; others are people, each counted once.
    of_weights = compared.estimand in ("ATO", "ATM")
    estimand: Estimand = compared.estimand if compared.estimand in ("ATT", "ATC", "ATE") else "ATE"
    if compared.weights is None:
        refuse_reuse(compared, table.clusters, paired=False)
        return _regressed(table, estimator, analysis, row, weight, units_of_error(compared, table.clusters), estimand)
    people = weight if of_weights else np.ones(row.size)
    clusters = None if table.clusters is None else table.clusters[row]
    answer = _regressed(table, estimator, analysis, row, weight, clusters, estimand, people)
    return replace(answer, notes=("the standard error takes the weights for known", *answer.notes))


def standardised(table: Table, estimator: Standardisation, analysis: FlatAnalysis) -> Answer:
    """Regression of the whole table, averaged over whom the design is about."""
    everyone = np.arange(table.outcome.size, dtype=np.int64)
    return _regressed(table, estimator, analysis, everyone, None, table.clusters, declared_estimand(analysis))


def _regressed(
    table: Table,
    estimator: OutcomeRegression,
    analysis: FlatAnalysis,
    row: IntArray,
    weights: FloatArray | None,
    clusters: IntArray | None,
    estimand: Estimand,
    target: FloatArray | None = None,
) -> Answer:
    found = g_computation(
        table.outcome[row],
        table.treated[row],
        table.covariates[row],
        weights,
        clusters,
        names=table.names,
        estimand=estimand,
        target=target,
        family=estimator.outcome_model,
        interactions=None if estimator.interactions is None else _terms(table, estimator.interactions),
        covariates_sampled=estimator.covariates_sampled,
        level=analysis.level,
    )
    dropped = f"left out of the outcome model, determined by others: {', '.join(found.aliased)}"
    return Answer(
        effect=found.effect,
        log_ratio=found.log_ratio,
        means=(found.mean_treated, found.mean_comparison),
        notes=(dropped,) if found.aliased else (),
    )


def two_models(table: Table, estimator: AugmentedWeighting | TargetedLikelihood, analysis: FlatAnalysis) -> Answer:
    """The effect by the two models, on the propensity model the study declares."""
    interactions = _terms(table, estimator.interactions)
    outcome_model = OutcomeModel(kind=estimator.outcome_model, arms=estimator.arms, interactions=interactions)
    estimate = (
        aipw if isinstance(estimator, AugmentedWeighting) else partial(tmle, bounds=(estimator.lower, estimator.upper))
    )
    found = [
        estimate(
            table.outcome,
            table.treated,
            table.covariates,
            names=table.names,
            estimand=declared_estimand(analysis),
            clusters=table.clusters,
            key=key,
            folds=estimator.folds,
            propensity_model=engine_model(analysis.propensity),
            outcome_model=outcome_model,
            truncate=estimator.truncate,
            rng=np.random.default_rng([estimator.seed or 0, analysis.propensity.seed or 0]),
            level=analysis.level,
        )
        for key in keys_of_lots(table.key, analysis.lots)
    ]
    effect, notes = _main(table, found, analysis)
    told = dict.fromkeys(note for one in found for note in one.notes)
    middle = found[median_at([one.effect for one in found])]
    return Answer(
        effect=effect,
        means=(middle.mean_treated, middle.mean_comparison),
        notes=(*told, *notes),
        weight=middle.weight,
        outpredicted=_outpredicted(table, estimator, outcome_model, middle),
    )


def _main(table: Table, found: Sequence[DoublyRobust], analysis: FlatAnalysis) -> tuple[Contrast, tuple[str, ...]]:
    """The interval by cluster, corrected where an arm lies in few of them; with few in all, the one by row if wider.

    Of several lots of folds the median of either.
    """
    if table.clusters is None:
        return median_of_lots([one.effect for one in found]), ()
    clusters, rows = table.clusters, np.arange(table.outcome.size, dtype=np.int64)
    by_cluster = median_of_lots(
        [corrected(one.effect, one.influence, table.treated, one.weight, clusters) for one in found]
    )
    if not _few(table, None, analysis):
        return by_cluster, ()

    def of_rows(one: DoublyRobust) -> Contrast:
        error = clustered_error(one.influence, rows)
        return student(one.effect.label, one.effect.value, *error, level=analysis.level)

    by, effect = widest([("row", median_of_lots([of_rows(one) for one in found])), ("cluster", by_cluster)])
    return effect, (_why(by, "row", analysis),)


def _outpredicted(
    table: Table,
    estimator: AugmentedWeighting | TargetedLikelihood,
    model: OutcomeModel,
    found: DoublyRobust,
) -> Outpredicted | None:
    """How much better trees tell the outcome, in the folds of the estimate; None where it grows trees itself."""
    if model.draws:
        return None
    outcome = table.outcome
    if isinstance(estimator, TargetedLikelihood):
        outcome = (outcome - estimator.lower) / (estimator.upper - estimator.lower)
    return outpredicted(
        model,
        outcome,
        table.treated,
        table.covariates,
        names=table.names,
        arms=[arm for arm, own in ((True, "ATT"), (False, "ATC")) if found.estimand != own],
        fold=found.fold,
        key=table.key,
        clusters=table.clusters,
    )


def declared_estimand(analysis: FlatAnalysis) -> Estimand:
    """Whose effect an estimator of the whole table is asked for."""
    estimand = analysis.design.estimand if isinstance(analysis.design, PropensityWeighting) else None
    assert estimand in ("ATT", "ATC", "ATE")
    return estimand


def _terms(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the terms that columns of the study enter as: numbers as they are, all indicators of categories."""
    return tuple(name for name in table.names if name in columns or name.split(": ")[0] in columns)


def refuse_reuse(compared: Comparison, clusters: IntArray | None, *, paired: bool) -> None:
    """Refuse sets that share units where nothing in the standard error knows of it."""
    if (clusters is None or paired) and np.unique(compared.row).size < compared.row.size:
        raise DesignError(
            "flat.reused",
            "a unit used in several matched sets makes the sets depend on one another",
            fix="set standard_error to abadie_imbens (for the plain difference), match without replacement, or use "
            "robust errors and a cluster column that holds the sets together",
        )


def units_of_error(compared: Comparison, clusters: IntArray | None) -> IntArray:
    """Units (m,) of the standard error of matched rows: the cluster column's, or else the sets.

    Strata are few and large, and nobody in them was paired: without a cluster column each row stands for itself.
    """
    if clusters is not None:
        return clusters[compared.row]
    return compared.row if compared.grouping == "stratum" else compared.set_id
