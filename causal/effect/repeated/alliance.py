"""Effect on a score measured at several visits: treated minus comparison at each, from one model of them all."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast
from causal.effect.repeated.mmrm import DegreesOfFreedom, Method, Mmrm, fit_design
from causal.effect.repeated.patterns import VisitDesign
from causal.effect.repeated.structures import Structure
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_SHAPE: dict[Structure, str] = {
    "unstructured": "unstructured residual covariance",
    "toeplitz": "Toeplitz residual covariance",
    "toeplitz_heterogeneous": "Toeplitz residual correlations and a variance for each visit",
    "ar1": "first-order autoregressive residual covariance",
    "ar1_heterogeneous": "first-order autoregressive residual correlations and a variance for each visit",
    "compound_symmetry": "compound-symmetric residual covariance",
    "compound_symmetry_heterogeneous": "equal residual correlations and a variance for each visit",
}
_UNCERTAINTY: dict[DegreesOfFreedom, str] = {
    "kenward_roger": "Kenward-Roger standard errors and degrees of freedom (linear form)",
    "satterthwaite": "model-based standard errors with Satterthwaite degrees of freedom",
    "cluster_robust": "CR2 standard errors with Satterthwaite degrees of freedom",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RepeatedEffects:
    """Differences between two arms at T days, in units of the score.

    Attributes
    ----------
    by_day
        T differences, treated minus comparison.
    average
        Their plain mean.
    treated, comparison
        T marginal means of each arm, at the weighted covariate means of all patients with weight; None on a day when
        no score was seen on both sides of such a mean (a covariate that did not vary among the scores of that day).
    days
        (T,).
    covariance
        (T, T) fitted residual covariance of a patient of weight 1; (2, T, T) with one per arm, comparison first.
    log_likelihood
        Restricted under REML.
    n_patients, n_without_score
        Patients with weight and a score, and with weight and none, comparison first.
    n_scores
        (2, T) scores by arm, comparison first, and day.
    aliased
        Columns dropped because others determine them, as "age at day 90".
    description
        The model in one sentence, for a report.
    """

    by_day: tuple[Contrast, ...]
    average: Contrast
    treated: tuple[Contrast | None, ...]
    comparison: tuple[Contrast | None, ...]
    days: FloatArray
    covariance: FloatArray
    log_likelihood: float
    n_patients: tuple[int, int]
    n_without_score: tuple[int, int]
    n_scores: IntArray
    aliased: tuple[str, ...]
    description: str


def repeated_alliance(
    scores: FloatArray,
    treated: BoolArray,
    days: FloatArray,
    *,
    covariates: FloatArray | None = None,
    names: tuple[str, ...] = (),
    weights: FloatArray | None = None,
    clusters: IntArray | None = None,
    structure: Structure = "unstructured",
    method: Method = "REML",
    degrees_of_freedom: DegreesOfFreedom = "kenward_roger",
    covariance_by_arm: bool = False,
    common_slopes: bool = False,
    labels: tuple[str, ...] = (),
    level: float = 0.95,
) -> RepeatedEffects:
    """Mixed model for repeated measures ``Y_t = mu_t + delta_t W + beta_t'L + e_t``.

    Parameters
    ----------
    scores
        (n, T) one row per patient, NaN where missed; missed at random given the model.
    treated
        (n,) arm W.
    days
        (T,) increasing.
    covariates, names
        (n, p) baseline columns L, finite where the weight is not 0, with a slope for each day; and their names.
    weights
        (n,) 0 or more, None for all 1. The working model gives a patient of weight w the residual covariance
        ``Sigma / w``: what R's mmrm takes its ``weights`` for. Matching weights are no inverse variances, so with them
        ``cluster_robust`` alone is honest about the standard error.
    clusters
        (n,) codes of matched sets, clinicians ..., with ``cluster_robust`` only; None for each patient its own.
    structure, method
        Shape of the residual covariance; restricted or full likelihood.
    degrees_of_freedom
        See `causal.effect.repeated.mmrm.Mmrm.contrast`.
    covariance_by_arm
        One residual covariance for each arm.
    common_slopes
        One slope per covariate for all days.
    labels
        T names of the days, where they are visits; none for "day 30" and the like.
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        ``estimation.days``, ``estimation.names``, ``estimation.weights``, ``estimation.not_finite``,
        ``estimation.empty_arm``, ``estimation.one_visit``, ``estimation.no_scores_at_visit``,
        ``estimation.arm_missing_at_visit``, ``estimation.clusters_unused``, and those of
        `causal.effect.repeated.mmrm.mmrm` and its ``contrast``.

    Notes
    -----
    Mallinckrodt et al. (2008), Drug Inf J 42:303-319. Patients without any score say nothing about the effect; they
    count in the covariate means at which the marginal means are taken.

    >>> y = np.array([[1.0, 2], [3, 5], [2, 2], [4, 7], [2, 4], [6, 7]])
    >>> found = repeated_alliance(y, np.array([False] * 3 + [True] * 3), np.array([30.0, 90]))
    >>> [(d.label, round(d.value, 4), round(d.std_error, 4), round(d.df, 4)) for d in found.by_day]  # two t tests
    [('day 30', 2.0, 1.291, 4.0), ('day 90', 3.0, 1.4142, 4.0)]
    """
    y, arm, when = np.asarray(scores, dtype=np.float64), np.asarray(treated, np.bool_), np.asarray(days, np.float64)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    used = w > 0
    x = np.zeros((arm.size, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    y, arm, w, x = y[used], arm[used], w[used], x[used]
    called = tuple(f"visit {name}" for name in labels) or tuple(f"day {day:g}" for day in when)
    _refuse(y, arm, when, called, x, names)
    if clusters is not None and degrees_of_freedom != "cluster_robust":
        raise EstimationError(
            "estimation.clusters_unused",
            "clusters were given, but these degrees of freedom take patients for independent",
            fix="ask for cluster_robust",
        )
    n_days = when.size
    fit = fit_design(
        _design(y, arm, w, x - np.average(x, axis=0, weights=w), covariance_by_arm, common_slopes),
        structure=structure,
        method=method,
    )
    mean, effect = _directions(fit, n_days, x.shape[1], common_slopes)
    asked = {called[t]: effect[t] for t in range(n_days)}
    unit = "visits" if labels else "days"
    asked[f"mean over {unit} {', '.join(labels or (f'{day:g}' for day in when))}"] = effect.mean(axis=0)
    marginal = {f"treated at {called[t]}": mean[t] + effect[t] for t in range(n_days)}
    marginal |= {f"comparison at {called[t]}": mean[t] for t in range(n_days)}
    asked |= {words: direction for words, direction in marginal.items() if fit.estimable(direction)}
    told = fit.contrasts(
        np.stack(list(asked.values())),
        tuple(asked),
        degrees_of_freedom=degrees_of_freedom,
        clusters=None if clusters is None else np.asarray(clusters)[used],
        level=level,
    )
    found = {one.label: one for one in told}
    means = [found.get(words) for words in marginal]
    seen = np.isfinite(y)
    scored = np.asarray(seen.any(axis=1))
    return RepeatedEffects(
        by_day=told[:n_days],
        average=told[n_days],
        treated=tuple(means[:n_days]),
        comparison=tuple(means[n_days:]),
        days=when,
        covariance=fit.covariance if covariance_by_arm else fit.covariance[0],
        log_likelihood=fit.log_likelihood,
        n_patients=_by_arm(scored, arm),
        n_without_score=_by_arm(~scored, arm),
        n_scores=np.stack([seen[~arm].sum(axis=0), seen[arm].sum(axis=0)]),
        aliased=_aliased(fit, names, called, common_slopes),
        description=_description(structure, method, degrees_of_freedom, covariance_by_arm, common_slopes, x.shape[1]),
    )


def _design(
    y: FloatArray, arm: BoolArray, w: FloatArray, x: FloatArray, covariance_by_arm: bool, common_slopes: bool
) -> VisitDesign:
    """Columns: by day intercept, covariates, arm; with common slopes the covariates once, before all arms.

    The arm comes last so that a covariate that determines it leaves no effect, rather than one without adjustment.
    """
    (n, n_days), p = y.shape, x.shape[1]
    root = np.sqrt(w)
    block = np.column_stack([np.ones(n), x, arm]) * root[:, None]
    day = np.arange(n_days)[:, None]
    if common_slopes:
        columns = np.hstack([day, np.tile(n_days + np.arange(p), (n_days, 1)), n_days + p + day])
    else:
        columns = day * (p + 2) + np.arange(p + 2)
    return VisitDesign(
        features=(block,) * n_days,
        columns=tuple(columns),
        n_columns=int(columns.max()) + 1,
        scores=y * root[:, None],
        groups=arm.astype(np.int64) if covariance_by_arm else np.zeros(n, dtype=np.int64),
        log_weights=float(np.log(w) @ np.isfinite(y).sum(axis=1)),
    )


def _directions(fit: Mmrm, n_days: int, p: int, common_slopes: bool) -> tuple[FloatArray, FloatArray]:
    """Contrasts (T, columns): the comparison arm's mean and the effect at each day."""
    unit, day = np.eye(fit.coefficients.size), np.arange(n_days)
    if common_slopes:
        return unit[day], unit[n_days + p + day]
    return unit[day * (p + 2)], unit[day * (p + 2) + p + 1]


def _aliased(fit: Mmrm, names: tuple[str, ...], called: tuple[str, ...], common_slopes: bool) -> tuple[str, ...]:
    """Names of the dropped columns."""
    if common_slopes:
        return tuple(names[j - len(called)] for j in fit.aliased)
    width = fit.coefficients.size // len(called)
    return tuple(f"{names[j % width - 1]} at {called[j // width]}" for j in fit.aliased)


def _by_arm(which: BoolArray, arm: BoolArray) -> tuple[int, int]:
    return int((which & ~arm).sum()), int((which & arm).sum())


def _refuse(
    y: FloatArray, arm: BoolArray, days: FloatArray, called: tuple[str, ...], x: FloatArray, names: tuple[str, ...]
) -> None:
    """Refuse what no model can be fitted to, by what is missing."""
    if not arm.any() or arm.all():
        raise EstimationError("estimation.empty_arm", "one arm has no row with weight: there is no difference")
    if days.size != y.shape[1] or not all(a < b for a, b in pairwise(days)):
        raise EstimationError("estimation.days", f"{y.shape[1]} columns of scores need as many increasing days")
    if len(names) != x.shape[1]:
        raise EstimationError("estimation.names", f"{x.shape[1]} covariates need as many names, got {len(names)}")
    if np.isinf(y).any() or not np.isfinite(x).all():
        raise EstimationError(
            "estimation.not_finite", "a score is infinite or a covariate of a weighted row is missing"
        )
    for rows, whose in ((np.ones(arm.size, dtype=np.bool_), "any patient"), (arm, "a treated"), (~arm, "a comparison")):
        empty = ~np.isfinite(y[rows]).any(axis=0)
        if empty.any():
            code = "no_scores_at_visit" if whose == "any patient" else "arm_missing_at_visit"
            raise EstimationError(
                f"estimation.{code}",
                f"no score of {whose} at {', '.join(called[t] for t in np.flatnonzero(empty))}",
                fix="leave these days out",
            )
    for day, scores in zip(called, y.T, strict=True):
        rated = np.isfinite(scores)
        try:
            refuse_constant(scores[rated], arm[rated])
        except EstimationError as refusal:
            raise EstimationError(refusal.code, f"{day}: {refusal.message}", fix=refusal.fix) from None


def _description(
    structure: Structure, method: Method, uncertainty: DegreesOfFreedom, by_arm: bool, common: bool, p: int
) -> str:
    """The model in one sentence."""
    slopes = "" if p == 0 else ", covariates with " + ("one slope each" if common else "a slope for each visit")
    arms = ", one for each arm" if by_arm else ""
    return (
        f"Mixed model for repeated measures ({method}): arm by visit{slopes}; {_SHAPE[structure]}{arms}; "
        f"{_UNCERTAINTY[uncertainty]}."
    )
