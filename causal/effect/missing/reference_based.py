"""Reference-based imputation: what if the treated who were lost went on as the comparison arm did.

In each arm the scores of the visits are normal given the baseline covariates, written visit by visit: a score is a
linear function of covariates and earlier scores plus noise. For dropout without gaps draws from the posterior of these
regressions are exact and independent; gaps are filled by data augmentation. Every assumption about the lost is then the
same noise around another mean, so that differences between assumptions are not differences between random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.effect.missing.posterior import draw_linear
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Assumption = Literal["MAR", "J2R", "CIR", "CR"]

RIDGE = 1e-9  # of the diagonal; rounding only, aliased columns are dropped before
ROUNDING = 1e-6  # standard deviation of the noise, of all ratings', that is no noise
INFORMATION_ANCHORED = (
    "Rubin's variance under a reference-based assumption is information-anchored: it does not shrink as more values "
    "are copied from the reference arm, and is larger than the variance over repeated samples"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmModel:
    """M draws of one arm's regressions ``y_t = mean's (1, x) terms + earlier scores + noise``.

    Attributes
    ----------
    slopes
        (M, T, 1 + q) of intercept and covariates.
    earlier
        (M, T, T) of the scores of earlier visits, strictly lower triangular.
    sd
        (M, T) of the noise.
    """

    slopes: FloatArray
    earlier: FloatArray
    sd: FloatArray

    def means(self, design: FloatArray) -> FloatArray:
        """Mean scores (M, n, T) of rows with `design` (n, 1 + q)."""
        direct = np.einsum("mtk,nk->mnt", self.slopes, design)
        inverse = np.linalg.inv(np.eye(self.sd.shape[1]) - self.earlier)
        return np.asarray(np.matmul(direct, inverse.swapaxes(1, 2)), dtype=np.float64)

    def precision(self, visits: int) -> FloatArray:
        """Inverse covariance (M, visits, visits) of the scores of the first visits given the covariates."""
        root = (np.eye(self.sd.shape[1]) - self.earlier)[:, :visits, :visits] / self.sd[:, :visits, None]
        return np.asarray(np.matmul(root.swapaxes(1, 2), root), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormalDraws:
    """Everything random about reference-based imputation: `reference_based` adds an assumption to it.

    Attributes
    ----------
    treated, comparison
        The arms' models.
    given
        (n, T) the scores as they came.
    arm
        (n,) true for treated.
    design
        (n, 1 + q) ones and centred baseline covariates.
    history
        (M, n, T) scores up to each row's last rating, gaps filled; 0 beyond.
    last
        (n,) number of visits up to and with the last rating.
    filled
        (n, T) cells to impute.
    undefined
        (n, T) cells that stay NaN.
    noise
        (M, n, T) standard normal.
    centre, scale
        Scores are ``centre + scale`` times those above.
    aliased
        Covariates dropped because they are determined by others in one of the arms.
    """

    treated: ArmModel
    comparison: ArmModel
    given: FloatArray
    arm: BoolArray
    design: FloatArray
    history: FloatArray
    last: IntArray
    filled: BoolArray
    undefined: BoolArray
    noise: FloatArray
    centre: float
    scale: float
    aliased: tuple[str, ...]


def normal_draws(
    scores: FloatArray,
    *,
    treated: BoolArray,
    may_impute: BoolArray,
    covariates: FloatArray | None = None,
    names: Sequence[str] | None = None,
    imputations: int = 20,
    iterations: int = 20,
    rng: np.random.Generator,
) -> NormalDraws:
    """Draw each arm's normal model M times from its posterior, and the noise of the imputations.

    Parameters
    ----------
    scores
        (n, T) ratings after time zero in order of visits, NaN where there is none.
    treated
        (n,) arm.
    may_impute
        (n, T) false where a missing rating is undefined; none may follow an undefined one. A relationship that ended
        counts up to its ending, so that the model is of continuing relationships given what came before.
    covariates, names
        (n, q) finite values known before time zero, the baseline score among them, and their names.
    imputations, iterations
        M, and rounds of data augmentation where ratings have gaps (without gaps one is enough and exact).
    rng
        Random numbers.

    Raises
    ------
    EstimationError
        ``estimation.not_finite``, ``estimation.inconsistent_scores`` (a rating, or a cell to impute, after an undefined
        one), ``estimation.nothing_observed`` (an arm without any rating at a visit), ``estimation.no_variation`` (all
        ratings of an arm at a visit equal, or determined by what came before), ``estimation.too_few_ratings``,
        ``estimation.too_few_imputations``.

    Notes
    -----
    Prior ``1/sigma^2`` in each regression: Carpenter & Kenward (2013), Multiple Imputation and its Application, ch. 3;
    monotone data augmentation: Schafer (1997), Analysis of Incomplete Multivariate Data, 6.5. Arms have separate means,
    slopes and covariances.
    """
    y, arm = np.asarray(scores, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    n, visits = y.shape
    x = np.empty((n, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    labels = tuple(names) if names is not None else tuple(f"covariate {j + 1}" for j in range(x.shape[1]))
    if imputations < 2:
        raise EstimationError("estimation.too_few_imputations", f"multiple imputation needs 2 sets, got {imputations}")
    rated, allowed = np.isfinite(y), np.asarray(may_impute, dtype=np.bool_)
    undefined = ~rated & ~allowed
    _refuse_unusable(y, rated, undefined, arm, x)
    design, aliased = _design(x, arm, labels)
    centre, scale = float(y[rated].mean()), float(y[rated].std()) or 1.0
    z = np.where(rated, (y - centre) / scale, 0.0)
    last = np.where(rated, np.arange(1, visits + 1), 0).max(axis=1)
    history = np.repeat(z[None], imputations, axis=0)
    order = np.lexsort([*z.T, *rated.T, *allowed.T, *design.T, arm])  # draws do not depend on the order of the rows
    models = {}
    for which in (False, True):
        rows = order[arm[order] == which]
        who = "treated" if which else "comparison"
        models[which], history[:, rows] = _augmented(
            history[:, rows], rated[rows], last[rows], design[rows], iterations, who, rng
        )
    noise = np.empty((imputations, n, visits))
    noise[:, order] = rng.standard_normal(noise.shape)
    return NormalDraws(
        treated=models[True],
        comparison=models[False],
        given=y,
        arm=arm,
        design=design,
        history=history,
        last=last,
        filled=~rated & allowed,
        undefined=undefined,
        noise=noise,
        centre=centre,
        scale=scale,
        aliased=aliased,
    )


def reference_based(draws: NormalDraws, assumption: Assumption) -> FloatArray:
    """Complete the scores (M, n, T) under an assumption about the treated after their last rating.

    Parameters
    ----------
    draws
        From `normal_draws`.
    assumption
        What the mean scores of a treated row are from its last rating on, given a deviation from its means before:
        ``MAR`` those of its own arm; ``J2R`` (jump to reference) the comparison arm's; ``CIR`` (copy increments) its
        own mean at the last rating plus the comparison arm's increments since; ``CR`` (copy reference) the comparison
        arm's before as well as after. Comparison rows are always imputed from their own arm, gaps before a last
        rating from the row's own arm. Without any rating CIR is J2R: both arms share the baseline.

    Returns
    -------
    Observed scores as they are, imputed cells drawn (they may leave the range of the scale), undefined cells NaN.

    Notes
    -----
    Carpenter, Roger & Kenward (2013), J Biopharm Stat 23:1352-1371. Their covariance of a deviating row joins the own
    arm's before with the reference arm's regression of later on earlier deviations; conditioning on the past leaves the
    latter alone, so that a value is ``mean_t + sum_s l_ts (y_s - mean_s) + noise`` with the l and the noise of the
    comparison arm. For two visits, own means a and reference means b: ``b2 + l (y1 - a1)`` under J2R,
    ``a1 + b2 - b1 + l (y1 - a1)`` under CIR, ``b2 + l (y1 - b1)`` under CR. Rubin's variance is then
    information-anchored (Cro, Carpenter & Kenward 2019, J R Stat Soc A 182:623-645).

    >>> rng = np.random.default_rng(0)
    >>> scores = rng.normal(3.5, 0.5, size=(80, 2)); arm = np.arange(80) < 40
    >>> scores[:10, 1] = np.nan
    >>> draws = normal_draws(scores, treated=arm, may_impute=np.ones((80, 2), bool), rng=rng)
    >>> sets = reference_based(draws, "J2R")
    >>> sets.shape, bool((sets[:, 10:] == scores[10:]).all())
    ((20, 80, 2), True)
    """
    completed = draws.history.copy()
    for model, rows, reference in (
        (draws.comparison, np.flatnonzero(~draws.arm), None),
        (draws.treated, np.flatnonzero(draws.arm), draws.comparison if assumption != "MAR" else None),
    ):
        design, last = draws.design[rows], draws.last[rows]
        means = model.means(design)
        if reference is not None:
            means = _means_under(assumption, means, reference.means(design), last)
        completed[:, rows] = _continued(
            completed[:, rows], means, last, model if reference is None else reference, draws.noise[:, rows]
        )
    out = draws.centre + draws.scale * completed
    out[:, draws.undefined] = np.nan
    observed = ~draws.filled & ~draws.undefined
    out[:, observed] = draws.given[observed]
    return np.asarray(out, dtype=np.float64)


def _means_under(assumption: Assumption, own: FloatArray, reference: FloatArray, last: IntArray) -> FloatArray:
    """Means (M, n, T) a treated row's deviations are taken from."""
    if assumption == "CR":
        return reference
    after = np.arange(own.shape[2]) >= last[:, None]
    if assumption == "J2R":
        return np.where(after, reference, own)
    at = np.maximum(last - 1, 0)[None, :, None]
    shift = np.where(last[:, None] > 0, np.take_along_axis(own - reference, at, axis=2), 0.0)
    return np.where(after, reference + shift, own)


def _continued(y: FloatArray, means: FloatArray, last: IntArray, model: ArmModel, noise: FloatArray) -> FloatArray:
    """Scores (M, n, T) carried on past each row's last rating, visit by visit."""
    out = y.copy()
    for t in range(y.shape[2]):
        past = np.matmul(out[:, :, :t] - means[:, :, :t], model.earlier[:, t, :t, None])[..., 0]
        drawn = means[:, :, t] + past + model.sd[:, t, None] * noise[:, :, t]
        out[:, :, t] = np.where(last > t, y[:, :, t], drawn)
    return out


def _augmented(
    history: FloatArray,
    rated: BoolArray,
    last: IntArray,
    design: FloatArray,
    iterations: int,
    who: str,
    rng: np.random.Generator,
) -> tuple[ArmModel, FloatArray]:
    """One arm's draws, and its scores (M, n, T) with the gaps before each last rating filled."""
    gaps = ~rated & (np.arange(rated.shape[1]) < last[:, None])
    y = history.copy()
    for t in range(rated.shape[1]):  # a start: the mean of the visit, with noise
        seen = y[0, rated[:, t], t]
        y[:, gaps[:, t], t] = seen.mean() + seen.std() * rng.standard_normal((y.shape[0], int(gaps[:, t].sum())))
    for _ in range(iterations if gaps.any() else 1):
        model = _posterior(y, last, design, who, rng)
        _fill_gaps(y, gaps, last, model, model.means(design), rng)
    return model, y


def _posterior(y: FloatArray, last: IntArray, design: FloatArray, who: str, rng: np.random.Generator) -> ArmModel:
    """Draw the regressions of each visit on covariates and earlier visits, from the rows known up to it."""
    m, _, visits = y.shape
    q = design.shape[1]
    slopes, earlier, sd = np.zeros((m, visits, q)), np.zeros((m, visits, visits)), np.zeros((m, visits))
    for t in range(visits):
        rows = last > t
        used = int(rows.sum())
        if used < q + t + 2:
            raise EstimationError(
                "estimation.too_few_ratings",
                f"fewer ratings of the {who} arm reach visit {t + 1} than the {q + t + 2} its normal model needs",
                fix="name fewer covariates or fewer visits",
            )
        x = np.concatenate([np.broadcast_to(design[rows], (m, used, q)), y[:, rows, :t]], axis=2)
        target, across = y[:, rows, t, None], x.swapaxes(1, 2)
        square = (target**2).sum(axis=(1, 2))
        found = draw_linear(np.matmul(across, x), np.matmul(across, target)[..., 0], square, used, rng, ridge=RIDGE)
        slopes[:, t], earlier[:, t, :t], sd[:, t] = found.drawn[:, :q], found.drawn[:, q:], found.sigma
        if not (found.sigma > ROUNDING).all():
            raise EstimationError(
                "estimation.no_variation",
                f"the ratings of the {who} arm at visit {t + 1} follow exactly from covariates and earlier ratings",
            )
    return ArmModel(slopes=slopes, earlier=earlier, sd=sd)


def _fill_gaps(
    y: FloatArray, gaps: BoolArray, last: IntArray, model: ArmModel, means: FloatArray, rng: np.random.Generator
) -> None:
    """Draw the gaps given all ratings of their row, in place, one pattern of gaps at a time."""
    rows = np.flatnonzero(gaps.any(axis=1))
    patterns, which = np.unique(np.column_stack([last[rows], gaps[rows]]), axis=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        mine, visits = rows[which.reshape(-1) == k], int(pattern[0])
        gone = np.flatnonzero(pattern[1:])
        here = np.setdiff1d(np.arange(visits), gone)
        precision = model.precision(visits)
        inner = precision[:, gone[:, None], gone]
        deviation = y[:, mine[:, None], here] - means[:, mine[:, None], here]
        pull = np.matmul(deviation, precision[:, here[:, None], gone])
        root = np.linalg.cholesky(inner)
        noise = np.linalg.solve(root.swapaxes(1, 2), rng.standard_normal((y.shape[0], gone.size, mine.size)))
        shift = noise.swapaxes(1, 2) - np.linalg.solve(inner, pull.swapaxes(1, 2)).swapaxes(1, 2)
        y[:, mine[:, None], gone] = means[:, mine[:, None], gone] + shift


def _design(x: FloatArray, arm: BoolArray, names: Sequence[str]) -> tuple[FloatArray, tuple[str, ...]]:
    """Ones and the standardised covariates that neither arm determines by others; the names of the others."""
    spread = x.std(axis=0)
    centred = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    design = np.column_stack([np.ones(arm.size), centred])
    kept = independent_columns(design[arm])
    kept &= independent_columns(design[~arm])
    return design[:, kept], tuple(name for name, stays in zip(names, kept[1:], strict=True) if not stays)


def _refuse_unusable(y: FloatArray, rated: BoolArray, undefined: BoolArray, arm: BoolArray, x: FloatArray) -> None:
    """Refuse missing covariates, values after undefined ones, and an arm unrated, or rated all alike, at a visit."""
    if not np.isfinite(x).all():
        raise EstimationError("estimation.not_finite", "a covariate of the normal model is missing")
    if (np.logical_or.accumulate(undefined, axis=1) & ~undefined).any():
        raise EstimationError(
            "estimation.inconsistent_scores",
            "some rows hold a rating, or a rating to impute, after a visit at which there could be none",
            fix="classify the intercurrent events before estimating",
        )
    for who, rows in (("treated", arm), ("comparison", ~arm)):
        bare = np.flatnonzero(~rated[rows].any(axis=0))
        if bare.size:
            raise EstimationError(
                "estimation.nothing_observed",
                f"no rating of the {who} arm is observed at visit {bare[0] + 1}",
                fix="leave the visit out, or widen its window",
            )
        alike = [t for t in range(y.shape[1]) if np.ptp(y[rows & rated[:, t], t]) == 0]
        if alike:
            raise EstimationError(
                "estimation.no_variation",
                f"the ratings of the {who} arm at visit {alike[0] + 1} do not vary: they have no normal model",
                fix="report the available cases",
            )
