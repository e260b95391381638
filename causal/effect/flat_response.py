"""Rows of a flat table whose outcome nobody knows: a refusal, or left out with the shares that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causal.design.frame import column_of, missing, treatment_of
from causal.errors import DesignError
from causal.protocol.flat_table import FlatTableStudy


def with_outcomes(frame: pd.DataFrame, study: FlatTableStudy) -> tuple[pd.DataFrame, tuple[float, float]]:
    """The rows whose outcome is known, and their share of the treated and of the comparisons.

    Raises
    ------
    DesignError
        ``flat.missing`` where an outcome is missing and the study does not leave such rows out; ``flat.no_outcome``
        where a group has none left; those of `treatment_of`.
    """
    columns = study.columns
    known = column_of(frame, columns.outcome).notna().to_numpy()
    if known.all():
        return frame, (1.0, 1.0)
    if study.analysis.missing_outcome == "refuse":
        raise missing(
            columns.outcome,
            int((~known).sum()),
            fix="deliver complete rows, or say missing_outcome: leave_out under analysis, which judges who is left",
        )
    treated = treatment_of(frame, columns.treatment, treated_value=columns.treated_value)
    for arm, name in ((treated, "treated"), (~treated, "comparison")):
        if arm.any() and not known[arm].any():
            raise DesignError("flat.no_outcome", f"no outcome of a {name} row is known in '{columns.outcome}'")
    shares = tuple(float(np.mean(known[arm])) if arm.any() else 1.0 for arm in (treated, ~treated))
    return frame.loc[known].reset_index(drop=True), (shares[0], shares[1])
