"""Faults as source systems make them, injected after the truth is fixed and counted by reason code.

A dirty row carries exactly one fault, and no fault makes another row faulty: keys that other rows name stay as they
are, dirty assessments are ones no action answers, dirty people are registrations without any other row, and warnings
and holds are left alone so that the exposure in the extract stays the one in the truth.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal import tables
from causal.simulation.columns import text
from causal.simulation.draws import WAI_ITEMS
from causal.simulation.identifiers import NOBODY, opaque_ids
from causal.simulation.parameters import AS_OF

Frames = dict[str, pd.DataFrame]
Rows = NDArray[np.int64]
_DAY: Final = np.timedelta64(1, "D")


def soil(
    frames: Frames, share: float, *, number: int, key: int, rng: np.random.Generator
) -> tuple[Frames, Counter[str]]:
    """Copy the tables of one chunk with faults in about `share` of each affected table's rows.

    A table's rows are shared out evenly among its fault classes, at least one row each while rows last.

    Parameters
    ----------
    number, key
        Of the chunk and of the ids: they give ids that belong to nobody.

    Returns
    -------
    The tables, and the number of faults per reason code ``<table>.<column>:<rule>``.
    """
    counts: Counter[str] = Counter()
    if share == 0:
        return frames, counts
    nobody = NOBODY + (number << 22)
    unanswered = ~frames["threat_assessments"]["ta_id"].isin(frames["protective_actions"]["ta_id"])
    spoiled = dict(frames)
    spoiled["patients"] = _patients(frames["patients"], share, counts, rng, nobody=nobody, key=key)
    spoiled["measures"] = _measures(frames["measures"], share, counts, rng)
    spoiled["threat_assessments"] = _assessments(frames["threat_assessments"], unanswered, share, counts, rng)
    spoiled["protective_actions"] = _actions(frames, share, counts, rng)
    spoiled["encounters"] = _encounters(frames["encounters"], share, counts, rng, nobody=nobody + (1 << 21), key=key)
    spoiled["episodes"] = _episodes(frames["episodes"], share, counts, rng)
    spoiled["diagnoses"] = _diagnoses(frames["diagnoses"], share, counts, rng)
    return spoiled, counts


def _quota(rows: int, share: float, classes: int) -> int:
    return math.ceil(rows * share / classes)


def _choose(candidates: Rows, count: int, rng: np.random.Generator) -> Rows:
    return rng.permutation(candidates)[:count]


def _positions(mask: pd.Series) -> Rows:
    return np.flatnonzero(mask.to_numpy(dtype=bool))


def _changed(frame: pd.DataFrame, rows: Rows, column: str, values: Any) -> pd.DataFrame:
    """Copy, with `values` (one, or one per row) in one column of the rows numbered `rows`."""
    changed = frame.copy(deep=False)  # copy-on-write: only the changed column is copied
    changed.loc[rows, column] = values
    return changed


def _patients(
    frame: pd.DataFrame, share: float, counts: Counter[str], rng: np.random.Generator, *, nobody: int, key: int
) -> pd.DataFrame:
    """Registrations of people who never came: a sex in words, or a year of birth that cannot be."""
    quota = _quota(len(frame), share, 2)
    strangers = frame.iloc[rng.integers(0, len(frame), 2 * quota)].reset_index(drop=True)
    strangers["person_id"] = text(opaque_ids("p", nobody + np.arange(2 * quota), key))
    strangers["death_date"] = np.datetime64("NaT", "s")
    strangers = _changed(strangers, np.arange(quota), "sex", "female")
    strangers = _changed(strangers, np.arange(quota, 2 * quota), "birth_year", rng.choice([1850, 2099], quota))
    counts["patients.sex:not_allowed"] += quota
    counts["patients.birth_year:out_of_range"] += quota
    return pd.concat([frame, strangers], ignore_index=True)


def _measures(frame: pd.DataFrame, share: float, counts: Counter[str], rng: np.random.Generator) -> pd.DataFrame:
    """Put answers of a seven-point form into WAI-SR items (9 would be a missing code), and leave forms unsigned."""
    quota = _quota(len(frame), share, 2)
    wrong = _choose(_positions(frame["instrument"] == "wai_sr"), quota, rng)
    unsigned = _choose(np.setdiff1d(np.arange(len(frame)), wrong), quota, rng)
    place = rng.integers(0, WAI_ITEMS, len(wrong))
    answer = rng.choice([6, 7], len(wrong))
    spoiled = _changed(frame, unsigned, "rater", None)
    for index, item in enumerate(tables.ITEM_COLUMNS[:WAI_ITEMS]):
        here = place == index
        spoiled = _changed(spoiled, wrong[here], item, answer[here])
        counts[f"measures.{item}:out_of_instrument"] += int(here.sum())
    counts["measures.rater:missing"] += len(unsigned)
    return spoiled


def _assessments(
    frame: pd.DataFrame, unanswered: pd.Series, share: float, counts: Counter[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Severities that are missing codes."""
    rows = _choose(_positions(unanswered), _quota(len(frame), share, 1), rng)
    counts["threat_assessments.severity:out_of_range"] += len(rows)
    return _changed(frame, rows, "severity", rng.choice([-1.0, 99.0], len(rows)))


def _actions(frames: Frames, share: float, counts: Counter[str], rng: np.random.Generator) -> pd.DataFrame:
    """Actions dated before the assessment they answer."""
    frame = frames["protective_actions"]
    harmless = frame["action"].isin(["intensify", "med_change", "family_contact"]) & frame["ta_id"].notna()
    rows = _choose(_positions(harmless), _quota(len(frame), share, 1), rng)
    assessed = frames["threat_assessments"].set_index("ta_id")["ts"]
    before = assessed.loc[frame["ta_id"].iloc[rows]].to_numpy() - rng.integers(1, 10, len(rows)) * _DAY
    counts["protective_actions.ts:out_of_order"] += len(rows)
    return _changed(frame, rows, "ts", before)


def _encounters(
    frame: pd.DataFrame, share: float, counts: Counter[str], rng: np.random.Generator, *, nobody: int, key: int
) -> pd.DataFrame:
    """Contacts of unknown people, and contacts delivered twice."""
    quota = _quota(len(frame), share, 2)
    orphans = _choose(np.arange(len(frame)), quota, rng)
    twice = _choose(np.setdiff1d(np.arange(len(frame)), orphans), quota, rng)
    unknown = opaque_ids("p", nobody + np.arange(len(orphans)), key).to_pylist()
    spoiled = _changed(frame, orphans, "person_id", unknown)
    counts["encounters.person_id:orphan"] += len(orphans)
    counts["encounters.enc_id:duplicate_key"] += len(twice)
    return pd.concat([spoiled, frame.iloc[twice]], ignore_index=True)


def _episodes(frame: pd.DataFrame, share: float, counts: Counter[str], rng: np.random.Generator) -> pd.DataFrame:
    """Relationships that end before they start."""
    rows = _choose(_positions(frame["end"].notna()), _quota(len(frame), share, 1), rng)
    before = frame["start"].iloc[rows].to_numpy() - rng.integers(1, 30, len(rows)) * _DAY
    counts["episodes.end:out_of_order"] += len(rows)
    return _changed(frame, rows, "end", before)


def _diagnoses(frame: pd.DataFrame, share: float, counts: Counter[str], rng: np.random.Generator) -> pd.DataFrame:
    """Diagnoses recorded after the end of the record."""
    rows = _choose(np.arange(len(frame)), _quota(len(frame), share, 1), rng)
    later = np.datetime64(AS_OF, "s") + rng.integers(1, 700, len(rows)) * _DAY
    counts["diagnoses.onset:out_of_range"] += len(rows)
    return _changed(frame, rows, "onset", later)
