"""One declaration, one suite: what Great Expectations is asked, and what it answers."""

from __future__ import annotations

import datetime
import os

import numpy as np
import pandas as pd

from causal.tables import TABLES, Kind
from flows.study_file.load import load_instruments
from validation.rules import JudgedBy, column_rules
from validation.suites import column_suite, count_suite, item_suite, run_suite

AS_OF = datetime.date(2024, 12, 31)


def rules_of(table: str) -> tuple[object, ...]:
    """Column rules of a table with all its columns."""
    return column_rules(TABLES[table], [column.name for column in TABLES[table].columns], AS_OF)


def test_every_declared_constraint_has_its_expectation() -> None:
    """Required, allowed, in range, within the calendar: each appears in its table's suite once, under its code."""
    for declared in TABLES.values():
        expected = set()
        for column in declared.columns:
            if column.kind is Kind.ID:
                continue
            place = f"{declared.name}.{column.name}"
            if column.required:
                expected.add((f"{place}:missing", "expect_column_values_to_not_be_null"))
            if column.values:
                expected.add((f"{place}:not_allowed", "expect_column_values_to_be_in_set"))
            if column.low is not None or column.high is not None or column.kind in (Kind.DATE, Kind.TIMESTAMP):
                expected.add((f"{place}:out_of_range", "expect_column_values_to_be_between"))
        suite = column_suite(declared.name, rules_of(declared.name))
        listed = [(each.meta["reason_code"], each.expectation_type) for each in suite.expectations]
        assert len(listed) == len(expected)
        assert set(listed) == expected


def test_missing_ids_are_counted_rather_than_shown() -> None:
    """No id column is ever handed to Great Expectations."""
    for declared in TABLES.values():
        shown = {each.column for each in column_suite(declared.name, rules_of(declared.name)).expectations}
        assert not shown & {column.name for column in declared.columns if column.kind is Kind.ID}
    assert [rule.code for rule in rules_of("diagnoses") if rule.judged_by is JudgedBy.COUNT] == [
        "diagnoses.person_id:missing"
    ]


def test_unexpected_values_are_counted_over_batches() -> None:
    """Counts add up over frames; text as categories, dates as days; what is null breaks only `missing`."""
    suite = column_suite("patients", rules_of("patients"))
    day = (AS_OF - datetime.date(1970, 1, 1)).days

    def frame(sex: list[str | None], birth_year: list[float], death_date: list[float]) -> pd.DataFrame:
        blank = pd.Categorical([None] * len(sex), categories=["white"])
        columns = {"birth_year": birth_year, "sex": pd.Categorical(sex), "race_eth": blank, "insurance": blank}
        return pd.DataFrame(columns | {"death_date": death_date})

    outcome = run_suite(
        suite,
        [
            frame(["F", "female", None], [1980, 1850, np.nan], [day, day + 1, np.nan]),
            frame(["unknown", "M"], [2031, 1980], [7304, 7305]),
        ],
    )
    assert outcome.rows == 5
    assert outcome.not_run == ()
    assert outcome.unexpected == {
        "patients.birth_year:missing": 1,
        "patients.sex:missing": 1,
        "patients.birth_year:out_of_range": 2,
        "patients.sex:not_allowed": 2,
        "patients.race_eth:not_allowed": 0,
        "patients.insurance:not_allowed": 0,
        "patients.death_date:out_of_range": 2,  # the day after as_of, and 1989-12-31
    }


def test_items_allow_their_range_and_their_missing_codes() -> None:
    """A four on PHQ-9 is unexpected; 99 and no answer are not."""
    key = load_instruments("configs/instruments")["phq9"]
    outcome = run_suite(
        item_suite("phq9", key, ["itm_01"]), [pd.DataFrame({"itm_01": [0.0, 3.0, 4.0, 99.0, np.nan, -2.0]})]
    )
    assert outcome.unexpected == {"measures.itm_01:out_of_instrument": 2}


def test_counts_must_be_zero() -> None:
    """A counted rule fails by its count being something else."""
    frame = pd.DataFrame([{"a.b:orphan": 0, "a.c:orphan": 3}])
    outcome = run_suite(count_suite("counts", frame.columns), [frame])
    assert outcome.unexpected == {"a.b:orphan": 0, "a.c:orphan": 1}


def test_an_expectation_that_cannot_run_has_no_count() -> None:
    """A column that is not there is neither a pass nor a failure."""
    outcome = run_suite(count_suite("counts", ["a.b:orphan", "a.c:orphan"]), [pd.DataFrame({"a.c:orphan": [0]})])
    assert outcome.not_run == ("a.b:orphan",)
    assert outcome.unexpected == {"a.c:orphan": 0}


def test_no_rows_break_nothing_and_are_counted_as_none() -> None:
    """A suite passes on nothing: the number of rows it saw must be looked at too."""
    outcome = run_suite(column_suite("patients", rules_of("patients")), [])
    assert (outcome.rows, set(outcome.unexpected.values())) == (0, {0})


def test_telemetry_is_off() -> None:
    """Great Expectations was imported with its analytics switched off."""
    column_suite("patients", rules_of("patients"))
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
