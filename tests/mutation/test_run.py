"""The plan of mistakes made on purpose still fits the code; the mistakes themselves are made by `make mutants`."""

from __future__ import annotations

import ast
import importlib

import calling
import making
import patching
import pytest
from making import PLAN, ROOT, Mutant

SOME = """
X = 1

def f():
    'Said.'
    def g():
        return 2
    return g()

class C:
    def m(self):
        return f()
"""


@pytest.mark.parametrize("one", PLAN["named"], ids=lambda one: one["what"])
def test_named_mistakes_can_be_made(one: dict[str, object]) -> None:
    """What a named mistake replaces is in its file once, what comes instead is Python, and its tests are there."""
    (mutant,) = [mutant for mutant in making.named() if mutant.what == one["what"]]
    assert mutant.text != making.source_of(mutant.path)
    assert making.compiles(mutant)
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8")


def test_what_the_plan_names_is_there() -> None:
    """Every module and every file of tests in the plan exists, and some module begins as each list says."""
    paths = [*PLAN["modules"], *(test for tests in PLAN["tests"].values() for test in tests)]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    known = making.modules(PLAN["modules"])
    assert [start for start in PLAN["tests"] if not any(path.startswith(start) for path in known)] == []


def test_every_module_has_tests_beyond_its_doctests() -> None:
    """No module of the plan is judged by nobody."""
    assert [path for path in making.modules(PLAN["modules"]) if not set(making.tests_of(path)) - {path}] == []


def test_calls_are_noted_by_function_and_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions inside functions count as those; what stands in no function is in none."""
    source = SOME
    monkeypatch.setattr(making, "source_of", lambda _: source)
    monkeypatch.setattr(calling, "source_of", lambda _: source)
    making.functions_of.cache_clear()
    called: list[tuple[str, str]] = []
    module: dict[str, object] = {"__note__": lambda path, name: called.append((path, name))}
    exec(calling.noting("some.py"), module)  # noqa: S102 (it is written above)
    assert eval("C().m()", module) == 2  # noqa: S307 (as above)
    assert called == [("some.py", "C.m"), ("some.py", "f")]
    assert ast.get_docstring(ast.parse(source).body[1]) == module["f"].__doc__
    at = {place: mutant_at(source.index(place)).function for place in ("X", "Said", "2", "m(")}
    assert at == {"X": None, "Said": "f", "2": "f", "m(": "C.m"}
    making.functions_of.cache_clear()


def mutant_at(start: int) -> Mutant:
    """Some change at a place of the text above."""
    return Mutant(path="some.py", start=start, end=start, new="", tests=(), what="")


def test_those_that_call_the_function_come_first_and_cheap_files_before_dear_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file whose tests do not call it is left out, unless none does; what is remembered others may read."""
    monkeypatch.setattr(calling, "source_of", lambda file: "@cache\n" if file == "dear" else "")
    path = "validation/shares.py"
    start = making.source_of(path).index("at_most(")
    mutant = Mutant(path=path, start=start, end=start, new="", tests=("dear", "cheap", "other"), what="")
    calls = frozenset({(path, "at_most_share")})
    tests = {
        "dear": {"dear::a": calling.Test(3.0, calls), "dear::b": calling.Test(1.0, frozenset())},
        "cheap": {"cheap::a": calling.Test(0.5, calls)},
        "other": {"other::a": calling.Test(0.1, frozenset())},
    }
    assert mutant.function == "at_most_share"
    found = calling.callers(mutant, tests)
    assert [(one.file, list(one.costs)) for one in found] == [("cheap", ["cheap::a"]), ("dear", ["dear::a"])]
    assert [one.shared for one in found] == [False, True]
    nobody = {
        file: {name: calling.Test(one.cost, frozenset()) for name, one in of.items()} for file, of in tests.items()
    }
    assert [one.file for one in calling.callers(mutant, nobody)] == ["other", "cheap", "dear"]


@pytest.mark.parametrize(
    ("old", "new", "is_inside"),
    [
        ("answers > 1", "answers >= 1", True),
        ("return withheld(found, at_most(code, found.share, limit, sentence), answers)", "return None", True),
        ("    return withheld(\n        found, at", "    return withheld(found, at", True),
        ("answers: int = 1)", "answers: int = 2)", False),
        ("def at_most_share(", "def at_most_shares(", False),
        ("import Finding\n", "import Finding as Found\n", False),
    ],
)
def test_only_what_is_inside_a_function_is_put_into_it(
    old: str, new: str, is_inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number or a comparison is, wherever else its lines end; a default, a name or an import is not."""
    path = "validation/shares.py"
    calls = "return withheld(found, at_least"
    source = making.source_of(path).replace(calls, calls.replace("(found", "(\n        found"))
    for module in (making, patching):
        monkeypatch.setattr(module, "source_of", lambda _: source)
    making.functions_of.cache_clear()
    importlib.import_module("validation.shares")
    assert source.count(old) >= 1
    start = source.index(old)
    mutant = Mutant(path=path, start=start, end=start + len(old), new=new, tests=(), what="")
    code = patching.new_code(mutant)
    assert (code is not None) is is_inside
    assert code is None or code.co_name == mutant.function
    making.functions_of.cache_clear()
