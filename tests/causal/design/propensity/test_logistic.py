"""The sums of logistic regression, and the climb to its maximum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from causal.design.propensity import logistic
from causal.design.propensity import sums as summing
from causal.design.propensity.columns import moments
from causal.design.propensity.logistic import apart, expit, maximum_likelihood
from causal.design.propensity.sums import (
    Regression,
    add_residuals,
    add_up,
    gram,
    log_odds,
    padded,
    products,
    standardised_rows,
    sums,
)


def regression(n: int, k: int, *, seed: int = 1, offset: bool = False, intercept: bool = True) -> Regression:
    """Draw a regression with a treatment that depends on the columns."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) * np.arange(1, k + 1) + 3.0
    outcome = (rng.random(n) < expit((x - 3) @ np.full(k, 0.3) - 1)).astype(float)
    found = moments(x, outcome > 0)
    shift = rng.normal(size=n) if offset else np.empty(0)
    return Regression(x=x, centre=found.centre, scale=found.scale, outcome=outcome, offset=shift, intercept=intercept)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 20])
@pytest.mark.parametrize("lead", [0, 1])
def test_loops_are_matrix_products(n: int, lead: int) -> None:
    """Each compiled loop, run uncompiled, adds what numpy's products say, whatever is left over of eight rows."""
    rng = np.random.default_rng(n)
    x, centre, row = rng.normal(size=(n, 3)), rng.normal(size=3), rng.normal(size=n)
    z = np.column_stack([np.ones((n, lead)), x - centre])
    total, score, eta = np.ones((3 + lead, padded(3 + lead))), np.ones(3 + lead), np.empty(n)
    products(x, centre, lead, row, total)
    add_residuals(x, centre, lead, row, score)
    add_up(x, centre, np.array([1.0, 2.0, 3.0]), 0.5, eta)
    np.testing.assert_allclose(total[:, : 3 + lead] - 1, z.T @ (row[:, None] * z), atol=1e-12)
    np.testing.assert_allclose(score - 1, z.T @ row, atol=1e-12)
    np.testing.assert_allclose(eta, 0.5 + (x - centre) @ [1.0, 2.0, 3.0], atol=1e-12)


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_sums_are_those_of_the_likelihood(monkeypatch: pytest.MonkeyPatch, *, offset: bool, intercept: bool) -> None:
    """Value, score and information equal their formulas written out, over several blocks of rows."""
    monkeypatch.setattr(summing, "BLOCK", 100)
    r = regression(333, 3, offset=offset, intercept=intercept)
    beta = np.array([-0.5, 0.3, -0.2, 0.4])[: 3 + intercept]
    logit = np.full(333, np.inf)
    found = sums(r, beta, logit)
    z = standardised_rows(r, slice(None))
    eta = z @ beta + (r.offset if offset else 0.0)
    p = 1 / (1 + np.exp(-eta))
    np.testing.assert_allclose(logit, eta, atol=1e-12)
    assert found.value == pytest.approx(np.where(r.outcome > 0, np.log(p), np.log(1 - p)).sum(), rel=1e-12)
    np.testing.assert_allclose(found.score, z.T @ (r.outcome - p), atol=1e-10)
    np.testing.assert_allclose(found.information, z.T @ (z * (p * (1 - p))[:, None]), atol=1e-10)
    assert found.least == pytest.approx((p * (1 - p)).min(), rel=1e-12)
    assert sums(r, beta + 0.0, logit).moved == 0.0


def test_score_is_the_derivative_of_the_value() -> None:
    """Differences of the log likelihood agree with the score, and differences of the score with the information."""
    r, beta, h = regression(200, 2, offset=True), np.array([0.2, -0.4, 0.3]), 1e-5
    here = sums(r, beta, np.zeros(200))
    for j, unit in enumerate(np.eye(3)):
        up, down = (sums(r, beta + sign * h * unit, np.zeros(200)) for sign in (1, -1))
        assert (up.value - down.value) / (2 * h) == pytest.approx(here.score[j], abs=1e-5)
        np.testing.assert_allclose((down.score - up.score) / (2 * h), here.information[j], rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_the_maximum_does_not_depend_on_the_order_of_rows(seed: int) -> None:
    """Shuffled rows give the same coefficients to rounding."""
    r = regression(300, 3, seed=seed)
    order = np.random.default_rng(seed).permutation(300)
    shuffled = Regression(
        x=r.x[order], centre=r.centre, scale=r.scale, outcome=r.outcome[order], offset=r.offset, intercept=True
    )
    np.testing.assert_allclose(maximum_likelihood(shuffled).beta, maximum_likelihood(r).beta, atol=1e-10)


def test_threads_change_nothing() -> None:
    """With one and with two threads for the linear algebra every bit is the same."""
    r = regression(50_000, 10)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(maximum_likelihood(r))
    np.testing.assert_array_equal(found[0].beta, found[1].beta)
    np.testing.assert_array_equal(found[0].logit, found[1].logit)


def test_a_misleading_start_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every m-th row is treated, or tells another story than the rest, the maximum is found all the same."""
    r = regression(8000, 2)
    plain = maximum_likelihood(r).beta
    monkeypatch.setattr(logistic, "START_ROWS", 1)
    stride = 8000 // 1000
    every = np.arange(8000) % stride == 0
    ordered = np.r_[np.flatnonzero(r.outcome > 0)[: every.sum()]]
    rest = np.setdiff1d(np.arange(8000), ordered)
    place = np.empty(8000, dtype=int)
    place[every], place[~every] = ordered, rest
    one_armed = Regression(x=r.x[place], centre=r.centre, scale=r.scale, outcome=r.outcome[place], offset=r.offset)
    np.testing.assert_allclose(maximum_likelihood(one_armed).beta, plain, atol=1e-9)
    lying = r.outcome.copy()
    lying[every] = r.x[every, 0] + 0.5 * np.random.default_rng(1).normal(size=every.sum()) < 2.0
    odd = Regression(x=r.x, centre=r.centre, scale=r.scale, outcome=lying, offset=r.offset)
    found = maximum_likelihood(odd)
    monkeypatch.setattr(logistic, "START_ROWS", 10**9)
    assert found.settled
    np.testing.assert_allclose(found.beta, maximum_likelihood(odd).beta, atol=1e-9)


def test_other_rows_are_scored_to_the_last_bit() -> None:
    """The log odds of some rows, computed apart, are exactly those of the fit."""
    r = regression(1000, 4, offset=True)
    found = maximum_likelihood(r)
    rows = np.r_[5, 17, 900:1000]
    some = Regression(x=r.x[rows], centre=r.centre, scale=r.scale, outcome=r.outcome[rows], offset=r.offset[rows])
    np.testing.assert_array_equal(log_odds(some, found.beta, slice(None)), found.logit[rows])


def test_outcomes_between_zero_and_one_are_never_separated() -> None:
    """Shares as outcomes have a maximum even where they rise with the column: the share's log odds."""
    x = np.array([[0.0], [1.0]])
    shares = Regression(x=x, centre=np.zeros(1), scale=np.ones(1), outcome=np.array([0.2, 0.9]), offset=np.empty(0))
    found = maximum_likelihood(shares)
    assert found.settled
    np.testing.assert_allclose(found.beta, [np.log(0.25), np.log(9) - np.log(0.25)], atol=1e-9)


def test_gram_and_apart() -> None:
    """The Gram matrix about a centre has a column of ones; equal scores are not apart, tied ends are."""
    x = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, 0.0]])
    z = np.column_stack([np.ones(3), x - 1])
    np.testing.assert_allclose(gram(x, np.ones(2)), z.T @ z / 3)
    arms = np.array([False, True, True])
    assert apart(np.array([0.0, 0.0, 1.0]), arms)
    assert not apart(np.array([0.5, 0.0, 1.0]), arms)
    assert not apart(np.zeros(3), arms)


@pytest.mark.parametrize("eta", [-700.0, -40.0, -1e-3, 0.0, 3.0, 40.0])
def test_small_probabilities_keep_their_digits(eta: float) -> None:
    """The probability has full relative precision where it is small, and 1 - p is the probability of -eta."""
    from math import exp

    p = float(expit(np.array([eta]))[0])
    assert p == pytest.approx(exp(eta) / (1 + exp(eta)), rel=1e-14, abs=0)
    assert float(expit(np.array([-eta]))[0]) == pytest.approx(1 / (1 + exp(eta)), rel=1e-14, abs=0)
