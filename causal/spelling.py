"""The name somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LIKENESS = 0.6
"""Share of letters two names have in common from which one may be meant for the other (difflib's ratio)."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be; None where none is near.

    Case, hyphens, blanks and underscores never tell two names apart; of several near ones the one with the same letters
    in another order was meant.

    >>> nearest("calliper", ["caliper", "ratio"]), nearest("WIN-ODDS", ["win_odds"]), nearest("zzz", ["caliper"])
    ('caliper', 'win_odds', None)
    >>> nearest("tie1r", ["tier1", "tier2"])
    'tier1'
    """
    plain = {_plain(each): each for each in sorted(known, reverse=True)}
    near = get_close_matches(_plain(name), sorted(plain), n=3, cutoff=LIKENESS)
    swapped = [each for each in near if sorted(each) == sorted(_plain(name))]
    return next((plain[each] for each in (*swapped, *near)), None)


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")
