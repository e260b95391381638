"""No value of a row comes out of reading or judging: no message, verdict, log or expectation's result holds one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pytest

from causal.errors import ExtractError
from flows.connectors.extract import read_extract
from flows.study_file.load import load_instruments
from tests.faults.test_reading import FAULTS
from tests.flows.connectors.small_extract import AS_OF, Rows, csv_text, patient, small_extract, write_csv, write_files
from validation.extract import judge_extract

CANARIES = ("CANARY", "canary", "2093-11-23", "1937-04-19", "918273", "45252", "-11944", "6.0221", "2001-06-07")
"""Ids, dates (and the same as days since 1970-01-01), answers and a severity that occur nowhere but in rows."""


def salted() -> Rows:
    """An extract in which every id, and one value of every fault, is a canary."""
    tables = small_extract()
    for rows in tables.values():
        for row in rows:
            for name in ("person_id", "clinician_id", "clinic_id", "enc_id", "ta_id", "action_id"):
                if row.get(name):
                    row[name] = f"CANARY{row[name]}"
    first = {name: dict(rows[0]) for name, rows in tables.items()}
    tables["patients"] += [
        patient("CANARYa", sex="CANARY"),
        patient("CANARYb", birth_year="918273"),
        patient("CANARYc", death_date="2093-11-23"),
        patient("CANARYd", birth_year="canary"),
    ]
    tables["encounters"] += [
        first["encounters"] | {"enc_id": "CANARYe", "start_ts": "1937-04-19 10:00:00"},
        first["encounters"] | {"enc_id": "CANARYf", "person_id": "CANARYnobody"},
        first["encounters"] | {"modality": "phone"},
        first["encounters"] | {"enc_id": "CANARYg", "start_ts": "canary"},
    ]
    tables["threat_assessments"] += [
        first["threat_assessments"] | {"ta_id": "CANARYh", "severity": "-6.0221"},
        first["threat_assessments"] | {"ta_id": "CANARYi", "means_access": ""},
    ]
    tables["measures"] += [
        first["measures"] | {"admin_ts": "2023-05-05 10:00", "itm_01": "918273"},
        first["measures"] | {"admin_ts": "2023-05-06 10:00", "rater": "CANARY"},
        first["measures"] | {"admin_ts": "2023-05-07 10:00", "itm_01": "canary - sometimes"},
    ]
    tables["diagnoses"] += [first["diagnoses"] | {"onset": "2093-11-23"}]
    tables["episodes"] += [
        first["episodes"] | {"start": "2001-01-01 10:00", "end": "1937-04-19 10:00:00"},
        first["episodes"] | {"start": "2002-01-01 10:00", "end": "2001-06-07 10:00:00"},
    ]
    tables["hospitalizations"] += [first["hospitalizations"] | {"discharge": "1937-04-19"}]
    return tables


@pytest.fixture
def said(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> Iterator[list[str]]:
    """Collect what a test was told, and at its end look for canaries in that, in logs, warnings and both streams."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    yield told
    streams = capfd.readouterr()
    everything = [*told, caplog.text, *(str(w.message) for w in recwarn), streams.out, streams.err]
    assert [canary for canary in CANARIES if any(canary in text for text in everything)] == []


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
def test_a_whole_judgement_says_nothing_of_a_row(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of quarantine at once, with everything Great Expectations returned looked through."""
    from great_expectations.datasource.fluent.interfaces import Batch

    results: list[Any] = []
    validate = Batch.validate
    monkeypatch.setattr(Batch, "validate", lambda *a, **k: results.append(validate(*a, **k)) or results[-1])
    extract = read_extract(write_csv(tmp_path / "extract", salted()), cache=tmp_path / "cache")
    connection = ibis.duckdb.connect()
    tables = {
        name: connection.read_parquet([str(path) for path in paths], table_name=name)
        for name, paths in extract.files.items()
    }
    judgement = judge_extract(
        tables,
        load_instruments("configs/instruments"),
        as_of=AS_OF,
        quarantined_share=0.02,
        unreadable=extract.unreadable,
    )
    rules = {reason.split(":")[1] for reason in judgement.counts}
    assert rules == {
        "missing", "unreadable", "not_allowed", "out_of_range", "duplicate_key", "orphan", "out_of_order",
        "out_of_instrument",
    }  # fmt: skip
    assert any(not result.success for result in results)
    said += [str(result.to_json_dict()) + repr(result) for result in results]
    said += [repr(judgement.verdicts), repr(judgement.counts), repr(extract.unreadable), repr(extract.notes)]
    for aside in (tmp_path / "cache").rglob("unreadable/**/*.parquet"):
        said.append(aside.read_bytes().decode("latin-1"))
    assert len(list((tmp_path / "cache").rglob("unreadable/**/*.parquet"))) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refused_file_says_nothing_of_a_row(tmp_path: Path, said: list[str], fault: str) -> None:
    """Every fault of a text file again, in files full of canaries, down to the causes an exception carries."""
    name, change, _ = FAULTS[fault]
    files = {f"{table}.csv": csv_text(table, rows).encode() for table, rows in salted().items()}
    salted_file = files[name].replace(b"CANARY1E5", b"1E5") if fault == "blank line" else files[name]
    folder = write_files(tmp_path / "extract", files | {name: change(salted_file)}, manifest=False)
    try:
        extract = read_extract(folder, cache=tmp_path / "cache", as_of=AS_OF)
    except ExtractError as refusal:
        said += [str(refusal), repr(refusal), repr(refusal.__cause__), refusal.fix]
        hidden = refusal.__suppress_context__ or refusal.__context__ is None
        assert hidden
    else:
        assert fault == "rows too short and too long"  # the salt keeps that change from applying
        said.append(repr(extract.notes))


def test_one_person_with_two_contents_is_not_named(said: list[str]) -> None:
    """The refusal counts."""
    from tests.flows.connectors.small_extract import arrow_table

    rows = arrow_table("patients", [patient("CANARY"), patient("CANARY", sex="M", birth_year="918273")])
    with pytest.raises(ExtractError) as refusal:
        judge_extract({"patients": ibis.memtable(rows)}, {}, as_of=AS_OF, quarantined_share=0.02)
    assert refusal.value.code == "extract.conflicting_patients"
    said.append(str(refusal.value))


def test_a_cell_without_a_header_above_it_is_not_repeated(tmp_path: Path, said: list[str]) -> None:
    """If a file lacks its header, its first row is not shown as if it were one, whatever stands in it."""
    for number, line in enumerate((b"CANARY,918273", b"CANARY,CANARY", b"CANARY one,<b>918273</b>", b"canary_note,x")):
        files = {f"{table}.csv": csv_text(table, rows).encode() for table, rows in small_extract().items()}
        folder = write_files(tmp_path / f"extract{number}", files | {"clinics.csv": line + b"\n" + line + b"\n"})
        with pytest.raises(ExtractError) as refusal:
            read_extract(folder, cache=tmp_path / "cache")
        said.append(str(refusal.value))
