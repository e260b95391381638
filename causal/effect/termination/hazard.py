"""Cause-specific hazards: Cox's partial likelihood with weights, strata, tied days and robust standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast
from causal.effect.termination.few_clusters import working_correction
from causal.effect.termination.follow_up import EVENT, checked_entry, checked_time, checked_weights, follow_up
from causal.effect.termination.maximum import LikelihoodFit, maximise, robust_fit, usable_columns
from causal.effect.termination.partial_likelihood import (
    Ties,
    derivatives,
    risk_sets,
    score_residuals,
    separates,
    totals_at,
)
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LOG_RATIO = "logarithm of the cause-specific hazard ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRatio:
    """Ratio of cause-specific hazards, treated over comparison.

    Attributes
    ----------
    log_ratio
        Its logarithm, with the interval.
    ratio, lower, upper
        The ratio and its interval at the level of ``log_ratio``.
    events_treated, events_comparison
        Rows with the event in each arm.
    aliased
        Covariates left out because earlier ones determine them.
    """

    log_ratio: Contrast
    ratio: float
    lower: float
    upper: float
    events_treated: int
    events_comparison: int
    aliased: tuple[str, ...]


def cox(
    time: FloatArray,
    event: BoolArray,
    covariates: FloatArray,
    *,
    clusters: IntArray,
    entry: FloatArray | None = None,
    weights: FloatArray | None = None,
    strata: IntArray | None = None,
    names: Sequence[str] | None = None,
    told: Sequence[str] | None = None,
    ties: Ties = "efron",
    level: float = 0.95,
) -> LikelihoodFit:
    """Cox regression of right-censored times, or of spells with a start and a stop.

    Parameters
    ----------
    time, event
        (n,) days above 0, and whether the event happened then; a row is at risk on (0, time], so that on one day events
        precede censorings.
    covariates, names
        (n, p) columns and their names (numbered when None). A column determined by earlier ones is left out.
    clusters, weights, strata
        (n,) codes, weights (None for all 1), and codes within which hazards are compared (None for one stratum).
    entry
        (n,) days from 0 at which a row comes under observation, each before its time: it is at risk on (entry, time].
        A person with values that change has a row for each spell (Andersen & Gill 1982, Ann Stat 10:1100-1120), and
        several rows of one person with an event are several events. None where all are at risk from 0 on.
    told
        Names of the columns whose contrasts are wanted; None for all. The rest are adjusted for.
    ties
        How events on one day are ordered: averaged over all orders approximately (Efron 1977, JASA 72:557-565) or all
        at risk until the last of them (Breslow 1974, Biometrics 30:89-99).
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        ``estimation.no_events``, ``estimation.monotone_likelihood``, ``estimation.not_estimable``,
        ``estimation.not_converged``, ``estimation.too_few_clusters``, ``estimation.time``, ``estimation.entry``,
        ``estimation.weights``, ``estimation.not_finite``, ``estimation.no_standard_error``.

    Notes
    -----
    Robust covariance: Lin & Wei (1989), JASA 84:1074-1078. A row's score residual, under Efron as in R's survival, is
    the exact derivative of the score with respect to the row's weight; they are summed by cluster, and the sum of
    squares is multiplied by G/(G - 1). The contrasts' standard errors and degrees of freedom are corrected for few and
    uneven clusters as `causal.effect.termination.few_clusters.working_correction` says: an approximation, held to the
    level it claims by simulation.

    >>> fit = cox(np.array([1.0, 2, 3, 4]), np.array([True, True, True, False]), np.array([[1.0], [0], [1], [0]]),
    ...           clusters=np.arange(4))
    >>> bool(abs(fit.coefficients[0] - np.log((1 + np.sqrt(17)) / 2)) < 1e-9)  # h^2 = h + 4 at the ratio h
    True
    """
    t, w = checked_time(time), checked_weights(weights, np.asarray(time).size)
    rows = w > 0
    late = None if entry is None else checked_entry(entry, t)[rows]
    t, w, ended = t[rows], w[rows], np.asarray(event, dtype=np.bool_)[rows]
    labels = _labels(names, covariates)
    if not ended.any():
        raise EstimationError("estimation.no_events", "no row has the event: there is no hazard to compare")
    stratum = None if strata is None else np.unique(np.asarray(strata)[rows], return_inverse=True)[1].reshape(-1)
    columns = usable_columns(np.asarray(covariates, dtype=np.float64)[rows], stratum)
    order = np.argsort(t, kind="stable") if stratum is None else np.lexsort((t, stratum))
    code = np.zeros_like(order) if stratum is None else stratum
    sets = risk_sets(columns.x, w, t, ended, code, order, ties, entry=late)

    def at(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return derivatives(sets, totals_at(sets, beta))

    beta, value, information = maximise(at, columns.scale.size, separates=lambda b: separates(sets, b))
    here, groups = totals_at(sets, beta), np.asarray(clusters)[rows][order]
    expected = here.relative * here.own_hazard
    wanted = np.array([told is None or name in told for name in labels])[columns.kept]
    return robust_fit(
        columns,
        labels,
        beta,
        information,
        score_residuals(sets, here),
        groups,
        log_likelihood=value,
        null_log_likelihood=at(np.zeros_like(beta))[0],
        n_events=int(ended.sum()),
        level=level,
        correction=working_correction(sets.x, expected, ended[order], sets.weights, groups, code[order], wanted),
    )


def cause_specific_hazard_ratio(
    time: FloatArray,
    cause: IntArray,
    treated: BoolArray,
    *,
    clusters: IntArray,
    weights: FloatArray | None = None,
    event: int = EVENT,
    covariates: FloatArray | None = None,
    names: Sequence[str] | None = None,
    strata: IntArray | None = None,
    ties: Ties = "efron",
    level: float = 0.95,
) -> HazardRatio:
    """Ratio of the hazards of one cause of ending, other causes counting as censorings.

    Parameters
    ----------
    time, cause, treated, weights, clusters
        (n,) as in `causal.effect.termination.incidence.incidence_difference`.
    covariates, names
        (n, p) known before time zero; the ratio is then the one at equal covariates.
    strata
        (n,) codes, as of matched sets: hazards are then compared within sets only.
    event, ties, level
        Cause of interest; the rest as for `cox`.

    Raises
    ------
    EstimationError
        Those of `cox` and `causal.effect.termination.follow_up.follow_up`. With no event in an arm the likelihood is
        monotone and refused.

    Notes
    -----
    A ratio of hazards compares those still there: it has no causal reading of its own where leaving selects (Hernan
    2010, Epidemiology 21:13-15), and a cause's hazard is not its incidence. Report it beside the incidences.

    >>> found = cause_specific_hazard_ratio(np.array([5.0, 9, 9, 9, 3, 4, 9, 9]), np.array([1, 0, 2, 0, 1, 1, 0, 0]),
    ...     np.repeat([True, False], 4), clusters=np.arange(8))
    >>> round(found.ratio, 4), found.events_treated, found.events_comparison
    (0.3558, 1, 2)
    """
    data = follow_up(time, cause, treated, weights=weights, clusters=clusters)
    ended = data.cause == event
    counts = int((ended & data.treated).sum()), int((ended & ~data.treated).sum())
    if sum(counts) == 0:
        raise EstimationError("estimation.no_events", "no row has the event: there is no hazard to compare")
    if min(counts) == 0:
        raise EstimationError(
            "estimation.monotone_likelihood",
            "one arm has no event: the likelihood rises for ever and the ratio has no estimate",
            fix="report incidences only",
        )
    x = np.empty((data.time.size, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)[data.rows]
    fit = cox(
        data.time,
        ended,
        np.column_stack([x, data.treated]),  # last, so that a strategy the covariates determine is the one refused
        clusters=data.clusters,
        weights=data.weights,
        strata=None if strata is None else np.asarray(strata)[data.rows],
        names=[*_labels(names, x), LOG_RATIO],
        told=[LOG_RATIO],
        ties=ties,
        level=level,
    )
    if np.isnan(fit.coefficients[-1]):
        raise EstimationError(
            "estimation.not_estimable",
            "the effect cannot be told apart from a combination of the other columns",
            fix="remove the covariate that determines the treatment in this sample",
        )
    (log_ratio,) = fit.contrasts
    return HazardRatio(
        log_ratio=log_ratio,
        ratio=float(np.exp(log_ratio.value)),
        lower=float(np.exp(log_ratio.lower)),
        upper=float(np.exp(log_ratio.upper)),
        events_treated=counts[0],
        events_comparison=counts[1],
        aliased=fit.aliased,
    )


def _labels(names: Sequence[str] | None, covariates: FloatArray) -> tuple[str, ...]:
    """Names of the columns, numbered where none were given."""
    return tuple(names) if names is not None else tuple(f"covariate {j + 1}" for j in range(covariates.shape[1]))
