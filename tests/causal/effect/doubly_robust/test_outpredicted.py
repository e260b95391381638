"""A regression of the outcome beside a few trees: where they save error, how much, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.effect.doubly_robust.outcome_model import OutcomeModel, predicted_means
from causal.effect.doubly_robust.outpredicted import QUICK_TREES, Outpredicted, outpredicted
from causal.numeric.folds import drawn_folds
from causal.numeric.keys import keys_of_content

LINE = OutcomeModel()


def asked(
    y: np.ndarray,
    arm: np.ndarray,
    x: np.ndarray,
    model: OutcomeModel = LINE,
    *,
    arms: tuple[bool, ...] = (True, False),
    clusters: np.ndarray | None = None,
) -> Outpredicted:
    """The regression beside trees in five folds."""
    key = keys_of_content([arm, y], x)
    fold = drawn_folds(key, 5, strata=arm.astype(np.int64), clusters=clusters)
    return outpredicted(model, y, arm, x, names=("a", "b", "c"), arms=arms, fold=fold, key=key, clusters=clusters)


def world(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Noise, arm, covariates, and what no line follows: a product of signs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return rng.normal(size=n), np.arange(n) % 2 == 0, x, np.sign(x[:, 0] * x[:, 1])


def test_the_share_by_hand_in_the_arm_it_is_of() -> None:
    """A product of signs in the untreated alone: mean difference less 3 sd/sqrt(n), over the regression's error."""
    noise, arm, x, product = world(1_000)
    y = x[:, 0] + np.where(arm, 0.0, 2 * product) + noise
    found = asked(y, arm, x)
    fold = drawn_folds(keys_of_content([arm, y], x), 5, strata=arm.astype(np.int64))
    said, grown = (
        (y - predicted_means(kind, y, arm, x, names=("a", "b", "c"), arms=[False], fold=fold).mean[False])[~arm] ** 2
        for kind in (LINE, QUICK_TREES)
    )
    gain = said - grown
    by_hand = (gain.mean() - 3 * gain.std(ddof=1) / np.sqrt(500)) / said.mean()
    assert found == Outpredicted(kind="linear", share=pytest.approx(by_hand, rel=1e-9))
    assert by_hand > 0.3
    assert asked(y, arm, x, arms=(True,)) == Outpredicted(kind="linear", share=0.0)


@pytest.mark.parametrize("kind", ["linear", "ridge", "logistic"])
def test_a_line_that_is_right_loses_nothing(kind: Any) -> None:
    """Where the model is the truth trees save nothing."""
    for seed in range(3):
        noise, arm, x, _ = world(400, seed)
        y = x @ [1.0, 0.5, 0.0] + noise
        y = (y > 0).astype(float) if kind == "logistic" else y
        assert asked(y, arm, x, OutcomeModel(kind=kind)) == Outpredicted(kind=kind, share=0.0)


def test_small_groups_are_not_asked() -> None:
    """Fewer than two hundred rows of an arm show little; without folds nothing is seen that was not learned from."""
    noise, arm, x, product = world(1_000)
    y = np.where(arm, 3 * product, 0) + noise
    assert (asked(y, arm, x).share or 0) > 0.3
    few = np.r_[np.flatnonzero(arm)[:199], np.flatnonzero(~arm)]
    assert asked(y[few], arm[few], x[few]).share == 0
    alone = asked(y[few], arm[few], x[few], arms=(True,))
    assert (alone.share, alone.reason) == (None, "a group has fewer than 200 rows")


def test_neither_order_nor_names_nor_units_matter() -> None:
    """Other rows' order, names of clusters and units give the same share; rows that come four times count once."""
    noise, arm, x, product = world(400, 3)
    y, clusters = 2 * product + noise, np.arange(400) // 4
    order = np.random.default_rng(2).permutation(400)
    share = asked(y, arm, x, clusters=clusters).share
    assert share
    assert asked(y[order], arm[order], x[order], clusters=900 - clusters[order]).share == pytest.approx(share, rel=1e-9)
    assert asked(10 * y + 3, arm, x, clusters=clusters).share == pytest.approx(share, rel=1e-6)
