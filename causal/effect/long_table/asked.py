"""What an analysis of a long table is given beside its own declaration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.errors_by import Clusterings, clusterings
from causal.effect.long_table.people import Followed, Visited
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
