"""Everything a board reads of a study of one table: disclosed values and words, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass

from causal.effect.secondary.finding import Finding
from causal.protocol import FlatTableStudy, LongTableStudy
from causal.protocol.governance import Governance, Report
from flows.report.disclosed_checks import verdict_line
from flows.report.dossier import ApprovalLine, DecidedGroup, FindingLine, FindingRow, VerdictLine
from validation.disclosure import Count, Profile
from validation.disclosure.lines import Pair, tells_endings
from validation.disclosure.one_table import ColumnShown, TableGroups, disclose_check, disclose_table_line
from validation.disclosure.rounding import rounded
from validation.verdict import Verdict

DECIMALS = {"risk difference": 3, "days": 1}
"""Of numbers on these scales, two of all others: what the pages print, and no digit more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableProvenance:
    """What the numbers were made from and with. No clock: the same inputs give the same bytes."""

    protocol_digest: str
    table_digest: str
    design_digest: str
    code_version: str
    packages: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDossier:
    """Everything a board reads of one table. `findings` are empty before approval."""

    study_id: str
    title: str
    question: str
    why_no_trial: str
    registered: str
    synthetic: bool
    opens_after_approval: bool
    """Whether outcomes are opened only once a board has approved."""
    what: str
    """What a row is, and how people came to be treated, in a sentence."""
    method: str
    """How groups are made comparable, or why nothing but a model does, in a sentence."""
    treated: Count
    comparison: Count
    units: str
    """What the counts are of: rows or people."""
    balance: tuple[ColumnShown, ...]
    adjusted: bool
    """Whether the balance after adjustment is known before the answer is."""
    fates: tuple[tuple[str, str], ...]
    """Every declared covariate, and what became of it."""
    notes: tuple[str, ...]
    planned: tuple[tuple[str, str], ...]
    """Every analysis by name, and what it is."""
    verdicts: tuple[VerdictLine, ...]
    findings: tuple[FindingLine, ...]
    main: int
    """Which row of the first finding is the main answer, from 0."""
    approval: ApprovalLine | None
    decided: tuple[DecidedGroup, ...]
    governance: tuple[tuple[str, str], ...]
    limitations: tuple[str, ...]
    cannot_say: tuple[str, ...]
    threshold: int
    provenance: TableProvenance
    looks: int
    """How many different designs of this study have had their outcomes opened."""


def to_json(dossier: TableDossier) -> str:
    """The dossier as JSON text, keys sorted; the same dossier gives the same bytes."""
    return json.dumps(dataclasses.asdict(dossier), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def governance_of(study: FlatTableStudy | LongTableStudy) -> tuple[Governance, Report]:
    """What the study says of its records; only a study that says it is published."""
    if study.governance is None or study.report is None:
        raise ValueError("a study that declares no governance is not published")
    return study.governance, study.report


def governance_lines(governance: Governance, profile: Profile) -> tuple[tuple[str, str], ...]:
    """On what basis the table is used."""
    return (
        ("Basis", governance.basis),
        ("How far the records are de-identified", governance.data_class.replace("_", " ")),
        ("Data use agreement", governance.agreement),
        ("Certificate of confidentiality", governance.certificate_of_confidentiality),
        ("Counts that never leave", f"1 to {profile.threshold - 1}"),
    )


def check_lines(
    verdicts: Iterable[Verdict], groups: TableGroups, worst: str | None, profile: Profile
) -> tuple[VerdictLine, ...]:
    """Every check as it may be shown."""
    lines = []
    for verdict in verdicts:
        told, measured = disclose_check(verdict, groups, worst, profile)
        line = verdict_line(told, measured, profile)
        lines.append(line if line.measured is None else dataclasses.replace(line, measured=rounded(line.measured, 3)))
    return tuple(lines)


def finding_lines(findings: Iterable[Finding], sizes: Pair, profile: Profile) -> tuple[FindingLine, ...]:
    """Each finding with every row: its numbers, or the reason for which they are withheld."""
    told: list[Pair] = []
    return tuple(_finding(finding, sizes, told, profile) for finding in findings)


def _finding(finding: Finding, sizes: Pair, told: list[Pair], profile: Profile) -> FindingLine:
    rows: list[FindingRow] = []
    for line in finding.lines:
        shown = disclose_table_line(line, profile, sizes, told)
        digits = DECIMALS.get(line.scale, 2)
        if shown.why is None and line.events is not None and tells_endings(line):
            told.append(line.events)
        rows.append(
            FindingRow(
                label=line.label,
                scale=line.scale,
                value=None if shown.value is None else rounded(shown.value, digits),
                lower=None if shown.lower is None else rounded(shown.lower, digits),
                upper=None if shown.upper is None else rounded(shown.upper, digits),
                level=line.level,
                clustered_by=line.clustered_by,
                withheld="" if shown.why is None else shown.why.sentence(profile.threshold),
            )
        )
    readings = () if any(row.withheld for row in rows) else finding.readings
    return FindingLine(
        analysis=finding.analysis,
        title=finding.title,
        method=finding.method,
        rows=tuple(rows),
        not_evaluated=finding.not_evaluated,
        notes=(*finding.notes, *readings),
    )
