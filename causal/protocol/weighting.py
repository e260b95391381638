"""With what weights groups are compared."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import WHOSE_EFFECT, Part, Says


class Quantiles(Part):
    """Two quantiles, the lower first."""

    lower: float = Field(ge=0, le=1)
    """Share of occasions below."""
    upper: float = Field(ge=0, le=1)
    """Share of occasions not above."""


class Bounds(Part):
    """Two probabilities, the lower first."""

    lower: float = Field(ge=0, lt=1)
    """Lowest estimated probability kept."""
    upper: float = Field(gt=0, le=1)
    """Highest estimated probability kept."""


class PropensityWeighting(Part):
    """Weights from the estimated probability of treatment."""

    method: Literal["propensity"]
    """Inverse probability of treatment and its kin."""
    estimand: Annotated[Literal["ATT", "ATC", "ATE", "ATO", "ATM"], WHOSE_EFFECT]
    """Effect in the treated, the untreated, everyone, those who could have gone either way, or those a 1:1 match keeps.

    ATO: overlap weights; ATM: matching weights."""
    stabilised: Annotated[bool, Says(name="Each weight multiplied by the overall share of its group")] = False
    """Multiply each weight by the overall share of the group it stands in."""
    truncate: Annotated[Quantiles | None, Says(name="Weights beyond these quantiles are set to them")] = None
    """Set weights beyond these quantiles to them; the estimand is then no longer exactly the one declared."""
    trim: Annotated[Bounds | None, Says(name="Occasions beyond these probabilities leave")] = None
    """Leave out occasions with an estimated probability beyond these; the effect is then about the others."""


class EntropyBalancing(Part):
    """The weights nearest to equal ones that make means agree, or exposure and confounders unrelated."""

    method: Literal["entropy_balancing"]
    """Entropy balancing."""
    estimand: Annotated[Literal["ATT", "ATC", "ATE", "ATO"], WHOSE_EFFECT] = "ATT"
    """Effect in the treated, in the untreated, in everyone, or in those who could have gone either way."""
    moments: Literal[1, 2, 3] = 1
    """How many moments of each covariate agree: means, variances, skewness."""
    interactions: bool = False
    """Whether the means of all pairwise products agree too."""


class CovariateBalancing(Part):
    """Propensity weights whose model is fitted so that the groups' means agree exactly."""

    method: Literal["covariate_balancing"]
    """The covariate-balancing propensity score."""
    estimand: Annotated[Literal["ATT", "ATC", "ATE"], WHOSE_EFFECT] = "ATT"
    """Effect in the treated, in the untreated, or in everyone."""


AnyWeighting = PropensityWeighting | EntropyBalancing | CovariateBalancing
"""Every way of making weights."""

Weighting = Annotated[AnyWeighting, Field(discriminator="method")]
"""With what weights groups are compared."""
