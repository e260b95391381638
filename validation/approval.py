"""Does this approval cover this design? Asked before outcomes are opened, and answered with every reason at once."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass

from causal.errors import ApprovalError
from causal.protocol.approval import Approval, Decision
from causal.protocol.base import is_day
from causal.spelling import nearest
from causal.tables import LATEST_DATE
from validation.verdict import Status, Verdict, failed

SIMULATED_BOARD_SEED = b"rapport: the simulated board"
"""Seed of the simulated board's key. Anyone can sign as the simulated board, which is why only a
rehearsal on records the run itself simulated accepts it."""


LONGEST_NAME = 200
"""Characters of an approver's name or role, as for those the site file lists."""


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


def check_can_sign(
    *, approver: str, role: str, expires: str, accepted: Collection[str], failures: Collection[str], today: str
) -> None:
    """Raise `ApprovalError` unless a decision in these words can be meant: judged before it is signed and filed.

    Parameters
    ----------
    accepted, failures
        Codes of failed checks that are accepted, and those of the design.
    today
        ISO date.
    """
    for name, text in (("approver", approver), ("role", role)):
        if len(text) > LONGEST_NAME or not text.isprintable() or not text.strip():
            raise ApprovalError(
                "approval.name",
                f"the {name} is not text of 1 to {LONGEST_NAME} printable characters",
                fix=f"write it out after --{name}, as the report shall print it",
            )
    if not is_day(expires) or not today <= expires <= LATEST_DATE:
        raise ApprovalError(
            "approval.expires",
            f"an approval cannot hold until {expires[:40]!r}; expected a day from {today} to {LATEST_DATE}",
            fix="write the last day on which it holds as YYYY-MM-DD after --expires",
        )
    for code in accepted:
        if code not in failures:
            near = nearest(code, failures)
            raise ApprovalError(
                "approval.accepts",
                f"{code[:80]!r} is no failed check of this design"
                + (f"; did you mean {near!r}?" if near else f"; failed are {', '.join(sorted(failures)) or 'none'}"),
                fix="name after --accept only what failed",
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
