"""The exact conditional likelihood of endings within matched sets."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.termination.conditional_logit import conditional_logit
from causal.effect.termination.hazard import cox
from causal.errors import EstimationError


def matched(seed: int, n_sets: int = 40, largest: int = 6) -> dict[str, Any]:
    """Draw sets of 2 to `largest` with any number of events, an arm and a covariate."""
    rng = np.random.default_rng(seed)
    sets = np.repeat(np.arange(n_sets), rng.integers(2, largest + 1, n_sets))
    arm = np.r_[True, sets[1:] != sets[:-1]]
    x = np.column_stack([arm, rng.normal(size=sets.size)])
    linear = x @ [0.5, 0.4] + rng.normal(size=n_sets)[sets]
    return {"ended": rng.random(sets.size) < 1 / (1 + np.exp(-linear)), "covariates": x, "sets": sets}


def log_likelihood(data: dict[str, Any], beta: np.ndarray) -> float:
    """Sum over every choice of the set's number of events, by enumeration."""
    total = 0.0
    for one in np.unique(data["sets"]):
        linear = data["covariates"][data["sets"] == one] @ beta
        ended = data["ended"][data["sets"] == one]
        ways = [linear[list(chosen)].sum() for chosen in combinations(range(ended.size), int(ended.sum()))]
        total += linear[ended].sum() - np.log(np.exp(ways).sum())
    return total


def test_by_hand_pairs() -> None:
    """Pairs are McNemar's: log(5/2) with model error sqrt(1/5 + 1/2)."""
    arm = np.tile([True, False], 9)
    ended = np.concatenate([np.tile([True, False], 5), np.tile([False, True], 2), [True, True, False, False]])
    fit = conditional_logit(ended, arm[:, None], sets=np.repeat(np.arange(9), 2))
    assert fit.coefficients[0] == pytest.approx(np.log(2.5), abs=1e-10)
    assert np.sqrt(fit.model_covariance[0, 0]) == pytest.approx(np.sqrt(1 / 5 + 1 / 2), rel=1e-9)
    assert fit.null_log_likelihood == pytest.approx(7 * np.log(0.5), rel=1e-12)
    assert (fit.n_clusters, fit.n_events) == (7, 7)
    # each of 7 informative pairs scores 1[treated ended] - 5/7; information 7 x 5/7 x 2/7
    meat = 5 * (2 / 7) ** 2 + 2 * (5 / 7) ** 2
    assert fit.covariance[0, 0] == pytest.approx(7 / 6 * meat / (10 / 7) ** 2, rel=1e-9)


def test_likelihood_by_enumeration() -> None:
    """Log likelihood, zero score and information are those of the enumerated likelihood."""
    data = matched(1)
    fit = conditional_logit(**data)
    assert fit.log_likelihood == pytest.approx(log_likelihood(data, fit.coefficients), abs=1e-9)
    assert fit.null_log_likelihood == pytest.approx(log_likelihood(data, np.zeros(2)), abs=1e-9)
    information = np.linalg.inv(fit.model_covariance)
    for j, step in enumerate(1e-4 * np.eye(2)):
        up, down = (log_likelihood(data, fit.coefficients + sign * step) for sign in (1, -1))
        assert (up - down) / 2e-4 == pytest.approx(0, abs=1e-5)
        assert (2 * fit.log_likelihood - up - down) / 1e-8 == pytest.approx(information[j, j], rel=1e-4)


def test_agrees_with_statsmodels() -> None:
    """Coefficients and model errors are those of statsmodels' ConditionalLogit."""
    from statsmodels.discrete.conditional_models import ConditionalLogit

    data = matched(2)
    size, events = np.bincount(data["sets"]), np.bincount(data["sets"], weights=data["ended"])
    informative = ((events > 0) & (events < size))[data["sets"]]  # statsmodels warns of the others
    reference = ConditionalLogit(
        data["ended"][informative].astype(float),
        data["covariates"][informative],
        groups=data["sets"][informative],
    ).fit(method="newton", disp=0)
    fit = conditional_logit(**data)
    assert fit.coefficients == pytest.approx(reference.params, rel=1e-5)
    assert np.sqrt(np.diag(fit.model_covariance)) == pytest.approx(reference.bse, rel=1e-4)


def test_one_event_a_set_is_stratified_cox() -> None:
    """With one event in each set it is Cox's likelihood of events on day 1 against censoring on day 2, robust too."""
    data = matched(3)
    first = np.zeros(data["sets"].size, dtype=bool)
    rng = np.random.default_rng(3)
    for one in np.unique(data["sets"]):
        first[rng.choice(np.flatnonzero(data["sets"] == one))] = True
    fit = conditional_logit(first, data["covariates"], sets=data["sets"])
    same = cox(
        np.where(first, 1.0, 2.0), first, data["covariates"], clusters=data["sets"], strata=data["sets"], ties="breslow"
    )
    assert fit.coefficients == pytest.approx(same.coefficients, rel=1e-8)
    assert fit.covariance == pytest.approx(same.covariance, rel=1e-8)
    assert fit.log_likelihood == pytest.approx(same.log_likelihood, rel=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_invariances(seed: int) -> None:
    """Row order, labels, and whatever is constant within sets do not matter; endings and stayings swap the sign."""
    data, rng = matched(seed), np.random.default_rng(seed)
    base = conditional_logit(**data)
    order = rng.permutation(data["sets"].size)
    shuffled = conditional_logit(**{name: values[order] for name, values in data.items()})
    shifted = conditional_logit(
        data["ended"], data["covariates"] + rng.normal(size=40)[data["sets"], None], sets=7 - data["sets"]
    )
    for other in (shuffled, shifted):
        assert other.coefficients == pytest.approx(base.coefficients, rel=1e-6, abs=1e-9)
        assert other.covariance == pytest.approx(base.covariance, rel=1e-6, abs=1e-9)
    turned = conditional_logit(~data["ended"], data["covariates"], sets=data["sets"])
    assert -turned.coefficients == pytest.approx(base.coefficients, rel=1e-6, abs=1e-9)


def test_large_sets_do_not_overflow() -> None:
    """A set of 3,000 with 1,500 events, whose choices number 1e901, has a finite likelihood near the logistic one."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 1))
    ended = rng.random(3000) < 1 / (1 + np.exp(-0.5 * x[:, 0]))
    sets = np.zeros(3000, dtype=int)
    other = np.ones(2, dtype=int)
    fit = conditional_logit(np.r_[ended, [True, False]], np.r_[x, [[0.0], [1.0]]], sets=np.r_[sets, other])
    assert fit.coefficients[0] == pytest.approx(0.5, abs=0.15)
    assert np.isfinite(fit.log_likelihood)


def test_coarser_clusters() -> None:
    """Sets nested in clinicians are clustered on them; a set that crosses clinicians is refused."""
    data = matched(5)
    nested = data["sets"] // 4
    assert conditional_logit(**data, clusters=nested).n_clusters == 10
    with pytest.raises(EstimationError) as refusal:
        conditional_logit(**data, clusters=np.arange(data["sets"].size))
    assert refusal.value.code == "estimation.sets_cross_clusters"


def test_refusals() -> None:
    """Sets that all ended, a perfect order, and a column constant within sets are refused by code."""
    data = matched(6)
    arm = data["covariates"][:, :1]
    for ended, x, code in [
        (np.ones(arm.size, dtype=bool), arm, "estimation.no_informative_sets"),
        (arm[:, 0] > 0, arm, "estimation.monotone_likelihood"),
        (data["ended"], data["sets"][:, None].astype(float), "estimation.not_estimable"),
        (data["ended"], np.where(data["sets"][:, None] < 20, np.nan, arm), "estimation.not_finite"),
    ]:
        with pytest.raises(EstimationError) as refusal:
            conditional_logit(ended, x, sets=data["sets"])
        assert refusal.value.code == code
    with pytest.raises(EstimationError) as refusal:
        conditional_logit(np.array([False, True, False]), np.array([[0.0], [1], [2]]), sets=np.zeros(3, dtype=int))
    assert refusal.value.code == "estimation.too_few_clusters"
