"""Quitting smoking and weight gain (NHEFS) against R: pairs, weights and their effects, every number.

R 4.2.2 with MatchIt 4.7.2, sandwich 3.0.2, survey 4.1.1, geepack 1.3.9 and WeightIt 2.0.0 computed the values, on the
model of quitting of Hernan & Robins, Causal Inference: What If, chapter 12. No two of the 1,566 scores are equal, so
that pairs are settled by the rule alone. Where the file of R's results is at hand, what it holds of NHEFS
is checked against the list of what we hold and what is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from causal.design.diagnostics.balance import balance_table
from causal.design.matching.caliper import caliper_width
from causal.design.matching.greedy import match_greedy
from causal.design.matching.sets import MatchedSets, row_weights
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.weighting.propensity_weights import propensity_weights
from causal.effect.cluster_robust import Kind, cluster_robust
from causal.effect.matched_estimates import paired_difference, weighted_ancova
from causal.effect.weighted_estimates import weighted_difference
from tests.reference.r_results import r_results_or_skip

WEIGHTED = {
    "est": 3.44053542964541,
    "se_gee": 0.52549355301407,
    "ci": [2.41056806573783, 4.47050279355298],
    "se_HC0": 0.52549355301407,
    "se_HC1": 0.525829438988292,
    "se_HC3": 0.527438208941623,
    "se_svyglm": 0.525661415517318,
}
HELD: dict[str, Any] = {
    "n": 1566,
    "qsmk": 403,
    "sw": {"mean": 0.998844349931932, "min": 0.331248928997336, "max": 4.29766157299529},
    "w": {"mean": 1.99628406164396, "min": 1.05374162803234, "max": 16.7000943506467},
    "iptw_ate_w": WEIGHTED | {"se_Mest": 0.487072607164193},
    "iptw_ate_sw": WEIGHTED,
    "nn1_linlogit_caliper02": {
        "n_treated": 393,
        "att": 3.43228775585242,
        "se_CL_HC1": 0.542394863480594,
        "max_abs_smd": 0.0560522111724152,
    },
}
IN_TEST_PROPENSITY = {"ps_coef"}
# Held in test_standardisation.py and test_doubly_robust.py.
IN_TEST_STANDARDISATION_OR_DOUBLY_ROBUST = {"standardization", "aipw", "aipw_pooled_outcome", "outcome_regression_qsmk"}


@dataclass(frozen=True, kw_only=True)
class Nhefs:
    """1,566 smokers: columns of the model (n, 18), every level of the factors besides, who quit, kg gained."""

    columns: dict[str, np.ndarray]
    first_levels: dict[str, np.ndarray]
    quit: np.ndarray
    gain: np.ndarray
    fit: Propensity

    @property
    def design(self) -> np.ndarray:
        """Columns with an intercept before them."""
        return np.column_stack([np.ones(self.quit.size), *self.columns.values()])


@pytest.fixture(scope="module")
def nhefs() -> Nhefs:
    """Read those with a weight in 1982 and fit the book's model."""
    import causaldata

    frame = causaldata.nhefs_complete.load_pandas().data
    columns = {name: frame[name].to_numpy(dtype=float) for name in ("sex", "race")}
    for name in ("age", "smokeintensity", "smokeyrs", "wt71"):
        value = frame[name].to_numpy(dtype=float)
        columns |= {name: value, f"{name}^2": value**2}
    first_levels = {}
    for name in ("education", "exercise", "active"):
        value = frame[name].astype(int).to_numpy()
        first, *others = np.unique(value)
        first_levels[f"{name}{first}"] = (value == first).astype(float)
        columns |= {f"{name}{level}": (value == level).astype(float) for level in others}
    treated = frame["qsmk"].astype(int).to_numpy() == 1
    fit = fit_propensity(np.column_stack(list(columns.values())), treated, names=tuple(columns))
    gain = frame["wt82_71"].to_numpy(dtype=float)
    return Nhefs(columns=columns, first_levels=first_levels, quit=treated, gain=gain, fit=fit)


@pytest.fixture(scope="module")
def pairs(nhefs: Nhefs) -> MatchedSets:
    """Match 1:1 on the logit, the highest first, within 0.2 of its standard deviation in the whole sample."""
    caliper = caliper_width(nhefs.fit.logit, nhefs.quit, width=0.2, sd="whole")
    return match_greedy(nhefs.fit.logit, nhefs.quit, caliper=caliper)


def test_no_score_occurs_twice(nhefs: Nhefs) -> None:
    """The sample is R's, and all scores are 2e-6 or more apart: no tie to break."""
    assert (nhefs.quit.size, nhefs.quit.sum()) == (HELD["n"], HELD["qsmk"])
    assert np.diff(np.sort(nhefs.fit.logit)).min() > 2e-6


def test_matched_effect_and_error(nhefs: Nhefs, pairs: MatchedSets) -> None:
    """393 of 403 who quit are matched; 3.4323 kg, error .5424 by pairs (CR1S), in pairs nearly the paired t test's."""
    expected = HELD["nn1_linlogit_caliper02"]
    gain, arm = nhefs.gain[pairs.row], pairs.is_treated
    effect = weighted_ancova(gain, arm, None, pairs.weight, pairs.set_id, kind="CR1S")
    assert (pairs.n_sets, pairs.n_unmatched_treated) == (expected["n_treated"], 10)
    assert effect.value == pytest.approx(expected["att"], rel=1e-6)
    assert effect.std_error == pytest.approx(expected["se_CL_HC1"], rel=1e-6)
    paired = paired_difference(gain, arm, sets=pairs.set_id)
    assert paired.value == pytest.approx(expected["att"], rel=1e-6)
    # The paired t divides by n - 1 pairs; HC1 by that and by (2n - 1)/(2n - 2) besides.
    assert paired.std_error * np.sqrt((2 * 393 - 1) / (2 * 393 - 2)) == pytest.approx(expected["se_CL_HC1"], rel=1e-6)


def test_matched_balance(nhefs: Nhefs, pairs: MatchedSets) -> None:
    """Of the score, the columns and all levels exercise's first differs most: by .0561 standard deviations."""
    terms = {"distance": nhefs.fit.logit} | nhefs.columns | nhefs.first_levels
    weight = row_weights(pairs, nhefs.quit.size)
    rows = balance_table(np.column_stack(list(terms.values())), list(terms), [1] * len(terms), nhefs.quit, weight)
    worst = max(rows, key=lambda row: abs(row.smd_after))
    assert worst.name == "exercise0"
    assert abs(worst.smd_after) == pytest.approx(HELD["nn1_linlogit_caliper02"]["max_abs_smd"], rel=1e-6)


@pytest.mark.parametrize("stabilised", [False, True])
def test_weighted_effect_and_errors(nhefs: Nhefs, *, stabilised: bool) -> None:
    """Either weighting: 3.4405 kg, geepack's error and interval, HC0, HC1, HC3, survey's, and that of M-estimation."""
    weights = propensity_weights(
        nhefs.quit, logit=nhefs.fit.logit, estimand="ATE", stabilised=stabilised, design_matrix=nhefs.design
    )
    expected = HELD["iptw_ate_sw" if stabilised else "iptw_ate_w"]
    kinds: dict[str, Kind] = {"se_gee": "CR0", "se_HC0": "CR0", "se_HC1": "CR1S", "se_HC3": "CR3", "se_svyglm": "CR1"}
    design, person = np.column_stack([np.ones(nhefs.quit.size), nhefs.quit]), np.arange(nhefs.quit.size)
    found: dict[str, Any] = {"se_Mest": weighted_difference(nhefs.gain, nhefs.quit, weights).std_error}
    for name, kind in kinds.items():
        fit = cluster_robust(
            design, nhefs.gain, weights=weights.weight, clusters=person, contrast=np.array([0.0, 1.0]), kind=kind
        )
        found |= {"est": fit.coefficient, name: fit.std_error}
    found["ci"] = [found["est"] + side * 1.96 * found["se_gee"] for side in (-1, 1)]
    assert set(expected) <= set(found)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name
    w, summary = weights.weight, HELD["sw" if stabilised else "w"]
    assert {"mean": w.mean(), "min": w.min(), "max": w.max()} == pytest.approx(summary, rel=1e-6)


def test_nothing_in_the_file_is_left_out() -> None:
    """What the file says of NHEFS is what is held here, what test_propensity holds, or what is listed as open."""
    results = r_results_or_skip()["nhefs"]
    assert set(results) == {*HELD, *IN_TEST_PROPENSITY, *IN_TEST_STANDARDISATION_OR_DOUBLY_ROBUST}
    assert {name: results[name] for name in HELD} == HELD
