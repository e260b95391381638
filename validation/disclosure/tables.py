"""Disjoint categories, in one group or several: judged together, because whoever knows the totals can subtract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from validation.disclosure.figure import Count, Shown, ShownCount
from validation.disclosure.profile import is_small

Cells = Mapping[str, Sequence[int]]
"""By category, its count in each group."""


def disclose_table(counts: Cells, threshold: int) -> dict[str, tuple[Count, ...]]:
    """Counts of disjoint categories in several groups whose sizes may be known; a withheld category is so in each.

    Whoever knows a group's size can subtract what is shown and learns the sum of what is withheld. So the next smallest
    category is withheld too until in each group at least two are, their sum is not itself small, and it forces none of
    them to be small: whoever knows that nobody is hidden for being none still finds room for one large count. What is
    small in one group, or in all together, is withheld in each and in all: the parts would give the total, and the
    total and the other parts that part. Zeros are shown unless nothing else is left to withhold.

    >>> disclose_table({"a": (40, 60), "b": (30, 31), "c": (12, 20), "d": (4, 12)}, 11)
    {'a': (40, 60), 'b': (30, 31), 'c': (None, None), 'd': (None, None)}

    Raises
    ------
    ValueError
        If a count is negative or `threshold` is below 2.
    """
    hidden = withheld_categories(counts, threshold)
    return {name: tuple(None if name in hidden else ShownCount(n) for n in own) for name, own in counts.items()}


def disclose_categories(counts: Mapping[str, int], threshold: int) -> dict[str, Count]:
    """The same for one group.

    >>> disclose_categories({"victim": 60, "police": 30, "both": 4}, 11)
    {'victim': 60, 'police': None, 'both': None}
    >>> disclose_categories({"yes": 60, "no": 30, "unknown": 0}, 11)
    {'yes': 60, 'no': 30, 'unknown': 0}
    """
    return {name: own[0] for name, own in disclose_table({k: (n,) for k, n in counts.items()}, threshold).items()}


def disclose_percents(counts: Mapping[str, int], threshold: int) -> dict[str, Shown | None]:
    """Percent of a group, whose size may be known, by category: a percentage of a known size is a count.

    >>> disclose_percents({"victim": 60, "police": 30, "both": 10}, 11)
    {'victim': 60.0, 'police': None, 'both': None}
    """
    total = sum(counts.values())
    told = disclose_categories(counts, threshold)
    return {name: None if n is None else Shown(100 * n / total) for name, n in told.items()}


def withheld_categories(counts: Cells, threshold: int) -> frozenset[str]:
    """Which categories of a table are withheld."""
    totals = {name: sum(own) for name, own in counts.items()}
    few = {name for name, own in counts.items() if any(is_small(n, threshold) for n in own)}
    order = sorted(counts, key=lambda name: (name not in few, totals[name] == 0, totals[name], name))
    n_hidden = len(few)
    while 0 < n_hidden < len(order) and _any_betrayed([counts[name] for name in order[:n_hidden]], threshold):
        n_hidden += 1
    return frozenset(order[:n_hidden])


def _any_betrayed(hidden: Sequence[Sequence[int]], threshold: int) -> bool:
    """Whether in any group, or in all together, the withheld counts of these categories can be told to be small."""
    groups = [*zip(*hidden, strict=True), [sum(own) for own in hidden]]
    return any(_betrayed(group, threshold) for group in groups if any(is_small(n, threshold) for n in group))


def _betrayed(hidden: Sequence[int], threshold: int) -> bool:
    """Whether the sum of the withheld counts tells too much: one alone, a small sum, or all at the same bound."""
    total, others = sum(hidden), len(hidden) - 1
    at_bound = total == len(hidden) * (threshold - 1) and max(hidden) < threshold
    return others == 0 or total - others < threshold or at_bound
