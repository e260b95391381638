"""Judging a small extract: every rule, its reason, and the rows that stay."""

from __future__ import annotations

import datetime
from collections import Counter

import ibis
import pytest

from causal.cohort.needs import tables_needed
from causal.errors import ExtractError
from causal.protocol import OccasionStudy
from causal.protocol.design import Confounders
from causal.tables import TABLES
from flows.study_file.load import load_study
from tests.flows.connectors.small_extract import (
    AS_OF,
    arrow_table,
    assessment,
    encounter,
    patient,
    regime,
    small_extract,
)
from tests.validation.judging import KEYS, judged, some, verdict
from validation import extract as module
from validation.extract import ExtractJudgement, judge_extract
from validation.verdict import Side, Status, Verdict

# Ibis 12 still makes a call that DuckDB 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


def ids(judgement: ExtractJudgement, table: str, column: str) -> list[object]:
    """Values of a column in the sound rows of a table."""
    return sorted(judgement.clean[table].to_pyarrow().column(column).to_pylist(), key=repr)


def test_a_sound_extract_passes_whole() -> None:
    """Nothing is set aside, and what three forms can say about questionnaires passes; the rest needs more forms."""
    judgement = judged(small_extract())
    assert judgement.counts == {}
    assert judgement.clean == {}
    assert judgement.rows == {name: len(rows) for name, rows in small_extract().items()}
    statuses = {each.code: each.status for each in judgement.verdicts}
    needs_forms = ("alpha", "unreversed", "other_form", "straight_lining", "ceiling", "same_day", "away_from_session")
    for name in ("phq9", "wai_sr"):
        for kind in needs_forms:
            assert statuses.pop(f"extract.{kind}.{name}") is Status.NOT_EVALUATED
    for few in (
        "record_end.encounters",
        "record_end.measures",
        "birth_year_spike",
        "code_list.substance_use",
        "code_list.psychosis",
    ):
        assert statuses.pop(f"extract.{few}") is Status.NOT_EVALUATED
    assert set(statuses.values()) == {Status.PASS}
    assert {"extract.above_range.wai_sr", "extract.below_range.wai_sr", "extract.other_rater.phq9"} < set(statuses)
    assert {f"extract.set_aside.{name}" for name in TABLES} < set(statuses)


def contact(number: int, start_ts: str = "2023-07-01 09:00:00", **changes: str) -> dict[str, str]:
    """A contact of its own."""
    return encounter(f"new{number}", "0007", start_ts) | changes


def form(number: int, **changes: str) -> dict[str, str]:
    """A WAI-SR form of its own."""
    return small_extract()["measures"][0] | {"admin_ts": f"2023-08-01 10:{number:02d}:00"} | changes


def threat(number: int, **changes: str) -> dict[str, str]:
    """An assessment of its own."""
    return assessment(f"new{number}", "1E5", "2023-01-01 10:00") | changes


def action(number: int, **changes: str) -> dict[str, str]:
    """An action of its own, for assessment T1 of 2023-05-01 10:00."""
    return small_extract()["protective_actions"][0] | {"action_id": f"new{number}"} | changes


def diagnosis(**changes: str) -> dict[str, str]:
    """A diagnosis."""
    return small_extract()["diagnoses"][0] | changes


def stay(**changes: str) -> dict[str, str]:
    """A stay that begins and ends on 2023-01-01."""
    return small_extract()["hospitalizations"][0] | changes


def episode(person_id: str, **changes: str) -> dict[str, str]:
    """An episode that begins on 2022-01-01 at eight."""
    return small_extract()["episodes"][0] | {"person_id": person_id} | changes


FAULTS: tuple[tuple[str, str, list[dict[str, str]], str, int], ...] = (
    # what is wrong, table, rows added, reason code, rows with that reason
    ("missing category", "measures", [form(1, rater="")], "measures.rater:missing", 1),
    ("missing id", "measures", [form(2, person_id="")], "measures.person_id:missing", 1),
    ("blank id", "encounters", [contact(3, enc_id="   ")], "encounters.enc_id:missing", 1),
    ("missing date", "diagnoses", [diagnosis(onset="")], "diagnoses.onset:missing", 1),
    ("missing flag", "threat_assessments", [threat(4, means_access="")], "threat_assessments.means_access:missing", 1),
    ("severity NaN", "threat_assessments", [threat(5, severity="nan")], "threat_assessments.severity:missing", 1),
    ("a word", "patients", [patient("a", sex="female")], "patients.sex:not_allowed", 1),
    ("another case", "patients", [patient("b", race_eth=" White", sex="f")], "", 0),
    ("no such case", "patients", [patient("e", race_eth="Whiteish")], "patients.race_eth:not_allowed", 1),
    ("born in 1901", "patients", [patient("f", birth_year="1901")], "patients.birth_year:out_of_range", 1),
    ("born after the extract", "patients", [patient("g", birth_year="2025")], "patients.birth_year:out_of_range", 1),
    ("year too low", "patients", [patient("c", birth_year="1850")], "patients.birth_year:out_of_range", 1),
    (
        "severity too high, infinite, negative",
        "threat_assessments",
        [threat(6, severity="10.01"), threat(7, severity="inf"), threat(8, severity="-0.5")],
        "threat_assessments.severity:out_of_range",
        3,
    ),
    (
        "sentinel dates and the day before the calendar",
        "diagnoses",
        [diagnosis(onset=day) for day in ("0001-01-01", "1900-01-01", "1989-12-31", "9999-12-31", "2025-01-01")],
        "diagnoses.onset:out_of_range",
        5,
    ),
    (
        "sentinel for an open end",
        "hospitalizations",
        [stay(discharge="9999-12-31")],
        "hospitalizations.discharge:out_of_range",
        1,
    ),
    ("the first day of the calendar", "diagnoses", [diagnosis(onset="1990-01-01")], "", 0),
    ("the last instant of as_of", "encounters", [contact(9, "2024-12-31 23:59:59.999999")], "", 0),
    ("the next one", "encounters", [contact(10, "2025-01-01 00:00:00")], "encounters.start_ts:out_of_range", 1),
    ("three identical rows", "encounters", [contact(11)] * 3, "encounters.enc_id:duplicate_key", 2),
    ("two contents", "encounters", [contact(12), contact(12, status="no_show")], "encounters.enc_id:duplicate_key", 2),
    (
        "two contents, one of them twice",
        "encounters",
        [contact(13), contact(13, modality="phone"), contact(13)],
        "encounters.enc_id:duplicate_key",
        3,
    ),
    ("the same person twice", "patients", [patient("d")] * 2, "patients.person_id:duplicate_key", 1),
    ("the same minute, another rater", "measures", [form(14), form(14, rater="observer")], "", 0),
    ("nobody's diagnosis", "diagnoses", [diagnosis(person_id="nobody")], "diagnoses.person_id:orphan", 1),
    ("null where it may be", "protective_actions", [action(15, ta_id="")], "", 0),
    ("a blank that names nothing", "protective_actions", [action(16, ta_id=" ")], "protective_actions.ta_id:orphan", 1),
    (
        "a stay that ends the day before",
        "hospitalizations",
        [stay(discharge="2022-12-31")],
        "hospitalizations.discharge:out_of_order",
        1,
    ),
    (
        "an episode a second too short",
        "episodes",
        [episode("NA", end="2022-01-01 07:59:59")],
        "episodes.end:out_of_order",
        1,
    ),
    ("an episode of no length", "episodes", [episode("null", end="2022-01-01 08:00:00")], "", 0),
    (
        "an action a minute before its assessment",
        "protective_actions",
        [action(17, ts="2023-05-01 09:59:00")],
        "protective_actions.ts:out_of_order",
        1,
    ),
    ("an action dated to the day of its assessment", "protective_actions", [action(21, ts="2023-05-01 00:00")], "", 0),
    (
        "an action dated to the day before",
        "protective_actions",
        [action(22, ts="2023-04-30 00:00")],
        "protective_actions.ts:out_of_order",
        1,
    ),
    ("an answer the form does not have", "measures", [form(18, itm_04="7")], "measures.itm_04:out_of_instrument", 1),
    (
        "an answer beyond the last item",
        "measures",
        [small_extract()["measures"][2] | {"itm_10": "1", "admin_ts": "2023-08-02 10:00:00"}],
        "measures.itm_10:out_of_instrument",
        1,
    ),
    ("a missing code", "measures", [form(19, itm_04="-1", itm_05="99")], "", 0),
    (
        "several rules: the first one counts",
        "measures",
        [form(20, instrument="audit", itm_04="7", person_id="nobody", scheduled_ts="2030-01-01 00:00:00")],
        "measures.instrument:not_allowed",
        1,
    ),
)


@pytest.mark.parametrize("shuffled", [False, True])
def test_each_fault_is_counted_under_its_reason_and_only_there(shuffled: bool) -> None:
    """All faults at once: the engine and Great Expectations agree, and the order of rows does not matter."""
    tables, counts = small_extract(), Counter[str]()
    for _, table, rows, reason, number in FAULTS:
        tables[table] += rows
        counts.update({reason: number} if reason else {})
    judgement = judged(tables, shuffled=shuffled)
    assert judgement.counts == dict(sorted(counts.items()))
    for table, clean in judgement.clean.items():
        aside = sum(number for reason, number in counts.items() if reason.startswith(f"{table}."))
        assert clean.count().to_pyarrow().as_py() == len(tables[table]) - aside


def test_of_identical_rows_one_stays_and_of_conflicting_rows_none() -> None:
    """Which of two contents is right cannot be known."""
    tables = small_extract()
    tables["encounters"] += [
        encounter("E1", "0007", "2023-01-01 09:00:00"),
        encounter("E2", "1E5", "2023-02-01 09:00:00"),
    ]
    judgement = judged(some(tables, "patients", "clinicians", "clinics", "encounters"))
    assert ids(judgement, "encounters", "enc_id") == ["E1", "E3", "E4"]
    assert judgement.counts == {"encounters.enc_id:duplicate_key": 3}


def test_a_row_of_its_own_is_judged_against_delivered_parents() -> None:
    """A parent that is set aside was delivered: its children are no orphans."""
    tables = small_extract()
    tables["patients"][0]["sex"] = "female"
    judgement = judged(some(tables, "patients", "clinicians", "clinics", "encounters"))
    assert judgement.counts == {"patients.sex:not_allowed": 1}


def test_orders_compare_days_when_either_is_a_date() -> None:
    """A clinician who leaves on the day of hiring is fine, and so is a regime of one day."""
    tables = small_extract()
    tables["clinicians"][0]["end_date"] = "2015-01-01"
    tables["jurisdiction_regime"] = [regime("2001-01-01", "2001-01-01", "none")]
    assert judged(some(tables, "clinicians", "clinics", "jurisdiction_regime")).counts == {}


def test_one_person_with_two_contents_ends_the_reading() -> None:
    """Who a person is must not be in doubt; the refusal counts and names nobody."""
    tables = small_extract()
    tables["patients"] += [patient("0007", birth_year="1999"), patient("NA", sex="M")]
    with pytest.raises(ExtractError) as refusal:
        judged(some(tables, "patients"))
    assert str(refusal.value) == (
        "[extract.conflicting_patients] 2 persons appear in table 'patients' with different content."
        " Fix: deliver one row per person"
    )


def test_undeclared_columns_are_not_looked_at() -> None:
    """Not by rules, not by duplicates, and they do not come back."""
    connection = ibis.duckdb.connect()
    rows = arrow_table(
        "patients", [*small_extract()["patients"], patient("0007", birth_year="1980"), patient("y", sex="?")]
    )
    rows = (
        rows.append_column("propensity_score", [range(6)])
        .append_column("reason", [["x"] * 6])
        .append_column("_repeat", [range(6)])
    )
    judgement = judge_extract(
        {"patients": connection.create_table("patients", rows)}, KEYS, as_of=AS_OF, quarantined_share=0.5
    )
    assert judgement.counts == {"patients.person_id:duplicate_key": 1, "patients.sex:not_allowed": 1}
    assert judgement.clean["patients"].columns == tuple(column.name for column in TABLES["patients"].columns)


def test_the_share_set_aside_decides_table_by_table() -> None:
    """The limit itself passes; one row more fails, and rows the reader kept out count as delivered and set aside."""
    tables = small_extract()
    tables["patients"] += [patient(f"p{i}") for i in range(95)] + [patient("bad", sex="female")]
    at_limit = judged(some(tables, "patients"), quarantined_share=0.01)
    assert verdict(at_limit, "extract.set_aside.patients") == Verdict(
        code="extract.set_aside.patients",
        status=Status.PASS,
        sentence="share of the rows of table 'patients' set aside",
        measured=0.01,
        limit=0.01,
        side=Side.AT_MOST,
    )
    unreadable = {"patients.birth_year:unreadable": 2}
    beyond = judged(some(tables, "patients"), quarantined_share=0.01, unreadable=unreadable)
    assert beyond.rows["patients"] == 102
    assert beyond.counts == {"patients.sex:not_allowed": 1} | unreadable
    failed = verdict(beyond, "extract.set_aside.patients")
    assert (failed.status, failed.measured) == (Status.FAIL, 3 / 102)


def test_an_empty_table_that_is_needed_fails() -> None:
    """Every expectation holds on no rows; the verdict on the rows does not."""
    tables = some(small_extract(), "patients", "clinicians", "clinics", "encounters", "diagnoses")
    tables |= {"encounters": [], "diagnoses": []}
    judgement = judged({name: tables[name] for name in TABLES if name in tables})
    assert verdict(judgement, "extract.rows.encounters").status is Status.FAIL
    assert verdict(judgement, "extract.set_aside.encounters").status is Status.PASS
    assert verdict(judgement, "extract.set_aside.diagnoses").status is Status.PASS


def test_an_empty_table_that_the_study_needs_fails_and_says_what_needs_it() -> None:
    """A header alone would answer "no" to every question the study asks of it; a table nobody asks may be empty."""
    study = load_study("configs/studies/duty_to_warn.yaml").study
    assert isinstance(study, OccasionStudy)
    needed = tables_needed(study)
    assert set(needed) == set(TABLES) - {"clinics"} - {"clinicians"}
    tables = some(small_extract(), "patients", "clinicians", "clinics") | {"diagnoses": [], "hospitalizations": []}
    judgement = judged(tables, needed=needed)
    for table, names in {"diagnoses": "sud, psychosis", "hospitalizations": "hospitalised_365d, not_inpatient"}.items():
        found = verdict(judgement, f"extract.rows.{table}")
        assert (found.status, found.measured) == (Status.FAIL, 0)
        assert found.sentence.endswith(f"needed by {names}")
    fewer = study.model_copy(update={"confounders": Confounders(tier1=("severity",), tier2=("age",))})
    codes = {each.code for each in judged(tables, needed=tables_needed(fewer)).verdicts}
    assert "extract.rows.diagnoses" not in codes
    assert "extract.rows.hospitalizations" in codes  # a rule still asks


def test_a_check_that_could_not_run_is_not_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expectation that raises leaves NOT EVALUATED with its code, and nothing of what it raised."""
    shown = module.column_frames
    monkeypatch.setattr(module, "column_frames", lambda *a: (frame.drop(columns="sex") for frame in shown(*a)))
    judgement = judged(some(small_extract(), "patients"))
    found = verdict(judgement, "extract.expectations.patients")
    assert found.status is Status.NOT_EVALUATED
    assert found.sentence == "Great Expectations could not evaluate: patients.sex:missing, patients.sex:not_allowed"


def test_two_judges_that_disagree_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Great Expectations sees other rows than the engine, neither is believed."""
    tables = small_extract()
    tables["patients"].append(patient("x", sex="female"))
    shown = module.column_frames
    monkeypatch.setattr(module, "column_frames", lambda *a: (frame.replace("female", "F") for frame in shown(*a)))
    with pytest.raises(ExtractError) as refusal:
        judged(some(tables, "patients"))
    assert str(refusal.value) == (
        "[extract.judges_disagree] the engine and Great Expectations count differently in table 'patients':"
        " patients.sex:not_allowed (1 and 0). Fix: run again, and report it if it stays"
    )
    monkeypatch.setattr(module, "column_frames", lambda *_: iter(()))
    with pytest.raises(ExtractError, match="count differently in table 'patients': 4 and 0 rows"):
        judged(some(small_extract(), "patients"))


def test_batches_do_not_change_the_judgement() -> None:
    """One row at a time or all at once."""
    tables = small_extract()
    tables["patients"] += [patient("x", sex="female"), patient("y", sex="")]
    whole, single = judged(some(tables, "patients")), judged(some(tables, "patients"), batch_rows=1)
    assert whole.counts == single.counts == {"patients.sex:missing": 1, "patients.sex:not_allowed": 1}
    assert whole.verdicts == single.verdicts


@pytest.mark.parametrize(
    ("regimes", "overlaps"),
    [
        ([("2000-01-01", "2010-12-31"), ("2011-01-01", "")], 0),
        ([("2000-01-01", "2010-12-31"), ("2010-12-31", "")], 1),
        ([("2000-01-01", "2005-12-31"), ("2010-01-01", "")], 0),
        ([("2000-01-01", ""), ("2010-01-01", "2010-02-01"), ("2020-01-01", "")], 2),
    ],
)
def test_regimes_may_leave_gaps_but_not_overlap(regimes: list[tuple[str, str]], overlaps: int) -> None:
    """The law of a day must be one law; another state or profession is another law."""
    tables = {"jurisdiction_regime": [regime(*span, "none") for span in regimes]}
    tables["jurisdiction_regime"] += [regime("2000-01-01", "", "none") | {"profession": "psychologist"}]
    tables["jurisdiction_regime"] += [regime("2000-01-01", "", "none") | {"state": "NY"}]
    found = verdict(judged(tables), "extract.regimes_overlap")
    assert (found.measured, found.status) == (overlaps, Status.FAIL if overlaps else Status.PASS)


def test_sound_rows_are_an_expression_of_the_same_engine() -> None:
    """They can be written and counted where the tables are."""
    tables = small_extract()
    tables["diagnoses"].append(tables["diagnoses"][0] | {"onset": "2031-01-01"})
    judgement = judged(some(tables, "patients", "diagnoses"), as_of=datetime.date(2025, 1, 1))
    assert judgement.clean["diagnoses"].to_pyarrow().to_pylist() == [
        {"person_id": "NA", "icd10": "F32.1", "onset": datetime.date(2022, 2, 28), "source": "encounter"}
    ]
