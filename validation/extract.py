"""Is this extract fit to use?

`judge_extract` shows every table to Great Expectations, counts the same rules on the engine, refuses to go on if the
two disagree, and says which rows are sound. A check that could not be run is NOT EVALUATED, never a pass.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from causal.errors import ExtractError
from causal.protocol import Instrument
from causal.tables import ITEM_COLUMNS, JURISDICTION_REGIME, MEASURES, PATIENTS, TABLES, Kind, Table
from validation.rules import (
    ColumnRule,
    Condition,
    JudgedBy,
    Relations,
    column_rules,
    comparable,
    conditions,
    judged_rows,
    orphan_values,
    reasons,
    repeated_keys,
    repeats,
    sound_rows,
)
from validation.suites import SuiteOutcome, column_suite, count_suite, item_suite, run_suite
from validation.verdict import Verdict, at_least, at_most, not_evaluated

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NEEDED_TABLES = frozenset(
    {"patients", "clinics", "clinicians", "encounters", "threat_assessments", "measures", "episodes"}
)
"""Tables without which there is nothing to study: 0 rows is a failure, although every expectation holds on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractJudgement:
    """What was found in an extract.

    Attributes
    ----------
    counts
        Rows set aside by reason code ``<table>.<column>:<rule>``; each row counts once, for its first reason.
    rows
        Rows delivered by table, readable or not.
    clean
        For each table with rows set aside: its sound rows (declared columns), an expression to be run. The other
        tables are sound as they are.
    """

    verdicts: tuple[Verdict, ...]
    counts: dict[str, int]
    rows: dict[str, int]
    clean: dict[str, ir.Table]


def judge_extract(
    tables: Mapping[str, ir.Table],
    instruments: Mapping[str, Instrument],
    *,
    as_of: datetime.date,
    quarantined_share: float,
    unreadable: Mapping[str, int] | None = None,
    batch_rows: int = 1_000_000,
) -> ExtractJudgement:
    """Judge an extract against its declaration.

    Parameters
    ----------
    tables
        Tables of `causal.tables` on an engine.
    instruments
        Scoring keys by the names used in ``measures.instrument``.
    as_of
        Date of the extract; no date may be later.
    quarantined_share
        Largest share of a table's rows that may be set aside, in [0, 1].
    unreadable
        Rows the reader already kept out, by reason code.
    batch_rows
        Rows shown to Great Expectations at a time; bounds memory.

    Raises
    ------
    ExtractError
        One person appears with different content, or Great Expectations and the engine count differently.
    """
    kept_out = dict(unreadable or {})
    verdicts: list[Verdict] = []
    counts: Counter[str] = Counter(kept_out)
    rows: dict[str, int] = {}
    clean: dict[str, ir.Table] = {}
    for name, table in tables.items():
        judged = _judge_table(table, TABLES[name], tables, instruments, as_of, batch_rows)
        counts.update(judged.counts)
        out = sum(count for reason, count in kept_out.items() if reason.startswith(f"{name}."))
        rows[name] = judged.rows + out
        if judged.counts:
            clean[name] = judged.sound
        verdicts += _table_verdicts(name, rows[name], out + sum(judged.counts.values()), quarantined_share, judged.not_run)
    sound = {**tables, **clean}
    verdicts += _regime_verdicts(sound)
    verdicts += _instrument_verdicts(tables, sound, instruments)
    return ExtractJudgement(verdicts=tuple(verdicts), counts=dict(sorted(counts.items())), rows=rows, clean=clean)


@dataclass(frozen=True, slots=True, kw_only=True)
class _JudgedTable:
    rows: int
    counts: dict[str, int]
    not_run: tuple[str, ...]
    sound: ir.Table


def _judge_table(
    table: ir.Table,
    declared: Table,
    tables: Mapping[str, ir.Table],
    instruments: Mapping[str, Instrument],
    as_of: datetime.date,
    batch_rows: int,
) -> _JudgedTable:
    relations = _look_up(table, declared, tables)
    rows = judged_rows(table, declared, relations)
    found = conditions(rows, declared, relations, instruments, as_of)
    total, broken = _count(rows, found)
    shown = _show(table, declared, found, broken, instruments, as_of, batch_rows)
    _refuse_disagreement(declared, found, broken, shown)
    counts = _count_reasons(rows, found) if any(broken) else {}
    not_run = tuple(sorted({reason for outcome in shown for reason in outcome.not_run}))
    return _JudgedTable(rows=total, counts=counts, not_run=not_run, sound=sound_rows(rows, found, declared))


def _look_up(table: ir.Table, declared: Table, tables: Mapping[str, ir.Table]) -> Relations:
    repeated = None
    if declared.key:
        keys = repeated_keys(table, declared).to_pyarrow()
        if keys.num_rows:
            found = repeats(table, declared, ibis.memtable(keys)).to_pyarrow()
            repeated = ibis.memtable(found)
            conflicting = sum(found.column("conflicting").to_pylist())
            if declared is PATIENTS and conflicting:
                message = f"{conflicting} persons appear in table '{PATIENTS.name}' with different content"
                raise ExtractError("extract.conflicting_patients", message, fix="deliver one row per person")
    orphans = {}
    for key in declared.foreign_keys:
        values = orphan_values(table, key, tables[key.table]).to_pyarrow()
        if values.num_rows:
            orphans[key.column] = ibis.memtable(values)
    return Relations(repeated=repeated, orphans=orphans, parents=tables)


def _count(rows: ir.Table, found: Sequence[Condition]) -> tuple[int, list[int]]:
    """Number of rows, and of rows that break each condition."""
    sums = {f"c{i}": condition.broken.sum() for i, condition in enumerate(found)}
    counted = rows.aggregate(n=rows.count(), **sums).to_pyarrow().to_pylist()[0]
    return counted["n"], [int(counted[name] or 0) for name in sums]


def _count_reasons(rows: ir.Table, found: Sequence[Condition]) -> dict[str, int]:
    judged = reasons(rows, found)
    listed = judged.filter(judged.reason.notnull()).group_by("reason").aggregate(n=judged.count()).to_pyarrow()
    return {row["reason"]: int(row["n"]) for row in listed.to_pylist()}


def _show(
    table: ir.Table,
    declared: Table,
    found: Sequence[Condition],
    broken: Sequence[int],
    instruments: Mapping[str, Instrument],
    as_of: datetime.date,
    batch_rows: int,
) -> list[SuiteOutcome]:
    """What Great Expectations finds: in the columns, in the items of each instrument, and in the counts."""
    rules = [rule for rule in column_rules(declared, table.columns, as_of) if rule.judged_by is JudgedBy.COLUMN]
    shown = [run_suite(column_suite(declared.name, rules), _column_batches(table, rules, batch_rows))]
    if declared is MEASURES:
        for name, key in sorted(instruments.items()):
            suite = item_suite(f"{declared.name}.{name}", key, table.columns)
            items = [expectation.column for expectation in suite.expectations]
            if items:
                shown.append(run_suite(suite, _batches(table.filter(table.instrument == name).select(*items), batch_rows)))
    counted = Counter[str]()
    for condition, count in zip(found, broken, strict=True):
        if condition.judged_by is JudgedBy.COUNT:
            counted[condition.code] += count
    if counted:
        shown.append(_show_counts(declared, counted))
    return shown


def _show_counts(declared: Table, counted: Mapping[str, int]) -> SuiteOutcome:
    """Great Expectations says of each count whether it is 0; a count it accepts is 0, one it refuses stands."""
    import pandas as pd

    outcome = run_suite(count_suite(f"{declared.name}.counts", counted), [pd.DataFrame([dict(counted)])])
    held = {reason: counted[reason] if refused else 0 for reason, refused in outcome.unexpected.items()}
    return SuiteOutcome(unexpected=held, not_run=outcome.not_run, expectations=outcome.expectations, rows=outcome.rows)


def _column_batches(table: ir.Table, rules: Sequence[ColumnRule], batch_rows: int) -> Iterator[pd.DataFrame]:
    """The columns of the rules as their rules see them, as cheaply as pandas can hold them."""
    columns = {rule.column.name: rule.column for rule in rules}
    if not columns:
        return iter(())
    values = {name: comparable(table, column) for name, column in columns.items()}
    numeric = {name: value.cast("int8") if columns[name].kind is Kind.BOOLEAN else value for name, value in values.items()}
    return _batches(table.select(**numeric), batch_rows)


def _batches(rows: ir.Table, batch_rows: int) -> Iterator[pd.DataFrame]:
    """Batches as frames: text as categories, dates as days since 1970-01-01."""
    import pyarrow as pa

    for batch in _record_batches(rows, batch_rows):
        arrays = []
        for array in batch.columns:
            if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
                array = array.dictionary_encode()
            elif pa.types.is_date(array.type):
                array = array.cast(pa.int32()).cast(pa.int64())
            elif pa.types.is_integer(array.type):
                array = array.cast(pa.int64())
            arrays.append(array)
        yield pa.RecordBatch.from_arrays(arrays, names=batch.schema.names).to_pandas()


def _record_batches(rows: ir.Table, batch_rows: int) -> Iterator[pa.RecordBatch]:
    backend = ibis.get_backend(rows)
    if backend.name != "duckdb":
        yield from rows.to_pyarrow_batches(chunk_size=batch_rows)
        return
    # DuckDB 2 no longer has the call that Ibis 12 makes for batches.
    yield from backend.con.sql(backend.compile(rows)).to_arrow_reader(batch_rows)


def _refuse_disagreement(
    declared: Table, found: Sequence[Condition], broken: Sequence[int], shown: Sequence[SuiteOutcome]
) -> None:
    ours, theirs = Counter[str](), Counter[str]()
    for condition, count in zip(found, broken, strict=True):
        ours[condition.code] += count
    for outcome in shown:
        theirs.update(outcome.unexpected)
    unsettled = {reason for outcome in shown for reason in outcome.not_run}
    differing = [reason for reason in sorted(ours.keys() | theirs.keys()) if ours[reason] != theirs[reason]]
    listed = [f"{reason} ({ours[reason]} and {theirs[reason]})" for reason in differing if reason not in unsettled]
    if listed:
        message = f"the engine and Great Expectations count differently in table '{declared.name}': {', '.join(listed)}"
        raise ExtractError("extract.judges_disagree", message, fix="report it; the extract may have changed meanwhile")


def _table_verdicts(name: str, rows: int, aside: int, limit: float, not_run: Sequence[str]) -> list[Verdict]:
    verdicts = []
    if name in NEEDED_TABLES:
        verdicts.append(at_least(f"extract.rows.{name}", rows, 1, f"rows delivered in table '{name}'"))
    share = aside / rows if rows else 0.0
    verdicts.append(at_most(f"extract.set_aside.{name}", share, limit, f"share of the rows of table '{name}' set aside"))
    if not_run:
        reason = f"Great Expectations could not evaluate: {', '.join(not_run)}"
        verdicts.append(not_evaluated(f"extract.expectations.{name}", reason))
    return verdicts


def _regime_verdicts(tables: Mapping[str, ir.Table]) -> list[Verdict]:
    """Two regimes of one state and profession on one day would leave the law of that day open; gaps are allowed."""
    if JURISDICTION_REGIME.name not in tables:
        return []
    regimes = tables[JURISDICTION_REGIME.name].select("state", "profession", "valid_from", "valid_to")
    other = regimes.view()
    pairs = regimes.inner_join(
        other,
        [
            regimes.state == other.state,
            regimes.profession == other.profession,
            regimes.valid_from < other.valid_from,
            regimes.valid_to.isnull() | (regimes.valid_to >= other.valid_from),
        ],
    )
    overlaps = float(pairs.count().to_pyarrow().as_py())
    return [at_most("extract.regimes_overlap", overlaps, 0, "pairs of legal regimes of one state and profession that overlap")]


ABOVE_RANGE_LIMIT = 0.01
ALPHA_RANGE = (0.70, 0.98)
ALPHA_MINIMUM_ROWS = 100


def _instrument_verdicts(
    delivered: Mapping[str, ir.Table], sound: Mapping[str, ir.Table], instruments: Mapping[str, Instrument]
) -> list[Verdict]:
    """Signs that a form is not the one its key describes."""
    if MEASURES.name not in delivered:
        return []
    verdicts: list[Verdict] = []
    for name, key in sorted(instruments.items()):
        for found in (_above_range(delivered[MEASURES.name], name, key), _alpha(sound[MEASURES.name], name, key)):
            verdicts += [found] if found else []
    return verdicts


def _items(table: ir.Table, instrument: Instrument) -> list[str]:
    return [item for item in ITEM_COLUMNS[: instrument.n_items] if item in table.columns]


def _above_range(measures: ir.Table, name: str, instrument: Instrument) -> Verdict | None:
    """Seven-point answers loaded as five-point ones show as answers above the highest response."""
    forms = measures.filter(measures.instrument == name)
    answers = [forms[item] for item in _items(measures, instrument)]
    given = [answer.notnull() & answer.notin(instrument.missing_codes or (None,)) for answer in answers]
    above = [there & (answer > instrument.high) for there, answer in zip(given, answers, strict=True)]
    if not answers:
        return None
    sums = forms.aggregate(
        given=sum((each.sum() for each in given[1:]), given[0].sum()),
        above=sum((each.sum() for each in above[1:]), above[0].sum()),
    )
    counted = sums.to_pyarrow().to_pylist()[0]
    if not counted["given"]:
        return None
    sentence = f"share of answers of {name} above its highest response, {instrument.high}: is it another version of the form?"
    return at_most(f"extract.above_range.{name}", counted["above"] / counted["given"], ABOVE_RANGE_LIMIT, sentence)


def _alpha(measures: ir.Table, name: str, instrument: Instrument) -> Verdict | None:
    """Cronbach's alpha of whole forms; outside the usual range nothing is proven, so it is a warning, not a failure."""
    items = _items(measures, instrument)
    forms = measures.filter(measures.instrument == name).select(*items).drop_null(items, how="any")
    forms = forms.filter(*(forms[item].between(instrument.low, instrument.high) for item in items))
    if len(items) < 2:
        return None
    answers = {item: _keyed(forms[item], number, instrument) for number, item in enumerate(items, start=1)}
    answers["total"] = sum((answers[item] for item in items[1:]), answers[items[0]])
    sums = {f"{item}_1": answer.sum() for item, answer in answers.items()}
    squares = {f"{item}_2": (answer * answer).sum() for item, answer in answers.items()}
    counted = forms.aggregate(n=forms.count(), **sums, **squares).to_pyarrow().to_pylist()[0]
    code = f"extract.alpha.{name}"
    if counted["n"] < ALPHA_MINIMUM_ROWS:
        return not_evaluated(code, f"fewer than {ALPHA_MINIMUM_ROWS} whole forms of {name}: internal consistency not judged")
    # n * sum(x^2) - sum(x)^2 in whole numbers: the same whatever the order of rows.
    spread = {item: counted["n"] * int(counted[f"{item}_2"]) - int(counted[f"{item}_1"]) ** 2 for item in answers}
    if not spread["total"]:
        return not_evaluated(code, f"every whole form of {name} has the same total: internal consistency not judged")
    k = len(items)
    alpha = k / (k - 1) * (1 - sum(spread[item] for item in items) / spread["total"])
    low, high = ALPHA_RANGE
    if low <= alpha <= high:
        return at_least(code, alpha, low, f"Cronbach's alpha of {name}, expected from {low:.2f} to {high:.2f}")
    return not_evaluated(code, f"Cronbach's alpha of {name} is {alpha:.2f}, expected from {low:.2f} to {high:.2f}: check the key")


def _keyed(answer: ir.Column, number: int, instrument: Instrument) -> ir.Column:
    value = answer.cast("int64")
    return (instrument.low + instrument.high) - value if number in instrument.reverse else value
