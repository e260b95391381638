"""How comparable groups are made, and how comparable they must be."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from causal.protocol.base import ColumnName, Days, Name, Part, Says, Sentence


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


class PropensityModel(Part):
    """How the probability of treatment is modelled, given what was known before time zero."""

    model: Annotated[
        Literal["logistic", "ridge", "elastic_net", "boosting", "average"],
        Says(
            name="Model of the probability of treatment",
            choices={
                "logistic": "logistic regression (Firth's where events are few)",
                "ridge": "logistic regression with a ridge penalty",
                "elastic_net": "logistic regression with an elastic-net penalty",
                "boosting": "logistic regression together with boosted trees, as far as these help",
                "average": "an average of logistic regression, ridge and boosted trees, weighed by how well each tells "
                "cases it never saw",
            },
        ),
    ] = "logistic"
    """Logistic regression (Firth's where events are few), the same with a ridge or an elastic-net penalty, the same
    together with boosted trees as far as these help, or an average of logistic, ridge and trees by how well they tell
    cases they never saw."""
    splines: tuple[ColumnName, ...] = ()
    """Covariates that enter as natural cubic splines."""
    knots: int = Field(default=4, ge=3, le=7)
    """Knots of each spline."""
    cluster_means: Annotated[
        Literal["clinic", "clinician"] | None,
        Says(name="Means of each fact in the clinic or clinician enter too (Mundlak terms)", nothing="no"),
    ] = None
    """Add each covariate's mean in the clinic or clinician (Mundlak terms); in a flat table, in the cluster column."""
    cross_fit: Annotated[
        int | None,
        Says(name="Folds, so that each occasion is scored by a model that never saw its cluster", nothing="none"),
    ] = Field(default=None, ge=2, le=20)
    """Folds of whole clusters; each occasion is scored by a model that never saw its cluster."""
    sampling_fraction: Annotated[float | None, Says(nothing="no sample: everyone is there")] = Field(
        default=None, gt=0, le=1
    )
    """Share of untreated occasions that was drawn into the extract, where only a sample was."""
    seed: Annotated[int | None, Says(name="Seed of the boosted trees", nothing="none is needed")] = Field(
        default=None, ge=0
    )
    """Seed of the boosted trees; needed for `model: boosting` and `model: average` only."""


class OccasionPropensity(PropensityModel):
    """The same for studies of occasions, whose covariates have tiers and whose curves are tested."""

    bends: Annotated[
        Literal["where_needed", "none"],
        Says(
            name="How numbers of tier 1 enter that model",
            choices={
                "where_needed": "as lines; where the joint test of their squares finds curves, with one bend each "
                "(restricted cubic, 3 knots), in their declared order, while the smaller group keeps 4 occasions a "
                "parameter",
                "none": "as lines",
            },
        ),
    ] = "where_needed"
    """Whether tier-1 numbers may get a bend each (restricted cubic, 3 knots) where the joint test of their squares
    finds curves (`gates.curvature`): in their declared order, while the smaller group keeps 4 occasions a parameter."""


class Support(Part):
    """Common support inside each exact stratum; treated occasions above `probability_max` (near-certain) leave."""

    rule: Annotated[
        Literal["stratum_common", "none"],
        Says(
            name="Where both strategies were really possible",
            choices={
                "stratum_common": "inside each exact stratum, treated cases no likelier than its likeliest comparison, "
                "and comparisons no less likely than its least likely treated case",
                "none": "everywhere: everyone is kept",
            },
        ),
    ]
    """Keep the range of propensity that both groups share in the stratum, or keep everyone."""
    probability_max: Annotated[
        float,
        Says(name="Estimated probability above which nearly every clinician would have treated: such cases leave"),
    ] = Field(default=0.95, gt=0, le=1)
    """Above this estimated probability nearly every clinician would have treated; no fair comparison exists."""


class Planning(Part):
    """What is assumed of the outcomes so as to say, before they are opened, how small an effect would be found."""

    rating_sd: float = Field(default=0.70, gt=0)
    """Standard deviation of a rating, in points."""
    rating_r2: Annotated[float, Says(name="Share of a rating's variance that the adjustment explains")] = Field(
        default=0.50, ge=0, lt=1
    )
    """Share of its variance that the adjustment explains."""
    rating_missing_treated: float = Field(default=0.35, ge=0, lt=1)
    """Share of treated occasions without a rating at the day, endings included."""
    rating_missing_comparison: Annotated[
        float, Says(name="Share of comparison occasions without a rating at the day, endings included")
    ] = Field(default=0.25, ge=0, lt=1)
    """The same among comparison occasions."""
    composite_sd: float = Field(default=1.24, gt=0)
    """Standard deviation of the composite, in points."""
    composite_r2: Annotated[float, Says(name="Share of the composite's variance that the adjustment explains")] = Field(
        default=0.10, ge=0, lt=1
    )
    """Share of its variance that the adjustment explains."""
    composite_missing: float = Field(default=0.10, ge=0, lt=1)
    """Share of occasions without a composite."""
    ended: float = Field(default=0.22, gt=0, lt=1)
    """Share of comparison occasions whose relationship the patient ends by the primary day."""
    icc: float = Field(default=0.05, ge=0, le=1)
    """Correlation of outcomes of one clinician's occasions."""


class Gates(Part):
    """Limits set before outcomes are seen. A design that breaks one is FAIL and stops, unless the approval names it."""

    smd_tier1: float = Field(default=0.10, gt=0, le=1)
    """Largest standardised mean difference of a tier-1 covariate after matching."""
    smd_tier2: float = Field(default=0.20, gt=0, le=1)
    """Largest standardised mean difference of a tier-2 covariate after matching."""
    minimum_sets: int = Field(default=20, ge=2)
    """Fewest matched sets."""
    minimum_clusters_per_arm: Annotated[
        int, Says(name="Fewest clusters behind either group; a group that lies in one is never estimated")
    ] = Field(default=2, ge=2)
    """Fewest clusters (`estimator.cluster`) behind either group; a group that lies in one is never estimated, whatever
    an approval accepts."""
    maximum_cluster_share: float = Field(default=0.50, gt=0, le=1)
    """Largest share of a group that one cluster may hold. At a half the main interval still rejects a true null in 3 to
    8 of 100 studies whose clinicians drift by half a standard deviation; at two thirds in 4 to 10, at nine tenths in 10
    to 25."""
    maximum_unmatched: float = Field(default=0.30, ge=0, le=1)
    """Largest share of treated occasions left without a match."""
    curvature: Annotated[
        float, Says(name="Smallest chance of as much curve in tier-1 numbers without any (joint test of their squares)")
    ] = Field(default=0.01, ge=0, lt=1)
    """Smallest p-value of the joint test of the squares of tier-1 numbers in the propensity: below it, curves are left
    that the model does not follow."""
    ended_in_grace: float = Field(default=0.02, ge=0, le=1)
    """Largest share of occasions whose relationship ends within the grace window."""
    pretrend_smd: float = Field(default=0.20, gt=0, le=1)
    """Largest standardised difference in how the outcome moved before time zero."""
    minimum_response: float = Field(default=0.50, ge=0, le=1)
    """Smallest share of those still in treatment whose rating counts, in either group, at each day; judged once
    outcomes are open. Where fewer than half answer the silent outweigh those heard: causal words about ratings stop."""
    maximum_response_difference: Annotated[
        float, Says(name="Largest difference between the groups in the share of ratings that count, judged likewise")
    ] = Field(default=0.20, ge=0, le=1)
    """Largest difference between the groups in that share, judged likewise. If the log odds of silence rise by 1.2 for
    each point of the rating lost, a difference of .20 alone moves that in ratings by .10 points (.05 where the
    covariates explain half of it), and one of .70, 10% against 80%, by .39."""
    quarantined_share: float = Field(default=0.02, ge=0, le=1)
    """Largest share of a table's rows that may be set aside as unfit."""
    unmatched_codes: float = Field(default=0.02, ge=0, le=1)
    """Largest share of rows, clinics or clinicians whose code matches nothing that is declared."""
    impossible_dates: float = Field(default=0.01, ge=0, le=1)
    """Largest share of people on whose record something happened after their death or before their birth."""
    record_lag_days: Annotated[int, Says(unit="days")] = Field(default=31, ge=0, le=3650)
    """Most days from the last contacts and forms on record to the date of the extract."""

    @model_validator(mode="after")
    def _tiers(self) -> Self:
        """What is to be balanced strictly has no wider limit than the rest."""
        if self.smd_tier1 > self.smd_tier2:
            raise ValueError(
                f"smd_tier1 is {self.smd_tier1:g} and smd_tier2 {self.smd_tier2:g}: tier 1 is to be balanced strictly, "
                "so its limit must not be the wider one"
            )
        return self


class Negative(Part):
    """A negative control: an outcome the exposure cannot move, or an exposure that cannot move the outcome."""

    name: Annotated[Name, Says(name="control")]
    """Name of the control."""
    because: Sentence
    """Why no effect is possible."""


class NegativeControls(Part):
    """Declared negative controls; each is evaluated, or printed as not evaluated with the reason."""

    outcomes: tuple[Negative, ...] = ()
    """Outcomes the exposure cannot move."""
    exposures: tuple[Negative, ...] = ()
    """Exposures that cannot move the outcome."""
