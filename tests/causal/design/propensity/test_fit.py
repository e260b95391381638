"""Propensity scores: closed forms, refusals, separation, invariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity import logistic
from causal.design.propensity.calibration import c_statistic
from causal.design.propensity.columns import independent_columns
from causal.design.propensity.firth import firth_logistic
from causal.design.propensity.fit import fit_propensity
from causal.errors import DesignError


def drawn(n: int, p: int, *, share: float = 0.3, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw covariates (n, p) and an arm that depends on the first two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    return x, rng.random(n) < 1 / (1 + np.exp(-np.log(share / (1 - share)) - x[:, :2].sum(axis=1) / 2))


def refusal(x: np.ndarray, y: np.ndarray, names: list[str]) -> DesignError:
    """Return the refusal of a fit that must be refused."""
    with pytest.raises(DesignError) as caught:
        fit_propensity(x, y, names=names)
    return caught.value


def test_binary_covariate_gives_the_odds_ratio_of_the_table() -> None:
    """On one binary covariate the slope is the log odds ratio of the 2 x 2 table and the scores are its shares."""
    x = np.repeat([0.0, 0.0, 1.0, 1.0], [60, 20, 30, 50])
    y = np.repeat([False, True, False, True], [60, 20, 30, 50])
    fit = fit_propensity(x[:, None], y, names=["sud"])
    assert fit.coefficients[0] == pytest.approx(np.log((50 / 30) / (20 / 60)), rel=1e-12)
    assert fit.probability[x == 1] == pytest.approx(50 / 80, rel=1e-12)
    assert fit.probability[x == 0] == pytest.approx(20 / 80, rel=1e-12)


@pytest.mark.parametrize(("events", "n"), [(0, 20), (3, 20), (7, 1000)])
def test_firth_intercept_only(events: int, n: int) -> None:
    """Firth's intercept is log((k + 1/2)/(n - k + 1/2)): half an event and half a non-event are added."""
    beta = firth_logistic(np.ones((n, 1)), np.arange(n) < events)
    assert beta[0] == pytest.approx(np.log((events + 0.5) / (n - events + 0.5)), rel=1e-9)


def test_firth_two_by_two() -> None:
    """With one binary covariate Firth adds a half to each cell of the table, a zero cell included."""
    x = np.repeat([0.0, 0.0, 1.0, 1.0], [9, 4, 12, 0])
    y = np.repeat([False, True, False, True], [9, 4, 12, 0])
    beta = firth_logistic(np.column_stack([np.ones(x.size), x]), y)
    assert beta == pytest.approx([np.log(4.5 / 9.5), np.log(0.5 / 12.5) - np.log(4.5 / 9.5)], rel=1e-9)


def test_firth_maximises_its_penalised_likelihood() -> None:
    """A derivative-free search of log L + log|X'WX|/2, written out here, ends at the same coefficients."""
    from scipy.optimize import minimize

    x, y = drawn(60, 2, share=0.2, seed=7)
    design = np.column_stack([np.ones(60), x])

    def objective(beta: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-design @ beta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        return -float(np.log(np.where(y, p, 1 - p)).sum() + np.linalg.slogdet(information)[1] / 2)

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000, "maxfev": 5000}
    searched = minimize(objective, np.zeros(3), method="Nelder-Mead", options=options).x
    assert firth_logistic(design, y) == pytest.approx(searched, abs=1e-6)


def test_firth_serves_rare_events_and_stays_finite_under_separation() -> None:
    """Between 3 and 10 events per parameter the fit is Firth's; a separating covariate is finite and reported."""
    rng = np.random.default_rng(3)
    y = np.arange(400) < 20
    x = np.column_stack([rng.normal(size=(400, 3)), y.astype(float)])
    fit = fit_propensity(x, y, names=["a", "b", "c", "marker"])
    assert fit.method == "Firth"
    assert fit.events_per_parameter == pytest.approx(5.0)
    assert fit.separated == ("marker",)
    assert np.isfinite(fit.logit).all()
    assert np.abs(fit.coefficients).max() < 30


def test_maximum_likelihood_at_ten_events_per_parameter() -> None:
    """Ten events per parameter is enough for maximum likelihood; one event fewer is not."""
    x, _ = drawn(500, 2)
    assert fit_propensity(x, np.arange(500) % 25 == 0, names=["a", "b"]).method == "maximum likelihood"
    assert fit_propensity(x, (np.arange(500) % 25 == 0) & (np.arange(500) > 0), names=["a", "b"]).method == "Firth"


def test_too_few_events_are_refused() -> None:
    """Fewer than three events per parameter fits nothing."""
    x, _ = drawn(300, 4)
    assert refusal(x, np.arange(300) < 11, list("abcd")).code == "design.too_few_events"
    assert fit_propensity(x, np.arange(300) < 12, names=list("abcd")).method == "Firth"


@pytest.mark.parametrize("overlap", [False, True])
def test_one_separating_covariate_is_named(*, overlap: bool) -> None:
    """Complete separation, and a category that occurs in one arm only, are refused with the covariate's name."""
    x, y = drawn(600, 3)
    x[:, 2] = np.where(y, np.random.default_rng(0).random(600) < 0.3, 0.0) if overlap else np.where(y, 2.0, 1.0)
    found = refusal(x, y, ["severity", "tenure", "weapon"])
    assert found.code == "design.separation"
    assert "weapon" in str(found)
    assert "severity" not in str(found)


def test_separation_by_a_combination_is_found_and_named() -> None:
    """Two covariates that separate only together are found after the fit; the third is not blamed."""
    x = np.random.default_rng(5).normal(size=(600, 3))
    found = refusal(x, x[:, 0] + x[:, 2] > 0, ["severity", "tenure", "phq"])
    assert found.code == "design.separation"
    assert "severity, phq" in str(found)
    assert "tenure" not in str(found)


def test_separation_by_the_reference_category_is_found() -> None:
    """A category without treated occasions separates although it has no column of its own."""
    rng = np.random.default_rng(6)
    clinic = rng.integers(0, 3, 600)
    y = (rng.random(600) < 0.4) & (clinic > 0)
    x = np.column_stack([rng.normal(size=600), clinic == 1, clinic == 2]).astype(float)
    found = refusal(x, y, ["severity", "clinic b", "clinic c"])
    assert found.code == "design.separation"
    assert "clinic b, clinic c" in str(found)


def test_one_overlapping_pair_is_not_separation() -> None:
    """As soon as one occasion of each arm overlaps the maximum exists, however steep, and is found."""
    x = np.sort(np.random.default_rng(2).normal(size=200))
    y = np.arange(200) >= 100
    y[[99, 100]] = y[[100, 99]]
    fit = fit_propensity(x[:, None], y, names=["severity"])
    design = np.column_stack([np.ones(200), x])
    assert np.abs(design.T @ (y - fit.probability)).max() < 1e-8
    assert fit.coefficients[0] > 10


def test_empty_arms_are_refused() -> None:
    """No treated and no comparison occasions have codes of their own."""
    x, y = drawn(50, 1)
    assert refusal(x, np.zeros_like(y), ["a"]).code == "design.no_treated"
    assert refusal(x, np.ones_like(y), ["a"]).code == "design.no_comparison"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_values_that_are_not_finite_are_named(bad: float) -> None:
    """Every covariate with a missing, infinite or unsquarable value is named, and only those."""
    x, y = drawn(200, 4)
    x[3, 1], x[7, 3] = bad, bad
    found = refusal(x, y, ["age", "severity", "phq", "tenure"])
    assert found.code == "design.not_finite"
    assert "severity, tenure" in str(found)
    assert "age" not in str(found)


def test_constant_covariates_are_all_named() -> None:
    """Columns with one value are refused together."""
    x, y = drawn(200, 4)
    x[:, [0, 2]] = [5.0, 0.0]
    found = refusal(x, y, ["age", "severity", "phq", "tenure"])
    assert found.code == "design.constant_covariate"
    assert "age, phq" in str(found)


def test_refusals_carry_no_values() -> None:
    """A refusal names columns, never what a patient's column holds."""
    x, y = drawn(200, 2)
    x[5, 0], x[:, 1] = np.inf, 73.25
    assert "73.25" not in str(refusal(x, y, ["age", "severity"]))


def test_aliased_columns_are_dropped_by_name_and_change_nothing() -> None:
    """A sum of earlier columns is dropped, the later one of the two, and the scores stay as they were."""
    x, y = drawn(500, 3)
    plain = fit_propensity(x, y, names=list("abc"))
    repeated = fit_propensity(np.column_stack([x, x[:, 0] - 2 * x[:, 1] + 3]), y, names=["a", "b", "c", "index"])
    assert (repeated.names, repeated.aliased) == (("a", "b", "c"), ("index",))
    np.testing.assert_array_equal(repeated.logit, plain.logit)


def test_units_do_not_matter() -> None:
    """Rescaling and shifting covariates leaves the scores and rescales the slopes."""
    x, y = drawn(500, 3)
    scale, shift = np.array([1e6, 1e-6, 1.0]), np.array([-40.0, 2.0, 1e3])
    plain, other = fit_propensity(x, y, names=list("abc")), fit_propensity(x * scale + shift, y, names=list("abc"))
    np.testing.assert_allclose(other.logit, plain.logit, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(other.coefficients * scale, plain.coefficients, rtol=1e-7)
    assert other.logit == pytest.approx(other.intercept + (x * scale + shift) @ other.coefficients, abs=1e-6)


@pytest.mark.parametrize("treated_share", [0.3, 0.015])
def test_near_repetition_is_not_confused_with_separation(treated_share: float) -> None:
    """A covariate repeated to five digits changes no score, by likelihood or by Firth."""
    x, y = drawn(900, 2, share=treated_share)
    noise = np.random.default_rng(3).normal(size=900)
    apart = fit_propensity(np.column_stack([x, noise]), y, names=list("abc"))
    together = fit_propensity(np.column_stack([x, x[:, 0] + 1e-5 * noise]), y, names=list("abc"))
    assert together.method == ("Firth" if treated_share < 0.1 else "maximum likelihood")
    np.testing.assert_allclose(together.logit, apart.logit, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 10**9])
def test_both_starting_points_reach_the_same_maximum(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Started on every fourth row or from the share treated, the fit solves the score equations to rounding."""
    monkeypatch.setattr(logistic, "START_ROWS", rows)
    x, y = drawn(12_000, 5)
    fit = fit_propensity(x, y, names=list("abcde"))
    assert np.abs(np.column_stack([np.ones(12_000), x]).T @ (y - fit.probability)).max() < 1e-9
    assert refusal(x, x[:, 0] > x[:, 1], list("abcde")).code == "design.separation"


def test_swapped_arms_flip_the_score() -> None:
    """Calling the arms the other way round changes the sign of every log odds."""
    x, y = drawn(500, 3)
    one, other = fit_propensity(x, y, names=list("abc")), fit_propensity(x, ~y, names=list("abc"))
    np.testing.assert_allclose(other.logit, -one.logit, atol=1e-9)
    assert other.c_statistic == pytest.approx(one.c_statistic, abs=1e-9)


def test_equal_covariates_get_equal_scores() -> None:
    """Occasions with the same covariates tie exactly wherever they stand, so the tie rule can work."""
    rng = np.random.default_rng(9)
    kinds = rng.normal(size=(40, 7))
    kind = rng.integers(0, 40, 3001)
    fit = fit_propensity(kinds[kind], rng.random(3001) < 0.3, names=list("abcdefg"))
    assert all(np.unique(fit.logit[kind == k]).size == 1 for k in range(40))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_c_statistic_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    """The rank formula equals counting all pairs, ties half."""
    score, treated = np.array([float(s) for s, _ in rows]), np.array([t for _, t in rows])
    if not treated.any() or treated.all():
        return
    gap = score[treated][:, None] - score[~treated]
    assert c_statistic(score, treated) == pytest.approx(((gap > 0) + (gap == 0) / 2).mean())


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(0, 4))
def test_dropped_columns_are_combinations_of_earlier_ones(seed: int, independent: int, extra: int) -> None:
    """The kept columns have full rank, the rank of all, and each dropped one lies in the span of those before it."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(30, independent))
    columns = [*base.T] + [base @ rng.integers(-2, 3, independent) for _ in range(extra)]
    x = np.column_stack([columns[j] for j in rng.permutation(len(columns))])
    kept = independent_columns(x)
    assert kept.sum() == np.linalg.matrix_rank(x, tol=1e-8) == np.linalg.matrix_rank(x[:, kept], tol=1e-8)
    for j in np.flatnonzero(~kept):
        before = x[:, :j][:, kept[:j]]
        assert np.linalg.norm(x[:, j] - before @ np.linalg.pinv(before) @ x[:, j]) < 1e-8


@pytest.mark.slow
def test_large_fits_are_exact() -> None:
    """A hundred thousand occasions by thirty covariates solve the score equations to rounding."""
    x, y = drawn(100_000, 30, share=0.05)
    fit = fit_propensity(x, y, names=[f"c{j}" for j in range(30)])
    assert np.abs(x.T @ (y - fit.probability)).max() < 1e-7
