"""The data-quality page: is this extract fit to use? Same look and same rules as the report."""

from __future__ import annotations

from collections.abc import Sequence

from flows.report.document import Block, Callout, Document, Paragraph, Section, numbered, printable
from flows.report.dossier import QualityLine, VerdictLine
from flows.report.html import render_html
from flows.report.tables import quality_table, verdict_table
from validation.verdict import Verdict


def render_quality_page(
    lines: Sequence[QualityLine],
    verdicts: Sequence[VerdictLine | Verdict],
    threshold: int,
    *,
    title: str = "Quality of the data delivered",
    about: str = "",
    synthetic: bool = False,
) -> bytes:
    """One self-contained HTML page from disclosed counts and the verdicts on the extract.

    `about` says which extract (its date and digest); the figures in `verdicts` must be disclosed already.
    """
    sections = (
        Section(anchor="in-short", title="In short", blocks=_summary(verdicts, about)),
        Section(anchor="checks", title="The checks, and how they came out", blocks=(verdict_table(verdicts),)),
        Section(anchor="rows", title="Rows delivered, and rows set aside", blocks=(quality_table(lines, threshold),)),
    )
    document = Document(
        title=title,
        subtitle="Is this extract fit to use?",
        banner="SYNTHETIC RECORDS: made to test the method; no real patient." if synthetic else "",
        footer=about,
        contents=False,
        sections=numbered(sections),
    )
    return render_html(printable(document), {})


def _summary(verdicts: Sequence[VerdictLine | Verdict], about: str) -> tuple[Block, ...]:
    failing = sum(v.status == "FAIL" for v in verdicts)
    missing = sum(v.status == "NOT EVALUATED" for v in verdicts)
    passed = len(verdicts) - failing - missing
    lead = "The extract may be used." if verdicts and not failing else "The extract may not be used as it is."
    text = f"Of {len(verdicts)} checks, {passed} passed, {failing} failed and {missing} could not be run."
    return (
        Callout(tone="caution" if failing or not verdicts else "answer", paragraphs=(Paragraph(lead=lead, text=text),)),
        *([Paragraph(lead="The extract.", text=about)] if about else []),
    )
