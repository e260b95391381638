"""The chains of chained equations: what predicts each column, and its draws, all imputed sets side by side.

A cycle draws every column with missing cells given all others, by a model of its own parameters in each set. Only the
columns that are themselves imputed differ between the sets: sums over the others are taken once, for all sets and all
cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.missing.donors import nearest_donors
from causal.effect.missing.posterior import draw_linear, draw_logistic
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Kind = Literal["pmm", "norm", "logistic"]

RIDGE = 1e-5  # of the diagonal, as in mice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The rows imputed from models of their own: one arm, or all rows with the arm among the predictors.

    Features are ones, standardised values, indicators of undefined cells, the arm, and its products with the values, in
    that order. Few are made of a column in which anything is imputed: those are kept for every set, the others once.
    """

    data: FloatArray  # (n, p)
    missing: BoolArray  # (n, p) to be drawn
    sets: FloatArray  # (M, n, p), completed in place
    alike: FloatArray  # (s, n) the features that are the same in all sets
    own: FloatArray  # (M, v, n) the others
    place: IntArray  # (K,) where each feature stands in those alike and own, laid end to end
    source: IntArray  # (K,) column each feature is made of; -1 for ones and arm
    arm: FloatArray | None  # (n,) 0 or 1, when the arm is a predictor
    centre: FloatArray  # (p,)
    scale: FloatArray  # (p,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """The model of one column: what stays the same through all cycles."""

    seen: IntArray  # (d,) rows with a value
    gaps: IntArray  # (r,) rows to be drawn
    used: IntArray  # (k,) features that predict it, by place
    z: FloatArray  # (d,) standardised values
    x: FloatArray  # (s, d) features alike in all sets, where there is a value
    x_gaps: FloatArray  # (s, r) the same where there is none
    gram: FloatArray  # (s, s) their products
    cross: FloatArray  # (s,) with z
    mode: FloatArray  # (M, k) of a logistic column's coefficients, last cycle


def group_of(
    x: FloatArray,
    missing: BoolArray,
    arm: FloatArray | None,
    imputations: int,
    names: Sequence[str],
    rng: np.random.Generator,
) -> Group:
    """Start of the chains of rows x (n, p): every missing cell holds a random observed value of its column.

    Raises
    ------
    EstimationError
        ``estimation.nothing_observed``.
    """
    n, p = x.shape
    undefined = np.isnan(x) & ~missing
    sets = np.repeat(x[None], imputations, axis=0)
    centre, scale = np.zeros(p), np.ones(p)
    for j in range(p):
        seen = x[~np.isnan(x[:, j]), j]
        if seen.size:
            centre[j], scale[j] = seen.mean(), seen.std() or 1.0
        if missing[:, j].any():
            if not seen.size:
                raise EstimationError(
                    "estimation.nothing_observed",
                    f"no value of '{names[j]}' is observed in one of the groups imputed by themselves",
                    fix="impute the arms together, or leave the column out",
                )
            sets[:, missing[:, j], j] = rng.choice(seen, size=(imputations, int(missing[:, j].sum())))
    flags, first = np.unique(undefined, axis=1, return_index=True) if undefined.any() else (np.empty((n, 0)), [])
    source = np.r_[-1, np.arange(p), np.asarray(first, dtype=np.int64)]
    indicates = np.r_[np.zeros(1 + p, dtype=np.bool_), np.ones(flags.shape[1], dtype=np.bool_)]
    drawn = np.flatnonzero(missing.any(axis=0))
    standard = np.where(undefined, 0.0, (sets[0] - centre) / scale).T
    blocks = [np.ones((1, n)), standard, flags.T]
    if arm is not None:
        blocks += [arm[None], standard * arm]
        source = np.r_[source, -1, np.arange(p)]
        indicates = np.r_[indicates, np.zeros(1 + p, dtype=np.bool_)]
    varies = ~indicates & np.isin(source, drawn)
    place = np.empty(source.size, dtype=np.int64)
    place[~varies], place[varies] = np.arange((~varies).sum()), (~varies).sum() + np.arange(varies.sum())
    group = Group(
        data=x,
        missing=missing,
        sets=sets,
        alike=np.ascontiguousarray(np.concatenate(blocks)[~varies]),
        own=np.zeros((imputations, int(varies.sum()), n)),
        place=place,
        source=source,
        arm=arm,
        centre=centre,
        scale=scale,
    )
    for j in drawn.tolist():
        defined = np.flatnonzero(~undefined[:, j])
        _fill(group, j, defined, (sets[:, defined, j] - centre[j]) / scale[j])
    return group


def _fill(group: Group, j: int, rows: IntArray, standard: FloatArray) -> None:
    """Put standardised values (M, rows) of column j into the features made of them."""
    columns = group.data.shape[1]
    group.own[:, group.place[1 + j] - group.alike.shape[0], rows] = standard
    if group.arm is not None:
        product = group.place[group.source.size - columns + j] - group.alike.shape[0]
        group.own[:, product, rows] = standard * group.arm[rows]


def chains(
    group: Group,
    kinds: Sequence[Kind],
    predictors: BoolArray,
    names: Sequence[str],
    *,
    donors: int,
    iterations: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Run the chains, completing ``group.sets``; means of the imputed values (iterations, M, p), NaN where none are.

    Raises
    ------
    EstimationError
        ``estimation.too_few_donors``, and those of `draw_linear`.
    """
    counts = group.missing.sum(axis=0)
    columns = [int(j) for j in np.argsort(counts, kind="stable") if counts[j]]
    models = {j: _model(group, j, predictors[j]) for j in columns}
    for j in columns:
        _require(models[j].seen.size, models[j].used.size, donors, names[j])
    trace = np.full((iterations, *group.sets.shape[::2]), np.nan)
    for cycle in range(iterations):
        for j in columns:
            drawn = _drawn(group, j, kinds[j], models[j], donors, rng)
            group.sets[:, models[j].gaps, j] = drawn
            standard = (drawn - group.centre[j]) / group.scale[j]
            _fill(group, j, models[j].gaps, standard)
            trace[cycle, :, j] = standard.mean(axis=1)
    return trace


def _model(group: Group, j: int, predictors: BoolArray) -> _Model:
    """The model of column j, by features that are made of other columns, are allowed, and vary where it has values."""
    seen, gaps = np.flatnonzero(~np.isnan(group.data[:, j])), np.flatnonzero(group.missing[:, j])
    x = group.alike.take(seen, axis=1)
    z = (group.data[seen, j] - group.centre[j]) / group.scale[j]
    varying = np.r_[np.ptp(x, axis=1) > 0, (np.ptp(group.own.take(seen, axis=2), axis=2) > 0).any(axis=0)][group.place]
    varying[0] = True
    fits = (group.source < 0) | ((group.source != j) & predictors[group.source])
    used = group.place[fits & varying]
    return _Model(
        seen=seen,
        gaps=gaps,
        used=used,
        z=z,
        x=x,
        x_gaps=group.alike.take(gaps, axis=1),
        gram=x @ x.T,
        cross=x @ z,
        mode=np.zeros((group.sets.shape[0], used.size)),
    )


def _require(observed: int, features: int, donors: int, name: str) -> None:
    """Refuse a model with fewer observed values than it needs."""
    needed = max(features + 2, donors)
    if observed < needed:
        raise EstimationError(
            "estimation.too_few_donors",
            f"column '{name}' has fewer observed values in one group than the {needed} its imputation model needs",
            fix="name fewer predictors, or impute the arms together",
        )


def _drawn(group: Group, j: int, kind: Kind, model: _Model, donors: int, rng: np.random.Generator) -> FloatArray:
    """New values (M, missing) of column j given all others."""
    own, own_gaps = group.own.take(model.seen, axis=2), group.own.take(model.gaps, axis=2)
    y, features = group.data[model.seen, j], model.x.shape[0] + own.shape[1]
    if kind == "logistic":
        beta = draw_logistic(_side_by_side(model, own), y, rng, mode=model.mode)  # it hardly moves between cycles
        log_odds = _predicted(_spread(beta, model.used, features), model.x_gaps, own_gaps)
        chance = 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
        return (rng.random(chance.shape) < chance).astype(np.float64)
    gram, cross = _products(model, own)
    square = np.full(own.shape[0], model.z @ model.z)
    found = draw_linear(gram, cross, square, model.seen.size, rng, ridge=RIDGE)
    mean = _predicted(_spread(found.drawn, model.used, features), model.x_gaps, own_gaps)
    if kind == "norm":
        noise = rng.standard_normal(mean.shape) * found.sigma[:, None]
        return np.asarray(group.centre[j] + group.scale[j] * (mean + noise), dtype=np.float64)
    given = _predicted(_spread(found.estimate, model.used, features), model.x, own)
    chance = rng.random(mean.shape)
    again = rng.integers(model.seen.size, size=given.shape)  # the donors' own uncertainty
    begin = model.seen.size * np.arange(given.shape[0])[:, None]  # of each set, all in one line
    chosen = nearest_donors(given.take(again + begin), mean, chance, donors)
    return np.asarray(y.take(again.take(chosen + begin)), dtype=np.float64)


def _side_by_side(model: _Model, own: FloatArray) -> FloatArray:
    """The features used (M, d, k) of every set, from those alike and each set's own (M, v, d)."""
    alike = model.used < model.x.shape[0]
    x = np.empty((own.shape[0], model.used.size, model.seen.size))
    x[:, alike] = model.x[model.used[alike]]
    x[:, ~alike] = own[:, model.used[~alike] - model.x.shape[0]]
    return x.swapaxes(1, 2)


def _products(model: _Model, own: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``X'X`` (M, k, k) and ``X'z`` (M, k) of the features used, those of each set's own (M, v, d) multiplied anew."""
    m, v, d = own.shape
    s = model.x.shape[0]
    gram, cross = np.empty((m, s + v, s + v)), np.empty((m, s + v))
    between = (own.reshape(m * v, d) @ model.x.T).reshape(m, v, s)
    gram[:, :s, :s], gram[:, s:, :s], gram[:, :s, s:] = model.gram, between, between.swapaxes(1, 2)
    gram[:, s:, s:] = own @ own.swapaxes(1, 2)
    cross[:, :s], cross[:, s:] = model.cross, own @ model.z
    return gram[:, model.used[:, None], model.used], cross[:, model.used]


def _spread(beta: FloatArray, used: IntArray, features: int) -> FloatArray:
    """Coefficients (M, s + v) of all features from those (M, k) of the ones used, the others 0."""
    every = np.zeros((beta.shape[0], features))
    every[:, used] = beta
    return every


def _predicted(beta: FloatArray, alike: FloatArray, own: FloatArray) -> FloatArray:
    """Linear predictors (M, r): coefficients (M, s + v), features (s, r) alike in all sets, and own ones (M, v, r)."""
    shared = alike.shape[0]
    return np.asarray(beta[:, :shared] @ alike + (beta[:, None, shared:] @ own)[:, 0], dtype=np.float64)
