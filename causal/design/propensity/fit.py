"""The probability of treatment given what was known before time zero: one function for every way of modelling it.

With ten or more events per parameter logistic scores are plain maximum likelihood (they agree with R's ``glm``). Below
ten the likelihood is biased and Firth's correction takes over; below three nothing is fitted. Separation, covariates
that tell the arms apart with certainty, is a finding about positivity: it is named whatever the model, and never
smoothed away by a penalty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.calibration import c_statistic
from causal.design.propensity.columns import moments, refuse_unusable
from causal.design.propensity.fitted import Method, Rows, fitted_to
from causal.design.propensity.logistic import expit
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.rare import one_armed_levels
from causal.design.propensity.terms import LOGISTIC, model_columns
from causal.errors import DesignError
from causal.numeric.folds import drawn_folds, require_both_arms, strata_of
from causal.numeric.keys import KeyArray, keys_of_content

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Propensity:
    """Fitted propensity scores of n occasions on the k columns that were kept.

    Attributes
    ----------
    names
        Columns in the model: covariates in the caller's order, then what the model adds (k of them).
    aliased
        Columns left out because the ones before them determine them exactly.
    separated
        Covariates that tell the arms apart in all rows, alone or, where none does alone, together. Empty under maximum
        likelihood (which refuses them); every other model gives finite scores all the same, so this is where the reader
        learns of it.
    coefficients, intercept
        (k,) and scalar, on the scale of the columns as given: log odds per unit. Boosting has none: (0,) and NaN.
    covariance
        (k + 1, k + 1) inverse information of intercept and coefficients at the estimates, for maximum likelihood and
        Firth; otherwise None.
    logit, probability
        (n,) each: log odds, offset included, and probability of treatment. Cross-fitted where the model asks for it;
        names, coefficients and covariance are then those of the model of all rows.
    c_statistic
        Probability that a treated occasion scores above a comparison one, ties counted half. Not a measure of
        success: above about .85 it announces thin overlap.
    events_per_parameter
        Occasions in the smaller arm per kept column.
    method
        How the model of all rows was estimated.
    penalty
        Strength of the elastic net's penalty; None for other models.
    fold
        (n,) fold whose model, fitted to the other folds, scored the row; None without cross-fitting.
    notes
        What the models of some folds could not learn, in sentences that name covariates.
    """

    names: tuple[str, ...]
    aliased: tuple[str, ...]
    separated: tuple[str, ...]
    coefficients: FloatArray
    intercept: float
    covariance: FloatArray | None
    logit: FloatArray
    probability: FloatArray
    c_statistic: float
    events_per_parameter: float
    method: Method
    penalty: float | None
    fold: IntArray | None
    notes: tuple[str, ...]


def fit_propensity(
    covariates: FloatArray,
    treated: BoolArray,
    *,
    names: Sequence[str],
    model: PropensityModel = LOGISTIC,
    clusters: IntArray | None = None,
    key: KeyArray | None = None,
    fold: IntArray | None = None,
    finite: bool = False,
    offset: FloatArray | None = None,
    rng: np.random.Generator | None = None,
) -> Propensity:
    """Fit the probability of treatment given the covariates.

    Parameters
    ----------
    covariates
        (n, p) finite values known before time zero, without an intercept column.
    treated
        (n,) true where the occasion was treated.
    names
        p names, used in the result and in refusals.
    model
        How it is modelled; plain logistic regression unless said otherwise.
    clusters
        (n,) codes of clinics or clinicians: for cluster means, and kept whole by every fold.
    key
        (n,) keys of the rows (`causal.numeric.keys`), by which every fold is drawn; None takes them from the rows'
        content, so that rows alike in arm and covariates are interchangeable.
    fold
        (n,) folds drawn already, from 0: each row is scored by a model of the others. None draws as many as
        ``model.cross_fit`` asks for.
    finite
        Whether Firth's likelihood stands in for a logistic model of separated arms, which is a refusal otherwise; the
        caller judges `Propensity.separated`.
    offset
        (n,) added to the log odds: ``logit = offset + x'b``. Where comparisons were sampled with known fraction f,
        every row has the offset ``-log f``, which is positive: sampling raises the odds of treatment in the extract by
        1/f, and b then speaks of the population (King & Zeng 2001, Polit Anal 9:137-163). `logit` is that of the
        extract; the population's is ``logit - offset``.
    rng
        Seeds the trees of ``boosting``; no other model draws.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.constant_covariate``,
        ``design.too_few_events`` (fewer than 3 events per parameter), ``design.separation`` (logistic, with 10 or
        more), ``design.not_converged``, ``design.rule_unsupported`` (boosting with an offset),
        ``design.too_few_clusters``, and those of `model_columns`.

    Notes
    -----
    Columns are standardised for the fit and the coefficients returned on the original scale. A row's log odds is summed
    column by column, so occasions with equal covariates (and offsets) have exactly equal scores wherever they stand
    (under one model for all; trees and cross-fitting score a row by a model that never saw its cluster).
    A pooled logistic regression of person-months with a spline of the month is this function too: its probabilities are
    discrete hazards, and the product of ``1 - p`` over a person's months is the probability of remaining untreated.
    Rule of ten: Peduzzi et al. (1996), J Clin Epidemiol 49:1373-1379. An elastic net and boosting are refused below
    three events per column offered; trees need far more (van der Ploeg et al. 2014, BMC Med Res Methodol 14:137).
    Cross-fitting: Chernozhukov et al. (2018), Econom J 21:C1-C68. An indicator whose rows outside a fold all lie in one
    arm, though not so in the whole, is left out of that fold's model: it counts with the level nobody indicates. Where
    covariates together separate the arms outside a fold only, Firth's likelihood scores that fold. Both are noted.

    >>> rng = np.random.default_rng(1)
    >>> severity = rng.normal(size=(400, 1))
    >>> treated = rng.random(400) < 1 / (1 + np.exp(1 - severity[:, 0]))
    >>> fit = fit_propensity(severity, treated, names=["severity"])
    >>> fit.method, fit.names, fit.aliased
    ('maximum likelihood', ('severity',), ())
    >>> curve = PropensityModel(splines=("severity",), cross_fit=5)
    >>> fit_propensity(severity, treated, names=["severity"], model=curve).names
    ('severity', 'severity, bend 1', 'severity, bend 2')
    """
    labels = tuple(names)
    rows = _checked(covariates, treated, labels, clusters, key, offset, model, rng)
    seed = 0 if rng is None else int(rng.integers(2**31))
    found = moments(rows.x, rows.treated)
    refuse_unusable(found, labels)
    columns, column_names = model_columns(rows.x, labels, model, rows.clusters)
    if model.adds_terms:
        found = moments(columns, rows.treated)
    whole = fitted_to(replace(rows, x=columns), found, column_names, model, seed, finite=finite)
    logit = whole.estimates.logit
    notes: tuple[str, ...] = ()
    if fold is None and model.cross_fit is not None:
        fold = drawn_folds(rows.key, model.cross_fit, strata=strata_of(rows.treated), clusters=rows.clusters)
    if fold is not None:
        logit, notes = _cross_fitted(rows, fold, labels, model, seed)
    return Propensity(
        names=whole.names,
        aliased=whole.aliased,
        separated=whole.separated,
        coefficients=whole.estimates.coefficients,
        intercept=whole.estimates.intercept,
        covariance=whole.estimates.covariance,
        logit=logit,
        probability=expit(logit),
        c_statistic=c_statistic(logit, rows.treated),
        events_per_parameter=whole.events_per_parameter,
        method=whole.estimates.method,
        penalty=whole.estimates.penalty,
        fold=fold,
        notes=notes,
    )


def _checked(
    covariates: FloatArray,
    treated: BoolArray,
    names: tuple[str, ...],
    clusters: IntArray | None,
    key: KeyArray | None,
    offset: FloatArray | None,
    model: PropensityModel,
    rng: np.random.Generator | None,
) -> Rows:
    """The arguments as arrays that fit one another."""
    x = np.require(covariates, dtype=np.float64, requirements=["C", "W"])
    y = np.asarray(treated)
    if y.dtype != np.bool_:
        raise ValueError(f"treated holds {y.dtype}, not true and false")
    if x.ndim != 2 or x.shape != (y.size, len(names)):
        raise ValueError(f"covariates {x.shape} do not fit {y.size} occasions and {len(names)} names")
    if model.draws and rng is None:
        raise ValueError("boosted trees draw: pass rng")
    by_row = {"clusters": clusters, "offset": offset, "key": key}
    for name, values in by_row.items():
        if values is not None and np.shape(values) != y.shape:
            raise ValueError(f"{name} {np.shape(values)} does not fit {y.size} occasions")
    if not y.any():
        raise DesignError("design.no_treated", "zero treated occasions", fix="check eligibility and the exposure")
    if y.all():
        raise DesignError("design.no_comparison", "zero comparison occasions", fix="check the comparator pool")
    shift = np.empty(0) if offset is None else np.require(offset, dtype=np.float64, requirements=["C", "W"])
    if not np.isfinite(shift).all():
        raise DesignError("design.not_finite", "the offset holds missing or infinite values")
    if shift.size and model.draws:
        raise DesignError("design.rule_unsupported", "boosting takes no offset", fix="use kind logistic or elastic_net")
    return Rows(
        x=x,
        treated=y,
        offset=shift,
        clusters=None if clusters is None else np.asarray(clusters),
        key=keys_of_content([y], x) if key is None else key,
    )


def _cross_fitted(
    rows: Rows, fold: IntArray, names: tuple[str, ...], model: PropensityModel, seed: int
) -> tuple[FloatArray, tuple[str, ...]]:
    """Log odds (n,) of every row by a model of the other folds, and what to know of those models."""
    require_both_arms(rows.treated, fold)
    logit = np.empty(rows.treated.size)
    pooled: dict[str, None] = {}
    together: dict[str, None] = {}
    for held_out in range(int(fold.max()) + 1):
        seen, unseen = fold != held_out, fold == held_out
        columns, labels = model_columns(rows.x, names, model, rows.clusters, learned_from=seen)
        everyone = replace(rows, x=columns)
        training = everyone.take(seen)
        found = moments(training.x, training.treated)
        rare = one_armed_levels(training.x, found)
        if rare.any():
            rare &= ~moments(columns, rows.treated).apart
            pooled |= dict.fromkeys(label for label, is_rare in zip(labels, rare, strict=True) if is_rare)
            labels = tuple(label for label, is_rare in zip(labels, rare, strict=True) if not is_rare)
            everyone = replace(rows, x=np.ascontiguousarray(columns[:, ~rare]))
            training = everyone.take(seen)
            found = moments(training.x, training.treated)
        fitted = fitted_to(training, found, labels, model, seed, inside_fold=True)
        logit[unseen] = fitted.estimates.score(everyone.take(unseen))
        together |= dict.fromkeys(fitted.separated)
    said = {
        "so rare in one of the groups that the model of treatment of some folds could not learn from it, and left out "
        "there": pooled,
        "tells the groups apart outside some folds, whose models of treatment are Firth's": together,
    }
    return logit, tuple(f"{why}: {', '.join(which)}" for why, which in said.items() if which)
