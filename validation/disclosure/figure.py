"""A number with what it rests on: the only form in which one is handed to a page.

It fails closed. A number of a kind that nobody declared, or whose counts nobody gave, is withheld, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from validation.disclosure.profile import Profile
from validation.disclosure.reasons import Withheld

Shown = NewType("Shown", float)
"""A number that has been through disclosure. Only this package makes one; a dossier holds no other measured number."""
ShownCount = NewType("ShownCount", int)
"""A count that has been through disclosure."""
Count = ShownCount | None
"""A disclosed count; None where it is withheld."""


class Kind(StrEnum):
    """What a number is: this decides which of the counts behind it must not be small."""

    COUNT = "count"
    """Of people, occasions or rows: neither it nor what is left of a printed total may be small."""
    SHARE = "share"
    """Of a group, or a difference of shares: neither those counted nor the others may be small, nor the group."""
    ESTIMATE = "estimate"
    """A mean, a difference, a ratio, the chance of one: as many as the threshold must stand behind each group."""
    COARSE = "in steps"
    """A share in steps: `counts` and `complements` are each the fewest and the most that fit it, and not all small."""
    TALLY = "tally"
    """Of days, facts, clinicians, laws: says nothing of how many people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number that may be printed, if the counts it rests on allow it.

    Attributes
    ----------
    value
        The number itself, not rounded.
    unit
        Its unit or scale, in words.
    kind
        What it is; None where nobody has declared it, and then it is withheld.
    counts
        Occasions (or people, or rows) it rests on, group by group; None where they are not known.
    complements
        In the same order, those of each group it does not count, as far as the group's size is printed; None where
        they are not known. Empty for what has none.

    >>> share = Figure(value=0.05, unit="risk", kind=Kind.SHARE, counts=(5,), complements=(95,))
    >>> share.why_withheld(Profile(threshold=11)).name
    'FIGURE'
    >>> Figure(value=3.0, unit="points", kind=None).why_withheld(Profile(threshold=11)).name
    'UNKNOWN_KIND'
    """

    value: float
    unit: str
    kind: Kind | None
    counts: tuple[int, ...] | None = None
    complements: tuple[int, ...] | None = None

    def why_withheld(self, profile: Profile) -> Withheld | None:
        """The first rule for which it may not be shown, or None where it may."""
        if self.kind is None:
            return Withheld.UNKNOWN_KIND
        if self.kind is Kind.TALLY:
            return None
        if not self.counts:
            return Withheld.UNCOUNTED
        if self.kind is Kind.ESTIMATE:
            return Withheld.FEW_OCCASIONS if min(self.counts) < profile.threshold else None
        if self.complements is None:
            return Withheld.UNCOUNTED
        if self.kind is Kind.COARSE:
            small = (all(profile.is_small(n) for n in ends) for ends in (self.counts, self.complements))
            return Withheld.FIGURE if any(small) else None
        if any(profile.is_small(n) for n in (*self.counts, *self.complements)):
            return Withheld.FIGURE
        groups = zip(self.counts, self.complements, strict=False)
        if self.kind is Kind.SHARE and any(n + others < profile.threshold for n, others in groups):
            return Withheld.FIGURE
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed:
    """A number as it may be printed: its value, or why there is none."""

    value: Shown | None
    why: Withheld | None = None


NOTHING = Disclosed(value=None)
"""There was no number in the first place."""


def disclose(figure: Figure, profile: Profile, why: Withheld | None = None) -> Disclosed:
    """A figure's value, or the rule for which it is withheld: `why` where it was judged with others, or its own."""
    why = why or figure.why_withheld(profile)
    return Disclosed(value=Shown(figure.value) if why is None else None, why=why)
