"""Holm's step-down adjustment of a declared family."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.effect.multiplicity import holm
from causal.errors import EstimationError


def adjusted(*p_values: float | None) -> list[float | None]:
    """Adjusted p-values of a family named by number."""
    return [member.adjusted for member in holm({str(k): p for k, p in enumerate(p_values)})]


def test_hand_value() -> None:
    """(.01, .04, .03, .005): .005 x 4, .01 x 3, .03 x 2, and .04 x 1 raised to the .06 before it."""
    assert adjusted(0.01, 0.04, 0.03, 0.005) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    found = holm({"bond": 0.01, "goal_task": 0.04, "30 d": 0.03, "180 d": 0.005})
    assert [member.name for member in found if member.rejected] == ["bond", "180 d"]


def test_nothing_after_the_first_not_rejected_is_rejected() -> None:
    """.02 x 3 > .05 stops the steps: .04, though below .05 itself, is not rejected."""
    assert [member.rejected for member in holm({"a": 0.02, "b": 0.04, "c": 0.021})] == [False, False, False]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_agrees_with_statsmodels(p_values: list[float]) -> None:
    """``multipletests(method="holm")``, ties and all."""
    from statsmodels.stats.multitest import multipletests

    reject, theirs, _, _ = multipletests(p_values, alpha=0.05, method="holm")
    found = holm({str(k): p for k, p in enumerate(p_values)})
    assert [member.adjusted for member in found] == pytest.approx(theirs.tolist())
    near = [abs(member.adjusted - 0.05) < 1e-9 for member in found if member.adjusted is not None]
    assert all(member.rejected == r or at for member, r, at in zip(found, reject, near, strict=True))


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=8), st.randoms())
def test_order_of_members_does_not_matter(p_values: list[float | None], random: object) -> None:
    """Equal p-values have equal adjusted ones, and shuffling the family shuffles the answer."""
    place = list(range(len(p_values)))
    random.shuffle(place)  # type: ignore[attr-defined]
    assert adjusted(*(p_values[k] for k in place)) == [adjusted(*p_values)[k] for k in place]
    told = [(p, a) for p, a in zip(p_values, adjusted(*p_values), strict=True) if p is not None]
    assert len({p for p, _ in told}) == len(set(told))


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_what_was_not_evaluated_stays_in_the_family(nothing: float | None) -> None:
    """A member without a p-value makes nothing easier for the others: they are judged as if it were the worst."""
    assert adjusted(0.01, nothing, 0.02) == [pytest.approx(0.03), None, pytest.approx(0.04)]
    assert adjusted(0.01, nothing, 0.02)[::2] == adjusted(0.01, 1.0, 0.02)[::2]
    assert adjusted(nothing, nothing) == [None, None]
    missing = holm({"a": nothing})[0]
    assert (missing.p_value, missing.rejected) == (None, False)


def test_familywise_error_is_held() -> None:
    """Four true hypotheses, correlated tests: some rejected in at most 5% of 4,000 families (MCSE .34%)."""
    from scipy.special import ndtr

    rng = np.random.default_rng(1)
    z = rng.normal(size=(4000, 4)) * np.sqrt(0.7) + rng.normal(size=(4000, 1)) * np.sqrt(0.3)
    wrong = sum(any(m.rejected for m in holm(dict(zip("abcd", 2 * ndtr(-np.abs(row)), strict=True)))) for row in z)
    assert 0.03 <= wrong / 4000 <= 0.06


@pytest.mark.parametrize(
    ("family", "error_rate", "refusal"),
    [
        ({}, 0.05, "empty_family"),
        ({"a": 1.2}, 0.05, "p_value"),
        ({"a": -0.1}, 0.05, "p_value"),
        ({"a": 0.1}, 1, "level"),
    ],
)
def test_refusals(family: dict[str, float | None], error_rate: float, refusal: str) -> None:
    """An empty family, a p-value outside 0 to 1, an error rate of 1."""
    with pytest.raises(EstimationError) as caught:
        holm(family, error_rate=error_rate)
    assert caught.value.code == f"estimation.{refusal}"
