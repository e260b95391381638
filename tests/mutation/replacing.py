"""Other code in place of our modules, for a process that has loaded them already."""

from __future__ import annotations

import gc
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

import grimp
from making import ROOT

LIBRARIES = ("hypothesis", "pandas.testing", "scipy.stats", "great_expectations", "matplotlib.pyplot", "flows.cli")
OURS = ("causal", "validation", "flows")


class OtherLoader(importlib.machinery.SourceFileLoader):
    """Loads a module from other code than the file's."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self.code = code

    def get_code(self, _: str) -> CodeType:
        """The other code; never that of the cache of compiled files."""
        return self.code


class Finder:
    """Finds modules that have other code, and leaves all others to whoever is next."""

    def __init__(self, codes: Mapping[str, CodeType]) -> None:
        self.codes = codes

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        """The other module under its name."""
        if name not in self.codes:
            return None
        code = self.codes[name]
        return importlib.util.spec_from_loader(name, OtherLoader(name, code.co_filename, code))


def module_name(path: str) -> str:
    """As it is imported.

    >>> module_name("causal/design/groups.py")
    'causal.design.groups'
    """
    return path.removesuffix(".py").replace("/", ".")


def load(paths: Iterable[str]) -> grimp.ImportGraph:
    """Import libraries and ours, so that forked processes need not; gives who of ours imports whom."""
    sys.path.insert(0, str(ROOT))
    for library in LIBRARIES:
        importlib.import_module(library)
    for path in paths:
        importlib.import_module(module_name(path))
    for plugin in importlib.metadata.entry_points(group="pytest11"):
        importlib.import_module(plugin.module)
    graph = grimp.build_graph(*OURS, cache_dir=None)
    gc.collect()
    gc.freeze()  # or every fork would look through, and so copy, all that is loaded
    return graph


def forget(name: str, graph: grimp.ImportGraph) -> None:
    """Let a module of ours, and all that rest on it, be imported anew."""
    for one in {name, *graph.find_downstream_modules(name)} & set(sys.modules):
        parent, _, last = one.rpartition(".")
        del sys.modules[one]
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(last, None)  # or `from parent import last` would find the old one


def forget_ours() -> None:
    """Let all of ours be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]


def replace(codes: Mapping[str, CodeType]) -> None:
    """From now on import this code for these modules."""
    sys.meta_path.insert(0, Finder(codes))  # type: ignore[arg-type]
