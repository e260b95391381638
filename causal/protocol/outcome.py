"""What is measured afterwards, by whom, when; and what is done about events in between."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Says, Sentence


class Window(Part):
    """The rating nearest day `day`, at most `half_width` days away; ties go to the earlier; never before time zero."""

    day: Days
    """Target day, counted from time zero."""
    half_width: Days
    """How many days either side of it still count."""


class Rating(Part):
    """A questionnaire score of one dyad, seen by one rater."""

    kind: Literal["rating"]
    """The kind of outcome."""
    instrument: Annotated[Name, Says(name="Questionnaire, by the name of its scoring key", verbatim=True)]
    """Key in `configs/instruments`."""
    version: Name
    """Which form of the instrument."""
    rater: Literal["patient", "clinician", "observer", "caregiver"]
    """Who answers it."""
    dyad: Annotated[
        Literal["index_clinician", "any_clinician"],
        Says(
            name="Which relationship is rated",
            choices={
                "index_clinician": "only that with the clinician of time zero",
                "any_clinician": "that with any clinician",
            },
        ),
    ]
    """Whether only the relationship with the clinician of time zero is rated."""
    scale: Annotated[
        Literal["item_mean", "sum"],
        Says(
            name="In what points",
            choices={"item_mean": "those of one item (the mean of the items)", "sum": "those of all items together"},
        ),
    ]
    """Points of one item, or of all items together."""
    windows: tuple[Window, ...] = Field(min_length=1)
    """When it is rated."""
    primary_day: Annotated[Days, Says(name="The day that answers the question; the others are secondary")]
    """The window that answers the question; the others are secondary."""
    subscales: tuple[Name, ...] = ()
    """Subscales also analysed."""


class DaysCovered(Part):
    """Proportion of days covered by fills (medication adherence)."""

    kind: Literal["days_covered"]
    """The kind of outcome."""
    horizon_days: Days
    """Days of fills counted."""
    drug_classes: tuple[Name, ...] = Field(min_length=1)
    """Code lists of the medicines."""
    inpatient: Annotated[
        Literal["credit", "remove"],
        Says(
            name="Days in hospital",
            choices={"credit": "count as covered", "remove": "are removed from the days counted"},
        ),
    ]
    """Whether days in hospital count as covered, or are removed from the days counted."""
    thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.8,)
    """Proportions at which a person also counts as adherent."""


class TimeToEvent(Part):
    """Time to a first event, with competing events."""

    kind: Literal["time_to_event"]
    """The kind of outcome."""
    event: Name
    """The event awaited."""
    horizon_days: Days
    """Days of follow-up."""
    competing: tuple[Name, ...] = ("death",)
    """Events after which it can no longer happen."""
    contrast: Literal["cumulative_incidence", "restricted_mean_time"] = "cumulative_incidence"
    """Difference in risk at the horizon, or in mean time free of the event up to it."""


class Amount(Part):
    """A quantity without a scoring key of ours: blood pressure, a behaviour count, a coded share of talk."""

    kind: Literal["amount"]
    """The kind of outcome."""
    measure: Name
    """What is measured."""
    unit: Sentence
    """In what unit."""
    windows: tuple[Window, ...] = Field(min_length=1)
    """When it is measured."""
    primary_day: Days
    """The window that answers the question."""


class EventBy(Part):
    """Whether something happened by a day: left treatment, a boundary was crossed."""

    kind: Literal["event_by"]
    """The kind of outcome."""
    event: Name
    """The event."""
    day: Days
    """By when, counted from time zero."""


class NextSession(Part):
    """A quantity measured at the session `lag` sessions after the exposure's."""

    kind: Literal["next_session"]
    """The kind of outcome."""
    measure: Name
    """What is measured."""
    lag: int = Field(default=1, ge=1, le=52)
    """How many sessions later."""


Outcome = Annotated[Rating | DaysCovered | TimeToEvent, Field(discriminator="kind")]
"""Outcomes of a study of occasions."""

CohortOutcome = Annotated[
    Rating | DaysCovered | TimeToEvent | Amount | EventBy | NextSession, Field(discriminator="kind")
]
"""Outcomes of a study of any other unit."""


class Composite(Part):
    """The event is itself a bad outcome: the outcome takes `value` from then on."""

    strategy: Literal["composite"]
    """How the event is handled."""
    value: float
    """The outcome from the event on, in the outcome's own units."""


class WhileInRelationship(Part):
    """The outcome while the relationship lasted: the last value before the event stands."""

    strategy: Literal["while_in_relationship"]
    """How the event is handled."""


class Hypothetical(Part):
    """What would have been seen had the event not happened (missing at random given the design's covariates)."""

    strategy: Literal["hypothetical"]
    """How the event is handled."""


class PrincipalStratum(Part):
    """Only those in whom the event happens under neither strategy; who they are cannot be seen, so bounds are given."""

    strategy: Literal["principal_stratum"]
    """How the event is handled."""


class TreatmentPolicy(Part):
    """The event is part of the strategy's course: the outcome counts as it is."""

    strategy: Literal["treatment_policy"]
    """How the event is handled."""


class Separate(Part):
    """The event is an outcome of its own; the occasion leaves this estimand and is counted."""

    strategy: Literal["separate"]
    """How the event is handled."""


Strategy = Annotated[
    Composite | WhileInRelationship | Hypothetical | TreatmentPolicy | PrincipalStratum | Separate,
    Field(discriminator="strategy"),
]


class IntercurrentEvents(Part):
    """ICH E9(R1): one strategy for each event that can come between time zero and the rating."""

    patient_ended: Strategy
    """The patient ends treatment with the index clinician, or is lost."""
    planned_completion: Strategy
    """Treatment ends as planned or by agreement."""
    transfer: Strategy
    """The clinician or the system moves the patient elsewhere, or the patient is incarcerated."""
    hospitalised: Strategy
    """An inpatient stay in the rating window."""
    comparison_treated_later: Strategy
    """A comparison occasion's person receives the treated strategy later."""
    death: Strategy
    """The person dies."""


ESTIMABLE_STRATEGIES: dict[str, tuple[str, ...]] = {
    "patient_ended": ("composite", "hypothetical", "while_in_relationship", "principal_stratum"),
    "planned_completion": ("while_in_relationship", "hypothetical"),
    "transfer": ("hypothetical", "while_in_relationship"),
    "hospitalised": ("treatment_policy", "hypothetical", "while_in_relationship"),
    "comparison_treated_later": ("treatment_policy", "hypothetical"),
    "death": ("separate", "while_in_relationship"),
}
"""Strategies carried out for each intercurrent event."""


def course_can_be_censored(events: IntercurrentEvents) -> bool:
    """Whether a comparison's course may stop at a later treatment: not where endings themselves are the outcome."""
    counts_endings = isinstance(events.patient_ended, Composite | PrincipalStratum)
    return not (counts_endings and isinstance(events.comparison_treated_later, Hypothetical))


class Estimand(Part):
    """One question put precisely."""

    id: Annotated[str, Field(pattern=r"^E[0-9]{1,2}$")]
    """E1, E2, …"""
    label: Sentence
    """What the board calls it."""
    primary: bool = False
    """Exactly one estimand answers the study's question."""
    intercurrent_events: IntercurrentEvents
    """What is done about each event between time zero and the rating."""


class EventStrategy(Part):
    """One event that can come between time zero and the outcome, and what is done about it."""

    event: Name
    """The event."""
    handled: Strategy
    """Its strategy."""


class CohortEstimand(Part):
    """One question put precisely, in a study that names its own intercurrent events."""

    id: Annotated[str, Field(pattern=r"^E[0-9]{1,2}$")]
    """E1, E2, …"""
    label: Sentence
    """What the board calls it."""
    primary: bool = False
    """Exactly one estimand answers the study's question."""
    intercurrent_events: tuple[EventStrategy, ...] = Field(min_length=1)
    """What is done about each event between time zero and the outcome."""
