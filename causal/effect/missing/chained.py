"""Multiple imputation by chained equations, all imputed sets side by side.

Our own, because imputation has to be proper (each set from its own draw of the parameters, of every model), has to know
cells that are undefined rather than missing, and has to be quick: scikit-learn's IterativeImputer draws from the
predictive distribution at estimated hyperparameters and statsmodels' MICE fits one formula at a time.

A score after the end of the relationship or after a death is not missing: there is none. Such a cell is never imputed.
As a predictor of other columns it enters as the mean of its column together with an indicator that it is undefined, so
that no row is lost and no value is made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.missing.chains import Kind, chains, group_of
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MIXED = 1.2  # largest R-hat of chains that have mixed: they are short, and ratios near 1.1 are noise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Imputed:
    """M completed data sets.

    Attributes
    ----------
    sets
        (M, n, p); the data where observed, drawn where missing, NaN where undefined.
    filled
        (n, p) the cells that were drawn.
    r_hat
        (p,) Gelman & Rubin's ratio of the chain means of the imputed values, the first fifth of the iterations left
        out, the larger of the arms; NaN for columns in which nothing was imputed. Near 1 when the chains have mixed.
    notes
        Columns whose chains have not mixed, and cells left undefined.
    """

    sets: FloatArray
    filled: BoolArray
    r_hat: FloatArray
    notes: tuple[str, ...]


def impute(
    data: FloatArray,
    *,
    kinds: Sequence[Kind],
    may_impute: BoolArray,
    treated: BoolArray | None = None,
    by_arm: bool = True,
    predictors: BoolArray | None = None,
    names: Sequence[str] | None = None,
    imputations: int = 20,
    iterations: int = 10,
    donors: int = 5,
    rng: np.random.Generator,
) -> Imputed:
    """Impute the missing cells of a table M times by chained equations.

    Parameters
    ----------
    data
        (n, p), NaN where there is no value. Covariates, scores of all visits, leave-one-out clinician means
        (`clinician_means`), anything that predicts a value or its absence.
    kinds
        p of ``pmm`` (predictive mean matching: draws are observed values, so a bounded score stays in its range),
        ``norm`` (Bayesian normal regression: draws may leave the range of a scale) or ``logistic`` (0 and 1).
    may_impute
        (n, p) false where a missing cell is undefined (after the relationship's end, after a death) and must stay NaN.
    treated
        (n,) arms; None where there are none. The arm itself is never imputed.
    by_arm
        Impute the arms separately, so that every relation may differ between them and no effect is imputed away.
        Otherwise the arm and its products with all columns are among the predictors.
    predictors
        (p, p) whether column k (second index) may predict column j (first); None for all.
    names
        p names for messages.
    imputations, iterations
        M, and cycles through the columns before a set is taken. Each set is a chain of its own.
    donors
        Observed values among which predictive mean matching chooses.
    rng
        Random numbers.

    Raises
    ------
    EstimationError
        ``estimation.not_finite`` (an infinite value), ``estimation.not_binary``, ``estimation.too_few_imputations``,
        ``estimation.nothing_observed`` (in a column, in an arm), ``estimation.too_few_donors`` (not more observed
        values than predictors and donors).

    Notes
    -----
    van Buuren (2018), Flexible Imputation of Missing Data, 2nd ed., 3.2-3.4, 4.5. Predictive mean matching is of type
    1: donors' means at the estimate, recipients' at the draw; donors as near as the k-th nearest are all eligible. The
    donors themselves are resampled for every draw (the approximate Bayesian bootstrap: Rubin & Schenker 1986, JASA
    81:366-374; Siddique & Belin 2008, Stat Med 27:83-102): donors taken as they are make intervals too short. Matching
    never extrapolates: where nearly all values are missing it leans towards the nearest donors. Rows are put in an
    order decided by their content before anything is drawn, so the order they come in changes nothing; only rows equal
    in every column may exchange their draws.

    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=200)
    >>> table = np.column_stack([x, np.where(x > 0.5, np.nan, 2 * x)])
    >>> ended = np.zeros(200, dtype=bool); ended[np.argmax(x)] = True
    >>> found = impute(table, kinds=["norm", "norm"], may_impute=~np.column_stack([ended, ended]), rng=rng)
    >>> found.sets.shape, bool(np.isnan(found.sets[:, ended, 1]).all()), int(np.isnan(found.sets).sum())
    ((20, 200, 2), True, 20)
    """
    x, allowed = np.asarray(data, dtype=np.float64), np.asarray(may_impute, dtype=np.bool_)
    labels = tuple(names) if names is not None else tuple(f"column {j + 1}" for j in range(x.shape[1]))
    _refuse_unusable(x, kinds, labels, imputations)
    arm = None if treated is None else np.asarray(treated, dtype=np.bool_)
    missing = np.isnan(x) & allowed
    order = _canonical(x, allowed, arm)
    sets = np.repeat(x[None], imputations, axis=0)
    r_hat = np.full(x.shape[1], np.nan)
    parts = [order] if arm is None or not by_arm else [order[~arm[order]], order[arm[order]]]
    matrix = np.ones((x.shape[1],) * 2, dtype=np.bool_) if predictors is None else np.asarray(predictors, np.bool_)
    for rows in parts:
        if missing[rows].any():
            predictor_arm = None if arm is None or by_arm else arm[rows].astype(np.float64)
            group = group_of(x[rows], missing[rows], predictor_arm, imputations, labels, rng)
            trace = chains(group, kinds, matrix, labels, donors=donors, iterations=iterations, rng=rng)
            sets[:, rows] = group.sets
            r_hat = np.fmax(r_hat, _r_hat(trace))
    return Imputed(sets=sets, filled=missing, r_hat=r_hat, notes=_notes(r_hat, labels, np.isnan(x) & ~allowed))


def clinician_means(values: FloatArray, clusters: IntArray) -> FloatArray:
    """Mean of the other rows of the same cluster (n, p), an auxiliary column for imputation.

    The row's own value (n, p; NaN where missing) is left out: with it the column would hold the answer for the rows a
    model is fitted to and not for those it imputes. Where no other row of the cluster has a value the mean is that of
    all values.

    >>> clinician_means(np.array([[1.0], [3.0], [np.nan], [5.0]]), np.array([0, 0, 0, 1])).ravel().tolist()
    [3.0, 1.0, 2.0, 3.0]
    """
    x = np.asarray(values, dtype=np.float64)
    code = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    present = np.isfinite(x)
    known = np.where(present, x, 0.0)
    totals, counts = np.zeros((code.max() + 1, x.shape[1])), np.zeros((code.max() + 1, x.shape[1]))
    np.add.at(totals, code, known)
    np.add.at(counts, code, present)
    others = counts[code] - present
    overall = known.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    means = np.where(others > 0, (totals[code] - known) / np.maximum(others, 1), overall)
    return np.asarray(means, dtype=np.float64)


def _refuse_unusable(x: FloatArray, kinds: Sequence[Kind], names: Sequence[str], imputations: int) -> None:
    """Refuse what no imputation can start from."""
    if len(kinds) != x.shape[1] or len(names) != x.shape[1]:
        raise ValueError(f"{len(kinds)} kinds and {len(names)} names do not fit {x.shape[1]} columns")
    if imputations < 2:
        raise EstimationError("estimation.too_few_imputations", f"multiple imputation needs 2 sets, got {imputations}")
    for j, name in enumerate(names):
        if np.isinf(x[:, j]).any():
            raise EstimationError("estimation.not_finite", f"column '{name}' holds an infinite value")
        if kinds[j] == "logistic" and not np.isin(x[~np.isnan(x[:, j]), j], (0.0, 1.0)).all():
            raise EstimationError("estimation.not_binary", f"column '{name}' holds values other than 0 and 1")


def _canonical(x: FloatArray, allowed: BoolArray, arm: BoolArray | None) -> IntArray:
    """Order of the rows (n,) by their content."""
    keys = [*x.T, *allowed.T] if arm is None else [*x.T, *allowed.T, arm]
    return np.lexsort(keys[::-1])


def _r_hat(trace: FloatArray) -> FloatArray:
    """R-hat (p,) of chains (iterations, M, p), the first fifth left out (Gelman & Rubin 1992, Stat Sci 7:457-472)."""
    later = trace[max(1, trace.shape[0] // 5) :]
    steps = later.shape[0]
    if steps < 2:
        return np.full(trace.shape[2], np.nan)
    inside = later.var(axis=0, ddof=1).mean(axis=0)
    between = later.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt((steps - 1) / steps + between / inside), dtype=np.float64)


def _notes(r_hat: FloatArray, names: Sequence[str], undefined: BoolArray) -> tuple[str, ...]:
    """What to know of a finished imputation."""
    slow = [name for name, ratio in zip(names, r_hat, strict=True) if ratio > MIXED]
    said = [f"chains not yet mixed (R-hat above {MIXED}): {', '.join(slow)}; ask for more iterations"] if slow else []
    if undefined.any():
        said.append("undefined values are not imputed; they predict others through an indicator and a fixed fill")
    return tuple(said)
