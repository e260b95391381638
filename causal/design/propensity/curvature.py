"""Is the linear propensity curved in the facts that matter most? A test that sees no outcome, and what it leads to.

A difference of squares after matching does not tell curved worlds from straight ones: its size depends on who was
matched. The score test of the squares in the model itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from causal.design.propensity.columns import independent_columns, outside
from causal.design.propensity.fit import Propensity
from causal.design.propensity.fitted import BENDS_FROM
from causal.design.propensity.logistic import expit
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.splines import bend
from causal.design.propensity.terms import model_columns
from causal.numeric.grid import settled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

TELLS_MORE = 1e-8
"""Share of a square's weighted variance that the model must leave unexplained for the square to be tested."""
GRID = -6
"""Exponent of the grid of a statistic and its p-value: no rounding noise decides on which side of a limit one falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTest:
    """Joint test of k squares: statistic, degrees of freedom k, p-value, and whose squares were tested."""

    statistic: float
    df: int
    p_value: float
    covariates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """What was found of curves in the propensity, and what was done.

    Attributes
    ----------
    linear
        The test in the model as declared; None where no square can be tested (`untested` says why).
    bends
        Covariates that got a bend because it fired, in the order they were given one.
    unbent
        Covariates that could have bent but for too few events.
    remaining
        The test in the model that was used: `linear` where no bend was added.
    untested
        Why there is no test; empty where there is one.
    """

    linear: ScoreTest | None
    bends: tuple[str, ...] = ()
    unbent: tuple[str, ...] = ()
    remaining: ScoreTest | None = None
    untested: str = ""


def score_test_of_squares(
    covariates: FloatArray,
    treated: BoolArray,
    fitted: Propensity,
    *,
    names: Sequence[str],
    model: PropensityModel,
    squares: Sequence[str],
    clusters: IntArray | None = None,
    offset: FloatArray | None = None,
) -> ScoreTest | None:
    """Rao's joint score test of adding squares of some covariates to a fitted propensity.

    Parameters
    ----------
    covariates, treated, names, model, clusters, offset
        (n, p), (n,), p names and the rest as they were given to `fit_propensity`.
    fitted
        What it returned: a model linear in its columns.
    squares
        Covariates whose squares are tested. A square that the model's columns or the squares before it determine (that
        of a yes or no, of a constant) is left out.

    Returns
    -------
    None where no square is left.

    Notes
    -----
    With X the model's columns and an intercept, p the fitted probabilities, W = p(1 - p) and Z the squares, ``r = Z -
    X(X'WX)^-1 X'WZ`` and ``r'(y - p)`` has covariance ``r'Wr`` under the model: their quadratic form is chi-squared
    with k degrees of freedom. At the maximum of the likelihood this is Rao's test (1948, Proc Camb Phil Soc 44:50-57);
    at Firth's or penalised estimates it is Neyman's C(alpha), which allows for any consistent estimate of the other
    parameters (Neyman 1959).

    >>> from causal.design.propensity.fit import fit_propensity
    >>> rng = np.random.default_rng(1)
    >>> age = rng.normal(size=(800, 1))
    >>> treated = rng.random(800) < 1 / (1 + np.exp(1 - age[:, 0] ** 2))
    >>> line = fit_propensity(age, treated, names=["age"])
    >>> model = PropensityModel()
    >>> test = score_test_of_squares(age, treated, line, names=["age"], model=model, squares=["age"])
    >>> test.df, test.p_value < 0.001
    (1, True)
    """
    x = np.require(covariates, dtype=np.float64, requirements=["C", "W"])
    columns, labels = model_columns(x, tuple(names), model, clusters)
    kept = columns[:, [labels.index(name) for name in fitted.names]]
    eta = fitted.intercept + kept @ fitted.coefficients + (0.0 if offset is None else offset)
    p = expit(eta)
    root = np.sqrt(p * (1 - p))
    centre, scale = kept.mean(axis=0), kept.std(axis=0)
    base = np.column_stack([np.ones(x.shape[0]), (kept - centre) / scale])
    chosen = [name for name in squares if name in names and x[:, list(names).index(name)].std() > 0]
    values = x[:, [list(names).index(name) for name in chosen]]
    square = ((values - values.mean(axis=0)) / values.std(axis=0)) ** 2
    weighted, explained = square * root[:, None], base * root[:, None]
    total = ((square - np.average(square, axis=0, weights=root**2)) ** 2 * (root**2)[:, None]).sum(axis=0)
    left = outside(explained, weighted)
    tells = (left**2).sum(axis=0) > TELLS_MORE * np.maximum(total, np.finfo(float).tiny)
    tells[tells] = independent_columns(left[:, tells])
    if not tells.any():
        return None
    left = left[:, tells]
    score = left.T @ ((treated - p) / root)
    statistic = float(score @ np.linalg.solve(left.T @ left, score))
    df = int(tells.sum())
    return ScoreTest(
        statistic=float(settled(statistic, GRID)),
        df=df,
        p_value=float(settled(chi2.sf(statistic, df), GRID)),
        covariates=tuple(name for name, told in zip(chosen, tells, strict=True) if told),
    )


def bent_where_needed(
    covariates: FloatArray,
    treated: BoolArray,
    *,
    names: Sequence[str],
    order: Sequence[str],
    model: PropensityModel,
    fit: Callable[[PropensityModel], Propensity],
    smallest_p: float,
    add: bool,
    clusters: IntArray | None = None,
    offset: FloatArray | None = None,
) -> tuple[Propensity, PropensityModel, Curvature]:
    """The declared propensity, with bends where the joint test of the squares fires and there are events enough.

    Parameters
    ----------
    order
        Covariates to be tested and bent, most important first.
    fit
        Fits a model to these rows.
    smallest_p
        The test fires below it.
    add
        Whether bends may be added; the test is made in any case.
    covariates, treated, names, model, clusters, offset
        As in `score_test_of_squares`.

    Returns
    -------
    The propensity, the model it follows, and what was found.

    Notes
    -----
    A bend is added as long as the smaller arm keeps `BENDS_FROM` occasions for each parameter, however the test came
    out for the single fact: choosing by single squares would add those that chance picked. Beside trees the logistic
    part is tested and bent: trees that few events keep out find no curve.
    """
    fitted = fit(model)
    boosted = model.draws
    if boosted and fitted.separated:
        return fitted, model, Curvature(linear=None, untested="a line tells the groups apart with certainty")
    regression = replace(model, kind="logistic", cross_fit=None) if boosted else model
    line = fit(regression) if boosted else fitted
    test = _tested(line, regression, covariates, treated, names, order, clusters, offset)
    if test is None:
        return fitted, model, Curvature(linear=None, untested="no tier-1 fact has values enough for a curve")
    if test.p_value >= smallest_p or not add:
        return fitted, model, Curvature(linear=test, remaining=test)
    able = [name for name in order if name not in model.splines and _bends(covariates, names, name)]
    events = min(int(treated.sum()), int((~treated).sum()))
    room = max(int(events / BENDS_FROM) - len(line.names), 0)
    bends, unbent = tuple(able[:room]), tuple(able[room:])
    if not bends:
        return fitted, model, Curvature(linear=test, remaining=test, unbent=unbent)
    bent, regression = replace(model, bends=bends), replace(regression, bends=bends)
    refitted = fit(bent)
    line = fit(regression) if boosted else refitted
    remaining = _tested(line, regression, covariates, treated, names, order, clusters, offset)
    return refitted, bent, Curvature(linear=test, bends=bends, unbent=unbent, remaining=remaining)


def _tested(
    fitted: Propensity,
    model: PropensityModel,
    covariates: FloatArray,
    treated: BoolArray,
    names: Sequence[str],
    squares: Sequence[str],
    clusters: IntArray | None,
    offset: FloatArray | None,
) -> ScoreTest | None:
    return score_test_of_squares(
        covariates, treated, fitted, names=names, model=model, squares=squares, clusters=clusters, offset=offset
    )


def _bends(covariates: FloatArray, names: Sequence[str], name: str) -> bool:
    return name in names and bend(covariates[:, list(names).index(name)]) is not None
