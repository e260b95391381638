"""Odds of ending within matched sets: the exact conditional likelihood, for sets of any shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from causal.design.matching.compiled import compiled
from causal.effect.termination.maximum import LikelihoodFit, maximise, robust_fit, usable_columns
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sets:
    """Rows of the sets in which some but not all ended, set by set; `starts` (s + 1,) where each begins and the end."""

    x: FloatArray
    ended: BoolArray
    starts: IntArray
    choices: float  # sum over sets of log(ways to choose its events): the likelihood with no effect, sign changed


def conditional_logit(
    ended: BoolArray,
    covariates: FloatArray,
    *,
    sets: IntArray,
    clusters: IntArray | None = None,
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> LikelihoodFit:
    """Logarithms of odds ratios within matched sets, each set's own odds conditioned away.

    Parameters
    ----------
    ended
        (n,) whether the event happened (by a day up to which everyone was followed).
    covariates, names
        (n, p) columns, the arm among them, and their names (numbered when None).
    sets
        (n,) codes. Sets in which all or none ended say nothing and do not count.
    clusters
        (n,) codes of coarser units, the same within a set; None for the sets.
    level
        Of the intervals.

    Raises
    ------
    EstimationError
        ``estimation.no_informative_sets``, ``estimation.sets_cross_clusters``, ``estimation.monotone_likelihood``,
        ``estimation.not_estimable``, ``estimation.not_converged``, ``estimation.too_few_clusters``,
        ``estimation.not_finite``, ``estimation.no_standard_error``.

    Notes
    -----
    The likelihood of a set with k events among m members is ``exp(sum of x'b over events)`` over the sum of the same
    over all choices of k members, by the recursion of Gail, Lubin & Rubinstein (1981), Biometrika 68:703-707, here over
    means instead of sums so that nothing overflows. No weights: a set's comparison is within itself. The robust
    covariance sums scores of sets by cluster, times G/(G - 1), with t on G - 1 degrees of freedom. An odds ratio within
    sets is not the ratio of the whole population's odds.

    >>> pairs = np.repeat(np.arange(6), 2)
    >>> arm = np.tile([1.0, 0.0], 6)[:, None]
    >>> ended = np.array([1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1], dtype=bool)
    >>> fit = conditional_logit(ended, arm, sets=pairs)
    >>> bool(abs(np.exp(fit.coefficients[0]) - 2) < 1e-9)  # McNemar: 4 discordant pairs against 2
    True
    """
    outcome, code = np.asarray(ended, dtype=np.bool_), np.unique(sets, return_inverse=True)[1].reshape(-1)
    x = np.asarray(covariates, dtype=np.float64)
    labels = tuple(names) if names is not None else tuple(f"covariate {j + 1}" for j in range(x.shape[1]))
    events, size = np.bincount(code, weights=outcome), np.bincount(code)
    informative = (events > 0) & (events < size)
    if not informative.any():
        raise EstimationError(
            "estimation.no_informative_sets",
            "in every matched set all ended or none did: there is nothing to compare within sets",
            fix="report incidences only",
        )
    rows = np.flatnonzero(informative[code])
    rows = rows[np.argsort(code[rows], kind="stable")]
    starts = np.flatnonzero(np.r_[True, code[rows][1:] != code[rows][:-1]])
    columns = usable_columns(x[rows], np.unique(code[rows], return_inverse=True)[1].reshape(-1))
    m, k = size[informative], events[informative]
    problem = _Sets(
        x=columns.x,
        ended=outcome[rows],
        starts=np.r_[starts, rows.size],
        choices=float((gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)).sum()),
    )

    def derivatives(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value, scores, information = _evaluated(problem, beta)
        return value, scores.sum(axis=0), information

    beta, value, information = maximise(derivatives, columns.scale.size, separates=lambda b: _separates(problem, b))
    return robust_fit(
        columns,
        labels,
        beta,
        information,
        _evaluated(problem, beta)[1],
        _of_sets(code[rows] if clusters is None else np.asarray(clusters)[rows], starts),
        log_likelihood=value,
        null_log_likelihood=-problem.choices,
        n_events=int(problem.ended.sum()),
        level=level,
    )


def _of_sets(clusters: IntArray, starts: IntArray) -> IntArray:
    """Cluster of each set (s,)."""
    if (np.maximum.reduceat(clusters, starts) != np.minimum.reduceat(clusters, starts)).any():
        raise EstimationError(
            "estimation.sets_cross_clusters",
            "members of a matched set belong to different clusters, and a set's score cannot be divided",
            fix="cluster on the matched sets",
        )
    return clusters[starts]


def _evaluated(problem: _Sets, beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Log likelihood, score of each set (s, p), information (p, p)."""
    scores = np.zeros((problem.starts.size - 1, beta.size))
    information = np.zeros((beta.size, beta.size))
    value = _sum_sets()(problem.x, problem.x @ beta, problem.ended, problem.starts, scores, information)
    return float(value) - problem.choices, scores, information


def _separates(problem: _Sets, direction: FloatArray) -> bool:
    """Whether in every set no event lies below a member without one along the direction."""
    along, starts = problem.x @ direction, problem.starts[:-1]
    lowest_event = np.minimum.reduceat(np.where(problem.ended, along, np.inf), starts)
    highest_other = np.maximum.reduceat(np.where(problem.ended, -np.inf, along), starts)
    return bool((lowest_event >= highest_other - 1e-4 * np.ptp(along)).all())


@cache
def _sum_sets() -> Callable[..., Any]:
    return compiled(sum_sets)


def sum_sets(
    x: FloatArray,
    linear: FloatArray,
    ended: BoolArray,
    starts: IntArray,
    scores: FloatArray,
    information: FloatArray,
) -> float:
    """Log likelihood of the sets up to the number of choices; adds to scores (s, p) and information (p, p).

    After m members ``mean[r]`` is the mean over choices of r of them of ``exp(sum of centred linear)``; ``first`` and
    ``second`` are its derivatives. A choice of r of m leaves the m-th out in (m - r)/m of the cases.
    """
    p = x.shape[1]
    value = 0.0
    for s in range(starts.size - 1):
        low, high = starts[s], starts[s + 1]
        k = 0
        centre = 0.0
        for i in range(low, high):
            centre += linear[i] / (high - low)
            k += ended[i]
        mean, first, second = np.zeros(k + 1), np.zeros((k + 1, p)), np.zeros((k + 1, p, p))
        mean[0] = 1.0
        for i in range(low, high):
            m = i - low + 1
            factor = np.exp(linear[i] - centre)
            for r in range(min(k, m), 0, -1):
                out, into = (m - r) / m, factor * r / m
                for a in range(p):
                    for b in range(p):
                        gained = second[r - 1, a, b] + x[i, a] * first[r - 1, b] + x[i, b] * first[r - 1, a]
                        gained += x[i, a] * x[i, b] * mean[r - 1]
                        second[r, a, b] = out * second[r, a, b] + into * gained
                for a in range(p):
                    first[r, a] = out * first[r, a] + into * (first[r - 1, a] + x[i, a] * mean[r - 1])
                mean[r] = out * mean[r] + into * mean[r - 1]
        value -= np.log(mean[k])
        for i in range(low, high):
            if ended[i]:
                value += linear[i] - centre
                for a in range(p):
                    scores[s, a] += x[i, a]
        for a in range(p):
            scores[s, a] -= first[k, a] / mean[k]
            for b in range(p):
                information[a, b] += second[k, a, b] / mean[k] - first[k, a] * first[k, b] / mean[k] ** 2
    return value
