"""How source systems write what is true: dates for times, codes in other letters; and what they cannot know.

Nothing here changes what happened or breaks a declaration by itself. Draws are made only for what is asked, after all
others, so that a seed keeps its extract.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.simulation.parameters import SimulationParameters

Frames = dict[str, pd.DataFrame]
UNKNOWN_YEAR: Final = 1901
"""The year of birth that stands for "not known" in many a source system."""
_CODED: Final = (
    ("clinicians", "profession"),
    ("jurisdiction_regime", "profession"),
    ("jurisdiction_regime", "state"),
    ("protective_actions", "action"),
    ("measures", "instrument"),
    ("diagnoses", "icd10"),
    ("episodes", "end_reason"),
)
"""Codes that one system writes with a blank before them and another in other letters."""


def as_written(frames: Frames, parameters: SimulationParameters, rng: np.random.Generator) -> Frames:
    """Copy the tables of one chunk as source systems with these habits write them."""
    written = dict(frames)
    if parameters.date_forms:
        forms = frames["measures"]
        days = {name: forms[name].dt.floor("D") for name in ("admin_ts", "scheduled_ts")}
        written["measures"] = forms.assign(**days)
    if parameters.code_spelling:
        for table, column in _CODED:
            if table in written:
                written[table] = _respelt(written[table], column, parameters.code_spelling, rng)
    if parameters.impossible_dates:
        written["patients"] = _impossible(written, parameters.impossible_dates, rng)
    return written


def _respelt(frame: pd.DataFrame, column: str, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """A share of a column's codes with a blank before them or in swapped letters."""
    said = frame[column].astype("str")
    how = rng.random(len(frame))
    said = said.where(how >= share / 2, " " + said)
    said = said.where((how < share / 2) | (how >= share), said.str.swapcase())
    return frame.assign(**{column: said.where(frame[column].notna())})


def _impossible(frames: Frames, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Half of a share of people born in `UNKNOWN_YEAR`, the other half dead before the last thing that they did."""
    patients = frames["patients"]
    how: NDArray[np.float64] = rng.random(len(patients))
    last = frames["encounters"].groupby("person_id")["start_ts"].max().dt.floor("D")
    died = patients["person_id"].map(last) - pd.Timedelta(days=1)
    return patients.assign(
        birth_year=patients["birth_year"].where(how >= share / 2, UNKNOWN_YEAR),
        death_date=patients["death_date"].where((how < share / 2) | (how >= share), died),
    )
