"""The rows of a dropout story: whose outcome is rated, decided or missing, and the ways to stand in for the missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.missing.chained import Imputed, clinician_means, impute
from causal.effect.missing.chains import Kind
from causal.effect.missing.dropout_weights import dropout_weights
from causal.effect.missing.reference_based import NormalDraws, normal_draws
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DropoutRows:
    """Rows (n) of an analysis and the units (u) they are made of: an occasion used twice is one unit.

    Attributes
    ----------
    scores, allowed
        (u, T) ratings, and whether a missing one may be imputed.
    treated
        (u,) arm.
    covariates, names
        (u, p) values known before time zero, NaN where missing, and their names.
    others
        (u, 0 or 1) mean outcome of the other units of the cluster.
    unit
        (n,) the unit of each row.
    primary
        Visit of the outcome, from 0.
    outcome
        (n,) rated or decided, NaN where missing or undefined.
    decided, rated, gap, undefined
        (n,) how the outcome is known, that it is missing and may be imputed, or that there is none: then others of the
        arm carry the row's weight (`stand_in`).
    arm, weights
        (n,) arm, and weights of the design.
    """

    scores: FloatArray
    allowed: BoolArray
    treated: BoolArray
    covariates: FloatArray
    names: tuple[str, ...]
    others: FloatArray
    unit: IntArray
    primary: int
    outcome: FloatArray
    decided: BoolArray
    rated: BoolArray
    gap: BoolArray
    undefined: BoolArray
    arm: BoolArray
    weights: FloatArray


def dropout_rows(
    scores: FloatArray,
    *,
    primary: int,
    fixed: FloatArray,
    may_impute: BoolArray,
    treated: BoolArray,
    covariates: FloatArray,
    names: Sequence[str],
    weights: FloatArray | None,
    clusters: IntArray | None,
    units: IntArray | None,
) -> DropoutRows:
    """Classify the rows and gather the units; arguments as for `causal.effect.missing.story.dropout_story`.

    Raises
    ------
    EstimationError
        ``estimation.inconsistent_scores``: a decided row has a rating at the primary visit, or rows of one unit differ.
    """
    y, decided_value = np.asarray(scores, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    x, arm = np.asarray(covariates, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    decided, rated = np.isfinite(decided_value), np.isfinite(y[:, primary])
    if (decided & rated).any():
        raise EstimationError(
            "estimation.inconsistent_scores",
            "some rows have a rating although their outcome is decided without one",
            fix="classify the intercurrent events before estimating",
        )
    allowed = np.asarray(may_impute, dtype=np.bool_).copy()
    allowed[decided, primary:] = False
    gap = ~decided & ~rated & allowed[:, primary]
    code = np.arange(arm.size) if units is None else np.asarray(units)
    _, first, unit = np.unique(code, return_index=True, return_inverse=True)
    unit = unit.reshape(-1)
    for table in (y, allowed, arm, x, decided_value):
        if not np.array_equal(table, table[first][unit], equal_nan=table.dtype.kind == "f"):
            raise EstimationError(
                "estimation.inconsistent_scores",
                "rows of the same occasion differ in arm, scores or covariates",
                fix="give each occasion a code of its own",
            )
    seen = y[first][:, [primary]]
    others = np.empty((first.size, 0)) if clusters is None else clinician_means(seen, np.asarray(clusters)[first])
    return DropoutRows(
        scores=y[first],
        allowed=allowed[first],
        treated=arm[first],
        covariates=x[first],
        names=tuple(names),
        others=others,
        unit=unit,
        primary=primary,
        outcome=np.where(decided, decided_value, y[:, primary]),
        decided=decided,
        rated=rated,
        gap=gap,
        undefined=~(decided | rated | gap),
        arm=arm,
        weights=w,
    )


def stand_in(rows: DropoutRows, factor: FloatArray) -> FloatArray:
    """Factors (n,), 0 for decided rows, scaled so that in each arm ``sum w factor = sum w`` over the undecided (Hajek).

    Raises
    ------
    EstimationError
        ``estimation.no_scores``: an arm has undecided rows, and the factor of all of them is 0.
    """
    scaled = np.where(rows.decided, 0.0, factor)
    for arm in (rows.arm, ~rows.arm):
        needed, standing = rows.weights[arm & ~rows.decided].sum(), (rows.weights * scaled)[arm & ~rows.decided].sum()
        if needed > 0 and not standing > 0:
            raise EstimationError(
                "estimation.no_scores", "relationships of one arm continue and no rating of theirs can be used"
            )
        scaled[arm] *= needed / standing if needed > 0 else 0.0
    return scaled


def composite(rows: DropoutRows, outcome: FloatArray, standing: FloatArray) -> FloatArray:
    """Outcomes (n,) to analyse with the design's weights, in which ratings stand in for others: the headline's rule.

    Decided rows keep their outcome; others have ``m + rho (S - m)``, m halfway between the arms' means of their ratings
    weighted by ``w rho``, as `causal.effect.outcome_decomposition.composite_effect`. `outcome` (n,) may be NaN where
    `standing` (n,), rho, is 0. Linear in the outcome.
    """
    score = np.where(standing > 0, outcome, 0.0)
    totals = [(arm & ~rows.decided) * rows.weights for arm in (rows.arm, ~rows.arm)]
    means = [float((w * standing) @ score / w.sum()) for w in totals if w.sum() > 0]
    middle = float(np.mean(means)) if means else 0.0
    return np.where(rows.decided, outcome, standing * score + (1 - standing) * middle)


def response_weights(
    rows: DropoutRows, *, monotone: bool, truncate: tuple[float, float] | None
) -> tuple[FloatArray, tuple[str, ...]]:
    """Inverse probability of response (n,), stabilised, 0 where there is no rating, and what to know of it.

    Raises
    ------
    EstimationError
        Those of `dropout_weights`.
    """
    until = rows.primary + 1
    scores = rows.scores[:, :until]
    found = dropout_weights(
        scores,
        continuing=np.isfinite(scores) | rows.allowed[:, :until],
        treated=rows.treated,
        baseline=without_gaps(rows.covariates),
        monotone=monotone,
        adjusted=False,
        truncate=truncate,
    )
    factor = np.where(rows.rated, found.weight[rows.unit, rows.primary], 0.0)
    return factor, (found.method, *found.notes)


def imputed_outcomes(
    rows: DropoutRows,
    *,
    score_kind: Kind,
    by_arm: bool,
    imputations: int,
    iterations: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, Imputed]:
    """Outcomes (M, n) with the missing imputed by chained equations; NaN where undefined.

    Raises
    ------
    EstimationError
        ``estimation.no_variation`` (outcomes of an arm are missing and all its ratings equal), and those of `impute`.
    """
    for who, arm in (("treated", rows.arm), ("comparison", ~rows.arm)):
        seen = rows.outcome[arm & rows.rated]
        if (rows.gap & arm).any() and seen.size and np.ptp(seen) == 0:
            raise EstimationError(
                "estimation.no_variation",
                f"the ratings of the {who} arm do not vary: nothing says how the missing ones would have",
                fix="report the available cases",
            )
    table = np.column_stack([rows.scores, rows.covariates, rows.others])
    visits = rows.scores.shape[1]
    binary = [bool(np.isin(column[np.isfinite(column)], (0.0, 1.0)).all()) for column in rows.covariates.T]
    kinds: list[Kind] = [score_kind] * visits
    kinds += ["logistic" if two else "pmm" for two in binary]
    names = [f"score at visit {t + 1}" for t in range(visits)] + list(rows.names)
    if rows.others.shape[1]:
        kinds.append("pmm")
        names.append("mean of the cluster's others")
    may_impute = np.ones(table.shape, dtype=np.bool_)
    may_impute[:, :visits] = rows.allowed
    found = impute(
        table,
        kinds=kinds,
        may_impute=may_impute,
        treated=rows.treated,
        by_arm=by_arm,
        names=names,
        imputations=imputations,
        iterations=iterations,
        rng=rng,
    )
    return completed(rows, found.sets[:, :, rows.primary]), found


def normal_model(rows: DropoutRows, *, imputations: int, rng: np.random.Generator) -> NormalDraws:
    """Draws of the normal model of the visits up to the primary one."""
    until = rows.primary + 1
    covariates = without_gaps(rows.covariates)
    flags = covariates.shape[1] - len(rows.names)
    return normal_draws(
        rows.scores[:, :until],
        treated=rows.treated,
        may_impute=rows.allowed[:, :until],
        covariates=covariates,
        names=(*rows.names, *(f"missing value {j + 1}" for j in range(flags))),
        imputations=imputations,
        rng=rng,
    )


def completed(rows: DropoutRows, imputed: FloatArray) -> FloatArray:
    """Outcomes (M, n) with the missing taken from the imputed scores (M, u) of their units."""
    return np.where(rows.gap, imputed[:, rows.unit], rows.outcome)


def without_gaps(x: FloatArray) -> FloatArray:
    """Columns with the mean where a value is missing, followed by an indicator for each column with missing values.

    >>> without_gaps(np.array([[1.0, 2.0], [np.nan, 4.0]])).tolist()
    [[1.0, 2.0, 0.0], [1.0, 4.0, 1.0]]
    """
    gone = np.isnan(x)
    known = np.where(gone, 0.0, x)
    mean = known.sum(axis=0) / np.maximum((~gone).sum(axis=0), 1)
    return np.column_stack([np.where(gone, mean, x), gone[:, gone.any(axis=0)]])
