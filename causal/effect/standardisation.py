"""G-computation: a model of the outcome, averaged over a population under each arm in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from causal.effect.cluster_robust import ClusterRobust, Kind, beyond_rounding, cluster_robust
from causal.effect.contrast import Contrast, student
from causal.effect.doubly_robust.influence import Estimand, MarginalMean, clustered_error
from causal.effect.doubly_robust.logistic import logistic_regression
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Family = Literal["linear", "logistic"]
Predictor = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardised:
    """The mean outcome of a population had all been treated, had none, and their contrast, from an outcome model.

    Attributes
    ----------
    effect
        Mean had all been treated minus mean had none, in units of the outcome; for events, the risk difference.
    log_ratio
        Log of the ratio of the two risks, for events; None for a linear model.
    mean_treated, mean_comparison
        The two means, with standard errors.
    estimand
        Over whom they are averaged: the treated (ATT), the untreated (ATC), everyone (ATE).
    n_treated, n_comparison, n_clusters
        Rows with weight above 0 by arm, and clusters among them.
    aliased
        Terms dropped because earlier ones determine them.
    covariates_sampled
        Whether the error counts the population as a sample of a larger one.
    """

    effect: Contrast
    log_ratio: Contrast | None
    mean_treated: MarginalMean
    mean_comparison: MarginalMean
    estimand: Estimand
    n_treated: int
    n_comparison: int
    n_clusters: int
    aliased: tuple[str, ...]
    covariates_sampled: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """An outcome model as a least-squares regression, and what it says of the population.

    ``response`` and ``weight`` are the outcome and its weight, for a logistic model those of the last least-squares
    step: least squares of one on the design gives the coefficients and their influences either way.
    """

    design: FloatArray  # (n, k)
    response: FloatArray  # (n,)
    weight: FloatArray  # (n,)
    predicted: Predictor  # from (k,) coefficients to (n,) means under treatment and under comparison
    gradient: tuple[FloatArray, FloatArray]  # (k,) each: derivative of the two means by the coefficients


def g_computation(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    weights: FloatArray | None,
    clusters: IntArray | None,
    *,
    names: Sequence[str],
    estimand: Estimand = "ATT",
    target: FloatArray | None = None,
    family: Family = "linear",
    interactions: Sequence[str] | None = None,
    kind: Kind = "CR2",
    covariates_sampled: bool = False,
    level: float = 0.95,
) -> Standardised:
    """Effect by regression on treatment, covariates and their products, averaged over a population.

    Parameters
    ----------
    outcome, treated
        (n,) finite outcome (0 or 1 for ``logistic``) and arm of the compared rows.
    covariates, names
        (n, p) finite values known before treatment, and p names.
    weights
        (n,) 0 or more, of a matched or weighted sample; None for all 1 (plain standardisation).
    clusters
        (n,) codes of the units within which rows may resemble each other: matched sets, clinicians. None: each row its
        own, so that ``CR0``, ``CR1S``, ``CR2``, ``CR3`` are HC0 to HC3.
    estimand
        Averaged over the treated rows (``ATT``), the comparison rows (``ATC``) or all (``ATE``), by their weights.
    target
        (n,) weights of the population instead of `weights`, such as all 1 where weights only make the arms comparable.
    family
        ``linear``: least squares. ``logistic``: for events; effects are on the scale of risks all the same.
    interactions
        Covariates whose product with treatment enters; None for all, () for none.
    kind
        Of the standard error, see `cluster_robust`: the effect is one linear contrast of the coefficients (by the delta
        method under ``logistic``), with CR2's Satterthwaite degrees of freedom, clusters - 1 under the others.
    covariates_sampled
        False: the effect is that in the population at hand. True: in the one it was drawn from, whose covariates are
        estimated too; CR1 of the stacked estimating equations then, whatever `kind`, with clusters - 1.
    level
        Of the interval.

    Raises
    ------
    EstimationError
        ``estimation.empty_arm``, ``estimation.not_finite``, ``estimation.constant_outcome``, ``estimation.not_binary``,
        ``estimation.empty_population``, ``estimation.unknown_covariate``, ``estimation.outcome_separated``,
        ``estimation.not_estimable`` (nobody like a part of the population was seen in an arm),
        ``estimation.no_standard_error`` and others of `cluster_robust`.

    Notes
    -----
    Robins (1986), Math Model 7:1393-1512; Snowden, Rose & Mortimer (2011), Am J Epidemiol 173:731-738; after matching
    Greifer & Stuart (2021), arXiv:2106.10577. With x_i(a) the row's columns had its arm been a and s_i its share of the
    population, ``theta_a = sum_i s_i g(x_i(a)'b)`` and the gradient is ``sum_i s_i g'(x_i(a)'b) x_i(a)``.

    >>> age = np.array([[1.0], [2], [3], [1], [2], [4]])
    >>> arm = np.array([True, True, True, False, False, False])
    >>> score = 2 * age[:, 0] + arm * (1 + age[:, 0]) + np.array([0, .1, 0, 0, .1, 0])
    >>> found = g_computation(score, arm, age, None, None, names=["age"], kind="CR0")  # 1 + mean age of the treated
    >>> round(found.effect.value, 1), found.estimand
    (3.0, 'ATT')
    """
    y, arm, w = _checked(outcome, treated, weights, family)
    own = np.arange(y.size, dtype=np.int64) if clusters is None else np.asarray(clusters)
    share = _population(arm, w, estimand, target)
    x, products = _covariates(covariates, names, share, interactions)
    model = _fitted(y, arm, x, products, w, share, family)
    by_one, by_zero = model.gradient
    at_hand: Kind = "CR0" if covariates_sampled else kind
    try:
        fit = _contrast(model, by_one - by_zero, own, at_hand)
    except EstimationError as refusal:
        raise _of_one_arm(refusal, x[w > 0], arm[w > 0], names) from None
    beta = np.nan_to_num(fit.coefficients)  # aliased columns have none
    predicted = model.predicted(beta)
    one, zero = (float(share @ mean) for mean in predicted)
    contrasts = [by_one - by_zero, by_one, by_zero]
    errors = [(fit.std_error, fit.df), *((_mean_error(model, fit, by, own, at_hand), fit.df) for by in model.gradient)]
    if family == "logistic":
        contrasts.append(by_one / one - by_zero / zero)
        ratio = _contrast(model, contrasts[3], own, at_hand)
        errors.append((ratio.std_error, ratio.df))
    if covariates_sampled:
        errors = _stacked(model, fit, contrasts, share, predicted, own)
    label, used = f"g-computation, {estimand}", w > 0
    log_ratio = None
    if family == "logistic":
        log_ratio = student(f"{label}, log risk ratio", float(np.log(one / zero)), *errors[3], level=level)
    terms = ("intercept", "treatment", *names, *(f"treatment x {names[j]}" for j in products))
    error, df = errors[0]
    return Standardised(
        effect=student(label, one - zero, beyond_rounding(error, y[used]), df, level=level),
        log_ratio=log_ratio,
        mean_treated=MarginalMean(value=one, std_error=errors[1][0]),
        mean_comparison=MarginalMean(value=zero, std_error=errors[2][0]),
        estimand=estimand,
        n_treated=int((arm & used).sum()),
        n_comparison=int((~arm & used).sum()),
        n_clusters=int(np.unique(own[used]).size),
        aliased=tuple(terms[j] for j in fit.aliased),
        covariates_sampled=covariates_sampled,
    )


def _of_one_arm(refusal: EstimationError, x: FloatArray, arm: BoolArray, names: Sequence[str]) -> EstimationError:
    """The refusal, with the covariates that vary in one arm (n,) only where that is why nothing can be told."""
    alike = [np.ptp(x[rows], axis=0) == 0 for rows in (arm, ~arm)]
    only = [name for name, one, other in zip(names, *alike, strict=True) if one != other]
    if refusal.code != "estimation.not_estimable" or not only:
        return refusal
    return EstimationError(
        refusal.code,
        f"only one of the groups varies in {', '.join(only)}: nothing says what would have become of part of it in the "
        "other",
        fix="leave such rows out, merge levels, or do without an interaction of treatment with the covariate",
    )


def _fitted(
    y: FloatArray, arm: BoolArray, x: FloatArray, products: list[int], w: FloatArray, share: FloatArray, family: Family
) -> _Model:
    """The outcome model of the rows with weight, and its predictions for everybody."""
    design, one, zero = (_columns(x, a, products) for a in (arm, np.ones_like(arm), np.zeros_like(arm)))
    if family == "linear":
        return _Model(
            design=design,
            response=y,
            weight=w,
            predicted=lambda beta: (one @ beta, zero @ beta),
            gradient=(share @ one, share @ zero),
        )
    beta = logistic_regression(design, y, w)[0]
    p, p1, p0 = (expit(rows @ beta) for rows in (design, one, zero))
    return _Model(
        design=design,
        response=design @ beta + (y - p) / _slope(p),
        weight=w * _slope(p),
        predicted=lambda beta: (expit(one @ beta), expit(zero @ beta)),
        gradient=((share * _slope(p1)) @ one, (share * _slope(p0)) @ zero),
    )


def _columns(x: FloatArray, arm: BoolArray, products: list[int]) -> FloatArray:
    """Columns (n, 2 + p + q): ones, arm, covariates, products of the arm with some of them."""
    return np.column_stack([np.ones(arm.size), arm, x, x[:, products] * arm[:, None]])


def _slope(p: FloatArray) -> FloatArray:
    """Derivative of a probability by its log odds."""
    return p * (1 - p)


def _contrast(model: _Model, contrast: FloatArray, clusters: IntArray, kind: Kind) -> ClusterRobust:
    """A contrast (k,) of the coefficients."""
    return cluster_robust(
        model.design, model.response, weights=model.weight, clusters=clusters, contrast=contrast, kind=kind
    )


def _mean_error(model: _Model, fit: ClusterRobust, contrast: FloatArray, clusters: IntArray, kind: Kind) -> float:
    """Standard error of a mean, from the fit where all coefficients exist, else asked for, and perhaps refused."""
    if fit.aliased:
        return _contrast(model, contrast, clusters, kind).std_error
    return float(np.sqrt(contrast @ fit.covariance @ contrast))


def _stacked(
    model: _Model,
    fit: ClusterRobust,
    contrasts: list[FloatArray],
    share: FloatArray,
    predicted: tuple[FloatArray, FloatArray],
    clusters: IntArray,
) -> list[tuple[float, float]]:
    """Standard errors and degrees of freedom when the population's covariates are a sample too.

    To each contrast's influence through the coefficients, ``w (y - x'b) x'(X'WX)^-1 c``, comes that of the row as a
    member of the population: ``s (g(x(a)'b) - theta_a)``, combined over arms as the contrast combines them.
    """
    kept = np.isfinite(fit.coefficients)
    x = model.design[:, kept]
    residual = model.weight * (model.response - x @ fit.coefficients[kept])
    inverse = np.linalg.inv(x.T @ (x * model.weight[:, None]))
    means = [float(share @ mean) for mean in predicted]
    one, zero = (share * (mean - theta) for mean, theta in zip(predicted, means, strict=True))
    as_member = [one - zero, one, zero]
    if len(contrasts) > len(as_member):
        as_member.append(one / means[0] - zero / means[1])
    used = (model.weight > 0) | (share > 0)
    errors = []
    for contrast, member in zip(contrasts, as_member, strict=True):
        influence = residual * (x @ (inverse @ contrast[kept])) + member
        errors.append(clustered_error(influence[used] * used.sum(), clusters[used]))
    return errors


def _population(arm: BoolArray, w: FloatArray, estimand: Estimand, target: FloatArray | None) -> FloatArray:
    """Each row's share (n,) of the population the effect is averaged over."""
    weight = w if target is None else np.asarray(target, dtype=np.float64)
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    inside = weight * {"ATT": arm, "ATC": ~arm, "ATE": np.ones_like(arm)}[estimand]
    if not inside.sum() > 0:
        raise EstimationError("estimation.empty_population", "nobody of the population has weight")
    return np.asarray(inside / inside.sum(), dtype=np.float64)


def _covariates(
    covariates: FloatArray, names: Sequence[str], share: FloatArray, interactions: Sequence[str] | None
) -> tuple[FloatArray, list[int]]:
    """Covariates (n, p) about their means in the population, and which of them interact with treatment."""
    x = np.asarray(covariates, dtype=np.float64)
    if x.shape != (share.size, len(names)):
        raise ValueError(f"covariates {x.shape} do not fit {share.size} rows and {len(names)} names")
    if not np.isfinite(x).all():
        raise EstimationError("estimation.not_finite", "a covariate of a row is missing")
    wanted = list(names) if interactions is None else list(interactions)
    if unknown := [name for name in wanted if name not in names]:
        raise EstimationError(
            "estimation.unknown_covariate", f"interactions name {', '.join(unknown)}, which is no covariate"
        )
    return x - share @ x, [list(names).index(name) for name in wanted]


def _checked(
    outcome: FloatArray, treated: BoolArray, weights: FloatArray | None, family: Family
) -> tuple[FloatArray, BoolArray, FloatArray]:
    """Outcome, arm and weights (n,) each; refuses what no estimate can come of."""
    y, arm = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    w = np.ones(y.size) if weights is None else np.asarray(weights, dtype=np.float64)
    used = w > 0
    if not (arm & used).any() or not (~arm & used).any():
        raise EstimationError("estimation.empty_arm", "one arm has no row with weight: there is no difference")
    if not np.isfinite(y[used]).all():
        raise EstimationError("estimation.not_finite", "the outcome of a weighted row is missing")
    refuse_constant(y, arm, w)
    if family == "logistic" and ((y[used] < 0) | (y[used] > 1)).any():
        raise EstimationError(
            "estimation.not_binary", "a logistic model needs outcomes of 0 and 1", fix="use the linear model"
        )
    return np.where(used, y, 0.0), arm, w
