"""Several tests declared as one family: Holm's step-down adjustment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from causal.errors import EstimationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """One member of a family.

    Attributes
    ----------
    name
        As declared.
    p_value
        Before adjustment; None where the member could not be evaluated.
    adjusted
        Smallest familywise error rate at which its hypothesis is rejected; None as above.
    rejected
        Whether that is at most the family's error rate; false where not evaluated.
    """

    name: str
    p_value: float | None
    adjusted: float | None
    rejected: bool


def holm(family: Mapping[str, float | None], *, error_rate: float = 0.05) -> tuple[Adjusted, ...]:
    """Holm's step-down p-values of a family declared beforehand, in the order declared.

    Parameters
    ----------
    family
        p-value by name; None or NaN for a member that could not be evaluated. It stays in the family's size, as the
        worst of all: which members can be evaluated is learned from the data, and a family that shrinks when one fails
        would make the others' tests easier than declared.
    error_rate
        Chance, at most, that any true hypothesis of the family is rejected, whatever the dependence.

    Raises
    ------
    EstimationError
        ``estimation.p_value`` (below 0 or above 1), ``estimation.empty_family``, ``estimation.level``.

    Notes
    -----
    With p sorted ascending among m members, ``adjusted_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))``; equal p-values
    get equal adjusted ones. Holm (1979), Scand J Stat 6:65-70; R's ``p.adjust(p, "holm", n = m)``.

    >>> [member.adjusted for member in holm({"bond": 0.01, "goal_task": 0.04, "30 d": 0.03, "180 d": None})]
    [0.04, 0.09, 0.09, None]
    """
    if not family:
        raise EstimationError("estimation.empty_family", "a family of tests has one member or more")
    if not 0 < error_rate < 1:
        raise EstimationError("estimation.level", "a familywise error rate lies between 0 and 1")
    told = {name: p for name, p in family.items() if p is not None and not math.isnan(p)}
    if not all(0 <= p <= 1 for p in told.values()):
        raise EstimationError("estimation.p_value", "a p-value of the family is not between 0 and 1")
    adjusted: dict[str, float] = {}
    reached = 0.0
    for rank, name in enumerate(sorted(told, key=told.__getitem__)):
        reached = max(reached, min(1.0, (len(family) - rank) * told[name]))
        adjusted[name] = reached
    return tuple(
        Adjusted(
            name=name,
            p_value=told.get(name),
            adjusted=adjusted.get(name),
            rejected=name in adjusted and adjusted[name] <= error_rate,
        )
        for name in family
    )
