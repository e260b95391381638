"""Weights from propensity scores: inverse probability of treatment and its kin, trimmed and truncated in the open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from causal.design.memory import MEMORY, require_memory
from causal.design.weighting.terms import checked_arms
from causal.design.weighting.weights import Nuisance, WeightEstimand, Weights
from causal.errors import DesignError
from causal.numeric.grid import SCORE, settled

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NOISE = 1e-9  # part of a weight within which it is at a quantile and not beyond
SOLVED = 1e-6  # largest sum of a score over the sum of its sizes at a maximum of the likelihood


def propensity_weights(
    treated: BoolArray,
    *,
    logit: FloatArray,
    estimand: WeightEstimand,
    stabilised: bool = False,
    inside: BoolArray | None = None,
    trim: tuple[float, float] | None = None,
    truncate: tuple[float, float] | float | None = None,
    design_matrix: FloatArray | None = None,
    memory: float = MEMORY,
) -> Weights:
    """Weights that make the arms comparable for the estimand.

    Parameters
    ----------
    treated, logit
        (n,) arm W, and log odds of treatment: the probability is e = 1/(1 + exp(-logit)). Log odds keep every digit
        where probabilities are close to 0 or 1.
    estimand
        ``ATT``: ``W + (1 - W) e/(1 - e)``. ``ATC``: ``W (1 - e)/e + (1 - W)``. ``ATE``: ``W/e + (1 - W)/(1 - e)``.
        ``ATO`` (overlap): ``W(1 - e) + (1 - W)e``. ``ATM`` (matching): the ATE weight times ``min(e, 1 - e)``.
    stabilised
        Multiply by the arm's share (ATE), or the weighted arm by the odds of standing in it (ATT, ATC), so that the
        mean weight is near 1. Weighted means within an arm do not change. Not defined for ATO and ATM, whose weights
        are bounded.
    inside
        (n,) false for occasions the model was fitted on and another rule has set aside (stratum by stratum common
        support): they get weight 0, and `nuisance` still covers them. None for everyone.
    trim
        Lowest and highest probability kept, both kept (see `causal.design.weighting.trimming`). Occasions beyond get
        weight 0 and the effect is that of the others. The scores are those given: whether to fit them again on who is
        left is the caller's choice.
    truncate
        Two quantiles, as (0.01, 0.99), of the weights that vary (under ATT those of comparisons): weights beyond are
        set to them. Or one number: larger weights are set to it. Trades bias for variance; report the untruncated
        estimate beside it.
    design_matrix
        (n, k) of the logistic model the log odds were fitted with, the intercept included: fills `nuisance`. Without
        it the standard error takes the weights as known.
    memory
        Gigabytes allowed.

    Returns
    -------
    Weights above 0, and 0 for occasions set aside; `estimand` and `estimand_note` follow what was done.

    Raises
    ------
    DesignError
        ``design.probability`` for a score of 0 or 1 or missing, ``design.no_treated``, ``design.no_comparison`` (also
        when trimming leaves none), ``design.stabilised``, ``design.trim``, ``design.truncate``,
        ``design.not_the_model`` when the log odds maximise no likelihood of the design matrix, ``design.memory``.

    Notes
    -----
    Robins, Hernan & Brumback (2000), Epidemiology 11:550-560; Li, Morgan & Zaslavsky (2018), JASA 113:390-400; Li &
    Greene (2013), Int J Biostat 9:215-234 (ATM). Estimating functions: ``psi_i = x_i(W_i - e_i)``, with Firth's
    ``+ x_i h_i(1/2 - e_i)`` where the log odds solve his equations; jacobian ``-X'diag(e(1 - e))X``. The derivative of
    a weight is 0 where it was truncated or bounded (ATM at its kink), and truncation points are taken as fixed.

    >>> w = propensity_weights(np.array([True, False]), logit=np.log([4.0, 0.25]), estimand="ATT")
    >>> w.weight.round(12).tolist(), w.estimand
    ([1.0, 0.25], 'ATT')
    """
    arm = checked_arms(treated)
    eta = np.asarray(logit, dtype=np.float64)
    weight, slope = weight_and_slope(eta, arm, estimand)
    if not (np.isfinite(eta).all() and np.isfinite(weight).all()):
        raise DesignError(
            "design.probability",
            "some propensity scores are 0, 1 or missing: no weight exists there",
            fix="restrict to the common support first",
        )
    kept = _kept(eta, arm, inside, trim)
    if stabilised:
        factor = _shares(arm, kept, estimand)
        weight, slope = weight * factor, slope * factor
    weight, slope = weight * kept, slope * kept
    weight, beyond = truncated(weight, kept & _varies(arm, estimand), truncate)
    slope = np.where(beyond, 0.0, slope)
    changes = [word for word, done in (("trimmed", trim), ("truncated", truncate)) if done is not None]
    return Weights(
        weight=weight,
        estimand=", ".join([estimand, *changes]),
        estimand_note=_note(estimand, stabilised=stabilised, trim=trim, truncate=truncate),
        method="inverse probability of treatment" + (", stabilised" if stabilised else ""),
        nuisance=None if design_matrix is None else _nuisance(design_matrix, eta, arm, slope, memory),
    )


def weight_and_slope(eta: FloatArray, arm: BoolArray, estimand: WeightEstimand) -> tuple[FloatArray, FloatArray]:
    """Weights (n,) from log odds of treatment, and their derivatives with respect to the log odds.

    Written in s, the log odds of standing in the other arm: ATE ``1 + exp(s)``, ATT and ATC ``exp(s)`` in the weighted
    arm, ATO ``1/(1 + exp(-s))``, ATM ``min(1, exp(s))``.
    """
    sign = np.where(arm, -1.0, 1.0)
    s = sign * eta
    with np.errstate(over="ignore"):
        match estimand:
            case "ATE":
                weight, rise = 1.0 + np.exp(s), np.exp(s)
            case "ATO":
                weight, rise = expit(s), expit(s) * expit(-s)
            case "ATM":
                weight, rise = np.exp(np.minimum(s, 0.0)), np.where(s < 0, np.exp(s), 0.0)
            case "ATT":
                weight, rise = np.where(arm, 1.0, np.exp(s)), np.where(arm, 0.0, np.exp(s))
            case "ATC":
                weight, rise = np.where(arm, np.exp(s), 1.0), np.where(arm, np.exp(s), 0.0)
    return np.asarray(weight, dtype=np.float64), np.asarray(sign * rise, dtype=np.float64)


def truncated(
    weight: FloatArray, among: BoolArray, truncate: tuple[float, float] | float | None
) -> tuple[FloatArray, BoolArray]:
    """Weights (n,) with those beyond two quantiles, or above a number, set to the limit; and which were beyond.

    Quantiles are of the weights ``among`` (n,), and only these are set.

    >>> truncated(np.array([1.0, 2, 9]), np.array([True, True, True]), 4.0)
    (array([1., 2., 4.]), array([False, False,  True]))
    """
    if truncate is None:
        return weight, np.zeros(weight.size, dtype=np.bool_)
    if isinstance(truncate, tuple):
        if not 0 <= truncate[0] < truncate[1] <= 1:
            raise DesignError(
                "design.truncate",
                f"truncation quantiles must rise within 0 and 1, got {truncate[0]:g}, {truncate[1]:g}",
            )
        low, high = np.quantile(weight[among], truncate)
    else:
        if not truncate > 0:
            raise DesignError("design.truncate", f"the largest weight must be above 0, got {truncate:g}")
        low, high = 0.0, truncate
    beyond = among & ((weight < low * (1 - NOISE)) | (weight > high * (1 + NOISE)))
    return np.where(beyond, np.clip(weight, low, high), weight), beyond


def _kept(eta: FloatArray, arm: BoolArray, inside: BoolArray | None, trim: tuple[float, float] | None) -> BoolArray:
    """Occasions inside, with a probability within the bounds; refuses when an arm has none."""
    kept = np.ones(eta.size, dtype=np.bool_) if inside is None else np.asarray(inside, dtype=np.bool_)
    if trim is not None:
        low, high = trim
        if not 0 <= low < high <= 1:
            raise DesignError("design.trim", f"trimming bounds must rise within 0 and 1, got {low:g}, {high:g}")
        probability = settled(expit(eta), SCORE)
        kept = kept & (probability >= settled(low, SCORE)) & (probability <= settled(high, SCORE))
    for rows, code, who in ((arm, "design.no_treated", "treated"), (~arm, "design.no_comparison", "comparison")):
        if not (kept & rows).any():
            raise DesignError(code, f"zero {who} occasions lie within the bounds", fix="widen the bounds")
    return kept


def _shares(arm: BoolArray, kept: BoolArray, estimand: WeightEstimand) -> FloatArray:
    """Stabilising factor of each occasion."""
    share = float(arm[kept].mean())
    match estimand:
        case "ATE":
            return np.where(arm, share, 1 - share)
        case "ATT":
            return np.where(arm, 1.0, (1 - share) / share)
        case "ATC":
            return np.where(arm, share / (1 - share), 1.0)
        case "ATO" | "ATM":
            raise DesignError("design.stabilised", f"{estimand} weights are bounded and are not stabilised")


def _varies(arm: BoolArray, estimand: WeightEstimand) -> BoolArray:
    """Occasions whose weight depends on their score."""
    match estimand:
        case "ATT":
            return ~arm
        case "ATC":
            return arm
        case "ATE" | "ATO" | "ATM":
            return np.ones(arm.size, dtype=np.bool_)


def _note(
    estimand: WeightEstimand,
    *,
    stabilised: bool,
    trim: tuple[float, float] | None,
    truncate: tuple[float, float] | float | None,
) -> str:
    """What was done to the weights and what it means for the estimand."""
    sentences = []
    if stabilised:
        sentences.append("Stabilised: weighted means within a group, and the estimand, are unchanged.")
    if trim is not None:
        bounds = f"from {trim[0]:.2g} to {trim[1]:.2g}"
        sentences.append(f"Trimmed: the effect is that of occasions with an estimated probability {bounds}.")
    if truncate is not None:
        limit = (
            f"weights beyond quantiles {truncate[0]:g} and {truncate[1]:g} are set to them"
            if isinstance(truncate, tuple)
            else f"weights above {truncate:g} are set to it"
        )
        sentences.append(f"Truncated: {limit}; the effect is that of a mixture of populations, not exactly {estimand}.")
    return " ".join(sentences)


def _nuisance(design: FloatArray, eta: FloatArray, arm: BoolArray, slope: FloatArray, memory: float) -> Nuisance:
    """Score equations of the logistic model: maximum likelihood, or Firth's where the log odds solve those instead."""
    x = np.asarray(design, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != eta.size:
        raise ValueError(f"design matrix {x.shape} does not fit {eta.size} occasions")
    require_memory(32.0 * x.size, limit=memory, work="the estimating functions", instead="leave out design_matrix")
    information = expit(eta) * expit(-eta)
    jacobian = -(x * information[:, None]).T @ x
    residual = arm - expit(eta)
    if not _solves(x, residual):
        leverage = information * np.einsum("ij,ij->i", x @ np.linalg.pinv(-jacobian), x)
        residual = residual + leverage * (0.5 - expit(eta))
    if not _solves(x, residual):
        raise DesignError(
            "design.not_the_model",
            "the log odds do not maximise the likelihood of a logistic model with this design matrix",
            fix="give the design matrix the propensity was fitted with, intercept included, or none",
        )
    return Nuisance(psi=x * residual[:, None], jacobian=jacobian, gradient=x * slope[:, None])


def _solves(x: FloatArray, residual: FloatArray) -> bool:
    """Whether ``sum x_i residual_i`` is zero, to rounding, in every column."""
    return bool((np.abs(residual @ x) <= SOLVED * (np.abs(residual) @ np.abs(x))).all())
