"""What is compared: the kinds of exposure a study can name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Sentence


class BinaryEvent(Part):
    """Something that happens or does not within the grace window (a disclosure, a programme started)."""

    kind: Literal["binary_event"]
    versions: tuple[Name, ...] = ()
    """Ways in which the event differs between occasions (recipient, informed before or after); described, not compared."""


class Shift(Part):
    """A modified treatment policy: everyone's exposure moved by `shift` `units`."""

    shift: float
    units: Name


class Continuous(Part):
    """A measured amount (an alliance score, a dose) under a shift intervention."""

    kind: Literal["continuous"]
    measure: Name
    intervention: Shift


class Joint(Part):
    """Two or more components cut at declared values and considered together."""

    kind: Literal["joint"]
    components: tuple[Name, ...] = Field(min_length=2)
    cut: dict[Name, float]
    contrasts: tuple[Literal["sufficiency", "enabling", "additive_interaction"], ...] = Field(min_length=1)


class Repeated(Part):
    """An exposure measured at every session, split within and between persons; `lag` sessions before the outcome."""

    kind: Literal["repeated"]
    measure: Name
    lag: int = Field(ge=1, le=52)
    centring: Literal["within_between"] = "within_between"


class Aggregate(Part):
    """How member-level values become one value of the cluster."""

    level: Name
    dispersion: Literal["none", "sd", "range"] = "none"
    rule: Literal["mean", "leave_one_out_mean", "common_fate"] = "mean"
    minimum_raters: int = Field(default=2, ge=1, le=100)


class ClusterLevel(Part):
    """An exposure that belongs to a family, triad or group rather than to one person."""

    kind: Literal["cluster_level"]
    unit: Name
    measure: Name
    aggregate: Aggregate
    membership: Literal["closed", "open"] = "closed"
    interference: Literal["none", "partial"] = "none"


class Sustained(Part):
    """A strategy kept over time that people may leave; leaving is handled as `switching` says."""

    kind: Literal["sustained"]
    measure: Name
    window_days: Days
    switching: Literal["censor_ipcw", "treatment_policy"]


Exposure = Annotated[
    BinaryEvent | Continuous | Joint | Repeated | ClusterLevel | Sustained,
    Field(discriminator="kind"),
]


class Mediator(Part):
    """A variable on the path from exposure to outcome, measured in its own window after time zero."""

    name: Name
    from_day: Days
    to_day: Days


class DirectedMeasure(Part):
    """Who rates whom, with what."""

    rater: Name
    target: Name
    instrument: Name


class EffectModifier(Part):
    """A variable across whose values the effect is compared, and why that is asked."""

    name: Name
    because: Sentence
    invariance_gate: Literal["none", "configural", "metric", "scalar"] = "none"
