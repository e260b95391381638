"""Bounds on the effect among those whose relationship lasts under both strategies (a principal stratum).

After an ending there is no alliance to rate, and the mean among those who stay compares different people. Who would
stay under either strategy is never seen; what is seen bounds their effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from causal.effect.cluster_robust import ClusterRobust, Kind, beyond_rounding, cluster_robust
from causal.effect.matched_estimates import refuse_few_clusters
from causal.effect.termination.few_clusters import ratio_of_errors
from causal.effect.termination.follow_up import checked_weights
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Monotone = Literal["treated_leaves_more", "comparison_leaves_more"]

DRAWS_AT_ONCE = 25
_BOTH_KINDS: tuple[Kind, Kind] = ("CR0", "CR2")
USABLE = 0.95  # least share of draws in which bounds exist


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumBounds:
    """Identified set of the mean difference among always-stayers, and an interval.

    Attributes
    ----------
    lower, upper
        Estimated bounds, scale points, treated minus comparison.
    interval_lower, interval_upper, level
        Imbens and Manski's interval: it covers the effect itself (not the whole identified set) in at least ``level``
        of samples.
    monotone
        The assumption: nobody stays because of the strategy under which more leave; None for no assumption.
    share, largest_share
        Share of always-stayers in the population the bounds stand for: the one that is identified under monotonicity,
        the least possible without, where the set is widest; and the largest possible.
    stayed_treated, stayed_comparison
        Weighted shares whose relationship lasted.
    kept_treated, kept_comparison
        Share of each arm's stayers that always-stayers are taken to be; 1 where nothing is trimmed.
    excess
        How much more stayed than monotonicity allows, within sampling error (0 if not at all). Where above 0, the
        bounds are those of equal shares.
    std_error_lower, std_error_upper, df
        Bootstrap standard errors of the bounds and the degrees of freedom behind the interval, both corrected for few
        and uneven clusters. No errors where the stratum may be empty, or may be in more than 5% of draws: the interval
        is then all that the score's range allows.
    n_clusters, draws, failed_draws
        Clusters drawn from, bootstrap draws asked for, and those in which the stratum may be empty, left out.
    vacuous
        Whether the stratum may be empty, so that the bounds too are nothing but the range of the score.
    """

    lower: float
    upper: float
    interval_lower: float
    interval_upper: float
    level: float
    monotone: Monotone | None
    share: float
    largest_share: float
    stayed_treated: float
    stayed_comparison: float
    kept_treated: float
    kept_comparison: float
    excess: float
    std_error_lower: float | None
    std_error_upper: float | None
    df: float
    n_clusters: int
    draws: int
    failed_draws: int
    vacuous: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Arm:
    """One arm by cluster: all its weight (g,), that of its stayers (g,), their ratings' over the values (v, g)."""

    weight: FloatArray
    staying: FloatArray
    values: FloatArray  # (v,) ascending
    rated: Any  # (v, g) sparse


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """Shares and bounds in each of b samples: (b,) each; bounds are NaN where none exist."""

    stayed: tuple[FloatArray, FloatArray]  # treated, comparison
    kept: tuple[FloatArray, FloatArray]
    share: FloatArray
    lower: FloatArray
    upper: FloatArray


def always_stayer_bounds(
    score: FloatArray,
    stayed: BoolArray,
    treated: BoolArray,
    *,
    clusters: IntArray,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    response_weights: FloatArray | None = None,
    monotone: Monotone | None = "treated_leaves_more",
    score_range: tuple[float, float] | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> StratumBounds:
    """Bounds on the mean difference in scores among those who would stay under either strategy.

    Parameters
    ----------
    score
        (n,) rating in scale points; NaN where the relationship ended or the rating is missing.
    stayed, treated
        (n,) whether the relationship lasted to the day of the rating, and arm.
    weights
        (n,) matching weights, 0 or more; None for all 1.
    response_weights
        (n,) factor by which a stayer's rating stands in for missing ones, read where there is a rating; None for all 1.
    clusters
        (n,) codes of the units drawn whole (matched sets, or clinicians); they may cross arms.
    monotone
        ``treated_leaves_more``: the treated strategy never keeps a relationship that would otherwise have ended;
        ``comparison_leaves_more``: the reverse; None assumes nothing.
    score_range
        Lowest and highest possible score, which bound the effect where the stratum may be empty.
    draws, rng
        Bootstrap samples, and where they come from.
    level
        Of the interval.

    Raises
    ------
    EstimationError
        ``estimation.monotonicity_contradicted``: more stayed, beyond sampling (one-sided test at 1 - level), in the arm
        said to leave more; ``estimation.stratum_may_be_empty``: too few stay for there to be always-stayers for
        certain, and no range is given; ``estimation.no_stayers``, ``estimation.no_scores``,
        ``estimation.inconsistent_scores``, ``estimation.score_range``, ``estimation.weights``,
        ``estimation.empty_arm``, ``estimation.too_few_clusters``, ``estimation.draws``,
        ``estimation.constant_outcome``, ``estimation.no_standard_error``.

    Notes
    -----
    With s the weighted shares that stayed: under monotonicity always-stayers are all stayers of the arm that leaves
    more, and ``q = s_less/s_more`` of the other's, whose mean lies between the means of its lowest and its highest
    q-th part (a value's weight is divided where the q-th part ends inside it). Without, their share is at least
    ``p = max(0, s1 + s0 - 1)`` and both arms are trimmed to ``p/s``; larger shares give narrower bounds inside these.
    Zhang & Rubin (2003), J Educ Behav Stat 28:353-368; Lee (2009), Rev Econ Stud 76:1071-1102; sharp: Imai (2008), Stat
    Probab Lett 78:144-149. The interval is Imbens & Manski's (2004), Econometrica 72:1845-1857, with standard errors
    from a bootstrap of whole clusters and Student's t for the normal; errors and degrees of freedom are corrected as
    CR2 corrects those of the difference of all stayers' means, an approximation. It takes matching and response weights
    for known. Being ordered in every sample, the bounds meet Stoye's (2009, Econometrica 77:1299-1315) condition.

    >>> score = np.array([3.0, 4, np.nan, np.nan, 2, 3, 4, np.nan])
    >>> found = always_stayer_bounds(score, np.isfinite(score), np.repeat([True, False], 4),
    ...                              clusters=np.tile(np.arange(4), 2), rng=np.random.default_rng(1), draws=200)
    >>> round(found.lower, 6), round(found.upper, 6), found.share  # 3.5 less the highest, and the lowest, two thirds
    (0.0, 1.0, 0.5)
    """
    arm, lasted = np.asarray(treated, dtype=np.bool_), np.asarray(stayed, dtype=np.bool_)
    values, w = np.asarray(score, dtype=np.float64), checked_weights(weights, arm.size)
    given = np.isfinite(values)
    factor = checked_weights(None if response_weights is None else np.where(given, response_weights, 0.0), arm.size)
    _refuse_scores(values, lasted, score_range)
    refuse_few_clusters(arm[w > 0], np.asarray(clusters)[w > 0])
    if draws < 2:
        raise EstimationError("estimation.draws", "an interval needs 2 bootstrap draws or more")
    code = np.full(arm.size, -1, dtype=np.int64)
    code[w > 0] = np.unique(np.asarray(clusters)[w > 0], return_inverse=True)[1].reshape(-1)
    groups = int(code.max()) + 1
    one, zero = (
        _arm(values, lasted, given & (factor > 0), w, w * factor, code, rows, groups)
        for rows in (arm & (w > 0), ~arm & (w > 0))
    )
    found = _bounds((one, zero), np.ones((groups, 1)), monotone)
    excess = _excess(found, monotone)
    if excess > 0:
        _refuse_contradiction(lasted, arm, w, np.asarray(clusters), level)
    vacuous = not found.share[0] > 0
    if vacuous:
        lower, upper = _whole_range(score_range, "too few relationships last for anybody to be certain to")
        errors, failed, df = None, draws, float(groups - 1)
    else:
        lower, upper = float(found.lower[0]), float(found.upper[0])
        inflation, df = _few_clusters(values, arm, given, w * factor, np.asarray(clusters))
        errors, failed = _bootstrap((one, zero), groups, monotone, draws, rng, inflation)
    if errors is None:
        least, most = _whole_range(score_range, f"in {failed} of {draws} bootstrap draws nobody is certain to")
    else:
        least, most = _interval(lower, upper, errors, df, level)
    return StratumBounds(
        lower=lower,
        upper=upper,
        interval_lower=least,
        interval_upper=most,
        level=level,
        monotone=monotone,
        share=float(found.share[0]),
        largest_share=float(min(found.stayed[0][0], found.stayed[1][0])),
        stayed_treated=float(found.stayed[0][0]),
        stayed_comparison=float(found.stayed[1][0]),
        kept_treated=float(found.kept[0][0]),
        kept_comparison=float(found.kept[1][0]),
        excess=excess,
        std_error_lower=None if errors is None else errors[0],
        std_error_upper=None if errors is None else errors[1],
        df=df,
        n_clusters=groups,
        draws=draws,
        failed_draws=failed,
        vacuous=vacuous,
    )


def trimmed_means(values: FloatArray, weights: FloatArray, kept: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of the lowest and of the highest part of weighted values.

    Parameters
    ----------
    values
        (v,) ascending.
    weights
        (v, b) weight of each in each of b samples.
    kept
        (b,) share of the weight in the part, above 0 and at most 1.

    Returns
    -------
    (b,) and (b,). The weight of the value in which a part ends is divided.

    >>> low, high = trimmed_means(np.array([2.0, 3, 4]), np.ones((3, 1)), np.array([0.5]))
    >>> round(float(low[0]), 6), round(float(high[0]), 6)  # (2 + 3/2) / 1.5 and (4 + 3/2) / 1.5
    (2.333333, 3.666667)
    """
    below = np.cumsum(weights, axis=0)
    total = below[-1]
    part = kept * total
    low = np.clip(part - (below - weights), 0.0, weights)
    high = np.clip(part - (total - below), 0.0, weights)
    return values @ low / part, values @ high / part


def _refuse_scores(score: FloatArray, stayed: BoolArray, score_range: tuple[float, float] | None) -> None:
    """Refuse ratings after an ending, or beyond the declared range."""
    given = np.isfinite(score)
    if np.isinf(score).any() or (given & ~stayed).any():
        raise EstimationError(
            "estimation.inconsistent_scores",
            "some rows hold a rating after the relationship ended, or an infinite one",
            fix="classify the intercurrent events before estimating",
        )
    if score_range is not None and given.any():
        low, high = score_range
        if not (low < high and low <= score[given].min() and score[given].max() <= high):
            raise EstimationError(
                "estimation.score_range", "the range of the score is empty, or some ratings lie outside it"
            )


def _arm(
    score: FloatArray,
    stayed: BoolArray,
    rated: BoolArray,
    weights: FloatArray,
    rating_weights: FloatArray,
    code: IntArray,
    rows: BoolArray,
    groups: int,
) -> _Arm:
    """Weights of one arm's rows by cluster."""
    from scipy.sparse import csr_array

    if not (stayed & rows).any():
        raise EstimationError("estimation.no_stayers", "in one arm every relationship ended: nobody stays under both")
    if not (rated & rows).any():
        raise EstimationError(
            "estimation.no_scores",
            "relationships continue in one arm but no rating was given there",
            fix="widen the outcome window, or report endings only",
        )
    use = rows & rated
    values, place = np.unique(score[use], return_inverse=True)
    return _Arm(
        weight=np.bincount(code[rows], weights=weights[rows], minlength=groups).astype(np.float64),
        staying=np.bincount(code[rows], weights=(weights * stayed)[rows], minlength=groups).astype(np.float64),
        values=values,
        rated=csr_array((rating_weights[use], (place.reshape(-1), code[use])), shape=(values.size, groups)),
    )


def _bounds(arms: tuple[_Arm, _Arm], times: FloatArray, monotone: Monotone | None) -> _Found:
    """Bounds in b samples in which cluster g appears ``times[g]`` times: (g, b)."""
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # a sample without an arm has no bounds: NaN, and nothing is said
        s1, s0 = (arm.staying @ times / (arm.weight @ times) for arm in arms)
        least = np.maximum(s1 + s0 - 1, 0.0) if monotone is None else np.minimum(s1, s0)
        q1 = np.ones_like(s1) if monotone == "treated_leaves_more" else np.minimum(least / s1, 1.0)
        q0 = np.ones_like(s0) if monotone == "comparison_leaves_more" else np.minimum(least / s0, 1.0)
        (low1, high1), (low0, high0) = (
            trimmed_means(arm.values, arm.rated @ times, q) for arm, q in zip(arms, (q1, q0), strict=True)
        )
    none = ~(least > 0)
    lower, upper = np.where(none, np.nan, low1 - high0), np.where(none, np.nan, high1 - low0)
    return _Found(stayed=(s1, s0), kept=(q1, q0), share=least, lower=lower, upper=upper)


def _excess(found: _Found, monotone: Monotone | None) -> float:
    """How much more stay in the arm that is said to leave more."""
    more = float(found.stayed[0][0] - found.stayed[1][0])
    if monotone is None:
        return 0.0
    against = more if monotone == "treated_leaves_more" else -more
    return against if against > 1e-12 else 0.0  # rounding


def _refuse_contradiction(
    stayed: BoolArray, treated: BoolArray, weights: FloatArray, clusters: IntArray, level: float
) -> None:
    """Refuse when the shares that stayed differ, against the assumption, by more than sampling explains."""
    difference = _plain(stayed.astype(np.float64), treated, weights, clusters)
    t = abs(difference.coefficient) / difference.std_error if difference.std_error > 0 else np.inf
    if stdtr(difference.df, -t) < 1 - level:
        raise EstimationError(
            "estimation.monotonicity_contradicted",
            "more relationships lasted in the arm that was said to leave more, beyond what sampling explains",
            fix="assume the other direction, or none, and say so",
        )


def _plain(
    outcome: FloatArray, treated: BoolArray, weights: FloatArray, clusters: IntArray, *, kind: Kind = "CR2"
) -> ClusterRobust:
    """The difference of weighted means, also of an outcome that does not vary in an arm."""
    design = np.column_stack([np.ones(outcome.size), treated])
    return cluster_robust(design, outcome, weights=weights, clusters=clusters, contrast=np.array([0.0, 1.0]), kind=kind)


def _whole_range(score_range: tuple[float, float] | None, reason: str) -> tuple[float, float]:
    """All that the range of the score allows; refused where there is none."""
    if score_range is None:
        raise EstimationError(
            "estimation.stratum_may_be_empty",
            f"{reason} stay under both strategies",
            fix="give the range of the score, or state which strategy never keeps a relationship",
        )
    return score_range[0] - score_range[1], score_range[1] - score_range[0]


def _few_clusters(
    score: FloatArray, treated: BoolArray, given: BoolArray, weights: FloatArray, clusters: IntArray
) -> tuple[float, float]:
    """What drawing from few or uneven clusters misses, as in the difference of all stayers' means: factor and df.

    A bootstrap of clusters is CR0 but for chance: the factor is CR2 over CR0, the degrees of freedom Satterthwaite's.
    """
    rows = given & (weights > 0)
    refuse_few_clusters(treated[rows], clusters[rows])
    refuse_constant(score[rows], treated[rows])
    plain, reduced = (
        _plain(score[rows], treated[rows], weights[rows], clusters[rows], kind=kind) for kind in _BOTH_KINDS
    )
    return ratio_of_errors(reduced.std_error, beyond_rounding(plain.std_error, score[rows])), reduced.df


def _bootstrap(
    arms: tuple[_Arm, _Arm],
    groups: int,
    monotone: Monotone | None,
    draws: int,
    rng: np.random.Generator,
    inflation: float,
) -> tuple[tuple[float, float] | None, int]:
    """Standard errors of both bounds over samples of whole clusters, None if too few have bounds; how many have not."""
    lower, upper = [], []
    for first in range(0, draws, DRAWS_AT_ONCE):
        some = range(min(DRAWS_AT_ONCE, draws - first))
        times = np.column_stack([np.bincount(rng.integers(0, groups, groups), minlength=groups) for _ in some])
        found = _bounds(arms, times.astype(np.float64), monotone)
        lower.append(found.lower)
        upper.append(found.upper)
    bounds = np.stack([np.concatenate(lower), np.concatenate(upper)])
    usable = np.isfinite(bounds).all(axis=0)
    failed = int((~usable).sum())
    if draws - failed < max(USABLE * draws, 2):
        return None, failed
    low, high = bounds[:, usable].std(axis=1, ddof=1)
    return (inflation * float(low), inflation * float(high)), failed


def _interval(lower: float, upper: float, errors: tuple[float, float], df: float, level: float) -> tuple[float, float]:
    """Both bounds and c standard errors beyond, c solving Imbens and Manski's equation (7) in t for z."""
    from scipy.optimize import brentq

    reach = max(upper - lower, 0.0) / max(errors)

    def missed(c: float) -> float:
        return float(stdtr(df, c + reach) - stdtr(df, -c)) - level

    one_sided, two_sided = float(stdtrit(df, level)), float(stdtrit(df, (1 + level) / 2))
    c = float(brentq(missed, one_sided - 1e-9, two_sided + 1e-9))
    return lower - c * errors[0], upper + c * errors[1]
