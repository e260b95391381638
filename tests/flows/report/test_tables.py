"""The tables of the report: what stands in which column, in which order, and what is said of a cell left empty."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from dossiers import COMPOSITE, DOSSIER, RESULTS, TERMINATION, VERDICTS

from flows.report.document import Table
from flows.report.dossier import (
    EstimandLine,
    FindingLine,
    FindingRow,
    LaterCheck,
    LookedAt,
    QualityLine,
    UnansweredLine,
    VerdictLine,
)
from flows.report.sentences import groups_of
from flows.report.tables import (
    balance_table,
    by_tier,
    estimand_table,
    finding_table,
    flow_table,
    interval_table,
    later_table,
    looked_at_table,
    pairs_table,
    planned_table,
    quality_table,
    truth_table,
    verdict_table,
    version_table,
)

DASH, MINUS, THIN = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{NARROW NO-BREAK SPACE}"
GROUPS = groups_of(DOSSIER)


def cells(table: Table, title: str) -> list[str]:
    """A column by its head."""
    heads = [column.title for column in table.columns]
    return [row[heads.index(title)] for row in table.rows]


def roles(table: Table) -> dict[str, str]:
    """How the cells of each column are set."""
    return {column.title: column.role for column in table.columns}


def test_the_flow_tells_who_remains() -> None:
    """Counts of persons, occasions and groups in columns of numbers; a dash for groups not told."""
    table = flow_table(DOSSIER)
    assert cells(table, "Rule") == [step.rule for step in DOSSIER.flow]
    assert (cells(table, "Persons")[0], cells(table, "Occasions")[0]) == (f"3{THIN}812", f"5{THIN}204")
    first, second = GROUPS.treated_head, GROUPS.comparison_head
    assert (cells(table, first)[0], cells(table, second)[0]) == (DASH, DASH)
    assert (cells(table, first)[-1], cells(table, second)[-1]) == ("151", "280")
    assert roles(table) == {"Rule": "text"} | dict.fromkeys(("Persons", "Occasions", first, second), "number")
    half = dataclasses.replace(DOSSIER.flow[-1], treated=None)
    assert flow_table(dataclasses.replace(DOSSIER, flow=(half,))).rows[0][-2:] == ("withheld", "280")
    half = dataclasses.replace(DOSSIER.flow[-1], comparison=None)
    assert flow_table(dataclasses.replace(DOSSIER, flow=(half,))).rows[0][-2:] == ("151", "withheld")


def test_facts_stand_by_tier_the_most_unlike_first() -> None:
    """Of either sign; withheld ones last, ties by name."""
    line = DOSSIER.balance[0]
    facts = [("b", 2, 0.9), ("c", 1, None), ("d", 1, -0.5), ("e", 1, 0.4), ("a", 1, 0.4)]
    lines = tuple(dataclasses.replace(line, name=name, tier=tier, smd_before=smd) for name, tier, smd in facts)
    assert [one.name for one in by_tier(lines)] == ["d", "a", "e", "c", "b"]


def test_a_fact_is_told_before_and_after() -> None:
    """Means in its unit or in percent, differences with their sign, the limit, and whether it was kept."""
    points, share = DOSSIER.balance[0], dataclasses.replace(DOSSIER.balance[4], within_limit=False)
    hidden = dataclasses.replace(
        points,
        name="z",
        smd_before=None,
        smd_after=None,
        mean_treated=None,
        mean_comparison_before=None,
        mean_comparison_after=None,
    )
    nothing = dataclasses.replace(points, label="Nothing", tier=2, within_limit=None, smd_before=None, fate="constant")
    table = balance_table(dataclasses.replace(DOSSIER, balance=(points, share, hidden, nothing)), GROUPS)
    assert table.rows == (
        ("Target identified", "1", "71%", "34%", "68%", "+0.79", "+0.06", "0.10", "NO", DASH, "adjusted"),
        (
            *("Trust, latest rating (points)", "1", "3.21", "3.62", "3.24", f"{MINUS}0.58", f"{MINUS}0.04", "0.10"),
            *("yes", "1.08", "adjusted"),
        ),
        ("Trust, latest rating (points)", "1", *["withheld"] * 5, "0.10", "yes", "1.08", "adjusted"),
        ("Nothing", "2", *[DASH] * 8, "constant"),
    )
    heads = list(roles(table))
    assert heads[:5] == [
        "Fact",
        "Tier",
        GROUPS.treated_head,
        *(f"{GROUPS.comparison_head}, {x}" for x in ("before", "after")),
    ]
    assert [role for head, role in roles(table).items() if head not in ("Fact", "Within limit", "Fate")] == [
        "number"
    ] * 8
    assert "before and after matching" in table.caption


def test_a_unit_that_the_label_names_is_not_named_twice() -> None:
    """In whatever case."""
    line = dataclasses.replace(DOSSIER.balance[0], label="Visits in 90 days", unit="VISITS")
    table = balance_table(dataclasses.replace(DOSSIER, balance=(line,)), GROUPS)
    assert cells(table, "Fact") == ["Visits in 90 days"]


def test_versions_are_in_percent_or_withheld() -> None:
    """Whole percent."""
    table = version_table((dataclasses.replace(DOSSIER.versions[0], value="the police"), DOSSIER.versions[-1]), 11)
    assert table.rows == (
        ("Who was told", "The police", "46%"),
        ("Patient informed", "Not recorded", "withheld"),
    )
    assert roles(table)["Share"] == "number"
    assert "1 to 10" in table.note


@pytest.mark.parametrize(
    ("effect", "unit", "row"),
    [
        (TERMINATION, "percentage points", ("118", "+9.0", "+1.8 to +16.2", "3.6", "71.4")),
        (COMPOSITE, "points", ("118", f"{MINUS}0.46", f"{MINUS}0.70 to {MINUS}0.22", "0.12", "69.8")),
    ],
)
def test_every_interval_has_its_row(effect: Any, unit: str, row: tuple[str, ...]) -> None:
    """In the unit of the effect, the main one marked; a withheld count or freedom has its reason below, once."""
    table = interval_table(dataclasses.replace(effect, why_main="It is wider."))
    (first, second) = table.rows
    assert first == ("clinician (main)", *row)
    assert second[0] == "matched set"
    assert table.caption == f"Difference in {unit}, with every interval"
    assert "95% interval" in roles(table)
    assert [role for head, role in roles(table).items() if head != "Clustered by"] == ["number"] * 5
    assert table.note.startswith("It is wider. Of 100 studies done this way, about 95 would")
    hidden = tuple(dataclasses.replace(i, clusters=None, df=None, withheld="why") for i in effect.intervals)
    table = interval_table(dataclasses.replace(effect, intervals=hidden, level=0.9))
    assert (cells(table, "Clusters"), cells(table, "Degrees of freedom")) == (["withheld"] * 2, ["withheld"] * 2)
    assert table.note.startswith("Of 100 studies done this way, about 90 would")
    assert table.note.count("why") == 1


def test_what_happens_is_a_row_and_each_question_a_column() -> None:
    """With what is done about it, the main question marked."""
    lines = [
        EstimandLine(id="E1", label="one", primary=True, events=(("death", "counts"), ("a move", "stops"))),
        EstimandLine(id="E2", label="two", primary=False, events=(("death", "leaves"), ("a move", "goes on"))),
    ]
    table = estimand_table(lines)
    assert list(roles(table)) == ["What happens", "E1 (main): one", "E2: two"]
    assert table.rows == (("death", "Counts", "Leaves"), ("a move", "Stops", "Goes on"))


def row(**changes: Any) -> FindingRow:
    """A number of a finding."""
    made = FindingRow(label="ended", scale="points", value=0.1, lower=-0.2, upper=0.4, level=0.9, clustered_by="")
    return dataclasses.replace(made, **changes)


def finding(*rows: FindingRow) -> Table:
    """The table of a finding with these numbers."""
    return finding_table(
        FindingLine(analysis="a", title="A", method="M.", rows=rows, not_evaluated=(), notes=()), GROUPS.words
    )


@pytest.mark.parametrize(
    ("scale", "unit", "estimate", "interval"),
    [
        ("points", "points", "+0.10", f"{MINUS}0.20 to +0.40"),
        ("risk difference", "percentage points", "+10.0", f"{MINUS}20.0 to +40.0"),
        ("days", "days", "+0.1", f"{MINUS}0.2 to +0.4"),
        ("hazard ratio", "hazard ratio", "0.10", f"{MINUS}0.20 to 0.40"),
        ("win odds", "win odds", "0.10", f"{MINUS}0.20 to 0.40"),
        ("probability", "probability", "0.10", f"{MINUS}0.20 to 0.40"),
    ],
)
def test_a_number_is_told_in_its_unit(scale: str, unit: str, estimate: str, interval: str) -> None:
    """Shares in percentage points, ratios without a sign, and nothing more than is known."""
    table = finding(row(scale=scale))
    assert list(roles(table).values()) == ["text", "text", "number", "number"]
    assert table.rows == (("Ended", unit, estimate, interval),)
    assert list(roles(table)) == ["What", "Unit", "Estimate", "90% interval"]
    assert table.caption == "Estimates with 90% intervals"
    assert table.note == ""


def test_a_range_has_no_estimate_and_a_withheld_row_no_number() -> None:
    """A dash for the one, the word for the other, and its reason below with the rows that share it."""
    gone = {"value": None, "lower": None, "upper": None}
    table = finding(
        row(value=None),
        row(label="b", withheld="few", **gone),
        row(label="c", withheld="few", **gone),
        row(label="d", withheld="apart", **gone),
    )
    assert [line[2:] for line in table.rows] == [(DASH, f"{MINUS}0.20 to +0.40"), *[("withheld", "withheld")] * 3]
    assert table.note == "“Withheld” (b; c): few. “Withheld” (d): apart."


def test_columns_that_say_nothing_are_left_out() -> None:
    """Each only where one of the rows has something to say, with what it means below."""
    table = finding(row(clustered_by="clinician", family="yes"), row(response="too few ratings at day 90"))
    assert cells(table, "Clustered by") == ["clinician", ""]
    assert cells(table, "Holds in the family") == ["yes", DASH]
    assert cells(table, "Who answered") == [DASH, "too few ratings at day 90"]
    assert table.note.startswith("“Holds in the family”: ")
    assert "“Who answered”: " in table.note
    assert finding(row(response="x")).note.startswith("“Who answered”: ")


def test_a_truth_stands_beside_its_estimate_in_its_unit() -> None:
    """The share is known by its numbers; whether the truth is inside is said in a word."""
    share, trust = DOSSIER.truth
    table = truth_table((share, dataclasses.replace(trust, covered=False)), RESULTS)
    assert table.rows == (
        ("Ended treatment within 90 days (percentage points)", "+12.0", "+9.0", "+1.8 to +16.2", "yes"),
        (
            "Trust, with leaving counted as its failure (points)",
            *(f"{MINUS}0.46", f"{MINUS}0.46", f"{MINUS}0.70 to {MINUS}0.22", "NO"),
        ),
    )
    assert list(roles(table).values()) == ["text", "number", "number", "number", "text"]
    assert list(roles(table))[3] == "95% interval"
    missing = UnansweredLine(
        name="x", question="x", scale="risk difference", not_evaluated="x", mean_treated=None, mean_comparison=None
    )
    (only,) = truth_table((trust,), dataclasses.replace(RESULTS, termination=missing)).rows
    assert only[0].endswith("(points)")


def test_checks_that_failed_stand_first() -> None:
    """Then those that could not be run; of each the design before the data, in the order given."""
    statuses = (("extract.a", "PASS"), ("design.b", "PASS"), ("extract.c", "FAIL"), ("design.d", "NOT EVALUATED"))
    lines = [dataclasses.replace(VERDICTS[0], code=code, status=status) for code, status in statuses]
    table = verdict_table(lines)
    assert cells(table, "Check") == ["extract.c", "design.d", "design.b", "extract.a"]
    assert roles(table) == {
        "Check": "code",
        "Verdict": "status",
        "What was judged": "text",
        "Measured": "number",
        "Limit": "text",
    }
    assert table.rows[0] == ("extract.c", "FAIL", "Matched sets", "151", "at least 20")


def test_a_withheld_figure_says_why_in_its_row() -> None:
    """Beside what was judged; a check without a figure has none."""
    hidden = dataclasses.replace(VERDICTS[1], measured=None, withheld="it would tell")
    judged, figure = verdict_table([hidden]).rows[0][2:4]
    assert judged.endswith("without a match (figure withheld: it would tell)")
    assert judged[0] == "S"
    assert figure == "withheld"
    assert verdict_table([VERDICTS[-1]]).rows[0][3:] == ("", "")


def test_limits_for_later_rows_set_aside_and_plans_have_their_tables() -> None:
    """Each column what its head says; nothing set aside has a dash."""
    later = later_table([LaterCheck(code="estimate.x", sentence="share who answered", side="at least", limit=0.5)])
    assert later.rows == (("estimate.x", "Share who answered", "at least 0.5"),)
    assert list(roles(later).values()) == ["code", "text", "text"]
    quality = quality_table(
        [*DOSSIER.quality, QualityLine(table="x", rows=None, set_aside=12, reasons=(("a", 5), ("b", 7)))], 11
    )
    assert quality.rows == (
        ("threat_assessments", f"5{THIN}221", "17", "duplicate_row: 17"),
        ("measures", f"48{THIN}210", "withheld", "date: withheld"),
        ("encounters", f"91{THIN}377", "0", DASH),
        ("x", "withheld", "12", "a: 5; b: 7"),
    )
    assert list(roles(quality).values()) == ["text", "number", "number", "text"]
    assert "1 to 10" in quality.note
    assert planned_table([("other days", "What it is.")]).rows == (("Other days", "What it is."),)
    looked = looked_at_table([LookedAt(question="How?", answer="like this")])
    assert looked.rows == (("How?", "Like this."),)
    pairs: Table = pairs_table("Caption", (("a", "b"),), "code")
    assert (pairs.caption, pairs.rows, pairs.columns[1].role) == ("Caption", (("a", "b"),), "code")
    assert pairs_table("Caption", (("a", "b"),)).columns[1].role == "text"


def test_a_check_of_an_extract_is_told_like_any_other() -> None:
    """Judged a moment ago, without a reason to withhold anything."""
    from validation.verdict import at_most

    line: Any = at_most("extract.dates", 0.3, 0.02, "dates out of range")
    assert verdict_table([line]).rows == (("extract.dates", "FAIL", "Dates out of range", "0.3", "at most 0.02"),)
    assert isinstance(VERDICTS[0], VerdictLine)
