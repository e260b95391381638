"""What a run knows before it starts: the study, the instruments, the site and where results live."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from causal.errors import RapportError, StudyFileError
from causal.protocol import FlatTableStudy, Instrument, LongTableStudy, OccasionStudy
from causal.tables import TABLES
from flows.code_version import code_version
from flows.settings import Site, load_site
from flows.shown import shown_path
from flows.store import Store, digest_of
from flows.study_file import load_instruments, load_study

Say = Callable[[str], None]
"""Tells people about progress: one line, or inside a stage a part of its line."""


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


def open_workspace(
    study: Path,
    *,
    say: Say,
    extract: Path | None = None,
    site: Path | None = None,
    results: Path | None = None,
    truth: Path | None = None,
) -> Workspace:
    """Read the files that say what is to be run: the study, its scoring keys, the site.

    Parameters
    ----------
    study
        The study file. Scoring keys and the site lie in the configs folder above it.
    site
        Another site file than ``sites/local.yaml`` there.
    results
        Another folder of results than the site's.

    Raises
    ------
    StudyFileError
        A file cannot be accepted, or holds a study of another kind (``study.kind``).
    RapportError
        ``command.truth`` or ``store.unwritable``.
    """
    instruments = instruments_beside(study)
    loaded = load_study(study, instruments=instruments or None)
    if not isinstance(loaded.study, OccasionStudy):
        raise StudyFileError(
            "study.kind",
            f"{study.name} is a study of kind {loaded.study.kind}; this command needs kind occasions",
            fix=f"rapport run {shown_path(study)}" if isinstance(loaded.study, FlatTableStudy | LongTableStudy) else "",
        )
    if truth is not None and not truth.is_file():
        raise RapportError(
            "command.truth", f"{shown_path(truth)} is not a file", fix="name the truth.parquet after --truth"
        )
    settings, where = site_and_results(study, site, results)
    return Workspace(
        study=loaded.study,
        protocol_digest=loaded.digest,
        instruments=instruments,
        site=settings,
        store=Store(where, loaded.study.study.id),
        extract=extract or Path(),
        say=say,
        truth=truth,
        study_file=study,
    )


def site_and_results(study: Path, site: Path | None, results: Path | None) -> tuple[Site, Path]:
    """The site of a study, and the folder of its results; see `open_workspace`."""
    settings = load_site(site or _beside(study, "sites/local.yaml"))
    where = results or settings.results
    if where.exists() and not where.is_dir():
        raise RapportError(
            "store.unwritable",
            f"the results folder {shown_path(where)} is a file",
            fix="name a folder with --results or in the site file",
        )
    return settings, where


def store_of(study: Path, *, site: Path | None, results: Path | None) -> tuple[str, Store]:
    """Id and store of a study that publishes: of occasions, or of one table that declares its governance.

    Raises
    ------
    StudyFileError
        As `open_workspace`; ``study.governance`` for a table that declares none, which nothing is published of.
    """
    loaded = load_study(study, instruments=instruments_beside(study) or None).study
    if isinstance(loaded, FlatTableStudy | LongTableStudy) and loaded.governance is None:
        raise StudyFileError(
            "study.governance",
            f"{study.name} declares no governance: nothing of it is designed, approved or published",
            fix=f"rapport run {shown_path(study)}, or say under governance on what basis the table is used",
        )
    if not isinstance(loaded, OccasionStudy | FlatTableStudy | LongTableStudy):
        raise StudyFileError("study.kind", f"{study.name} is a study of kind {loaded.kind}, which cannot be run yet")
    return loaded.study.id, Store(site_and_results(study, site, results)[1], loaded.study.id)


def instruments_beside(study: Path) -> dict[str, Instrument]:
    """The scoring keys that go with a study; none where no folder of them stands above it (a flat table needs none)."""
    folder = _beside(study, "instruments")
    return load_instruments(folder) if folder else {}


def _beside(study: Path, name: str) -> Path | None:
    """`name` in the configs folder in which the study lies, at whatever depth; None where there is none."""
    found = (folder / name for folder in study.absolute().parents if (folder / name).exists())
    return next(found, None)
