"""G-computation: hand values, definitions by brute force, invariances, refusals, and a known truth recovered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from causal.effect.cluster_robust import cluster_robust
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.standardisation import Standardised, g_computation
from causal.errors import EstimationError

NAMES = ("a", "b")
Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def sample(seed: int = 1, n: int = 200, *, events: bool = False) -> Sample:
    """Outcome, arm, covariates and 20 clusters; slopes differ by arm."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]).astype(float)
    arm = rng.random(n) < expit(0.6 * x[:, 0] - 0.5 * x[:, 1])
    eta = x @ [0.8, -0.5] + arm * (0.5 + 0.4 * x[:, 0])
    clusters = np.arange(n) % 20
    if events:
        return (rng.random(n) < expit(eta - 0.5)).astype(float), arm, x, clusters
    return eta + 0.5 * rng.normal(size=20)[clusters] + rng.normal(size=n), arm, x, clusters


def stratified() -> Sample:
    """Two strata: of 4 and 6 treated in the first and second 1 and 3 had the event, of 10 and 5 others 4 and 1."""
    counts = {(0, True): (4, 1), (1, True): (6, 3), (0, False): (10, 4), (1, False): (5, 1)}
    rows = [(s, a, int(i < events)) for (s, a), (n, events) in counts.items() for i in range(n)]
    stratum, arm, y = (np.array(column) for column in zip(*rows, strict=True))
    return y.astype(float), arm.astype(bool), stratum[:, None].astype(float), np.arange(len(rows))


@pytest.mark.parametrize("family", ["linear", "logistic"])
@pytest.mark.parametrize(
    ("estimand", "treated", "comparison"),
    [
        ("ATT", (1 + 3) / 10, (4 * 0.4 + 6 * 0.2) / 10),
        ("ATC", (10 * 0.25 + 5 * 0.5) / 15, (4 + 1) / 15),
        ("ATE", (14 * 0.25 + 11 * 0.5) / 25, (14 * 0.4 + 11 * 0.2) / 25),
    ],
)
def test_saturated_strata_are_standardised_by_hand(
    family: Any, estimand: Any, treated: float, comparison: float
) -> None:
    """Risks per stratum averaged over whom the effect is about, by either model; the risk ratio is of those means."""
    y, arm, x, own = stratified()
    found = g_computation(y, arm, x, None, own, names=("s",), estimand=estimand, family=family, kind="CR0")
    assert (found.mean_treated.value, found.mean_comparison.value) == pytest.approx((treated, comparison), rel=1e-9)
    assert found.effect.value == pytest.approx(treated - comparison, rel=1e-9)
    if found.log_ratio is not None:
        assert np.exp(found.log_ratio.value) == pytest.approx(treated / comparison, rel=1e-9)
    assert (found.log_ratio is None) == (family == "linear")


def test_error_in_saturated_strata_by_hand() -> None:
    """HC0 of a standardised difference: the sum over cells of share^2 times variance over size."""
    y, arm, x, own = stratified()
    cells = [(0.4, 0.25, 4), (0.6, 0.5, 6), (0.4, 0.4, 10), (0.6, 0.2, 5)]
    expected = np.sqrt(sum(share**2 * p * (1 - p) / n for share, p, n in cells))
    for family in ("linear", "logistic"):
        found = g_computation(y, arm, x, None, own, names=("s",), family=family, kind="CR0")  # type: ignore[arg-type]
        assert found.effect.std_error == pytest.approx(expected, rel=1e-8)


def test_one_regression_per_arm() -> None:
    """With all products the means are predictions of two separate weighted regressions, averaged over the treated."""
    y, arm, x, clusters = sample()
    w = np.random.default_rng(2).uniform(0.5, 2, y.size)
    found = g_computation(y, arm, x, w, clusters, names=NAMES)
    design = np.column_stack([np.ones(y.size), x])
    means = []
    for rows in (arm, ~arm):
        root = np.sqrt(w[rows])[:, None]
        beta = np.linalg.lstsq(design[rows] * root, y[rows] * root[:, 0], rcond=None)[0]
        means.append(np.average(design[arm] @ beta, weights=w[arm]))
    assert (found.mean_treated.value, found.mean_comparison.value) == pytest.approx(tuple(means), rel=1e-10)


def test_without_products_it_is_ancova() -> None:
    """No products: the coefficient of treatment with its CR2 error and degrees of freedom, whatever the population."""
    y, arm, x, clusters = sample()
    plain = weighted_ancova(y, arm, x, None, clusters)
    for estimand in ("ATT", "ATC", "ATE"):
        effect = g_computation(y, arm, x, None, clusters, names=NAMES, interactions=(), estimand=estimand).effect  # type: ignore[arg-type]
        assert (effect.value, effect.std_error, effect.df) == pytest.approx(
            (plain.value, plain.std_error, plain.df), rel=1e-9
        )


def test_logistic_error_is_that_of_the_last_least_squares_step() -> None:
    """CR2 of a risk difference: the working regression at statsmodels' coefficients, contrasted by the gradient."""
    import statsmodels.api as sm

    y, arm, x, clusters = sample(events=True, n=400)
    found = g_computation(y, arm, x, None, clusters, names=NAMES, family="logistic", interactions=(), estimand="ATE")
    design = np.column_stack([np.ones(y.size), arm, x])
    beta = sm.GLM(y, design, family=sm.families.Binomial()).fit(tol=1e-14).params
    one, zero = design.copy(), design.copy()
    one[:, 1], zero[:, 1] = 1, 0
    p1, p0, p = (expit(rows @ beta) for rows in (one, zero, design))
    assert found.effect.value == pytest.approx((p1 - p0).mean(), rel=1e-8)
    gradient = (p1 * (1 - p1)) @ one / y.size - (p0 * (1 - p0)) @ zero / y.size
    v = p * (1 - p)
    fit = cluster_robust(design, logit(p) + (y - p) / v, weights=v, clusters=clusters, contrast=gradient)
    assert (found.effect.std_error, found.effect.df) == pytest.approx((fit.std_error, fit.df), rel=1e-7)


@pytest.mark.parametrize("family", ["linear", "logistic"])
@pytest.mark.parametrize("covariates_sampled", [False, True])
def test_error_agrees_with_the_infinitesimal_jackknife(family: Any, *, covariates_sampled: bool) -> None:
    """Making one row a little heavier in the model, and in the population where that is sampled, gives its influence.

    CR0 sums their squares; the stacked error has n/(n - 1) besides.
    """
    y, arm, x, _ = sample(3, 80, events=family == "logistic")

    def run(weights: np.ndarray, target: np.ndarray) -> Standardised:
        return g_computation(
            y,
            arm,
            x,
            weights,
            None,
            names=NAMES,
            target=target,
            family=family,
            kind="CR0",
            covariates_sampled=covariates_sampled,
        )

    ones, step, influence, of_ratio = np.ones(80), 1e-5, [], []
    plain = run(ones, ones)
    for row in range(80):
        heavier = ones + step * (np.arange(80) == row)
        again = run(heavier, heavier if covariates_sampled else ones)
        influence.append((again.effect.value - plain.effect.value) / step)
        if plain.log_ratio is not None and again.log_ratio is not None:
            of_ratio.append((again.log_ratio.value - plain.log_ratio.value) / step)
    factor = np.sqrt(80 / 79) if covariates_sampled else 1.0
    assert plain.effect.std_error == pytest.approx(factor * np.linalg.norm(influence), rel=1e-4)
    if plain.log_ratio is not None:
        assert plain.log_ratio.std_error == pytest.approx(factor * np.linalg.norm(of_ratio), rel=1e-4)


def test_a_sampled_population_adds_variance_where_effects_differ() -> None:
    """Counting the covariates as sampled widens the interval when the effect depends on them, with G - 1 df."""
    y, arm, x, clusters = sample()
    here = g_computation(y, arm, x, None, clusters, names=NAMES, estimand="ATE", kind="CR1")
    drawn = g_computation(y, arm, x, None, clusters, names=NAMES, estimand="ATE", covariates_sampled=True)
    assert here.effect.value == drawn.effect.value
    assert drawn.covariates_sampled
    assert drawn.effect.df == 19
    by_row = g_computation(y, arm, x, None, None, names=NAMES, estimand="ATE", covariates_sampled=True).effect
    fixed = g_computation(y, arm, x, None, None, names=NAMES, estimand="ATE", kind="CR1").effect
    assert by_row.std_error > fixed.std_error


def test_a_population_of_one_s_own() -> None:
    """Weights make arms comparable, `target` says over whom the effect is averaged."""
    y, arm, x, clusters = sample()
    w = np.where(arm, 1.0, np.random.default_rng(3).uniform(0.2, 3, y.size))
    everyone = g_computation(y, arm, x, w, clusters, names=NAMES, estimand="ATE", target=np.ones(y.size))
    parts = {
        estimand: g_computation(y, arm, x, w, clusters, names=NAMES, estimand=estimand, target=np.ones(y.size))
        for estimand in ("ATT", "ATC")
    }
    share = arm.mean()
    mixed = share * parts["ATT"].effect.value + (1 - share) * parts["ATC"].effect.value
    assert everyone.effect.value == pytest.approx(mixed, rel=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50), scale=st.floats(0.1, 20))
def test_invariances(seed: int, shift: float, scale: float) -> None:
    """Order of rows, names of clusters, units of outcome and covariates, and swapped arms change what they should."""
    y, arm, x, clusters = sample(seed)
    rng = np.random.default_rng(seed)
    plain = g_computation(y, arm, x, None, clusters, names=NAMES).effect
    order, relabel = rng.permutation(y.size), rng.permutation(20) + 7
    moved = g_computation(
        shift + scale * y[order], arm[order], 3 - 2 * x[order], None, relabel[clusters[order]], names=NAMES
    ).effect
    assert (moved.value, moved.std_error, moved.df) == pytest.approx(
        (scale * plain.value, scale * plain.std_error, plain.df), rel=1e-6
    )
    swapped = g_computation(y, ~arm, x, None, clusters, names=NAMES, estimand="ATC").effect
    assert (swapped.value, swapped.std_error, swapped.df) == pytest.approx(
        (-plain.value, plain.std_error, plain.df), rel=1e-8
    )


@pytest.mark.parametrize("family", ["linear", "logistic"])
def test_weights_count_rows(family: Any) -> None:
    """A row of weight 2 is two rows of one cluster under CR0 and CR1; rows of weight 0 are not there."""
    y, arm, x, _ = sample(5, events=family == "logistic")
    own, twice = np.arange(y.size), np.arange(y.size) % 3 == 0
    left_out = np.arange(y.size) % 7 == 6
    w = np.where(left_out, 0.0, np.where(twice, 2.0, 1.0))
    rows = np.r_[own[~left_out], own[twice & ~left_out]]
    for kind in ("CR0", "CR1"):
        weighted = g_computation(y, arm, x, w, own, names=NAMES, family=family, kind=kind)  # type: ignore[arg-type]
        repeated = g_computation(y[rows], arm[rows], x[rows], None, rows, names=NAMES, family=family, kind=kind)  # type: ignore[arg-type]
        assert weighted.effect.value == pytest.approx(repeated.effect.value, rel=1e-9)
        assert weighted.effect.std_error == pytest.approx(repeated.effect.std_error, rel=1e-8)
        assert weighted.n_clusters == repeated.n_clusters


def test_terms_that_repeat_others_are_named() -> None:
    """A covariate that is the sum of two others is dropped with its product; the effect does not move."""
    y, arm, x, clusters = sample()
    plain = g_computation(y, arm, x, None, clusters, names=NAMES)
    more = g_computation(y, arm, np.column_stack([x, x.sum(axis=1)]), None, clusters, names=(*NAMES, "sum"))
    assert more.aliased == ("sum", "treatment x sum")
    assert more.effect.value == pytest.approx(plain.effect.value, rel=1e-9)
    assert more.effect.std_error == pytest.approx(plain.effect.std_error, rel=1e-9)


Y, ARM, X, CLUSTERS = sample()
EVENTS = sample(events=True)[0]
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "one arm": ("estimation.empty_arm", {"treated": np.ones(200, dtype=bool)}),
    "an arm without weight": ("estimation.empty_arm", {"weights": ARM.astype(float)}),
    "a missing outcome": ("estimation.not_finite", {"outcome": np.where(np.arange(200) == 3, np.nan, Y)}),
    "a missing covariate": ("estimation.not_finite", {"covariates": np.where(np.eye(200, 2) == 1, np.nan, X)}),
    "one outcome": ("estimation.constant_outcome", {"outcome": np.ones(200)}),
    "one cluster": ("estimation.too_few_clusters", {"clusters": np.zeros(200, dtype=int)}),
    "one cluster, sampled": (
        "estimation.too_few_clusters",
        {"clusters": np.zeros(200, dtype=int), "covariates_sampled": True},
    ),
    "a misspelt product": ("estimation.unknown_covariate", {"interactions": ("c",)}),
    "nobody to average over": ("estimation.empty_population", {"target": np.zeros(200)}),
    "a negative target": ("estimation.weights", {"target": -np.ones(200)}),
    "a rating as an event": ("estimation.not_binary", {"family": "logistic"}),
    "events told apart": ("estimation.outcome_separated", {"outcome": (X[:, 0] > 0) * 1.0, "family": "logistic"}),
    "an arm without events": ("estimation.constant_outcome", {"outcome": EVENTS * ARM, "family": "logistic"}),
    "an arm alike": ("estimation.constant_outcome", {"outcome": np.where(ARM, Y, 1.0)}),
    "no noise": ("estimation.no_standard_error", {"outcome": ARM + X[:, 0]}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refusals(reason: str) -> None:
    """What no honest number can come of is refused with a code of its own, never with somebody's value."""
    code, changes = REFUSED[reason]
    arguments = {"outcome": Y, "treated": ARM, "covariates": X, "weights": None, "clusters": CLUSTERS, "names": NAMES}
    with pytest.raises(EstimationError) as refusal:
        g_computation(**(arguments | changes))
    assert refusal.value.code == code


@pytest.mark.parametrize("family", ["linear", "logistic"])
def test_a_population_nobody_in_an_arm_resembles(family: Any) -> None:
    """Where no treated person has b = 1, the effect of treatment on people with b = 1 cannot be said."""
    y, arm, x, clusters = sample(events=family == "logistic")
    arm = arm & (x[:, 1] == 0)
    g_computation(y, arm, x, None, clusters, names=NAMES, family=family)  # nobody treated has b = 1: fine
    with pytest.raises(EstimationError, match="only one of the groups varies in b:") as refusal:
        g_computation(y, arm, x, None, clusters, names=NAMES, family=family, estimand="ATE")
    assert refusal.value.code == "estimation.not_estimable"


def test_covariates_that_do_not_fit() -> None:
    """A wrong number of names is a mistake of the caller's."""
    with pytest.raises(ValueError, match="do not fit"):
        g_computation(Y, ARM, X, None, CLUSTERS, names=("a",))


def clinicians(rng: np.random.Generator, groups: int, size: int) -> Sample:
    """Rows of clinicians who differ in whom they treat and in outcomes; the effect is 1 + x/2 on x."""
    of = np.repeat(np.arange(groups), size)
    habit = rng.normal(size=groups)
    x = np.column_stack([rng.normal(size=of.size) + 0.3 * habit[of], habit[of]])
    arm = rng.random(of.size) < expit(0.5 * x[:, 0] + 0.5 * x[:, 1] - 0.5)
    y = x @ [0.7, 0.4] + arm * (1 + 0.5 * x[:, 0]) + 0.5 * rng.normal(size=groups)[of] + rng.normal(size=of.size)
    return y, arm, x, of


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_recovery_with_clinicians(estimand: Any) -> None:
    """In 400 samples of 20 clinicians the mean error is 0 and 95% intervals cover 95%, both to 3.5 Monte Carlo errors.

    The truth is that of the sample's own people: its covariates are not what the interval is about.
    """
    rng = np.random.default_rng(7)
    errors, covered, repeats = [], 0, 400
    for _ in range(repeats):
        y, arm, x, clusters = clinicians(rng, 20, 12)
        effect = g_computation(y, arm, x, None, clusters, names=NAMES, estimand=estimand).effect
        truth = 1 + 0.5 * (x[arm, 0] if estimand == "ATT" else x[:, 0]).mean()
        errors.append(effect.value - truth)
        covered += effect.lower <= truth <= effect.upper
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / np.sqrt(repeats)
    assert abs(covered / repeats - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / repeats)
