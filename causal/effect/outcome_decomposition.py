"""The composite outcome, and how much of its difference is endings and how much is the level of the ratings.

A relationship that the patient ends has no later rating, and the mean among those who stay is not an effect. The
composite gives an ended relationship the floor of the scale and a continuing one its rating. Its difference splits
exactly into a part from more (or fewer) endings and a part from the level of the ratings; neither is lost in the other.
A rating missing while the relationship goes on is missing data: the ratings present stand in, weighted by how unlikely
they were to be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.design.propensity.firth import firth_logistic
from causal.design.propensity.fitted import BENDS_FROM, REFUSE_BELOW
from causal.design.propensity.logistic import expit
from causal.effect.matched_estimates import LinearEffect, ancova
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ResponseMethod = Literal["everyone responded", "logistic regression", "share by arm"]
TOO_FEW = "too few missing (or given) ratings for a regression on the covariates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A composite difference and its two parts; ``difference = termination_part + level_part``."""

    difference: float
    termination_part: float
    level_part: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeEffect:
    """Effect on the composite outcome with its exact decomposition. Suffix 1 is treated, 0 comparison.

    Attributes
    ----------
    composite
        Difference in the composite mean, scale points.
    termination
        Difference in the share of ended relationships (risk difference).
    termination_refused
        Why the difference in that share has no interval, and `termination` is None; empty where it has one.
    termination_part, level_part
        ``floor - m`` times that difference, and the difference in ``(1 - T)(R/r)(S - m)``, the ratings' part of the
        composite; they add up to ``composite.value``.
    p1, p0
        Weighted shares of ended relationships.
    m1, m0
        Weighted mean ratings among continuing relationships, corrected for missing ratings; NaN for an arm in which
        every relationship ended.
    midpoint
        m, halfway between m1 and m0.
    floor
        Value given to an ended relationship.
    response_treated, response_comparison
        Weighted share of continuing relationships with a rating; NaN as m1 and m0.
    response_method, response_note
        How the probability of a rating was estimated, and what to know of it: why not by regression, or that the
        covariates decide who answered, so that nothing stands in for those who did not. Empty when all is well.
    largest_response_weight
        Largest factor by which a rating stands in for missing ones.
    pseudo_outcome
        (n,) the composite, ratings weighted to stand in for missing ones: its difference is `composite`.
    response_weights
        (n,) factor by which each rating stands in for missing ones, 0 where there is none.
    """

    composite: LinearEffect
    termination: LinearEffect | None
    termination_refused: str
    termination_part: float
    level_part: float
    p1: float
    p0: float
    m1: float
    m0: float
    midpoint: float
    floor: float
    response_treated: float
    response_comparison: float
    response_method: ResponseMethod
    response_note: str
    largest_response_weight: float
    pseudo_outcome: FloatArray = field(compare=False, repr=False)
    response_weights: FloatArray = field(compare=False, repr=False)


def composite_effect(
    treated: BoolArray,
    terminated: BoolArray,
    score: FloatArray,
    responded: BoolArray,
    *,
    clusters: IntArray,
    weights: FloatArray | None = None,
    response_covariates: FloatArray | None = None,
    response_bends: int = 0,
    covariates: FloatArray | None = None,
    names: Sequence[str] | None = None,
    floor: float = 1.0,
    level: float = 0.95,
) -> CompositeEffect:
    """Effect on ``Y = floor`` if the relationship ended (T = 1), else the rating S.

    Parameters
    ----------
    treated, terminated
        (n,) arm and whether the patient ended the relationship, of the matched rows.
    score
        (n,) rating in scale points, NaN where there is none; there is none after an ending.
    responded
        (n,) true where a rating was given.
    clusters
        (n,) codes for the standard errors.
    weights
        (n,) matching weights, 0 or more; None for all 1.
    response_covariates
        (n, p) values known before time zero that may explain both rating and responding; the arm is always included,
        and None leaves it alone: the share by arm.
    response_bends
        How many of them, the last, are bends of others: they enter where responses are enough for all.
    covariates, names
        (n, q) covariates of the outcome model and their names, as in `weighted_ancova`; the same serve all three
        effects, which is why the parts add up.
    floor
        Value of an ended relationship.
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        ``estimation.inconsistent_scores``, ``estimation.not_finite``, ``estimation.no_scores`` (an arm in which
        relationships continue but no rating was given), and those of `weighted_ancova` for the composite. What it
        refuses for the endings alone, as where nobody in an arm ended, is kept in ``termination_refused``: a mean of
        ratings needs no ending.
    DesignError
        ``design.not_converged`` from the response model.

    Notes
    -----
    With R responding, r its probability and w the matching weights, ``rho = R/r`` is scaled within each arm so that
    ``sum w rho = sum w`` over its continuing relationships (Hajek). The pseudo-outcome
    ``Y* = floor T + (1 - T)(m + rho (S - m))`` has arm means ``floor p + (1 - p) m_arm`` whatever m is. Because
    ``Y* = m + (floor - m) T + (1 - T) rho (S - m)`` and least squares is linear in the outcome, the effect on Y* is
    ``(floor - m)`` times the effect on T plus the effect on the last term, exactly, with any covariates. Unadjusted it
    is `decompose`. Standard errors take m and r as known: m cancels, and estimating r makes them a little too large
    rather than too small (Hirano, Imbens & Ridder 2003, Econometrica 71:1161-1189). Estimand: the composite strategy
    of ICH E9(R1).

    >>> ended = np.array([True, False, False, False, False, False])
    >>> score = np.array([np.nan, 3.0, 3.4, 3.6, 3.5, 4.0])
    >>> effect = composite_effect(np.array([True, True, True, False, False, False]), ended, score, ~ended,
    ...                           clusters=np.array([0, 1, 2, 0, 1, 2]))
    >>> round(effect.composite.value, 4), round(effect.termination_part + effect.level_part, 4)
    (-1.2333, -1.2333)
    """
    arm, ended = np.asarray(treated, dtype=np.bool_), np.asarray(terminated, dtype=np.bool_)
    rated = np.asarray(responded, dtype=np.bool_) & ~ended
    values = np.asarray(score, dtype=np.float64)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if (np.isfinite(values) != rated).any():
        raise EstimationError(
            "estimation.inconsistent_scores",
            "some rows hold a rating after the relationship ended, a rating without a response, or a response without "
            "a rating",
            fix="classify the intercurrent events before estimating",
        )
    staying = ~ended & (w > 0)
    p1, p0 = (_mean(ended, w, a) for a in (arm, ~arm))
    probability, method, note = _response_probability(rated, staying, arm, response_covariates, response_bends)
    rho = _stand_in_weights(rated, probability, staying, arm, w)
    ratings = np.where(rated, values, 0.0)
    m1, m0 = (_mean(ratings, w * rho, staying & a) for a in (arm, ~arm))
    midpoint = float(np.nanmean([m1, m0])) if staying.any() else floor

    rating_term = np.where(staying, rho * (ratings - midpoint), 0.0)
    pseudo_outcome = np.where(ended, floor, midpoint + rating_term)

    regression = ancova(arm, covariates, w, clusters, names=names, level=level)
    composite = regression.effect(pseudo_outcome)
    share_ended, refused = ended.astype(np.float64), ""
    termination: LinearEffect | None = None
    try:
        termination = regression.effect(share_ended)
    except EstimationError as refusal:
        refused = refusal.message
    more_ended, of_ratings = (regression.difference(y) for y in (share_ended, rating_term))
    return CompositeEffect(
        composite=composite,
        termination=termination,
        termination_refused=refused,
        termination_part=(floor - midpoint) * more_ended,
        level_part=of_ratings,
        p1=p1,
        p0=p0,
        m1=m1,
        m0=m0,
        midpoint=midpoint,
        floor=floor,
        response_treated=_mean(rated, w, staying & arm),
        response_comparison=_mean(rated, w, staying & ~arm),
        response_method=method,
        response_note=note,
        largest_response_weight=float(rho.max(initial=1.0)),
        pseudo_outcome=pseudo_outcome,
        response_weights=rho,
    )


def decompose(*, p1: float, p0: float, m1: float, m0: float, floor: float = 1.0) -> Parts:
    """Composite difference from the shares ended (p) and the mean ratings of those who stay (m).

    ``floor p1 + (1-p1) m1 - floor p0 - (1-p0) m0``
    ``= (p1 - p0)(floor - (m1 + m0)/2) + (m1 - m0)(1 - (p1 + p0)/2)`` (Kitagawa 1955, JASA 50:1168-1194).

    >>> parts = decompose(p1=0.34, p0=0.22, m1=3.40, m0=3.62)
    >>> round(parts.difference, 4), round(parts.termination_part, 4), round(parts.level_part, 4)
    (-0.4596, -0.3012, -0.1584)
    """
    return Parts(
        difference=floor * p1 + (1 - p1) * m1 - floor * p0 - (1 - p0) * m0,
        termination_part=(p1 - p0) * (floor - (m1 + m0) / 2),
        level_part=(m1 - m0) * (1 - (p1 + p0) / 2),
    )


def _response_probability(
    rated: BoolArray, staying: BoolArray, treated: BoolArray, covariates: FloatArray | None, n_bends: int
) -> tuple[FloatArray, ResponseMethod, str]:
    """Probability of a rating for the continuing relationships (n,), 1 elsewhere; the method; what to know of it.

    The regression is Firth's: few ratings are missing, and a category in which everyone answered is welcome here.
    """
    probability = np.ones(rated.size)
    if rated[staying].all():
        return probability, "everyone responded", ""
    for arm in (staying & treated, staying & ~treated):
        probability[arm] = rated[arm].mean() if arm.any() else 1.0
    if covariates is None:
        return probability, "share by arm", ""
    x = np.asarray(covariates, dtype=np.float64)
    if not np.isfinite(x[staying]).all():
        raise EstimationError("estimation.not_finite", "a covariate of the response model is missing")
    answered = rated[staying]
    fewest = min(int(answered.sum()), int((~answered).sum()))
    terms = np.column_stack([treated, x])[staying]
    design = _standardised(terms)
    if n_bends and fewest < BENDS_FROM * (design.shape[1] - 1):
        design = _standardised(terms[:, : terms.shape[1] - n_bends])
    if fewest >= REFUSE_BELOW * max(design.shape[1] - 1, 1):
        probability[staying] = fitted = expit(design @ firth_logistic(design, answered))
        decided = fitted[answered].min() > fitted[~answered].max()
        return probability, "logistic regression", "the covariates tell exactly who answered" if decided else ""
    return probability, "share by arm", TOO_FEW


def _standardised(x: FloatArray) -> FloatArray:
    """Design of the response model: an intercept and the columns that vary and do not repeat earlier ones."""
    varying = x[:, np.ptp(x, axis=0) > 0]
    z = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    return np.column_stack([np.ones(x.shape[0]), z[:, independent_columns(z)]])


def _stand_in_weights(
    rated: BoolArray, probability: FloatArray, staying: BoolArray, treated: BoolArray, weights: FloatArray
) -> FloatArray:
    """``R/r`` (n,), scaled within each arm so that the weighted ratings stand for all its continuing relationships."""
    rho = np.where(rated & staying, 1.0 / np.maximum(probability, np.finfo(float).tiny), 0.0)
    for arm in (staying & treated, staying & ~treated):
        if arm.any():
            standing = (weights * rho)[arm].sum()
            if not standing > 0:
                raise EstimationError(
                    "estimation.no_scores",
                    "relationships continue in one arm but no rating was given there",
                    fix="widen the outcome window, or report endings only",
                )
            rho[arm] *= weights[arm].sum() / standing
    return rho


def _mean(values: NDArray[np.float64] | BoolArray, weights: FloatArray, rows: BoolArray) -> float:
    """Weighted mean over the rows, NaN where they have no weight."""
    total = float(weights[rows].sum())
    return float(weights[rows] @ values[rows] / total) if total > 0 else float("nan")
