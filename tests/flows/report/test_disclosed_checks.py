"""Figures of verdicts on a design: withheld where they would tell a small count, told where they would not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from worlds import ELIGIBLE, PROFILE, SETS, THRESHOLD, World, before, design_of

from causal.records import Design
from flows.report.disclosed_checks import design_verdict, extract_verdicts, quality_lines, verdict_line
from flows.report.dossier import VerdictLine
from validation.disclosure import Disclosed, Withheld
from validation.verdict import Status, Verdict, at_most

MILD, WORST = "severity", "hospitalised_365d"


@pytest.mark.parametrize(("hidden", "told"), [((WORST,), False), ((MILD,), True), ((MILD, WORST), False), ((), True)])
@pytest.mark.parametrize("size", [0.4, -0.4])
def test_the_figure_on_balance_goes_with_the_line_of_the_worst_fact(
    hidden: tuple[str, ...], told: bool, size: float
) -> None:
    """The largest difference of a tier, of either sign, is one line's own; other lines and tiers do not matter."""
    design = design_of(World())
    (row,) = design.balance
    rows = (
        dataclasses.replace(row, name=MILD, smd_after=0.1),
        dataclasses.replace(row, name=WORST, smd_after=size),
        dataclasses.replace(row, name="alliance_lag1", tier=1, smd_after=0.9),
    )
    verdict = at_most("design.balance_tier2", abs(size), 0.2, "largest difference")
    shown = design_verdict(verdict, dataclasses.replace(design, balance=rows), (), hidden, PROFILE)
    assert (shown.measured is not None) is told
    assert shown.status == verdict.status


@pytest.mark.parametrize(("endings", "told"), [(0, True), (5, False), (40, True), (ELIGIBLE - 5, False)])
def test_a_share_that_ended_in_grace_is_of_all_eligible(endings: int, told: bool) -> None:
    """Few endings, or all but few, are not told; nobody is."""
    design = dataclasses.replace(design_of(World()), ended_in_grace_share=endings / ELIGIBLE)
    verdict = at_most("design.ended_in_grace", endings / ELIGIBLE, 0.5, "share that ended in grace")
    shown = design_verdict(verdict, design, (), (), PROFILE)
    assert shown.measured == (endings / ELIGIBLE if told else None)


def test_a_figure_that_the_judge_withheld_is_said_to_be_withheld() -> None:
    """Judged against a limit and told without its figure: the reason stands; what was not evaluated has none."""
    judged = at_most("extract.same_day.phq9", 0.1, 0.2, "share")

    def shown(verdict: Verdict) -> VerdictLine:
        return extract_verdicts((verdict,), {"measures": 500}, {}, PROFILE)[0]

    by_judge = shown(dataclasses.replace(judged, measured=None))
    assert (by_judge.status, by_judge.measured) == ("PASS", None)
    assert by_judge.withheld == Withheld.FIGURE.sentence(THRESHOLD)
    assert shown(dataclasses.replace(judged, measured=None, status=Status.NOT_EVALUATED)).withheld == ""
    assert shown(judged).withheld == ""


def unmatched(lost: int, **changes: Any) -> float | None:
    """The share without a match as it is told, where the flow tells everyone eligible."""
    design = dataclasses.replace(design_of(World()), n_eligible_treated=SETS + lost, **changes)
    step = dataclasses.replace(before(World()).flow[-1], treated=SETS + lost)
    verdict = at_most("design.unmatched", 0.123, 0.5, "share without a match")
    return design_verdict(verdict, design, (step,), (), PROFILE).measured


@pytest.mark.parametrize(("lost", "told"), [(0, True), (1, False), (10, False), (11, True)])
def test_a_share_without_a_match_is_told_unless_few_are(lost: int, told: bool) -> None:
    """From one to ten; the group an effect is not about tells of nobody only that there is nobody."""
    assert (unmatched(lost) is not None) is told
    assert (unmatched(40, estimand="ATE", lost_share=lost / 1000) is not None) is (lost == 0)


def spread(first: float, second: float) -> Design:
    """A design whose largest clinician holds these shares of the two groups."""
    design = design_of(World())
    own = next(one for one in design.diagnostics.clusters if one.declared)
    changed = dataclasses.replace(own, largest_treated=first, largest_comparison=second)
    others = tuple(one for one in design.diagnostics.clusters if not one.declared)
    return dataclasses.replace(design, diagnostics=dataclasses.replace(design.diagnostics, clusters=(*others, changed)))


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [(10, 9, False), (11, 10, True), (9, 11, True), (9, 10, False), (190, 20, True), (191, 20, False), (201, 20, True)],
)
def test_the_largest_cluster_is_told_unless_it_holds_few_or_all_but_few(first: int, second: int, told: bool) -> None:
    """Of the group whose share it is; the smaller share is not told and does not matter."""
    verdict = at_most("design.cluster_share", max(first, second) / SETS, 0.5, "largest share of one clinician")
    shown = design_verdict(verdict, spread(first / SETS, second / SETS), (), (), PROFILE)
    assert (shown.measured is not None) is told


def test_a_verdict_is_told_with_its_limit_and_the_side_that_is_good() -> None:
    """A figure nobody withholds stands; one withheld leaves judgement, words and limit."""
    verdict = at_most("design.curvature", 0.25, 0.2, "something else")
    shown = design_verdict(verdict, design_of(World()), (), (), PROFILE)
    assert (shown.code, shown.status, shown.sentence) == ("design.curvature", "FAIL", "something else")
    assert (shown.measured, shown.limit, shown.side, shown.withheld) == (0.25, 0.2, "at most", "")
    hidden = verdict_line(verdict, Disclosed(value=None, why=Withheld.FACT), PROFILE)
    assert (hidden.status, hidden.measured, hidden.limit, hidden.side) == ("FAIL", None, 0.2, "at most")
    assert hidden.withheld == Withheld.FACT.sentence(THRESHOLD)


@pytest.mark.parametrize("code", ["design.other", "extract.something", "extract.something.measures"])
def test_the_figure_of_a_check_that_nobody_declared_is_withheld_and_says_so(code: str) -> None:
    """What it measures, and of whom, is not known: it fails closed, and keeps its judgement."""
    verdict = at_most(code, 0.001, 0.5, "what was judged")
    shown = (
        design_verdict(verdict, design_of(World()), (), (), PROFILE)
        if code.startswith("design.")
        else extract_verdicts((verdict,), {"measures": 500}, {}, PROFILE)[0]
    )
    assert (shown.status, shown.measured) == ("PASS", None)
    assert shown.withheld == Withheld.UNKNOWN_KIND.sentence(THRESHOLD)


@pytest.mark.parametrize(
    ("counts", "aside", "rows", "shown"),
    [
        ({}, 0, 500, ()),
        ({"measures.date": 11}, 11, 500, (11,)),
        ({"measures.date": 10}, None, None, (None,)),
        ({"measures.date": 11, "measures.code": 12}, 23, 500, (12, 11)),
        ({"measures.date": 11, "measures.code": 5}, None, None, (None, None)),
        ({"measures.date": 0, "episodes.date": 5}, 0, 500, ()),
    ],
)
def test_rows_set_aside_are_told_by_reason_unless_one_is_few(
    counts: dict[str, int], aside: int | None, rows: int | None, shown: tuple[int | None, ...]
) -> None:
    """Each table's own, in the order of their names; where one is withheld so are the sum and the rows delivered."""
    (line,) = quality_lines({"measures": 500}, counts, PROFILE)
    assert (line.table, line.rows, line.set_aside) == ("measures", rows, aside)
    assert tuple(n for _, n in line.reasons) == shown


@pytest.mark.parametrize(
    ("code", "figure", "told"),
    [
        ("extract.end_reasons", 10.9 / 300, False),
        ("extract.end_reasons", 11 / 300, True),
        ("extract.namesake", 10.9 / 500, False),
        ("extract.namesake", 11 / 500, True),
        ("extract.lost_actions", 10, False),
        ("extract.lost_actions", 11, True),
        ("extract.set_aside.measures", 0.03, True),
        ("extract.set_aside.episodes", 0.02, False),
        ("extract.rows.measures", 500, True),
        ("extract.rows.episodes", 300, False),
        ("extract.after_death", 0.001, True),
    ],
)
def test_figures_on_an_extract_go_where_few_stand_behind_them(code: str, figure: float, told: bool) -> None:
    """Shares of a table's rows, counts, and shares set aside, each at the study's threshold."""
    counts = {"measures.date": 15, "episodes.date": 6}
    verdict = at_most(code, figure, 0.5, "what was judged")
    (line,) = extract_verdicts((verdict,), {"measures": 500, "episodes": 300}, counts, PROFILE)
    assert (line.measured is not None) is told
