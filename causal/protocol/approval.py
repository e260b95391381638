"""A decision to open outcomes: what is signed, and by whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import STUDY_ID_PATTERN, Part, Sentence

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{40,100}={0,2}$")]


class Decision(Part):
    """What the approver signs: this design of this study, under these rules, until this day."""

    schema_version: Literal["rapport-approval/1"]
    study_id: Annotated[str, Field(pattern=STUDY_ID_PATTERN)]
    design_digest: Hex
    protocol_digest: Hex
    tables_digest: Hex
    """Digest of the declared tables, so that an approval does not outlive a change of what the columns mean."""
    small_cell_threshold: int = Field(ge=2, le=100)
    report_sha256: Hex
    """Of the dossier page (report.html) that was read."""
    approver: Sentence
    role: Sentence
    accepted_failures: tuple[str, ...] = ()
    """Codes of failed verdicts the approver accepts."""
    expires: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    simulated: bool
    """Signed by the simulated board, whose key is public: valid for records simulated by the run itself only."""


class Approval(Part):
    """A decision with its Ed25519 signature over the decision's canonical JSON."""

    decision: Decision
    public_key: Base64
    signature: Base64
