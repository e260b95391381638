"""The target trial: who, which strategies, from when, for how long, compared how.

The fields follow the target-trial table of Hernán and Robins (2016); `emulation` sets each element of the ideal trial
beside what the data allow, and is printed in the report.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Sentence


class MinimumAge(Part):
    """The person is at least `years` old at time zero (age from year of birth: the youngest possible age counts)."""

    rule: Literal["minimum_age"]
    years: int = Field(ge=0, le=120)


class PriorContacts(Part):
    """At least so many completed contacts with the index clinician in the days before time zero."""

    rule: Literal["prior_contacts"]
    at_least: int = Field(ge=1, le=100)
    within_days: Days


class PriorRating(Part):
    """At least so many usable outcome ratings of the index dyad in the days before time zero."""

    rule: Literal["prior_rating"]
    at_least: int = Field(ge=1, le=100)
    within_days: Days


class InRelationship(Part):
    """A treatment relationship with the assessing clinician is open at time zero."""

    rule: Literal["in_relationship"]


class NoPriorExposure(Part):
    """No action of the treated strategy was ever taken for this person before time zero."""

    rule: Literal["no_prior_exposure"]


class NotInpatient(Part):
    """The person is not an inpatient on the day of time zero."""

    rule: Literal["not_inpatient"]


class RegimeKnown(Part):
    """Exactly one legal regime is in force for the clinic's state on the day of time zero."""

    rule: Literal["regime_known"]


EligibilityRule = Annotated[
    MinimumAge | PriorContacts | PriorRating | InRelationship | NoPriorExposure | NotInpatient | RegimeKnown,
    Field(discriminator="rule"),
]


class TreatedStrategy(Part):
    """What the treated do, within `grace_hours` of time zero."""

    label: Sentence
    actions: tuple[Name, ...] = Field(min_length=1)
    """Codes of protective_actions.action, any of which is the strategy."""
    grace_hours: int = Field(ge=1, le=24 * 30)


class ComparisonStrategy(Part):
    """What the comparison occasions do instead."""

    label: Sentence
    pool: Literal["assessed_not_treated"]
    """Where comparison occasions come from: assessments of the same kind without the treated strategy."""


class Strategies(Part):
    """The two strategies compared."""

    treated: TreatedStrategy
    comparison: ComparisonStrategy


class Assignment(Part):
    """How assignment is emulated: compared occasions agree on `exact`, and lie within `calendar_days` of each other."""

    exact: tuple[Name, ...] = ()
    calendar_days: Days


class FollowUp(Part):
    """From time zero to the horizon, death or the end of the data."""

    horizon_days: Days
    competing: tuple[Literal["death"], ...] = ("death",)


class Contrast(Part):
    """Which population the effect speaks of, and whose strategies are compared."""

    estimand: Literal["ATT", "ATE", "ATO"]
    analogue: Literal["intention_to_treat", "per_protocol"]


class Emulation(Part):
    """One row of the table that sets the ideal trial beside the emulation."""

    element: Sentence
    ideal: Sentence
    emulated: Sentence


class TargetTrial(Part):
    """The trial that may not be run, and how it is emulated."""

    eligibility: tuple[EligibilityRule, ...] = Field(min_length=1)
    strategies: Strategies
    time_zero: Literal["assessment"]
    assignment: Assignment
    follow_up: FollowUp
    contrast: Contrast
    emulation: tuple[Emulation, ...] = ()
