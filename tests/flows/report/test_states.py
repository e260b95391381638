"""Every state a report can be in: what its sentences count, limit and withhold is what `results.json` holds."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from dossiers import DOSSIER, RESULTS, TERMINATION
from worlds import World, after, before, design_of, outcomes_of, study

from causal.effect.estimate import estimate_effects
from causal.effect.response import Response
from causal.effect.secondary.finding import Finding, Line
from causal.records import Outcomes
from flows.report.counted import looked, planned_sentence, unopened
from flows.report.disclosed_findings import finding_lines
from flows.report.document import Document, Figure, Paragraph, Section, Table, texts
from flows.report.dossier import Dossier, PlannedLine, to_json
from flows.report.looked_at import _about, _index
from flows.report.sentences import ended_sentence, groups_of, rated_sentence
from flows.report.wording import document
from flows.store import OPENED, Store, looks, looks_before
from validation.disclosure import Withheld


def line(label: str, scale: Any, *, value: float = 0.1, **changes: Any) -> Line:
    """A number that may be shown."""
    made = Line(
        label=label,
        scale=scale,
        value=value,
        lower=value - 0.05,
        upper=value + 0.05,
        level=0.95,
        n_treated=201,
        n_comparison=201,
        df=40.0,
        clustered_by="clinician",
    )
    return dataclasses.replace(made, **changes)


def findings(ended: tuple[int, int] = (61, 80)) -> tuple[Finding, ...]:
    """One for each analysis of the flagship: endings a person apart, days and a ratio of them, ratings of two days."""
    course = (
        line("ended by day 90", "risk difference", events=ended),
        line("mean days lost to endings by day 180", "days", value=18.8, events=ended),
        line("rate of ending among those still in treatment", "hazard ratio", value=1.61, events=ended),
    )
    told = {
        "other_days": (line("trust at day 180, an ending counted", "points", rated_days=(180,)),),
        "termination_course": course,
        "stratum_bounds": (line("range", "points", n_treated=4),),
        "win_odds": (),
    }
    reasons = {"win_odds": ("groups are compared by weights",), "other_days": ("day 30: nobody",)}
    return tuple(
        Finding(
            analysis=declared.analysis,
            title=declared.analysis,
            method="As declared.",
            lines=told.get(declared.analysis, (line("trust at day 90, an ending counted", "points"),)),
            not_evaluated=reasons.get(declared.analysis, ()),
            readings=("The range takes in zero.",) if declared.analysis == "stratum_bounds" else (),
        )
        for declared in study().secondary
    )


def rated(outcomes: Outcomes) -> Outcomes:
    """Ratings that vary, in a group's favour by little."""
    score = np.where(outcomes.ended, np.nan, 3.0 + np.sin(np.arange(outcomes.ended.size)))
    return dataclasses.replace(outcomes, score=score)


def release(world: World, **given: Any) -> Dossier:
    """The release of a world with a finding for every declared analysis."""
    design = design_of(world)
    effects = None if given.get("unanswered") else estimate_effects(design, rated(outcomes_of(world)), study())
    return after(world, effects, findings=findings((world.ended[0] + 1, world.ended[1])), **given)


POOR = (Response(day=90, treated=0.1, comparison=0.8, n_rated=(20, 160)),)
FAIR = tuple(Response(day=day, treated=0.8, comparison=0.8, n_rated=(90, 90)) for day in (30, 90, 180))
BALANCED = (55, 1030, 52, 52)
STATES: dict[str, Callable[[], Dossier]] = {
    "not approved": lambda: before(World()),
    "not approved, a second look": lambda: before(World(), looks=2),
    "every check passed": lambda: release(World(flagged=BALANCED), response=FAIR),
    "failed checks": lambda: release(World(), response=FAIR),
    "harm": lambda: release(World(flagged=BALANCED, ended=(110, 60, 20)), response=FAIR),
    "benefit": lambda: release(World(flagged=BALANCED, ended=(40, 90, 20)), response=FAIR),
    "nothing found": lambda: release(World(flagged=BALANCED, ended=(60, 61, 20)), response=FAIR),
    "few ended": lambda: release(World(sets=60, ended=(5, 8, 2)), response=FAIR),
    "too few answered": lambda: release(World(flagged=BALANCED), response=POOR),
    "nobody ended": lambda: release(World(flagged=BALANCED, ended=(0, 0, 0)), response=FAIR),
    "not estimable": lambda: release(World(), unanswered="fewer than 20 matched sets are left"),
}
OPENED_STATES = tuple(name for name in STATES if not name.startswith("not approved"))
in_every_state = pytest.mark.parametrize("state", STATES)
once_opened = pytest.mark.parametrize("state", OPENED_STATES)


@cache
def dossier_in(state: str) -> Dossier:
    """The dossier of a state, made once."""
    return STATES[state]()


@cache
def document_in(state: str) -> Document:
    """Its pages, made once."""
    return document(dossier_in(state))


@cache
def facts_of(state: str) -> dict[str, Any]:
    """What `results.json` says."""
    facts: dict[str, Any] = json.loads(to_json(dossier_in(state)))
    return facts


def section(state: str, anchor: str) -> Section:
    """One section of the page."""
    return next(s for s in document_in(state).sections if s.anchor == anchor)


def tables_of(pages: Document | Section) -> list[Table]:
    """Every table, in order."""
    sections = pages.sections if isinstance(pages, Document) else (pages,)
    return [b for s in sections for b in s.blocks if isinstance(b, Table)]


def paragraph(state: str, lead: str) -> str:
    """The paragraph of page one with this lead-in; empty where there is none."""
    blocks = section(state, "in-short").blocks
    return next((b.text for b in blocks if isinstance(b, Paragraph) and b.lead == lead), "")


@in_every_state
def test_page_one_counts_what_the_numbers_file_holds(state: str) -> None:
    """Checks passed, failed, not run and still to come; analyses planned, run, run in part, waiting, not run."""
    facts = facts_of(state)
    said = [int(n) for n in re.findall(r"\d+", paragraph(state, "What was checked."))]
    statuses = [verdict["status"] for verdict in facts["verdicts"]]
    held = [len(statuses), *(statuses.count(status) for status in ("PASS", "FAIL", "NOT EVALUATED"))]
    assert said == [*held, *([len(facts["later"])] if facts["later"] else [])]
    (table,) = [t for t in tables_of(document_in(state)) if t.caption.startswith("PASS, FAIL")]
    assert len(table.rows) == len(statuses)

    states = [one["state"] for one in facts["plan"]]
    planned = 1 + len(study().secondary) + len(study().sensitivity.planned)
    planned += len((*study().negative_controls.outcomes, *study().negative_controls.exposures))
    assert len(states) == planned
    text = paragraph(state, "What was planned.")
    ends = r"(\d+) (planned|w\w+ run|in part|waits?|w\w+ not run|cannot be run)"
    told = {words: int(n) for n, words in re.findall(ends, text)}
    assert told["planned"] == len(states)
    assert told["was run" if states.count("run") == 1 else "were run"] == states.count("run")
    assert told.get("in part", 0) == states.count("run in part")
    assert told.get("wait", 0) == states.count("waits")
    assert told["cannot be run" if "waits" in states else "were not run"] == states.count("not run")
    names = [one["name"] for one in facts["plan"] if one["state"] == "not run"]
    assert paragraph(state, "Not run:") == f"{', '.join(names)}."
    assert "How strong something that nobody wrote down would have to be is among what has no result" in text


def unsaid(part: Any, where: str = "") -> list[str]:
    """Where a part of a page holds nothing, or a text that speaks of nothing."""
    if isinstance(part, str):
        return [where] if re.search(r"(?<!^)(?<![.:;] )\bNone\b|. None$|\bnan\b|[{}]", part) else []
    if isinstance(part, tuple):
        return [found for place, one in enumerate(part) for found in unsaid(one, f"{where}[{place}]")]
    if dataclasses.is_dataclass(part):
        empty = [f"{where}.{name}" for name in ("text", "caption", "alt", "title") if getattr(part, name, "x") == ""]
        fields = [(f.name, getattr(part, f.name)) for f in dataclasses.fields(part)]
        return empty + [found for name, one in fields for found in unsaid(one, f"{where}.{name}")]
    return [where] if part is None else []


@in_every_state
def test_no_part_of_a_page_is_left_unsaid(state: str) -> None:
    """Every paragraph, caption and head of a column has words, and every row a cell for each column."""
    assert unsaid(document_in(state)) == []
    for table in tables_of(document_in(state)):
        assert {len(row) for row in table.rows} <= {len(table.columns)}, table.caption
        assert all(isinstance(cell, str) for row in table.rows for cell in row), table.caption


def test_one_difference_or_both_are_drawn_as_such() -> None:
    """The caption says how many differences the figure shows."""
    both, one = (
        next(b.caption for b in section(state, "found").blocks if isinstance(b, Figure))
        for state in ("every check passed", "nobody ended")
    )
    assert both.startswith("The two differences (")
    assert both.endswith("their 95% intervals")
    assert one.startswith("The difference: ")
    assert one.endswith("its 95% interval")


@in_every_state
def test_whatever_was_not_run_stands_with_its_reason(state: str) -> None:
    """Each of them once, in the table of what could be wrong."""
    (table,) = [t for t in tables_of(section(state, "wrong")) if t.caption.startswith("Planned analyses")]
    unrun = [one for one in facts_of(state)["plan"] if one["state"] in ("not run", "run in part")]
    assert [row[0].lower() for row in table.rows] == [one["name"].lower() for one in unrun]
    assert all(row[3] for row in table.rows)


def test_waiting_analyses_are_run_or_not_once_outcomes_are_open() -> None:
    """Before approval the declared analyses wait; afterwards each is run, run in part or not run, as its finding is."""
    waiting = {one.name for one in dossier_in("not approved").plan if one.state == "waits"}
    assert waiting == {"the main question", *(d.analysis.replace("_", " ") for d in study().secondary)}
    found = {one.name: one.state for one in dossier_in("every check passed").plan}
    assert (found["win odds"], found["other days"], found["stratum bounds"]) == (
        "not run",
        "run in part",
        "run in part",
    )
    opened = {state: dossier_in(state) for state in OPENED_STATES}
    assert not [state for state, dossier in opened.items() for one in dossier.plan if one.state == "waits"]
    main = {state: dossier.plan[0].state for state, dossier in opened.items()}
    assert (main["harm"], main["nobody ended"], main["not estimable"]) == ("run", "run in part", "not run")


@in_every_state
def test_every_limit_says_which_side_is_good(state: str) -> None:
    """In the numbers' file, in the table of checks, in every sentence that names one, and before outcomes are open."""
    facts = facts_of(state)
    for verdict in (*facts["verdicts"], *facts["later"]):
        assert (verdict["limit"] is None) == (verdict["side"] == ""), verdict["code"]
    for table in tables_of(document_in(state)):
        (place, *_) = [k for k, column in enumerate(table.columns) if column.title == "Limit"] or [None]
        assert place is None or all(re.match(r"at (least|most) |$", row[place]) for row in table.rows)
    words = " ".join(texts(document_in(state)))
    assert not re.search(r"\blimit \d", words)


def test_the_dossier_lists_the_limits_that_only_outcomes_can_meet() -> None:
    """Response and its difference at every day of rating, each with its limit and side, before anybody is asked."""
    dossier = dossier_in("not approved")
    (table,) = [t for t in tables_of(section("not approved", "judgements")) if t.caption.startswith("Limits set now")]
    days = sorted(window.day for window in study().outcome.windows)
    codes = [f"estimate.{kind}.day_{day}" for day in days for kind in ("response", "response_difference")]
    assert [row[0] for row in table.rows] == codes
    assert [row[2] for row in table.rows] == ["at least 0.5", "at most 0.2"] * len(days)
    judged = {v.code: (v.sentence, v.side, v.limit) for v in dossier_in("every check passed").verdicts}
    assert {o.code: (o.sentence, o.side, o.limit) for o in dossier.later}.items() <= judged.items()
    assert not [state for state in OPENED_STATES if dossier_in(state).later]


@once_opened
def test_no_row_disappears_and_the_reason_is_printed(state: str) -> None:
    """Every number of every finding has its row; one that is withheld says so there, and why below its table."""
    tables = [t for t in tables_of(section(state, "others")) if t.caption.startswith("Estimates with")]
    lines = [finding for finding in findings() if finding.lines]
    assert [len(table.rows) for table in tables] == [len(finding.lines) for finding in lines]
    rows = [row for finding in facts_of(state)["findings"] for row in finding["rows"]]
    assert [row["label"] for row in rows] == [one.label for finding in lines for one in finding.lines]
    for table in tables:
        for row in table.rows:
            hidden = next(r for r in rows if r["label"].lower() == row[0].lower())
            assert (row[2:4] == ("withheld", "withheld")) == bool(hidden["withheld"])
            assert hidden["withheld"] in table.note
            assert (hidden["lower"] is None) == bool(hidden["withheld"])


def test_days_lost_and_the_ratio_of_rates_are_told() -> None:
    """One ending more than the headline tells hides the difference of shares, and neither the days nor the ratio."""
    told = finding_lines(findings(), study(), sizes=(201, 201), published=[(60, 80)])
    course = next(finding for finding in told if finding.analysis == "termination_course")
    assert [bool(row.withheld) for row in course.rows] == [True, False, False]
    assert (
        course.rows[0].withheld
        == "set against another difference shown here, it would tell of 1 to 10 endings of a group"
    )
    assert [row.value for row in course.rows] == [None, 18.8, 1.61]
    (bounds,) = [finding for finding in told if finding.analysis == "stratum_bounds"]
    assert bounds.rows[0].withheld == Withheld.FEW_OCCASIONS.sentence(11)
    assert bounds.notes == ("What was read off these numbers is withheld with them.",)
    assert not [finding for finding in told if "too few occasions" in " ".join(finding.not_evaluated)]


def test_endings_that_one_finding_tells_are_remembered_for_the_next() -> None:
    """Four endings apart from those told is few; from those that were withheld, or told as a ratio, nothing is."""
    lines = (
        line("told", "risk difference", events=(61, 80)),
        line("four more", "risk difference", events=(65, 80)),
        line("a ratio", "hazard ratio", events=(70, 80)),
        line("twelve more than what was told", "risk difference", events=(73, 80)),
    )
    found = tuple(Finding(analysis="win_odds", title="x", method="x.", lines=(one,)) for one in lines)
    rows = [row for finding in finding_lines(found, study(), sizes=(201, 201)) for row in finding.rows]
    assert [row.withheld for row in rows] == ["", Withheld.FEW_APART.sentence(11), "", ""]


def test_numbers_that_rest_on_few_ratings_say_so_in_their_row() -> None:
    """Day 90 failed: its ratings carry the warning, those of day 180 and endings do not."""
    marks = {row.label: row.response for finding in dossier_in("too few answered").findings for row in finding.rows}
    assert marks["trust at day 90, an ending counted"] == "too few ratings at day 90; unlike ratings at day 90"
    assert not [
        label for label in marks if ("day 180" in label or "ended" in label or "rate" in label) and marks[label]
    ]
    others = section("too few answered", "others")
    marked = [t for t in tables_of(others) if "Who answered" in [column.title for column in t.columns]]
    assert marked
    assert all("rests on ratings that too few gave" in table.note for table in marked)
    assert not [r for finding in dossier_in("every check passed").findings for r in finding.rows if r.response]


@once_opened
def test_every_interval_says_its_level(state: str) -> None:
    """On page one, and in the heading of every column of intervals."""
    dossier = dossier_in(state)
    results = dossier.results
    if results is not None:
        groups = groups_of(dossier)
        for sentence in (ended_sentence(results, groups), rated_sentence(results, groups, dossier.scale)):
            assert ("could be as small" in sentence or "not rule out" in sentence) == ("(95% interval)" in sentence)
            assert sentence in " ".join(texts(section(state, "in-short")))
    for table in tables_of(document_in(state)):
        assert not [
            c.title for c in table.columns if "interval" in c.title.lower() and not c.title.startswith(("95%", "Truth"))
        ]


def test_ninety_per_cent_is_said_to_be_ninety() -> None:
    """The level is the study's, not a constant of the page."""
    narrower = dataclasses.replace(RESULTS, termination=dataclasses.replace(TERMINATION, level=0.9))
    assert "(90% interval)" in ended_sentence(narrower, groups_of(DOSSIER))


def test_planned_and_realised_power_are_told_apart() -> None:
    """Before: planned, from assumptions. After: as the outcomes turned out."""
    (planned,) = [o.answer for o in dossier_in("not approved").looked_at if "four times in five" in o.question]
    assert planned.startswith(
        "Planned before outcomes were opened, from the size of this comparison and what the study"
    )
    words = " ".join(texts(document_in("nothing found")))
    assert "As the outcomes turned out, this comparison finds a true difference of" in words
    assert "A comparison of this size" not in words


def test_what_is_near_one_or_nothing_is_not_rounded_to_it() -> None:
    """An index of .998 is not 1.0, and a difference of .04 is not 0.0."""
    assert [_index(x) for x in (0.998, 0.96, 0.83)] == ["over 0.99", "over 0.95", "about 0.8"]
    assert [_about(x) for x in (0.04, -0.2)] == ["less than 0.05", "about 0.2"]
    (kept,) = [o.answer for o in dossier_in("not approved").looked_at if "stand for all" in o.question]
    assert "index of generalisability compares one thing only" in kept
    assert not re.search(r"\b(?:1\.0|0\.0)\b", kept)


# Looks at the outcomes


def ledger(tmp_path: Any, *events: tuple[str, str]) -> Store:
    """A store whose ledger holds these events of these designs."""
    store = Store(tmp_path, "study")
    store.prepare()
    for event, digest in events:
        store.append(event, design=digest)
    return store


def test_looks_are_the_designs_the_ledger_says_were_opened(tmp_path: Any) -> None:
    """Five openings of two designs are two looks; the page says what is counted and where the openings are listed."""
    openings = [(OPENED, digest) for digest in ("a", "b", "b", "a", "b")]
    store = ledger(tmp_path, ("design", "a"), *openings[:1], ("design", "b"), *openings[1:], ("release", "b"))
    opened = [entry for entry in store.entries() if entry["event"] == OPENED]
    assert (len(opened), looks(store.entries())) == (5, len({entry["design"] for entry in opened}))
    assert (looks_before(store, "a"), looks_before(store, "b"), looks_before(store, "c")) == (0, 1, 2)
    provenance = dataclasses.replace(DOSSIER.provenance, looks=looks(store.entries()))
    said = looked(dataclasses.replace(DOSSIER, provenance=provenance))
    assert said.startswith("The outcomes of 2 different designs of this study have been opened, this one's included.")
    assert "the ledger lists every opening" in said
    assert "A run in which nothing has changed opens nothing." in said


def test_a_dossier_owns_up_to_looks_at_other_designs() -> None:
    """A board is told on page one that whoever made this design could know what the outcomes say."""
    fresh, second = dossier_in("not approved"), dossier_in("not approved, a second look")
    first, again = (
        " ".join(texts(section(state, "in-short"))) for state in ("not approved", "not approved, a second look")
    )
    assert "Nobody has yet looked at" in first
    assert "Nobody has yet looked" not in again
    assert "the outcomes of 2 other designs of this study were opened before this one was made" in again
    assert "had never been opened" in looked(fresh)
    assert "of 2 other designs of this study had been opened" in looked(second)
    assert "1 other design of this study was opened" in unopened(before(World(), looks=1))


def test_one_of_a_kind_is_said_in_the_singular() -> None:
    """No "1 were"."""
    plan = (
        PlannedLine(part="main question", name="the main question", state="run"),
        PlannedLine(part="control", name="x", state="not run", reason="why"),
    )
    assert planned_sentence(plan).startswith("Of 2 planned analyses, 1 was run and 1 was not run.")
