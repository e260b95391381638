"""The same design, digest, numbers and pages whichever kernels linear algebra, NumPy and the compiler choose."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "configs" / "studies" / "duty_to_warn.yaml"
SETTINGS = {
    "Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "Haswell, no AVX-512, generic loops": {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
    },
}
"""Two ends of what x86 processors do; each runs on all of them."""
DEMO = (
    "import os, sys\n"
    "from flows.cli import main\n"
    "sys.argv = ['rapport', 'run', os.environ['STUDY'], '--synthetic', '6000', '--seed', '1', '--direct',\n"
    "            '--results', os.environ['RESULTS']]\n"
    "main()\n"
)
pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"}, reason="kernels are chosen by name on x86 only"
)


def demo(setting: dict[str, str], results: Path) -> dict[str, str]:
    """Digest of every file of the demo's designs and releases that says nothing of when, by its path."""
    environment = os.environ | {"STUDY": str(STUDY), "RESULTS": str(results), "OPENBLAS_NUM_THREADS": "1"} | setting
    subprocess.run([sys.executable, "-c", DEMO], env=environment, check=True, cwd=ROOT, capture_output=True)
    study = results / "duty_to_warn"
    files = [path for folder in ("designs", "releases") for path in sorted((study / folder).rglob("*"))]
    return {
        str(path.relative_to(study)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()
    }


def test_the_demo_is_the_same_under_two_kernels(tmp_path: Path) -> None:
    """Designs, releases, their digests (which name the folders), pages and figures: byte for byte."""
    one, other = (demo(setting, tmp_path / name.split(",")[0]) for name, setting in SETTINGS.items())
    assert len(one) > 8
    assert one == other
