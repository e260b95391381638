"""What is asked of a delivery before its rows are looked at."""

from __future__ import annotations

import datetime

import pytest

from causal.tables import TABLES
from validation.delivery import NEEDED_TABLES, judge_as_of
from validation.verdict import Side, Status


def test_tables_without_which_there_is_nothing_to_study_are_declared_ones() -> None:
    """People, who treats them and where, contacts, assessments, forms and relationships: all else may be empty."""
    assert set(TABLES) - NEEDED_TABLES == {
        *("diagnoses", "hospitalizations", "jurisdiction_regime", "protective_actions"),
    }
    assert set(TABLES) > NEEDED_TABLES


@pytest.mark.parametrize(
    ("ahead", "measured", "status"), [(-9, 0, Status.PASS), (1, 1, Status.PASS), (2, 2, Status.FAIL)]
)
def test_days_ahead_are_counted(ahead: int, measured: int, status: Status) -> None:
    """One day for clinics east of the machine; a delivery of last week is none."""
    today = datetime.date(2024, 12, 31)
    found = judge_as_of(today + datetime.timedelta(days=ahead), today)
    assert (found.code, found.status, found.measured) == ("extract.as_of_future", status, measured)
    assert (found.limit, found.side) == (1, Side.AT_MOST)
