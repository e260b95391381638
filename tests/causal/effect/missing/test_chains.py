"""The chains beside themselves written out: every feature of every set side by side, nothing shared, nothing kept."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.missing.chained import impute
from causal.effect.missing.chains import RIDGE, Kind
from causal.effect.missing.donors import nearest_donors
from causal.effect.missing.posterior import draw_linear, draw_logistic

SETS, CYCLES, DONORS = 3, 3, 4


def rows(seed: int, n: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six columns in the order of the first, the last of 0 and 1, two complete, one undefined in places; and arms."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)) @ (np.eye(6) + 0.3 * rng.normal(size=(6, 6)))
    x[:, 2] = x[:, 2].round(1)
    x[:, 5] = x[:, 5] > 0
    x = x[np.argsort(x[:, 0])]
    ended = rng.random(n) < 0.2
    gone = rng.random((n, 6)) < 0.15
    gone[:, [0, 3]] = False
    gone[:, 4] |= ended
    may_impute = np.ones((n, 6), dtype=bool)
    may_impute[:, 4] = ~ended
    return np.where(gone, np.nan, x), may_impute, rng.random(n) < 0.4


def written_out(
    x: np.ndarray, may_impute: np.ndarray, arm: np.ndarray, kinds: list[Kind], rng: np.random.Generator
) -> np.ndarray:
    """Completed sets of all rows, the arm and its products with the columns among the predictors."""
    missing, undefined = np.isnan(x) & may_impute, np.isnan(x) & ~may_impute
    centre, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    sets = np.repeat(x[None], SETS, axis=0)
    for j in np.flatnonzero(missing.any(axis=0)):
        sets[:, missing[:, j], j] = rng.choice(x[~np.isnan(x[:, j]), j], size=(SETS, missing[:, j].sum()))
    flags, of = np.unique(undefined, axis=1, return_index=True)
    source = np.r_[-1, np.arange(6), of, -1, np.arange(6)]
    counts = missing.sum(axis=0)
    for _ in range(CYCLES):
        for j in (j for j in np.argsort(counts, kind="stable") if counts[j]):
            z = np.where(undefined, 0.0, (sets - centre) / scale)
            wide = [np.ones((SETS, len(x), 1)), z, np.broadcast_to(flags, (SETS, *flags.shape))]
            wide += [np.broadcast_to(arm[:, None], (SETS, len(x), 1)), z * arm[:, None]]
            features, seen = np.concatenate(wide, axis=2), ~np.isnan(x[:, j])
            varies = (np.ptp(features[:, seen], axis=1) > 0).any(axis=0) | (np.arange(source.size) == 0)
            features = features[:, :, varies & (source != j)]
            known, wanted, y = features[:, seen], features[:, missing[:, j]], x[seen, j]
            if kinds[j] == "logistic":
                beta = draw_logistic(known, y, rng)
                chance = 1 / (1 + np.exp(-np.einsum("mrk,mk->mr", wanted, beta)))
                sets[:, missing[:, j], j] = rng.random(chance.shape) < chance
                continue
            target = (y - centre[j]) / scale[j]
            gram, cross = np.einsum("mnk,mnl->mkl", known, known), np.einsum("mnk,n->mk", known, target)
            found = draw_linear(gram, cross, np.full(SETS, target @ target), y.size, rng, ridge=RIDGE)
            mean = np.einsum("mrk,mk->mr", wanted, found.drawn)
            if kinds[j] == "norm":
                noise = rng.standard_normal(mean.shape) * found.sigma[:, None]
                sets[:, missing[:, j], j] = centre[j] + scale[j] * (mean + noise)
                continue
            given, chance = np.einsum("mnk,mk->mn", known, found.estimate), rng.random(mean.shape)
            again = rng.integers(y.size, size=given.shape)
            chosen = nearest_donors(np.take_along_axis(given, again, axis=1), mean, chance, DONORS)
            sets[:, missing[:, j], j] = y[np.take_along_axis(again, chosen, axis=1)]
    return sets


@pytest.mark.parametrize("kind", ["pmm", "norm"])
def test_sums_taken_once_are_those_of_every_set(kind: Kind) -> None:
    """Columns without gaps are summed once for all sets: matched values agree to the bit, normal draws nearly."""
    kinds: list[Kind] = [*[kind] * 5, "logistic"]
    for seed in range(3):
        x, may_impute, arm = rows(seed)
        found = impute(
            x,
            kinds=kinds,
            may_impute=may_impute,
            treated=arm,
            by_arm=False,
            imputations=SETS,
            iterations=CYCLES,
            donors=DONORS,
            rng=np.random.default_rng(seed),
        )
        plain = written_out(x, may_impute, arm, kinds, np.random.default_rng(seed))
        if kind == "pmm":
            np.testing.assert_array_equal(found.sets, plain)
        else:
            np.testing.assert_allclose(found.sets, plain, rtol=1e-9, atol=1e-9)
