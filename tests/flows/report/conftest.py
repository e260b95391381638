"""The dossiers the tests draw are in a module of this folder, and the small extract of an attack in another."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path += [str(Path(__file__).parent), str(TESTS / "invariance"), str(TESTS / "recovery")]
