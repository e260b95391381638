"""The invariances are tested on the same study on the same engine as recovery, from that folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "recovery"))
