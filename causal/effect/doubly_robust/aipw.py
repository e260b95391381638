"""Augmented inverse probability weighting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.fit import Propensity
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.terms import LOGISTIC
from causal.effect.doubly_robust.influence import Estimand
from causal.effect.doubly_robust.nuisance import fitted_nuisance
from causal.effect.doubly_robust.outcome_model import LINEAR, OutcomeModel
from causal.effect.doubly_robust.result import DoublyRobust, doubly_robust
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def aipw(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    *,
    names: Sequence[str],
    estimand: Estimand = "ATT",
    clusters: IntArray | None = None,
    key: KeyArray | None = None,
    folds: int | None = 5,
    propensity_model: PropensityModel = LOGISTIC,
    outcome_model: OutcomeModel = LINEAR,
    outcome_terms: FloatArray | None = None,
    scores: Propensity | None = None,
    truncate: float = 0.01,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> DoublyRobust:
    """Effect of treatment that is right in large samples when the model of treatment or that of the outcome is.

    Parameters
    ----------
    outcome, treated
        (n,) finite outcome and arm.
    covariates, names
        (n, p) finite values known before treatment, and p names.
    estimand
        Effect in the treated (``ATT``), the untreated (``ATC``) or everyone (``ATE``).
    clusters
        (n,) codes of the units within which rows may resemble each other (clinicians): folds keep them whole and the
        error sums over them. None: every row its own.
    key
        (n,) keys of the rows (`causal.numeric.keys`), by which folds are drawn; None takes them from the rows' content.
    folds
        Folds of whole clusters, alike in arms and in rare outcomes; both models predict a row from the other folds.
        None: models of all rows, which is for small regressions only.
    propensity_model, outcome_model
        How the two are modelled; ``propensity_model.cross_fit`` stays None.
    outcome_terms
        (n, q) further columns of the outcome model alone, such as bends of covariates.
    scores
        Scores of these rows cross-fitted elsewhere, on more rows than these: they and their folds then stand for
        `folds` and `propensity_model`.
    truncate
        Scores closer than this to 0 or 1 are moved there, where a weight divides by them (near 1 for the ATT, near 0
        for the ATC, both for the ATE); 0 for none.
    rng
        Seeds boosted trees; nothing else draws.
    level
        Of the interval.

    Raises
    ------
    EstimationError
        ``estimation.empty_arm``, ``estimation.constant_outcome``, ``estimation.not_finite``,
        ``estimation.too_few_clusters``, ``estimation.folds`` (not 2 or more, or more than clusters),
        ``estimation.arm_in_one_fold``, ``estimation.positivity`` (covariates tell the arms apart; scores of 0 or 1;
        a tenth of the population beyond `truncate`), ``estimation.truncate``, ``estimation.no_standard_error``, and
        those of `predicted_means`.
    DesignError
        Those of `fit_propensity`.

    Notes
    -----
    With T the population (1, W or 1 - W), p its probability (1, e or 1 - e) and h_a = p/P(arm a | L), the mean under
    arm a is ``theta_a = sum_i [T m_a + 1[W = a] h_a (Y - m_a)] / sum T`` and its influence ``n/sum T`` times ``T (m_a -
    theta_a) + 1[W = a] h_a (Y - m_a)``. For the ATT that is ``(1/n1) sum [W (Y - m0) - (1 - W) e/(1 - e) (Y - m0)]``:
    the treated need no outcome model. Robins, Rotnitzky & Zhao (1994), JASA 89:846-866; cross-fitting: Chernozhukov et
    al. (2018), Econom J 21:C1-C68; folds of whole clusters: Chiang et al. (2022), J Bus Econ Stat 40:1046-1056, here
    those of `drawn_folds`, by the rows' keys. An indicator of rows that all lie in one arm, outside a fold or in the
    table but so few that chance may have done it, is left out of that model of treatment and noted. The value is doubly
    robust; the error takes both models for right, and may be too small or too large where one of them is wrong.

    >>> rng = np.random.default_rng(1)
    >>> age = rng.normal(size=(600, 1))
    >>> treated = rng.random(600) < 1 / (1 + np.exp(-age[:, 0]))
    >>> score = age[:, 0] - 0.5 * treated + rng.normal(size=600)
    >>> found = aipw(score, treated, age, names=["age"])
    >>> found.effect.lower < -0.5 < found.effect.upper, found.folds, found.n_truncated
    (True, 5, 0)
    """
    nuisance = fitted_nuisance(
        outcome,
        treated,
        covariates,
        names=names,
        estimand=estimand,
        clusters=clusters,
        key=key,
        folds=folds,
        propensity_model=propensity_model,
        outcome_model=outcome_model,
        outcome_terms=outcome_terms,
        scores=scores,
        truncate=truncate,
        rng=rng,
    )
    label = f"augmented inverse probability weighting, {estimand}"
    return doubly_robust(label, np.asarray(outcome, dtype=np.float64), nuisance, clusters, level=level)
