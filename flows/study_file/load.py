"""Study and instrument files as typed values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from causal.cohort.catalogue import COVARIATES, EXACT_KEYS
from causal.errors import StudyFileError
from causal.protocol import STUDY, AnyStudy, Instrument
from causal.tables import INSTRUMENTS
from flows.study_file.plain_words import did_you_mean
from flows.study_file.plain_yaml import Document, Plain, Problem, Where
from flows.study_file.small_file import shown, shown_path
from flows.study_file.typed_file import typed_file

_INSTRUMENT: TypeAdapter[Instrument] = TypeAdapter(Instrument)

_COVARIATES_NAMED: tuple[tuple[str | None, ...], ...] = (
    ("confounders", "tier1", None),
    ("confounders", "tier2", None),
    ("estimator", "adjust_for", None),
    ("missing", "covariates", None, "covariate"),
    ("effect_modifiers", None, "name"),
)
_EXACT_KEYS_NAMED: tuple[tuple[str | None, ...], ...] = (("target_trial", "assignment", "exact", None),)
_INSTRUMENTS_NAMED: tuple[tuple[str | None, ...], ...] = (
    ("outcome", "instrument"),
    ("secondary_outcomes", None, "instrument"),
    ("directed_measures", None, "instrument"),
)
"""Where a study file names something that must exist; None stands for every item of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStudy:
    """A study, the file it came from, and its digest.

    `digest` is the sha256 of the study's canonical JSON, defaults written out: comments, key order, quoting and 0.1
    against 0.10 do not change it; a choice does.
    """

    study: AnyStudy
    path: Path
    digest: str


def load_study(path: Path | str, *, instruments: Collection[str] | None = None) -> LoadedStudy:
    """Read the study written at `path`.

    Parameters
    ----------
    path
        A study file.
    instruments
        Ids of the scoring keys that exist; when given, a study that names another is refused.

    Raises
    ------
    StudyFileError
        ``study.unreadable`` or ``study.invalid``; the message names every problem, one line each.
    """
    path = Path(path)
    study = typed_file(
        path, STUDY, what="study", more_problems=lambda document: list(_unknown_names(document, instruments))
    )
    return LoadedStudy(study=study, path=path, digest=study_digest(study))


def study_digest(study: AnyStudy) -> str:
    """sha256, in hexadecimal, of the canonical JSON of `study`."""
    canonical = json.dumps(study.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def load_instruments(folder: Path | str) -> dict[str, Instrument]:
    """Read the scoring keys in `folder`, by id, in alphabetical order.

    Raises
    ------
    StudyFileError
        ``instrument.unreadable`` or ``instrument.invalid``, with the problems of every file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyFileError("instrument.unreadable", f"{shown_path(folder)}: there is no such folder")
    keys: dict[str, Instrument] = {}
    refusals: list[StudyFileError] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            key = typed_file(path, _INSTRUMENT, what="instrument")
            if key.id != path.stem:
                raise StudyFileError(
                    "instrument.invalid",
                    f"{shown_path(path)}: id is {key.id!r}; expected the file's name, {path.stem!r}",
                )
            keys[key.id] = key
        except StudyFileError as refusal:
            refusals.append(refusal)
    if refusals:
        raise StudyFileError(refusals[0].code, "\n".join(refusal.message for refusal in refusals))
    return keys


def _unknown_names(document: Document, instruments: Collection[str] | None) -> Iterator[Problem]:
    """Covariates, exact keys and instruments that are named and do not exist."""
    declared = {text for _, text in _texts(document.value, ("covariates", None, "name"))}
    kinds = [
        ("covariate", _COVARIATES_NAMED, {*COVARIATES, *declared}),
        ("exact key", _EXACT_KEYS_NAMED, {*EXACT_KEYS, *declared}),
    ]
    if instruments is not None:
        kinds.append(("instrument", _INSTRUMENTS_NAMED, set(instruments)))
    for kind, patterns, known in kinds:
        for pattern in patterns:
            for where, text in _texts(document.value, pattern):
                if text not in known:
                    # A questionnaire of its own without a key is no misspelling of another one.
                    near = "" if kind == "instrument" and text in INSTRUMENTS else did_you_mean(text, known)
                    end = near or f"; known are {', '.join(sorted(known))}"
                    sentence = f"unknown {kind} {shown(text)!r}{end}"
                    yield Problem(place=document.places[where], where=where, text=sentence)


def _texts(value: Plain, pattern: tuple[str | None, ...], where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Every text at the places `pattern` describes, with its place."""
    if not pattern:
        if isinstance(value, str):
            yield where, value
    elif pattern[0] is None:
        for position, item in enumerate(value if isinstance(value, list) else []):
            yield from _texts(item, pattern[1:], (*where, position))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _texts(value[pattern[0]], pattern[1:], (*where, pattern[0]))
