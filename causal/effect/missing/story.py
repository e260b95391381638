"""The dropout story: the same rows under every way of handling missing ratings, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast
from causal.effect.missing.chained import Imputed
from causal.effect.missing.chains import Kind
from causal.effect.missing.reference_based import INFORMATION_ANCHORED, Assumption, NormalDraws, reference_based
from causal.effect.missing.rows import (
    DropoutRows,
    completed,
    composite,
    dropout_rows,
    imputed_outcomes,
    normal_model,
    response_weights,
    stand_in,
)
from causal.effect.missing.rubin import Pooled
from causal.effect.missing.tipping import GRID, TippingGrid, outside, tipping
from causal.effect.missing.within import Result, within
from causal.errors import DesignError, EstimationError, RapportError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Analyse = Callable[[FloatArray, FloatArray], Contrast]
"""Effect from an outcome (n,) and the design's weights (n,)."""

Work = Callable[[], tuple[Contrast | Pooled, float | None, tuple[str, ...]]]
"""Gives an effect, the share of imputed outcomes outside the scale, and what to know of it; or refuses."""

AVAILABLE, RESPONSE, IMPUTATION, TIPPING = (
    "available cases",
    "inverse probability of response",
    "multiple imputation",
    "tipping point",
)
ASSUMPTIONS: dict[Assumption, tuple[str, str]] = {
    "MAR": ("normal model", "the lost go on like those of their own arm who were rated (normal model)"),
    "J2R": ("jump to reference", "the treated who are lost continue as the comparison arm"),
    "CIR": ("copy increments in reference", "the treated who are lost keep what they had, then change as comparison"),
    "CR": ("copy reference", "the treated who are lost were like the comparison arm all along"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvaluated:
    """A way of handling that could not be carried out, and why."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryRow:
    """One way of handling missing ratings.

    Attributes
    ----------
    name, assumption
        What it is called, and what it takes for true of the missing.
    result
        The effect, or why there is none.
    pooled
        Where it was pooled over imputed sets.
    outside_scale
        Share of the imputed outcomes outside the scale; None where nothing is imputed.
    notes
        What to know.
    """

    name: str
    assumption: str
    result: Contrast | NotEvaluated
    pooled: Pooled | None = None
    outside_scale: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DropoutStory:
    """The rows side by side, the tipping grid, and who is missing (weight above 0; suffix 1 treated, 0 comparison).

    Attributes
    ----------
    rows
        Available cases, response weights (truncated and not), multiple imputation, the normal model, jump to
        reference, copy increments, copy reference.
    tipping
        Of the multiple imputation, or why there is none.
    missing1, missing0, rated1, rated0, decided1, decided0
        Outcomes missing, rated, and decided without a rating.
    undefined
        Rows without outcome that may not be imputed either: the undecided others of their arm carry their weight.
    """

    rows: tuple[StoryRow, ...]
    tipping: TippingGrid | NotEvaluated
    missing1: int
    missing0: int
    rated1: int
    rated0: int
    decided1: int
    decided0: int
    undefined: int

    def row(self, name: str) -> StoryRow:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)


def dropout_story(
    scores: FloatArray,
    *,
    primary: int,
    fixed: FloatArray,
    may_impute: BoolArray,
    treated: BoolArray,
    covariates: FloatArray,
    names: Sequence[str],
    analyse: Analyse,
    weights: FloatArray | None = None,
    clusters: IntArray | None = None,
    units: IntArray | None = None,
    label: str = "difference",
    level: float = 0.95,
    scale: tuple[float, float] = (1.0, 5.0),
    monotone: bool = True,
    score_kind: Kind = "pmm",
    by_arm: bool = True,
    imputations: int = 20,
    iterations: int = 10,
    deltas_treated: tuple[float, ...] = GRID,
    deltas_comparison: tuple[float, ...] = GRID,
    rng: np.random.Generator,
) -> DropoutStory:
    """Estimate one effect under every assumption about missing ratings.

    Parameters
    ----------
    scores
        (n, T) ratings by visit, NaN where there is none.
    primary
        Visit (from 0) of the outcome; visits after it serve multiple imputation as predictors.
    fixed
        (n,) outcome where it is decided without a rating (an ended relationship holds the floor of the scale), NaN
        elsewhere.
    may_impute
        (n, T) whether a missing rating could have been given. Rows neither rated, decided nor imputable at `primary`
        are undefined: leave out beforehand what is outside the estimand, as the dead.
    treated
        (n,) arm.
    covariates, names
        (n, p) values known before time zero, the baseline score among them. Missing ones are imputed by chained
        equations; the response and the normal models take the mean and an indicator.
    analyse
        Effect from an outcome (n,) and weights (n,), such as `weighted_ancova` with CR2: linear in the outcome. It is
        always given the design's weights.
    weights
        (n,) of the design; None for all 1.
    clusters
        (n,) codes whose mean outcome of the other rows predicts a missing one, as clinicians; None for none.
    units
        (n,) codes of occasions: rows of the same occasion are imputed once; None when every row is its own.
    label, level
        Of the pooled estimates.
    scale
        Lowest and highest score. Predictive mean matching stays within; the normal model may leave it, which is
        reported, not clipped.
    monotone
        As in `dropout_weights`.
    score_kind
        How chained equations impute scores: ``pmm`` stays on the scale but leans towards those rated where few like
        the missing were; ``norm`` may leave it.
    by_arm
        Whether chained equations impute the arms apart, as in `impute`; False for arms too small for that.
    imputations, iterations, deltas_treated, deltas_comparison
        M, cycles of the chains, grid of shifts.
    rng
        Random numbers.

    Raises
    ------
    EstimationError
        ``estimation.inconsistent_scores`` (a decided row with a rating at the primary visit, or rows of one unit that
        differ), ``estimation.no_variation`` (all outcomes that are known are equal). What one way of handling refuses
        is told in its row.

    Notes
    -----
    One rule in every row, that of `causal.effect.outcome_decomposition.composite_effect` with the share rated by arm:
    within each arm the outcomes in use (rated; rated by response weight; rated and imputed) are scaled to stand for all
    rows that are not decided, those with an undefined outcome among them (Hajek); decided rows stand for themselves
    alone. So available cases take the missing to be like the rated of their arm, and endings count as often as they
    happened. The degrees of freedom of complete data are the mean over the imputed sets.
    """
    rows = dropout_rows(
        scores,
        primary=primary,
        fixed=fixed,
        may_impute=may_impute,
        treated=treated,
        covariates=covariates,
        names=names,
        weights=weights,
        clusters=clusters,
        units=units,
    )
    _require_variation(rows)
    by_chains, by_model = rng.spawn(2)

    def one_set(outcome: FloatArray) -> Result:
        found = _standing(rows, outcome, (rows.rated | rows.gap).astype(np.float64), analyse)
        return found.value, found.std_error, found.df

    def pooled(outcomes: FloatArray) -> Work:
        beyond = float(outside(outcomes[:, rows.gap], np.zeros(1), scale)[0])
        return lambda: (within(outcomes, one_set, label=label, level=level), beyond, ())

    def shifted(outcomes: FloatArray) -> TippingGrid:
        imputed = rows.gap & (rows.weights > 0)
        grid = tipping(
            outcomes,
            imputed,
            rows.arm,
            one_set,
            label=label,
            deltas_treated=deltas_treated,
            deltas_comparison=deltas_comparison,
            scale=scale,
            level=level,
        )
        one, zero = (np.unique(rows.unit[imputed & arm]).size for arm in (rows.arm, ~rows.arm))
        return replace(grid, n_treated=one, n_comparison=zero)  # an occasion used twice has one imputed value

    def chains() -> tuple[FloatArray, Imputed]:
        return imputed_outcomes(
            rows,
            score_kind=score_kind,
            by_arm=by_arm,
            imputations=imputations,
            iterations=iterations,
            rng=by_chains,
        )

    imputation, grid = _imputation(rows, chains, pooled, shifted)
    told = (
        _told(AVAILABLE, "the missing are like the rated of their arm", lambda: (_available(rows, analyse), None, ())),
        *_response_weighted(rows, analyse, monotone=monotone),
        imputation,
        *_by_normal_model(rows, lambda: normal_model(rows, imputations=imputations, rng=by_model), pooled),
    )
    kept = rows.weights > 0
    (missing1, missing0), (rated1, rated0), (decided1, decided0) = (
        (int((which & kept & rows.arm).sum()), int((which & kept & ~rows.arm).sum()))
        for which in (rows.gap, rows.rated, rows.decided)
    )
    return DropoutStory(
        rows=told,
        tipping=grid,
        missing1=missing1,
        missing0=missing0,
        rated1=rated1,
        rated0=rated0,
        decided1=decided1,
        decided0=decided0,
        undefined=int((rows.undefined & kept).sum()),
    )


def _told(name: str, assumption: str, work: Work) -> StoryRow:
    """The row of some work, or of its refusal."""
    try:
        found, beyond, notes = work()
    except (EstimationError, DesignError) as refusal:
        return StoryRow(name=name, assumption=assumption, result=_refused(name, refusal))
    if isinstance(found, Contrast):
        return StoryRow(name=name, assumption=assumption, result=found, notes=notes)
    return StoryRow(
        name=name,
        assumption=assumption,
        result=found.contrast,
        pooled=found,
        outside_scale=beyond,
        notes=(*found.notes, *notes),
    )


def _refused(name: str, refusal: RapportError) -> NotEvaluated:
    """What is said in place of a number."""
    return NotEvaluated(name=name, code=refusal.code, reason=refusal.message)


def _require_gaps(rows: DropoutRows) -> None:
    """Refuse to handle missing outcomes where there are none."""
    if not (rows.gap & (rows.weights > 0)).any():
        raise EstimationError("estimation.nothing_missing", "no outcome is missing: the available cases are all cases")


def _require_variation(rows: DropoutRows) -> None:
    """Refuse outcomes that are all equal: no handling of the missing could say how sure it is."""
    known = rows.outcome[(rows.rated | rows.decided) & (rows.weights > 0)]
    if known.size and np.ptp(known) == 0:
        raise EstimationError(
            "estimation.no_variation",
            "all outcomes that are known are equal: nothing says how the missing ones would have varied",
            fix="describe, do not estimate",
        )


def _standing(rows: DropoutRows, outcome: FloatArray, factor: FloatArray, analyse: Analyse) -> Contrast:
    """Effect when the outcomes with a factor (n,) above 0 stand for every undecided row of their arm."""
    return analyse(composite(rows, outcome, stand_in(rows, factor)), rows.weights)


def _available(rows: DropoutRows, analyse: Analyse) -> Contrast:
    """The rated stand for the undecided of their arm."""
    return _standing(rows, rows.outcome, rows.rated.astype(np.float64), analyse)


def _response_weighted(rows: DropoutRows, analyse: Analyse, *, monotone: bool) -> tuple[StoryRow, StoryRow]:
    """Inverse probability of response, truncated and not."""

    def work(truncate: tuple[float, float] | None) -> tuple[Contrast, None, tuple[str, ...]]:
        _require_gaps(rows)
        factor, notes = response_weights(rows, monotone=monotone, truncate=truncate)
        return _standing(rows, rows.outcome, factor, analyse), None, notes

    assumption = "given arm, covariates and earlier ratings, the missing are like the rated"
    return (
        _told(RESPONSE, assumption, lambda: work((0.01, 0.99))),
        _told(f"{RESPONSE}, untruncated", assumption, lambda: work(None)),
    )


def _imputation(
    rows: DropoutRows,
    chains: Callable[[], tuple[FloatArray, Imputed]],
    pooled: Callable[[FloatArray], Work],
    shifted: Callable[[FloatArray], TippingGrid],
) -> tuple[StoryRow, TippingGrid | NotEvaluated]:
    """Multiple imputation, and the grid of shifts on top of it."""
    assumption = "given arm, covariates, ratings and clinician, the missing are like the rated"
    try:
        _require_gaps(rows)
        outcomes, found = chains()
    except (EstimationError, DesignError) as refusal:
        row = StoryRow(name=IMPUTATION, assumption=assumption, result=_refused(IMPUTATION, refusal))
        return row, _refused(TIPPING, refusal)
    row = _told(IMPUTATION, assumption, pooled(outcomes))
    row = replace(row, notes=(*row.notes, *found.notes))
    try:
        return row, shifted(outcomes)
    except (EstimationError, DesignError) as refusal:
        return row, _refused(TIPPING, refusal)


def _by_normal_model(
    rows: DropoutRows, model: Callable[[], NormalDraws], pooled: Callable[[FloatArray], Work]
) -> tuple[StoryRow, ...]:
    """Every assumption of the normal model, from the same draws and the same noise."""
    try:
        _require_gaps(rows)
        draws = model()
    except (EstimationError, DesignError) as refusal:
        return tuple(
            StoryRow(name=name, assumption=words, result=_refused(name, refusal))
            for name, words in ASSUMPTIONS.values()
        )
    told = []
    for assumption, (name, words) in ASSUMPTIONS.items():
        outcomes = completed(rows, reference_based(draws, assumption)[:, :, rows.primary])
        row = _told(name, words, pooled(outcomes))
        notes = [] if assumption == "MAR" else [INFORMATION_ANCHORED]
        if draws.aliased:
            notes.append(f"left out of the normal model: {', '.join(draws.aliased)}")
        told.append(replace(row, notes=(*row.notes, *notes)))
    return tuple(told)
