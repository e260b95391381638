"""What each check measured, and on whom its figure rests: every check there is has been declared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from validation.disclosure import Kind, Profile, Withheld
from validation.disclosure.verdicts import (
    DESIGN_ESTIMATES,
    DESIGN_TALLIES,
    EXTRACT_TALLIES,
    JUDGED_SHARES,
    SHARE_OF,
    disclose_rows,
    extract_measured,
)
from validation.verdict import at_most

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "verdicts.md"
OF_DESIGN = {*DESIGN_TALLIES, *DESIGN_ESTIMATES, "balance_tier1", "balance_tier2"}
OF_DESIGN |= {"sets", "unmatched", "ended_in_grace", "cluster_share"}
OF_EXTRACT = {*EXTRACT_TALLIES, *JUDGED_SHARES, "rows", "lost_actions", "set_aside"}
WITHOUT_FIGURE = {"open_path", "expectations", "conflicting_patients", "judges_disagree"}
"""Passed, failed, not evaluated or refused, but never measured."""


@pytest.mark.parametrize(("part", "declared"), [("design", OF_DESIGN), ("extract", OF_EXTRACT)])
def test_every_check_says_what_it_measures(part: str, declared: set[str]) -> None:
    """Each that the reference lists is declared, so that none is withheld for want of it; and none is that is not."""
    page = PAGE.read_text(encoding="utf-8")
    listed = set(re.findall(rf"^\| `{part}\.([a-z0-9_]+)[^|]*\|.*\| `validation/", page, re.MULTILINE))
    assert declared == listed - WITHOUT_FIGURE


def test_shares_of_a_table_are_among_those_their_judge_withholds() -> None:
    """Their bound by the rows of a table comes on top."""
    assert set(SHARE_OF) < JUDGED_SHARES
    assert len(Kind) == 5


@pytest.mark.parametrize(("threshold", "why"), [(5, None), (11, None), (12, Withheld.UNCOUNTED)])
def test_a_share_judged_under_the_general_rule_is_withheld_under_a_stricter_one(
    threshold: int, why: Withheld | None
) -> None:
    """Its judge withholds fewer than 11; how many more there are is not known here. Nobody is nobody under any."""
    profile = Profile(threshold=threshold)
    rows = {"episodes": 100_000}
    shown = disclose_rows(rows, {}, profile)
    few, none = (at_most("extract.after_death", share, 0.01, "share") for share in (0.004, 0.0))
    assert extract_measured(few, rows, {}, shown, profile).why is why
    assert extract_measured(none, rows, {}, shown, profile).value == 0.0


def test_a_share_of_less_than_one_row_is_one() -> None:
    """A share of answers, of which there are more than rows."""
    profile, rows = Profile(threshold=11), {"measures": 500}
    share = at_most("extract.above_range.phq9", 0.4 / 500, 0.01, "share")
    assert extract_measured(share, rows, {}, disclose_rows(rows, {}, profile), profile).why is Withheld.FIGURE
