"""From definitions to columns: relational expressions that give every occasion what was known before its time zero."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from causal.cohort.language.rows import KEY, named, taken
from causal.cohort.language.sources import Age, Day, Named, Rows, Standing
from causal.cohort.language.types import Typed, table_of
from causal.protocol import Instrument
from causal.protocol.definitions import CodeList, Definition, scale_days
from causal.tables import Kind

DAY_SECONDS = 86_400
JOINED_BY = {"patients": "person_id", "clinicians": "clinician_id", "clinics": "clinic_id"}
"""How a standing fact is found from an occasion; those of the occasion itself stand in it."""
FACT = "fact_"
CARRIED = ("birth_year", "sex")
"""Standing facts of the person that occasions carry already."""


def with_definitions(
    occasions: ir.Table,
    tables: Mapping[str, ir.Table],
    definitions: Mapping[str, Typed],
    instruments: Mapping[str, Instrument],
    codelists: Mapping[str, CodeList],
) -> ir.Table:
    """`occasions` with a column `named(name)` for each definition; one pass over each source table, level and date.

    `occasions` has the columns of `causal.cohort.occasions.assessments`. A yes or no is 0 or 1; what was not recorded
    is null, zero where the definition says so.
    """
    read: dict[tuple[str, tuple[str, ...], str], list[Typed]] = defaultdict(list)
    for one in definitions.values():
        if (table := table_of(one.source)) is not None:
            dated = one.source.dated.name if isinstance(one.source, Rows) else table.dated
            read[table.name, one.definition.same, dated].append(one)
    joined = occasions
    for group in read.values():
        joined = joined.left_join(taken(occasions, tables, group, instruments, codelists), KEY).drop(f"{KEY}_right")
    joined = _with_facts(joined, tables, definitions)
    waiting = dict(definitions)
    while waiting:  # as many at once as stand on what is there already: few steps, however many definitions
        ready = [one for one in waiting.values() if not waiting.keys() & set(one.needs)]
        joined = joined.mutate(**{named(one.name): _finished(one, joined) for one in ready})
        waiting = {name: one for name, one in waiting.items() if one not in ready}
    return joined.drop(*(name for name in joined.columns if name.startswith(FACT)))


def _with_facts(joined: ir.Table, tables: Mapping[str, ir.Table], definitions: Mapping[str, Typed]) -> ir.Table:
    """`joined` with the standing facts that definitions name and that are not there yet."""
    asked: dict[str, dict[str, None]] = defaultdict(dict)
    for one in definitions.values():
        if isinstance(one.source, Standing) and _is_joined(one.source):
            asked[one.source.table.name][one.source.column.name] = None
    for table, columns in asked.items():
        by = JOINED_BY[table]
        facts = tables[table].select(by, **{f"{FACT}{table}_{name}": name for name in columns})
        joined = joined.left_join(facts, by).drop(f"{by}_right")
    return joined


def _is_joined(source: Standing) -> bool:
    return source.table.name in JOINED_BY and source.column.name not in CARRIED


def _finished(one: Typed, joined: ir.Table) -> Any:
    """The column of a definition, out of what was taken, of standing facts, or of other definitions."""
    value = _value(one, joined)
    if one.zero_where_none and value.type().is_numeric():  # none is a number too, before limits are asked of it
        value = value.fill_null(0)
    value = _made_yes_or_no(one.definition, value)
    if value.type().is_boolean():
        value = value.cast("int8")
    return value.fill_null(0) if one.zero_where_none else value


def _value(one: Typed, joined: ir.Table) -> Any:
    match one.source:
        case None:
            return _built(one.definition, joined)
        case Named():
            return joined[named(one.source.name)]
        case Age():
            return joined.day_zero.year() - joined.birth_year - 1
        case Day():
            return _seconds_since(joined, ibis.literal(one.source.day).cast("timestamp"), one.definition)
        case Standing():
            table, column = one.source.table.name, one.source.column.name
            return joined[f"{FACT}{table}_{column}" if _is_joined(one.source) else column]
        case Rows() if one.definition.take == "time_since":
            if one.source.dated.kind is Kind.TIMESTAMP:
                return _seconds_since(joined, joined[named(one.name)], one.definition)
            days = joined.day_zero.delta(joined[named(one.name)].cast("date"), unit="day")
            return days / scale_days(one.definition.scale)
    return joined[named(one.name)]


def _seconds_since(joined: ir.Table, at: Any, definition: Definition) -> Any:
    days = scale_days(definition.scale)
    seconds = days * DAY_SECONDS
    return (joined.time_zero.epoch_seconds() - at.epoch_seconds()) / (int(seconds) if seconds.is_integer() else seconds)


def _built(definition: Definition, joined: ir.Table) -> Any:
    """What is made of other definitions."""
    if definition.not_ is not None:
        return 1 - joined[named(definition.not_)]
    if definition.difference is not None:
        first, second = definition.difference
        return joined[named(first)] - joined[named(second)]
    if definition.mean_of:
        total = functools.reduce(operator.add, [joined[named(name)] for name in definition.mean_of])
        return total / len(definition.mean_of)
    several = [joined[named(name)].cast("float64") for name in (*definition.minimum_of, *definition.maximum_of)]
    return ibis.least(*several) if definition.minimum_of else ibis.greatest(*several)


def _made_yes_or_no(definition: Definition, value: Any) -> Any:
    if definition.is_ is not None:
        wanted = list(definition.is_) if isinstance(definition.is_, tuple) else [definition.is_]
        return value.isin(wanted)
    if definition.at_least is not None and definition.at_most is not None:
        return (value >= definition.at_least) & (value <= definition.at_most)
    if definition.at_least is not None:
        return value >= definition.at_least
    return value <= definition.at_most if definition.at_most is not None else value
