"""The treated kept beside the treated eligible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.diagnostics.generalisability import generalisability
from causal.errors import DesignError


def sample(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number and an indicator, arms and a score."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]).astype(float)
    return x, rng.random(n) < 0.4, x[:, 0] + rng.normal(size=n)


def test_by_hand() -> None:
    """Kept 1 and 2 of 1, 2, 3, 6: share .5; mean 1.5 against 3 over the SD; index sqrt(.5 x 1) in two bins."""
    x = np.array([1.0, 2.0, 3.0, 6.0, 50.0])
    treated, weights = np.array([True, True, True, True, False]), np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    found = generalisability(x[:, None], ["age"], [2], treated, weights, x, bins=2)
    assert (found.share_kept, found.n_bins) == (0.5, 2)
    assert found.index == pytest.approx(np.sqrt(0.5))
    (row,) = found.rows
    assert (row.name, row.tier, row.mean_kept, row.mean_eligible) == ("age", 2, 1.5, 3.0)
    assert row.smd == pytest.approx(-1.5 / np.std([1, 2, 3, 6], ddof=1))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 50), st.floats(-20, 20))
def test_everybody_kept_is_everybody(seed: int, scale: float, shift: float) -> None:
    """All kept with equal weight: index 1 and no difference; and neither depends on units or monotone scores."""
    x, treated, score = sample(seed)
    found = generalisability(x, ["a", "b"], [1, 1], treated, np.full(300, 2.0), score)
    assert (found.share_kept, found.index) == (1.0, pytest.approx(1.0))
    assert [row.smd for row in found.rows] == pytest.approx([0.0, 0.0], abs=1e-12)
    kept = np.random.default_rng(seed).random(300) * (score < 1)
    one = generalisability(x, ["a", "b"], [1, 1], treated, kept, score)
    two = generalisability(x * scale + shift, ["a", "b"], [1, 1], treated, kept, np.arctan(score))
    assert 0 <= one.index <= 1
    assert two.index == pytest.approx(one.index)
    assert [row.smd for row in two.rows] == pytest.approx([row.smd for row in one.rows], abs=1e-9)


def test_index_of_two_normals() -> None:
    """Kept by importance weights to a normal one SD away: Bhattacharyya's coefficient is exp(-1/8) = .8825."""
    rng = np.random.default_rng(1)
    score = rng.normal(size=200_000)
    treated = np.ones(200_001, dtype=bool)
    treated[-1] = False
    weights = np.r_[np.exp(score - 0.5), 1.0]
    found = generalisability(np.r_[score, 0.0][:, None], ["a"], [1], treated, weights, np.r_[score, 0.0], bins=200)
    assert found.index == pytest.approx(np.exp(-1 / 8), abs=0.005)
    assert found.rows[0].smd == pytest.approx(1.0, abs=0.02)


def test_the_comparisons_do_not_matter() -> None:
    """Neither their values nor their scores nor their weights enter."""
    x, treated, score = sample(2)
    weights = np.where(score < 0.5, 1.0, 0.0)
    one = generalisability(x, ["a", "b"], [1, 1], treated, weights, score)
    x2, score2, weights2 = x.copy(), score.copy(), weights.copy()
    x2[~treated] = 1 - x2[~treated]
    score2[~treated] = 0
    weights2[~treated] = 3
    two = generalisability(x2, ["a", "b"], [1, 1], treated, weights2, score2)
    assert (two.index, two.share_kept) == (one.index, one.share_kept)
    assert [row.smd for row in two.rows] == pytest.approx([row.smd for row in one.rows], rel=1e-12)


def test_refusals() -> None:
    """Nobody kept, one bin, a missing score."""
    x, treated, score = sample(3)
    for weights, values, bins, code in (
        (np.where(treated, 0.0, 1.0), score, 10, "design.empty_arm"),
        (np.ones(300), score, 1, "design.bins"),
        (np.ones(300), np.where(score > 1, np.nan, score), 10, "design.not_finite"),
    ):
        with pytest.raises(DesignError) as caught:
            generalisability(x, ["a", "b"], [1, 1], treated, weights, values, bins=bins)
        assert caught.value.code == code
