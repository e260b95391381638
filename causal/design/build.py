"""The design from end to end: covariates, propensity, support, matching, balance. No outcome is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from causal.cohort.catalogue import EXACT_KEYS
from causal.design.covariates import covariate_matrix
from causal.design.diagnostics.balance import balance_table, standardised_mean_difference
from causal.design.diagnostics.overlap import common_support, overlap_bins
from causal.design.matching.caliper import caliper_width
from causal.design.matching.greedy import match_greedy
from causal.design.matching.sets import MatchedSets, row_weights
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.errors import DesignError
from causal.protocol import OccasionStudy
from causal.protocol.matching import Caliper
from causal.records import AttritionStep, Cohort, Design, codes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SD_WORDS = {"pooled_within": "pooled within-group SD", "whole": "whole-sample SD"}


def build_design(cohort: Cohort, study: OccasionStudy) -> Design:
    """Who is compared with whom, for one study.

    Linear algebra runs on one thread meanwhile: sums, and with them the digest a board approves, then do not depend on
    how many processors there are.

    Raises
    ------
    DesignError
        The propensity cannot be fitted (separation, too few events), or nothing can be matched.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        return _design(cohort, study)


def _design(cohort: Cohort, study: OccasionStudy) -> Design:
    occasions = cohort.occasions
    treated = occasions["treated"].to_numpy(dtype=np.bool_)
    matrix = covariate_matrix(occasions, study)
    propensity = fit_propensity(matrix.values, treated, names=matrix.names)
    exact = exact_codes(occasions, study.target_trial.assignment.exact)
    supported = _support(propensity, treated, exact, study)
    caliper = _caliper(propensity, treated, study.matching.caliper)
    sets = _match(occasions, treated, propensity, exact, supported, caliper, study)
    weights = row_weights(sets, len(occasions))
    members = occasions.iloc[sets.row].reset_index(drop=True)
    members = members.assign(set_id=sets.set_id, weight=sets.weight)
    n_treated = int(treated.sum())
    n_unmatched = n_treated - int(sets.is_treated.sum())
    return Design(
        members=members,
        covariates=matrix.values[sets.row],
        covariate_names=matrix.names,
        estimand=study.target_trial.contrast.estimand,
        estimand_sentence=estimand_sentence(n_unmatched),
        matching_sentence=matching_sentence(study),
        attrition=(*cohort.attrition, *_design_steps(occasions, treated, supported, sets)),
        balance=balance_table(matrix.values, matrix.names, matrix.tiers, treated, weights),
        overlap=overlap_bins(propensity.probability, treated, minimum=study.governance.small_cells.threshold),
        propensity_method=propensity.method,
        c_statistic=propensity.c_statistic,
        events_per_parameter=propensity.events_per_parameter,
        aliased=(*propensity.aliased, *matrix.constant),
        separated=propensity.separated,
        caliper=caliper,
        n_eligible_treated=n_treated,
        n_unmatched_treated=n_unmatched,
        pretrend_smd=_pretrend(occasions, treated, weights),
        ended_in_grace_share=float(occasions["ended_in_grace"].mean()),
    )


def exact_codes(occasions: pd.DataFrame, keys: tuple[str, ...]) -> IntArray:
    """One integer (n,) per combination of the exact keys, in order of first appearance."""
    combined = np.zeros(len(occasions), dtype=np.int64)
    for key in keys:
        if key not in EXACT_KEYS:
            raise DesignError("design.exact_key", f"'{key}' is not an exact key; known: {', '.join(EXACT_KEYS)}")
        values = codes(occasions[key])  # what is not recorded is a value of its own and agrees with itself only
        combined = combined * (int(values.max()) + 1) + values
    return combined


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


def _caliper(propensity: Propensity, treated: BoolArray, caliper: Caliper | None) -> float | None:
    if caliper is None:
        return None
    return caliper_width(propensity.logit, treated, width=caliper.width, sd=caliper.sd)


def _match(
    occasions: pd.DataFrame,
    treated: BoolArray,
    propensity: Propensity,
    exact: IntArray,
    supported: BoolArray,
    caliper: float | None,
    study: OccasionStudy,
) -> MatchedSets:
    """Matched sets whose `row` indexes all occasions, found among the supported ones."""
    rows = np.flatnonzero(supported)
    day = occasions["time_zero"].to_numpy().astype("datetime64[s]").astype(np.int64) / 86400
    sets = match_greedy(
        propensity.logit[rows],
        treated[rows],
        ratio=study.matching.ratio,
        caliper=caliper,
        exact=exact[rows],
        time_days=day[rows],
        window_days=float(study.target_trial.assignment.calendar_days),
        person=codes(occasions["person_id"])[rows],
        order=study.matching.order,
    )
    return MatchedSets(
        set_id=sets.set_id,
        row=rows[sets.row],
        is_treated=sets.is_treated,
        weight=sets.weight,
        distance=sets.distance,
        n_unmatched_treated=sets.n_unmatched_treated,
        caliper=sets.caliper,
    )


def _design_steps(
    occasions: pd.DataFrame, treated: BoolArray, supported: BoolArray, sets: MatchedSets
) -> tuple[AttritionStep, AttritionStep]:
    person = occasions["person_id"]
    return (
        AttritionStep(
            rule="Either decision was open: a probability of warning found in both groups",
            persons=int(person[supported].nunique()),
            occasions=int(supported.sum()),
            treated=int((supported & treated).sum()),
        ),
        AttritionStep(
            rule="Matched",
            persons=int(person.iloc[sets.row].nunique()),
            occasions=int(sets.row.size),
            treated=int(sets.is_treated.sum()),
        ),
    )


def _pretrend(occasions: pd.DataFrame, treated: BoolArray, weights: FloatArray) -> float | None:
    """SMD of the change in alliance from lag 2 to lag 1 among matched occasions that have both (a negative control)."""
    change = (occasions["alliance_lag1"] - occasions["alliance_lag2"]).to_numpy(dtype=np.float64)
    known = ~np.isnan(change)
    if min((known & treated).sum(), (known & ~treated).sum(), (known & treated & (weights > 0)).sum()) < 2:
        return None
    if not (weights[known & ~treated] > 0).any():
        return None
    spread = float(change[known & treated].std(ddof=1))
    return standardised_mean_difference(change[known], treated[known], weights=weights[known], sd=spread)


def estimand_sentence(n_unmatched: int) -> str:
    """Of whom the effect speaks. Treated occasions left unmatched change that, and it is said."""
    if n_unmatched == 0:
        return "the average effect among all eligible assessments that led to a warning (ATT)"
    return (
        "the average effect among the eligible assessments that led to a warning and for which a comparable assessment "
        "without one exists (ATT in the matched zone); the others are not represented"
    )


def matching_sentence(study: OccasionStudy) -> str:
    """How sets were made, in one sentence with the caliper's standard deviation named."""
    m = study.matching
    exact = ", ".join(EXACT_KEYS[key] for key in study.target_trial.assignment.exact) or "nothing"
    near = (
        f"within {m.caliper.width:g} {SD_WORDS[m.caliper.sd]} of the logit"
        if m.caliper
        else "with no limit on the distance"
    )
    return (
        f"Each warned occasion, {m.order} estimated probability first, was given up to {m.ratio} unwarned occasions "
        f"of other people, none used twice: the nearest on the logit of that probability, {near}, at most "
        f"{study.target_trial.assignment.calendar_days} days apart in calendar time, and the same in: {exact}."
    )
