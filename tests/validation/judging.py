"""Judging rows of text."""

from __future__ import annotations

from typing import Any

import ibis

from causal.tables import TABLES
from flows.study_file.load import load_instruments
from tests.flows.connectors.small_extract import AS_OF, Rows, arrow_table
from validation.extract import ExtractJudgement, judge_extract
from validation.verdict import Verdict

KEYS = load_instruments("configs/instruments")


def judged(tables: Rows, *, shuffled: bool = False, **options: Any) -> ExtractJudgement:
    """Judge rows of text, in the order given or the other way round."""
    connection = ibis.duckdb.connect()
    loaded = {
        name: connection.create_table(name, arrow_table(name, rows[::-1] if shuffled else rows))
        for name, rows in tables.items()
    }
    return judge_extract(loaded, KEYS, **({"as_of": AS_OF, "quarantined_share": 0.02} | options))


def some(tables: Rows, *names: str) -> Rows:
    """Some tables of an extract, parents first."""
    return {name: tables[name] for name in TABLES if name in names}


def verdict(judgement: ExtractJudgement, code: str) -> Verdict:
    """The verdict of that code."""
    return next(each for each in judgement.verdicts if each.code == code)
