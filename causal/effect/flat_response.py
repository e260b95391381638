"""Rows of a flat table whose outcome nobody knows: a refusal, or left out with the shares that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.frame import column_of, refuse_gaps, treatment_of
from causal.errors import DesignError
from causal.protocol.flat_table import FlatTableStudy, Standardisation
from causal.protocol.matching import named_keys


def with_outcomes(frame: pd.DataFrame, study: FlatTableStudy) -> tuple[pd.DataFrame, tuple[float, float]]:
    """The rows whose outcome is known, and their share of the treated and of the comparisons.

    Raises
    ------
    DesignError
        ``flat.missing`` where an outcome is missing and the study does not leave such rows out, or anything else that
        the analysis reads is missing; ``flat.no_outcome`` where a group has none left; those of `treatment_of`.
    """
    columns = study.columns
    known = column_of(frame, columns.outcome).notna().to_numpy()
    if not known.all() and study.analysis.missing_outcome == "refuse":
        refuse_gaps(
            frame,
            (columns.outcome, *read_by(study)),
            fix="deliver complete rows, or say missing_outcome: leave_out under analysis, which judges who is left",
        )
    kept, shares = _known(frame, study, known)
    refuse_gaps(kept, read_by(study))
    return kept, shares


def read_by(study: FlatTableStudy) -> tuple[str, ...]:
    """The columns the analysis needs in every row, without the outcome; keys that are only declared may have gaps."""
    columns, analysis = study.columns, study.analysis
    keys = () if isinstance(analysis.estimator, Standardisation) else (*analysis.exact, *named_keys(analysis.design))
    single = [name for name in (columns.key, analysis.cluster, analysis.person) if name is not None]
    return tuple(dict.fromkeys((columns.treatment, *columns.numeric, *columns.categorical, *single, *keys)))


def _known(
    frame: pd.DataFrame, study: FlatTableStudy, known: NDArray[np.bool_]
) -> tuple[pd.DataFrame, tuple[float, float]]:
    columns = study.columns
    if known.all():
        return frame, (1.0, 1.0)
    treated = treatment_of(frame, columns.treatment, treated_value=columns.treated_value)
    for arm, name in ((treated, "treated"), (~treated, "comparison")):
        if arm.any() and not known[arm].any():
            raise DesignError("flat.no_outcome", f"no outcome of a {name} row is known in '{columns.outcome}'")
    shares = tuple(float(np.mean(known[arm])) if arm.any() else 1.0 for arm in (treated, ~treated))
    return frame.loc[known], (shares[0], shares[1])
