"""Coarsened exact matching: strata by bins and categories, pairs inside them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.coarsened import match_coarsened
from causal.design.matching.distance import mahalanobis_coordinates
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets, row_weights
from causal.errors import DesignError


def as_sets(sets: MatchedSets, key: np.ndarray) -> set[frozenset[int]]:
    """Return the sets as keys of their members."""
    return {frozenset(key[sets.row[sets.set_id == s]].tolist()) for s in range(sets.n_sets)}


def strata(values: list[float] | np.ndarray, **cuts: Any) -> list[list[float]]:
    """Bins of one column, each value with one occasion of either arm, as sorted values."""
    x = np.repeat(np.asarray(values, dtype=float), 2)
    sets = match_coarsened({"x": x}, np.arange(x.size) % 2 == 0, **cuts)
    return sorted(sorted({float(v) for v in x[sets.row[sets.set_id == s]]}) for s in range(sets.n_sets))


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        (2, [[0.0, 1.0], [5.0, 9.0, 10.0]]),  # the middle, 5, belongs to the upper bin
        (1, [[0.0, 1.0, 5.0, 9.0, 10.0]]),
        ([1.0, 9.5], [[0.0], [1.0, 5.0, 9.0], [10.0]]),
        ([-5.0, 20.0], [[0.0, 1.0, 5.0, 9.0, 10.0]]),  # cuts need not be ordered, nor lie within
        ([9.5, 1.0], [[0.0], [1.0, 5.0, 9.0], [10.0]]),
        ("exact", [[0.0], [1.0], [5.0], [9.0], [10.0]]),
        ("sturges", [[0.0, 1.0], [5.0], [9.0, 10.0]]),  # ceil(log2(10) + 1) = 5 bins 2 wide
        ("scott", [[0.0, 1.0], [5.0, 9.0, 10.0]]),  # s = 4.2426, 3.5 s / 10^(1/3) = 6.89: 2 bins
        ("fd", [[0.0, 1.0], [5.0, 9.0, 10.0]]),  # IQR 8, 16 / 10^(1/3) = 7.43: 2 bins
    ],
)
def test_bins_by_hand(cuts: Any, expected: list[list[float]]) -> None:
    """Equal bins from the smallest to the largest value, closed below."""
    assert strata([0.0, 1.0, 5.0, 9.0, 10.0], cutpoints=cuts) == expected


def test_rules_count_bins_as_r_does() -> None:
    """Scott: range/(3.5 s n^-1/3); Freedman and Diaconis: range/(2 IQR n^-1/3), over shrinking tails where IQR is 0."""
    x = np.random.default_rng(1).exponential(size=500)
    iqr = np.subtract(*np.quantile(np.r_[x, x], [0.75, 0.25]))
    for rule, width in (("scott", 3.5 * np.std(np.r_[x, x], ddof=1)), ("fd", 2 * iqr)):
        bins = int(np.ceil(np.ptp(x) / (width * 1000 ** (-1 / 3))))
        assert strata(x, cutpoints=rule) == strata(x, cutpoints=bins)
    mostly_zero = np.r_[np.zeros(80), np.arange(1.0, 21)]  # quartiles 0 and 0, so the outer octiles count
    width = np.subtract(*np.quantile(np.r_[mostly_zero, mostly_zero], [7 / 8, 1 / 8])) / (1 - 2 / 8)
    bins = int(np.ceil(20 / (width * 200 ** (-1 / 3))))
    assert strata(mostly_zero, cutpoints="fd") == strata(mostly_zero, cutpoints=bins)
    assert strata(np.r_[np.zeros(999), 1.0], cutpoints="fd") == strata(np.r_[np.zeros(999), 1.0], cutpoints="scott")


def test_a_constant_column_divides_nobody() -> None:
    """Whatever the rule."""
    treated = np.array([True, False])
    for rule in ("sturges", "scott", "fd", "exact"):
        assert match_coarsened({"x": np.zeros(2)}, treated, cutpoints=rule).n_sets == 1  # type: ignore[arg-type]


def test_categories_groups_and_keys() -> None:
    """Text is never cut; grouped values are one category; exact keys divide further."""
    race = np.array(["a", "b", "c", "a", "b", "c", "a", "b"])
    treated = np.array([True, True, True, False, False, False, False, True])
    assert match_coarsened({"race": race}, treated).n_sets == 3
    merged = match_coarsened({"race": race}, treated, groupings={"race": [["a", "c"]]})
    assert as_sets(merged, np.arange(8)) == {frozenset({0, 2, 3, 5, 6}), frozenset({1, 4, 7})}
    keyed = match_coarsened({"race": race}, treated, pairing=Pairing(exact=np.array([0, 0, 0, 0, 0, 0, 0, 5])))
    assert keyed.n_unmatched_treated == 1
    number = np.array([3, 3, 4, 5, 5, 7, 4, 3])
    grouped = match_coarsened({"x": number}, treated, groupings={"x": [[3, 5], [4, 7]]})
    assert as_sets(grouped, np.arange(8)) == {frozenset({0, 1, 3, 4, 7}), frozenset({2, 5, 6})}


def test_weights_by_hand() -> None:
    """Two treated beside one comparison: 1 and 2 (ATT), 1/2 and 1 (ATC), 3/2 and 3 (ATE)."""
    for estimand, expected in (("ATT", [1, 1, 2]), ("ATC", [0.5, 0.5, 1]), ("ATE", [1.5, 1.5, 3])):
        sets = match_coarsened({"x": np.zeros(3)}, np.array([True, True, False]), estimand=estimand)  # type: ignore[arg-type]
        assert sets.weight.tolist() == expected
    assert np.isnan(sets.distance).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), k2k=st.booleans())
def test_order_units_and_copies_do_not_matter(seed: int, k2k: bool) -> None:
    """Shuffled rows and other units give the same sets; twice the occasions in the same bins, the same weights."""
    rng = np.random.default_rng(seed)
    columns = {"u": rng.normal(size=80), "v": rng.normal(size=80), "w": rng.choice(["f", "m"], 80)}
    treated = rng.random(80) < 0.4
    kept = match_coarsened(columns, treated, cutpoints=3, k2k=k2k)
    order = rng.permutation(80)
    shuffled = match_coarsened({name: x[order] for name, x in columns.items()}, treated[order], cutpoints=3, k2k=k2k)
    assert as_sets(shuffled, order) == as_sets(kept, np.arange(80))
    scaled = {"u": columns["u"] * 8, "v": -columns["v"] / 4, "w": columns["w"]}
    assert as_sets(match_coarsened(scaled, treated, cutpoints=3, k2k=k2k), np.arange(80)) == as_sets(
        kept, np.arange(80)
    )
    if not k2k:
        twice = {name: np.repeat(x, 2) for name, x in columns.items()}
        doubled = match_coarsened(twice, np.repeat(treated, 2), cutpoints=3)
        assert (row_weights(doubled, 160)[::2] == row_weights(kept, 80)).all()


def test_pairs_are_the_nearest_possible() -> None:
    """Inside each stratum as many pairs as can be, of the least total Mahalanobis distance: all pairings tried."""
    rng = np.random.default_rng(4)
    columns = {"u": rng.normal(size=24), "v": rng.normal(size=24), "w": np.array(["f", "m"] * 12)}
    treated = rng.permutation(np.arange(24) < 9)
    sets = match_coarsened(columns, treated, cutpoints=1, k2k=True)
    points = mahalanobis_coordinates(np.column_stack([columns["u"], columns["v"]]), treated)
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    total = 0.0
    for level in ("f", "m"):
        rows = [np.flatnonzero((columns["w"] == level) & arm) for arm in (treated, ~treated)]
        few, many = sorted(rows, key=len)
        total += min(apart[few, list(others)].sum() for others in permutations(many, len(few)))
    assert sets.distance.sum() == pytest.approx(total)
    assert (np.bincount(sets.set_id) == 2).all()
    assert (sets.weight == 1).all()


def test_pairs_without_numbers() -> None:
    """Categories alone make pairs at no distance."""
    sets = match_coarsened({"w": np.array(["f", "f", "f"])}, np.array([True, False, False]), k2k=True)
    assert (sets.row.tolist(), sets.distance.tolist()) == ([0, 1], [0.0, 0.0])


GOOD: dict[str, Any] = {"columns": {"x": np.array([0.0, 0.0, 2.0])}, "treated": np.array([True, False, False])}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"treated": np.zeros(3, bool)}, "design.no_treated"),
        ({"treated": np.ones(3, bool)}, "design.no_comparison"),
        ({"columns": {}}, "design.no_covariates"),
        ({"columns": {"x": np.array([0.0, np.nan, 2.0])}}, "design.not_finite"),
        ({"columns": {"x": np.array(["f", None, "m"], dtype=object)}}, "design.not_finite"),
        ({"columns": {"x": np.array([1.0, 2.0, 2.0])}}, "design.nothing_matched"),
        ({"cutpoints": "quantile"}, "design.cutpoints"),
        ({"cutpoints": 0}, "design.cutpoints"),
        ({"cutpoints": {"x": []}}, "design.cutpoints"),
        ({"cutpoints": {"x": [np.nan]}}, "design.cutpoints"),
        ({"cutpoints": {"z": 3}}, "design.unknown_column"),
        ({"groupings": {"z": [[1]]}}, "design.unknown_column"),
        ({"pairing": Pairing(person=np.array([0, 1, 1]))}, "design.rule_unsupported"),
        ({"pairing": Pairing(prefer=np.zeros((3, 1), int), penalty=np.ones(1))}, "design.rule_unsupported"),
        ({"k2k": True, "memory": 1e-12}, "design.memory"),
    ],
)
def test_refusals(changed: dict[str, Any], code: str) -> None:
    """Bad input, and rules that would not be kept, are refused by name."""
    with pytest.raises(DesignError) as refusal:
        match_coarsened(**{**GOOD, **changed})
    assert refusal.value.code == code
