"""Follow-up of two arms drawn for the tests of this area."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

Draw = Callable[..., dict[str, Any]]
EVENT_HAZARD = (0.004, 0.006)  # per day: comparison, treated
OTHER_HAZARD = 0.003


def drawn(
    rng: np.random.Generator, n_clusters: int = 40, size: int = 6, *, censored: bool = True, shared: float = 0.5
) -> dict[str, Any]:
    """Draw whole days to the end of relationships in clusters that cross arms.

    Each cluster's normal deviate enters the rank of its members' times, so that times within a cluster are alike while
    each person's are exponential with the hazards above.
    """
    clusters = np.repeat(np.arange(n_clusters), size)
    treated = np.tile(np.arange(size) < max(1, size // 3), n_clusters)
    event_time, other_time = (
        -np.log(
            norm.cdf(
                np.sqrt(shared) * rng.normal(size=n_clusters)[clusters]
                + np.sqrt(1 - shared) * rng.normal(size=clusters.size)
            )
        )
        / hazard
        for hazard in (np.take(EVENT_HAZARD, treated.astype(int)), OTHER_HAZARD)
    )
    seen = rng.uniform(60, 600, clusters.size) if censored else np.full(clusters.size, 600.0)
    time = np.minimum(np.minimum(event_time, other_time), seen)
    cause = np.where(time == event_time, 1, np.where(time == other_time, 2, 0))
    weights = np.where(treated, 1.0, rng.choice([0.25, 0.5, 1.0], clusters.size))
    return {"time": np.ceil(time), "cause": cause, "treated": treated, "weights": weights, "clusters": clusters}


@pytest.fixture
def draw() -> Draw:
    """Draw arms, as `drawn` says."""
    return drawn
