"""Definitions and code lists that studies share, and a study completed with those it uses."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from causal.cohort.catalogue import EXACT_KEYS
from causal.cohort.language.types import needs_of
from causal.errors import StudyFileError
from causal.protocol import AnyStudy, CohortStudy, OccasionStudy
from causal.protocol.definitions import CodeList, Codes, Definition
from causal.protocol.target_trial import Holds
from flows.shown import shown_path
from flows.study_file.typed_file import typed_file

DEFINITIONS: TypeAdapter[dict[str, Definition]] = TypeAdapter(dict[str, Definition])
CODE_COLUMNS = ("code", "system", "version", "source", "meaning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What any study may name: definitions and code lists, by name."""

    definitions: Mapping[str, Definition] = field(default_factory=dict)
    codelists: Mapping[str, CodeList] = field(default_factory=dict)


def shared_beside(study: Path) -> Shared:
    """The shared definitions and code lists of the `configs` folder that a study file belongs to.

    That is the nearest folder above the file that has `definitions`, else `configs` of the working directory.

    Raises
    ------
    StudyFileError
        ``definitions.invalid`` or ``codelist.invalid``, with every problem and its line.
    """
    above = [folder for folder in study.absolute().parents if (folder / "definitions").is_dir()]
    configs = above[0] if above else Path("configs")
    return Shared(
        definitions=load_definitions(configs / "definitions"), codelists=load_code_lists(configs / "codelists")
    )


def load_definitions(folder: Path) -> dict[str, Definition]:
    """Every definition of a folder of ``.yaml`` files, by name; none where there is no such folder.

    Raises
    ------
    StudyFileError
        ``definitions.unreadable`` or ``definitions.invalid``: a file cannot be used, or two say the same name.
    """
    found: dict[str, Definition] = {}
    home: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        for name, definition in _read(path, path.stat().st_mtime_ns, path.stat().st_size).items():
            if name in found:
                also = f"{shown_path(path)}: '{name}' is defined in {shown_path(home[name])} too; rename one"
                raise StudyFileError("definitions.invalid", also)
            found[name], home[name] = definition, path
    return found


@cache
def _read(path: Path, changed: int, size: int) -> dict[str, Definition]:  # noqa: ARG001 - when it is read anew
    return typed_file(path, DEFINITIONS, what="definitions")


def load_code_lists(folder: Path) -> dict[str, CodeList]:
    """Every code list of a folder of ``.csv`` files, by the file's name; none where there is no such folder.

    Raises
    ------
    StudyFileError
        ``codelist.invalid``: a file is not a table of code, system, version, source and meaning.
    """
    return {path.stem: _code_list(path) for path in sorted(folder.glob("*.csv"))} if folder.is_dir() else {}


def _code_list(path: Path) -> CodeList:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = f"{shown_path(path)}: not a readable table of codes ({type(error).__name__})"
        raise StudyFileError("codelist.invalid", said, fix="save it as a CSV in UTF-8") from None
    if not rows or tuple(rows[0]) != CODE_COLUMNS:
        said = f"{shown_path(path)}:1: expected the columns {', '.join(CODE_COLUMNS)}"
        raise StudyFileError("codelist.invalid", said)
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(CODE_COLUMNS) or not row[0].strip():
            said = f"{shown_path(path)}:{line}: expected {len(CODE_COLUMNS)} fields, the first a code; got {len(row)}"
            raise StudyFileError("codelist.invalid", said)
    codes = tuple(row[0].strip().upper() for row in rows[1:])
    if not codes or len(set(codes)) < len(codes):
        said = f"{shown_path(path)}: " + ("a code stands twice" if codes else "it holds no code")
        raise StudyFileError("codelist.invalid", said)
    sources = dict.fromkeys(f"{row[1]}, {row[2]}: {row[3]}" for row in rows[1:])
    return CodeList(codes=codes, source="; ".join(sources))


def named_by(study: OccasionStudy | CohortStudy) -> tuple[str, ...]:
    """Every name of a study that may be a definition's, in the order of its file."""
    adjusted = study.estimator.adjust_for
    filled = (rule.covariate for rule in study.missing.covariates)
    confounders = (*study.confounders.tier1, *study.confounders.tier2)
    rules = study.target_trial.eligibility
    held = (rule.of for rule in rules if isinstance(rule, Holds))
    exact = (name for name in study.target_trial.assignment.exact if name not in EXACT_KEYS)
    drawn = (end for edge in study.dag.edges for end in edge.split(" -> "))
    named = dict.fromkeys(
        (*study.definitions, *confounders, *adjusted, *filled, *study.prior_ratings, *held, *exact, *drawn)
    )
    declared = {covariate.name for covariate in study.covariates} - study.definitions.keys()
    return tuple(name for name in named if name not in declared)


def completed(study: AnyStudy, shared: Shared) -> AnyStudy:
    """`study` with the shared definitions and code lists that it uses and does not define itself."""
    if not isinstance(study, OccasionStudy | CohortStudy):
        return study
    known = {**shared.definitions, **study.definitions}
    wanted = {name: known[name] for name in with_needs(named_by(study), known)}
    lists = [one.of.codes for one in wanted.values() if isinstance(one.of, Codes)]
    codes = {**shared.codelists, **study.codelists}
    found = {name: codes[name] for name in dict.fromkeys((*study.codelists, *lists)) if name in codes}
    return study.model_copy(update={"definitions": wanted, "codelists": found})


def with_needs(names: Iterable[str], known: Mapping[str, Definition]) -> tuple[str, ...]:
    """Those of `names` that are defined, each after the definitions it is built of."""
    found: dict[str, None] = {}

    def add(name: str, waiting: Collection[str]) -> None:
        if name in known and name not in found and name not in waiting:
            for needed in needs_of(known[name], known):
                add(needed, {*waiting, name})
            found[name] = None

    for name in names:
        add(name, ())
    return tuple(found)
