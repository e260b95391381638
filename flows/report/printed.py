"""Every measured number of a dossier, rounded to what a page prints.

How far is said in `validation.disclosure.rounding`; `results.json` holds no digit that the pages do not. A page and the
numbers' file then also agree.
"""

from __future__ import annotations

import dataclasses

from flows.report.dossier import (
    BalanceLine,
    Decomposition,
    Dossier,
    EffectLine,
    FindingLine,
    FindingRow,
    IntervalLine,
    OverlapBin,
    ResponseLine,
    Results,
    TruthLine,
    UnansweredLine,
    VerdictLine,
    VersionLine,
)
from validation.disclosure import Shown
from validation.disclosure.rounding import SCALE_DECIMALS, effect_decimals, rounded, rounded_percent, rounded_share


def printed(dossier: Dossier) -> Dossier:
    """The dossier with every measured number rounded; limits, levels and other settings stay as they were declared."""
    results = dossier.results and printed_results(dossier.results)
    decimals = decimals_of(dossier.results)
    return dataclasses.replace(
        dossier,
        balance=tuple(_balance(line) for line in dossier.balance),
        overlap=tuple(_bin(line) for line in dossier.overlap),
        versions=tuple(_version(line) for line in dossier.versions),
        verdicts=tuple(_verdict(line) for line in dossier.verdicts),
        results=results,
        findings=tuple(_finding(finding, decimals) for finding in dossier.findings),
        truth=tuple(_truth(line, decimals) for line in dossier.truth if dossier.results),
    )


def printed_results(results: Results) -> Results:
    """Effects to three decimals, or two where the share who ended treatment is withheld."""
    decimals = decimals_of(results)
    return dataclasses.replace(
        results,
        termination=_effect(results.termination, decimals),
        composite=_effect(results.composite, decimals),
        decomposition=results.decomposition and _decomposition(results.decomposition, decimals),
        response=_response(results.response),
    )


def decimals_of(results: Results | None) -> int:
    """How many decimals effects are shown to; the fewest where there are no endings to tell."""
    return effect_decimals(endings_told=results is not None and results.termination.mean_treated is not None)


def _maybe(x: Shown | None, decimals: int) -> Shown | None:
    return None if x is None else rounded(x, decimals)


def _balance(line: BalanceLine) -> BalanceLine:
    def mean(x: Shown | None) -> Shown | None:
        if x is None:
            return None
        return rounded_share(x) if line.binary else rounded(x, 2)

    return dataclasses.replace(
        line,
        mean_treated=mean(line.mean_treated),
        mean_comparison_before=mean(line.mean_comparison_before),
        mean_comparison_after=mean(line.mean_comparison_after),
        smd_before=_maybe(line.smd_before, 2),
        smd_after=_maybe(line.smd_after, 2),
        variance_ratio=_maybe(line.variance_ratio, 2),
    )


def _bin(line: OverlapBin) -> OverlapBin:
    return dataclasses.replace(line, low=rounded(line.low, 2), high=rounded(line.high, 2))


def _version(line: VersionLine) -> VersionLine:
    percent = None if line.percent is None else rounded_percent(line.percent)
    return dataclasses.replace(line, percent=percent)


def _verdict(line: VerdictLine) -> VerdictLine:
    return dataclasses.replace(line, measured=_maybe(line.measured, 3))


def _effect(effect: EffectLine | UnansweredLine, decimals: int) -> EffectLine | UnansweredLine:
    share = effect.scale == "risk difference"

    def mean(x: Shown | None) -> Shown | None:
        if x is None:
            return None
        return rounded_share(x) if share else rounded(x, 2)

    treated, comparison = mean(effect.mean_treated), mean(effect.mean_comparison)
    if isinstance(effect, UnansweredLine):
        return dataclasses.replace(effect, mean_treated=treated, mean_comparison=comparison)
    return dataclasses.replace(
        effect,
        value=rounded(effect.value, decimals),
        lower=rounded(effect.lower, decimals),
        upper=rounded(effect.upper, decimals),
        mean_treated=treated,
        mean_comparison=comparison,
        intervals=tuple(_interval(line, decimals) for line in effect.intervals),
        detectable=_maybe(effect.detectable, decimals),
    )


def _finding(finding: FindingLine, decimals: int) -> FindingLine:
    return dataclasses.replace(finding, rows=tuple(_finding_row(row, decimals) for row in finding.rows))


def _finding_row(row: FindingRow, decimals: int) -> FindingRow:
    digits = SCALE_DECIMALS.get(row.scale, decimals)
    return dataclasses.replace(
        row, value=_maybe(row.value, digits), lower=_maybe(row.lower, digits), upper=_maybe(row.upper, digits)
    )


def _interval(line: IntervalLine, decimals: int) -> IntervalLine:
    return dataclasses.replace(
        line,
        std_error=rounded(line.std_error, decimals),
        df=_maybe(line.df, 1),
        lower=rounded(line.lower, decimals),
        upper=rounded(line.upper, decimals),
    )


def _decomposition(split: Decomposition, decimals: int) -> Decomposition:
    """Each part by itself, so that none is off by more than its own rounding; the page says when they do not add up."""
    return dataclasses.replace(
        split,
        total=rounded(split.total, decimals),
        termination_part=rounded(split.termination_part, decimals),
        level_part=rounded(split.level_part, decimals),
    )


def _response(line: ResponseLine) -> ResponseLine:
    return dataclasses.replace(line, treated=_maybe(line.treated, 2), comparison=_maybe(line.comparison, 2))


def _truth(line: TruthLine, decimals: int) -> TruthLine:
    return dataclasses.replace(
        line,
        truth=rounded(line.truth, decimals),
        estimate=rounded(line.estimate, decimals),
        lower=rounded(line.lower, decimals),
        upper=rounded(line.upper, decimals),
    )
