"""What a release says on the screen: no number without its level, no caution after the number it is about."""

from __future__ import annotations

from typing import Any

from flows.release_lines import release_lines

ENDED: dict[str, Any] = {"value": 0.1, "lower": 0.02, "upper": 0.18, "scale": "risk difference", "level": 0.9}
TRUST: dict[str, Any] = {"value": -0.23, "lower": -0.32, "upper": -0.14, "scale": "points", "level": 0.95}


def facts(**changes: Any) -> dict[str, Any]:
    """A release in which all is well, but for the changes."""
    results = {"termination": ENDED, "composite": TRUST}
    return {"unanswered": "", "results": results, "truth": [], "verdicts": [], "plan": []} | changes


def failed(code: str, sentence: str) -> dict[str, str]:
    """A failed check."""
    return {"code": code, "status": "FAIL", "sentence": sentence}


def test_every_interval_has_its_own_level() -> None:
    """Ninety and ninety-five in one release."""
    assert release_lines(facts()) == [
        "termination  +0.100 risk difference, 90% interval +0.020 to +0.180",
        "composite    -0.230 points, 95% interval -0.320 to -0.140",
    ]


def test_one_number_of_two_and_too_few_answers() -> None:
    """The number that is missing has its reason in its place; the caution about answers follows the numbers."""
    none = dict.fromkeys(("value", "lower", "upper")) | {"scale": "risk difference", "level": 0.95}
    results = {"termination": none | {"not_evaluated": "nobody ended"}, "composite": TRUST}
    lines = release_lines(facts(results=results, verdicts=[failed("estimate.response.day_90", "too few answered")]))
    assert lines[0] == "termination  NOT EVALUATED: nobody ended"
    assert lines[2:] == ["FAIL         too few answered"]


def test_a_failed_check_is_told_before_any_number() -> None:
    """As on the first page; a check that passed is not told, and without a number there is nothing to caution of."""
    unlike = failed("design.balance_tier1", "the groups are unlike")
    passed = failed("design.sets", "enough sets") | {"status": "PASS"}
    lines = release_lines(facts(verdicts=[passed, unlike]))
    assert lines[0].startswith("Not every check set in advance was passed")
    assert lines[1] == "FAIL         the groups are unlike"
    assert lines[2].startswith("termination")
    assert release_lines(facts(results=None, unanswered="no sets", verdicts=[unlike])) == [
        "NOT EVALUATED: no sets",
        "FAIL         the groups are unlike",
    ]


def test_what_was_planned_and_not_run_is_counted() -> None:
    """Two of three."""
    plan = [{"name": "one", "state": "not run"}, {"name": "two", "state": "run"}, {"name": "three", "state": "not run"}]
    assert release_lines(facts(plan=plan))[-1] == "NOT RUN      2 of 3 planned analyses; the report says why"


def test_the_truth_of_synthetic_records() -> None:
    """Inside or outside, of which interval."""
    known = {"truth": 0.14, "covered": False, "level": 0.95, "name": "difference in trust"}
    assert release_lines(facts(truth=[known]))[-1] == (
        "truth        +0.140, OUTSIDE the 95% interval: difference in trust"
    )
