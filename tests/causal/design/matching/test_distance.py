"""Coordinates of covariate distances against the formulas written out, and what recoding may not change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from causal.design.matching.distance import (
    Covariance,
    mahalanobis_coordinates,
    rank_mahalanobis_coordinates,
    scaled_euclidean_coordinates,
)
from causal.errors import DesignError


def sample(seed: int, n: int = 40, p: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Draw correlated covariates, the last of them binary, shifted between arms of n/4 and 3n/4."""
    rng = np.random.default_rng(seed)
    treated = np.arange(n) < n // 4
    x = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + treated[:, None]
    x[:, -1] = x[:, -1] > np.quantile(x[:, -1], 0.8)
    return x, treated


def covariance_of(x: np.ndarray, treated: np.ndarray, kind: Covariance) -> np.ndarray:
    """Covariance by numpy, the arms' weighted by their degrees of freedom."""
    arms = [x[treated], x[~treated]]
    within = sum((len(arm) - 1) * np.cov(arm, rowvar=False) for arm in arms) / (len(x) - 2)
    return {"pooled_within": within, "whole": np.cov(x, rowvar=False), "comparison": np.cov(arms[1], rowvar=False)}[
        kind
    ]


def distances(coordinates: np.ndarray) -> np.ndarray:
    """Euclidean distance of every pair."""
    return np.asarray(cdist(coordinates, coordinates))


@pytest.mark.parametrize("kind", ["pooled_within", "whole", "comparison"])
def test_mahalanobis_is_scipys(kind: Covariance) -> None:
    """Distances agree with scipy's Mahalanobis distance under numpy's covariance."""
    x, treated = sample(1)
    inverse = np.linalg.inv(covariance_of(x, treated, kind))
    expected = cdist(x, x, "mahalanobis", VI=inverse)
    found = distances(mahalanobis_coordinates(x, treated, covariance=kind))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["pooled_within", "whole", "comparison"])
def test_scaled_euclidean_is_scipys(kind: Covariance) -> None:
    """Distances agree with scipy's standardised Euclidean distance under numpy's variances."""
    x, treated = sample(2)
    expected = cdist(x, x, "seuclidean", V=np.diag(covariance_of(x, treated, kind)))
    found = distances(scaled_euclidean_coordinates(x, treated, covariance=kind))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_rank_mahalanobis_is_rosenbaums() -> None:
    """Distances agree with the steps of Rosenbaum (2010, 8.3): ranks, untied variances, Moore-Penrose inverse."""
    x, _ = sample(3)
    x[:, 1] = x[:, 1].round()
    ranks = rankdata(x, axis=0)
    scale = np.cov(ranks, rowvar=False)
    ratio = np.sqrt(np.var(np.arange(1, 41), ddof=1) / np.diag(scale))
    expected = cdist(ranks, ranks, "mahalanobis", VI=np.linalg.pinv(np.diag(ratio) @ scale @ np.diag(ratio)))
    np.testing.assert_allclose(distances(rank_mahalanobis_coordinates(x)), expected, rtol=1e-9, atol=1e-9)


def test_rank_mahalanobis_with_aliased_ranks_is_rosenbaums() -> None:
    """Three indicators that sum to one: the same steps, the singular matrix inverted on its range."""
    rng = np.random.default_rng(4)
    indicators = np.eye(3)[rng.choice(3, 50, p=[0.6, 0.3, 0.1])]
    x = np.column_stack([rng.normal(size=50), indicators])
    ranks = rankdata(x, axis=0)
    scale = np.corrcoef(ranks, rowvar=False) * np.var(np.arange(1, 51), ddof=1)
    inverse = np.linalg.pinv(scale, rcond=1e-8)
    coordinates = rank_mahalanobis_coordinates(x)
    assert coordinates.shape == (50, 4)
    difference = ranks[:, None] - ranks
    expected = np.sqrt(np.einsum("abi,ij,abj->ab", difference, inverse, difference))
    np.testing.assert_allclose(distances(coordinates), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["pooled_within", "whole"])
def test_all_levels_of_a_category_measure_as_all_but_any_one(kind: Covariance) -> None:
    """Mahalanobis distance on q indicators that sum to one is that on q - 1 of them, whichever is left out."""
    rng = np.random.default_rng(8)
    indicators = np.eye(4)[rng.choice(4, 90, p=[0.5, 0.25, 0.15, 0.1])]
    x, treated = np.column_stack([rng.normal(size=90), indicators]), np.arange(90) % 3 == 0
    everything = distances(mahalanobis_coordinates(x, treated, covariance=kind))
    for j in range(1, 5):
        without = distances(mahalanobis_coordinates(np.delete(x, j, axis=1), treated, covariance=kind))
        np.testing.assert_allclose(everything, without, rtol=1e-8, atol=1e-8)


def test_two_levels_measure_as_one_yes_or_no() -> None:
    """Rank distance on both indicators of two levels is that on one of them."""
    rng = np.random.default_rng(9)
    flag = (rng.random(60) < 0.3) * 1.0
    x = np.column_stack([rng.normal(size=60), flag])
    both = distances(rank_mahalanobis_coordinates(np.column_stack([x, 1 - flag])))
    np.testing.assert_allclose(both, distances(rank_mahalanobis_coordinates(x)), rtol=1e-8, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["pooled_within", "whole", "comparison"]))
def test_mahalanobis_is_affine_invariant(seed: int, kind: Covariance) -> None:
    """Any invertible recoding x A + b leaves every distance: units, order of the columns, contrasts."""
    x, treated = sample(seed % 1000)
    assume(np.linalg.matrix_rank(x[~treated] - x[~treated].mean(axis=0)) == x.shape[1])  # else there is no inverse
    rng = np.random.default_rng(seed)
    recoding = np.linalg.qr(rng.normal(size=(4, 4)))[0] * np.array([0.01, 1.0, 1.0, 365.25])
    one, other = (mahalanobis_coordinates(v, treated, covariance=kind) for v in (x, x @ recoding + rng.normal(size=4)))
    np.testing.assert_allclose(distances(one), distances(other), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["pooled_within", "whole", "comparison"])
def test_aliased_and_constant_columns_add_nothing(kind: Covariance) -> None:
    """A sum of two columns, a copy in other units and a constant leave the distances as they were."""
    x, treated = sample(5)
    more = np.column_stack([x, x[:, 0] + x[:, 1], 1000 * x[:, 2] + 7, np.full(40, 3.0)])
    one = mahalanobis_coordinates(x, treated, covariance=kind)
    other = mahalanobis_coordinates(more, treated, covariance=kind)
    np.testing.assert_allclose(distances(other), distances(one), rtol=1e-8, atol=1e-8)


def test_direction_without_variance_where_it_is_measured_is_ignored() -> None:
    """A covariate constant among the comparisons ranks none of them before another, and adds nothing."""
    x, treated = sample(6, p=3)
    flag = np.where(treated, np.arange(40) % 2, 0.0)
    one = mahalanobis_coordinates(x, treated, covariance="comparison")
    other = mahalanobis_coordinates(np.column_stack([x, flag]), treated, covariance="comparison")
    np.testing.assert_allclose(distances(other), distances(one), rtol=1e-8, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_ranks_forget_everything_but_order(seed: int) -> None:
    """Increasing functions of the covariates leave the coordinates bit for bit."""
    x = np.random.default_rng(seed).normal(size=(30, 3)).round(1)
    recoded = np.column_stack([np.exp(x[:, 0]), 1e9 * x[:, 1] ** 3, np.arctan(x[:, 2])])
    assert (rank_mahalanobis_coordinates(recoded) == rank_mahalanobis_coordinates(x)).all()


@pytest.mark.parametrize("name", ["mahalanobis", "ranks", "scaled"])
def test_units_and_order_of_columns_do_not_matter(name: str) -> None:
    """Days instead of years, columns in another order: the distances stay."""
    x, treated = sample(7)
    measure: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mahalanobis": lambda v: mahalanobis_coordinates(v, treated),
        "ranks": rank_mahalanobis_coordinates,
        "scaled": lambda v: scaled_euclidean_coordinates(v, treated),
    }
    recoded = (x * np.array([365.25, 1e-6, 1.0, 1e12]))[:, [2, 0, 3, 1]]
    np.testing.assert_allclose(distances(measure[name](recoded)), distances(measure[name](x)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [7, 64, 1001])
def test_equal_rows_have_equal_coordinates(n: int) -> None:
    """Occasions with equal covariates are at distance 0 exactly, wherever they stand."""
    rng = np.random.default_rng(n)
    x = rng.integers(0, 2, size=(n, 5)) * np.array([0.1, 1 / 3, 7.7, 1e5, 1.0])
    treated = np.arange(n) % 3 == 0
    groups = np.unique(x, axis=0, return_inverse=True)[1]
    for z in (mahalanobis_coordinates(x, treated), rank_mahalanobis_coordinates(x)):
        first = np.unique(groups, return_index=True)[1][groups]
        assert (z == z[first]).all()


def test_huge_and_tiny_units_stay_finite() -> None:
    """Covariates of size 1e200 and 1e-200 are standardised without overflow."""
    x, treated = sample(8)
    scaled = x * np.array([1e200, 1e-200, 1.0, 1.0])
    expected = distances(mahalanobis_coordinates(x, treated))
    np.testing.assert_allclose(distances(mahalanobis_coordinates(scaled, treated)), expected, rtol=1e-9, atol=1e-9)


ARMS = np.array([True, True, False, False])


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: mahalanobis_coordinates(np.array([[1.0], [np.nan], [2.0], [3.0]]), ARMS), "design.not_finite"),
        (lambda: rank_mahalanobis_coordinates(np.array([[1.0], [np.inf], [2.0]])), "design.not_finite"),
        (lambda: mahalanobis_coordinates(np.ones((4, 2)), ARMS), "design.no_spread"),
        (lambda: rank_mahalanobis_coordinates(np.ones((4, 2))), "design.no_spread"),
        (lambda: mahalanobis_coordinates(ARMS[:, None], ARMS), "design.no_spread"),
        (lambda: mahalanobis_coordinates(np.arange(2.0)[:, None], ARMS[1:3]), "design.no_spread"),
        (
            lambda: mahalanobis_coordinates(np.arange(3.0)[:, None], ARMS[:3], covariance="comparison"),
            "design.no_spread",
        ),
        (lambda: mahalanobis_coordinates(np.arange(2.0)[:, None], ARMS[:2]), "design.no_comparison"),
        (lambda: scaled_euclidean_coordinates(np.arange(2.0)[:, None], ARMS[2:]), "design.no_treated"),
    ],
)
def test_refusals(make: Callable[[], np.ndarray], code: str) -> None:
    """Missing values, covariates without spread and empty arms have no distance."""
    with pytest.raises(DesignError) as caught:
        make()
    assert caught.value.code == code


def test_one_dimension_is_refused() -> None:
    """A vector is the programmer's error: one covariate is a column."""
    with pytest.raises(ValueError, match="n rows and p columns"):
        rank_mahalanobis_coordinates(np.arange(4.0))
