"""Dates nobody could have: after a death, before a birth, after today, past the end of the record."""

from __future__ import annotations

import datetime

import pytest

from tests.flows.connectors.small_extract import AS_OF, Rows, encounter, patient, small_extract
from tests.validation.judging import judged, loaded, some, verdict
from validation.dates import judge_dates
from validation.delivery import judge_as_of
from validation.verdict import Status, Verdict

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


@pytest.mark.parametrize(
    ("today", "status"),
    [("2025-01-01", "PASS"), ("2024-12-31", "PASS"), ("2024-12-30", "PASS"), ("2024-12-29", "FAIL")],
)
def test_an_extract_is_not_of_tomorrow(today: str, status: str) -> None:
    """One day ahead is a clinic east of the machine; and the figure does not grow older with every run."""
    found = judge_as_of(AS_OF, datetime.date.fromisoformat(today))
    assert found.status == status
    assert judge_as_of(AS_OF, AS_OF) == judge_as_of(AS_OF, datetime.date(2031, 1, 1))


def people(n: int, **changes: dict[int, str]) -> Rows:
    """N people with a contact on 1 July 2023 each; `changes` by column and number of the person."""
    tables = some(small_extract(), "patients", "clinics", "clinicians", "encounters")
    tables["patients"] = [
        patient(f"p{k}", birth_year=f"{1950 + k % 50}") | {name: by[k] for name, by in changes.items() if k in by}
        for k in range(n)
    ]
    tables["encounters"] = [encounter(f"e{k}", f"p{k}", "2023-07-01 09:00") for k in range(n)]
    return tables


def dated(tables: Rows, lag_days: int = 31) -> tuple[Verdict, ...]:
    """What is said of the dates of sound rows: one person in a hundred may be impossible."""
    return tuple(judge_dates(loaded(tables), as_of=AS_OF, impossible=0.01, lag_days=lag_days))


@pytest.mark.parametrize(
    ("column", "value", "label"),
    [("death_date", "2023-06-30", "extract.after_death"), ("birth_year", "2024", "extract.before_birth")],
)
def test_people_with_impossible_records_have_a_limit(column: str, value: str, label: str) -> None:
    """One in a hundred passes, two fail; who dies on the day of the contact, or is born that year, is possible."""

    def with_impossible(number: int) -> tuple[Verdict, ...]:
        return dated(people(200, **{column: dict.fromkeys(range(number), value)}))

    assert verdict(with_impossible(0), label).measured == 0
    assert verdict(with_impossible(2), label).status is Status.PASS
    assert verdict(with_impossible(3), label).status is Status.FAIL
    possible = {"death_date": "2023-07-01", "birth_year": "2023"}[column]
    assert verdict(dated(people(200, **{column: dict.fromkeys(range(50), possible)})), label).measured == 0


def test_the_limits_are_those_that_the_study_gives() -> None:
    """Of impossible people, and of days that the record may end before the extract."""
    tables = people(200, death_date=dict.fromkeys(range(4), "2023-06-30"))
    strict = judged(tables, impossible_dates=0.01, record_lag_days=548)
    lenient = judged(tables, impossible_dates=0.02, record_lag_days=549)
    for label in ("extract.after_death", "extract.record_end.encounters"):
        assert (verdict(strict, label).status, verdict(lenient, label).status) == (Status.FAIL, Status.PASS)


def test_a_missed_appointment_after_a_death_is_no_visit() -> None:
    """Nobody was there."""
    tables = people(100, death_date=dict.fromkeys(range(50), "2023-06-30"))
    tables["encounters"] = [row | {"status": "no_show"} for row in tables["encounters"]]
    assert verdict(dated(tables), "extract.after_death").measured == 0


def test_a_fifth_born_in_1901_is_refused_and_so_is_one_year_for_all_unknown() -> None:
    """Nobody is 123; and a year of birth far above the years beside it stands for not known."""
    old = judged(people(200, birth_year=dict.fromkeys(range(40), "1901")))
    assert old.counts == {"patients.birth_year:out_of_range": 40}
    assert verdict(old, "extract.set_aside.patients").status is Status.FAIL
    assert verdict(dated(people(200)), "extract.birth_year_spike").status is Status.PASS
    spike = dated(people(200, birth_year=dict.fromkeys(range(40), "1970")))
    assert verdict(spike, "extract.birth_year_spike").status is Status.FAIL
    students = dated(people(200, birth_year={k: f"{2001 + k % 5}" for k in range(200)}))
    assert verdict(students, "extract.birth_year_spike").status is Status.PASS


@pytest.mark.parametrize(("last", "status"), [("2024-11-30", "PASS"), ("2024-11-29", "FAIL")])
def test_a_record_that_ends_long_before_the_extract_is_refused(last: str, status: str) -> None:
    """Every follow-up would look complete; one stray row near the date of the extract does not hide it."""
    tables = people(1200)
    tables["encounters"] = [row | {"start_ts": f"{last} 09:00"} for row in tables["encounters"]]
    tables["encounters"][0]["start_ts"] = "2024-12-31 09:00"
    found = verdict(dated(tables), "extract.record_end.encounters")
    assert found.status == status
    assert verdict(dated(tables, lag_days=0), "extract.record_end.encounters").status is Status.FAIL


def test_times_that_no_clock_showed_are_counted() -> None:
    """02:30 on the night on which California put its clocks forward never was."""
    tables = some(small_extract(), "patients", "clinics", "clinicians", "threat_assessments")
    one = tables["threat_assessments"][0]
    tables["threat_assessments"] = [one | {"ta_id": f"t{k}", "ts": "2023-03-12 03:30"} for k in range(3)]
    assert verdict(dated(tables), "extract.skipped_times").measured == 0
    tables["threat_assessments"][0]["ts"] = "2023-03-12 02:30"
    assert verdict(dated(tables), "extract.skipped_times").status is Status.FAIL
    tables["clinics"][0]["tz"] = "Central"  # no zone, which is refused as such: no clock is asked of it
    assert verdict(dated(tables), "extract.skipped_times").status is not Status.FAIL
