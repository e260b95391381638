"""Of whom the comparison speaks: the treated that were kept beside all that were eligible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance import fixed_sd
from causal.errors import DesignError
from causal.numeric.grid import SCORE, cuts, settled

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """One covariate: mean among treated occasions kept and among all eligible, and their difference in SD of these."""

    name: str
    tier: int
    mean_kept: float
    mean_eligible: float
    smd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalisability:
    """How well the treated kept stand for the treated eligible.

    Attributes
    ----------
    rows
        One per covariate.
    share_kept
        Treated occasions with weight over all eligible.
    index
        Tipton's generalizability index, 0 to 1: 1 where the kept are distributed over the score as the eligible are.
        Her rule of thumb: from .9 as good as a random sample, below .5 no ground to generalise.
    n_bins
        Bins of the score it was taken over.
    """

    rows: tuple[KeptRow, ...]
    share_kept: float
    index: float
    n_bins: int


def generalisability(
    covariates: FloatArray,
    names: Sequence[str],
    tiers: Sequence[int],
    treated: BoolArray,
    weights: FloatArray,
    score: FloatArray,
    *,
    bins: int = 10,
) -> Generalisability:
    """Treated occasions kept beside all eligible ones.

    Parameters
    ----------
    covariates, names, tiers
        (n, p), p and p: everyone eligible, of both arms, so that denominators are those of the balance table.
    treated, weights
        (n,) arm and weights of the design, 0 for occasions it leaves out.
    score
        (n,) what decides who is kept: the log odds of treatment, or of being kept.
    bins
        Bins that each hold as many of the eligible as ties allow.

    Raises
    ------
    DesignError
        ``design.empty_arm`` when no treated occasion is eligible or kept, ``design.not_finite``, ``design.bins``.

    Notes
    -----
    Tipton (2014), J Educ Behav Stat 39:478-501: ``sum_j sqrt(p_j q_j)`` with p and q the shares of the eligible and
    of the kept in bin j, weighted as in the design (Bhattacharyya's coefficient). With few kept in many bins it falls
    below 1 by chance alone. Differences are those of a covariate's weighted mean among the kept from the mean of all
    eligible treated, in SD of these; Stuart, Cole, Bradshaw & Leaf (2011), J R Stat Soc A 174:369-386.

    >>> x = np.arange(40.0)[:, None]
    >>> treated = np.arange(40) % 2 == 0
    >>> found = generalisability(x, ["age"], [1], treated, (x[:, 0] < 20).astype(float), x[:, 0], bins=2)
    >>> found.share_kept, round(found.index, 3), found.rows[0].mean_kept - found.rows[0].mean_eligible
    (0.5, 0.707, -10.0)
    """
    arm, w = np.asarray(treated, dtype=np.bool_), np.asarray(weights, dtype=np.float64)
    kept = w[arm]
    if not kept.sum() > 0:
        raise DesignError("design.empty_arm", "no treated occasion is in the comparison: it speaks of nobody")
    if bins < 2:
        raise DesignError("design.bins", f"the index needs 2 bins or more, got {bins}")
    x, place = np.asarray(covariates, dtype=np.float64)[arm], np.asarray(score, dtype=np.float64)[arm]
    if not (np.isfinite(x).all() and np.isfinite(place).all()):
        raise DesignError("design.not_finite", "a covariate or the score has missing or infinite values")
    sd = fixed_sd(covariates, arm)
    shares = _shares(place, kept, bins)
    means = np.average(x, axis=0, weights=kept), x.mean(axis=0)
    return Generalisability(
        rows=tuple(
            KeptRow(
                name=name,
                tier=tier,
                mean_kept=float(one),
                mean_eligible=float(every),
                smd=float((one - every) / scale) if scale > 0 else 0.0,
            )
            for name, tier, one, every, scale in zip(names, tiers, *means, sd, strict=True)
        ),
        share_kept=float((kept > 0).mean()),
        index=min(float(np.sqrt(shares[0] * shares[1]).sum()), 1.0),
        n_bins=shares.shape[1],
    )


def _shares(score: FloatArray, kept: FloatArray, bins: int) -> FloatArray:
    """Shares (2, k) of the eligible and of the kept's weight in bins between quantiles of the score (n1,)."""
    score = settled(score, SCORE)
    edges = np.unique(cuts(score, np.arange(1, bins) / bins, SCORE))
    place = np.searchsorted(edges, score, side="right")
    mass = [np.bincount(place, weights=w, minlength=edges.size + 1) for w in (np.ones(score.size), kept)]
    return np.array([m / m.sum() for m in mass])
