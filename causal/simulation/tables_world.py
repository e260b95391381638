"""The small tables: clinics, clinicians, jurisdiction_regime."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from causal import tables
from causal.simulation.columns import allowed, category, dates, picked, text
from causal.simulation.world import STATES, TIME_ZONES, World

_CLINIC_TYPES = allowed(tables.CLINICS, "type")
_PROFESSIONS = allowed(tables.CLINICIANS, "profession")


def world_tables(
    world: World, clinic_ids: pa.LargeStringArray, clinician_ids: pa.LargeStringArray
) -> dict[str, pd.DataFrame]:
    """Every clinic and clinician, and the illustrative regime of every state."""
    nobody_left = np.ones(len(clinician_ids), dtype=bool)
    return {
        "clinics": pd.DataFrame(
            {
                "clinic_id": text(clinic_ids),
                "state": category(STATES, world.clinic_state),
                "type": category(_CLINIC_TYPES, world.clinic_type),
                "tz": category([TIME_ZONES[state] for state in STATES], world.clinic_state),
            }
        ),
        "clinicians": pd.DataFrame(
            {
                "clinician_id": text(clinician_ids),
                "clinic_id": picked(clinic_ids, world.clinician_clinic),
                "profession": category(_PROFESSIONS, world.clinician_profession),
                "hire_date": dates(world.hire_day),
                "end_date": dates(world.hire_day, missing=nobody_left),
            }
        ),
        "jurisdiction_regime": regime_table(world),
    }


def regime_table(world: World) -> pd.DataFrame:
    """One row per span of one state's regime, marked illustrative."""
    spans = sorted(world.regimes, key=lambda span: (span.state, span.valid_from))
    return pd.DataFrame(
        {
            "state": pd.array([span.state for span in spans], dtype="str"),
            "profession": pd.array(["any"] * len(spans), dtype="str"),
            "valid_from": np.array([span.valid_from for span in spans], dtype="datetime64[s]"),
            "valid_to": np.array([span.valid_to for span in spans], dtype="datetime64[s]"),
            "regime": pd.array([span.regime for span in spans], dtype="str"),
            "source": pd.array(["illustrative"] * len(spans), dtype="str"),
        }
    )
