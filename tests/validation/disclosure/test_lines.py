from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest

from causal.effect.secondary.finding import Line, Scale
from validation.disclosure import Profile, Withheld
from validation.disclosure.lines import KINDS, disclose_line, why_withheld

PROFILE, SIZES = Profile(threshold=11), (300, 600)
LINE = Line(
    label="x",
    scale="points",
    value=0.1,
    lower=-0.4,
    upper=0.6,
    level=0.95,
    n_treated=60,
    n_comparison=120,
    df=30.0,
    clustered_by="clinician",
)
SHARE = dataclasses.replace(LINE, scale="risk difference", events=(171, 225))


@pytest.mark.parametrize(
    ("line", "told", "fired"),
    [
        (LINE, [], None),
        (dataclasses.replace(LINE, n_treated=10), [], Withheld.FEW_OCCASIONS),
        (dataclasses.replace(LINE, df=3.2), [], None),
        (dataclasses.replace(LINE, df=3.2, clustered_by="matched set and clinician"), [], None),
        (dataclasses.replace(LINE, df=3.2, clustered_by="matched set"), [], Withheld.FEW_FREEDOM),
        (dataclasses.replace(LINE, df=9.9, clustered_by="matched set"), [], Withheld.FEW_FREEDOM),
        (dataclasses.replace(LINE, df=10.0, clustered_by="matched set"), [], None),
        (SHARE, [], None),
        (dataclasses.replace(SHARE, events=(10, 225)), [], Withheld.FEW_ENDINGS),
        (dataclasses.replace(SHARE, events=(171, 595)), [], Withheld.FEW_ENDINGS),
        (SHARE, [(171, 225)], None),
        (SHARE, [(171, 225), (170, 225)], Withheld.FEW_APART),
        (dataclasses.replace(SHARE, n_treated=3), [(170, 225)], Withheld.FEW_OCCASIONS),
    ],
)
def test_the_reason_is_the_rule_that_fired(line: Line, told: list[tuple[int, int]], fired: Withheld | None) -> None:
    """Few occasions, few degrees of freedom that occasions decide, few endings, or few apart from what was told."""
    assert why_withheld(line, PROFILE, SIZES, told) is fired


@pytest.mark.parametrize("scale", ["days", "hazard ratio"])
def test_days_and_ratios_are_not_set_against_shares(scale: Any) -> None:
    """No count follows from them: 171 and 225 endings are told though 170 and 225 were; few endings are not."""
    line = dataclasses.replace(SHARE, scale=scale)
    assert why_withheld(line, PROFILE, SIZES, [(170, 225)]) is None
    assert why_withheld(dataclasses.replace(line, events=(10, 225)), PROFILE, SIZES, []) is Withheld.FEW_ENDINGS


def test_every_reason_has_its_own_sentence_with_the_studys_threshold() -> None:
    """No two rules say the same, and none keeps the threshold of another study."""
    sentences = [reason.sentence(6) for reason in Withheld]
    assert len(set(sentences)) == len(Withheld)
    assert not [text for text in sentences if "{" in text or "11" in text or "1 to 10" in text]


def test_a_number_on_a_scale_nobody_declared_is_withheld() -> None:
    """And so are both its ends; one that may be shown keeps them."""
    unknown: Any = dataclasses.replace(LINE, scale="furlongs")
    shown = disclose_line(unknown, PROFILE, SIZES, [])
    assert (shown.value, shown.lower, shown.upper, shown.why) == (None, None, None, Withheld.UNKNOWN_KIND)
    shown = disclose_line(LINE, PROFILE, SIZES, [])
    assert (shown.value, shown.lower, shown.upper, shown.why) == (0.1, -0.4, 0.6, None)
    assert disclose_line(dataclasses.replace(LINE, value=None), PROFILE, SIZES, []).value is None


def test_every_scale_is_declared() -> None:
    """None that an analysis may use is withheld for want of a kind."""
    assert set(KINDS) == set(get_args(Scale))
