"""Sums over subjects who were seen at the same visits: all that the likelihood needs to know about the data.

A subject enters it through products of two of its rows, so subjects are summed once, pattern of visits by pattern, and
the search for the covariance costs the same for a thousand subjects as for a million. A column of the design counts
only at the visits where it is not zero throughout, so effects by visit cost no more than one effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitDesign:
    """Scores of n subjects at T visits with the p columns of their design, rows multiplied by the root of the weight.

    Attributes
    ----------
    features
        Per visit (n, q_t): the columns that are not zero at that visit. One array may serve many visits.
    columns
        Per visit (q_t,): where these stand among the p.
    n_columns
        p.
    scores
        (n, T), NaN where missed.
    groups
        (n,) codes 0, 1, ... of subjects that share a covariance.
    log_weights
        Sum of the logarithms of the weights of the rows seen.
    """

    features: tuple[FloatArray, ...]
    columns: tuple[IntArray, ...]
    n_columns: int
    scores: FloatArray
    groups: IntArray
    log_weights: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSums:
    """Sums of products of two visits' rows, each row the columns active at its visit and then the score.

    Attributes
    ----------
    visits
        The two visits s <= t.
    patterns
        (g,) positions of the patterns that hold both.
    left, right
        (q_s + 1,) and (q_t + 1,) where the columns stand among the p + 1, the score being number p.
    values
        (g, q_s + 1, q_t + 1) sums over the subjects of each pattern.
    """

    visits: tuple[int, int]
    patterns: IntArray
    left: IntArray
    right: IntArray
    values: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatternSums:
    """Subjects summed by group and pattern of visits.

    Attributes
    ----------
    seen
        (G, T) visits of each pattern.
    groups, counts
        (G,) group and number of subjects of each pattern.
    n_columns
        p.
    pairs
        One per pair of visits seen together.
    members
        Per pattern the subjects in it.
    """

    seen: BoolArray
    groups: IntArray
    counts: IntArray
    n_columns: int
    pairs: tuple[PairSums, ...]
    members: tuple[IntArray, ...]


def pattern_sums(design: VisitDesign) -> PatternSums:
    """Sums of a design; subjects without any score belong to no pattern."""
    present = np.isfinite(design.scores)
    n_visits = present.shape[1]
    code = present @ (1 << np.arange(n_visits)) + (design.groups << n_visits)
    some = np.flatnonzero(present.any(axis=1))
    order = some[np.argsort(code[some], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
    members = tuple(np.split(order, starts[1:]))
    seen, groups = present[order[starts]], design.groups[order[starts]]
    products = [_products(design, rows, np.flatnonzero(visits)) for rows, visits in zip(members, seen, strict=True)]
    pairs = []
    for s in range(n_visits):
        for t in range(s, n_visits):
            patterns = np.flatnonzero(seen[:, s] & seen[:, t])
            if patterns.size:
                pairs.append(
                    PairSums(
                        visits=(s, t),
                        patterns=patterns,
                        left=np.append(design.columns[s], design.n_columns),
                        right=np.append(design.columns[t], design.n_columns),
                        values=np.stack([products[g][s, t] for g in patterns]),
                    )
                )
    return PatternSums(
        seen=seen,
        groups=groups,
        counts=np.array([rows.size for rows in members], dtype=np.int64),
        n_columns=design.n_columns,
        pairs=tuple(pairs),
        members=members,
    )


def weighted_grams(sums: PatternSums, kernels: FloatArray) -> FloatArray:
    """Sums over subjects ``[X y]' M [X y]`` (K, p + 1, p + 1) for K kernels M by pattern (G, K, T, T), symmetric."""
    out = np.zeros((kernels.shape[1], sums.n_columns + 1, sums.n_columns + 1))
    for pair in sums.pairs:
        s, t = pair.visits
        flat = pair.values.reshape(pair.patterns.size, -1)
        block = (kernels[pair.patterns, :, s, t].T @ flat).reshape(-1, pair.left.size, pair.right.size)
        out[:, pair.left[:, None], pair.right] += block
        if s != t:
            out[:, pair.right[:, None], pair.left] += block.transpose(0, 2, 1)
    return out


def visit_moments(sums: PatternSums, matrix: FloatArray) -> FloatArray:
    """Sums over subjects ``[X y] A [X y]'`` by pattern (G, T, T), for one symmetric A (p + 1, p + 1)."""
    n_patterns, n_visits = sums.seen.shape
    out = np.zeros((n_patterns, n_visits, n_visits))
    for pair in sums.pairs:
        s, t = pair.visits
        flat = pair.values.reshape(pair.patterns.size, -1)
        out[pair.patterns, s, t] = out[pair.patterns, t, s] = flat @ matrix[pair.left[:, None], pair.right].ravel()
    return out


def _products(design: VisitDesign, rows: IntArray, visits: IntArray) -> dict[tuple[int, int], FloatArray]:
    """Sums of products over the subjects `rows`, by pair of the visits."""
    distinct = {id(design.features[t]): design.features[t] for t in visits}
    ends = np.cumsum([array.shape[1] for array in distinct.values()])
    span = {key: np.arange(end - array.shape[1], end) for (key, array), end in zip(distinct.items(), ends, strict=True)}
    block = np.concatenate([*(array[rows] for array in distinct.values()), design.scores[rows][:, visits]], axis=1)
    gram = block.T @ block
    place = {t: np.append(span[id(design.features[t])], ends[-1] + j) for j, t in enumerate(visits.tolist())}
    return {(s, t): gram[place[s][:, None], place[t]] for s in place for t in place if s <= t}
