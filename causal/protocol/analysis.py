"""How the number is computed, and what is done about what is missing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Name, Part, Says


class Estimator(Part):
    """Weighted ANCOVA on the matched occasions with cluster-robust inference.

    The main interval is clustered on `cluster` when at least `minimum_clusters` clusters contribute; with fewer it is
    the wider of that one and the one clustered on the matched set, or on the patient under weights and strata and where
    sets share occasions. Both are always printed, and a comparison one arm of which lies in one cluster is not
    estimated.
    """

    primary: Annotated[
        Literal["weighted_ancova"],
        Says(
            name="The model",
            choices={
                "weighted_ancova": "regression of the outcome on the strategy and the facts below, with the weights of "
                "the comparison (weighted ANCOVA)"
            },
        ),
    ]
    """Regression of the outcome on the strategy and `adjust_for`, weighted by the matched sets."""
    adjust_for: Annotated[tuple[Name, ...], Says(name="Facts that also enter the regression of the outcome")]
    """Confounders that also enter the outcome regression, to mop up what matching left."""
    bends: Annotated[
        Literal["each_number", "none"],
        Says(
            name="How their numbers enter",
            choices={
                "each_number": "as a line with one bend each (restricted cubic, 3 knots) wherever an outcome is "
                "adjusted",
                "none": "as straight lines",
            },
        ),
    ] = "each_number"
    """Every number in `adjust_for` as a line with one bend (restricted cubic, 3 knots) wherever it adjusts an outcome,
    or as a line."""
    standard_error: Annotated[
        Literal["CR2"],
        Says(
            name="Standard errors",
            choices={
                "CR2": "robust to likeness within clusters (CR2, Bell and McCaffrey), with Satterthwaite's degrees of "
                "freedom"
            },
        ),
    ]
    """Bell and McCaffrey's cluster-robust variance with Satterthwaite degrees of freedom."""
    cluster: Literal["clinician", "clinic"]
    """Whose occasions may resemble each other."""
    minimum_clusters: int = Field(default=30, ge=2)
    """Fewer contributing clusters than this, and of the intervals by `cluster` and by matched set (by patient under
    weights and strata, and where sets share occasions) the wider is the main one, for each difference by itself."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of every interval."""


class CovariateRule(Part):
    """What stands in for a covariate nobody recorded: a declared value and, always, an indicator column."""

    covariate: Name
    """The covariate that can be missing."""
    fill: Annotated[
        Literal["median", "nearest_lag"],
        Says(
            choices={
                "median": "the median of the recorded values",
                "nearest_lag": "the nearest other rating of the same measure",
            }
        ),
    ]
    """The median of the recorded values, or the nearest other lag of the same measure."""


class MissingData(Part):
    """Plan for missing ratings and covariates."""

    outcome: Annotated[
        Literal["inverse_probability_of_response", "available_case"],
        Says(
            name="Where a rating is missing",
            choices={
                "inverse_probability_of_response": "those who answered are weighted by how unlikely they were to "
                "answer, given the group and the facts adjusted for",
                "available_case": "those of the same group who answered stand in",
            },
        ),
    ]
    """Missing ratings: weight those who answered by how unlikely they were to answer, or use those who answered."""
    covariates: tuple[CovariateRule, ...] = ()
    """One rule for each confounder that can be missing."""


class Sensitivity(Part):
    """Analyses that ask how wrong the answer could be; those this version cannot run are printed as not evaluated."""

    planned: Annotated[tuple[Name, ...], Says(name="Analyses planned of how wrong the answer could be")] = ()
    """Names of the analyses."""


class Moderator(Part):
    """A study-level moderator of a pooled effect."""

    name: Name
    """Column of the table of effect sizes."""
    type: Literal["continuous", "categorical"]
    """How it enters the meta-regression."""
    reference: str | None = None
    """Level against which the others are set, for a categorical moderator."""


class MetaAnalysis(Part):
    """Pooling of study-level effects read from a table of effect sizes."""

    table: Name
    """Table of effect sizes: one row per effect size."""
    effect: Literal["zcor", "log_risk_ratio", "smd"]
    """Scale on which effects are pooled: Fisher's z, log risk ratio, standardised mean difference."""
    tau2: Literal["REML"]
    """Estimator of the variance of true effects between studies."""
    interval: Literal["hksj", "hksj_modified", "wald"]
    """Hartung-Knapp-Sidik-Jonkman, the same never narrower than Wald's, or Wald's."""
    prediction_interval: bool = True
    """Also say where the true effect of a new study may lie."""
    cluster: Name
    """Column that names the sample: effect sizes of one sample are not independent."""
    within_study_correlation: float = Field(default=0.6, ge=0, lt=1)
    """Assumed correlation of the errors of two effect sizes of one sample."""
    moderators: tuple[Moderator, ...] = ()
    """Study-level variables across which the effect is compared."""
    minimum_studies_per_moderator: int = Field(default=10, ge=1)
    """Fewer studies per moderator than this, and the meta-regression is not run."""
    conversions: tuple[Literal["odds_ratio_to_correlation", "d_to_correlation"], ...] = ()
    """Conversions allowed before pooling; converted rows are flagged and left out in a sensitivity analysis."""
    higher_means: Literal["better", "worse"] = "better"
    """Direction in which the outcome of every row is coded."""
    multiplicity: Literal["none", "holm"] = "none"
    """Correction over the moderators."""
