"""Change of one person against measurement error (Jacobson & Truax 1991)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RELIABLE_Z = 1.96
Basis = Literal["test_retest", "alpha"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliableChange:
    """Change of n people against measurement error.

    Attributes
    ----------
    sem, sdiff
        Standard error of one measurement and of a difference of two, in score points.
    threshold
        Smallest reliable change, 1.96 sdiff, in score points.
    index
        (n,) change / sdiff; NaN where a score is missing.
    reliable
        (n,) whether the index is beyond 1.96 either way; False where it is NaN.
    basis, reference
        Which kind of reliability, and the sample that it and the standard deviation are from.
    """

    sem: float
    sdiff: float
    threshold: float
    index: Floats
    reliable: NDArray[np.bool_]
    basis: Basis
    reference: str


def reliable_change(
    before: ArrayLike, after: ArrayLike, *, sd: float, reliability: float, basis: Basis, reference: str
) -> ReliableChange:
    """Reliable change index (Jacobson & Truax 1991): SEM = SD sqrt(1 - r), Sdiff = sqrt(2) SEM, RCI = change / Sdiff.

    Parameters
    ----------
    before, after
        (n,) scores.
    sd, reliability
        Of the reference sample.
    basis
        Whether the reliability is test-retest or alpha; alpha leaves out how people vary from day to day, so it
        overstates the precision of a change.
    reference
        The sample, in words for a report.

    Raises
    ------
    ValueError
        `sd` is not positive, `reliability` is outside [0, 1), or `reference` is empty.

    >>> change = reliable_change(
    ...     [3.0, 3.0], [3.7, 3.4], sd=0.75, reliability=0.92, basis="alpha", reference="this clinic's intakes of 2023"
    ... )
    >>> round(change.threshold, 3), change.reliable.tolist()
    (0.588, [True, False])
    """
    if not sd > 0 or not 0 <= reliability < 1:
        raise ValueError("expected sd > 0 and 0 <= reliability < 1")
    if not reference.strip():
        raise ValueError("expected the reference sample in words")
    sem = sd * np.sqrt(1 - reliability)
    sdiff = np.sqrt(2) * sem
    index = (np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)) / sdiff
    return ReliableChange(
        sem=float(sem),
        sdiff=float(sdiff),
        threshold=float(RELIABLE_Z * sdiff),
        index=index,
        reliable=np.abs(index) > RELIABLE_Z,
        basis=basis,
        reference=reference,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeShares:
    """Weighted shares, in [0, 1], of one arm whose score fell or rose by more than measurement error.

    `measured` is the number of people with both scores, of whom these are shares.
    """

    fell: float
    rose: float
    measured: int


def change_shares(change: ReliableChange, treated: ArrayLike, weights: ArrayLike) -> tuple[ChangeShares, ChangeShares]:
    """Shares with a reliable change in the treated and in the comparison arm: a difference needs both.

    Parameters
    ----------
    treated, weights
        (n,) arm, and matching or other weights; people of weight 0 or without both scores are left out.

    Raises
    ------
    ValueError
        An arm has nobody with both scores.

    >>> moved = reliable_change(
    ...     [3, 3, 3, 3], [4, 3, 2, 3], sd=0.75, reliability=0.92, basis="test_retest", reference="made up"
    ... )
    >>> change_shares(moved, [True, True, False, False], [1, 1, 1, 1])[1]
    ChangeShares(fell=0.5, rose=0.0, measured=2)
    """
    treated, weights = np.asarray(treated, dtype=bool), np.asarray(weights, dtype=np.float64)
    return _shares(change, treated, weights), _shares(change, ~treated, weights)


def _shares(change: ReliableChange, arm: NDArray[np.bool_], weights: Floats) -> ChangeShares:
    kept = arm & (weights > 0) & ~np.isnan(change.index)
    if not kept.any():
        raise ValueError("an arm has nobody with both scores")
    index, weight = change.index[kept], weights[kept] / weights[kept].sum()
    return ChangeShares(
        fell=float(weight[index < -RELIABLE_Z].sum()),
        rose=float(weight[index > RELIABLE_Z].sum()),
        measured=int(kept.sum()),
    )
