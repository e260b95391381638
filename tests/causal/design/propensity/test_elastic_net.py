"""The elastic net: its optimality conditions, its ends, how its strength is chosen, and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.propensity.columns import moments
from causal.design.propensity.elastic_net import descend, elastic_net, penalised, penalties
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.logistic import expit, null_start
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.sums import Regression, standardised_rows
from causal.errors import DesignError
from causal.numeric.keys import keys_of_names


def regression(n: int, k: int, *, seed: int = 1, strength: float = 0.5, offset: bool = False) -> Regression:
    """Draw a regression in which the first and the last of k correlated columns matter."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k)) + rng.normal(size=(n, 1))
    shift = rng.normal(size=n) if offset else np.empty(0)
    eta = strength * (x[:, 0] - x[:, -1]) - 1 + (shift if offset else 0.0)
    outcome = (rng.random(n) < expit(eta)).astype(float)
    found = moments(x, outcome > 0)
    return Regression(x=x, centre=found.centre, scale=found.scale, outcome=outcome, offset=shift)


def net(x: np.ndarray, treated: np.ndarray, **more: float) -> Propensity:
    """Fit an elastic net on columns named by their number."""
    names = [str(j) for j in range(x.shape[1])]
    return fit_propensity(x, treated, names=names, model=PropensityModel(kind="elastic_net", **more))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1), st.floats(1e-4, 0.3), st.booleans())
def test_optimality_conditions(seed: int, l1_ratio: float, penalty: float, offset: bool) -> None:
    """At the solution the gradient balances the penalty where a slope is not 0 and is no larger than it where it is."""
    r = regression(250, 4, seed=seed, offset=offset)
    found = penalised(r, l1_ratio, penalty, null_start(r))
    assert found.settled
    gradient = standardised_rows(r, slice(None)).T @ (r.outcome - expit(found.logit)) / 250
    slope = found.beta[1:]
    assert abs(gradient[0]) < 1e-9
    for g, b in zip(gradient[1:], slope, strict=True):
        if b != 0:
            assert g == pytest.approx(penalty * (l1_ratio * np.sign(b) + (1 - l1_ratio) * b), abs=1e-8)
        else:
            assert abs(g) <= penalty * l1_ratio + 1e-8


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_scikit_learn_agrees(l1_ratio: float) -> None:
    """scikit-learn's saga solver, run long, has the same slopes at the same penalty (its C is 1 / (n penalty))."""
    from sklearn.linear_model import LogisticRegression

    r, penalty = regression(400, 5, seed=3), 0.02
    peer = LogisticRegression(
        solver="saga", l1_ratio=l1_ratio, C=1 / (400 * penalty), tol=1e-12, max_iter=100_000, random_state=0
    ).fit(standardised_rows(r, slice(None))[:, 1:], r.outcome)
    found = penalised(r, l1_ratio, penalty, null_start(r)).beta
    np.testing.assert_allclose(found, np.concatenate([peer.intercept_, peer.coef_[0]]), atol=1e-6)


def test_both_ends_of_the_path() -> None:
    """At the strongest penalty no slope is left, below it one is; almost without penalty it is the likelihood."""
    r = regression(600, 4)
    grid = penalties(r, 0.5)
    assert not penalised(r, 0.5, grid[0] * (1 + 1e-9), null_start(r)).beta[1:].any()
    assert np.count_nonzero(penalised(r, 0.5, grid[1], null_start(r)).beta[1:]) == 1
    free = fit_propensity(r.x, r.outcome > 0, names=list("abcd"))
    np.testing.assert_allclose(net(r.x, r.outcome > 0, penalty=1e-10).logit, free.logit, atol=1e-6)


def test_ridge_of_one_column_by_hand() -> None:
    """With one column the slope solves one equation, found here by bisection."""
    r = regression(300, 1)
    z = standardised_rows(r, slice(None))[:, 1]
    beta = penalised(r, 0.0, 0.1, null_start(r)).beta

    def slack(slope: float) -> float:
        low, high = -20.0, 20.0  # the intercept at this slope
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if (r.outcome - expit(middle + slope * z)).sum() > 0 else (low, middle)
        return float(z @ (r.outcome - expit(low + slope * z))) / 300 - 0.1 * slope

    low, high = -5.0, 5.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slack(middle) > 0 else (low, middle)
    assert beta[1] == pytest.approx(low, abs=1e-8)


def test_strength_follows_the_signal() -> None:
    """Pure noise is penalised to almost nothing; a strong signal is hardly penalised and noise columns leave."""
    rng = np.random.default_rng(5)
    noise = net(rng.normal(size=(600, 8)), rng.random(600) < 0.4, l1_ratio=1.0)
    assert np.ptp(noise.logit) < 0.5
    x = rng.normal(size=(600, 8))
    strong = net(x, rng.random(600) < expit(2 * x[:, 0] - 2 * x[:, 1]), l1_ratio=1.0)
    assert strong.penalty is not None
    assert noise.penalty is not None
    assert strong.penalty < noise.penalty
    assert np.abs(strong.coefficients[:2]).min() > 1.5
    assert np.abs(strong.coefficients[2:]).max() < 0.3
    assert strong.covariance is None


def test_a_ridge_of_many_rows_hardly_shrinks() -> None:
    """Where nothing is gained by shrinking, slopes are those of maximum likelihood, whatever the penalty."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20_000, 4))
    arm = rng.random(20_000) < expit(-0.9 + x @ np.array([0.6, 0.45, -0.4, 0.3]))
    plain = fit_propensity(x, arm, names=list("abcd")).coefficients
    for l1_ratio in (0.0, 0.5, 1.0):
        assert np.abs(net(x, arm, l1_ratio=l1_ratio).coefficients / plain - 1).max() < 0.03, l1_ratio


def test_chosen_strength_has_the_least_deviance_out_of_fold() -> None:
    """Cross-validation written out on the same folds picks the same strength, and says what it says out of fold."""
    r = regression(240, 3, strength=0.8)
    folds = np.arange(240) % 3  # three clusters, a fold each
    chosen = elastic_net(r, l1_ratio=0.7, penalty=None, key=keys_of_names(range(240)), clusters=folds)
    deviance, logit = [], np.empty((penalties(r, 0.7).size, 240))
    for place, strength in enumerate(penalties(r, 0.7)):
        total = 0.0
        for fold in range(3):
            out = folds == fold
            seen = Regression(x=r.x[~out], centre=r.centre, scale=r.scale, outcome=r.outcome[~out], offset=r.offset)
            eta = standardised_rows(r, slice(None))[out] @ penalised(seen, 0.7, strength, null_start(seen)).beta
            total += np.logaddexp(0, eta).sum() - r.outcome[out] @ eta
            logit[place, out] = eta
        deviance.append(total)
    assert chosen.penalty == penalties(r, 0.7)[np.argmin(deviance)]
    assert chosen.outside == pytest.approx(logit[np.argmin(deviance)], abs=1e-3)


def test_units_do_not_matter() -> None:
    """Columns are standardised first: rescaling and shifting leaves the scores."""
    r = regression(400, 3)
    plain = net(r.x, r.outcome > 0)
    other = net(r.x * [1e4, 1e-4, 1.0] + [5.0, 0.0, -7.0], r.outcome > 0)
    np.testing.assert_allclose(other.logit, plain.logit, atol=1e-6)


def test_few_events_are_shrunk_rather_than_refused_down_to_three() -> None:
    """With 3 to 10 events per column the net is fitted; with fewer nothing is."""
    x = np.random.default_rng(6).normal(size=(300, 4))
    assert net(x, np.arange(300) < 12).method == "elastic net"
    with pytest.raises(DesignError) as caught:
        net(x, np.arange(300) < 11)
    assert caught.value.code == "design.too_few_events"


def test_coordinate_descent_solves_the_quadratic() -> None:
    """Uncompiled, without penalty, it solves the linear equations; a large penalty leaves the intercept alone."""
    rng = np.random.default_rng(7)
    root = rng.normal(size=(9, 4))
    information, target = root.T @ root, rng.normal(size=4)
    beta = np.zeros(4)
    descend(information, target, 0.0, 0.0, beta)
    np.testing.assert_allclose(information @ beta, target, atol=1e-9)
    beta = np.zeros(4)
    descend(information, target, 1e6, 0.0, beta)
    np.testing.assert_allclose(beta, [target[0] / information[0, 0], 0, 0, 0])
