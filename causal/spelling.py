"""The name somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LIKENESS = 0.6
"""Share of letters two names have in common from which one may be meant for the other (difflib's ratio)."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be; None where none is near.

    Case, hyphens, blanks and underscores never tell two names apart.

    >>> nearest("calliper", ["caliper", "ratio"]), nearest("WIN-ODDS", ["win_odds"]), nearest("zzz", ["caliper"])
    ('caliper', 'win_odds', None)
    """
    plain = {_plain(each): each for each in sorted(known, reverse=True)}
    near = get_close_matches(_plain(name), sorted(plain), n=1, cutoff=LIKENESS)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")
