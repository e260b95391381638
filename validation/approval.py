"""Does this approval cover this design? Asked before outcomes are opened, and answered with every reason at once."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass

from causal.errors import ApprovalError
from causal.protocol.approval import Approval, Decision
from validation.verdict import Status, Verdict, failed

SIMULATED_BOARD_SEED = b"rapport: the simulated board"
"""Seed of the simulated board's key. Anyone can sign as the simulated board, which is why only a
rehearsal on records the run itself simulated accepts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignIdentity:
    """What an approval must name: the design, the protocol, the declared tables, the disclosure rule, the page read.

    The design's digest covers the extract, the scoring keys, the verdicts and the code as well.
    """

    study_id: str
    design_digest: str
    protocol_digest: str
    tables_digest: str
    small_cell_threshold: int
    report_sha256: str
    """Of the dossier page the board read."""
    rehearsal: bool
    """Synthetic records made for this very run: the only case in which the simulated board may sign."""


def signed_bytes(decision: Decision) -> bytes:
    """The bytes a signature covers: canonical JSON of the decision."""
    return json.dumps(decision.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()


def judge_approval(
    approval: Approval,
    *,
    design: DesignIdentity,
    verdicts: Collection[Verdict],
    trusted_keys: Collection[str],
    simulated_key: str,
    today: str,
) -> tuple[Verdict, ...]:
    """One verdict per condition an approval must meet. `today` is an ISO date; keys are base64 raw Ed25519."""
    decision = approval.decision
    named = set(decision.accepted_failures)
    unaccepted = [verdict.code for verdict in failed(verdicts) if verdict.code not in named]
    trusted = (
        design.rehearsal and approval.public_key == simulated_key
        if decision.simulated
        else approval.public_key in trusted_keys
    )
    checks = (
        ("approval.signature", _signature_holds(approval), "the signature does not match the decision"),
        (
            "approval.trusted",
            trusted,
            "the simulated board can only approve synthetic records made for the run itself"
            if decision.simulated
            else "the signing key is not one of the site's approvers",
        ),
        ("approval.study", decision.study_id == design.study_id, "it approves another study"),
        ("approval.design", decision.design_digest == design.design_digest, "it approves another design"),
        ("approval.protocol", decision.protocol_digest == design.protocol_digest, "the protocol has changed since"),
        ("approval.tables", decision.tables_digest == design.tables_digest, "the declared tables have changed since"),
        (
            "approval.disclosure",
            decision.small_cell_threshold == design.small_cell_threshold,
            "it was given under another small-cell threshold",
        ),
        ("approval.report", decision.report_sha256 == design.report_sha256, "another dossier page was read"),
        ("approval.expiry", today <= decision.expires, "it has expired"),
        ("approval.failures", not unaccepted, f"it does not accept these failed checks: {', '.join(unaccepted)}"),
    )
    return tuple(
        Verdict(code=code, status=Status.PASS if holds else Status.FAIL, sentence="holds" if holds else problem)
        for code, holds, problem in checks
    )


def check_can_open_outcomes(verdicts: Collection[Verdict]) -> None:
    """Raise `ApprovalError` with every reason unless all of `judge_approval`'s verdicts pass."""
    problems = failed(verdicts)
    if problems:
        raise ApprovalError(
            problems[0].code,
            "outcomes stay closed: " + "; ".join(problem.sentence for problem in problems),
            fix="have this design approved with 'rapport approve'",
        )


def _signature_holds(approval: Approval) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(approval.public_key))
        key.verify(base64.b64decode(approval.signature), signed_bytes(approval.decision))
    except (InvalidSignature, ValueError):
        return False
    return True
