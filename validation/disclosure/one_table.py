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
from causal.effect.secondary.finding import Line
from validation.disclosure.figure import Count, Disclosed, Figure, Kind, Shown, disclose
from validation.disclosure.lines import DisclosedLine, Pair, disclose_line
from validation.disclosure.profile import Profile
from validation.disclosure.reasons import Withheld
from validation.disclosure.rounding import rounded
from validation.disclosure.tables import disclose_categories, withheld_categories
from validation.disclosure.verdicts import disclose_measured
from validation.verdict import Verdict

BoolArray = NDArray[np.bool_]
BALANCE_DECIMALS = 2
"""Of standardised differences: more would tell the counts of a level."""
TWO = 2
"""Different values of a column of numbers that is a yes or no."""
UNTOLD = "a check of this study"
"""What is said of a check that has no words here."""
SENTENCES: Mapping[str, str] = {
    "balance": "largest standardised difference of a covariate",
    "unmatched": "share of those the effect is about that is not in the comparison",
    "overlap": "share of those the effect is about whose probability of treatment lies beyond that of everybody in the "
    "other group",
    "effective": "effective number of rows of a group: as many equally weighted ones would tell as much",
    "weight_share": "largest share of the weight of a group that one row holds",
    "people": "people in the smaller group",
    "clusters": "smallest number of clusters behind a group",
    "events": "events in the group that has fewer of them",
    "outcome_model": "share of the squared error of the regression of the outcome that a few boosted trees save",
    "response": "smallest share of a group whose outcome is known (at any visit, where there are several)",
    "response_difference": "how far the groups differ in that share",
    "extreme": "how far the farthest number of a column stands from the next, in ranges of all others",
    "placebo": "chance of a difference as large as that found in what the treatment cannot have changed",
    "known_effect": "how far the estimate is from the known effect",
    "analysis": "an analysis that was planned",
}
"""By the second word of a check's code: what was judged."""
TALLIES = frozenset({"clusters", "analysis"})
ESTIMATES = frozenset({"balance", "outcome_model", "placebo", "known_effect"})
SHARES_LEFT = frozenset({"unmatched", "overlap"})
RESPONSE = frozenset({"response", "response_difference"})
OF_SINGLE_ROWS = frozenset({"extreme"})
PEOPLE = frozenset({"effective", "weight_share", "people"})


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
        told.append(
            ColumnShown(
                name=name,
                before=None if one.value is None else rounded(one.value, BALANCE_DECIMALS),
                after=None if other.value is None else rounded(other.value, BALANCE_DECIMALS),
                withheld=reason,
            )
        )
    return tuple(told)


NO_NUMBER = Disclosed(value=None)


def _estimate(value: float, groups: TableGroups, profile: Profile, why: Withheld | None) -> Disclosed:
    figure = Figure(value=value, unit="standard deviations", kind=Kind.ESTIMATE, counts=groups.used)
    return disclose(figure, profile, why)


def disclose_table_line(line: Line, profile: Profile, sizes: Pair, told: Iterable[Pair]) -> DisclosedLine:
    """A number of a finding; events may be few, and so may those without one, of the table and of those seen."""
    shown = disclose_line(line, profile, sizes, told)
    if shown.why is None and line.events is not None:
        return disclose_line(line, profile, (line.n_treated, line.n_comparison), told)
    return shown


def disclose_check(
    verdict: Verdict, groups: TableGroups, worst: str | None, profile: Profile
) -> tuple[Verdict, Disclosed]:
    """A check in words that hold no figure, and its figure where it may be shown.

    `worst` is the column whose balance a check of balance is about.
    """
    name = verdict.code.split(".")[1]
    reason = verdict.sentence if verdict.measured is None and verdict.limit is None else ""
    said = SENTENCES.get(name, UNTOLD)
    told = replace(verdict, sentence=reason or said)
    why = Withheld.FACT if name == "balance" and worst in withheld_columns(groups, profile) else None
    return told, disclose_measured(verdict, _figure(verdict, name, groups), profile, why)


def _figure(verdict: Verdict, name: str, groups: TableGroups) -> Figure:
    value = 0.0 if verdict.measured is None else verdict.measured
    kind: Kind | None = None
    counts: tuple[int, ...] | None = None
    complements: tuple[int, ...] | None = None
    if name in TALLIES:
        kind = Kind.TALLY
    elif name in ESTIMATES:
        kind, counts = Kind.ESTIMATE, groups.used
    elif name in PEOPLE:
        left = tuple(abs(size - used) for size, used in zip(groups.sizes, groups.used, strict=True))
        kind, counts, complements = Kind.COUNT, groups.used, left
    elif name in SHARES_LEFT:
        lost = round(value * groups.focal)
        kind, counts, complements = Kind.SHARE, (lost,), (groups.focal - lost,)
    elif name in RESPONSE and groups.known:
        kind, counts = Kind.SHARE, tuple(n for visit in groups.known for n in visit)
        complements = tuple(size - n for visit in groups.known for n, size in zip(visit, groups.sizes, strict=True))
    elif name in OF_SINGLE_ROWS:
        kind, counts, complements = Kind.COUNT, (1,), ()
    elif name == "events":
        kind, counts, complements = Kind.COUNT, (round(value),), ()
    return Figure(value=value, unit=verdict.sentence, kind=kind, counts=counts, complements=complements)
