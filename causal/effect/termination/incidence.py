"""Cumulative incidence of endings in the presence of competing ones, by arm, and its difference at given days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import Kind
from causal.effect.contrast import Contrast, student
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.termination.follow_up import (
    EVENT,
    FollowUp,
    checked_cause,
    checked_time,
    checked_weights,
    follow_up,
)
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Incidence:
    """Kaplan-Meier and Aalen-Johansen curves of one group; steps at the k distinct days seen.

    Attributes
    ----------
    times
        (k,) days, ascending.
    at_risk, any_hazard, hazard
        (k,) weight at risk just before each day, and the shares of it that end on the day, for any cause and for the
        cause of interest.
    remaining
        (k,) weight at risk after the day's endings and before its censorings.
    survival, incidence
        (k,) probability of no ending, and of an ending of the cause of interest, by the end of the day.
    position, is_event, is_any, weights
        (n,) of each row: its day's place in `times`, whether it ended by the cause of interest, or by any, and its
        weight.
    """

    times: FloatArray
    at_risk: FloatArray
    any_hazard: FloatArray
    hazard: FloatArray
    remaining: FloatArray
    survival: FloatArray
    incidence: FloatArray
    position: IntArray
    is_event: BoolArray
    is_any: BoolArray
    weights: FloatArray

    @property
    def survival_before(self) -> FloatArray:
        """Probability (k,) of no ending before each day."""
        return np.concatenate([[1.0], self.survival[:-1]], dtype=np.float64)

    def is_unseen(self, day: float) -> bool:
        """Whether nobody was followed to the day and not everybody was seen to end before it."""
        return bool(self.times[-1] < day and self.survival[-1] > 0)

    def incidence_by(self, day: float) -> float:
        """Probability of an ending of the cause of interest in (0, day].

        Raises ``estimation.nobody_at_risk`` when the last row was censored before the day.
        """
        self.refuse_unseen(day)
        return float(np.r_[0.0, self.incidence][np.searchsorted(self.times, day, side="right")])

    def survival_by(self, day: float) -> float:
        """Probability of no ending in (0, day]; refuses as `incidence_by`."""
        self.refuse_unseen(day)
        return float(np.r_[1.0, self.survival][np.searchsorted(self.times, day, side="right")])

    def refuse_unseen(self, day: float) -> None:
        """Refuse a day that `is_unseen`."""
        if not 0 < day < np.inf:
            raise EstimationError("estimation.day", "a day must be above 0 and finite")
        if self.is_unseen(day):
            raise EstimationError(
                "estimation.nobody_at_risk",
                f"nobody in one arm is followed to day {day:g}",
                fix="ask for an earlier day",
            )

    def pseudo_values(self, value: float, own: FloatArray, later: FloatArray) -> FloatArray:
        """Value plus total weight times its derivative with respect to the weight of each row (n,).

        ``own`` and ``later`` (k,): what an ending of the cause of interest on each day adds to the value per unit of
        weight, and what an ending of any cause takes away from what would have followed. Both act through the row's
        martingale: its ending minus the hazards it was at risk of.
        """
        expected = np.cumsum(own * self.hazard - later * self.any_hazard)[self.position]
        seen = self.is_event * own[self.position] - self.is_any * later[self.position]
        return np.asarray(value + self.weights.sum() * (seen - expected), dtype=np.float64)

    def incidence_pseudo_values(self, day: float) -> FloatArray:
        """Pseudo-values (n,) of the cumulative incidence by a day; their weighted mean is the incidence."""
        value, within = self.incidence_by(day), self.times <= day
        own = np.where(within, self.survival_before / self.at_risk, 0.0)
        return self.pseudo_values(value, own, np.where(within, per_remaining(self, value - self.incidence), 0.0))


def aalen_johansen(
    time: FloatArray, cause: IntArray, *, weights: FloatArray | None = None, event: int | None = EVENT
) -> Incidence:
    """Weighted Kaplan-Meier survival and Aalen-Johansen cumulative incidence of one group.

    Parameters
    ----------
    time, cause, weights
        (n,) as in `causal.effect.termination.follow_up.FollowUp`.
    event
        Cause of interest; None for any cause, whose incidence is 1 minus Kaplan-Meier.

    Raises
    ------
    EstimationError
        ``estimation.time``, ``estimation.cause``, ``estimation.weights``, ``estimation.empty_arm``.

    Notes
    -----
    ``F(t) = sum over days u <= t of S(u-) dN(u)/Y(u)``, with Y the weight at risk, dN that of the cause's endings and
    S(u-) the product of ``1 - dN_any/Y`` over earlier days. Aalen & Johansen (1978), Scand J Stat 5:141-150; Kaplan &
    Meier (1958), JASA 53:457-481.

    >>> curve = aalen_johansen(np.array([1.0, 2, 2, 3]), np.array([1, 2, 0, 1]))
    >>> curve.incidence.tolist(), curve.survival.tolist()
    ([0.25, 0.25, 0.75], [0.75, 0.5, 0.0])
    """
    t, causes = checked_time(time), checked_cause(cause)
    w = checked_weights(weights, t.size)
    if not (rows := w > 0).any():
        raise EstimationError("estimation.empty_arm", "no row has weight")
    t, causes, w = t[rows], causes[rows], w[rows]
    times, position = np.unique(t, return_inverse=True)
    is_any = causes > 0
    is_event = is_any if event is None else causes == event

    def total(of: FloatArray) -> FloatArray:
        return np.bincount(position, weights=of, minlength=times.size).astype(np.float64)

    ends = total(w * is_any)
    at_risk = np.cumsum(total(w)[::-1])[::-1]
    any_hazard, hazard = ends / at_risk, total(w * is_event) / at_risk
    survival = np.cumprod(1 - any_hazard, dtype=np.float64)
    return Incidence(
        times=times,
        at_risk=at_risk,
        any_hazard=any_hazard,
        hazard=hazard,
        remaining=at_risk - ends,
        survival=survival,
        incidence=np.cumsum(np.r_[1.0, survival[:-1]] * hazard),
        position=position.astype(np.int64),
        is_event=is_event,
        is_any=is_any,
        weights=w,
    )


def incidence_difference(
    time: FloatArray,
    cause: IntArray,
    treated: BoolArray,
    *,
    day: float,
    clusters: IntArray,
    weights: FloatArray | None = None,
    event: int | None = EVENT,
    covariates: FloatArray | None = None,
    level: float = 0.95,
    kind: Kind = "CR2",
) -> Contrast:
    """Difference in cumulative incidence by a day, treated minus comparison.

    Parameters
    ----------
    time, cause, treated, weights, clusters
        (n,) follow-up in days above 0, cause (0 censored, 1 the event, 2 and above competing), arm, matching weights
        (None for all 1) and codes; clusters may cross arms.
    day
        Days from time zero. One day at a time: nothing between the declared days is released.
    event
        Cause of interest; None for any.
    covariates
        (n, p) known before time zero; the difference is then the regression of the pseudo-values on arm and centred
        covariates. Where censoring depends on them this adjusts the comparison, not the censoring.
    level, kind
        Of the interval, and of the standard error (`causal.effect.cluster_robust.cluster_robust`): ``CR2`` with
        Satterthwaite degrees of freedom; ``CR1`` is the sum of squared influence by cluster times G/(G - 1), with
        G - 1.

    Raises
    ------
    EstimationError
        Those of `follow_up` and `weighted_ancova`; ``estimation.nobody_at_risk``; ``estimation.no_events`` (an arm has
        none by the day) and ``estimation.no_variation`` (all of an arm have), where the standard error would be the
        other arm's alone.

    Notes
    -----
    Each row's pseudo-value is the arm's incidence plus the arm's weight times the derivative of the incidence with
    respect to the row's weight (infinitesimal jackknife: Jaeckel 1972; Andersen, Klein & Rosthoj 2003, Biometrika
    90:15-27; as R's survival::pseudo). The derivatives weighted sum to 0 in an arm, so the difference of weighted means
    of pseudo-values is the difference of the curves, exactly, and its sandwich the one of influence functions. With no
    censoring before the day a pseudo-value is the row's own outcome, 0 or 1.

    >>> found = incidence_difference(np.array([5.0, 9, 9, 9, 3, 4, 9, 9]), np.array([1, 0, 2, 0, 1, 1, 0, 0]),
    ...     np.repeat([True, False], 4), day=7, clusters=np.tile(np.arange(4), 2), kind="CR1")
    >>> round(found.value, 6), round(found.std_error, 6)  # 1 of 4 by day 7, and 2 of 4
    (-0.25, 0.25)
    """
    data = follow_up(time, cause, treated, weights=weights, clusters=clusters)
    return difference_at(data, arm_curves(data, event), day, covariates=covariates, level=level, kind=kind)


def incidence_ratio(
    time: FloatArray,
    cause: IntArray,
    treated: BoolArray,
    *,
    day: float,
    clusters: IntArray,
    weights: FloatArray | None = None,
    event: int | None = EVENT,
    level: float = 0.95,
    kind: Kind = "CR2",
) -> Contrast:
    """Logarithm of the ratio of cumulative incidences by a day, treated over comparison.

    Arguments and refusals as for `incidence_difference`; the influence on a logarithm is that on the incidence divided
    by it (delta method).

    >>> found = incidence_ratio(np.array([5.0, 9, 9, 9, 3, 4, 9, 9]), np.array([1, 0, 2, 0, 1, 1, 0, 0]),
    ...     np.repeat([True, False], 4), day=7, clusters=np.tile(np.arange(4), 2))
    >>> round(float(np.exp(found.value)), 6)
    0.5
    """
    data = follow_up(time, cause, treated, weights=weights, clusters=clusters)
    curves = arm_curves(data, event)
    pseudo = []
    for curve in curves:
        refuse_no_events(curve, day)
        value = curve.incidence_by(day)
        pseudo.append(np.log(value) + (curve.incidence_pseudo_values(day) - value) / value)
    label = f"logarithm of the ratio of cumulative incidences by day {day:g}"
    return pseudo_contrast(data, (pseudo[0], pseudo[1]), label=label, covariates=None, level=level, kind=kind)


def arm_curves(data: FollowUp, event: int | None) -> tuple[Incidence, Incidence]:
    """Curves of the treated and of the comparison."""
    one, zero = (
        aalen_johansen(data.time[arm], data.cause[arm], weights=data.weights[arm], event=event)
        for arm in (data.treated, ~data.treated)
    )
    return one, zero


def difference_at(
    data: FollowUp,
    curves: tuple[Incidence, Incidence],
    day: float,
    *,
    covariates: FloatArray | None,
    level: float,
    kind: Kind,
) -> Contrast:
    """`incidence_difference` from curves already drawn; covariates have a row for every row, with weight or without."""
    one, zero = (curve.incidence_pseudo_values(day) for curve in curves)
    for curve in curves:
        refuse_no_events(curve, day)
    label = difference_label(day)
    return pseudo_contrast(data, (one, zero), label=label, covariates=covariates, level=level, kind=kind)


def difference_label(day: float) -> str:
    """What the difference at a day is called."""
    return f"difference in cumulative incidence by day {day:g}"


def pseudo_contrast(
    data: FollowUp,
    pseudo: tuple[FloatArray, FloatArray],
    *,
    label: str,
    covariates: FloatArray | None,
    level: float,
    kind: Kind,
) -> Contrast:
    """Weighted difference of the arms' pseudo-values (treated, comparison), adjusted where there are covariates."""
    outcome = np.empty(data.time.size)
    outcome[data.treated], outcome[~data.treated] = pseudo
    for values in pseudo:
        if np.ptp(values) <= 1e-10 * max(1.0, float(np.abs(values).max())):
            raise EstimationError(
                "estimation.no_variation",
                "all rows of one arm fared alike: the standard error would be the other arm's alone",
                fix="describe, do not estimate",
            )
    x = None if covariates is None else np.asarray(covariates, dtype=np.float64)[data.rows]
    effect = weighted_ancova(outcome, data.treated, x, data.weights, data.clusters, kind=kind)
    return student(label, effect.value, effect.std_error, effect.df, level=level)


def refuse_no_events(curve: Incidence, day: float) -> None:
    """Refuse an arm without an event by the day."""
    if not curve.hazard[curve.times <= day].any():
        raise EstimationError(
            "estimation.no_events",
            f"one arm has no event by day {day:g}: its part of the standard error cannot be estimated",
            fix="report the counts, or a later day",
        )


def per_remaining(curve: Incidence, amount: FloatArray) -> FloatArray:
    """Amount (k,) per unit of weight that remains after each day's endings; 0 where nobody does."""
    remains = curve.survival > 0
    return np.asarray(np.where(remains, amount / np.where(remains, curve.remaining, 1.0), 0.0), dtype=np.float64)
