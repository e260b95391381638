"""No sentence of the software knows a study: what a page calls things comes from the study's file."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("causal", "validation", "flows")
OF_THE_FIRST_STUDY = ("causal/simulation/", "causal/tables.py")
"""Where the flagship's action may be named: its simulated world, and the codes of actions on record."""
EXCEPTED = re.compile(r"\b(?:catch_)?warnings\b|duty_to_warn\.yaml")
"""Python's module, and the file that help texts give as an example."""


def test_no_text_of_the_packages_speaks_of_warning() -> None:
    """Neither a sentence, nor a comment, a name or a template."""
    found = [
        f"{name}:{number}: {line.strip()}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
        if not (name := path.relative_to(ROOT).as_posix()).startswith(OF_THE_FIRST_STUDY)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if "warn" in EXCEPTED.sub("", line).lower()
    ]
    assert found == []
