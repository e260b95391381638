"""Splines, interactions, cluster means and cluster effects as columns of a propensity model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.splines import KNOT_QUANTILES, harrell_knots, natural_spline_terms
from causal.design.propensity.terms import model_columns, model_matrix
from causal.errors import DesignError


def refusal(model: PropensityModel, x: np.ndarray, **more: np.ndarray) -> DesignError:
    """Return the refusal of a model that must be refused."""
    with pytest.raises(DesignError) as caught:
        model_columns(x, ("age", "sex"), model, more.get("clusters"))
    return caught.value


@pytest.mark.parametrize("knots", KNOT_QUANTILES)
def test_terms_span_the_natural_cubic_splines(knots: int) -> None:
    """Line and terms fit scipy's natural cubic interpolants on the knots exactly, and are straight outside them."""
    from scipy.interpolate import CubicSpline

    rng = np.random.default_rng(knots)
    at = np.sort(rng.normal(size=knots))
    inside = np.linspace(at[0], at[-1], 200)
    natural = CubicSpline(at, rng.normal(size=knots), bc_type="natural")(inside)
    design = np.column_stack([np.ones(200), inside, natural_spline_terms(inside, at)])
    assert np.linalg.matrix_rank(design) == knots
    fitted = design @ np.linalg.lstsq(design, natural, rcond=None)[0]
    np.testing.assert_allclose(fitted, natural, atol=1e-9)
    for outside in (at[0] - np.arange(1.0, 4.0), at[-1] + np.arange(1.0, 4.0)):
        np.testing.assert_allclose(np.diff(natural_spline_terms(outside, at), n=2, axis=0), 0.0, atol=1e-9)


def test_knots_are_quantiles_of_the_values() -> None:
    """Knots do not depend on the order of rows and follow a change of units."""
    values = np.random.default_rng(2).exponential(size=501)
    knots = harrell_knots(values, 5)
    np.testing.assert_array_equal(harrell_knots(values[::-1], 5), knots)
    np.testing.assert_allclose(harrell_knots(60 + 4 * values, 5), 60 + 4 * knots)
    np.testing.assert_allclose(
        natural_spline_terms(60 + 4 * values, 60 + 4 * knots), 4 * natural_spline_terms(values, knots)
    )


def test_a_curve_is_found_where_a_line_misses_it() -> None:
    """Treatment likeliest in the middle ages: the spline sees it, the line does not, and units do not matter."""
    rng = np.random.default_rng(3)
    age = rng.uniform(18, 80, 4000)
    y = rng.random(4000) < 1 / (1 + np.exp(((age - 49) / 12) ** 2 - 1))
    curved = fit_propensity(age[:, None], y, names=["age"], model=PropensityModel(splines=("age",)))
    line = fit_propensity(age[:, None], y, names=["age"])
    assert curved.names == ("age", "age, bend 1", "age, bend 2")
    assert curved.c_statistic > 0.75
    assert line.c_statistic < 0.6
    months = fit_propensity(12 * age[:, None], y, names=["age"], model=PropensityModel(splines=("age",)))
    np.testing.assert_allclose(months.logit, curved.logit, atol=1e-7)


def test_an_interaction_saturates_two_binary_covariates() -> None:
    """With their product two binary covariates give the share treated of each of the four cells."""
    rng = np.random.default_rng(4)
    x = rng.integers(0, 2, (800, 2)).astype(float)
    y = rng.random(800) < np.array([[0.2, 0.5], [0.6, 0.3]])[x[:, 0].astype(int), x[:, 1].astype(int)]
    fit = fit_propensity(x, y, names=["sud", "psychosis"], model=PropensityModel(interactions=(("sud", "psychosis"),)))
    assert fit.names == ("sud", "psychosis", "sud:psychosis")
    for cell in ([0, 0], [0, 1], [1, 0], [1, 1]):
        here = (x == cell).all(axis=1)
        np.testing.assert_allclose(fit.probability[here], y[here].mean(), rtol=1e-9)


def test_a_product_that_never_varies_is_left_out_by_name() -> None:
    """Indicators of two categories never meet: their product is 0 everywhere, and said to be aliased."""
    kind = np.random.default_rng(5).integers(0, 3, 600)
    x = np.column_stack([kind == 1, kind == 2]).astype(float)
    y = np.random.default_rng(6).random(600) < 0.2 + 0.2 * kind / 2
    fit = fit_propensity(x, y, names=["b", "c"], model=PropensityModel(interactions=(("b", "c"),)))
    assert (fit.names, fit.aliased) == (("b", "c"), ("b:c",))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_cluster_means_give_the_within_estimate(seed: int) -> None:
    """In a linear model the slopes beside the cluster means are those of deviations from them (Mundlak 1978)."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 12, 300)
    x = rng.normal(size=(300, 2)) + rng.normal(size=(12, 2))[clusters]
    y = x @ [1.0, -2.0] + 3 * rng.normal(size=12)[clusters] + rng.normal(size=300)
    columns, names = model_columns(x, ("age", "sex"), PropensityModel(mundlak=True), clusters)
    assert names == ("age", "sex", "age, cluster mean", "sex, cluster mean")
    slopes = np.linalg.lstsq(np.column_stack([np.ones(300), columns]), y, rcond=None)[0][1:3]
    deviations = x - np.array([x[clusters == c].mean(axis=0) for c in range(12)])[clusters]
    np.testing.assert_allclose(slopes, np.linalg.lstsq(deviations, y, rcond=None)[0], atol=1e-10)


def test_means_without_news_are_left_out_by_name() -> None:
    """The mean of a cluster's own property is that property; a mean equal in all clusters says nothing."""
    rng = np.random.default_rng(7)
    clusters = np.repeat(np.arange(20), 40)
    urban = (clusters % 3 == 0) * 0.1
    balanced = np.tile([0.1, 0.7], 400)
    x = np.column_stack([rng.normal(size=800), urban, balanced])
    y = rng.random(800) < 0.3
    fit = fit_propensity(x, y, names=["age", "urban", "turn"], model=PropensityModel(mundlak=True), clusters=clusters)
    assert fit.names == ("age", "urban", "turn", "age, cluster mean")
    assert fit.aliased == ("urban, cluster mean", "turn, cluster mean")


def test_labels_and_order_of_clusters_do_not_matter() -> None:
    """Renamed clusters and permuted rows give the same scores, with cluster means and with cluster effects."""
    rng = np.random.default_rng(8)
    clusters = rng.integers(0, 6, 900)
    x = rng.normal(size=(900, 2)) + clusters[:, None] / 6
    y = rng.random(900) < 1 / (1 + np.exp(1 - x[:, 0] + clusters / 4))
    order = rng.permutation(900)
    for model in (PropensityModel(mundlak=True), PropensityModel(cluster_effects=True)):
        fit = fit_propensity(x, y, names=["age", "sex"], model=model, clusters=clusters)
        other = fit_propensity(
            x[order],
            y[order],
            names=["age", "sex"],
            model=model,
            clusters=np.array([9, 2, 7, 1, 30, 4])[clusters[order]],
        )
        np.testing.assert_allclose(other.logit, fit.logit[order], atol=1e-8)


def test_cluster_effects_reproduce_every_clusters_share() -> None:
    """With an intercept each, the expected treatments of every cluster are those that happened."""
    rng = np.random.default_rng(9)
    clusters = rng.integers(0, 8, 1200)
    x = rng.normal(size=(1200, 1))
    y = rng.random(1200) < 1 / (1 + np.exp(1 - x[:, 0] - clusters / 4))
    fit = fit_propensity(x, y, names=["age"], model=PropensityModel(cluster_effects=True), clusters=clusters)
    assert fit.names == ("age", *(f"cluster {g}" for g in range(2, 9)))
    for g in range(8):
        assert fit.probability[clusters == g].sum() == pytest.approx(y[clusters == g].sum(), abs=1e-7)


def test_refusals() -> None:
    """Unknown names, binary curves, knots on ties and clusters not given are refused, by name."""
    rng = np.random.default_rng(10)
    x = np.column_stack([np.where(rng.random(200) < 0.8, 0.0, rng.normal(size=200)), rng.random(200) < 0.5])
    found = {
        model: refusal(PropensityModel(**options), x)
        for model, options in {
            "unknown": {"splines": ("tenure",)},
            "unknown pair": {"interactions": (("age", "tenure"),)},
            "binary": {"splines": ("sex",)},
            "ties": {"splines": ("age",)},
            "clusters": {"mundlak": True},
        }.items()
    }
    assert {name: one.code for name, one in found.items()} == {
        "unknown": "design.unknown_covariate",
        "unknown pair": "design.unknown_covariate",
        "binary": "design.spline_binary",
        "ties": "design.spline_knots",
        "clusters": "design.no_clusters",
    }
    assert "sex" in str(found["binary"])
    assert "age" in str(found["ties"])


def test_too_many_clusters_are_refused_before_they_take_the_memory() -> None:
    """An intercept for each of 100,000 rows would be a matrix of 80 GB: refused at once."""
    x = np.random.default_rng(11).normal(size=(100_000, 2))
    found = refusal(PropensityModel(cluster_effects=True), x, clusters=np.arange(100_000))
    assert found.code == "design.memory"


def test_the_model_matrix_solves_the_score_equations() -> None:
    """Residuals of a fit are orthogonal to every column of its model matrix, whose columns are standardised."""
    rng = np.random.default_rng(12)
    clusters = rng.integers(0, 10, 700)
    x = np.column_stack([rng.normal(size=700) + clusters / 5, rng.random(700) < 0.5, clusters % 2]).astype(float)
    y = rng.random(700) < 1 / (1 + np.exp(1 - x[:, 0]))
    model = PropensityModel(splines=("age",), interactions=(("age", "sex"),), mundlak=True)
    fit = fit_propensity(x, y, names=["age", "sex", "urban"], model=model, clusters=clusters)
    matrix, names = model_matrix(x, ["age", "sex", "urban"], model, clusters)
    assert names == ("intercept", *fit.names)
    assert fit.aliased == ("urban, cluster mean",)
    assert np.abs(matrix.T @ (y - fit.probability)).max() < 1e-7
    np.testing.assert_allclose(matrix[:, 1:].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(matrix[:, 1:].std(axis=0), 1.0, atol=1e-9)
