"""Cluster-robust errors against their definition written out with full matrices, and against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from causal.effect import sandwich
from causal.effect.cluster_robust import Kind, WorkingModel, cluster_robust, cluster_robust_contrasts, two_way
from causal.errors import EstimationError


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A weighted regression with clusters."""

    design: np.ndarray
    outcome: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    contrast: np.ndarray


def sample(seed: int, *, n: int = 40, columns: int = 3, groups: int = 7, fixed_effects: bool = False) -> Sample:
    """Draw clusters of unequal sizes, some larger and some smaller than the number of columns."""
    rng = np.random.default_rng(seed)
    clusters = rng.permutation(np.r_[np.arange(groups), (groups * rng.random(n - groups) ** 2).astype(int)])
    design = np.column_stack([np.ones(n), rng.random(n) < 0.4, rng.normal(size=(n, columns - 2))]).astype(float)
    if fixed_effects:
        design = np.column_stack([design, clusters[:, None] == np.arange(1, groups)])
    return Sample(
        design=design,
        outcome=design[:, :columns].sum(axis=1) + rng.normal(size=n) + rng.normal(size=groups)[clusters],
        weights=rng.uniform(0.2, 2, n),
        clusters=clusters,
        contrast=np.eye(design.shape[1])[1],
    )


def by_definition(s: Sample, clusters: np.ndarray, kind: Kind) -> tuple[np.ndarray, float]:
    """Covariance and Satterthwaite degrees of freedom from n by n matrices, as Bell and McCaffrey define them."""
    x, y = s.design * np.sqrt(s.weights)[:, None], s.outcome * np.sqrt(s.weights)
    bread = np.linalg.pinv(x.T @ x)
    identity_less_hat = np.eye(y.size) - x @ bread @ x.T
    residual = identity_less_hat @ y
    meat, columns = np.zeros_like(bread), []
    for g in np.unique(clusters):
        rows = np.flatnonzero(clusters == g)
        values, vectors = np.linalg.eigh(identity_less_hat[np.ix_(rows, rows)])
        power = {"CR2": -0.5, "CR3": -1.0}.get(kind, 0.0)
        root = np.array([v**power if v > 1e-9 else 0.0 for v in values])
        adjust = vectors @ np.diag(root) @ vectors.T if power else np.eye(rows.size)
        score = x[rows].T @ adjust @ residual[rows]
        meat += np.outer(score, score)
        columns.append(identity_less_hat[:, rows] @ adjust @ x[rows] @ bread @ s.contrast)
    if kind in {"CR1", "CR1S"}:
        meat *= len(columns) / (len(columns) - 1)
    if kind == "CR1S":
        meat *= (y.size - 1) / (y.size - np.linalg.matrix_rank(x))
    products = np.column_stack(columns).T @ np.column_stack(columns)
    return bread @ meat @ bread, float(np.trace(products) ** 2 / (products**2).sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["CR0", "CR1", "CR1S", "CR2", "CR3"]), st.integers(2, 5), st.booleans())
def test_agrees_with_the_definition(seed: int, kind: Kind, columns: int, fixed_effects: bool) -> None:
    """Low-rank algebra gives the textbook matrices, with weights, unequal clusters and cluster fixed effects."""
    s = sample(seed, columns=columns, fixed_effects=fixed_effects)
    fit = cluster_robust(s.design, s.outcome, weights=s.weights, clusters=s.clusters, contrast=s.contrast, kind=kind)
    covariance, df = by_definition(s, s.clusters, kind)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-6, atol=1e-9)
    assert fit.std_error == pytest.approx(np.sqrt(s.contrast @ covariance @ s.contrast), rel=1e-7)
    assert fit.df == pytest.approx(df if kind == "CR2" else 6.0, rel=1e-6)


def under_alike_rows(s: Sample, clusters: np.ndarray) -> tuple[np.ndarray, float]:
    """CR2 covariance and degrees of freedom when rows vary alike: dense, as Pustejovsky and Tipton define them."""
    x, w = s.design, s.weights
    bread = np.linalg.pinv(x.T @ (w[:, None] * x))
    identity_less_hat = np.eye(w.size) - x @ bread @ (x * w[:, None]).T
    variance, residual = identity_less_hat @ identity_less_hat.T, identity_less_hat @ s.outcome
    meat, columns = np.zeros_like(bread), []
    for g in np.unique(clusters):
        rows = np.flatnonzero(clusters == g)
        values, vectors = np.linalg.eigh(variance[np.ix_(rows, rows)])
        root = np.array([v**-0.5 if v > 1e-9 else 0.0 for v in values])
        adjust = vectors @ np.diag(root) @ vectors.T
        carried = (x * w[:, None])[rows].T @ adjust
        meat += np.outer(carried @ residual[rows], carried @ residual[rows])
        columns.append(identity_less_hat[rows].T @ carried.T @ bread @ s.contrast)
    products = np.column_stack(columns).T @ np.column_stack(columns)
    return bread @ meat @ bread, float(np.trace(products) ** 2 / (products**2).sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5), st.booleans())
def test_alike_rows_agree_with_the_definition(seed: int, columns: int, fixed_effects: bool) -> None:
    """The homoscedastic working model gives its textbook matrices; without weights it is the other one."""
    s = sample(seed, columns=columns, fixed_effects=fixed_effects)
    how: dict[str, WorkingModel] = {"working": "homoscedastic"}
    fit = cluster_robust(s.design, s.outcome, weights=s.weights, clusters=s.clusters, contrast=s.contrast, **how)
    covariance, df = under_alike_rows(s, s.clusters)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=1e-6, atol=1e-9)
    assert fit.df == pytest.approx(df, rel=1e-6)
    plain = cluster_robust(s.design, s.outcome, clusters=s.clusters, contrast=s.contrast)
    alike = cluster_robust(s.design, s.outcome, clusters=s.clusters, contrast=s.contrast, **how)
    assert (alike.std_error, alike.df) == pytest.approx((plain.std_error, plain.df), rel=1e-8)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from(["CR0", "CR1", "CR1S", "CR2", "CR3"]),
    st.sampled_from(["inverse_weights", "homoscedastic"]),
    st.booleans(),
)
def test_many_contrasts_are_each_of_them(seed: int, kind: Kind, working: WorkingModel, fixed_effects: bool) -> None:
    """Together or one by one the same numbers, also when few clusters are summed at a time."""
    s = sample(seed, columns=4, fixed_effects=fixed_effects)
    wanted = np.random.default_rng(seed).normal(size=(3, s.design.shape[1]))
    how: dict[str, Any] = {"weights": s.weights, "clusters": s.clusters, "kind": kind, "working": working}
    alone = [cluster_robust(s.design, s.outcome, contrast=one, **how) for one in wanted]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandwich, "PIECE", 100)
        together = cluster_robust_contrasts(s.design, s.outcome, contrasts=wanted, **how)
    for one, other in zip(alone, together, strict=True):
        assert (other.coefficient, other.std_error, other.df) == pytest.approx(
            (one.coefficient, one.std_error, one.df), rel=1e-12
        )
        np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-12, atol=1e-15)


def test_one_contrast_that_cannot_be_had_refuses_all() -> None:
    """An estimable contrast beside one that involves a column determined by another: the reason, not half an answer."""
    s = sample(3)
    design = np.column_stack([s.design, s.design[:, 1]])
    with pytest.raises(EstimationError, match="cannot be told apart"):
        cluster_robust_contrasts(design, s.outcome, clusters=s.clusters, contrasts=np.eye(4)[[0, 1]])


def expected_variance(s: Sample, spread: np.ndarray, kind: Kind, working: WorkingModel = "inverse_weights") -> float:
    """Mean of the estimated variance over independent errors of these standard deviations (n,), exactly.

    The estimate is a quadratic form of the outcome, so that its mean is the sum of its values at one error at a time.
    """
    fits = [
        cluster_robust(
            s.design,
            error,
            weights=s.weights,
            clusters=s.clusters,
            contrast=s.contrast,
            kind=kind,
            working=working,
        )
        for error in np.diag(spread)
    ]
    return float(sum(fit.std_error**2 for fit in fits))


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_cr2_is_unbiased_under_its_working_model(seed: int) -> None:
    """Its mean is the true variance for errors that vary by 1/weight, or alike; the other model's and CR0's are not."""
    s = sample(seed, n=24, columns=3, groups=6)
    hat = np.linalg.solve(s.design.T @ (s.weights[:, None] * s.design), (s.design * s.weights[:, None]).T)
    for working, other, spread in (
        ("inverse_weights", "homoscedastic", 1 / np.sqrt(s.weights)),
        ("homoscedastic", "inverse_weights", np.ones(24)),
    ):
        truth = ((s.contrast @ hat * spread) ** 2).sum()
        assert expected_variance(s, spread, "CR2", working) == pytest.approx(truth, rel=1e-9)  # type: ignore[arg-type]
        assert expected_variance(s, spread, "CR2", other) != pytest.approx(truth, rel=1e-3)  # type: ignore[arg-type]
        assert expected_variance(s, spread, "CR0") < 0.97 * truth


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_two_way_is_inclusion_and_exclusion(seed: int) -> None:
    """The two-way variance is first plus second minus both, negative eigenvalues set to zero, df the smaller one."""
    s = sample(seed)
    second = np.random.default_rng(seed + 1).integers(0, 9, 40)
    fit = two_way(s.design, s.outcome, weights=s.weights, first=s.clusters, second=second, contrast=s.contrast)
    parts = [by_definition(s, codes, "CR2") for codes in (s.clusters, second, s.clusters * 100 + second)]
    values, vectors = np.linalg.eigh(parts[0][0] + parts[1][0] - parts[2][0])
    clipped = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    assert fit.std_error == pytest.approx(np.sqrt(s.contrast @ clipped @ s.contrast), rel=1e-6)
    assert fit.df == pytest.approx(min(parts[0][1], parts[1][1]), rel=1e-6)
    assert fit.clipped == bool(values[0] < -1e-12 * values[-1])


def test_cr3_is_the_jackknife_of_clusters() -> None:
    """CR3 is the sum of squared changes of the coefficient when each cluster in turn is left out."""
    s = sample(4)
    full = cluster_robust(s.design, s.outcome, weights=s.weights, clusters=s.clusters, contrast=s.contrast, kind="CR3")
    squares = 0.0
    for g in np.unique(s.clusters):
        rest = s.clusters != g
        root = np.sqrt(s.weights[rest])
        without = np.linalg.lstsq(s.design[rest] * root[:, None], s.outcome[rest] * root)[0]
        squares += float(s.contrast @ without - full.coefficient) ** 2
    assert full.std_error == pytest.approx(np.sqrt(squares), rel=1e-10)


def test_nested_clusters_reduce_to_the_coarser() -> None:
    """Sets nested in clinicians: the two-way error is the clinician's."""
    s = sample(3)
    sets = s.clusters * 10 + np.arange(40) % 3
    both = two_way(s.design, s.outcome, first=sets, second=s.clusters, contrast=s.contrast)
    one = cluster_robust(s.design, s.outcome, clusters=s.clusters, contrast=s.contrast)
    assert both.std_error == pytest.approx(one.std_error, rel=1e-9)


def test_fractional_weights_scale_out() -> None:
    """Multiplying every weight by a constant changes nothing; a zero weight is an absent row."""
    s = sample(5)
    plain = cluster_robust(s.design, s.outcome, weights=s.weights, clusters=s.clusters, contrast=s.contrast)
    scaled = cluster_robust(s.design, s.outcome, weights=s.weights * 7, clusters=s.clusters, contrast=s.contrast)
    assert (scaled.coefficient, scaled.std_error, scaled.df) == pytest.approx(
        (plain.coefficient, plain.std_error, plain.df), rel=1e-9
    )
    keep = np.arange(40) > 4
    outcome = np.where(keep, s.outcome, np.nan)
    zeroed = cluster_robust(
        s.design, outcome, weights=np.where(keep, s.weights, 0), clusters=s.clusters, contrast=s.contrast
    )
    dropped = cluster_robust(
        s.design[keep], s.outcome[keep], weights=s.weights[keep], clusters=s.clusters[keep], contrast=s.contrast
    )
    assert zeroed.std_error == pytest.approx(dropped.std_error, rel=1e-12)
    assert zeroed.n_rows == 35


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 100), st.floats(-10, 10))
def test_invariances(seed: int, scale: float, shift: float) -> None:
    """Row order, cluster labels, units of outcome and covariates do not matter beyond what they must."""
    s = sample(seed)
    plain = cluster_robust(s.design, s.outcome, weights=s.weights, clusters=s.clusters, contrast=s.contrast)
    order = np.random.default_rng(seed).permutation(40)
    design = s.design * np.array([1, 1, scale])
    other = cluster_robust(
        design[order],
        (s.outcome * scale + shift)[order],
        weights=s.weights[order],
        clusters=(1000 - 3 * s.clusters)[order],
        contrast=s.contrast,
    )
    assert other.coefficient == pytest.approx(plain.coefficient * scale, rel=1e-7, abs=1e-9)
    assert other.std_error == pytest.approx(plain.std_error * scale, rel=1e-7)
    assert other.df == pytest.approx(plain.df, rel=1e-7)


def test_aliased_columns_are_listed_and_change_nothing() -> None:
    """A column made of earlier ones is dropped; the estimate stays and its own coefficient is missing."""
    s = sample(6)
    plain = cluster_robust(s.design, s.outcome, clusters=s.clusters, contrast=s.contrast)
    wide = np.column_stack([s.design, s.design[:, 0] * 4 - s.design[:, 2], np.zeros(40)])
    fit = cluster_robust(wide, s.outcome, clusters=s.clusters, contrast=np.r_[s.contrast, 0, 0])
    assert fit.aliased == (3, 4)
    assert (fit.std_error, fit.df) == pytest.approx((plain.std_error, plain.df), rel=1e-9)
    assert np.isnan(fit.coefficients).tolist() == [False, False, False, True, True]


def test_effect_that_cannot_be_told_apart_is_refused() -> None:
    """A later covariate equal to the treatment makes its effect unidentified: refused, not given to the treatment."""
    s = sample(7)
    design = np.column_stack([s.design, 3 * s.design[:, 1] - 1])
    with pytest.raises(EstimationError) as caught:
        cluster_robust(design, s.outcome, clusters=s.clusters, contrast=np.array([0.0, 1, 0, 0]))
    assert caught.value.code == "estimation.not_estimable"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"clusters": np.zeros(40)}, "estimation.too_few_clusters"),
        ({"weights": np.r_[-1.0, np.ones(39)]}, "estimation.weights"),
        ({"weights": np.r_[np.nan, np.ones(39)]}, "estimation.weights"),
        ({"weights": np.zeros(40)}, "estimation.not_estimable"),
        ({"outcome": np.r_[np.nan, np.ones(39)]}, "estimation.not_finite"),
        ({"design": np.full((40, 3), np.inf)}, "estimation.not_finite"),
    ],
)
def test_refusals(change: dict[str, np.ndarray], code: str) -> None:
    """Inputs without an answer are refused by code."""
    s = sample(8)
    arrays = {"design": s.design, "outcome": s.outcome, "weights": s.weights, "clusters": s.clusters} | change
    with pytest.raises(EstimationError) as caught:
        cluster_robust(
            arrays["design"],
            arrays["outcome"],
            weights=arrays["weights"],
            clusters=arrays["clusters"],
            contrast=s.contrast,
        )
    assert caught.value.code == code


def test_treatment_fixed_within_saturated_clusters_has_no_degrees_of_freedom() -> None:
    """Two clusters, one treated: the fit goes through both cluster means and leaves nothing to judge the error by."""
    design = np.column_stack([np.ones(6), [1.0, 1, 1, 0, 0, 0]])
    with pytest.raises(EstimationError) as caught:
        cluster_robust(design, np.arange(6.0), clusters=np.array([0, 0, 0, 1, 1, 1]), contrast=np.array([0.0, 1.0]))
    assert caught.value.code == "estimation.no_degrees_of_freedom"


@pytest.mark.parametrize("working", ["inverse_weights", "homoscedastic"])
def test_large_clusters_need_no_matrix_of_their_rows(working: WorkingModel) -> None:
    """Three clusters of some 10,000 rows in the memory of some copies of the design; doubled rows change nothing."""
    import tracemalloc

    s = sample(9, n=30_000, columns=4, groups=3)
    tracemalloc.start()
    fit = cluster_robust(
        s.design, s.outcome, weights=s.weights, clusters=s.clusters, contrast=s.contrast, working=working
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * s.design.nbytes
    twice = cluster_robust(
        np.repeat(s.design, 2, axis=0),
        np.repeat(s.outcome, 2),
        weights=np.repeat(s.weights, 2),
        clusters=np.repeat(s.clusters, 2),
        contrast=s.contrast,
        working=working,
    )
    assert (twice.coefficient, twice.std_error, twice.df) == pytest.approx(
        (fit.coefficient, fit.std_error, fit.df), rel=1e-8
    )


@pytest.mark.slow
@pytest.mark.parametrize("groups", [12, 40])
def test_interval_covers_the_truth(groups: int) -> None:
    """95% intervals cover in 93.0 to 97.0% of 2,000 samples with few, unequal, correlated clusters (MCSE .5%)."""
    rng = np.random.default_rng(groups)
    covered = 0
    for _ in range(2000):
        clusters = np.repeat(np.arange(groups), rng.integers(2, 12, groups))
        n = clusters.size
        treated = rng.random(n) < rng.beta(2, 3, groups)[clusters]
        design = np.column_stack([np.ones(n), treated, rng.normal(size=n)])
        outcome = 0.3 * treated + rng.normal(size=n) + 0.5 * rng.normal(size=groups)[clusters]
        fit = cluster_robust(design, outcome, clusters=clusters, contrast=np.array([0.0, 1.0, 0.0]))
        covered += abs(fit.coefficient - 0.3) <= stdtrit(fit.df, 0.975) * fit.std_error
    assert 0.93 <= covered / 2000 <= 0.97
