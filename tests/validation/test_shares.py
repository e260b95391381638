"""Shares as verdicts: the judgement always stands, the figure only where it tells no small count."""

from __future__ import annotations

import pytest

from causal.measures.detectors import Finding
from validation.shares import at_least_share, at_most_share
from validation.verdict import Side, Status, Verdict


@pytest.mark.parametrize(
    ("count", "of", "measured", "said"),
    [
        (0, 5, 0.0, ""),
        (1, 100, None, " (fewer than 11)"),
        (10, 100, None, " (fewer than 11)"),
        (11, 100, 0.11, ""),
        (89, 100, 0.89, ""),
        (90, 100, None, " (all but fewer than 11)"),
        (99, 100, None, " (all but fewer than 11)"),
        (100, 100, 1.0, ""),
        (10, 10, None, " (fewer than 11)"),
        (11, 20, None, " (all but fewer than 11)"),
    ],
)
def test_a_share_is_told_where_no_few_people_are_behind_it(
    count: int, of: int, measured: float | None, said: str
) -> None:
    """Neither those counted nor the others may be 1 to 10; the status is that of the true share."""
    for judge, side in ((at_most_share, Side.AT_MOST), (at_least_share, Side.AT_LEAST)):
        passes = count / of <= 0.5 if side is Side.AT_MOST else count / of >= 0.5
        assert judge("a.code", Finding(count=count, of=of), 0.5, "share") == Verdict(
            code="a.code",
            status=Status.PASS if passes else Status.FAIL,
            sentence=f"share{said}",
            measured=measured,
            limit=0.5,
            side=side,
        )


@pytest.mark.parametrize(
    ("count", "measured", "said"),
    [
        (0, 0.0, ""),
        (43, None, " (fewer than 11 forms' worth)"),
        (44, 0.11, ""),
        (356, 0.89, ""),
        (357, None, " (all but fewer than 11 forms' worth)"),
    ],
)
def test_answers_count_as_the_forms_they_may_be_of(count: int, measured: float | None, said: str) -> None:
    """With four answers on a form, 43 of them may be ten forms and a part: as few as ten people."""
    for judge in (at_most_share, at_least_share):
        found = judge("a.code", Finding(count=count, of=400), 0.5, "share", answers=4)
        assert (found.measured, found.sentence) == (measured, f"share{said}")
