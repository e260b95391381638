"""Of the eligible the compared are a part: what both parts' shares tell of those who were left out.

Shares are printed in whole percent, so that a share and the size of its group leave a few counts open; so does a
standardised difference. Only where each of these would be small is something withheld.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance import BalanceRow
from causal.records import Design
from validation.disclosure.flow import AttritionStep
from validation.disclosure.profile import Profile
from validation.disclosure.rounding import range_of_share, rounded_share

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ELIGIBLE = -3
"""The last step of a cohort: everyone eligible, before support and matching."""
SMD_DECIMALS = 2
HALF = 0.5 * 10.0**-SMD_DECIMALS
EXACT = 1e-9
TREATED, COMPARISON = "treated", "comparison"
NOBODY = np.zeros(0, dtype=np.int64)
WIDEST = 100
"""A group whose size is open by more than this leaves every count of those left out open."""


class Arm(NamedTuple):
    """One group: everyone eligible, those compared with their weights (n,), and the share of these with a fact."""

    column: str
    eligible: int
    compared: int
    weights: Floats
    share: float


def arms_that_tell(row: BalanceRow, design: Design, flow: Sequence[AttritionStep], profile: Profile) -> frozenset[str]:
    """Groups, treated or comparison, of which it tells that few of those left out have a yes-or-no fact, or lack it.

    What is printed of the fact is in `row`; the sizes of the groups a reader knows from the `flow`, as it is shown.
    """
    return frozenset(arm.column for arm in _arms(row, design) if _tells(arm, row, design.estimand, flow, profile))


def _arms(row: BalanceRow, design: Design) -> Iterator[Arm]:
    of = design.members["treated"].to_numpy(dtype=np.bool_)
    weights = design.members["weight"].to_numpy(dtype=np.float64)
    everyone = design.attrition[ELIGIBLE].comparison
    yield Arm(TREATED, design.n_eligible_treated, design.n_treated, weights[of], row.mean_treated_after)
    yield Arm(COMPARISON, everyone, design.n_comparison, weights[~of], row.mean_comparison_after)


def _tells(arm: Arm, row: BalanceRow, estimand: str, flow: Sequence[AttritionStep], profile: Profile) -> bool:
    """Whether all numbers of those left out with the fact, or without it, that fit what is printed are small."""
    compared = _counts(arm.weights, arm.share)
    has, lacks = [NOBODY], [NOBODY]
    for size in _sizes(arm, flow):
        before, lost = _before(arm, row, estimand, size), size - arm.compared
        gone = (before[:, None] - compared)[_fits(arm, row, estimand, before / size, compared)]
        gone = gone[(gone >= 0) & (gone <= lost)]
        has.append(gone)
        lacks.append(lost - gone)
    return any(_all_small(np.concatenate(left), profile) for left in (has, lacks))


def _all_small(counts: Ints, profile: Profile) -> bool:
    return bool(counts.size) and profile.is_small(int(counts.min())) and profile.is_small(int(counts.max()))


def _sizes(arm: Arm, flow: Sequence[AttritionStep]) -> range:
    """How many may have been eligible, as far as the flow tells; empty where it leaves that open."""
    shown = [n for step in flow if (n := getattr(step, arm.column)) is not None]
    above = [n for n in shown if n >= arm.eligible]
    if not above:
        return range(0)
    low, high = max([arm.compared, *(n for n in shown if n <= arm.eligible)]), min(above)
    return range(low, high + 1) if high - low <= WIDEST else range(0)


def _counts(weights: Floats, share: float) -> Ints:
    """How many of a weighted group may have a fact whose share is printed: (k,)."""
    low, high = range_of_share(rounded_share(share))
    ordered = np.sort(weights)
    total = ordered.sum()
    fewest = int(np.searchsorted(np.cumsum(ordered[::-1]), low * total - EXACT))
    most = int(np.searchsorted(np.cumsum(ordered), high * total + EXACT, side="right"))
    least = 0 if low * total <= EXACT else fewest + 1
    return np.arange(least, most + 1, dtype=np.int64)


def _before(arm: Arm, row: BalanceRow, estimand: str, size: int) -> Ints:
    """How many of all eligible of a group may have the fact: (e,), from a share, or from a standardised difference."""
    n = np.arange(size + 1, dtype=np.int64)
    low, high = range_of_share(rounded_share(row.mean_comparison_before))
    if arm.column == COMPARISON:
        return n[(n >= low * size - EXACT) & (n <= high * size + EXACT)]
    share, printed = n / size, round(row.smd_before, SMD_DECIMALS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [(share - other) / _spread(row, estimand, share, other) for other in (low, high)]
    return n[(ends[0] >= printed - HALF - EXACT) & (ends[1] <= printed + HALF + EXACT)]


def _fits(arm: Arm, row: BalanceRow, estimand: str, before: Floats, compared: Ints) -> BoolArray:
    """Which pairs (e, k) of shares before and counts after matching agree with the difference after matching."""
    if arm.column == COMPARISON:
        return np.ones((before.size, compared.size), dtype=np.bool_)
    low, high = range_of_share(rounded_share(row.mean_comparison_after))
    spread = _spread(row, estimand, before, row.mean_comparison_before)[:, None]
    other = compared / arm.compared - round(row.smd_after, SMD_DECIMALS) * spread
    return (other >= low - HALF * spread - EXACT) & (other <= high + HALF * spread + EXACT)


def _spread(row: BalanceRow, estimand: str, share: Floats, other: float) -> Floats:
    """What a difference is divided by (`causal.design.diagnostics.balance.fixed_sd`), for each share: (e,)."""
    own, others = share * (1 - share), np.full(share.size, other * (1 - other))
    match estimand:
        case "ATT":
            return np.asarray(np.sqrt(np.where(own > 0, own, others / 2)))
        case "ATC":
            return np.asarray(np.sqrt(np.where(others > 0, others, own / 2)))
        case "ATE":
            return np.asarray(np.sqrt((own + others) / 2))
    mean = (row.mean_treated_after + row.mean_comparison_after) / 2  # of the weighted, whose share is printed
    return np.full(share.size, max(mean * (1 - mean), EXACT) ** 0.5)
