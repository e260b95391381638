"""What kind of value each definition gives: a number, yes or no, or one of several values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from causal.cohort.language.sources import (
    Age,
    Coded,
    Day,
    DefinitionError,
    Named,
    Rows,
    Scored,
    Source,
    Standing,
    column_of,
    source_of,
)
from causal.protocol.definitions import COUNTED, Between, Definition
from causal.protocol.outcome import Rating
from causal.spelling import nearest
from causal.tables import DIAGNOSES, MEASURES, Column, Kind, Table

NUMERIC = (Kind.INTEGER, Kind.NUMBER)
RESERVED = frozenset(
    {
        *("ta_id", "person_id", "clinician_id", "clinic_id", "time_zero", "regime", "same_day_hold", "instrument_ver"),
        *("treated", "recipient", "patient_informed", "ended_in_grace", "set_id", "weight", "logit", "outcome"),
    }
)
"""Columns of every cohort and comparison, and the outcome: no fact is called so, but a category, whose values are."""
RESERVED_STARTS, MISSING = ("rule_", "holds_", "fact_", "definition_"), "_missing"
POINTS, ROWS = "points", "rows"
OTHER = "any_other"
"""The value of a category that holds what its definition does not name, where its column declares no values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number, in this unit."""

    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Yes or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One of several values."""

    values: tuple[str, ...]


Type = Number | Flag | Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A definition with what it is taken of (None for one built of others) and the kind of its value."""

    name: str
    definition: Definition
    source: Source | None
    type: Type
    needs: tuple[str, ...]

    @property
    def zero_where_none(self) -> bool:
        """Whether no row means zero."""
        said = self.definition.if_none
        return said == "zero" or (said is None and self.definition.take in COUNTED)


def typed(definitions: Mapping[str, Definition], outcome: Rating | None) -> dict[str, Typed]:
    """Every definition with its type, each after those it needs; otherwise in the order given.

    Raises
    ------
    DefinitionError
        Something is wrong with one; `where` begins with its name.
    """
    done: dict[str, Typed] = {}
    for name in definitions:
        _add(name, definitions, outcome, done, ())
    return done


def refuse_taken_name(one: Typed, names: Collection[str]) -> None:
    """Raise `DefinitionError` where the name of a study's definition stands for something else already.

    `names` are those of all its definitions.
    """
    absence = one.name.endswith(MISSING) and one.name.removesuffix(MISSING) in names
    taken = one.name in RESERVED and not isinstance(one.type, Category)
    if taken or absence or one.name.startswith(RESERVED_STARTS):
        said = f"'{one.name}' is a name that the software gives itself; call it something else"
        raise DefinitionError(said, one.name)


def needs_of(definition: Definition, names: Collection[str]) -> tuple[str, ...]:
    """The other definitions that one is built of."""
    built = (*(definition.difference or ()), *definition.minimum_of, *definition.maximum_of, *definition.mean_of)
    if definition.not_ is not None:
        return (definition.not_,)
    named = isinstance(definition.of, str) and definition.of in names
    return (str(definition.of),) if named else built


def with_needs(names: Iterable[str], known: Mapping[str, Typed]) -> tuple[str, ...]:
    """Those of `names` that are defined and everything they are built of, each after what it needs."""
    found: dict[str, None] = {}
    for name in names:
        if name in known:
            found |= dict.fromkeys((*with_needs(known[name].needs, known), name))
    return tuple(found)


def _built_by(definition: Definition) -> tuple[str, ...]:
    """The key by which a definition is built of others."""
    keys = {"not": definition.not_, "difference": definition.difference, "minimum_of": definition.minimum_of}
    keys |= {"maximum_of": definition.maximum_of, "mean_of": definition.mean_of}
    return tuple(key for key, value in keys.items() if value)[:1]


def _add(
    name: str,
    definitions: Mapping[str, Definition],
    outcome: Rating | None,
    done: dict[str, Typed],
    waiting: tuple[str, ...],
) -> None:
    if name in done:
        return
    if name in waiting:
        circle = waiting[waiting.index(name) :]
        first = circle.index(min(circle))
        told = (*circle[first:], *circle[: first + 1])
        raise DefinitionError(f"it is built of itself: {' of '.join(told)}", min(circle))
    definition = definitions[name]
    needs = needs_of(definition, definitions)
    for needed in needs:
        if needed not in definitions:
            near = nearest(needed, definitions)
            end = f"; did you mean '{near}'?" if near else ""
            raise DefinitionError(f"no definition is called '{needed}'{end}", name, *_built_by(definition))
        _add(needed, definitions, outcome, done, (*waiting, name))
    try:
        source = None if definition.of is None else source_of(definition, definitions, outcome)
        kind = _made_yes_or_no(definition, _type(definition, source, [done[each].type for each in needs]))
        _levels_stand(definition, kind)
    except DefinitionError as error:
        raise DefinitionError(str(error), name, *error.where) from None
    done[name] = Typed(name=name, definition=definition, source=source, type=kind, needs=needs)


def _type(definition: Definition, source: Source | None, parts: list[Type]) -> Type:
    """The kind of value before it is made yes or no."""
    if source is None:
        return _of_parts(definition, parts)
    if isinstance(source, Named):
        _without_rows(definition)
        if definition.take is not None:
            raise DefinitionError("nothing is taken of another definition; leave `take` out", "take")
        if isinstance(parts[0], Category) and definition.is_ is None:
            raise DefinitionError(f"'{source.name}' is a category: say which value (`is`), or use it by its name", "of")
        return parts[0]
    if definition.take is None:
        raise DefinitionError("say what is taken (`take`): exists, count, last, mean …", "take")
    match source:
        case Day():
            _without_rows(definition)
            return _since(definition)
        case Age():
            _without_rows(definition)
            return Number(unit="years") if definition.take == "value" else _only(definition, "value")
        case Standing():
            _without_rows(definition)
            return _of_column(source.column) if definition.take == "value" else _only(definition, "value")
        case Rows() | Scored() | Coded():
            _placed(definition, source)
            return _of_rows(definition, source)


def _without_rows(definition: Definition) -> None:
    """A fact that is no rows has no window, no moment and no conditions."""
    said = {"before": definition.before, "at": definition.at, "where": definition.where}
    said |= {"except_where": definition.except_where}
    if odd := [key for key, value in said.items() if value]:
        raise DefinitionError(f"`{odd[0]}` is asked of rows, and `of` names none: leave it out", odd[0])


def _of_parts(definition: Definition, parts: list[Type]) -> Type:
    if definition.not_ is not None:
        if not isinstance(parts[0], Flag):
            raise DefinitionError("`not` is asked of a definition that is not yes or no", "not")
        return Flag()
    first = parts[0]
    if not all(isinstance(part, Number) for part in parts) or not isinstance(first, Number):
        raise DefinitionError("only numbers are subtracted, averaged and compared", *_built_by(definition))
    return first


def _of_rows(definition: Definition, source: Rows | Scored | Coded) -> Type:
    match definition.take:
        case "exists":
            return Flag()
        case "count":
            return Number(unit=ROWS)
        case "time_since" if isinstance(source, Rows) and source.column is None:
            return _since(definition)
        case "count_distinct" if isinstance(source, Rows) and source.column is not None:
            return Number(unit=ROWS)
    if isinstance(source, Coded) or (isinstance(source, Rows) and source.column is None):
        raise DefinitionError(
            f"`{definition.take}` needs a column or a score; rows are counted (exists, count)", "take"
        )
    found: Type = Number(unit=POINTS) if isinstance(source, Scored) else _of_column(_column(source))
    if definition.take in ("time_since", "count_distinct"):
        what = "the table, whose rows are dated" if definition.take == "time_since" else "a column of a table"
        raise DefinitionError(f"`{definition.take}` is asked of {what}: name that under `of`", "take")
    if definition.take == "value" and definition.if_several is None:
        raise DefinitionError("several rows may be there: say if_several: not_recorded, or take first or last", "take")
    if isinstance(found, Category) and definition.take in ("first", "last") and not found.values:
        raise DefinitionError("of two rows at one moment neither goes first: its values are declared nowhere", "take")
    if isinstance(found, Category) and definition.take not in ("first", "last", "value"):
        raise DefinitionError(f"a category has no {definition.take}; take first, last or count_distinct", "take")
    if isinstance(found, Flag) and definition.take in ("sd", "median"):
        raise DefinitionError(f"yes or no has no {definition.take}", "take")
    return Number(unit="share") if isinstance(found, Flag) and definition.take in ("mean", "sum") else found


def _column(source: Rows) -> Column:
    assert source.column is not None
    return source.column


def _of_column(column: Column) -> Type:
    if column.kind in NUMERIC:
        return Number(unit=column.unit or "as recorded")
    if column.kind is Kind.BOOLEAN:
        return Flag()
    return Category(values=column.values)


def _since(definition: Definition) -> Type:
    if definition.take != "time_since":
        raise DefinitionError(f"of a date only time_since is taken, not {definition.take}", "take")
    return Number(unit=definition.scale.split(" of ")[0])


def _only(definition: Definition, take: str) -> Type:
    raise DefinitionError(f"a standing fact has one value: take {take}, not {definition.take}", "take")


def table_of(source: Source | None) -> Table | None:
    """The table whose dated rows a source reads; None where it reads none."""
    match source:
        case Rows():
            return source.table
        case Scored():
            return MEASURES
        case Coded():
            return DIAGNOSES
    return None


def _placed(definition: Definition, source: Rows | Scored | Coded) -> None:
    """Rows have a window or a moment, columns that exist, and a level that they belong to."""
    table = table_of(source)
    assert table is not None
    if definition.before is None and definition.at is None:
        raise DefinitionError("say over which time: before: ever, before: 90 days, or at: time_zero", "before")
    if definition.at is not None and not table.until:
        raise DefinitionError(f"rows of '{table.name}' have no end, so none is open at time zero: say before", "at")
    for level in definition.same:
        if f"{level}_id" not in [column.name for column in table.columns]:
            raise DefinitionError(f"rows of '{table.name}' do not name a {level}", "same")
    for key in ("where", "except_where"):
        for name, condition in getattr(definition, key).items():
            _condition_stands(key, column_of(table, name, f"{table.name}.{name}", key, name), condition)


def _condition_stands(key: str, column: Column, condition: object) -> None:
    if column.kind in (Kind.ID, Kind.DATE, Kind.TIMESTAMP):
        raise DefinitionError(f"{column.name} is no value to compare with", key, column.name)
    if isinstance(condition, Between):
        if column.kind not in NUMERIC:
            raise DefinitionError(f"{column.name} is no number: limits say nothing of it", key, column.name)
        return
    for value in condition if isinstance(condition, tuple) else (condition,):
        if column.values and value not in column.values:
            known = ", ".join(column.values)
            raise DefinitionError(f"{column.name} has no value '{value}'; it has {known}", key, column.name)
        if column.kind is Kind.BOOLEAN and not isinstance(value, bool):
            raise DefinitionError(f"{column.name} is true or false", key, column.name)
        if column.kind in NUMERIC and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise DefinitionError(f"{column.name} is a number", key, column.name)


def _made_yes_or_no(definition: Definition, found: Type) -> Type:
    limits = definition.at_least is not None or definition.at_most is not None
    if definition.is_ is None and not limits:
        return found
    if definition.is_ is not None and limits:
        raise DefinitionError("a definition has `is` or limits, not both", "is")
    if limits and not isinstance(found, Number):
        raise DefinitionError("limits are set on numbers", "at_least" if definition.at_least is not None else "at_most")
    for value in definition.is_ if isinstance(definition.is_, tuple) else (definition.is_,):
        if isinstance(found, Category) and found.values and value not in found.values:
            raise DefinitionError(f"'{value}' is none of its values; they are {', '.join(found.values)}", "is")
        if isinstance(found, Flag):
            raise DefinitionError("it is yes or no already", "is")
    return Flag()


def _levels_stand(definition: Definition, kind: Type) -> None:
    if not isinstance(kind, Category):
        if definition.reference:
            raise DefinitionError("only a category has values to name", "reference")
        return
    if odd := [value for value in definition.levels if kind.values and value not in kind.values]:
        raise DefinitionError(f"it has no value '{odd[0]}'; they are {', '.join(kind.values)}", "levels")
    if definition.if_none == "zero":
        raise DefinitionError("a category has no zero; that it was not recorded is a value of its own", "if_none")
    values = values_of(definition, kind)
    if not values:
        raise DefinitionError("its values are declared nowhere: name each under `levels`", "levels")
    if definition.reference is not None and definition.reference not in values:
        raise DefinitionError(f"it has no value '{definition.reference}'; they are {', '.join(values)}", "reference")


def values_of(definition: Definition, kind: Category) -> tuple[str, ...]:
    """The values of a category: those its column declares, or else those the definition names and all others."""
    return kind.values or (*definition.levels, *([OTHER] if definition.levels else []))
