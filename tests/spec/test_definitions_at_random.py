"""Definitions drawn at random, computed by the engine and read off the rows by plain Python: the same values.

And what nobody knows yet, a column that tells the future of its row, changes nothing whatever it says.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from ascii_tables import CONFIGS, instruments, kept, study, world
from asking import rows_of

from causal.cohort.language.compile import with_definitions
from causal.cohort.language.rows import named
from causal.cohort.language.types import typed
from causal.cohort.occasions import assessments, candidate_occasions
from causal.protocol.definitions import COUNTED, CodeList, Definition, window_days
from causal.protocol.outcome import Rating
from causal.tables import ITEM_COLUMNS, TABLES, Kind
from flows.simulate_extract import arrow_schema
from flows.study_file.plain_yaml import plain_yaml
from flows.study_file.shared import DEFINITIONS as DEFINITIONS_OF_A_FILE
from flows.study_file.shared import load_code_lists

Row = dict[str, Any]
Extract = dict[str, list[Row]]
PEOPLE, CLINICIANS = [f"p{k}" for k in range(12)], ["dr_a", "dr_b", "dr_c"]
LISTS = {"mood": CodeList(codes=("F32", "F33.1"), source="made up"), "all_f": CodeList(codes=("F",), source="made up")}
DATED = {
    "encounters": "start_ts",
    "measures": "admin_ts",
    "diagnoses": "onset",
    "hospitalizations": "admit",
    "episodes": "start",
    "threat_assessments": "ts",
}
UNTIL = {"hospitalizations": "discharge", "episodes": "end"}
LATER = {("hospitalizations", "discharge"): "discharge", ("episodes", "end_reason"): "end", ("episodes", "end"): "end"}
DEFINITIONS = 40
RANKS = {
    f"{table.name}.{column.name}": [*column.values]
    for table in TABLES.values()
    for column in table.columns
    if column.values
}
"""Of two values of a category at one moment the one declared later is the higher."""


def extract_of(seed: int) -> Extract:
    """Twelve people with some rows each, in January to March; a third of the times are dates (midnights)."""
    rng = np.random.default_rng(seed)

    def moment() -> datetime:
        at = datetime.fromisoformat("2020-01-01") + timedelta(
            days=int(rng.integers(0, 66)), minutes=int(rng.integers(1, 1440))
        )
        return at.replace(hour=0, minute=0) if rng.random() < 1 / 3 else at

    def one(of: Any) -> Any:
        return of[int(rng.integers(len(of)))]

    def rows(n: int, made: Callable[[int], Row]) -> list[Row]:
        return [made(k) for k in range(n)]

    def dyad() -> Row:
        return {"person_id": one(PEOPLE), "clinician_id": one(CLINICIANS)}

    def form(_: int) -> Row:
        items = {name: int(rng.integers(0, 4)) for name in ITEM_COLUMNS[:9]}
        which = one(("phq9", "gad7"))
        return dyad() | {"instrument": which, "version": "std", "rater": "patient", "admin_ts": moment()} | items

    def stay(_: int) -> Row:
        admit = moment().date()
        out = None if rng.random() < 0.3 else admit + timedelta(days=int(rng.integers(0, 40)))
        status = one(("voluntary", "involuntary", None))
        return {"person_id": one(PEOPLE), "admit": admit, "discharge": out, "type": "medical", "legal_status": status}

    def episode(_: int) -> Row:
        start = moment()
        end = None if rng.random() < 0.3 else start + timedelta(days=int(rng.integers(0, 40)))
        return dyad() | {"start": start, "end": end, "end_reason": None if end is None else one(("lost", "completed"))}

    def assessment(k: int) -> Row:
        at = datetime.fromisoformat("2020-03-01 09:00") + timedelta(hours=int(rng.integers(0, 80)), minutes=7)
        said = {"severity": float(rng.integers(0, 11)), "means_access": bool(rng.random() < 0.5)}
        rest = {"instrument_ver": one(("v1", "v2")), "target_identified": False, "history_violence": False}
        return {"ta_id": f"t{k}", "person_id": PEOPLE[k % 12], "clinician_id": one(CLINICIANS), "ts": at} | said | rest

    return {
        "encounters": rows(
            160,
            lambda k: (
                dyad()
                | {"enc_id": f"e{k}", "start_ts": moment(), "modality": one(("video", "phone"))}
                | {"status": one(("completed", "no_show", "cancel_pt"))}
            ),
        ),
        "measures": rows(160, form),
        "diagnoses": rows(
            60,
            lambda _: (
                {"person_id": one(PEOPLE), "icd10": one((" f32.1", "F3310", "F33.2", "G40"))}
                | {"onset": moment().date(), "source": "claim"}
            ),
        ),
        "hospitalizations": rows(30, stay),
        "episodes": rows(40, episode),
        "threat_assessments": rows(18, assessment),
    }


def tables_of(extract: Extract) -> dict[str, ibis.Table]:
    """The rows as tables of an engine, beside people and clinicians."""
    made = world(
        {
            "patients": "person_id\n" + "\n".join(PEOPLE),
            "clinicians": "clinician_id\n" + "\n".join(CLINICIANS),
        }
    )
    for name, rows in extract.items():
        kept = [column.name for column in TABLES[name].columns if any(column.name in row for row in rows)]
        schema = arrow_schema(TABLES[name], kept)
        cells = {column: [row.get(column) for row in rows] for column in kept}
        made[name] = ibis.memtable(pa.table(cells, schema=schema))
    return made


def drawn(seed: int) -> dict[str, Definition]:
    """Definitions of every way of taking, over every table, with windows, conditions, ties and limits."""
    rng = np.random.default_rng(seed)
    levels = {
        "diagnoses": [("person",)],
        "hospitalizations": [("person",)],
    }
    values = {
        "encounters": ("modality", "status"),
        "hospitalizations": ("legal_status",),
        "episodes": ("end_reason",),
        "threat_assessments": ("severity", "instrument_ver", "means_access"),
    }
    where = {
        "encounters": {"status": ("completed", ("no_show", "cancel_pt"))},
        "measures": {"rater": ("patient",)},
        "hospitalizations": {"legal_status": ("involuntary",)},
        "episodes": {"end_reason": ("lost", ("lost", "completed"))},
        "threat_assessments": {"severity": ({"at_least": 4}, {"at_least": 2, "at_most": 7})},
        "diagnoses": {"source": ("claim",)},
    }

    def one(of: Any) -> Any:
        return of[int(rng.integers(len(of)))]

    def made() -> dict[str, Any]:
        table = one([*DATED])
        words: dict[str, Any] = {"same": one(levels.get(table, [("person",), ("clinician",), ("person", "clinician")]))}
        if table == "measures":
            words |= {"of": {"score": one(("phq9", "gad7"))}}
            words["take"] = one(
                ("last", "first", "mean", "maximum", "minimum", "median", "sd", "sum", "count", "exists")
            )
        elif table == "diagnoses":
            words |= {"of": {"codes": one([*LISTS])}, "take": one(("exists", "count"))}
        else:
            take = one(("exists", "count", "time_since", "count_distinct", "last"))
            column = one(values[table])
            if table == "threat_assessments" and take == "last" and column == "severity":
                take = one(("mean", "maximum", "sum", "sd", "first"))
            of = {"count_distinct": f".{column}", "time_since": f".{DATED[table]}"}.get(take, "")
            words |= {"take": take, "of": table + (of or (f".{column}" if take not in ("exists", "count") else ""))}
        if table in UNTIL and rng.random() < 0.3:
            words["at"] = "time_zero"
        else:
            words["before"] = one(("ever", "30 days", "10 days", "40 to 12 days"))
        if rng.random() < 0.5:
            key, options = one([*where[table].items()])
            words[one(("where", "except_where"))] = {key: one(options)}
        if words["take"] in ("first", "last"):
            words["ties"] = one(("highest", "lowest"))
        if words["take"] not in COUNTED:
            words["minimum_rows"] = one((1, 1, 2))
        return words

    found = {f"d{k}": Definition.model_validate(made(), strict=False) for k in range(DEFINITIONS)}
    lasts = [(name, one) for name, one in found.items() if one.take == "last" and one.before]
    for name, one in lasts:  # windows inside one another
        nested = {f"{name}_{days}": f"{days} days" for days in (5, 30)}
        found |= {
            other: one.model_copy(update={"before": before, "minimum_rows": 1}) for other, before in nested.items()
        }
    for name, one in list(found.items()):  # limits on counts: none is a number too
        if one.take == "count":
            found[f"{name}_few"] = one.model_copy(update={"at_most": float(one_of_limits(rng))})
    return found


def one_of_limits(rng: np.random.Generator) -> int:
    """A limit that some counts keep and some do not."""
    return int(rng.integers(0, 3))


def by_hand(definition: Definition, occasion: Row, extract: Extract) -> Any:
    """What a definition gives of an occasion, read off the rows one by one."""
    table, column = source_of(definition)
    kept = [row for row in extract[table] if counts(definition, table, row, occasion)]
    if table == "diagnoses":
        kept = [row for row in kept if is_below(row["icd10"], LISTS[definition.of.codes].codes)]  # type: ignore[union-attr]
    if table == "measures":
        kept = [row for row in kept if row["instrument"] == column]
        values = [score(row) for row in kept]
    elif column is not None and column != DATED[table]:
        pairs = [(row, known(table, column, row, occasion)) for row in kept]
        kept = [row for row, value in pairs if value is not None]
        values = [int(value) if isinstance(value, bool) else value for _, value in pairs if value is not None]
    else:
        values = []
    counted = definition.take in ("exists", "count", "count_distinct", "sum")
    if len(kept) < definition.minimum_rows and (definition.minimum_rows > 1 or not counted):
        return 0 if counted else None
    value = taken(definition, [row[DATED[table]] for row in kept], values, occasion["ts"])
    return value if definition.at_most is None else int(value <= definition.at_most)


def taken(definition: Definition, dates: list[Any], values: list[Any], zero: datetime) -> Any:
    """The one figure of rows at `dates` with `values`."""
    match definition.take:
        case "exists":
            return int(bool(dates))
        case "count":
            return len(dates)
        case "count_distinct":
            return len(set(values))
        case "time_since":
            last = max(dates)
            return (zero - last).total_seconds() / 86_400 if isinstance(last, datetime) else (zero.date() - last).days
        case "last" | "first":
            edge = max(dates) if definition.take == "last" else min(dates)
            there = [value for at, value in zip(dates, values, strict=True) if at == edge]
            rank = RANKS.get(str(definition.of), []).index if str(definition.of) in RANKS else float
            return max(there, key=rank) if definition.ties == "highest" else min(there, key=rank)
        case "sd":
            return statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean, "median": statistics.median, "minimum": min, "maximum": max, "sum": sum}[
        str(definition.take)
    ](values)


def source_of(definition: Definition) -> tuple[str, str | None]:
    """The table, and the column or the questionnaire."""
    if isinstance(definition.of, str):
        table, _, column = definition.of.partition(".")
        return table, column or None
    return ("diagnoses", None) if hasattr(definition.of, "codes") else ("measures", definition.of.score)  # type: ignore[union-attr]


def counts(definition: Definition, table: str, row: Row, occasion: Row) -> bool:
    """Whether a row is of the right people, before time zero, inside the window, and meets the conditions."""
    at, zero = row[DATED[table]], occasion["ts"]
    if any(row[f"{level}_id"] != occasion[f"{level}_id"] for level in definition.same) or not is_before(at, zero):
        return False
    days = window_days(definition.before or "ever")
    if days and not (since(at, zero, days[0]) and not (days[1] is not None and since(at, zero, days[1]))):
        return False
    if definition.at is not None and row[UNTIL[table]] is not None and is_before(row[UNTIL[table]], zero):
        return False
    meets = [met(known(table, name, row, occasion), wanted) for name, wanted in definition.where.items()]
    leaves = [met(known(table, name, row, occasion), wanted) for name, wanted in definition.except_where.items()]
    return all(meets) and not any(leaves)


def known(table: str, column: str, row: Row, occasion: Row) -> Any:
    """A value, unless it was not known before time zero."""
    told = LATER.get((table, column))
    if told is not None and (row[told] is None or not is_before(row[told], occasion["ts"])):
        return None
    return row[column]


def met(value: Any, wanted: Any) -> bool:
    """Whether a value is what is wanted; one not recorded never is."""
    if value is None:
        return False
    if hasattr(wanted, "at_least"):
        return bool((wanted.at_least or -1e9) <= value <= (1e9 if wanted.at_most is None else wanted.at_most))
    return bool(value in wanted if isinstance(wanted, tuple) else value == wanted)


def is_before(at: date | datetime, zero: datetime) -> bool:
    """A time before; a date, and a midnight is one, before the day."""
    if isinstance(at, datetime) and at.time() != datetime.min.time():
        return at < zero
    return (at.date() if isinstance(at, datetime) else at) < zero.date()


def since(at: date | datetime, zero: datetime, days: int) -> bool:
    """At most so many days before; a date counts from the day."""
    if isinstance(at, datetime) and at.time() != datetime.min.time():
        return at >= zero - timedelta(days=days)
    return (at.date() if isinstance(at, datetime) else at) >= zero.date() - timedelta(days=days)


def is_below(code: str, listed: tuple[str, ...]) -> bool:
    """Whether a code is in the list or below one of it."""
    plain = code.strip().upper().replace(".", "")
    return any(plain.startswith(each.replace(".", "")) for each in listed)


def score(row: Row) -> float:
    """The sum of the items: nine of a PHQ-9, seven of a GAD-7."""
    return float(sum(row[name] for name in ITEM_COLUMNS[: 9 if row["instrument"] == "phq9" else 7]))


def computed(
    extract: Extract, definitions: dict[str, Definition], lists: dict[str, CodeList] = LISTS
) -> dict[str, dict[str, Any]]:
    """By assessment and definition what the engine gives."""
    outcome = study().outcome
    assert isinstance(outcome, Rating)
    tables = tables_of(extract)
    occasions = kept(candidate_occasions(kept(assessments(tables)), tables, study()))
    found = with_definitions(occasions, tables, typed(definitions, outcome), instruments(), lists)
    rows = rows_of(found.select("ta_id", **{name: found[named(name)] for name in definitions})).to_pylist()
    return {row.pop("ta_id"): row for row in rows}


def differences(seed: int) -> Iterator[tuple[str, Any, Any]]:
    """Each value that the engine and a person read otherwise."""
    extract, definitions = extract_of(seed), drawn(seed)
    found = computed(extract, definitions)
    assert len(found) == len(extract["threat_assessments"])
    for occasion in extract["threat_assessments"]:
        for name, definition in definitions.items():
            got, wanted = found[occasion["ta_id"]][name], by_hand(definition, occasion, extract)
            same = got == wanted if got is None or wanted is None else got == pytest.approx(wanted, abs=1e-9)
            if not same:
                yield f"{occasion['ta_id']} {definition!r}", got, wanted


@pytest.mark.parametrize("seed", range(4))
def test_the_engine_reads_as_a_person_does(seed: int) -> None:
    """Forty definitions of eighteen occasions each, to the last digit but those of a sum of fractions."""
    assert list(differences(seed)) == []


def test_every_example_of_the_manual_runs() -> None:
    """The definitions that the reference shows are read as a study file is, and computed."""
    page = (CONFIGS.parent / "docs" / "reference" / "definitions.md").read_text(encoding="utf-8")
    examples = DEFINITIONS_OF_A_FILE.validate_json(
        json.dumps(plain_yaml(page.split("```yaml\n")[1].split("```")[0]).value)
    )
    lists = load_code_lists(CONFIGS / "codelists")
    found = computed(extract_of(5), examples, lists)
    assert len(examples) > 10
    assert all(one.keys() == examples.keys() for one in found.values())
    told = {name for one in found.values() for name, value in one.items() if value not in (None, 0)}
    assert told >= examples.keys() - {"anxiety_severe", "any_psychosis", "ethnicity_group"}


def test_what_is_not_yet_known_changes_nothing() -> None:
    """Ends, reasons and discharges after time zero made anew: no value of any definition changes."""
    extract, definitions = extract_of(11), drawn(11)
    last = max(one["ts"] for one in extract["threat_assessments"])
    rng = np.random.default_rng(3)
    changed = {name: [dict(row) for row in rows] for name, rows in extract.items()}
    n = 0
    for table, end in UNTIL.items():
        for row in changed[table]:
            if row[end] is None or not is_before(row[end], last):
                later = last + timedelta(days=int(rng.integers(1, 50)))
                row[end] = None if rng.random() < 0.5 else (later if table == "episodes" else later.date())
                if table == "episodes":
                    row["end_reason"] = None if row[end] is None else "completed"
                n += 1
    assert n > 5
    assert computed(changed, definitions) == computed(extract, definitions)
    assert {column.kind for column in TABLES["episodes"].columns if column.known_at} == {Kind.TIMESTAMP, Kind.CATEGORY}
