"""Text and paths as they may be printed on one line."""

from __future__ import annotations

import re
from pathlib import Path

SHOWN = 80
SHOWN_PATH = 1000


def shown(text: str) -> str:
    """`text` as it may be printed on one line: unprintable characters become "?", at most 80 remain.

    >>> shown("red" + chr(27) + "[31m")
    'red?[31m'
    >>> len(shown("x" * 500))
    80
    """
    clean = "".join(char if char.isprintable() else "?" for char in re.sub(r"\s+", " ", text.strip()))
    return clean if len(clean) <= SHOWN else clean[: SHOWN - 1] + "…"


def shown_path(path: Path) -> str:
    """`path` as it may be printed on one line: unprintable characters become "?"; a long one keeps its end.

    >>> shown_path(Path("a" * 1500 + "/study.yaml"))[-11:]
    '/study.yaml'
    """
    clean = "".join(char if char.isprintable() else "?" for char in str(path))
    return clean if len(clean) <= SHOWN_PATH else "…" + clean[-(SHOWN_PATH - 1) :]
