"""Who is compared with whom: every way of matching, and the rules on pairs they share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import SPREAD, WHOSE_EFFECT, ColumnName, Part, Says
from causal.protocol.weighting import AnyWeighting


class Caliper(Part):
    """Largest distance allowed between matched occasions: `width` times the named standard deviation."""

    scale: Annotated[
        Literal["logit", "probability"],
        Says(
            name="Caliper: distance on",
            choices={
                "logit": "the log odds of the estimated probability",
                "probability": "the estimated probability itself",
            },
        ),
    ]
    """Distance is measured on the log odds of the estimated propensity, or on the probability itself."""
    sd: Annotated[Literal["pooled_within", "whole"], SPREAD]
    """Standard deviation of both groups pooled within group, or of everyone together."""
    width: Annotated[float, Says(name="Caliper: how many of them apart two occasions may lie")] = Field(gt=0, le=10)
    """How many of those standard deviations apart two occasions may lie."""


class CovariateCaliper(Part):
    """A limit on how far apart, or how close, matched occasions may be in one covariate."""

    covariate: ColumnName
    """The covariate."""
    width: float = Field(gt=0)
    """The limit: in standard deviations when `sd` names one, in the covariate's own unit otherwise."""
    sd: Annotated[Literal["pooled_within", "whole"] | None, Says(name="in standard deviations of"), SPREAD] = None
    """Standard deviation of both groups pooled within group, or of everyone together; null for the covariate's unit."""
    side: Annotated[
        Literal["within", "beyond"], Says(choices={"within": "at most so far apart", "beyond": "at least so far apart"})
    ] = "within"
    """At most that far apart, or at least that far apart (forbidden closeness)."""


class Preference(Part):
    """A key on which agreement is wanted and not demanded: disagreement adds `penalty` to the distance."""

    key: ColumnName
    """The key: `clinic_id` to prefer a comparison from the same clinic."""
    penalty: float = Field(ge=0)
    """What disagreement costs, in units of the distance."""


class ScoreDistance(Part):
    """Closeness on the estimated propensity."""

    kind: Literal["score"]
    """The kind of distance."""


class CovariateDistance(Part):
    """Closeness on the covariates themselves, each in standard units and correlations accounted for."""

    kind: Literal["mahalanobis", "rank_mahalanobis"]
    """On the values, or on their ranks (outliers and rare yes-or-no covariates then do not dominate)."""
    covariates: Annotated[tuple[ColumnName, ...], Says(empty="all tier-1 confounders")] = ()
    """The covariates; all tier-1 confounders where none is named."""


Distance = Annotated[ScoreDistance | CovariateDistance, Field(discriminator="kind")]
"""How unlike two occasions are."""

SetsEstimand = Annotated[Literal["ATT", "ATC", "ATE"], WHOSE_EFFECT]


class PairRules(Part):
    """Rules on who may stand in a set with whom, beside the exact keys and the calendar window."""

    caliper: Annotated[Caliper | None, Says(name="Largest distance allowed on the propensity", nothing="any")]
    """Largest distance allowed on the propensity; null allows any."""
    calipers: tuple[CovariateCaliper, ...] = ()
    """Further limits, covariate by covariate."""
    differ: tuple[ColumnName, ...] = ()
    """Keys on which compared occasions must differ."""
    prefer: tuple[Preference, ...] = ()
    """Keys on which agreement is preferred."""


class Greedy(PairRules):
    """One treated occasion after the other takes its nearest comparison occasions, inside its risk set."""

    method: Literal["greedy"]
    """Nearest neighbours, one treated occasion after the other."""
    ratio: int = Field(ge=1, le=4)
    """Most comparison occasions per treated occasion."""
    order: Annotated[
        Literal["highest", "lowest", "closest", "earliest", "random"],
        Says(
            name="Who chooses first",
            choices={
                "highest": "the highest estimated probability",
                "lowest": "the lowest estimated probability",
                "closest": "the closest pair",
                "earliest": "the earliest",
                "random": "by lot",
            },
        ),
    ] = "highest"
    """Who chooses first: highest or lowest propensity, the closest pair, the earliest row, or by lot (`seed`)."""
    seed: Annotated[int | None, Says(name="Seed of the lot", nothing="none is needed")] = Field(default=None, ge=0)
    """Seed of the lot; needed for `order: random` only."""
    distance: Distance = ScoreDistance(kind="score")
    """What nearest means."""
    replacement: bool = False
    """Whether a comparison occasion may be used in several sets."""
    most_uses: Annotated[
        int | None,
        Says(name="How often a comparison occasion may be used, with replacement", nothing="any number of times"),
    ] = Field(default=None, ge=1)
    """How often a comparison occasion may be used with replacement; null for any number of times."""


class Optimal(PairRules):
    """As many treated occasions as can be matched are, and the total distance is the smallest possible."""

    method: Literal["optimal"]
    """Smallest total distance."""
    ratio: int = Field(ge=1, le=4)
    """Comparison occasions per treated occasion."""
    distance: Distance = ScoreDistance(kind="score")
    """What distance means."""


class Full(PairRules):
    """Everyone with an admissible partner enters a set of one treated and several comparisons, or the reverse."""

    method: Literal["full"]
    """Optimal full matching."""
    estimand: SetsEstimand = "ATT"
    """Effect in the treated, in the untreated, or in everyone matched."""
    most_comparisons: Annotated[int | None, Says(name="Most comparison occasions in a set", nothing="any number")] = (
        Field(default=None, ge=1)
    )
    """Most comparison occasions in a set; null for any number."""
    most_treated: Annotated[
        int | None, Says(name="Most treated occasions that share one comparison occasion", nothing="any number")
    ] = Field(default=None, ge=1)
    """Most treated occasions that share one comparison occasion; null for any number."""
    distance: Distance = ScoreDistance(kind="score")
    """What distance means."""


class GeneralisedFull(Part):
    """Everyone enters a set with both groups in it; near-optimal and fast for millions of occasions."""

    method: Literal["generalised_full"]
    """Generalised full matching."""
    estimand: SetsEstimand = "ATT"
    """Effect in the treated, in the untreated, or in everyone matched."""
    caliper: Annotated[Caliper | None, Says(name="Largest distance allowed on the propensity", nothing="any")]
    """Largest distance allowed on the propensity; null allows any."""


class FineBalance(PairRules):
    """Optimal matching among the matchings whose groups agree best in the distribution of named keys."""

    method: Literal["fine_balance"]
    """Near-fine or refined balance by integer programming."""
    ratio: int = Field(ge=1, le=4)
    """Comparison occasions per treated occasion."""
    balance: tuple[ColumnName, ...] = Field(min_length=1)
    """Keys whose distribution must agree between the groups, the most important first."""
    distance: Distance = ScoreDistance(kind="score")
    """What distance means."""


class Cardinality(Part):
    """The largest sample whose groups differ in no covariate by more than the tolerance, then paired."""

    method: Literal["cardinality"]
    """Largest balanced sample by integer programming."""
    ratio: int = Field(default=1, ge=1, le=4)
    """Comparison occasions per treated occasion."""
    tolerance: float = Field(default=0.05, gt=0, le=1)
    """Largest standardised mean difference allowed in any covariate."""


class Bins(Part):
    """Into how many equally wide bins a covariate is coarsened."""

    covariate: ColumnName
    """The covariate."""
    number: int = Field(ge=1, le=1000)
    """Bins between its lowest and its highest value."""


class CoarsenedExact(Part):
    """Occasions alike in every coarsened covariate form a stratum; strata with one group only leave."""

    method: Literal["coarsened_exact"]
    """Coarsened exact matching."""
    estimand: SetsEstimand = "ATT"
    """Effect in the treated, in the untreated, or in everyone matched."""
    covariates: Annotated[
        tuple[ColumnName, ...], Says(name="Facts to be alike in", empty="all tier-1 confounders")
    ] = ()
    """The covariates to be alike in; all tier-1 confounders where none is named."""
    bins: Annotated[tuple[Bins, ...], Says(name="Numbers of bins", empty="as Sturges' rule has it")] = ()
    """Numbers of bins; Sturges' rule for covariates not named."""


class Subclassification(Part):
    """Strata of the estimated propensity with equal numbers of the group the effect is about."""

    method: Literal["subclassification"]
    """Strata of the score."""
    estimand: SetsEstimand = "ATT"
    """Effect in the treated, in the untreated, or in everyone matched."""
    subclasses: int = Field(default=6, ge=2, le=100)
    """Number of strata."""


AnyMatching = Greedy | Optimal | Full | GeneralisedFull | FineBalance | Cardinality | CoarsenedExact | Subclassification
"""Every way of making matched sets."""

Matching = Annotated[AnyMatching, Field(discriminator="method")]
"""Who is compared with whom."""

OF_ONE_RATIO = ("greedy", "optimal", "fine_balance", "cardinality")
"""Methods after which every treated occasion has as many comparisons, but for those that are lacking."""


def keeps_once(method: AnyMatching | AnyWeighting) -> bool:
    """Whether a declared method can see to it that nobody stands in two sets as a comparison (`Pairing.once`)."""
    return isinstance(method, Greedy | Optimal | Cardinality)


def named_keys(method: AnyMatching | AnyWeighting) -> tuple[str, ...]:
    """The keys a declared method names: those in which occasions differ, had better agree, or are balanced."""
    names: list[str] = []
    if isinstance(method, PairRules):
        names += [*method.differ, *(preference.key for preference in method.prefer)]
    if isinstance(method, FineBalance):
        names += method.balance
    return tuple(names)
