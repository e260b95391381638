"""The population-averaged effect by generalised estimating equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from causal.effect.matched_estimates import weighted_ancova
from causal.effect.multilevel.estimating_equations import Correlation, Family, estimating_equations
from causal.effect.multilevel.marginal import marginal_alliance
from causal.effect.multilevel.small_sample import Correction
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def panel(
    rng: np.random.Generator, *, clusters: int = 16, family: Family = "gaussian"
) -> tuple[FloatArray, BoolArray, FloatArray, IntArray, IntArray]:
    """Outcome, arm by cluster, covariate, cluster and visit (1 to 5, some missed)."""
    codes, visit = np.repeat(np.arange(clusters), 5), np.tile(np.arange(1, 6), clusters)
    seen = (rng.random(codes.size) < 0.8) | (visit == 1)
    codes, visit = codes[seen], visit[seen]
    x = rng.normal(size=codes.size)
    drawn = 0.3 * x + 0.7 * rng.normal(size=clusters)[codes] + rng.normal(size=codes.size)
    y = {"gaussian": drawn, "binomial": (drawn > 0).astype(float), "poisson": np.floor(np.exp(drawn))}[family]
    return y, codes % 2 == 0, x[:, None], codes, visit


def test_independence_is_least_squares_with_clustered_errors() -> None:
    """Value, error and df of the weighted regression with CR2, weights included."""
    y, treated, x, codes, _ = panel(np.random.default_rng(1))
    weights = 0.5 + np.random.default_rng(2).random(y.size)
    found = marginal_alliance(
        y, treated, clusters=codes, covariates=x, names=["x"], correlation="independence", weights=weights
    ).contrast
    peer = weighted_ancova(y, treated, x, weights, codes)
    assert (found.value, found.std_error, found.df) == pytest.approx((peer.value, peer.std_error, peer.df), rel=1e-9)


def test_rows_of_weight_0_are_left_out() -> None:
    """A weight of 0 is the same as no row."""
    y, treated, _, codes, _ = panel(np.random.default_rng(3))
    weights = np.where(codes == 3, 0.0, 1.0)
    kept = weights > 0
    found = marginal_alliance(y, treated, clusters=codes, correlation="independence", weights=weights)
    without = marginal_alliance(y[kept], treated[kept], clusters=codes[kept], correlation="independence")
    assert found.contrast == without.contrast
    assert found.n_clusters == 15


@pytest.mark.parametrize("correlation", ["exchangeable", "ar1"])
@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
def test_solves_the_equations_of_full_matrices(correlation: Correlation, family: Family) -> None:
    """Sum of D'V^-1(y - mu) is 0 with V written out, gaps in visits included; the correlation is its moment's."""
    y, treated, x, codes, visit = panel(np.random.default_rng(4), family=family)
    design = np.column_stack([np.ones(y.size), treated, x])
    fit = estimating_equations(design, y, clusters=codes, occasion=visit, family=family, correlation=correlation)
    predictor = design @ fit.coefficients
    mean = {"gaussian": predictor, "binomial": 1 / (1 + np.exp(-predictor)), "poisson": np.exp(predictor)}[family]
    variance = {"gaussian": np.ones(y.size), "binomial": mean * (1 - mean), "poisson": mean}[family]
    pearson, score, moment = (y - mean) / variance**0.5, np.zeros(3), 0.0
    assert fit.scale == pytest.approx((pearson**2).mean(), rel=1e-8)
    for g in np.unique(codes):
        rows = codes == g
        apart = np.abs(visit[rows][:, None] - visit[rows][None, :])
        working = np.where(apart == 0, 1.0, fit.correlation ** (apart if correlation == "ar1" else 1.0))
        root = np.sqrt(variance[rows])
        derivative = design[rows] * variance[rows, None]
        score += derivative.T @ np.linalg.solve(working * np.outer(root, root), (y - mean)[rows])
        slope = apart * fit.correlation ** (apart - 1.0) if correlation == "ar1" else 1.0 * (apart > 0)
        moment += float((slope * (np.outer(pearson[rows], pearson[rows]) / fit.scale - working)).sum())
    assert np.abs(score).max() < 1e-7
    assert abs(moment) < 1e-6


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), correction=st.sampled_from(["kauermann_carroll", "mancl_derouen", "fay_graubard"]))
def test_row_order_and_codes_do_not_matter(seed: int, correction: Correction) -> None:
    """Rows shuffled, clusters relabelled, units changed; arms swapped turn the sign (not Fay-Graubard's error)."""
    y, treated, x, codes, visit = panel(np.random.default_rng(seed % 10), clusters=12)
    order = np.random.default_rng(seed).permutation(y.size)
    one = marginal_alliance(
        y, treated, clusters=codes, covariates=x, names=["x"], occasion=visit, correlation="ar1", correction=correction
    ).contrast
    other = marginal_alliance(
        (5 - 2 * y)[order],
        treated[order],
        clusters=100 - 3 * codes[order],
        covariates=x[order],
        names=["x"],
        occasion=visit[order],
        correlation="ar1",
        correction=correction,
    ).contrast
    assert (other.value, other.std_error, other.df) == pytest.approx(
        (-2 * one.value, 2 * one.std_error, one.df), rel=1e-6
    )
    if correction != "fay_graubard":
        swapped = marginal_alliance(
            y,
            ~treated,
            clusters=codes,
            covariates=x,
            names=["x"],
            occasion=visit,
            correlation="ar1",
            correction=correction,
        ).contrast
        assert (swapped.value, swapped.std_error) == pytest.approx((-one.value, one.std_error), rel=1e-6)


def test_labels_follow_the_family() -> None:
    """A logistic effect is a log odds ratio: with one row each, that of the 2 x 2 table."""
    y = np.array([1.0] * 30 + [0] * 20 + [1] * 15 + [0] * 35)
    treated = np.arange(100) < 50
    found = marginal_alliance(y, treated, clusters=np.arange(100), family="binomial", correlation="independence")
    assert found.contrast.label == "log odds ratio"
    assert found.contrast.value == pytest.approx(np.log(30 * 35 / (20 * 15)), rel=1e-9)


def test_refusals() -> None:
    """Each thing that cannot be estimated is refused by its own code."""
    y, treated, x, codes, visit = panel(np.random.default_rng(5))

    def code(**changed: object) -> str:
        given = {"outcome": y, "treated": treated, "clusters": codes} | changed
        with pytest.raises(EstimationError) as raised:
            marginal_alliance(given.pop("outcome"), given.pop("treated"), **given)  # type: ignore[arg-type]
        return raised.value.code.removeprefix("estimation.")

    assert code(weights=1 + codes) == "weights_need_independence"
    assert code(weights=np.where(codes == 1, -1.0, 1), correlation="independence") == "weights"
    assert code(correlation="ar1") == "no_occasions"
    assert code(correlation="ar1", occasion=0 * visit) == "no_occasions"
    assert code(correction="none") == "correction_needed"
    assert code(family="binomial") == "outcome_range"
    assert code(family="poisson") == "outcome_range"
    assert code(family="binomial", outcome=treated.astype(float)) == "constant_outcome"
    assert code(family="binomial", outcome=(treated & (y > 0)).astype(float)) == "constant_outcome"
    assert code(outcome=1.0 * treated) == "constant_outcome"
    assert code(outcome=treated + x[:, 0], covariates=x, names=("x",)) == "no_variation"
    assert code(outcome=0 * y) == "constant_outcome"
    assert code(outcome=np.where(codes == 2, np.nan, y)) == "not_finite"
    assert code(treated=codes < 0) == "empty_arm"
    assert code(clusters=np.arange(y.size)) == "singletons_only"
    assert code(clusters=0 * codes) in {"too_few_clusters", "working_correlation"}
    assert code(covariates=treated[:, None], names=["warned"]) == "not_estimable"
    apart = np.where(np.arange(40) % 2 == 0, 1.0, -1) * (1 + np.arange(40) // 4 % 3)
    assert code(outcome=apart, treated=np.arange(40) < 20, clusters=np.arange(40) // 2) == "working_correlation"


@pytest.mark.parametrize("correction", ["kauermann_carroll", "mancl_derouen", "fay_graubard"])
def test_coverage_with_12_clusters(correction: Correction) -> None:
    """300 replicates of no effect between 12 clusters: coverage within 3 Monte Carlo errors (1.3 points) of 95 %."""
    rng = np.random.default_rng(6)
    held = []
    for _ in range(300):
        y, treated, _, codes, _ = panel(rng, clusters=12)
        found = marginal_alliance(y, treated, clusters=codes, correction=correction).contrast
        held.append(found.lower < 0 < found.upper)
    assert abs(np.mean(held) - 0.95) < 3 * (0.95 * 0.05 / 300) ** 0.5
