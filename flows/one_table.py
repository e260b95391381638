"""A study of one table on the road that every study takes: design, dossier, approval where it is needed, release.

The first half sees no outcome. Its design, checks and page stand under a digest, which a board signs where the table
is not public; the second half opens outcomes, and what leaves has been through disclosure.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from causal.effect.flat_design import FlatDesign, design_flat_table
from causal.effect.flat_extremes import farthest, measured
from causal.effect.flat_finding import flat_finding
from causal.effect.flat_placebo import placebo_effects
from causal.effect.flat_table import answer_flat_table, flat_method
from causal.effect.long_table.run import LongDesign, analyse_long_table, design_long_table, without_outcomes
from causal.effect.secondary.finding import Finding
from causal.errors import ExtractError, RapportError
from causal.protocol import FlatTableStudy, LongTableStudy
from causal.protocol.approval import Approval
from causal.protocol.flat_table import FileData
from causal.protocol.governance import outcomes_closed
from causal.protocol.long_table import Visits, plain
from flows.approvals import find_approval, fingerprint, simulated_public_key
from flows.code_version import code_version
from flows.connectors.flat import read_flat
from flows.connectors.flat_cells import roles_in_long, roles_of
from flows.published_designs import IDENTITY, identity_json
from flows.report.decided import decided
from flows.report.dossier import ApprovalLine
from flows.report.table_dossier import (
    TableDossier,
    TableProvenance,
    check_lines,
    finding_lines,
    governance_lines,
    governance_of,
)
from flows.report.table_pages import render_table
from flows.settings import Site
from flows.store import MANIFEST, OPENED, SHORT, Store, digest_of, file_sha256, intact, looks, looks_before
from flows.study_file import load_study
from flows.study_file.places import placed, refuse_failed
from flows.workspace import instruments_beside, site_and_results, store_of
from validation.approval import DesignIdentity, check_can_open_outcomes, judge_approval
from validation.disclosure import Profile
from validation.disclosure.one_table import TableGroups, disclose_balance, sizes_of
from validation.flat_result import judge_flat_design, judge_flat_result
from validation.long_result import judge_long_design, judge_long_result
from validation.protocol import judge_protocol
from validation.verdict import Verdict, failed

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn")
TableStudy = FlatTableStudy | LongTableStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWork:
    """One study of one table at one site."""

    study: TableStudy
    study_file: Path
    protocol_digest: str
    site: Site
    store: Store
    say: Callable[[str], None]

    @property
    def profile(self) -> Profile:
        """What may leave."""
        return Profile(threshold=governance_of(self.study)[0].small_cells.threshold)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedTable:
    """A published design of one table.

    Attributes
    ----------
    design, verdicts, groups
        The design, every judgement on it, and who stands behind its numbers.
    table
        Digest of the table's file (or of the package that holds it).
    digest, folder, report_sha256
        Of the design; where its dossier stands; of the page a board reads.
    """

    design: FlatDesign | LongDesign
    verdicts: tuple[Verdict, ...]
    groups: TableGroups
    table: str
    digest: str
    folder: Path
    report_sha256: str

    def identity(self, work: TableWork) -> DesignIdentity:
        """What an approval of this design must name."""
        return DesignIdentity(
            study_id=work.study.study.id,
            design_digest=self.digest,
            protocol_digest=work.protocol_digest,
            tables_digest=digest_of(work.study.columns.model_dump(mode="json")),
            small_cell_threshold=work.profile.threshold,
            report_sha256=self.report_sha256,
            rehearsal=False,
        )


def open_table(
    study: Path, *, say: Callable[[str], None], site: Path | None = None, results: Path | None = None
) -> TableWork | None:
    """The work on a study of one table that declares its governance; None for a study of another kind.

    Raises
    ------
    StudyFileError
        A file cannot be accepted; ``study.governance`` for a table that declares none.
    """
    loaded = load_study(study, instruments=instruments_beside(study) or None)
    if not isinstance(loaded.study, TableStudy):
        return None
    _, store = store_of(study, site=site, results=results)
    return TableWork(
        study=loaded.study,
        study_file=study,
        protocol_digest=loaded.digest,
        site=site_and_results(study, site, results)[0],
        store=store,
        say=say,
    )


def design_table(work: TableWork) -> JudgedTable:
    """Read, leave outcomes out, design, judge, publish the dossier.

    Raises
    ------
    StudyFileError
        The study fails a check of `rapport check`: nothing is read then.
    RapportError
        The table cannot be read or designed; told with the line of the study file where it has one.
    """
    governance_of(work.study)
    refuse_failed(work.study_file, judge_protocol(work.study, {}))
    try:
        frame, table = read(work)
        design, groups, verdicts = _designed(work.study, frame)
    except RapportError as refusal:
        raise placed(refusal, work.study_file) from None
    digest = digest_of(
        hashlib.sha256(b"\0".join(design.content)).hexdigest(),
        table,
        work.protocol_digest,
        code_version(),
        work.profile.threshold,
        [(verdict.code, verdict.status, verdict.measured, verdict.limit) for verdict in verdicts],
    )
    folder = work.store.root / "designs" / digest[:SHORT]
    judged = JudgedTable(
        design=design, verdicts=verdicts, groups=groups, table=table, digest=digest, folder=folder, report_sha256=""
    )
    problems = [verdict.code for verdict in failed(verdicts)]
    if not intact(folder):
        _publish(work, judged, problems)
    work.store.record("design", design=digest, extract=table, failed=problems)
    work.say(f"design {digest[:SHORT]}: {len(problems)} failed checks")
    return _with_page(judged)


def estimate_table(work: TableWork, judged: JudgedTable) -> tuple[Path, bool]:
    """Open outcomes where they may be, answer, judge, disclose, publish; gives the release, and whether it is new.

    Raises
    ------
    ApprovalError
        The table is not public and no approval holds.
    ExtractError
        ``flat.changed``: the table is not the one the design was made from.
    """
    approval = _approval(work, judged) if outcomes_closed(work.study.governance) else None
    digest = digest_of(judged.digest, approval and approval.model_dump(mode="json"), code_version())
    standing = next((one for one in work.store.releases() if one.name.endswith(digest[:SHORT]) and intact(one)), None)
    if standing:
        work.say(f"unchanged: release {standing.name}")
        return standing, False
    try:
        frame, table = read(work)
    except RapportError as refusal:
        raise placed(refusal, work.study_file) from None
    if table != judged.table:
        raise ExtractError(
            "flat.changed", "the table was replaced while it was read", fix="run it again from the design"
        )
    work.store.append(OPENED, design=judged.digest)
    try:
        findings, groups, verdicts = _answered(work.study, judged, frame)
    except RapportError as refusal:
        raise placed(refusal, work.study_file) from None
    number = 1 + max((int(path.name.split("-")[0]) for path in work.store.releases()), default=0)
    folder = work.store.root / "releases" / f"{number}-{digest[:SHORT]}"
    seen = looks(work.store.entries())
    dossier = _dossier(work, judged, groups, verdicts, findings, _line_of(work, approval), seen)
    _write(work, folder, dossier)
    work.store.record("release", release=folder.name, design=judged.digest, manifest=file_sha256(folder / MANIFEST))
    work.say(f"published release {folder.name}")
    return folder, True


def read(work: TableWork) -> tuple[pd.DataFrame, str]:
    """The table and its digest, the file's bytes being the same before and after it was read."""
    study = work.study
    roles = roles_of(study) if isinstance(study, FlatTableStudy) else roles_in_long(study)
    if not isinstance(study.data, FileData):
        frame = read_flat(study.data, roles, work.study_file)
        return frame, digest_of(study.data.package, importlib.metadata.version(study.data.package), study.data.item)
    path = work.study_file.parent.resolve() / study.data.path
    before = file_sha256(path) if path.is_file() else ""
    frame = read_flat(study.data, roles, work.study_file)
    if file_sha256(path) != before:
        raise ExtractError("flat.changed", "the table was replaced while it was read", fix="run it again")
    return frame, before


def _designed(
    study: TableStudy, frame: pd.DataFrame
) -> tuple[FlatDesign | LongDesign, TableGroups, tuple[Verdict, ...]]:
    """The design from everything but outcomes, who stands behind its numbers, and the judgements on it."""
    if isinstance(study, FlatTableStudy):
        flat = design_flat_table(frame.drop(columns=study.columns.outcome, errors="ignore"), study)
        found = flat.diagnostics()
        used = (found.treated.rows, found.comparison.rows)
        return flat, _groups_of(flat, used), judge_flat_design(found, flat.estimand, study.gates)
    people = design_long_table(without_outcomes(frame, study), study)
    groups = TableGroups(
        columns=people.facts.columns,
        treated=people.treated,
        sizes=people.people,
        used=people.people,
        focal=sum(people.people),
    )
    return people, groups, judge_long_design(people, study)


def _groups_of(design: FlatDesign, used: tuple[int, int]) -> TableGroups:
    treated = design.table.treated
    focal = {"ATT": int(treated.sum()), "ATC": int((~treated).sum())}.get(design.estimand[:3], treated.size)
    sizes = int(treated.sum()), int((~treated).sum())
    return TableGroups(columns=design.covariates, treated=treated, sizes=sizes, used=used, focal=focal)


def _answered(
    study: TableStudy, judged: JudgedTable, frame: pd.DataFrame
) -> tuple[tuple[Finding, ...], TableGroups, tuple[Verdict, ...]]:
    """What is found once outcomes are open, by the design that was made before."""
    design = judged.design
    if isinstance(study, FlatTableStudy):
        assert isinstance(design, FlatDesign)
        result = answer_flat_table(design, frame, study)
        placebos = placebo_effects(frame, study)
        far = farthest(frame, measured(study))
        verdicts = judge_flat_result(result, placebos, gates=study.gates, known=study.known_effect, far=far)
        used = (result.diagnostics.treated.rows, result.diagnostics.comparison.rows)
        own = _groups_of(design, used)
        return (flat_finding(result),), dataclasses.replace(own, known=(own.sizes,)), verdicts
    assert isinstance(design, LongDesign)
    # The balance a board was shown is the one that is judged: of spells, the first of each person.
    found = dataclasses.replace(analyse_long_table(frame, study), balance=design.balance)
    one, other = found.people
    groups = TableGroups(
        columns=judged.groups.columns,
        treated=judged.groups.treated,
        sizes=judged.groups.sizes,  # as in the dossier: another count would tell how many began treatment later
        used=found.people,
        focal=sum(found.people),
        known=tuple((round(at.treated * one), round(at.comparison * other)) for at in found.response),
    )
    return found.findings, groups, judge_long_result(found, study)


def _approval(work: TableWork, judged: JudgedTable) -> Approval:
    """The approval on file; raises `ApprovalError` with every reason for which it does not hold."""
    approval = find_approval(work.store, judged.digest)
    check_can_open_outcomes(
        judge_approval(
            approval,
            design=judged.identity(work),
            verdicts=judged.verdicts,
            trusted_keys={approver.public_key for approver in work.site.approvers},
            simulated_key=simulated_public_key(),
            today=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )
    )
    return approval


def _line_of(work: TableWork, approval: Approval | None) -> ApprovalLine | None:
    """Who approved, as the site says."""
    if approval is None:
        return None
    known = next((one for one in work.site.approvers if one.public_key == approval.public_key), None)
    return ApprovalLine(
        approver=known.name if known else approval.decision.approver,
        role=known.role.replace("_", " ") if known else approval.decision.role,
        simulated=approval.decision.simulated,
        accepted_failures=approval.decision.accepted_failures,
        key_fingerprint=fingerprint(approval.public_key),
    )


def _publish(work: TableWork, judged: JudgedTable, problems: list[str]) -> None:
    """Write the dossier that a board reads, with what its approver signs."""
    before = looks_before(work.store, judged.digest)
    dossier = _dossier(work, judged, judged.groups, judged.verdicts, (), None, before)
    pages = render_table(dossier)
    identity = dataclasses.replace(judged, report_sha256=hashlib.sha256(pages["report.html"]).hexdigest()).identity(
        work
    )
    with work.store.publishing(judged.folder) as staging:
        for name, content in pages.items():
            (staging / name).write_bytes(content)
        (staging / IDENTITY).write_bytes(identity_json(identity, problems))


def _write(work: TableWork, folder: Path, dossier: TableDossier) -> None:
    with work.store.publishing(folder) as staging:
        for name, content in render_table(dossier).items():
            (staging / name).write_bytes(content)


def _with_page(judged: JudgedTable) -> JudgedTable:
    return dataclasses.replace(judged, report_sha256=file_sha256(judged.folder / "report.html"))


def _dossier(
    work: TableWork,
    judged: JudgedTable,
    groups: TableGroups,
    verdicts: tuple[Verdict, ...],
    findings: tuple[Finding, ...],
    approval: ApprovalLine | None,
    seen: int,
) -> TableDossier:
    study, design, profile = work.study, judged.design, work.profile
    governance, report = governance_of(study)
    treated, comparison = sizes_of(groups, profile)
    rows, adjusted, worst = _balance_of(design)
    return TableDossier(
        study_id=study.study.id,
        title=study.study.title,
        question=study.study.question,
        why_no_trial=study.study.why_no_trial,
        registered=study.study.registered,
        synthetic=governance.data_class == "synthetic",
        opens_after_approval=outcomes_closed(governance),
        what=_what(study),
        method=_method(study, design),
        treated=treated,
        comparison=comparison,
        units=_units(study),
        balance=disclose_balance(rows, groups, profile),
        adjusted=adjusted,
        fates=tuple(
            (one.name, f"{one.fate} with {', '.join(one.determined_by)}" if one.determined_by else str(one.fate))
            for one in (design.fates if isinstance(design, FlatDesign) else design.facts.fates)
        ),
        notes=() if findings or isinstance(design, LongDesign) else design.notes,
        planned=_planned(study),
        verdicts=check_lines(verdicts, groups, worst, profile),
        findings=finding_lines(findings, groups.used, profile),
        main=_main_row(study, findings),
        approval=approval,
        decided=decided(study, {}),
        governance=governance_lines(governance, profile),
        limitations=report.limitations,
        cannot_say=report.cannot_say,
        threshold=profile.threshold,
        provenance=TableProvenance(
            protocol_digest=work.protocol_digest,
            table_digest=judged.table,
            design_digest=judged.digest,
            code_version=code_version(),
            packages=tuple((name, importlib.metadata.version(name)) for name in ("rapport", *PACKAGES)),
        ),
        looks=seen,
    )


def _balance_of(design: FlatDesign | LongDesign) -> tuple[list[tuple[str, float, float | None]], bool, str | None]:
    """Balance by column as it may be named, whether something adjusts before the answer, and the worst column."""
    if isinstance(design, LongDesign):
        rows: list[tuple[str, float, float | None]] = [(name, smd, None) for name, smd in design.balance]
        return rows, False, max(rows, key=lambda row: abs(row[1]))[0] if rows else None
    adjusted = design.compared is not None
    plain = dict(zip(design.covariates.names, design.covariates.plain, strict=True))
    rows = [(plain[row.name], row.smd_before, row.smd_after if adjusted else None) for row in design.balance]
    return rows, adjusted, max(rows, key=lambda row: abs(row[2] if row[2] is not None else row[1]))[0]


def _main_row(study: TableStudy, findings: tuple[Finding, ...]) -> int:
    """The number that answers the question: of several visits the one declared, else the last."""
    if isinstance(study, FlatTableStudy) or not findings or not isinstance(study.columns, Visits):
        return 0
    at = getattr(study.analyses[0], "at", None)
    wanted = plain(study.columns.visits[-1] if at is None else at)
    labels = [line.label for line in findings[0].lines]
    mine = [k for k, label in enumerate(labels) if label.startswith("visit ") and plain(label[6:]) == wanted]
    return mine[0] if mine else 0


def _units(study: TableStudy) -> str:
    """What the sizes of the groups count."""
    if isinstance(study, FlatTableStudy):
        return "rows"
    if isinstance(study.columns, Visits):
        return "people"
    return "people by their first spell"


def _what(study: TableStudy) -> str:
    """What a row is and how people came to be treated."""
    columns = study.columns
    treated = 1 if columns.treated_value is None else columns.treated_value
    arm = f"Treated are those whose {columns.treatment} is {treated}."
    if isinstance(study, FlatTableStudy):
        return f"One row for each unit. {arm} The outcome is {study.columns.outcome}."
    how = {
        "by_lot": "People were treated by lot.",
        "by_choice": "People were treated by choice: nothing but the covariates makes the groups comparable.",
        "not_assigned": "Nobody was assigned: groups are described, and nothing is said of causes.",
    }[study.assigned]
    if isinstance(study.columns, Visits):
        visits = ", ".join(study.columns.labels)
        return f"One row for each person and visit; compared are the visits {visits}. {arm} {how}"
    return f"One row for each person and spell of follow-up. {arm} {how}"


def _method(study: TableStudy, design: FlatDesign | LongDesign) -> str:
    if isinstance(study, FlatTableStudy):
        assert isinstance(design, FlatDesign)
        method = flat_method(study.analysis)
        return f"Whose effect: {design.estimand}. How: {method}."
    return "Nothing is matched or weighted: each analysis adjusts for the covariates in its own model."


def _planned(study: TableStudy) -> tuple[tuple[str, str], ...]:
    if isinstance(study, FlatTableStudy):
        method = flat_method(study.analysis)
        return (("main", f"{method[:1].upper()}{method[1:]}, with {study.analysis.level:.0%} intervals"),)
    return tuple(
        (one.name, (type(one).__doc__ or "").split("\n\n")[0].replace("\n    ", " ")) for one in study.analyses
    )
