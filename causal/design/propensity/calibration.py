"""How well estimated probabilities describe who was treated, and how far the arms can be told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.overlap import equipoise_share
from causal.design.propensity.logistic import expit, maximum_likelihood
from causal.design.propensity.sums import Regression
from causal.errors import DesignError
from causal.numeric.grid import SCORE, cuts, settled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

THIN_OVERLAP = 0.85  # c statistic above which overlap is thin


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Rows with similar estimated probabilities: how many, their mean estimate, and the share treated."""

    n: int
    n_treated: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Agreement of n estimated probabilities with the arms.

    Attributes
    ----------
    bins
        Tenths of the estimates, lowest first, merged until none shows a small count; empty if even one bin would.
    intercept
        Log odds by which the estimates are too low on average (0 is perfect).
    slope
        Factor by which differences in estimated log odds should be stretched (1 is perfect, below 1 overfitted); None
        where the estimates are all the same or separate the arms.
    brier
        Mean squared difference of estimate and arm.
    c_statistic
        See `c_statistic`: for propensities a measure of separation, not of success.
    equipoise_treated, equipoise_comparison
        Share of each arm with a preference score from .3 to .7: at least half of each suggests that either decision was
        open (Walker et al. 2013, Comp Eff Res 3:11-20).
    caution
        One sentence where overlap is thin; otherwise empty.
    """

    bins: tuple[CalibrationBin, ...]
    intercept: float
    slope: float | None
    brier: float
    c_statistic: float
    equipoise_treated: float
    equipoise_comparison: float
    caution: str


def calibration(logit: FloatArray, treated: BoolArray, *, bins: int = 10, minimum: int = 11) -> Calibration:
    """Calibration of estimated log odds of treatment.

    Parameters
    ----------
    logit, treated
        (n,) finite log odds, and arm.
    bins
        Quantile groups to start from.
    minimum
        Each arm's count in each bin is 0 or at least this.

    Raises
    ------
    DesignError
        ``design.empty_arm``.

    Notes
    -----
    Intercept and slope: Cox (1958), Biometrika 45:562-565. On the rows a maximum-likelihood model was fitted to they
    are 0 and 1 whatever the model's worth: judge cross-fitted scores.

    >>> rng = np.random.default_rng(2)
    >>> logit = rng.normal(size=5000)
    >>> found = calibration(2 * logit, rng.random(5000) < expit(logit))
    >>> round(found.slope, 1), len(found.bins)  # twice too extreme
    (0.5, 10)
    """
    y = np.asarray(treated, dtype=np.bool_)
    if not 0 < y.sum() < y.size:
        raise DesignError("design.empty_arm", "calibration needs both arms")
    probability = expit(logit)
    c = c_statistic(logit, y)
    either = equipoise_share(probability, y)
    intercept, slope = _intercept_and_slope(logit, y)
    return Calibration(
        bins=_bins(probability, y, bins, minimum),
        intercept=intercept,
        slope=slope,
        brier=float(((y - probability) ** 2).mean()),
        c_statistic=c,
        equipoise_treated=either[0],
        equipoise_comparison=either[1],
        caution=overlap_caution(c),
    )


def overlap_caution(c: float) -> str:
    """What a c statistic says about overlap, in one sentence; empty where it says nothing.

    >>> overlap_caution(0.7)
    ''
    """
    if c <= THIN_OVERLAP:
        return ""
    return (
        f"treated and comparison occasions are told apart well (c statistic {c:.2f}, above {THIN_OVERLAP}): "
        "few of them are comparable"
    )


def c_statistic(score: FloatArray, treated: BoolArray) -> float:
    """Share of (treated, comparison) pairs in which the treated one scores higher, ties counted half.

    >>> c_statistic(np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False]))
    0.625
    """
    score = settled(score, SCORE)
    ours, theirs = np.sort(score[treated]), np.sort(score[~treated])
    below, not_above = (np.searchsorted(theirs, ours, side=side) for side in ("left", "right"))
    return (int(below.sum()) + int(not_above.sum())) / (2 * ours.size * theirs.size)


def _intercept_and_slope(logit: FloatArray, y: BoolArray) -> tuple[float, float | None]:
    outcome = y.astype(np.float64)
    empty = np.empty((y.size, 0))
    large = Regression(x=empty, centre=empty[0], scale=empty[0], outcome=outcome, offset=np.array(logit))
    intercept = float(maximum_likelihood(large).beta[0])
    if not (spread := float(np.std(logit))) > 0:
        return intercept, None
    column = np.array(logit)[:, None]
    line = replace(large, x=column, centre=np.array([logit.mean()]), scale=np.array([spread]), offset=np.empty(0))
    climbed = maximum_likelihood(line)
    return intercept, float(climbed.beta[1] / spread) if climbed.settled else None


def _bins(probability: FloatArray, y: BoolArray, bins: int, minimum: int) -> tuple[CalibrationBin, ...]:
    """Quantile groups, each merged with its neighbours until each arm's count is 0 or the minimum."""
    score = settled(probability, SCORE)
    place = np.searchsorted(cuts(score, np.arange(1, bins) / bins, SCORE), score, side="left")
    n, n1, total = (np.bincount(place, weights=w, minlength=bins) for w in (np.ones(y.size), y, probability))

    def shown(group: FloatArray) -> bool:
        return group[0] > 0 and all(count == 0 or count >= minimum for count in (group[1], group[0] - group[1]))

    groups: list[FloatArray] = []
    pending = np.zeros(3)
    for tenth in np.column_stack([n, n1, total]):
        pending = pending + tenth
        if shown(pending):
            groups.append(pending)
            pending = np.zeros(3)
    while pending[0] > 0 and groups:
        pending = pending + groups.pop()
        if shown(pending):
            groups.append(pending)
            pending = np.zeros(3)
    return tuple(
        CalibrationBin(n=int(rows), n_treated=int(events), predicted=float(mass / rows), observed=float(events / rows))
        for rows, events, mass in groups
    )
