"""What breaks a declaration of `causal.tables`, as relational expressions: pure values, run by the engine.

`column_rules` is the one list of column rules; the expectation suites (`validation.suites`) and the quarantine
(`conditions`) both read it. A row's reason is the first rule it breaks, rules in the order of `RULE_ORDER` and
columns as declared, so it never depends on the order of rows.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import ibis
import ibis.expr.types as ir

from causal.cohort.clock import is_midnight
from causal.protocol import Instrument
from causal.tables import (
    EARLIEST_DATE,
    ITEM_COLUMNS,
    MEASURES,
    OLDEST,
    PATIENTS,
    TABLES,
    Column,
    ForeignKey,
    Kind,
    Order,
    Rule,
    Table,
)

RULE_ORDER = (
    Rule.MISSING,
    Rule.NOT_ALLOWED,
    Rule.OUT_OF_RANGE,
    Rule.DUPLICATE_KEY,
    Rule.ORPHAN,
    Rule.OUT_OF_ORDER,
    Rule.OUT_OF_INSTRUMENT,
)


class JudgedBy(StrEnum):
    """What Great Expectations is shown for a rule: the column, the items of one instrument, or a count."""

    COLUMN = "column"
    ITEMS = "items"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """One rule of one column: `values` for `NOT_ALLOWED`, inclusive `low` and `high` for `OUT_OF_RANGE`."""

    table: str
    column: Column
    rule: Rule
    values: tuple[str, ...] = ()
    low: float | datetime.date | None = None
    high: float | datetime.date | None = None

    @property
    def code(self) -> str:
        """The reason code ``<table>.<column>:<rule>``."""
        return code(self.table, self.column.name, self.rule)

    @property
    def judged_by(self) -> JudgedBy:
        """Ids are only counted: whether one is missing does not need every id in another program's memory."""
        return JudgedBy.COUNT if self.column.kind is Kind.ID else JudgedBy.COLUMN


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A rule as a condition on the rows of `judged_rows`: true where the row breaks it, never null."""

    code: str
    broken: ir.BooleanValue
    judged_by: JudgedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """What has to be looked up before a table's rows can be judged, all of it small where an extract is sound.

    Attributes
    ----------
    repeated
        Keys that occur more than once, with the boolean column ``conflicting``; None where there are none.
    orphans
        By foreign-key column: the values that name no row of the parent table; absent where there are none.
    parents
        The other delivered tables, for orders that reach into them.
    """

    repeated: ir.Table | None = None
    orphans: Mapping[str, ir.Table] = field(default_factory=dict)
    parents: Mapping[str, ir.Table] = field(default_factory=dict)


def code(table: str, column: str, rule: Rule) -> str:
    """A reason code.

    >>> code("measures", "rater", Rule.MISSING)
    'measures.rater:missing'
    """
    return f"{table}.{column}:{rule}"


def column_rules(declared: Table, present: Collection[str], as_of: datetime.date) -> tuple[ColumnRule, ...]:
    """Rules that need one column only, for the columns present, in the order in which they name a row's reason."""
    rules = [
        rule for column in declared.columns if column.name in present for rule in _rules(declared.name, column, as_of)
    ]
    return tuple(sorted(rules, key=lambda rule: RULE_ORDER.index(rule.rule)))


def _rules(table: str, column: Column, as_of: datetime.date) -> list[ColumnRule]:
    rules = []
    if column.required:
        rules.append(ColumnRule(table=table, column=column, rule=Rule.MISSING))
    if column.values:
        rules.append(ColumnRule(table=table, column=column, rule=Rule.NOT_ALLOWED, values=column.values))
    low: float | datetime.date | None = column.low
    high: float | datetime.date | None = column.high
    if column.kind in (Kind.DATE, Kind.TIMESTAMP):
        low, high = datetime.date.fromisoformat(EARLIEST_DATE), as_of
    if table == PATIENTS.name and column.name == "birth_year":
        low, high = as_of.year - OLDEST - 1, as_of.year
    if low is not None or high is not None:
        rules.append(ColumnRule(table=table, column=column, rule=Rule.OUT_OF_RANGE, low=low, high=high))
    return rules


def comparable(rows: ir.Table, column: Column) -> ir.Column:
    """A column as its rules see it: no value is null, and dates and times are days.

    A required text that is blank is no value; so is NaN.
    """
    value = rows[column.name]
    if column.kind in (Kind.ID, Kind.CATEGORY) and column.required:
        # Few values begin with a space, and looking for one is much cheaper than stripping all of them.
        blank = ibis.cases((value.startswith(" "), value.strip() == ""), else_=value == "")
        return ibis.ifelse(blank, ibis.null("string"), value)
    if column.kind is Kind.NUMBER:
        return ibis.ifelse(value.isnan(), ibis.null("float64"), value)
    return value.cast("date") if column.kind is Kind.TIMESTAMP else value


def conditions(
    rows: ir.Table,
    declared: Table,
    relations: Relations,
    instruments: Mapping[str, Instrument],
    *,
    as_of: datetime.date,
) -> tuple[Condition, ...]:
    """Every rule of a table on `rows` (made by `judged_rows`), in the order in which they name a row's reason."""
    found = [
        Condition(code=rule.code, broken=_true(_breaks(rows, rule)), judged_by=rule.judged_by)
        for rule in column_rules(declared, rows.columns, as_of)
    ]
    if relations.repeated is not None:
        found.append(_counted(declared, declared.key[0], Rule.DUPLICATE_KEY, rows[_REPEAT]))
    for key in declared.foreign_keys:
        if key.column in relations.orphans:
            orphan = rows[key.column].isin(relations.orphans[key.column][key.column])
            found.append(_counted(declared, key.column, Rule.ORPHAN, orphan))
    for number, order in enumerate(declared.orders):
        earlier = rows[f"{_EARLIER}{number}"] if order.via else rows[order.earlier]
        late = _later(declared, order, earlier, rows[order.later])
        found.append(_counted(declared, order.later, Rule.OUT_OF_ORDER, late))
    if declared is MEASURES:
        found += _item_conditions(rows, instruments)
    return tuple(found)


def judged_rows(table: ir.Table, declared: Table, relations: Relations) -> ir.Table:
    """The declared columns of a table, with what its relational rules compare with beside them."""
    rows = table.select(*(column.name for column in declared.columns if column.name in table.columns))
    if relations.repeated is not None:
        rows = _marked_repeats(rows, declared.key, relations.repeated)
    for number, order in enumerate(declared.orders):
        if order.via:
            rows = _with_earlier(rows, order, order.via, relations.parents[order.via.table], f"{_EARLIER}{number}")
    return rows


def flagged_rows(rows: ir.Table, found: Sequence[Condition]) -> tuple[ir.Table, tuple[str, ...]]:
    """One boolean column per condition, and the string column ``reason``; gives the names of the former too.

    ``reason`` is the code of the first broken condition, null for a sound row.
    """
    names = tuple(f"broken_{i}" for i in range(len(found)))
    flags = rows.select(**{name: condition.broken for name, condition in zip(names, found, strict=True)})
    first = ((flags[name], condition.code) for name, condition in zip(names, found, strict=True))
    return flags.mutate(reason=ibis.cases(*first, else_=ibis.null("string"))), names


def sound_rows(rows: ir.Table, found: Sequence[Condition], declared: Table) -> ir.Table:
    """The rows that break nothing, with the declared columns only."""
    kept = [column.name for column in declared.columns if column.name in rows.columns]
    return rows.filter(~ibis.or_(*(condition.broken for condition in found))).select(*kept)


def repeated_keys(table: ir.Table, declared: Table) -> ir.Table:
    """Keys that occur more than once: the key columns. Rows without a whole key are left to `Rule.MISSING`."""
    rows = table.select(*declared.key).drop_null(list(declared.key), how="any")
    counted = rows.group_by(list(declared.key)).aggregate(copies=rows.count())
    return counted.filter(counted.copies > 1).select(*declared.key)


def repeats(table: ir.Table, declared: Table, repeated: ir.Table) -> ir.Table:
    """Of keys found by `repeated_keys`, whether their rows differ: key columns, ``conflicting``."""
    rows = table.select(*(column.name for column in declared.columns if column.name in table.columns))
    distinct = rows.semi_join(repeated, list(declared.key)).distinct()
    contents = distinct.group_by(list(declared.key)).aggregate(contents=distinct.count())
    return contents.select(*declared.key, conflicting=contents.contents > 1)


def orphan_values(table: ir.Table, key: ForeignKey, parent: ir.Table) -> ir.Table:
    """The values of a foreign key that name no delivered row of the parent: one column, named as the key."""
    name = TABLES[key.table].key[0]
    named = parent.select(**{key.column: parent[name]})
    held = table.select(key.column)
    return held.filter(held[key.column].notnull()).anti_join(named, key.column).distinct()


_REPEAT, _EARLIER = "_repeat", "_earlier"


def _breaks(rows: ir.Table, rule: ColumnRule) -> ir.BooleanValue:
    value = comparable(rows, rule.column)
    if rule.rule is Rule.MISSING:
        return value.isnull()
    if rule.rule is Rule.NOT_ALLOWED:
        return value.notin(rule.values)
    below = value < rule.low if rule.low is not None else ibis.literal(False)
    above = value > rule.high if rule.high is not None else ibis.literal(False)
    return below | above


def _true(condition: ir.BooleanValue) -> ir.BooleanValue:
    return condition.fill_null(False)


def _counted(declared: Table, column: str, rule: Rule, broken: ir.BooleanValue) -> Condition:
    return Condition(code=code(declared.name, column, rule), broken=_true(broken), judged_by=JudgedBy.COUNT)


def _later(declared: Table, order: Order, earlier: ir.Column, later: ir.Column) -> ir.BooleanValue:
    """Whether `earlier` is later: by days where either is a date, as a time at midnight is."""
    other = TABLES[order.via.table] if order.via else declared
    by_days = earlier.cast("date") > later.cast("date")
    if Kind.DATE in {other.column(order.earlier).kind, declared.column(order.later).kind}:
        return by_days
    return ibis.ifelse(is_midnight(earlier) | is_midnight(later), by_days, earlier > later)


def _marked_repeats(rows: ir.Table, key: Sequence[str], repeated: ir.Table) -> ir.Table:
    """Rows with ``_repeat``: true for every row of a conflicting key, and for all but one of identical rows."""
    alone = rows.anti_join(repeated, list(key)).mutate(**{_REPEAT: ibis.literal(False)})
    again = rows.inner_join(repeated, list(key))
    copy = ibis.row_number().over(group_by=list(key)) > 0
    again = again.mutate(**{_REPEAT: again.conflicting | copy})
    return alone.union(again.select(*alone.columns))


def _with_earlier(rows: ir.Table, order: Order, via: ForeignKey, parent: ir.Table, name: str) -> ir.Table:
    key = TABLES[via.table].key[0]
    first = parent.group_by(**{via.column: parent[key]}).aggregate(**{name: parent[order.earlier].min()})
    return rows.left_join(first, via.column).select(*rows.columns, name)


def valid_responses(instrument: Instrument) -> tuple[int, ...]:
    """Responses an item may hold: the range and the missing codes."""
    return tuple(sorted({*range(instrument.low, instrument.high + 1), *instrument.missing_codes}))


def _item_conditions(rows: ir.Table, instruments: Mapping[str, Instrument]) -> list[Condition]:
    """Responses an instrument does not have, and answers beyond its last item, by item."""
    found = []
    for number, item in enumerate(ITEM_COLUMNS, start=1):
        if item not in rows.columns:
            continue
        broken = code(MEASURES.name, item, Rule.OUT_OF_INSTRUMENT)
        within = [
            (rows.instrument == name) & rows[item].notin(valid_responses(key))
            for name, key in sorted(instruments.items())
            if number <= key.n_items
        ]
        beyond = [
            (rows.instrument == name) & rows[item].notnull()
            for name, key in sorted(instruments.items())
            if number > key.n_items
        ]
        for parts, judged_by in ((within, JudgedBy.ITEMS), (beyond, JudgedBy.COUNT)):
            if parts:
                found.append(Condition(code=broken, broken=_true(ibis.or_(*parts)), judged_by=judged_by))
    return found
