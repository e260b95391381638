"""The declarations of `causal.tables` as Great Expectations suites, run on pandas batches, giving counts and no values.

Great Expectations lives here and nowhere else. An ephemeral context writes nothing; results are asked for without
examples; what an expectation that could not run says about itself is dropped, because it may quote the data.
"""

from __future__ import annotations

import datetime
import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from causal.protocol import Instrument
from causal.tables import MEASURES, Rule
from validation.rules import ColumnRule, JudgedBy, code, valid_responses

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}
_CODE = "reason_code"
_EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOutcome:
    """What a suite found.

    Attributes
    ----------
    unexpected
        By reason code: values that break the expectation, over all batches.
    not_run
        Reason codes whose expectation could not be evaluated on some batch; they have no count.
    rows
        Number of rows the suite was shown.
    """

    unexpected: Mapping[str, int]
    not_run: tuple[str, ...]
    rows: int


def column_suite(name: str, rules: Iterable[ColumnRule]) -> ExpectationSuite:
    """One expectation per column rule that Great Expectations judges on the column itself.

    Dates are judged as days since 1970-01-01, which it compares thirty times faster than times.
    """
    return _suite(name, [_expectation(rule) for rule in rules if rule.judged_by is JudgedBy.COLUMN])


def item_suite(name: str, instrument: Instrument, items: Iterable[str]) -> ExpectationSuite:
    """One expectation per item of an instrument: a response in range, a missing code, or none."""
    allowed = valid_responses(instrument)
    return _suite(name, [_in_set(item, allowed, code(MEASURES.name, item, Rule.OUT_OF_INSTRUMENT)) for item in items])


def count_suite(name: str, codes: Iterable[str]) -> ExpectationSuite:
    """One expectation per counted rule, on a frame of one row with a column per reason code: the count is 0."""
    return _suite(name, [_between(each, 0, 0, each) for each in codes])


def run_suite(suite: ExpectationSuite, frames: Iterable[pd.DataFrame]) -> SuiteOutcome:
    """Validate every frame (columns as the suite names them) and add up what is unexpected by reason code."""
    batches = _batches()
    unexpected: Counter[str] = Counter(
        {expectation.meta[_CODE]: 0 for expectation in suite.expectations if expectation.meta}
    )
    not_run: set[str] = set()
    rows = 0
    for frame in frames:
        rows += len(frame)
        with _silenced():
            results = batches.get_batch({"dataframe": frame}).validate(suite, result_format=_COUNTS_ONLY).results
        for result in results:
            reason = result.expectation_config.meta[_CODE]
            count = result.result.get("unexpected_count")
            if count is None:
                not_run.add(reason)
            else:
                unexpected[reason] += int(count)
    for reason in not_run:
        del unexpected[reason]
    return SuiteOutcome(unexpected=dict(unexpected), not_run=tuple(sorted(not_run)), rows=rows)


def _suite(name: str, expectations: list[Expectation]) -> ExpectationSuite:
    _quiet()
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name=name, expectations=expectations)


def _expectation(rule: ColumnRule) -> Expectation:
    if rule.rule is Rule.MISSING:
        return _not_null(rule.column.name, rule.code)
    if rule.rule is Rule.NOT_ALLOWED:
        return _in_set(rule.column.name, rule.values, rule.code)
    return _between(rule.column.name, _number(rule.low), _number(rule.high), rule.code)


def _not_null(column: str, reason: str) -> Expectation:
    _quiet()
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

    return ExpectColumnValuesToNotBeNull(column=column, meta={_CODE: reason})


def _in_set(column: str, values: Iterable[str | int], reason: str) -> Expectation:
    _quiet()
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet

    return ExpectColumnValuesToBeInSet(column=column, value_set=list(values), meta={_CODE: reason})


def _between(column: str, low: float | None, high: float | None, reason: str) -> Expectation:
    _quiet()
    from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween

    return ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, meta={_CODE: reason})


def _number(bound: float | datetime.date | None) -> float | None:
    return float((bound - _EPOCH).days) if isinstance(bound, datetime.date) else bound


def _quiet() -> None:
    """Must come before the first import: no telemetry."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"


@cache
def _batches() -> Any:
    """Give the batch definition through which frames are shown; the context keeps nothing on disk."""
    _quiet()
    import great_expectations as gx
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    # The default ephemeral context would make a folder for its own pages.
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(), analytics_enabled=False)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


@contextmanager
def _silenced() -> Iterator[None]:
    """Great Expectations logs and tells what it saw; counts are all that may come out."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
