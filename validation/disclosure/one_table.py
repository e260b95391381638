"""What may be told of a study of one table: its groups, the balance of its columns, its checks.

Checks are told in words that hold no figure; the figure stands beside them where it may. A check that nobody has put
into words here keeps its verdict and is told no further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.design.frame import DesignColumns
from validation.disclosure.figure import Count, Disclosed, Figure, Kind, Shown, disclose
from validation.disclosure.profile import Profile
from validation.disclosure.reasons import Withheld
from validation.disclosure.tables import disclose_categories, withheld_categories
from validation.disclosure.verdicts import disclose_measured
from validation.verdict import Verdict

BoolArray = NDArray[np.bool_]
TWO = 2
"""Different values of a column of numbers that is a yes or no."""
UNTOLD = "a check of this study"
"""What is said of a check that has no words here."""
SENTENCES: Mapping[str, str] = {
    "flat.balance": "largest standardised difference of a covariate",
    "flat.unmatched": "share of those the effect is about that is not in the comparison",
    "flat.overlap": "share of those the effect is about whose probability of treatment lies beyond that of everybody "
    "in the other group",
    "flat.effective": "effective number of rows of a group: as many equally weighted ones would tell as much",
    "flat.weight_share": "largest share of the weight of a group that one row holds",
    "flat.clusters": "smallest number of clusters behind a group",
    "flat.outcome_model": "share of the squared error of the regression of the outcome that a few boosted trees save",
    "flat.response": "smallest share of a group whose outcome is known",
    "flat.response_difference": "how far the groups differ in the share whose outcome is known",
    "flat.extreme": "how far the farthest number of a column stands from the next, in ranges of all others",
    "flat.placebo": "chance of a difference as large as that found in what the treatment cannot have changed",
    "flat.known_effect": "how far the estimate is from the known effect",
    "long.balance": "largest standardised difference of a covariate before anything adjusts",
    "long.people": "people in the smaller group",
    "long.clusters": "smallest number of clusters behind a group",
    "long.events": "events in the group that has fewer of them",
    "long.response": "share of people whose outcome is known, at the visit and in the group with fewest",
    "long.response_difference": "how far the groups differ in that share, at the visit where they differ most",
    "long.extreme": "how far the farthest number of a column stands from the next, in ranges of all others",
    "long.analysis": "an analysis that was planned",
}
"""By code, or its first two words: what was judged."""
TALLIES = frozenset({"flat.clusters", "long.clusters"})
ESTIMATES = frozenset({"flat.balance", "long.balance", "flat.outcome_model", "flat.placebo", "flat.known_effect"})
RESPONSE = frozenset({"flat.response", "flat.response_difference", "long.response", "long.response_difference"})
OF_SINGLE_ROWS = frozenset({"flat.extreme", "long.extreme"})
PEOPLE = frozenset({"flat.effective", "flat.weight_share", "long.people"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableGroups:
    """Who stands behind a table's numbers.

    Attributes
    ----------
    columns, treated
        Every covariate with all its levels, None without any; and (n,) arm of its rows.
    sizes
        Treated and comparison rows of the table; of spells, people with a spell in the group.
    used
        Treated and comparison rows (people) with weight in the answer.
    focal
        How many the effect is about.
    known
        Treated and comparison rows or people whose outcome is known, at each visit compared; () before it is opened.
    """

    columns: DesignColumns | None
    treated: BoolArray
    sizes: tuple[int, int]
    used: tuple[int, int]
    focal: int
    known: tuple[tuple[int, int], ...] = ()


def sizes_of(groups: TableGroups, profile: Profile) -> tuple[Count, Count]:
    """How many are in each group, or neither."""
    told = disclose_categories(dict(zip(("treated", "comparison"), groups.sizes, strict=True)), profile.threshold)
    return told["treated"], told["comparison"]


def withheld_columns(groups: TableGroups, profile: Profile) -> frozenset[str]:
    """Columns (`DesignColumns.plain`) whose balance would tell a small count: all levels of a category together.

    A column of numbers with two values is a category of two levels, however they are written, and so is its square.
    """
    columns = groups.columns
    if columns is None:
        return frozenset()
    hidden: set[str] = set()
    arms = (groups.treated, ~groups.treated)
    for source in dict.fromkeys(columns.source):
        own = [j for j, name in enumerate(columns.source) if name == source]
        levels = [j for j in own if columns.level[j] > 0]
        if levels:
            cells = {columns.plain[j]: [int(columns.values[arm, j].sum()) for arm in arms] for j in levels}
            hidden |= withheld_categories(cells, profile.threshold)
            continue
        values, code = np.unique(columns.values[:, own[0]], return_inverse=True)
        if values.size <= TWO:
            cells = {str(k): [int((code[arm] == k).sum()) for arm in arms] for k in range(values.size)}
            if withheld_categories(cells, profile.threshold):
                hidden |= {columns.plain[j] for j in own}
    return frozenset(hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShown:
    """Standardised differences of one column before and after adjustment, as they may be printed.

    `after` is None where nothing adjusts before the answer does, or where both are `withheld`.
    """

    name: str
    before: Shown | None
    after: Shown | None
    withheld: str = ""


def disclose_balance(
    rows: Iterable[tuple[str, float, float | None]], groups: TableGroups, profile: Profile
) -> tuple[ColumnShown, ...]:
    """Balance by column: name, standardised difference before, and after where there is one."""
    hidden = withheld_columns(groups, profile)
    told = []
    for name, before, after in rows:
        why = Withheld.FACT if name in hidden else None
        one, other = (
            NO_NUMBER if value is None else _estimate(value, groups, profile, why) for value in (before, after)
        )
        reason = one.why.sentence(profile.threshold) if one.why is not None else ""
        told.append(ColumnShown(name=name, before=one.value, after=other.value, withheld=reason))
    return tuple(told)


NO_NUMBER = Disclosed(value=None)


def _estimate(value: float, groups: TableGroups, profile: Profile, why: Withheld | None) -> Disclosed:
    figure = Figure(value=value, unit="standard deviations", kind=Kind.ESTIMATE, counts=groups.used)
    return disclose(figure, profile, why)


def disclose_check(
    verdict: Verdict, groups: TableGroups, worst: str | None, profile: Profile
) -> tuple[Verdict, Disclosed]:
    """A check in words that hold no figure, and its figure where it may be shown.

    `worst` is the column whose balance a check of balance is about.
    """
    family = ".".join(verdict.code.split(".")[:2])
    reason = verdict.sentence if verdict.measured is None and verdict.limit is None else ""
    said = SENTENCES.get(family, UNTOLD)
    told = replace(verdict, sentence=reason or said)
    why = Withheld.FACT if family.endswith(".balance") and worst in withheld_columns(groups, profile) else None
    return told, disclose_measured(verdict, _figure(verdict, family, groups), profile, why)


def _figure(verdict: Verdict, family: str, groups: TableGroups) -> Figure:
    value = 0.0 if verdict.measured is None else verdict.measured
    kind: Kind | None = None
    counts: tuple[int, ...] | None = None
    complements: tuple[int, ...] | None = None
    if family in TALLIES:
        kind = Kind.TALLY
    elif family in ESTIMATES:
        kind, counts = Kind.ESTIMATE, groups.used
    elif family in PEOPLE:
        left = tuple(size - used for size, used in zip(groups.sizes, groups.used, strict=True))
        kind, counts, complements = Kind.COUNT, groups.used, left
    elif family in ("flat.unmatched", "flat.overlap"):
        lost = round(value * groups.focal)
        kind, counts, complements = Kind.SHARE, (lost,), (groups.focal - lost,)
    elif family in RESPONSE and groups.known:
        kind, counts = Kind.SHARE, tuple(n for visit in groups.known for n in visit)
        complements = tuple(size - n for visit in groups.known for n, size in zip(visit, groups.sizes, strict=True))
    elif family in OF_SINGLE_ROWS:
        kind, counts, complements = Kind.COUNT, (1,), ()
    elif family == "long.events":
        kind, counts, complements = Kind.COUNT, (round(value),), ()
    return Figure(value=value, unit=verdict.sentence, kind=kind, counts=counts, complements=complements)
