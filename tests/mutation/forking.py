"""Work in processes of their own, each ended after a time, so that nothing it breaks outlives it."""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

PASSED, CALLED_WRONGLY, NO_TESTS = 0, 4, 5
"""What pytest exits with when every test passed, when it was called wrongly, and when it found none."""


def started(work: Callable[[], int], log: Path, *, limit: float, seconds: int) -> int:
    """The id of a process that exits with what `work` gives, or is ended."""
    sys.stdout.flush()  # or the fork would write it again
    pid = os.fork()
    if pid:
        return pid
    code = 1  # a mutant that cannot be imported is noticed
    try:
        os.setsid()
        signal.alarm(seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        code = work()
    except BaseException:  # noqa: BLE001 (whatever it is: the fork must not go on as its parent)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def outcomes(
    work: Sequence[Callable[[], int]],
    *,
    limits: Sequence[float],
    seconds: int,
    jobs: int,
    folder: Path,
    sign: Callable[[int, bool], str],
) -> list[int]:
    """What each exits with, or minus the signal that ended it, `jobs` at a time; prints a sign of each.

    `sign` is given the place in `work` and whether all tests passed.
    """
    ends = [0] * len(work)
    running: dict[int, int] = {}
    waiting = iter(range(len(work)))
    for _ in work:
        while len(running) < jobs and (at := next(waiting, None)) is not None:
            running[started(work[at], folder / f"{at}.log", limit=limits[at], seconds=seconds)] = at
        pid, status = os.wait()
        at = running.pop(pid)
        ends[at] = os.waitstatus_to_exitcode(status)
        if ends[at] == CALLED_WRONGLY:
            sys.exit(f"pytest was called wrongly:\n{(folder / f'{at}.log').read_text(encoding='utf-8')}")
        print(sign(at, ends[at] in (PASSED, NO_TESTS)), end="", flush=True)  # noqa: T201 (a long wait needs a sign of life)
    print()  # noqa: T201
    return ends


def own(folder: Path) -> Path:
    """A folder of this process alone beside the one given: pytest empties what it is given for temporary files.

    Whatever holds it must exist, for pytest makes nothing but the folder itself.
    """
    return folder.with_name(f"{folder.name}{os.getpid()}")


def passing(_: int, passed: bool) -> str:
    """The sign of tests on the code as it is."""
    return "." if passed else "F"


def refuse(what: Sequence[str], ends: Sequence[int], folder: Path) -> None:
    """End where tests fail without a mistake, or kills would mean nothing."""
    for at, (one, end) in enumerate(zip(what, ends, strict=True)):
        if end not in (PASSED, NO_TESTS):
            log = (folder / f"{at}.log").read_text(encoding="utf-8")
            sys.exit(f"{log[-2000:]}\n{one} fails, or takes too long, on the code as it is (exit code {end})")
