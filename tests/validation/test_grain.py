"""Columns of times that hold dates: found by their midnights, and then dates in every row."""

from __future__ import annotations

import datetime

import ibis.expr.types as ir
import pytest

from causal.tables import ENCOUNTERS
from tests.flows.connectors.small_extract import encounter, small_extract
from tests.validation.judging import judged, loaded, some, verdict
from validation.grain import Grain, at_their_grain, coarsened, judge_grain, measure_grain
from validation.verdict import Status

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


def contacts(*clocks: str) -> list[dict[str, str]]:
    """Contacts at these times of day, one a day."""
    first = datetime.date(2023, 1, 1)
    return [
        encounter(f"e{k}", "0007", f"{first + datetime.timedelta(days=k)} {clock}") for k, clock in enumerate(clocks)
    ]


def grains(*clocks: str) -> tuple[ir.Table, dict[str, Grain]]:
    """A table of contacts at these times of day, and its grain."""
    table = loaded({"encounters": contacts(*clocks)})["encounters"]
    return table, measure_grain(table, ENCOUNTERS)


@pytest.mark.parametrize(
    ("midnights", "others", "dates"), [(0, 40, False), (20, 20, False), (21, 19, True), (39, 1, True), (40, 0, True)]
)
def test_a_column_mostly_at_midnight_is_a_column_of_dates(midnights: int, others: int, dates: bool) -> None:
    """Above half; its other times lose their clock, and the share is told where it tells no small count."""
    minutes = [f"10:{k:02d}" for k in range(others)]
    table, found = grains(*["00:00"] * midnights, *minutes)
    told = verdict(judge_grain("encounters", found), "extract.grain.encounters.start_ts")
    assert told.status is Status.PASS
    assert ("holds dates" in told.sentence) is dates
    assert told.measured in (midnights / 40, None)
    assert coarsened(found) is (dates and others > 0)
    times = at_their_grain(table, found).to_pyarrow().column("start_ts").to_pylist()
    assert ({time.time() for time in times} == {datetime.time()}) is dates


def test_sound_rows_are_at_their_grain() -> None:
    """What the judgement hands on has no clock where the column holds dates; else the table stays as delivered."""
    tables = some(small_extract(), "patients", "clinics", "clinicians")
    mixed = judged(tables | {"encounters": contacts(*["00:00"] * 3, "10:00")})
    times = mixed.clean["encounters"].to_pyarrow().column("start_ts").to_pylist()
    assert {time.time() for time in times} == {datetime.time()}
    assert verdict(mixed, "extract.grain.encounters.start_ts").status is Status.PASS
    assert judged(tables | {"encounters": contacts("00:00", "10:00")}).clean == {}


def test_dates_that_went_through_a_time_zone_are_refused() -> None:
    """Midnight elsewhere is the evening before here: half the times at one clock time, and nobody knows the day."""
    for evenings, status in ((21, Status.FAIL), (20, Status.PASS)):
        _, found = grains(*["19:00"] * evenings, *(f"10:{k:02d}" for k in range(40 - evenings)))
        told = verdict(judge_grain("encounters", found), "extract.one_clock_time.encounters.start_ts")
        assert told.status is status


def test_two_forms_of_one_day_are_one_key_where_times_are_dates() -> None:
    """Which of two contents of a day is right cannot be known once the clock says nothing."""
    tables = small_extract()
    form = tables["measures"][0]
    tables["measures"] = [form | {"admin_ts": f"2023-04-{day:02d} 00:00:00"} for day in range(1, 29)]
    tables["measures"] += [
        form | {"admin_ts": f"2023-06-01 {hour}:00:00", "itm_01": f"{hour - 9}"} for hour in (10, 11)
    ]
    assert judged(tables).counts == {"measures.person_id:duplicate_key": 2}
