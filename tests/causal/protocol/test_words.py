"""The nouns of a study: neutral where it declares none, whole where it declares some."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from causal.cohort.eligibility import steps
from causal.protocol.target_trial import Alive, NoPriorExposure
from causal.protocol.words import NEUTRAL, TOGETHER, Words

GROUPS = {"treated": "visited", "untreated": "unvisited"}


def test_words_that_stand_side_by_side_are_declared_together() -> None:
    """One group named and the other not would mix two studies in a sentence; the missing word is named."""
    assert Words(**GROUPS).treated == "visited"
    for row in TOGETHER:
        for left_out in row:
            given = {word: "something" for word in row if word != left_out}
            with pytest.raises(ValidationError, match=rf"{left_out} must be said where {next(iter(given))} is"):
                Words(**given)


@pytest.mark.parametrize("wrong", [{"clinician": ""}, {"clinician": "x" * 61}, {"verb": "visit"}])
def test_a_word_is_a_few_words_and_known(wrong: dict[str, Any]) -> None:
    """Neither nothing, nor a paragraph, nor a noun that no sentence has."""
    with pytest.raises(ValidationError):
        Words(**wrong)


def test_rules_are_said_in_the_words_given() -> None:
    """The flow of occasions begins with what the extract holds and names the event; without words it is neutral."""
    rules = (NoPriorExposure(rule="no_prior_exposure"), Alive(rule="alive"))
    own = Words(
        unit="call",
        units="calls",
        units_in_full="urgent calls",
        event="a visit",
        no_event="none",
        earlier_event="visit",
    )
    started, _, *said = steps(rules, own)
    assert (started, *said) == ("Urgent calls in the extract", "No visit", "No death recorded before the call")
    started, _, *said = steps(rules, NEUTRAL)
    assert (started, said[0]) == ("Occasions in the extract", "No earlier treatment of this person")


def test_what_has_no_word_is_called_by_its_code() -> None:
    """Whatever action a study names, there is something to call it."""
    assert [NEUTRAL.action(code) for code in ("hold_vol", "several")] == ["hold vol", "several actions"]
    assert [NEUTRAL.version(name) for name in ("recipient", "by_phone")] == ["Action taken", "by phone"]
    assert hash(NEUTRAL) == hash(Words()) != hash(Words(actions={"hold_vol": "a stay"}))
