"""Separation is found and named, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity.columns import independent_columns, moments
from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.logistic import Climb, maximum_likelihood
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.separation import separating_covariates, separating_direction
from causal.design.propensity.sums import Regression, standardised_rows, sums
from causal.errors import DesignError


def regression(x: np.ndarray, treated: np.ndarray) -> Regression:
    """Return the regression of the arm on standardised columns."""
    found = moments(x, treated)
    return Regression(x=x, centre=found.centre, scale=found.scale, outcome=treated.astype(float), offset=np.empty(0))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(6, 24), st.integers(1, 3))
def test_newton_agrees_with_the_linear_programme(seed: int, k: int, n: int, width: int) -> None:
    """On small whole numbers, full of ties, separation is found exactly where Konis's programme finds it."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-width, width + 1, (n, k)).astype(float)
    treated = x @ rng.integers(-1, 2, k) + rng.normal(size=n) * rng.choice([0.0, 0.5, 2.0]) > 0
    if not treated.any() or treated.all() or not independent_columns(np.column_stack([np.ones(n), x])).all():
        return
    r = regression(x, treated)
    names = separating_covariates(r, maximum_likelihood(r), [str(j) for j in range(k)])
    assert bool(names) == (separating_direction(standardised_rows(r, slice(None)), treated) is not None)
    if names:  # those named separate by themselves
        part = standardised_rows(regression(x[:, [int(name) for name in names]], treated), slice(None))
        assert separating_direction(part, treated) is not None


def test_the_programme_decides_what_newton_leaves_open() -> None:
    """From a climb that ended nowhere the programme names the separating covariates, or says that there are none."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 3))
    for treated, names in ((x[:, 0] > x[:, 2], ("a", "c")), (rng.random(80) < 0.5, None)):
        r = regression(x, treated)
        logit = np.zeros(80)
        nowhere = Climb(beta=np.zeros(4), logit=logit, sums=sums(r, np.zeros(4), logit), settled=False, direction=None)
        if names:
            assert separating_covariates(r, nowhere, list("abc")) == names
        else:
            with pytest.raises(DesignError) as caught:
                separating_covariates(r, nowhere, list("abc"))
            assert caught.value.code == "design.not_converged"


MODELS = {
    "elastic net": PropensityModel(kind="elastic_net", penalty=0.01),
    "boosting": PropensityModel(kind="boosting", trees=20),
}


@pytest.mark.parametrize("method", ["elastic net", "boosting"])
@pytest.mark.parametrize("together", [False, True])
def test_other_models_report_separation(method: str, *, together: bool) -> None:
    """A penalty and trees give finite scores under separation, and say which covariates separate."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(600, 3))
    treated = x[:, 0] + x[:, 2] > 0 if together else rng.random(600) < 0.4
    if not together:
        x[:, 1] = np.where(treated, rng.integers(0, 2, 600), 0)
    fit = fit_propensity(x, treated, names=["a", "b", "c"], model=MODELS[method], rng=np.random.default_rng(1))
    assert fit.method == method
    assert fit.separated == (("a", "c") if together else ("b",))
    assert np.isfinite(fit.logit).all()
    assert ((fit.probability > 0) & (fit.probability < 1)).all()


def test_firth_reports_joint_separation() -> None:
    """Few events separated only by two covariates together: Firth's scores are finite and both are named."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(300, 3))
    treated = x[:, 0] + x[:, 1] > 2.2
    fit = fit_propensity(x, treated, names=["a", "b", "c"])
    assert fit.method == "Firth"
    assert fit.separated == ("a", "b")
    assert np.isfinite(fit.logit).all()


def test_an_offset_does_not_hide_separation() -> None:
    """No finite offset brings back a maximum."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(400, 2))
    with pytest.raises(DesignError) as caught:
        fit_propensity(x, x.sum(axis=1) > 0, names=["a", "b"], offset=-5 * np.sign(x.sum(axis=1)))
    assert caught.value.code == "design.separation"
    assert "a, b" in str(caught.value)


def test_separation_in_large_data_is_named() -> None:
    """Separation of 100,000 occasions by three covariates together is named, and by no other."""
    rng = np.random.default_rng(10)
    x = rng.normal(size=(100_000, 6))
    with pytest.raises(DesignError) as caught:
        fit_propensity(x, x[:, 1] + x[:, 3] - x[:, 4] > 1, names=list("abcdef"))
    assert "covariates b, d, e tell" in str(caught.value)


def test_separation_inside_a_fold_is_named() -> None:
    """A covariate that separates only once a fold is left out is reported under Firth."""
    x = np.random.default_rng(11).normal(size=(200, 2))
    treated = np.arange(200) < 14
    x[:, 1] = np.where(treated, 1.0, 0.0)
    clusters = np.arange(200) % 4
    x[(clusters == 3) & ~treated, 1] = 1.0
    model = PropensityModel(cross_fit=4)
    fit = fit_propensity(x, treated, names=["a", "marker"], model=model, clusters=clusters)
    assert fit.separated == ("marker",)
