"""No part of a design is computed from a row dated at or after its occasion's time zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from small_study import Frames, bench, design_of, simulated

from causal.cohort.catalogue import catalogue_of
from causal.cohort.history import RULES, history
from causal.cohort.occasions import assessments, candidate_occasions

DATED = {"measures": "admin_ts", "encounters": "start_ts", "diagnoses": "onset", "hospitalizations": "admit"}
"""Tables whose rows are covariates before time zero and the future after it, by the column that dates a row."""
DATES = ("onset", "admit")
"""Columns that hold a day only; a row on the day itself is not before."""
ITEMS = [f"itm_{number:02d}" for number in range(1, 13)]
SOON = ("0s", "1s", "1D", "20D", "200D")
"""How long after time zero invented rows are dated."""
INVENTED = {
    "measures": (
        {"instrument": "wai_sr", "version": "client", "rater": "patient"} | dict.fromkeys(ITEMS, 1),
        {"instrument": "phq9", "version": "std", "rater": "patient"} | dict.fromkeys(ITEMS[:9], 3),
    ),
    "encounters": ({"status": "completed", "modality": "video"}, {"status": "no_show", "modality": "video"}),
    "diagnoses": ({"icd10": "F10.20", "source": "claim"}, {"icd10": "F20.0", "source": "claim"}),
    "hospitalizations": ({"type": "psychiatric", "legal_status": "voluntary"},),
}
"""What invented rows say: as bad as can be, so that one that is used shows."""


def holds_days(table: str, dated: pd.Series) -> bool:
    """Whether the rows of a table are dated to the day, by the kind of the column or because every time is midnight."""
    return DATED[table] in DATES or bool((dated == dated.dt.normalize()).all())


def is_future(table: str, dated: pd.Series, time_zero: pd.Series) -> pd.Series:
    """Whether a row is dated at or after time zero; never for someone without one."""
    return dated >= (time_zero.dt.normalize() if holds_days(table, dated) else time_zero)


def delete(table: str, future: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG001 - one signature
    """Nothing is left."""
    return future.iloc[:0]


def scramble(table: str, future: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG001 - one signature
    """Every value but person and date comes from another row."""
    rng = np.random.default_rng(3)
    content = [column for column in future if column not in ("person_id", DATED[table])]
    return future.assign(**{column: future[column].to_numpy()[rng.permutation(len(future))] for column in content})


def invent(table: str, future: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:
    """Rows are added to the future, from the instant (or the day) of time zero on."""
    rows = []
    for after in SOON:
        at = last["time_zero"] + pd.Timedelta(after)
        for content in INVENTED[table]:
            new = last[["person_id", "clinician_id"]].assign(**content, **{DATED[table]: at})
            if holds_days(table, future[DATED[table]]):
                new[DATED[table]] = at.dt.normalize()
            rows.append(new)
    invented = pd.concat(rows, ignore_index=True).assign(enc_id=lambda frame: [f"new{k}" for k in range(len(frame))])
    invented = invented.reindex(columns=future.columns)
    return pd.concat([future, invented.astype(future.dtypes)], ignore_index=True)


Change = Callable[[str, pd.DataFrame, pd.DataFrame], pd.DataFrame]
CHANGES: tuple[Change, ...] = (delete, scramble, invent)


def with_future(frames: Frames, last: pd.DataFrame, change: Change) -> Frames:
    """The extract with each person's future changed; `last` has person_id, clinician_id and time_zero, one row each."""
    changed = dict(frames)
    time_zero = last.set_index("person_id")["time_zero"]
    for table, column in DATED.items():
        frame = frames[table]
        future = is_future(table, frame[column], frame["person_id"].map(time_zero))
        changed[table] = pd.concat([frame[~future], change(table, frame[future], last)], ignore_index=True)
    patients = frames["patients"]
    dead = patients["death_date"] >= patients["person_id"].map(time_zero).dt.normalize()
    changed["patients"] = patients.assign(death_date=patients["death_date"].mask(dead))
    return changed


@pytest.mark.parametrize("change", CHANGES)
def test_the_future_changes_nothing(change: Change) -> None:
    """Rows from the last assessment on deleted, scrambled, or invented: the design is identical to the bit."""
    frames = dict(simulated().tables)
    last = frames["threat_assessments"].rename(columns={"ts": "time_zero"}).sort_values("time_zero")
    last = last.drop_duplicates("person_id", keep="last")[["person_id", "clinician_id", "time_zero"]]
    changed = with_future(frames, last, change)
    assert any(len(changed[table]) != len(frames[table]) for table in DATED) or change is scramble
    with bench() as opened:
        assert design_of(opened, changed).digest == design_of(opened, frames).digest


def test_the_day_of_time_zero_changes_nothing_where_only_days_are_recorded() -> None:
    """Forms and contacts dated to the day: one of the day of time zero is as far from the design as a later one."""
    frames = dict(simulated().tables)
    for table in ("measures", "encounters"):
        frames[table] = frames[table].assign(**{DATED[table]: frames[table][DATED[table]].dt.normalize()})
    last = frames["threat_assessments"].rename(columns={"ts": "time_zero"}).sort_values("time_zero")
    last = last.drop_duplicates("person_id", keep="last")[["person_id", "clinician_id", "time_zero"]]
    with bench() as opened:
        assert design_of(opened, with_future(frames, last, invent)).digest == design_of(opened, frames).digest


def test_the_past_changes_something() -> None:
    """Scrambling diagnoses that lie before it changes the design: the test above can fail."""
    frames = dict(simulated().tables)
    frames["diagnoses"] = scramble("diagnoses", frames["diagnoses"], pd.DataFrame())
    with bench() as opened:
        assert design_of(opened, frames).digest != design_of(opened, simulated().tables).digest


def one_world_per_assessment() -> tuple[Frames, pd.DataFrame]:
    """An extract in which each assessment has a person of its own, whose record ends at that assessment.

    Protective actions and the ends of relationships stay: they are the strategy and its censoring, not covariates.
    Beside it person_id, clinician_id and time_zero of those people.
    """
    frames = dict(simulated().tables)
    own = frames["threat_assessments"][["ta_id", "person_id", "clinician_id", "ts"]]
    own = own.rename(columns={"ta_id": "own", "ts": "time_zero"})
    cut: Frames = {}
    for table, frame in frames.items():
        if "person_id" not in frame:
            cut[table] = frame
            continue
        copies = own.drop(columns="clinician_id").merge(frame, on="person_id")
        if table in DATED:
            copies = copies[~is_future(table, copies[DATED[table]], copies["time_zero"])]
        if table == "threat_assessments":
            copies = copies[(copies["ts"] < copies["time_zero"]) | (copies["ta_id"] == copies["own"])]
        copies = copies.assign(person_id=copies["person_id"] + "@" + copies["own"])
        if "ta_id" in copies:
            copies = copies.assign(ta_id=copies["ta_id"] + "@" + copies["own"])
        if table == "hospitalizations":
            known = copies["discharge"] < copies["time_zero"].dt.normalize()
            copies = copies.assign(discharge=copies["discharge"].where(known))
        cut[table] = copies[list(frame.columns)].reset_index(drop=True)
    people = own.assign(person_id=own["person_id"] + "@" + own["own"])
    return cut, people[["person_id", "clinician_id", "time_zero"]]


def test_each_occasion_knows_only_its_own_past() -> None:
    """Covariates and counts are the same from the whole record, one cut at time zero, and one with an invented rest."""
    cut, people = one_world_per_assessment()
    with bench() as opened:
        columns = [*catalogue_of(opened.study).covariates, *RULES, "in_relationship", "prior_exposure", "regime"]

        def histories(frames: Frames) -> pd.DataFrame:
            tables = opened.load(frames)
            base = opened.keep("assessments", assessments(tables))
            candidates = opened.keep("occasions", candidate_occasions(base, tables, opened.study))
            found = history(candidates, tables, opened.study, opened.instruments).to_pyarrow().to_pandas()
            own = found["ta_id"].str.split("@", expand=True).reindex(columns=[0, 1])
            found = found[own[1].isna() | (own[0] == own[1])].assign(ta_id=own[0])
            return found.set_index("ta_id")[columns].sort_index()

        whole = histories(dict(simulated().tables))
        assert len(whole) == len(people)
        pd.testing.assert_frame_equal(histories(cut), whole, check_exact=True)
        pd.testing.assert_frame_equal(histories(with_future(cut, people, invent)), whole, check_exact=True)
