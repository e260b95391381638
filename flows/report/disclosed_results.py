"""From effects to the results that may be shown: the headline pair, its intervals, who answered."""

from __future__ import annotations

import dataclasses
from math import isnan
from typing import TYPE_CHECKING

from causal.cohort.catalogue import Catalogue
from causal.design.covariates import MISSING_SUFFIX
from causal.protocol import OccasionStudy
from causal.protocol.words import Words
from causal.records import Design, Effects, Estimate, Interval, NotEstimated
from flows.report.disclosed_response import response_withheld
from flows.report.dossier import (
    Decomposition,
    EffectLine,
    IntervalLine,
    ResponseLine,
    Results,
    TruthLine,
    UnansweredLine,
)
from flows.report.printed import rounded_share
from validation.disclosure import disclose_count, disclose_share, percent_step
from validation.verdict import Verdict, failed
from validation.withholding import Withheld

if TYPE_CHECKING:
    from causal.simulation import TrueEffect
    from flows.design_study import JudgedDesign

RESPONSE_STEP = 5
"""Response shares are shown to the nearest 5% at the finest: a small number of missing ratings must not show."""


def results_of(
    judged: JudgedDesign,
    effects: Effects,
    threshold: int,
    words: Words,
    facts: Catalogue,
    *,
    answered: tuple[Verdict, ...] = (),
    few: frozenset[int] = frozenset(),
) -> Results:
    """The headline pair with everything that may be told of it; `few` are days at which few of a group answered."""
    accepted = not failed(judged.verdicts)
    by_set = [interval.clusters for interval in effects.estimated.intervals if _by_set(interval)]
    gone = (effects.n_excluded, *(judged.design.n_sets - clusters for clusters in by_set))
    deaths_betrayed = any(disclose_count(n, threshold) is None for n in gone)
    termination, composite = (
        _effect(estimate, question, threshold, deaths_betrayed=deaths_betrayed)
        if isinstance(estimate, Estimate)
        else _unanswered(estimate, question)
        for estimate, question in (
            (effects.termination, f"Did more {words.persons} end treatment within {effects.day} days?"),
            (
                effects.composite,
                f"How strong was {words.outcome} at day {effects.day}, counting an ending as its failure?",
            ),
        )
    )
    withheld = _endings_betray(effects, threshold)
    if withheld:
        # The mean of the composite is the floor times the endings and more, so it goes with them.
        termination, composite = (
            dataclasses.replace(effect, mean_treated=None, mean_comparison=None, means_withheld=why.sentence(threshold))
            for effect, why in ((termination, Withheld.FEW_ENDINGS), (composite, Withheld.WITH_ENDINGS))
        )
    return Results(
        day=effects.day,
        half_width=effects.half_width,
        termination=termination,
        composite=composite,
        decomposition=_decomposition(effects),
        response=_response(
            effects, judged.design, response_withheld(told=not withheld, few=effects.day in few), threshold
        ),
        excluded=disclose_count(effects.n_excluded, threshold),
        causal_wording=accepted,
        rated_causal_wording=not failed(v for v in answered if v.code.endswith(f".day_{effects.day}")),
        aliased=tuple(fact_label(name, facts) for name in effects.aliased),
    )


def _unanswered(missing: NotEstimated, question: str) -> UnansweredLine:
    """An effect that could not be had, with what is known of the groups."""
    means = (missing.mean_treated, missing.mean_comparison)
    treated, comparison = (None if isnan(mean) else mean for mean in means)
    return UnansweredLine(
        name=missing.name,
        question=question,
        scale=missing.scale,
        not_evaluated=missing.reason,
        mean_treated=treated,
        mean_comparison=comparison,
    )


def _decomposition(effects: Effects) -> Decomposition | None:
    if isinstance(effects.composite, NotEstimated):
        return None
    assert effects.termination_part is not None
    assert effects.level_part is not None
    return Decomposition(
        total=effects.composite.value,
        termination_part=effects.termination_part,
        level_part=effects.level_part,
        floor=effects.floor,
    )


def endings_told(effects: Effects | None) -> tuple[tuple[int, int], ...]:
    """Endings by group that the headline difference tells, to within its rounding."""
    return () if effects is None else ((effects.n_ended_treated, effects.n_ended_comparison),)


RESPONSE_WORDS = {
    "everyone responded": "none were missing",
    "logistic regression": (
        "those who answered stand in for those like them who did not, weighted by how likely each was to answer given "
        "the group and what was known before"
    ),
    "share by arm": "share by arm: those who answered stand in for those of the same group who did not",
}


def fact_label(name: str, facts: Catalogue) -> str:
    """A covariate's label, and that of the indicator of its absence."""
    base = name.removesuffix(MISSING_SUFFIX)
    label = facts.described[base].label if base in facts.described else base
    return label if base == name else f"{label}: not recorded"


def shared_by_arm(effects: Effects, study: OccasionStudy) -> bool:
    """Whether missing ratings were stood in for by the share of each group although a model was declared."""
    declared = study.missing.outcome == "inverse_probability_of_response"
    return declared and effects.response_handling.partition(": ")[0] == "share by arm"


def _handling(method: str) -> str:
    """How missing ratings were handled, in plain words; the technical note follows the colon of `method`."""
    if not method:
        return "not applied: the ratings could not be compared"
    name, _, note = method.partition(": ")
    return f"{RESPONSE_WORDS[name]} ({note})" if note else RESPONSE_WORDS[name]


def _endings_betray(effects: Effects, threshold: int) -> bool:
    """Whether the share who ended treatment would give away a small count in either group."""
    groups = (
        (effects.n_ended_treated, effects.termination.n_treated),
        (effects.n_ended_comparison, effects.termination.n_comparison),
    )
    return any(disclose_share(ended, n, threshold) is None for ended, n in groups)


def _response(effects: Effects, design: Design, why: Withheld | None, threshold: int) -> ResponseLine:
    """Who answered, of those who had not ended treatment; withheld with the endings, or where few rated."""
    ended = (effects.termination.mean_treated, effects.termination.mean_comparison)
    shares = (effects.response_treated, effects.response_comparison)
    treated, comparison = (
        None if why or isnan(share) else _to_step(share, round(n * (1 - rounded_share(gone))))
        for share, n, gone in zip(shares, (design.n_treated, design.n_comparison), ended, strict=True)
    )
    return ResponseLine(
        treated=treated,
        comparison=comparison,
        handling=_handling(effects.response_handling),
        withheld="" if why is None else why.sentence(threshold),
    )


def _to_step(share: float, n: int) -> float:
    """`share` of about `n` (known from what is shown) in steps that each fit at least two numbers of ratings."""
    step = max(RESPONSE_STEP, percent_step(n)) / 100
    return round(share / step) * step


def _by_set(interval: Interval) -> bool:
    return interval.clustered_by == "matched set"


def _by_patient(interval: Interval) -> bool:
    """Patients are fewer than occasions by the repeats, which the flow may withhold, so they are never counted here."""
    return interval.clustered_by == "patient"


def _effect(estimate: Estimate, question: str, threshold: int, *, deaths_betrayed: bool) -> EffectLine:
    """One effect; where few deaths could be worked out, no clusters, nor the freedom that follows from the sets."""
    first = estimate.intervals[0]
    raw_difference = estimate.mean_treated - estimate.mean_comparison
    return EffectLine(
        name=estimate.name,
        question=question,
        scale=estimate.scale,
        value=estimate.value,
        lower=first.lower,
        upper=first.upper,
        level=estimate.level,
        mean_treated=estimate.mean_treated,
        mean_comparison=estimate.mean_comparison,
        adjusted=abs(raw_difference - estimate.value) > 1e-6,
        intervals=tuple(
            _interval(interval, threshold, deaths_betrayed=deaths_betrayed, primary=interval is first)
            for interval in estimate.intervals
        ),
        detectable=estimate.detectable,
        why_main=estimate.why_main,
    )


def _interval(interval: Interval, threshold: int, *, deaths_betrayed: bool, primary: bool) -> IntervalLine:
    """One interval; a number of clinicians or clinics, which the dossier tells, counts no patient."""
    few = _by_set(interval) and disclose_count(interval.clusters, threshold) is None
    why = Withheld.PATIENTS if _by_patient(interval) else Withheld.FEW_DEATHS if deaths_betrayed else None
    why = why or (Withheld.COUNT if few else None)
    told = why is None or (why is Withheld.FEW_DEATHS and not _by_set(interval))
    return IntervalLine(
        clustered_by=interval.clustered_by,
        clusters=None if why else interval.clusters,
        std_error=interval.std_error,
        df=interval.df if told or why is Withheld.COUNT else None,
        lower=interval.lower,
        upper=interval.upper,
        primary=primary,
        withheld="" if why is None else why.sentence(threshold),
    )


def truth_lines(results: Results, truth: TrueEffect, words: Words) -> tuple[TruthLine, ...]:
    """The truth of synthetic records beside both headline estimates."""
    pairs = (
        ("difference in ending treatment", truth.termination_rd, results.termination),
        (f"difference in {words.outcome}, an ending counted", truth.composite_difference, results.composite),
    )
    return tuple(
        TruthLine(
            name=name,
            truth=value,
            estimate=effect.value,
            lower=effect.lower,
            upper=effect.upper,
            covered=effect.lower <= value <= effect.upper,
            level=effect.level,
        )
        for name, value, effect in pairs
        if isinstance(effect, EffectLine)
    )
