"""Entropy balancing: exact balance or a refusal that names why, the optimum itself, and what it does not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import expit

from causal.design.weighting.entropy import EntropyEstimand, entropy_weights
from causal.design.weighting.weights import Nuisance, effective_sample_size
from causal.errors import DesignError

NAMES = ("a", "b", "c")
ESTIMANDS: tuple[EntropyEstimand, ...] = ("ATT", "ATC", "ATE")


def sample(seed: int, n: int = 300, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two continuous covariates and an indicator; the larger the shift the less the groups overlap."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.exponential(size=n), rng.random(n) < 0.3]).astype(float)
    treated = rng.random(n) < expit(shift * (x[:, 0] - 0.5 * x[:, 1] + x[:, 2]) - 0.5)
    treated[:2] = [True, False]
    return x, treated


def gap(x: np.ndarray, treated: np.ndarray, w: np.ndarray) -> float:
    """Largest difference between weighted group means, in standard deviations."""
    one, zero = (np.average(x[arm], axis=0, weights=w[arm]) for arm in (treated, ~treated))
    return float(np.abs((one - zero) / x.std(axis=0)).max())


def reachable(x: np.ndarray, treated: np.ndarray) -> bool:
    """Whether positive weights of the comparisons have the treated means, by the primal linear programme.

    Largest t with weights of at least t that sum to 1 and have the means: above 0 exactly when a solution exists.
    """
    z = (x - x[treated].mean(axis=0))[~treated] / x.std(axis=0)
    n = len(z)
    equal = np.column_stack([np.vstack([z.T, np.ones(n)]), np.zeros(z.shape[1] + 1)])
    solution = linprog(
        np.r_[np.zeros(n), -1.0],
        A_eq=equal,
        b_eq=np.r_[np.zeros(z.shape[1]), 1.0],
        A_ub=np.column_stack([-np.eye(n), np.ones(n)]),
        b_ub=np.zeros(n),
        bounds=[(0, None)] * n + [(None, None)],
    )
    return bool(solution.status == 0 and solution.x[-1] > 1e-9)


def test_by_hand() -> None:
    """Comparisons at 0, 1, 2 and treated at 1.5: weights in geometric progression with mean 1.5 (a quadratic root)."""
    x, treated = np.array([[0.0], [1], [2], [1.5], [1.5]]), np.array([False, False, False, True, True])
    found = entropy_weights(x, treated, names=["a"])
    ratio = (1 + np.sqrt(13)) / 2  # (r + 2 r^2)/(1 + r + r^2) = 3/2
    expected = np.array([1, ratio, ratio**2])
    np.testing.assert_allclose(found.weight[:3], 2 * expected / expected.sum(), rtol=1e-12)
    assert found.weight[3:].tolist() == [1.0, 1.0]
    assert (found.estimand, found.estimand_note, found.method) == ("ATT", "", "entropy balancing of means")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(12, 60), st.floats(0.5, 6))
def test_balances_exactly_or_refuses_rightly(seed: int, n: int, shift: float) -> None:
    """Means agree to 1e-8 when the primal programme has a solution; otherwise it is refused by name."""
    x, treated = sample(seed, n, shift)
    if (x.std(axis=0) == 0).any():
        return
    if reachable(x, treated):
        weights = entropy_weights(x, treated, names=NAMES).weight
        assert gap(x, treated, weights) < 1e-8
        assert weights.min() > 0
        assert weights[~treated].sum() == pytest.approx(treated.sum())
    else:
        with pytest.raises(DesignError, match=r"design\.cannot_balance.*overlap in [abc]"):
            entropy_weights(x, treated, names=NAMES)


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize(("moments", "interactions"), [(1, False), (2, True), (3, False)])
def test_moments_and_products_agree(estimand: EntropyEstimand, moments: int, interactions: bool) -> None:
    """Every power and product asked for agrees, with the target's own mean, in raw units."""
    x, treated = sample(3, 1000)
    w = entropy_weights(x, treated, names=NAMES, estimand=estimand, moments=moments, interactions=interactions).weight
    raw = np.column_stack(
        [x**power for power in range(1, moments + 1)]
        + [x[:, [i]] * x[:, [j]] for i, j in ((0, 1), (0, 2), (1, 2)) if interactions]
    )
    target = {"ATT": raw[treated], "ATC": raw[~treated], "ATE": raw}[estimand]
    for arm in (treated, ~treated):
        found = np.average(raw[arm], axis=0, weights=w[arm])
        assert np.abs((found - target.mean(axis=0)) / raw.std(axis=0)).max() < 1e-8


def test_is_the_constrained_optimum() -> None:
    """Of 200 other weights with the same means none has less sum w log(w/b), and log(w/b) is linear in the terms.

    The second is the Karush-Kuhn-Tucker condition, sufficient because the problem is convex.
    """
    x, treated = sample(4, 40)
    rng = np.random.default_rng(1)
    base = rng.uniform(0.5, 2, 40)
    w = entropy_weights(x, treated, names=NAMES, base_weights=base).weight[~treated]
    terms, b = np.column_stack([np.ones(40), x])[~treated], base[~treated]
    coefficients = np.linalg.lstsq(terms, np.log(w / b), rcond=None)[0]
    np.testing.assert_allclose(np.log(w / b), terms @ coefficients, atol=1e-9)
    for _ in range(200):
        other = rng.normal(size=w.size)
        other -= terms @ np.linalg.lstsq(terms, other, rcond=None)[0]  # keeps every weighted sum
        moved = w + 0.5 * other * (w / np.abs(other)).min()
        assert moved @ np.log(moved / b) > w @ np.log(w / b)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ESTIMANDS))
def test_units_order_and_repetition_do_not_matter(seed: int, estimand: EntropyEstimand) -> None:
    """Affine recoding of covariates, permuting rows and doubling every row leave the weights as they are."""
    x, treated = sample(seed, 200, 0.5)
    weights = entropy_weights(x, treated, names=NAMES, estimand=estimand).weight
    rng = np.random.default_rng(seed)
    recoded = (x @ (np.eye(3) + 0.3 * rng.random((3, 3)))) * [1e-3, 1e4, 1] + [5, 2000, -1]
    np.testing.assert_allclose(
        entropy_weights(recoded, treated, names=NAMES, estimand=estimand).weight, weights, rtol=1e-7
    )
    order = rng.permutation(200)
    np.testing.assert_allclose(
        entropy_weights(x[order], treated[order], names=NAMES, estimand=estimand).weight, weights[order], rtol=1e-7
    )
    twice = entropy_weights(np.vstack([x, x]), np.r_[treated, treated], names=NAMES, estimand=estimand).weight
    np.testing.assert_allclose(twice, np.r_[weights, weights], rtol=1e-7)


def test_base_weights_count_rows() -> None:
    """A comparison with base weight 2 weighs what two equal comparisons with base weight 1 weigh together."""
    x, treated = sample(6)
    base = np.where(np.arange(300) % 3 == 0, 2.0, 1.0)
    weighted = entropy_weights(x, treated, names=NAMES, base_weights=base).weight
    repeated = np.flatnonzero((base == 2) & ~treated)
    copies = entropy_weights(np.vstack([x, x[repeated]]), np.r_[treated, treated[repeated]], names=NAMES).weight
    together = copies[:300].copy()
    together[repeated] += copies[300:]
    np.testing.assert_allclose(weighted[~treated], together[~treated], rtol=1e-8)
    assert entropy_weights(x, treated, names=NAMES, base_weights=7 * np.ones(300)).weight == pytest.approx(
        entropy_weights(x, treated, names=NAMES).weight, rel=1e-8
    )


def test_redundant_terms_are_harmless() -> None:
    """Repeating a covariate, or adding both indicators of a yes-or-no one, changes nothing and keeps the nuisance."""
    x, treated = sample(7)
    plain = entropy_weights(x, treated, names=NAMES)
    more = entropy_weights(
        np.column_stack([x, x[:, 0] * 2 + 1, 1 - x[:, 2]]), treated, names=[*NAMES, "d", "e"], moments=1
    )
    np.testing.assert_allclose(more.weight, plain.weight, rtol=1e-8)
    assert plain.nuisance is not None
    assert more.nuisance is not None
    assert more.nuisance.jacobian.shape == plain.nuisance.jacobian.shape


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_nuisance_solves_and_differentiates(estimand: EntropyEstimand) -> None:
    """Estimating functions sum to 0; adding a little weight to one row moves the weights as they predict."""
    x, treated = sample(8, 120)
    plain = entropy_weights(x, treated, names=NAMES, estimand=estimand)
    found = plain.nuisance
    assert isinstance(found, Nuisance)
    assert np.abs(found.psi.sum(axis=0)).max() < 1e-8
    # One more copy of the row, 1/1000 of a row in weight: 1000 copies of everything and one extra.
    many, row = 1000, 17
    stacked, arms = np.vstack([np.tile(x, (many, 1)), x[row]]), np.r_[np.tile(treated, many), treated[row]]
    moved = entropy_weights(stacked, arms, names=NAMES, estimand=estimand).weight[:120]
    predicted = -found.gradient @ np.linalg.solve(found.jacobian, found.psi[row]) / many
    np.testing.assert_allclose(moved - plain.weight, predicted, atol=2e-2 * np.abs(predicted).max())


def test_clusters_are_balanced_within() -> None:
    """With cluster codes the weights of both groups sum alike in every cluster, and covariates still agree."""
    x, treated = sample(9, 600)
    clusters = np.random.default_rng(1).integers(0, 6, 600)
    w = entropy_weights(x, treated, names=NAMES, clusters=clusters)
    sums = [np.bincount(clusters[arm], weights=w.weight[arm]) for arm in (treated, ~treated)]
    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-9)
    assert gap(x, treated, w.weight) < 1e-8
    assert w.method == "entropy balancing of means, within clusters"
    clusters[treated] = np.minimum(clusters[treated], 4)
    with pytest.raises(DesignError, match=r"design\.cluster_one_arm.*1 of 6 clusters"):
        entropy_weights(x, treated, names=NAMES, clusters=clusters)


def test_large_samples_start_from_a_part() -> None:
    """From 200,000 rows the search starts on every so-manyth row; the answer balances, and order does not matter."""
    x, treated = sample(10, 250_000)
    w = entropy_weights(x, treated, names=NAMES, nuisance=False).weight
    assert gap(x, treated, w) < 1e-9
    order = np.argsort(treated, kind="stable")
    np.testing.assert_allclose(
        entropy_weights(x[order], treated[order], names=NAMES, nuisance=False).weight, w[order], rtol=1e-8
    )


def test_names_what_cannot_be_balanced() -> None:
    """Those without overlap are named, no others: beyond the comparisons' range, constant in the treated, or both."""
    x, treated = sample(11)
    beyond, constant = x.copy(), x.copy()
    beyond[treated, 1] += 100
    constant[treated, 2] = 1.0
    both = np.column_stack([x[:, 0], beyond[:, 1], constant[:, 2]])
    for covariates, name in ((beyond, "b"), (constant, "c"), (both, "b, c")):
        with pytest.raises(DesignError, match=rf"design\.cannot_balance.*do not overlap in {name}\. Fix"):
            entropy_weights(covariates, treated, names=NAMES)


def test_a_far_occasion_is_no_refusal() -> None:
    """One comparison far out makes a wide range of weights, which is checked, and balanced all the same."""
    x, treated = sample(12)
    x[np.flatnonzero(~treated)[0], 1] = 200.0
    w = entropy_weights(x, treated, names=NAMES).weight
    assert gap(x, treated, w) < 1e-8
    assert w.min() < 1e-8
    assert effective_sample_size(w[~treated]) > 20


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"treated": np.zeros(300, dtype=bool)}, "design.no_treated"),
        ({"treated": np.ones(300, dtype=bool)}, "design.no_comparison"),
        ({"covariates": np.full((300, 3), np.nan)}, "design.not_finite"),
        ({"covariates": np.full((300, 3), np.inf)}, "design.not_finite"),
        ({"covariates": np.ones((300, 3))}, "design.constant_covariate"),
        ({"base_weights": np.zeros(300)}, "design.base_weights"),
        ({"base_weights": np.full(300, np.nan)}, "design.base_weights"),
        ({"moments": 4}, "design.moments"),
        ({"memory": 1e-6}, "design.memory"),
    ],
)
def test_refusals(change: dict[str, Any], code: str) -> None:
    """Empty groups, values that cannot be balanced and options without a meaning are refused."""
    x, treated = sample(13)
    with pytest.raises(DesignError) as caught:
        entropy_weights(**({"covariates": x, "treated": treated, "names": NAMES} | change))
    assert caught.value.code == code


def test_overlap_population_is_both_groups_target() -> None:
    """Under the ATO both groups get the means of everyone weighted by e(1 - e); a logistic e leaves nothing to do."""
    from causal.design.propensity.fit import fit_propensity
    from causal.design.weighting.propensity_weights import propensity_weights

    rng = np.random.default_rng(11)
    x = rng.normal(size=(500, 3))
    arm = rng.random(500) < 1 / (1 + np.exp(0.8 - x[:, 0]))
    fitted = fit_propensity(x, arm, names=["a", "b", "c"])
    part = fitted.probability * (1 - fitted.probability)
    w = entropy_weights(x, arm, names=["a", "b", "c"], estimand="ATO", overlap=part)
    target = np.average(x, axis=0, weights=part)
    for side in (arm, ~arm):
        np.testing.assert_allclose(np.average(x[side], axis=0, weights=w.weight[side]), target, atol=1e-9)
    assert (w.estimand, w.nuisance) == ("ATO", None)
    overlap = propensity_weights(arm, logit=fitted.logit, estimand="ATO").weight
    between = [np.average(x[arm], axis=0, weights=v[arm]) - np.average(x[~arm], axis=0, weights=v[~arm])
               for v in (w.weight, overlap)]  # fmt: skip
    np.testing.assert_allclose(between, 0, atol=1e-8)


def test_overlap_population_needs_its_parts() -> None:
    """No parts is a mistake of the caller; negative ones are refused."""
    x, arm = np.array([[0.0], [1], [2], [1.5]]), np.array([False, False, True, True])
    with pytest.raises(ValueError, match="overlap population"):
        entropy_weights(x, arm, names=["a"], estimand="ATO")
    with pytest.raises(DesignError, match=r"^\[design\.probability\]"):
        entropy_weights(x, arm, names=["a"], estimand="ATO", overlap=np.array([-1.0, 1, 1, 1]))
