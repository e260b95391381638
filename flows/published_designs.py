"""Finding published designs again: what an approver signs, and what `rapport status` lists."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from causal.errors import ApprovalError
from flows.store import SHORT, Store, file_sha256, intact
from validation.approval import DesignIdentity

IDENTITY = "identity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDesign:
    """One design on file."""

    digest: str
    approved: bool
    failed: tuple[str, ...]
    damaged: bool = False
    """Its files are no longer those that were published; only the beginning of its digest is known, from its folder."""


def identity_json(identity: DesignIdentity, failed: list[str]) -> bytes:
    """What is written beside a design's dossier for its approver."""
    facts = {"identity": dataclasses.asdict(identity), "failed": failed}
    return json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n"


def find_design(store: Store, beginning: str) -> tuple[DesignIdentity, list[str]]:
    """The one intact published design whose digest begins so, and the codes of its failed checks."""
    named = len(beginning) >= 6 and set(beginning) <= set("0123456789abcdef")
    found = (store.root / "designs").glob(f"{beginning[:SHORT]}*") if named else ()
    folders = [path for path in found if intact(path)]
    if len(folders) != 1:
        raise ApprovalError(
            "approval.which_design",
            f"'{beginning[:SHORT]}' names {len(folders)} published designs of this study, expected one",
            fix="give at least six characters of a digest listed by 'rapport status'",
        )
    facts = json.loads((folders[0] / IDENTITY).read_bytes())
    try:
        identity = DesignIdentity(**facts["identity"])
    except TypeError:
        raise ApprovalError(
            "approval.other_version",
            f"design {folders[0].name} was published by another version of Rapport",
            fix="run 'rapport design' again",
        ) from None
    read = file_sha256(folders[0] / "report.html")
    if identity.design_digest[:SHORT] != folders[0].name or identity.report_sha256 != read:
        raise ApprovalError(
            "approval.design_altered",
            "the design's identity is not that of its folder and page",
            fix="delete the folder and run 'rapport design' again",
        )
    if not identity.design_digest.startswith(beginning):
        raise ApprovalError(
            "approval.which_design",
            f"no published design of this study has the digest {beginning!r}",
            fix="copy a digest listed by 'rapport status'",
        )
    return identity, facts["failed"]


def list_designs(store: Store) -> list[PublishedDesign]:
    """Every published design, by digest."""
    return [_listed(store, folder) for folder in sorted((store.root / "designs").glob("[0-9a-f]*"))]


def _listed(store: Store, folder: Path) -> PublishedDesign:
    approved = (store.root / "approvals" / f"{folder.name}.json").is_file()
    if not intact(folder):
        return PublishedDesign(digest=folder.name, approved=approved, failed=(), damaged=True)
    facts = json.loads((folder / IDENTITY).read_bytes())
    return PublishedDesign(digest=facts["identity"]["design_digest"], approved=approved, failed=tuple(facts["failed"]))
