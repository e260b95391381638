"""Small worlds for the cohort are written as in the specification's tables."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "spec"))
