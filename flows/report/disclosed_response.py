"""Who answered, as it may be shown: in coarse steps, and withheld with the shares who ended treatment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from causal.effect.response import Response
from causal.records import Design
from flows.report.disclosed_checks import verdict_line
from flows.report.dossier import Results, VerdictLine
from validation.disclosure import disclose_count, percent_step
from validation.response import APART, RESPONSE, response_code
from validation.verdict import Verdict
from validation.withholding import Withheld

STEP = 5
"""Percent: the finest in which a share of those who answered is shown."""


def endings_are_told(results: Results) -> bool:
    """Whether the shares who ended treatment are shown."""
    return results.termination.mean_treated is not None


def few_rated(responses: tuple[Response, ...], threshold: int) -> frozenset[int]:
    """Days at which a group gave so few ratings that a share would tell about how many; nobody is not few."""
    return frozenset(one.day for one in responses if any(disclose_count(n, threshold) is None for n in one.n_rated))


def response_verdicts(
    verdicts: tuple[Verdict, ...], design: Design, threshold: int, *, told: bool, few: frozenset[int]
) -> tuple[VerdictLine, ...]:
    """The verdicts on response; a figure is rounded to steps that each fit several counts, or withheld.

    How many were still in treatment at a day need not be shown, so the step is that of half the smaller group. Figures
    of the days `few` are withheld, and all of them where the endings are not `told`.
    """
    step = max(STEP, percent_step(max(min(design.n_treated, design.n_comparison) // 2, 1))) / 100

    def line(verdict: Verdict) -> VerdictLine:
        why = response_withheld(told=told, few=_of_days(verdict, few))
        if verdict.measured is None or why is not None:
            return verdict_line(verdict, None if verdict.measured is None else why, threshold)
        return verdict_line(replace(verdict, measured=round(verdict.measured / step) * step), None, threshold)

    return tuple(line(verdict) for verdict in verdicts)


def response_withheld(*, told: bool, few: bool) -> Withheld | None:
    """Why a share of those who answered may not be shown: the endings it is taken of are not, or few rated."""
    if not told:
        return Withheld.WITH_ENDINGS
    return Withheld.FEW_RATED if few else None


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


def _of_days(verdict: Verdict, days: frozenset[int]) -> bool:
    return any(verdict.code.endswith(f".day_{day}") for day in days)
