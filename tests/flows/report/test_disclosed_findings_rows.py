"""Rows of analyses set in advance, and the questions they answer, as they are told: every field, or the reason."""

from __future__ import annotations

import dataclasses

import pytest
from worlds import SETS, study

from causal.effect.secondary.finding import Finding, Line
from flows.report.disclosed_findings import (
    EVENTS,
    READINGS_WITHHELD,
    STRATEGIES,
    estimand_lines,
    finding_lines,
    opened_for,
    planned_lines,
)
from flows.report.dossier import FindingLine
from validation.disclosure import Withheld

LINE = Line(
    label="trust",
    scale="points",
    value=0.1,
    lower=-0.2,
    upper=0.4,
    level=0.95,
    n_treated=SETS,
    n_comparison=SETS,
    df=40.0,
    clustered_by="clinician",
)
SHOWN = Finding(
    analysis="a", title="A", method="M.", lines=(LINE,), notes=("n",), readings=("r",), not_evaluated=("x",)
)


def told(*lines: Line, **changes: object) -> FindingLine:
    """A finding of these numbers as it may be told."""
    (found,) = finding_lines(
        [dataclasses.replace(SHOWN, lines=lines or SHOWN.lines, **changes)],  # type: ignore[arg-type]
        study(),
        sizes=(SETS, SETS),
    )
    return found


def test_a_number_that_may_be_shown_keeps_every_field() -> None:
    """As the analysis left it."""
    found = told()
    assert (found.analysis, found.title, found.method, found.not_evaluated) == ("a", "A", "M.", ("x",))
    assert found.notes == ("n", "r")
    (row,) = found.rows
    for name in ("label", "scale", "value", "lower", "upper", "level", "clustered_by"):
        assert getattr(row, name) == getattr(LINE, name)
    assert (row.family, row.withheld, row.response) == ("", "", "")


def test_a_number_that_may_not_keeps_its_row_and_nothing_of_itself() -> None:
    """Neither its ends nor whether it holds; readings of its finding go with it, notes stay."""
    found = told(LINE, dataclasses.replace(LINE, n_comparison=10, p_adjusted=0.01))
    shown, hidden = found.rows
    assert (shown.value, shown.withheld) == (0.1, "")
    assert (hidden.label, hidden.value, hidden.lower, hidden.upper, hidden.family) == ("trust", None, None, None, "")
    assert hidden.withheld == Withheld.FEW_OCCASIONS.sentence(11)
    assert found.notes == ("n", READINGS_WITHHELD)
    assert told(dataclasses.replace(LINE, n_treated=10), readings=()).notes == ("n",)


@pytest.mark.parametrize(("p", "said"), [(None, ""), (0.01, "yes"), (0.05, "yes"), (0.06, "not settled")])
def test_what_holds_in_the_family_is_said_at_the_study_s_level(p: float | None, said: str) -> None:
    """Up to one in twenty; a number outside of the family says nothing."""
    assert told(dataclasses.replace(LINE, p_adjusted=p)).rows[0].family == said


def test_every_question_says_what_is_done_about_each_event() -> None:
    """In the order of the events, one of them the main one."""
    lines = estimand_lines(study())
    assert [(line.id, line.label, line.primary) for line in lines] == [
        (one.id, one.label, one.primary) for one in study().estimands
    ]
    assert [line.primary for line in lines] == [True, False, False, False]
    handled = {line.id: dict(line.events) for line in lines}
    said = {event: words.format(person="patient") for event, words in EVENTS.items()}
    assert all(list(events) == list(said.values()) for events in handled.values())
    assert handled["E1"][said["patient_ended"]] == "it is itself a bad outcome, counted as 1"
    assert handled["E1"][said["death"]] == STRATEGIES["separate"]
    assert handled["E4"][said["patient_ended"]] == STRATEGIES["principal_stratum"]
    assert handled["E3"][said["hospitalised"]] == STRATEGIES["while_in_relationship"]
    assert handled["E2"][said["transfer"]] == STRATEGIES["hypothetical"]
    assert handled["E2"][said["hospitalised"]] == STRATEGIES["treatment_policy"]


def test_analyses_that_are_planned_are_named_with_what_they_are() -> None:
    """In words, in the order of the study's file, on one line."""
    lines = planned_lines(study())
    assert [name for name, _ in lines] == [one.analysis.replace("_", " ") for one in study().secondary]
    assert all(words.endswith(".") and "\n" not in words and "_" not in name for name, words in lines)
    assert all(30 < len(words) < 500 for _, words in lines)


def test_whose_outcomes_are_opened_follows_from_what_is_planned() -> None:
    """Everyone's where an analysis needs them, else those of the compared."""
    assert opened_for(study()).startswith("every eligible occasion")
    assert opened_for(study().model_copy(update={"secondary": ()})) == "the occasions compared here, and nobody else"
