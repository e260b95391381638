"""Running tests on mutants of functions, each in a process forked from a session of pytest that has collected them.

Where only the inside of a function differs, its code is put into the function that all tests hold already: nothing is
imported, configured or collected again. Other mutants are `judging`'s.
"""

from __future__ import annotations

import gc
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
import replacing
from calling import Callers
from forking import PASSED
from making import QUICK, ROOT, Mutant, source_of, used_on_import


def new_code(mutant: Mutant) -> CodeType | None:
    """The code that the mutant's function would have, where nothing else of its module differs and it can be put in."""
    if mutant.function in used_on_import(mutant.path):  # what it made then is there already
        return None
    if mutant.function is None or not isinstance(_function(mutant.path, mutant.function), FunctionType):
        return None
    codes = [
        compile(text, str(ROOT / mutant.path), "exec", dont_inherit=True)
        for text in (source_of(mutant.path), _with_its_lines(mutant))
    ]
    for name in mutant.function.split("."):
        found = _only_difference(*codes)
        if found is None or found[0].co_name != name:
            return None
        codes = list(found)
    return codes[1] if codes[0].co_freevars == codes[1].co_freevars else None


def _with_its_lines(mutant: Mutant) -> str:
    """The mutant on as many lines as what it replaces, so that all that follows stays where it is."""
    source = source_of(mutant.path)
    lost = source.count("\n", mutant.start, mutant.end) - mutant.new.count("\n")
    end = source.find("\n", mutant.end)
    return source[: mutant.start] + mutant.new + source[mutant.end : end] + "\n" * max(lost, 0) + source[end:]


def _only_difference(old: CodeType, new: CodeType) -> tuple[CodeType, CodeType] | None:
    """The one piece of code inside that differs, before and after; none where there are more, or anything else does."""
    pairs = list(zip(old.co_consts, new.co_consts, strict=False))
    differing = [(a, b) for a, b in pairs if isinstance(a, CodeType) and isinstance(b, CodeType) and a != b]
    if len(differing) != 1:
        return None
    ((one, other),) = differing
    alike = tuple(one if const is other else const for const in new.co_consts)
    there = new.replace(co_consts=alike, co_linetable=old.co_linetable)  # whatever column each thing stands at
    return (one, other) if old == there else None


def _function(path: str, name: str) -> Any:
    """What a name of a module stands for; not what a decorator hides."""
    found: Any = sys.modules[replacing.module_name(path)]
    for part in name.split("."):
        found = inspect.getattr_static(found, part, None)
    return found


def put_in(mutant: Mutant, code: CodeType) -> None:
    """Let the function that everybody holds be the mutant's."""
    assert mutant.function is not None
    _function(mutant.path, mutant.function).__code__ = code


Ends = dict[int, int]
"""What a mutant's process exited with, by the mutant's place."""


class _Instead:
    """A plugin of pytest that does something else with what was collected than to run it."""

    def __init__(self, judge_all: Callable[[pytest.Session], Ends]) -> None:
        self.judge_all = judge_all
        self.ends: Ends = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of the tests."""
        if session.testsfailed:
            sys.exit("tests cannot be collected: run pytest on them")
        gc.freeze()
        self.ends = self.judge_all(session)
        return True


def session(files: Sequence[str], judge_all: Callable[[pytest.Session], Ends]) -> Ends:
    """What `judge_all` gives once pytest has collected the tests of these files."""
    instead = _Instead(judge_all)
    pytest.main([*QUICK, "-s", "--no-summary", *files], plugins=[instead])
    return instead.ends


def judge(mutant: Mutant, code: CodeType, by_file: Sequence[Callers], session: pytest.Session, tmp: Path) -> int:
    """Run the collected tests on a mutant in this process, which ends with it; 1 where one fails, else 0."""
    put_in(mutant, code)
    items = _chosen(session.items, by_file)
    session.config._tmp_path_factory._given_basetemp = tmp
    for item, after in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return 1
    return PASSED


def _chosen(items: Sequence[pytest.Item], by_file: Sequence[Callers]) -> list[pytest.Item]:
    """The tests that call it, by file and then by cost; then the rest of files whose shared fixtures call it."""
    place = {name: (0, k, cost) for k, of in enumerate(by_file) for name, cost in of.costs.items()}
    rest = {of.file: (1, k, math.inf) for k, of in enumerate(by_file) if of.shared}
    found = [(place.get(item.nodeid) or rest.get(item.nodeid.partition("::")[0]), item) for item in items]
    return [item for where, item in sorted(((w, i) for w, i in found if w is not None), key=lambda pair: pair[0])]
