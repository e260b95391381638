"""What a run knows before it starts: the study, the instruments, the site and where results live."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from causal.protocol import Instrument, OccasionStudy
from causal.tables import TABLES
from flows.code_version import code_version
from flows.settings import Site
from flows.store import Store, digest_of

Say = Callable[[str, str], None]
"""Tells people about progress: (stage, what happened)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One study at one site with one extract.

    `truth` is the truth file of a synthetic extract, `study_file` where the study is written, if given.
    """

    study: OccasionStudy
    protocol_digest: str
    instruments: dict[str, Instrument]
    site: Site
    store: Store
    extract: Path
    say: Say
    truth: Path | None = None
    study_file: Path | None = None

    @property
    def instruments_digest(self) -> str:
        """Digest of every scoring key."""
        return digest_of({name: key.model_dump(mode="json") for name, key in sorted(self.instruments.items())})

    def key(self, *parts: str) -> str:
        """Key of a stage's result: its inputs' digests, the protocol, the scoring keys and the code."""
        return digest_of(self.protocol_digest, self.instruments_digest, code_version(), *parts)


def tables_digest() -> str:
    """Digest of the declared tables."""
    return digest_of({name: dataclasses.asdict(table) for name, table in TABLES.items()})
