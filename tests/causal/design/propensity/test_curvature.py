"""The joint score test of squares, and the bends it leads to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.design.propensity.curvature import Curvature, bent_where_needed, score_test_of_squares
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LINE = PropensityModel()
NAMES = ("age", "score", "flag")
NUMBERS = ("age", "score")


def world(n: int, *, curve: float, seed: int, intercept: float = -1.0) -> tuple[FloatArray, BoolArray]:
    """Age and score, correlated, and a flag; treatment curved in score."""
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    score = 0.4 * age + rng.normal(size=n)
    flag = (rng.random(n) < 0.3).astype(float)
    logit = intercept + 0.5 * age + 0.3 * score + 0.4 * flag + curve * (score**2 - 1)
    return np.column_stack([age, score, flag]), rng.random(n) < 1 / (1 + np.exp(-logit))


def searched(
    x: FloatArray, treated: BoolArray, *, model: PropensityModel = LINE, add: bool = True
) -> tuple[Propensity, PropensityModel, Curvature]:
    """What `bent_where_needed` makes of a world."""
    fit = partial(_fit, x, treated)
    return bent_where_needed(x, treated, names=NAMES, order=NUMBERS, model=model, fit=fit, smallest_p=0.01, add=add)


def _fit(x: FloatArray, treated: BoolArray, model: PropensityModel) -> Propensity:
    return fit_propensity(x, treated, names=NAMES, model=model, rng=np.random.default_rng(1))


def test_it_is_the_score_test_of_statsmodels() -> None:
    """At maximum likelihood statistic, degrees of freedom and p-value are those of an independent library."""
    sm = pytest.importorskip("statsmodels.api")
    x, treated = world(900, curve=0.1, seed=1)
    fitted = fit_propensity(x, treated, names=NAMES)
    assert fitted.method == "maximum likelihood"
    found = score_test_of_squares(x, treated, fitted, names=NAMES, model=LINE, squares=NUMBERS)
    assert found is not None
    model = sm.GLM(treated.astype(float), sm.add_constant(x), family=sm.families.Binomial())
    params = model.fit(tol=1e-14, maxiter=200).params
    statistic, p_value, df = (float(np.squeeze(v)) for v in model.score_test(params, exog_extra=x[:, :2] ** 2))
    assert (found.statistic, found.p_value) == pytest.approx((statistic, p_value), abs=2e-6)
    assert (found.df, found.covariates) == (df, NUMBERS)


def test_a_table_by_hand() -> None:
    """Three values, four rows each, treated 3, 0 and 3; the slope held at 0, the test of the square is 6."""
    x = np.repeat([-1.0, 0.0, 1.0], 4)[:, None]
    treated = np.array([1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    fitted = fit_propensity(x, treated, names=["x"], model=PropensityModel(kind="elastic_net", penalty=1e6))
    found = score_test_of_squares(x, treated, fitted, names=["x"], model=LINE, squares=["x"])
    assert found is not None
    # p = 1/2 everywhere; the square less its mean is (1, -2, 1)/3 times its scale: score (1/3)(1.0 + 1.0) + (2/3)(2)
    # = 2, variance (1/4)(8/9 + 16/9) = 2/3, statistic 4 / (2/3) = 6.
    assert found.statistic == pytest.approx(6.0, abs=1e-6)
    assert found.df == 1


def test_order_and_units_change_nothing() -> None:
    """Rows in another order, other units and another zero give the same test."""
    x, treated = world(700, curve=0.2, seed=2)

    def tested(values: FloatArray, arm: BoolArray) -> tuple[float, float]:
        fitted = fit_propensity(values, arm, names=NAMES)
        found = score_test_of_squares(values, arm, fitted, names=NAMES, model=LINE, squares=NUMBERS)
        assert found is not None
        return found.statistic, found.p_value

    order = np.random.default_rng(3).permutation(700)
    assert tested(x[order], treated[order]) == pytest.approx(tested(x, treated), abs=2e-6)
    assert tested(x * [100, 0.1, 1] + [40, -3, 0], treated) == pytest.approx(tested(x, treated), abs=2e-6)


def test_squares_that_say_nothing_are_left_out() -> None:
    """The square of a yes or no and of a constant is no term; one that repeats another counts once; none is no test."""
    x, treated = world(400, curve=0.0, seed=4)
    x = np.column_stack([x, x[:, 0], np.ones(400)])
    names = [*NAMES, "again", "one"]
    fitted = fit_propensity(x[:, :4], treated, names=names[:4])
    test = partial(score_test_of_squares, x, treated, fitted, names=names, model=LINE)
    found = test(squares=["age", "flag", "again", "one"])
    assert found is not None
    assert (found.df, found.covariates) == (1, ("age",))
    assert test(squares=["flag", "one"]) is None


def test_few_events_are_tested_at_firths_estimates() -> None:
    """Where Firth's likelihood takes over the test still holds its level in straight worlds and finds a curve."""
    fired = []
    for seed in range(200):
        x, treated = world(500, curve=0.0, seed=seed, intercept=-4.2)
        if treated.sum() < 12:
            continue
        fitted, _, found = searched(x, treated)
        assert fitted.method == "Firth" or treated.sum() >= 30
        assert found.linear is not None
        fired.append(found.linear.p_value < 0.01)
    assert len(fired) > 50
    assert np.mean(fired) < 0.01 + 3 * (0.01 * 0.99 / len(fired)) ** 0.5
    x, treated = world(500, curve=0.6, seed=1, intercept=-4.5)
    fitted, _, found = searched(x, treated)
    assert fitted.method == "Firth"
    assert found.linear is not None
    assert found.linear.p_value < 0.001


def test_bends_come_in_order_while_events_last() -> None:
    """A fired test bends every number where events are many, the first where they are for one, none where they lack."""
    x, treated = world(1_500, curve=0.25, seed=5)
    _, model, found = searched(x, treated)
    assert found.bends == model.bends == NUMBERS
    assert found.unbent == ()
    assert found.linear is not None
    assert found.remaining is not None
    assert found.linear.p_value < 0.01 < found.remaining.p_value
    x, treated = world(4_000, curve=0.6, seed=5)
    for events, bends in ((19, ("age",)), (15, ()), (20, NUMBERS)):
        keep = np.sort(np.concatenate([np.flatnonzero(treated)[:events], np.flatnonzero(~treated)]))
        _, model, found = searched(x[keep], treated[keep])
        assert model.bends == bends
        assert found.unbent == NUMBERS[len(bends) :]
    assert found.remaining is not None


def test_what_is_declared_holds() -> None:
    """A straight world keeps its model; bends may be forbidden; a spline is not bent twice."""
    x, treated = world(2_000, curve=0.0, seed=6)
    fitted, model, found = searched(x, treated)
    assert model is LINE
    assert found.remaining == found.linear
    np.testing.assert_array_equal(fitted.logit, fit_propensity(x, treated, names=NAMES).logit)
    x, treated = world(2_000, curve=0.6, seed=6)
    forbidden = searched(x, treated, add=False)[2]
    assert forbidden.bends == ()
    assert forbidden.remaining == forbidden.linear
    bent = searched(x, treated, model=replace(LINE, splines=("age",)))[1]
    assert (bent.splines, bent.bends) == (("age",), ("score",))
    with pytest.raises(DesignError, match=r"design\.propensity_model"):
        PropensityModel(splines=("age",), bends=("age",))


def test_the_logistic_part_of_boosting_is_tested_and_bent() -> None:
    """Few events keep the trees out: the curve is found in the line beside them, and bent, as without them."""
    x, treated = world(800, curve=0.6, seed=7, intercept=-3.0)
    trees = PropensityModel(kind="boosting", trees=20)
    fitted, model, found = searched(x, treated, model=trees)
    plain, _, line = searched(x, treated)
    assert found == line
    assert (model.kind, model.bends) == ("boosting", line.bends)
    assert found.bends
    np.testing.assert_array_equal(fitted.logit, plain.logit)
