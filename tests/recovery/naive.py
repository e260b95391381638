"""The analysis a toy would run: people ever warned against people never warned, counted from intake.

Whoever is warned late must first have stayed that long, so the warned look as if a warning kept them in treatment. The
whole difference is immortal time (Suissa 2008, Am J Epidemiol 167:492-499); it is here to be beaten, not to be used.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

WARNINGS = ("warn_victim", "warn_police")
ENDED_BY_PATIENT = ("pt_initiated", "lost")
SIX_MONTHS = 180


def ever_warned_contrast(tables: Mapping[str, pd.DataFrame]) -> float:
    """Share of relationships the patient ended within six months of intake, ever warned minus never warned.

    `tables` holds the frames of one extract by name; of these `episodes` and `protective_actions` are read.
    """
    episodes, actions = tables["episodes"], tables["protective_actions"]
    warned = episodes["person_id"].isin(actions.loc[actions["action"].isin(WARNINGS), "person_id"])
    days = (episodes["end"] - episodes["start"]).dt.total_seconds() / 86400
    left = (days <= SIX_MONTHS) & episodes["end_reason"].isin(ENDED_BY_PATIENT)
    return float(left[warned].mean() - left[~warned].mean())
