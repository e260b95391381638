"""Who answered is judged once outcomes are open: for every day, in both groups."""

from __future__ import annotations

import pytest

from causal.effect.response import Response
from causal.protocol.design import Gates
from validation.response import judge_response

NOBODY = float("nan")


@pytest.mark.parametrize(
    ("treated", "comparison", "status"),
    [
        (0.80, 0.90, ("PASS", "PASS")),
        (0.10, 0.80, ("FAIL", "FAIL")),
        (0.60, 0.85, ("PASS", "FAIL")),
        (0.45, 0.40, ("FAIL", "PASS")),
        (0.50, 0.70, ("PASS", "PASS")),
        (0.0, 0.0, ("FAIL", "PASS")),
        (NOBODY, 0.90, ("NOT EVALUATED", "NOT EVALUATED")),
    ],
)
def test_enough_answer_and_alike(treated: float, comparison: float, status: tuple[str, str]) -> None:
    """Half of either group or more, not above a fifth apart; a group in which all had ended says nothing."""
    found = judge_response([Response(day=90, treated=treated, comparison=comparison)], Gates())
    assert [verdict.code for verdict in found] == ["estimate.response.day_90", "estimate.response_difference.day_90"]
    assert tuple(str(verdict.status) for verdict in found) == status
    swapped = judge_response([Response(day=90, treated=comparison, comparison=treated)], Gates())
    assert tuple(str(verdict.status) for verdict in swapped) == status


def test_limits_are_the_study_s_and_every_day_is_judged() -> None:
    """A study may ask for more; a day that could not be counted says why and stops no other."""
    days = [
        Response(day=30, treated=0.75, comparison=0.80),
        Response(day=180, treated=NOBODY, comparison=NOBODY, reason="too few are left"),
    ]
    found = judge_response(days, Gates(minimum_response=0.78, maximum_response_difference=0.01))
    assert [str(verdict.status) for verdict in found] == ["FAIL", "FAIL", "NOT EVALUATED", "NOT EVALUATED"]
    assert "too few are left" in found[2].sentence
