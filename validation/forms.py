"""What the rows of table ``measures`` say about the forms they hold, as aggregates run by the engine.

The same counts and moments as `causal.measures.detectors` gives from arrays: exact, in any order of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, and_
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np

from causal.measures.detectors import SECONDS_PER_ITEM, Answers, Finding, WholeForms
from causal.measures.reliability import Moments
from causal.protocol import Instrument
from causal.tables import ITEM_COLUMNS

SAMPLED_FORMS = 500_000
"""About so many forms, those of a sample of persons, are looked at where rows must be compared with other rows."""

PAIR_DAY = ("person_id", "clinician_id", "day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """How the forms of one instrument were recorded; None where the extract or the key does not say.

    Attributes
    ----------
    unsigned, other_rater, too_fast, other_code
        As in `causal.measures.detectors`, over all forms; `other_rater` over those of the key's version.
    """

    unsigned: Finding
    other_rater: Finding | None
    too_fast: Finding | None
    other_code: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Forms of one instrument in a sample of persons: repeated on one day, and away from a completed contact.

    `away` is None where the extract has no table of contacts.
    """

    same_day: Finding
    away: Finding | None


def item_columns(measures: ir.Table, instrument: Instrument) -> list[str]:
    """Columns of the instrument's items that the table has, in item order."""
    return [item for item in ITEM_COLUMNS[: instrument.n_items] if item in measures.columns]


def answers_and_records(forms: ir.Table, instrument: Instrument) -> tuple[Answers, Records]:
    """Run `answers_given` and the detectors of `Records` on the forms of one instrument in one pass."""
    items = item_columns(forms, instrument)
    given = forms.mutate(**{item: _given(forms[item], instrument) for item in items})
    answers = [given[item] for item in items]
    sums = {
        "given": reduce(add, (answer.count() for answer in answers)),
        "above": _total(answer > instrument.high for answer in answers),
        "below": _total(answer < instrument.low for answer in answers),
    }
    if instrument.namesake is not None:
        beyond = instrument.namesake.high
        sums["beyond"] = _total(answer > beyond for answer in answers)
    for i, answer in enumerate(answers):
        sums |= {f"highest{i}": answer.max(), f"lowest{i}": answer.min()}
    row = _one_row(given, sums | _record_sums(given, instrument, items))
    return _answers(row, instrument, len(items)), _records(row)


def _given(answer: ir.Column, instrument: Instrument) -> ir.Column:
    """The answer; null for a missing code."""
    codes = instrument.missing_codes
    return ibis.ifelse(answer.isin(codes), ibis.null(answer.type()), answer) if codes else answer


def _answers(row: dict[str, Any], instrument: Instrument, n_items: int) -> Answers:
    of = int(row["given"] or 0)
    highest = [row[f"highest{i}"] for i in range(n_items) if row[f"highest{i}"] is not None]
    lowest = [row[f"lowest{i}"] for i in range(n_items) if row[f"lowest{i}"] is not None]
    return Answers(
        above=Finding(count=int(row["above"] or 0), of=of),
        below=Finding(count=int(row["below"] or 0), of=of),
        highest=max(highest, default=None),
        lowest=min(lowest, default=None),
        beyond_namesake=None if instrument.namesake is None else Finding(count=int(row["beyond"] or 0), of=of),
    )


def _record_sums(forms: ir.Table, instrument: Instrument, items: Sequence[str]) -> dict[str, ir.Scalar]:
    rater = forms.rater.fill_null("")
    sums = {"forms": forms.count(), "unsigned": (rater == "").sum()}
    if instrument.rater is not None:
        signed = (rater != "") & (forms.version == instrument.version)
        sums |= {"signed": signed.sum(), "other_rater": (signed & (rater != instrument.rater)).sum()}
    if "completion_seconds" in forms.columns:
        answered = reduce(add, (forms[item].notnull().cast("int64") for item in items))
        seconds = forms.completion_seconds
        timed = seconds.notnull() & ~seconds.isnan() & (answered > 0)
        sums |= {"timed": timed.sum(), "too_fast": (timed & (seconds < answered * SECONDS_PER_ITEM)).sum()}
    if "loinc" in forms.columns and instrument.loinc is not None:
        coded = forms.loinc.fill_null("") != ""
        sums |= {"coded": coded.sum(), "other_code": (coded & forms.loinc.notin(instrument.loinc or ("",))).sum()}
    return sums


def _records(row: dict[str, Any]) -> Records:
    def finding(count: str, of: str) -> Finding | None:
        return Finding(count=int(row[count] or 0), of=int(row[of] or 0)) if count in row else None

    return Records(
        unsigned=Finding(count=int(row["unsigned"] or 0), of=int(row["forms"])),
        other_rater=finding("other_rater", "signed"),
        too_fast=finding("too_fast", "timed"),
        other_code=finding("other_code", "coded"),
    )


def whole_forms(forms: ir.Table, instrument: Instrument) -> WholeForms:
    """Run `causal.measures.detectors.whole_forms` on forms of the key's version; none is whole without all columns."""
    items = item_columns(forms, instrument)
    if len(items) < instrument.n_items:
        nothing = Finding(count=0, of=0)
        return WholeForms(
            straight=nothing,
            at_top=dict.fromkeys(instrument.scales, nothing),
            moments=dict.fromkeys(instrument.scales),
        )
    mine = forms.filter(
        forms.version == instrument.version,
        *(forms[item].between(instrument.low, instrument.high) for item in items),
    )
    turned = mine.mutate(
        straight=reduce(and_, (mine[item] == mine[items[0]] for item in items)),
        **{f"x{number}": _keyed(mine[item], number, instrument) for number, item in enumerate(items, start=1)},
    )
    sums = {"n": turned.count(), "straight": turned.straight.sum()}
    for name, numbers in instrument.scales.items():
        total = reduce(add, (turned[f"x{number}"] for number in numbers))
        sums |= {
            f"{name}_s": total.sum(),
            f"{name}_q": (total * total).sum(),
            f"{name}_top": (total == instrument.high * len(numbers)).sum(),
        }
        for number in numbers:
            answer = turned[f"x{number}"]
            sums |= {
                f"s{number}": answer.sum(),
                f"q{number}": (answer * answer).sum(),
                f"p{number}": _dot(answer, total),
            }
    row = _one_row(turned, sums)
    n = int(row["n"])
    return WholeForms(
        straight=Finding(count=int(row["straight"] or 0), of=n),
        at_top={name: Finding(count=int(row[f"{name}_top"] or 0), of=n) for name in instrument.scales},
        moments={
            name: _moments(row, name, numbers) if n > 1 and len(numbers) > 1 else None
            for name, numbers in instrument.scales.items()
        },
    )


def _moments(row: dict[str, Any], scale: str, numbers: Sequence[int]) -> Moments:
    """Variances from exact sums: each numerator is a whole number, divided once."""
    n, total = int(row["n"]), int(row[f"{scale}_s"])
    pairs = n * (n - 1)
    return Moments(
        n=n,
        item=np.array([(n * int(row[f"q{i}"]) - int(row[f"s{i}"]) ** 2) / pairs for i in numbers]),
        with_total=np.array([(n * int(row[f"p{i}"]) - int(row[f"s{i}"]) * total) / pairs for i in numbers]),
        total=(n * int(row[f"{scale}_q"]) - total**2) / pairs,
    )


def recorded_days(measures: ir.Table, encounters: ir.Table | None, names: Sequence[str]) -> dict[str, Days]:
    """Find, by instrument, forms that repeat another of the day or are away from a contact, in a sample of persons.

    Everybody is looked at up to `SAMPLED_FORMS` forms; beyond, every k-th person by a hash of the id, whatever the
    order of rows.
    """
    forms = measures.filter(measures.instrument.isin(list(names)))
    step = 1 + int(forms.count().to_pyarrow().as_py()) // SAMPLED_FORMS
    some = _every(forms, step)
    some = some.select("instrument", "version", "rater", "person_id", "clinician_id", day=some.admin_ts.date())
    kinds = some.group_by([*PAIR_DAY, "instrument", "version", "rater"]).aggregate(n=some.count())
    if encounters is not None:
        held = _every(encounters.filter(encounters.status == "completed"), step)
        held = held.select("person_id", "clinician_id", day=held.start_ts.date()).distinct().mutate(held=True)
        kinds = kinds.left_join(held, list(PAIR_DAY)).select("instrument", "n", "held")
        kinds = kinds.mutate(away=ibis.ifelse(kinds.held.isnull(), kinds.n, 0))
    sums = {"forms": kinds.n.sum(), "kinds": kinds.count()}
    sums |= {"away": kinds.away.sum()} if encounters is not None else {}
    found = kinds.group_by("instrument").aggregate(**sums).to_pyarrow().to_pylist()
    return {
        row["instrument"]: Days(
            same_day=Finding(count=int(row["forms"]) - int(row["kinds"]), of=int(row["forms"])),
            away=Finding(count=int(row["away"]), of=int(row["forms"])) if encounters is not None else None,
        )
        for row in found
    }


def _every(rows: ir.Table, step: int) -> ir.Table:
    return rows if step == 1 else rows.filter(rows.person_id.hash() % step == 0)


def _keyed(answer: ir.Column, number: int, instrument: Instrument) -> ir.Column:
    value = answer.cast("int64")
    return (instrument.low + instrument.high) - value if number in instrument.reverse else value


def _dot(left: ir.Column, right: ir.Column) -> ir.Scalar:
    return (left * right).sum()


def _total(conditions: Any) -> ir.IntegerScalar:
    # An item nobody answered has no sum, and must not take the others' with it.
    return reduce(add, (condition.sum().fill_null(0) for condition in conditions))


def _one_row(rows: ir.Table, sums: dict[str, ir.Scalar]) -> dict[str, Any]:
    row: dict[str, Any] = rows.aggregate(**sums).to_pyarrow().to_pylist()[0]
    return row
