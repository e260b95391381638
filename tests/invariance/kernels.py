"""The same answers under several kernels of linear algebra, on one processor.

    python tests/invariance/kernels.py                     # every test that is not slow, and the demo, under four
    python tests/invariance/kernels.py --kernels Prescott Haswell --tests tests/invariance --patients 0

OpenBLAS picks its kernels by processor; `OPENBLAS_CORETYPE` picks them by name, and other processors' rounding is then
seen on this one. The demo's designs and releases (pages, figures, folders named by digest) must be the same, byte for
byte. Kernels this processor cannot run are left out, and said so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "configs" / "studies" / "duty_to_warn.yaml"
OWN_TEST = Path(__file__).with_name("test_processors.py")
"""Runs the demo under kernels of its own choice."""
NEEDS = {
    "Prescott": {"pni"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512dq", "avx512bw", "avx512vl"},
}
"""Kernels by OpenBLAS's name, and what a processor must be able to do to run them."""
NARROW = {
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
}
"""NumPy's own loops without AVX-512, and loops compiled for any x86 processor."""
EVERYWHERE = ["tests", "causal", "validation", "flows"]
"""Where tests are, the examples in docstrings included."""
DEMO = (
    "import sys\n"
    "from flows.cli import main\n"
    "study, patients, results = sys.argv[1:]\n"
    "sys.argv = ['rapport', 'run', study, '--synthetic', patients, '--seed', '1', '--direct', '--results', results]\n"
    "main()\n"
)


def runnable(kernels: Sequence[str]) -> tuple[list[str], str]:
    """Those of the kernels that run here, and in words why the others do not; empty where all do."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return [], f"kernels are named for x86 processors, this one is {platform.machine()}"
    told = Path("/proc/cpuinfo")
    flags = set(told.read_text(encoding="utf-8").split()) if told.exists() else set()
    able = [kernel for kernel in kernels if NEEDS[kernel] <= flags]
    left = [f"{kernel} (needs {', '.join(sorted(NEEDS[kernel] - flags))})" for kernel in kernels if kernel not in able]
    return able, f"not run on this processor: {'; '.join(left)}" if left else ""


def environment(kernel: str, *, narrow: bool = False) -> dict[str, str]:
    """Environment in which linear algebra uses the kernel."""
    own = {"OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own, **(NARROW if narrow else {})}


def demo(settings: Mapping[str, str], results: Path, *, patients: int) -> dict[str, str]:
    """Digest of every file of the demo's designs and releases, by its path below the study's results."""
    words = [sys.executable, "-c", DEMO, str(STUDY), str(patients), str(results)]
    subprocess.run(words, env=dict(settings), check=True, cwd=ROOT, capture_output=True)
    study = results / "duty_to_warn"
    files = [path for folder in ("designs", "releases") for path in sorted((study / folder).rglob("*"))]
    return {
        str(path.relative_to(study)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests and the demo under every kernel; 1 if a test fails or a byte differs."""
    parser = argparse.ArgumentParser(description="The same answers under several kernels of linear algebra.")
    parser.add_argument("--kernels", nargs="+", choices=list(NEEDS), default=list(NEEDS))
    parser.add_argument("--tests", nargs="*", default=EVERYWHERE, help="folders of tests; none for the demo alone")
    parser.add_argument("--patients", type=int, default=20_000, help="of the demo; 0 for no demo")
    options = parser.parse_args(arguments)
    kernels, left_out = runnable(options.kernels)
    say(f"{left_out}\n" if left_out else "")
    failed, made = False, {}
    for kernel in kernels:
        if options.tests:
            words = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--ignore", str(OWN_TEST), *options.tests]
            passed = subprocess.run(words, env=environment(kernel), check=False, cwd=ROOT).returncode == 0
            say(f"{kernel:<10} tests {'pass' if passed else 'FAIL'}\n")
            failed = failed or not passed
        if not options.patients:
            continue
        with tempfile.TemporaryDirectory() as folder:
            made[kernel] = demo(environment(kernel), Path(folder), patients=options.patients)
        differing = sorted(path for path, _ in set(made[kernel].items()) ^ set(made[kernels[0]].items()))
        say(f"{kernel:<10} demo: {len(made[kernel])} files, {len(differing)} differ from {kernels[0]}'s\n")
        say("".join(f"    {path}\n" for path in differing))
        failed = failed or bool(differing)
    return int(failed)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
