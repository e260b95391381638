"""One study, from the question to the report: every scientific choice and nothing local."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from causal.protocol.analysis import Estimator, MetaAnalysis, MissingData, Sensitivity
from causal.protocol.base import Name, Part, Says, Sentence
from causal.protocol.cohort import CohortDesign, CohortEstimator, CohortMissing, CohortTrial, Level
from causal.protocol.definitions import CodeList, Definition
from causal.protocol.design import (
    Confounders,
    Dag,
    DeclaredCovariate,
    Gates,
    NegativeControls,
    OccasionPropensity,
    Planning,
    Support,
)
from causal.protocol.exposure import Alliance, CohortExposure, DirectedMeasure, EffectModifier, Exposure, Mediator
from causal.protocol.flat_table import FlatTableStudy
from causal.protocol.governance import Governance, Report
from causal.protocol.header import StudyHeader
from causal.protocol.long_table import LongTableStudy
from causal.protocol.matching import Matching
from causal.protocol.outcome import CohortEstimand, CohortOutcome, Estimand, Outcome
from causal.protocol.secondary import Multiplicity, Secondary
from causal.protocol.target_trial import TargetTrial
from causal.protocol.weighting import Weighting
from causal.protocol.words import NEUTRAL, Words


class OccasionStudy(Part):
    """A study whose rows are decision points in people's records."""

    model_config = ConfigDict(title="Study of occasions")

    schema_version: Literal["rapport-study/1"]
    """Version of this vocabulary."""
    kind: Literal["occasions"]
    """The kind of study."""
    study: StudyHeader
    """The question."""
    words: Words = NEUTRAL
    """What the pages call the cases, the groups, the treatment, the people and the outcome."""
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
    """Covariates that no definition says and no table holds yet."""
    definitions: Annotated[dict[Name, Definition], Says(name="Definition", empty="none")] = Field(default_factory=dict)
    """What is taken from the records before time zero, by name. A name in use that is not here is taken from
    `configs/definitions`."""
    codelists: Annotated[dict[Name, CodeList], Says(name="Code list", empty="none")] = Field(default_factory=dict)
    """Code lists by name. One in use that is not here is taken from `configs/codelists`."""
    prior_ratings: tuple[Name, ...] = ("alliance_lag1", "alliance_lag2", "alliance_lag3")
    """Definitions of the outcome as it was before time zero, latest first: how it moved, what stands in for a missing
    one, and from where a patient changed."""
    confounders: Confounders
    """What compared occasions must be alike in."""
    support: Support = Support(rule="stratum_common")
    """Where both strategies were really possible."""
    propensity: OccasionPropensity = OccasionPropensity()
    """How the probability of treatment is modelled."""
    matching: Annotated[Matching | None, Says(name="Matched sets", nothing="none: the groups are weighted")] = None
    """Who is compared with whom. A study declares either this or `weighting`."""
    weighting: Annotated[Weighting | None, Says(name="Weights of the groups", nothing="none: they are matched")] = None
    """With what weights the groups are compared."""
    estimator: Estimator
    """How the number is computed."""
    missing: MissingData
    """What is done about what nobody recorded."""
    secondary: tuple[Secondary, ...] = ()
    """Analyses set in advance beside the primary one."""
    multiplicity: Annotated[Multiplicity | None, Says(nothing="none: all is estimation")] = None
    """The family of secondary tests among which chance findings are guarded against."""
    seed: Annotated[int, Says(name="Seed: every random draw comes from it, by the name of the analysis that draws")] = (
        Field(default=20240601, ge=0)
    )
    """Every random draw comes from it, by the name of the analysis that draws."""
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
    alliance: Annotated[Alliance | None, Says(name="What part the alliance plays", nothing="the outcome says it")] = (
        None
    )
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
    """Covariates that no definition says and no table holds yet."""
    definitions: Annotated[dict[Name, Definition], Says(name="Definition", empty="none")] = Field(default_factory=dict)
    """What is taken from the records before time zero, by name. A name in use that is not here is taken from
    `configs/definitions`."""
    codelists: Annotated[dict[Name, CodeList], Says(name="Code list", empty="none")] = Field(default_factory=dict)
    """Code lists by name. One in use that is not here is taken from `configs/codelists`."""
    prior_ratings: tuple[Name, ...] = ("alliance_lag1", "alliance_lag2", "alliance_lag3")
    """Definitions of the outcome as it was before time zero, latest first: how it moved, what stands in for a missing
    one, and from where a patient changed."""
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


Study = Annotated[
    OccasionStudy | CohortStudy | FlatTableStudy | LongTableStudy | MetaStudy, Field(discriminator="kind")
]
STUDY: TypeAdapter[OccasionStudy | CohortStudy | FlatTableStudy | LongTableStudy | MetaStudy] = TypeAdapter(Study)
"""Validates a parsed study file and writes its JSON Schema."""
