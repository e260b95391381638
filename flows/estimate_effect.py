"""Flow 2: from an approval to a release. Starts only when a signed approval covers the design."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from causal.errors import ExtractError
from causal.protocol.approval import Approval
from flows.approvals import find_approval, simulated_public_key
from flows.code_version import code_version
from flows.design_study import QUALITY_PAGE, JudgedDesign, design_study
from flows.runner import Runner
from flows.shown import shown_path
from flows.stage import Stage
from flows.store import MANIFEST, SHORT, digest_of, file_sha256, intact, looks
from flows.workspace import Workspace
from validation.approval import check_can_open_outcomes, judge_approval

if TYPE_CHECKING:
    from flows.answer import Answer

NAME_THE_TRUTH = "name the truth.parquet that 'rapport simulate' wrote beside this extract"

__all__ = ["Release", "design_and_estimate", "estimate_effect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A published release; `fresh` is False when it stood already."""

    folder: Path
    fresh: bool


def design_and_estimate(ws: Workspace, run: Runner) -> Release:
    """Both flows on one extract; what stands of the first is skipped."""
    return estimate_effect(ws, design_study(ws, run), run)


def estimate_effect(ws: Workspace, judged: JudgedDesign, run: Runner) -> Release:
    """Check the approval, open outcomes, estimate, release; a release that already stands is not made again."""
    approval = run(CHECK_APPROVAL, ws, judged)
    truth = read_truth(ws.truth) if ws.truth else None  # hashed and read as one
    digest = release_digest(judged, approval, truth)
    standing = published(ws, digest)
    if standing:
        return run(LEAVE_STANDING, ws, judged, standing)
    from flows.answer import ESTIMATE, OPEN_OUTCOMES, OTHER_ANALYSES, truth_is_silent

    if truth is not None and not truth_is_silent(ws.study):
        check_truth(truth, judged.design.members["ta_id"])
    opened = run(OPEN_OUTCOMES, ws, judged, approval)
    main = run(ESTIMATE, ws, opened)
    answer = dataclasses.replace(main, findings=run(OTHER_ANALYSES, ws, opened))
    return run(RELEASE, ws, judged, approval, answer, digest, truth)


def read_truth(path: Path) -> bytes:
    """The bytes of the truth file at `path`; raises `ExtractError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExtractError(
            "truth.unreadable", f"{shown_path(path)}: {os.strerror(error.errno or 0).lower()}", fix=NAME_THE_TRUTH
        ) from None


def check_truth(content: bytes, occasions: Iterable[str]) -> None:
    """Raise `ExtractError`, before any outcome is opened, unless `content` is the truth of these occasions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        known = set(pq.read_table(pa.BufferReader(content), columns=["ta_id"]).column("ta_id").to_pylist())
    except (pa.ArrowException, OSError, KeyError):
        known = set()
    if not known.issuperset(occasions):
        what = "is the truth of another extract" if known else "is no truth file"
        raise ExtractError("truth.another", f"the file given with --truth {what}", fix=NAME_THE_TRUTH)


def leave_standing(ws: Workspace, judged: JudgedDesign, folder: Path) -> Release:
    """The release that is there already."""
    _record(ws, judged, folder)
    ws.say(f"unchanged: release {folder.name}")
    return Release(folder=folder, fresh=False)


LEAVE_STANDING = Stage(name="release", run=leave_standing)


def release_digest(judged: JudgedDesign, approval: Approval, truth: bytes | None) -> str:
    """What makes a release: the design, who approved it, the code, and the truth file of a synthetic extract."""
    told = None if truth is None else hashlib.sha256(truth).hexdigest()
    return digest_of(judged.digest, approval.model_dump(mode="json"), code_version(), told)


def published(ws: Workspace, digest: str) -> Path | None:
    """The intact release with this digest, if there is one."""
    return next((p for p in ws.store.releases() if p.name.endswith(digest[:SHORT]) and intact(p)), None)


def open_approval(ws: Workspace, judged: JudgedDesign) -> Approval:
    """The approval on file for this design; raises `ApprovalError` with every reason it does not hold."""
    approval = find_approval(ws.store, judged.digest)
    check_can_open_outcomes(
        judge_approval(
            approval,
            design=judged.identity(ws),
            verdicts=judged.verdicts,
            trusted_keys={approver.public_key for approver in ws.site.approvers},
            simulated_key=simulated_public_key(),
            today=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )
    )
    ws.say(f"{approval.decision.approver} ({approval.decision.role})")
    return approval


CHECK_APPROVAL = Stage(name="check approval", run=open_approval)


def release(
    ws: Workspace, judged: JudgedDesign, approval: Approval, answer: Answer, digest: str, truth_file: bytes | None
) -> Release:
    """Disclose, render and publish."""
    from flows.answer import known_truth
    from flows.report.disclosed import release_dossier
    from flows.report.render import render

    number = 1 + max((int(path.name.split("-")[0]) for path in ws.store.releases()), default=0)
    folder = ws.store.root / "releases" / f"{number}-{digest[:SHORT]}"
    truth = known_truth(ws, judged, answer.outcomes, truth_file) if answer.effects else None
    dossier = release_dossier(
        ws,
        judged,
        approval,
        answer.effects,
        answer.findings,
        truth,
        looks=looks(ws.store.entries()),
        unanswered=answer.unanswered,
        planned=answer.planned,
        response=answer.response,
    )
    with ws.store.publishing(folder) as staging:
        for name, content in render(dossier).items():
            (staging / name).write_bytes(content)
        (staging / QUALITY_PAGE).write_bytes(judged.extract.quality.read_bytes())
    _record(ws, judged, folder)
    ws.say(f"published release {folder.name}")
    return Release(folder=folder, fresh=True)


RELEASE = Stage(name="release", run=release)


def _record(ws: Workspace, judged: JudgedDesign, folder: Path) -> None:
    """Note a release in the ledger, where a run that stopped after publishing it has not."""
    ws.store.record("release", release=folder.name, design=judged.digest, manifest=file_sha256(folder / MANIFEST))
