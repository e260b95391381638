"""Balance: of which facts means and differences may be shown, and of which only those after matching.

A mean of a yes-or-no fact is a share, and a share with the size of its group a count. Its groups lie in each other: the
compared among the eligible. So what is printed of both tells of those who were left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.covariates import MISSING_SUFFIX
from causal.design.diagnostics.balance import BalanceRow
from causal.protocol import OccasionStudy
from causal.records import Design
from validation.disclosure.families import Family, families_of
from validation.disclosure.figure import Shown
from validation.disclosure.flow import AttritionStep
from validation.disclosure.left_out import COMPARISON, ELIGIBLE, TREATED, arms_that_tell
from validation.disclosure.profile import Profile

Floats = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsWithheld:
    """Columns of a balance table of which nothing is shown, and those of which one number is withheld.

    Attributes
    ----------
    wholly
        No mean, no difference.
    difference
        No difference before matching: it tells of the eligible treated.
    share
        No mean of all eligible comparisons.
    """

    wholly: frozenset[str]
    difference: frozenset[str]
    share: frozenset[str]


def withheld_facts(
    design: Design, study: OccasionStudy, flow: Sequence[AttritionStep], profile: Profile
) -> FactsWithheld:
    """What may not be shown of the facts of a design, whose `flow` is shown as it stands.

    All yes-or-no columns of one variable stand or fall together: shares of all but one of its values tell the last.
    """
    rows = {row.name: row for row in design.balance}
    columns = {row.name: design.covariates[:, j] for j, row in enumerate(design.balance)}
    treated = design.members["treated"].to_numpy(dtype=np.bool_)
    wholly, told = set[str](), {TREATED: set[str](), COMPARISON: set[str]()}
    for name, row in rows.items():
        if not is_yes_or_no(row) and any(profile.is_small(n) for n in _unlike_most(columns[name], treated)):
            wholly.add(name)
    for family in _families(study, rows):
        own = [name for name in family.columns if name in rows and is_yes_or_no(rows[name])]
        held = {name: columns[name] for name in own}
        if any(profile.is_small(n) for n in (*_compared(held, treated), *_eligible(family, held, rows, design))):
            wholly.update(own)
            continue
        for arm in {arm for name in own for arm in arms_that_tell(rows[name], design, flow, profile)}:
            told[arm].update(own)
    return FactsWithheld(
        wholly=frozenset(wholly), difference=frozenset(told[TREATED]), share=frozenset(told[COMPARISON])
    )


def _families(study: OccasionStudy, rows: Iterable[str]) -> Iterator[Family]:
    """The study's families, and each column that is in none of them for itself."""
    known = families_of(study)
    yield from known
    named = {name for family in known for name in family.columns}
    yield from (Family(columns={name: frozenset({name})}) for name in rows if name not in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShown:
    """A line of a balance table as it may be printed; None where withheld, or where there is no such number."""

    mean_treated: Shown | None
    mean_comparison_before: Shown | None
    mean_comparison_after: Shown | None
    smd_before: Shown | None
    smd_after: Shown | None
    variance_ratio: Shown | None


NOTHING = RowShown(
    mean_treated=None,
    mean_comparison_before=None,
    mean_comparison_after=None,
    smd_before=None,
    smd_after=None,
    variance_ratio=None,
)


def row_of(row: BalanceRow, withheld: FactsWithheld) -> RowShown:
    """A line without what is `withheld` of it."""
    if row.name in withheld.wholly:
        return NOTHING
    return RowShown(
        mean_treated=Shown(row.mean_treated_after),
        mean_comparison_before=None if row.name in withheld.share else Shown(row.mean_comparison_before),
        mean_comparison_after=Shown(row.mean_comparison_after),
        smd_before=None if row.name in withheld.difference else Shown(row.smd_before),
        smd_after=Shown(row.smd_after),
        variance_ratio=None if row.variance_ratio is None else Shown(row.variance_ratio),
    )


def is_yes_or_no(row: BalanceRow) -> bool:
    """Whether a column holds 0 and 1 only, so that its mean is a share."""
    return row.raw_difference_before is not None


def _unlike_most(values: Floats, treated: BoolArray) -> Iterator[int]:
    """How many of each compared group differ from the rest: a mean would tell how few."""
    for group in (values[treated], values[~treated]):
        yield int(group.size - np.unique(group, return_counts=True)[1].max())


def _compared(columns: Mapping[str, Floats], treated: BoolArray) -> Iterator[int]:
    """How many of each compared group have each combination of answers."""
    if columns:
        answers = np.column_stack([*columns.values()])
        for group in (answers[treated], answers[~treated]):
            yield from np.unique(group, axis=0, return_counts=True)[1].tolist()


def _eligible(
    family: Family, columns: Mapping[str, Floats], rows: Mapping[str, BalanceRow], design: Design
) -> Iterator[int]:
    """How many of all eligible of each group have each value, each does not, and have none of these values.

    A value that stands in for what was not recorded is no answer: those it was given to are taken out again.
    """
    everyone = design.attrition[ELIGIBLE]
    for size, mean in ((design.n_eligible_treated, "mean_treated"), (everyone.comparison, "mean_comparison_before")):
        counts = {name: round(getattr(rows[name], mean) * size) for name in columns}
        absent = {name: counts.get(name + MISSING_SUFFIX, 0) for name in columns}
        given = {name: n - absent[name] if _filled_with_yes(name, columns) else n for name, n in counts.items()}
        apart = [given[name] for name in family.apart if name in given]
        nested = [counts[b] - counts[a] for a, b in family.nested if a in counts and b in counts]
        cells = (*counts.values(), *(size - n for n in counts.values()), *given.values(), size - sum(apart), *nested)
        yield from (max(n, 0) for n in cells)


def _filled_with_yes(name: str, columns: Mapping[str, Floats]) -> bool:
    """Whether those of whom a fact was not recorded count as having it."""
    absent = columns.get(name + MISSING_SUFFIX)
    return absent is not None and bool(absent.any()) and bool(columns[name][absent > 0].mean() > 1 / 2)


def sizes_may_be_shown(design: Design, profile: Profile) -> bool:
    """Whether both compared groups are large enough to be printed on every page; nothing is without them."""
    return min(design.n_treated, design.n_comparison) >= profile.threshold
