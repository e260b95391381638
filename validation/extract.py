"""Judge whether an extract is fit to use.

`judge_extract` shows every table to Great Expectations, counts the same rows on the engine, refuses to go on if the
two disagree, and says which rows are sound. A check that could not be run is NOT EVALUATED, never a pass.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from causal.errors import ExtractError
from causal.protocol import Instrument
from causal.protocol.design import Gates
from causal.protocol.words import NEUTRAL, Words
from causal.tables import (
    CLINICIANS,
    CLINICS,
    DIAGNOSES,
    ENCOUNTERS,
    EPISODES,
    JURISDICTION_REGIME,
    MEASURES,
    PATIENTS,
    PROTECTIVE_ACTIONS,
    TABLES,
    Table,
)
from validation.codes import (
    judge_diagnosis_codes,
    judge_regime_codes,
    judge_spelling,
    judge_unmatched,
    judge_versions,
    judge_zones,
)
from validation.dates import judge_dates
from validation.delivery import NEEDED_TABLES
from validation.forms import item_columns
from validation.frames import column_frames, frames
from validation.grain import at_their_grain, coarsened, judge_grain, measure_grain
from validation.measures import instruments_present, judge_measures
from validation.rules import (
    Condition,
    JudgedBy,
    Relations,
    column_rules,
    conditions,
    flagged_rows,
    judged_rows,
    orphan_values,
    repeated_keys,
    repeats,
    sound_rows,
)
from validation.spelling import respelt
from validation.suites import SuiteOutcome, column_suite, count_suite, item_suite, run_suite
from validation.verdict import Verdict, at_least, at_most, not_evaluated

USUAL = Gates()
END_REASONS_LIMIT = 0.20
"""Largest share of ended relationships without a reason; past it, intercurrent events cannot be told apart."""


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
        For each table with rows set aside, codes spelt another way than declared or times coarser than written: its
        sound rows as declared (declared columns), an expression to be run. The other tables are sound as they are.
    lost_actions
        The protective actions set aside, as declared; None where `clean` does not hold that table.
    """

    verdicts: tuple[Verdict, ...]
    counts: dict[str, int]
    rows: dict[str, int]
    clean: dict[str, ir.Table]
    lost_actions: ir.Table | None


def judge_extract(
    tables: Mapping[str, ir.Table],
    instruments: Mapping[str, Instrument],
    *,
    as_of: datetime.date,
    quarantined_share: float,
    needed: Mapping[str, Sequence[str]] | None = None,
    codelists: Mapping[str, Sequence[str]] | None = None,
    unmatched_codes: float = USUAL.unmatched_codes,
    impossible_dates: float = USUAL.impossible_dates,
    record_lag_days: int = USUAL.record_lag_days,
    unreadable: Mapping[str, int] | None = None,
    words: Words = NEUTRAL,
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
    needed
        What in the study needs each table (`causal.cohort.needs`): a needed table without a row is a failure, because
        it would answer every question with "no".
    codelists
        Codes of each list that the study counts diagnoses by; each should match some.
    unmatched_codes, impossible_dates, record_lag_days
        Limits of `causal.protocol.design.Gates`.
    unreadable
        Rows the reader already kept out, by reason code.
    words
        What the study calls the treated.
    batch_rows
        Rows shown to Great Expectations at a time; bounds memory.

    Raises
    ------
    ExtractError
        One person appears with different content, or Great Expectations and the engine count differently.
    """
    spelt, respelt_rows = {}, {}
    for name, table in tables.items():
        spelt[name], respelt_rows[name] = respelt(table, TABLES[name])
    grains = {name: measure_grain(table, TABLES[name]) for name, table in tables.items()}
    tables = {name: _named(at_their_grain(table, grains[name]), f"{name}_as_declared") for name, table in spelt.items()}
    present = instruments_present(tables[MEASURES.name], instruments) if MEASURES.name in tables else {}
    delivery = _Delivery(tables=tables, instruments=present, as_of=as_of, batch_rows=batch_rows)
    judged = {name: _judge_table(TABLES[name], delivery) for name in tables}
    counts = Counter(dict(unreadable or {}))
    kept_out = {name: sum(n for reason, n in counts.items() if reason.startswith(f"{name}.")) for name in tables}
    for each in judged.values():
        counts.update(each.counts)
    rows = {name: each.rows + kept_out[name] for name, each in judged.items()}
    clean = {
        name: each.sound
        for name, each in judged.items()
        if each.counts or respelt_rows[name] or coarsened(grains[name])
    }
    verdicts: list[Verdict] = []
    for name, each in judged.items():
        aside = kept_out[name] + sum(each.counts.values())
        verdicts += _table_verdicts(
            name, rows[name], aside, quarantined_share, each.not_run, (needed or {}).get(name, ())
        )
        verdicts += judge_spelling(TABLES[name], each.rows, respelt_rows[name])
        verdicts += judge_unmatched(TABLES[name], each.rows, each.counts, unmatched_codes)
        verdicts += judge_grain(name, grains[name])
    verdicts += _judge_codes(tables, present, codelists or {}, unmatched_codes)
    verdicts += judge_dates(tables, as_of=as_of, impossible=impossible_dates, lag_days=record_lag_days)
    if JURISDICTION_REGIME.name in tables:
        verdicts.append(_judge_regimes(judged[JURISDICTION_REGIME.name].sound))
    if PROTECTIVE_ACTIONS.name in tables:
        verdicts.append(_judge_lost_actions(kept_out[PROTECTIVE_ACTIONS.name], words))
    if EPISODES.name in tables:
        verdicts.append(_judge_end_reasons(judged[EPISODES.name].sound))
    if MEASURES.name in tables:
        contacts = tables.get(ENCOUNTERS.name)
        verdicts += judge_measures(
            tables[MEASURES.name], contacts, present, others=instruments, unsigned_share=quarantined_share
        )
    lost = None
    if PROTECTIVE_ACTIONS.name in clean:
        lost = tables[PROTECTIVE_ACTIONS.name].anti_join(clean[PROTECTIVE_ACTIONS.name], "action_id")
    return ExtractJudgement(
        verdicts=tuple(verdicts), counts=dict(sorted(counts.items())), rows=rows, clean=clean, lost_actions=lost
    )


def _named(table: ir.Table, name: str) -> ir.Table:
    """The table under a name of its own: what asks it something need not carry, and translate, how it was made."""
    return table.get_backend().create_view(name, table, overwrite=True)


def _judge_codes(
    tables: Mapping[str, ir.Table],
    instruments: Mapping[str, Instrument],
    codelists: Mapping[str, Sequence[str]],
    limit: float,
) -> Iterator[Verdict]:
    if CLINICS.name in tables:
        yield judge_zones(tables[CLINICS.name])
    if {CLINICS.name, CLINICIANS.name, JURISDICTION_REGIME.name} <= tables.keys():
        yield from judge_regime_codes(tables, limit)
    if DIAGNOSES.name in tables:
        yield from judge_diagnosis_codes(tables[DIAGNOSES.name], codelists, limit)
    if MEASURES.name in tables:
        yield from judge_versions(tables[MEASURES.name], instruments, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    tables: Mapping[str, ir.Table]
    instruments: Mapping[str, Instrument]
    as_of: datetime.date
    batch_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _JudgedTable:
    rows: int
    counts: dict[str, int]
    not_run: tuple[str, ...]
    sound: ir.Table


def _judge_table(declared: Table, delivery: _Delivery) -> _JudgedTable:
    table = delivery.tables[declared.name]
    relations = _look_up(table, declared, delivery.tables)
    rows = judged_rows(table, declared, relations)
    found = conditions(rows, declared, relations, delivery.instruments, as_of=delivery.as_of)
    total, broken, counts = _count(rows, found)
    shown = _show(table, declared, delivery)
    shown += _show_counts(declared, found, broken)
    _refuse_disagreement(declared, found, broken, shown)
    if shown[0].rows != total:
        raise _disagreement(declared, f"{total} and {shown[0].rows} rows")
    return _JudgedTable(
        rows=total,
        counts=counts,
        not_run=tuple(sorted({reason for outcome in shown for reason in outcome.not_run})),
        sound=sound_rows(rows, found, declared),
    )


def _judge_lost_actions(unreadable: int, words: Words) -> Verdict:
    """Nobody knows whom an unreadable action concerned, so nobody can be called untreated."""
    sentence = (
        f"unreadable rows in table 'protective_actions' (whom they concern is lost, so who was {words.treated} is "
        "unknown)"
    )
    return at_most("extract.lost_actions", unreadable, 0, sentence)


def _judge_end_reasons(episodes: ir.Table) -> Verdict:
    """Relationships that ended without a recorded reason: the intercurrent events of those people are not known."""
    ended = episodes.filter(episodes.end.notnull())
    counted = ended.aggregate(n=ended.count(), unknown=ended.count(where=ended.end_reason.isnull()))
    found = counted.to_pyarrow().to_pylist()[0]
    share = found["unknown"] / found["n"] if found["n"] else 0.0
    sentence = "share of ended relationships without a recorded reason"
    return at_most("extract.end_reasons", share, END_REASONS_LIMIT, sentence)


def _look_up(table: ir.Table, declared: Table, tables: Mapping[str, ir.Table]) -> Relations:
    """Run the look-ups a table's relational rules need; refuse one person with two contents."""
    repeated = None
    keys = repeated_keys(table, declared).to_pyarrow() if declared.key else None
    if keys is not None and keys.num_rows:
        found = repeats(table, declared, ibis.memtable(keys)).to_pyarrow()
        conflicting = sum(found.column("conflicting").to_pylist())
        if declared is PATIENTS and conflicting:
            message = f"{conflicting} persons appear in table '{PATIENTS.name}' with different content"
            raise ExtractError("extract.conflicting_patients", message, fix="deliver one row per person")
        repeated = ibis.memtable(found)
    orphans = {}
    for key in declared.foreign_keys:
        values = orphan_values(table, key, tables[key.table]).to_pyarrow()
        if values.num_rows:
            orphans[key.column] = ibis.memtable(values)
    return Relations(repeated=repeated, orphans=orphans, parents=tables)


def _count(rows: ir.Table, found: Sequence[Condition]) -> tuple[int, list[int], dict[str, int]]:
    """Count, in one pass, the rows, the rows that break each condition, and the rows by their first reason."""
    flagged, names = flagged_rows(rows, found)
    sums = {name: flagged[name].sum() for name in names}
    groups = flagged.group_by("reason").aggregate(n=flagged.count(), **sums).to_pyarrow().to_pylist()
    broken = [sum(int(group[name]) for group in groups) for name in names]
    by_reason = {group["reason"]: int(group["n"]) for group in groups if group["reason"] is not None}
    return sum(int(group["n"]) for group in groups), broken, by_reason


def _show(table: ir.Table, declared: Table, delivery: _Delivery) -> list[SuiteOutcome]:
    """Show Great Expectations the columns of a table and, of questionnaires, the items of each instrument."""
    rules = column_rules(declared, table.columns, delivery.as_of)
    rules = tuple(rule for rule in rules if rule.judged_by is JudgedBy.COLUMN)
    suite = column_suite(declared.name, rules)
    shown = [run_suite(suite, column_frames(table, rules, delivery.batch_rows))]
    if declared is MEASURES:
        for name, key in sorted(delivery.instruments.items()):
            items = item_columns(table, key)
            if items:
                forms = table.filter(table.instrument == name).select(*items)
                suite = item_suite(f"{declared.name}.{name}", key, items)
                shown.append(run_suite(suite, frames(forms, delivery.batch_rows)))
    return shown


def _show_counts(declared: Table, found: Sequence[Condition], broken: Sequence[int]) -> list[SuiteOutcome]:
    """Let Great Expectations say of each count whether it is 0; one it accepts is 0, one it refuses stands."""
    import pandas as pd

    counted = Counter[str]()
    for condition, count in zip(found, broken, strict=True):
        if condition.judged_by is JudgedBy.COUNT:
            counted[condition.code] += count
    if not counted:
        return []
    outcome = run_suite(count_suite(f"{declared.name}.counts", counted), [pd.DataFrame([dict(counted)])])
    held = {reason: counted[reason] if refused else 0 for reason, refused in outcome.unexpected.items()}
    return [SuiteOutcome(unexpected=held, not_run=outcome.not_run, rows=outcome.rows)]


def _refuse_disagreement(
    declared: Table, found: Sequence[Condition], broken: Sequence[int], shown: Sequence[SuiteOutcome]
) -> None:
    ours, theirs = Counter[str](), Counter[str]()
    for condition, count in zip(found, broken, strict=True):
        ours[condition.code] += count
    for outcome in shown:
        theirs.update(outcome.unexpected)
    unsettled = {reason for outcome in shown for reason in outcome.not_run}
    differing = [
        f"{reason} ({ours[reason]} and {theirs[reason]})"
        for reason in sorted((ours.keys() | theirs.keys()) - unsettled)
        if ours[reason] != theirs[reason]
    ]
    if differing:
        raise _disagreement(declared, ", ".join(differing))


def _disagreement(declared: Table, what: str) -> ExtractError:
    message = f"the engine and Great Expectations count differently in table '{declared.name}': {what}"
    return ExtractError("extract.judges_disagree", message, fix="run again, and report it if it stays")


def _table_verdicts(
    name: str, rows: int, aside: int, limit: float, not_run: Sequence[str], needed_by: Sequence[str]
) -> list[Verdict]:
    verdicts = []
    if name in NEEDED_TABLES or needed_by:
        needs = f", needed by {', '.join(needed_by)}" if needed_by else ""
        verdicts.append(at_least(f"extract.rows.{name}", rows, 1, f"rows delivered in table '{name}'{needs}"))
    share = aside / rows if rows else 0.0
    sentence = f"share of the rows of table '{name}' set aside"
    verdicts.append(at_most(f"extract.set_aside.{name}", share, limit, sentence))
    if not_run:
        reason = f"Great Expectations could not evaluate: {', '.join(not_run)}"
        verdicts.append(not_evaluated(f"extract.expectations.{name}", reason))
    return verdicts


def _judge_regimes(regimes: ir.Table) -> Verdict:
    """Two regimes of one state and profession on one day would leave the law of that day open; gaps are allowed."""
    first = regimes.select("state", "profession", "valid_from", "valid_to")
    second = first.view()
    pairs = first.inner_join(
        second,
        [
            first.state == second.state,
            first.profession == second.profession,
            first.valid_from < second.valid_from,
            first.valid_to.fill_null(datetime.date.max) >= second.valid_from,
        ],
    )
    overlaps = float(pairs.count().to_pyarrow().as_py())
    sentence = "pairs of legal regimes of one state and profession that overlap"
    return at_most("extract.regimes_overlap", overlaps, 0, sentence)
