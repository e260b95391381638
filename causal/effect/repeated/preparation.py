"""A design by visit made ready for sums: rows arranged, aliased columns dropped, a basis that keeps digits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.effect.repeated.patterns import VisitDesign
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
NEARLY_ALIKE = 1e-5  # least eigenvalue of the columns' correlations at which their sums keep enough digits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A design whose kept columns are combinations that sums do not spoil, scores less their least squares fit."""

    design: VisitDesign
    kept: BoolArray  # (p,)
    basis: FloatArray  # (kept, kept): columns of the design = kept columns @ basis
    start: FloatArray  # (kept,) ordinary least squares
    relation: FloatArray  # (kept, dropped): dropped = kept @ relation, columns at length one
    lengths: FloatArray  # (p,)

    def estimable(self, contrast: FloatArray) -> bool:
        """Whether the contrast (p,) treats the dropped columns as their relation to the kept ones demands."""
        unit = contrast / self.lengths
        gap = np.abs(unit[self.kept] @ self.relation - unit[~self.kept])
        return not (gap > 1e-6 * np.abs(unit).max()).any()


def arrange(
    x: FloatArray, y: FloatArray, w: FloatArray, who: IntArray, visits: IntArray, n_visits: int, n: int
) -> VisitDesign:
    """Rows arranged by subject and visit."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EstimationError("estimation.not_finite", "the outcome or a covariate of a weighted row is not finite")
    if not ((visits >= 0) & (visits < n_visits)).all():
        raise EstimationError("estimation.visits", f"visits must be positions 0 to {n_visits - 1}")
    if np.unique(who * n_visits + visits).size != y.size:
        raise EstimationError(
            "estimation.repeated_visit",
            "a subject has more than one score at a visit",
            fix="choose one score per subject and visit",
        )
    root = np.sqrt(w)
    scores = np.full((n, n_visits), np.nan)
    scores[who, visits] = y * root
    features, columns = [], []
    for t in range(n_visits):
        at = visits == t
        active = np.flatnonzero((x[at] != 0).any(axis=0))
        block = np.zeros((n, active.size))
        block[who[at]] = x[np.ix_(at, active)] * root[at, None]
        features.append(block)
        columns.append(active)
    return VisitDesign(
        features=tuple(features),
        columns=tuple(columns),
        n_columns=x.shape[1],
        scores=scores,
        groups=np.zeros(n, dtype=np.int64),
        log_weights=float(np.log(w).sum()),
    )


def prepare(design: VisitDesign) -> Prepared:
    """Drop aliased columns and take the ordinary least squares fit off the scores, for sums that stay accurate."""
    triangle = _triangle(design)  # has the same sums of squares and products as all the rows
    x, y = triangle[:, :-1], triangle[:, -1]
    kept = independent_columns(x)
    if not kept.any():
        raise EstimationError("estimation.not_estimable", "every column of the design is zero")
    lengths = np.linalg.norm(x, axis=0)
    lengths[lengths == 0] = 1.0
    unit = x / lengths
    solve = np.linalg.lstsq(unit[:, kept], np.column_stack([unit[:, ~kept], y]), rcond=None)[0]
    start = solve[:, -1] / lengths[kept]
    basis = _basis(x[:, kept], lengths[kept])
    place = np.cumsum(kept) - 1
    distinct: dict[tuple[int, bytes, bytes], FloatArray] = {}
    features, columns = [], []
    scores = design.scores.copy()
    for t, (block, at) in enumerate(zip(design.features, design.columns, strict=True)):
        use = kept[at]
        among = place[at[use]]
        active = np.flatnonzero((basis[among] != 0).any(axis=0))
        change = basis[np.ix_(among, active)]
        key = (id(block), use.tobytes(), change.tobytes())
        if key not in distinct:
            distinct[key] = block[:, use] @ change
        features.append(distinct[key])
        columns.append(active)
        scores[:, t] -= block[:, use] @ start[among]
    if not (np.nansum(scores**2, axis=0) > 1e-20 * np.nansum(design.scores**2, axis=0)).all():
        raise EstimationError(
            "estimation.singular_covariance",
            "the model fits the scores of a visit exactly: no variation is left for a standard error",
            fix="leave that visit out, or adjust for fewer covariates",
        )
    return Prepared(
        design=replace(
            design, features=tuple(features), columns=tuple(columns), n_columns=int(kept.sum()), scores=scores
        ),
        kept=kept,
        basis=basis,
        start=start,
        relation=solve[:, :-1],
        lengths=lengths,
    )


def _basis(x: FloatArray, lengths: FloatArray) -> FloatArray:
    """Combinations (k, k) of the columns x (rows, k): each by itself at length one, or orthonormal if nearly alike."""
    unit = x / lengths
    if np.linalg.eigvalsh(unit.T @ unit)[0] > NEARLY_ALIKE:
        return np.diag(1 / lengths)
    inverse = np.linalg.inv(np.linalg.qr(unit, mode="r"))
    return np.where(np.abs(inverse) > 1e-13, inverse, 0.0) / lengths[:, None]


def _triangle(design: VisitDesign) -> FloatArray:
    """Triangular factors of each visit's rows seen and scores, stacked (rows, p + 1)."""
    stacked = []
    for t, (block, at) in enumerate(zip(design.features, design.columns, strict=True)):
        seen = np.isfinite(design.scores[:, t])
        factor = np.asarray(np.linalg.qr(np.column_stack([block[seen], design.scores[seen, t]]), mode="r"))
        whole = np.zeros((factor.shape[0], design.n_columns + 1))
        whole[:, np.append(at, design.n_columns)] = factor
        stacked.append(whole)
    return np.concatenate(stacked)
