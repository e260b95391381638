"""Running tests on mutants, each in a process of its own forked from one that has everything loaded.

A mutant is shown to the tests that call the function it is in, the cheapest file and the cheapest test first; where
that happens in a fixture that tests share, or the file remembers what it made (`@cache`), the rest of the file follows.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import grimp
import pytest
import replacing
from calling import Callers
from forking import NO_TESTS, PASSED, own
from making import QUICK, ROOT, Mutant


class Only:
    """A plugin of pytest that runs only these tests, or all but these, the cheapest first."""

    def __init__(self, costs: Mapping[str, float], *, rest: bool = False) -> None:
        self.costs, self.rest = costs, rest

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out and put in order, in place."""
        kept = [item for item in items if (item.nodeid in self.costs) is not self.rest]
        items[:] = sorted(kept, key=lambda item: self.costs.get(item.nodeid, math.inf))


def mutate(mutant: Mutant, graph: grimp.ImportGraph) -> None:
    """Let the mutant be imported, and all that rests on it, in place of its module."""
    name = replacing.module_name(mutant.path)
    replacing.forget(name, graph)
    code = compile(mutant.text, str(ROOT / mutant.path), "exec", dont_inherit=True)
    replacing.replace({name: code})
    importlib.import_module(name)


def judge(mutant: Mutant, by_file: Sequence[Callers], graph: grimp.ImportGraph, tmp: Path) -> int:
    """Run the tests on a mutant in this process, which ends with it; gives what pytest exits with."""
    mutate(mutant, graph)
    tmp = own(tmp)
    for rest in (False, True):
        for of in by_file:
            if rest and not of.shared:
                continue
            found = int(pytest.main([*QUICK, f"--basetemp={tmp}", of.file], plugins=[Only(of.costs, rest=rest)]))
            if found not in (PASSED, NO_TESTS):
                return found
    return PASSED


def passes(tests: Sequence[str], tmp: Path) -> int:
    """What pytest exits with on the code as it is."""
    return int(pytest.main([*QUICK, f"--basetemp={own(tmp)}", *tests]))


def judge_named(mutant: Mutant, graph: grimp.ImportGraph, tmp: Path) -> int:
    """As `judge`, with the tests that the plan gives it."""
    mutate(mutant, graph)
    return passes(mutant.tests, tmp)


def surviving(mutants: Sequence[Mutant]) -> Callable[[int, bool], str]:
    """The sign of tests on mutants: a dot for one that is killed, a line for one that survives."""
    return lambda at, passed: f"S\nsurvived: {mutants[at].what}\n" if passed else "."
