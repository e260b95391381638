"""The mistakes: those that the plan names, and all that mutmut's operators can make in a module."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import libcst as cst

ROOT = Path(__file__).parents[2]
PLAN: dict[str, Any] = tomllib.loads(Path(__file__).with_name("modules.toml").read_text(encoding="utf-8"))
INSTALL = """mutmut is not installed, and `make setup` does not install it. To install it:
  .venv/bin/python -m pip install 'mutmut>=3.8,<4'"""
TYPE_ALIAS = re.compile(r"_?[A-Z]\w*[a-z]\w* = ")
"""Names of types, which are annotations too."""
WORDS = re.compile(r"^[rf]?[\"'][A-Z][a-z]+[.:]?[\"']$| ")
"""Text for people: with a space in it, or a word with a capital, such as the head of a column."""
LOOKS = {
    *("fontsize", "weight", "linespacing", "ha", "va", "color", "facecolor", "edgecolor", "lw", "linewidth", "ls"),
    *("width", "height", "pad", "boxstyle", "arrowprops", "hatch", "alpha", "zorder", "marker", "s"),
    *("loc", "ncols", "frameon", "handletextpad", "borderaxespad", "bbox_to_anchor"),
}
"""Arguments that say how a figure or a table looks."""
QUICK = (
    *("-x", "-q", "--no-header", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *(part for name in ("cacheprovider", "unraisableexception", "anyio") for part in ("-p", f"no:{name}")),
)
"""How pytest is called; what looks through all of memory at the end costs more than most tests."""
Operators = Sequence[tuple[type, Callable[..., Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A module's path, what stands from `start` to `end` of its text instead, and the tests that judge it."""

    path: str
    start: int
    end: int
    new: str
    tests: tuple[str, ...]
    what: str

    @property
    def text(self) -> str:
        """The module as it would be."""
        source = source_of(self.path)
        return source[: self.start] + self.new + source[self.end :]

    @property
    def function(self) -> str | None:
        """The function of the module, or the method of a class, in which the mistake is; none: it is outside of all."""
        return function_at(self.path, source_of(self.path).count("\n", 0, self.start) + 1)


@cache
def source_of(path: str) -> str:
    """The text of a module."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def functions_of(path: str) -> dict[str, range]:
    """The lines of every function of a module and of every method of its classes, decorators with them.

    >>> list(functions_of("validation/shares.py"))
    ['at_most_share', 'at_least_share', 'withheld']
    """
    found = {}

    def look(nodes: Sequence[ast.stmt], before: str) -> None:
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{before}{node.name}.")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                found[before + node.name] = range(first, (node.end_lineno or first) + 1)

    look(ast.parse(source_of(path)).body, "")
    return found


def function_at(path: str, line: int) -> str | None:
    """The function or method that a line belongs to."""
    return next((name for name, lines in functions_of(path).items() if line in lines), None)


@cache
def used_on_import(path: str) -> frozenset[str]:
    """Functions that a module calls itself, at whatever depth, while it is imported.

    >>> sorted(used_on_import("causal/tables.py"))
    ['_id']
    """
    body = ast.parse(source_of(path)).body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    todo: list[ast.AST] = [node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    found: set[str] = set()
    while todo:
        named = {node.id for node in ast.walk(todo.pop()) if isinstance(node, ast.Name)}
        new = (named & functions.keys()) - found
        found |= new
        todo += [functions[name] for name in new]
    return frozenset(found)


def tests_of(path: str) -> tuple[str, ...]:
    """The module itself where it has doctests, its mirror, and what the plan adds: files.

    >>> tests_of("validation/disclosure/reasons.py")[:2]
    ('validation/disclosure/reasons.py', 'tests/validation/disclosure/test_answers.py')
    """
    folder, _, name = path.rpartition("/")
    mirror = f"tests/{folder}/test_{name}"
    longest = max((start for start in PLAN["tests"] if path.startswith(start)), key=len, default="")
    found: dict[str, None] = {path: None} if ">>>" in source_of(path) else {}
    for one in (mirror, *PLAN["tests"].get(longest, ())):
        inside = sorted((ROOT / one).rglob("test_*.py")) if (ROOT / one).is_dir() else [ROOT / one]
        found |= {str(file.relative_to(ROOT)): None for file in inside if file.exists()}
    return tuple(found)


def named() -> list[Mutant]:
    """The mistakes that the plan names; ValueError where one is not to be found, or more than once."""
    return [_named(one) for one in PLAN["named"]]


def _named(one: dict[str, Any]) -> Mutant:
    source, old = source_of(one["file"]), one["old"]
    if source.count(old) != 1:
        raise ValueError(f"modules.toml: '{one['what']}' is to be found once in {one['file']}: {old!r}")
    start = source.index(old)
    tests = tuple(one["tests"])
    return Mutant(path=one["file"], start=start, end=start + len(old), new=one["new"], tests=tests, what=one["what"])


def modules(given: Sequence[str]) -> list[str]:
    """The modules under the given folders and files."""
    found = [p for one in given for p in ([ROOT / one] if one.endswith(".py") else sorted((ROOT / one).rglob("*.py")))]
    return [str(p.relative_to(ROOT)) for p in found if p.name != "__init__.py"]


def compiles(mutant: Mutant) -> bool:
    """Whether it is Python: not all that the operators make is."""
    try:
        compile(mutant.text, mutant.path, "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def mutants_of(path: str) -> Iterator[Mutant]:
    """Every mutant of a module, no two alike; some do not compile."""
    try:
        import libcst as cst
        from libcst.metadata import MetadataWrapper, PositionProvider
        from mutmut.mutation.mutators import mutation_operators
    except ImportError:
        sys.exit(INSTALL)

    source = source_of(path)
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    places = wrapper.resolve(PositionProvider)
    code, drawn = wrapper.module.code_for_node, path.startswith("flows/report/")
    nodes = _nodes(wrapper.module, lambda node: _is_left_alone(node, wrapper.module, lines, places, drawn=drawn))
    made = set()
    for node in nodes:
        if node not in places:
            continue
        place = places[node]
        start, end = (starts[at.line - 1] + at.column for at in (place.start, place.end))
        old = source[start:end]
        for other in _others(node, mutation_operators):
            # The place of a node leaves its brackets out.
            bare = other.with_changes(lpar=(), rpar=()) if getattr(node, "lpar", ()) else other
            new = code(bare).strip()
            if new == old or (start, end, new) in made or (drawn and _looks(node, code) != _looks(other, code)):
                continue
            made.add((start, end, new))
            what = f"{path}:{place.start.line}: {' '.join(old.split())} -> {' '.join(new.split())}"
            yield Mutant(path=path, start=start, end=end, new=new, tests=tests_of(path), what=what)


def _others(node: cst.CSTNode, operators: Operators) -> Iterator[Any]:
    for kind, operator in operators:
        if isinstance(node, kind):
            yield from operator(node)


def _looks(node: cst.CSTNode, code: Callable[[cst.CSTNode], str]) -> dict[str, str]:
    """The arguments of a call that say how something looks."""
    given = [(arg.keyword.value, code(arg.value)) for arg in getattr(node, "args", ()) if arg.keyword]
    return {name: value for name, value in given if name in LOOKS}


def _nodes(node: cst.CSTNode, left_alone: Callable[[cst.CSTNode], bool]) -> Iterator[cst.CSTNode]:
    if left_alone(node):
        return
    if _is_cast(node):  # what is told to the type checker is nothing to the program
        yield from _nodes(node.args[1], left_alone)  # type: ignore[attr-defined]
        return
    yield node
    for child in node.children:
        yield from _nodes(child, left_alone)


def _is_cast(node: cst.CSTNode) -> bool:
    """Whether it is a call of `typing.cast`."""
    return getattr(getattr(node, "func", None), "value", None) == "cast" and len(getattr(node, "args", ())) == 2


def _is_left_alone(node: cst.CSTNode, module: cst.Module, lines: Sequence[str], places: Any, *, drawn: bool) -> bool:
    """Whether it is of annotations, imports and decorators, or words for people, or looks, or the name of a type."""
    import libcst as cst

    if isinstance(node, (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator)):
        return True
    if isinstance(node, cst.Arg) and node.keyword is not None and drawn:
        return node.keyword.value in LOOKS
    if isinstance(node, cst.Assign):
        return TYPE_ALIAS.match(lines[places[node].start.line - 1]) is not None
    is_text = isinstance(node, (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString))
    return is_text and WORDS.search(module.code_for_node(node)) is not None
