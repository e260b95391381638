"""Who answered, as it may be shown: in coarse steps, and withheld with the shares who ended treatment."""

from __future__ import annotations

from causal.effect.response import Response
from causal.records import Design
from flows.report.dossier import Results, VerdictLine
from validation.disclosure import disclose_count, percent_step
from validation.verdict import Verdict

STEP = 5
"""Percent: the finest in which a share of those who answered is shown."""


def endings_are_told(results: Results) -> bool:
    """Whether the shares who ended treatment are shown."""
    return results.termination.mean_treated is not None


def few_rated(responses: tuple[Response, ...], threshold: int) -> frozenset[int]:
    """Days at which a group gave so few ratings that a share would tell about how many; nobody is not few."""
    return frozenset(one.day for one in responses if any(disclose_count(n, threshold) is None for n in one.n_rated))


def response_verdicts(
    verdicts: tuple[Verdict, ...], design: Design, *, told: bool, few: frozenset[int]
) -> tuple[VerdictLine, ...]:
    """The verdicts on response; a figure is rounded to steps that each fit several counts, or withheld.

    How many were still in treatment at a day need not be shown, so the step is that of half the smaller group. Figures
    of the days `few` are withheld.
    """
    hidden = tuple(f".day_{day}" for day in few)
    step = max(STEP, percent_step(max(min(design.n_treated, design.n_comparison) // 2, 1))) / 100
    return tuple(
        VerdictLine(
            code=verdict.code,
            status=str(verdict.status),
            sentence=verdict.sentence,
            measured=None
            if not told or verdict.measured is None or verdict.code.endswith(hidden)
            else round(verdict.measured / step) * step,
            limit=verdict.limit,
        )
        for verdict in verdicts
    )
