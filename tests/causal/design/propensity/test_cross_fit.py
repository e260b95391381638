"""Folds of whole clusters, and scores from models that never saw the cluster."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity.cross_fit import cluster_folds, tuning_folds
from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.errors import DesignError


def drawn(seed: int = 1, n: int = 900, clusters: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw covariates (n, 3), arm and clusters of unequal size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    cluster = np.sort(rng.integers(0, clusters, n))
    effect = rng.normal(size=clusters)[cluster]
    return x, rng.random(n) < 1 / (1 + np.exp(1 - x[:, 0] - x[:, 1] - effect)), cluster


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6), st.integers(6, 40))
def test_folds_keep_clusters_whole_and_balance_rows(seed: int, folds: int, clusters: int) -> None:
    """Every cluster lies in one fold, no fold is empty, and folds differ by no more than the largest cluster."""
    rng = np.random.default_rng(seed)
    code = np.concatenate([np.arange(clusters), rng.integers(0, clusters, 200)])
    fold = cluster_folds(code.size, folds, code)
    assert all(np.unique(fold[code == c]).size == 1 for c in range(clusters))
    rows = np.bincount(fold, minlength=folds)
    assert rows.min() > 0
    assert np.ptp(rows) <= np.bincount(code).max()
    relabelled = rng.permutation(10 * clusters)[code]
    np.testing.assert_array_equal(cluster_folds(code.size, folds, relabelled), fold)


def test_without_clusters_rows_take_turns() -> None:
    """Rows are their own clusters, all of one size, and go round the folds, as the general rule says."""
    np.testing.assert_array_equal(cluster_folds(7, 3), [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(cluster_folds(7, 3), cluster_folds(7, 3, np.arange(7)[::-1]))


def test_too_few_clusters() -> None:
    """Fewer clusters than folds are refused."""
    with pytest.raises(DesignError) as caught:
        cluster_folds(10, 3, np.arange(10) % 2)
    assert caught.value.code == "design.too_few_clusters"


MODELS = {
    "likelihood": PropensityModel(cross_fit=5, splines=("a",), mundlak=True),
    "elastic net": PropensityModel(kind="elastic_net", cross_fit=3, interactions=(("a", "b"),)),
    "boosting": PropensityModel(kind="boosting", cross_fit=3, trees=5),
    "isotonic": PropensityModel(kind="boosting", cross_fit=3, trees=5, calibration="isotonic"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_cluster_cannot_move_its_own_scores(kind: str) -> None:
    """Turn every treatment in one cluster around: its own scores stay to the last bit, those of other folds move."""
    x, treated, clusters = drawn()
    fitted = {}
    for turned in (False, True):
        y = np.where((clusters == 4) & turned, ~treated, treated)
        fitted[turned] = fit_propensity(
            x, y, names=list("abc"), model=MODELS[kind], clusters=clusters, rng=np.random.default_rng(3)
        )
    before, after = fitted[False], fitted[True]
    assert before.fold is not None
    np.testing.assert_array_equal(after.fold, before.fold)
    own_fold = before.fold == before.fold[clusters == 4][0]
    np.testing.assert_array_equal(after.logit[own_fold], before.logit[own_fold])
    assert (after.logit[~own_fold] != before.logit[~own_fold]).mean() > 0.9


def test_scores_are_those_of_a_model_of_the_other_folds() -> None:
    """Fold by fold the scores equal a plain fit of the other rows, applied by its coefficients."""
    x, treated, clusters = drawn()
    whole = fit_propensity(x, treated, names=list("abc"))
    fit = fit_propensity(x, treated, names=list("abc"), model=PropensityModel(cross_fit=4), clusters=clusters)
    np.testing.assert_array_equal(fit.coefficients, whole.coefficients)  # the model of all rows
    for fold in range(4):
        out = fit.fold == fold
        plain = fit_propensity(x[~out], treated[~out], names=list("abc"))
        np.testing.assert_allclose(fit.logit[out], plain.intercept + x[out] @ plain.coefficients, atol=1e-10)
    assert fit.c_statistic < whole.c_statistic


def test_an_empty_arm_outside_a_fold_is_refused() -> None:
    """All treatments in one cluster leave nothing to learn from without it."""
    x, _, clusters = drawn()
    with pytest.raises(DesignError) as caught:
        fit_propensity(
            x, (clusters == 2) & (x[:, 0] < 1), names=list("abc"), model=PropensityModel(cross_fit=5), clusters=clusters
        )
    assert caught.value.code == "design.too_few_events"


def test_a_category_missing_outside_a_fold_is_left_out_there() -> None:
    """An indicator that is constant in the other folds gets no slope there instead of a failure."""
    x, treated, clusters = drawn()
    only_here = (clusters == 6) & (np.arange(clusters.size) % 2 == 0)
    columns = np.column_stack([x, only_here])
    fit = fit_propensity(columns, treated, names=list("abcd"), model=PropensityModel(cross_fit=5), clusters=clusters)
    own_fold = fit.fold == fit.fold[only_here][0]
    without = fit_propensity(x, treated, names=list("abc"), model=PropensityModel(cross_fit=5), clusters=clusters)
    np.testing.assert_allclose(fit.logit[own_fold], without.logit[own_fold], atol=1e-9)


def test_tuning_uses_as_many_folds_as_there_are_clusters() -> None:
    """Five folds, or one for each of fewer clusters; one cluster alone, or one that holds an arm, is refused."""
    treated = np.arange(60) % 3 == 0
    assert tuning_folds(treated, None).max() == 4
    np.testing.assert_array_equal(tuning_folds(treated, np.arange(60) // 20), np.arange(60) // 20)
    for clusters, arm, code in (
        (np.zeros(60, dtype=np.int64), treated, "design.too_few_clusters"),
        (np.arange(60) // 20, np.arange(60) < 15, "design.too_few_events"),
    ):
        with pytest.raises(DesignError) as caught:
            tuning_folds(arm, clusters)
        assert caught.value.code == code


@pytest.mark.parametrize("kind", ["elastic_net", "boosting"])
def test_one_clinic_that_holds_all_treatments_cannot_tune_a_model(kind: Literal["elastic_net", "boosting"]) -> None:
    """A penalty or a calibration cannot be learned without the only cluster with treatments: refused, not fitted."""
    x, _, clusters = drawn()
    treated = (clusters == 2) & (x[:, 0] < 1)
    with pytest.raises(DesignError) as caught:
        fit_propensity(
            x,
            treated,
            names=list("abc"),
            model=PropensityModel(kind=kind),
            clusters=clusters,
            rng=np.random.default_rng(1),
        )
    assert caught.value.code == "design.too_few_events"
