"""Scores from models that never saw the cluster, whatever is rare in the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.errors import DesignError
from causal.numeric.folds import drawn_folds, strata_of
from causal.numeric.keys import keys_of_names


def drawn(seed: int = 1, n: int = 900, clusters: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw covariates (n, 3), arm and clusters of unequal size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    cluster = np.sort(rng.integers(0, clusters, n))
    effect = rng.normal(size=clusters)[cluster]
    return x, rng.random(n) < 1 / (1 + np.exp(1 - x[:, 0] - x[:, 1] - effect)), cluster


MODELS = {
    "likelihood": PropensityModel(cross_fit=5, splines=("a",), mundlak=True),
    "elastic net": PropensityModel(kind="elastic_net", cross_fit=3, interactions=(("a", "b"),)),
    "boosting": PropensityModel(kind="boosting", cross_fit=3, trees=5),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_cluster_cannot_move_its_own_scores(kind: str) -> None:
    """Turn every treatment in one cluster around: its own scores stay to the last bit, others move."""
    x, treated, clusters = drawn()
    key = keys_of_names(range(900))
    fold = drawn_folds(key, 5, strata=strata_of(treated), clusters=clusters)
    fitted = {}
    for turned in (False, True):
        y = np.where((clusters == 4) & turned, ~treated, treated)
        fitted[turned] = fit_propensity(
            x,
            y,
            names=list("abc"),
            model=MODELS[kind],
            clusters=clusters,
            key=key,
            fold=fold,
            rng=np.random.default_rng(3),
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
    assert fit.fold is not None
    own_fold = fit.fold == fit.fold[only_here][0]
    without = fit_propensity(x, treated, names=list("abc"), fold=fit.fold)
    np.testing.assert_allclose(fit.logit[own_fold], without.logit[own_fold], atol=1e-9)


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


@pytest.mark.parametrize("kind", MODELS)
def test_a_level_with_one_treated_row_is_left_out_of_one_fold(kind: str) -> None:
    """One treated row has a flag that 40 others have: the fold that holds it scores without the flag, noted."""
    x, treated, _ = drawn()
    flag = np.zeros(treated.size)
    flag[np.flatnonzero(~treated)[:40]] = 1
    flag[np.flatnonzero(treated)[0]] = 1
    fold = np.arange(900) % 5
    model = replace(MODELS[kind], mundlak=False)
    arguments = {"model": model, "fold": fold, "key": keys_of_names(range(900))}
    fit = fit_propensity(
        np.column_stack([x, flag]), treated, names=list("abcd"), rng=np.random.default_rng(1), **arguments
    )
    without = fit_propensity(x, treated, names=list("abc"), rng=np.random.default_rng(1), **arguments)
    lone = fold == fold[np.flatnonzero(treated)[0]]
    np.testing.assert_allclose(fit.logit[lone], without.logit[lone], rtol=1e-9)
    if kind == "likelihood":
        assert (fit.logit[~lone] != without.logit[~lone]).all()
    assert fit.separated == ()
    (note,) = fit.notes
    assert note.startswith("so rare in one of the groups")
    assert note.endswith("left out there: d")


def test_covariates_that_separate_together_in_one_fold_are_noted() -> None:
    """All overlap of a covariate lies in one fold: Firth's scores stand there, finite, and a note names it."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 2))
    treated = x[:, 0] > 0.4
    fold = np.arange(600) % 5
    treated[(fold == 2) & (rng.random(600) < 0.5)] ^= True
    fit = fit_propensity(x, treated, names=["a", "b"], fold=fold)
    assert fit.separated == ()
    assert np.isfinite(fit.logit).all()
    assert fit.notes == ("tells the groups apart outside some folds, whose models of treatment are Firth's: a",)
