"""Follow-up of two arms: when each relationship was last seen, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.matched_estimates import refuse_few_clusters
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

EVENT = 1  # cause of the event of interest: the patient ended the relationship


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowUp:
    """Rows with weight, checked.

    Time runs over half-open intervals (0, t]: what happens on day t counts by day t. On one day events come before
    censorings, so that who is censored on a day was still at risk of that day's events.

    Attributes
    ----------
    time
        (n,) days from time zero to the end or the last sight of the relationship, above 0.
    cause
        (n,) 0 censored, 1 the event of interest, 2 and above competing.
    treated, weights, clusters
        (n,) arm, weights above 0, and codes of the clusters.
    rows
        (all rows,) true for those kept.
    """

    time: FloatArray
    cause: IntArray
    treated: BoolArray
    weights: FloatArray
    clusters: IntArray
    rows: BoolArray

    @property
    def n_clusters(self) -> int:
        """Clusters that contribute."""
        return int(np.unique(self.clusters).size)


def follow_up(
    time: FloatArray, cause: IntArray, treated: BoolArray, *, weights: FloatArray | None, clusters: IntArray
) -> FollowUp:
    """Check the follow-up of (n,) rows and keep those with weight; clusters may cross arms.

    Raises
    ------
    EstimationError
        ``estimation.time``, ``estimation.cause``, ``estimation.weights``, ``estimation.empty_arm``, and
        ``estimation.too_few_clusters``: fewer than 2 clusters in all, or in one arm, whose part of the standard error
        would then be missing.
    """
    arm = np.asarray(treated, dtype=np.bool_)
    t, w = checked_time(time), checked_weights(weights, arm.size)
    rows = w > 0
    kept = FollowUp(
        time=t[rows],
        cause=checked_cause(cause)[rows],
        treated=arm[rows],
        weights=w[rows],
        clusters=np.asarray(clusters)[rows],
        rows=rows,
    )
    refuse_few_clusters(kept.treated, kept.clusters)
    return kept


def checked_time(time: FloatArray) -> FloatArray:
    """Times (n,), all finite and above 0."""
    t = np.asarray(time, dtype=np.float64)
    if not (np.isfinite(t).all() and (t > 0).all()):
        raise EstimationError(
            "estimation.time",
            f"{int((~(np.isfinite(t) & (t > 0))).sum())} rows have no follow-up time above 0",
            fix="count days from time zero, the day after it being 1",
        )
    return t


def checked_entry(entry: FloatArray, time: FloatArray) -> FloatArray:
    """Times (n,) at which rows come under observation: finite, 0 or more, and before their `time` (n,)."""
    start = np.asarray(entry, dtype=np.float64)
    wrong = ~(np.isfinite(start) & (start >= 0) & (start < time))
    if wrong.any():
        raise EstimationError(
            "estimation.entry",
            f"{int(wrong.sum())} rows do not start at 0 or later, or not before they stop",
            fix="each row holds a spell: its start is the stop of the one before, the first start is 0",
        )
    return start


def checked_cause(cause: IntArray) -> IntArray:
    """Causes (n,), whole numbers of 0 or more."""
    values = np.asarray(cause)
    if not (np.isfinite(values).all() and (values >= 0).all() and (values == np.floor(values)).all()):
        raise EstimationError(
            "estimation.cause", "the cause of an ending must be 0 (censored), 1 (the event) or 2 and above (competing)"
        )
    return values.astype(np.int64)


def checked_weights(weights: FloatArray | None, n: int) -> FloatArray:
    """Weights (n,), all 1 where None was given."""
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    return w
