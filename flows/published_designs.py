"""Finding published designs again: what an approver signs, and what `rapport status` lists."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

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
    identity = DesignIdentity(**facts["identity"])
    read = file_sha256(folders[0] / "report.html")
    if identity.design_digest[:SHORT] != folders[0].name or identity.report_sha256 != read:
        raise ApprovalError(
            "approval.design_altered",
            "the design's identity is not that of its folder and page",
            fix="delete the folder and run 'rapport design' again",
        )
    return identity, facts["failed"]


def list_designs(store: Store) -> list[PublishedDesign]:
    """Every published design, by digest."""
    found = []
    for path in sorted((store.root / "designs").glob(f"*/{IDENTITY}")):
        facts = json.loads(path.read_bytes())
        digest = facts["identity"]["design_digest"]
        approved = (store.root / "approvals" / f"{digest[:SHORT]}.json").is_file()
        found.append(PublishedDesign(digest=digest, approved=approved, failed=tuple(facts["failed"])))
    return found
