"""Propensity scores: closed forms, refusals, separation, invariance."""

from __future__ import annotations

import numpy as np
import pytest

from causal.design.propensity import logistic
from causal.design.propensity.fit import fit_propensity
from causal.design.propensity.model import PropensityModel
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


@pytest.mark.parametrize(
    ("events", "model"),
    [
        (900, PropensityModel()),
        (40, PropensityModel()),
        (900, PropensityModel(kind="elastic_net", penalty=0.01)),
        (900, PropensityModel(splines=("a", "b"), interactions=(("a", "c"),))),
    ],
    ids=["likelihood", "Firth", "elastic net", "terms"],
)
def test_order_of_rows_and_ties(events: int, model: PropensityModel) -> None:
    """Equal covariates tie exactly wherever they stand, so the tie rule can work; shuffled rows keep their scores."""
    rng = np.random.default_rng(9)
    kind = rng.integers(0, 40, 3001)
    x, y = rng.normal(size=(40, 7))[kind], rng.permutation(3001) < events
    fit = fit_propensity(x, y, names=list("abcdefg"), model=model)
    assert all(np.unique(fit.logit[kind == k]).size == 1 for k in range(40))
    order = rng.permutation(3001)
    shuffled = fit_propensity(x[order], y[order], names=list("abcdefg"), model=model)
    np.testing.assert_allclose(shuffled.logit, fit.logit[order], atol=1e-8)


@pytest.mark.slow
def test_large_fits_are_exact() -> None:
    """A hundred thousand occasions by thirty covariates solve the score equations to rounding."""
    x, y = drawn(100_000, 30, share=0.05)
    fit = fit_propensity(x, y, names=[f"c{j}" for j in range(30)])
    assert np.abs(x.T @ (y - fit.probability)).max() < 1e-7


def test_a_known_sampling_fraction_is_taken_out() -> None:
    """With a fraction f of comparisons kept and offset -log f, the slopes and the intercept are the population's."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200_000, 1))
    y = rng.random(200_000) < 1 / (1 + np.exp(4 - x[:, 0]))
    fraction = 0.05
    kept = y | (rng.random(200_000) < fraction)
    everyone = fit_propensity(x, y, names=["severity"])
    sample = fit_propensity(x[kept], y[kept], names=["severity"], offset=np.full(kept.sum(), -np.log(fraction)))
    without = fit_propensity(x[kept], y[kept], names=["severity"])
    assert sample.intercept == pytest.approx(everyone.intercept, abs=0.06)
    assert sample.intercept == pytest.approx(without.intercept + np.log(fraction), abs=1e-8)  # King & Zeng, equation 7
    np.testing.assert_allclose(sample.logit, without.logit, atol=1e-8)


def test_an_offset_by_stratum_solves_the_score_equations() -> None:
    """Whatever the offset, residuals are orthogonal to the design and the log odds contain the offset."""
    x, y = drawn(700, 2)
    offset = np.random.default_rng(2).normal(size=700)
    fit = fit_propensity(x, y, names=["a", "b"], offset=offset)
    assert np.abs(np.column_stack([np.ones(700), x]).T @ (y - fit.probability)).max() < 1e-9
    np.testing.assert_allclose(fit.logit, offset + fit.intercept + x @ fit.coefficients, atol=1e-10)


def test_person_months_give_the_survival_of_kaplan_and_meier() -> None:
    """With an indicator for every month the pooled hazards are events over those at risk, month by month."""
    rng = np.random.default_rng(3)
    month_of_event = np.minimum(rng.geometric(0.15, 500), 13)  # 13: none within the year
    person, month = np.nonzero(np.arange(1, 13) <= month_of_event[:, None])
    treated = month_of_event[person] == month + 1
    indicators = (month[:, None] == np.arange(1, 12)).astype(float)
    fit = fit_propensity(indicators, treated, names=[f"month {m}" for m in range(2, 13)])
    hazard = np.array([treated[month == m].mean() for m in range(12)])
    np.testing.assert_allclose(fit.probability, hazard[month], rtol=1e-8)
    remaining = np.exp(np.bincount(person, weights=np.log1p(-fit.probability)))
    np.testing.assert_allclose(remaining[month_of_event == 13], np.prod(1 - hazard), rtol=1e-8)


def test_a_spline_of_the_month_smooths_the_hazard() -> None:
    """A hazard that rises and falls is followed by five parameters closer than eleven indicators follow it."""
    rng = np.random.default_rng(4)
    truth = 0.03 + 0.1 * np.exp(-(((np.arange(12) - 5) / 3) ** 2))
    person, month = (grid.ravel() for grid in np.meshgrid(np.arange(800), np.arange(12), indexing="ij"))
    treated = rng.random(person.size) < truth[month]
    at_risk = np.concatenate([np.arange(12) <= np.argmax(np.r_[t, True]) for t in treated.reshape(800, 12)])
    model = PropensityModel(splines=("month",), knots=5)
    fit = fit_propensity(month[at_risk, None].astype(float), treated[at_risk], names=["month"], model=model)
    indicators = np.array([treated[at_risk & (month == m)].mean() for m in range(12)])
    smooth = np.array([fit.probability[month[at_risk] == m][0] for m in range(12)])
    assert np.square(smooth - truth).mean() < np.square(indicators - truth).mean()
    assert np.abs(smooth - truth).max() < 0.03


def test_covariance_is_the_inverse_information() -> None:
    """For likelihood and Firth alike: (X'WX)^-1 of the design as given, written out."""
    for share in (0.3, 0.03):
        x, y = drawn(900, 3, share=share, seed=5)
        x = x * [10.0, 0.1, 1.0] + [50.0, 0.0, -3.0]
        fit = fit_propensity(x, y, names=list("abc"))
        design = np.column_stack([np.ones(900), x])
        weight = fit.probability * (1 - fit.probability)
        np.testing.assert_allclose(fit.covariance, np.linalg.inv(design.T @ (design * weight[:, None])), rtol=1e-5)


def test_arguments_that_do_not_fit_are_errors_of_the_caller() -> None:
    """Wrong shapes and arms that are not true and false raise at once; an offset that is not finite is refused."""
    x, y = drawn(100, 2)
    with pytest.raises(ValueError, match="do not fit"):
        fit_propensity(x, y, names=["a"])
    with pytest.raises(ValueError, match="true and false"):
        fit_propensity(x, y.astype(float), names=["a", "b"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="clusters"):
        fit_propensity(x, y, names=["a", "b"], clusters=np.arange(99))
    with pytest.raises(DesignError) as caught:
        fit_propensity(x, y, names=["a", "b"], offset=np.full(100, np.inf))
    assert caught.value.code == "design.not_finite"


def test_all_missing_is_named() -> None:
    """A covariate without a single value is refused by name."""
    x, y = drawn(100, 2)
    x[:, 1] = np.nan
    found = refusal(x, y, ["age", "severity"])
    assert found.code == "design.not_finite"
    assert "severity" in str(found)


def test_no_covariates_give_everybody_the_share() -> None:
    """Without covariates the score is the share treated."""
    fit = fit_propensity(np.empty((50, 0)), np.arange(50) < 20, names=[])
    np.testing.assert_allclose(fit.probability, 0.4, rtol=1e-12)
    assert fit.c_statistic == 0.5
