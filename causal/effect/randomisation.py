"""Inference from the assignment alone: within matched sets any member might have been the treated one.

No model of the outcome, no large sample: the p-value is the share of assignments, among those the design holds equally
likely, whose statistic is as far out as the one seen. Fisher (1935); Rosenbaum (2002), Observational Studies, 2 and 5;
Rosenbaum (2002), Stat Sci 17:286-327 for covariance adjustment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Assignments = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
Statistic = Literal["mean_difference", "huber", "wilcoxon"]

ENUMERATED = 2**15
HUBER = 2.5
CHUNK = 5_000_000  # numbers held at a time, beside the rows treated under each assignment
SAME = 1e-10  # statistics closer than this share of their scale are ties


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationTest:
    """Test of one constant effect.

    Attributes
    ----------
    statistic
        As observed. Its mean over assignments is 0.
    p_value, p_greater, p_less
        Two-sided (twice the smaller, at most 1), and one-sided: the share of assignments with a statistic at least as
        great, or at most as great.
    exact
        Whether every assignment was listed; otherwise the observed one and random ones were.
    n_assignments, n_sets
        Listed or drawn, the observed one included; matched sets.
    """

    statistic: float
    p_value: float
    p_greater: float
    p_less: float
    exact: bool
    n_assignments: int
    n_sets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomisationInterval:
    """Effects that the test does not reject, and the one it holds most likely.

    Attributes
    ----------
    value
        Hodges-Lehmann estimate: the effect at which the statistic is at its mean.
    lower, upper, level
        Effects with a two-sided p-value above ``1 - level``, its ends included.
    test
        Of no effect.
    """

    value: float
    lower: float
    upper: float
    level: float
    test: RandomisationTest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Experiment:
    """Rows in order of sets, and the assignments considered."""

    y: FloatArray  # (n,) outcome, free of covariates
    z: FloatArray  # (n,) treatment, free of covariates
    n_treated: int
    blocks: tuple[tuple[IntArray, int], ...]  # rows (sets, size) of the sets of one shape, and how many are treated
    assignments: Assignments  # (assignments, treated): rows treated, the observed ones first
    exact: bool
    n_sets: int


def randomisation_test(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray | None = None,
    *,
    sets: IntArray,
    rng: np.random.Generator,
    statistic: Statistic = "mean_difference",
    effect: float = 0.0,
    draws: int = 10_000,
) -> RandomisationTest:
    """Test that treatment changes every outcome by `effect`, treatment being permuted within matched sets.

    Parameters
    ----------
    outcome, treated, sets
        (n,) finite outcome, arm and set of the matched rows. Each set has both arms; its number of treated is kept.
    covariates
        (n, p) values known before time zero: outcomes less the effect are replaced by their residuals from a
        regression on the covariates with an intercept for each set.
    rng
        Not touched where all assignments are listed.
    statistic
        A sum over treated and comparisons of a set of ``psi(difference)``, each set divided by its comparisons, over
        the number treated. ``mean_difference``: psi the identity, so that 1:m sets give the mean of set differences.
        ``huber``: ``sign(d) min(|d|/h, 2.5)``, h the median distance within sets. ``wilcoxon``: ``sign(d) rank|d|``,
        ranks among all pairs of a set, ties averaged, in pairs Wilcoxon's signed-rank statistic.
    draws
        Random assignments where there are more than 32,768; the observed one is added (p is never 0).

    Raises
    ------
    EstimationError
        ``estimation.one_armed_set``, ``estimation.not_finite``, ``estimation.empty_arm``,
        ``estimation.no_standard_error`` where the outcome does not vary within any set.

    Notes
    -----
    Every psi is odd, so that treated cancel against treated and the statistic is a sum over the treated of fixed
    scores. Phipson & Smyth (2010), SAGMB 9:39 for the observed assignment among the drawn.

    >>> y, sets = np.array([3.0, 1, 5, 2, 4, 3]), np.array([0, 0, 1, 1, 2, 2])
    >>> found = randomisation_test(y, np.tile([True, False], 3), sets=sets, rng=np.random.default_rng(0))
    >>> round(found.statistic, 9), found.p_greater, found.p_value, found.n_assignments  # all three higher: 1 of 8
    (2.0, 0.125, 0.25, 8)
    """
    experiment = _experiment(outcome, treated, covariates, sets, rng, draws)
    return _test(experiment, statistic, effect)


def randomisation_interval(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray | None = None,
    *,
    sets: IntArray,
    rng: np.random.Generator,
    statistic: Statistic = "mean_difference",
    level: float = 0.95,
    draws: int = 10_000,
) -> RandomisationInterval:
    """Constant effects that `randomisation_test` does not reject, and the Hodges-Lehmann estimate.

    Arguments as for `randomisation_test`; the same assignments judge every effect.

    Raises
    ------
    EstimationError
        As `randomisation_test`; ``estimation.constant_outcome`` (the test of no effect stands all the same);
        ``estimation.no_standard_error`` where the limits coincide; ``estimation.too_few_assignments`` where no effect
        could ever be rejected at the level: fewer than ``2/(1 - level)`` assignments.

    Notes
    -----
    For the mean difference each assignment counts against effects beyond one threshold, ``(A_o - A)/(B_o - B)``, with
    A and B its statistics of the outcome and of the treatment: the limits are thresholds, found by sorting. For the
    others they are found by bisection, to 1e-9 of the range of the outcome. Hodges & Lehmann (1963); Rosenbaum (2002),
    2.7.2.

    >>> y, sets = np.array([3.0, 1, 5, 2, 4, 3, 6, 2]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    >>> found = randomisation_interval(y, np.tile([True, False], 4), sets=sets, rng=np.random.default_rng(0), level=0.8)
    >>> [round(end, 9) for end in (found.value, found.lower, found.upper)]  # differences 2, 3, 1, 4
    [2.5, 1.0, 4.0]
    """
    experiment = _experiment(outcome, treated, covariates, sets, rng, draws)
    refuse_constant(outcome, treated)
    test = _test(experiment, statistic, 0.0)
    if statistic == "mean_difference":
        value, lower, upper = _limits_by_sorting(experiment, level)
    else:
        value, lower, upper = _limits_by_bisection(experiment, statistic, level)
    if not np.isfinite([lower, upper]).all():
        raise EstimationError(
            "estimation.too_few_assignments",
            f"{test.n_assignments} assignments cannot reject any effect at the level of the interval",
            fix="lower the level, or describe and do not estimate",
        )
    if not upper - lower > SAME * float(np.abs(experiment.y).max()):
        raise EstimationError(
            "estimation.no_standard_error",
            "every set differs alike: lotteries leave an interval without width",
            fix="describe, do not estimate",
        )
    return RandomisationInterval(value=value, lower=lower, upper=upper, level=level, test=test)


# The statistic.


def _test(experiment: _Experiment, statistic: Statistic, effect: float) -> RandomisationTest:
    sums = _sums(experiment.assignments, _scores(experiment, statistic, experiment.y - effect * experiment.z))
    greater, less = _tails(sums)
    return RandomisationTest(
        statistic=float(sums[0]),
        p_value=min(1.0, 2 * min(greater, less)),
        p_greater=greater,
        p_less=less,
        exact=experiment.exact,
        n_assignments=sums.size,
        n_sets=experiment.n_sets,
    )


def _tails(sums: FloatArray) -> tuple[float, float]:
    """Shares of assignments at least, and at most, as great as the observed one, which is the first."""
    width = float(np.ptp(sums))
    return float((sums >= sums[0] - SAME * width).mean()), float((sums <= sums[0] + SAME * width).mean())


def _sums(assignments: Assignments, score: FloatArray) -> FloatArray:
    """Statistic (assignments,) from the scores (n,) of the rows."""
    some = np.array_split(assignments, 1 + assignments.size // CHUNK)
    return np.concatenate([score[one].sum(axis=1) for one in some])


def _scores(experiment: _Experiment, statistic: Statistic, r: FloatArray) -> FloatArray:
    """Score (n,) of each row of an outcome r: its psi(difference) to the others of its set, added up."""
    score = np.empty(r.size)
    if statistic == "mean_difference":
        for rows, n_treated in experiment.blocks:
            size = rows.shape[1]
            score[rows] = (r[rows] - r[rows].mean(axis=1, keepdims=True)) * size / (size - n_treated)
        return score / experiment.n_treated
    pairs = [np.triu_indices(rows.shape[1], 1) for rows, _ in experiment.blocks]
    apart = [r[rows[:, i]] - r[rows[:, j]] for (rows, _), (i, j) in zip(experiment.blocks, pairs, strict=True)]
    psi = _psi(statistic, np.concatenate([d.ravel() for d in apart]))
    ends = np.cumsum([d.size for d in apart])[:-1]
    for (rows, n_treated), (i, j), of_pair in zip(experiment.blocks, pairs, np.split(psi, ends), strict=True):
        signs = np.eye(rows.shape[1])[i] - np.eye(rows.shape[1])[j]
        score[rows] = of_pair.reshape(rows.shape[0], -1) @ signs / (rows.shape[1] - n_treated)
    return score / experiment.n_treated


def _psi(statistic: Statistic, difference: FloatArray) -> FloatArray:
    """Odd function of the differences (k,) within sets; differences that rounding alone tells apart are ties."""
    distance = np.abs(difference)
    if statistic == "huber":
        scale = float(np.median(distance)) or float(distance.max()) or 1.0
        return np.clip(difference / scale, -HUBER, HUBER)
    exact = np.round(distance / (distance.max() or 1.0), 12)
    place, count = np.unique(exact, return_inverse=True, return_counts=True)[1:]
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return np.asarray(np.where(exact > 0, np.sign(difference), 0.0) * rank, dtype=np.float64)


# The interval.


def _limits_by_sorting(experiment: _Experiment, level: float) -> tuple[float, float, float]:
    """Estimate and limits for the mean difference, infinite where nothing is ever rejected."""
    a, b = (
        _sums(experiment.assignments, _scores(experiment, "mean_difference", r)) for r in (experiment.y, experiment.z)
    )
    # An assignment no further from the observed treatment than rounding, or one that covariates make exceed it, counts
    # against no effect.
    apart = b[0] - b
    speaks = apart > SAME * float(np.ptp(b))
    thresholds = np.sort((a[0] - a[speaks]) / apart[speaks])
    k = _needed(level, a.size) - int((~speaks).sum())
    if k < 1 or k > thresholds.size:
        return float(a[0] / b[0]), -np.inf, np.inf
    return float(a[0] / b[0]), float(thresholds[k - 1]), float(thresholds[-k])


def _needed(level: float, n: int) -> int:
    """Fewest assignments in a tail of which the two-sided p-value is above 1 - level."""
    return int(np.floor((1 - level) / 2 * n + 1e-9)) + 1


def _limits_by_bisection(experiment: _Experiment, statistic: Statistic, level: float) -> tuple[float, float, float]:
    """Estimate and limits for a statistic that falls as the effect rises, infinite where nothing is ever rejected."""
    spread = float(np.ptp(experiment.y))
    needed = _needed(level, experiment.assignments.shape[0]) - 0.5

    def seen(effect: float) -> float:
        scores = _scores(experiment, statistic, experiment.y - effect * experiment.z)
        return float(_sums(experiment.assignments[:1], scores)[0])

    def tails(effect: float) -> tuple[float, float]:
        scores = _scores(experiment, statistic, experiment.y - effect * experiment.z)
        greater, less = _tails(_sums(experiment.assignments, scores))
        return greater * experiment.assignments.shape[0], less * experiment.assignments.shape[0]

    value = (
        _last(lambda effect: seen(effect) > SAME, spread) + _last(lambda effect: seen(effect) >= -SAME, spread)
    ) / 2
    lower = _last(lambda effect: tails(effect)[0] < needed, spread)
    upper = _last(lambda effect: tails(effect)[1] > needed, spread)
    return value, lower, upper


def _last(holds: Callable[[float], bool], spread: float) -> float:
    """Largest effect at which a condition that holds far below and fails far above still holds."""
    far = [spread * 2**k for k in range(21)]
    low = next((-at for at in far if holds(-at)), -np.inf)
    high = next((at for at in far if not holds(at)), np.inf)
    if not np.isfinite([low, high]).all():
        return low if np.isinf(low) else high
    while high - low > 1e-9 * spread:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2


# The assignments.


def _experiment(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray | None,
    sets: IntArray,
    rng: np.random.Generator,
    draws: int,
) -> _Experiment:
    """Rows in order of sets, free of covariates, with every assignment or the observed one and random ones."""
    order = np.argsort(np.asarray(sets), kind="stable")
    y, arm = np.asarray(outcome, dtype=np.float64)[order], np.asarray(treated, dtype=np.bool_)[order]
    number = np.unique(np.asarray(sets)[order], return_inverse=True)[1]
    size, cases = np.bincount(number), np.bincount(number, weights=arm).astype(np.int64)
    x = np.empty((y.size, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)[order]
    _refuse(y, x, size, cases)
    z = arm.astype(np.float64)
    if x.shape[1]:
        y, z = (_residual(v, x, number, size) for v in (y, z))
    starts = np.cumsum(size) - size
    shapes = np.unique(np.column_stack([size, cases]), axis=0)
    blocks = tuple((starts[(size == n) & (cases == k), None] + np.arange(n), int(k)) for n, k in shapes)
    listed = prod(comb(int(n), int(k)) for n, k in zip(size, cases, strict=True)) <= ENUMERATED
    assignments = _all_assignments(blocks, arm) if listed else _random_assignments(blocks, arm, rng, draws)
    return _Experiment(
        y=y,
        z=z,
        n_treated=int(arm.sum()),
        blocks=blocks,
        assignments=assignments,
        exact=listed,
        n_sets=size.size,
    )


def _refuse(y: FloatArray, x: FloatArray, size: IntArray, cases: IntArray) -> None:
    if y.size == 0:
        raise EstimationError("estimation.empty_arm", "no matched set is left: there is nothing to permute")
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise EstimationError("estimation.not_finite", "the outcome or a covariate of a matched row is missing")
    if not ((cases > 0) & (cases < size)).all():
        raise EstimationError(
            "estimation.one_armed_set",
            "a matched set has one arm only: it compares nobody",
            fix="leave such sets out whole",
        )
    starts = np.cumsum(size) - size
    if not (np.maximum.reduceat(y, starts) > np.minimum.reduceat(y, starts)).any():
        raise EstimationError(
            "estimation.no_standard_error",
            "the outcome does not vary within any matched set",
            fix="describe, do not estimate",
        )


def _residual(v: FloatArray, x: FloatArray, number: IntArray, size: IntArray) -> FloatArray:
    """What is left of v (n,) about its set's mean after regression on the covariates about theirs."""
    together = np.column_stack([v, x])
    means = np.column_stack([np.bincount(number, weights=column) for column in together.T]) / size[:, None]
    centred = together - means[number]
    return np.asarray(
        centred[:, 0] - centred[:, 1:] @ np.linalg.lstsq(centred[:, 1:], centred[:, 0])[0], dtype=np.float64
    )


def _all_assignments(blocks: tuple[tuple[IntArray, int], ...], arm: BoolArray) -> Assignments:
    """Every choice of treated rows that keeps each set's number, (assignments, treated), the observed one first."""
    choices = [np.array(list(combinations(one, k))) for rows, k in blocks for one in rows]
    shape = [choice.shape[0] for choice in choices]
    picked = np.unravel_index(np.arange(prod(shape)), shape)
    every = np.column_stack([choice[pick] for choice, pick in zip(choices, picked, strict=True)])
    observed = arm[every].all(axis=1).argmax()
    every[[0, observed]] = every[[observed, 0]]
    return every.astype(np.int32)


def _random_assignments(
    blocks: tuple[tuple[IntArray, int], ...], arm: BoolArray, rng: np.random.Generator, draws: int
) -> Assignments:
    """The observed assignment, and `draws` that hold every choice within sets equally likely."""
    seen, drawn = [], []
    for rows, k in blocks:
        seen.append(rows[arm[rows]].astype(np.int32))
        for some in np.array_split(rows.astype(np.int32), max(1, draws * rows.size // CHUNK)):
            lots = rng.random((draws, *some.shape))
            if k == 1:  # the smallest, without sorting
                drawn.append(some[np.arange(some.shape[0]), lots.argmin(axis=2)])
                continue
            first = lots.argpartition(k - 1, axis=2)[..., :k]
            drawn.append(np.take_along_axis(some[None], first, axis=2).reshape(draws, -1))
    return np.vstack([np.concatenate(seen), np.column_stack(drawn)])
