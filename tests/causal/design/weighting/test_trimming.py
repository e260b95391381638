"""Bounds of trimming: the rules they are named after hold on the scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.trimming import crump_bounds, preference_bounds, support_bounds
from causal.errors import DesignError

W = np.array([True, True, False, False])


def test_bounds_of_trimming() -> None:
    """Common support keeps the occasions that define it; preference 0.5 is the share treated; Crump solves his rule."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 2))
    treated = rng.random(400) < expit(0.7 * x[:, 0] - 0.5 * x[:, 1] - 0.5)
    eta = fit_propensity(x, treated, names=["a", "b"]).logit
    low, high = support_bounds(treated, logit=eta)
    kept = propensity_weights(treated, logit=eta, estimand="ATT", trim=(low, high)).weight > 0
    assert eta[kept].min() == max(eta[treated].min(), eta[~treated].min())
    assert eta[kept].max() == min(eta[treated].max(), eta[~treated].max())
    assert preference_bounds(treated, lowest=0.5 - 1e-9, highest=0.5 + 1e-9)[0] == pytest.approx(treated.mean())
    wide = 3 * eta
    a, b = crump_bounds(logit=wide)
    g = 1 / (expit(wide) * expit(-wide))
    assert a + b == pytest.approx(1.0)
    assert 1 / (a * (1 - a)) == pytest.approx(2 * g[g <= 1 / (a * (1 - a))].mean(), rel=1e-12)
    assert crump_bounds(logit=eta / 10) == (0.0, 1.0)


def test_refusals_of_bounds() -> None:
    """Groups that do not overlap have no common support, and preference bounds lie inside 0 and 1."""
    with pytest.raises(DesignError, match=r"design\.no_overlap"):
        support_bounds(W, logit=np.array([2.0, 3, 0, 1]))
    with pytest.raises(DesignError, match=r"design\.trim"):
        preference_bounds(W, lowest=0.0)
