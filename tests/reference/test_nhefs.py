"""Smoking cessation and weight gain: Hernan & Robins, Causal Inference: What If, chapter 12."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.weighting.propensity_weights import propensity_weights
from causal.effect.cluster_robust import cluster_robust


@pytest.fixture(scope="module")
def nhefs() -> pd.DataFrame:
    """Read the 1,566 smokers with a weight in 1982."""
    import causaldata

    return causaldata.nhefs_complete.load_pandas().data


@pytest.fixture(scope="module")
def quitting(nhefs: pd.DataFrame) -> Propensity:
    """Fit the book's model of quitting: squares of the continuous covariates, indicators for the others."""
    columns = {name: nhefs[name].to_numpy(dtype=float) for name in ("sex", "race")}
    for name in ("age", "smokeintensity", "smokeyrs", "wt71"):
        value = nhefs[name].to_numpy(dtype=float)
        columns |= {name: value, f"{name}^2": value**2}
    for name in ("education", "exercise", "active"):
        value = nhefs[name].astype(int).to_numpy()
        columns |= {f"{name}{level}": (value == level).astype(float) for level in np.unique(value)[1:]}
    treated = nhefs["qsmk"].astype(int).to_numpy() == 1
    return fit_propensity(np.column_stack(list(columns.values())), treated, names=list(columns))


def test_model_of_quitting(quitting: Propensity) -> None:
    """Coefficients agree with R's glm on the same formula (R 4.2.2)."""
    found = dict(zip(quitting.names, quitting.coefficients, strict=True))
    expected = {
        "sex": -0.527478168899113,
        "race": -0.839263626374278,
        "age": 0.121205216781213,
        "age^2": -0.000824565601946454,
        "education5": 0.475960608546951,
        "smokeyrs^2": 0.000844068528147813,
        "exercise1": 0.354840502268131,
        "active2": 0.176784044150165,
        "wt71^2": 0.000135194848212067,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_stabilised_weights(nhefs: pd.DataFrame, quitting: Propensity) -> None:
    """Stabilised weights have mean .9988 and run from .33 to 4.30 (book, section 12.3)."""
    treated = nhefs["qsmk"].astype(int).to_numpy() == 1
    weights = propensity_weights(treated, logit=quitting.logit, estimand="ATE", stabilised=True).weight
    summary = (weights.mean(), weights.min(), weights.max())
    assert summary == pytest.approx((0.998844349931932, 0.331248928997336, 4.29766157299529), rel=1e-6)


@pytest.mark.parametrize("stabilised", [True, False])
def test_effect_of_quitting_on_weight(nhefs: pd.DataFrame, quitting: Propensity, *, stabilised: bool) -> None:
    """Quitting adds 3.441 kg (95% interval 2.41 to 4.47), by either weighting; robust error as geepack's, .5254936."""
    treated = nhefs["qsmk"].astype(int).to_numpy() == 1
    fit = cluster_robust(
        np.column_stack([np.ones(treated.size), treated]),
        nhefs["wt82_71"].to_numpy(dtype=float),
        weights=propensity_weights(treated, logit=quitting.logit, estimand="ATE", stabilised=stabilised).weight,
        clusters=np.arange(treated.size),
        contrast=np.array([0.0, 1.0]),
        kind="CR0",
    )
    assert fit.coefficient == pytest.approx(3.44053542964541, rel=1e-7)
    assert fit.std_error == pytest.approx(0.52549355301407, rel=1e-7)
    interval = fit.coefficient + np.array([-1.96, 1.96]) * fit.std_error
    assert interval.round(2).tolist() == [2.41, 4.47]
