"""Judging rows of text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from causal.tables import TABLES
from flows.study_file.load import load_instruments
from flows.study_file.shared import load_code_lists
from tests.flows.connectors.small_extract import AS_OF, Rows, arrow_table
from validation.extract import ExtractJudgement, judge_extract
from validation.verdict import Verdict

KEYS = load_instruments("configs/instruments")
CODE_LISTS = {name: one.codes for name, one in load_code_lists(Path("configs/codelists")).items()}


def judged(tables: Rows, *, shuffled: bool = False, **options: Any) -> ExtractJudgement:
    """Judge rows of text, in the order given or the other way round."""
    in_order = {name: rows[::-1] if shuffled else rows for name, rows in tables.items()}
    usual = {"as_of": AS_OF, "quarantined_share": 0.02, "codelists": CODE_LISTS}
    return judge_extract(loaded(in_order), KEYS, **(usual | options))


def loaded(tables: Rows) -> dict[str, ir.Table]:
    """Rows of text as tables of an engine, for tests of one judgement: all of them together take seconds."""
    connection = ibis.duckdb.connect()
    return {name: connection.create_table(name, arrow_table(name, rows)) for name, rows in tables.items()}


def some(tables: Rows, *names: str) -> Rows:
    """Some tables of an extract, parents first."""
    return {name: tables[name] for name in TABLES if name in names}


def verdict(judgement: ExtractJudgement | Iterable[Verdict], code: str) -> Verdict:
    """The verdict of that code."""
    verdicts = judgement.verdicts if isinstance(judgement, ExtractJudgement) else judgement
    return next(each for each in verdicts if each.code == code)
