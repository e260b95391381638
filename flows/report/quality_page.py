"""The data-quality page: is this extract fit to use? Same look and same rules as the report."""

from __future__ import annotations

from flows.report.document import Callout, Document, Paragraph, Section, numbered, printable
from flows.report.dossier import QualityLine, VerdictLine
from flows.report.html import render_html
from flows.report.wording import quality_table, verdict_table


def render_quality_page(
    *,
    title: str,
    lines: tuple[QualityLine, ...],
    verdicts: tuple[VerdictLine, ...],
    threshold: int,
    extract_as_of: str,
    extract_digest: str,
    synthetic: bool,
) -> bytes:
    """One self-contained HTML page from disclosed counts and the verdicts on the extract."""
    sections = [
        Section(anchor="in-short", title="In short", blocks=(Callout(tone="answer", paragraphs=(_answer(verdicts),)),)),
        Section(anchor="checks", title="The checks, and how they came out", blocks=(verdict_table(verdicts),)),
        Section(anchor="rows", title="Rows delivered, and rows set aside", blocks=(quality_table(lines, threshold),)),
        Section(anchor="provenance", title="The extract", blocks=(Paragraph(text=f"As of {extract_as_of}. Digest {extract_digest}."),)),
    ]
    document = Document(
        title=title,
        subtitle="Is this extract fit to use?",
        banner="SYNTHETIC RECORDS: made to test the method. No real patient is described." if synthetic else "",
        footer=f"extract {extract_digest[:12]}",
        contents=False,
        sections=numbered(sections),
    )
    return render_html(printable(document), {})


def _answer(verdicts: tuple[VerdictLine, ...]) -> str:
    failing = sum(v.status == "FAIL" for v in verdicts)
    missing = sum(v.status == "NOT EVALUATED" for v in verdicts)
    passed = len(verdicts) - failing - missing
    opening = "The extract may be used." if failing == 0 and verdicts else "The extract may not be used as it is."
    return f"{opening} Of {len(verdicts)} checks, {passed} passed, {failing} failed and {missing} could not be run."
