"""Models of the outcome given treatment and covariates, and what they predict for each arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from causal.design.propensity.columns import independent_columns
from causal.design.propensity.firth import firth_logistic
from causal.effect.doubly_robust.logistic import logistic_regression
from causal.effect.doubly_robust.outcome_trees import Trees, boosted_means, folds_of_trees
from causal.errors import DesignError, EstimationError
from causal.numeric.folds import TUNING_FOLDS, drawn_folds
from causal.numeric.keys import KeyArray, keys_of_content
from causal.numeric.stacking import average_weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Predictor = Callable[[FloatArray], FloatArray]

PENALISED = "covariates tell the outcomes apart in some of the rows learned from: Firth's likelihood models them there"
PENALTIES = np.logspace(
    -4, 2, 13
)  # ridge penalties per row, on standardised columns, among which leave-one-out chooses


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeModel:
    """How the outcome is modelled.

    Attributes
    ----------
    kind
        ``linear``: least squares. ``ridge``: least squares with a penalty on standardised slopes. ``logistic``: for
        outcomes between 0 and 1. ``boosting``: gradient-boosted trees with squared loss. ``average``: linear, ridge and
        trees, weighed by their squared errors in rows outside the folds they were learned from.
    arms
        ``separate``: one model per arm, every slope its own. ``pooled``: one model with a term for treatment.
    interactions
        Pooled only: covariates whose product with treatment enters.
    penalty
        Ridge: strength per row; None lets leave-one-out prediction choose.
    trees, learning_rate, leaves
        Boosting: most rounds (how many, out-of-fold predictions choose), step and leaves per tree.

    Raises
    ------
    EstimationError
        ``estimation.outcome_model``: a value out of range, or two that exclude each other.

    >>> OutcomeModel(kind="ridge", penalty=0.1).arms
    'separate'
    """

    kind: Literal["linear", "ridge", "logistic", "boosting", "average"] = "linear"
    arms: Literal["separate", "pooled"] = "separate"
    interactions: tuple[str, ...] = ()
    penalty: float | None = None
    trees: int = 200
    learning_rate: float = 0.2
    leaves: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.interactions and (self.arms == "separate" or self.draws):
            raise _refused("interactions belong to one regression of both arms", fix="set arms to pooled, or drop them")
        if self.penalty is not None and (self.kind != "ridge" or not 0 < self.penalty < float("inf")):
            raise _refused("a penalty above 0 belongs to kind ridge")
        if self.trees < 1 or self.leaves < 2 or not 0 < self.learning_rate <= 1:
            raise _refused("boosting needs trees >= 1, leaves >= 2 and a learning_rate in (0, 1]")

    @property
    def draws(self) -> bool:
        """Whether trees are grown, which needs a seed."""
        return self.kind in ("boosting", "average")


LINEAR = OutcomeModel()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Mean outcomes (n,) by arm (true for treated) that a model predicts, and what to know of it."""

    mean: dict[bool, FloatArray]
    notes: tuple[str, ...]


def predicted_means(
    model: OutcomeModel,
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray,
    *,
    names: Sequence[str],
    arms: Sequence[bool],
    fold: IntArray | None = None,
    key: KeyArray | None = None,
    clusters: IntArray | None = None,
    seed: int = 0,
) -> Predictions:
    """Mean outcome (n,) the model predicts for every row in each arm asked for.

    Parameters
    ----------
    outcome, treated, covariates, names
        (n,), (n,), (n, p) and p names.
    arms
        Arms wanted: true for treated.
    fold
        (n,) each row is predicted by a model of the other folds; None for one model of all rows.
    key, clusters
        (n,) keys of the rows (`causal.numeric.keys`; None: of what they hold) and codes or None: for the folds,
        clusters whole, in which the number of trees is chosen and models are weighed against each other.
    seed
        Of the trees.

    Raises
    ------
    EstimationError
        ``estimation.too_few_rows`` (a regression with as many columns as rows), ``estimation.outcome_separated`` (all
        outcomes of an arm agree),
        ``estimation.unknown_covariate``.
    """
    unknown = [name for name in model.interactions if name not in names]
    if unknown:
        raise EstimationError(
            "estimation.unknown_covariate", f"the outcome model names {', '.join(unknown)}, which is no covariate"
        )
    with_treatment = [list(names).index(name) for name in model.interactions]
    own = keys_of_content([treated, outcome], covariates) if key is None else key
    means = {arm: np.empty(outcome.size) for arm in arms}
    everyone = np.ones(outcome.size, dtype=np.bool_)
    splits = [(everyone, everyone)] if fold is None else [(fold != k, fold == k) for k in range(int(fold.max()) + 1)]
    notes: dict[str, None] = {}

    def learned(rows: BoolArray, x: FloatArray) -> Predictor:
        held = None if clusters is None else clusters[rows]
        found = _learned(model, x, outcome[rows], own[rows], held, seed)
        notes.update(dict.fromkeys(found.notes))
        return found.predict

    for seen, unseen in splits:
        if model.arms == "separate":
            for arm, mean in means.items():
                rows = seen & (treated == arm)
                mean[unseen] = learned(rows, covariates[rows])(covariates[unseen])
        else:
            predict = learned(seen, _pooled(covariates[seen], treated[seen], with_treatment))
            for arm, mean in means.items():
                mean[unseen] = predict(_pooled(covariates[unseen], np.full(int(unseen.sum()), arm), with_treatment))
    return Predictions(mean=means, notes=tuple(notes))


def _pooled(covariates: FloatArray, treated: BoolArray, with_treatment: Sequence[int]) -> FloatArray:
    """Columns (n, 1 + p + q): treatment, covariates, products of treatment with some of them."""
    return np.column_stack([treated, covariates, covariates[:, with_treatment] * treated[:, None]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """A model of some rows: a function from columns (m, k) to predicted means (m,), and what to know of it."""

    predict: Predictor
    notes: tuple[str, ...] = ()


def _learned(
    model: OutcomeModel, x: FloatArray, y: FloatArray, key: KeyArray, clusters: IntArray | None, seed: int
) -> Learned:
    """A model of rows with columns x (n, k), outcome, keys and clusters (n,) or None."""
    match model.kind:
        case "linear" | "logistic":
            return _regression(x, y, logistic=model.kind == "logistic")
        case "ridge":
            return Learned(predict=_ridge(x, y, model.penalty))
        case "boosting":
            trees = _trees(model, seed)
            return Learned(predict=boosted_means(trees, x, y, folds_of_trees(trees, key, clusters)).predict)
        case "average":
            groups = y.size if clusters is None else np.unique(clusters).size
            strata = np.zeros(y.size, dtype=np.int64)
            fold = drawn_folds(key, max(2, min(TUNING_FOLDS, groups)), strata=strata, clusters=clusters)
            return Learned(predict=_averaged(model, x, y, fold, seed))


def _trees(model: OutcomeModel, seed: int) -> Trees:
    return Trees(most=model.trees, learning_rate=model.learning_rate, leaves=model.leaves, seed=seed)


def _averaged(model: OutcomeModel, x: FloatArray, y: FloatArray, fold: IntArray, seed: int) -> Predictor:
    """Linear, ridge and trees, weighed by their squared errors in folds (n,) they did not learn from.

    What the trees say of those folds comes from the run in which their number is chosen: one number of forty, so that
    their error is told hardly smaller for it, and no fold is learned from twice.
    """
    grown = boosted_means(_trees(model, seed), x, y, fold)
    lines: list[Callable[[BoolArray], Predictor]] = [
        lambda rows: _regression(x[rows], y[rows], logistic=False).predict,
        lambda rows: _ridge(x[rows], y[rows], None),
    ]
    outside = np.empty((y.size, len(lines) + 1))
    outside[:, -1] = grown.outside
    for k in range(int(fold.max()) + 1):
        for j, learned in enumerate(lines):
            outside[fold == k, j] = learned(fold != k)(x[fold == k])
    weights = average_weights(outside, lambda said: float(((y - said) ** 2).mean()))
    everyone = np.ones(y.size, dtype=np.bool_)
    members = [*(learned(everyone) for learned in lines), grown.predict]
    taken = [(weight, predict) for weight, predict in zip(weights, members, strict=True) if weight > 0]
    return lambda rows: np.asarray(sum(weight * predict(rows) for weight, predict in taken), dtype=np.float64)


def _regression(x: FloatArray, y: FloatArray, *, logistic: bool) -> Learned:
    """Least squares or logistic regression; a column that does not vary or repeats earlier ones has no coefficient."""
    centre, scale = _standard(x)
    design = np.column_stack([np.ones(y.size), (x - centre) / scale])
    kept = independent_columns(design)
    if y.size <= int(kept.sum()):
        raise EstimationError(
            "estimation.too_few_rows",
            f"an outcome model of {int(kept.sum())} coefficients has no more rows than that to learn from",
            fix="use fewer covariates, kind ridge, one model of both arms, or fewer folds",
        )
    beta = np.zeros(kept.size)
    notes: tuple[str, ...] = ()
    if logistic:
        beta[kept], notes = _logistic(design[:, kept], y)
    else:
        beta[kept] = np.linalg.lstsq(design[:, kept], y, rcond=None)[0]

    def predict(rows: FloatArray) -> FloatArray:
        eta = beta[0] + ((rows - centre) / scale) @ beta[1:]
        return np.asarray(expit(eta) if logistic else eta, dtype=np.float64)

    return Learned(predict=predict, notes=notes)


def _logistic(design: FloatArray, y: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Coefficients (k,) of independent columns (n, k): the likelihood's maximum, Firth's where there is none.

    A level in which all outcomes agree has none, however rare it is. Refused where covariates tell all outcomes apart.
    """
    try:
        return logistic_regression(design, y)[0], ()
    except EstimationError as refusal:
        separated = refusal
    try:
        beta = firth_logistic(design, y > 0) if np.isin(y, (0.0, 1.0)).all() else None
    except DesignError:
        beta = None
    if beta is None or ((design @ beta > 0) == (y > 0)).all():
        raise separated
    return beta, (PENALISED,)


def _ridge(x: FloatArray, y: FloatArray, penalty: float | None) -> Predictor:
    from sklearn.linear_model import Ridge, RidgeCV

    centre, scale = _standard(x)
    z = (x - centre) / scale
    alphas = PENALTIES * y.size
    fitted = (RidgeCV(alphas=alphas) if penalty is None else Ridge(alpha=penalty * y.size)).fit(z, y)
    return lambda rows: np.asarray(fitted.predict((rows - centre) / scale), dtype=np.float64)


def _standard(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centre and scale (k,) each; a column that does not vary keeps its scale."""
    spread = x.std(axis=0)
    return x.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _refused(message: str, *, fix: str = "") -> EstimationError:
    return EstimationError("estimation.outcome_model", message, fix=fix)
