"""Approvals on disk: keys, signing, filing, finding."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from causal.errors import ApprovalError
from causal.protocol.approval import Approval, Decision
from flows.machine import mend_of
from flows.store import SHORT, Store
from validation.approval import SIMULATED_BOARD_SEED, DesignIdentity, signed_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIMULATED_EXPIRY = "2099-12-31"


def create_key(path: Path) -> str:
    """Make an Ed25519 key at `path` (mode 0600, never overwriting); gives its public half in base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        there = path.is_file()
        raise ApprovalError(
            "approval.key_exists" if there else "approval.key_unwritable",
            f"there is already a file at {path}" if there else f"no key can be made at {path}",
            fix="name another file with --key" if there else f"{mend_of(error)}, with --key",
        ) from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(pem)
    return public_half(key)


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key at `path`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        raise ApprovalError(
            "approval.key_unreadable", f"no usable key at {path}", fix="make one with 'rapport approve --init'"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ApprovalError("approval.key_kind", f"the key at {path} is not an Ed25519 key")
    return key


def public_half(key: Ed25519PrivateKey) -> str:
    """Raw public key, base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def simulated_key() -> Ed25519PrivateKey:
    """The simulated board's key. Its seed is public: it signs for rehearsals only."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(SIMULATED_BOARD_SEED).digest())


def simulated_public_key() -> str:
    """The simulated board's public key, base64."""
    return public_half(simulated_key())


def fingerprint(public_key: str) -> str:
    """First 16 hex characters of the sha256 of a raw public key, for people to compare."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()[:16]


def sign(decision: Decision, key: Ed25519PrivateKey) -> Approval:
    """`decision` under `key`; Ed25519 signatures are deterministic."""
    signature = base64.b64encode(key.sign(signed_bytes(decision))).decode()
    return Approval(decision=decision, public_key=public_half(key), signature=signature)


def decide(
    design: DesignIdentity,
    *,
    approver: str,
    role: str,
    expires: str,
    accepted_failures: tuple[str, ...],
    simulated: bool,
) -> Decision:
    """A decision about exactly this design."""
    return Decision(
        schema_version="rapport-approval/1",
        study_id=design.study_id,
        design_digest=design.design_digest,
        protocol_digest=design.protocol_digest,
        tables_digest=design.tables_digest,
        small_cell_threshold=design.small_cell_threshold,
        report_sha256=design.report_sha256,
        approver=approver,
        role=role,
        accepted_failures=accepted_failures,
        expires=expires,
        simulated=simulated,
    )


def file_approval(store: Store, approval: Approval) -> Path:
    """Write the approval beside the design it covers; a later approval of the same design replaces an earlier one."""
    path = _path(store, approval.decision.design_digest)
    text = json.dumps(approval.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    staging = path.with_suffix(".staging")
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)
    store.append("approval", design=approval.decision.design_digest, key=fingerprint(approval.public_key))
    return path


def find_approval(store: Store, design_digest: str) -> Approval:
    """The approval on file for a design; raises `ApprovalError` when there is none or it cannot be read."""
    path = _path(store, design_digest)
    if not path.is_file():
        raise ApprovalError(
            "approval.none",
            f"nobody has approved design {design_digest[:SHORT]}; outcomes stay closed",
            fix=f"read designs/{design_digest[:SHORT]}/report.html, then 'rapport approve'",
        )
    try:
        return Approval.model_validate_json(path.read_bytes())
    except ValidationError:
        raise ApprovalError("approval.unreadable", f"{path.name} is not an approval", fix="approve again") from None


def _path(store: Store, design_digest: str) -> Path:
    return store.root / "approvals" / f"{design_digest[:SHORT]}.json"
