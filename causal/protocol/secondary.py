"""Analyses set in advance beside the primary one: what each is, never how it is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Part, Says, Sentence

EstimandId = Annotated[str, Field(pattern=r"^E[0-9]{1,2}$")]
Covariance = Literal[
    "unstructured",
    "toeplitz",
    "toeplitz_heterogeneous",
    "ar1",
    "ar1_heterogeneous",
    "compound_symmetry",
    "compound_symmetry_heterogeneous",
]
Draws = Annotated[int, Field(ge=199, le=20_000)]
Day = Annotated[int, Field(ge=1, le=3650), Says(unit="days")]
LIKELIHOOD = Says(choices={"REML": "restricted maximum likelihood (REML)", "ML": "maximum likelihood (ML)"})


class OtherDays(Part):
    """The primary estimand at the outcome's other days."""

    analysis: Literal["other_days"]
    """Name of the analysis."""


class Subscales(Part):
    """The primary estimand for each subscale the outcome names."""

    analysis: Literal["subscales"]
    """Name of the analysis."""


class RepeatedOutcomes(Part):
    """All days at once in a mixed model for repeated measures, an estimand that asks for a hypothetical course."""

    analysis: Literal["repeated_outcomes"]
    """Name of the analysis."""
    estimand: EstimandId
    """The estimand it answers."""
    covariance: Covariance = "unstructured"
    """How the ratings of one patient vary together."""
    likelihood: Annotated[Literal["REML", "ML"], LIKELIHOOD] = "REML"
    """Restricted or full maximum likelihood."""
    degrees_of_freedom: Annotated[
        Literal["kenward_roger", "satterthwaite", "cluster_robust"],
        Says(
            choices={
                "kenward_roger": "the model's (Kenward-Roger)",
                "satterthwaite": "the model's (Satterthwaite)",
                "cluster_robust": "of standard errors that hold if the covariance is wrong (CR2)",
            }
        ),
    ] = "cluster_robust"
    """Of the model (Kenward-Roger, Satterthwaite), or of standard errors that hold if the model's covariance is wrong
    and clinicians or sets are alike within (CR2)."""


class MixedModel(Part):
    """All days at once with random effects of occasions and clinicians."""

    analysis: Literal["mixed_model"]
    """Name of the analysis."""
    estimand: EstimandId
    """The estimand it answers."""
    random: Annotated[Literal["intercept", "intercept_and_slope"], Says(name="what varies between patients")] = (
        "intercept"
    )
    """What varies between patients."""
    likelihood: Annotated[Literal["REML", "ML"], LIKELIHOOD] = "REML"
    """Restricted or full maximum likelihood."""


class MarginalModel(Part):
    """All days at once in generalised estimating equations, independence working correlation, small-sample errors."""

    analysis: Literal["marginal_model"]
    """Name of the analysis."""
    estimand: EstimandId
    """The estimand it answers."""
    correction: Annotated[
        Literal["mancl_derouen", "kauermann_carroll", "fay_graubard"],
        Says(
            name="correction for few clusters",
            choices={
                "mancl_derouen": "Mancl and DeRouen's",
                "kauermann_carroll": "Kauermann and Carroll's",
                "fay_graubard": "Fay and Graubard's",
            },
        ),
    ] = "mancl_derouen"
    """Correction of the sandwich for few clusters."""


class LastRating(Part):
    """The last rating given while the relationship lasted."""

    analysis: Literal["last_rating"]
    """Name of the analysis."""
    estimand: EstimandId
    """The estimand it answers."""


class StratumBounds(Part):
    """Bounds on the effect among those whose relationship lasts whichever strategy is followed."""

    analysis: Literal["stratum_bounds"]
    """Name of the analysis."""
    estimand: EstimandId
    """The estimand it answers."""
    monotone: Annotated[
        Literal["treated_leaves_more", "comparison_leaves_more", "none"],
        Says(
            name="assumed",
            choices={
                "treated_leaves_more": "nobody stays under the treated strategy who would leave under the comparison's",
                "comparison_leaves_more": "nobody stays under the comparison's strategy who would leave under the "
                "treated one",
                "none": "nothing",
            },
        ),
    ] = "none"
    """Under which strategy nobody stays who would have left under the other; `none` assumes nothing."""
    draws: Annotated[Draws, Says(name="bootstrap draws of whole clusters")] = 500
    """Bootstrap draws of whole clusters."""


class TerminationCourse(Part):
    """Endings over time: cumulative incidence beside other endings, mean time lost, cause-specific hazard."""

    analysis: Literal["termination_course"]
    """Name of the analysis."""
    days: tuple[Day, ...] = Field(min_length=1, max_length=6)
    """Days at which the incidence is told, rising; few, because what lies between two days tells single patients."""
    horizon_days: Day
    """Last day of follow-up counted."""


class WinOdds(Part):
    """Whether a treated patient fares better than a comparison patient: an ending is worse than any rating."""

    analysis: Literal["win_odds"]
    """Name of the analysis."""


class GComputation(Part):
    """Outcome regression with interactions, averaged over the population the effect is about."""

    analysis: Literal["g_computation"]
    """Name of the analysis."""


class DoublyRobust(Part):
    """Outcome and propensity model together, cross-fitted by `estimator.cluster`, where either decision was open.

    Both models are learned on other clusters than they speak of, the one of the choice on all eligible occasions. With
    fewer than `estimator.minimum_clusters` clusters the interval is the wider of those by cluster and by patient.
    Outcomes are then opened for all eligible occasions, not only for those compared.
    """

    analysis: Literal["doubly_robust"]
    """Name of the analysis."""
    method: Annotated[
        Literal["aipw", "tmle"],
        Says(
            choices={
                "aipw": "augmented inverse probability weighting (AIPW)",
                "tmle": "targeted maximum likelihood (TMLE)",
            }
        ),
    ] = "aipw"
    """Augmented inverse probability weighting, or targeted maximum likelihood."""
    effect_in: Annotated[
        Literal["design", "treated", "everyone"],
        Says(
            name="whose effect",
            choices={
                "design": "that of the population of the comparison",
                "treated": "that of the treated",
                "everyone": "that of everyone in whom either decision was open",
            },
        ),
    ] = "design"
    """Whose effect: the population of the design (that of ATT, ATC or ATE), the treated, or everyone in whom either
    decision was open."""
    outcome_model: Annotated[
        Literal["linear", "ridge", "boosting", "average"],
        Says(
            name="model of the outcome",
            choices={
                "linear": "least squares (under TMLE, logistic regression)",
                "ridge": "the same as least squares with a ridge penalty",
                "boosting": "boosted trees",
                "average": "an average of least squares, ridge and boosted trees, by how well each tells outcomes it "
                "never saw",
            },
        ),
    ] = "linear"
    """Least squares with the bends of `estimator.bends` (logistic regression under tmle), the same with a ridge
    penalty, boosted trees, or an average of the three by how well they tell outcomes they never saw. The choice is
    modelled as `propensity` says."""
    folds: int = Field(default=5, ge=2, le=20)
    """Folds of whole clusters, those of `estimator.cluster`."""


class SetDifferences(Part):
    """The headline differences as means of differences within matched sets, adjusted by differenced covariates."""

    analysis: Literal["set_differences"]
    """Name of the analysis."""


class TwoWayClustering(Part):
    """The headline intervals, robust to likeness within matched sets and within `estimator.cluster` at once.

    Patients stand for sets under weights and strata, and where sets share occasions. The variances of both are added
    and the shared part taken off; the result is never below either of them.
    """

    analysis: Literal["two_way_clustering"]
    """Name of the analysis."""


class ClinicFixedEffects(Part):
    """The headline differences within clinics: what all of a clinic share, before and after time zero, drops out."""

    analysis: Literal["clinic_fixed_effects"]
    """Name of the analysis."""


class Randomisation(Part):
    """What lotteries within matched sets would have given: an interval that assumes one effect for everyone."""

    analysis: Literal["randomisation"]
    """Name of the analysis."""
    draws: Draws = 10_000
    """Lotteries drawn where there are too many to go through all."""


class ClusterBootstrap(Part):
    """The estimate again in samples of whole clusters; with weights, weighted anew each time."""

    analysis: Literal["cluster_bootstrap"]
    """Name of the analysis."""
    draws: Draws = 1_000
    """Samples of clusters."""


class ReuseVariance(Part):
    """The main differences after matching with replacement, by a variance that knows who was used several times."""

    analysis: Literal["reuse_variance"]
    """Name of the analysis."""


class ReliableChange(Part):
    """How many of those rated before and after, treatment going on, changed by more than measurement error.

    Change is from the last rating in the 90 days before time zero to the one of the primary day.
    """

    analysis: Literal["reliable_change"]
    """Name of the analysis."""
    sd: Annotated[float, Says(name="standard deviation of the rating, in points")] = Field(gt=0)
    """Standard deviation of the rating in the reference sample, in points."""
    reliability: float = Field(ge=0, lt=1)
    """Reliability of the rating in that sample."""
    basis: Annotated[
        Literal["test_retest", "alpha"],
        Says(
            choices={
                "test_retest": "ratings of the same people twice",
                "alpha": "how items agree (alpha: it overstates precision)",
            }
        ),
    ]
    """From ratings of the same people twice, or from how items agree (alpha: it overstates precision)."""
    reference: Annotated[Sentence, Says(name="from")]
    """The sample both numbers are from."""


class DropoutStory(Part):
    """Missing ratings handled in every plausible way, side by side, and how far they would have to differ."""

    analysis: Literal["dropout_story"]
    """Name of the analysis."""
    imputations: int = Field(default=20, ge=5, le=200)
    """Imputed sets."""
    delta_lowest: Annotated[float, Says(name="lowest shift of imputed ratings, in points")] = -1.5
    """Lowest shift of imputed ratings, in points."""
    delta_highest: Annotated[float, Says(name="highest shift")] = 0.5
    """Highest shift of imputed ratings, in points."""
    delta_step: Annotated[float, Says(name="in steps of")] = Field(default=0.1, gt=0)
    """Step of the grid of shifts."""


class ImputationWithin(Part):
    """Covariates and ratings imputed together, the design made anew in each imputed set, estimates pooled.

    Outcomes are then opened for all eligible occasions, not only for those compared.
    """

    analysis: Literal["imputation_within"]
    """Name of the analysis."""
    imputations: int = Field(default=20, ge=5, le=200)
    """Imputed sets."""


class NonInferiority(Part):
    """Whether the worsening of the composite stays within `non_inferiority_margin`, from a one-sided 97.5% bound."""

    analysis: Literal["non_inferiority"]
    """Name of the analysis."""


class Equivalence(Part):
    """Whether the composite difference stays within plus or minus `non_inferiority_margin` (two one-sided tests)."""

    analysis: Literal["equivalence"]
    """Name of the analysis."""


Secondary = Annotated[
    OtherDays
    | Subscales
    | RepeatedOutcomes
    | MixedModel
    | MarginalModel
    | LastRating
    | StratumBounds
    | TerminationCourse
    | WinOdds
    | GComputation
    | DoublyRobust
    | SetDifferences
    | TwoWayClustering
    | ClinicFixedEffects
    | Randomisation
    | ClusterBootstrap
    | ReuseVariance
    | ReliableChange
    | DropoutStory
    | ImputationWithin
    | NonInferiority
    | Equivalence,
    Field(discriminator="analysis"),
]
"""One analysis beside the primary one."""


def opens_everyone(secondary: Sequence[Secondary], *, weighted: bool) -> bool:
    """Whether some analysis needs the outcomes of all eligible occasions, in a study that matches or weights."""
    return any(
        isinstance(declared, DoublyRobust | ImputationWithin) or (weighted and isinstance(declared, ClusterBootstrap))
        for declared in secondary
    )


class Multiplicity(Part):
    """A family of tests in which Holm's correction keeps the chance of any false finding at 1 - `level`."""

    holm: Annotated[
        tuple[Literal["other_days", "subscales"], ...],
        Says(name="Tests guarded together against chance findings (Holm's correction); all else is estimation"),
    ] = Field(min_length=1)
    """Analyses whose p-values form the family. Everything outside it is estimation, told without a p-value."""
