"""The model for any design: values by hand, what is dropped, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causal.effect.repeated.mmrm import mmrm
from causal.effect.repeated.structures import STRUCTURES, Structure
from causal.errors import EstimationError


def test_complete_visits_give_the_sample_covariance() -> None:
    """Without missed visits the unstructured REML covariance is that of the residuals, divisor n - 1."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=(12, 4)) @ rng.normal(size=(4, 4))
    fit = mmrm(
        np.tile(np.eye(4), (12, 1)),
        y.ravel(),
        subjects=np.repeat(np.arange(12), 4),
        visits=np.tile(np.arange(4), 12),
        n_visits=4,
    )
    np.testing.assert_allclose(fit.covariance[0], np.cov(y.T), rtol=1e-7)
    np.testing.assert_allclose(fit.coefficients, y.mean(axis=0), rtol=1e-10)
    assert (fit.n_subjects, fit.n_scores, fit.aliased) == (12, 48, ())


def test_balanced_compound_symmetry_is_analysis_of_variance() -> None:
    """The fitted variances are the method-of-moments ones, and a change within subjects has (n-1)(T-1) df."""
    rng = np.random.default_rng(8)
    n, t = 10, 4
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, t))
    fit = mmrm(
        np.tile(np.eye(t), (n, 1)),
        y.ravel(),
        subjects=np.repeat(np.arange(n), t),
        visits=np.tile(np.arange(t), n),
        n_visits=t,
        structure="compound_symmetry",
    )
    r = y - y.mean(axis=0)
    between = t * (r.mean(axis=1) ** 2).sum() / (n - 1)
    within = ((r - r.mean(axis=1, keepdims=True)) ** 2).sum() / ((n - 1) * (t - 1))
    assert fit.covariance[0, 0, 0] - fit.covariance[0, 0, 1] == pytest.approx(within, rel=1e-8)
    assert fit.covariance[0, 0, 0] + (t - 1) * fit.covariance[0, 0, 1] == pytest.approx(between, rel=1e-8)
    change = fit.contrast(np.array([-1.0, 0, 0, 1]), "change")
    assert change.std_error == pytest.approx(np.sqrt(2 * within / n), rel=1e-8)
    assert change.df == pytest.approx((n - 1) * (t - 1), rel=1e-7)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_order_of_rows_and_names_of_subjects_do_not_matter(small: Any, structure: Structure) -> None:
    """Rows in any order, subjects by any code: the same fit."""
    order = np.random.default_rng(9).permutation(small.y.size)
    names = np.random.default_rng(10).permutation(1000)[: small.subject.max() + 1]
    mixed = replace(
        small,
        x=small.x[order],
        y=small.y[order],
        subject=names[small.subject[order]],
        visit=small.visit[order],
        weight=small.weight[order],
        group=small.group[order],
    )
    one, two = small.fit(structure), mixed.fit(structure)
    np.testing.assert_allclose(two.coefficients, one.coefficients, rtol=1e-8)
    np.testing.assert_allclose(two.covariance, one.covariance, rtol=1e-6, atol=1e-8)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-10)


def test_weights_are_inverse_variances(small: Any) -> None:
    """Rows multiplied by the root of their weight and unweighted rows give the same estimates and covariance."""
    root = np.sqrt(small.weight)
    plain = replace(small, x=small.x * root[:, None], y=small.y * root, weight=np.ones_like(root))
    one, two = small.fit("unstructured"), plain.fit("unstructured")
    np.testing.assert_allclose(one.coefficients, two.coefficients, rtol=1e-9)
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-7)
    assert one.log_likelihood == pytest.approx(two.log_likelihood + np.log(small.weight).sum() / 2, rel=1e-9)


def test_rows_without_weight_or_score_are_as_if_absent(small: Any) -> None:
    """Weight 0 and a missing score leave the row out."""
    rows = replace(
        small,
        x=np.vstack([small.x, small.x[:2]]),
        y=np.append(small.y, [np.nan, 99.0]),
        subject=np.append(small.subject, [500, 501]),
        visit=np.append(small.visit, [0, 0]),
        weight=np.append(small.weight, [1.0, 0.0]),
        group=np.append(small.group, [0, 0]),
    )
    np.testing.assert_allclose(rows.fit("ar1").coefficients, small.fit("ar1").coefficients, rtol=1e-12)
    assert rows.fit("ar1").n_subjects == small.fit("ar1").n_subjects


def test_aliased_columns_are_dropped_and_told(small: Any) -> None:
    """A repeated column is dropped; contrasts of the others stay, a contrast of it alone is refused."""
    twice = replace(small, x=np.column_stack([small.x, 2 * small.x[:, -1] + small.x[:, :3].sum(axis=1)]))
    one, two = small.fit("unstructured"), twice.fit("unstructured")
    assert two.aliased == (7,)
    assert np.isnan(two.coefficients[7])
    c = np.array([0, 0, 0, 0, 0, 1.0, 0])
    assert two.contrast(np.append(c, 0), "arm").value == pytest.approx(one.contrast(c, "arm").value, rel=1e-9)
    assert two.contrast(np.append(c, 0), "arm").df == pytest.approx(one.contrast(c, "arm").df, rel=1e-6)
    with pytest.raises(EstimationError) as refusal:
        two.contrast(np.eye(8)[7], "aliased")
    assert refusal.value.code == "estimation.not_estimable"


def test_estimable_contrast_may_name_an_aliased_column() -> None:
    """A combination the data do determine is not refused: sum of an effect over a column and its copy."""
    rng = np.random.default_rng(11)
    visit, subject = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    x = np.column_stack([visit == 0, visit == 1, rng.normal(size=30)[subject]]).astype(np.float64)
    y = rng.normal(size=60)
    plain = mmrm(x, y, subjects=subject, visits=visit, n_visits=2)
    both = mmrm(np.column_stack([x, x[:, 2]]), y, subjects=subject, visits=visit, n_visits=2)
    one = plain.contrast(np.array([0, 0, 2.0]), "twice")
    two = both.contrast(np.array([0, 0, 2.0, 2.0]), "twice")
    assert two.value == pytest.approx(one.value, rel=1e-9)
    assert two.std_error == pytest.approx(one.std_error, rel=1e-9)


def test_large_offsets_and_scales_cost_no_digits(small: Any) -> None:
    """Scores and covariates far from 0 and on other scales give the same t."""
    far = replace(
        small,
        x=np.column_stack([small.x[:, :6], 1e2 + 1e-3 * small.x[:, 6]]),
        y=1e6 + 100 * small.y,
    )
    one = small.fit("toeplitz_heterogeneous").contrast(np.eye(7)[5], "arm")
    two = far.fit("toeplitz_heterogeneous").contrast(np.eye(7)[5], "arm")
    assert two.value / two.std_error == pytest.approx(one.value / one.std_error, rel=1e-5)
    assert two.df == pytest.approx(one.df, rel=1e-5)


@pytest.mark.parametrize("n_visits", [4, 7, 10])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_many_visits(structure: Structure, n_visits: int) -> None:
    """Up to ten visits, most patterns rare: certified, and more parameters never fit worse."""
    rng = np.random.default_rng(n_visits)
    n = 150
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, n_visits))
    subject, visit = np.nonzero(rng.random((n, n_visits)) < 0.8)
    x = (visit[:, None] == np.arange(n_visits)).astype(np.float64)
    rows = {"subjects": subject, "visits": visit}
    fit = mmrm(x, y[subject, visit], **rows, n_visits=n_visits, structure=structure)
    plainest = mmrm(x, y[subject, visit], **rows, n_visits=n_visits, structure="compound_symmetry")
    assert fit.decrement <= 1e-8
    if not structure.startswith("ar1"):
        assert fit.log_likelihood >= plainest.log_likelihood - 1e-8
    assert fit.contrast(np.full(n_visits, 1 / n_visits), "mean").df > n / 3


def codes(**changes: Any) -> str:
    """Code with which two visits of six subjects are refused after changes."""
    rng = np.random.default_rng(12)
    visit = np.tile([0, 1], 6)
    rows: dict[str, Any] = {
        "design": (visit[:, None] == [0, 1]).astype(np.float64),
        "outcome": rng.normal(size=12),
        "subjects": np.repeat(np.arange(6), 2),
        "visits": visit,
        "n_visits": 2,
    } | changes
    with pytest.raises(EstimationError) as refusal:
        mmrm(**rows)
    assert refusal.value.fix or refusal.value.code in {
        "estimation.weights",
        "estimation.visits",
        "estimation.not_finite",
        "estimation.too_few_subjects",
        "estimation.not_estimable",
    }
    return refusal.value.code.removeprefix("estimation.")


def test_what_cannot_be_fitted_is_refused_by_its_reason() -> None:
    """Each fault has its own code."""
    late = np.array([0.0, np.nan] * 6)
    ramp = np.repeat(np.arange(6.0) ** 2, 2)
    assert codes(visits=np.zeros(12, dtype=np.int64), subjects=np.arange(12), n_visits=1) == "one_visit"
    assert codes(outcome=np.arange(12.0) + late) == "no_scores_at_visit"
    assert codes(subjects=np.zeros(12, dtype=np.int64)) == "repeated_visit"
    assert codes(outcome=np.append([1.0, 2], np.full(10, np.nan))) == "too_few_subjects"
    assert codes(visits=np.tile([0, 2], 6)) == "visits"
    assert codes(weights=np.full(12, -1.0)) == "weights"
    assert codes(design=np.full((12, 1), np.inf)) == "not_finite"
    assert codes(design=np.zeros((12, 1))) == "not_estimable"
    assert codes(outcome=np.full(12, 3.5)) == "singular_covariance"
    assert codes(outcome=ramp) == "singular_covariance"  # the second visit repeats the first
    assert codes(outcome=ramp + np.tile([0, 2.0], 6)) == "singular_covariance"


def test_visits_never_attended_together_leave_no_covariance() -> None:
    """Two halves of a visit schedule: unstructured is refused, compound symmetry has nothing to learn from either."""
    visit = np.repeat([0, 1], 6)
    parts: dict[str, Any] = {
        "visits": visit,
        "subjects": np.arange(12),
        "design": (visit[:, None] == [0, 1]).astype(np.float64),
        "outcome": np.random.default_rng(13).normal(size=12),
    }
    assert codes(**parts) == "covariance_not_identified"
    assert codes(**parts, structure="compound_symmetry") == "covariance_not_identified"


def test_structure_with_fewer_parameters_survives_a_gap() -> None:
    """First and last visit never together: unstructured refused, Toeplitz by lag refused, compound symmetry fits."""
    rng = np.random.default_rng(14)
    seen = np.array([[True, True, False], [False, True, True]] * 15)
    subject, visit = np.nonzero(seen)
    rows: dict[str, Any] = {
        "design": (visit[:, None] == [0, 1, 2]).astype(np.float64),
        "outcome": rng.normal(size=30)[subject] + rng.normal(size=subject.size),
        "subjects": subject,
        "visits": visit,
        "n_visits": 3,
    }
    assert codes(**rows) == "covariance_not_identified"
    assert codes(**rows, structure="toeplitz") == "covariance_not_identified"
    for structure in ("ar1", "compound_symmetry_heterogeneous"):
        assert mmrm(**rows, structure=structure).decrement <= 1e-8  # type: ignore[arg-type]


def test_too_few_subjects_for_the_covariance_is_singular() -> None:
    """Four subjects have no covariance of five visits."""
    rng = np.random.default_rng(15)
    visit = np.tile(np.arange(5), 4)
    assert (
        codes(
            design=(visit[:, None] == np.arange(5)).astype(np.float64),
            outcome=rng.normal(size=20),
            subjects=np.repeat(np.arange(4), 5),
            visits=visit,
            n_visits=5,
        )
        == "singular_covariance"
    )


def test_kenward_roger_is_refused_under_ml(small: Any) -> None:
    """It corrects REML."""
    fit = small.fit("ar1", "ML")
    assert fit.vcov_kenward_roger is None
    with pytest.raises(EstimationError) as refusal:
        fit.contrast(np.eye(7)[5], "arm")
    assert refusal.value.code == "estimation.kenward_roger_needs_reml"
