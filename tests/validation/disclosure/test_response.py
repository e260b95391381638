"""Who answered: a share in steps, with the shares who ended, tells neither few answers nor few silences."""

from __future__ import annotations

from typing import Any

import pytest

from validation.disclosure import Profile, Withheld
from validation.disclosure.response import Endings, disclose_response, response_measured
from validation.verdict import Verdict, at_least, at_most

PROFILE = Profile(threshold=11)


def endings(**given: Any) -> Endings:
    """200 and 300 compared, of whom half and a third had ended by day 90."""
    return Endings(**{"day": 90, "sizes": (200, 300), "shares": (0.5, 0.33)} | given)


@pytest.mark.parametrize(
    ("shares", "given", "shown", "why"),
    [
        ((0.83, 0.71), {}, (0.85, 0.7), None),
        ((0.97, 0.71), {}, None, Withheld.FEW_SILENT),  # of about 100, 5% to 0: 2 or 3 to none; see below
        ((0.71, 0.97), {}, (0.7, 0.95), None),  # of about 200, 5 to 15 did not answer
        ((0.05, 0.71), {}, None, Withheld.FEW_SILENT),  # of about 100, 2 to 8 did
        ((1.0, 1.0), {}, (1.0, 1.0), None),
        ((0.0, 0.71), {}, (0.0, 0.7), None),
        ((float("nan"), 0.71), {}, (None, 0.7), None),
        ((0.83, 0.71), {"shares": None}, None, Withheld.WITH_ENDINGS),
        ((0.83, 0.71), {"few": True}, None, Withheld.FEW_RATED),
        ((0.83, 0.71), {"sizes": (60, 300)}, None, Withheld.FEW_SILENT),  # a fifth of 30, in steps of 10%
    ],
)
def test_few_answers_or_silences_hide_the_shares_of_both_groups(
    shares: tuple[float, float], given: dict[str, Any], shown: tuple[float | None, ...] | None, why: Withheld | None
) -> None:
    """A share of those who had not ended, whose number the shares who ended tell."""
    few = given.pop("few", False)
    found = disclose_response(shares, endings(**given), PROFILE, few=few)
    assert [one.why for one in found] == [why, why]
    assert [one.value for one in found] == (
        [None, None] if shown is None else [x if x is None else pytest.approx(x) for x in shown]
    )


def verdicts(lower: float, apart: float, day: int = 90) -> tuple[Verdict, Verdict]:
    """What is judged of the response at a day."""
    return (
        at_least(f"estimate.response.day_{day}", lower, 0.5, "lower share"),
        at_most(f"estimate.response_difference.day_{day}", apart, 0.2, "difference"),
    )


@pytest.mark.parametrize(
    ("lower", "apart", "day", "given", "why"),
    [
        (0.8, 0.0, 90, {}, None),
        (0.9, 0.0, 90, {"sizes": (120, 120), "shares": (0.5, 0.5)}, Withheld.FEW_SILENT),  # 3 to 9 of about 60
        (0.9, 0.0, 180, {"sizes": (120, 120), "shares": (0.5, 0.5)}, None),  # nobody may be left by then
        (0.9, 0.0, 30, {"sizes": (120, 120), "shares": (0.5, 0.5)}, None),  # up to 18 of 120
        (0.95, 0.0, 90, {"sizes": (120, 120), "shares": (0.5, 0.5)}, None),  # none, in one of the groups
        (0.8, 0.0, 90, {"shares": None}, Withheld.WITH_ENDINGS),
    ],
)
def test_checks_on_who_answered_are_judged_by_both_groups(
    lower: float, apart: float, day: int, given: dict[str, Any], why: Withheld | None
) -> None:
    """The lower share and the difference go together; at other days fewer or more may have been left."""
    judged = verdicts(lower, apart, day)
    for one in judged:
        found = response_measured(one, judged, endings(**given), frozenset(), PROFILE)
        assert found.why is why
        assert (found.value is None) is (why is not None)
    few = response_measured(judged[0], judged, endings(), frozenset({day}), PROFILE)
    assert few.why is Withheld.FEW_RATED
