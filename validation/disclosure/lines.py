"""The numbers of findings: on whom each rests, and what several of them tell together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from causal.effect.secondary.finding import Line
from validation.disclosure.figure import Figure, Kind, Shown
from validation.disclosure.profile import Profile
from validation.disclosure.reasons import Withheld

OF_STAFF = frozenset({"clinician", "clinic"})
"""Clusters whose number limits the degrees of freedom of an interval, and tells nothing of single occasions."""
KINDS = {
    "points": Kind.ESTIMATE,
    "days": Kind.ESTIMATE,
    "hazard ratio": Kind.ESTIMATE,
    "odds ratio": Kind.ESTIMATE,
    "rate ratio": Kind.ESTIMATE,
    "risk ratio": Kind.ESTIMATE,
    "win odds": Kind.ESTIMATE,
    "risk difference": Kind.ESTIMATE,
    "probability": Kind.ESTIMATE,
}
"""What is known of each scale; the analysis itself says on how few a share rests (`Line.n_treated`)."""

Pair = tuple[int, int]


def why_withheld(line: Line, profile: Profile, sizes: Pair, told: Iterable[Pair]) -> Withheld | None:
    """The first rule for which a number of a finding may not be shown, or None where it may.

    Parameters
    ----------
    sizes
        Treated and comparison occasions compared, which every page shows.
    told
        Endings by group that differences of shares told before this one.

    >>> line = Line(label="x", scale="points", value=0.1, lower=0.0, upper=0.2, level=0.95, n_treated=60,
    ...             n_comparison=10, df=30.0)
    >>> why_withheld(line, Profile(threshold=11), (60, 60), []).name
    'FEW_OCCASIONS'
    """
    if (why := figure_of(line).why_withheld(profile)) is not None:
        return why
    if line.df is not None and line.df < profile.least_df and OF_STAFF.isdisjoint(line.clustered_by.split(" and ")):
        return Withheld.FEW_FREEDOM
    if line.events is None:
        return None
    if endings_of(line, sizes).why_withheld(profile) is not None:
        return Withheld.FEW_ENDINGS
    apart = (abs(n - m) for pair in told for n, m in zip(line.events, pair, strict=True))
    return Withheld.FEW_APART if tells_endings(line) and any(profile.is_small(n) for n in apart) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosedLine:
    """A number of a finding and its interval as they may be printed, or the rule for which they are withheld."""

    value: Shown | None
    lower: Shown | None
    upper: Shown | None
    why: Withheld | None


def disclose_line(line: Line, profile: Profile, sizes: Pair, told: Iterable[Pair]) -> DisclosedLine:
    """A line as it may be printed; the parameters are those of `why_withheld`."""
    why = why_withheld(line, profile, sizes, told)
    if why is not None:
        return DisclosedLine(value=None, lower=None, upper=None, why=why)
    value = None if line.value is None else Shown(line.value)
    return DisclosedLine(value=value, lower=Shown(line.lower), upper=Shown(line.upper), why=None)


def figure_of(line: Line) -> Figure:
    """The number of a line (its lower end where only a range is known), and the occasions of each group behind it."""
    return Figure(
        value=line.lower if line.value is None else line.value,
        unit=line.scale,
        kind=KINDS.get(line.scale),
        counts=(line.n_treated, line.n_comparison),
    )


def endings_of(line: Line, sizes: Pair) -> Figure:
    """How many ended, as far as a number tells it: nobody is not few; neither who ended nor who did not may be."""
    assert line.events is not None
    gone = tuple(size - n for n, size in zip(line.events, sizes, strict=True))
    return Figure(value=0.0, unit=line.scale, kind=Kind.SHARE, counts=line.events, complements=gone)


def tells_endings(line: Line) -> bool:
    """Whether how many ended can be read off a number: off a difference of shares, not off a ratio or days.

    How far two numbers' endings are apart matters for these only: no count follows from a ratio of rates or from days.
    """
    return line.events is not None and line.scale == "risk difference"
