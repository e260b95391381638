"""The headline pair: of too few nothing is told; its other rules stand with the results they shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from validation.disclosure import Profile, Withheld
from validation.disclosure.answers import why_unanswered

PROFILE = Profile(threshold=11)


@pytest.mark.parametrize(
    ("sizes", "why"), [((11, 11), None), ((10, 300), Withheld.FEW_OCCASIONS), ((300, 10), Withheld.FEW_OCCASIONS)]
)
@pytest.mark.parametrize("which", ["termination", "composite"])
def test_an_answer_of_few_is_withheld(which: str, sizes: tuple[int, int], why: Withheld | None) -> None:
    """Where deaths leave fewer than the threshold in a group of either of the pair."""
    many = SimpleNamespace(scale="points", n_treated=300, n_comparison=300)
    few = SimpleNamespace(scale="points", n_treated=sizes[0], n_comparison=sizes[1])
    effects: Any = SimpleNamespace(**{"termination": many, "composite": many} | {which: few})
    assert why_unanswered(effects, PROFILE) is why
