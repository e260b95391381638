"""Where R's results are: files too large, or not ours, to stand in the repository.

They are read from the folder ``shared/reference`` beside the checkout; where that is not there, the environment
variable RAPPORT_REFERENCE names the file ``r_refs.json`` elsewhere, and its folder takes the place of that one.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

BESIDE = Path(__file__).parents[3] / "shared" / "reference" / "r_refs.json"
ABSENT = "no shared/reference beside the checkout, and RAPPORT_REFERENCE does not name R's results"


@cache
def r_results() -> dict[str, Any] | None:
    """All that R found, by data set; nothing where the file is not at hand."""
    path = _path()
    return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def r_results_or_skip() -> dict[str, Any]:
    """All that R found; the test is skipped where the file is not at hand."""
    results = r_results()
    if results is None:
        pytest.skip(ABSENT)
    return results


def data_or_skip(name: str) -> Path:
    """A file of the folder ``data`` beside R's results; the test is skipped where they are not at hand."""
    path = _path()
    if path is None:
        pytest.skip(ABSENT)
    return path.parent / "data" / name


def _path() -> Path | None:
    named = os.environ.get("RAPPORT_REFERENCE")
    if BESIDE.exists():
        return BESIDE
    return None if not named else Path(named)
