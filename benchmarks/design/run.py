"""Every benchmark of the design engine, each in a process of its own.

python benchmarks/design/run.py [name ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run those named, or all; the exit code says whether all ran."""
    every = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in {"run", "timing"})
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    failed = 0
    for name in sys.argv[1:] or every:
        print(f"\n== {name}", flush=True)
        failed |= subprocess.run([sys.executable, str(HERE / f"{name}.py")], env=environment, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
