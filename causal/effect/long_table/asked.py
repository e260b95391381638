"""What an analysis of a long table is given beside its own declaration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.errors_by import Clusterings, clusterings
from causal.effect.long_table.people import Followed, Visited
from causal.effect.secondary.finding import Scale
from causal.protocol.long_table import plain
from causal.protocol.words import Words

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfVisits:
    """People at visits, with the study's words, the level of its intervals and its seed."""

    table: Visited
    words: Words
    level: float
    seed: int

    @property
    def clusterings(self) -> Clusterings:
        """Of the n people."""
        table = self.table
        own = np.arange(table.treated.size, dtype=np.int64)
        return clusterings(table.treated, own, table.clusters if table.clustered else None)

    def counts(self, visit: int) -> tuple[int, int]:
        """Treated and comparison people with an outcome at a visit."""
        seen = np.isfinite(self.table.scores[:, visit])
        return int((seen & self.table.treated).sum()), int((seen & ~self.table.treated).sum())

    @property
    def scale(self) -> Scale:
        """Unit of differences: of shares, where the outcome is 0 or 1 throughout."""
        return "risk difference" if self._yes_or_no else "points"

    @property
    def _yes_or_no(self) -> bool:
        scores = self.table.scores
        return bool(np.isin(scores[np.isfinite(scores)], (0.0, 1.0)).all())

    def events(self, visit: int) -> tuple[int, int] | None:
        """Treated and comparison people with a 1 at a visit, of an outcome of 0 and 1; None of any other."""
        if not self._yes_or_no:
            return None
        happened = self.table.scores[:, visit] == 1.0
        return int((happened & self.table.treated).sum()), int((happened & ~self.table.treated).sum())

    @property
    def fewest_events(self) -> tuple[int, int] | None:
        """The same of the visit at which a group's ones or noughts are fewest: what an answer over all visits tells."""
        found = [(self.counts(k), self.events(k)) for k in range(len(self.table.labels))]
        kept = [(min(*of, *(n - m for n, m in zip(seen, of, strict=True))), of) for seen, of in found if of is not None]
        return min(kept)[1] if kept else None

    def position(self, visit: str | float) -> int:
        """Place of a visit among those compared."""
        return [plain(label) for label in self.table.labels].index(plain(visit))

    def rng(self, name: str) -> np.random.Generator:
        """The analysis's own stream of random numbers: adding another analysis changes nothing here."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, *name.encode()]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfSpells:
    """Spells of people, with the study's words and the level of its intervals."""

    table: Followed
    words: Words
    level: float


AT_RANDOM = (
    "Missed visits count for nothing but what was seen tells: those who missed one are taken for like those with the "
    "same treatment, covariates and earlier outcomes who did not. Nothing in the table can check that."
)
"""What every analysis by likelihood takes for true."""


def missed(asked: OfVisits) -> tuple[str, ...]:
    """`AT_RANDOM`, where any visit was missed."""
    return () if np.isfinite(asked.table.scores).all() else (AT_RANDOM,)


def left_out(names: tuple[str, ...]) -> tuple[str, ...]:
    """A note of covariates that others determine."""
    return (f"Left out, because others determine them: {', '.join(names)}.",) if names else ()


def adjusted(names: tuple[str, ...]) -> str:
    """Which covariates an analysis adjusts for, as a sentence."""
    return f"Adjusted for {', '.join(names)}." if names else "Adjusted for nothing."
