"""Under which rule numbers leave: that of the study, by default the one of the US Centers for Medicare & Medicaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causal.protocol import CohortStudy, OccasionStudy

CMS_THRESHOLD = 11
"""Smallest count above zero that may be shown under the CMS rule."""
LOWEST_THRESHOLD = 2
"""A threshold of 1 would withhold nothing."""
LEAST_DF = 10
"""Fewer degrees of freedom than this tell too much of single occasions (the ABS's rule for model output)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a study lets leave: no count from 1 to `threshold` - 1, no interval of fewer than `least_df` freedoms.

    Raises
    ------
    ValueError
        If `threshold` is below 2.

    >>> [n for n in (0, 1, 10, 11) if Profile(threshold=11).is_small(n)]
    [1, 10]
    """

    threshold: int
    least_df: int = LEAST_DF

    def __post_init__(self) -> None:
        """Refuse a threshold that withholds nothing."""
        refuse_low(self.threshold)

    def is_small(self, n: int) -> bool:
        """Whether a count may not be shown."""
        return is_small(n, self.threshold)


def profile_of(study: OccasionStudy | CohortStudy) -> Profile:
    """The rule that a study declares under ``governance.small_cells``."""
    return Profile(threshold=study.governance.small_cells.threshold)


def is_small(n: int, threshold: int) -> bool:
    """Whether a count is from 1 to `threshold` - 1; raises `ValueError` where it is negative."""
    refuse_low(threshold)
    if n < 0:
        raise ValueError("a count cannot be negative")
    return 0 < n < threshold


def refuse_low(threshold: int) -> None:
    """Raise `ValueError` for a threshold that would withhold nothing."""
    if threshold < LOWEST_THRESHOLD:
        raise ValueError(f"a threshold below {LOWEST_THRESHOLD} withholds nothing")
