"""Where both arms occur: common support, the preference score, and counts that may be shown to a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError
from causal.numeric.grid import SCORE, settled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapBin:
    """One bar of the overlap plot: scores from ``lower`` up to ``upper`` (the last bin includes its upper edge).

    Counts are of occasions with weight above 0; shares are of the arm's total weight.
    """

    lower: float
    upper: float
    n_treated: int
    n_comparison: int
    share_treated: float
    share_comparison: float


def overlap_bins(
    score: FloatArray,
    treated: BoolArray,
    weights: FloatArray | None = None,
    *,
    max_bins: int = 10,
    minimum: int = 11,
    scale: Literal["probability", "logit"] = "probability",
) -> tuple[OverlapBin, ...]:
    """Distribution of the score by arm in bins none of which shows a small count.

    Parameters
    ----------
    score, treated
        (n,) probability or logit, and arm.
    weights
        (n,) weights of the design; occasions with weight 0 are left out. None for all 1.
    max_bins
        Bins of equal width to start from.
    minimum
        Each arm's count in each bin is 0 or at least this.
    scale
        Where the edges lie: between 0 and 1, or at the whole numbers enclosing the logits. Never at an observed value.

    Returns
    -------
    The finest merging of neighbouring bins that keeps every count 0 or large enough; empty when even one bin with
    everybody in it would show a small count.

    >>> score = np.r_[np.full(20, 0.15), np.full(5, 0.25), np.full(30, 0.75)]
    >>> arm = np.r_[np.zeros(25, bool), np.ones(30, bool)]
    >>> [(b.lower, b.upper, b.n_treated, b.n_comparison) for b in overlap_bins(score, arm, max_bins=4)]
    [(0.0, 0.5, 0, 25), (0.5, 0.75, 0, 0), (0.75, 1.0, 30, 0)]
    """
    weight = np.ones(score.size) if weights is None else np.asarray(weights, dtype=np.float64)
    score, treated, weight = score[weight > 0], treated[weight > 0], weight[weight > 0]
    if score.size == 0:
        return ()
    low, high = (0.0, 1.0) if scale == "probability" else (float(np.floor(score.min())), float(np.ceil(score.max())))
    score, edges = settled(score, SCORE), settled(np.linspace(low, max(high, low + 1.0), max_bins + 1), SCORE)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, max_bins - 1)
    arms = (treated, ~treated)
    counts = np.array([np.bincount(place[arm], minlength=max_bins) for arm in arms])
    mass = np.array([np.bincount(place[arm], weights=weight[arm], minlength=max_bins) for arm in arms])
    shares = mass / np.maximum(mass.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return tuple(
        OverlapBin(
            lower=float(edges[i]),
            upper=float(edges[j]),
            n_treated=int(counts[0, i:j].sum()),
            n_comparison=int(counts[1, i:j].sum()),
            share_treated=float(shares[0, i:j].sum()),
            share_comparison=float(shares[1, i:j].sum()),
        )
        for i, j in _finest_partition(counts, minimum)
    )


def _finest_partition(counts: IntArray, minimum: int) -> list[tuple[int, int]]:
    """Most runs (i, j) of neighbouring bins such that every arm's count (2, bins) in a run is 0 or the minimum."""
    total = np.concatenate([np.zeros((2, 1), dtype=np.int64), np.cumsum(counts, axis=1)], axis=1)
    best: dict[int, list[tuple[int, int]]] = {0: []}
    for j in range(1, counts.shape[1] + 1):
        for i in range(j - 1, -1, -1):
            inside = total[:, j] - total[:, i]
            shown = ((inside == 0) | (inside >= minimum)).all()
            if shown and i in best and (j not in best or len(best[i]) + 1 > len(best[j])):
                best[j] = [*best[i], (i, j)]
    return best.get(counts.shape[1], [])


def common_support(
    logit: FloatArray, treated: BoolArray, exact: IntArray | None = None, *, ps_max: float = 0.95
) -> BoolArray:
    """Occasions in the zone where both arms occur, stratum by stratum.

    Parameters
    ----------
    logit, treated
        (n,) log odds of treatment and arm.
    exact
        (n,) stratum codes; None for one stratum.
    ps_max
        Treated occasions with a higher probability are dropped.

    Returns
    -------
    (n,) false for treated occasions above their stratum's highest comparison or above ``ps_max``, for comparisons
    below their stratum's lowest treated occasion, and for every occasion of a stratum with one arm only. There is no
    fixed lower cut: treatment is rare, and one would delete the study.

    >>> logit = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
    >>> common_support(logit, np.array([False, True, False, True, True])).tolist()
    [False, True, True, False, False]
    """
    if not 0 < ps_max <= 1:
        raise DesignError("design.ps_max", f"the highest propensity score kept must lie in (0, 1], got {ps_max:g}")
    logit = settled(logit, SCORE)
    code = np.zeros(logit.size, dtype=np.int64) if exact is None else np.unique(exact, return_inverse=True)[1]
    strata = int(code.max()) + 1 if code.size else 0
    highest_comparison = np.full(strata, -np.inf)
    np.maximum.at(highest_comparison, code[~treated], logit[~treated])
    lowest_treated = np.full(strata, np.inf)
    np.minimum.at(lowest_treated, code[treated], logit[treated])
    ceiling = settled(np.log(ps_max) - np.log1p(-ps_max), SCORE) if ps_max < 1 else np.inf
    return np.where(
        treated, (logit <= highest_comparison[code]) & (logit <= ceiling), logit >= lowest_treated[code]
    ).astype(np.bool_)


def preference_score(probability: FloatArray, treated: BoolArray) -> FloatArray:
    """Propensity score with the overall rarity of treatment taken out: (n,).

    ``logit(F) = logit(probability) - logit(share treated)``. Occasions on which either choice was open have F between
    .3 and .7 (Walker et al. 2013, Comp Eff Res 3:11-20).

    >>> preference_score(np.array([0.25, 0.5]), np.array([True, False, False, False])[:2]).round(3).tolist()
    [0.25, 0.5]
    """
    share = float(np.mean(treated))
    if not 0 < share < 1:
        raise DesignError("design.empty_arm", "the preference score needs both arms")
    odds = probability * (1 - share)
    return np.asarray(odds / (odds + (1 - probability) * share), dtype=np.float64)


def equipoise_share(
    probability: FloatArray, treated: BoolArray, weights: FloatArray | None = None, *, low: float = 0.3
) -> tuple[float, float]:
    """Shares of treated and of comparison occasions on which either choice was open.

    Parameters
    ----------
    probability, treated
        (n,) propensity score and arm, everyone eligible.
    weights
        (n,) weights of the design; None for all 1.
    low
        Either choice is open where the preference score lies from this to one minus this.

    Returns
    -------
    Shares of the treated and of the comparisons' weight. Both at .5 or more is Walker's mark of arms fit to compare.

    Raises
    ------
    DesignError
        ``design.empty_arm``.

    Notes
    -----
    Walker et al. (2013), Comp Eff Res 3:11-20.

    >>> equipoise_share(np.array([0.5, 0.9, 0.5, 0.1]), np.array([True, True, False, False]))
    (0.5, 0.5)
    """
    preference = settled(preference_score(probability, treated), SCORE)
    open_choice = (preference >= low) & (preference <= 1 - low)
    w = np.ones(treated.size) if weights is None else np.asarray(weights, dtype=np.float64)
    totals = [float(w[arm].sum()) for arm in (treated, ~treated)]
    if not min(totals) > 0:
        raise DesignError("design.empty_arm", "one arm has no occasion with weight: nobody is in equipoise")
    return float(w[treated & open_choice].sum()) / totals[0], float(w[~treated & open_choice].sum()) / totals[1]
