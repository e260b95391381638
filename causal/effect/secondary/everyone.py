"""Analyses of every eligible occasion, not only of those compared: doubly robust, and imputation around the design."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.cohort.catalogue import catalogue_of
from causal.design.groups import Bearings, WorkedOut, bearings_of, fit_occasions, groups_of, work_out
from causal.design.propensity.fit import Propensity
from causal.design.propensity.model import PropensityModel
from causal.effect.adjustment import bends_of
from causal.effect.contrast import Contrast, student
from causal.effect.doubly_robust.aipw import aipw
from causal.effect.doubly_robust.influence import clustered_error
from causal.effect.doubly_robust.outcome_model import OutcomeModel
from causal.effect.doubly_robust.result import DoublyRobust as Estimate
from causal.effect.doubly_robust.tmle import tmle
from causal.effect.matched_estimates import contributing_clusters, refuse_arm_in_one_cluster
from causal.effect.missing.chained import Imputed, clinician_means, impute
from causal.effect.missing.within import Result, within
from causal.effect.outcome_decomposition import composite_effect
from causal.effect.outcomes import apply_estimand
from causal.effect.sample import SAMPLE_COLUMNS, cluster_codes, sample_of
from causal.effect.secondary.days import composite_label
from causal.effect.secondary.dropout import carried
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.secondary.opened import BoolArray, FloatArray, Opened, counts_of
from causal.effect.secondary.responses import STOOD_IN
from causal.effect.uneven_clusters import corrected
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.numeric.keys import KeyArray, keys_of_names
from causal.protocol.outcome import Composite
from causal.protocol.secondary import DoublyRobust, ImputationWithin
from causal.records import Cohort, Outcomes, codes

IntArray = NDArray[np.int64]
POPULATIONS = ("ATT", "ATC", "ATE")
SAME = "Left out of the model of the outcome, because these occasions do not differ in it:"
CHOICES = {
    "logistic": "logistic regression",
    "elastic_net": "penalised regression",
    "boosting": "logistic regression and boosted trees",
    "average": "a cross-fitted average of logistic regression, ridge regression and boosted trees",
}
OUTCOMES = {
    "linear": "least squares",
    "logistic": "logistic regression",
    "ridge": "ridge regression",
    "boosting": "boosted trees",
    "average": "a cross-fitted average of least squares, ridge regression and boosted trees",
}
MADE_AGAIN = (
    "The approved design is untouched: this one is made again with outcomes among the predictors, to see what the "
    "declared fills of missing covariates did."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Everyone:
    """Every eligible occasion with its primary outcome; arrays have a row for each, in the cohort's order."""

    cohort: Cohort
    outcomes: Outcomes
    treated: BoolArray
    clusters: IntArray
    floor: float


def everyone_of(opened: Opened) -> Everyone:
    """The cohort with its outcomes; refuses where they were not opened."""
    cohort, facts = opened.cohort, opened.follow_up.everyone
    if cohort is None or facts is None:
        raise EstimationError("estimation.not_opened", "the outcomes of every eligible occasion were not opened")
    ended_as = opened.primary.intercurrent_events.patient_ended
    if not isinstance(ended_as, Composite):
        raise EstimationError("estimation.strategy", "only the composite strategy is analysed for everyone")
    treated = cohort.occasions["treated"].to_numpy(dtype=np.bool_)
    return Everyone(
        cohort=cohort,
        outcomes=apply_estimand(facts, opened.primary, opened.window, treated),
        treated=treated,
        clusters=cluster_codes(cohort.occasions, opened.study.estimator.cluster),
        floor=ended_as.value,
    )


def doubly_robust(opened: Opened, declared: DoublyRobust) -> Finding:
    """Both headline differences among the eligible occasions in which either decision was open.

    A covariate in which the supported occasions do not differ is left out of the outcome model and named; what some
    folds could not learn is told (`aipw`). One that tells the arms apart in all rows, and they are many, is a
    refusal.
    """
    estimand = {"design": opened.design.estimand, "treated": "ATT", "everyone": "ATE"}[declared.effect_in]
    if estimand not in POPULATIONS:
        raise EstimationError("estimation.population", f"a doubly robust estimate is not defined for {estimand} here")
    every = everyone_of(opened)
    worked = work_out(every.cohort, opened.study)
    rows = worked.supported & ~every.outcomes.excluded
    treated, clusters = every.treated[rows], every.clusters[rows]
    refuse_arm_in_one_cluster(treated, clusters, opened.study.estimator.cluster)
    everything = worked.matrix.in_models[rows]
    constant = np.ptp(everything, axis=0) == 0
    covariates = everything[:, ~constant]
    names, same = (
        tuple(name for name, chosen in zip(worked.matrix.names_in_models, which, strict=True) if chosen)
        for which in (~constant, constant)
    )
    bends = bends_of(covariates, names, opened.study)
    models = _models(opened, declared, every, worked, rows, names, bends, estimand)
    by_response = opened.study.missing.outcome == "inverse_probability_of_response"
    ended, score = every.outcomes.ended[rows], every.outcomes.score[rows]
    composite = composite_effect(
        treated,
        ended,
        score,
        ~np.isnan(score),
        clusters=clusters,
        response_covariates=np.column_stack([covariates, *bends.values()]) if by_response else None,
        response_bends=len(bends),
        floor=every.floor,
        level=opened.study.estimator.level,
    )
    complete = bool((~np.isnan(score) | ended).all())
    counts = int(treated.sum()), int((~treated).sum())
    lines: list[Line] = []
    missing: list[str] = []
    notes: list[str] = [f"{SAME} {', '.join(same)}."] if same else []
    key = keys_of_names(every.cohort.occasions["ta_id"][rows], opened.study.seed)
    patients = codes(every.cohort.occasions["person_id"][rows])
    for outcome, label, bounds in (
        (ended.astype(np.float64), f"ended by day {opened.window.day}", (0.0, 1.0)),
        (composite.pseudo_outcome, composite_label(opened.study.words, opened.window.day), opened.score_range),
    ):
        share = bounds == (0.0, 1.0)
        if declared.method == "tmle" and not share and not complete:
            missing.append(f"{label}: ratings are missing, and targeted likelihood needs every outcome in its range")
            continue
        try:
            found = _robust(
                opened, declared, models, outcome, treated, covariates, names, clusters, key, bounds, estimand
            )
            by, effect = _main(opened, found, treated, clusters, patients)
        except EstimationError as refusal:
            missing.append(f"{label}: {refusal.message}")
            continue
        lines.append(
            line_of(
                effect,
                label=label,
                scale="risk difference" if share else "points",
                counts=counts,
                clustered_by=by,
                rated_days=() if share else None,
            )
        )
        notes += [f"{label}: {note}." for note in found.notes]
        notes += () if share else STOOD_IN[composite.response_method]
    name = {"aipw": "Augmented inverse probability weighting", "tmle": "Targeted maximum likelihood"}[declared.method]
    return Finding(
        analysis="doubly_robust",
        title="Outcome and choice modelled together",
        method=(
            f"{name} ({estimand}) among eligible occasions in which either decision was open, both models learned on "
            f"other {opened.study.estimator.cluster}s ({declared.folds} folds): right in large samples if either model "
            f"is and nothing unrecorded is at work. {models.sentence}"
        ),
        lines=tuple(lines),
        not_evaluated=tuple(missing),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """The study's model of the choice, cross-fitted scores of n rows, and bends (n,) of the model of the outcome."""

    propensity: PropensityModel
    scores: Propensity
    outcome: OutcomeModel
    bends: dict[str, FloatArray]

    @property
    def outcome_terms(self) -> FloatArray | None:
        """The bends as columns (n, q); None without any."""
        return np.column_stack([*self.bends.values()]) if self.bends else None

    @property
    def sentence(self) -> str:
        """Which models were used, for a reader."""
        chosen = self.propensity
        choice = "ridge regression" if chosen.kind == "elastic_net" and chosen.l1_ratio == 0 else CHOICES[chosen.kind]
        choice += " with the design's curves" if chosen.splines or chosen.bends else ""
        choice += " and its cluster's mean of every fact" if chosen.mundlak else ""
        outcome = OUTCOMES[self.outcome.kind]
        outcome += " with one bend in every number the study adjusts for" if self.bends else ""
        return f"The choice was modelled by {choice}, the outcome by {outcome}."


def _models(
    opened: Opened,
    declared: DoublyRobust,
    every: Everyone,
    worked: WorkedOut,
    rows: BoolArray,
    names: tuple[str, ...],
    bends: dict[str, FloatArray],
    estimand: str,
) -> Models:
    """The design's model of the choice with the scores, cross-fitted, of some `rows` (n,) of the eligible occasions.

    Learned from all eligible occasions, as for the design: more events stand behind it than these rows hold. `names`
    are the covariates in which the rows differ.
    """
    study = opened.study
    means, sampled = study.propensity.cluster_means, study.propensity.sampling_fraction
    if means not in (None, study.estimator.cluster):
        raise EstimationError(
            "estimation.cluster_means",
            f"the propensity has means of each {means}, and folds keep each {study.estimator.cluster} whole",
            fix="name the same cluster in both places, or leave doubly_robust out",
        )
    if sampled is not None and estimand != "ATT":
        raise EstimationError(
            "estimation.population",
            f"untreated occasions were sampled, so that only the effect in the treated can be told, not {estimand}",
            fix="effect_in: treated",
        )
    model = replace(worked.model, cross_fit=declared.folds)
    scores = fit_occasions(every.cohort.occasions, every.treated, worked.matrix, study, model, every.clusters)
    assert scores.fold is not None
    of_rows = replace(
        scores,
        logit=scores.logit[rows],
        probability=scores.probability[rows],
        fold=scores.fold[rows],
        separated=tuple(name for name in scores.separated if name in names),  # others do not differ in these rows
    )
    kind = "logistic" if declared.method == "tmle" and declared.outcome_model == "linear" else declared.outcome_model
    return Models(propensity=model, scores=of_rows, outcome=OutcomeModel(kind=kind), bends=bends)


def _main(
    opened: Opened, found: Estimate, treated: BoolArray, clusters: IntArray, patients: IntArray
) -> tuple[str, Contrast]:
    """The interval by clusters, corrected where an arm lies in few; with few in all, the patients' if it is wider."""
    study, effect = opened.study.estimator, found.effect
    by_cluster = corrected(effect, found.influence, treated, found.weight, clusters)
    if contributing_clusters(clusters) >= study.minimum_clusters:
        return study.cluster, by_cluster
    by_patient = student(effect.label, effect.value, *clustered_error(found.influence, patients), level=effect.level)
    return widest([("patient", by_patient), (study.cluster, by_cluster)])


def _robust(
    opened: Opened,
    declared: DoublyRobust,
    models: Models,
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    names: tuple[str, ...],
    clusters: IntArray,
    key: KeyArray,
    bounds: tuple[float, float],
    estimand: str,
) -> Estimate:
    estimate: Callable[..., Estimate] = aipw if declared.method == "aipw" else partial(tmle, bounds=bounds)
    return estimate(
        outcome,
        treated,
        covariates,
        names=names,
        estimand=estimand,
        clusters=clusters,
        key=key,
        scores=models.scores,
        outcome_model=models.outcome,
        outcome_terms=models.outcome_terms,
        rng=opened.rng("doubly_robust"),
        level=opened.study.estimator.level,
    )


def imputation_within(opened: Opened, declared: ImputationWithin) -> Finding:
    """Covariates and ratings imputed together, groups made alike anew in each imputed set, effects pooled.

    Occasions without a rating that could be missing (`Outcomes.undefined`, not ended by the patient) keep their place
    in their set; within each arm the others that the patient did not end carry their weight, as in the headline. Counts
    are of the occasions compared, the fewest over the imputed sets.
    """
    every = everyone_of(opened)
    known = catalogue_of(opened.study)
    names = [*known.spread((*opened.study.confounders.tier1, *opened.study.confounders.tier2))]
    imputed = _imputed(opened, every, names, declared.imputations)
    compared: list[tuple[int, int]] = []
    by_unit: list[Result] = []
    level, sample = opened.study.estimator.level, opened.sample()
    bearings = bearings_of(every.cohort.occasions, opened.study)

    def analyse(table: FloatArray) -> Result:
        clustered, counts = _one_set(opened, every, bearings, names, table)
        compared.append(counts)
        if sample.few_clusters:
            by_unit.append(clustered("units"))
        return clustered("clusters")

    pooled, by = within(imputed.sets, analyse, label="difference", level=level), sample.cluster_label
    if sample.few_clusters:
        of_units = within(np.array(by_unit), lambda one: (one[0], one[1], one[2]), label="difference", level=level)
        both = {sample.unit_label: of_units, by: pooled}
        by = widest([(name, one.contrast) for name, one in both.items()])[0]
        pooled = both[by]
    counts = min(one for one, _ in compared), min(zero for _, zero in compared)
    label = composite_label(opened.study.words, opened.window.day)
    return Finding(
        analysis="imputation_within",
        title="Missing covariates and ratings imputed, groups made alike anew",
        method=(
            f"{pooled.imputations} sets imputed by chained equations in each group (predictive mean matching; "
            "covariates, endings, ratings and the clinician's other ratings predict each other), the design repeated "
            "in each, pooled by Rubin's rules with Barnard and Rubin's degrees of freedom."
        ),
        lines=(line_of(pooled.contrast, label=label, scale="points", counts=counts, clustered_by=by),),
        notes=(MADE_AGAIN, carried(opened.study.words)),
    )


def _imputed(opened: Opened, every: Everyone, names: list[str], imputations: int) -> Imputed:
    """The table (n, p + 3) of covariates, ending, rating, and the clinician's other ratings, imputed M times."""
    outcomes = every.outcomes
    raw = every.cohort.occasions[names].to_numpy(dtype=np.float64)
    score = outcomes.score[:, None]
    others = clinician_means(score, every.clusters)
    table = np.column_stack([raw, outcomes.ended.astype(np.float64), others, score])
    may = np.ones(table.shape, dtype=np.bool_)
    may[:, -1] = ~outcomes.undefined & ~outcomes.ended & ~outcomes.excluded
    varying = np.ptp(np.where(np.isnan(table), np.nanmean(table, axis=0), table), axis=0) > 0
    chosen = np.flatnonzero(varying)
    facts = catalogue_of(opened.study).covariates
    kinds = ["logistic" if k < len(names) and facts[names[k]].binary else "pmm" for k in chosen]
    labels = [*names, "ending", "other ratings", "rating"]
    found = impute(
        table[:, chosen],
        kinds=kinds,  # type: ignore[arg-type]  # two of the three kinds
        may_impute=may[:, chosen],
        treated=every.treated,
        names=[labels[k] for k in chosen],
        imputations=imputations,
        rng=opened.rng("imputation_within"),
    )
    sets = np.repeat(table[None], imputations, axis=0)
    sets[:, :, chosen] = found.sets
    return replace(found, sets=sets)


def _one_set(
    opened: Opened, every: Everyone, bearings: Bearings, names: list[str], table: FloatArray
) -> tuple[Callable[[Literal["units", "clusters"]], Result], tuple[int, int]]:
    """Primary difference of the design of one imputed set, under either clustering; occasions compared by arm."""
    recorded = every.cohort.occasions
    gaps = recorded[names].isna().any().to_numpy()
    imputed = {name: table[:, k] for k, name in enumerate(names) if gaps[k]}
    cohort = replace(every.cohort, occasions=recorded.assign(**imputed))
    worked = work_out(cohort, opened.study, bearings)
    groups, place = groups_of(cohort, worked, SAMPLE_COLUMNS), worked.compared.row
    outcomes = every.outcomes
    sample = sample_of(groups, outcomes.excluded[place], opened.study)
    rows = place[sample.kept]
    score = table[rows, -1]

    def clustered(by: Literal["units", "clusters"]) -> Result:
        found = composite_effect(
            sample.treated,
            outcomes.ended[rows],
            score,
            ~np.isnan(score),
            clusters=sample.units if by == "units" else sample.clusters,
            weights=sample.weights,
            covariates=sample.covariates,
            names=sample.names,
            floor=every.floor,
            level=opened.study.estimator.level,
        ).composite
        return found.value, found.std_error, found.df

    return clustered, counts_of(sample)
