"""The three words that a flow takes, and the places they lead to.

Prefect stores what its flows are given. They are given a study's id, a site's name and a delivery's name: words of
lower-case letters, digits, ``_`` and ``-``, which can be no path, no table and no value out of one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from causal.errors import RapportError
from causal.protocol.base import STUDY_ID_PATTERN
from flows.settings import load_site
from flows.shown import shown_path
from flows.workspace import Say, Workspace, open_workspace

CONFIGS = "RAPPORT_CONFIGS"
COMMANDED = "on-command-line"
"""Stands for a site or a delivery that a person named by its path: that path is not told."""

StudyId = Annotated[str, StringConstraints(pattern=STUDY_ID_PATTERN)]
"""The id of a study, under which its file stands in ``studies/`` of the configs folder."""
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""The name of a site file in ``sites/`` of the configs folder, or of a folder below that site's ``deliveries``."""


def configs_folder() -> Path:
    """The folder that RAPPORT_CONFIGS names, or ``configs`` where the process was started; refused if there is none."""
    folder = Path(os.environ.get(CONFIGS) or "configs").absolute()
    if not folder.is_dir():
        raise RapportError(
            "names.configs",
            f"there is no folder {shown_path(folder)} to find studies and sites in",
            fix=f"let {CONFIGS} name the configs folder",
        )
    return folder


def workspace_named(study: str, site: str, delivery: str | None, say: Say) -> Workspace:
    """The study of that id at the site of that name, with that delivery where one is given.

    Raises
    ------
    StudyFileError
        The study or the site file cannot be accepted.
    RapportError
        A word leads nowhere: ``names.command``, ``names.configs``, ``names.study``, ``names.site``, ``names.delivery``.
    """
    if COMMANDED in (site, delivery):
        raise RapportError(
            "names.command", "this run was told its places on a command line", fix="run that command again"
        )
    configs = configs_folder()
    site_file = configs / "sites" / f"{site}.yaml"
    extract = None if delivery is None else _delivery(site_file, delivery)
    if not load_site(site_file).results.is_absolute():
        raise _not_written_out(site_file, "results")
    ws = open_workspace(configs / "studies" / f"{study}.yaml", say=say, extract=extract, site=site_file)
    if ws.study.study.id != study:
        raise RapportError(
            "names.study",
            f"the study in {study}.yaml has the id {ws.study.study.id}",
            fix="name the file after the id of its study",
        )
    return ws


def _delivery(site_file: Path, delivery: str) -> Path:
    """The folder of that name below the site's deliveries."""
    deliveries = load_site(site_file).deliveries
    if deliveries is None or not deliveries.is_absolute():
        raise _not_written_out(site_file, "deliveries")
    folder = deliveries / delivery
    if not folder.is_dir():
        raise RapportError(
            "names.delivery",
            f"there is no delivery {delivery} in {shown_path(deliveries)}",
            fix="name a folder in it, with a manifest.json",
        )
    return folder


def _not_written_out(site_file: Path, key: str) -> RapportError:
    return RapportError(
        "names.site",
        f"{shown_path(site_file)} does not say '{key}' as a whole path; what Prefect starts may start anywhere",
        fix=f"write for example {key}: /srv/rapport/{key}",
    )


def synthetic_delivery(patients: int, seed: int) -> str:
    """The name of records that are simulated, which says how.

    >>> synthetic_delivery(20_000, 1)
    'synthetic-20000-1'
    """
    return f"synthetic-{patients}-{seed}"


def size_of(delivery: str) -> tuple[int, int]:
    """How many patients, and which seed, the name of a synthetic delivery says.

    >>> size_of("synthetic-20000-1")
    (20000, 1)
    """
    said = re.fullmatch(r"synthetic-([1-9][0-9]{0,6})-([0-9]{1,9})", delivery)
    if said is None:
        raise RapportError(
            "names.delivery",
            f"{delivery} does not say how records are to be simulated",
            fix="name it synthetic-PATIENTS-SEED, for example synthetic-20000-1",
        )
    return int(said[1]), int(said[2])
