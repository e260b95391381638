"""One estimated quantity with its uncertainty: what every estimator of the answer side gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from causal.errors import EstimationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A quantity, its standard error and its interval from Student's t.

    Attributes
    ----------
    label
        What is estimated, in words an analyst would use ("difference at day 90").
    value, std_error
        In units of the outcome.
    df
        Degrees of freedom behind interval and p-value; finite, so that few clusters never pass for many.
    lower, upper, level
        Two-sided interval and the share of such intervals that cover the truth.
    p_value
        Two-sided, for a value of 0. Never evidence of no effect.
    """

    label: str
    value: float
    std_error: float
    df: float
    lower: float
    upper: float
    level: float
    p_value: float


class Interval(NamedTuple):
    """Ends of an interval, and the two-sided p-value for a value of 0."""

    lower: float
    upper: float
    p_value: float


def student_interval(value: float, std_error: float, df: float, *, level: float = 0.95) -> Interval:
    """The interval of an estimate that follows Student's t; every interval from a standard error is made here.

    Raises
    ------
    EstimationError
        ``estimation.no_standard_error``: the standard error is not above 0 or not finite, or the degrees of freedom
        are not above 0. No interval has no width.

    >>> [round(end, 2) for end in student_interval(1.0, 0.5, 1e9)[:2]]
    [0.02, 1.98]
    """
    if not (np.isfinite(value) and 0 < std_error < float("inf") and df > 0):
        raise EstimationError(
            "estimation.no_standard_error",
            "the outcome leaves no variation for a standard error",
            fix="describe, do not estimate",
        )
    half = float(stdtrit(df, (1 + level) / 2)) * std_error
    return Interval(lower=value - half, upper=value + half, p_value=2 * float(stdtr(df, -abs(value) / std_error)))


def student(label: str, value: float, std_error: float, df: float, *, level: float = 0.95) -> Contrast:
    """Interval and p-value of an estimate that follows Student's t with `df` degrees of freedom.

    Raises
    ------
    EstimationError
        Those of `student_interval`.

    >>> found = student("difference", 1.5, 0.5, 10)
    >>> round(found.lower, 4), round(found.upper, 4), round(found.p_value, 4)
    (0.3859, 2.6141, 0.0133)
    """
    found = student_interval(value, std_error, df, level=level)
    return Contrast(
        label=label,
        value=value,
        std_error=std_error,
        df=df,
        lower=found.lower,
        upper=found.upper,
        level=level,
        p_value=found.p_value,
    )
