"""No part of a design is computed from a row dated at or after its occasion's time zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from small_study import Frames, bench, design_of, simulated

from causal.cohort.catalogue import COVARIATES
from causal.cohort.history import history
from causal.cohort.occasions import assessments, candidate_occasions

DATED = {"measures": "admin_ts", "encounters": "start_ts", "diagnoses": "onset", "hospitalizations": "admit"}
"""Tables whose rows are covariates before time zero and the future after it, by the column that dates a row."""
DATES = ("onset", "admit")
"""Columns that hold a day only; a row on the day itself is not before."""
Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def is_future(table: str, dated: pd.Series, time_zero: pd.Series) -> pd.Series:
    """Whether a row is dated at or after time zero; never for someone without one."""
    return dated >= (time_zero.dt.normalize() if DATED[table] in DATES else time_zero)


def delete(future: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:  # noqa: ARG001 - one signature
    """Nothing is left."""
    return future.iloc[:0]


def scramble(future: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every value but person and date comes from another row."""
    content = [column for column in future if column not in ("person_id", *DATED.values())]
    return future.assign(**{column: future[column].to_numpy()[rng.permutation(len(future))] for column in content})


def with_future(change: Change) -> tuple[Frames, int]:
    """The extract with every row at or after its person's last assessment changed, and how many rows those are."""
    frames = dict(simulated().tables)
    last = frames["threat_assessments"].groupby("person_id")["ts"].max()
    rng = np.random.default_rng(3)
    changed = 0
    for table, column in DATED.items():
        frame = frames[table]
        future = is_future(table, frame[column], frame["person_id"].map(last))
        frames[table] = pd.concat([frame[~future], change(frame[future], rng)], ignore_index=True)
        changed += int(future.sum())
    patients = frames["patients"]
    dead = patients["death_date"] >= patients["person_id"].map(last).dt.normalize()
    frames["patients"] = patients.assign(death_date=patients["death_date"].mask(dead))
    return frames, changed


@pytest.mark.parametrize("change", [delete, scramble])
def test_the_future_changes_nothing(change: Change) -> None:
    """Deleting or scrambling what is dated at or after the last assessment leaves the design identical to the bit."""
    frames, changed = with_future(change)
    assert changed > 10_000
    with bench() as opened:
        assert design_of(opened, frames).digest == design_of(opened, simulated().tables).digest


def test_the_past_changes_something() -> None:
    """Scrambling diagnoses that lie before it changes the design: the test above can fail."""
    frames = dict(simulated().tables)
    frames["diagnoses"] = scramble(frames["diagnoses"], np.random.default_rng(3))
    with bench() as opened:
        assert design_of(opened, frames).digest != design_of(opened, simulated().tables).digest


def one_world_per_assessment() -> Frames:
    """An extract in which each assessment has a person of its own, whose record ends at that assessment.

    Protective actions and the ends of relationships stay: they are the strategy and its censoring, not covariates.
    """
    frames = dict(simulated().tables)
    own = frames["threat_assessments"][["ta_id", "person_id", "ts"]].rename(columns={"ta_id": "own", "ts": "time_zero"})
    cut: Frames = {}
    for table, frame in frames.items():
        if "person_id" not in frame:
            cut[table] = frame
            continue
        copies = own.merge(frame, on="person_id")
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
    return cut


def test_each_occasion_knows_only_its_own_past() -> None:
    """Covariates and eligibility counts from a record cut at time zero are those from the whole record."""
    columns = [*COVARIATES, "n_ratings", "n_contacts", "in_relationship", "inpatient", "prior_exposure", "regime"]
    with bench() as opened:

        def histories(frames: Frames) -> pd.DataFrame:
            tables = opened.load(frames)
            base = opened.keep("assessments", assessments(tables))
            candidates = opened.keep("occasions", candidate_occasions(base, tables, opened.study))
            return history(candidates, tables, opened.study, opened.instruments).to_pyarrow().to_pandas()

        whole = histories(simulated().tables).set_index("ta_id")[columns]
        alone = histories(one_world_per_assessment())
    own = alone["ta_id"].str.split("@", expand=True)
    alone = alone[own[0] == own[1]].assign(ta_id=own[0]).set_index("ta_id")[columns]
    pd.testing.assert_frame_equal(alone.sort_index(), whole.sort_index(), check_exact=True)
