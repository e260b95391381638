"""Vocabulary of studies whose unit is not the threat assessment: visits, sessions, dyads, families, groups, arms.

Such a study can be written down, checked and registered; this version does not yet estimate it, and
`validation.protocol` says so.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Days, Name, Part, Sentence
from causal.protocol.matching import AnyMatching
from causal.protocol.target_trial import (
    Contrast,
    Emulation,
    InRelationship,
    MinimumAge,
    NoPriorExposure,
    NotInpatient,
    PriorContacts,
    PriorRating,
)
from causal.protocol.weighting import AnyWeighting


class MaximumAge(Part):
    """The person is at most `years` old at time zero."""

    rule: Literal["maximum_age"]
    """Name of the rule."""
    years: int = Field(ge=0, le=120)
    """Completed years."""


class Diagnosis(Part):
    """A diagnosis from the code list is recorded before time zero."""

    rule: Literal["diagnosis"]
    """Name of the rule."""
    codelist: Name
    """Key in `configs/codelists`."""
    within_days: Days | None = None
    """Counted back from time zero; without it, the whole record."""


class PriorFills(Part):
    """At least so many fills of a class of medicine before time zero."""

    rule: Literal["prior_fills"]
    """Name of the rule."""
    drug_class: Name
    """Code list of the medicine."""
    at_least: int = Field(ge=1, le=100)
    """How many."""
    within_days: Days
    """Counted back from time zero."""


class NewEpisode(Part):
    """Treatment of this kind begins at time zero after so many days without it."""

    rule: Literal["new_episode"]
    """Name of the rule."""
    of: tuple[Name, ...] = Field(min_length=1)
    """Kinds of treatment."""
    clear_days: Days
    """Days without any of them before."""


class PriorMeasure(Part):
    """At least so many values of a named measure before time zero."""

    rule: Literal["prior_measure"]
    """Name of the rule."""
    measure: Name
    """What is measured."""
    at_least: int = Field(ge=1, le=100)
    """How many."""
    within_days: Days | None = None
    """Counted back from time zero; without it, the whole record."""


class PriorSessions(Part):
    """At least so many attended sessions before time zero."""

    rule: Literal["prior_sessions"]
    """Name of the rule."""
    at_least: int = Field(ge=1, le=100)
    """How many."""


class MembersPresent(Part):
    """At least so many members of the cluster take part at time zero."""

    rule: Literal["members_present"]
    """Name of the rule."""
    at_least: int = Field(ge=2, le=100)
    """How many."""


class ActorAvailable(Part):
    """The named actor exists and takes part (a caregiver, a second parent)."""

    rule: Literal["actor_available"]
    """Name of the rule."""
    actor: Name
    """One of the study's `actors`."""


class OptionsOffered(Part):
    """Every one of these options was open at time zero, so that either could have been chosen."""

    rule: Literal["options_offered"]
    """Name of the rule."""
    options: tuple[Name, ...] = Field(min_length=2)
    """The options."""


class Consented(Part):
    """The person consented to this research before time zero."""

    rule: Literal["consented"]
    """Name of the rule."""


CohortRule = Annotated[
    MinimumAge
    | MaximumAge
    | Diagnosis
    | PriorContacts
    | PriorRating
    | PriorFills
    | PriorMeasure
    | PriorSessions
    | NewEpisode
    | MembersPresent
    | ActorAvailable
    | OptionsOffered
    | Consented
    | InRelationship
    | NoPriorExposure
    | NotInpatient,
    Field(discriminator="rule"),
]
"""Eligibility rules of a study of any unit."""


class CohortStrategy(Part):
    """One of the strategies compared, in words and by name; what it sets is said by `exposure`."""

    name: Name
    """Short name."""
    label: Sentence
    """What the board calls it."""
    grace_days: Days = 0
    """Days after time zero within which it must begin."""


class CohortAssignment(Part):
    """How assignment came about, or how chance is imitated."""

    by: Literal["lot", "confounders"]
    """By lot, or as if by lot among those alike in the confounders."""
    exact: tuple[Name, ...] = ()
    """Covariates on which compared units agree exactly."""
    within: Name | None = None
    """Level within which units are compared (the same clinician, the same quarter)."""


class CohortFollowUp(Part):
    """From time zero to the horizon, a competing event or the end of the data."""

    horizon_days: Days
    """Days of follow-up from time zero."""
    competing: tuple[Name, ...] = ("death",)
    """Events that end follow-up."""


class CohortTrial(Part):
    """The trial that may not be run, or was, for any unit and any time zero."""

    eligibility: tuple[CohortRule, ...] = Field(min_length=1)
    """Who may take part, judged at time zero by what was known before it."""
    strategies: tuple[CohortStrategy, ...] = Field(min_length=2)
    """What is compared; the first is the reference."""
    time_zero: Literal[
        "assessment", "rating", "session_end", "scheduling", "allocation", "first_offer", "preparation_end"
    ]
    """The instant at which eligibility, assignment and follow-up begin together."""
    assignment: CohortAssignment
    """How assignment came about."""
    follow_up: CohortFollowUp
    """For how long."""
    contrast: Contrast
    """Which effect."""
    emulation: tuple[Emulation, ...] = ()
    """The ideal trial beside its emulation, row by row, for the report."""


class Level(Part):
    """One level of the hierarchy, from the row upwards."""

    name: Name
    """Session, member, group, clinician."""
    nesting: Literal["nested", "crossed", "partial", "multiple_membership"] = "nested"
    """How units of the level below belong to it."""


class Unweighted(Part):
    """Nothing but chance, or the model of the outcome, makes groups comparable."""

    method: Literal["none"]
    """The kind of design."""


class SequentialTrials(Part):
    """A new trial starts at every eligible time zero; leaving a strategy censors, and weights make up for it."""

    method: Literal["sequential_trials"]
    """The kind of design."""
    every_days: int = Field(ge=1, le=3650)
    """Days between the starts of trials."""


class CloneCensorWeight(Part):
    """Each unit is followed under every strategy it is still compatible with, censored when it no longer is."""

    method: Literal["clone_censor_weight"]
    """The kind of design."""
    grace_days: Days
    """Days during which a unit is compatible with starting and with not starting."""


CohortDesign = Annotated[
    AnyMatching | AnyWeighting | Unweighted | SequentialTrials | CloneCensorWeight, Field(discriminator="method")
]
"""How comparable groups are made."""


class ModifiedTreatmentPolicy(Part):
    """Mean outcome had everyone's exposure been shifted, less the mean as it was."""

    family: Literal["modified_treatment_policy"]
    """The kind of analysis."""
    doubly_robust: bool = True
    """Combine the weights with a model of the outcome."""


class JointMeans(Part):
    """Mean outcome under each combination of the components."""

    family: Literal["joint_means"]
    """The kind of analysis."""
    equivalence_margin: float = Field(gt=0)
    """Difference, in outcome units, small enough to call two means the same."""


class MixedModel(Part):
    """Linear mixed model of repeated outcomes."""

    family: Literal["mixed_model"]
    """The kind of analysis."""
    covariance: Literal["unstructured", "exchangeable", "autoregressive"]
    """Covariance of one unit's repeated outcomes."""
    random: tuple[Name, ...] = ()
    """Levels with random effects."""


class WithinBetween(Part):
    """A unit's usual level and the departures from it, with random effects of each level."""

    family: Literal["within_between"]
    """The kind of analysis."""
    lagged_outcome: bool = True
    """Adjust for the outcome at the session of the exposure."""


class Dyadic(Part):
    """People who rate each other: actor and partner effects, or one factor all of them share."""

    family: Literal["dyadic"]
    """The kind of analysis."""
    model: Literal["actor_partner", "common_fate", "one_with_many"]
    """Which of the three."""
    distinguishable: bool
    """Whether the members have different roles."""


class Survival(Part):
    """Cumulative incidence or restricted mean time, with competing events."""

    family: Literal["survival"]
    """The kind of analysis."""


class Mediation(Part):
    """How much of the effect would remain, or pass, with the mediators held or moved."""

    family: Literal["mediation"]
    """The kind of analysis."""
    effect: Literal["controlled_direct", "interventional_indirect"]
    """Hold the mediators at fixed values, or draw them as under the other strategy."""
    correlations: tuple[Annotated[float, Field(gt=-1, lt=1)], ...] = ()
    """Assumed correlations of mediator and outcome errors at which the answer is recomputed."""


class NonInferiority(Part):
    """Whether the outcome is worse by less than the study's margin."""

    family: Literal["non_inferiority"]
    """The kind of analysis."""


class Permutation(Part):
    """Small samples: compare the statistic with its values under relabelled exposures."""

    family: Literal["permutation"]
    """The kind of analysis."""
    draws: int = Field(ge=999, le=1_000_000)
    """Number of relabellings."""


Analysis = Annotated[
    ModifiedTreatmentPolicy
    | JointMeans
    | MixedModel
    | WithinBetween
    | Dyadic
    | Survival
    | Mediation
    | NonInferiority
    | Permutation,
    Field(discriminator="family"),
]
"""How the number is computed."""


class CohortEstimator(Part):
    """The primary analysis and those reported beside it."""

    primary: Analysis
    """The analysis that answers the question."""
    also: tuple[Analysis, ...] = ()
    """Reported beside it."""
    adjust_for: tuple[Name, ...] = ()
    """Confounders in the model of the outcome."""
    standard_error: Literal["CR2", "model", "permutation"]
    """Cluster-robust, from the model, or by relabelling."""
    cluster: Name
    """Level whose units may resemble each other."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of every interval."""


class CohortCovariateRule(Part):
    """What stands in for a covariate nobody recorded."""

    covariate: Name
    """The covariate that can be missing."""
    fill: Literal["median", "nearest_lag", "multiple_imputation"]
    """A declared value with an indicator column, or several drawn values."""


class CohortMissing(Part):
    """Plan for missing outcomes and covariates."""

    outcome: Literal["inverse_probability_of_response", "available_case", "multiple_imputation", "likelihood"]
    """How missing outcomes are handled."""
    covariates: tuple[CohortCovariateRule, ...] = ()
    """One rule for each confounder that can be missing."""
