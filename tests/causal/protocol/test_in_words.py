from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from causal.protocol.base import Days, Name, Part, Says
from causal.protocol.in_words import Line, lines_of


class Rule(Part):
    """At least `at_least` visits in the `days` days before. Visits to the `place` count."""

    rule: Literal["visits"]
    """Name of the rule."""
    at_least: int
    """How many."""
    days: Days
    """Counted back."""
    place: Name
    """Where."""
    until_days: Days = 3
    """Until when."""


class Limit(Part):
    """A limit."""

    width: float = 0.5
    """How far apart. In its own unit."""


class Whole(Part):
    """A study."""

    rules: tuple[Rule, ...] = ()
    """Rules."""
    limit: Limit | None = None
    """A limit, or none."""
    usual: Limit = Limit(width=2.0)
    """The usual limit."""
    how: Annotated[Literal["some", "none"], Says(name="How", choices={"some": "some of them"})] = "some"
    """Whether some or none."""
    told: Annotated[tuple[Name, ...] | None, Says(nothing="all", empty="not one")] = None
    """Which."""
    shift: float = Field(default=-1.5)
    """How far it moves."""


def said(whole: Whole) -> dict[str, Line]:
    """Lines by key."""
    return {line.key: line for line in lines_of(whole, {"phq9": "Depression"})}


def test_a_sentence_holds_the_decisions_it_names_and_the_rest_follow() -> None:
    """A block in a list is one line: its sentence with the numbers in it, then the keys the sentence does not name."""
    line = said(Whole(rules=(Rule(rule="visits", at_least=2, days=180, place="day_clinic"),)))["rules[1]"]
    assert line.name == "Visits"
    assert line.value == (
        "At least 2 visits in the 180 days before. Visits to the day clinic count. Until: 3 days (as Rapport comes)"
    )


def test_what_would_have_been_is_that_of_the_place_not_of_the_kind() -> None:
    """A block that stands for nothing said gives its own values, not those of its kind."""
    lines = said(Whole())
    assert lines["usual.width"] == Line(key="usual.width", name="How far apart", value="2", usual=True)
    other = said(Whole(usual=Limit(), limit=Limit()))
    assert not other["usual.width"].usual
    assert other["limit.width"].usual


@pytest.mark.parametrize(
    ("key", "whole", "value"),
    [
        ("how", Whole(), "some of them"),
        ("how", Whole(how="none"), "none"),
        ("told", Whole(), "all"),
        ("told", Whole(told=()), "not one"),
        ("told", Whole(told=("phq9", "last_visit")), "Depression; last visit"),
        ("shift", Whole(), "\N{MINUS SIGN}1.5"),
        ("shift", Whole(shift=0.1 + 0.2), "0.30000000000000004"),
        ("limit", Whole(), "none"),
    ],
)
def test_a_value_is_said_in_words(key: str, whole: Whole, value: str) -> None:
    """Choices by their words, facts by their labels, nothing by what it means, numbers to their last digit."""
    assert said(whole)[key].value == value
