"""Who remains after each rule: a flow from which no small loss can be worked out by subtraction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import Field, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from validation.disclosure.counts import disclose_count
from validation.disclosure.figure import Count, ShownCount
from validation.disclosure.profile import Profile, is_small

if TYPE_CHECKING:
    from causal import records

GROUPS = ("treated", "comparison")


class AttritionStep(Protocol):
    """A frozen dataclass with who remains after one rule: counts of persons, and of occasions in all and by group."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def rule(self) -> str:
        """In words."""
        ...

    @property
    def persons(self) -> int | None:
        """Different persons."""
        ...

    @property
    def occasions(self) -> int | None:
        """Occasions, of which a person may have several."""
        ...

    @property
    def treated(self) -> int | None:
        """Occasions in the treated group."""
        ...

    @property
    def comparison(self) -> int | None:
        """Occasions in the comparison group."""
        ...


Step = TypeVar("Step", bound=AttritionStep)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """Who remains after one rule; `treated` and `comparison` count occasions, None where withheld."""

    rule: str
    persons: Count
    occasions: Count
    treated: Count
    comparison: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remaining:
    """A step on its way."""

    rule: str
    persons: int | None
    occasions: int | None
    treated: int | None
    comparison: int | None


def flow_of(attrition: Iterable[records.AttritionStep], profile: Profile) -> tuple[FlowStep, ...]:
    """The attrition of a design without any step from which a small count could be worked out."""
    raw = [
        _Remaining(
            rule=step.rule,
            persons=step.persons,
            occasions=step.occasions,
            treated=step.treated,
            comparison=step.comparison,
        )
        for step in attrition
    ]
    return tuple(
        FlowStep(
            rule=step.rule,
            persons=_shown(step.persons),
            occasions=_shown(step.occasions),
            treated=_shown(step.treated),
            comparison=_shown(step.comparison),
        )
        for step in disclose_flow(raw, profile.threshold)
    )


def _shown(n: int | None) -> Count:
    return None if n is None else ShownCount(n)


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


def _withhold_persons(step: Step, threshold: int) -> Step:
    """Persons hidden when they, or the occasions beyond one each, are few; a small count of occasions goes too."""
    persons, occasions = step.persons, step.occasions
    if occasions is not None:
        occasions = disclose_count(occasions, threshold)
    if persons is not None:
        repeats = None if step.occasions is None else step.occasions - persons
        persons = disclose_count(persons, threshold)
        persons = None if repeats is not None and is_small(repeats, threshold) else persons
    return dataclasses.replace(step, persons=persons, occasions=occasions)


def _groups_unsafe(step: AttritionStep, threshold: int) -> bool:
    known = [count for count in (step.treated, step.comparison) if count is not None]
    if any(disclose_count(count, threshold) is None for count in known):
        return True
    return step.occasions is not None and len(known) == len(GROUPS) and is_small(step.occasions - sum(known), threshold)


def _withhold_groups(step: Step, later: Sequence[Step], threshold: int) -> Step:
    """Both groups hidden when either betrays a small count by itself, by what is in neither, or by subtraction."""
    if step.occasions is None or _groups_unsafe(step, threshold) or not _apart(step, later, GROUPS, threshold):
        return dataclasses.replace(step, treated=None, comparison=None)
    return step


def _apart(step: AttritionStep, later: Sequence[AttritionStep], columns: Sequence[str], threshold: int) -> bool:
    """Each count shown here equals the next one shown later in its column, or is at least the threshold above it."""
    for column in columns:
        count: int | None = getattr(step, column)
        following = next((after for other in later if (after := getattr(other, column)) is not None), None)
        if count is not None and following is not None and 0 != count - following < threshold:
            return False
    return True
