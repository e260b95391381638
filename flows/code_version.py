"""Which code made a result: a digest of the installed packages' own sources."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

PACKAGES = ("causal", "flows", "validation")
SUFFIXES = {".py", ".j2", ".typ", ".css"}


@functools.cache
def code_version() -> str:
    """sha256 over the path and bytes of every source file of the three packages, hex."""
    root = Path(__file__).parent.parent
    h = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SUFFIXES and "__pycache__" not in path.parts:
                h.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return h.hexdigest()
