"""The target trial: who, which strategies, from when, for how long, compared how.

The fields follow the target-trial table of Hernán and Robins (2016); `emulation` sets each element of the ideal trial
beside what the data allow, and is printed in the report.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from causal.protocol.base import WHOSE_EFFECT, Days, Name, Part, Says, Sentence


class MinimumAge(Part):
    """The person is at least `years` years old at time zero (by year of birth: the youngest possible age counts)."""

    rule: Literal["minimum_age"]
    """Name of the rule."""
    years: int = Field(ge=0, le=120)
    """Completed years."""


class PriorContacts(Part):
    """At least `at_least` completed contacts with the index clinician in the `within_days` days before time zero."""

    rule: Literal["prior_contacts"]
    """Name of the rule."""
    at_least: int = Field(ge=1, le=100)
    """How many."""
    within_days: Days
    """Counted back from time zero."""


class PriorRating(Part):
    """At least `at_least` usable outcome rating(s) of the index dyad in the `within_days` days before time zero."""

    rule: Literal["prior_rating"]
    """Name of the rule."""
    at_least: int = Field(ge=1, le=100)
    """How many."""
    within_days: Days
    """Counted back from time zero."""


class InRelationship(Part):
    """A treatment relationship with `words.clinician` is open at time zero."""

    rule: Literal["in_relationship"]
    """Name of the rule."""


class NoPriorExposure(Part):
    """No action of the treated strategy was ever taken for this person before time zero."""

    rule: Literal["no_prior_exposure"]
    """Name of the rule."""


class NotInpatient(Part):
    """The person is no inpatient when the day of time zero begins: admitted before it and not discharged before it."""

    rule: Literal["not_inpatient"]
    """Name of the rule."""


class RegimeKnown(Part):
    """Exactly one legal regime is in force for the clinic's state on the day of time zero."""

    rule: Literal["regime_known"]
    """Name of the rule."""


class Alive(Part):
    """No death is recorded before the day of time zero."""

    rule: Literal["alive"]
    """Name of the rule."""


class ExposureClear(Part):
    """The records say clearly whether the treated strategy followed this `words.unit`.

    They do not when the person received it within the grace window through another `words.unit`, or when an action row
    about the person was set aside or names somebody else's.
    """

    rule: Literal["exposure_clear"]
    """Name of the rule."""


class FollowedUp(Part):
    """Time zero lies at least `days` days before the end of the records.

    Without it, occasions too recent to have ended or been rated would count as not ended.
    """

    rule: Literal["followed_up"]
    """Name of the rule."""
    days: Days
    """Days of records there must be after time zero, whatever happened in them."""


class Holds(Part):
    """`says` (the definition `of` is yes; where it was not recorded it is not)."""

    rule: Literal["holds"]
    """Name of the rule."""
    of: Name
    """A definition that is yes or no, of what was known before time zero."""
    says: Sentence
    """What the flow of occasions and the board are told: who is left, in a few words."""


EligibilityRule = Annotated[
    MinimumAge
    | Holds
    | PriorContacts
    | PriorRating
    | InRelationship
    | NoPriorExposure
    | NotInpatient
    | RegimeKnown
    | Alive
    | ExposureClear
    | FollowedUp,
    Field(discriminator="rule"),
]


class TreatedStrategy(Part):
    """What the treated do, within `grace_hours` of time zero."""

    label: Sentence
    """What the board calls it."""
    short: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    """The same in a few words that fit into a sentence: "after a home visit"."""
    actions: Annotated[tuple[Name, ...], Says(name="Actions on record, any of which is that strategy")] = Field(
        min_length=1
    )
    """Codes of protective_actions.action, any of which is the strategy."""
    grace_hours: Annotated[int, Says(unit="hours")] = Field(ge=1, le=24 * 30)
    """Hours after time zero within which the action counts as the strategy."""


class ComparisonStrategy(Part):
    """What the comparison occasions do instead."""

    label: Sentence
    """What the board calls it."""
    short: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    """The same in a few words that fit into a sentence: "without a home visit"."""
    pool: Annotated[
        Literal["assessed_not_treated"],
        Says(
            name="Where comparison occasions come from",
            choices={"assessed_not_treated": "`words.units` of the same kind without the treated strategy"},
        ),
    ]
    """Where comparison occasions come from: occasions of the same kind without the treated strategy."""


class Strategies(Part):
    """The two strategies compared."""

    treated: TreatedStrategy
    """The strategy whose effect is asked for."""
    comparison: ComparisonStrategy
    """What it is compared with."""


class Assignment(Part):
    """How assignment is emulated: compared occasions agree on `exact`, and lie within `calendar_days` of each other."""

    exact: tuple[Name, ...] = ()
    """Keys on which compared occasions agree exactly."""
    calendar_days: Days
    """Most days between the time zeros of compared occasions."""


class FollowUp(Part):
    """From time zero to the horizon, death or the end of the data."""

    horizon_days: Days
    """Days of follow-up from time zero."""
    competing: tuple[Literal["death"], ...] = ("death",)
    """Events that end follow-up."""


class Contrast(Part):
    """Which population the effect speaks of, and whose strategies are compared."""

    estimand: Annotated[Literal["ATT", "ATC", "ATE", "ATO", "ATM"], WHOSE_EFFECT]
    """Effect in the treated, the untreated, everyone, those who could have gone either way, or those a match keeps."""
    analogue: Annotated[
        Literal["intention_to_treat", "per_protocol"],
        Says(
            name="Compared by",
            choices={
                "intention_to_treat": "the strategy begun (intention to treat)",
                "per_protocol": "the strategy kept (per protocol)",
            },
        ),
    ]
    """By the strategy begun, or by the strategy kept."""


class Emulation(Part):
    """One row of the table that sets the ideal trial beside the emulation."""

    element: Sentence
    """Eligibility, strategies, assignment, time zero, follow-up, outcome, contrast or analysis."""
    ideal: Sentence
    """What the trial nobody may run would do."""
    emulated: Sentence
    """What the records allow."""


class TargetTrial(Part):
    """The trial that may not be run, and how it is emulated."""

    eligibility: tuple[EligibilityRule, ...] = Field(min_length=1)
    """Who may take part, judged at time zero by what was known before it; applied in this order."""
    strategies: Strategies
    """What is compared."""
    time_zero: Annotated[Literal["assessment"], Says(choices={"assessment": "`words.unit`"})]
    """The instant at which eligibility, assignment and follow-up begin together."""
    assignment: Assignment
    """How chance is imitated."""
    follow_up: FollowUp
    """For how long."""
    contrast: Contrast
    """Which effect."""
    emulation: tuple[Emulation, ...] = ()
    """The ideal trial beside its emulation, row by row, for the report."""
