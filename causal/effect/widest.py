"""The wider of several intervals for one estimate: what is told where no single clustering can be trusted alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

ROUNDING = 1e-9
"""Relative difference of widths below which two intervals are equally wide: the order of sums decides nothing."""


class Interval(Protocol):
    """Anything with two ends, on the scale on which its width means something."""

    @property
    def lower(self) -> float:
        """Lower end."""
        ...

    @property
    def upper(self) -> float:
        """Upper end."""
        ...


Ends = TypeVar("Ends", bound=Interval)


def widest(found: Sequence[tuple[str, Ends]]) -> tuple[str, Ends]:
    """The widest of named intervals of one estimate; of equally wide ones the last.

    With few clusters the interval by cluster may be too narrow by chance (it rests on few differences), and the one by
    matched set is too narrow by construction where clusters drift apart. Neither is known to be the honest one in the
    sample at hand; the wider covers whenever either does.

    >>> from causal.effect.contrast import student
    >>> by = [("set", student("", 0.1, 0.2, 50)), ("cluster", student("", 0.1, 0.1, 3))]
    >>> widest(by)[0], widest(by[::-1])[0], widest([by[0], ("cluster", by[0][1])])[0]
    ('set', 'set', 'cluster')
    """
    chosen = found[-1]
    for other in found[-2::-1]:
        if other[1].upper - other[1].lower > (chosen[1].upper - chosen[1].lower) * (1 + ROUNDING):
            chosen = other
    return chosen
