"""Cox regression of spells: rows at risk from a start to a stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causal.effect.termination.hazard import cox
from causal.effect.termination.partial_likelihood import Ties
from causal.errors import EstimationError


def spells(seed: int, n: int = 60) -> dict[str, Any]:
    """Late entries, tied times, events, two covariates, weights, strata and clusters."""
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 6, n).astype(float)
    return {
        "time": entry + rng.integers(1, 9, n),
        "event": rng.random(n) < 0.6,
        "covariates": np.column_stack([rng.normal(size=n), rng.random(n) < 0.4]),
        "weights": rng.choice([0.5, 1.0, 2.0], n),
        "strata": rng.integers(0, 3, n),
        "clusters": rng.integers(0, 15, n),
        "entry": entry,
    }


def by_the_book(drawn: dict[str, Any], beta: np.ndarray, ties: Ties) -> float:
    """The log partial likelihood as it is written down, event day by event day, with the mean weight of the day."""
    x, t, w, start, died = (drawn[key] for key in ("covariates", "time", "weights", "entry", "event"))
    total = 0.0
    for stratum in np.unique(drawn["strata"]):
        mine = drawn["strata"] == stratum
        for day in np.unique(t[mine & died]):
            events = mine & died & (t == day)
            at_risk = mine & (start < day) & (t >= day)
            relative = w * np.exp(x @ beta)
            total += float(w[events] @ (x[events] @ beta))
            for k in range(int(events.sum())):
                gone = k / events.sum() if ties == "efron" else 0.0
                total -= w[events].mean() * np.log(relative[at_risk].sum() - gone * relative[events].sum())
    return total


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_likelihood_is_the_one_written_down(seed: int, ties: Ties) -> None:
    """At the estimate the two agree, and nowhere near it is a higher value."""
    drawn = spells(seed)
    fit = cox(**drawn, ties=ties)
    assert fit.log_likelihood == pytest.approx(by_the_book(drawn, fit.coefficients, ties), rel=1e-12)
    assert fit.null_log_likelihood == pytest.approx(by_the_book(drawn, np.zeros(2), ties), rel=1e-12)
    h = 1e-5
    for along in np.eye(2):
        up, down = (by_the_book(drawn, fit.coefficients + side * h * along, ties) for side in (1, -1))
        assert (up - down) / (2 * h) == pytest.approx(0, abs=1e-5)
        curve = -(up - 2 * fit.log_likelihood + down) / h**2
        information = np.linalg.inv(fit.model_covariance)
        assert curve == pytest.approx(along @ information @ along, rel=1e-3)


def test_by_hand() -> None:
    """A treated row enters after the first event: at risk are 0 of treated and 2, then 1 and 1 of which one fails.

    Day 2: a comparison row of two, the treated not yet there: 1/2 whatever the ratio h. Day 4: a treated row against
    one comparison: h/(h + 1). Day 5: the comparison alone with a treated of another spell: 1/(1 + h). The likelihood
    h/(h + 1)^2 is highest at h = 1; had the treated been at risk on day 2 it would not be.
    """
    drawn = {
        "entry": np.array([0.0, 0, 2, 4]),
        "time": np.array([2.0, 5, 4, 6]),
        "event": np.array([True, True, True, False]),
        "covariates": np.array([[0.0], [0], [1], [1]]),
        "clusters": np.arange(4),
    }
    assert cox(**drawn).coefficients[0] == pytest.approx(0, abs=1e-9)
    assert cox(**drawn | {"entry": np.zeros(4)}).coefficients[0] < -0.1


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_a_row_cut_into_spells_is_the_same_row(ties: Ties) -> None:
    """Cutting follow-up at any days changes neither estimate nor error by person: consecutive spells never overlap."""
    rng = np.random.default_rng(3)
    drawn = spells(3) | {"entry": np.zeros(60)}
    parts: dict[str, list[Any]] = {key: [] for key in drawn}
    for i in range(60):
        inside = range(1, int(drawn["time"][i]))
        cuts = sorted(float(day) for day in inside if rng.random() < 0.3)
        ends = [*cuts, drawn["time"][i]]
        for start, stop in zip([0.0, *cuts], ends, strict=True):
            for key in drawn:
                parts[key].append(drawn[key][i])
            parts["entry"][-1], parts["time"][-1] = start, stop
            parts["event"][-1] = bool(drawn["event"][i]) and stop == ends[-1]
    cut = {key: np.array(value) for key, value in parts.items()}
    assert cut["time"].size > 90
    whole, in_parts = (cox(**one, ties=ties) for one in (drawn, cut))
    assert in_parts.coefficients == pytest.approx(whole.coefficients, rel=1e-10)
    assert in_parts.covariance == pytest.approx(whole.covariance, rel=1e-9)
    assert in_parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


def test_the_order_of_rows_and_starts_at_zero_change_nothing() -> None:
    """Permuted rows; and a start of 0 for all is no start at all."""
    drawn = spells(4)
    order = np.random.default_rng(0).permutation(60)
    one, other = cox(**drawn), cox(**{key: value[order] for key, value in drawn.items()})
    assert other.coefficients == pytest.approx(one.coefficients, rel=1e-11)
    assert other.covariance == pytest.approx(one.covariance, rel=1e-10)
    without = {key: value for key, value in drawn.items() if key != "entry"}
    zero, none = cox(**without, entry=np.zeros(60)), cox(**without)
    assert zero.coefficients == pytest.approx(none.coefficients, rel=1e-12)
    assert zero.covariance == pytest.approx(none.covariance, rel=1e-11)


def test_refusals() -> None:
    """A start that is not before its stop; and events that entry leaves perfectly ordered."""
    drawn = spells(5)
    with pytest.raises(EstimationError, match="2 rows do not start at 0 or later") as refused:
        cox(**drawn | {"entry": np.r_[drawn["time"][0], -1.0, drawn["entry"][2:]]})
    assert refused.value.code == "estimation.entry"
    ordered = {
        "entry": np.array([0.0, 0, 3, 3]),
        "time": np.array([2.0, 5, 4, 6]),
        "event": np.array([True, False, True, False]),
        "covariates": np.array([[1.0], [0], [1], [0]]),
        "clusters": np.arange(4),
    }
    with pytest.raises(EstimationError) as refused:
        cox(**ordered)
    assert refused.value.code == "estimation.monotone_likelihood"
