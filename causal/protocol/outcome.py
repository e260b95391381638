"""What is measured afterwards, by whom, when; and what is done about events in between."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Sentence


class Window(Part):
    """The rating nearest to `day` within `half_width` days either side; ties go to the earlier; never before time zero."""

    day: Days
    half_width: Days


class Rating(Part):
    """A questionnaire score of one dyad, seen by one rater."""

    kind: Literal["rating"]
    instrument: Name
    version: Name
    rater: Literal["patient", "clinician", "observer", "caregiver"]
    dyad: Literal["index_clinician", "any_clinician"]
    scale: Literal["item_mean", "sum"]
    windows: tuple[Window, ...] = Field(min_length=1)
    primary_day: Days


class DaysCovered(Part):
    """Proportion of days covered by fills (medication adherence)."""

    kind: Literal["days_covered"]
    horizon_days: Days
    drug_classes: tuple[Name, ...] = Field(min_length=1)
    inpatient: Literal["credit", "ignore"]
    thresholds: tuple[float, ...] = (0.8,)


class TimeToEvent(Part):
    """Time to a first event, with competing events."""

    kind: Literal["time_to_event"]
    event: Name
    horizon_days: Days
    competing: tuple[Name, ...] = ("death",)


Outcome = Annotated[Rating | DaysCovered | TimeToEvent, Field(discriminator="kind")]


class Composite(Part):
    """The event is itself a bad outcome: the outcome takes `value` from then on."""

    strategy: Literal["composite"]
    value: float


class LastValue(Part):
    """The last value before the event stands."""

    strategy: Literal["last_value"]


class Hypothetical(Part):
    """What would have been seen had the event not happened (missing at random given the design's covariates)."""

    strategy: Literal["hypothetical"]


class TreatmentPolicy(Part):
    """The event is part of the strategy's course: the outcome counts as it is."""

    strategy: Literal["treatment_policy"]


class Separate(Part):
    """The event is an outcome of its own; the occasion leaves this estimand and is counted."""

    strategy: Literal["separate"]


Strategy = Annotated[
    Composite | LastValue | Hypothetical | TreatmentPolicy | Separate,
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


class Estimand(Part):
    """One question put precisely."""

    id: Annotated[str, Field(pattern=r"^E[0-9]{1,2}$")]
    label: Sentence
    primary: bool = False
    intercurrent_events: IntercurrentEvents
