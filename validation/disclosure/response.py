"""Who answered, as it may be shown: in coarse steps, and withheld with the shares who ended treatment.

A share of those still in treatment is one of a group whose size the shares who ended tell, so that it tells how many
answered, and how many did not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isnan

from causal.effect.response import Response
from validation.disclosure.counts import percent_step
from validation.disclosure.figure import NOTHING, Disclosed, Figure, Kind, disclose
from validation.disclosure.lines import Pair
from validation.disclosure.profile import Profile
from validation.disclosure.reasons import Withheld
from validation.disclosure.rounding import range_of_share, rounded_share
from validation.response import APART, RESPONSE, response_code
from validation.verdict import Verdict

Shares = tuple[float, float]
STEP = 5
"""Percent: the finest in which a share of those who answered is shown. A few missing ratings must not show."""
EXACT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """What a release tells of those who ended treatment by its day: shares by group, None where they are withheld."""

    day: int
    sizes: Pair
    shares: Shares | None


def few_rated(responses: Iterable[Response], profile: Profile) -> frozenset[int]:
    """Days at which a group gave so few ratings that a share would tell about how many; nobody is not few."""
    return frozenset(one.day for one in responses if any(profile.is_small(n) for n in one.n_rated))


def disclose_response(shares: Shares, endings: Endings, profile: Profile, *, few: bool) -> tuple[Disclosed, Disclosed]:
    """Shares of each group who answered at the day of the `endings`, in steps; NaN where there was nobody to ask."""
    why = _withheld(endings, few=few)
    if endings.shares is None or why is not None:
        return (Disclosed(value=None, why=why),) * 2
    asked = zip(shares, endings.sizes, endings.shares, strict=True)
    figures = [None if isnan(share) else _of_day(share, n, gone) for share, n, gone in asked]
    if any(figure and figure.why_withheld(profile) for figure in figures):
        return (Disclosed(value=None, why=Withheld.FEW_SILENT),) * 2
    first, second = (NOTHING if figure is None else disclose(figure, profile) for figure in figures)
    return first, second


def response_measured(
    verdict: Verdict, others: Iterable[Verdict], endings: Endings, few: frozenset[int], profile: Profile
) -> Disclosed:
    """The figure of a check of who answered at some day, in steps that each fit several counts, or why it is withheld.

    How many were still in treatment at another day need not be shown, so the step is that of half the smaller group.
    `others` are all such checks: the lower share and how far the groups differ tell both groups' shares.
    """
    if verdict.measured is None:
        return NOTHING
    step, day = _step(max(min(endings.sizes) // 2, 1)), int(verdict.code.rpartition("_")[2])
    why = _withheld(endings, few=day in few)
    shown = _to_step(verdict.measured, step)
    if endings.shares is None or why is not None:
        return Disclosed(value=None, why=why)
    measured = {one.code: one.measured or 0.0 for one in others}
    lower = _to_step(measured[response_code(RESPONSE, day)], step)
    higher = lower + _to_step(measured[response_code(APART, day)], step)
    groups = [_coarse(shown, ((lower, step), (higher, 2 * step)), asked) for asked in _asked(day, endings)]
    if any(figure.why_withheld(profile) for figure in groups):
        return Disclosed(value=None, why=Withheld.FEW_SILENT)
    return disclose(groups[0], profile)


def _of_day(share: float, n: int, gone: float) -> Figure:
    """The share of one group who answered at the day at which so many of them had gone."""
    step = _step(round(n * (1 - rounded_share(gone))))
    return _coarse(_to_step(share, step), ((_to_step(share, step), step),), _range_left(n, gone))


def _coarse(value: float, shares: Iterable[tuple[float, float]], asked: tuple[int, int]) -> Figure:
    """A share, with the fewest and the most who answered, or did not, if it is one of these, each with its step."""
    answered, silent = set[int](), set[int]()
    for share, step in shares:
        low, high = max(share - step / 2, 0.0), min(share + step / 2, 1.0)
        answered |= {ceil(low * asked[0] - EXACT), floor(high * asked[1] + EXACT)}
        silent |= {ceil((1 - high) * asked[0] - EXACT), floor((1 - low) * asked[1] + EXACT)}
    return Figure(
        value=value,
        unit="share of those still in treatment",
        kind=Kind.COARSE,
        counts=(max(min(answered), 0), max(answered)),
        complements=(max(min(silent), 0), max(silent)),
    )


def _withheld(endings: Endings, *, few: bool) -> Withheld | None:
    """Why a share of those who answered may not be shown: the endings it is taken of are not, or few rated."""
    if endings.shares is None:
        return Withheld.WITH_ENDINGS
    return Withheld.FEW_RATED if few else None


def _asked(day: int, endings: Endings) -> list[tuple[int, int]]:
    """How many of each group may still have been in treatment at a day: fewer and fewer as time goes on."""
    assert endings.shares is not None
    found = []
    for n, gone in zip(endings.sizes, endings.shares, strict=True):
        low, high = _range_left(n, gone)
        found.append((low, high) if day == endings.day else (low, n) if day < endings.day else (0, high))
    return found


def _range_left(n: int, gone: float) -> tuple[int, int]:
    """How many of a group of n may be left, when a printed share of them is gone."""
    low, high = range_of_share(rounded_share(gone))
    return ceil(n * (1 - high) - EXACT), floor(n * (1 - low) + EXACT)


def _step(n: int) -> float:
    """The step, as a share, for one of about `n` people: each fits at least two numbers of ratings."""
    return max(STEP, percent_step(n)) / 100


def _to_step(share: float, step: float) -> float:
    return round(share / step) * step
