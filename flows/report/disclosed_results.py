"""From effects to the results that may be shown: the headline pair, its intervals, who answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causal.cohort.catalogue import Catalogue
from causal.design.covariates import MISSING_SUFFIX
from causal.protocol import OccasionStudy
from causal.protocol.words import Words
from causal.records import Design, Effects, Estimate, NotEstimated
from flows.report.dossier import (
    Decomposition,
    EffectLine,
    IntervalLine,
    ResponseLine,
    Results,
    TruthLine,
    UnansweredLine,
)
from validation.disclosure import Profile, Withheld
from validation.disclosure.answers import (
    EstimateShown,
    IntervalShown,
    MeansShown,
    deaths_are_few,
    endings_of,
    endings_shown,
    estimate_of,
    excluded_count,
    means_of,
    parts_of,
)
from validation.disclosure.response import disclose_response
from validation.verdict import Verdict, failed

if TYPE_CHECKING:
    from causal.simulation import TrueEffect
    from flows.design_study import JudgedDesign


def results_of(
    judged: JudgedDesign,
    effects: Effects,
    profile: Profile,
    words: Words,
    facts: Catalogue,
    *,
    answered: tuple[Verdict, ...] = (),
    few: frozenset[int] = frozenset(),
) -> Results:
    """The headline pair with everything that may be told of it; `few` are days at which few of a group answered."""
    few_deaths = deaths_are_few(effects, judged.design, profile)
    endings = endings_of(effects)
    termination, composite = (
        _effect(
            estimate,
            estimate_of(estimate, profile, few_deaths=few_deaths),
            means_of(estimate, endings, profile, why),
            question,
            profile,
        )
        if isinstance(estimate, Estimate)
        else _unanswered(estimate, means_of(estimate, endings, profile, why), question, profile)
        for estimate, question, why in (
            (
                effects.termination,
                f"Did more {words.persons} end treatment within {effects.day} days?",
                Withheld.FEW_ENDINGS,
            ),
            (
                effects.composite,
                f"How strong was {words.outcome} at day {effects.day}, counting an ending as its failure?",
                Withheld.WITH_ENDINGS,
            ),
        )
    )
    return Results(
        day=effects.day,
        half_width=effects.half_width,
        termination=termination,
        composite=composite,
        decomposition=_decomposition(effects),
        response=_response(effects, judged.design, profile, few=effects.day in few),
        excluded=excluded_count(effects, profile),
        causal_wording=not failed(judged.verdicts),
        rated_causal_wording=not failed(v for v in answered if v.code.endswith(f".day_{effects.day}")),
        aliased=tuple(fact_label(name, facts) for name in effects.aliased),
    )


def _unanswered(missing: NotEstimated, means: MeansShown, question: str, profile: Profile) -> UnansweredLine:
    """An effect that could not be had, with what is known of the groups."""
    return UnansweredLine(
        name=missing.name,
        question=question,
        scale=missing.scale,
        not_evaluated=missing.reason,
        mean_treated=means.treated,
        mean_comparison=means.comparison,
        means_withheld="" if means.why is None else means.why.sentence(profile.threshold),
    )


def _decomposition(effects: Effects) -> Decomposition | None:
    parts = parts_of(effects)
    if parts is None:
        return None
    return Decomposition(
        total=parts.total,
        termination_part=parts.termination_part,
        level_part=parts.level_part,
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


def _response(effects: Effects, design: Design, profile: Profile, *, few: bool) -> ResponseLine:
    """Who answered, of those who had not ended treatment."""
    shares = (effects.response_treated, effects.response_comparison)
    treated, comparison = disclose_response(shares, endings_shown(effects, design, profile), profile, few=few)
    why = treated.why or comparison.why
    return ResponseLine(
        treated=treated.value,
        comparison=comparison.value,
        handling=_handling(effects.response_handling),
        withheld="" if why is None else why.sentence(profile.threshold),
    )


def _effect(estimate: Estimate, shown: EstimateShown, means: MeansShown, question: str, profile: Profile) -> EffectLine:
    first = shown.intervals[0]
    raw_difference = estimate.mean_treated - estimate.mean_comparison
    return EffectLine(
        name=estimate.name,
        question=question,
        scale=estimate.scale,
        value=shown.value,
        lower=first.lower,
        upper=first.upper,
        level=estimate.level,
        mean_treated=means.treated,
        mean_comparison=means.comparison,
        adjusted=abs(raw_difference - estimate.value) > 1e-6,
        intervals=tuple(
            _interval(interval.clustered_by, one, profile, primary=one is first)
            for interval, one in zip(estimate.intervals, shown.intervals, strict=True)
        ),
        detectable=shown.detectable,
        why_main=estimate.why_main,
        means_withheld="" if means.why is None else means.why.sentence(profile.threshold),
    )


def _interval(clustered_by: str, shown: IntervalShown, profile: Profile, *, primary: bool) -> IntervalLine:
    return IntervalLine(
        clustered_by=clustered_by,
        clusters=shown.clusters,
        std_error=shown.std_error,
        df=shown.df,
        lower=shown.lower,
        upper=shown.upper,
        primary=primary,
        withheld="" if shown.why is None else shown.why.sentence(profile.threshold),
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
