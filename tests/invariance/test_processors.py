"""The same design, digest, numbers and pages whichever kernels linear algebra, NumPy and the compiler choose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kernels import demo, environment, runnable

WHICH = "import numpy, scipy.linalg, threadpoolctl; print({b['architecture'] for b in threadpoolctl.threadpool_info()})"


def test_the_demo_is_the_same_under_two_kernels(tmp_path: Path) -> None:
    """Designs and releases (their folders are named by digest), pages and figures are the same, byte for byte."""
    kernels, why = runnable(["Prescott", "Haswell"])
    if len(kernels) < 2:
        pytest.skip(why)
    settings = [environment("Prescott"), environment("Haswell", narrow=True)]
    used = [subprocess.check_output([sys.executable, "-c", WHICH], env=one) for one in settings]
    if used[0] == used[1]:
        pytest.skip("this linear algebra is not OpenBLAS, or it does not choose kernels by name")
    one, other = (demo(each, tmp_path / str(k), patients=6_000) for k, each in enumerate(settings))
    assert len(one) > 8
    assert one == other
