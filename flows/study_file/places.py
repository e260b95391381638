"""Where in a study file a judgement of the protocol looks, so that one that fails is told with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from causal.errors import RapportError, StudyFileError
from flows.shown import shown_path
from flows.study_file.named_in import named_in
from flows.study_file.plain_yaml import Document, Place, Where, plain_yaml
from flows.study_file.small_file import UnreadableFileError, small_text
from validation.estimable import waiting
from validation.verdict import Verdict, failed

_ASSIGNMENT: Where = ("target_trial", "assignment")
_METHOD: tuple[Where, ...] = (("matching",), ("weighting",), ("propensity",), ("analysis",))

JUDGED: Mapping[str, tuple[Where, ...]] = {
    "eligibility": (("target_trial", "eligibility"),),
    "rules": (("target_trial", "eligibility"),),
    "actions": (("target_trial", "strategies", "treated", "actions"),),
    "words": (("words", "actions"), ("words", "versions"), ("words",)),
    "actors": (("directed_measures",), ("actors",)),
    "exact_keys": ((*_ASSIGNMENT, "exact"),),
    "outcome_window": (("outcome", "windows"), ("outcome",)),
    "primary_day": (("outcome", "primary_day"), ("outcome",)),
    "followed_up": (("target_trial", "eligibility"), ("target_trial", "follow_up")),
    "instrument": (("outcome", "subscales"), ("outcome", "version"), ("outcome", "instrument"), ("outcome",)),
    "instrument_key": (("outcome", "instrument"), ("outcome",)),
    "composite_value": (("estimands",),),
    "symptom_keys": (("confounders",),),
    "primary_estimand": (("estimands",),),
    "dag_ends": (("dag",),),
    "dag_acyclic": (("dag", "edges"), ("dag",)),
    "dag_nodes": (("dag", "edges"), ("dag",)),
    "dag_descendants": (("dag", "edges"), ("dag",)),
    "dag_open_path": (("dag", "edges"), ("dag",)),
    "covariates": (("confounders",),),
    "adjust_for": (("estimator", "adjust_for"), ("estimator",)),
    "mediators": (("mediators",),),
    "method": _METHOD,
    "ratio": (("matching", "ratio"), *_METHOD),
    "calendar": (("weighting",),),
    "estimand_of_method": _METHOD,
    "missing_covariates": (("missing", "covariates"), ("missing",)),
    "secondary": (("secondary",), ("multiplicity",)),
    "secondary_days": (("outcome", "windows"), ("outcome",)),
    "secondary_estimands": (("estimands",),),
    "subscales": (("outcome", "subscales"), ("outcome",)),
    "free_text": (("governance", "forbidden_columns"), ("governance",)),
    "claims": (("report",),),
    "not_yet_estimable": (),
    "sensitivity": (("sensitivity",),),
    "negative_control": (("negative_controls",),),
    "effect_modifiers": (("effect_modifiers",),),
    "mediation": (("mediators",),),
    "directed_measures": (("directed_measures",),),
    "non_inferiority": (("non_inferiority_margin",),),
    "margin": (("non_inferiority_margin",), ("claim",)),
    "common_rater": (("outcome",),),
    "alliance": (("alliance",),),
    "moderators": (("meta",),),
    "columns": (("analysis",), ("columns",)),
    "standard_error": (("analysis", "standard_error"), ("analysis",), ("analyses",)),
    "placebo_outcomes": (("placebo_outcomes",), ("columns",)),
    "analyses": (("analyses",),),
    "visits": (("analyses",), ("columns", "visits")),
    "published": (("published",),),
    "blind": (("analysis", "missing_outcome"), ("columns",)),
}
"""By the second word of a verdict's code: the parts of the file it is about, the one to look at first.

Within them the item that the verdict's sentence names is looked for (`named_in`); where it names none, the place is
that of the first part that is written.
"""

REFUSED: Mapping[str, tuple[Where, ...]] = {
    "flat.no_column": (("columns",), ("analysis",), ("placebo_outcomes",)),
    "flat.column_twice": (("columns",),),
    "flat.treated_value": (("columns", "treated_value"),),
    "flat.treatment": (("columns", "treatment"),),
    "long.no_visit": (("columns", "visits"),),
    "long.visit": (("columns", "visits"),),
    "long.no_baseline": (("columns", "baseline"),),
    "flat.item": (("data", "item"),),
    "flat.file": (("data", "path"),),
}
"""By code: the parts of the file that a refusal of its table is about; the same is looked for in them."""


def placed(refusal: RapportError, path: Path) -> RapportError:
    """The refusal of a study's table with ``file:line:column`` of what the study at `path` names and nothing holds.

    Any other refusal is returned as it is.
    """
    at = _places(path, {refusal.code: (refusal.message, REFUSED.get(refusal.code, ()))})
    if refusal.code not in at:
        return refusal
    return type(refusal)(refusal.code, f"{at[refusal.code]}: {refusal.message}", fix=refusal.fix)


def refuse_failed(path: Path | None, verdicts: Sequence[Verdict]) -> None:
    """Refuse a study, written at `path`, that does not hold together or cannot be run yet; each is told at its place.

    Raises
    ------
    StudyFileError
        The code of the first.
    """
    problems = [*failed(verdicts), *waiting(verdicts)]
    if problems:
        places = {} if path is None else places_of(path, problems)
        said = "; ".join(
            " ".join([*_at(places, problem), f"{problem.code}: {problem.sentence}"]) for problem in problems
        )
        why = "the protocol does not hold together" if failed(verdicts) else "the study cannot be run"
        raise StudyFileError(problems[0].code, f"{why}: {said}")


def _at(places: Mapping[str, str], verdict: Verdict) -> list[str]:
    return [f"{places[verdict.code]}:"] if verdict.code in places else []


def places_of(path: Path, verdicts: Sequence[Verdict]) -> dict[str, str]:
    """``file:line:column`` by code, for each verdict on the protocol whose part of the file is written there.

    The place is that of the item the verdict's sentence names, or else of its part of the file. A code whose part is
    left to its default has no place, nor has any where the file can no longer be read.
    """
    return _places(path, {verdict.code: (verdict.sentence, _judged(verdict.code)) for verdict in verdicts})


def _judged(code: str) -> tuple[Where, ...]:
    family, _, name = code.partition(".")
    return JUDGED.get(name.partition(".")[0], ()) if family == "protocol" else ()


def _places(path: Path, said: Mapping[str, tuple[str, tuple[Where, ...]]]) -> dict[str, str]:
    """``file:line:column`` by code, of what each sentence names in the parts of the file it is about."""
    about = {code: one for code, one in said.items() if one[1]}
    if not about:
        return {}
    try:
        document = plain_yaml(small_text(path))
    except UnreadableFileError:
        return {}
    found = {code: _place(sentence, parts, document) for code, (sentence, parts) in about.items()}
    return {code: f"{shown_path(path)}:{at.line}:{at.column}" for code, at in found.items() if at is not None}


def _place(sentence: str, about: tuple[Where, ...], document: Document) -> Place | None:
    parts = [where for where in about if where in document.places]
    for where in parts:
        if item := named_in(sentence, where, document):
            return document.places[item]
    return document.keys.get(parts[0], document.places[parts[0]]) if parts else None
