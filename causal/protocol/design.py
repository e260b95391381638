"""How comparable groups are made, and how comparable they must be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Name, Part, Sentence


class Dag(Part):
    """The causal diagram: what the authors believe causes what.

    `edges` are written ``cause -> effect``. Nodes that are covariates of the study carry the covariate's name;
    `unobserved` lists the nodes nobody measured.
    """

    treatment: Name
    outcome: Name
    edges: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]* -> [a-z][a-z0-9_]*$")], ...] = Field(min_length=1)
    unobserved: tuple[Name, ...] = ()


class Confounders(Part):
    """Covariates of the propensity model, all from rows dated strictly before time zero.

    Tier 1 must balance strictly; tier 2 loosely.
    """

    tier1: tuple[Name, ...] = Field(min_length=1)
    tier2: tuple[Name, ...] = ()


class Caliper(Part):
    """Largest distance allowed between matched occasions: `width` times the named standard deviation."""

    scale: Literal["logit"]
    sd: Literal["pooled_within", "whole"]
    width: float = Field(gt=0, le=10)


class Matching(Part):
    """Nearest-neighbour matching inside risk sets, without replacement, deterministic."""

    method: Literal["greedy"]
    ratio: int = Field(ge=1, le=4)
    order: Literal["highest", "lowest"] = "highest"
    caliper: Caliper | None
    replacement: Literal[False] = False


class Weighting(Part):
    """Inverse-probability weighting."""

    method: Literal["propensity"]
    estimand: Literal["ATT", "ATE", "ATO"]
    stabilised: bool = False


class Support(Part):
    """Common support inside each exact stratum; treated occasions above `probability_max` are near-certain and leave."""

    rule: Literal["stratum_common", "none"]
    probability_max: float = Field(default=0.95, gt=0, le=1)


class Gates(Part):
    """Limits set before outcomes are seen. A design that breaks one is FAIL and stops, unless the approval names it."""

    smd_tier1: float = Field(default=0.10, gt=0, le=1)
    smd_tier2: float = Field(default=0.20, gt=0, le=1)
    minimum_sets: int = Field(default=20, ge=2)
    maximum_unmatched: float = Field(default=0.30, ge=0, le=1)
    effective_sample_share: float = Field(default=0.5, ge=0, le=1)
    ended_in_grace: float = Field(default=0.02, ge=0, le=1)
    pretrend_smd: float = Field(default=0.20, gt=0, le=1)
    quarantined_share: float = Field(default=0.02, ge=0, le=1)


class Negative(Part):
    """A negative control: an outcome the exposure cannot move, or an exposure that cannot move the outcome."""

    name: Name
    because: Sentence


class NegativeControls(Part):
    """Declared negative controls; each is evaluated, or printed as not evaluated with the reason."""

    outcomes: tuple[Negative, ...] = ()
    exposures: tuple[Negative, ...] = ()
