"""Agreement of members of a group with one another, and of a measure with itself when it is repeated.

ICC(1) and ICC(2) of groups, rwg(j) of one group's raters, test-retest correlation, generalisability over sessions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal.errors import EstimationError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intraclass:
    """Variance between groups against variance within them, from a one-way analysis of variance.

    Attributes
    ----------
    icc1, icc2
        Reliability of one member's rating as a measure of its group, and of the group's mean.
    icc1_lower, icc1_upper, icc2_lower, icc2_upper
        Two-sided intervals at `level` from F with G - 1 and N - G degrees of freedom; exact where groups are equal.
    between, within
        Mean squares.
    size
        Members of a group: (N - sum n^2 / N) / (G - 1), which is n where groups are equal.
    groups, members
        G and N.
    """

    icc1: float
    icc2: float
    icc1_lower: float
    icc1_upper: float
    icc2_lower: float
    icc2_upper: float
    level: float
    between: float
    within: float
    size: float
    groups: int
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Pearson correlation of n pairs, with its two-sided interval at `level`."""

    value: float
    lower: float
    upper: float
    level: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalisability:
    """Variance components of a score over persons and sessions, in squared score points (Brennan 2001, ch. 2).

    `session` and `person` are truncated at 0; `residual` holds the interaction and all other error.
    """

    person: float
    session: float
    residual: float
    persons: int
    sessions: int

    def relative(self, sessions: int) -> float:
        """Generalisability of the mean of `sessions` sessions for comparing persons."""
        return self.person / (self.person + self.residual / sessions)

    def absolute(self, sessions: int) -> float:
        """Dependability of the mean of `sessions` sessions as a level: shifts common to a session count as error."""
        return self.person / (self.person + (self.session + self.residual) / sessions)


def intraclass(values: ArrayLike, groups: ArrayLike, *, level: float = 0.95) -> Intraclass:
    """ICC(1) = (MSB - MSW) / (MSB + (k - 1) MSW) and ICC(2) = (MSB - MSW) / MSB (Bliese 2000; Shrout & Fleiss 1979).

    Not truncated: below 0, members of one group differ more than members of different groups.

    Parameters
    ----------
    values, groups
        (N,) one rating per member, and its group; missing ratings must be left out.

    Raises
    ------
    EstimationError
        ``estimation.missing_values``, ``estimation.one_group``, ``estimation.single_member_groups`` (nobody shares a
        group), ``estimation.no_spread`` (no variation within groups).

    >>> found = intraclass([5, 6, 5, 6, 3, 4, 4, 3, 7, 6, 7, 8], np.repeat([0, 1, 2], 4))
    >>> round(found.icc1, 5), round(found.icc2, 5)
    (0.86992, 0.96396)
    """
    rating = _complete(values)
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    count = np.bincount(place)
    n_groups, n = len(names), len(rating)
    if n_groups < 2:
        raise EstimationError("estimation.one_group", "there are fewer than two groups", fix="deliver more groups")
    if n == n_groups:
        raise EstimationError("estimation.single_member_groups", "no group has two members", fix="do not aggregate")
    centred = rating - rating.mean()
    means = np.bincount(place, centred) / count
    within = float(((centred - means[place]) ** 2).sum() / (n - n_groups))
    between = float((count * means**2).sum() / (n_groups - 1))
    if not within > np.finfo(float).eps * between:
        raise EstimationError(
            "estimation.no_spread", "members of one group all gave one rating", fix="describe, do not estimate"
        )
    size = float((n - (count**2).sum() / n) / (n_groups - 1))
    ratio = between / within
    lower, upper = _ratio_interval(ratio, n_groups - 1, n - n_groups, level)
    return Intraclass(
        icc1=_icc1(ratio, size),
        icc2=_icc2(ratio),
        icc1_lower=_icc1(lower, size),
        icc1_upper=_icc1(upper, size),
        icc2_lower=_icc2(lower),
        icc2_upper=_icc2(upper),
        level=level,
        between=between,
        within=within,
        size=size,
        groups=n_groups,
        members=n,
    )


def rwg_j(
    items: ArrayLike, groups: ArrayLike, *, categories: int, expected_variance: float | None = None
) -> tuple[NDArray[np.generic], Floats]:
    """Within-group agreement rwg(j) (James, Demaree & Wolf 1984) of each group, and the groups in sorted order.

    J (1 - s2 / sE) / (J (1 - s2 / sE) + s2 / sE), with s2 the mean of the items' sample variances over raters; 0 where
    s2 exceeds sE.

    Parameters
    ----------
    items
        (N, J) ratings, one row per rater.
    groups
        (N,) group of each rater.
    categories
        A, number of response options.
    expected_variance
        sE, the variance if nobody agreed; (A^2 - 1) / 12, all options equally likely, by default. Report a skewed
        null as well: 1.34 for five options and 2.90 for seven, slightly skewed (LeBreton & Senter 2008, table 2).

    Raises
    ------
    EstimationError
        ``estimation.missing_values``, ``estimation.single_member_groups`` (a group has one rater).
    ValueError
        `categories` is below 2 or `expected_variance` is not positive.

    >>> rwg_j([[4, 4, 5], [4, 5, 5], [3, 4, 4], [4, 4, 4]], [0, 0, 0, 0], categories=5)[1].round(5).tolist()
    [0.94898]
    """
    null = (categories**2 - 1) / 12 if expected_variance is None else expected_variance
    if categories < 2 or not null > 0:
        raise ValueError("expected at least two categories and a positive expected variance")
    rating = _complete(items)
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    count = np.bincount(place).astype(np.float64)
    alone = int((count < 2).sum())
    if alone:
        raise EstimationError(
            "estimation.single_member_groups", "a group has one rater only", fix="leave such groups out and count them"
        )
    variance = np.zeros(len(names))
    for answers in rating.T:
        away = answers - (np.bincount(place, answers) / count)[place]
        variance += np.bincount(place, away**2) / (count - 1)
    ratio = variance / rating.shape[1] / null
    agreed = rating.shape[1] * (1 - ratio)
    return names, np.where(ratio < 1, agreed / np.where(ratio < 1, agreed + ratio, 1.0), 0.0)


def retest_correlation(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Correlation:
    """Correlation of a measure with itself; interval by Fisher's z (Fisher 1921) with t on n - 2 degrees of freedom.

    Parameters
    ----------
    first, second
        (n,) scores of the same people; pairs with NaN are left out.

    Raises
    ------
    EstimationError
        ``estimation.too_few_pairs`` below four, ``estimation.no_spread``.

    >>> found = retest_correlation([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])
    >>> round(found.value, 3), round(found.lower, 3), round(found.upper, 3)
    (0.829, -0.396, 0.992)
    """
    from scipy.special import stdtrit

    pairs = np.column_stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    n = len(pairs)
    if n < 4:
        raise EstimationError("estimation.too_few_pairs", "fewer than four people were measured twice", fix="wait")
    if not (np.ptp(pairs, axis=0) > 0).all():
        raise EstimationError("estimation.no_spread", "all scores of one occasion are equal", fix="look at the scores")
    x, y = (pairs - pairs.mean(axis=0)).T
    value = min(1.0, max(-1.0, float(x @ y / np.sqrt((x @ x) * (y @ y)))))
    half = float(stdtrit(n - 2, (1 + level) / 2)) / np.sqrt(n - 3)
    with np.errstate(divide="ignore"):
        z = np.arctanh(value)
    return Correlation(value=value, lower=float(np.tanh(z - half)), upper=float(np.tanh(z + half)), level=level, n=n)


def generalisability(scores: ArrayLike) -> Generalisability:
    """Variance components of persons crossed with sessions, one score each (Brennan 2001, eq. 2.8-2.10).

    Parameters
    ----------
    scores
        (persons, sessions) without NaN: people with a missing session are left out by the caller and counted.

    Raises
    ------
    EstimationError
        ``estimation.missing_values``, ``estimation.too_few_sessions`` (fewer than two persons or sessions),
        ``estimation.no_person_variance`` (persons do not differ beyond chance, so nothing generalises).

    >>> found = generalisability([[3, 4], [1, 2], [5, 5], [2, 4]])
    >>> round(found.relative(1), 3), round(found.relative(2), 3)
    (0.852, 0.92)
    """
    score = _complete(scores)
    if score.ndim != 2 or min(score.shape) < 2:
        raise EstimationError(
            "estimation.too_few_sessions", "fewer than two persons or two sessions", fix="deliver more sessions"
        )
    persons, sessions = score.shape
    centred = score - score.mean()
    by_person, by_session = centred.mean(axis=1), centred.mean(axis=0)
    left = centred - by_person[:, None] - by_session
    residual = float((left**2).sum() / ((persons - 1) * (sessions - 1)))
    person = float((by_person @ by_person) * sessions / (persons - 1) - residual) / sessions
    session = float((by_session @ by_session) * persons / (sessions - 1) - residual) / persons
    if not person > 0:
        raise EstimationError(
            "estimation.no_person_variance", "persons do not differ beyond chance", fix="describe, do not estimate"
        )
    return Generalisability(
        person=person, session=max(session, 0.0), residual=residual, persons=persons, sessions=sessions
    )


def _icc1(ratio: float, size: float) -> float:
    return (ratio - 1) / (ratio + size - 1)


def _icc2(ratio: float) -> float:
    return 1 - 1 / ratio if ratio > 0 else -np.inf


def _ratio_interval(ratio: float, df_between: int, df_within: int, level: float) -> tuple[float, float]:
    from scipy.special import fdtri

    tail = (1 - level) / 2
    return (
        ratio / float(fdtri(df_between, df_within, 1 - tail)),
        ratio / float(fdtri(df_between, df_within, tail)),
    )


def _complete(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if np.isnan(array).any():
        raise EstimationError("estimation.missing_values", "some ratings are missing", fix="leave them out and count")
    return array
