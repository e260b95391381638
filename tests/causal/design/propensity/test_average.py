"""An average of propensity models, weighed by rows they never saw."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.design.propensity import boosting
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.model import PropensityModel
from causal.errors import DesignError
from causal.numeric.stacking import average_weights

AVERAGE = PropensityModel(kind="average", trees=30, learning_rate=0.1)


def world(n: int, *, steps: float, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Three covariates, arms by a line and by steps no line follows, and the true log odds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    logit = -1.0 + 0.6 * x[:, 0] - 0.4 * x[:, 1] + steps * (np.abs(x[:, 2]) > 1)
    return x, rng.random(n) < 1 / (1 + np.exp(-logit)), logit


def fitted(x: NDArray[np.float64], treated: NDArray[np.bool_], model: PropensityModel = AVERAGE) -> Propensity:
    """A propensity with trees seeded alike."""
    return fit_propensity(x, treated, names=["a", "b", "c"], model=model, rng=np.random.default_rng(4))


def error(found: Propensity, logit: NDArray[np.float64]) -> float:
    """Root mean square error of the probabilities."""
    return float(np.sqrt(np.mean((found.probability - 1 / (1 + np.exp(-logit))) ** 2)))


def test_weights_by_hand() -> None:
    """Two models that err by 1 and by -2: the average that errs least, in tenths, takes .7 of the first."""
    truth = np.linspace(0, 1, 5)
    weights = average_weights(np.column_stack([truth + 1, truth - 2]), lambda said: float(((said - truth) ** 2).mean()))
    assert weights.tolist() == [0.7, 0.3]
    equal = average_weights(np.column_stack([truth, truth]), lambda said: float(((said - truth) ** 2).mean()))
    assert equal.tolist() == [1.0, 0.0]


def test_it_follows_steps_and_keeps_lines() -> None:
    """Where steps matter it is nearer the truth than a line; where there are none it is about as near as one."""
    x, treated, logit = world(1_200, steps=2.0)
    found = fitted(x, treated)
    assert found.method == "average"
    assert error(found, logit) < 0.7 * error(fitted(x, treated, PropensityModel()), logit)
    x, treated, logit = world(1_200, steps=0.0)
    assert error(fitted(x, treated), logit) < error(fitted(x, treated, PropensityModel()), logit) + 0.01


def test_trees_are_grown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five folds and the whole: what the average weighs trees by is what they were taken in by."""
    grown: list[int] = []
    made = boosting._grown

    def counted(
        x: NDArray[np.float64], treated: NDArray[np.bool_], model: PropensityModel, seed: int
    ) -> boosting.Score:
        grown.append(treated.size)
        return made(x, treated, model, seed)

    monkeypatch.setattr(boosting, "_grown", counted)
    x, treated, _ = world(400, steps=2.0)
    assert fitted(x, treated).method == "average"
    assert grown == [320] * 5 + [400]


def test_order_of_rows_changes_nothing() -> None:
    """Rows in another order have the same scores."""
    x, treated, _ = world(300, steps=1.0)
    order = np.random.default_rng(2).permutation(300)
    np.testing.assert_allclose(fitted(x[order], treated[order]).logit, fitted(x, treated).logit[order], rtol=1e-9)


def test_what_it_cannot_do_is_refused() -> None:
    """Trees draw and take no offset; covariates that tell the arms apart are named as by the logistic model."""
    x, treated, _ = world(300, steps=1.0)
    with pytest.raises(ValueError, match="pass rng"):
        fit_propensity(x, treated, names=["a", "b", "c"], model=AVERAGE)
    rng = np.random.default_rng(1)
    with pytest.raises(DesignError, match=r"design\.rule_unsupported"):
        fit_propensity(x, treated, names=["a", "b", "c"], model=AVERAGE, offset=np.ones(300), rng=rng)
    apart = np.column_stack([x[:, :2], treated])
    with pytest.raises(DesignError, match=r"design\.separation"):
        fitted(apart, treated)
