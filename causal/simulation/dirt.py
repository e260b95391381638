"""Faults as source systems make them, injected after the truth is fixed and counted by reason code.

A dirty row carries exactly one fault, and no fault makes another row faulty: keys that other rows name stay as they are,
dirty assessments are ones no action answers, dirty people are registrations without any other row, and warnings and
holds are left alone so that the exposure in the extract stays the one in the truth.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

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


def soil(frames: Frames, share: float, *, number: int, key: int, rng: np.random.Generator) -> tuple[Frames, Counter[str]]:
    """Copies of the tables of one chunk with faults in about `share` of each affected table's rows.

    Each of a table's fault classes gets the same number of rows, at least one while rows last.

    Parameters
    ----------
    number, key
        Of the chunk and of the ids: from them come ids that belong to nobody.

    Returns
    -------
    The tables, and the number of faults per reason code ``<table>.<column>:<rule>``.
    """
    counts: Counter[str] = Counter()
    if share == 0:
        return frames, counts
    strangers = opaque_ids("p", NOBODY + (number << 22) + np.arange(1 << 16), key)
    spoiled = dict(frames)
    spoiled["patients"] = _soil_patients(frames["patients"], share, strangers.slice(1 << 15), counts, rng)
    spoiled["measures"] = _soil_measures(frames["measures"], share, counts, rng)
    spoiled["threat_assessments"] = _soil_assessments(frames, share, counts, rng)
    spoiled["protective_actions"] = _soil_actions(frames, share, counts, rng)
    spoiled["encounters"] = _soil_encounters(frames["encounters"], share, strangers.slice(0, 1 << 15), counts, rng)
    spoiled["episodes"] = _soil_episodes(frames["episodes"], share, counts, rng)
    spoiled["diagnoses"] = _soil_diagnoses(frames["diagnoses"], share, counts, rng)
    return spoiled, counts
