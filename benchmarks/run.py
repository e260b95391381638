"""Every benchmark of one part, each in a process of its own.

python benchmarks/run.py design|effect [name ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run those named, or all of the part; the exit code says whether all ran."""
    folder = HERE / sys.argv[1]
    every = sorted(path.stem for path in folder.glob("*.py"))
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    failed = 0
    for name in sys.argv[2:] or every:
        print(f"\n== {name}", flush=True)
        failed |= subprocess.run([sys.executable, str(folder / f"{name}.py")], env=environment, check=False).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
