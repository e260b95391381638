"""All that is told of endings over time in one matched sample: incidences, days lost, hazards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast
from causal.effect.termination.follow_up import EVENT, FollowUp, follow_up
from causal.effect.termination.hazard import LOG_RATIO, HazardRatio, cause_specific_hazard_ratio
from causal.effect.termination.incidence import Incidence, arm_curves, difference_at, difference_label
from causal.effect.termination.restricted_mean import RestrictedMeanDifference, restricted_difference
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayIncidence:
    """Cumulative incidence of the event by one day; what cannot be told is None, with its reason in the course.

    Attributes
    ----------
    day
        Days from time zero; the incidence is that of (0, day].
    treated, comparison
        Weighted cumulative incidence, None where nobody in the arm is followed to the day.
    at_risk_treated, at_risk_comparison
        Rows under observation when the day begins, not weighted: show the day only where both are large enough.
    events_treated, events_comparison
        Rows with the event by the day; small counts are not for release.
    difference
        Treated minus comparison.
    """

    day: float
    treated: float | None
    comparison: float | None
    at_risk_treated: int
    at_risk_comparison: int
    events_treated: int
    events_comparison: int
    difference: Contrast | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminationCourse:
    """Endings over time.

    Attributes
    ----------
    days
        Incidence by each day, in the order asked for.
    time_lost
        Mean days lost to the event by the horizon, by arm and as a difference; None if refused.
    lasting
        The same for the days of the relationship, whatever ended it (restricted mean survival).
    hazard
        Ratio of the event's hazards up to the horizon; None if refused.
    horizon
        In days.
    n_clusters
        Clusters behind the standard errors.
    not_evaluated
        Name of each quantity that was refused, with the reason.
    """

    days: tuple[DayIncidence, ...]
    time_lost: RestrictedMeanDifference | None
    lasting: RestrictedMeanDifference | None
    hazard: HazardRatio | None
    horizon: float
    n_clusters: int
    not_evaluated: tuple[tuple[str, str], ...]

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """Every contrast that could be evaluated: days, days lost, days lasting, logarithm of the hazard ratio."""
        found = [one.difference for one in self.days]
        found += [one.difference for one in (self.time_lost, self.lasting) if one is not None]
        found += [self.hazard.log_ratio] if self.hazard is not None else []
        return tuple(one for one in found if one is not None)


def termination_course(
    time: FloatArray,
    cause: IntArray,
    treated: BoolArray,
    *,
    weights: FloatArray | None,
    clusters: IntArray,
    days: Sequence[float],
    horizon: float,
    covariates: FloatArray | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> TerminationCourse:
    """Incidence differences at the days, differences in restricted means and the hazard ratio up to the horizon.

    Parameters
    ----------
    time, cause, treated, weights, clusters
        (n,) follow-up in days above 0, cause (0 censored, 1 the patient ended the relationship, 2 and above competing
        endings), arm, matching weights (None for all 1), cluster codes; clusters may cross arms.
    days, horizon
        In days from time zero. The hazard ratio takes follow-up beyond the horizon for censored there.
    covariates, names
        (n, p) known before time zero: incidences and restricted means are adjusted through pseudo-values, the hazard
        ratio by regression, where it then is the ratio at equal covariates.
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        Only what leaves nothing to tell: the refusals of `causal.effect.termination.follow_up.follow_up`, and
        ``estimation.day``. Every other refusal is kept in ``not_evaluated``, for the quantity it concerns.

    >>> rng = np.random.default_rng(1)
    >>> arm, ends = np.repeat([True, False], 60), np.ceil(rng.exponential(np.repeat([90.0, 150], 60)))
    >>> course = termination_course(np.minimum(ends, 180), (ends <= 180).astype(int), arm, weights=None,
    ...                             clusters=np.tile(np.arange(60), 2), days=[30, 90, 365], horizon=180)
    >>> [one.difference is not None for one in course.days], course.not_evaluated[0][0]
    ([True, True, False], 'difference in cumulative incidence by day 365')
    """
    data = follow_up(time, cause, treated, weights=weights, clusters=clusters)
    refused: list[tuple[str, str]] = []
    curves, any_cause = arm_curves(data, EVENT), arm_curves(data, None)

    def attempt(name: str, work: Callable[[], Found]) -> Found | None:
        try:
            return work()
        except EstimationError as refusal:
            refused.append((name, refusal.message))
            return None

    def restricted(name: str, of: tuple[Incidence, Incidence], lasting: bool) -> RestrictedMeanDifference | None:
        def work() -> RestrictedMeanDifference:
            return restricted_difference(
                data, of, horizon, label=name, covariates=covariates, level=level, kind="CR2", lasting=lasting
            )

        return attempt(name, work)

    def on_day(day: float) -> DayIncidence:
        def work() -> Contrast:
            return difference_at(data, curves, day, covariates=covariates, level=level, kind="CR2")

        return _day(data, curves, day, attempt(difference_label(day), work))

    def hazard() -> HazardRatio:
        return cause_specific_hazard_ratio(
            np.minimum(data.time, horizon),
            np.where(data.time <= horizon, data.cause, 0),
            data.treated,
            clusters=data.clusters,
            weights=data.weights,
            covariates=None if covariates is None else np.asarray(covariates, dtype=np.float64)[data.rows],
            names=names,
            level=level,
        )

    return TerminationCourse(
        days=tuple(on_day(day) for day in days),
        time_lost=restricted(f"difference in days lost by day {horizon:g}", curves, lasting=False),
        lasting=restricted(f"difference in restricted mean days by day {horizon:g}", any_cause, lasting=True),
        hazard=attempt(LOG_RATIO, hazard),
        horizon=horizon,
        n_clusters=data.n_clusters,
        not_evaluated=tuple(refused),
    )


def _day(data: FollowUp, curves: tuple[Incidence, Incidence], day: float, difference: Contrast | None) -> DayIncidence:
    """What both arms' curves and counts say of one day."""
    values = [None if curve.is_unseen(day) else curve.incidence_by(day) for curve in curves]
    reached, ended = data.time >= day, (data.cause == EVENT) & (data.time <= day)
    return DayIncidence(
        day=day,
        treated=values[0],
        comparison=values[1],
        at_risk_treated=int((reached & data.treated).sum()),
        at_risk_comparison=int((reached & ~data.treated).sum()),
        events_treated=int((ended & data.treated).sum()),
        events_comparison=int((ended & ~data.treated).sum()),
        difference=difference,
    )
