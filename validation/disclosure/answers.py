"""The headline pair: endings, deaths, matched sets and patients that its means and intervals would tell of."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from causal.records import Design, Effects, Estimate, Interval, NotEstimated
from validation.disclosure.counts import disclose_count
from validation.disclosure.figure import Count, Figure, Kind, Shown, ShownCount
from validation.disclosure.profile import Profile
from validation.disclosure.reasons import Withheld
from validation.disclosure.response import Endings

MATCHED_SET, PATIENT = "matched set", "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalShown:
    """An interval as it may be printed; `why` says why its clusters are not, or its degrees of freedom."""

    clusters: Count
    std_error: Shown
    df: Shown | None
    lower: Shown
    upper: Shown
    why: Withheld | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeansShown:
    """Means of both groups as they may be printed, or why they are not; None too where there is no mean."""

    treated: Shown | None
    comparison: Shown | None
    why: Withheld | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateShown:
    """An estimate as it may be printed, its main interval first."""

    value: Shown
    detectable: Shown | None
    intervals: tuple[IntervalShown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsShown:
    """The exact split of the composite."""

    total: Shown
    termination_part: Shown
    level_part: Shown


def why_unanswered(effects: Effects, profile: Profile) -> Withheld | None:
    """Why nothing of the headline may be shown: too few of a group are left in it."""
    pair = (effects.termination, effects.composite)
    figures = (
        Figure(value=0.0, unit=one.scale, kind=Kind.ESTIMATE, counts=(one.n_treated, one.n_comparison)) for one in pair
    )
    return next((why for figure in figures if (why := figure.why_withheld(profile)) is not None), None)


def endings_of(effects: Effects) -> Figure:
    """The shares who ended treatment, with how many did and did not in each group."""
    found, ended = effects.termination, (effects.n_ended_treated, effects.n_ended_comparison)
    stayed = (found.n_treated - ended[0], found.n_comparison - ended[1])
    return Figure(value=found.mean_treated, unit=found.scale, kind=Kind.SHARE, counts=ended, complements=stayed)


def endings_shown(effects: Effects, design: Design, profile: Profile) -> Endings:
    """What a release with these effects tells of the shares who ended treatment."""
    shares = (effects.termination.mean_treated, effects.termination.mean_comparison)
    told = endings_of(effects).why_withheld(profile) is None
    return Endings(day=effects.day, sizes=(design.n_treated, design.n_comparison), shares=shares if told else None)


def means_of(one: Estimate | NotEstimated, endings: Figure, profile: Profile, why: Withheld) -> MeansShown:
    """The means of one of the pair; `why` is the reason where few ended, or all but few did.

    The mean of the composite is the value of an ending times the endings and more, so it goes with them.
    """
    if endings.why_withheld(profile) is not None:
        return MeansShown(treated=None, comparison=None, why=why)
    treated, comparison = (None if isnan(x) else Shown(x) for x in (one.mean_treated, one.mean_comparison))
    return MeansShown(treated=treated, comparison=comparison, why=None)


def estimate_of(estimate: Estimate, profile: Profile, *, few_deaths: bool) -> EstimateShown:
    """One of the pair; where few deaths could be worked out, no clusters, nor freedom that follows from the sets."""
    return EstimateShown(
        value=Shown(estimate.value),
        detectable=None if estimate.detectable is None else Shown(estimate.detectable),
        intervals=tuple(interval_of(one, profile, few_deaths=few_deaths) for one in estimate.intervals),
    )


def parts_of(effects: Effects) -> PartsShown | None:
    """The split of the composite; None where it has no number."""
    if isinstance(effects.composite, NotEstimated) or effects.termination_part is None or effects.level_part is None:
        return None
    return PartsShown(
        total=Shown(effects.composite.value),
        termination_part=Shown(effects.termination_part),
        level_part=Shown(effects.level_part),
    )


def excluded_count(effects: Effects, profile: Profile) -> Count:
    """Occasions that a death took out."""
    return disclose_count(effects.n_excluded, profile.threshold)


def deaths_are_few(effects: Effects, design: Design, profile: Profile) -> bool:
    """Whether few occasions, or few matched sets, were lost to deaths: what is left of the sets would tell how few."""
    sets = [interval.clusters for interval in effects.estimated.intervals if interval.clustered_by == MATCHED_SET]
    return any(profile.is_small(n) for n in (effects.n_excluded, *(design.n_sets - clusters for clusters in sets)))


def interval_of(interval: Interval, profile: Profile, *, few_deaths: bool) -> IntervalShown:
    """One interval; a number of clinicians or clinics, which the dossier tells, counts no patient."""
    why = _why_clusters(interval, profile, few_deaths=few_deaths)
    free = why in (None, Withheld.COUNT) or (why is Withheld.FEW_DEATHS and interval.clustered_by != MATCHED_SET)
    return IntervalShown(
        clusters=None if why else ShownCount(interval.clusters),
        std_error=Shown(interval.std_error),
        df=Shown(interval.df) if free else None,
        lower=Shown(interval.lower),
        upper=Shown(interval.upper),
        why=why,
    )


def _why_clusters(interval: Interval, profile: Profile, *, few_deaths: bool) -> Withheld | None:
    """Why the number of clusters is not told.

    Patients are fewer than occasions by the repeats, which the flow may withhold, so they are never counted here.
    """
    if interval.clustered_by == PATIENT:
        return Withheld.PATIENTS
    if few_deaths:
        return Withheld.FEW_DEATHS
    few = interval.clustered_by == MATCHED_SET and profile.is_small(interval.clusters)
    return Withheld.COUNT if few else None
