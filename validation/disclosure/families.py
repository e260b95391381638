"""Columns that are one variable: indicators of its values, the value that models leave out, and that of its absence.

Each of them tells something of the others, so they are judged together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from causal.cohort.catalogue import Catalogue, catalogue_of, typed_definitions
from causal.cohort.language.types import Category as Values
from causal.design.covariates import MISSING_SUFFIX
from causal.protocol import OccasionStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Yes-or-no columns about one variable, each with the values it says yes to; None is that it was not recorded.

    `columns` are those a study declares, whether or not a design holds them: one that is too rare, or that nobody
    differs in, is told by the others.
    """

    columns: dict[str, frozenset[str | None]]

    @property
    def apart(self) -> tuple[str, ...]:
        """Columns of which nobody has two, in order: what they leave of a group is a count too."""
        kept: list[str] = []
        for name, values in self.columns.items():
            if all(values.isdisjoint(self.columns[other]) for other in kept):
                kept.append(name)
        return tuple(kept)

    @property
    def nested(self) -> tuple[tuple[str, str], ...]:
        """Pairs of columns the second of which says yes to all the first does, and to more."""
        return tuple((a, b) for a, one in self.columns.items() for b, other in self.columns.items() if one < other)


def families_of(study: OccasionStudy) -> tuple[Family, ...]:
    """Every column a study's facts can have, in families; one that stands alone is a family of its own."""
    facts = catalogue_of(study)
    found = [*_categories(facts), *_indicators(study, facts)]
    taken = {name for columns in found for name in columns}
    found += [{name: frozenset({name})} for name in facts.covariates if name not in taken]
    return tuple(Family(columns=columns | _absence(columns, facts)) for columns in found)


def _categories(facts: Catalogue) -> Iterator[dict[str, frozenset[str | None]]]:
    """Facts of which there is a column for every value, the last one included."""
    for category in facts.categories:
        yield {level: frozenset({level}) for level in (*category.levels, category.last.name)}


def _indicators(study: OccasionStudy, facts: Catalogue) -> Iterator[dict[str, frozenset[str | None]]]:
    """Facts that ask whether another one has a value, where not every value is asked for."""
    whole = {level for category in facts.categories for level in category.levels}
    known = typed_definitions(study)
    for name, one in known.items():
        if not isinstance(one.type, Values):
            continue
        single = {}
        for other in known.values():
            asked = other.definition.is_
            if other.needs == (name,) and asked is not None and other.name in facts.covariates.keys() - whole:
                values = asked if isinstance(asked, tuple) else (asked,)
                single[other.name] = frozenset(str(value) for value in values)
        if single:
            yield dict(single)


def _absence(columns: dict[str, frozenset[str | None]], facts: Catalogue) -> dict[str, frozenset[str | None]]:
    """The indicator of each column's absence, which everybody without a value shares."""
    return {name + MISSING_SUFFIX: frozenset({None}) for name in columns if name in facts.covariates}
