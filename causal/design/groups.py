"""Who is compared with whom: covariates, propensity, support, matching or weighting. No outcome is seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.catalogue import EXACT_KEYS, catalogue_of, exact_keys_of
from causal.design.compare import Comparison, Units, compare, engine_model
from causal.design.covariates import CovariateMatrix, covariate_matrix, without_rare
from causal.design.describe import estimand_label
from causal.design.diagnostics.overlap import common_support
from causal.design.matching.pairing import Pairing
from causal.design.propensity.curvature import Curvature, bent_where_needed
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.logistic import expit
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.terms import model_columns
from causal.design.weighting.weights import WeightEstimand
from causal.errors import DesignError
from causal.numeric.grid import SCORE, settled
from causal.numeric.keys import KeyArray, keys_of_names
from causal.protocol import OccasionStudy
from causal.protocol.matching import AnyMatching, keeps_once
from causal.protocol.weighting import AnyWeighting
from causal.records import Cohort, ComparisonGroups, codes
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def build_groups(cohort: Cohort, study: OccasionStudy) -> ComparisonGroups:
    """The comparison of one study, without the description a board approves (`causal.design.build.build_design`).

    Enough to estimate from, and a fraction of the work: what replicates of a study need.

    Raises
    ------
    DesignError
        The propensity cannot be fitted (separation, too few events), nothing can be matched, or the weights do not
        exist.
    """
    with one_thread():
        return groups_of(cohort, work_out(cohort, study))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkedOut:
    """What led to the comparison, over the n eligible occasions.

    `fitted` is the propensity as fitted to the extract, `propensity` that of the population, `model` how it was
    modelled once `curvature` had been looked for; `exact` (n,) codes of the exact keys; `supported` (n,) where either
    decision was open; `lost` the share of the effect's population that is not in the comparison.
    """

    treated: BoolArray
    matrix: CovariateMatrix
    fitted: Propensity
    propensity: Propensity
    model: PropensityModel
    curvature: Curvature
    exact: IntArray
    supported: BoolArray
    compared: Comparison
    lost: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bearings:
    """Where each of n occasions stands, in codes: all that a comparison takes from a cohort besides arm and covariates.

    Attributes
    ----------
    keys
        (n,) codes of each key occasions can be made to agree on.
    person, cluster
        (n,) codes of the patient, and of whoever the propensity has means and folds of.
    day
        (n,) day of time zero, whole and part.
    key
        (n,) keys by which folds are drawn.
    """

    keys: Mapping[str, IntArray]
    person: IntArray
    cluster: IntArray
    day: FloatArray
    key: KeyArray


def bearings_of(occasions: pd.DataFrame, study: OccasionStudy) -> Bearings:
    """The bearings of a cohort's occasions. Imputed covariates change none of them: imputed sets share one."""
    columns = catalogue_of(study).columns
    keys = {key: _key(occasions, columns.get(key, (key,))) for key in exact_keys_of(study)}
    return Bearings(
        keys=keys,
        person=codes(occasions["person_id"]),
        cluster=keys[{"clinic": "clinic_id"}.get(study.propensity.cluster_means or "", "clinician_id")],
        day=occasions["time_zero"].to_numpy().astype("datetime64[s]").astype(np.int64) / 86400,
        key=keys_of_names(occasions["ta_id"], study.seed),
    )


def work_out(cohort: Cohort, study: OccasionStudy, bearings: Bearings | None = None) -> WorkedOut:
    """The comparison with everything that led to it; raises as `build_groups`.

    `bearings` are those of the cohort where they are known already.
    """
    occasions = cohort.occasions
    known = bearings_of(occasions, study) if bearings is None else bearings
    treated = occasions["treated"].to_numpy(dtype=np.bool_)
    matrix = without_rare(covariate_matrix(occasions, study), treated)
    fitted, model, curvature = _propensity(known, treated, matrix, study)
    propensity = of_population(fitted, study.propensity.sampling_fraction)
    exact = _combined(_checked(study.target_trial.assignment.exact, known.keys), known.keys, treated.size)
    supported = _support(propensity, treated, exact, study)
    compared = _compare(known, treated, matrix, propensity, model, exact, supported, study)
    target = target_part(treated, propensity.probability, compared.estimand)
    return WorkedOut(
        treated=treated,
        matrix=matrix,
        fitted=fitted,
        propensity=propensity,
        model=model,
        curvature=curvature,
        exact=exact,
        supported=supported,
        compared=compared,
        lost=float(target[compared.weight == 0].sum() / target.sum()),
    )


def groups_of(cohort: Cohort, worked: WorkedOut, columns: Sequence[str] | None = None) -> ComparisonGroups:
    """The members of the comparison with their covariates, and of the cohort these `columns`; None for all."""
    compared, occasions = worked.compared, cohort.occasions
    logit = settled(worked.propensity.logit[compared.row], SCORE)
    return ComparisonGroups(
        members=(occasions if columns is None else occasions[[*columns]])
        .iloc[compared.row]
        .reset_index(drop=True)
        .assign(set_id=compared.set_id, weight=compared.row_weight, logit=logit),
        covariates=worked.matrix.values[compared.row],
        covariate_names=worked.matrix.names,
        estimand=compared.estimand,
        estimand_label=estimand_label(compared, left_out=worked.lost > 0),
        grouping=compared.grouping,
    )


def chosen_method(study: OccasionStudy) -> AnyMatching | AnyWeighting:
    """The one way of making groups comparable that the study declares."""
    method = study.matching or study.weighting
    if method is None or (study.matching and study.weighting):
        raise DesignError(
            "design.method", "a study declares matching or weighting, one of the two", fix="keep one of the two keys"
        )
    return method


def exact_codes(occasions: pd.DataFrame, keys: tuple[str, ...]) -> IntArray:
    """One integer (n,) per combination of the exact keys, in order of first appearance."""
    return _combined(keys, {key: _key(occasions, (key,)) for key in _checked(keys, EXACT_KEYS)}, len(occasions))


def _combined(keys: tuple[str, ...], found: Mapping[str, IntArray], n: int) -> IntArray:
    combined = np.zeros(n, dtype=np.int64)
    for key in keys:
        values = found[key]  # what is not recorded is a value of its own and agrees with itself only
        combined = combined * (int(values.max()) + 1) + values
    return combined


def _checked(keys: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    for key in keys:
        if key not in known:
            raise DesignError("design.exact_key", f"'{key}' is not a key to match on; known: {', '.join(known)}")
    return keys


def _key(occasions: pd.DataFrame, columns: Sequence[str]) -> IntArray:
    """One integer (n,) for each combination of values that the columns of a key have."""
    if len(columns) == 1:
        return codes(occasions[columns[0]])
    parts = {column: codes(occasions[column]) for column in columns}
    return codes(pd.Series(_combined(tuple(parts), parts, len(occasions))))


def _propensity(
    known: Bearings, treated: BoolArray, matrix: CovariateMatrix, study: OccasionStudy
) -> tuple[Propensity, PropensityModel, Curvature]:
    declared = study.propensity
    return bent_where_needed(
        matrix.in_models,
        treated,
        names=matrix.names_in_models,
        order=[name for name, tier in zip(matrix.names, matrix.tiers, strict=True) if tier == 1],
        model=engine_model(declared),
        fit=lambda model: _fitted(known.key, treated, matrix, study, model, known.cluster),
        smallest_p=study.gates.curvature,
        add=declared.bends == "where_needed",
        clusters=known.cluster,
        offset=_offset(treated, study),
    )


def fit_occasions(
    occasions: pd.DataFrame,
    treated: BoolArray,
    matrix: CovariateMatrix,
    study: OccasionStudy,
    model: PropensityModel,
    clusters: IntArray,
) -> Propensity:
    """The propensity of all eligible occasions under one model, its folds and means those of `clusters` (n,)."""
    return _fitted(keys_of_names(occasions["ta_id"], study.seed), treated, matrix, study, model, clusters)


def _fitted(
    key: KeyArray,
    treated: BoolArray,
    matrix: CovariateMatrix,
    study: OccasionStudy,
    model: PropensityModel,
    clusters: IntArray,
) -> Propensity:
    seed = study.propensity.seed
    return fit_propensity(
        matrix.in_models,
        treated,
        names=matrix.names_in_models,
        model=model,
        clusters=clusters,
        key=key,
        offset=_offset(treated, study),
        rng=None if seed is None else np.random.default_rng(seed),
    )


def _offset(treated: BoolArray, study: OccasionStudy) -> FloatArray | None:
    """Minus the logarithm of the share of untreated that was sampled (n,); None where all are in the extract."""
    sampled = study.propensity.sampling_fraction
    return None if sampled is None else np.full(treated.size, -np.log(sampled))


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


def _curves(matrix: CovariateMatrix, model: PropensityModel) -> FloatArray | None:
    """The columns (n, q) with which splines and bends add to the covariates of a propensity; None without any."""
    if not (model.splines or model.bends):
        return None
    curved = PropensityModel(splines=model.splines, bends=model.bends, knots=model.knots)
    columns = model_columns(matrix.in_models, matrix.names_in_models, curved, None)[0]
    return columns[:, matrix.in_models.shape[1] :]


def _compare(
    known: Bearings,
    treated: BoolArray,
    matrix: CovariateMatrix,
    propensity: Propensity,
    model: PropensityModel,
    exact: IntArray,
    supported: BoolArray,
    study: OccasionStudy,
) -> Comparison:
    """The comparison among the supported occasions, its rows counted among all of them."""
    method = chosen_method(study)
    units = Units(
        treated=treated,
        covariates=matrix.values,
        names=matrix.names,
        tiers=matrix.tiers,
        spare=matrix.spare,
        curves=_curves(matrix, model),
        logit=propensity.logit,
        keys=known.keys,
        pairing=Pairing(
            exact=exact,
            time=known.day,
            window=float(study.target_trial.assignment.calendar_days),
            person=known.person,
            once=known.person if keeps_once(method) else None,
        ),
    )
    return compare(method, units, among=supported)
