"""Judge the outcome of a study: a rating, when it is given, by which key, and what stands in for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from causal.protocol import Instrument, OccasionStudy
from causal.protocol.outcome import Composite, Rating
from causal.protocol.target_trial import FollowedUp
from causal.tables import INSTRUMENTS
from validation.verdict import Side, Status, Verdict, not_evaluated
from validation.words import did_you_mean, holds, listed

RATER_OF_VERSION = {
    "client": "patient",
    "patient": "patient",
    "therapist": "clinician",
    "clinician": "clinician",
    "observer": "observer",
    "caregiver": "caregiver",
}
"""Who answers each version of an instrument."""
HOURS_PER_DAY = 24


def outcome_window_verdict(study: OccasionStudy, outcome: Rating) -> Verdict:
    """No rating may come before the strategy has been carried out."""
    earliest = min(window.day - window.half_width for window in outcome.windows)
    grace = study.target_trial.strategies.treated.grace_hours / HOURS_PER_DAY
    overlaps = earliest <= grace
    return Verdict(
        code="protocol.outcome_window",
        status=Status.FAIL if overlaps else Status.PASS,
        sentence=f"the first rating may be from day {earliest}; until day {grace:g} the strategy is still being chosen"
        + ("; a rating that comes before the strategy cannot be its outcome" if overlaps else ""),
        measured=float(earliest),
        limit=float(grace),
        side=Side.MORE_THAN,
    )


def primary_day_verdict(outcome: Rating, horizon: int) -> Verdict:
    """The day that answers the question is among those rated, and inside follow-up."""
    days = [window.day for window in outcome.windows]
    late = [day for day in days if day > horizon]
    if outcome.primary_day not in days:
        problem = (
            f"the primary day is {outcome.primary_day}, and the outcome is rated around day {listed(map(str, days))}"
        )
    elif len(set(days)) < len(days):
        problem = f"two windows have the same day: {listed(map(str, days))}"
    elif shared := _shared(outcome):
        problem = f"one rating could answer for two days: the windows around day {listed(shared)} overlap"
    elif late:
        problem = f"the outcome is rated around day {listed(map(str, late))}, after follow-up ends on day {horizon}"
    else:
        problem = ""
    return holds("protocol.primary_day", problem, f"day {outcome.primary_day} answers the question, within follow-up")


def _shared(outcome: Rating) -> list[str]:
    """Pairs of neighbouring days whose windows have a day in common."""
    windows = sorted(outcome.windows, key=lambda window: window.day)
    return [
        f"{first.day} and {second.day}"
        for first, second in pairwise(windows)
        if first.day + first.half_width >= second.day - second.half_width
    ]


def followed_up_verdict(study: OccasionStudy, outcome: Rating) -> Verdict:
    """Every occasion has records for as long as the answer may take."""
    code = "protocol.followed_up"
    last = [window.day + window.half_width for window in outcome.windows if window.day == outcome.primary_day]
    if not last:
        return not_evaluated(code, "not evaluated while the primary day is not among the days of rating")
    days = max((rule.days for rule in study.target_trial.eligibility if isinstance(rule, FollowedUp)), default=0)
    short = days < last[0]
    return Verdict(
        code=code,
        status=Status.FAIL if short else Status.PASS,
        sentence=f"the answer may be given until day {last[0]}, and each occasion has records for at least {days} days"
        + (
            "; add or raise the rule followed_up, or the newest occasions count as if all had gone well"
            if short
            else ""
        ),
        measured=float(days),
        limit=float(last[0]),
        side=Side.AT_LEAST,
    )


def instrument_verdicts(outcome: Rating, instruments: Mapping[str, Instrument]) -> Iterator[Verdict]:
    """There is a key for the questionnaire, it fits the outcome, and how far it was checked."""
    key = instruments.get(outcome.instrument)
    if key is None:
        yield holds("protocol.instrument", _no_key(outcome.instrument, instruments), "")
        yield not_evaluated("protocol.instrument_key", "not evaluated without a scoring key")
        return
    yield holds(
        "protocol.instrument", "; ".join(_misfits(outcome, key)), f"the scoring key of {key.id} fits the outcome"
    )
    if key.verified.status == "recall":
        sentence = f"whether the scoring key of {key.id} is right: it was written from memory and never checked"
        yield not_evaluated("protocol.instrument_key", sentence)
    else:
        source = "its authors' publication" if key.verified.status == "primary_source" else "a second-hand source"
        yield holds("protocol.instrument_key", "", f"the scoring key of {key.id} was checked against {source}")


def _no_key(name: str, instruments: Mapping[str, Instrument]) -> str:
    """Say that there is no key; a name near to it is suggested only where this one is nobody's."""
    missing = f"there is no scoring key for {name}"
    if not instruments:
        return f"{missing}, for no keys were read: keep the study below a folder that holds instruments/"
    if name in INSTRUMENTS:
        return f"{missing}; it has to be supplied, for the key of another instrument scores another instrument"
    return missing + (did_you_mean(name, instruments) or f"; there are keys for {listed(sorted(instruments))}")


def _misfits(outcome: Rating, key: Instrument) -> Iterator[str]:
    if key.version != outcome.version:
        yield f"the outcome is the {outcome.version} version of {key.id}, and the scoring key is for {key.version}"
    answers = RATER_OF_VERSION.get(outcome.version)
    if answers is not None and answers != outcome.rater:
        yield f"the {outcome.version} version of {key.id} is answered by the {answers}, not by the {outcome.rater}"
    scale = {"item_mean": "mean", "sum": "sum"}[outcome.scale]
    if key.total == "none":
        parts = listed(sorted(key.subscales))
        yield f"the outcome is one score, and {key.id} has none: its key gives a mean for each of {parts}, and no total"
    elif scale != key.total:
        yield f"the outcome is on the scale {outcome.scale}, and the scoring key gives the {key.total} of the items"
    if unknown := [name for name in outcome.subscales if name not in key.subscales]:
        yield f"{key.id} has no subscale {listed(unknown)}"


def composite_value_verdicts(
    study: OccasionStudy, outcome: Rating, instruments: Mapping[str, Instrument]
) -> Iterator[Verdict]:
    """What stands in for a rating lies where ratings do."""
    code = "protocol.composite_value"
    key = instruments.get(outcome.instrument)
    if key is None:
        yield not_evaluated(code, "not evaluated without a scoring key")
        return
    times = key.n_items if outcome.scale == "sum" else 1
    low, high = key.low * times, key.high * times
    outside = [
        f"{event} in {estimand.id} has {strategy.value:g}"
        for estimand in study.estimands
        for event, strategy in estimand.intercurrent_events
        if isinstance(strategy, Composite) and not low <= strategy.value <= high
    ]
    rewarded = [
        f"patient_ended in {estimand.id} has {strategy.value:g}"
        for estimand in study.estimands
        if isinstance(strategy := estimand.intercurrent_events.patient_ended, Composite)
        and strategy.value > (low + high) / 2
    ]
    problem = f"a rating of {key.id} lies from {low} to {high}, and {listed(outside)}" if outside else ""
    if rewarded and not problem:
        problem = (
            f"who ends treatment would count as one of the content: {listed(rewarded)}, above the middle of {low} to "
        )
        problem += f"{high}"
    yield holds(
        code,
        problem,
        f"every value given in place of a rating lies from {low} to {high}, as ratings do",
    )
