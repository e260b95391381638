"""The facts of one study: what its definitions give, column by column, with what pages say of each.

All are computed from rows dated strictly before the occasion's time zero (rows that carry only a date: before the day
of time zero), or recorded by the assessment itself as its content.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from causal.cohort.language.sources import Age, Coded, Day, DefinitionError, Scored, Standing
from causal.cohort.language.types import Category as Values
from causal.cohort.language.types import Flag, Number, Typed, refuse_taken_name, table_of, typed, values_of, with_needs
from causal.cohort.language.words import said
from causal.protocol import CohortStudy, OccasionStudy
from causal.protocol.definitions import window_days
from causal.protocol.outcome import Rating
from causal.protocol.target_trial import Holds
from causal.tables import PATIENTS, THREAT_ASSESSMENTS

NOT_RECORDED = "not_recorded"
"""The value of a category that nobody recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateDefinition:
    """One column of facts.

    `tables` are those it is taken from, without a row of which it says nothing; `window_days` counts back from time
    zero (None: the whole record).
    """

    name: str
    label: str
    meaning: str
    unit: str
    tables: tuple[str, ...]
    binary: bool = False
    can_be_missing: bool = False
    window_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A fact of several levels, of which a cohort holds an indicator of all `levels` but the `last`.

    Balance is shown, judged and measured at every level; models do without the last.
    """

    name: str
    levels: tuple[str, ...]
    last: CovariateDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The facts of a study.

    Attributes
    ----------
    covariates
        The columns a cohort holds of them, in order.
    categories
        The facts of several levels whose indicators are all among the columns.
    columns
        By the name a study calls a fact: its columns, itself alone unless it is a category.
    """

    covariates: Mapping[str, CovariateDefinition]
    categories: tuple[Category, ...]
    columns: Mapping[str, tuple[str, ...]]

    @property
    def described(self) -> dict[str, CovariateDefinition]:
        """Every fact a page may name: the columns, and the last levels of categories."""
        return {**self.covariates, **{category.last.name: category.last for category in self.categories}}

    def spread(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """`names` with each category's columns in its place; what is no fact of the study stays as it is."""
        return tuple(column for name in names for column in self.columns.get(name, (name,)))


def used_names(study: OccasionStudy) -> tuple[str, ...]:
    """The definitions a study takes facts from, in its order: alike in, adjusted for, ratings before, exact keys."""
    tiers = (*study.confounders.tier1, *study.confounders.tier2)
    exact = (name for name in study.target_trial.assignment.exact if name not in EXACT_KEYS)
    named = dict.fromkeys((*tiers, *study.estimator.adjust_for, *study.prior_ratings, *exact))
    return tuple(name for name in named if name in study.definitions)


def typed_definitions(study: OccasionStudy | CohortStudy) -> dict[str, Typed]:
    """A study's definitions with their types; raises `DefinitionError` where one makes no sense."""
    found = typed(study.definitions, study.outcome if isinstance(study.outcome, Rating) else None)
    for one in found.values():
        refuse_taken_name(one, study.definitions)
    return found


def catalogue_of(study: OccasionStudy) -> Catalogue:
    """What the definitions of `study` give that it uses; raises `DefinitionError` where one makes no sense."""
    known = typed_definitions(study)
    covariates: dict[str, CovariateDefinition] = {}
    every: dict[str, CovariateDefinition] = {}
    columns: dict[str, tuple[str, ...]] = {}
    categories = []
    for name in used_names(study):
        one = known[name]
        if isinstance(one.type, Values):
            made = [_level(one, value, known) for value in _values(one)]
            columns[name] = tuple(level.name for level in made[:-1])
            categories.append(Category(name=name, levels=columns[name], last=made[-1]))
        else:
            made = [_described(one, known)]
            columns[name] = (name,)
        for fact in made:
            if fact.name in every:
                said = f"it makes a fact called {fact.name}, and another definition or value does too; rename one"
                raise DefinitionError(said, name)
            every[fact.name] = fact
        covariates |= {column: every[column] for column in columns[name]}
    categories += _of_indicators(covariates, known)
    return Catalogue(covariates=covariates, categories=tuple(categories), columns=columns)


def indicators_of(study: OccasionStudy | CohortStudy) -> dict[str, tuple[str, ...]]:
    """By category, the facts that together say all of it: its columns, or an indicator of every value but one."""
    known = typed_definitions(study)
    spread = {one.name: tuple(level_columns(one)) for one in known.values() if isinstance(one.type, Values)}
    return spread | {one.name: one.levels for one in _of_indicators(known, known)}


def _values(one: Typed) -> tuple[str, ...]:
    """The values of a category in the order of its columns, the one that models leave out last."""
    assert isinstance(one.type, Values)
    values = values_of(one.definition, one.type)
    if _can_be_missing(one):
        values = (*values, NOT_RECORDED)
    last = one.definition.reference or (one.type.values or tuple(one.definition.levels))[-1]
    return (*(value for value in values if value != last), last)


def level_columns(one: Typed) -> dict[str, str]:
    """The columns of a category that a cohort holds, and the value each says yes to."""
    return {_level_name(one, value): value for value in _values(one)[:-1]}


def _level_name(one: Typed, value: str) -> str:
    """What the indicator of a value is called: letters that no name of a study has are written as an underscore."""
    return f"{one.name}_{re.sub(r'[^a-z0-9_]', '_', value.lower())}"


def _level(one: Typed, value: str, known: Mapping[str, Typed]) -> CovariateDefinition:
    whole = _described(one, known)
    plain = "not recorded" if value == NOT_RECORDED else value.replace("_", " ")
    return CovariateDefinition(
        name=_level_name(one, value),
        label=one.definition.levels.get(value, f"{whole.label}: {plain}"),
        meaning=f"{whole.meaning}: {plain}",
        unit="yes or no",
        tables=whole.tables,
        binary=True,
        window_days=whole.window_days,
    )


def _of_indicators(names: Container[str], known: Mapping[str, Typed]) -> Iterator[Category]:
    """Categories of which there is an indicator among `names` for every value but one."""
    for name, one in known.items():
        if not isinstance(one.type, Values):
            continue
        single = {other.definition.is_: other.name for other in known.values() if other.needs == (name,)}
        named = {value: single[value] for value in one.type.values if single.get(value) in names}
        left = [value for value in one.type.values if value not in named]
        if named and len(left) == 1:
            last = _level(one, left[0], known)
            yield Category(name=name, levels=tuple(named.values()), last=last)


def _described(one: Typed, known: Mapping[str, Typed]) -> CovariateDefinition:
    definition = one.definition
    flag = isinstance(one.type, Flag)
    own_unit = one.type.unit if isinstance(one.type, Number) else "yes or no" if flag else "one of several"
    return CovariateDefinition(
        name=one.name,
        label=definition.label or f"{one.name[:1].upper()}{one.name[1:].replace('_', ' ')}",
        meaning=definition.meaning or said(one),
        unit=definition.unit or own_unit,
        tables=tuple(dict.fromkeys(_tables(one, known))),
        binary=flag,
        can_be_missing=_can_be_missing(one, known) and not isinstance(one.type, Values),
        window_days=_reach(one, known),
    )


def _tables(one: Typed, known: Mapping[str, Typed]) -> Iterator[str]:
    if (table := table_of(one.source)) is not None:
        yield table.name
    elif isinstance(one.source, Day):
        yield THREAT_ASSESSMENTS.name
    elif isinstance(one.source, Standing):
        yield "jurisdiction_regime" if one.source.column.name == "regime" else one.source.table.name
    elif isinstance(one.source, Age):
        yield PATIENTS.name
    for name in one.needs:
        yield from _tables(known[name], known)


def _can_be_missing(one: Typed, known: Mapping[str, Typed] | None = None) -> bool:
    """Whether an eligible occasion can be without it."""
    if one.zero_where_none or one.definition.if_none == "refuse" or isinstance(one.source, Coded):
        return False
    if isinstance(one.source, Standing):
        return not one.source.column.required
    if one.needs and known is not None:
        return any(_can_be_missing(known[name], known) for name in one.needs)
    return table_of(one.source) is not None


def _reach(one: Typed, known: Mapping[str, Typed]) -> int | None:
    """How far back it looks: the farthest of what it is made of; None where that is the whole record."""
    if one.needs:
        reaches = [_reach(known[name], known) for name in one.needs]
        return None if None in reaches else max(reach for reach in reaches if reach is not None)
    if table_of(one.source) is None or one.definition.before is None:
        return None
    days = window_days(one.definition.before)
    return days[0] if days else None


def exact_keys_of(study: OccasionStudy) -> dict[str, str]:
    """Every key on which a study's occasions can be made to agree, in words: those there are, and its own definitions.

    A definition agrees where all its columns do; that it was not recorded is a value of its own.
    """
    own = [name for name in study.target_trial.assignment.exact if name in study.definitions and name not in EXACT_KEYS]
    facts = facts_of(study) if own else {}
    return EXACT_KEYS | {name: f"{facts[name].label[:1].lower()}{facts[name].label[1:]}" for name in own}


def code_lists_of(study: OccasionStudy) -> dict[str, tuple[str, ...]]:
    """The code lists that a study's facts and rules are taken by, and the facts taken by each."""
    found: dict[str, list[str]] = {}
    known = typed_definitions(study)
    held = [rule.of for rule in study.target_trial.eligibility if isinstance(rule, Holds)]
    for name in dict.fromkeys((*used_names(study), *held)):
        for source in (known[each].source for each in with_needs([name], known)):
            if isinstance(source, Coded):
                found.setdefault(source.codes, []).append(name)
    return {name: tuple(dict.fromkeys(facts)) for name, facts in found.items()}


def scores_of(study: OccasionStudy | CohortStudy) -> tuple[Scored, ...]:
    """The scores that a study's facts are."""
    sources = (one.source for one in typed_definitions(study).values())
    return tuple(dict.fromkeys(source for source in sources if isinstance(source, Scored)))


def facts_of(study: OccasionStudy | CohortStudy) -> dict[str, CovariateDefinition]:
    """Each definition of a study as one fact, categories whole."""
    known = typed_definitions(study)
    return {name: _described(one, known) for name, one in known.items()}


EXACT_KEYS: dict[str, str] = {
    "regime": "legal regime in force at time zero",
    "same_day_hold": "involuntary or voluntary hold within the same day, part of neither strategy",
    "instrument_ver": "version of the assessment instrument",
    "clinic_id": "clinic",
    "clinician_id": "clinician",
}
"""Keys on which compared occasions can be made to agree."""

__all__ = [
    "EXACT_KEYS",
    "Catalogue",
    "Category",
    "CovariateDefinition",
    "DefinitionError",
    "catalogue_of",
    "code_lists_of",
    "exact_keys_of",
    "facts_of",
    "indicators_of",
    "level_columns",
    "scores_of",
    "typed_definitions",
    "used_names",
]
