"""A judgement, with the figure it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """PASS, FAIL, or NOT EVALUATED when the check could not be run (and the reason is in the sentence)."""

    PASS = "PASS"  # noqa: S105 (a verdict, not a password)
    FAIL = "FAIL"
    NOT_EVALUATED = "NOT EVALUATED"


class Side(StrEnum):
    """On which side of its limit a figure is good."""

    AT_MOST = "at most"
    AT_LEAST = "at least"
    MORE_THAN = "more than"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One check: `measured` and `limit` are in the unit the sentence names; both are None when NOT EVALUATED.

    `code` is stable (``"design.balance_tier1"``): approvals name it to accept a failure. `side` says where of the limit
    a figure is good; whatever has a limit has a side.
    """

    code: str
    status: Status
    sentence: str
    measured: float | None = None
    limit: float | None = None
    side: Side | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that does not say which side of it is good."""
        if (self.limit is None) is not (self.side is None):
            raise ValueError(f"{self.code}: a limit and the side of it that is good come together")


def at_most(code: str, measured: float, limit: float, sentence: str) -> Verdict:
    """PASS when `measured` <= `limit`.

    >>> at_most("design.unmatched", 0.1, 0.3, "share of treated occasions left unmatched").status
    <Status.PASS: 'PASS'>
    """
    status = Status.PASS if measured <= limit else Status.FAIL
    return _compared(code, status, sentence, measured, limit, Side.AT_MOST)


def at_least(code: str, measured: float, limit: float, sentence: str) -> Verdict:
    """PASS when `measured` >= `limit`."""
    status = Status.PASS if measured >= limit else Status.FAIL
    return _compared(code, status, sentence, measured, limit, Side.AT_LEAST)


def _compared(code: str, status: Status, sentence: str, measured: float, limit: float, side: Side) -> Verdict:
    return Verdict(code=code, status=status, sentence=sentence, measured=float(measured), limit=float(limit), side=side)


def not_evaluated(code: str, reason: str) -> Verdict:
    """A check that could not be run, and why."""
    return Verdict(code=code, status=Status.NOT_EVALUATED, sentence=reason)


def failed(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts that are FAIL, in order."""
    return tuple(verdict for verdict in verdicts if verdict.status is Status.FAIL)


def read_verdict(facts: dict[str, Any]) -> Verdict:
    """The verdict that `dataclasses.asdict` turned into `facts`.

    >>> import dataclasses
    >>> one = at_least("design.sets", 291, 20, "matched sets")
    >>> read_verdict(dataclasses.asdict(one)) == one
    True
    """
    side = facts["side"]
    return Verdict(**(facts | {"status": Status(facts["status"]), "side": None if side is None else Side(side)}))
