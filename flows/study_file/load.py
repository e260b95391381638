"""Study and instrument files as typed values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from causal.cohort.catalogue import EXACT_KEYS, catalogue_of, typed_definitions
from causal.cohort.language.sources import Coded, DefinitionError
from causal.cohort.language.types import refuse_taken_name, typed
from causal.errors import StudyFileError
from causal.protocol import STUDY, AnyStudy, CohortStudy, Instrument, OccasionStudy
from causal.protocol.base import is_day
from causal.protocol.definitions import CodeList
from causal.protocol.header import NOT_REGISTERED
from causal.protocol.outcome import Rating
from causal.protocol.words import SEVERAL
from causal.spelling import nearest
from causal.tables import ACTIONS, INSTRUMENTS
from flows.shown import shown, shown_path
from flows.study_file.plain_words import did_you_mean
from flows.study_file.plain_yaml import Document, Plain, Problem, Where
from flows.study_file.shared import DEFINITIONS, Shared, completed, shared_beside, with_needs
from flows.study_file.typed_file import typed_file
from validation.estimable import DESCRIBED_VERSIONS

INSTRUMENT: TypeAdapter[Instrument] = TypeAdapter(Instrument)
NOWHERE = (
    "is defined nowhere, and no folder of definitions was found; keep the file in a folder such as configs/studies, "
    "beside configs/definitions, or run from where configs is"
)
RATING: TypeAdapter[Rating] = TypeAdapter(Rating)
CODE_LISTS: TypeAdapter[dict[str, CodeList]] = TypeAdapter(dict[str, CodeList])

_DECLARED: tuple[tuple[str | None, ...], ...] = (("covariates", None, "name"), ("estimands", None, "id"))
"""Names that a study declares itself."""
_COVARIATES_NAMED: tuple[tuple[str | None, ...], ...] = (
    ("confounders", "tier1", None),
    ("confounders", "tier2", None),
    ("estimator", "adjust_for", None),
    ("prior_ratings", None),
    ("target_trial", "eligibility", None, "of"),
    ("missing", "covariates", None, "covariate"),
    ("effect_modifiers", None, "name"),
)
_EXACT_KEYS_NAMED: tuple[tuple[str | None, ...], ...] = (("target_trial", "assignment", "exact", None),)
_ACTIONS_NAMED: tuple[tuple[str | None, ...], ...] = (("target_trial", "strategies", "treated", "actions", None),)
_ESTIMANDS_NAMED: tuple[tuple[str | None, ...], ...] = (("secondary", None, "estimand"),)
_INSTRUMENTS_NAMED: tuple[tuple[str | None, ...], ...] = (
    ("outcome", "instrument"),
    ("secondary_outcomes", None, "instrument"),
    ("directed_measures", None, "instrument"),
)
"""Where a study file names something that must exist; None stands for every item of a list."""
_NAMED_BY_KEYS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("action", ("words", "actions"), (*ACTIONS, SEVERAL)),
    ("version", ("words", "versions"), DESCRIBED_VERSIONS),
)
"""The blocks whose keys are such names, and the names that exist."""


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
    shared = shared_beside(path)
    written = typed_file(
        path, STUDY, what="study", more_problems=lambda document: further_problems(document, instruments, shared)
    )
    study = completed(written, shared)
    if isinstance(study, OccasionStudy | CohortStudy):
        _refuse_senseless(path, study)
    return LoadedStudy(study=study, path=path, digest=study_digest(study))


def _refuse_senseless(path: Path, study: OccasionStudy | CohortStudy) -> None:
    """Refuse definitions that make no sense together; those of the file's own were told with their lines before."""
    try:
        catalogue_of(study) if isinstance(study, OccasionStudy) else typed_definitions(study)
    except DefinitionError as error:
        where = ".".join(("definitions", *error.where))
        said = f"{shown_path(path)}: {where}, or what the study defines beside it: {error}"
        raise StudyFileError("study.invalid", said) from None


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
    for path in sorted(each for each in folder.iterdir() if each.suffix == ".yaml"):  # glob passes over a locked folder
        try:
            key = typed_file(path, INSTRUMENT, what="instrument")
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


def further_problems(document: Document, instruments: Collection[str] | None, shared: Shared) -> list[Problem]:
    """What the vocabulary alone does not see in a study: names that do not exist, and items that stand twice.

    `shared` are the definitions and code lists a study may name without saying them.
    """
    return [
        *_unknown_names(document, instruments, shared),
        *_senseless(document, shared),
        *_repeated(document),
        *_named_twice(document),
        *_not_yet_registered(document, datetime.now(UTC).date() + timedelta(days=1)),
    ]


def _not_yet_registered(document: Document, latest: date) -> Iterator[Problem]:
    """A registration on a day after `latest`, which is today's in the time zone that is furthest on."""
    for where, text in _texts(document.value, ("study", "registered")):
        if is_day(text) and date.fromisoformat(text) > latest:
            sentence = (
                f"got {shown(text)!r}, a day that has not come; expected the day of registration, or: {NOT_REGISTERED}"
            )
            yield Problem(place=document.places[where], where=where, text=sentence)


def _named_twice(document: Document) -> Iterator[Problem]:
    """Two different declarations under one name: whatever uses the name would mean either."""
    for pattern in _DECLARED:
        first: dict[str, Where] = {}
        for where, text in _texts(document.value, pattern):
            earlier = first.setdefault(text, where)
            if earlier != where:
                line = document.places[earlier].line
                sentence = (
                    f"{shown(text)!r} is declared twice, first on line {line}; give one of them another {where[-1]}"
                )
                yield Problem(place=document.places[where], where=where, text=sentence)


def _repeated(document: Document) -> Iterator[Problem]:
    """Names, sentences and blocks that stand in one list a second time: one of the two was meant to be another."""
    for where, items in _lists(document.value):
        first: dict[str, int] = {}
        for position, item in enumerate(items):
            if not isinstance(item, str | dict) or not item:
                continue
            earlier = first.setdefault(item if isinstance(item, str) else json.dumps(item, sort_keys=True), position)
            if earlier < position:
                what = repr(shown(item)) if isinstance(item, str) else "this block"
                line = document.places[*where, earlier].line
                sentence = (
                    f"{what} stands in this list twice, first on line {line}; remove one, or write what was meant"
                )
                yield Problem(place=document.places[*where, position], where=(*where, position), text=sentence)


def _lists(value: Plain, where: Where = ()) -> Iterator[tuple[Where, list[Plain]]]:
    """Every list in `value`, with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lists(item, (*where, key))
    elif isinstance(value, list):
        yield where, value
        for position, item in enumerate(value):
            yield from _lists(item, (*where, position))


def _senseless(document: Document, shared: Shared) -> Iterator[Problem]:
    """Definitions of the study's own that can be read and make no sense, each at the key that is wrong."""
    value = document.value
    if not isinstance(value, dict) or not isinstance(value.get("definitions"), dict):
        return
    try:
        own = DEFINITIONS.validate_json(json.dumps(value["definitions"]))
        outcome = RATING.validate_json(json.dumps(value.get("outcome")))
        lists = CODE_LISTS.validate_json(json.dumps(value.get("codelists", {})))
    except ValidationError:  # told where the whole file is judged
        return
    known, codes = {**shared.definitions, **own}, {**shared.codelists, **lists}
    told: set[str] = set()
    for name in own:
        try:
            found = typed({each: known[each] for each in with_needs([name], known)}, outcome)
            refuse_taken_name(found[name], known)
            if isinstance(source := found[name].source, Coded) and source.codes not in codes:
                near = did_you_mean(source.codes, codes) or f"; known are {', '.join(sorted(codes))}"
                raise DefinitionError(f"no code list is called {shown(source.codes)!r}{near}", name, "of", "codes")
        except DefinitionError as error:
            where = ("definitions", *error.where)
            if error.where[0] in own and error.where[0] not in told:  # a circle is told at one of those that make it
                told.add(error.where[0])
                while where not in document.places:
                    where = where[:-1]
                yield Problem(place=document.places[where], where=where, text=str(error))


def _unknown_names(document: Document, instruments: Collection[str] | None, shared: Shared) -> Iterator[Problem]:
    """Covariates, exact keys, actions, estimands and instruments that are named and do not exist."""
    declared = {text for _, text in _texts(document.value, ("covariates", None, "name"))}
    own = document.value.get("definitions") if isinstance(document.value, dict) else None
    declared |= set(own) if isinstance(own, dict) else set()
    estimands = {text for _, text in _texts(document.value, ("estimands", None, "id"))}
    kinds = [("action", _ACTIONS_NAMED, set(ACTIONS))]
    if _declarations_stand(document.value, "covariates", "name"):
        kinds.append(("covariate", _COVARIATES_NAMED, {*shared.definitions, *declared}))
        kinds.append(("exact key", _EXACT_KEYS_NAMED, {*EXACT_KEYS, *shared.definitions, *declared}))
    ids = [text for _, text in _texts(document.value, ("estimands", None, "id"))]
    if estimands and len(ids) == len(estimands) and _declarations_stand(document.value, "estimands", "id"):
        kinds.append(("estimand", _ESTIMANDS_NAMED, estimands))
    if instruments is not None:
        kinds.append(("instrument", _INSTRUMENTS_NAMED, set(instruments)))
    for kind, patterns, known in kinds:
        for pattern in patterns:
            for where, text in _texts(document.value, pattern):
                # A questionnaire whose key a site has to supply is no slip: the protocol's checks say what it stops.
                if text not in known and not (kind == "instrument" and text in INSTRUMENTS):
                    if kind == "covariate" and not shared.definitions:
                        yield Problem(place=document.places[where], where=where, text=f"{shown(text)!r} {NOWHERE}")
                        return
                    yield Problem(place=document.places[where], where=where, text=_unknown(kind, text, known))
    for kind, block, names in _NAMED_BY_KEYS:
        for where, name in _keys(document.value, block):
            if name not in names:
                yield Problem(place=document.keys[where], where=where, text=_unknown(kind, name, names))


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    end = did_you_mean(name, known) or f"; known are {', '.join(sorted(known))}"
    return f"unknown {kind} {shown(name)!r}{end}"


def _keys(value: Plain, block: tuple[str, ...]) -> Iterator[tuple[Where, str]]:
    """Every key of a block, with its place."""
    for step in block:
        value = value.get(step) if isinstance(value, dict) else None
    for key in value if isinstance(value, dict) else ():
        yield (*block, key), key


def _declarations_stand(study: Plain, key: str, named_by: str) -> bool:
    """Whether what a study declares itself can be read: else one slip there would be told once for every use."""
    if not isinstance(study, dict):
        return False
    if key not in study:
        return not any(nearest(name, [key]) for name in study)
    items = study[key]
    return isinstance(items, list) and all(isinstance(i, dict) and isinstance(i.get(named_by), str) for i in items)


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
