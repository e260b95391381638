"""One pass over one table: everything that definitions take of its rows before time zero, occasion by occasion.

Occasions are joined to rows first and kept by time, then scored, then counted: an engine that scores before it joins
scores every form there is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from causal.cohort.clock import before, on_the_clock_of, reach, zones
from causal.cohort.language.sources import Coded, Rows, Scored
from causal.cohort.language.types import Typed, table_of
from causal.measures.scoring import score_expression, subscale_expression
from causal.protocol import Instrument
from causal.protocol.definitions import Between, CodeList, window_days
from causal.tables import ITEM_COLUMNS, Column, Kind, Table

KEY = "ta_id"
OCCASION = (KEY, "person_id", "clinician_id", "time_zero", "day_zero", "zero_first", "zero_last", "zone")
ROW, KNOWN, SCORE, ORDER, BITS, BACK = "row_", "known_", "score_", "order_", "bits_", "days_back"
"""How the columns of rows, and what is worked out of each row, are called beside those of occasions."""
FINEST, FURTHEST = 10**9, 499_999
"""One integer orders rows: a second counts more than any difference of values, in thousandths and as far as these."""


def named(definition: str) -> str:
    """The column of a definition, which may be called as one of the occasion's own is."""
    return f"definition_{definition}"


def taken(
    occasions: ir.Table,
    tables: Mapping[str, ir.Table],
    definitions: Sequence[Typed],
    instruments: Mapping[str, Instrument],
    codelists: Mapping[str, CodeList],
) -> ir.Table:
    """One row per occasion that has rows at all: ta_id, and a column `named` after each definition.

    All of `definitions` read one table by the same levels and date. Scores are null where a form has none.
    """
    first = definitions[0]
    table = table_of(first.source)
    assert table is not None
    joined = _joined(occasions, tables, table, definitions)
    rows = _in_time(joined, _dated(first, table), definitions)
    scores = dict.fromkeys(one.source for one in definitions if isinstance(one.source, Scored))
    if scores:
        nothing_else = len(scores) == 1 and all(isinstance(one.source, Scored) for one in definitions)
        rows = _scored(rows, list(scores), instruments, alone=nothing_else)
    place = {source: f"{SCORE}{k}" for k, source in enumerate(scores)}
    rows = _with_known(rows, table, definitions)
    rows = _with_orders(rows, definitions, table, place)
    found = {named(one.name): _aggregate(rows, one, table, place, codelists) for one in definitions}
    return rows.group_by(KEY).aggregate(**found)


def _with_known(rows: ir.Table, table: Table, definitions: Sequence[Typed]) -> ir.Table:
    """`rows` with columns that become known later read as not recorded where they were not known before time zero."""
    read = [table.column(name.removeprefix(ROW)) for name in rows.columns if name.startswith(ROW)]
    asked = {name for one in definitions for name in (*one.definition.where, *one.definition.except_where)}
    asked |= {one.source.column.name for one in definitions if isinstance(one.source, Rows) and one.source.column}
    known = {}
    for column in read:
        if column.known_at and column.name in asked:
            when = rows[f"{ROW}{column.known_at}"]
            told = _before(when, rows, table.column(column.known_at))
            known[f"{KNOWN}{column.name}"] = ibis.ifelse(told, rows[f"{ROW}{column.name}"], None)
    return rows.mutate(**known) if known else rows


def _with_orders(rows: ir.Table, definitions: Sequence[Typed], table: Table, scores: Mapping[Scored, str]) -> ir.Table:
    """`rows` with one integer for each way in which a first or last value is sought, and each category as bits."""
    made = {}
    for one in definitions:
        value = _value(rows, one, scores)
        if value is None:
            continue
        values = _declared(one)
        if one.definition.take in ("first", "last"):
            at = rows[f"{ROW}{_dated(one, table).name}"]
            made[_order_name(one, value.get_name())] = _order(at, _ranked(value, values), one)
        elif one.definition.take == "count_distinct" and values:
            made[f"{BITS}{value.get_name()}"] = ibis.cases(
                *((value == each, 1 << k) for k, each in enumerate(values)), else_=None
            ).cast("int64")
    return rows.mutate(**made) if made else rows


def _declared(one: Typed) -> tuple[str, ...]:
    """The declared values of the category that is taken, where it is one."""
    return one.source.column.values if isinstance(one.source, Rows) and one.source.column is not None else ()


def _value(rows: ir.Table, one: Typed, scores: Mapping[Scored, str]) -> Any:
    """What is taken of each row; None where the rows themselves are."""
    if isinstance(one.source, Scored):
        return rows[scores[one.source]]
    if isinstance(one.source, Rows) and one.source.column is not None:
        return _known(rows, one.source.column.name)
    return None


def _order_name(one: Typed, value: str) -> str:
    return f"{ORDER}{value}_{one.definition.take}_{one.definition.ties}"


def _dated(one: Typed, table: Table) -> Column:
    return one.source.dated if isinstance(one.source, Rows) else table.column(table.dated)


def _joined(
    occasions: ir.Table, tables: Mapping[str, ir.Table], table: Table, definitions: Sequence[Typed]
) -> ir.Table:
    """Occasions beside the rows of their person, clinician or both; a row's time on the clock of the occasion."""
    levels = definitions[0].definition.same
    by = [f"{level}_id" for level in levels]
    dated = _dated(definitions[0], table)
    source = tables[table.name]
    items = [name for name in ITEM_COLUMNS if name in source.columns] if table.name == "measures" else []
    own = {f"{ROW}{name}": source[name] for name in _read(table, definitions) if name in source.columns}
    rows = source.select(**{key: source[key] for key in by}, **{name: source[name] for name in items}, **own)
    keys = occasions.select(*(name for name in OCCASION if name in by or not name.endswith("_id") or name == KEY))
    joined = keys.inner_join(rows, by)
    if dated.kind is not Kind.TIMESTAMP or "clinician" in levels:
        return joined
    written = _with_zone(joined, tables, table)
    at = f"{ROW}{dated.name}"
    clocked = {at: on_the_clock_of(written[at], written.zone_there, written.zone)}
    if table.until:
        until = f"{ROW}{table.until}"
        clocked[until] = on_the_clock_of(written[until], written.zone_there, written.zone)
    return written.mutate(**clocked)


def _read(table: Table, definitions: Sequence[Typed]) -> list[str]:
    """The columns of a table that definitions read, items of forms apart, in the table's order."""
    read = {_dated(definitions[0], table).name, table.until, "clinician_id", KEY}
    for one in definitions:
        named = {*one.definition.where, *one.definition.except_where}
        if isinstance(one.source, Scored):
            named |= {"instrument", "version", "rater"}
        elif isinstance(one.source, Coded):
            named.add("icd10")
        elif isinstance(one.source, Rows) and one.source.column is not None:
            named.add(one.source.column.name)
        read |= named | {table.column(name).known_at for name in named}
    return [column.name for column in table.columns if column.name in read]


def _with_zone(joined: ir.Table, tables: Mapping[str, ir.Table], table: Table) -> ir.Table:
    """`joined` with the zone in which each row's times are written: its clinician's, or that of its assessment."""
    there = zones(dict(tables))
    if any(column.name == "clinician_id" for column in table.columns):
        written = there.select(written_by="clinician_id", zone_there="zone")
        return joined.left_join(written, joined[f"{ROW}clinician_id"] == written.written_by)
    if any(column.name == KEY for column in table.columns):
        assessed = tables["threat_assessments"].select(answered=KEY, clinician_id="clinician_id")
        written = assessed.inner_join(there, "clinician_id").select("answered", zone_there="zone")
        return joined.left_join(written, joined[f"{ROW}{KEY}"] == written.answered)
    return joined.mutate(zone_there=ibis.null("string"))


def _in_time(joined: ir.Table, dated: Column, definitions: Sequence[Typed]) -> ir.Table:
    """Rows before time zero for certain, as far back as any definition looks, and how many days back each is."""
    at = joined[f"{ROW}{dated.name}"]
    kept = [_before(at, joined, dated)]
    windows = [window_days(one.definition.before or "ever") for one in definitions]
    past = joined.filter(*kept)
    if not any(windows):
        return past
    past = past.mutate(**{BACK: _days_back(past[f"{ROW}{dated.name}"], past, dated)})
    return past.filter(past[BACK] <= max(window[0] for window in windows if window)) if all(windows) else past


def _scored(
    rows: ir.Table, scores: Sequence[Scored], instruments: Mapping[str, Instrument], *, alone: bool
) -> ir.Table:
    """`rows` without their items, with a column for each score: null where the form is another, or has none.

    Where nothing but one score is asked for (`alone`), other forms are left out.
    """
    found = {}
    for k, source in enumerate(scores):
        key = instruments[source.instrument]
        mine = (
            (rows[f"{ROW}instrument"] == source.instrument)
            & (rows[f"{ROW}version"] == key.version)
            & (rows[f"{ROW}rater"] == (source.rater or key.rater or "patient"))
        )
        if alone:
            rows = rows.filter(mine)
        score = subscale_expression(rows, key, source.subscale) if source.subscale else score_expression(rows, key)
        found[f"{SCORE}{k}"] = score if alone else ibis.ifelse(mine, score, ibis.null("float64"))
    return rows.mutate(**found).drop(*(name for name in ITEM_COLUMNS if name in rows.columns))


def _aggregate(
    rows: ir.Table, one: Typed, table: Table, scores: Mapping[Scored, str], codelists: Mapping[str, CodeList]
) -> ir.Scalar:
    """What one definition makes of the rows of an occasion."""
    definition = one.definition
    wanted = _wanted(rows, one, table, scores, codelists)
    found = _made(rows, one, _value(rows, one, scores), rows[f"{ROW}{_dated(one, table).name}"], wanted)
    if definition.take == "value":
        found = ibis.ifelse(rows.count(where=wanted) == 1, found, None)
    if definition.minimum_rows > 1:
        found = ibis.ifelse(rows.count(where=wanted) >= definition.minimum_rows, found, None)
    return found


def _wanted(
    rows: ir.Table,
    one: Typed,
    table: Table,
    scores: Mapping[Scored, str],
    codelists: Mapping[str, CodeList],
) -> ir.BooleanValue:
    """Which rows a definition is made of."""
    definition, source = one.definition, one.source
    days = window_days(definition.before or "ever")
    counts = [_within(rows, days)] if days else []
    if definition.at is not None:
        counts.append(_open(rows, table))
    counts += [_meets(_known(rows, name), wanted) for name, wanted in definition.where.items()]
    left = ((_known(rows, name), wanted) for name, wanted in definition.except_where.items())
    counts += [~_meets(value, wanted).fill_null(False) for value, wanted in left]
    if isinstance(source, Coded):
        counts.append(below(rows[f"{ROW}icd10"], codelists[source.codes].codes))
    if (value := _value(rows, one, scores)) is not None:
        counts.append(value.notnull())
    return functools.reduce(operator.and_, counts) if counts else ibis.literal(True)


def _made(rows: ir.Table, one: Typed, value: Any, at: Any, wanted: ir.BooleanValue) -> ir.Scalar:
    """The one figure of an occasion's rows; `value` is theirs, null nowhere among the `wanted`."""
    take = one.definition.take
    match take:
        case "exists":
            return (rows.count(where=wanted) > 0).cast("int8")
        case "count":
            return rows.count(where=wanted)
        case "count_distinct":
            values = _declared(one)
            if not values:
                return value.nunique(where=wanted)
            bits = rows[f"{BITS}{value.get_name()}"].bit_or(where=wanted)  # cheaper by far than a set for each occasion
            return functools.reduce(operator.add, [(bits // (1 << k)) % 2 for k in range(len(values))])
        case "time_since":
            return at.max(where=wanted)
        case "last" | "first":
            return value.argmax(rows[_order_name(one, value.get_name())], where=wanted)
        case "value":
            return value.max(where=wanted)
    number = value.cast("float64")
    match take:
        case "mean":
            return number.mean(where=wanted)
        case "median":
            return number.median(where=wanted)
        case "minimum":
            return number.min(where=wanted)
        case "maximum":
            return number.max(where=wanted)
        case "sum":
            return number.sum(where=wanted)
    return number.std(where=wanted, how="sample")


def _ranked(value: Any, values: Sequence[str]) -> Any:
    """A number that orders values: themselves, or the place of a category's value among those declared."""
    if values:
        return ibis.cases(*((value == each, k) for k, each in enumerate(values)), else_=None)
    return value.cast("int64") if value.type().is_boolean() else value


def _order(at: Any, size: Any, one: Typed) -> Any:
    """One integer that orders rows: latest (or earliest) first, then highest (or lowest)."""
    when = (at.cast("timestamp") if at.type().is_date() else at).epoch_seconds() * FINEST
    fine = (size.clip(lower=-FURTHEST, upper=FURTHEST) * 1000).round().cast("int64")
    later = when if one.definition.take == "last" else -when
    return later + (-fine if one.definition.ties == "lowest" else fine)


def _within(rows: ir.Table, days: tuple[int, int | None]) -> ir.BooleanValue:
    """Whether a row, before time zero already, lies in a window from the far to the near of these days."""
    far, near = days
    inside = rows[BACK] <= far
    return inside if near is None else inside & (rows[BACK] > near)


def _before(at: Any, rows: ir.Table, dated: Column) -> ir.BooleanValue:
    return before(at, rows) if dated.kind is Kind.TIMESTAMP else at < rows.day_zero


def _days_back(at: Any, rows: ir.Table, dated: Column) -> ir.IntegerValue:
    return (
        reach(at, rows)
        if dated.kind is Kind.TIMESTAMP
        else rows.day_zero.delta(at.cast("date"), unit="day").cast("int32")
    )


def _open(rows: ir.Table, table: Table) -> ir.BooleanValue:
    """Whether a span that began before time zero has not ended before it."""
    end = rows[f"{ROW}{table.until}"]
    return end.isnull() | ~_before(end, rows, table.column(table.until))


def _known(rows: ir.Table, name: str) -> Any:
    """A column as it was known before time zero."""
    later = f"{KNOWN}{name}"
    return rows[later if later in rows.columns else f"{ROW}{name}"]


def _meets(value: Any, wanted: Any) -> ir.BooleanValue:
    """Whether a value is what is wanted; null where it is not recorded."""
    if isinstance(wanted, Between):
        limits = [value >= wanted.at_least] if wanted.at_least is not None else []
        limits += [value <= wanted.at_most] if wanted.at_most is not None else []
        return functools.reduce(operator.and_, limits, value.notnull())
    return value.isin(list(wanted)) if isinstance(wanted, tuple) else value == wanted


def below(code: ir.StringValue, codes: Sequence[str]) -> ir.BooleanValue:
    """Whether a recorded code is one of the list or below one; dots, blanks and case say nothing."""
    plain = sorted({each.strip().upper().replace(".", "") for each in codes})
    said = code.strip().upper()
    if max(map(len, plain)) > 3:  # an ICD-10 category is three signs long; its dot comes after
        said = said.replace(".", "")
    lengths = sorted({len(each) for each in plain})
    found = [said.left(n).isin([each for each in plain if len(each) == n]) for n in lengths]
    return functools.reduce(operator.or_, found).fill_null(False)
