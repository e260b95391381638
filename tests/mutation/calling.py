"""Which of our functions each test calls, noted while the tests run on the code as it is, a file at a time."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import replacing
from forking import NO_TESTS, PASSED, outcomes, own, passing, refuse
from making import QUICK, ROOT, Mutant, source_of

Function = tuple[str, str]
"""A module's path, and a function of it or a method of its classes."""


@dataclass(frozen=True, slots=True)
class Test:
    """What a test costs, in seconds of a processor, what of ours it calls, and what its shared fixtures do."""

    cost: float
    calls: frozenset[Function]
    shared: frozenset[Function] = frozenset()


Tests = Mapping[str, Test]
"""The tests of one file by pytest's id."""


class Watch:
    """A plugin of pytest that notes what each test costs and calls."""

    def __init__(self) -> None:
        self.tests: dict[str, Test] = {}
        self.called: set[Function] = set()
        self.shared: set[Function] = set()
        self.is_shared = False

    def note(self, path: str, name: str) -> None:
        """A function of ours was called."""
        self.called.add((path, name))
        if self.is_shared:
            self.shared.add((path, name))

    def noted(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {name: [one.cost, sorted(one.calls), sorted(one.shared)] for name, one in self.tests.items()}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        """Around the making of a fixture."""
        before, self.is_shared = self.is_shared, self.is_shared or fixturedef.scope != "function"
        found = yield
        self.is_shared = before
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Around a test with its fixtures."""
        self.called.clear()
        self.shared.clear()
        began = time.process_time()
        found = yield
        cost = time.process_time() - began
        self.tests[item.nodeid] = Test(cost, frozenset(self.called.copy()), frozenset(self.shared.copy()))
        return found


class Noting(ast.NodeTransformer):
    """Lets every function of a module, and every method of its classes, begin with `__note__(path, name)`."""

    def __init__(self, path: str) -> None:
        self.path, self.before = path, ""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Into its methods."""
        before, self.before = self.before, f"{self.before}{node.name}."
        self.generic_visit(node)
        self.before = before
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """After its docstring; functions inside it are its own affair."""
        call = ast.parse(f"__note__({self.path!r}, {self.before + node.name!r})").body[0]
        at = 1 if ast.get_docstring(node, clean=False) is not None else 0
        node.body.insert(at, ast.fix_missing_locations(ast.copy_location(call, node.body[min(at, len(node.body) - 1)])))
        return node


def noting(path: str) -> CodeType:
    """A module that tells `builtins.__note__` what is called."""
    tree = Noting(path).visit(ast.parse(source_of(path)))
    return compile(tree, str(ROOT / path), "exec", dont_inherit=True)


def watched(
    files: Sequence[str], paths: Sequence[str], *, seconds: int, jobs: int, folder: Path, kept: Path
) -> dict[str, Tests]:
    """By file of tests, what its tests cost and call in modules; from `kept` for files as they were when last run.

    Ends the program where a test fails.
    """
    kept.mkdir(parents=True, exist_ok=True)
    about = {file: "\n".join([*paths, file, (ROOT / file).read_text(encoding="utf-8")]) for file in files}
    notes = {file: kept / hashlib.sha256(text.encode()).hexdigest() for file, text in about.items()}
    new = [file for file in files if not notes[file].exists()]
    work = [lambda file=file: _watch(file, paths, notes[file], folder / "tmp") for file in new]
    ends = outcomes(work, limits=[seconds] * len(new), seconds=seconds, jobs=jobs, folder=folder, sign=passing)
    refuse(new, ends, folder)
    return {file: _read(notes[file]) for file in files}


def _read(note: Path) -> Tests:
    noted = json.loads(note.read_text(encoding="utf-8"))
    return {
        name: Test(cost, frozenset(map(tuple, calls)), frozenset(map(tuple, shared)))
        for name, (cost, calls, shared) in noted.items()
    }


def _watch(file: str, paths: Sequence[str], note: Path, tmp: Path) -> int:
    watch = Watch()
    vars(builtins)["__note__"] = watch.note
    replacing.forget_ours()
    replacing.replace({replacing.module_name(path): noting(path) for path in paths})
    if file in paths:  # its doctests: pytest would load a file that it is given for itself
        importlib.import_module(replacing.module_name(file))
    code = int(pytest.main([*QUICK, f"--basetemp={own(tmp)}", file], plugins=[watch]))
    if code in (PASSED, NO_TESTS):
        note.write_text(json.dumps(watch.noted()), encoding="utf-8")
    return code


@dataclass(frozen=True, slots=True)
class Callers:
    """In one file, what the tests that call a function cost, and whether others may read what it made."""

    file: str
    costs: Mapping[str, float]
    shared: bool


def callers(mutant: Mutant, tests: Mapping[str, Tests]) -> list[Callers]:
    """The files that call the mutant's function, the cheapest first; all where none does, or it is in none.

    A function that no test calls may be called where a module is imported.
    """
    where = mutant.path, mutant.function
    called = [_callers(file, tests[file], lambda one: where in one.calls, where) for file in mutant.tests]
    if mutant.function is None or not any(one.costs for one in called):
        called = [_callers(file, tests[file], lambda _: True, where) for file in mutant.tests]
    return sorted((one for one in called if one.costs), key=lambda one: sum(one.costs.values()))


def _callers(file: str, tests: Tests, calls: Callable[[Test], bool], where: tuple[str, str | None]) -> Callers:
    costs = {name: one.cost for name, one in tests.items() if calls(one)}
    remembered = "@cache\n" in source_of(file)  # what one test made, others read
    shared = len(costs) < len(tests) and (remembered or any(where in one.shared for one in tests.values()))
    return Callers(file, costs, shared)
