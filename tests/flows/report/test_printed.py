"""Every measured number is rounded to what a page prints, and nothing else is touched."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from dossiers import COMPOSITE, DOSSIER, RESULTS, TERMINATION

from flows.report.dossier import FindingLine, FindingRow, UnansweredLine
from flows.report.printed import decimals_of, printed, printed_results
from validation.disclosure.rounding import rounded_share

LONG = 0.123456


def changed(part: Any, *names: str, x: float = LONG) -> Any:
    """A part of a dossier with these numbers to full precision."""
    return dataclasses.replace(part, **dict.fromkeys(names, x))


def of(part: Any, *names: str) -> list[Any]:
    """These numbers of a part."""
    return [getattr(part, name) for name in names]


@pytest.mark.parametrize(("binary", "mean"), [(True, 0.004), (False, 0.0)])
def test_a_line_of_balance_has_two_decimals(binary: bool, mean: float) -> None:
    """A share that would read as nobody has three; its limit is as declared, and what is withheld stays so."""
    means = ("mean_treated", "mean_comparison_before", "mean_comparison_after")
    sizes = ("smd_before", "smd_after", "variance_ratio")
    line = dataclasses.replace(
        changed(changed(DOSSIER.balance[0], *sizes), *means, x=0.0042), binary=binary, limit=LONG
    )
    (shown,) = printed(dataclasses.replace(DOSSIER, balance=(line,))).balance
    assert of(shown, *means, *sizes, "limit") == [mean, mean, mean, 0.12, 0.12, 0.12, LONG]
    hidden = dataclasses.replace(line, **dict.fromkeys((*means, *sizes)))
    (shown,) = printed(dataclasses.replace(DOSSIER, balance=(hidden,))).balance
    assert of(shown, *means, *sizes) == [None] * 6


def test_bins_versions_and_verdicts_are_rounded() -> None:
    """Probabilities to two decimals, percentages to whole ones, figures to three; limits stay."""
    dossier = dataclasses.replace(
        DOSSIER,
        overlap=(changed(DOSSIER.overlap[0], "low", "high"),),
        versions=(
            changed(DOSSIER.versions[0], "percent", x=46.44),
            changed(DOSSIER.versions[0], "percent", x=0.42),
            dataclasses.replace(DOSSIER.versions[0], percent=None),
        ),
        verdicts=(changed(DOSSIER.verdicts[0], "measured", "limit"), DOSSIER.verdicts[-1]),
    )
    shown = printed(dossier)
    assert of(shown.overlap[0], "low", "high") == [0.12, 0.12]
    assert [line.percent for line in shown.versions] == [46.0, 0.4, None]
    assert of(shown.verdicts[0], "measured", "limit") == [0.123, LONG]
    assert shown.verdicts[1].measured is None


@pytest.mark.parametrize(("told", "decimals", "value"), [(True, 3, 0.123), (False, 2, 0.12)])
def test_effects_are_coarser_where_endings_are_withheld(told: bool, decimals: int, value: float) -> None:
    """Effects, intervals, parts, findings and truths alike; the floor and the level are settings."""
    numbers = ("value", "lower", "upper", "detectable")
    interval = changed(TERMINATION.intervals[0], "std_error", "lower", "upper", "df")
    effects = [
        dataclasses.replace(changed(one, *numbers, "level"), intervals=(interval,)) for one in (TERMINATION, COMPOSITE)
    ]
    if not told:
        effects = [dataclasses.replace(one, mean_treated=None, mean_comparison=None) for one in effects]
    parts = ("total", "termination_part", "level_part")
    row = FindingRow(
        label="x", scale="points", value=LONG, lower=LONG, upper=LONG, level=LONG, clustered_by="clinician"
    )
    finding = FindingLine(analysis="a", title="A", method="M.", rows=(row,), not_evaluated=(), notes=())
    truth = ("truth", "estimate", "lower", "upper")
    dossier = dataclasses.replace(
        DOSSIER,
        results=dataclasses.replace(
            RESULTS,
            termination=effects[0],
            composite=effects[1],
            decomposition=changed(RESULTS.decomposition, *parts, "floor"),
            response=changed(RESULTS.response, "treated", "comparison"),
        ),
        findings=(finding,),
        truth=(changed(DOSSIER.truth[0], *truth, "level"),),
    )
    assert dossier.results is not None
    assert decimals_of(dossier.results) == decimals
    shown = printed(dossier)
    assert shown.results == printed_results(dossier.results)
    assert shown.results is not None
    for effect in (shown.results.termination, shown.results.composite):
        assert of(effect, *numbers, "level") == [value] * 4 + [LONG]
        assert of(effect.intervals[0], "std_error", "lower", "upper", "df") == [value] * 3 + [0.1]
    assert of(shown.results.decomposition, *parts, "floor") == [value] * 3 + [LONG]
    assert of(shown.results.response, "treated", "comparison") == [0.12, 0.12]
    assert of(shown.findings[0].rows[0], "value", "lower", "upper", "level") == [value] * 3 + [LONG]
    assert of(shown.truth[0], *truth, "level") == [value] * 4 + [LONG]


def test_means_of_shares_and_of_ratings_are_rounded_as_such() -> None:
    """A share that would read as nobody has three decimals, a mean of points two; also without an estimate."""
    for effect, mean in ((TERMINATION, 0.004), (COMPOSITE, 0.0)):
        missing = UnansweredLine(
            name="x",
            question="x",
            scale=effect.scale,
            not_evaluated="x",
            mean_treated=0.0042,
            mean_comparison=None,
        )
        for one in (changed(effect, "mean_treated", "mean_comparison", x=0.0042), missing):
            shown = printed_results(dataclasses.replace(RESULTS, composite=one)).composite
            assert shown.mean_treated == mean
            assert shown.mean_comparison == (None if one is missing else mean)


@pytest.mark.parametrize(
    ("scale", "value"),
    [("hazard ratio", 0.12), ("win odds", 0.12), ("days", 0.1), ("risk difference", 0.123), ("probability", 0.123)],
)
def test_a_finding_has_the_decimals_of_its_scale(scale: str, value: float) -> None:
    """Ratios two, days one; a range without a number stays without."""
    row = FindingRow(label="x", scale=scale, value=None, lower=LONG, upper=LONG, level=0.95, clustered_by="")
    finding = FindingLine(analysis="a", title="A", method="M.", rows=(row,), not_evaluated=(), notes=())
    ((shown,),) = [one.rows for one in printed(dataclasses.replace(DOSSIER, findings=(finding,))).findings]
    assert of(shown, "value", "lower", "upper") == [None, value, value]


def test_before_outcomes_are_open_there_is_no_result_to_round() -> None:
    """And no truth beside one."""
    shown = printed(dataclasses.replace(DOSSIER, results=None))
    assert shown.results is None
    assert shown.truth == ()


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, 1.0), (0.0, 0.0), (0.006, 0.01), (0.0049, 0.005), (0.994, 0.99), (0.996, 0.996), (0.00042, 0.0004)],
)
def test_nobody_and_everybody_are_said_of_nothing_else(share: float, shown: float) -> None:
    """As few decimals as keep some apart from none, and most from all."""
    assert rounded_share(share) == shown
