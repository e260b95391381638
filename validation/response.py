"""Did enough of those still in treatment answer, and alike in both groups? Judged once outcomes are open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isnan

from causal.effect.response import Response
from causal.protocol.design import Gates
from validation.verdict import Verdict, at_least, at_most, not_evaluated

RESPONSE, APART = "estimate.response", "estimate.response_difference"


def judge_response(responses: Iterable[Response], gates: Gates) -> tuple[Verdict, ...]:
    """Two verdicts for each day of the outcome: the lower of the shares that answered, and how far they differ."""
    return tuple(verdict for response in responses for verdict in _judged(response, gates))


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
    yield at_least(
        lower,
        min(shares),
        gates.minimum_response,
        f"share of those still in treatment whose rating counts for day {response.day}, in the group with fewer",
    )
    yield at_most(
        apart,
        abs(shares[0] - shares[1]),
        gates.maximum_response_difference,
        f"how far the groups differ in the share of those still in treatment whose rating counts for day "
        f"{response.day}",
    )
