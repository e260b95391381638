"""Figures of verdicts on a design: withheld where they would tell a small count, told where they would not."""

from __future__ import annotations

import dataclasses

import pytest
from worlds import ELIGIBLE, THRESHOLD, World, before, design_of

from flows.report.disclosed_checks import design_verdict, verdict_line
from validation.verdict import Status, at_most
from validation.withholding import Withheld

MILD, WORST = "severity", "hospitalised_365d"


@pytest.mark.parametrize(("hidden", "told"), [((WORST,), False), ((MILD,), True), ((MILD, WORST), False), ((), True)])
@pytest.mark.parametrize("size", [0.4, -0.4])
def test_the_figure_on_balance_goes_with_the_line_of_the_worst_fact(
    hidden: tuple[str, ...], told: bool, size: float
) -> None:
    """The largest difference of a tier, of either sign, is one line's own; other lines and tiers do not matter."""
    design, line = design_of(World()), before(World()).balance[0]
    (row,) = design.balance
    rows = (
        dataclasses.replace(row, name=MILD, smd_after=0.1),
        dataclasses.replace(row, name=WORST, smd_after=size),
        dataclasses.replace(row, name="alliance_lag1", tier=1, smd_after=0.9),
    )
    lines = tuple(
        dataclasses.replace(line, name=one.name, smd_after=None if one.name in hidden else 0.0) for one in rows
    )
    verdict = at_most("design.balance_tier2", abs(size), 0.2, "largest difference")
    shown = design_verdict(verdict, dataclasses.replace(design, balance=rows), (), lines, THRESHOLD)
    assert (shown.measured is not None) is told
    assert shown.status == verdict.status


@pytest.mark.parametrize(("endings", "told"), [(0, True), (5, False), (40, True), (ELIGIBLE - 5, False)])
def test_a_share_that_ended_in_grace_is_of_all_eligible(endings: int, told: bool) -> None:
    """Few endings, or all but few, are not told; nobody is."""
    design = dataclasses.replace(design_of(World()), ended_in_grace_share=endings / ELIGIBLE)
    verdict = at_most("design.ended_in_grace", endings / ELIGIBLE, 0.5, "share that ended in grace")
    shown = design_verdict(verdict, design, (), (), THRESHOLD)
    assert shown.measured == (endings / ELIGIBLE if told else None)


def test_a_figure_that_the_judge_withheld_is_said_to_be_withheld() -> None:
    """Judged against a limit and told without its figure: the reason stands; what was not evaluated has none."""
    judged = at_most("extract.shares", 0.1, 0.2, "share")
    by_judge = verdict_line(dataclasses.replace(judged, measured=None), None, THRESHOLD)
    assert (by_judge.status, by_judge.measured) == ("PASS", None)
    assert by_judge.withheld == Withheld.FIGURE.sentence(THRESHOLD)
    unjudged = dataclasses.replace(judged, measured=None, status=Status.NOT_EVALUATED)
    assert verdict_line(unjudged, None, THRESHOLD).withheld == ""
    assert verdict_line(judged, None, THRESHOLD).withheld == ""
