"""What is compared: the kinds of exposure a study can name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Sentence


class BinaryEvent(Part):
    """Something that happens or does not within the grace window (an action taken, a programme started)."""

    kind: Literal["binary_event"]
    """The kind of exposure."""
    versions: tuple[Name, ...] = ()
    """Ways in which the event differs between occasions (recipient, patient informed); described, not compared."""


class Shift(Part):
    """A modified treatment policy: everyone's exposure moved by `shift` `units`."""

    shift: float
    """How far."""
    units: Name
    """In what unit."""


class Continuous(Part):
    """A measured amount (an alliance score, a dose) under a shift intervention."""

    kind: Literal["continuous"]
    """The kind of exposure."""
    measure: Name
    """What is measured."""
    intervention: Shift
    """The intervention whose effect is asked for."""
    rater: Literal["patient", "clinician", "observer", "caregiver"] | None = None
    """Who rates it, where somebody does."""


class Joint(Part):
    """Two or more components cut at declared values and considered together."""

    kind: Literal["joint"]
    """The kind of exposure."""
    components: tuple[Name, ...] = Field(min_length=2)
    """The measures considered together."""
    cut: dict[Name, float]
    """Value at or above which each component counts as present."""
    contrasts: tuple[Literal["sufficiency", "enabling", "additive_interaction"], ...] = Field(min_length=1)
    """One alone against neither; both against one alone; whether the two together do more than their sum."""
    rater: Literal["patient", "clinician", "observer", "caregiver"] | None = None
    """Who rates them."""


class Repeated(Part):
    """An exposure measured at every session, split within and between persons; `lag` sessions before the outcome."""

    kind: Literal["repeated"]
    """The kind of exposure."""
    measure: Name
    """What is measured."""
    lag: int = Field(ge=1, le=52)
    """Sessions between exposure and outcome."""
    centring: Literal["within_between"] = "within_between"
    """A person's usual level and the departures from it enter apart."""
    rater: Literal["patient", "clinician", "observer", "caregiver"] | None = None
    """Who rates it."""


class Aggregate(Part):
    """How member-level values become one value of the cluster."""

    level: Name
    """The measure aggregated."""
    dispersion: Literal["none", "sd", "range"] = "none"
    """Whether disagreement between members enters beside the level."""
    rule: Literal["mean", "leave_one_out_mean", "common_fate"] = "mean"
    """Mean of all members, mean of the others, or a factor all members share."""
    minimum_raters: int = Field(default=2, ge=1, le=100)
    """Fewer members rated than this, and the cluster's value is missing."""


class AggregationGate(Part):
    """How far members must agree before their ratings may stand for the group."""

    rwg: float = Field(default=0.7, ge=0, le=1)
    """Smallest within-group agreement, r_wg(j)."""
    icc2: float = Field(default=0.7, ge=0, le=1)
    """Smallest reliability of the group mean, ICC(2)."""


class ClusterLevel(Part):
    """An exposure that belongs to a family, triad or group rather than to one person."""

    kind: Literal["cluster_level"]
    """The kind of exposure."""
    unit: Name
    """The cluster: family, triad, group."""
    measure: Name
    """What is measured."""
    aggregate: Aggregate
    """How members' values become the cluster's."""
    membership: Literal["closed", "open"] = "closed"
    """Whether members stay the same throughout."""
    interference: Literal["none", "partial"] = "none"
    """Whether one member's exposure may move another's outcome within the cluster."""
    gate: AggregationGate | None = None
    """Agreement required before aggregation."""


class OwnAndOthers(Part):
    """Two exposures at two levels: a member's own rating, and the other members' (never including the member's)."""

    kind: Literal["own_and_others"]
    """The kind of exposure."""
    unit: Name
    """The cluster within which members may affect one another."""
    own: Name
    """The member's own measure."""
    others: Aggregate
    """How the other members' values become one."""
    lag: int = Field(default=1, ge=1, le=52)
    """Sessions between exposure and outcome."""
    contrasts: tuple[Literal["direct", "spillover", "total"], ...] = Field(min_length=1)
    """Effect of one's own exposure, of the others', of both."""
    membership: Literal["closed", "open"] = "closed"
    """Whether members stay the same throughout."""
    gate: AggregationGate | None = None
    """Agreement required before aggregation."""


class Allocated(Part):
    """An arm of an experiment, by lot or by choice."""

    kind: Literal["allocated"]
    """The kind of exposure."""
    arms: tuple[Name, ...] = Field(min_length=2)
    """The arms; the first is the reference."""
    by: Literal["lot", "choice"]
    """Whether chance decided."""
    comparator: Literal["waitlist", "measurement_only", "alternative_activity", "psychologically_active"]
    """What the reference arm does."""


class Sustained(Part):
    """A strategy kept over time that people may leave; leaving is handled as `switching` says."""

    kind: Literal["sustained"]
    """The kind of exposure."""
    measure: Name
    """The strategy."""
    window_days: Days
    """How long it is to be kept."""
    switching: Literal["censor_ipcw", "treatment_policy"]
    """Follow people until they leave it and weight for that, or count the outcome as it is."""


Exposure = Annotated[
    BinaryEvent | Continuous | Joint | Repeated | ClusterLevel | Sustained,
    Field(discriminator="kind"),
]
"""Exposures of a study of occasions."""

CohortExposure = Annotated[
    BinaryEvent | Continuous | Joint | Repeated | ClusterLevel | OwnAndOthers | Allocated | Sustained,
    Field(discriminator="kind"),
]
"""Exposures of a study of any other unit."""


class Mediator(Part):
    """A variable on the path from exposure to outcome, measured in its own window after time zero."""

    name: Name
    """The variable; it may not be among the confounders nor adjusted for."""
    from_day: Days
    """First day of its window, counted from time zero."""
    to_day: Days
    """Last day of its window."""


class DirectedMeasure(Part):
    """Who rates whom, with what."""

    rater: Name
    """The actor who rates."""
    target: Name
    """The actor rated."""
    instrument: Name
    """Key in `configs/instruments`."""


class EffectModifier(Part):
    """A variable across whose values the effect is compared, and why that is asked."""

    name: Name
    """The variable, known at time zero."""
    because: Sentence
    """Why the effect may differ."""
    invariance_gate: Literal["none", "configural", "metric", "scalar"] = "none"
    """How far the measure must mean the same in each group before effects are compared."""


class Alliance(Part):
    """What part the alliance plays in this study: every study must take account of it."""

    role: Literal["exposure", "outcome", "confounder", "mediator", "effect_modifier", "ignored"]
    """Its part."""
    because: Sentence
    """Why; if it is ignored, why that is fair."""
