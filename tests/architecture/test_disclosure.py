"""What may be shown is decided in one package, and nothing else makes a number that may be printed."""

from __future__ import annotations

import ast
import dataclasses
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from flows.report import dossier as model
from flows.report.dossier import Dossier
from validation.disclosure import Shown, ShownCount

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "validation" / "disclosure"
REPORT = sorted((ROOT / "flows" / "report").glob("*.py"))
DECIDING = {
    *("disclose_count", "disclose_share", "disclose_categories", "disclose_table", "disclose_flow"),
    *("is_small", "CMS_THRESHOLD", "LOWEST_THRESHOLD", "LEAST_DF", "percent_step"),
}
"""Names with which a module could decide by itself: they compare a count with the threshold, or are it."""
DECIDES = {"is_small", "why_withheld"}
"""Ways of asking whether a single count or figure may be shown."""


def tree(path: Path) -> ast.Module:
    """A module, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def names(node: ast.AST) -> set[str]:
    """Every name and attribute in a piece of code."""
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found | {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}


@pytest.mark.parametrize("path", REPORT, ids=lambda path: path.name)
def test_no_page_decides_by_itself_what_may_be_shown(path: Path) -> None:
    """No module of the report compares anything with the threshold, asks for it, or imports what does."""
    module = tree(path)
    imported = {
        alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("validation.disclosure")
        for alias in node.names
    }
    assert not imported & DECIDING
    used = names(module)
    assert not used & (DECIDES | {"small_cells"})
    for node in ast.walk(module):
        compares = isinstance(node, ast.Compare) or (
            isinstance(node, ast.Call) and names(node.func) & {"min", "max", "range", "sorted"}
        )
        assert not compares or "threshold" not in names(node), f"{path.name}:{getattr(node, 'lineno', 0)}"


def makers() -> Iterator[str]:
    """Modules that turn a number into one that may be printed."""
    for package in ("causal", "validation", "flows"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(tree(path)):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Name) and called.id in ("Shown", "ShownCount"):
                    yield path.relative_to(ROOT).as_posix()
                if isinstance(node, ast.Call) and names(node.func) == {"cast"} and "Shown" in ast.dump(node):
                    yield path.relative_to(ROOT).as_posix()


def test_only_disclosure_makes_numbers_that_may_be_printed() -> None:
    """The types tell them from others; here nobody declares one to be of them."""
    assert {Path(path).parent.as_posix() for path in makers()} == {"validation/disclosure"}


SETTINGS = {
    *("Dossier.threshold", "Dossier.scale", "Provenance.looks", "Results.day", "Results.half_width"),
    *("BalanceLine.tier", "BalanceLine.limit", "VerdictLine.limit", "LaterCheck.limit", "EffectLine.level"),
    *("FindingRow.level", "TruthLine.level", "Decomposition.floor"),
    *("OverlapBin.low", "OverlapBin.high"),  # edges of bins, at no observed value
}
"""Numbers the study file or the software declares, and looks at outcomes, that tell of nobody."""
OF_RECORDS_MADE_UP = {"TruthLine.truth", "TruthLine.estimate", "TruthLine.lower", "TruthLine.upper"}
"""For synthetic extracts only."""
GROUPS = {"Dossier.n_treated", "Dossier.n_comparison", "Dossier.n_sets"}
"""Refused below the threshold before anything else is put together."""


def numbers(kind: Any, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    """Every field of a dossier that can hold a number, and its type."""
    if kind in seen:
        return
    seen.add(kind)
    hints = get_type_hints(kind, vars(model))
    for field in dataclasses.fields(kind):
        waiting = [hints[field.name]]
        while waiting:
            one = waiting.pop()
            if get_origin(one) in (Union, types.UnionType, tuple):
                waiting += [each for each in get_args(one) if each is not Ellipsis]
            elif dataclasses.is_dataclass(one):
                yield from numbers(one, seen)
            elif one in (Shown, ShownCount) or one in (int, float):
                yield f"{kind.__name__}.{field.name}", one


def test_every_number_of_a_dossier_has_been_through_disclosure() -> None:
    """Or is a setting: a new number that is neither fails here until somebody says which."""
    found = dict(numbers(Dossier, set()))
    raw = {name for name, kind in found.items() if kind in (int, float)}
    assert raw == SETTINGS | OF_RECORDS_MADE_UP | GROUPS
    assert len(found) - len(raw) > 30
