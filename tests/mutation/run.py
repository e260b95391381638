"""Small mistakes made on purpose, one at a time: whether the fast tests of a module notice each of them.

    python tests/mutation/run.py --sample 100 --seed 1            # the named ones, and 100 drawn from every module
    python tests/mutation/run.py --sample 0 causal/cohort         # all of these modules
    python tests/mutation/run.py --named-only

The mistakes are those of mutmut's operators; `modules.toml` says which tests judge which module. A mutant lives in a
process of its own, is handed to Python in place of its module, and ends at the first test that fails. No file is
changed. Words for people, looks, docstrings and annotations are left alone: those are for people to judge.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import calling
import judging
import making
import patching
import replacing
from forking import PASSED, outcomes, own, passing, refuse
from making import Mutant

MODULES = tuple(making.PLAN["modules"])
LEAST_KILLED = 0.9
SURVIVED = PASSED


def drawn(every: Sequence[Mutant], sample: int, seed: int) -> list[Mutant]:
    """So many that are Python, in the order of their modules; 0 takes all."""
    order = list(every)
    random.Random(seed).shuffle(order)  # noqa: S311 (not a secret)
    found: list[Mutant] = []
    for mutant in order:
        if sample and len(found) == sample:
            break
        if making.compiles(mutant):
            found.append(mutant)
    return sorted(found, key=lambda mutant: (mutant.path, mutant.start))


def judge_named(mutants: Sequence[Mutant], asked: argparse.Namespace, folder: Path) -> list[str]:
    """What survived of the named mutants; their tests must pass on the code as it is."""
    graph = replacing.load({mutant.path for mutant in mutants})
    lists = list(dict.fromkeys(mutant.tests for mutant in mutants))
    given = {"limits": [asked.seconds] * len(mutants), "seconds": asked.seconds, "jobs": asked.jobs, "folder": folder}
    print(f"tests of {len(mutants)} named mutants on the code as it is, then on the mutants")  # noqa: T201
    plain = outcomes([lambda of=of: judging.passes(of, folder / "tmp") for of in lists], sign=passing, **given)
    refuse([" ".join(of) for of in lists], plain, folder)
    work = [lambda mutant=mutant: judging.judge_named(mutant, graph, folder / "tmp") for mutant in mutants]
    ends = outcomes(work, sign=judging.surviving(mutants), **given)
    return [mutant.what for mutant, end in zip(mutants, ends, strict=True) if end == SURVIVED]


def judge_drawn(mutants: Sequence[Mutant], asked: argparse.Namespace, folder: Path) -> list[int]:
    """What the tests on each exited with; they must pass on the code as it is."""
    graph = replacing.load({mutant.path for mutant in mutants})
    files = list(dict.fromkeys(file for mutant in mutants for file in mutant.tests))
    print(f"{len(files)} files of tests on the code as it is, then {len(mutants)} mutants drawn with seed {asked.seed}")  # noqa: T201
    paths = sorted({*making.modules(MODULES), *(mutant.path for mutant in mutants)})
    tests = calling.watched(
        files, paths, seconds=asked.seconds, jobs=asked.jobs, folder=folder, kept=asked.kept or folder / "kept"
    )
    by_file = [calling.callers(mutant, tests) for mutant in mutants]
    limits = [20 + 3 * sum(test.cost for one in of for test in tests[one.file].values()) for of in by_file]
    given = {"seconds": asked.seconds, "jobs": asked.jobs, "folder": folder}

    def ends_of(places: Sequence[int], judge: Callable[[int], int]) -> dict[int, int]:
        few = [mutants[at] for at in places]
        work = [lambda at=at: judge(at) for at in places]
        ends = outcomes(work, limits=[limits[at] for at in places], sign=judging.surviving(few), **given)
        return dict(zip(places, ends, strict=True))

    codes = {at: code for at, mutant in enumerate(mutants) if (code := patching.new_code(mutant)) is not None}
    anew = [at for at in range(len(mutants)) if at not in codes]
    ends = ends_of(anew, lambda at: judging.judge(mutants[at], by_file[at], graph, folder / "tmp"))
    if codes:
        ends |= patching.session(
            files,
            lambda session: ends_of(
                list(codes),
                lambda at: patching.judge(mutants[at], codes[at], by_file[at], session, own(folder / "tmp")),
            ),
        )
    return [ends[at] for at in range(len(mutants))]


def table(mutants: Sequence[Mutant], ends: Sequence[int], made: Counter[str]) -> str:
    """By module: mutants there are, drawn, killed, survived."""
    rows = ["", f"{'module':40}{'mutants':>9}{'drawn':>7}{'killed':>8}{'survived':>10}"]
    tried = Counter(mutant.path for mutant in mutants)
    alive = Counter(mutant.path for mutant, end in zip(mutants, ends, strict=True) if end == SURVIVED)
    rows += [f"{p:40}{made[p]:>9}{tried[p]:>7}{tried[p] - alive[p]:>8}{alive[p]:>10}" for p in tried]
    total, survived = len(mutants), alive.total()
    rows.append(f"{'all':40}{made.total():>9}{total:>7}{total - survived:>8}{survived:>10}")
    late = sum(end in {-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL} for end in ends)
    rows.append(f"{late} of those killed ran out of time" if late else "")
    return "\n".join(rows)


def main() -> None:
    """Draw, judge, and tell; exit 1 where a named mutant survives, or more than one in ten of those drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=MODULES, help="files or folders; the five of the plan by default")
    parser.add_argument("--sample", type=int, default=100, help="mutants drawn from all modules; 0 takes every one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=600, help="time that a mutant, or a file of tests, may take")
    parser.add_argument("--kept", type=Path, help="where it is kept what each test costs and calls: noted once")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--named-only", action="store_true")
    only.add_argument("--drawn-only", action="store_true")
    asked = parser.parse_args()

    os.chdir(making.ROOT)
    began = time.monotonic()
    every = (
        []
        if asked.named_only
        else [mutant for path in making.modules(asked.modules) for mutant in making.mutants_of(path)]
    )
    few = drawn(every, asked.sample, asked.seed)
    known = [] if asked.drawn_only else making.named()
    unseen: list[str] = []
    ends: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        if known:
            unseen = judge_named(known, asked, Path(folder))
            print(f"named: {len(known) - len(unseen)} of {len(known)} killed")  # noqa: T201
        if few:
            ends = judge_drawn(few, asked, Path(folder))
            print(table(few, ends, Counter(mutant.path for mutant in every)))  # noqa: T201
    print(f"{time.monotonic() - began:.0f} s")  # noqa: T201
    share = sum(end != SURVIVED for end in ends) / len(ends) if ends else 1.0
    if unseen or share < LEAST_KILLED:
        sys.exit("\n".join([*(f"survived: {what}" for what in unseen), f"{share:.0%} of those drawn were killed"]))


if __name__ == "__main__":
    main()
