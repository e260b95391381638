"""The design from end to end: the comparison, and everything a board may ask about it. No outcome is seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.catalogue import Catalogue, catalogue_of, exact_keys_of
from causal.design.compare import Comparison
from causal.design.covariates import MISSING_SUFFIX
from causal.design.describe import estimand_sentence, method_sentence, propensity_sentence
from causal.design.diagnose import Eligible, diagnose
from causal.design.diagnostics.balance import balance_table, standardised_mean_difference
from causal.design.diagnostics.overlap import overlap_bins
from causal.design.diagnostics.power import OutcomePlan
from causal.design.groups import WorkedOut, chosen_method, groups_of, work_out
from causal.design.weighting.weights import WeightEstimand
from causal.numeric.grid import figures
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Rating
from causal.protocol.words import Words
from causal.records import AttritionStep, Cohort, Design, codes
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def build_design(cohort: Cohort, study: OccasionStudy) -> Design:
    """Who is compared with whom, for one study, and everything a board may ask about it.

    Linear algebra runs on one thread meanwhile: sums, and with them the digest a board approves, then do not depend on
    how many processors there are.

    Raises
    ------
    DesignError
        The propensity cannot be fitted (separation, too few events), nothing can be matched, or the weights do not
        exist.
    """
    with one_thread():
        return figures(_described(cohort, study, work_out(cohort, study)))


def _described(cohort: Cohort, study: OccasionStudy, worked: WorkedOut) -> Design:
    occasions, method, groups = cohort.occasions, chosen_method(study), groups_of(cohort, worked)
    treated, matrix, propensity, compared = worked.treated, worked.matrix, worked.propensity, worked.compared
    n_treated, in_comparison = int(treated.sum()), compared.weight > 0
    known = catalogue_of(study)
    bends = tuple(known.covariates[name].label for name in worked.model.bends)
    return Design(
        members=groups.members,
        covariates=groups.covariates,
        covariate_names=groups.covariate_names,
        estimand=groups.estimand,
        estimand_label=groups.estimand_label,
        grouping=groups.grouping,
        estimand_sentence=estimand_sentence(compared, study.words, left_out=worked.lost > 0),
        method_sentence=(
            f"{method_sentence(method, study.target_trial.assignment, study.words, exact_keys_of(study))} "
            f"{propensity_sentence(study.propensity, propensity.method, study.words, bends=bends)}"
        ),
        attrition=(
            *cohort.attrition,
            *_design_steps(
                occasions,
                treated,
                worked.supported,
                in_comparison,
                compared,
                rule=study.support.rule,
                words=study.words,
            ),
        ),
        balance=balance_table(
            matrix.values, matrix.names, matrix.tiers, treated, compared.weight, estimand=compared.estimand
        ),
        overlap=overlap_bins(propensity.probability, treated, minimum=study.governance.small_cells.threshold),
        propensity_method=propensity.method,
        c_statistic=propensity.c_statistic,
        events_per_parameter=propensity.events_per_parameter,
        fates=matrix.fates,
        aliased=propensity.aliased,
        separated=propensity.separated,
        curvature=worked.curvature,
        caliper=compared.caliper,
        n_eligible_treated=n_treated,
        n_unmatched_treated=n_treated - int((treated & in_comparison).sum()),
        lost_share=worked.lost,
        pretrend_smd=_pretrend(occasions, study.prior_ratings, treated, compared.weight, compared.estimand),
        ended_in_grace_share=float(occasions["ended_in_grace"].mean()),
        diagnostics=diagnose(
            Eligible(
                treated=treated,
                matrix=matrix,
                labels=tuple(_labels(name, known) for name in matrix.names),
                propensity=worked.fitted,
                supported=worked.supported,
                exact=worked.exact,
                clinician=codes(occasions["clinician_id"]),
                clinic=codes(occasions["clinic_id"]),
                month=codes(occasions["time_zero"].dt.strftime("%Y-%m")),
                version=codes(occasions["instrument_ver"]),
                cluster=study.estimator.cluster,
            ),
            compared,
            outcome_plans(study),
            proxy=next(iter(study.prior_ratings), None),
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


def _labels(name: str, known: Catalogue) -> tuple[str, str]:
    """What a column is called at 0 and at 1."""
    base = known.described[name.removesuffix(MISSING_SUFFIX)].label.lower()
    if name not in known.described:
        return f"{base} recorded", f"{base} not recorded"
    return f"no {base}", base


def _design_steps(
    occasions: pd.DataFrame,
    treated: BoolArray,
    supported: BoolArray,
    in_comparison: BoolArray,
    compared: Comparison,
    *,
    rule: str,
    words: Words,
) -> tuple[AttritionStep, ...]:
    person = occasions["person_id"]
    opening = "Either decision was open, by" if rule == "stratum_common" else "No rule on"
    return tuple(
        AttritionStep(
            rule=step,
            persons=int(person[rows].nunique()),
            occasions=int(rows.sum()),
            treated=int((rows & treated).sum()),
        )
        for step, rows in (
            (f"{opening} the probability of {words.event}", supported),
            ("Weighted" if compared.grouping == "weight" else "Matched", in_comparison),
        )
    )


def _pretrend(
    occasions: pd.DataFrame,
    prior_ratings: Sequence[str],
    treated: BoolArray,
    weights: FloatArray,
    estimand: WeightEstimand,
) -> float | None:
    """SMD of the change to the last rating from the one before among matched occasions with both (negative control)."""
    if len(prior_ratings) < 2 or not {*prior_ratings[:2]} <= {*occasions.columns}:
        return None
    last, earlier = prior_ratings[:2]
    change = (occasions[last] - occasions[earlier]).to_numpy(dtype=np.float64)
    known = ~np.isnan(change)
    if min((known & treated).sum(), (known & ~treated).sum(), (known & treated & (weights > 0)).sum()) < 2:
        return None
    if not (weights[known & ~treated] > 0).any():
        return None
    return standardised_mean_difference(
        change[known], treated[known], weights=weights[known], sd=None, estimand=estimand
    )
