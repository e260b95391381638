"""G-computation against R: LaLonde's data after twenty designs, and quitting smoking (NHEFS).

R 4.2.2 with MatchIt 4.7.2, sandwich 3.0.2 and marginaleffects 0.32.0 computed the values. LaLonde: ``lm(re78 ~ treat *
(age + educ + race + married + nodegree + re74 + re75), weights = weights)`` on the matched rows, then
``avg_comparisons(variables = "treat", newdata = subset(md, treat == 1), wts = "weights")`` with ``vcov = ~subclass``
(sandwich's HC1 by set: CR1S), or HC3 where units are reused and there are no sets. The designs are made as in
test_lalonde_effects; those left open here are left open there, for the same reasons: pairs that ties decide, and
optmatch's rounding. NHEFS: Hernan & Robins, Causal Inference: What If, chapter 13.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from causal.design.matching.sets import row_weights
from causal.effect.standardisation import Standardised, g_computation
from tests.reference.r_results import r_results_or_skip

# Effect and error of the covariate-adjusted g-computation, ``gcomp_covadj`` of the reference file.
GCOMP = {
    "nn1": (1121.1772304379, 752.419237893292),
    "nn1_caliper02_ps": (1459.25729483912, 1017.24351844558),
    "nn1_linlogit": (1121.1772304379, 752.419237893292),
    "nn1_linlogit_caliper02": (1347.43788487814, 944.217960686663),
    "nn2": (1425.17917822527, 732.217536649269),
    "nn2_linlogit_caliper02": (1280.06544583303, 911.37556416481),
    "nn1_closest": (1121.1772304379, 819.178153693998),
    "nn1_smallest": (1121.1772304379, 842.11582370245),
    "nn1_data": (1121.1772304379, 813.091155213586),
    "nn1_replace": (2147.60359478869, 1033.48545560063),
    "nn1_exact_race": (1095.03808330462, 940.121912232062),
    "nn1_mahalanobis": (1352.84199292488, 836.841834480531),
    "nn1_mah_pscaliper": (1300.29713160414, 1067.89078405199),
    "optimal_pair": (1139.66979793734, 758.456176955739),
    "full": (1962.20292658349, 728.404787922768),
    "full_linlogit": (1915.14899895846, 761.379290852605),
    "subclass6": (1723.85968346227, 567.518372111753),
    "subclass5_ate": (-151.21540136929, 1363.88359034889),
    "cem": (1290.03353996073, 751.294884731523),
    "full_ate": (645.626916417457, 1062.23202912235),
}
BY_PAIRS = {"nn1_closest", "nn1_mah_pscaliper"}  # who is whose pair is a matter of ties: the effect is held, no error
OTHER_ROWS = {"nn1_mahalanobis", "optimal_pair", "full", "full_linlogit", "full_ate"}  # other men are matched
NHEFS = {
    "ey1": 5.27358731635297,
    "ey0": 1.75621311546748,
    "ate": 3.51737420088549,
    "se_delta_HC3": 0.485949477070879,
    "se_delta_classic": 0.440281568426409,
}
WITHOUT_PRODUCTS = 3.46262182922593  # coefficient of qsmk, ``outcome_regression_qsmk``


def module(name: str) -> ModuleType:
    """Another reference test, for its data and designs."""
    spec = importlib.util.spec_from_file_location(f"shared_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # its dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


EFFECTS = module("test_lalonde_effects")
SMOKERS = module("test_nhefs_design")
lalonde = EFFECTS.lalonde
nhefs = SMOKERS.nhefs


def adjusted(lalonde: Any, sets: Any) -> Standardised:
    """R's call on our sets; race enters against black, as there."""
    keep = [j for j, name in enumerate(lalonde.names) if name != "raceblack"]
    weight = row_weights(sets, lalonde.treated.size)
    reused = np.unique(sets.row).size < sets.row.size
    clusters = np.full(lalonde.treated.size, -1)
    clusters[sets.row] = sets.set_id
    return g_computation(
        lalonde.outcome,
        lalonde.treated,
        lalonde.x[:, keep],
        weight,
        None if reused else clusters,
        names=[lalonde.names[j] for j in keep],
        kind="CR3" if reused else "CR1S",
    )


@pytest.mark.parametrize("name", [name for name in GCOMP if name not in OTHER_ROWS])
def test_after_matching(lalonde: Any, name: str) -> None:
    """Effect and error after fifteen designs, to 1e-6 (R differentiates by finite differences)."""
    score = (EFFECTS.in_order_of_rows if name in EFFECTS.GREEDY else EFFECTS.as_given)(lalonde, name)
    found = adjusted(lalonde, EFFECTS.DESIGNS[name].make(lalonde, score))
    effect, error = GCOMP[name]
    assert found.effect.value == pytest.approx(effect, rel=1e-9)
    assert found.aliased == ()
    if name not in BY_PAIRS:
        assert found.effect.std_error == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in GCOMP if name.startswith(("nn", "optimal"))])
def test_after_r_s_own_matching(lalonde: Any, name: str) -> None:
    """From R's pairs, where the file is at hand, nothing is left open: fourteen designs."""
    sets = EFFECTS.sets_of_r(EFFECTS.pairs_in_file(name))
    effect = adjusted(lalonde, sets).effect
    assert (effect.value, effect.std_error) == pytest.approx(GCOMP[name], rel=1e-6)


def test_quitting(nhefs: Any) -> None:
    """Had all quit 5.274 kg, had none 1.756, 3.517 more with HC3 error .4859; the book prints 3.5 (2.6 to 4.5)."""
    found = quitting(nhefs, ("smokeintensity",))
    means = (found.mean_treated.value, found.mean_comparison.value, found.effect.value)
    assert means == pytest.approx((NHEFS["ey1"], NHEFS["ey0"], NHEFS["ate"]), rel=1e-9)
    assert found.effect.std_error == pytest.approx(NHEFS["se_delta_HC3"], rel=1e-6)
    sampled = g_computation(
        nhefs.gain,
        nhefs.quit,
        columns(nhefs),
        None,
        None,
        names=tuple(nhefs.columns),
        estimand="ATE",
        interactions=("smokeintensity",),
        covariates_sampled=True,
    ).effect  # the book bootstraps, so that its covariates are sampled
    assert [round(bound, 1) for bound in (sampled.value, sampled.lower, sampled.upper)] == [3.5, 2.6, 4.5]
    assert quitting(nhefs, ()).effect.value == pytest.approx(WITHOUT_PRODUCTS, rel=1e-9)


def test_the_contrast_under_independent_errors(nhefs: Any) -> None:
    """R's classical error, ``se_delta_classic``, is statsmodels' of our contrast: the columns' mean difference."""
    import statsmodels.api as sm

    x, product = columns(nhefs), nhefs.columns["smokeintensity"]
    design = np.column_stack([np.ones(nhefs.quit.size), nhefs.quit, x, nhefs.quit * product])
    contrast = np.r_[0.0, 1.0, np.zeros(x.shape[1]), product.mean()]
    test = sm.OLS(nhefs.gain, design).fit().t_test(contrast)
    assert float(test.effect[0]) == pytest.approx(quitting(nhefs, ("smokeintensity",)).effect.value, rel=1e-8)
    assert float(np.squeeze(test.sd)) == pytest.approx(NHEFS["se_delta_classic"], rel=1e-7)


def columns(nhefs: Any) -> np.ndarray:
    """Covariates (1566, 18)."""
    return np.column_stack(list(nhefs.columns.values()))


def quitting(nhefs: Any, interactions: tuple[str, ...]) -> Standardised:
    """Weight gain standardised to everyone, HC3."""
    names = tuple(nhefs.columns)
    return g_computation(
        nhefs.gain,
        nhefs.quit,
        columns(nhefs),
        None,
        None,
        names=names,
        estimand="ATE",
        interactions=interactions,
        kind="CR3",
    )


def test_tables_are_copied_right() -> None:
    """What stands above is what the file holds."""
    results = r_results_or_skip()
    matchit = results["lalonde"]["matchit"]
    assert set(matchit) == set(GCOMP)
    for name, (effect, error) in GCOMP.items():
        assert matchit[name]["gcomp_covadj"] == pytest.approx({"est": effect, "se": error}, rel=1e-12)
    assert results["nhefs"]["standardization"] == pytest.approx(NHEFS, rel=1e-12)
    assert results["nhefs"]["outcome_regression_qsmk"] == pytest.approx(WITHOUT_PRODUCTS, rel=1e-12)
