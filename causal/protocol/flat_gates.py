"""What a flat table's answer must stand up to before it may be trusted: limits, placebo outcomes, a known effect."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from causal.protocol.base import ColumnName, Part, Sentence
from causal.protocol.design import Gates


def _as_occasions(gate: str) -> Any:
    """The limit studies of occasions have."""
    return Gates.model_fields[gate].default


class FlatGates(Part):
    """Limits of a flat table's answer, those of studies of occasions where these have the same.

    A check that fails speaks in the first line, and `rapport run --strict` exits with 1.
    """

    smd: float = Field(default=_as_occasions("smd_tier1"), gt=0, le=1)
    """Largest standardised difference of a covariate after adjustment."""
    smd_model_only: float = Field(default=0.5, gt=0, le=2)
    """Largest standardised difference in the table as it is, where a model of the outcome alone adjusts: beyond half a
    standard deviation it reaches across a gap (Rubin 2001, Health Serv Outcomes Res Methodol 2:169-188)."""
    maximum_unmatched: float = Field(default=_as_occasions("maximum_unmatched"), ge=0, le=1)
    """Largest share of those the effect is about that is not in the comparison."""
    maximum_without_counterpart: float = Field(default=0.10, ge=0, le=1)
    """Largest share of those the effect is about whose estimated probability lies beyond any of the other group: the
    share at which aipw and tmle refuse."""
    minimum_effective: float = Field(default=_as_occasions("minimum_sets"), ge=2)
    """Smallest effective number of rows behind either group: as many equally weighted ones would tell as much (Kish
    1965, Survey Sampling)."""
    maximum_weight_share: float = Field(default=0.05, gt=0, le=1)
    """Largest share of a group's weight that one row may hold: one of twenty."""
    minimum_clusters_per_arm: int = Field(default=_as_occasions("minimum_clusters_per_arm"), ge=2)
    """Fewest clusters (`analysis.cluster`) behind either group."""
    maximum_outpredicted: float = Field(default=0.10, ge=0, le=1)
    """Largest share of the squared error of a regression of the outcome (aipw, tmle) that a few boosted trees save
    beyond doubt, out of fold: one of ten."""
    maximum_gap: float = Field(default=5.0, gt=0)
    """How far the farthest number of the outcome or a covariate may stand from the next, in ranges of all others:
    beyond five it is a mark, another unit or a lost decimal point rather than a measurement."""
    minimum_response: float = Field(default=_as_occasions("minimum_response"), ge=0, le=1)
    """Smallest share of either group whose outcome is known."""
    maximum_response_difference: float = Field(default=_as_occasions("maximum_response_difference"), ge=0, le=1)
    """Largest difference between the groups in that share."""


class PlaceboOutcome(Part):
    """A negative control: an outcome the treatment cannot have changed, such as one from before it.

    The same analysis is made of it, without it among the covariates. An effect that is found there is no effect: it is
    what the analysis leaves unadjusted. Finding none proves little.
    """

    column: ColumnName
    """Column of the outcome: numbers."""
    because: Sentence
    """Why the treatment cannot have changed it."""


class KnownEffect(Part):
    """What the effect is known to be, from an experiment with the same treatment."""

    value: float
    """The effect, in units of the outcome."""
    std_error: float = Field(default=0, ge=0)
    """Its standard error; 0 where it is exact."""
    tolerance: float | None = Field(default=None, gt=0)
    """Largest difference that still counts as agreement; without one, what chance allows at the analysis's level, by
    both standard errors."""
    source: Sentence
    """Who found it."""
