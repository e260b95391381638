"""The driver around a whole analysis: what is pooled, what is counted, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.missing.rubin import pool
from causal.effect.missing.within import across, within
from causal.errors import DesignError, EstimationError

SETS = np.random.default_rng(3).normal(2.0, 0.3, size=(40, 60))


def mean(y: np.ndarray) -> tuple[float, float, float]:
    """Mean of a set, its error, and degrees of freedom that differ between sets."""
    return float(y.mean()), float(y.std(ddof=1) / y.size**0.5), 50.0 + float(y[0] > 2)


def refusing(times: int) -> tuple[list[int], object]:
    """An analysis that refuses its first sets."""
    calls: list[int] = []

    def analyse(y: np.ndarray) -> tuple[float, float, float]:
        calls.append(1)
        if len(calls) <= times:
            raise DesignError("design.nothing_matched", "nothing lies within the caliper", fix="widen the caliper")
        return mean(y)

    return calls, analyse


def test_pools_what_each_set_gave() -> None:
    """The pooled estimate is Rubin's, on the mean degrees of freedom of the sets."""
    found = within(SETS, mean, label="mean")
    results = np.array([mean(y) for y in SETS])
    assert found == pool(results[:, 0], results[:, 1] ** 2, results[:, 2].mean(), label="mean")
    assert 50 < found.complete_df < 51


def test_few_refusals_are_counted() -> None:
    """Two of forty sets without a design are left out, and told."""
    _, analyse = refusing(2)
    found = within(SETS, analyse, label="mean")
    assert (found.refused, found.imputations) == (2, 38)
    assert any("2 of 40" in note for note in found.notes)


def test_many_refusals_are_refused() -> None:
    """More than one set in twenty without a design leaves no pooled estimate; the message says how many."""
    calls, analyse = refusing(3)
    with pytest.raises(EstimationError, match="3 of 40 imputed sets, first because: nothing lies") as refusal:
        within(SETS, analyse, label="mean")
    assert refusal.value.code == "estimation.refused_in_imputed_sets"
    assert refusal.value.fix == "widen the caliper"
    assert len(calls) == 40


def test_other_errors_are_not_swallowed() -> None:
    """A fault in the analysis is a fault, not a refused set."""

    def broken(_: np.ndarray) -> tuple[float, float, float]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        within(SETS, broken, label="mean")


def test_no_set() -> None:
    """Without imputed sets there is nothing to pool."""
    with pytest.raises(EstimationError) as refusal:
        within([], mean, label="mean")
    assert refusal.value.code == "estimation.too_few_imputations"


def test_across_designs_once_from_mean_distances() -> None:
    """The across approach makes one design, from the mean of the distances, and uses it in every set."""
    distances = np.random.default_rng(4).random((40, 60))
    designs = []

    def design(score: np.ndarray) -> np.ndarray:
        designs.append(score)
        return score > 0.5

    found = across(SETS, distances, design, lambda y, kept: mean(y[kept]), label="mean")
    assert len(designs) == 1
    np.testing.assert_allclose(designs[0], distances.mean(axis=0), rtol=1e-14)
    kept = distances.mean(axis=0) > 0.5
    assert found.contrast.value == pytest.approx(SETS[:, kept].mean(), rel=1e-12)


def test_the_design_is_repeated_in_every_set() -> None:
    """A covariate missing at random, imputed, balanced anew in every set: the confounding it carries is removed."""
    from causal.design.weighting.entropy import entropy_weights
    from causal.effect.missing.chained import impute
    from causal.effect.weighted_estimates import weighted_difference

    rng = np.random.default_rng(5)
    n = 3000
    x = rng.normal(size=(n, 2))
    arm = rng.random(n) < 1 / (1 + np.exp(1 - x[:, 0]))
    y = x.sum(axis=1) - 0.5 * arm + rng.normal(0, 0.5, n)
    seen = x.copy()
    seen[rng.random(n) < 1 / (1 + np.exp(1 - x[:, 1])), 0] = np.nan
    table = np.column_stack([seen, y])
    sets = impute(
        table, kinds=["norm"] * 3, may_impute=np.ones(table.shape, bool), treated=arm, imputations=10, rng=rng
    ).sets

    def analyse(one: np.ndarray) -> tuple[float, float, float]:
        weights = entropy_weights(one[:, :2], arm, names=["a", "b"])
        found = weighted_difference(one[:, 2], arm, weights)
        return found.value, found.std_error, found.df

    found = within(sets, analyse, label="ATT")
    complete = np.isfinite(seen[:, 0])
    crude = y[arm & complete].mean() - y[~arm & complete].mean()
    assert crude > -0.1
    assert abs(found.contrast.value + 0.5) < 3 * found.contrast.std_error < 0.2
    assert found.between > 0
