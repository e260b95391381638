"""Non-inferiority and equivalence from one-sided bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from causal.effect.contrast import Contrast, student
from causal.effect.margins import Better, Verdict, equivalence, non_inferiority
from causal.errors import EstimationError

ESTIMATES = st.builds(
    lambda value, std_error, df: student("difference", value, std_error, df),
    st.floats(-2, 2),
    st.floats(0.01, 1),
    st.floats(2, 200),
)


def mean_of(d: np.ndarray) -> Contrast:
    """Mean of paired differences with its t."""
    return student("difference", float(d.mean()), float(d.std(ddof=1) / np.sqrt(d.size)), d.size - 1)


def test_hand_value() -> None:
    """Value -.1, error .1, 20 df: t.975 = 2.085963 and bound -.3085963; t.95 = 1.724718, interval -.2725 to .0725."""
    effect = student("difference", -0.1, 0.1, 20)
    shown, not_shown = (non_inferiority(effect, margin=margin, better="higher") for margin in (0.31, 0.30))
    assert shown.bound == pytest.approx(-0.3085963, abs=1e-7)
    assert (shown.shown, shown.verdict) == (True, Verdict.NON_INFERIOR)
    assert (not_shown.shown, not_shown.verdict) == (False, Verdict.NOT_SHOWN)
    within = equivalence(effect, low=-0.28, high=0.28)
    assert (within.lower, within.upper) == pytest.approx((-0.2724718, 0.0724718), abs=1e-7)
    assert (within.shown, within.verdict) == (True, Verdict.EQUIVALENT)
    assert equivalence(effect, low=-0.28, high=0.07).verdict is Verdict.NOT_SHOWN


def test_lower_is_better_turns_round() -> None:
    """For symptoms the upper bound counts: a value of +.1 is what -.1 is for alliance."""
    up = non_inferiority(student("difference", -0.1, 0.1, 20), margin=0.3, better="higher")
    down = non_inferiority(student("difference", 0.1, 0.1, 20), margin=0.3, better="lower")
    assert (down.bound, down.p_value, down.shown) == (-up.bound, up.p_value, up.shown)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_p_value_is_scipy_s_one_sided_t_test(better: Better) -> None:
    """Against a mean of the margin on the worse side, by ``ttest_1samp``."""
    d = np.random.default_rng(1).normal(0.1, 1, 25)
    worse = {"higher": (-0.5, "greater"), "lower": (0.5, "less")}[better]
    found = non_inferiority(mean_of(d), margin=0.5, better=better)
    assert found.p_value == pytest.approx(ttest_1samp(d, worse[0], alternative=worse[1]).pvalue, rel=1e-10)


def test_equivalence_is_statsmodels_tost() -> None:
    """``ttost_paired`` gives the larger of the two one-sided p-values."""
    from statsmodels.stats.weightstats import ttost_paired

    rng = np.random.default_rng(2)
    one, zero = rng.normal(size=(2, 40))
    p_value, _, _ = ttost_paired(one, zero, -0.6, 0.4)
    assert equivalence(mean_of(one - zero), low=-0.6, high=0.4).p_value == pytest.approx(p_value, rel=1e-10)


@given(ESTIMATES, st.floats(0.05, 3))
def test_bound_and_p_value_agree(effect: Contrast, margin: float) -> None:
    """Shown exactly where p < .025 (p < .05 for equivalence); the bound is the end of the 95% interval."""
    for better, end in (("higher", effect.lower), ("lower", effect.upper)):
        found = non_inferiority(effect, margin=margin, better=better)  # type: ignore[arg-type]
        assert found.bound == pytest.approx(end, abs=1e-9)
        assert found.shown == (found.p_value < 0.025) or abs(found.p_value - 0.025) < 1e-9
    both = equivalence(effect, low=-margin, high=margin)
    assert both.shown == (both.p_value < 0.05) or abs(both.p_value - 0.05) < 1e-9
    halves = [non_inferiority(effect, margin=margin, better=b, level=0.95).shown for b in ("higher", "lower")]  # type: ignore[arg-type]
    assert both.shown == all(halves)


def test_size_at_the_margin() -> None:
    """At a true difference of exactly the margin 2.5% conclude non-inferiority, of 8,000 samples of 12 (MCSE .17%)."""
    d = np.random.default_rng(3).normal(-0.5, 1, (8000, 12))
    concluded = sum(non_inferiority(mean_of(one), margin=0.5, better="higher").shown for one in d)
    assert concluded / 8000 == pytest.approx(0.025, abs=0.0055)


def test_a_wide_interval_shows_nothing() -> None:
    """A difference far from significant with a wide interval is neither non-inferior nor equivalent."""
    effect = student("difference", 0.0, 1.0, 30)
    assert effect.p_value == 1.0
    assert non_inferiority(effect, margin=0.3, better="higher").verdict is Verdict.NOT_SHOWN
    assert equivalence(effect, low=-0.3, high=0.3).verdict is Verdict.NOT_SHOWN


@pytest.mark.parametrize("margin", [0.0, -0.2, float("nan"), float("inf")])
def test_margins_that_are_none_are_refused(margin: float) -> None:
    """A margin is a number above 0; margins of equivalence stand on either side of 0."""
    effect = student("difference", 0.1, 0.1, 20)
    for call in (
        lambda: non_inferiority(effect, margin=margin, better="higher"),
        lambda: equivalence(effect, low=-0.2, high=margin),
        lambda: equivalence(effect, low=-margin, high=0.2),
    ):
        with pytest.raises(EstimationError) as caught:
            call()
        assert caught.value.code == "estimation.margin"


@pytest.mark.parametrize("level", [0.2, 1.0, float("nan")])
def test_levels_that_are_none_are_refused(level: float) -> None:
    """A bound below the estimate's own middle is no bound."""
    effect = student("difference", 0.1, 0.1, 20)
    with pytest.raises(EstimationError, match=r"estimation\.level"):
        non_inferiority(effect, margin=1, better="higher", level=level)
    with pytest.raises(EstimationError, match=r"estimation\.level"):
        equivalence(effect, low=-1, high=1, level=level)
