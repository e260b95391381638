"""What the table builders of one chunk share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from causal.simulation.course import Course
from causal.simulation.draws import DAY, Seconds
from causal.simulation.identifiers import opaque_ids
from causal.simulation.parameters import AS_OF, SimulationParameters
from causal.simulation.trajectories import Paths
from causal.simulation.world import World

AS_OF_DAY = (AS_OF - type(AS_OF)(1970, 1, 1)).days
_ROWS_PER_CHUNK = 1 << 22
"""More rows than any table of a chunk can have: running numbers of different chunks never meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One chunk of n people as it happened, and the ids under which it is recorded.

    Attributes
    ----------
    number
        Running number of the chunk.
    person_ids, clinician_ids, clinic_ids
        Ids of the chunk's people, and of all clinicians and clinics.
    key
        Key of the id permutation.
    rng
        For what is recorded besides the causal process; nothing of the truth depends on it.
    dirt
        For faults injected afterwards.
    """

    number: int
    parameters: SimulationParameters
    world: World
    course: Course
    factual: Paths
    person_ids: pa.LargeStringArray
    clinician_ids: pa.LargeStringArray
    clinic_ids: pa.LargeStringArray
    key: int
    rng: np.random.Generator
    dirt: np.random.Generator

    def absolute(self, persons: NDArray[np.int64], seconds: Seconds) -> Seconds:
        """Seconds since 1970-01-01 of times counted from the midnight before each person's intake."""
        return self.course.intake_day[persons] * DAY + seconds

    def new_ids(self, kind: str, count: int) -> pa.LargeStringArray:
        """Ids for the `count` rows of one table of this chunk."""
        return opaque_ids(kind, self.number * _ROWS_PER_CHUNK + np.arange(count), self.key)


def recorded(seconds: Seconds) -> NDArray[np.bool_]:
    """Whether a time (seconds since 1970-01-01) lies within the record, which ends with the last second of `AS_OF`."""
    return seconds < (AS_OF_DAY + 1) * DAY
