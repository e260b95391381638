"""How far the groups of a flat table's comparison may speak for each other: weights, overlap, clusters, response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.compare import Comparison
from causal.design.diagnostics.balance import BalanceRow
from causal.design.diagnostics.clusters import ClusterSpread, cluster_spread
from causal.design.weighting.weights import effective_sample_size
from causal.effect.doubly_robust.outpredicted import Outpredicted
from causal.numeric.grid import SCORE, settled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmWeight:
    """How the weight of one arm lies: rows with weight, Kish's effective number, largest share one row holds."""

    rows: int
    effective: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatDiagnostics:
    """What the answer rests on.

    Attributes
    ----------
    treated, comparison
        The weights of both arms; all 1 where only a model of the outcome adjusts.
    left_out
        Share of the population of the effect that is not in the comparison.
    without_counterpart
        Share of it whose score lies beyond every score of the other arm; None without scores.
    before
        Largest standardised difference in the table as it is, and its column.
    after
        The same after adjustment; None where only a model of the outcome adjusts.
    clusters
        How each arm lies over the clusters; None without a cluster column.
    response
        Share of the treated and of the comparisons whose outcome is known.
    outpredicted
        How a regression of the outcome stands beside trees; None without one that is asked.
    """

    treated: ArmWeight
    comparison: ArmWeight
    left_out: float
    without_counterpart: float | None
    before: tuple[str, float]
    after: tuple[str, float] | None
    clusters: ClusterSpread | None
    response: tuple[float, float]
    outpredicted: Outpredicted | None


def diagnostics_of(
    treated: BoolArray,
    compared: Comparison | None,
    balance: Sequence[BalanceRow],
    *,
    weight: FloatArray | None,
    logit: FloatArray | None,
    clusters: IntArray | None,
    response: tuple[float, float],
    outpredicted: Outpredicted | None,
) -> FlatDiagnostics:
    """What an answer rests on.

    Parameters
    ----------
    treated, compared
        (n,) arm, and the comparison; None where only a model of the outcome adjusts.
    balance
        Of every column and level, before and after.
    weight
        (n,) weights the estimator used where they are not those of the comparison.
    logit, clusters
        (n,) scores and codes of clusters, where there are any.
    response, outpredicted
        See `FlatDiagnostics`.
    """
    made = np.ones(treated.size) if compared is None else compared.weight
    used = made if weight is None else weight
    estimand = "ATE" if compared is None else compared.estimand
    one, zero = treated.astype(np.float64), (~treated).astype(np.float64)
    # The populations of ATO and ATM are made by the weights; others are people, each counted once.
    about = {"ATT": one, "ATC": zero, "ATE": one + zero}.get(estimand, made)
    before = max(balance, key=lambda row: abs(row.smd_before))
    after = max(balance, key=lambda row: abs(row.smd_after))
    spread = None if clusters is None else cluster_spread(treated, used, clusters, level="clinician", declared=True)
    return FlatDiagnostics(
        treated=arm_weight(used[treated]),
        comparison=arm_weight(used[~treated]),
        left_out=float(about[made == 0].sum() / about.sum()),
        without_counterpart=None if logit is None else without_counterpart(logit, treated, about),
        before=(column_of_row(before), abs(before.smd_before)),
        after=None if compared is None else (column_of_row(after), abs(after.smd_after)),
        clusters=spread,
        response=response,
        outpredicted=outpredicted,
    )


def column_of_row(row: BalanceRow) -> str:
    """The declared column a row of balance is of; a level is a value out of somebody's record, and is not told."""
    return row.name.removesuffix(" squared").split(": ")[0]


def arm_weight(weights: FloatArray) -> ArmWeight:
    """How the weights (n,) of one arm lie.

    >>> arm_weight(np.array([2.0, 1.0, 1.0, 0.0]))
    ArmWeight(rows=3, effective=2.6666666666666665, largest=0.5)
    """
    w = weights[weights > 0]
    return ArmWeight(rows=w.size, effective=effective_sample_size(w), largest=float(w.max() / w.sum()))


def without_counterpart(logit: FloatArray, treated: BoolArray, weights: FloatArray) -> float:
    """Share of weights (n,) on rows whose log odds (n,) lie beyond every one of the other arm.

    >>> arm = np.array([True, True, False, False])
    >>> without_counterpart(np.array([0.0, 3.0, 0.0, 1.0]), arm, arm.astype(float))
    0.5
    """
    score = settled(logit, SCORE)
    beyond = np.zeros(treated.size, dtype=np.bool_)
    for arm in (treated, ~treated):
        beyond |= arm & ((score < score[~arm].min()) | (score > score[~arm].max()))
    return float(weights[beyond].sum() / weights.sum())
