from __future__ import annotations

import dataclasses
import json

import pytest

from causal.effect.response import Response
from causal.protocol.design import Gates
from validation.response import judge_response, response_limits
from validation.verdict import Side, Status, Verdict, at_least, at_most, not_evaluated, read_verdict


def test_a_limit_comes_with_its_good_side() -> None:
    """No verdict can be made that says "limit 20" and leaves open whether 291 is good."""
    assert at_least("design.sets", 291, 20, "matched sets").side is Side.AT_LEAST
    assert at_most("design.unmatched", 0.1, 0.3, "share unmatched").side is Side.AT_MOST
    assert not_evaluated("design.pretrend", "too few").side is None
    with pytest.raises(ValueError, match=r"design\.sets"):
        Verdict(code="design.sets", status=Status.PASS, sentence="matched sets", measured=291, limit=20)


def test_a_verdict_comes_back_from_json_as_it_was() -> None:
    """What is kept between runs loses neither status nor side."""
    for verdict in (at_least("a", 3, 2, "x"), not_evaluated("b", "why")):
        assert read_verdict(json.loads(json.dumps(dataclasses.asdict(verdict)))) == verdict


def test_limits_told_beforehand_are_those_judged_afterwards() -> None:
    """Code, sentence, side and limit of every response check are known before anybody's answer is."""
    gates = Gates(minimum_response=0.6)
    later = response_limits((90, 30), gates)
    judged = judge_response([Response(day=day, treated=0.7, comparison=0.8) for day in (30, 90)], gates)
    assert [(o.code, o.sentence, o.side, o.limit) for o in later] == [
        (v.code, v.sentence, v.side, v.limit) for v in judged
    ]
