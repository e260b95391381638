"""Cause-specific hazards: Cox's partial likelihood with weights, strata, tied days and robust standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled
from causal.effect.contrast import Contrast
from causal.effect.termination.few_clusters import working_correction
from causal.effect.termination.follow_up import EVENT, checked_time, checked_weights, follow_up
from causal.effect.termination.maximum import LikelihoodFit, maximise, robust_fit, usable_columns
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Ties = Literal["efron", "breslow"]


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _RiskSets:
    """Rows sorted by stratum and time, and the e events among them, each with the risk set it is drawn from.

    `group` (n,) numbers the distinct days of each stratum; `starts` (k,) is the first row of each, `opens` (k,) whether
    it is its stratum's first. `events` (e,) are the rows with an event; `fraction` (e,) is the share of the day's
    events no longer at risk, 0 under Breslow; `share` (e,) is the mean weight of the day's events.
    """

    x: FloatArray
    weights: FloatArray
    group: IntArray
    starts: IntArray
    opens: BoolArray
    events: IntArray
    fraction: FloatArray
    share: FloatArray

    @property
    def at(self) -> IntArray:
        """Group (e,) of each event."""
        return self.group[self.events]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pass:
    """Sums at one value of the coefficients: relative hazards (n,), and of each event its risk set's total and mean."""

    linear: FloatArray  # (n,)
    relative: FloatArray  # (n,) exp(linear)
    totals: FloatArray  # (e,)
    means: FloatArray  # (e, r) of the columns in the risk set
    own_hazard: FloatArray  # (n,) cumulative baseline hazard a row was at risk of


def cox(
    time: FloatArray,
    event: BoolArray,
    covariates: FloatArray,
    *,
    clusters: IntArray,
    weights: FloatArray | None = None,
    strata: IntArray | None = None,
    names: Sequence[str] | None = None,
    ties: Ties = "efron",
    level: float = 0.95,
) -> LikelihoodFit:
    """Cox regression of right-censored times.

    Parameters
    ----------
    time, event
        (n,) days above 0, and whether the event happened then; a row is at risk on (0, time], so that on one day events
        precede censorings.
    covariates, names
        (n, p) columns and their names (numbered when None). A column determined by earlier ones is left out.
    clusters, weights, strata
        (n,) codes, weights (None for all 1), and codes within which hazards are compared (None for one stratum).
    ties
        How events on one day are ordered: averaged over all orders approximately (Efron 1977, JASA 72:557-565) or all
        at risk until the last of them (Breslow 1974, Biometrics 30:89-99).
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        ``estimation.no_events``, ``estimation.monotone_likelihood``, ``estimation.not_estimable``,
        ``estimation.not_converged``, ``estimation.too_few_clusters``, ``estimation.time``, ``estimation.weights``,
        ``estimation.not_finite``, ``estimation.no_standard_error``.

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
    t, w, ended = t[rows], w[rows], np.asarray(event, dtype=np.bool_)[rows]
    labels = _labels(names, covariates)
    if not ended.any():
        raise EstimationError("estimation.no_events", "no row has the event: there is no hazard to compare")
    stratum = None if strata is None else np.unique(np.asarray(strata)[rows], return_inverse=True)[1].reshape(-1)
    columns = usable_columns(np.asarray(covariates, dtype=np.float64)[rows], stratum)
    order = np.argsort(t, kind="stable") if stratum is None else np.lexsort((t, stratum))
    code = np.zeros_like(order) if stratum is None else stratum
    sets = _risk_sets(columns.x, w, t, ended, code, order, ties)

    def derivatives(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        return _derivatives(sets, _pass(sets, beta))

    beta, value, information = maximise(derivatives, columns.scale.size, separates=lambda b: _separates(sets, b))
    here, groups = _pass(sets, beta), np.asarray(clusters)[rows][order]
    expected = here.relative * here.own_hazard
    return robust_fit(
        columns,
        labels,
        beta,
        information,
        _scores(sets, here),
        groups,
        log_likelihood=value,
        null_log_likelihood=derivatives(np.zeros_like(beta))[0],
        n_events=int(ended.sum()),
        level=level,
        correction=working_correction(sets.x, expected, ended[order], sets.weights, groups, code[order]),
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
        names=[*_labels(names, x), "logarithm of the cause-specific hazard ratio"],
        ties=ties,
        level=level,
    )
    if np.isnan(fit.coefficients[-1]):
        raise EstimationError(
            "estimation.not_estimable",
            "the effect cannot be told apart from a combination of the other columns",
            fix="remove the covariate that determines the treatment in this sample",
        )
    log_ratio = fit.contrasts[-1]
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


def _risk_sets(
    x: FloatArray, w: FloatArray, t: FloatArray, ended: BoolArray, stratum: IntArray, order: IntArray, ties: Ties
) -> _RiskSets:
    """Sort the rows and lay out the days and their events."""
    t, stratum, ended, w = t[order], stratum[order], ended[order], w[order]
    enters = np.r_[True, stratum[1:] != stratum[:-1]]
    begins = enters | np.r_[True, t[1:] != t[:-1]]
    group, starts, events = np.cumsum(begins) - 1, np.flatnonzero(begins), np.flatnonzero(ended)
    at = group[events]
    count = np.bincount(at, minlength=starts.size)
    rank = np.arange(events.size) - (np.cumsum(count) - count)[at]
    return _RiskSets(
        x=x[order],
        weights=w,
        group=group,
        starts=starts,
        opens=enters[starts],
        events=events,
        fraction=rank / count[at] if ties == "efron" else np.zeros(events.size),
        share=(np.bincount(at, weights=w[events], minlength=starts.size) / np.maximum(count, 1))[at],
    )


def _pass(sets: _RiskSets, beta: FloatArray) -> _Pass:
    """Totals and means over every event's risk set, those of its day that came before it taken out by Efron's share."""
    linear = sets.x @ beta
    relative = np.exp(linear)
    terms = (sets.weights * relative)[:, None] * np.column_stack([np.ones(linear.size), sets.x])
    at_risk = running_totals(np.add.reduceat(terms, sets.starts, axis=0)[::-1], _closes(sets.opens))[::-1]
    gone = np.zeros_like(at_risk)
    np.add.at(gone, sets.at, terms[sets.events])
    both = at_risk[sets.at] - sets.fraction[:, None] * gone[sets.at]
    totals = both[:, 0]
    return _Pass(
        linear=linear,
        relative=relative,
        totals=totals,
        means=both[:, 1:] / totals[:, None],
        own_hazard=_accumulated(sets, (sets.share / totals)[:, None])[:, 0],
    )


def _accumulated(sets: _RiskSets, per_event: FloatArray) -> FloatArray:
    """Sum (n, m) over the events (e, m) each row was at risk of; of its own day, an event row leaves by its share."""
    by_day = np.zeros((sets.starts.size, per_event.shape[1]))
    left = np.zeros_like(by_day)
    np.add.at(by_day, sets.at, per_event)
    np.add.at(left, sets.at, per_event * sets.fraction[:, None])
    total = running_totals(by_day, sets.opens)[sets.group]
    total[sets.events] -= left[sets.at]
    return total


def _derivatives(sets: _RiskSets, here: _Pass) -> tuple[float, FloatArray, FloatArray]:
    """Log likelihood, score (r,) and information (r, r).

    The sum over events of the second moments in their risk sets is one over rows, each times the hazard it was at risk
    of: no moment of rows by columns by columns is formed.
    """
    w, x = sets.weights[sets.events], sets.x
    value = float(w @ here.linear[sets.events] - sets.share @ np.log(here.totals))
    score = w @ x[sets.events] - sets.share @ here.means
    information = (x * (sets.weights * here.relative * here.own_hazard)[:, None]).T @ x
    return value, score, information - (here.means * sets.share[:, None]).T @ here.means


def _scores(sets: _RiskSets, here: _Pass) -> FloatArray:
    """Weighted score residuals (n, r) in the sorted order: the derivative of the score with respect to each weight."""
    hazards = (sets.share / here.totals)[:, None]
    drift = _accumulated(sets, hazards * here.means)
    residual = -here.relative[:, None] * (sets.x * here.own_hazard[:, None] - drift)
    day_mean = np.zeros((sets.starts.size, sets.x.shape[1]))
    np.add.at(day_mean, sets.at, here.means)
    count = np.bincount(sets.at, minlength=sets.starts.size)[:, None]
    residual[sets.events] += sets.x[sets.events] - (day_mean / np.maximum(count, 1))[sets.at]
    return np.asarray(residual * sets.weights[:, None], dtype=np.float64)


def _separates(sets: _RiskSets, direction: FloatArray) -> bool:
    """Whether every event has the largest value along the direction in its risk set, so that the likelihood rises."""
    along = sets.x @ direction
    highest = np.maximum.reduceat(along, sets.starts)[::-1]
    step = (np.cumsum(_closes(sets.opens)) - 1) * (np.ptp(along) + 1.0)  # a later stratum starts above all earlier ones
    at_risk = (np.maximum.accumulate(highest + step) - step)[::-1]
    return bool((along[sets.events] >= at_risk[sets.at] - 1e-4 * np.ptp(along)).all())


def _closes(opens: BoolArray) -> BoolArray:
    """From the last day back: where each stratum begins."""
    return np.concatenate([[True], opens[:0:-1]], dtype=np.bool_)


def running_totals(values: FloatArray, first: BoolArray) -> FloatArray:
    """Running sums of the rows of values (k, m), from 0 wherever ``first`` (k,) is true."""
    out = np.array(values, dtype=np.float64, order="C")
    _run()(out, first)
    return out


@cache
def _run() -> Callable[..., Any]:
    return compiled(run_on)


def run_on(values: FloatArray, first: BoolArray) -> None:
    """Add to each row of values (k, m) the row before it, unless it is the first of its stratum."""
    for i in range(1, values.shape[0]):
        if not first[i]:
            for j in range(values.shape[1]):
                values[i, j] += values[i - 1, j]
