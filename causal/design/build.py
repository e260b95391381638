"""The design from end to end: covariates, propensity, support, matching or weighting, balance. No outcome is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from causal.cohort.catalogue import COVARIATES, EXACT_KEYS, NEAREST_LAGS
from causal.design.compare import Comparison, Units, compare, engine_model
from causal.design.covariates import MISSING_SUFFIX, CovariateMatrix, covariate_matrix
from causal.design.describe import estimand_label, estimand_sentence, method_sentence, propensity_sentence
from causal.design.diagnose import Eligible, diagnose
from causal.design.diagnostics.balance import balance_table, standardised_mean_difference
from causal.design.diagnostics.overlap import common_support, overlap_bins
from causal.design.diagnostics.power import OutcomePlan
from causal.design.matching.pairing import Pairing
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.logistic import expit
from causal.design.weighting.weights import WeightEstimand
from causal.errors import DesignError
from causal.protocol import OccasionStudy
from causal.protocol.matching import AnyMatching
from causal.protocol.outcome import Rating
from causal.protocol.weighting import AnyWeighting
from causal.records import AttritionStep, Cohort, Design, codes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


OPEN = "Either decision was open: a probability of warning found in both groups"


def build_design(cohort: Cohort, study: OccasionStudy) -> Design:
    """Who is compared with whom, for one study.

    Linear algebra runs on one thread meanwhile: sums, and with them the digest a board approves, then do not depend on
    how many processors there are.

    Raises
    ------
    DesignError
        The propensity cannot be fitted (separation, too few events), nothing can be matched, or the weights do not
        exist.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        return _design(cohort, study)


def chosen_method(study: OccasionStudy) -> AnyMatching | AnyWeighting:
    """The one way of making groups comparable that the study declares."""
    method = study.matching or study.weighting
    if method is None or (study.matching and study.weighting):
        raise DesignError(
            "design.method", "a study declares matching or weighting, one of the two", fix="keep one of the two keys"
        )
    return method


def _design(cohort: Cohort, study: OccasionStudy) -> Design:
    occasions, method = cohort.occasions, chosen_method(study)
    treated = occasions["treated"].to_numpy(dtype=np.bool_)
    matrix = covariate_matrix(occasions, study)
    fitted = _propensity(occasions, treated, matrix, study)
    propensity = of_population(fitted, study.propensity.sampling_fraction)
    exact = exact_codes(occasions, study.target_trial.assignment.exact)
    supported = _support(propensity, treated, exact, study)
    compared = _compare(occasions, treated, matrix, propensity, exact, supported, study)
    n_treated, in_comparison = int(treated.sum()), compared.weight > 0
    target = target_part(treated, propensity.probability, compared.estimand)
    lost = float(target[~in_comparison].sum() / target.sum())
    return Design(
        members=occasions.iloc[compared.row]
        .reset_index(drop=True)
        .assign(set_id=compared.set_id, weight=compared.row_weight),
        covariates=matrix.values[compared.row],
        covariate_names=matrix.names,
        estimand=compared.estimand,
        estimand_label=estimand_label(compared, left_out=lost > 0),
        estimand_sentence=estimand_sentence(compared, left_out=lost > 0),
        method_sentence=(
            f"{method_sentence(method, study.target_trial.assignment)} "
            f"{propensity_sentence(study.propensity, propensity.method)}"
        ),
        grouping=compared.grouping,
        attrition=(
            *cohort.attrition,
            *_design_steps(occasions, treated, supported, in_comparison, compared, rule=study.support.rule),
        ),
        balance=balance_table(
            matrix.values, matrix.names, matrix.tiers, treated, compared.weight, estimand=compared.estimand
        ),
        overlap=overlap_bins(propensity.probability, treated, minimum=study.governance.small_cells.threshold),
        propensity_method=propensity.method,
        c_statistic=propensity.c_statistic,
        events_per_parameter=propensity.events_per_parameter,
        aliased=(*propensity.aliased, *matrix.constant),
        separated=propensity.separated,
        caliper=compared.caliper,
        n_eligible_treated=n_treated,
        n_unmatched_treated=n_treated - int((treated & in_comparison).sum()),
        lost_share=lost,
        pretrend_smd=_pretrend(occasions, treated, compared.weight, compared.estimand),
        ended_in_grace_share=float(occasions["ended_in_grace"].mean()),
        diagnostics=diagnose(
            Eligible(
                treated=treated,
                matrix=matrix,
                labels=tuple(_labels(name) for name in matrix.names),
                propensity=fitted,
                supported=supported,
                exact=exact,
                clinician=codes(occasions["clinician_id"]),
                clinic=codes(occasions["clinic_id"]),
            ),
            compared,
            outcome_plans(study),
            proxy=NEAREST_LAGS[0],
            minimum=study.governance.small_cells.threshold,
        ),
    )


def outcome_plans(study: OccasionStudy) -> tuple[OutcomePlan, ...]:
    """What is assumed of every outcome of the study: who left, the composite, and the rating at each of its days."""
    p = study.planning
    days = [window.day for window in study.outcome.windows] if isinstance(study.outcome, Rating) else []
    ratings = [
        OutcomePlan(
            name=f"rating at day {day}",
            sd=p.rating_sd,
            r2=p.rating_r2,
            attrition_treated=p.rating_missing_treated,
            attrition_comparison=p.rating_missing_comparison,
            icc=p.icc,
        )
        for day in days
    ]
    missing = p.composite_missing
    composite = OutcomePlan(
        name="composite",
        sd=p.composite_sd,
        r2=p.composite_r2,
        attrition_treated=missing,
        attrition_comparison=missing,
        icc=p.icc,
    )
    return (OutcomePlan(name="termination", risk=p.ended, icc=p.icc), composite, *ratings)


def _labels(name: str) -> tuple[str, str]:
    """What a column is called at 0 and at 1."""
    base = COVARIATES[name.removesuffix(MISSING_SUFFIX)].label.lower()
    if name not in COVARIATES:
        return f"{base} recorded", f"{base} not recorded"
    return f"no {base}", base


def exact_codes(occasions: pd.DataFrame, keys: tuple[str, ...]) -> IntArray:
    """One integer (n,) per combination of the exact keys, in order of first appearance."""
    combined = np.zeros(len(occasions), dtype=np.int64)
    for key in keys:
        values = _key(occasions, key)  # what is not recorded is a value of its own and agrees with itself only
        combined = combined * (int(values.max()) + 1) + values
    return combined


def _key(occasions: pd.DataFrame, key: str) -> IntArray:
    if key not in EXACT_KEYS:
        raise DesignError("design.exact_key", f"'{key}' is not a key to match on; known: {', '.join(EXACT_KEYS)}")
    return codes(occasions[key])


def _propensity(
    occasions: pd.DataFrame, treated: BoolArray, matrix: CovariateMatrix, study: OccasionStudy
) -> Propensity:
    declared = study.propensity
    cluster = {"clinic": "clinic_id", "clinician": "clinician_id", None: "clinician_id"}[declared.cluster_means]
    sampled = declared.sampling_fraction
    return fit_propensity(
        matrix.values,
        treated,
        names=matrix.names,
        model=engine_model(declared),
        clusters=codes(occasions[cluster]),
        offset=None if sampled is None else np.full(treated.size, -np.log(sampled)),
        rng=None if declared.seed is None else np.random.default_rng(declared.seed),
    )


def of_population(fitted: Propensity, sampling_fraction: float | None) -> Propensity:
    """The scores of the population, where the extract holds only a share of the untreated.

    Support, overlap, calipers and weights speak of the population; calibration and equipoise of the extract, to which
    the model was fitted.
    """
    if sampling_fraction is None:
        return fitted
    logit = fitted.logit + np.log(sampling_fraction)
    return replace(fitted, logit=logit, probability=expit(logit))


def target_part(treated: BoolArray, probability: FloatArray, estimand: WeightEstimand) -> FloatArray:
    """Each occasion's part (n,) in the population an effect is about.

    >>> target_part(np.array([True, False]), np.array([0.5, 0.2]), "ATO").round(2).tolist()
    [0.25, 0.16]
    """
    parts = {
        "ATT": treated.astype(np.float64),
        "ATC": (~treated).astype(np.float64),
        "ATE": np.ones(treated.size),
        "ATO": probability * (1 - probability),
        "ATM": np.minimum(probability, 1 - probability),
    }
    return np.asarray(parts[estimand], dtype=np.float64)


def _support(propensity: Propensity, treated: BoolArray, exact: IntArray, study: OccasionStudy) -> BoolArray:
    if study.support.rule == "none":
        return np.ones(treated.size, dtype=np.bool_)
    supported = common_support(propensity.logit, treated, exact=exact, ps_max=study.support.probability_max)
    if not (supported & treated).any() or not (supported & ~treated).any():
        raise DesignError(
            "design.no_overlap",
            "no stratum holds treated and comparison occasions with a shared probability of treatment",
            fix="fewer exact keys, or a population in which either decision is open",
        )
    return supported


def _compare(
    occasions: pd.DataFrame,
    treated: BoolArray,
    matrix: CovariateMatrix,
    propensity: Propensity,
    exact: IntArray,
    supported: BoolArray,
    study: OccasionStudy,
) -> Comparison:
    """The comparison among the supported occasions, its rows counted among all of them."""
    day = occasions["time_zero"].to_numpy().astype("datetime64[s]").astype(np.int64) / 86400
    units = Units(
        treated=treated,
        covariates=matrix.values,
        names=matrix.names,
        tiers=matrix.tiers,
        logit=propensity.logit,
        keys={key: _key(occasions, key) for key in EXACT_KEYS},
        pairing=Pairing(
            exact=exact,
            time=day,
            window=float(study.target_trial.assignment.calendar_days),
            person=codes(occasions["person_id"]),
        ),
    )
    return compare(chosen_method(study), units, among=supported)


def _design_steps(
    occasions: pd.DataFrame,
    treated: BoolArray,
    supported: BoolArray,
    in_comparison: BoolArray,
    compared: Comparison,
    *,
    rule: str,
) -> tuple[AttritionStep, ...]:
    person = occasions["person_id"]
    return tuple(
        AttritionStep(
            rule=words,
            persons=int(person[rows].nunique()),
            occasions=int(rows.sum()),
            treated=int((rows & treated).sum()),
        )
        for words, rows in (
            (OPEN if rule == "stratum_common" else "No rule on the probability of a warning", supported),
            ("Weighted" if compared.grouping == "weight" else "Matched", in_comparison),
        )
    )


def _pretrend(
    occasions: pd.DataFrame, treated: BoolArray, weights: FloatArray, estimand: WeightEstimand
) -> float | None:
    """SMD of the change in alliance from lag 2 to lag 1 among matched occasions that have both (a negative control)."""
    change = (occasions["alliance_lag1"] - occasions["alliance_lag2"]).to_numpy(dtype=np.float64)
    known = ~np.isnan(change)
    if min((known & treated).sum(), (known & ~treated).sum(), (known & treated & (weights > 0)).sum()) < 2:
        return None
    if not (weights[known & ~treated] > 0).any():
        return None
    return standardised_mean_difference(
        change[known], treated[known], weights=weights[known], sd=None, estimand=estimand
    )
