"""Boosted trees beside a logistic model: taken in only as far as rows they never saw show that they help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import kept_columns, moments
from causal.design.propensity.firth import FIRTH_BELOW, penalised_likelihood
from causal.design.propensity.logistic import maximum_likelihood
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.rare import one_armed_levels
from causal.design.propensity.sums import Regression, log_odds
from causal.numeric.folds import tuning_folds
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Score = Callable[[FloatArray], FloatArray]

SMALLEST_LEAF = 20  # rows
ROUNDING = 1e-12  # relative spread of raw scores that are all the same
WORTH_TAKING = 3.84  # twice the gain in log likelihood, out of fold, below which the trees stay out (chi-squared, 5%)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boosted:
    """Log odds (n,) of the rows the trees were grown on, and a function that gives those of other rows (m, k).

    `outside` (n,) are the log odds of the same rows by a line and trees that never saw them; None of a line alone.
    """

    logit: FloatArray
    score: Score
    outside: FloatArray | None = None


def boosted(
    x: FloatArray,
    treated: BoolArray,
    linear: Boosted,
    model: PropensityModel,
    *,
    certain: bool,
    key: KeyArray,
    clusters: IntArray | None,
    seed: int,
) -> Boosted:
    """Log odds by a logistic model and boosted trees together, always finite.

    Parameters
    ----------
    x, treated
        (n, k) covariates and (n,) arms.
    linear
        The logistic model of these rows.
    model
        Trees, learning rate and leaves.
    certain
        Whether the logistic model tells the arms apart with certainty: trees then stand alone, as they never do.
    key, clusters
        (n,) keys of the rows, by which folds are drawn, and codes, kept whole by the folds; None makes every row its
        own cluster.
    seed
        Of scikit-learn's generator.

    Raises
    ------
    DesignError
        Those of `tuning_folds`, ``design.not_converged``.

    Notes
    -----
    A row's log odds is ``a + b linear + c trees``: a logistic regression of the arm on the two scores (stacking,
    Wolpert 1992; by likelihood, van der Laan, Polley & Hubbard 2007, Stat Appl Genet Mol Biol 6:25). The trees' score
    of a row is always by trees that never saw its cluster: rows that trees were grown on are told apart by memory, far
    better than rows to come would be, and weights and matches made of such scores turn the answer round. The linear
    score has few parameters and is the model's own, so that the score balances the sample as the logistic model's does.
    Trees come in only where ``c > 0`` and, beside the linear score out of fold, raise the likelihood by more than
    chance would; otherwise the logistic model stands, to the bit.

    Trees: scikit-learn's HistGradientBoostingClassifier, a fixed number, no early stopping (McCaffrey et al. 2004,
    Psychol Methods 9:403-425, for propensities). The regression on the two scores has Platt's targets (1999), moved
    inwards by his rule, so it stays finite even if the scores separate the arms.
    """
    folds = tuning_folds(treated, key, clusters)
    raw, lines = np.empty(treated.size), np.empty(treated.size)
    for fold in range(int(folds.max()) + 1):
        seen = folds != fold
        raw[~seen] = _grown(x[seen], treated[seen], model, seed)(x[~seen])
        lines[~seen] = _line(x[seen], treated[seen])(x[~seen])
    if certain:
        lines = np.zeros(treated.size)  # a constant score is left out
        linear = Boosted(logit=lines, score=lambda rows: np.zeros(rows.shape[0]))
    elif not _worth_taking(lines, raw, treated):
        return replace(linear, outside=lines)
    own, unseen = _together(linear.logit, raw, treated), _together(lines, raw, treated)
    grown = _grown(x, treated, model, seed)
    return Boosted(
        logit=own(linear.logit, raw),
        score=lambda rows: unseen(linear.score(rows), grown(rows)),
        outside=unseen(lines, raw),
    )


def _grown(x: FloatArray, treated: BoolArray, model: PropensityModel, seed: int) -> Score:
    """Raw log odds of trees grown on one thread, so that no sum depends on their number."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

    trees = HistGradientBoostingClassifier(
        max_iter=model.trees,
        learning_rate=model.learning_rate,
        max_leaf_nodes=model.leaves,
        min_samples_leaf=SMALLEST_LEAF,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(limits=1):
        trees.fit(x, treated)

    def score(rows: FloatArray) -> FloatArray:
        with threadpool_limits(limits=1):
            return np.asarray(trees.decision_function(rows), dtype=np.float64)

    return score


def _line(x: FloatArray, treated: BoolArray) -> Score:
    """Log odds of a logistic model of some rows: Firth's where events are few or the likelihood has no maximum.

    A level found in one arm only, in these rows, is left out, as the model of a fold leaves it out.
    """
    found = moments(x, treated)
    kept = kept_columns(x, found) & ~one_armed_levels(x, found)

    def regression(rows: FloatArray, outcome: FloatArray) -> Regression:
        return Regression(
            x=np.ascontiguousarray(rows[:, kept]),
            centre=found.centre[kept],
            scale=found.scale[kept],
            outcome=outcome,
            offset=np.empty(0),
        )

    learned = regression(x, treated.astype(np.float64))
    many = min(int(treated.sum()), int((~treated).sum())) >= FIRTH_BELOW * int(kept.sum())
    climbed = maximum_likelihood(learned) if many else None
    beta = climbed.beta if climbed is not None and climbed.settled else penalised_likelihood(learned).beta
    return lambda rows: log_odds(regression(rows, np.empty(rows.shape[0])), beta, slice(None))


def _worth_taking(lines: FloatArray, raw: FloatArray, treated: BoolArray) -> bool:
    """Whether trees tell more of the arms than the line does, both by models that never saw the row."""
    alone, both = _on_scores([lines], treated), _on_scores([lines, raw], treated)
    if _varies(raw) and not _varies(lines):
        alone, both = _on_scores([], treated), _on_scores([raw], treated)
    elif not _varies(raw):
        return False
    fewer, more = maximum_likelihood(alone), maximum_likelihood(both)
    return bool(more.beta[-1] > 0 and 2 * (more.sums.value - fewer.sums.value) > WORTH_TAKING)


def _together(
    linear: FloatArray, raw: FloatArray, treated: BoolArray
) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """The log odds that two scores give together; one that is constant or would count negatively is left out."""
    scores = [linear, raw]
    use = [j for j, score in enumerate(scores) if _varies(score)]
    beta = maximum_likelihood(_on_scores([scores[j] for j in use], treated)).beta
    if (beta[1:] <= 0).any():
        use = [j for j, slope in zip(use, beta[1:], strict=True) if slope > 0]
        beta = maximum_likelihood(_on_scores([scores[j] for j in use], treated)).beta
    learned = _on_scores([scores[j] for j in use], treated)

    def logit(line: FloatArray, trees: FloatArray) -> FloatArray:
        columns = [(line, trees)[j] for j in use]
        rows = replace(learned, x=_columns(columns, line.size), outcome=np.empty(line.size))
        return log_odds(rows, beta, slice(None))

    return logit


def _on_scores(scores: list[FloatArray], treated: BoolArray) -> Regression:
    """The regression of Platt's targets on scores (n,) each."""
    n1, n0 = int(treated.sum()), int((~treated).sum())
    x = _columns(scores, treated.size)
    return Regression(
        x=x,
        centre=x.mean(axis=0),
        scale=x.std(axis=0),
        outcome=np.where(treated, (n1 + 1) / (n1 + 2), 1 / (n0 + 2)),
        offset=np.empty(0),
    )


def _columns(scores: list[FloatArray], n: int) -> FloatArray:
    return np.column_stack(scores) if scores else np.empty((n, 0))


def _varies(score: FloatArray) -> bool:
    return float(score.std()) > ROUNDING * (1 + abs(float(score.mean())))
