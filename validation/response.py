"""Did enough of those still in treatment answer, and alike in both groups? Judged once outcomes are open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isnan

from causal.effect.response import Response
from causal.protocol.design import Gates
from validation.verdict import Side, Verdict, at_least, at_most, not_evaluated

RESPONSE, APART = "estimate.response", "estimate.response_difference"


def judge_response(responses: Iterable[Response], gates: Gates) -> tuple[Verdict, ...]:
    """Two verdicts for each day of the outcome: the lower of the shares that answered, and how far they differ."""
    return tuple(verdict for response in responses for verdict in _judged(response, gates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit set for a check that has still to be judged."""

    code: str
    sentence: str
    side: Side
    limit: float


def response_limits(days: Iterable[int], gates: Gates) -> tuple[Limit, ...]:
    """What `judge_response` will hold the response at each of these days against, in its order."""
    return tuple(limit for day in sorted(days) for limit in _limits(day, gates))


def _limits(day: int, gates: Gates) -> Iterator[Limit]:
    lower, apart = (response_code(code, day) for code in (RESPONSE, APART))
    yield Limit(code=lower, sentence=_lower(day), side=Side.AT_LEAST, limit=gates.minimum_response)
    yield Limit(code=apart, sentence=_apart(day), side=Side.AT_MOST, limit=gates.maximum_response_difference)


def response_code(code: str, day: int) -> str:
    """The code of one day's verdict.

    >>> response_code(RESPONSE, 90)
    'estimate.response.day_90'
    """
    return f"{code}.day_{day}"


def _judged(response: Response, gates: Gates) -> Iterator[Verdict]:
    lower, apart = (response_code(code, response.day) for code in (RESPONSE, APART))
    shares = (response.treated, response.comparison)
    if any(isnan(share) for share in shares):
        why = response.reason or f"in one group every relationship had ended by day {response.day}"
        yield not_evaluated(lower, f"who answered at day {response.day}: {why}")
        yield not_evaluated(apart, f"whether both groups answered alike at day {response.day}: {why}")
        return
    yield at_least(lower, min(shares), gates.minimum_response, _lower(response.day))
    yield at_most(apart, abs(shares[0] - shares[1]), gates.maximum_response_difference, _apart(response.day))


def _lower(day: int) -> str:
    return f"share of those still in treatment whose rating counts for day {day}, in the group with fewer (rounded)"


def _apart(day: int) -> str:
    differ = "how far the groups differ in the share of those still in treatment whose rating counts for"
    return f"{differ} day {day} (rounded: 0 is less than a step)"
