"""The search for donors beside all distances."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.missing.donors import nearest_donors


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    donors=st.integers(1, 25),
    spread=st.sampled_from([1, 4, 1000]),
    k=st.integers(1, 6),
)
def test_the_eligible_are_those_no_farther_than_the_kth(seed: int, donors: int, spread: int, k: int) -> None:
    """Few donors or many, with ties or without, beyond both ends of the line: the choice is that by definition."""
    rng = np.random.default_rng(seed)
    k = min(k, donors)
    means, wanted = rng.integers(0, spread, (3, donors)) / 4, rng.integers(-2, spread + 2, (3, 12)) / 8
    chance = rng.random((3, 12))
    found = nearest_donors(means, wanted, chance, k)
    for m in range(3):
        order = np.argsort(means[m], kind="stable")
        for i in range(12):
            distance = np.abs(means[m, order] - wanted[m, i])  # exact, in eighths
            eligible = order[distance <= np.sort(distance)[k - 1]]
            assert found[m, i] == eligible[int(chance[m, i] * eligible.size)]
