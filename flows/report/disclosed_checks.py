"""Judgements as lines of a dossier: a figure that may not be shown is withheld with its reason, and still judged."""

from __future__ import annotations

from collections.abc import Collection

from causal.records import Design
from flows.report.dossier import QualityLine, VerdictLine
from flows.report.quality_page import render_quality_page
from validation.disclosure import Disclosed, FlowStep, Profile
from validation.disclosure.verdicts import design_measured, disclose_rows, extract_measured
from validation.verdict import Verdict


def verdict_line(verdict: Verdict, measured: Disclosed, profile: Profile) -> VerdictLine:
    """A verdict with its figure, or with the reason it is withheld; the judgement and the limit stay."""
    return VerdictLine(
        code=verdict.code,
        status=str(verdict.status),
        sentence=verdict.sentence,
        measured=measured.value,
        limit=verdict.limit,
        side="" if verdict.side is None else str(verdict.side),
        withheld="" if measured.why is None else measured.why.sentence(profile.threshold),
    )


def design_verdict(
    verdict: Verdict, design: Design, flow: tuple[FlowStep, ...], withheld: Collection[str], profile: Profile
) -> VerdictLine:
    """A verdict on a design of which a flow is shown, and the balance of all facts but those `withheld`."""
    return verdict_line(verdict, design_measured(verdict, design, flow, withheld, profile), profile)


def extract_verdicts(
    verdicts: tuple[Verdict, ...], rows: dict[str, int], set_aside: dict[str, int], profile: Profile
) -> tuple[VerdictLine, ...]:
    """The verdicts on an extract as shown."""
    shown = disclose_rows(rows, set_aside, profile)
    return tuple(
        verdict_line(verdict, extract_measured(verdict, rows, set_aside, shown, profile), profile)
        for verdict in verdicts
    )


def quality_page(
    verdicts: tuple[Verdict, ...], rows: dict[str, int], set_aside: dict[str, int], threshold: int, about: str
) -> bytes:
    """The data-quality page of an extract; `about` names it."""
    profile = Profile(threshold=threshold)
    return render_quality_page(
        quality_lines(rows, set_aside, profile),
        extract_verdicts(verdicts, rows, set_aside, profile),
        threshold,
        about=about,
    )


def quality_lines(rows: dict[str, int], set_aside: dict[str, int], profile: Profile) -> tuple[QualityLine, ...]:
    """Rows delivered and set aside by table, small counts withheld; `set_aside` counts by reason code."""
    return tuple(
        QualityLine(table=table, rows=told.rows, set_aside=told.set_aside, reasons=tuple(told.reasons.items()))
        for table, told in disclose_rows(rows, set_aside, profile).items()
    )
