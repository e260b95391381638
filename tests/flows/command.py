"""The command in a process of its own: a new one as users start it, or one that finds its libraries loaded.

Two thirds of a short command go into importing. Where a test looks at what a command does and not at how it starts, it
is forked from a process that did nothing but import the libraries, and is a new process in all else.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARIES = [
    "dowhy",
    "great_expectations.expectations",
    "ibis.backends.duckdb",
    "matplotlib.pyplot",
    "numba",
    "pyarrow.parquet",
    "sklearn.linear_model",
    "typer",
]
"""What the command imports that is not ours."""
SECONDS = 300


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def started(*words: str, **environment: str) -> Ran:
    """Run the command in a new process, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
        timeout=SECONDS,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def forked(*words: str) -> Ran:
    """Run the command in a process that finds its libraries loaded."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _with_libraries().Process(target=_run, args=(words, out, err))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{words} took longer than {SECONDS} s")
        return Ran(process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def _run(words: tuple[str, ...], out: Path, err: Path) -> None:
    """Be the command, as `python -m flows.cli` is."""
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.chdir(ROOT)
    sys.argv = ["rapport", *words]
    from flows.cli import main

    main()


@cache
def _with_libraries() -> ForkServerContext:
    """Forks of a process that has loaded the libraries, in the state in which the command loads them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    usual = dict(os.environ)
    os.environ.update({"OPENBLAS_NUM_THREADS": "1", "GX_ANALYTICS_ENABLED": "false"})
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(usual)
    return context
