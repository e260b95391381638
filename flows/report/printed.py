"""Every measured number of a dossier, rounded to what a page prints.

A share to full precision is a fraction whose denominator can be found, and a standardised difference one whose
numerator can; so `results.json` holds no digit that the pages do not. A page and the numbers' file then also agree.
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

EFFECT_DECIMALS = 3
COARSE_EFFECT_DECIMALS = 2
"""Of the effects where endings are withheld: a standard error to three decimals would tell how few they were."""


def printed(dossier: Dossier) -> Dossier:
    """The dossier with every measured number rounded; limits, levels and other settings stay as they were declared."""
    results = dossier.results and printed_results(dossier.results)
    decimals = effect_decimals(dossier.results) if dossier.results else COARSE_EFFECT_DECIMALS
    return dataclasses.replace(
        dossier,
        balance=tuple(_balance(line) for line in dossier.balance),
        overlap=tuple(_bin(line) for line in dossier.overlap),
        versions=tuple(_version(line) for line in dossier.versions),
        verdicts=tuple(_verdict(line) for line in dossier.verdicts),
        results=results,
        findings=tuple(_finding(finding, decimals) for finding in dossier.findings),
        truth=tuple(_truth(line, effect_decimals(dossier.results)) for line in dossier.truth if dossier.results),
    )


def printed_results(results: Results) -> Results:
    """Effects to three decimals, or two where the share who ended treatment is withheld."""
    decimals = effect_decimals(results)
    return dataclasses.replace(
        results,
        termination=_effect(results.termination, decimals),
        composite=_effect(results.composite, decimals),
        decomposition=results.decomposition and _decomposition(results.decomposition, decimals),
        response=_response(results.response),
    )


def effect_decimals(results: Results) -> int:
    """How many decimals the effects of these results are shown to."""
    return COARSE_EFFECT_DECIMALS if results.termination.mean_treated is None else EFFECT_DECIMALS


def rounded(x: float, decimals: int) -> float:
    """`x` with so many decimals, never a negative zero.

    >>> rounded(0.12345, 2), rounded(-0.0001, 2)
    (0.12, 0.0)
    """
    return round(x, decimals) + 0.0


def rounded_share(share: float) -> float:
    """A share in whole percent, with more decimals only where it would otherwise read as nobody or everybody.

    >>> rounded_share(0.3142), rounded_share(0.0042), rounded_share(0.0), rounded_share(0.9996)
    (0.31, 0.004, 0.0, 0.9996)
    """
    for decimals in (2, 3):
        if share in (0, 1) or 0 < round(share, decimals) < 1:
            return rounded(share, decimals)
    return rounded(share, 4)


def _maybe(x: float | None, decimals: int) -> float | None:
    return None if x is None else rounded(x, decimals)


def _balance(line: BalanceLine) -> BalanceLine:
    def mean(x: float | None) -> float | None:
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
    percent = None if line.percent is None else rounded(100 * rounded_share(line.percent / 100), 2)
    return dataclasses.replace(line, percent=percent)


def _verdict(line: VerdictLine) -> VerdictLine:
    return dataclasses.replace(line, measured=_maybe(line.measured, 3))


def _effect(effect: EffectLine | UnansweredLine, decimals: int) -> EffectLine | UnansweredLine:
    share = effect.scale == "risk difference"

    def mean(x: float | None) -> float | None:
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


DECIMALS = {"hazard ratio": 2, "win odds": 2, "days": 1}
"""Of the scales on which nothing counted can be read off three decimals anyway."""


def _finding(finding: FindingLine, decimals: int) -> FindingLine:
    return dataclasses.replace(finding, rows=tuple(_finding_row(row, decimals) for row in finding.rows))


def _finding_row(row: FindingRow, decimals: int) -> FindingRow:
    digits = DECIMALS.get(row.scale, decimals)
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
