"""The site file, typed: where results live, how much of the machine is used, who may approve. Nothing scientific."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, TypeAdapter

from causal.protocol.base import Name, Part
from flows.study_file.typed_file import typed_file

KEY_PATTERN = r"^[A-Za-z0-9+/]{43}=$"


def _ed25519(text: str) -> str:
    """Refuse text that is not the base64 of 32 bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("a public key is 44 characters of base64") from None
    if len(raw) != 32 or base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("a public key is the base64 of exactly 32 bytes (Ed25519)")
    return text


def _written_out(path: Path) -> Path:
    """Refuse a folder that only a shell would understand."""
    if str(path) == "." or str(path).startswith(("~", "$")):
        raise ValueError("expected a folder written out, such as results or /srv/rapport/results")
    return path


PublicKey = Annotated[str, StringConstraints(pattern=KEY_PATTERN), AfterValidator(_ed25519)]
"""An Ed25519 public key: the base64 of its 32 bytes."""


class Approver(Part):
    """A person whose signature opens outcomes. The private key is theirs and never in a file of this project."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """The person, as the report prints it."""
    role: Name
    """In what capacity they sign: ethics_board, data_steward."""
    public_key: PublicKey
    """Their Ed25519 public key, base64."""

    def key_bytes(self) -> bytes:
        """Decode the 32 bytes of the public key."""
        return base64.b64decode(self.public_key)


def _one_key_each(approvers: tuple[Approver, ...]) -> tuple[Approver, ...]:
    """Refuse one key under two names: one person would approve as two."""
    if len({approver.public_key for approver in approvers}) < len(approvers):
        raise ValueError("two approvers have the same public_key; each person signs with a key of their own")
    return approvers


class Site(Part):
    """One installation."""

    model_config = ConfigDict(title="Rapport site")

    results: Annotated[Path, AfterValidator(_written_out)]
    """Folder of results, made when it is missing; relative to the folder in which `rapport` is started."""
    deliveries: Annotated[Path, AfterValidator(_written_out)] | None = None
    """Folder of delivered extracts, each in a folder of its own name; needed for runs that Prefect starts."""
    threads: int = Field(default=2, ge=1, le=256)
    """Most processor threads used at once."""
    memory_gb: float = Field(default=4.0, gt=0, le=4096)
    """Most memory the engine may take, in gigabytes."""
    engine: Literal["duckdb"] = "duckdb"
    """Where relational expressions run."""
    approvers: Annotated[tuple[Approver, ...], AfterValidator(_one_key_each)] = ()
    """Who may approve a design. With nobody listed, outcomes stay closed."""


SITE: TypeAdapter[Site] = TypeAdapter(Site)


def load_site(path: Path | str | None = None) -> Site:
    """Read the site described at `path`; without one, results go to `results` and nobody can approve.

    Raises
    ------
    StudyFileError
        ``site.unreadable`` or ``site.invalid``, every problem on a line of its own.
    """
    return Site(results=Path("results")) if path is None else typed_file(Path(path), SITE, what="site")
