"""Columns of times that hold dates: found by their midnights, and then dates in every row."""

from __future__ import annotations

import datetime

import pytest

from tests.flows.connectors.small_extract import encounter, small_extract
from tests.validation.judging import judged, some, verdict
from validation.extract import ExtractJudgement
from validation.verdict import Status

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


def of_contacts(*clocks: str) -> ExtractJudgement:
    """The judgement of contacts at these times of day, one a day."""
    tables = some(small_extract(), "patients", "clinics", "clinicians", "encounters")
    first = datetime.date(2023, 1, 1)
    tables["encounters"] = [
        encounter(f"e{k}", "0007", f"{first + datetime.timedelta(days=k)} {clock}") for k, clock in enumerate(clocks)
    ]
    return judged(tables)


@pytest.mark.parametrize(
    ("midnights", "others", "dates"), [(0, 40, False), (20, 20, False), (21, 19, True), (39, 1, True), (40, 0, True)]
)
def test_a_column_mostly_at_midnight_is_a_column_of_dates(midnights: int, others: int, dates: bool) -> None:
    """Above half; its other times lose their clock, and the share is told where it tells no small count."""
    minutes = [f"10:{k:02d}" for k in range(others)]
    judgement = of_contacts(*["00:00"] * midnights, *minutes)
    found = verdict(judgement, "extract.grain.encounters.start_ts")
    assert found.status is Status.PASS
    assert ("holds dates" in found.sentence) is dates
    assert found.measured in (midnights / 40, None)
    if dates and others:
        times = judgement.clean["encounters"].to_pyarrow().column("start_ts").to_pylist()
        assert {time.time() for time in times} == {datetime.time()}
    else:
        assert "encounters" not in judgement.clean


def test_dates_that_went_through_a_time_zone_are_refused() -> None:
    """Midnight elsewhere is the evening before here: half the times at one clock time, and nobody knows the day."""
    shifted = of_contacts(*["19:00"] * 21, *(f"10:{k:02d}" for k in range(19)))
    assert verdict(shifted, "extract.one_clock_time.encounters.start_ts").status is Status.FAIL
    usual = of_contacts(*["19:00"] * 20, *(f"10:{k:02d}" for k in range(20)))
    assert verdict(usual, "extract.one_clock_time.encounters.start_ts").status is Status.PASS


def test_two_forms_of_one_day_are_one_key_where_times_are_dates() -> None:
    """Which of two contents of a day is right cannot be known once the clock says nothing."""
    tables = small_extract()
    form = tables["measures"][0]
    tables["measures"] = [form | {"admin_ts": f"2023-04-{day:02d} 00:00:00"} for day in range(1, 29)]
    tables["measures"] += [
        form | {"admin_ts": f"2023-06-01 {hour}:00:00", "itm_01": f"{hour - 9}"} for hour in (10, 11)
    ]
    assert judged(tables).counts == {"measures.person_id:duplicate_key": 2}
