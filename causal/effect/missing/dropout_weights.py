"""Inverse probability of response: those rated stand in for those like them who were not.

Visits are discrete. A visit counts only while the relationship goes on: after its end there is no rating to be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.design.propensity.firth import firth_logistic
from causal.design.propensity.fitted import REFUSE_BELOW
from causal.design.propensity.logistic import expit, maximum_likelihood
from causal.design.propensity.sums import Regression
from causal.design.weighting.propensity_weights import truncated
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SPARSE = 10  # events per coefficient below which Firth's likelihood is used
TOO_FEW = "share by visit and arm: too few missing (or given) ratings for a regression, so every weight is 1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DropoutWeights:
    """Weights of the ratings, by row and visit.

    Attributes
    ----------
    weight, untruncated
        (n, T) stabilised weights, 0 where there is no rating in use; `weight` has the largest and smallest shares
        set to their quantiles, visit by visit.
    probability
        (n, T) fitted probability of a rating at the visit given the past; 1 where the relationship had ended.
    used
        (n, T) the ratings in use: under monotone dropout those before the first gap.
    set_aside
        Ratings after a gap, not in use under monotone dropout.
    beyond
        Weights truncated.
    largest, largest_untruncated
        Largest weight, with and without truncation.
    effective
        (T,) effective number of ratings ``(sum w)^2 / sum w^2``.
    method
        How the probability was modelled.
    notes
        What to know of them.
    """

    weight: FloatArray
    untruncated: FloatArray
    probability: FloatArray
    used: BoolArray
    set_aside: int
    beyond: int
    largest: float
    largest_untruncated: float
    effective: FloatArray
    method: str
    notes: tuple[str, ...]


def dropout_weights(
    scores: FloatArray,
    *,
    continuing: BoolArray,
    treated: BoolArray,
    baseline: FloatArray,
    history: FloatArray | None = None,
    monotone: bool = True,
    adjusted: bool = True,
    truncate: tuple[float, float] | None = (0.01, 0.99),
) -> DropoutWeights:
    """Stabilised inverse probability of response for ratings at T visits.

    Parameters
    ----------
    scores
        (n, T) ratings, NaN where there is none.
    continuing
        (n, T) whether the relationship goes on at the visit, so that a rating could have been given.
    treated
        (n,) arm.
    baseline
        (n, p) finite values known before time zero, the last score before it among them.
    history
        (n, T, q) finite values known before each visit that may explain who responds at it; added to the last rating
        before the visit, which is always used.
    monotone
        True: who misses a visit has dropped out, later ratings are set aside (and counted), and the weight is the
        product over the visits so far. False: gaps are gaps, every rating is used, and its weight is that of its own
        visit given the ratings before it.
    adjusted
        Whether the analysis adjusts for `baseline`; only then may it be in the numerator. Otherwise the numerator
        knows the arm and the visit only.
    truncate
        Quantiles of the weights of a visit's ratings beyond which a weight is set to them; None for none.

    Raises
    ------
    EstimationError
        ``estimation.not_finite``, ``estimation.no_scores`` (relationships of an arm continue at a visit and none is
        rated), ``estimation.inconsistent_scores`` (a rating after the end).
    DesignError
        ``design.not_converged``.

    Notes
    -----
    ``sw_t = prod_{u<=t} P(R_u = 1 | W, L0) / P(R_u = 1 | W, L0, Y_{u-1}, ...)`` over visits u at which the relationship
    continues; logistic regressions pooled over the visits, with visit terms and the last rating's slope by arm. Maximum
    likelihood, or Firth's where there are fewer than 10 events per coefficient or a column separates; below 3 nothing
    is fitted, every weight is 1, and `method` says so. Robins, Rotnitzky & Zhao (1995), JASA 90:106-121; Cole & Hernan
    (2008), Am J Epidemiol 168:656-664. Valid if, among continuing relationships, who responds depends on nothing but
    what is in the denominator. Visits of an arm at which all were rated need no model: the probability there is 1.

    >>> rng = np.random.default_rng(0)
    >>> first = rng.normal(3.5, 0.7, 400)
    >>> stays = rng.random(400) < expit(2 * (first - 2.8))
    >>> scores = np.column_stack([first, np.where(stays, first, np.nan)])
    >>> arm = np.arange(400) % 2 == 0
    >>> found = dropout_weights(scores, continuing=np.ones((400, 2), bool), treated=arm, baseline=np.zeros((400, 1)))
    >>> truth, complete = first.mean(), first[stays].mean()
    >>> bool(abs(np.average(first, weights=found.weight[:, 1]) - truth) < abs(complete - truth) / 2)
    True
    """
    y, arm = np.asarray(scores, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    going, x = np.asarray(continuing, dtype=np.bool_), np.asarray(baseline, dtype=np.float64)
    rated = np.isfinite(y)
    past = np.zeros((*y.shape, 0)) if history is None else np.asarray(history, dtype=np.float64)
    _refuse_unusable(rated, going, arm, x, past)
    unbroken = np.logical_and.accumulate(rated | ~going, axis=1)
    used = rated & unbroken if monotone else rated
    before = np.column_stack([np.ones(arm.size, dtype=np.bool_), unbroken[:, :-1]])
    asked = going & before if monotone else going
    unsure = asked & ~_complete(rated, asked, arm)
    few = _visit_terms(y.shape[1], arm)
    if adjusted:
        few = np.concatenate([few, np.broadcast_to(x[:, None, :], (*y.shape, x.shape[1]))], axis=2)
    many = np.concatenate(
        [
            _visit_terms(y.shape[1], arm),
            np.broadcast_to(x[:, None, :], (*y.shape, x.shape[1])),
            _last_rating(y, arm),
            past,
        ],
        axis=2,
    )
    denominator, method = _probabilities(many, rated, unsure)
    if method == TOO_FEW:
        numerator = denominator = _shares(rated, unsure, arm)
    else:
        numerator, _ = _probabilities(few, rated, unsure)
    ratio = numerator / denominator
    weight = np.where(used, np.cumprod(ratio, axis=1) if monotone else ratio, 0.0)
    limited, beyond = weight.copy(), 0
    for t in range(y.shape[1]):
        if used[:, t].any():
            limited[:, t], outside = truncated(weight[:, t], used[:, t], truncate)
            beyond += int(outside.sum())
    set_aside = int((rated & ~used).sum())
    squares = (limited**2).sum(axis=0)
    return DropoutWeights(
        weight=limited,
        untruncated=weight,
        probability=denominator,
        used=used,
        set_aside=set_aside,
        beyond=beyond,
        largest=float(limited.max(initial=0.0)),
        largest_untruncated=float(weight.max(initial=0.0)),
        effective=np.where(squares > 0, limited.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1.0), 0.0),
        method=method,
        notes=_notes(monotone=monotone, adjusted=adjusted, set_aside=set_aside),
    )


def _refuse_unusable(rated: BoolArray, going: BoolArray, arm: BoolArray, x: FloatArray, past: FloatArray) -> None:
    """Refuse missing predictors, ratings after the end, and an arm without ratings at a visit."""
    if not (np.isfinite(x).all() and np.isfinite(past).all()):
        raise EstimationError("estimation.not_finite", "a covariate of the response model is missing")
    if (rated & ~going).any():
        raise EstimationError(
            "estimation.inconsistent_scores",
            "some ratings were given after the relationship ended",
            fix="classify the intercurrent events before estimating",
        )
    for who, rows in (("treated", arm), ("comparison", ~arm)):
        for t in range(rated.shape[1]):
            if going[rows, t].any() and not rated[rows, t].any():
                raise EstimationError(
                    "estimation.no_scores",
                    f"relationships of the {who} arm continue at visit {t + 1} but no rating was given there",
                    fix="leave the visit out, or widen its window",
                )


def _complete(rated: BoolArray, asked: BoolArray, arm: BoolArray) -> BoolArray:
    """Visits (n, T) of an arm at which all asked were rated: the probability there is 1, whatever the covariates."""
    complete = np.zeros(rated.shape, dtype=np.bool_)
    for rows in (arm, ~arm):
        complete[rows] = (rated | ~asked)[rows].all(axis=0)
    return complete


def _visit_terms(visits: int, arm: BoolArray) -> FloatArray:
    """Indicators (n, T, 2T) of the visit, and of the visit in the treated arm."""
    of_visit = np.broadcast_to(np.eye(visits), (arm.size, visits, visits))
    return np.concatenate([of_visit, of_visit * arm[:, None, None]], axis=2)


def _last_rating(y: FloatArray, arm: BoolArray) -> FloatArray:
    """Last rating before each visit, by arm, and whether there is none (n, T, 3); centred, 0 where there is none."""
    n, visits = y.shape
    last = np.full((n, visits), np.nan)
    for t in range(1, visits):
        last[:, t] = np.where(np.isfinite(y[:, t - 1]), y[:, t - 1], last[:, t - 1])
    known = np.isfinite(last)
    value = np.where(known, last - last[known].mean(), 0.0) if known.any() else np.zeros((n, visits))
    return np.stack([value, value * arm[:, None], ~known], axis=2)


def _probabilities(terms: FloatArray, rated: BoolArray, asked: BoolArray) -> tuple[FloatArray, str]:
    """Fitted probability of a rating (n, T), 1 where none is asked for or nothing is fitted, and how it was fitted."""
    probability = np.ones(rated.shape)
    answered = rated[asked]
    if answered.all():
        return probability, "everyone responded"
    x = terms[asked]
    x = x[:, np.ptp(x, axis=0) > 0]
    x = np.column_stack([np.ones(answered.size), (x - x.mean(axis=0)) / x.std(axis=0)])
    design = np.ascontiguousarray(x[:, independent_columns(x)])
    events = min(int(answered.sum()), int((~answered).sum()))
    if events < REFUSE_BELOW * (design.shape[1] - 1):
        return probability, TOO_FEW
    if events >= SPARSE * design.shape[1]:
        k = design.shape[1] - 1
        regression = Regression(
            x=np.ascontiguousarray(design[:, 1:]),
            centre=np.zeros(k),
            scale=np.ones(k),
            outcome=answered.astype(np.float64),
            offset=np.empty(0),
        )
        found = maximum_likelihood(regression)
        if found.settled:
            probability[asked] = expit(found.logit)
            return probability, "pooled logistic regression"
    probability[asked] = expit(design @ firth_logistic(design, answered))
    return probability, "pooled logistic regression, Firth's likelihood"


def _shares(rated: BoolArray, asked: BoolArray, arm: BoolArray) -> FloatArray:
    """Share rated (n, T) of those asked, by visit and arm; 1 where none is asked for."""
    probability = np.ones(rated.shape)
    for rows in (arm[:, None] & asked, ~arm[:, None] & asked):
        for t in np.flatnonzero(rows.any(axis=0)):
            probability[rows[:, t], t] = rated[rows[:, t], t].mean()
    return probability


def _notes(*, monotone: bool, adjusted: bool, set_aside: int) -> tuple[str, ...]:
    """What to know of the weights; no count, which could be small."""
    said = ["weights are taken as known in standard errors, which makes these a little too large"]
    if monotone and set_aside:
        said.append("ratings after a missed visit are set aside")
    if not monotone:
        said.append("a missed visit is a gap: each rating is weighted by its own visit given the ratings before it")
    if adjusted:
        said.append("the analysis has to adjust for the baseline covariates, which are in the numerator")
    return tuple(said)
