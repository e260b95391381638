"""A study of one long table: several rows per person, one for each visit or for each spell of follow-up."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from causal.protocol.base import ColumnName, Part, PlacedError, Says
from causal.protocol.flat_gates import FlatGates
from causal.protocol.flat_table import FileData, PackageData
from causal.protocol.governance import Governance, Report
from causal.protocol.header import StudyHeader
from causal.protocol.long_analyses import LongAnalysis
from causal.protocol.words import NEUTRAL, Words

Label = Annotated[str, Field(min_length=1, max_length=60), Says(verbatim=True)] | int | float
"""A visit as the table writes it."""


class LongColumns(Part):
    """What every long table has: people, a treatment, and facts about them."""

    person: ColumnName | Annotated[tuple[ColumnName, ...], Field(min_length=2)]
    """Column that names the person a row belongs to; several where only together they do, as a clinic and a number
    in it."""
    treatment: ColumnName
    """Column of the treatment: 0 or 1, or two values of which `treated_value` says one."""
    treated_value: Annotated[str, Field(min_length=1, max_length=60)] | bool | int | None = None
    """The value of the treatment that means treated; the column must hold exactly one other. Capitals and blanks around
    it do not count."""
    numeric: tuple[ColumnName, ...] = ()
    """Covariates that enter as numbers."""
    categorical: tuple[ColumnName, ...] = ()
    """Covariates that enter as indicators of their levels, the most frequent one apart."""
    cluster: ColumnName | None = None
    """Column of what holds whole people who may resemble each other: a clinic, a family."""

    @property
    def named_by(self) -> tuple[str, ...]:
        """The columns that name a person."""
        return (self.person,) if isinstance(self.person, str) else self.person


class Visits(LongColumns):
    """One row per person and visit. A visit without a row, or with an empty outcome, was missed."""

    rows: Literal["visits"]
    """What a row is."""
    visit: ColumnName
    """Column that says which visit a row is."""
    visits: tuple[Label, ...] = Field(min_length=2)
    """The visits whose outcome is compared, in their order, as the table writes them."""
    times: tuple[float, ...] = ()
    """When these visits are, in any unit, rising: for a straight course over time. Visits that are numbers are their
    own times."""
    baseline: Label | None = None
    """The visit before treatment: its outcome is a covariate, and everybody needs one."""
    visits_not_used: tuple[Label, ...] = ()
    """Visits in the table that play no part. Any other is refused, so that none is lost by a slip of the pen."""
    outcome: ColumnName
    """Column of the outcome: a number; 0 or 1 for events."""
    lower: float | None = None
    """Least value the outcome can have, by its definition; a smaller one is refused."""
    upper: float | None = None
    """Largest value the outcome can have; a larger one is refused."""

    @model_validator(mode="after")
    def _visits_are_told_apart(self) -> Self:
        named = [*self.visits, *self.visits_not_used, *([] if self.baseline is None else [self.baseline])]
        said = [plain(visit) for visit in named]
        if len(set(said)) < len(said):
            twice = next(visit for visit, text in zip(named, said, strict=True) if said.count(text) > 1)
            raise ValueError(f"the visit {twice} is named twice")
        if len({isinstance(visit, str) for visit in named}) > 1:
            raise ValueError("visits are all numbers or all text: quote the numbers if the table's column is text")
        if not isinstance(self.visits[0], str):
            if self.times:
                raise PlacedError("visits that are numbers are their own times: drop times", "times")
            if any(a >= b for a, b in zip(self.visits, self.visits[1:], strict=False)):  # type: ignore[operator]
                raise PlacedError("visits that are numbers stand in rising order", "visits")
        if self.times and len(self.times) != len(self.visits):
            raise PlacedError(f"{len(self.visits)} visits need as many times, got {len(self.times)}", "times")
        if any(a >= b for a, b in zip(self.times, self.times[1:], strict=False)):
            raise PlacedError("times rise", "times")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What each compared visit is called."""
        return tuple(visit if isinstance(visit, str) else plain(visit) for visit in self.visits)

    @property
    def when(self) -> tuple[float, ...]:
        """Time of each compared visit; empty where nothing says it."""
        return self.times or tuple(float(visit) for visit in self.visits if not isinstance(visit, str))


class Spells(LongColumns):
    """One row per person and stretch of follow-up, at risk after its start and up to its stop.

    Treatment and covariates may change from one spell to the next; each counts as it stood when the spell began. An
    event may recur: then several spells of a person end with one.
    """

    rows: Literal["spells"]
    """What a row is."""
    start: ColumnName
    """Column of the time a spell begins: 0 or more, counted from the person's own time zero."""
    stop: ColumnName
    """Column of the time it ends."""
    event: ColumnName
    """Column that says whether it ended with the event: 0 or 1."""


def plain(visit: Label) -> str:
    """A visit as it is compared: without capitals or blanks around it; 2 for 2.0.

    >>> plain(2.0), plain(0.5), plain(" Week 4 ")
    ('2', '0.5', 'week 4')
    """
    if isinstance(visit, str):
        return visit.strip().casefold()
    return str(int(visit)) if float(visit).is_integer() else repr(float(visit))


class LongGates(Part):
    """Limits the answer must keep.

    A check that fails speaks in the first line, and `rapport run --strict` exits with 1.

    Those that flat tables have too have the same defaults.
    """

    smd: float | None = Field(default=None, gt=0, le=2)
    """Largest standardised difference of a covariate between the groups before anything adjusts. Where this is not
    said: half a standard deviation if `assigned` is not by lot, and no limit if it is."""
    minimum_people: int = Field(default=FlatGates.model_fields["minimum_effective"].default, ge=2)
    """Fewest people behind either group."""
    minimum_clusters_per_arm: int = Field(default=FlatGates.model_fields["minimum_clusters_per_arm"].default, ge=2)
    """Fewest clusters (`columns.cluster`) behind either group."""
    minimum_response: float = Field(default=FlatGates.model_fields["minimum_response"].default, ge=0, le=1)
    """Smallest share of either group whose outcome is known, at any visit compared."""
    maximum_response_difference: float = Field(
        default=FlatGates.model_fields["maximum_response_difference"].default, ge=0, le=1
    )
    """Largest difference between the groups in that share, at any visit compared."""
    minimum_events: int = Field(default=10, ge=1)
    """Fewest events in either group, of spells."""


class LongPublished(Part):
    """A number from the literature that an analysis should reproduce, and where it is printed."""

    analysis: Annotated[str, Field(min_length=1, max_length=60)]
    """The `name` of the analysis."""
    at: Label | None = None
    """The visit, where the analysis has a number for each."""
    quantity: Literal["estimate", "lower", "upper", "std_error"]
    """Which number; the standard error on the scale on which the interval is symmetric."""
    value: float
    """The number."""
    tolerance: float = Field(gt=0)
    """Largest difference that still counts as agreement."""
    source: Annotated[str, Field(min_length=1, max_length=2000), Says(verbatim=True)]
    """Where it is printed."""


class LongTableStudy(Part):
    """A study of one long table: several rows per person, a treatment, an outcome followed over time."""

    model_config = ConfigDict(title="Study of one long table")

    schema_version: Literal["rapport-study/1"]
    """Version of this vocabulary."""
    kind: Literal["long_table"]
    """The kind of study."""
    study: StudyHeader
    """The question."""
    words: Words = NEUTRAL
    """What the pages call the people, the groups and the outcome."""
    data: Annotated[PackageData | FileData, Field(discriminator="kind")]
    """Where the table is."""
    columns: Annotated[Visits | Spells, Field(discriminator="rows")]
    """What a row is, and which column is what."""
    assigned: Annotated[
        Literal["by_lot", "by_choice", "not_assigned"],
        Says(
            name="How people came to be treated",
            choices={
                "by_lot": "by lot",
                "by_choice": "by choice: the covariates have to make up for it",
                "not_assigned": "not at all: groups are described, and nothing is said of causes",
            },
        ),
    ]
    """By lot; by somebody's choice, and then nothing but the covariates makes the groups comparable; or not at all, as
    women and men are: then differences are described."""
    analyses: tuple[LongAnalysis, ...] = Field(min_length=1)
    """What is estimated; the first is the main analysis."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the intervals."""
    seed: int = Field(default=20240601, ge=0)
    """Every random draw comes from it, by the name of the analysis that draws."""
    published: tuple[LongPublished, ...] = ()
    """Numbers these analyses should reproduce."""
    gates: LongGates = LongGates()
    """Limits the answer must keep."""
    governance: Annotated[Governance | None, Says(nothing="none is declared: the table counts as public")] = None
    """On what basis the table is used. Where its `data_class` is not public, a board approves the design before
    outcomes are opened, and small counts are withheld. Without it the table counts as public and is printed only."""
    report: Annotated[Report | None, Says(nothing="none: nothing is published")] = None
    """What readers are told beside the numbers; goes with `governance`."""

    @model_validator(mode="after")
    def _governance_and_report_go_together(self) -> Self:
        if (self.governance is None) != (self.report is None):
            missing = "report" if self.report is None else "governance"
            raise PlacedError(
                f"{missing} must be said where the other is", "governance" if missing == "report" else "report"
            )
        return self
