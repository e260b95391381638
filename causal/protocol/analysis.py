"""How the number is computed, and what is done about what is missing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from causal.protocol.base import Name, Part


class Estimator(Part):
    """Weighted ANCOVA on the matched occasions with cluster-robust inference.

    Intervals are clustered on `cluster` when at least `minimum_clusters` clusters contribute, otherwise on the matched
    set; both are always printed.
    """

    primary: Literal["weighted_ancova"]
    adjust_for: tuple[Name, ...]
    standard_error: Literal["CR2"]
    cluster: Literal["clinician", "clinic"]
    minimum_clusters: int = Field(default=30, ge=2)
    level: float = Field(default=0.95, gt=0.5, lt=1)


class CovariateRule(Part):
    """What stands in for a covariate nobody recorded: a declared value and, always, an indicator column."""

    covariate: Name
    fill: Literal["median", "nearest_lag"]


class MissingData(Part):
    """Plan for missing ratings and covariates."""

    outcome: Literal["inverse_probability_of_response", "available_case"]
    covariates: tuple[CovariateRule, ...] = ()


class Sensitivity(Part):
    """Analyses that ask how wrong the answer could be; those this version cannot run are printed as not evaluated."""

    planned: tuple[Name, ...] = ()


class Moderator(Part):
    """A study-level moderator of a pooled effect."""

    name: Name
    type: Literal["continuous", "categorical"]
    reference: str | None = None


class MetaAnalysis(Part):
    """Pooling of study-level effects read from a table of effect sizes."""

    table: Name
    effect: Literal["zcor", "log_risk_ratio", "smd"]
    tau2: Literal["REML"]
    interval: Literal["hksj", "hksj_modified", "wald"]
    prediction_interval: bool = True
    cluster: Name
    within_study_correlation: float = Field(default=0.6, ge=0, lt=1)
    moderators: tuple[Moderator, ...] = ()
    minimum_studies_per_moderator: int = Field(default=10, ge=1)
