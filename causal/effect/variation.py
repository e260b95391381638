"""One rule for outcomes that do not vary: an arm without variation says nothing of its own, so no interval is made.

With no event in an arm, or with events only, the spread of that arm is estimated as zero: an interval then has no
width, or is the other arm's alone. Every estimator asks here before it makes a standard error, so that none differs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CONSTANT = "estimation.constant_outcome"
"""Code of the refusal, whether one arm or all rows have one value only."""


def refuse_constant(outcome: FloatArray | BoolArray, treated: BoolArray, weights: FloatArray | None = None) -> None:
    """Refuse an outcome that has one value only, among all rows with weight or among those of one arm.

    Parameters
    ----------
    outcome, treated
        (n,) outcome, a number where the weight is not 0, and arm.
    weights
        (n,) 0 or more; None for all 1. Rows without weight have no say.

    Raises
    ------
    EstimationError
        ``estimation.constant_outcome``. An arm without any row is no business of this rule.

    Notes
    -----
    Twelve of 98 against none of 98 is a difference of .122, and Student's interval about it knows only how the twelve
    vary. Score intervals are right for plain proportions of independent rows (Miettinen & Nurminen 1985, Stat Med
    4:213-226) and of pairs (Tango 1998, Stat Med 17:891-908); none is established for weighted, adjusted or clustered
    rows, which is what estimators here work on.

    >>> refuse_constant(np.array([0.0, 1, 0, 1]), np.array([True, True, False, False]))
    >>> refuse_constant(np.array([0.0, 1, 0, 0]), np.array([True, True, False, False]))
    Traceback (most recent call last):
    causal.errors.EstimationError: [estimation.constant_outcome] the outcome has one value only among the comparisons: \
an interval would be the other arm's alone. Fix: describe, do not estimate
    """
    y, arm = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    used = np.ones(arm.size, dtype=np.bool_) if weights is None else np.asarray(weights) > 0
    ranges = [_range(y[used & one]) for one in (arm, ~arm)]
    if all(low == high for low, high in ranges) and len(set(ranges)) == 1:
        raise EstimationError(CONSTANT, "the outcome has one value only", fix="describe, do not estimate")
    for (low, high), whom in zip(ranges, ("treated", "comparisons"), strict=True):
        if low == high:
            raise EstimationError(
                CONSTANT,
                f"the outcome has one value only among the {whom}: an interval would be the other arm's alone",
                fix="describe, do not estimate",
            )


def _range(values: FloatArray) -> tuple[float, float]:
    """Lowest and highest of the values; of none, limits that differ."""
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
