"""Small long tables with a known truth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from causal.protocol import STUDY, LongTableStudy

HEADER = {
    "schema_version": "rapport-study/1",
    "kind": "long_table",
    "study": {
        "id": "small",
        "title": "A small table",
        "question": "What changes?",
        "why_no_trial": "It is made up.",
        "registered": "not registered",
    },
    "data": {"kind": "file", "path": "t.csv"},
    "assigned": "by_lot",
}
VISITS = {
    "rows": "visits",
    "person": "who",
    "visit": "week",
    "visits": [4, 8, 12],
    "baseline": 0,
    "treatment": "arm",
    "outcome": "score",
    "numeric": ["age"],
}
SPELLS = {
    "rows": "spells",
    "person": "who",
    "start": "start",
    "stop": "stop",
    "event": "event",
    "treatment": "arm",
    "numeric": ["age"],
}


def study(*analyses: dict[str, Any], columns: dict[str, Any] | None = None, **parts: Any) -> LongTableStudy:
    """A study of these analyses."""
    written = HEADER | {"columns": VISITS | (columns or {}), "analyses": list(analyses)} | parts
    found = STUDY.validate_json(json.dumps(written))
    assert isinstance(found, LongTableStudy)
    return found


def of_spells(**parts: Any) -> LongTableStudy:
    """A study of hazards."""
    written = HEADER | {"columns": SPELLS, "analyses": [{"name": "main", "analysis": "hazards"}]} | parts
    found = STUDY.validate_json(json.dumps(written))
    assert isinstance(found, LongTableStudy)
    return found


def visits(
    seed: int, n: int = 120, *, effect: float = -1.0, dropout: float = 1.0, clinics: int = 0, drift: float = 0.0
) -> pd.DataFrame:
    """Scores at weeks 0, 4, 8 and 12 of n people; treatment adds ``effect`` times 1/3, 2/3, 1 at the later ones.

    Each visit after week 4 is missed for good with a chance that falls with the score before, more so in the treated:
    at random given what was seen, and the mean of those who stay is wrong. A clinic adds its drift to its patients.
    """
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(n) % 2)
    age = rng.normal(40, 10, n).round()
    clinic = np.arange(n) % max(clinics, 1)
    own = rng.normal(0, 1.5, n) + drift * rng.normal(0, 1, max(clinics, 1))[clinic]
    scores = 10 + own[:, None] + 0.03 * (age - 40)[:, None] + rng.normal(0, 1, (n, 4))
    scores += effect * np.outer(arm, [0, 1 / 3, 2 / 3, 1]) - 0.5 * np.arange(4)
    seen = np.ones((n, 4), dtype=bool)
    for t in (2, 3):
        gone = rng.random(n) < dropout * (0.12 + 0.25 * arm) / (1 + np.exp(scores[:, t - 1] - 9))
        seen[:, t] = seen[:, t - 1] & ~gone
    rows = [
        {
            "who": f"p{i:03d}",
            "clinic": f"c{clinic[i]}",
            "week": 4 * t,
            "arm": arm[i],
            "age": age[i],
            "score": scores[i, t],
        }
        for i in range(n)
        for t in range(4)
        if seen[i, t]
    ]
    return pd.DataFrame(rows)


def spells(seed: int, n: int = 150, *, log_ratio: float = 0.6) -> pd.DataFrame:
    """Spells of people who begin treatment at a time of their own, the earlier the older; events recur.

    The hazard is .1 a month, multiplied by the ratio while treated and by exp(.03) for each year over 40; every person
    has a frailty of their own.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        age, frailty, begins, ends = rng.normal(40, 10), rng.gamma(4, 0.25), 0.0, rng.uniform(6, 24)
        begins = float(rng.exponential(12 * np.exp(-0.03 * (age - 40))))
        for start, stop, arm in ((0.0, min(begins, ends), 0), (begins, ends, 1)):
            now = start
            while now < stop:
                rate = 0.1 * frailty * np.exp(log_ratio * arm + 0.03 * (age - 40))
                after = now + float(rng.exponential(1 / rate))
                rows.append(
                    {
                        "who": i,
                        "start": now,
                        "stop": min(after, stop),
                        "event": int(after < stop),
                        "arm": arm,
                        "age": age,
                    }
                )
                now = after
    return pd.DataFrame(rows)
