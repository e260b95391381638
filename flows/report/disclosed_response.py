"""Who answered, as lines of a dossier."""

from __future__ import annotations

from collections.abc import Iterable

from flows.report.disclosed_checks import verdict_line
from flows.report.dossier import VerdictLine
from validation.disclosure import Profile
from validation.disclosure.response import Endings, response_measured
from validation.response import APART, RESPONSE, response_code
from validation.verdict import Verdict


def response_verdicts(
    verdicts: tuple[Verdict, ...], endings: Endings, few: frozenset[int], profile: Profile
) -> tuple[VerdictLine, ...]:
    """The verdicts on response; at the days `few` few of a group answered."""
    return tuple(
        verdict_line(verdict, response_measured(verdict, verdicts, endings, few, profile), profile)
        for verdict in verdicts
    )


def response_words(failing: Iterable[Verdict], days: tuple[int, ...]) -> str:
    """What a number that rests on ratings of these days has to say of who answered; empty where nothing failed.

    >>> from validation.verdict import at_least
    >>> failing = [at_least("estimate.response.day_90", 0.1, 0.5, "share who answered")]
    >>> response_words(failing, (30, 90)), response_words(failing, ()), response_words([], (90,))
    ('too few ratings at day 90', '', '')
    """
    said = {  # a dict keeps the order
        f"{words} at day {day}": None
        for day in days
        for words, code in (("too few ratings", RESPONSE), ("unlike ratings", APART))
        for verdict in failing
        if verdict.code == response_code(code, day)
    }
    return "; ".join(said)
