"""What a study of one long table may estimate: of rows by visit, and of rows by spell."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from causal.protocol.base import Name, Part, PlacedError, Says

VisitLabel = Annotated[str, Field(min_length=1, max_length=60), Says(verbatim=True)] | int | float
Likelihood = Annotated[
    Literal["REML", "ML"], Says(choices={"REML": "restricted maximum likelihood", "ML": "maximum likelihood"})
]


class _Named(Part):
    """An analysis with a name of its own."""

    name: Name
    """Short name, unique in the study."""


class RepeatedMeasures(_Named):
    """Mixed model for repeated measures: the difference at each visit, whatever course the outcome takes.

    Every covariate has a slope for each visit. People with missed visits count with those they have: what was missed
    is taken to depend on nothing but what was seen.
    """

    analysis: Literal["repeated_measures"]
    """Kind of analysis."""
    at: Annotated[VisitLabel | None, Says(nothing="the last")] = None
    """The visit whose difference is the main number; the last one where this is not said."""
    covariance: Annotated[
        Literal[
            "unstructured",
            "toeplitz",
            "toeplitz_heterogeneous",
            "ar1",
            "ar1_heterogeneous",
            "compound_symmetry",
            "compound_symmetry_heterogeneous",
        ],
        Says(
            name="How visits of one person go together",
            choices={
                "unstructured": "in any way (unstructured)",
                "toeplitz": "by how many visits lie between them (Toeplitz)",
                "toeplitz_heterogeneous": "by how many visits lie between them, each with its own variance (Toeplitz)",
                "ar1": "less with every visit between them (autoregressive)",
                "ar1_heterogeneous": "less with every visit between them, each with its own variance (autoregressive)",
                "compound_symmetry": "all alike (compound symmetry)",
                "compound_symmetry_heterogeneous": "all alike, each with its own variance (compound symmetry)",
            },
        ),
    ] = "unstructured"
    """How the visits of one person go together."""
    likelihood: Likelihood = "REML"
    """Restricted or full likelihood."""
    degrees_of_freedom: Annotated[
        Literal["kenward_roger", "satterthwaite", "cluster_robust"],
        Says(
            name="Standard errors",
            choices={
                "kenward_roger": "Kenward and Roger's",
                "satterthwaite": "of the model, with Satterthwaite's degrees of freedom",
                "cluster_robust": "robust (CR2), with Satterthwaite's degrees of freedom",
            },
        ),
    ] = "kenward_roger"
    """How standard errors and degrees of freedom are found; `cluster_robust` needs no right covariance, and is needed
    where `columns.cluster` is named."""


class MixedModel(_Named):
    """Linear mixed model: a straight course over time in each group, people (in clusters) differing at random."""

    analysis: Literal["mixed_model"]
    """Kind of analysis."""
    at: Annotated[VisitLabel | None, Says(nothing="the last")] = None
    """The visit whose difference is the main number; the last one where this is not said."""
    random: Annotated[
        Literal["intercept", "intercept_and_slope"],
        Says(
            name="What differs at random from person to person",
            choices={"intercept": "the level", "intercept_and_slope": "the level and the slope over time"},
        ),
    ] = "intercept_and_slope"
    """What differs at random from person to person: the level, or level and slope over time."""
    likelihood: Likelihood = "REML"
    """Restricted or full likelihood."""
    degrees_of_freedom: Annotated[
        Literal["satterthwaite", "kenward_roger"],
        Says(
            name="Standard errors",
            choices={
                "satterthwaite": "of the model, with Satterthwaite's degrees of freedom",
                "kenward_roger": "Kenward and Roger's",
            },
        ),
    ] = "satterthwaite"
    """How standard errors and degrees of freedom are found."""


class MarginalModel(_Named):
    """Generalised estimating equations: one effect over all visits, averaged over people.

    What was missed is taken to depend on nothing but treatment and covariates, which is more than a mixed model asks.
    """

    analysis: Literal["marginal_model"]
    """Kind of analysis."""
    family: Annotated[
        Literal["gaussian", "binomial", "poisson"],
        Says(
            name="The outcome is",
            choices={
                "gaussian": "a number: told is a difference of means",
                "binomial": "0 or 1: told is an odds ratio",
                "poisson": "a count: told is a ratio of rates",
            },
        ),
    ] = "gaussian"
    """A number (difference of means), 0 or 1 (odds ratio), or a count (ratio of rates)."""
    working: Annotated[
        Literal["independence", "exchangeable", "ar1"],
        Says(
            name="Working correlation of visits of one person",
            choices={"independence": "none", "exchangeable": "all alike", "ar1": "autoregressive"},
        ),
    ] = "exchangeable"
    """Working correlation of the visits of one person; the standard error is right whatever it is."""
    visit_means: Annotated[bool, Says(name="Every visit has a mean of its own")] = True
    """Whether each visit has a mean of its own; where not, no visit differs from another but by chance."""
    correction: Annotated[
        Literal["kauermann_carroll", "mancl_derouen", "none"],
        Says(
            name="Correction of standard errors for few people",
            choices={
                "kauermann_carroll": "Kauermann and Carroll's",
                "mancl_derouen": "Mancl and DeRouen's",
                "none": "none",
            },
        ),
    ] = "kauermann_carroll"
    """Correction of standard errors for few people (clusters, where they are named)."""


class ReferenceBased(_Named):
    """The difference at one visit had the missing outcomes followed an assumption, by multiple imputation.

    MAR: like those of the own group who were alike in what was seen. J2R, CIR and CR: like the comparison group from
    then on, by increments from then on, or altogether (Carpenter, Roger & Kenward 2013).
    """

    analysis: Literal["reference_based"]
    """Kind of analysis."""
    at: VisitLabel
    """The visit."""
    assumptions: tuple[Literal["MAR", "J2R", "CIR", "CR"], ...] = Field(default=("MAR", "J2R"), min_length=1)
    """What the treated whose outcome is missing are taken for; one number each."""
    imputations: int = Field(default=50, ge=2, le=1000)
    """How many completed tables are drawn."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.assumptions)) < len(self.assumptions):
            raise PlacedError("each assumption is named once", "assumptions")
        return self


class TippingPoint(_Named):
    """How much worse or better the missing would have to be than those like them for the conclusion to change."""

    analysis: Literal["tipping_point"]
    """Kind of analysis."""
    at: VisitLabel
    """The visit."""
    lower: float
    """Least value the outcome can have, by its definition."""
    upper: float
    """Largest value the outcome can have."""
    step: float = Field(gt=0)
    """By how much the missing outcomes of a group are shifted at a time, in units of the outcome."""
    steps: int = Field(default=10, ge=1, le=40)
    """How many steps either way."""
    imputations: int = Field(default=50, ge=2, le=1000)
    """How many completed tables are drawn."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.lower < self.upper:
            raise PlacedError("lower must be below upper", "lower")
        return self


class Hazards(_Named):
    """Cox's regression of spells: the ratio of the hazards of the event, treated to comparison, robust by person."""

    analysis: Literal["hazards"]
    """Kind of analysis."""
    ties: Annotated[Literal["efron", "breslow"], Says(name="Events at one time", verbatim=True)] = "efron"
    """How events at one time are ordered: averaged over all orders approximately, or all at risk until the last."""


OF_VISITS = (RepeatedMeasures, MixedModel, MarginalModel, ReferenceBased, TippingPoint)
"""Analyses of rows by visit; the others are of rows by spell."""
LongAnalysis = Annotated[
    RepeatedMeasures | MixedModel | MarginalModel | ReferenceBased | TippingPoint | Hazards,
    Field(discriminator="analysis"),
]
