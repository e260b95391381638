"""Sorting on packed integers against numpy's sort of the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.packed_sort import sort_entries


@st.composite
def scores(draw: st.DrawFn) -> np.ndarray:
    """Draw scores with ties, close neighbours, outliers and ordinary values."""
    one = st.one_of(
        st.integers(-3, 3).map(float),
        st.floats(-1e300, 1e300),
        st.floats(-5, 5),
        st.integers(0, 9).map(lambda k: 1 + k * 2.0**-52),
        st.sampled_from([0.0, -0.0, 5e-324, 1e300, -1e300, 1.7e308, -1.7e308]),
    )
    return np.array(draw(st.lists(one, min_size=1, max_size=60)))


@settings(max_examples=200, deadline=None)
@given(scores(), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**31))
def test_order_is_that_of_the_values(score: np.ndarray, n_blocks: int, lists: int, seed: int) -> None:
    """Whatever the scores, entries come by block, score and row, and blocks begin where they should."""
    rng = np.random.default_rng(seed)
    block, among = rng.integers(-1, n_blocks, (lists, score.size)), rng.random(score.size) < 0.8
    found = sort_entries(score, among, block, n_blocks)
    s, row = np.nonzero((block >= 0) & among)
    order = np.lexsort((row, score[row], block[s, row]))
    start = np.searchsorted(np.sort(block[s, row]), np.arange(n_blocks + 1))
    np.testing.assert_array_equal(found.start, start)
    np.testing.assert_array_equal(found.score, score[row[order]])
    entries = np.column_stack([block[s, row][order], row[order]])
    blocks = np.repeat(np.arange(n_blocks), np.diff(start))
    np.testing.assert_array_equal(np.column_stack([blocks, found.row]), entries)
    same = (found.score[1:] == found.score[:-1]) & (blocks[1:] == blocks[:-1])
    assert found.tied == same.any()


@pytest.mark.parametrize("outlier", [1e300, 1e12])
def test_outliers_crowd_the_grid(outlier: float) -> None:
    """An outlier puts all other scores into one cell of the grid; ranks then sort them, ties by row."""
    score = np.r_[np.random.default_rng(3).normal(size=5000).round(3), outlier]
    found = sort_entries(score, np.ones(5001, dtype=np.bool_), np.zeros((1, 0), dtype=np.int64), 1)
    np.testing.assert_array_equal(found.row, np.argsort(score, kind="stable"))


@pytest.mark.slow
def test_rows_that_need_every_bit() -> None:
    """Beyond 2^23 rows the bits of score and row would fill all 64 and leave none for the block: one is kept free."""
    score = np.random.default_rng(4).normal(size=2**23 + 1)
    found = sort_entries(score, np.ones(score.size, dtype=np.bool_), np.zeros((1, 0), dtype=np.int64), 1)
    np.testing.assert_array_equal(found.score, np.sort(score))
    np.testing.assert_array_equal(score[found.row], found.score)
    assert found.start.tolist() == [0, score.size]
