"""How comparable groups are made, and how comparable they must be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Sentence


class Dag(Part):
    """The causal diagram: what the authors believe causes what.

    `edges` are written ``cause -> effect``. Nodes that are covariates of the study carry the covariate's name;
    `unobserved` lists the nodes nobody measured.
    """

    treatment: Name
    """The node of the exposure."""
    outcome: Name
    """The node of the outcome."""
    edges: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]* -> [a-z][a-z0-9_]*$")], ...] = Field(min_length=1)
    """One arrow each, written ``cause -> effect``."""
    unobserved: tuple[Name, ...] = ()
    """Nodes that matter and that nobody measured."""


class Confounders(Part):
    """Covariates of the propensity model, all from rows dated strictly before time zero.

    Tier 1 must balance strictly; tier 2 loosely.
    """

    tier1: tuple[Name, ...] = Field(min_length=1)
    """Covariates whose imbalance would mislead most; gated at `gates.smd_tier1`."""
    tier2: tuple[Name, ...] = ()
    """The others; gated at `gates.smd_tier2`."""


class DeclaredCovariate(Part):
    """A covariate this study needs and the catalogue does not hold.

    Declaring it lets the diagram and the confounders name it; until the catalogue can compute it, the study cannot be
    estimated, and the protocol check says so.
    """

    name: Name
    """What the diagram and the confounders call it."""
    meaning: Sentence
    """What it is, in words the board reads."""
    unit: Sentence
    """Points, days, yes or no."""
    window_days: Days | None = None
    """How far back from time zero it is sought; without it, the whole record."""
    can_be_missing: bool = False
    """Whether nobody may have recorded it; then `missing.covariates` must have a rule for it."""


class Caliper(Part):
    """Largest distance allowed between matched occasions: `width` times the named standard deviation."""

    scale: Literal["logit"]
    """Distance is measured on the log odds of the estimated propensity."""
    sd: Literal["pooled_within", "whole"]
    """Standard deviation of both groups pooled within group, or of everyone together."""
    width: float = Field(gt=0, le=10)
    """How many of those standard deviations apart two occasions may lie."""


class Matching(Part):
    """Nearest-neighbour matching inside risk sets, without replacement, deterministic."""

    method: Literal["greedy"]
    """One treated occasion after the other takes its nearest comparison occasions."""
    ratio: int = Field(ge=1, le=4)
    """Most comparison occasions per treated occasion."""
    order: Literal["highest", "lowest"] = "highest"
    """Whether the treated occasion with the highest or the lowest propensity chooses first."""
    caliper: Caliper | None
    """Largest distance allowed; null allows any."""
    replacement: Literal[False] = False
    """A comparison occasion is used once."""


class Weighting(Part):
    """Inverse-probability weighting."""

    method: Literal["propensity"]
    """Weights from the estimated probability of treatment."""
    estimand: Literal["ATT", "ATE", "ATO"]
    """Effect in the treated, in everyone, or in those who could have gone either way."""
    stabilised: bool = False
    """Multiply each weight by the overall share of the group it stands in."""


class Support(Part):
    """Common support inside each exact stratum; treated occasions above `probability_max` (near-certain) leave."""

    rule: Literal["stratum_common", "none"]
    """Keep the range of propensity that both groups share in the stratum, or keep everyone."""
    probability_max: float = Field(default=0.95, gt=0, le=1)
    """Above this estimated probability nearly every clinician would have treated; no fair comparison exists."""


class Gates(Part):
    """Limits set before outcomes are seen. A design that breaks one is FAIL and stops, unless the approval names it."""

    smd_tier1: float = Field(default=0.10, gt=0, le=1)
    """Largest standardised mean difference of a tier-1 covariate after matching."""
    smd_tier2: float = Field(default=0.20, gt=0, le=1)
    """Largest standardised mean difference of a tier-2 covariate after matching."""
    minimum_sets: int = Field(default=20, ge=2)
    """Fewest matched sets."""
    maximum_unmatched: float = Field(default=0.30, ge=0, le=1)
    """Largest share of treated occasions left without a match."""
    ended_in_grace: float = Field(default=0.02, ge=0, le=1)
    """Largest share of occasions whose relationship ends within the grace window."""
    pretrend_smd: float = Field(default=0.20, gt=0, le=1)
    """Largest standardised difference in how the outcome moved before time zero."""
    quarantined_share: float = Field(default=0.02, ge=0, le=1)
    """Largest share of a table's rows that may be set aside as unfit."""


class Negative(Part):
    """A negative control: an outcome the exposure cannot move, or an exposure that cannot move the outcome."""

    name: Name
    """Name of the control."""
    because: Sentence
    """Why no effect is possible."""


class NegativeControls(Part):
    """Declared negative controls; each is evaluated, or printed as not evaluated with the reason."""

    outcomes: tuple[Negative, ...] = ()
    """Outcomes the exposure cannot move."""
    exposures: tuple[Negative, ...] = ()
    """Exposures that cannot move the outcome."""
