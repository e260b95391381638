"""Alpha, omega and item-rest correlations against definitions, closed forms, statsmodels and known truths."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.errors import EstimationError
from causal.measures.reliability import (
    alpha_of,
    cronbach_alpha,
    item_rest,
    mcdonald_omega,
    moments,
    sessions_needed,
    spearman_brown,
)


def one_factor(loadings: list[float], own: list[float], n: int, seed: int) -> np.ndarray:
    """Answers (n, k) = loading x factor + noise of variance `own`."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1)) * loadings + rng.standard_normal((n, len(own))) * np.sqrt(own)


def with_covariance(covariance: np.ndarray, n: int = 60, seed: int = 1) -> np.ndarray:
    """Answers (n, k) whose sample covariance is `covariance`."""
    noise = np.random.default_rng(seed).standard_normal((n, len(covariance)))
    noise -= noise.mean(axis=0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise, rowvar=False)).T)
    return white @ np.linalg.cholesky(covariance).T


def test_alpha_by_hand() -> None:
    """Two items with variances 5/3 and 9/4 whose sum has variance 83/12: 2 (1 - 47/83)."""
    found = cronbach_alpha([[1, 2], [2, 2], [3, 5], [4, 4]])
    assert found.value == pytest.approx(72 / 83, rel=1e-14)
    assert (found.n, found.n_items) == (4, 2)


def test_alpha_of_two_standardised_items_is_spearman_brown() -> None:
    """2 r / (1 + r), Brown (1910)."""
    items = with_covariance(np.array([[1, 0.6], [0.6, 1]]))
    assert cronbach_alpha(items).value == pytest.approx(spearman_brown(0.6, 2), rel=1e-12)


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_alpha_does_not_depend_on_units_or_order(seed: int, shift: float, scale: float) -> None:
    """Y -> a + b y, rows and items in another order, and incomplete rows beside them."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, 6, (30, 4)) + rng.integers(0, 3, (30, 1)).astype(float)
    changed = (shift + scale * items)[rng.permutation(30)][:, rng.permutation(4)]
    gaps = np.vstack([changed, [[np.nan, 1, 1, 1]]])
    assert cronbach_alpha(gaps).value == pytest.approx(cronbach_alpha(items).value, rel=1e-9, abs=1e-12)


def test_the_interval_of_alpha_is_feldts() -> None:
    """1 - (1 - a) F with F(n - 1, (n - 1)(k - 1)), by scipy's own F distribution (Feldt 1965)."""
    from scipy.stats import f

    found = cronbach_alpha(one_factor([1, 1, 1, 1], [1, 1, 1, 1], 40, 2), level=0.9)
    quantiles = f.ppf([0.95, 0.05], 39, 39 * 3)
    np.testing.assert_allclose([found.lower, found.upper], 1 - (1 - found.value) * quantiles, rtol=1e-12)
    assert found.level == 0.9


def test_the_interval_of_alpha_covers_as_often_as_it_says() -> None:
    """800 samples of 40 tau-equivalent normal forms, alpha .8: between .930 and .970 (Monte Carlo error .0077)."""
    covered = 0
    for seed in range(800):
        found = cronbach_alpha(one_factor([1] * 4, [1] * 4, 40, seed))
        covered += found.lower <= 0.8 <= found.upper
    assert 0.95 - 2.6 * 0.0077 < covered / 800 < 0.95 + 2.6 * 0.0077


def test_item_rest_is_the_correlation_with_the_other_items() -> None:
    """As `numpy.corrcoef` gives it; an item that does not vary has none."""
    items = one_factor([1, 0.5, -0.7, 0.2], [1, 1, 1, 1], 50, 3)
    expected = [np.corrcoef(items[:, i], np.delete(items, i, axis=1).sum(axis=1))[0, 1] for i in range(4)]
    np.testing.assert_allclose(item_rest(items), expected, rtol=1e-12)
    items[:, 0] = 3
    assert np.isnan(item_rest(items)).tolist() == [True, False, False, False]


def test_omega_equals_alpha_where_items_are_tau_equivalent() -> None:
    """Equal loadings: omega = alpha = k^2 l^2 / (k^2 l^2 + sum of own variances), McDonald (1999, section 6.3)."""
    covariance = np.full((5, 5), 0.64) + np.diag([0.36, 0.5, 0.8, 0.2, 0.4])
    items = with_covariance(covariance)
    truth = 25 * 0.64 / (25 * 0.64 + 2.26)
    found = mcdonald_omega(items)
    assert found.value == pytest.approx(truth, rel=1e-6)
    assert found.value == pytest.approx(cronbach_alpha(items).value, rel=1e-6)
    np.testing.assert_allclose(found.loadings, 0.8, rtol=1e-5)
    np.testing.assert_allclose(found.uniquenesses, [0.36, 0.5, 0.8, 0.2, 0.4], rtol=1e-5)


def test_omega_of_congeneric_items_is_the_closed_form_and_above_alpha() -> None:
    """Unequal loadings recovered from their covariance; alpha is lower (Novick & Lewis 1967)."""
    loadings, own = np.array([0.9, 0.7, 0.5, 0.8]), np.array([0.3, 0.5, 0.9, 0.4])
    items = with_covariance(np.outer(loadings, loadings) + np.diag(own))
    found = mcdonald_omega(items)
    assert found.value == pytest.approx(loadings.sum() ** 2 / (loadings.sum() ** 2 + own.sum()), rel=1e-6)
    assert cronbach_alpha(items).value < found.value - 0.005


@pytest.mark.parametrize("seed", range(4))
def test_omega_agrees_with_statsmodels(seed: int) -> None:
    """Loadings and uniquenesses of statsmodels' maximum-likelihood factor model, in the units of the items."""
    from statsmodels.multivariate.factor import Factor

    items = np.round(3 + one_factor([0.9, 0.7, 0.5, 0.8, 0.6], [0.4, 0.5, 0.9, 0.4, 0.7], 200, seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels' own, about the last digits of convergence and about pandas
        fit = Factor(items, n_factor=1, method="ml").fit(opt={"gtol": 1e-9, "maxiter": 1000}, maxiter=1000)
    sd = items.std(axis=0, ddof=1)
    found = mcdonald_omega(items)
    np.testing.assert_allclose(found.loadings, np.abs(fit.loadings[:, 0]) * sd, atol=2e-4)
    np.testing.assert_allclose(found.uniquenesses, fit.uniqueness * sd**2, atol=5e-4)


def test_omega_recovers_the_truth() -> None:
    """60 samples of 300 forms: the mean is within 2.6 Monte Carlo errors of the truth, less a bias below .002."""
    loadings, own = [0.9, 0.7, 0.5, 0.8], [0.3, 0.5, 0.9, 0.4]
    truth = sum(loadings) ** 2 / (sum(loadings) ** 2 + sum(own))
    found = np.array([mcdonald_omega(one_factor(loadings, own, 300, seed)).value for seed in range(60)])
    assert abs(found.mean() - truth) < 2.6 * found.std() / np.sqrt(60) + 0.002


def test_sessions_needed_by_spearman_and_brown() -> None:
    """One session of .77 needs a second one for .80; .77 x 2 / 1.77 = .870."""
    assert round(spearman_brown(0.77, 2), 4) == 0.8701
    assert sessions_needed(0.77, 0.80) == 2
    assert sessions_needed(0.77, 0.77) == 1


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_sessions_needed_is_the_fewest(single: float, target: float) -> None:
    """That many reach the target, and one fewer does not."""
    times = sessions_needed(single, target)
    assert spearman_brown(single, times) >= target
    assert times == 1 or spearman_brown(single, times - 1) < target


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([[1], [2]], "estimation.too_few_items"),
        ([[1, 2], [np.nan, 2]], "estimation.too_few_forms"),
        ([[1, 3], [2, 2], [3, 1]], "estimation.no_spread"),
    ],
)
def test_alpha_is_refused(items: list[list[float]], code: str) -> None:
    """One item, one whole form, one total."""
    with pytest.raises(EstimationError) as refusal:
        cronbach_alpha(items)
    assert refusal.value.code == code


def test_omega_is_refused() -> None:
    """Two items, an item with one answer, an item that is another, and one that the factor would explain whole."""
    items = one_factor([1, 1, 1], [1, 1, 1], 50, 1)
    heywood = with_covariance(np.array([[1, 0.9, 0.8], [0.9, 1, 0.6], [0.8, 0.6, 1]]))
    cases = [
        (items[:, :2], "estimation.too_few_items"),
        (np.column_stack([items, np.ones(50)]), "estimation.no_spread"),
        (np.column_stack([items, items[:, 0]]), "estimation.singular_covariance"),
        (heywood, "estimation.heywood"),
    ]
    for matrix, code in cases:
        with pytest.raises(EstimationError) as refusal:
            mcdonald_omega(matrix)
        assert refusal.value.code == code


@pytest.mark.parametrize(("reliability", "times"), [(-0.1, 2), (1.1, 2), (0.5, 0)])
def test_spearman_brown_needs_a_reliability(reliability: float, times: float) -> None:
    """Outside [0, 1], or no sessions."""
    with pytest.raises(ValueError, match="expected 0 <= reliability <= 1"):
        spearman_brown(reliability, times)


def test_moments_are_those_of_the_covariance_matrix() -> None:
    """Variances, row sums and total of `numpy.cov`."""
    items = one_factor([1, 2, 3], [1, 1, 1], 30, 5)
    covariance, found = np.cov(items, rowvar=False), moments(items)
    np.testing.assert_allclose(found.item, np.diag(covariance), rtol=1e-12)
    np.testing.assert_allclose(found.with_total, covariance.sum(axis=0), rtol=1e-12)
    assert found.total == pytest.approx(covariance.sum(), rel=1e-12)
    assert alpha_of(found) == cronbach_alpha(items).value
