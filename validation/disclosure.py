"""May this number leave? Small counts, and what could be worked out from them by subtraction.

The rule is that of the US Centers for Medicare & Medicaid Services (cell size suppression policy): no count of 1 to 10
is shown, none can be derived, and zero may be shown. A withheld count is `None`; so is a larger count that would betray
one. Only disclosed values reach a page, so the pages themselves need no rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import Field
from typing import Any, ClassVar, Protocol, TypeVar

CMS_THRESHOLD = 11
"""Smallest count above zero that may be shown under the CMS rule."""

LOWEST_THRESHOLD = 2
"""A threshold of 1 would withhold nothing."""

Count = int | None
GROUPS = ("treated", "comparison")


class AttritionStep(Protocol):
    """A frozen dataclass with who remains after one rule: counts of persons, and of occasions in all and by group."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def rule(self) -> str:
        """In words."""
        ...

    @property
    def persons(self) -> Count:
        """Different persons."""
        ...

    @property
    def occasions(self) -> Count:
        """Occasions, of which a person may have several."""
        ...

    @property
    def treated(self) -> Count:
        """Occasions in the treated group."""
        ...

    @property
    def comparison(self) -> Count:
        """Occasions in the comparison group."""
        ...


Step = TypeVar("Step", bound=AttritionStep)

PERCENT_STEPS = (1, 2, 5, 10, 20, 50)
"""Steps in which percentages may be shown; 100 is a multiple of each."""


def disclose_count(n: int, threshold: int) -> Count:
    """`n`, or None when it is 1 to `threshold` - 1.

    >>> [disclose_count(n, 11) for n in (0, 1, 10, 11)]
    [0, None, None, 11]

    Raises
    ------
    ValueError
        If `n` is negative or `threshold` is below 2.
    """
    if n < 0:
        raise ValueError("a count cannot be negative")
    return None if _small(n, threshold) else n


def disclose_share(numerator: int, denominator: int, threshold: int) -> float | None:
    """`numerator` / `denominator`, or None when the share would betray a small count.

    Withheld when the denominator is below `threshold`, or when those counted or those not counted are 1 to
    `threshold` - 1.

    >>> disclose_share(30, 100, 11), disclose_share(5, 100, 11), disclose_share(95, 100, 11), disclose_share(0, 100, 11)
    (0.3, None, None, 0.0)

    Raises
    ------
    ValueError
        If not 0 <= `numerator` <= `denominator`.
    """
    if not 0 <= numerator <= denominator:
        raise ValueError("a share needs 0 <= numerator <= denominator")
    if denominator < threshold or _small(numerator, threshold) or _small(denominator - numerator, threshold):
        return None
    return numerator / denominator


def percent_step(n: int) -> int:
    """The finest step, in percent, each of which is more than 2 of `n`: a percentage so rounded fits several counts.

    >>> [percent_step(n) for n in (4000, 201, 200, 60, 11)]
    [1, 1, 2, 5, 20]
    """
    return next((step for step in PERCENT_STEPS if step * n > 200), PERCENT_STEPS[-1])


def disclose_percent(share: float, n: int) -> int:
    """`share` in percent, in steps that depend on `n` only: the size of the group, or one near it that is shown.

    Nobody is 0; anybody is at least one step.

    >>> disclose_percent(0.137, 4000), disclose_percent(0.137, 60), disclose_percent(0.003, 4000)
    (14, 15, 1)
    """
    step = percent_step(n)
    return max(step, step * round(100 * share / step)) if share > 0 else 0


def disclose_categories(counts: Mapping[str, int], threshold: int) -> dict[str, Count]:
    """Counts of disjoint categories whose total may be known elsewhere, small ones withheld.

    Whoever knows the total can subtract what is shown and learns the sum of what is withheld. So the next smallest
    category is withheld too until at least two are, their sum is not itself small, and it does not force them (two
    withheld counts that sum to 2 are both 1). Zeros are shown unless nothing else is left to withhold.

    >>> disclose_categories({"victim": 60, "police": 30, "both": 4}, 11)
    {'victim': 60, 'police': None, 'both': None}
    >>> disclose_categories({"yes": 60, "no": 30, "unknown": 0}, 11)
    {'yes': 60, 'no': 30, 'unknown': 0}
    """
    order = sorted(counts, key=lambda name: (counts[name] == 0, counts[name], name))
    hidden = sum(_small(count, threshold) for count in counts.values())
    while 0 < hidden < len(order) and _betrayed([counts[name] for name in order[:hidden]], threshold):
        hidden += 1
    withheld = set(order[:hidden])
    return {name: None if name in withheld else count for name, count in counts.items()}


def disclose_flow(steps: Sequence[Step], threshold: int) -> tuple[Step, ...]:
    """Attrition steps from which no count of 1 to `threshold` - 1 can be worked out by subtraction.

    The last step (the matched) is kept. Going backwards, a step is kept only if its persons and its occasions are as
    many as the next ones shown, or at least `threshold` more; otherwise its rule is joined to the next kept step's with
    "; ". Both groups of a kept step are withheld where either of them would fail the same test, or is small, or what is
    in neither is small. Persons are withheld where occasions minus persons is small: so many occasions are repeats.

    Raises
    ------
    ValueError
        If a count is negative.
    """
    if not steps:
        return ()
    kept = [_withhold_groups(_withhold_persons(steps[-1], threshold), (), threshold)]
    for raw in reversed(steps[:-1]):
        step = _withhold_persons(raw, threshold)
        if step.occasions is not None and _apart(step, kept, ("persons", "occasions"), threshold):
            kept.insert(0, _withhold_groups(step, kept, threshold))
        else:
            kept[0] = dataclasses.replace(kept[0], rule=f"{raw.rule}; {kept[0].rule}")
    return tuple(kept)


def _small(n: int, threshold: int) -> bool:
    if threshold < LOWEST_THRESHOLD:
        raise ValueError(f"a threshold below {LOWEST_THRESHOLD} withholds nothing")
    return 0 < n < threshold


def _betrayed(hidden: Sequence[int], threshold: int) -> bool:
    """Whether the sum of the withheld counts tells too much: one alone, a small sum, or all at the same bound."""
    total = sum(hidden)
    forced = total == len(hidden) or (total == len(hidden) * (threshold - 1) and max(hidden) < threshold)
    return len(hidden) == 1 or total < threshold or forced


def _withhold_persons(step: Step, threshold: int) -> Step:
    """Persons hidden when they, or the occasions beyond one each, are few; a small count of occasions goes too."""
    persons, occasions = step.persons, step.occasions
    if occasions is not None:
        occasions = disclose_count(occasions, threshold)
    if persons is not None:
        repeats = None if step.occasions is None else step.occasions - persons
        persons = disclose_count(persons, threshold)
        persons = None if repeats is not None and _small(repeats, threshold) else persons
    return dataclasses.replace(step, persons=persons, occasions=occasions)


def _groups_unsafe(step: AttritionStep, threshold: int) -> bool:
    known = [count for count in (step.treated, step.comparison) if count is not None]
    if any(disclose_count(count, threshold) is None for count in known):
        return True
    return step.occasions is not None and len(known) == len(GROUPS) and _small(step.occasions - sum(known), threshold)


def _withhold_groups(step: Step, later: Sequence[Step], threshold: int) -> Step:
    """Both groups hidden when either betrays a small count by itself, by what is in neither, or by subtraction."""
    if step.occasions is None or _groups_unsafe(step, threshold) or not _apart(step, later, GROUPS, threshold):
        return dataclasses.replace(step, treated=None, comparison=None)
    return step


def _apart(step: AttritionStep, later: Sequence[AttritionStep], columns: Sequence[str], threshold: int) -> bool:
    """Each count shown here equals the next one shown later in its column, or is at least the threshold above it."""
    for column in columns:
        count: Count = getattr(step, column)
        following = next((after for other in later if (after := getattr(other, column)) is not None), None)
        if count is not None and following is not None and 0 != count - following < threshold:
            return False
    return True
