"""Somebody who holds what was printed and solves for what was not: integer programmes over unknown counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

SOLVED, UNBOUNDED = 0, 3
"""How `scipy.optimize.milp` reports its end."""
ROUNDING = 1e-6
"""How far a whole number may be missed by."""

Sum = Mapping[str, float]
"""Counts by name, each with how often it is taken."""


@dataclass
class Attacker:
    """Unknown counts, whole and not negative, and what is known of sums of them."""

    names: dict[str, int] = field(default_factory=dict)
    lowest: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    known: list[tuple[dict[str, float], float, float]] = field(default_factory=list)
    _limits: tuple[tuple[int, int], LinearConstraint] | None = None

    def count(self, name: str, low: float = 0, high: float = inf) -> str:
        """There is a count of this name between two bounds; said twice, both hold."""
        place = self.names.setdefault(name, len(self.names))
        if place == len(self.lowest):
            self.lowest.append(0.0)
            self.highest.append(inf)
        self.lowest[place] = max(self.lowest[place], low)
        self.highest[place] = min(self.highest[place], high)
        return name

    def knows(self, terms: Sum, low: float = -inf, high: float = inf) -> None:
        """A sum of counts lies between two bounds."""
        for name in terms:
            self.count(name)
        self.known.append((dict(terms), low, high))

    def learns(self, terms: Sum, value: int | None) -> None:
        """A sum of counts was printed, or withheld."""
        if value is not None:
            self.knows(terms, value, value)

    def smallest_and_largest(self, terms: Sum) -> tuple[float, float]:
        """Between which values a sum of counts must lie."""
        return self._end(terms, 1), -self._end(terms, -1)

    def derives_small(self, terms: Sum, threshold: int) -> bool:
        """Whether every value the sum can have is from 1 to `threshold` - 1."""
        return -self._end(terms, -1) < threshold - ROUNDING and self._end(terms, 1) > ROUNDING

    def finds(self, cells: Mapping[str, Sum], threshold: int) -> dict[str, tuple[float, float]]:
        """The cells that must be small, with their smallest and largest value."""
        return {
            name: self.smallest_and_largest(terms)
            for name, terms in cells.items()
            if self.derives_small(terms, threshold)
        }

    def _end(self, terms: Sum, sign: int) -> float:
        """The smallest value of a sum, or the largest with its sign turned; minus infinity where it is open."""
        size = (len(self.known), len(self.names))
        if self._limits is None or self._limits[0] != size:
            matrix = csr_array(np.array([self._row(known) for known, _, _ in self.known]).reshape(size))
            self._limits = (size, LinearConstraint(matrix, [k[1] for k in self.known], [k[2] for k in self.known]))
        found = milp(
            sign * self._row(terms),
            integrality=np.ones(size[1]),
            bounds=Bounds(self.lowest, self.highest),
            constraints=[self._limits[1]] if self.known else [],
        )
        if found.status == UNBOUNDED or (found.status != SOLVED and "unbounded" in found.message.lower()):
            return -inf
        assert found.status == SOLVED, f"no world fits what was printed: {found.message}"
        return float(np.round(found.fun, 6))

    def _row(self, terms: Sum) -> np.ndarray:
        row = np.zeros(len(self.names))
        for name, times in terms.items():
            row[self.names[name]] += times
        return row
